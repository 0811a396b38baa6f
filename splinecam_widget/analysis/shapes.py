"""Partitions as geometries of Shapely."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from splinecam_widget.engine.arrays import Float64
from splinecam_widget.engine.boundary import winners_of
from splinecam_widget.engine.cells import Cells

from .optional import package

INRADIUS_ERROR = 1e-9
"""Of a region's inner circle, of the root of the region's area."""


class Shapes(NamedTuple):
    """Geometries in slice coordinates.

    Attributes
    ----------
    cells : (C,) array of shapely.Polygon
        In the order of the cells, counter-clockwise.
    boundary : shapely.MultiLineString
        The decision boundary, joined to lines.
    record : dict
        Where they come from, see `Cells.record`.
    """

    cells: Any
    boundary: Any
    record: dict[str, Any]

    def __repr__(self) -> str:
        return f"Shapes({len(self.cells):,} cells, boundary of {len(self.boundary.geoms):,} lines)"


def shapes_of(cells: Cells, level: float) -> Shapes:
    """See `Cells.to_shapely`."""
    shapely = package("shapely", "to_shapely")
    lines = winners_of(cells, level).boundary.polylines
    strings = shapely.linestrings(lines.points, indices=np.repeat(np.arange(len(lines)), np.diff(lines.offsets)))
    boundary = shapely.multilinestrings(strings) if len(lines) else shapely.MultiLineString()
    return Shapes(_polygons(shapely, cells), boundary, cells.record())


def _polygons(shapely: Any, cells: Cells) -> Any:
    """(C,) array of shapely.Polygon."""
    owners = np.repeat(np.arange(cells.n_cells), np.diff(cells.cell_offsets))
    return shapely.polygons(shapely.linearrings(cells.vertices[cells.cell_vertices], indices=owners))


def region_inradii(cells: Cells, of_cells: Float64) -> Float64:
    """(R,) float64: radius of the largest circle in every linear region, see `RegionStatistics.inradii`.

    Parameters
    ----------
    of_cells : (C,) float64
        That of every cell, which is that of a region of one.

    Examples
    --------
    >>> import torch
    >>> from splinecam_widget import Slice, compute_partition
    >>> model = lambda x: torch.relu(x[:, :1])  # two regions of one cell each
    >>> partition = compute_partition(model, Slice.from_basis([0.0, 0.0], torch.eye(2)))
    >>> region_inradii(partition, partition.statistics().inradii).tolist()
    [0.5, 0.5]
    """
    ids, has_area = cells.region_ids, cells.areas > 0
    found: Float64 = np.zeros(cells.n_regions)
    found[ids[has_area]] = of_cells[has_area]
    n_cells = np.bincount(ids[has_area], minlength=cells.n_regions)
    several = np.flatnonzero(n_cells > 1)
    if len(several):
        shapely = package("shapely", "regions.inradii")
        members = np.flatnonzero(has_area & (n_cells[ids] > 1))
        members = members[np.argsort(ids[members], kind="stable")]
        groups = np.split(_polygons(shapely, cells)[members], np.cumsum(n_cells[several])[:-1])
        unions = np.array([shapely.coverage_union_all(group) for group in groups])
        circles = shapely.maximum_inscribed_circle(unions, tolerance=INRADIUS_ERROR * np.sqrt(shapely.area(unions)))
        found[several] = shapely.length(circles)  # a line from the centre to the border
    return found
