"""The cells along a segment: against where dense samples lie, shapely's cuts, and lines through vertices and along edges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
import torch
from hypothesis import given
from hypothesis import strategies as st

from cases import cases
from oracle import UNIT_ROUNDOFF, loops_of, mlp, square
from splinecam_widget.analysis.walking import CellPath
from splinecam_widget.engine.compute import compute_partition
from splinecam_widget.engine.partition import Partition
from splinecam_widget.engine.storage import load_partition


def grid(x: torch.Tensor) -> torch.Tensor:
    """Bends on x = -1, 0, 1 and y = -1, 0, 1."""
    return torch.cat([x - 1, x, x + 1], dim=1).relu().sum(dim=1, keepdim=True)


@pytest.fixture(scope="module")
def squares() -> Partition:
    """Sixteen unit squares, of which vertices and edges are exact."""
    partition = compute_partition(grid, square(2.0))
    assert partition.n_cells == 16
    return partition


@pytest.fixture(scope="module")
def partition() -> Partition:
    return compute_partition(mlp(2, 16, 16, 1), square())


def assert_is_path(partition: Partition, path: CellPath, a: Any, b: Any) -> None:
    """From a to b without gaps; neighbours share the edge named, or a vertex; each stretch lies in its cell."""
    assert path.t[0] == 0.0
    assert path.t[-1] == 1.0
    assert (np.diff(path.t) > 0).all()
    assert (len(path.t), len(path.edges), len(path.points)) == (len(path) + 1, len(path) - 1, len(path) + 1)
    np.testing.assert_array_equal(path.points[[0, -1]], [a, b])
    assert len(np.unique(path.cells)) == len(path)
    loops = loops_of(partition)
    for edge, left, right in zip(path.edges, path.cells[:-1], path.cells[1:]):
        if edge >= 0:
            assert set(partition.edge_cells[edge]) == {left, right}
        else:
            assert set(loops[left]) & set(loops[right])
    noise = 256 * UNIT_ROUNDOFF * np.abs(partition.plane.domain).max()
    cells = shapely.polygons([shapely.linearrings(partition.vertices[loops[c]]) for c in path.cells])
    inside = shapely.distance(cells, shapely.points((path.points[:-1] + path.points[1:]) / 2))
    assert (inside <= noise).all()


@pytest.mark.slow
@cases(15)
@given(st.integers(0, 10_000))
def test_are_those_of_dense_samples_and_of_shapely(seed: int) -> None:
    partition = compute_partition(mlp(2, 10, 8, 2, seed=seed), square())
    rng = np.random.default_rng(seed)
    polygons = shapely.polygons([shapely.linearrings(partition.vertices[loop]) for loop in loops_of(partition)])
    for _ in range(3):
        a, b = rng.uniform(-1, 1, (2, 2))
        path = partition.cells_along(a, b)
        assert_is_path(partition, path, a, b)
        assert (path.edges >= 0).all()
        t = np.linspace(0, 1, 2001)
        where = partition.locate(a + t[:, None] * (b - a))
        at = np.searchsorted(path.t, t, side="right") - 1
        np.testing.assert_array_equal(where[1:-1], path.cells[at[1:-1]])
        pieces = shapely.length(shapely.intersection(shapely.linestrings([a, b]), polygons))
        lengths = np.zeros(partition.n_cells)
        lengths[path.cells] = np.diff(path.t) * np.linalg.norm(b - a)
        np.testing.assert_allclose(lengths, pieces, rtol=0, atol=1e-12)
        back = partition.cells_along(b, a)
        np.testing.assert_array_equal(back.cells, path.cells[::-1])
        np.testing.assert_array_equal(back.edges, path.edges[::-1])


class TestSpecialLines:
    """Through vertices, along edges, and very short ones."""

    def test_through_vertices(self, squares: Partition) -> None:
        a, b = np.array([-2.0, -2.0]), np.array([2.0, 2.0])
        path = squares.cells_along(a, b)
        assert_is_path(squares, path, a, b)
        np.testing.assert_array_equal(path.cells, squares.locate([[-1.5, -1.5], [-0.5, -0.5], [0.5, 0.5], [1.5, 1.5]]))
        assert path.t.tolist() == [0, 0.25, 0.5, 0.75, 1]
        assert path.edges.tolist() == [-1, -1, -1]

    @pytest.mark.parametrize(("a", "b", "side"), [
        ((-2, 0), (2, 0), (0, -1)), ((2, 0), (-2, 0), (0, 1)), ((1, -2), (1, 2), (1, 0)), ((1, 2), (1, -2), (-1, 0)),
    ])
    def test_along_edges_it_is_in_the_cells_on_its_right(self, squares: Partition, a: Any, b: Any, side: Any) -> None:
        path = squares.cells_along(a, b)
        assert_is_path(squares, path, a, b)
        middles = (path.points[:-1] + path.points[1:]) / 2
        np.testing.assert_array_equal(path.cells, squares.locate(middles + 0.1 * np.array(side)))
        assert path.t.tolist() == [0, 0.25, 0.5, 0.75, 1]
        assert (path.edges >= 0).all()

    @pytest.mark.parametrize(("a", "b"), [((-2, -2), (2, -2)), ((2, -2), (-2, -2)), ((2, -2), (2, 2)), ((2, 2), (2, -2))])
    def test_along_the_border_it_is_in_the_cells_inside(self, squares: Partition, a: Any, b: Any) -> None:
        path = squares.cells_along(a, b)
        assert_is_path(squares, path, a, b)
        assert len(path) == 4

    def test_every_edge_of_a_random_partition_lies_along_one_cell(self, partition: Partition) -> None:
        """Its vertices are rounded: the line through two of a long line of edges misses the others by that."""
        for edge, beside in zip(partition.edges, partition.edge_cells):
            a, b = partition.vertices[edge]
            path = partition.cells_along(a, b)
            assert len(path) == 1
            assert path.cells[0] in beside

    def test_along_a_unit_from_border_to_border_it_stays_on_its_right(self, partition: Partition) -> None:
        """The vertices on the unit's line are rounded to both sides of it."""
        for unit in range(16):
            ends = partition.edges[(partition.edge_layer == 0) & (partition.edge_unit == unit)]
            if not len(ends):
                continue
            ids, counts = np.unique(ends, return_counts=True)
            a, b = partition.vertices[ids[counts == 1]]
            path = partition.cells_along(a, b)
            middles = partition.centroids[path.cells]
            across = (b - a)[0] * (middles - a)[:, 1] - (b - a)[1] * (middles - a)[:, 0]
            assert (across < 0).all()
            beside = partition.edge_cells[(partition.edge_layer == 0) & (partition.edge_unit == unit)]
            assert set(path.cells) <= set(beside.ravel())

    def test_between_any_two_vertices(self, partition: Partition) -> None:
        rng = np.random.default_rng(0)
        for i, j in rng.integers(0, len(partition.vertices), (200, 2)):
            a, b = partition.vertices[[i, j]]
            if i != j:
                assert_is_path(partition, partition.cells_along(a, b), a, b)

    def test_the_whole_domain_as_one_cell(self) -> None:
        partition = compute_partition(lambda x: x, square())
        for a, b in (((-1, -1), (1, 1)), ((-1, -1), (1, -1)), ((1, -1), (-1, -1)), ((0, 0), (0, 1)), ((0, 0), (0, 0))):
            path = partition.cells_along(a, b)
            assert (path.cells.tolist(), path.t.tolist(), path.edges.tolist()) == ([0], [0, 1], [])

    def test_from_a_point_to_itself_it_is_in_its_cell(self, partition: Partition) -> None:
        path = partition.cells_along([0.3, 0.4], [0.3, 0.4])
        assert path.cells.tolist() == [partition.locate([0.3, 0.4])]
        assert path.t.tolist() == [0, 1]

    @pytest.mark.parametrize("size", [1e-3, 1e-9, 1e-15, 1e-200])
    def test_short_segments_across_an_edge_and_across_a_vertex(self, squares: Partition, size: float) -> None:
        for a, b in (((-size, 0.5), (size, 0.5)), ((-size, -size), (size, size)), ((0.0, 0.0), (size, size / 3))):
            path = squares.cells_along(a, b)
            assert path.t[0] == 0.0
            assert path.t[-1] == 1.0
            assert (np.diff(path.t) > 0).all()
            assert (len(path) == 2) == (size > 1e-12 and a[0] != 0)

    @cases(30)
    @given(st.integers(0, 10_000))
    def test_lines_between_points_of_a_lattice(self, squares: Partition, seed: int) -> None:
        """Steps of 1/2 have many vertices and edges on them, or just beside by rounding after a turn."""
        rng = np.random.default_rng(seed)
        a, b = rng.integers(-4, 5, (2, 2)) / 2
        path = squares.cells_along(a, b)
        if (a != b).any():
            assert_is_path(squares, path, a, b)
            t = (np.arange(997) + 0.5) / 997
            where = squares.locate(a + t[:, None] * (b - a))
            u = a + t[:, None] * (b - a)
            is_clear = np.abs(u - np.round(u)).min(axis=1) > 1e-9
            at = np.searchsorted(path.t, t, side="right") - 1
            np.testing.assert_array_equal(path.cells[at][is_clear], where[is_clear])


