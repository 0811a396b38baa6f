"""The cells that a straight segment of the slice crosses. Knows no network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from splinecam_widget.engine._cell_measures import UNIT_ROUNDOFF
from splinecam_widget.engine.arrays import Float64, as_numbers

from . import _walking_kernels

if TYPE_CHECKING:
    from splinecam_widget.engine.tessellation import Tessellation

Int64 = NDArray[np.int64]

VERTEX_ROUNDINGS = 16.0
"""A vertex nearer to the line than this many roundings of the largest coordinate lies on it: it was interpolated twice (four
roundings of each coordinate), on vertices that were so one or two layers before. What is decided is the name of cells that the
line passes for less than that; no length."""


@dataclass(frozen=True, eq=False)
class CellPath:
    """The cells along a segment from a to b.

    Attributes
    ----------
    cells : (m,) int64
        In order. Where the segment runs along an edge, the cell on its right; on the border, the one inside.
    t : (m + 1,) float64
        The segment is in `cells[i]` from `a + t[i] (b - a)` to `a + t[i + 1] (b - a)`: from 0 to 1, increasing.
    edges : (m - 1,) int64
        The edge between each cell and the next; -1 where it passes from one to the other at a vertex.
    points : (m + 1, 2) float64
        Where it enters and leaves, slice coordinates.
    """

    cells: Int64
    t: Float64
    edges: Int64
    points: Float64

    def __len__(self) -> int:
        return len(self.cells)

    def __repr__(self) -> str:
        return f"CellPath({len(self):,} cells, length {float(np.linalg.norm(self.points[-1] - self.points[0])):.6g})"


def cells_along(partition: Tessellation, a: Any, b: Any) -> CellPath:
    """See `Tessellation.cells_along`."""
    ends = []
    for end, name in ((a, "a"), (b, "b")):
        point, _ = as_numbers(end, name)
        if point.shape != (2,):
            raise ValueError(f"{name}: expected slice coordinates of shape (2,), got {point.shape}")
        if partition.locate(point) < 0:
            raise ValueError(f"{name}: expected a point of the domain, got {point.tolist()}")
        ends.append(point)
    start, stop = ends
    size = float(np.abs(stop - start).max())
    cells, t, crossed = _walked(partition, start, stop, size) if size > 0 else _NOTHING
    stays = np.flatnonzero(np.diff(t) > 0)
    if not len(stays):  # one point, or a domain as small as the rounding of its corners
        cells, stays, t = partition.locate(start)[None], np.zeros(1, np.int64), np.array([0.0, 1.0])
    t = np.append(t[stays], 1.0)
    t[0] = 0.0
    between = np.where(np.diff(stays) == 1, crossed[stays[1:]], -1) if len(stays) > 1 else np.zeros(0, np.int64)
    points = start + t[:, None] * (stop - start)
    points[-1] = stop
    return CellPath(cells[stays], t, between, points)


_NOTHING = (np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64))


def _walked(partition: Tessellation, start: Float64, stop: Float64, size: float) -> tuple[Int64, Float64, Int64]:
    """Cells, places between them (0 at `start`, 1 at `stop` and beyond) and edges, of the whole line."""
    noise = VERTEX_ROUNDINGS * UNIT_ROUNDOFF * float(np.abs(partition.plane.domain).max())
    # Scaled, so that squares of tiny directions do not vanish.
    arrays = (partition.vertices, partition.edges, partition.edge_cells, partition.cell_offsets, partition.cell_vertices,
              partition.planar.cell_edges, *start, *((stop - start) / size))
    # Along the border with the domain on its left, the line would pass on the outside of vertices on it.
    for allowed, side in ((noise, 1), (noise, -1), (0.0, 1), (0.0, -1)):
        kernel: Any = _walking_kernels.walk
        cells, t, crossed = kernel(*arrays, allowed, side)
        if len(cells):
            break
    # An end on an edge is not beyond it. A place along the line is off by as much as a vertex, times the root of 2, and by
    # eight roundings of two products and a quotient, of distances up to twice the root of 2 times the largest coordinate.
    error = 4 * noise
    if len(t):
        t = np.maximum.accumulate(np.where(t <= error, 0.0, np.where(t >= size - error, 1.0, t / size)))
    return cells, t, crossed
