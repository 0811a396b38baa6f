"""A cut of which some units moved is, in every array and bit, the one that is made anew."""

from __future__ import annotations

import gc
import weakref
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cases import cases
from oracle import assert_same, square
from splinecam_widget.engine import patching, resplitting
from splinecam_widget.engine.compute import compute_partition
from splinecam_widget.engine.errors import OverBudget
from splinecam_widget.engine.explorer import Explorer
from splinecam_widget.engine.lowering import lower
from splinecam_widget.engine.planar import PlanarComplex, Signs
from splinecam_widget.engine.resplitting import resplit
from splinecam_widget.engine.slices import rectangle
from splinecam_widget.engine.splitting import ANY_ROOM, Room, Split, split_complex
from test_planar import ROUNDINGS, heights

Array = np.ndarray[Any, Any]


def assert_equal(found: Any, expected: Any) -> None:
    """All arrays and numbers of two dataclasses."""
    for field in fields(expected):
        a, b = getattr(found, field.name), getattr(expected, field.name)
        if isinstance(b, (PlanarComplex, Signs)) or hasattr(b, "__dataclass_fields__"):
            assert_equal(a, b)
        else:
            np.testing.assert_array_equal(a, b, err_msg=field.name)
            assert np.asarray(a).dtype == np.asarray(b).dtype, field.name


def moved(
    before: PlanarComplex, rows: Array, rows_now: Array, units: list[int], has_pattern: bool = True, room: Room = ANY_ROOM,
    tolerance_before: float = ROUNDINGS,
) -> tuple[Split | None, Split]:
    """The cut with other values of some units, from the one before and anew."""
    tolerance = np.full(rows.shape[1], ROUNDINGS)
    old_tolerance = tolerance.copy()
    old_tolerance[units] = tolerance_before
    old = split_complex(before, rows, old_tolerance, 3, has_pattern)
    signs = Signs.of(rows_now, tolerance)
    found = resplit(before, rows_now, tolerance, 3, has_pattern, signs, old, np.array(units), room, lambda: None)
    return found, split_complex(before, rows_now, tolerance, 3, has_pattern, signs)


def complex_of(generator: np.random.Generator, n_lines: int) -> PlanarComplex:
    """Lines across a square, some of which meet in corners or lie on one another."""
    whole = PlanarComplex.single_cell(rectangle(-1, 1, -1, 1))
    lines = np.round(generator.normal(size=(n_lines, 3)), generator.integers(0, 3))
    return split_complex(whole, heights(whole.points, *map(tuple, lines)), np.full(n_lines, ROUNDINGS), 0).after


