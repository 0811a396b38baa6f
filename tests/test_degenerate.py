"""Geometry that random nets never have: coincidences, extreme scales, and places where float64 runs out of digits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from oracle import assert_consistent, assert_same_cells, by_one_and_by_three_threads, exact_cells, mlp, square
from splinecam_widget.engine import splitting, threads
from splinecam_widget.engine._cell_measures import areas_and_centroids
from splinecam_widget.engine.compute import compute_partition
from splinecam_widget.engine.explorer import Explorer
from splinecam_widget.engine.partition import Partition
from splinecam_widget.engine.slices import Slice, rectangle
from test_compute import DEGENERATE, lines


def integer_net(*widths: int, seed: int, bias: bool, step: float = 1.0) -> nn.Sequential:
    """Weights are small multiples of a power of two."""
    net = mlp(*widths, bias=bias)
    numbers = np.random.default_rng(seed)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.from_numpy(step * numbers.integers(-2, 3, tuple(p.shape))))
    return net


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("step", [1.0, 0.5])
def test_integer_nets_have_the_cells_of_rational_arithmetic(seed: int, bias: bool, step: float) -> None:
    net = integer_net(2, 5, 4, 2, seed=seed, bias=bias, step=step)
    partition = compute_partition(net, square())
    assert_consistent(partition)
    assert_same_cells(partition, exact_cells(net, square()))


def test_without_biases_all_first_lines_meet_at_the_origin() -> None:
    """n lines through one point make 2 n cells; a domain with the origin as its corner sees those of one quadrant."""
    net = mlp(2, 9, 1, bias=False)
    partition = compute_partition(net, square())
    assert partition.n_cells == 18
    assert len(partition.vertices) == 4 + 18 + 1
    corner = Slice.from_basis(np.zeros(2), np.eye(2), rectangle(0, 1, 0, 1))
    quadrant = compute_partition(net, corner)
    angles = np.arctan2(-net[0].weight[:, 0].detach().numpy(), net[0].weight[:, 1].detach().numpy()) % np.pi
    assert quadrant.n_cells == 1 + int(((angles > 0) & (angles < np.pi / 2)).sum())
    assert_consistent(quadrant)


@pytest.mark.parametrize("factor", [1e-12, 1e12])
def test_the_size_of_weights_does_not_matter(factor: float) -> None:
    """Layers scaled up and down again; outputs scale, cells do not."""
    net = mlp(2, 12, 12, 2)
    expected = compute_partition(net, square())
    with torch.no_grad():
        net[0].weight *= factor
        net[0].bias *= factor
        net[2].bias *= factor
    partition = compute_partition(net, square())
    assert partition.n_cells == expected.n_cells
    np.testing.assert_allclose(np.sort(partition.areas), np.sort(expected.areas), atol=1e-12)
    assert partition.certificate(full=True).is_sound


def test_weights_of_all_sizes_in_one_layer() -> None:
    """A unit's line does not depend on its own scale."""
    net = mlp(2, 12, 12, 2)
    expected = compute_partition(net, square())
    factors = torch.logspace(-12, 12, 12, dtype=torch.float64)
    with torch.no_grad():
        net[0].weight *= factors[:, None]
        net[0].bias *= factors
        net[2].weight /= factors
    partition = compute_partition(net, square())
    assert partition.n_cells == expected.n_cells
    np.testing.assert_allclose(np.sort(partition.areas), np.sort(expected.areas), atol=1e-12)


@pytest.mark.parametrize("half", [1e-9, 1e9])
def test_the_size_of_the_domain_does_not_matter(half: float) -> None:
    net = mlp(2, 12, 12, 2)
    expected = compute_partition(net, square())
    with torch.no_grad():
        net[0].weight /= half
    partition = compute_partition(net, square(half))
    assert partition.n_cells == expected.n_cells
    np.testing.assert_allclose(np.sort(partition.areas) / half**2, np.sort(expected.areas), atol=1e-12)
    assert partition.certificate(full=True).is_sound


def test_zeros_of_either_sign_are_zero() -> None:
    positive, negative = (lines((1, zero, zero), (zero, 1, zero), (zero, zero, zero)) for zero in (0.0, -0.0))
    first, second = (compute_partition(net, square()) for net in (positive, negative))
    assert first.n_cells == second.n_cells == 4
    np.testing.assert_array_equal(first.vertices, second.vertices)


def test_units_that_are_always_on_or_always_off_cut_nothing() -> None:
    net = lines((1, 0.5, 9), (1, 0.5, -9), (0, 0, 1), (0, 0, -1), (0, 0, 0), (0.4, 1, 0.1))
    assert compute_partition(net, square()).n_cells == 2


