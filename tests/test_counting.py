"""Cells, regions and vertices in balls against shapely and against distances taken one by one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from torch import nn

from cases import cases
from oracle import UNIT_ROUNDOFF, loops_of, mlp, square
from splinecam_widget import Slice, compute_partition, load_partition
from splinecam_widget.analysis import _counting_kernels
from splinecam_widget.engine.partition import Partition

SLACK = 1e-12
"""Balls that miss or meet a cell by less are not compared: shapely's distances carry some roundings of coordinates up to 3."""


@pytest.fixture(scope="module")
def partition() -> Partition:
    """Some of its cells share their maps."""
    net = mlp(2, 10, 6, 2, seed=2)
    with torch.no_grad():
        net[2].weight[:, :4] = 0
    partition = compute_partition(net, square())
    assert partition.n_regions < partition.n_cells
    return partition


def points_and_radii(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Inside the domain and outside, some at vertices of a coarse grid."""
    rng = np.random.default_rng(1)
    points = rng.uniform(-1.4, 1.4, (n, 2))
    points[::5] = np.round(points[::5] * 2) / 2
    return points, rng.uniform(0, 0.8, n) ** 2


def cells_of(partition: Partition) -> list[Any]:
    return [shapely.Polygon(partition.vertices[loop]) for loop in loops_of(partition)]


def corners_of_ball(norm: float) -> np.ndarray:
    return np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1]] if norm == 1 else [[1.0, -1], [1, 1], [-1, 1], [-1, -1]])


class TestDiscs:
    """Norm 2."""

    def test_cells_regions_and_vertices_are_those_within_reach(self, partition: Partition) -> None:
        points, radii = points_and_radii()
        found = partition.counts_around(points, radii)
        cells = np.array(cells_of(partition))
        for i, (point, radius) in enumerate(zip(points, radii)):
            distances = shapely.distance(shapely.Point(point), cells)
            assert (np.abs(distances - radius) > SLACK).all()
            meets = distances <= radius
            assert found.n_cells[i] == meets.sum()
            assert found.n_regions[i] == len(np.unique(partition.region_ids[meets]))
            assert found.n_vertices[i] == (np.linalg.norm(partition.vertices - point, axis=1) <= radius).sum()

    def test_areas_are_shapelys(self, partition: Partition) -> None:
        """A disc as a polygon of 4 n corners has 1 - O(1 / n^2) of its area."""
        points, radii = points_and_radii()
        n = 512
        expected = [shapely.Point(p).buffer(r, quad_segs=n).intersection(shapely.Polygon(square().domain)).area
                    for p, r in zip(points, radii)]
        np.testing.assert_allclose(
            partition.counts_around(points, radii).areas, expected, rtol=0, atol=math.pi / n**2)

    def test_areas_of_whole_halves_and_quarters(self) -> None:
        found = compute_partition(nn.Linear(2, 1).eval(), square()).counts_around(
            [[0.0, 0], [1, 0], [1, 1], [2, 0], [0, 0], [1, 0.25], [3, 0]], [0.5, 0.5, 0.5, 0.5, 9, 0, 2])
        disc = math.pi / 4
        np.testing.assert_allclose(found.areas, [disc, disc / 2, disc / 4, 0, 4, 0, 0], rtol=1e-12, atol=1e-12)
        assert found.n_cells.tolist() == [1, 1, 1, 0, 1, 1, 1]

    def test_a_cell_that_is_touched_counts(self) -> None:
        """Closed: lines at x = 0 and y = 0 are touched by a disc of radius 1/4 around (1/4, 1/4), the corner is not."""
        partition = compute_partition(nn.ReLU().eval(), square())
        found = partition.counts_around([[0.25, 0.25], [0.25, 0.25], [0.25, 0.25], [3.0, 4.0]],
                                        [0.25, np.nextafter(0.25, 0), 0.375, 5.0])
        assert found.n_cells.tolist() == [3, 1, 4, 4]
        assert found.n_vertices[:3].tolist() == [0, 0, 1]

    def test_radius_zero_counts_the_cells_at_the_point(self, partition: Partition) -> None:
        at = partition.vertices
        found = partition.counts_around(at, 0)
        around = np.bincount(partition.cell_vertices, minlength=len(at))
        np.testing.assert_array_equal(found.n_cells, around)
        np.testing.assert_array_equal(found.n_vertices, 1)
        assert np.isnan(found.densities).all()
        inside = partition.centroids
        np.testing.assert_array_equal(partition.counts_around(inside, 0.0).n_cells, 1)

    def test_a_large_ball_has_everything(self, partition: Partition) -> None:
        found = partition.counts_around([[0.0, 0.0]], 10.0)
        assert found.n_cells.tolist() == [partition.n_cells]
        assert found.n_regions.tolist() == [partition.n_regions]
        assert found.n_vertices.tolist() == [len(partition.vertices)]
        np.testing.assert_allclose(found.densities, partition.n_cells / 4, rtol=1e-12)


class TestOtherNorms:
    """Squares, and squares on a corner: polygons, so shapely is exact."""

    @pytest.mark.parametrize("norm", [1, np.inf])
    def test_are_shapelys(self, partition: Partition, norm: float) -> None:
        points, radii = points_and_radii()
        radii = radii + 1e-3
        found = partition.counts_around(points, radii, norm=norm)
        cells, domain = np.array(cells_of(partition)), shapely.Polygon(square().domain)
        for i, (point, radius) in enumerate(zip(points, radii)):
            ball = shapely.Polygon(point + radius * corners_of_ball(norm))
            smaller, larger = (shapely.intersects(cells, shapely.Polygon(point + radius * s * corners_of_ball(norm))).sum()
                               for s in (1 - SLACK, 1 + SLACK))
            assert smaller <= found.n_cells[i] <= larger
            assert found.n_vertices[i] == (np.linalg.norm(partition.vertices - point, norm, axis=1) <= radius).sum()
            np.testing.assert_allclose(found.areas[i], ball.intersection(domain).area, rtol=0, atol=1e-12)

    def test_balls_contain_one_another(self, partition: Partition) -> None:
        points, radii = points_and_radii()
        one, two, most = (partition.counts_around(points, radii, norm) for norm in (1, 2, np.inf))
        for name in ("n_cells", "n_regions", "n_vertices", "areas"):
            a, b, c = (getattr(counts, name) for counts in (one, two, most))
            assert (a <= b + SLACK).all()
            assert (b <= c + SLACK).all()


@cases(60)
@given(st.lists(st.floats(-2, 2), min_size=4, max_size=4), st.sampled_from([1, 2, 0]))
def test_distances_to_segments_are_the_smallest_on_them(ends: list[float], norm: int) -> None:
    """The kernel knows the largest coordinate as norm 0."""
    a, b = np.array(ends[:2]), np.array(ends[2:])
    found = _counting_kernels.distance_to_segment(*a, *b, norm)

    def length(t: float) -> float:
        return float(np.linalg.norm(a + t * (b - a), np.inf if norm == 0 else norm))

    solved = minimize_scalar(length, bounds=(0, 1), method="bounded", options={"xatol": 1e-12})
    sampled = min(solved.fun, *(length(t) for t in np.linspace(0, 1, 65)))
    assert found <= sampled + 16 * UNIT_ROUNDOFF
    assert found >= sampled - 1e-5


@pytest.mark.slow
@cases(8)
@given(st.integers(0, 10**6), st.floats(0.01, 1.5))
def test_counts_grow_with_the_ball_and_do_not_depend_on_company(seed: int, radius: float) -> None:
    partition = compute_partition(mlp(2, 6, 5, 1, seed=seed), square())
    points = np.random.default_rng(seed).uniform(-1, 1, (20, 2))
    found, larger = partition.counts_around(points, radius), partition.counts_around(points, 1.5 * radius)
    alone = [partition.counts_around(points[[i]], radius).n_cells[0] for i in range(20)]
    assert found.n_cells.tolist() == alone
    for name in ("n_cells", "n_regions", "n_vertices"):
        assert (getattr(found, name) <= getattr(larger, name)).all()
    assert (found.n_cells >= 1).all()
    assert (found.n_regions <= found.n_cells).all()


def test_far_from_the_origin_and_off_the_grid() -> None:
    """A point outside, farther from the domain than it is wide; a triangle as domain."""
    plane = Slice.from_basis(np.zeros(2), np.eye(2), [[100.0, 0], [101, 0], [100, 1]])
    partition = compute_partition(nn.Linear(2, 1).eval(), plane)
    found = partition.counts_around([[0.0, 0.0], [0.0, 0.0], [101.0, 1.0]], [99.9, 100.1, 0.8])
    assert found.n_cells.tolist() == [0, 1, 1]
    assert found.areas[0] == 0
    assert found.areas[1] > 0


@pytest.mark.parametrize("norm", [1, 2, np.inf])
def test_a_ball_outside_has_no_area(partition: Partition, norm: float) -> None:
    """Beside the sides and the corners of the domain, near and far: not even that of a rounding error."""
    angles = np.linspace(0, 2 * np.pi, 100)
    size = float(np.abs(partition.plane.domain).max())
    points = np.concatenate([share * size * np.stack([np.cos(angles), np.sin(angles)], axis=1) for share in (2.9, 20, 3e5)])
    found = partition.counts_around(points, 0.4 * size, norm)
    assert not found.n_cells.any()
    assert not found.areas.any()
    assert np.isnan(found.densities).all()


def test_from_a_file_and_from_tensors(partition: Partition, tmp_path: Path) -> None:
    path = tmp_path / "p.npz"
    partition.save(path)
    points, _ = points_and_radii()
    found = load_partition(path).counts_around(torch.from_numpy(points).float(), 0.25)
    expected = partition.counts_around(points.astype(np.float32), 0.25)
    np.testing.assert_array_equal(found.n_cells, expected.n_cells)
    np.testing.assert_array_equal(found.areas, expected.areas)


def test_no_points(partition: Partition) -> None:
    found = partition.counts_around([], 1.0)
    assert found.n_cells.shape == found.densities.shape == (0,)


@pytest.mark.parametrize(("arguments", "message"), [
    (([0.0, 1.0], 1), r"^points: expected slice coordinates of shape \(n, 2\), got \(2,\)"),
    (([[0.0, np.nan]], 1), r"^points: expected finite numbers, got NaN"),
    (([[0.0, 1.0]], -1.0), r"^radius: expected a number that is not negative, or one for each of 1 points, got -1.0"),
    (([[0.0, 1.0]], [1.0, 2.0]), r"^radius: expected .* one for each of 1 points, got 2 from 1"),
    (([[0.0, 1.0]], np.inf), r"^radius: expected finite numbers, got infinity"),
    (([[0.0, 1.0]], 1, 3), r"^norm: expected 1, 2 or inf, got 3"),
])
def test_refuses_what_makes_no_sense(partition: Partition, arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        partition.counts_around(*arguments)


@pytest.mark.parametrize(("arguments", "text"), [
    (([[0.0, 0.0]], 1e200), "radius: expected numbers up to 1e\\+150, or areas overflow, got 1e\\+200"),
    (([[1e200, 0.0]], 1.0), "points: expected numbers up to 1e\\+150"),
    (([[0.0, 0.0]], []), "radius: expected a number that is not negative, or one for each of 1 points"),
    (([[0.0, 0.0]], 1.0, np.array([2, 1])), "norm: expected 1, 2 or inf"),
])
def test_other_numbers_are_refused(arguments: tuple[object, ...], text: str) -> None:
    partition = compute_partition(torch.nn.ReLU().eval(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
    with pytest.raises(ValueError, match=text):
        partition.counts_around(*arguments)
