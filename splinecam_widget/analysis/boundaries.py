"""Points on a decision boundary, and how far other points are from it. Knows no network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from splinecam_widget.engine.arrays import Float64, generator_of, span_text
from splinecam_widget.engine.boundary import Boundary, boundary_of
from splinecam_widget.engine.errors import sizes_text

from . import _sampling_kernels
from .nearest import SegmentTree
from .walking import CellPath, cells_along

if TYPE_CHECKING:
    from splinecam_widget.engine.cells import Cells

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]

SAMPLES_AT_A_TIME = 1 << 14
"""Samples of which all outputs are in memory together."""


@dataclass(frozen=True, eq=False)
class BoundarySample:
    """Random points of a boundary.

    Attributes
    ----------
    u : (n, 2) float64
        Slice coordinates.
    x : (n, *input_shape) float64
        The inputs there.
    segment : (n,) int64
        The segment of `boundary` that each lies on.
    classes : (n, 2) int32
        The classes that tie there; -1 of one output.
    residual : (n,) float64
        How far their outputs are from a tie, or the output from the level: by the network where the partition has it, else
        interpolated from the vertices of the cell.
    boundary : Boundary
    """

    u: Float64
    x: Float64
    segment: Int64
    classes: Int32
    residual: Float64
    boundary: Boundary

    def __repr__(self) -> str:
        return (f"BoundarySample({len(self.u):,} points, {sizes_text(self.x.shape[1:])} inputs; "
                f"residual up to {float(self.residual.max(initial=0.0)):.2g})")


def sample_of(partition: Cells, n: int, seed: Any, classes: tuple[int, int] | None, level: float) -> BoundarySample:
    """See `Cells.sample_boundary`."""
    if not _is_whole(n) or n < 1:
        raise ValueError(f"n: expected a whole number from 1, got {n!r}")
    boundary = boundary_of(partition, classes, level)
    ends = np.cumsum(boundary.segment_lengths)
    if not len(ends) or not ends[-1] > 0:
        if classes is not None:
            raise ValueError(f"classes: expected a pair with a boundary between them, got {classes[0]} and {classes[1]}")
        raise ValueError("sample_boundary: expected a slice with a decision boundary, got one without")
    rng = generator_of(seed)
    # A segment without length is not met: no sum of lengths up to one before it is the same and above the place.
    segment = np.searchsorted(ends, rng.random(n) * ends[-1], side="right")
    segment = np.minimum(segment, np.flatnonzero(boundary.segment_lengths > 0)[-1])
    a, b = boundary.points[segment].transpose(1, 0, 2)
    u = a + rng.random(n)[:, None] * (b - a)
    pairs, cells = boundary.classes[segment], boundary.cells[segment]
    residual = np.empty(n)
    for start in range(0, n, SAMPLES_AT_A_TIME):
        rows = slice(start, start + SAMPLES_AT_A_TIME)
        outputs = partition._outputs_at(u[rows], cells[rows])
        if outputs.shape[1] == 1:
            residual[rows] = np.abs(outputs[:, 0] - level)
        else:
            first, second = np.take_along_axis(outputs, pairs[rows].astype(np.int64), axis=1).T
            residual[rows] = np.abs(first - second)
    return BoundarySample(u, partition.plane.to_input(u), segment, pairs, residual, boundary)


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def interpolated_outputs(partition: Cells, u: Float64, cells: Any) -> Float64:
    """Outputs (n, K) at points (n, 2) of cells (n,), from those at the vertices of the cells."""
    found: Float64 = _sampling_kernels.interpolated(
        partition.vertices, partition.cell_offsets, partition.cell_vertices, partition.values, cells, u)
    return found


@dataclass(frozen=True, eq=False)
class BoundaryDistances:
    """How far points are from a boundary within the domain.

    Attributes
    ----------
    distance : (n,) float64
        Input-space units; inf where there is no boundary.
    nearest : (n, 2) float64
        The nearest point of the boundary, slice coordinates; NaN where there is none.
    segment : (n,) int64
        The segment of `boundary` that it lies on, the lowest of several; -1 where there is none.
    points : (n, 2) float64
        The points asked for.
    boundary : Boundary
    partition : Cells
    """

    distance: Float64
    nearest: Float64
    segment: Int64
    points: Float64
    boundary: Boundary
    partition: Cells

    def __repr__(self) -> str:
        spread = f"; distance {span_text(self.distance, '.6g')}" if len(self.points) else ""
        return f"BoundaryDistances({len(self.points):,} points{spread})"

    def path(self, i: int) -> CellPath:
        """The cells from point i to the boundary.

        Raises
        ------
        ValueError
            If there is no such point, no boundary, or the point is not in the domain.
        """
        if not _is_whole(i) or not 0 <= i < len(self.points):
            raise ValueError(f"i: expected a point from 0 to {len(self.points) - 1}, got {i!r}")
        if self.segment[i] < 0:
            raise ValueError("path: expected a slice with a boundary to go to, got one without")
        if self.partition.locate(self.points[i]) < 0:
            raise ValueError(f"i: expected a point of the domain, got point {i} at {self.points[i].tolist()}")
        return cells_along(self.partition, self.points[i], self.nearest[i])


def distances_of(partition: Cells, points: Any, classes: tuple[int, int] | None, level: float) -> BoundaryDistances:
    """See `Cells.distance_to_boundary`."""
    boundary = boundary_of(partition, classes, level)
    distance, nearest, segment = SegmentTree.of(boundary.points).nearest(points)
    places = np.array(points.detach().cpu().numpy() if hasattr(points, "detach") else points, dtype=np.float64).reshape(-1, 2)
    return BoundaryDistances(distance, nearest, segment, places, boundary, partition)
