"""How many cells, regions and vertices there are around points. Knows no network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splinecam_widget.engine.arrays import Float64, as_numbers, span_text
from splinecam_widget.engine.cells import Cells
from splinecam_widget.engine.slices import MAX_COORDINATE
from splinecam_widget.engine.threads import loops_in_runs

from . import _counting_kernels

Int64 = NDArray[np.int64]

NORMS = {1: 1, 2: 2, np.inf: 0}
"""Norms, and what the compiled loops call them."""

COLUMNS = 4
"""Balls are taken in strips of so many columns of boxes."""

POINTS_AT_A_TIME = 2048
"""That one thread takes. Each time it needs room for two numbers a cell."""


@dataclass(frozen=True, eq=False)
class LocalCounts:
    """What lies in closed balls around points of the slice. Made by `counts_around`.

    Attributes
    ----------
    n_cells, n_regions : (n,) int64
        Cells and linear regions that have a point in each ball.
    n_vertices : (n,) int64
        Vertices in each ball.
    areas : (n,) float64
        Of the part of each ball that lies in the domain, input-space units squared.
    """

    n_cells: Int64
    n_regions: Int64
    n_vertices: Int64
    areas: Float64

    def __repr__(self) -> str:
        spread = f", {span_text(self.n_cells)} cells around each" if len(self.n_cells) else ""
        return f"LocalCounts({len(self.n_cells):,} points{spread})"

    @property
    def densities(self) -> Float64:
        """(n,) float64: cells for each unit of area; NaN where no area of the ball lies in the domain."""
        found = np.full(len(self.areas), np.nan)
        np.divide(self.n_cells, self.areas, out=found, where=self.areas > 0)
        return found


def counts_around(cells: Cells, points: Any, radius: Any, norm: Any = 2) -> LocalCounts:
    """See `Cells.counts_around`.

    Examples
    --------
    >>> import torch
    >>> from splinecam_widget import Slice, compute_partition
    >>> partition = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
    >>> counts_around(partition, [[0.0, 0.0], [0.5, 0.1], [0.5, 0.5]], radius=0.25).n_cells.tolist()
    [4, 2, 1]
    """
    places, _ = as_numbers(points, "points")
    if places.size == 0:
        places = np.zeros((0, 2))
    if places.ndim != 2 or places.shape[1] != 2:
        raise ValueError(f"points: expected slice coordinates of shape (n, 2), got {places.shape}")
    radii, _ = as_numbers(radius, "radius")
    for name, numbers in (("points", places), ("radius", radii)):
        largest = float(np.abs(numbers).max(initial=0.0))
        if largest > MAX_COORDINATE:
            raise ValueError(f"{name}: expected numbers up to {MAX_COORDINATE:g}, or areas overflow, got {largest:g}")
    if radii.shape not in ((), (len(places),)) or (radii < 0).any():
        is_list = radii.ndim == 1 and len(radii) > 0
        got = radius if radii.ndim == 0 else f"{len(radii)} from {radii.min():g}" if is_list else radii.shape
        raise ValueError(f"radius: expected a number that is not negative, or one for each of {len(places)} points, got {got}")
    if not isinstance(norm, (int, float)) or norm not in tuple(NORMS):
        raise ValueError(f"norm: expected 1, 2 or inf, got {norm!r}")
    # Copies: for arrays in another order, or that may not be written to, numba would compile its loops once more.
    places, radii, domain = (np.array(array, order="C") for array in (
        places, np.broadcast_to(radii, len(places)), cells.plane.domain))
    left, bottom, width, height, n, starts, ids = cells._buckets
    grid = left, bottom, width, height, n
    centres = _counting_kernels.boxes_of(places, np.arange(len(places)), *grid)
    order = np.lexsort((centres % n, centres // n // COLUMNS))  # what one ball needs is still in cache for the next
    found = np.empty((len(places), 3), np.int64)
    of_cells = cells.vertices, cells.cell_offsets, cells.cell_vertices, cells.region_ids
    boxes = cells._counted_boxes

    def count(begin: int, end: int) -> None:
        some = order[begin:end]
        found[some] = _counting_kernels.counts_in_balls(
            places[some], radii[some], NORMS[norm], *of_cells, *grid, starts, ids, *boxes)

    loops_in_runs(count, len(places), POINTS_AT_A_TIME)
    areas = _counting_kernels.ball_areas(places, radii, NORMS[norm], domain)
    return LocalCounts(found[:, 0], found[:, 1], found[:, 2], areas)


def counted_boxes(cells: Cells) -> tuple[Int64, ...]:
    """What of a partition's cells and vertices lies in which box, as `counts_in_balls` asks for it."""
    left, bottom, width, height, n, _, _ = cells._buckets
    first = cells.cell_vertices[cells.cell_offsets[:-1]]
    anchors = _counting_kernels.boxes_of(cells.vertices, first, left, bottom, width, height, n)
    is_shared = np.bincount(cells.region_ids)[cells.region_ids] > 1
    alone_before, _ = _by_boxes(anchors, np.flatnonzero(~is_shared), n)
    vertices = np.arange(len(cells.vertices))
    return (anchors, alone_before, *_by_boxes(anchors, np.flatnonzero(is_shared), n),
            *_by_boxes(_counting_kernels.boxes_of(cells.vertices, vertices, left, bottom, width, height, n), vertices, n))


def _by_boxes(boxes: Int64, ids: Int64, n: int) -> tuple[Int64, Int64]:
    """Some things in the order of their boxes in an n x n grid, and where each box begins among them (n n + 1,)."""
    starts = np.concatenate([[0], np.cumsum(np.bincount(boxes[ids], minlength=n * n))])
    return starts, ids[np.argsort(boxes[ids], kind="stable")]
