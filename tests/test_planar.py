"""Cutting a complex along zero lines of functions: vertices, edges, provenance, also where lines meet or touch."""

from __future__ import annotations

import numpy as np
import pytest

from oracle import UNIT_ROUNDOFF
from splinecam_widget.engine import splitting, threads
from splinecam_widget.engine.planar import PlanarComplex, SignGathering, Signs
from splinecam_widget.engine.slices import rectangle
from splinecam_widget.engine.splitting import Split, split_complex

UNIT_SQUARE = rectangle(0, 1, 0, 1)
ROUNDINGS = 64 * UNIT_ROUNDOFF
"""Coordinates here are at most 1 and interpolated a few times."""


def heights(points: np.ndarray, *lines: tuple[float, float, float]) -> np.ndarray:
    """Values (V, n) of a x + b y + c at the points."""
    return np.ascontiguousarray(np.stack([a * points[:, 0] + b * points[:, 1] + c for a, b, c in lines], axis=1))


def cut(before: PlanarComplex, *lines: tuple[float, float, float], layer: int = 0) -> Split:
    return split_complex(before, heights(before.points, *lines), np.full(len(lines), ROUNDINGS), layer)


def areas(complex_: PlanarComplex) -> np.ndarray:
    loops = np.split(complex_.cell_vertices, complex_.cell_offsets[1:-1])
    return np.array([shoelace(complex_.points[loop]) for loop in loops])


def shoelace(corners: np.ndarray) -> float:
    x, y = corners.T
    return 0.5 * float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))


def assert_is_complex(found: PlanarComplex, area: float = 1.0) -> None:
    assert len(found.points) - len(found.edges) + found.n_cells == 1
    assert (areas(found) > 0).all()
    np.testing.assert_allclose(areas(found).sum(), area, rtol=ROUNDINGS)
    for c in range(found.n_cells):
        lo, hi = found.cell_offsets[c], found.cell_offsets[c + 1]
        loop, edges = found.cell_vertices[lo:hi], found.cell_edges[lo:hi]
        sides = np.sort(np.stack([loop, np.roll(loop, -1)], axis=1), axis=1)
        np.testing.assert_array_equal(np.sort(found.edges[edges], axis=1), sides)


def test_a_polygon_is_one_cell_with_the_domains_border() -> None:
    one = PlanarComplex.single_cell(UNIT_SQUARE)
    assert (one.n_vertices, len(one.edges), one.n_cells) == (4, 4, 1)
    assert (one.edge_layer == -1).all()
    assert (one.edge_unit == -1).all()
    assert_is_complex(one)


def test_a_line_makes_two_cells_and_remembers_itself() -> None:
    split = cut(PlanarComplex.single_cell(UNIT_SQUARE), (1, 0, -0.25), layer=7)
    after = split.after
    assert_is_complex(after)
    np.testing.assert_allclose(np.sort(areas(after)), [0.25, 0.75], rtol=ROUNDINGS)
    inner = np.flatnonzero(after.edge_layer == 7)
    assert len(inner) == 1
    assert after.edge_unit[inner] == [0]
    np.testing.assert_allclose(after.points[after.edges[inner[0]], 0], 0.25, rtol=ROUNDINGS)
    assert split.parents.tolist() == [0, 0]
    assert (split.n_close, split.n_irregular) == (0, 0)


def test_old_vertices_keep_their_places() -> None:
    before = PlanarComplex.single_cell(UNIT_SQUARE)
    split = cut(before, (1, 0.3, -0.5), (-0.2, 1, -0.4))
    np.testing.assert_array_equal(split.after.points[: before.n_vertices], before.points)
    assert split.after.n_vertices == before.n_vertices + len(split.new)


def test_new_vertices_know_any_function_that_is_affine_on_the_cells() -> None:
    before = PlanarComplex.single_cell(UNIT_SQUARE)
    split = cut(before, (1, 0.3, -0.5), (-0.2, 1, -0.4), (1, 1, -1.1))

    def function(points: np.ndarray) -> np.ndarray:
        return points @ np.array([[2.0, -1, 0], [3, 0.5, 0]]) + [1.0, 0, 4]

    expected = function(split.after.points[4:])
    np.testing.assert_allclose(split.new.rows(function(before.points)), expected, rtol=0, atol=8 * ROUNDINGS)
    for start, stop in ((0, 1), (2, 7), (5, 9), (8, 9), (3, 3)):
        np.testing.assert_array_equal(
            split.new.rows(function(before.points), start, stop), split.new.rows(function(before.points))[start:stop]
        )


