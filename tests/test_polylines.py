"""Polylines: every segment in one line, lines that are as long as they can be, and what networkx says of their number."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases import cases
from splinecam_widget.analysis.polylines import BORDER, JUNCTION, LOOSE, NOWHERE, polylines_of

PLACES = np.stack([np.arange(12.0), np.arange(12.0) ** 2], axis=1)


def pairs_along(found: Any) -> list[list[tuple[int, int]]]:
    """The nodes of every step, line by line."""
    return [list(zip(found.nodes[a:b - 1].tolist(), found.nodes[a + 1:b].tolist()))
            for a, b in zip(found.offsets[:-1], found.offsets[1:])]


class TestShapes:
    """What can become of a few segments."""

    def test_a_path_in_any_order_is_one_line_along_its_first_segment(self) -> None:
        found = polylines_of(PLACES, [[5, 2], [7, 1], [2, 7]], is_border_node=np.arange(12) == 1)
        assert found.nodes.tolist() == [5, 2, 7, 1]
        assert found.segments.tolist() == [0, 2, 1]
        assert found.ends.tolist() == [[LOOSE, BORDER]]
        assert not found.is_closed[0]
        np.testing.assert_array_equal(found.points, PLACES[[5, 2, 7, 1]])

    def test_a_ring_begins_with_its_first_segment_and_ends_where_it_begins(self) -> None:
        found = polylines_of(PLACES, [[4, 3], [9, 4], [3, 9]])
        assert found.nodes.tolist() == [4, 3, 9, 4]
        assert found.is_closed.tolist() == [True]
        assert found.ends.tolist() == [[NOWHERE, NOWHERE]]

    def test_a_ring_through_the_border_is_closed(self) -> None:
        assert polylines_of(PLACES, [[0, 1], [1, 2], [2, 0]], is_border_node=np.ones(12)).is_closed.all()

    def test_two_segments_between_two_nodes_are_a_ring(self) -> None:
        found = polylines_of(PLACES, [[0, 1], [1, 0]])
        assert found.nodes.tolist() == [0, 1, 0]
        assert found.is_closed.all()

    def test_a_loop_at_a_junction_is_not_closed(self) -> None:
        found = polylines_of(PLACES, [[0, 1], [1, 2], [2, 3], [3, 1]])
        assert [line[0] for line in pairs_along(found)] == [(0, 1), (1, 2)]
        assert found.ends.tolist() == [[LOOSE, JUNCTION], [JUNCTION, JUNCTION]]
        assert not found.is_closed.any()

    def test_lines_end_where_labels_change(self) -> None:
        found = polylines_of(PLACES, [[0, 1], [1, 2], [2, 3]], [[4, 5], [4, 5], [4, 6]])
        assert found.classes.tolist() == [[4, 5], [4, 6]]
        assert found.ends.tolist() == [[LOOSE, JUNCTION], [JUNCTION, LOOSE]]
        assert found.offsets.tolist() == [0, 3, 5]

    def test_a_segment_from_a_node_to_itself_is_left_out(self) -> None:
        found = polylines_of(PLACES, [[1, 1], [0, 1], [1, 2]])
        assert found.nodes.tolist() == [0, 1, 2]
        assert found.segments.tolist() == [1, 2]

    def test_of_no_segments_there_are_no_lines(self) -> None:
        found = polylines_of(PLACES, np.zeros((0, 2), np.int64))
        assert len(found) == 0
        assert found.offsets.tolist() == [0]
        assert found.lengths.tolist() == []

    def test_lengths_are_those_of_the_lines(self) -> None:
        found = polylines_of([[0, 0], [3, 4], [3, 5], [9, 9], [9, 10]], [[0, 1], [1, 2], [3, 4]])
        assert found.lengths.tolist() == [6.0, 1.0]
        assert found.line(1).tolist() == [[9, 9], [9, 10]]
        with pytest.raises(ValueError, match=r"^i: expected a line from 0 to 1, got 2"):
            found.line(2)


@cases(100)
@given(st.integers(0, 2**32 - 1))
def test_lines_are_those_of_the_graph(seed: int) -> None:
    """Each segment is in one line; inner nodes have two segments of one label; ends do not, or the line is closed."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 12))
    graph = nx.gnm_random_graph(n, int(rng.integers(0, 2 * n)), seed=seed)
    segments = np.array([rng.permutation(edge) for edge in graph.edges], np.int32).reshape(-1, 2)
    labels = rng.integers(0, 2, (len(segments), 2))
    found = polylines_of(rng.random((n, 2)), segments, labels, rng.random(n) < 0.3)
    assert sorted(found.segments.tolist()) == list(range(len(segments)))
    steps = pairs_along(found)
    ids = np.split(found.segments, np.cumsum([len(line) for line in steps])[:-1]) if steps else []

    def is_passed(node: int) -> bool:
        at = np.flatnonzero((segments == node).any(axis=1))
        return len(at) == 2 and (labels[at[0]] == labels[at[1]]).all()

    joints = 0
    for i, (line, own) in enumerate(zip(steps, ids)):
        assert [set(step) for step in line] == [set(segments[s]) for s in own]
        assert line[int(own.argmin())] == tuple(segments[own.min()])
        assert (labels[own] == found.classes[i]).all()
        inner = [b for _, b in line[:-1]]
        assert all(is_passed(node) for node in inner)
        joints += len(inner) + bool(found.is_closed[i])
        for node in (line[0][0], line[-1][1]):
            assert is_passed(node) == found.is_closed[i]
    assert joints == sum(is_passed(node) for node in range(n))


@pytest.mark.parametrize(("arguments", "text"), [
    (([1, 2], [[0, 1]]), r"^points: expected shape \(N, 2\), got \(2,\)"),
    ((PLACES, [[0, 12]]), r"^segments: expected nodes from 0 to 11, got 0 to 12"),
    ((PLACES, [[0, 1, 2]]), r"^segments: expected shape \(S, 2\), got \(1, 3\)"),
    ((PLACES, [[0.0, 1.0]]), r"^segments: expected integers with two axes, got float64"),
    ((PLACES, [[0, 1]], [[1], [2]]), r"^labels: expected 1 rows, one a segment, got 2"),
    ((PLACES, [[0, 1]], None, [True]), r"^is_border_node: expected shape \(12,\), got \(1,\)"),
])
def test_refuses_what_does_not_fit(arguments: tuple[Any, ...], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        polylines_of(*arguments)
