"""Measures of cells and linear regions against closed forms, shapely, linear programmes, sampling and the network itself."""

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
from scipy.optimize import linprog
from torch import nn

from cases import cases
from oracle import UNIT_ROUNDOFF, exact_cells, loops_of, mlp, square
from splinecam_widget import Slice, compute_partition, load_partition
from splinecam_widget.engine.partition import Partition
from splinecam_widget.engine.slices import rectangle

CLOSE = 2.0**10 * UNIT_ROUNDOFF
"""Relative: a measure is a sum of some dozen products, and cells of these nets have at most as many corners."""


def lines_net(*lines: tuple[float, float, float], weights: list[float] | None = None) -> nn.Sequential:
    """A ReLU layer with these zero lines a x + b y + c, summed (or with `weights`) into one output."""
    net = nn.Sequential(nn.Linear(2, len(lines)), nn.ReLU(), nn.Linear(len(lines), 1)).double().eval()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([line[:2] for line in lines], dtype=torch.float64))
        net[0].bias.copy_(torch.tensor([line[2] for line in lines], dtype=torch.float64))
        net[2].weight.copy_(torch.tensor([weights or [1.0] * len(lines)]))
        net[2].bias.zero_()
    return net


def polygons_of(partition: Any) -> list[shapely.Polygon]:
    return [shapely.Polygon(partition.vertices[loop]) for loop in loops_of(partition)]


@pytest.fixture(scope="module")
def partition() -> Partition:
    """Of a random classifier of which all classes win somewhere."""
    net = mlp(2, 12, 12, 3, seed=3)
    with torch.no_grad():
        grid = torch.from_numpy(np.random.default_rng(0).uniform(-2, 2, (500, 2)))
        net[-1].bias -= net(grid).mean(0)
    return compute_partition(net, square(2))


