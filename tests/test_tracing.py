"""Faces that are followed against splitting line by line: two algorithms, which must find the same complex."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases import cases
from splinecam_widget.engine import _tracing_kernels, splitting
from splinecam_widget.engine.errors import OverBudget
from splinecam_widget.engine.planar import PlanarComplex
from splinecam_widget.engine.splitting import Room, split_complex
from test_planar import ROUNDINGS, UNIT_SQUARE, assert_is_complex, cut, heights

ALWAYS, NEVER = 1, 1 << 30

Line = tuple[float, float, float]


def lines_through_the_square(n: int, seed: int) -> list[Line]:
    numbers = np.random.default_rng(seed)
    angles = numbers.uniform(0, 2 * np.pi, n)
    points = numbers.uniform(0.05, 0.95, (n, 2))
    return [(np.cos(a), np.sin(a), -np.cos(a) * x - np.sin(a) * y) for a, (x, y) in zip(angles, points)]


def loops(found: PlanarComplex) -> list[tuple[object, ...]]:
    """Every cell as its hash and its loop: corners, and the layer and unit of each side; in an order of their own."""
    cells = []
    for lo, hi in zip(found.cell_offsets, found.cell_offsets[1:]):
        corners = np.round(found.points[found.cell_vertices[lo:hi]], 10) + 0.0
        sides = found.cell_edges[lo:hi]
        loop = [(*corner, layer, unit) for corner, layer, unit in zip(
            corners.tolist(), found.edge_layer[sides].tolist(), found.edge_unit[sides].tolist())]
        first = loop.index(min(loop))
        cells.append((*loop[first:], *loop[:first]))
    return sorted(zip(found.cell_hashes.tolist(), cells))


def both_ways(before: PlanarComplex, lines: list[Line], layer: int = 0) -> tuple[PlanarComplex, PlanarComplex]:
    found = []
    with pytest.MonkeyPatch.context() as patch:
        for least in (ALWAYS, NEVER):
            patch.setattr(splitting, "LEAST_TRACED", least)
            found.append(cut(before, *lines, layer=layer).after)
    return found[0], found[1]


@cases(12)
@given(st.integers(1, 80), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_faces_are_those_of_splitting(n_first: int, n_second: int, seed: int) -> None:
    traced, split = both_ways(PlanarComplex.single_cell(UNIT_SQUARE), lines_through_the_square(n_first, seed))
    assert_is_complex(traced)
    assert loops(traced) == loops(split)
    again, split_again = both_ways(traced, lines_through_the_square(n_second, seed + 1), layer=1)
    assert_is_complex(again)
    assert loops(again) == loops(split_again)


@pytest.mark.parametrize("distance", [0.0, 1e-17, ROUNDINGS / 3, ROUNDINGS, 4 * ROUNDINGS, 40 * ROUNDINGS, 1e-9])
def test_lines_that_nearly_meet_in_one_point_are_those_of_splitting(distance: float) -> None:
    """Three lines about one point, in which the order on each is in doubt; and two more that are not."""
    x, y = 0.4, 0.55
    lines = [(np.cos(a), np.sin(a), -np.cos(a) * x - np.sin(a) * y + shift * distance)
             for a, shift in ((0.2, 0), (1.3, 1), (2.4, 0))]
    traced, split = both_ways(PlanarComplex.single_cell(UNIT_SQUARE), [*lines, *lines_through_the_square(2, 5)])
    assert len(traced.points) - len(traced.edges) + traced.n_cells == 1
    assert loops(traced) == loops(split)


def test_an_order_in_doubt_is_left_to_splitting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced, the point in which all three meet would become a triangle of no size."""
    lines = [(np.cos(a), np.sin(a), -0.3 * np.cos(a) - 0.6 * np.sin(a)) for a in (0.2, 1.3, 2.4)]
    monkeypatch.setattr(splitting, "LEAST_TRACED", ALWAYS)
    after = cut(PlanarComplex.single_cell(UNIT_SQUARE), *lines).after
    assert after.n_cells == 6


@pytest.mark.parametrize("corner_line", [(1.0, -1.0, 0.0), (1.0, 1.0, -1.0)])
def test_lines_through_corners_are_those_of_splitting(corner_line: Line) -> None:
    traced, split = both_ways(
        PlanarComplex.single_cell(UNIT_SQUARE), [corner_line, *lines_through_the_square(6, 2)])
    assert_is_complex(traced)
    assert loops(traced) == loops(split)


def test_a_budget_of_cells_holds_to_the_last_one() -> None:
    one, lines = PlanarComplex.single_cell(UNIT_SQUARE), lines_through_the_square(60, 0)
    n_cells = cut(one, *lines).after.n_cells
    rows, tolerance = heights(one.points, *lines), np.full(60, ROUNDINGS)
    assert split_complex(one, rows, tolerance, 0, room=Room(cells=n_cells)).after.n_cells == n_cells
    with pytest.raises(OverBudget):
        split_complex(one, rows, tolerance, 0, room=Room(cells=n_cells - 1))


