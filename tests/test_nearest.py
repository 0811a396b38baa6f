"""Nearest segments: what comparing with every segment says, and what shapely's tree says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from cases import cases
from splinecam_widget.analysis import _nearest_kernels
from splinecam_widget.analysis.nearest import SegmentTree, distances_to_segments

ROUNDINGS = 64 * 2.0**-53
"""A distance: a few roundings of the coordinates, which are at most 1 here, by either library."""


def random_segments(rng: np.random.Generator, n: int, kind: int) -> np.ndarray:
    """Short ones everywhere, long ones, ones in a small corner and one far off, ones on a grid with ties and points."""
    middles = rng.uniform(-1, 1, (n, 1, 2))
    if kind == 0:
        return middles + rng.normal(0, 0.02, (n, 2, 2))
    if kind == 1:
        return rng.uniform(-1, 1, (n, 2, 2))
    if kind == 2:
        segments = 1e-6 * (middles + rng.normal(0, 0.1, (n, 2, 2)))
        segments[0] += 1
        return segments
    return rng.integers(-2, 3, (n, 2, 2)) / 2.0


@cases(40)
@given(st.integers(0, 2**32 - 1), st.integers(0, 3), st.integers(1, 300))
def test_is_that_of_all_segments(seed: int, kind: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    segments = random_segments(rng, n, kind)
    points = rng.uniform(-1.5, 1.5, (50, 2)) if kind < 3 else rng.integers(-6, 7, (50, 2)) / 4.0
    distance, nearest, segment = distances_to_segments(points, segments)
    lines = shapely.linestrings(segments)
    table = shapely.distance(shapely.points(points)[:, None], lines[None])
    np.testing.assert_allclose(distance, table.min(axis=1), rtol=0, atol=ROUNDINGS)
    np.testing.assert_allclose(table[np.arange(50), segment], distance, rtol=0, atol=ROUNDINGS)
    np.testing.assert_allclose(np.linalg.norm(points - nearest, axis=1), distance, rtol=ROUNDINGS)
    on_it = shapely.distance(shapely.points(nearest), lines[segment])
    np.testing.assert_allclose(on_it, 0, atol=ROUNDINGS)
    _, from_tree = shapely.STRtree(lines).query_nearest(shapely.points(points), return_distance=True, all_matches=False)
    np.testing.assert_allclose(distance, from_tree, rtol=0, atol=ROUNDINGS)
    if kind == 3:  # halves are exact: of equal distances the first
        np.testing.assert_array_equal(segment, (table <= distance[:, None] + ROUNDINGS).argmax(axis=1))


@cases(20)
@given(st.integers(0, 2**32 - 1), st.integers(0, 3))
def test_the_tree_changes_nothing(seed: int, kind: int) -> None:
    """One leaf for all segments, in their own order: the loop over all of them."""
    rng = np.random.default_rng(seed)
    segments, points = random_segments(rng, 200, kind), rng.uniform(-1.5, 1.5, (50, 2))
    expected: list[Any] = []
    for x, y in points:
        on = np.array([_nearest_kernels.nearest_on_segment(segments, s, x, y) for s in range(200)])
        squares = (on[:, 0] - x) ** 2 + (on[:, 1] - y) ** 2
        expected.append((squares.argmin(), *on[squares.argmin()]))
    _, nearest, segment = distances_to_segments(points, segments)
    np.testing.assert_array_equal(np.column_stack([segment, nearest]), np.array(expected))


def test_points_may_come_alone_and_in_any_order() -> None:
    rng = np.random.default_rng(5)
    tree, points = SegmentTree.of(random_segments(rng, 500, 0)), rng.uniform(-1, 1, (40, 2))
    together = tree.nearest(points)
    for i, point in enumerate(points):
        for one, all_of_them in zip(tree.nearest(point[None]), together):
            np.testing.assert_array_equal(one[0], all_of_them[i])


def test_without_segments_everything_is_infinitely_far() -> None:
    distance, nearest, segment = distances_to_segments([[0.0, 1.0]], np.zeros((0, 2, 2)))
    assert distance.tolist() == [np.inf]
    assert segment.tolist() == [-1]
    assert np.isnan(nearest).all()


def test_without_points_nothing_is_asked() -> None:
    distance, nearest, segment = distances_to_segments([], [[[0, 0], [1, 1]]])
    assert (distance.shape, nearest.shape, segment.shape) == ((0,), (0, 2), (0,))


@pytest.mark.parametrize(("points", "segments", "text"), [
    ([0.0, 1.0], [[[0, 0], [1, 1]]], r"^points: expected slice coordinates of shape \(n, 2\), got \(2,\)"),
    ([[0.0, np.nan]], [[[0, 0], [1, 1]]], r"^points: expected finite numbers, got NaN"),
    ([[0.0, 1.0]], [[0, 0], [1, 1]], r"^segments: expected the ends of segments, shape \(S, 2, 2\), got \(2, 2\)"),
    ([[0.0, 1.0]], [[[0, 0], [1, np.inf]]], r"^segments: expected finite numbers, got infinity"),
])
def test_refuses_what_does_not_fit(points: Any, segments: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        distances_to_segments(points, segments)