class TestClosedForms:
    """Rectangles, triangles and regular polygons."""

    def test_a_rectangle(self) -> None:
        """Sides a and b: second moments a^3 b / 12 and a b^3 / 12, eccentricity sqrt(1 - b^2 / a^2), inradius b / 2."""
        a, b = 3.0, 0.5
        plane = Slice.from_basis(np.zeros(2), np.eye(2), rectangle(1, 1 + a, 2, 2 + b))
        found = compute_partition(nn.Linear(2, 1).eval(), plane).statistics()
        np.testing.assert_allclose(found.second_moments, [[a**3 * b / 12, 0, a * b**3 / 12]], rtol=CLOSE, atol=CLOSE)
        np.testing.assert_allclose(found.eccentricities, math.sqrt(1 - b * b / a / a), rtol=CLOSE)
        np.testing.assert_allclose(found.inradii, b / 2, rtol=CLOSE)
        np.testing.assert_allclose(found.perimeters, 2 * (a + b), rtol=CLOSE)
        np.testing.assert_allclose(found.vertex_ratios, math.hypot(a, b) / b, rtol=CLOSE)
        np.testing.assert_allclose(found.radius_ratios, 1, rtol=CLOSE)
        assert found.n_vertices.tolist() == found.n_sides.tolist() == [4]
        assert found.is_clipped.tolist() == [True]
        assert found.border_length == 2 * (a + b)

    def test_a_triangle(self) -> None:
        """With sides 3, 4 and 5: inradius 1; far from the origin."""
        corners = np.array([[0.0, 0], [4, 0], [0, 3]]) + 1024
        found = compute_partition(nn.Linear(2, 1).eval(), Slice.from_basis(np.zeros(2), np.eye(2), corners)).statistics()
        np.testing.assert_allclose(found.inradii, 1, rtol=CLOSE)
        np.testing.assert_allclose(found.areas, 6, rtol=CLOSE)
        np.testing.assert_allclose(found.vertex_ratios, 5 / 3, rtol=CLOSE)
        np.testing.assert_allclose(found.centroids, [[1024 + 4 / 3, 1025]], rtol=CLOSE)
        # About the centroid: b h^3 / 36, h b^3 / 36 and - b^2 h^2 / 72.
        np.testing.assert_allclose(found.second_moments, [[16 * 12 / 36, -144 / 72, 27 * 4 / 36]], rtol=CLOSE)
        np.testing.assert_allclose(found.radius_ratios, math.hypot(8 / 3, 1) / math.hypot(4 / 3, 1), rtol=CLOSE)

    @pytest.mark.parametrize("n", [3, 4, 5, 8, 101, 1000])
    def test_regular_polygons_are_round(self, n: int) -> None:
        angles = 2 * np.pi * np.arange(n) / n + 0.1
        corners = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        found = compute_partition(nn.Linear(2, 1).eval(), Slice.from_basis(np.zeros(2), np.eye(2), corners)).statistics()
        assert found.eccentricities[0] < 2 * math.sqrt(n * CLOSE)
        np.testing.assert_allclose(found.inradii, math.cos(math.pi / n), rtol=n * CLOSE)
        np.testing.assert_allclose(found.radius_ratios, 1, rtol=n * CLOSE)
        np.testing.assert_allclose(found.perimeters, 2 * n * math.sin(math.pi / n), rtol=n * CLOSE)

    def test_lines_parallel_to_the_axes_cut_a_square_into_rectangles(self) -> None:
        cuts = [-0.75, -0.25, 0.5]
        net = lines_net(*[(1.0, 0, -c) for c in cuts], *[(0, 1.0, -c) for c in cuts])
        found = compute_partition(net, square()).statistics()
        widths = np.diff([-1, *cuts, 1])
        expected = np.multiply.outer(widths, widths).ravel()
        np.testing.assert_allclose(np.sort(found.areas), np.sort(expected), rtol=CLOSE)
        shorter = np.minimum.outer(widths, widths).ravel()
        np.testing.assert_allclose(np.sort(found.inradii), np.sort(shorter / 2), rtol=CLOSE)
        np.testing.assert_allclose(found.layer_lengths, [12], rtol=CLOSE)
        np.testing.assert_allclose(found.border_length, 8, rtol=CLOSE)
        assert found.is_clipped.sum() == 12
        assert (found.n_sides == 4).all()

    def test_a_sliver_has_its_shape(self) -> None:
        """1e-9 high: nothing cancels away."""
        found = compute_partition(lines_net((0, 1.0, 0), (0, 1.0, -(2.0**-30))), square()).statistics()
        thin = found.areas.argmin()
        np.testing.assert_allclose(found.inradii[thin], 2.0**-31, rtol=CLOSE)
        np.testing.assert_allclose(found.second_moments[thin], [2 / 3 * 2.0**-30, 0, 2.0**-90 / 6], rtol=CLOSE, atol=0)
        assert found.eccentricities[thin] == 1.0


