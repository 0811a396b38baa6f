"""What a partition says of a network: areas, affine maps, values, places, patterns, regions."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from oracle import UNIT_ROUNDOFF, assert_consistent, exact_cells, mlp, preactivations_at, square
from splinecam_widget.engine.compute import compute_partition
from splinecam_widget.engine.partition import Partition
from splinecam_widget.engine.slices import Slice, rectangle

ROUNDINGS = 4096 * UNIT_ROUNDOFF
"""Relative to the largest value: no output here sums more than 4096 terms over all its layers."""


def image_net() -> nn.Sequential:
    """A float32 CNN with batch norms, as users have them."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(2),
        nn.Conv2d(4, 4, 3, stride=2, padding=1), nn.LeakyReLU(0.1), nn.Flatten(), nn.Linear(16, 3),
    )
    net(torch.randn(16, 1, 8, 8) + 1)
    return net.eval()


@pytest.fixture(scope="module")
def cnn() -> nn.Sequential:
    return image_net()


@pytest.fixture(scope="module")
def image_partition(cnn: nn.Sequential) -> Partition:
    x1, x2, x3 = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    return compute_partition(cnn, Slice.through(x1, x2, x3))


@pytest.fixture(scope="module")
def partition() -> Partition:
    return compute_partition(mlp(2, 16, 16, 3, seed=4), square())


def quadrants() -> Partition:
    """relu(x), relu(y): four square cells with the affine maps (0, 0), (x, 0), (0, y), (x, y)."""
    return compute_partition(nn.ReLU().eval(), square())


@pytest.mark.slow
def test_a_cnn_has_a_consistent_partition(image_partition: Partition) -> None:
    assert_consistent(image_partition)
    assert image_partition.n_cells > 100


def test_values_are_those_of_the_users_model(cnn: nn.Sequential, image_partition: Partition) -> None:
    x = torch.from_numpy(image_partition.plane.to_input(image_partition.vertices))
    with torch.no_grad():
        expected = copy.deepcopy(cnn).double()(x).numpy()
    assert image_partition.values.shape == (len(image_partition.vertices), 3)
    np.testing.assert_allclose(image_partition.values, expected, rtol=0, atol=ROUNDINGS * np.abs(expected).max())


def test_affine_maps_are_the_jacobians_of_the_users_model(cnn: nn.Sequential, image_partition: Partition) -> None:
    """Reverse-mode derivatives of a float64 copy, taken in input space and projected on the slice."""
    p = image_partition
    A, b = p.affine_maps()
    assert A.shape == (p.n_cells, 3, 2)
    assert b.shape == (p.n_cells, 3)
    model = copy.deepcopy(cnn).double()
    chosen = np.random.default_rng(0).choice(p.n_cells, 12, replace=False)
    basis = torch.from_numpy(p.plane.basis)
    for c in chosen:
        x = torch.from_numpy(p.plane.to_input(p.centroids[c]))[None]
        jacobian = torch.autograd.functional.jacobian(lambda v: model(v)[0], x)[:, 0]
        expected = torch.einsum("k...,i...->ki", jacobian, basis).numpy()
        np.testing.assert_allclose(A[c], expected, rtol=0, atol=ROUNDINGS * np.abs(expected).max())
        with torch.no_grad():
            outputs = model(x)[0].numpy()
        found = A[c] @ p.centroids[c] + b[c]
        np.testing.assert_allclose(found, outputs, rtol=0, atol=ROUNDINGS * np.abs(outputs).max())


def test_the_affine_map_of_a_cell_holds_on_all_of_it(cnn: nn.Sequential, image_partition: Partition) -> None:
    p = image_partition
    A, b = p.affine_maps()
    u = np.random.default_rng(1).uniform(p.vertices.min(axis=0), p.vertices.max(axis=0), size=(500, 2))
    cells = p.locate(u)
    with torch.no_grad():
        expected = copy.deepcopy(cnn).double()(torch.from_numpy(p.plane.to_input(u))).numpy()
    found = np.einsum("nki,ni->nk", A[cells], u) + b[cells]
    np.testing.assert_allclose(found, expected, rtol=0, atol=ROUNDINGS * np.abs(expected).max())


