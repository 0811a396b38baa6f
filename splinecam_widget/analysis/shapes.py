"""Partitions as geometries of Shapely."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from splinecam_widget.engine.boundary import winners_of
from splinecam_widget.engine.cells import Cells

from .optional import package


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
    rings = shapely.linearrings(
        cells.vertices[cells.cell_vertices], indices=np.repeat(np.arange(cells.n_cells), np.diff(cells.cell_offsets)))
    lines = winners_of(cells, level).boundary.polylines
    strings = shapely.linestrings(lines.points, indices=np.repeat(np.arange(len(lines)), np.diff(lines.offsets)))
    boundary = shapely.multilinestrings(strings) if len(lines) else shapely.MultiLineString()
    return Shapes(shapely.polygons(rings), boundary, cells.record())