@pytest.fixture
def any_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many cells changed."""
    monkeypatch.setattr(resplitting, "LARGEST_SHARE", 2.0)


@cases(150)
@given(
    st.integers(0, 1 << 20), st.integers(1, 7), st.integers(1, 70), st.integers(1, 20), st.booleans(),
    st.sampled_from([0.0, 0.3, 1.0]))
def test_is_the_cut_made_anew(seed: int, n_lines: int, n_units: int, n_moved: int, has_pattern: bool, tied: float) -> None:
    generator = np.random.default_rng(seed)
    before = complex_of(generator, n_lines)
    # Affine on the square and so on every cell; rounded ones go through vertices of each other and of the complex.
    lines = generator.normal(size=(n_units, 3))
    lines = np.where(generator.random((n_units, 1)) < tied, np.round(lines), lines)
    units = generator.choice(n_units, min(n_moved, n_units), replace=False).tolist()
    now = lines.copy()
    now[units] += generator.choice([0.0, 0.01, 0.5, 1.0], (len(units), 3)) * generator.choice([-1, 1], (len(units), 3))
    rows, rows_now = (heights(before.points, *map(tuple, these)) for these in (lines, now))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(resplitting, "LARGEST_SHARE", 2.0)
        found, expected = moved(
            before, rows, rows_now, units, has_pattern, tolerance_before=ROUNDINGS * generator.choice([1, 1e6]))
    assert found is not None
    assert_equal(found, expected)


LINES = ((1.0, 0.2, 0.1), (-0.3, 1.0, 0.2), (1.0, 1.0, 0.0), (0.5, -1.0, 0.3))


@pytest.fixture
def halves() -> tuple[PlanarComplex, Array, Array]:
    """Cells, and values of some units of which the first moves."""
    before = complex_of(np.random.default_rng(1), 6)
    return before, heights(before.points, *LINES), heights(before.points, (1.0, 0.2, 0.3), *LINES[1:])


def test_more_cells_than_there_is_room_for(halves: tuple[PlanarComplex, Array, Array], any_share: None) -> None:
    found, expected = moved(*halves, [0])
    assert found is not None
    n_cells = expected.after.n_cells
    assert moved(*halves, [0], room=Room(cells=n_cells))[0] is not None
    with pytest.raises(OverBudget):
        moved(*halves, [0], room=Room(cells=n_cells - 1))


def test_where_most_cells_change_all_are_cut(halves: tuple[PlanarComplex, Array, Array]) -> None:
    before, rows, _ = halves
    assert moved(before, rows, -rows[:, ::-1].copy(), [0, 1, 2, 3])[0] is None


def test_where_few_cells_hold_most_all_are_cut() -> None:
    """One that many lines cross is cut by several threads, or where it can be stopped."""
    before = complex_of(np.random.default_rng(1), 6)
    inside = before.points[before.cell_vertices[before.cell_offsets[0]:before.cell_offsets[1]]]
    middle, size = inside.mean(axis=0), 0.1 * np.ptp(inside, axis=0).min()
    angles = np.linspace(0.1, 3.0, 30)
    circle = [(np.cos(a), np.sin(a), -float(middle @ [np.cos(a), np.sin(a)]) + 0.1 * size * np.sin(7 * a)) for a in angles]
    # Bent at the borders of the cell: elsewhere all of them are positive.
    rows = heights(before.points, *circle)
    others = np.setdiff1d(np.arange(before.n_vertices), before.cell_vertices[before.cell_offsets[0]:before.cell_offsets[1]])
    rows[others] = 1.0
    now = rows.copy()
    now[:, 0] *= 1.01
    found, expected = moved(before, rows, now, [0])
    assert found is None
    counts = np.bincount(expected.parents)
    assert counts[0] > resplitting.LARGEST_SHARE * counts.sum()


def test_after_an_irregular_cut_all_are_cut(halves: tuple[PlanarComplex, Array, Array], any_share: None) -> None:
    before, rows, rows_now = halves
    tolerance = np.full(len(LINES), ROUNDINGS)
    old = replace(split_complex(before, rows, tolerance, 3), n_irregular=1)
    signs = Signs.of(rows_now, tolerance)
    assert resplit(before, rows_now, tolerance, 3, True, signs, old, np.array([0]), ANY_ROOM, lambda: None) is None


def test_few_changes_take_over_at_once_and_the_network_before_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    net, plane = nn.Sequential(nn.Linear(2, 90), nn.ReLU(), nn.Linear(90, 80), nn.ReLU(), nn.Linear(80, 3)), square()
    explorer = Explorer(lower(net, (2,)), plane)
    explorer.show(plane)
    before = weakref.ref(explorer.network)
    made: list[Split | None] = []
    real = patching.resplit
    monkeypatch.setattr(patching, "resplit", lambda *args: made.append(real(*args)) or made[-1])
    net[2].bias.data[5] += 0.05
    explorer.update(lower(net, (2,)))
    assert before() is not None, "what it made may be used"
    assert_same(explorer.show(plane), compute_partition(explorer.network, plane))
    assert made[0] is not None
    made.clear()
    gc.collect()
    assert before() is None


@pytest.mark.parametrize("units", [[2], [0, 3], list(range(0, 40, 2))])
def test_changed_weights_take_over_what_they_leave(monkeypatch: pytest.MonkeyPatch, any_share: None, units: list[int]) -> None:
    torch.manual_seed(0)
    net, plane = nn.Sequential(nn.Linear(2, 90), nn.ReLU(), nn.Linear(90, 80), nn.ReLU(), nn.Linear(80, 3)), square()
    explorer = Explorer(lower(net, (2,)), plane)
    explorer.show(plane)
    made: list[Split | None] = []
    real = patching.resplit
    monkeypatch.setattr(patching, "resplit", lambda *args: made.append(real(*args)) or made[-1])
    for change in (0.3, -0.2, 0.1):  # each from what the one before took over
        with torch.no_grad():
            net[2].bias[units] += change
            net[2].weight[units] *= 1 - change
        network = lower(net, (2,))
        explorer.update(network)
        found, expected = explorer.show(plane), compute_partition(network, plane)
        assert made[-1] is not None
        assert_same(found, expected)
        np.testing.assert_array_equal(found.planar.cell_hashes, expected.planar.cell_hashes)
        np.testing.assert_array_equal(found.planar.edges, expected.planar.edges)
        np.testing.assert_array_equal(found.planar.cell_vertices, expected.planar.cell_vertices)
    assert len(made) == 3