class TestAgainstLibraries:
    """All cells of a net."""

    def test_areas_perimeters_and_centroids_are_shapelys(self, partition: Partition) -> None:
        found = partition.statistics()
        polygons = polygons_of(partition)
        np.testing.assert_allclose(found.areas, shapely.area(polygons), rtol=0, atol=64 * UNIT_ROUNDOFF)
        np.testing.assert_allclose(found.perimeters, shapely.length(polygons), rtol=CLOSE)
        large = found.areas > 1e-6  # of smaller ones, shapely's own centroid is lost to cancellation
        assert large.sum() > 50
        np.testing.assert_allclose(
            found.centroids[large], [p.centroid.coords[0] for p in np.array(polygons)[large]], rtol=0, atol=1e-9)

    def test_second_moments_are_those_of_a_fine_quadrature(self, partition: Partition) -> None:
        """Cells cut into triangles, with the degree-2 rule of the three midpoints, which is exact for squares."""
        found = partition.statistics()
        for c, loop in enumerate(loops_of(partition)):
            corners = partition.vertices[loop]
            area = 0.0
            total, first = np.zeros(3), np.zeros(2)
            for i in range(1, len(corners) - 1):
                triangle = corners[[0, i, i + 1]]
                part = abs(np.linalg.det(np.stack([triangle[1] - triangle[0], triangle[2] - triangle[0]]))) / 2
                middles = (triangle + np.roll(triangle, -1, axis=0)) / 2 - corners[0]
                total += part / 3 * np.array([(middles[:, 0]**2).sum(), middles.prod(axis=1).sum(), (middles[:, 1]**2).sum()])
                first += part / 3 * middles.sum(axis=0)
                area += part
            mean = first / area
            expected = total - area * np.array([mean[0]**2, mean[0] * mean[1], mean[1]**2])
            width = np.ptp(corners, axis=0).max()
            np.testing.assert_allclose(found.second_moments[c], expected, rtol=0, atol=CLOSE * width**4)
            eigenvalues = np.linalg.eigvalsh([[expected[0], expected[1]], [expected[1], expected[2]]])
            if eigenvalues[0] > 1e-4 * eigenvalues[1]:
                np.testing.assert_allclose(
                    found.eccentricities[c], math.sqrt(1 - eigenvalues[0] / eigenvalues[1]), rtol=1e-6, atol=1e-6)

    def test_inradii_solve_linear_programmes(self, partition: Partition) -> None:
        found = partition.statistics().inradii
        for c in np.random.default_rng(0).choice(partition.n_cells, 60, replace=False):
            start, stop = partition.cell_offsets[c:c + 2]
            corners = partition.vertices[partition.cell_vertices[start:stop]]
            size = np.ptp(corners, axis=0).max()
            corners = (corners - corners[0]) / size
            sides = np.roll(corners, -1, axis=0) - corners
            outward = np.stack([sides[:, 1], -sides[:, 0]], axis=1) / np.linalg.norm(sides, axis=1)[:, None]
            solved = linprog([0, 0, -1], np.column_stack([outward, np.ones(len(corners))]), (outward * corners).sum(axis=1),
                             bounds=[(None, None), (None, None), (0, None)])
            np.testing.assert_allclose(found[c] / size, solved.x[2], rtol=0, atol=1e-9)

    def test_ratios_are_those_of_all_distances(self, partition: Partition) -> None:
        found = partition.statistics()
        for c, loop in enumerate(loops_of(partition)):
            corners = partition.vertices[loop]
            pairs = np.linalg.norm(corners[:, None] - corners, axis=2)[np.triu_indices(len(corners), 1)]
            radii = np.linalg.norm(corners - partition.centroids[c], axis=1)
            np.testing.assert_allclose(found.vertex_ratios[c], pairs.max() / pairs.min(), rtol=CLOSE)
            np.testing.assert_allclose(found.radius_ratios[c], radii.max() / radii.min(), rtol=CLOSE)

    def test_slopes_and_offsets_are_the_networks(self, partition: Partition) -> None:
        found = partition.statistics()
        A, b = partition.affine_maps()
        large = found.inradii > 1e-3  # slopes from values lose digits in proportion to the width
        assert large.sum() > 50
        np.testing.assert_allclose(found.slope_norms[large], np.linalg.norm(A[large], 2, axis=(1, 2)), rtol=0, atol=1e-10)
        np.testing.assert_allclose(found.frobenius_norms[large], np.linalg.norm(A[large], axis=(1, 2)), rtol=0, atol=1e-10)
        np.testing.assert_allclose(found.offsets[large], b[large], rtol=0, atol=1e-10)

    def test_the_slope_norm_is_that_of_the_jacobian_on_the_slice(self) -> None:
        """By autograd at an inner point, on a slice of a larger space."""
        net, plane = mlp(5, 12, 12, 3, seed=1), Slice.around(np.zeros(5), seed=4, radius=2)
        partition = compute_partition(net, plane)
        found = partition.statistics()
        basis = plane.basis.T
        for c in found.areas.argsort()[-10:]:
            x = torch.from_numpy(plane.to_input(partition.centroids[c]))
            jacobian: Any = torch.autograd.functional.jacobian(lambda v: net(v[None])[0], x)
            np.testing.assert_allclose(found.slope_norms[c], np.linalg.norm(jacobian.numpy() @ basis, 2), rtol=1e-9)

    def test_distances_to_the_boundary(self, partition: Partition) -> None:
        boundary = shapely.MultiLineString(list(partition.decision_boundary().points))
        assert len(boundary.geoms) > 10
        np.testing.assert_allclose(
            partition.statistics().boundary_distances, shapely.distance(shapely.points(partition.centroids), boundary),
            rtol=0, atol=64 * UNIT_ROUNDOFF)

    def test_without_a_boundary_it_is_infinitely_far(self) -> None:
        net = lines_net((1.0, 0, 0))
        with torch.no_grad():
            net[2].bias.fill_(1.0)  # one output, everywhere above 0
        found = compute_partition(net, square()).statistics()
        assert np.isposinf(found.boundary_distances).all()
        assert np.isposinf(found.quantiles("boundary_distance", 0.5))