def test_maps_agree_with_rational_arithmetic() -> None:
    net = mlp(2, 5, 4, 2, seed=3)
    p = compute_partition(net, square())
    A, b = p.affine_maps()
    for cell in exact_cells(net, square()):
        (c,) = p.locate([[float(v) for v in cell.middle]])
        for k, form in enumerate(cell.outputs):
            np.testing.assert_allclose([*A[c, k], b[c, k]], [float(v) for v in form], rtol=0, atol=ROUNDINGS)


def test_slopes_are_the_gradients_of_the_affine_maps(partition: Partition) -> None:
    """From values at vertices: off by their rounding over the width of the cell, which its area bounds from below."""
    A, _ = partition.affine_maps()
    error = 8 * partition.tolerance.max() * np.ptp(partition.vertices) / partition.areas
    assert (np.abs(partition.slopes - A).max(axis=(1, 2)) <= error).all()


def test_slope_norms_are_spectral_norms(partition: Partition) -> None:
    """The Gram matrix squares the slope, so small singular values lose digits and the largest does not."""
    expected = np.linalg.norm(partition.slopes, ord=2, axis=(1, 2))
    np.testing.assert_allclose(partition.slope_norms, expected, rtol=0, atol=64 * UNIT_ROUNDOFF * expected.max())


def test_areas_and_centroids_of_squares() -> None:
    p = quadrants()
    np.testing.assert_allclose(p.areas, 1, rtol=4 * UNIT_ROUNDOFF)
    np.testing.assert_allclose(np.abs(p.centroids), 0.5, rtol=4 * UNIT_ROUNDOFF)


def test_areas_are_those_of_rational_arithmetic() -> None:
    net = mlp(2, 5, 4, 1, seed=3)
    p = compute_partition(net, square())
    exact = sorted(float(cell.area) for cell in exact_cells(net, square()))
    np.testing.assert_allclose(np.sort(p.areas), exact, rtol=0, atol=ROUNDINGS)


def test_areas_of_tiny_cells_keep_their_digits() -> None:
    """The shoelace formula of absolute coordinates would lose all digits of 1e-12, a million away from zero."""
    size = 2.0**-20
    p = compute_partition(nn.ReLU().eval(), square().with_domain(rectangle(2.0**20, 2.0**20 + size, -size, size)))
    np.testing.assert_allclose(p.areas, size * size, rtol=4 * UNIT_ROUNDOFF)


class TestLocate:
    """Which cell a point lies in."""

    def test_finds_the_cells_by_their_affine_maps(self, partition: Partition) -> None:
        u = np.random.default_rng(0).uniform(-1, 1, size=(20, 50, 2))
        cells = partition.locate(u)
        assert cells.shape == (20, 50)
        here, there = partition.patterns(u.reshape(-1, 2)), partition.patterns(cells.ravel())
        for a, b in zip(here, there):
            np.testing.assert_array_equal(a, b)

    def test_gives_the_lowest_cell_on_vertices(self, partition: Partition) -> None:
        """Every vertex is a corner of the cell found there, or nearer to it than rounding."""
        cells = partition.locate(partition.vertices)
        for v in range(0, len(partition.vertices), 7):
            loops = [c for c in range(partition.n_cells) if v in loop(partition, c)]
            assert cells[v] in loops

    def test_gives_a_cell_beside_the_edge_on_edges(self, partition: Partition) -> None:
        """By rounding, a point on an edge may lie outside of both of its cells; it is found all the same."""
        for t in (0.5, 0.3, 0.9):
            a, b = partition.vertices[partition.edges[:, 0]], partition.vertices[partition.edges[:, 1]]
            cells = partition.locate(a + t * (b - a))
            assert (cells[:, None] == partition.edge_cells).any(axis=1).all()

    def test_finds_nothing_outside(self, partition: Partition) -> None:
        outside = [[1.001, 0], [-1.001, 0], [0, 1.5], [0, -7], [1e300, 0], [np.inf, 0], [np.nan, 0]]
        np.testing.assert_array_equal(partition.locate(outside), -1)

    def test_finds_nothing_beside_a_triangle(self) -> None:
        p = compute_partition(nn.ReLU().eval(), square().with_domain([[-1, -1], [1, -1], [-1, 1]]))
        np.testing.assert_array_equal(p.locate([[0.5, 0.5], [0.01, 0.01]]), -1)

    def test_takes_one_point_and_none(self, partition: Partition) -> None:
        assert partition.locate([0.1, 0.2]).shape == ()
        assert partition.locate(np.empty((0, 2))).shape == (0,)

    def test_refuses_other_shapes(self, partition: Partition) -> None:
        with pytest.raises(ValueError, match=r"^u: expected slice coordinates of shape \(\.\.\., 2\), got \(3,\)"):
            partition.locate([1.0, 2.0, 3.0])