def test_lines_that_miss_the_cell_do_nothing() -> None:
    split = cut(PlanarComplex.single_cell(UNIT_SQUARE), (1, 0, 1), (0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, -1))
    assert split.after.n_cells == 1
    assert len(split.new) == 0


def test_the_peak_is_the_largest_magnitude_at_the_old_vertices() -> None:
    split = cut(PlanarComplex.single_cell(UNIT_SQUARE), (1, 0, -3), (0, 2, 0.5))
    assert split.peak.tolist() == [3, 2.5]


@pytest.mark.parametrize("n_lines", [3, 8, 64, 65, 130])
def test_lines_in_general_position_make_the_number_of_cells_that_euler_says(n_lines: int) -> None:
    """Lines through a disc: 1 + n + the crossings inside; 64 and 65 lines fill one word of bits and begin another."""
    numbers = np.random.default_rng(n_lines)
    angles, offsets = numbers.uniform(0, np.pi, n_lines), numbers.uniform(-0.4, 0.4, n_lines)
    lines = [(np.cos(a), np.sin(a), -o - 0.5 * (np.cos(a) + np.sin(a))) for a, o in zip(angles, offsets)]
    after = cut(PlanarComplex.single_cell(UNIT_SQUARE), *lines).after
    assert_is_complex(after)
    normals = np.array([line[:2] for line in lines])
    i, j = np.triu_indices(n_lines, 1)
    pairs = np.stack([i, j], axis=1)
    meets = np.linalg.solve(normals[pairs], -np.array(lines)[pairs, 2][..., None])
    inside = ((meets[..., 0] > 0) & (meets[..., 0] < 1)).all(axis=1)
    assert after.n_cells == 1 + n_lines + int(inside.sum())


@pytest.mark.parametrize("n_lines", [3, 5, 12])
def test_lines_through_one_point_make_two_cells_each(n_lines: int) -> None:
    angles = 0.1 + np.arange(n_lines) * np.pi / n_lines
    x, y = 0.3, 0.6
    lines = [(np.cos(a), np.sin(a), -x * np.cos(a) - y * np.sin(a)) for a in angles]
    after = cut(PlanarComplex.single_cell(UNIT_SQUARE), *lines).after
    assert after.n_cells == 2 * n_lines
    assert_is_complex(after)


def test_lines_that_meet_on_an_edge_share_its_vertex() -> None:
    split = cut(PlanarComplex.single_cell(UNIT_SQUARE), (1, 0.3, -0.5), (1, -0.4, -0.5), (1, 0, -0.5))
    assert split.after.n_cells == 4
    assert split.n_close == 2
    assert_is_complex(split.after)


def test_the_same_line_in_a_second_layer_cuts_nothing() -> None:
    line = (1.0, 0.3, -0.5)
    first = cut(PlanarComplex.single_cell(UNIT_SQUARE), line).after
    again = cut(first, line, (-2.0, -0.6, 1.0), layer=1)
    assert again.after.n_cells == 2
    assert not (again.after.edge_layer == 1).any()


def test_layers_one_after_the_other_stay_conforming() -> None:
    numbers = np.random.default_rng(3)
    found = PlanarComplex.single_cell(UNIT_SQUARE)
    for layer in range(4):
        lines = [(a, b, -0.5 * (a + b) + c) for a, b, c in numbers.normal(size=(9, 3)) * [1, 1, 0.2]]
        found = cut(found, *lines, layer=layer).after
        assert_is_complex(found)
    assert set(np.unique(found.edge_layer)) == {-1, 0, 1, 2, 3}
    assert len(np.unique(found.cell_hashes)) == found.n_cells


def test_cells_know_their_parents() -> None:
    before = cut(PlanarComplex.single_cell(UNIT_SQUARE), (1, 0, -0.5)).after
    split = cut(before, (0, 1, -0.5), (1, 1, -0.5), layer=1)
    totals = np.bincount(split.parents, weights=areas(split.after))
    np.testing.assert_allclose(totals, areas(before), rtol=ROUNDINGS)


