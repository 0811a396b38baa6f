"""The decision boundary of a partition, and the parts of cells in which one class wins."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _tie_kernels
from .arrays import Float64
from .planar import Int32, Int64

if TYPE_CHECKING:
    from .cells import Cells


@dataclass(frozen=True, eq=False)
class Boundary:
    """Where the decision changes, as straight segments.

    Attributes
    ----------
    points : (S, 2, 2) float64
        Both ends of every segment, slice coordinates.
    classes : (S, 2) int32
        The classes that tie, lower first; -1 for a level set of one output.
    cells : (S,) int32
        The cell that each segment lies in (the left one, where it runs along an edge).
    """

    points: Float64
    classes: Int32
    cells: Int32

    @cached_property
    def length(self) -> float:
        """Total length, input-space units."""
        return float(np.linalg.norm(self.points[:, 1] - self.points[:, 0], axis=1).sum())


@dataclass(frozen=True, eq=False)
class Winners:
    """Which class wins where. With one output: class 1 where it is above the level, else class 0.

    Attributes
    ----------
    cells : (C,) int32
        The class that wins on each cell; on its largest part, where several do.
    piece_points : (M, 2) float64
    piece_offsets : (P + 1,) int64
    piece_classes, piece_cells : (P,) int32
        The convex parts of cells in which several classes win.
    boundary : Boundary
    """

    cells: Int32
    piece_points: Float64
    piece_offsets: Int64
    piece_classes: Int32
    piece_cells: Int32
    boundary: Boundary


def scores_of(partition: Cells, level: float = 0.0) -> tuple[Float64, Float64]:
    """What classes win by: scores (V, n) at the vertices and their rounding errors (n,).

    The outputs; of one output, `level` as the score of class 0 and the output as that of class 1.

    Raises
    ------
    ValueError
        If `level` is not a finite number.
    """
    if not np.isfinite(level):
        raise ValueError(f"level: expected a finite number, got {level}")
    values, tolerance = partition.values, partition.tolerance
    if values.shape[1] > 1:
        return values, tolerance
    return np.concatenate([np.full_like(values, level), values], axis=1), np.concatenate([[0.0], tolerance])


def winners_of(partition: Cells, level: float = 0.0) -> Winners:
    """Which class wins where on a partition, ties to the lower class.

    Raises
    ------
    ValueError
        If `level` is not a finite number.
    """
    values, tolerance = scores_of(partition, level)
    single = partition.values.shape[1] == 1
    cells, points, offsets, classes, piece_cells, inside, inside_classes, inside_cells = _tie_kernels.winner_pieces(
        partition.vertices, partition.cell_offsets, partition.cell_vertices, values, tolerance
    )
    along, along_classes, along_cells = _tie_kernels.ties_along_edges(
        partition.vertices, partition.edges, partition.edge_cells, partition.cell_offsets, partition.cell_vertices,
        values, tolerance,
    )
    pairs = np.concatenate([inside_classes, along_classes])
    boundary = Boundary(
        np.concatenate([inside, along]).reshape(-1, 2, 2),
        np.full_like(pairs, -1) if single else pairs,
        np.concatenate([inside_cells, along_cells]),
    )
    return Winners(cells, points, offsets, classes, piece_cells, boundary)


def boundary_of(partition: Cells, classes: tuple[int, int] | None, level: float) -> Boundary:
    """See `Partition.decision_boundary`."""
    n_classes = partition.values.shape[1]
    if n_classes > 1 and level != 0.0:
        raise ValueError(f"level: expected 0 for a model with {n_classes} outputs, got {level}")
    boundary = winners_of(partition, level).boundary
    if classes is None:
        return boundary
    pair: tuple[Any, ...] = tuple(classes) if np.ndim(classes) == 1 else ()
    are_ids = all(isinstance(c, (int, np.integer)) and 0 <= c < n_classes for c in pair)
    if len(pair) != 2 or pair[0] == pair[1] or not are_ids:
        raise ValueError(f"classes: expected two different classes from 0 to {n_classes - 1}, got {classes}")
    kept = (boundary.classes == sorted(pair)).all(axis=1)
    return Boundary(boundary.points[kept], boundary.classes[kept], boundary.cells[kept])
