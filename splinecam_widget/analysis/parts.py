"""Convex parts of cells on each of which one class wins: whole cells, and the pieces of cells that the boundary crosses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from splinecam_widget.engine.arrays import Float64
from splinecam_widget.engine.boundary import Winners
from splinecam_widget.engine.planar import Int32, Int64
from splinecam_widget.engine.tessellation import Tessellation


@dataclass(frozen=True, eq=False)
class Parts:
    """Convex polygons that fill the domain, each inside one cell.

    Attributes
    ----------
    points : (M, 2) float64
        Corners, slice coordinates.
    offsets : (P + 1,) int64
        Part i is `points[offsets[i]:offsets[i + 1]]`, counter-clockwise.
    classes : (P,) int32
        The class that wins there.
    cells : (P,) int64
        The cell that the part lies in.
    """

    points: Float64
    offsets: Int64
    classes: Int32
    cells: Int64


def parts_of(cells: Tessellation, winners: Winners) -> Parts:
    """The cells that no tie crosses, in order, then the pieces of the others."""
    is_whole = np.ones(cells.n_cells, np.bool_)
    is_whole[winners.piece_cells] = False
    whole = np.flatnonzero(is_whole)
    sizes = np.diff(cells.cell_offsets)
    corners = cells.vertices[cells.cell_vertices[np.repeat(is_whole, sizes)]]
    every = np.concatenate([sizes[whole], np.diff(winners.piece_offsets)])
    return Parts(
        np.concatenate([corners, winners.piece_points]),
        np.concatenate([[0], np.cumsum(every)]),
        np.concatenate([winners.cells[whole], winners.piece_classes]),
        np.concatenate([whole, winners.piece_cells]),
    )


def loops_of(cells: Tessellation) -> tuple[Float64, Int64]:
    """Corners (M, 2) and offsets (C + 1,) of all cells, whatever wins."""
    return cells.vertices[cells.cell_vertices], cells.cell_offsets
