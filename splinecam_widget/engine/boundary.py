"""The decision boundary of a partition, level sets, and the parts of cells in which one class wins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import _edge_tie_kernels, _tie_kernels
from ._cell_measures import UNIT_ROUNDOFF
from .arrays import Float64, as_numbers, as_real
from .joints import Joints
from .planar import Int32, Int64

if TYPE_CHECKING:
    from splinecam_widget.analysis.polylines import Polylines

    from .cells import Cells


@dataclass(frozen=True, eq=False)
class PairLengths:
    """How long the boundary between classes is.

    Attributes
    ----------
    pairs : (M, 2) int32
        Classes that tie somewhere, lower first, in order; (-1, -1) of a level set.
    length : (M,) float64
        Input-space units.
    """

    pairs: Int32
    length: Float64

    def __repr__(self) -> str:
        return f"PairLengths({len(self.pairs):,} pairs of classes, length {float(self.length.sum()):.6g})"


@dataclass(frozen=True, eq=False)
class Boundary:
    """Where the decision changes, as straight segments.

    Attributes
    ----------
    points : (S, 2, 2) float64
        Both ends of every segment, slice coordinates. From the first to the second, the lower class is on the left; of one
        output and of a level set, the side above the level. Ends that meet are equal bit by bit.
    classes : (S, 2) int32
        The classes that tie, lower first; -1 for a level set of one output.
    cells : (S,) int32
        The cell that each segment lies in (the one left of the edge, where it runs along an edge).
    """

    points: Float64
    classes: Int32
    cells: Int32
    joints: Joints = field(repr=False)
    kept: Int64 | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        pairs = self.lengths.pairs
        between = f", {len(pairs):,} pairs of classes" if len(pairs) and pairs[0, 0] >= 0 else ""
        return f"Boundary({len(self.points):,} segments, length {self.length:.6g}{between})"

    @cached_property
    def segment_lengths(self) -> Float64:
        """(S,) float64: input-space units."""
        steps = self.points[:, 1] - self.points[:, 0]
        lengths: Float64 = np.hypot(steps[:, 0], steps[:, 1])
        return lengths

    @cached_property
    def length(self) -> float:
        """Total length, input-space units."""
        return float(self.segment_lengths.sum())

    @cached_property
    def lengths(self) -> PairLengths:
        """Length of the boundary between each pair of classes that has one."""
        pairs, inverse = np.unique(self.classes, axis=0, return_inverse=True)
        length: Float64 = np.bincount(inverse.ravel(), self.segment_lengths, minlength=len(pairs)).astype(np.float64)
        return PairLengths(pairs, length)

    @property
    def nodes(self) -> Int64:
        """(S, 2) int64: which ends of segments are one place: a vertex, a tie on an edge, a tie of three inside a cell."""
        return self.joints.nodes if self.kept is None else self.joints.nodes[self.kept]

    @cached_property
    def polylines(self) -> Polylines:
        """The segments joined to lines: each as long as two segments of one pair of classes go on in each other.

        Lines run as segments do: the lower class, or the side above the level, is on the left (but for a line along the rim of
        a flat part that turns at the border of the domain: there it has the flat part on one side). They end at the border of
        the domain and where boundaries of several pairs meet. Of a boundary between two classes alone they end there as well.
        """
        lines = self.joints.polylines
        if self.kept is None:
            return lines
        new_ids = np.full(len(self.joints.nodes), -1)
        new_ids[self.kept] = np.arange(len(self.kept))
        of_line = np.zeros(len(lines), np.int64)
        of_line[:] = new_ids[lines.segments[lines.offsets[:-1] - np.arange(len(lines))]]
        own = lines.chosen(of_line >= 0)
        return replace(own, segments=new_ids[own.segments])

    def only(self, kept: Int64) -> Boundary:
        """The boundary of some segments (n,) of a whole one, in order: all of a pair of classes."""
        return Boundary(self.points[kept], self.classes[kept], self.cells[kept], self.joints, kept)


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

    def __repr__(self) -> str:
        return f"Winners({len(self.cells):,} cells, {len(self.piece_cells):,} pieces of cells; {self.boundary!r})"


def scores_of(partition: Cells, level: float = 0.0) -> tuple[Float64, Float64]:
    """What classes win by: scores (V, n) at the vertices and their rounding errors (n,).

    The outputs; of one output, `level` as the score of class 0 and the output as that of class 1.

    Raises
    ------
    ValueError
        If `level` is not a finite number, or there are several outputs and it is not 0.
    """
    level = as_real(level, "level")
    values, tolerance = partition.values, partition.tolerance
    if values.shape[1] > 1:
        if level != 0.0:
            raise ValueError(
                f"level: expected 0 for a model with {values.shape[1]} outputs, got {level:g}; level_set(of, level) takes one "
                "output or a weighted sum of them")
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
    loops = partition.cell_offsets, partition.cell_vertices
    cells, points, offsets, classes, piece_cells, *inside = _tie_kernels.winner_pieces(
        partition.vertices, *loops, values, tolerance)
    along = _edge_tie_kernels.ties_along_edges(
        partition.vertices, partition.edges, partition.edge_cells, *loops, values, tolerance)
    return Winners(cells, points, offsets, classes, piece_cells, _joined(partition, inside, along, single))


Segments = Sequence[NDArray[Any]]
"""Ends (S, 4), classes (S, 2), cells (S,), keys of the ends (S, 2, 4) and links of keys (L, 2, 4), see `_tie_kernels`."""


def _joined(partition: Cells, inside: Segments, along: Segments, is_level_set: bool) -> Boundary:
    """Segments inside cells and along edges as one boundary; a level set is turned to have the side above on its left."""
    ends, classes, cells, keys, links = (np.concatenate([first, second]) for first, second in zip(inside, along))
    points = ends.reshape(-1, 2, 2)
    if is_level_set:
        points, keys = np.ascontiguousarray(points[:, ::-1]), keys[:, ::-1]
        classes = np.full_like(classes, -1)
    joints = Joints(points, classes, keys, links, partition.edges, partition.edge_layer)
    return Boundary(joints.met_points, classes, cells, joints)


def level_set_of(partition: Cells, of: Any, level: float) -> Boundary:
    """See `Cells.level_set`."""
    weights = _weights(of, partition.values.shape[1])
    level = as_real(level, "level")
    largest = float(np.abs(weights).max())
    weights, level = weights / largest, level / largest  # the same set, whose products do not overflow
    # Rounding errors of the outputs, and of a sum of n products: below (n + 1) unit roundoffs of the sum of magnitudes.
    noise = float(np.abs(weights) @ partition.tolerance)
    if np.count_nonzero(weights) > 1 or not np.isin(weights, (-1.0, 0.0, 1.0)).all():
        sizes = np.abs(partition.values) @ np.abs(weights)
        noise += (np.count_nonzero(weights) + 1) * UNIT_ROUNDOFF * float(sizes.max())
    heights = np.einsum("vk,k->v", partition.values, weights)
    scores = np.stack([np.full_like(heights, level), heights], axis=1)
    *_, ends, classes, cells, keys, links = _tie_kernels.winner_pieces(
        partition.vertices, partition.cell_offsets, partition.cell_vertices, scores, np.array([0.0, noise]))
    ids, is_turned = _edge_tie_kernels.edges_at_level(
        partition.edges, partition.edge_cells, partition.cell_offsets, partition.cell_vertices, heights - level, noise)
    # `_joined` turns them all: here, the side above is on the right.
    found = np.where(is_turned[:, None], partition.edges[ids], partition.edges[ids, ::-1]).astype(np.int64)
    edge_keys = np.full((len(ids), 2, 4), -1)
    edge_keys[:, :, 0] = found << 32 | found
    beside = partition.edge_cells[ids]
    along = (partition.vertices[found].reshape(-1, 4), np.full((len(ids), 2), -1, np.int32),
             np.where(beside[:, 0] >= 0, beside[:, 0], beside[:, 1]), edge_keys, np.zeros((0, 2, 4), np.int64))
    return _joined(partition, (ends, classes, cells, keys, links), along, True)


def _weights(of: Any, n_outputs: int) -> Float64:
    """Weights (K,) of the outputs, from them or from the number of one."""
    expected = "0, the only output, or one weight"
    if n_outputs > 1:
        expected = f"an output from 0 to {n_outputs - 1} or {n_outputs} weights"
    if np.ndim(of) == 0 and not isinstance(of, (str, bytes)):
        if isinstance(of, bool) or not isinstance(of, (int, np.integer)) or not 0 <= of < n_outputs:
            raise ValueError(f"of: expected {expected}, got {of!r}")
        weights = np.zeros(n_outputs)
        weights[int(of)] = 1.0
        return weights
    weights, _ = as_numbers(of, "of")
    if weights.shape != (n_outputs,):
        raise ValueError(f"of: expected {expected}, got shape {weights.shape}")
    if not weights.any():
        raise ValueError("of: expected weights that are not all zero, got zeros")
    return weights


def boundary_of(partition: Cells, classes: Any, level: float) -> Boundary:
    """See `Partition.decision_boundary`."""
    n_classes = partition.values.shape[1]
    boundary = winners_of(partition, level).boundary
    if classes is None:
        return boundary
    if n_classes == 1:
        raise ValueError(f"classes: expected None for a model with one output, whose boundary is at the level, got {classes}")
    pair: tuple[Any, ...] = tuple(classes) if isinstance(classes, (tuple, list)) or np.ndim(classes) == 1 else ()
    are_ids = all(isinstance(c, (int, np.integer)) and not isinstance(c, bool) and 0 <= c < n_classes for c in pair)
    if len(pair) != 2 or pair[0] == pair[1] or not are_ids:
        raise ValueError(f"classes: expected two different classes from 0 to {n_classes - 1}, got {classes}")
    kept = (boundary.classes == sorted(pair)).all(axis=1)
    return boundary.only(np.flatnonzero(kept))