@pytest.mark.parametrize("at_a_time", [1, 5, 16])
def test_runs_of_cells_and_edges_taken_apart_give_the_same(at_a_time: int, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = np.random.default_rng(5)
    lines = [(a, b, -0.5 * (a + b) + c) for a, b, c in numbers.normal(size=(20, 3)) * [1, 1, 0.2]]
    before = cut(PlanarComplex.single_cell(UNIT_SQUARE), *lines[:10]).after
    expected = cut(before, *lines[10:], layer=1)
    monkeypatch.setattr(splitting, "CELLS_AT_A_TIME", at_a_time)
    monkeypatch.setattr(splitting, "EDGES_AT_A_TIME", at_a_time + 2)
    monkeypatch.setattr(threads, "LEAST_RUNS", 1)
    found = cut(before, *lines[10:], layer=1)
    for name in ("points", "edges", "edge_layer", "edge_unit", "cell_offsets", "cell_vertices", "cell_edges",
                 "cell_hashes"):
        np.testing.assert_array_equal(getattr(found.after, name), getattr(expected.after, name), err_msg=name)
    np.testing.assert_array_equal(found.parents, expected.parents)


def test_no_new_vertices_have_no_rows() -> None:
    none = cut(PlanarComplex.single_cell(UNIT_SQUARE), (1, 0, 1)).new
    assert len(none) == 0
    assert none.rows(np.zeros((4, 3))).shape == (0, 3)


@pytest.mark.parametrize("n_units", [1, 7, 8, 63, 64, 65, 200])
def test_signs_as_bits(n_units: int) -> None:
    numbers = np.random.default_rng(n_units)
    tolerance = numbers.choice([0.0, 0.5], n_units)
    rows = numbers.choice([-2.0, -0.5, -0.25, -0.0, 0.0, 1e-300, 0.5, 3.0], (50, n_units))
    gathering = SignGathering(50, tolerance)
    for start, stop in ((30, 50), (0, 11), (11, 30)):
        gathering.take(start, rows[start:stop])
    for found in (gathering.signs(), Signs.of(rows, tolerance)):
        for words, expected in ((found.positive, rows > tolerance), (found.negative, rows < -tolerance)):
            bits = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")
            np.testing.assert_array_equal(bits[:, :n_units], expected)
            assert not bits[:, n_units:].any()
        np.testing.assert_array_equal(found.peak, np.abs(rows).max(axis=0))
        assert found.n_zero == ((np.abs(rows) <= tolerance) & (tolerance > 0)).sum()


@pytest.mark.parametrize("n_units", [1, 64, 130])
def test_signs_of_changed_units(n_units: int) -> None:
    numbers = np.random.default_rng(n_units)
    values = [-2.0, -0.5, -0.25, -0.0, 0.0, 1e-300, 0.5, 3.0]
    before, rows = numbers.choice(values, (2, 50, n_units))
    tolerance, later = numbers.choice([0.0, 0.3, 0.5], (2, n_units))
    units = numbers.permutation(n_units)[: 1 + n_units // 3]
    others = np.setdiff1d(np.arange(n_units), units)
    rows[:, others], later[others] = before[:, others], tolerance[others]
    old = Signs.of(before, tolerance)
    found, expected = old.with_units(units, rows[:, units], tolerance, later), Signs.of(rows, later)
    for name in ("positive", "negative", "peak", "n_zero"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)
    assert old.n_zero == Signs.of(before, tolerance).n_zero, "left as it was"


@pytest.mark.parametrize("n", [2, 5, 32, 33, 200])
def test_crossings_of_an_edge_come_in_order(n: int) -> None:
    numbers = np.random.default_rng(n)
    places = numbers.permutation(np.linspace(0.1, 0.9, n))
    found = cut(PlanarComplex.single_cell(UNIT_SQUARE), *((1, 0, -place) for place in places))
    on_edge = found.new.edge_t[: n]
    np.testing.assert_allclose(np.sort(on_edge), on_edge)
    assert found.after.n_cells == n + 1