def test_anchors_may_lie_on_vertices_and_edges() -> None:
    net = mlp(2, 8, 8, 2)
    known = compute_partition(net, square(2.0))
    inner = known.vertices[4:]
    middles = known.vertices[known.edges].mean(axis=1)
    plane = Slice.through(inner[0], inner[5], middles[7], domain=rectangle(-2, 2, -2, 2))
    assert compute_partition(net, plane).n_cells == known.n_cells
    # In a larger space, the slice through three vertices of another slice's picture shows the same cells.
    deep = mlp(5, 8, 8, 2)
    first = Slice.around(np.zeros(5), seed=1)
    seen = compute_partition(deep, first)
    corners = first.to_input(seen.vertices[[5, 9, 12]])
    second = Slice.through(*corners)
    again = second.with_domain(second.to_slice(first.to_input(first.domain)))
    partition = compute_partition(deep, again)
    assert partition.n_cells == seen.n_cells
    np.testing.assert_allclose(np.sort(partition.areas), np.sort(seen.areas), atol=1e-11)
    assert partition.certificate(full=True).is_sound


def test_what_float64_cannot_tell_is_counted_not_hidden() -> None:
    """Two lines at a distance below rounding are one; three lines that miss one another by less meet."""
    close = lines((1, 0.3, 0.1), (1, 0.3, 0.1 + 2.0**-56))
    partition = compute_partition(close, square())
    assert partition.n_cells == 2
    assert partition.certificate().n_close + partition.certificate().n_zero > 0
    far = lines((1, 0.3, 0.1), (1, 0.3, 0.1 + 2.0**-40))
    assert compute_partition(far, square()).n_cells == 3
    certificate = compute_partition(DEGENERATE["three concurrent lines off any grid"][0], square()).certificate(full=True)
    assert certificate.is_sound
    assert certificate.n_close + certificate.n_zero > 0
    clear = compute_partition(lines((1, 0.3, 0.1), (0.2, 1, 0.3)), square()).certificate()
    assert (clear.n_close, clear.n_zero) == (0, 0)


def test_windows_of_equal_entries_have_one_winner() -> None:
    """On slices through flat images, all entries of an inner window are the same function."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(2, 2, 1), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(2, 2)).double().eval()
    ramp = np.zeros((1, 4, 4))
    ramp[0, :2] = 1.0
    plane = Slice.through(np.zeros((1, 4, 4)), np.ones((1, 4, 4)), ramp)
    partition = compute_partition(net, plane)
    assert_consistent(partition)
    assert partition.certificate(full=True).is_sound


def test_cells_as_narrow_as_roundings_are_no_error() -> None:
    """A cell 1e-16 wide, between lines that float64 cannot tell apart, has inner points whose signs cannot be known."""
    torch.manual_seed(179)
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(2, 2, 1), nn.MaxPool2d(2), nn.Flatten()).eval()
    middle = np.pad(np.ones((1, 2, 2)), ((0, 0), (1, 1), (1, 1)))
    partition = compute_partition(net, Slice.through(np.zeros((1, 4, 4)), np.ones((1, 4, 4)), middle))
    assert partition.areas.min() < 1e-20
    assert partition.certificate(full=True).is_sound


def pictures(net: nn.Module, plane: Slice) -> list[Partition]:
    """The partition by one thread, by three, and cut out of a larger one."""
    found = by_one_and_by_three_threads(net, plane)
    explorer = Explorer(net, plane)
    explorer.show(plane.with_domain(2.0 * plane.domain))
    found.append(explorer.show(plane))
    return found


@pytest.fixture
def small_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even two cells are shared among threads."""
    monkeypatch.setattr(splitting, "CELLS_AT_A_TIME", 2)
    monkeypatch.setattr(splitting, "EDGES_AT_A_TIME", 4)
    monkeypatch.setattr(threads, "LEAST_RUNS", 1)


@pytest.mark.slow
@pytest.mark.usefixtures("small_shares")
@pytest.mark.parametrize("name", DEGENERATE)
def test_threads_and_the_way_there_do_not_matter(name: str) -> None:
    net, n_cells = DEGENERATE[name]
    one, three, clipped = pictures(net, square())
    np.testing.assert_array_equal(one.vertices, three.vertices)
    np.testing.assert_array_equal(one.cell_vertices, three.cell_vertices)
    assert clipped.n_cells == n_cells
    # From a view twice as large, to the rounding of its larger coordinates.
    np.testing.assert_allclose(np.sort(clipped.areas), np.sort(one.areas), atol=1e-14)


@pytest.mark.usefixtures("small_shares")
@pytest.mark.parametrize("seed", range(4))
def test_integer_nets_come_out_the_same_by_any_way(seed: int) -> None:
    one, three, clipped = pictures(integer_net(2, 6, 6, 2, seed=seed, bias=True), square())
    np.testing.assert_array_equal(one.vertices, three.vertices)
    assert clipped.n_cells == one.n_cells
    assert clipped.n_regions == one.n_regions


def test_the_centroid_of_a_cell_that_is_all_rounding_lies_among_its_corners() -> None:
    """A bow-tie, whose area is next to nothing against its parts."""
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1e-16], [0.9, 1.1e-16]])
    _, centroids = areas_and_centroids(corners, np.array([0, 4]), np.arange(4, dtype=np.int32))
    assert (corners.min(axis=0) <= centroids).all()
    assert (centroids <= corners.max(axis=0)).all()