def test_where_lines_nearly_coincide_it_ends_as_well() -> None:
    """Fifty lines through nearly one point and nearly along one line, cells as small as roundings."""
    rng = np.random.default_rng(3)
    net = mlp(2, 50, 1, seed=3)
    with torch.no_grad():
        net[0].weight[:25] = torch.tensor([1.0, 2.0]) + torch.from_numpy(1e-15 * rng.normal(size=(25, 2)))
        net[0].bias[:] = torch.from_numpy(1e-16 * rng.normal(size=50))
    partition = compute_partition(net, square())
    for direction in np.concatenate([[[2.0, -1.0], [1.0, 0.5]], rng.normal(size=(20, 2))]):
        end = direction / np.abs(direction).max()
        for a, b in ((-end, end), (-end, end * 1e-15), (np.zeros(2), end)):
            path = partition.cells_along(a, b)
            assert path.t[0] == 0.0
            assert path.t[-1] == 1.0
            assert (np.diff(path.t) > 0).all()


def test_a_partition_from_a_file_has_the_same(partition: Partition, tmp_path: Path) -> None:
    partition.save(tmp_path / "p.npz")
    found, expected = (p.cells_along([-0.9, 0.1], [0.8, 0.3]) for p in (load_partition(tmp_path / "p.npz"), partition))
    np.testing.assert_array_equal(found.cells, expected.cells)
    np.testing.assert_array_equal(found.t, expected.t)


@pytest.mark.parametrize(("a", "b", "text"), [
    ([0, 0], [3, 0], r"^b: expected a point of the domain, got \[3.0, 0.0\]"),
    ([-1.001, 0], [0, 0], r"^a: expected a point of the domain, got"),
    ([0, 0, 0], [0, 0], r"^a: expected slice coordinates of shape \(2,\), got \(3,\)"),
    ([0, 0], [0, np.nan], r"^b: expected finite numbers, got NaN"),
])
def test_refuses_what_is_no_point_of_the_domain(partition: Partition, a: Any, b: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        partition.cells_along(a, b)