def loop(partition: Partition, cell: int) -> list[int]:
    return partition.cell_vertices[partition.cell_offsets[cell]:partition.cell_offsets[cell + 1]].tolist()


class TestPatterns:
    """Which units are on."""

    def test_of_points_are_the_signs_of_the_pre_activations(self, partition: Partition) -> None:
        u = np.random.default_rng(0).uniform(-1, 1, size=(30, 2))
        patterns = partition.patterns(u)
        assert [p.shape for p in patterns] == [(30, 16), (30, 16)]
        assert all(p.dtype == bool for p in patterns)
        for on, z in zip(patterns, preactivations_at(partition, torch.from_numpy(u))):
            np.testing.assert_array_equal(on, z > 0)

    def test_differ_between_any_two_cells(self, partition: Partition) -> None:
        rows = np.concatenate(partition.patterns(np.arange(partition.n_cells)), axis=1)
        assert len(np.unique(rows, axis=0)) == partition.n_cells

    def test_differ_across_an_edge_in_its_unit(self, partition: Partition) -> None:
        patterns = partition.patterns(np.arange(partition.n_cells))
        inner = np.flatnonzero((partition.edge_cells >= 0).all(axis=1))
        for e in inner:
            left, right = partition.edge_cells[e]
            layer, unit = partition.edge_layer[e], partition.edge_unit[e]
            assert patterns[layer][left, unit] != patterns[layer][right, unit]

    def test_hashes_tell_patterns_apart(self, partition: Partition) -> None:
        assert len(np.unique(partition.planar.cell_hashes)) == partition.n_cells

    def test_refuse_cells_that_do_not_exist(self, partition: Partition) -> None:
        n = partition.n_cells
        with pytest.raises(ValueError, match=rf"^where: expected cell ids from 0 to {n - 1}, got 0 to {n}"):
            partition.patterns([0, n])
        with pytest.raises(ValueError, match=r"^where: expected cell ids .*, got -1 to 0"):
            partition.patterns([0, -1])

    def test_refuse_other_shapes(self, partition: Partition) -> None:
        text = r"^where: expected cell ids \(n,\) or points \(n, 2\), got shape \(2, 3\)"
        with pytest.raises(ValueError, match=text):
            partition.patterns(np.zeros((2, 3)))

    def test_refuse_points_outside_the_domain(self, partition: Partition) -> None:
        corner = partition.plane.domain[0]
        partition.patterns([corner])
        with pytest.raises(ValueError, match=r"^where: expected points of the domain, got 1 of 2 outside, the first at"):
            partition.patterns([corner, 1.5 * corner])


