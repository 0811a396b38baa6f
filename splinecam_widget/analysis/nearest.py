"""How far points are from segments. Knows neither partitions nor networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splinecam_widget.engine.arrays import Float64, as_numbers
from splinecam_widget.engine.threads import loops_in_runs

from . import _nearest_kernels

Int64 = NDArray[np.int64]

POINTS_AT_A_TIME = 8192
"""That one thread takes: some milliseconds."""


@dataclass(frozen=True, eq=False)
class SegmentTree:
    """Segments, ready to be asked for the nearest. Made by `SegmentTree.of`.

    Attributes
    ----------
    segments : (S, 2, 2) float64
    order : (S,) int64
        Segments along a curve that keeps near ones together.
    boxes : (2 L, 4) float64
        See `_nearest_kernels.box_tree`.
    """

    segments: Float64
    order: Int64
    boxes: Float64

    @classmethod
    def of(cls, segments: Any) -> SegmentTree:
        """Of segments (S, 2, 2), given by their ends. O(S log S).

        Raises
        ------
        ValueError
            If they are not finite numbers of that shape.
        """
        ends, _ = as_numbers(segments, "segments")
        if ends.size == 0:
            ends = np.zeros((0, 2, 2))
        if ends.ndim != 3 or ends.shape[1:] != (2, 2):
            raise ValueError(f"segments: expected the ends of segments, shape (S, 2, 2), got {ends.shape}")
        if not len(ends):
            return cls(ends, np.zeros(0, np.int64), np.zeros((2, 4)))
        order: Int64 = np.argsort(_nearest_kernels.morton_codes(ends.mean(axis=1)), kind="stable")
        return cls(ends, order, _nearest_kernels.box_tree(ends, order))

    def nearest(self, points: Any) -> tuple[Float64, Float64, Int64]:
        """Distance, nearest point and segment of points (n, 2), see `distances_to_segments`."""
        places, _ = as_numbers(points, "points")
        if places.size == 0:
            places = np.zeros((0, 2))
        if places.ndim != 2 or places.shape[1] != 2:
            raise ValueError(f"points: expected slice coordinates of shape (n, 2), got {places.shape}")
        if not len(self.segments):
            n = len(places)
            return np.full(n, np.inf), np.full((n, 2), np.nan), np.full(n, -1, np.int64)
        if not len(places):
            return np.zeros(0), places, np.zeros(0, np.int64)
        # Points near each other need the same boxes: one after the other finds them in the processor's cache.
        order = np.argsort(_nearest_kernels.morton_codes(places), kind="stable")
        distance, nearest, segment = np.empty(len(places)), np.empty_like(places), np.empty(len(places), np.int64)

        def search(begin: int, end: int) -> None:
            ids = order[begin:end]
            distance[ids], nearest[ids], segment[ids] = _nearest_kernels.nearest_segments(
                places[ids], self.segments, self.order, self.boxes)

        loops_in_runs(search, len(places), POINTS_AT_A_TIME)
        return distance, nearest, segment


def distances_to_segments(points: Any, segments: Any) -> tuple[Float64, Float64, Int64]:
    """The distance of each point to the nearest of many segments.

    Parameters
    ----------
    points : (n, 2) float64
    segments : (S, 2, 2) float64
        Their ends. A segment without length counts as a point.

    Returns
    -------
    distance : (n,) float64
        inf where there are no segments.
    nearest : (n, 2) float64
        The nearest point on the nearest segment; NaN where there are none.
    segment : (n,) int64
        The lowest id of those at this distance, as float64 tells it; -1 where there are none.

    Raises
    ------
    ValueError
        If shapes do not fit, or a number is not finite.

    Notes
    -----
    A binary tree of boxes over the segments in Morton order, O((n + S) log S) for segments that hardly overlap, however
    unevenly they lie. Results are those of comparing every point with every segment, bit for bit.

    Examples
    --------
    >>> distance, nearest, segment = distances_to_segments([[0.0, 2.0]], [[[-1, 0], [1, 0]], [[2, 2], [3, 2]]])
    >>> distance.tolist(), nearest.tolist(), segment.tolist()
    ([2.0], [[0.0, 0.0]], [0])
    """
    return SegmentTree.of(segments).nearest(points)