@pytest.fixture(scope="module")
def merged() -> Partition:
    """Nine squares in three rows, which are the regions: kinks at vertical lines have no weight."""
    third = 1 / 3
    return compute_partition(
        lines_net((1.0, 0, third), (1.0, 0, -third), (0, 1.0, third), (0, 1.0, -third), weights=[0.0, 0, 1, 1]), square())


class TestRegions:
    """Cells merged that have one affine map."""

    def test_three_rows(self, merged: Partition) -> None:
        regions = merged.statistics().regions
        assert merged.n_cells == 9
        assert regions.n_cells.tolist() == [3, 3, 3]
        np.testing.assert_allclose(regions.areas, 4 / 3, rtol=CLOSE)
        np.testing.assert_allclose(regions.perimeters, 4 + 4 / 3, rtol=CLOSE)
        np.testing.assert_allclose(regions.eccentricities, math.sqrt(8) / 3, rtol=CLOSE)  # sides 2 and 2/3
        np.testing.assert_allclose(np.sort(regions.centroids[:, 1]), [-2 / 3, 0, 2 / 3], rtol=0, atol=CLOSE)
        np.testing.assert_allclose(np.sort(regions.slope_norms), [0, 1, 2], rtol=CLOSE, atol=CLOSE)
        np.testing.assert_allclose(np.sort(regions.frobenius_norms), [0, 1, 2], rtol=CLOSE, atol=CLOSE)
        np.testing.assert_allclose(np.sort(regions.offsets[:, 0]), [0, 0, 1 / 3], rtol=CLOSE, atol=CLOSE)
        assert regions.is_clipped.all()
        np.testing.assert_allclose(regions.inradii, 1 / 3, rtol=1e-8)
        assert regions.n_vertices.tolist() == [8, 8, 8]  # corners, and where lines between cells end
        np.testing.assert_allclose(regions.vertex_ratios, math.hypot(2, 2 / 3) / (2 / 3), rtol=CLOSE)
        np.testing.assert_allclose(regions.radius_ratios, math.hypot(1, 1 / 3) / math.hypot(1 / 3, 1 / 3), rtol=CLOSE)
        distances = merged.distance_to_boundary(regions.centroids).distance
        np.testing.assert_allclose(regions.boundary_distances, distances, rtol=CLOSE)

    def test_a_region_with_a_hole_has_both_its_borders(self) -> None:
        """A tent over the middle of the square, cut off at zero: the floor around it is one region."""
        sides = ((1.0, 0, -0.5), (-1.0, 0, -0.5), (0, 1.0, -0.5), (0, -1.0, -0.5))
        tent = nn.Sequential(*lines_net(*sides)[:2], nn.Linear(4, 1), nn.ReLU()).double().eval()
        with torch.no_grad():
            tent[2].weight.fill_(-1.0)
            tent[2].bias.fill_(2.0**-10)
        framed = compute_partition(tent, square())
        regions = framed.statistics().regions
        outside = regions.is_clipped.argmax()
        assert regions.is_clipped.sum() == 1
        floor = shapely.union_all([polygon for polygon, r in zip(polygons_of(framed), framed.region_ids) if r == outside])
        assert len(floor.interiors) == 1
        np.testing.assert_allclose(regions.perimeters[outside], floor.length, rtol=1e-12)
        np.testing.assert_allclose(regions.areas[outside], floor.area, rtol=1e-12)
        grid = np.linspace(-1, 1, 201)
        places = shapely.points(*(axis.ravel() for axis in np.meshgrid(grid, grid)))
        sampled = shapely.distance(places[shapely.contains(floor, places)], floor.boundary).max()
        assert sampled - 1e-9 <= regions.inradii[outside] <= sampled + 0.01 * math.sqrt(0.5) + 1e-9
        border = shapely.MultiPoint(framed.vertices[framed.cell_vertices]).intersection(floor.boundary.buffer(1e-9))
        assert regions.n_vertices[outside] == len(shapely.union_all(shapely.set_precision(border, 1e-9)).geoms)

    @cases(6)
    @given(st.integers(0, 10_000))
    def test_inner_circles_of_random_regions(self, seed: int) -> None:
        """Against the farthest from the border of some places within; half of the lines change nothing."""
        net = mlp(2, 10, 6, 1, seed=seed)
        with torch.no_grad():
            net[2].weight[:, ::2] = 0.0
        partition = compute_partition(net, square())
        regions = partition.statistics().regions
        assert (regions.n_cells > 1).any()
        polygons = np.array(polygons_of(partition))
        for r in np.flatnonzero(regions.areas > 1e-6):
            union = shapely.union_all(polygons[partition.region_ids == r])
            left, bottom, right, top = union.bounds
            x, y = np.meshgrid(np.linspace(left, right, 60), np.linspace(bottom, top, 60))
            places = shapely.points(x.ravel(), y.ravel())
            sampled = shapely.distance(places[shapely.contains(union, places)], union.boundary).max(initial=0.0)
            step = math.hypot(right - left, top - bottom) / 59
            assert sampled - 1e-8 <= regions.inradii[r] <= sampled + step

    def test_active_units_are_those_of_the_largest_cell(self, merged: Partition) -> None:
        found = merged.statistics()
        for r, active in enumerate(found.regions.n_active):
            cells = np.flatnonzero(merged.region_ids == r)
            largest = cells[merged.areas[cells].argmax()]
            assert active.tolist() == [pattern.sum() for pattern in merged.patterns(largest[None])]

    def test_second_moments_are_those_of_the_union(self, merged: Partition) -> None:
        found = merged.statistics()
        for r in range(3):
            polygon = shapely.union_all([p for p, i in zip(polygons_of(merged), merged.region_ids) if i == r])
            low_x, low_y, high_x, high_y = polygon.bounds
            a, b = high_x - low_x, high_y - low_y
            np.testing.assert_allclose(
                found.regions.second_moments[r], [a**3 * b / 12, 0, a * b**3 / 12], rtol=CLOSE, atol=CLOSE)

    def test_areas_sum_to_the_domain(self, merged: Partition, partition: Partition) -> None:
        for one in (merged, partition):
            found = one.statistics()
            np.testing.assert_allclose(found.areas.sum(), found.area, rtol=1e-9)
            np.testing.assert_allclose(found.regions.areas.sum(), found.area, rtol=1e-9)
            assert found.regions.n_cells.sum() == one.n_cells