@pytest.mark.parametrize("where", ["order", "faces"])
def test_what_is_stopped_says_so(where: str) -> None:
    """Both long loops look at the flag that another thread sets."""
    n = 200
    ends = np.random.default_rng(1).permutation(2 * n).astype(np.int32)
    p, q = ends[:n].copy(), ends[n:].copy()
    chords, values = _tracing_kernels.chord_scratch(n), _tracing_kernels.value_scratch(n)
    chord_at, halt = np.empty(2 * n, np.int32), np.zeros(1, np.uint8)
    n_met = _tracing_kernels.count_crossings(2 * n, p, q, n, chord_at, chords, 1 << 30, halt)
    one, other = np.triu_indices(n, 1)
    low, high = np.minimum(p, q)[one], np.maximum(p, q)[one]
    is_between = [(low < end[other]) & (end[other] < high) for end in (p, q)]
    assert n_met == np.sum(is_between[0] != is_between[1])
    crossings, s = _tracing_kernels.crossing_scratch(n_met), np.empty(n_met)
    # Chords of a circle, cut by straight lines: the values of each are heights above it.
    angles = np.sort(np.random.default_rng(2).uniform(0, 2 * np.pi, 2 * n))
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    normals = np.stack([points[p, 1] - points[q, 1], points[q, 0] - points[p, 0]], axis=1)
    rows = points @ normals.T - (points[p] * normals).sum(axis=1)
    corners = np.stack([np.arange(2 * n, dtype=np.int32)] * 2, axis=1)
    units = np.arange(n, dtype=np.int32)
    order = (p, q, n, units, rows, np.full(n, 1e-15), corners, np.zeros(2 * n), chords, values, crossings, s)
    if where == "order":
        halt[0] = 1
        assert not _tracing_kernels.order_crossings(*order, halt)
        return
    assert _tracing_kernels.order_crossings(*order, halt)
    n_pieces, n_cells = n + 2 * n_met, 1 + n + n_met
    room = 2 * (n + n_pieces) + 1
    out = (np.zeros(n_cells + 1, np.int64), np.empty(room, np.int32), np.empty(room, np.int32), np.empty(n_cells, np.uint64),
           np.empty(n_cells, np.int32))
    ring = np.arange(2 * n, dtype=np.int32)
    faces = (2 * n, ring, ring, p, q, n, chord_at, units, 0, np.uint64(0), chords, crossings,
             _tracing_kernels.face_scratch(n_pieces), np.empty(2 * n_pieces, np.bool_), np.empty(2 * n_pieces, np.uint64),
             2 * n, 2 * n, 0, 0, 0, *out)
    assert _tracing_kernels.trace_faces(*faces, halt)
    assert out[0][-1] == 2 * n + 2 * n_pieces
    halt[0] = 1
    assert not _tracing_kernels.trace_faces(*faces, halt)


@pytest.mark.parametrize("tolerance", [0.0, 1e-18, 1e-17])
def test_orders_that_contradict_one_another_are_left_to_splitting(tolerance: float) -> None:
    """Without a tolerance that covers rounding, three lines through one point come in any order along each."""
    one = PlanarComplex.single_cell(UNIT_SQUARE)
    numbers = np.random.default_rng(0)
    for _ in range(300):
        x, y = numbers.uniform(0.2, 0.8, 2)
        angles = numbers.uniform(0, np.pi, 3)
        lines = [(np.cos(a), np.sin(a), -np.cos(a) * x - np.sin(a) * y) for a in angles]
        after = split_complex(one, heights(one.points, *lines), np.full(3, tolerance), 0).after
        sizes = np.diff(after.cell_offsets)
        assert (sizes >= 3).all()
        assert sizes.sum() == len(after.cell_vertices)


@pytest.mark.parametrize(("most", "halt"), [(1 << 40, 0), (1000, 0), (1 << 40, 1)])
def test_a_count_ends_early_past_32_bits_past_the_budget_and_when_stopped(most: int, halt: int) -> None:
    n = 65_537 if most > 1000 and not halt else 64
    p = np.arange(n, dtype=np.int32)
    chords = _tracing_kernels.chord_scratch(n)
    found = _tracing_kernels.count_crossings(
        2 * n, p, p + np.int32(n), n, np.empty(2 * n, np.int32), chords, most, np.full(1, halt, np.uint8))
    assert found == -1


@pytest.mark.parametrize("is_split", [False, True])
def test_vertices_inside_come_chord_by_chord(is_split: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then all on one chord are found together."""
    monkeypatch.setattr(splitting, "LEAST_TRACED", NEVER if is_split else ALWAYS)
    new = cut(PlanarComplex.single_cell(UNIT_SQUARE), *lines_through_the_square(60, 0)).new
    begins = new.chord_begins
    assert begins[-1] == len(new.chord_places) > 100
    assert len(begins) - 1 == len(np.unique(new.chord_places, axis=0)) < 60
    for lo, hi in pairwise(begins):
        assert (new.chord_places[lo:hi] == new.chord_places[lo]).all()
        assert (np.diff(new.chord_weights[lo:hi, 2]) >= 0).all()


def test_many_lines_of_which_two_are_the_same_take_no_more_memory_than_their_cells() -> None:
    """These cannot be traced; the largest piece is a small part of the whole."""
    lines = lines_through_the_square(1000, 1)
    one = cut(PlanarComplex.single_cell(UNIT_SQUARE), *lines).after
    twice = cut(PlanarComplex.single_cell(UNIT_SQUARE), *lines, lines[0]).after
    assert twice.n_cells == one.n_cells
    assert len(twice.points) - len(twice.edges) + twice.n_cells == 1
    np.testing.assert_array_equal(np.sort(twice.cell_offsets[1:] - twice.cell_offsets[:-1]), np.sort(np.diff(one.cell_offsets)))
