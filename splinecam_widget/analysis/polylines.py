"""Segments that share nodes, joined to polylines. Knows neither partitions nor networks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splinecam_widget.engine.arrays import span_text

from . import _polyline_kernels

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

NOWHERE, BORDER, JUNCTION, LOOSE = (
    _polyline_kernels.NOWHERE, _polyline_kernels.BORDER, _polyline_kernels.JUNCTION, _polyline_kernels.LOOSE)
"""What is at an end of a polyline: it is closed and has none; the border of the domain; a node at which several lines meet
or the label changes; nothing, the line stops inside the domain."""


@dataclass(frozen=True, eq=False)
class Polylines:
    """Lines of straight segments.

    Attributes
    ----------
    points : (M, 2) float64
        Slice coordinates. Line i is `points[offsets[i]:offsets[i + 1]]`; a closed one has its first point again at the end.
    offsets : (P + 1,) int64
    is_closed : (P,) bool
        Whether the line runs through its first point as through any other. One that begins and ends at the same junction
        is not closed.
    ends : (P, 2) int8
        What is at the first and the last point: 0 `NOWHERE` (of closed lines), 1 `BORDER` of the domain (also where lines
        meet there), 2 `JUNCTION` (more than two segments meet, or the label changes), 3 `LOOSE` (the line stops inside).
    classes : (P, k) int64
        The label that all segments of the line have: of a decision boundary the two classes, lower first.
    nodes : (M,) int64
        The node of every point.
    segments : (M - P,) int64
        The segments along the lines: line i has `segments[offsets[i] - i:offsets[i + 1] - i - 1]`, from point to point.
    """

    points: Float64
    offsets: Int64
    is_closed: Bool
    ends: NDArray[np.int8]
    classes: Int64
    nodes: Int64
    segments: Int64

    def __len__(self) -> int:
        return len(self.is_closed)

    def __repr__(self) -> str:
        return (f"Polylines({len(self):,} lines, {int(self.is_closed.sum()):,} of them closed, {len(self.points):,} points, "
                f"length {float(self.lengths.sum()):.6g})")

    @cached_property
    def lengths(self) -> Float64:
        """(P,) float64: input-space units."""
        if not len(self):
            return np.zeros(0)
        steps = np.linalg.norm(np.diff(self.points, axis=0), axis=1)
        steps[self.offsets[1:-1] - 1] = 0.0  # from one line to the next
        sums: Float64 = np.add.reduceat(steps, self.offsets[:-1])
        return sums

    def chosen(self, is_chosen: Any) -> Polylines:
        """Some of the lines, those where `is_chosen` (P,) is true."""
        kept = np.asarray(is_chosen, dtype=np.bool_)
        sizes = np.diff(self.offsets)
        at_points, at_segments = np.repeat(kept, sizes), np.repeat(kept, sizes - 1)
        return Polylines(
            self.points[at_points], np.concatenate([[0], np.cumsum(sizes[kept])]), self.is_closed[kept], self.ends[kept],
            self.classes[kept], self.nodes[at_points], self.segments[at_segments])

    def line(self, i: int) -> Float64:
        """The points (m, 2) of one line.

        Raises
        ------
        ValueError
            If there is no such line.
        """
        if not -len(self) <= i < len(self):
            raise ValueError(f"i: expected a line from 0 to {len(self) - 1}, got {i}")
        i = i % len(self)
        return self.points[self.offsets[i]:self.offsets[i + 1]]


def polylines_of(points: Any, segments: Any, labels: Any = None, is_border_node: Any = None) -> Polylines:
    """Segments joined to polylines where two of them, with one label, share a node that no third one has.

    Parameters
    ----------
    points : (N, 2) float64
        The nodes.
    segments : (S, 2) integers
        The nodes at both ends. One from a node to itself is left out.
    labels : (S, k) integers or None
        Equal along a line.
    is_border_node : (N,) bool or None
        Nodes on the border of the domain. They end a line only where it does not go on.

    Returns
    -------
    Polylines
        Ordered by their lowest segments, along which they run; a closed line begins with it. Where all segments have, for
        example, the lower class on their left, all lines do.

    Raises
    ------
    ValueError
        If shapes do not fit, or a node does not exist.

    Notes
    -----
    Nodes are the same where their ids are; no distances are compared. O(N + S).

    Examples
    --------
    >>> found = polylines_of([[0, 0], [1, 0], [1, 1], [3, 1]], [[0, 1], [2, 1], [2, 0], [2, 3]])
    >>> found.points.tolist()
    [[1.0, 1.0], [0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [1.0, 1.0], [3.0, 1.0]]
    >>> found.offsets.tolist(), found.is_closed.tolist(), found.ends.tolist()
    ([0, 4, 6], [False, False], [[2, 2], [2, 3]])
    """
    places = np.asarray(points, dtype=np.float64)
    if places.ndim != 2 or places.shape[1] != 2:
        raise ValueError(f"points: expected shape (N, 2), got {places.shape}")
    pairs = _integers(segments, "segments")
    if pairs.shape[1] != 2:
        raise ValueError(f"segments: expected shape (S, 2), got {pairs.shape}")
    if len(pairs) and not (pairs.min() >= 0 and pairs.max() < len(places)):
        raise ValueError(f"segments: expected nodes from 0 to {len(places) - 1}, got {span_text(pairs)}")
    marks = np.zeros((len(pairs), 0), np.int64) if labels is None else _integers(labels, "labels")
    if len(marks) != len(pairs):
        raise ValueError(f"labels: expected {len(pairs)} rows, one a segment, got {len(marks)}")
    is_border = np.zeros(len(places), np.bool_) if is_border_node is None else np.asarray(is_border_node, dtype=np.bool_)
    if is_border.shape != (len(places),):
        raise ValueError(f"is_border_node: expected shape {(len(places),)}, got {is_border.shape}")
    nodes, offsets, order, first, is_closed, ends = _polyline_kernels.joined(len(places), pairs, marks, is_border)
    return Polylines(places[nodes], offsets, is_closed, ends, marks[first], nodes, order)


def _integers(values: Any, name: str) -> Int64:
    array = np.asarray(values)
    if array.size == 0:
        return np.zeros((len(array) if array.ndim else 0, array.shape[1] if array.ndim == 2 else 2), np.int64)
    if array.ndim != 2 or array.dtype.kind not in "iu":
        raise ValueError(f"{name}: expected integers with two axes, got {array.dtype} of shape {array.shape}")
    return np.ascontiguousarray(array, dtype=np.int64)