class TestSides:
    """Vertices that are no corners."""

    def test_of_random_nets_there_are_as_many_as_exact_corners(self) -> None:
        for seed in range(4):
            net = mlp(2, 4, 4, 1, seed=seed)
            partition = compute_partition(net, square())
            cells = exact_cells(net, square())
            ids = partition.locate([[float(c) for c in cell.middle] for cell in cells])
            assert partition.statistics().n_sides[ids].tolist() == [len(cell.corners) for cell in cells]

    def test_a_vertex_inside_a_side_is_no_corner(self) -> None:
        """By hand: the square cut by x = 0 (unit 0), its right half by y = 0 (unit 1 of the next layer)."""
        found = with_a_stub().statistics()
        assert found.n_vertices.tolist() == [5, 4, 4]
        assert found.n_sides.tolist() == [4, 4, 4]

    def test_a_corner_at_which_three_edges_of_a_unit_meet_is_one(self) -> None:
        """The same, but all edges are ties of one window."""
        found = with_a_stub(second=(0, 0)).statistics()
        assert found.n_sides.tolist() == [5, 4, 4]

    def test_the_largest_of_three_meets_in_corners(self) -> None:
        """Logits at 120 degrees: three cells, all edges of one unit, and at the middle each of them has a corner."""

        class Largest(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                angles = torch.arange(3, dtype=x.dtype) * (2 * math.pi / 3) + 0.1
                return (x @ torch.stack([angles.cos(), angles.sin()])).amax(1, keepdim=True)

        partition = compute_partition(Largest().eval(), square())
        found = partition.statistics()
        assert partition.n_cells == 3
        assert found.n_sides.sum() == found.n_vertices.sum()

    def test_the_domains_corners_are_corners(self) -> None:
        triangle = Slice.from_basis(np.zeros(2), np.eye(2), [[0.0, 0], [1, 0], [0, 1]])
        assert compute_partition(nn.Linear(2, 1).eval(), triangle).statistics().n_sides.tolist() == [3]


def with_a_stub(second: tuple[int, int] = (1, 1)) -> Any:
    """Three rectangles: a left half of a square, and a right half cut along y = 0 by a unit `second` (layer, unit)."""
    from splinecam_widget.engine.planar import PlanarComplex

    partition = compute_partition(lines_net((1.0, 0, 0)), square())
    points = np.array([[-1.0, -1], [0, -1], [1, -1], [1, 0], [1, 1], [0, 1], [-1, 1], [0, 0]])
    edges = [[0, 1], [1, 2], [2, 3], [3, 4], [4, 5], [5, 6], [6, 0], [1, 7], [7, 5], [7, 3]]
    layers, units = [-1] * 7 + [0, 0, second[0]], [-1] * 7 + [0, 0, second[1]]
    loops = [[0, 1, 7, 5, 6], [1, 2, 3, 7], [7, 3, 4, 5]]
    sides = [[0, 7, 8, 5, 6], [1, 2, 9, 7], [9, 3, 4, 8]]
    planar = PlanarComplex(
        points, np.array(edges, np.int32), np.array(layers, np.int32), np.array(units, np.int32),
        np.cumsum([0, 5, 4, 4]), np.concatenate(loops).astype(np.int32), np.concatenate(sides).astype(np.int32),
        np.arange(3, dtype=np.uint64))
    values = np.maximum(points[:, :1], 0)
    return Partition(partition.plane, planar, values, np.zeros(1), network=partition.network)


@pytest.mark.slow
@cases(5)
@given(st.integers(0, 10**6), st.floats(0.25, 4), st.floats(0, 6.28))
def test_turning_and_scaling_the_slice_does_what_it_must(seed: int, scale: float, angle: float) -> None:
    """Lengths grow by s, areas by s^2, moments by s^4; shapes stay."""
    net = mlp(2, 6, 6, 2, seed=seed)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    moved = mlp(2, 6, 6, 2, seed=seed)
    with torch.no_grad():  # the picture of the first net, larger by s and seen from a turned basis
        moved[0].weight.div_(scale)
    corners = square().domain
    first = compute_partition(net, square())
    second = compute_partition(moved, Slice.from_basis(np.zeros(2), turn, scale * corners @ turn.T))
    assert first.n_cells == second.n_cells
    a, b = first.statistics(), second.statistics()
    order = second.locate(scale * first.centroids @ turn.T)
    size = scale * 2
    np.testing.assert_allclose(b.areas[order], scale**2 * a.areas, rtol=0, atol=1e-9 * size**2)
    np.testing.assert_allclose(b.perimeters[order], scale * a.perimeters, rtol=0, atol=1e-9 * size)
    np.testing.assert_allclose(b.inradii[order], scale * a.inradii, rtol=0, atol=1e-9 * size)
    large = a.inradii > 1e-3
    np.testing.assert_allclose(b.eccentricities[order][large], a.eccentricities[large], rtol=0, atol=1e-5)
    np.testing.assert_allclose(b.slope_norms[order][large], a.slope_norms[large] / scale, rtol=1e-7)
    np.testing.assert_allclose(b.regions.areas.sum(), scale**2 * a.regions.areas.sum(), rtol=1e-9)
    assert a.n_sides.tolist() == b.n_sides[order].tolist()
    assert a.n_active.tolist() == b.n_active[order].tolist()


@pytest.mark.slow
@cases(10)
@given(st.integers(0, 10**6))
def test_what_is_true_of_all_shapes(seed: int) -> None:
    """Bounds between measures of one convex cell, and sums over all."""
    partition = compute_partition(mlp(2, 8, 5, 2, seed=seed), square())
    found = partition.statistics()
    slack = 1 + 1e-9
    assert (math.pi * found.inradii**2 <= found.areas * slack).all()
    # A convex cell lies within the inradius of its sides: area <= r P, and r P <= 2 area.
    assert (found.areas <= found.inradii * found.perimeters * slack).all()
    assert (found.inradii * found.perimeters <= 2 * found.areas * slack + 1e-15).all()
    assert (4 * math.pi * found.areas <= found.perimeters**2 * slack).all()
    assert ((found.eccentricities >= 0) & (found.eccentricities <= 1)).all()
    assert (found.vertex_ratios >= 1).all()
    assert (found.n_sides >= 3).all()
    assert (found.n_sides <= found.n_vertices).all()
    np.testing.assert_allclose(found.areas.sum(), 4, rtol=1e-9)
    np.testing.assert_allclose(found.regions.areas.sum(), 4, rtol=1e-9)
    np.testing.assert_allclose(found.border_length, 8, rtol=1e-9)
    # Every inner edge is a side of two cells.
    np.testing.assert_allclose(found.perimeters.sum(), 2 * found.layer_lengths.sum() + found.border_length, rtol=1e-9)
    assert (found.frobenius_norms >= found.slope_norms * (1 - 1e-12)).all()


class TestWithoutTheNetwork:
    """From a file."""

    def test_all_but_active_units_is_there(self, partition: Partition, tmp_path: Path) -> None:
        path = tmp_path / "p.npz"
        partition.save(path)
        found, expected = load_partition(path).statistics(), partition.statistics()
        for name in ("areas", "perimeters", "inradii", "eccentricities", "vertex_ratios", "offsets", "boundary_distances",
                     "n_sides", "layer_lengths", "is_clipped"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        assert found.summary == expected.summary
        with pytest.raises(ValueError, match=r"^n_active: expected a partition with its network, got one from arrays alone"):
            _ = found.n_active

    def test_layers_that_made_no_edge_have_length_zero(self) -> None:
        net = nn.Sequential(mlp(2, 4, 2), nn.ReLU(), nn.Linear(2, 1).double()).eval()
        with torch.no_grad():
            net[0][-1].bias.fill_(100.0)
        lengths = compute_partition(net, square()).statistics().layer_lengths
        assert lengths.shape == (2,)
        assert lengths[0] > 0
        assert lengths[1] == 0