class TestRegions:
    """Linear regions: neighbours with the same affine map, merged."""

    def test_are_as_many_as_cells_when_all_kinks_show(self, partition: Partition) -> None:
        """All outputs depend on all units of random weights; maps coincide only where all units of a layer are off."""
        A, b = partition.affine_maps()
        maps = np.concatenate([A.reshape(len(A), -1), b], axis=1)
        inner = partition.edge_cells[(partition.edge_cells >= 0).all(axis=1)]
        same = np.abs(maps[inner[:, 0]] - maps[inner[:, 1]]).max(axis=1) <= ROUNDINGS * np.abs(maps).max()
        assert partition.n_regions == partition.n_cells - int(same.sum())

    def test_a_unit_without_outgoing_weight_bends_nothing(self) -> None:
        net = mlp(2, 2, 1, seed=1)
        with torch.no_grad():
            net[0].weight.copy_(torch.eye(2))
            net[0].bias.zero_()
            net[2].weight.copy_(torch.tensor([[1.0, 0.0]]))
        p = compute_partition(net, square())
        assert (p.n_cells, p.n_regions) == (4, 2)
        left, above, right, below = p.region_ids[p.locate([[-0.5, -0.5], [-0.5, 0.5], [0.5, 0.5], [0.5, -0.5]])]
        assert left == above != right == below

    def test_no_outgoing_weight_at_all_leaves_one(self) -> None:
        net = mlp(2, 6, 6, 1, seed=1)
        with torch.no_grad():
            net[4].weight.zero_()
        p = compute_partition(net, square())
        assert p.n_cells > 4
        assert p.n_regions == 1
        assert not p.region_ids.any()

    def test_opposite_units_may_cancel(self) -> None:
        """relu(z) - relu(-z) = z: two cells, one region."""
        net = mlp(2, 2, 1, seed=0)
        with torch.no_grad():
            net[0].weight.copy_(torch.tensor([[0.3, 0.7], [-0.3, -0.7]]))
            net[0].bias.copy_(torch.tensor([0.1, -0.1]))
            net[2].weight.copy_(torch.tensor([[1.0, -1.0]]))
        p = compute_partition(net, square())
        assert (p.n_cells, p.n_regions) == (2, 1)

    def test_cells_with_the_same_map_that_do_not_touch_stay_apart(self) -> None:
        """The hat relu(x + 1/2) - 2 relu(x) + relu(x - 1/2) is zero on both of its sides."""
        net = mlp(2, 3, 1, seed=0)
        with torch.no_grad():
            net[0].weight.copy_(torch.tensor([[1.0, 0], [1.0, 0], [1.0, 0]]))
            net[0].bias.copy_(torch.tensor([0.5, 0.0, -0.5]))
            net[2].weight.copy_(torch.tensor([[1.0, -2.0, 1.0]]))
            net[2].bias.zero_()
        p = compute_partition(net, square())
        A, b = p.affine_maps()
        assert int((np.abs(A).max(axis=(1, 2)) + np.abs(b).max(axis=1) == 0).sum()) == 2
        assert (p.n_cells, p.n_regions) == (4, 4)


def test_anchors_may_change_without_anything_else() -> None:
    x1, x2, x3 = np.eye(3)
    plane = Slice.through(x1, x2, x3)
    p = compute_partition(mlp(3, 5, 2), plane)
    moved = plane.with_anchors([[0, 0], [1, 0], [0, 2]])
    q = p.with_anchors_of(moved)
    assert q.plane is moved
    assert q.vertices is p.vertices
    assert p.plane is plane


class TestIds:
    """Cells asked for by number."""

    partition = compute_partition(nn.ReLU().eval(), Slice.from_basis([0.0, 0.0], torch.eye(2)))

    @pytest.mark.parametrize("cells", [[-1], [4], [0.5], "a"])
    def test_affine_maps_of_others_are_refused(self, cells: object) -> None:
        with pytest.raises(ValueError, match=r"cells: expected"):
            self.partition.affine_maps(cells)

    def test_affine_maps_of_one_and_of_none(self) -> None:
        assert self.partition.affine_maps(2)[0].shape == (1, 2, 2)
        assert self.partition.affine_maps([])[0].shape == (0, 2, 2)

    def test_patterns_at_points_that_ask_for_gradients(self) -> None:
        found = self.partition.patterns(torch.tensor([[0.5, -0.5]], requires_grad=True))
        assert found[0].tolist() == [[True, False]]
