"""Numbers, quantiles and tables of statistics. Knows how they are named, not how they are measured."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from splinecam_widget.engine.arrays import Float64, as_numbers
from splinecam_widget.engine.cells import Cells

from .optional import package

if TYPE_CHECKING:
    from .region_statistics import RegionStatistics
    from .statistics import Statistics

MEANS = ("area", "perimeter", "n_vertices", "n_sides", "eccentricity", "vertex_ratio", "inradius", "slope_norm")
"""Of cells, in summaries."""

OF_A_LAYER = re.compile(r"layer_\d+_edge_length")
"""Names of the numbers in a summary of which there are as many as the network has layers of kinks."""

REGION_MEANS = ("area", "perimeter", "n_cells", "eccentricity", "slope_norm")


def summary_of(statistics: Statistics) -> dict[str, float]:
    """What a partition's measures come to, as numbers.

    Returns
    -------
    dict
        n_cells, n_regions, n_vertices, n_edges; area of the domain; cell_density and region_density, counts for each unit of
        area; edge_length (of all layers), layer_0_edge_length, ... (of each) and border_length; n_inner_cells,
        n_inner_regions: those not cut off by the border.
        For each measure of cells in `MEANS`, and of regions in `REGION_MEANS`: cell_<name>_mean and region_<name>_mean, and
        the same with inner_ before, over those not cut off. NaN where there are none.

    Notes
    -----
    region_area_mean is the average region volume of Humayun et al. (arXiv 2302.12828): the domain's area over the number of
    regions.

    Examples
    --------
    >>> import torch
    >>> from splinecam_widget import Slice, compute_partition
    >>> partition = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
    >>> found = summary_of(partition.statistics())
    >>> found["cell_area_mean"], found["cell_density"], found["n_inner_cells"]
    (1.0, 1.0, 0)
    """
    from .region_statistics import REGION_COLUMNS
    from .statistics import CELL_COLUMNS

    cells, regions = statistics.cells, statistics.regions
    found: dict[str, float] = {
        "n_cells": cells.n_cells, "n_regions": cells.n_regions, "n_vertices": len(cells.vertices), "n_edges": len(cells.edges),
        "n_inner_cells": int((~statistics.is_clipped).sum()), "n_inner_regions": int((~regions.is_clipped).sum()),
        "area": statistics.area, "cell_density": cells.n_cells / statistics.area,
        "region_density": cells.n_regions / statistics.area,
        "edge_length": float(statistics.layer_lengths.sum()), "border_length": statistics.border_length,
        **{f"layer_{i}_edge_length": length for i, length in enumerate(statistics.layer_lengths.tolist())},
    }
    whole: tuple[tuple[str, Any, Any, Any], ...] = (
        ("cell", statistics, CELL_COLUMNS, MEANS), ("region", regions, REGION_COLUMNS, REGION_MEANS))
    for kind, measures, columns, names in whole:
        inner = ~measures.is_clipped
        for name in names:
            column = getattr(measures, columns[name])
            found[f"{kind}_{name}_mean"] = float(column.mean())
            found[f"inner_{kind}_{name}_mean"] = float(column[inner].mean()) if inner.any() else np.nan
    return found


def quantiles_of(
    measures: Statistics | RegionStatistics, columns: Mapping[str, str], name: Any, q: Any, inner: bool
) -> Float64:
    """See `Statistics.quantiles`."""
    if not isinstance(name, str) or name not in columns:
        raise ValueError(f"name: expected one of {', '.join(columns)}, got {name!r}")
    levels, _ = as_numbers(q, "q")
    if levels.ndim > 1 or not ((levels >= 0) & (levels <= 1)).all():
        raise ValueError(f"q: expected numbers from 0 to 1, got {q}")
    column = getattr(measures, columns[name])
    column = column[~measures.is_clipped] if inner else column
    if not len(column):
        return np.full(levels.shape, np.nan)
    # Between infinities, as distances to a boundary that is not there, interpolation makes NaN.
    between: Any = "linear" if np.isfinite(column).all() else "lower"
    found: Float64 = np.asarray(np.quantile(column, levels, method=between), dtype=np.float64)
    return found


def text_of(statistics: Statistics) -> str:
    """The summary as lines of text, with and without the cells that the border cuts off, and quartiles.

    Examples
    --------
    >>> import torch
    >>> from splinecam_widget import Slice, compute_partition
    >>> partition = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
    >>> print(text_of(partition.statistics()).splitlines()[0])
    4 cells (0 inner), 4 linear regions (0 inner), on an area of 4
    """
    from .region_statistics import REGION_COLUMNS
    from .statistics import CELL_COLUMNS

    found = statistics.summary
    lines = [
        f"{found['n_cells']:,} cells ({found['n_inner_cells']:,} inner), {found['n_regions']:,} linear regions "
        f"({found['n_inner_regions']:,} inner), on an area of {found['area']:.6g}",
        f"{found['cell_density']:.4g} cells and {found['region_density']:.4g} regions for each unit of area",
        f"edges {found['edge_length']:.6g} long in all, border {found['border_length']:.6g}",
    ]
    head = ("", "mean", "inner mean", "25 %", "median", "75 %")
    rows: list[tuple[str, ...]] = [head]
    measures: tuple[tuple[str, Any, Any], ...] = (
        ("cell", statistics, [name for name in CELL_COLUMNS if name in MEANS]),
        ("region", statistics.regions, [name for name in REGION_COLUMNS if name in REGION_MEANS]))
    for kind, source, names in measures:
        for name in names:
            numbers = (found[f"{kind}_{name}_mean"], found[f"inner_{kind}_{name}_mean"],
                       *source.quantiles(name, [0.25, 0.5, 0.75]))
            rows.append((f"{kind} {name}", *("-" if np.isnan(number) else f"{number:.4g}" for number in numbers)))
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines += ["  ".join([f"{row[0]:<{widths[0]}}", *(f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:]))]).rstrip()
              for row in rows]
    return "\n".join(lines)


def table_of(
    measures: Statistics | RegionStatistics, columns: Mapping[str, str], index: str, inner: bool,
    links: dict[str, NDArray[Any]], more: dict[str, NDArray[Any]],
) -> Any:
    """See `Statistics.to_pandas`."""
    pandas = package("pandas", "to_pandas")
    content: dict[str, NDArray[Any]] = {
        **links, "centroid_x": measures.centroids[:, 0], "centroid_y": measures.centroids[:, 1],
        **{name: getattr(measures, attribute) for name, attribute in columns.items()},
        **{f"offset_{k}": column for k, column in enumerate(measures.offsets.T)}, "is_clipped": measures.is_clipped, **more,
    }
    table = pandas.DataFrame(content)
    table.index.name = index
    table.attrs["record"] = measures.cells.record()
    return table[~measures.is_clipped] if inner else table


def active_columns(measures: Statistics | RegionStatistics, is_known: bool) -> dict[str, NDArray[Any]]:
    """Numbers of active units for a table, a column for each layer; none where the network is not known."""
    return {f"n_active_{layer}": column for layer, column in enumerate(measures.n_active.T)} if is_known else {}


def _are_same_but_layers(one: Iterable[str], other: Iterable[str]) -> bool:
    return all(OF_A_LAYER.fullmatch(key) for key in set(one) ^ set(other))


def summary_table(partitions: Iterable[Any], names: Sequence[Any] | None = None, pandas: bool = False) -> Any:
    """The summaries of many partitions side by side, as of `partition_many`.

    Parameters
    ----------
    partitions : iterable of Partition, SavedPartition, Statistics, or summaries
        With a client, let the workers make the summaries:
        ``partition_many(models, slices, client, summary=lambda p: p.statistics().summary)``.
    names : sequence or None
        One for each, such as the checkpoint or the slice; None: 0, 1, ...
    pandas : bool
        Return a DataFrame with a row for each, its index the names.

    Returns
    -------
    dict of (n,) arrays, or DataFrame
        "name", and a column for each number of `summary_of`; NaN for layers that a network does not have.

    Raises
    ------
    TypeError, ValueError
        If something else is in the list, nothing is, or there are more or fewer names than partitions.
    ImportError
        If a DataFrame is asked for and pandas is not installed.

    Examples
    --------
    >>> import torch
    >>> from splinecam_widget import Slice, partition_many, summary_table
    >>> planes = [Slice.around(torch.zeros(3), seed=seed, radius=seed + 1) for seed in range(2)]
    >>> table = summary_table(partition_many(torch.nn.ReLU().eval(), planes), names=["small", "large"])
    >>> table["name"].tolist(), table["n_cells"].tolist(), table["area"].round(9).tolist()
    (['small', 'large'], [6, 6], [4.0, 16.0])
    """
    from .statistics import Statistics

    if isinstance(partitions, (Cells, Statistics, Mapping)):
        raise TypeError(f"partitions: expected a list of partitions, got one {type(partitions).__name__}")
    found: list[Mapping[str, float]] = []
    for i, one in enumerate(partitions):
        if isinstance(one, Cells):
            found.append(one.statistics().summary)
        elif isinstance(one, Statistics):
            found.append(one.summary)
        elif isinstance(one, Mapping):
            found.append(one)
        else:
            raise TypeError(f"partitions[{i}]: expected a Partition, its statistics or their summary, got {type(one).__name__}")
        if not _are_same_but_layers(found[i].keys(), found[0].keys()):
            raise ValueError(f"partitions[{i}]: expected a summary of the same numbers as the first, got {', '.join(found[i])}")
    if not found:
        raise ValueError("partitions: expected at least one, got none")
    labels = list(range(len(found))) if names is None else list(names)
    if len(labels) != len(found):
        raise ValueError(f"names: expected one for each of {len(found)} partitions, got {len(labels)}")
    deepest = max(found, key=len)
    columns = {key: np.array([one.get(key, np.nan) for one in found]) for key in deepest}
    if pandas:
        return package("pandas", "summary_table").DataFrame(columns, index=labels).rename_axis("name")
    return {"name": np.array(labels), **columns}
