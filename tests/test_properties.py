"""Random small nets against exact rational arithmetic, dense sampling, and changes that leave the geometry as it is.

`SPLINECAM_NIGHTLY=1` runs 2,000 nets a property in place of a few dozen.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cases import cases
from oracle import (
    CORNER_ROUNDINGS,
    UNIT_ROUNDOFF,
    assert_consistent,
    assert_same_cells,
    assert_same_picture,
    exact_boundary_lengths,
    exact_cells,
    exact_neighbours,
    exact_wins,
    mlp,
    preactivations_at,
)
from splinecam_widget.engine.boundary import winners_of
from splinecam_widget.engine.compute import compute_partition
from splinecam_widget.engine.explorer import Explorer
from splinecam_widget.engine.partition import Partition
from splinecam_widget.engine.slices import Slice, rectangle

GENTLE = 2.0**-20
"""How far vertices of two computations of one picture may be apart, relative to the domain: a rounding error of 2^-53
grows by the condition of a crossing, which is below 2^33 for all but one in ten thousand million pairs of lines."""


@st.composite
def nets(draw: st.DrawFn, n_inputs: int = 2, max_depth: int = 3) -> nn.Sequential:
    """Small ReLU and LeakyReLU nets; weights are normally distributed, or small multiples of 1, 1/2 or 1/4.

    Few distinct weights make what random ones never do: identical, opposite, dead and concurrent units.
    """
    hidden = draw(st.lists(st.integers(1, 6), min_size=1, max_size=max_depth))
    widths = (n_inputs, *hidden, draw(st.integers(1, 3)))
    net = mlp(*widths, slope=draw(st.sampled_from([0.0, 0.0, 0.25, 0.03, 1.5])), bias=draw(st.booleans()))
    numbers = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    step = draw(st.sampled_from([0.0, 1.0, 0.5, 0.25]))
    size = draw(st.integers(1, 3))
    with torch.no_grad():
        for parameter in net.parameters():
            shape = tuple(parameter.shape)
            values = numbers.standard_normal(shape) if step == 0 else step * numbers.integers(-size, size + 1, shape)
            parameter.copy_(torch.from_numpy(values))
    return net


@st.composite
def domains(draw: st.DrawFn) -> np.ndarray:
    """Rectangles and triangles.

    Their corners are dyadic: a line through 1/10 misses the float 0.1 by less than rounding, and cuts off a sliver of
    1e-33 in area that is there and that no float arithmetic can see.
    """
    half = draw(st.sampled_from([0.5, 1.0, 2.0, 1.75]))
    return draw(st.sampled_from([
        rectangle(-half, half, -half, half), rectangle(-half, 2 * half, 0, half), rectangle(0.125, half, -half, 0.375),
        half * np.array([[-1.0, -1], [1, -1], [-1, 1]]), half * np.array([[-1.0, -0.5], [1, -0.625], [0.25, 1.125]]),
    ]))


def plane_of(domain: np.ndarray) -> Slice:
    return Slice.from_basis(np.zeros(2), np.eye(2), domain)


@cases(20)
@given(nets(), domains())
def test_cells_areas_patterns_and_neighbours_are_those_of_rational_arithmetic(
    net: nn.Sequential, domain: np.ndarray
) -> None:
    partition = compute_partition(net, plane_of(domain))
    assert_consistent(partition)
    assert_same_cells(partition, exact_cells(net, plane_of(domain)))


@pytest.mark.slow
@cases(10)
@given(nets(n_inputs=4), st.integers(0, 2**32 - 1))
def test_the_same_holds_on_slices_of_a_larger_space(net: nn.Sequential, seed: int) -> None:
    """Units that depend on each other linearly do so on every slice, also where no line passes a float's place."""
    plane = Slice.around(np.zeros(4), seed=seed)
    partition = compute_partition(net, plane)
    assert_consistent(partition)
    assert_same_cells(partition, exact_cells(net, plane))


@pytest.mark.slow
@cases(15)
@given(nets(), domains())
def test_classes_win_where_they_do_in_rational_arithmetic(net: nn.Sequential, domain: np.ndarray) -> None:
    """The area that each class wins, and the length of the border between any two."""
    partition = compute_partition(net, plane_of(domain))
    n_classes = partition.values.shape[1]
    if n_classes == 1:
        return
    parts = exact_wins(exact_cells(net, plane_of(domain)))
    found = winners_of(partition)
    size = float(np.ptp(domain, axis=0).max())
    mixed = np.unique(found.piece_cells)
    areas = np.zeros(n_classes)
    pure = np.setdiff1d(np.arange(partition.n_cells), mixed)
    np.add.at(areas, found.cells[pure], partition.areas[pure])
    for i, k in enumerate(found.piece_classes):
        areas[k] += shoelace(found.piece_points[found.piece_offsets[i]:found.piece_offsets[i + 1]])
    expected = [float(sum(part.area for k, part in parts if k == wanted)) for wanted in range(n_classes)]
    np.testing.assert_allclose(areas, expected, rtol=0, atol=GENTLE * size * size)
    lengths = exact_boundary_lengths(parts)
    for a in range(n_classes):
        for b in range(a + 1, n_classes):
            length = partition.decision_boundary(classes=(a, b)).length
            assert abs(length - lengths.get((a, b), 0.0)) <= GENTLE * size, (a, b)


@pytest.mark.slow
@cases(10)
@given(nets(), st.sampled_from(["middle", "quarter", "triangle", "small"]))
def test_regions_and_clips_are_those_of_rational_arithmetic(net: nn.Sequential, view: str) -> None:
    """Linear regions are counted by comparing exact affine maps; a smaller view is cut out of a larger one."""
    plane = plane_of(rectangle(-2, 2, -2, 2))
    explorer = Explorer(net, plane)
    cells = exact_cells(net, plane)
    links = [pair for pair in exact_neighbours(cells) if cells[pair[0]].outputs == cells[pair[1]].outputs]
    labels = list(range(len(cells)))
    for a, b in links:
        labels = [labels[a] if label == labels[b] else label for label in labels]
    assert explorer.show(plane).n_regions == len(set(labels))
    inside = plane.with_domain({
        "middle": rectangle(-1, 1, -1, 1), "quarter": rectangle(0, 2, -2, 0), "small": rectangle(0.5, 0.75, 0.5, 1),
        "triangle": np.array([[-1.0, -1], [1, -1], [-1, 1]]),
    }[view])
    clipped = explorer.show(inside)
    assert explorer.work.vertices_evaluated == 0
    assert_consistent(clipped)
    assert_same_cells(clipped, exact_cells(net, inside))


def shoelace(corners: np.ndarray) -> float:
    x, y = (corners - corners[0]).T
    return 0.5 * float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))


@pytest.mark.slow
@cases(12)
@given(nets(), domains(), st.integers(0, 2**32 - 1))
def test_every_sampled_pattern_is_that_of_the_cell_it_lies_in(
    net: nn.Sequential, domain: np.ndarray, seed: int
) -> None:
    partition = compute_partition(net, plane_of(domain))
    weights = np.random.default_rng(seed).dirichlet(np.ones(len(domain)), size=500)
    u = weights @ domain
    cells = partition.locate(u)
    assert (cells >= 0).all()
    x = torch.from_numpy(u)
    for layer, (there, here) in zip([m for m in net if not isinstance(m, nn.Linear)],
                                    zip(partition.patterns(cells), partition.patterns(u))):
        z = preactivation(net, layer, x)
        # Nearer to a kink than rounding, a sample's own sign says nothing.
        clear = np.abs(z) > 1e3 * UNIT_ROUNDOFF * max(1.0, float(np.abs(z).max()))
        np.testing.assert_array_equal(there[clear], here[clear])
        np.testing.assert_array_equal(here[clear], (z > 0)[clear])


def preactivation(net: nn.Sequential, layer: nn.Module, x: torch.Tensor) -> np.ndarray:
    """What goes into a layer of the user's model."""
    with torch.no_grad():
        for module in net:
            if module is layer:
                return x.numpy()
            x = module(x)
    raise AssertionError("the layer is not in the net")


@pytest.mark.slow
@cases(10)
@given(nets(), domains(), st.integers(0, 2**32 - 1))
def test_the_order_of_units_does_not_matter(net: nn.Sequential, domain: np.ndarray, seed: int) -> None:
    expected = compute_partition(net, plane_of(domain))
    numbers = np.random.default_rng(seed)
    linears = [m for m in net if isinstance(m, nn.Linear)]
    with torch.no_grad():
        for layer, following in pairwise(linears):
            order = torch.from_numpy(numbers.permutation(layer.out_features))
            layer.weight.copy_(layer.weight[order].clone())
            if layer.bias is not None:
                layer.bias.copy_(layer.bias[order].clone())
            following.weight.copy_(following.weight[:, order].clone())
    assert_same_picture(compute_partition(net, plane_of(domain)), expected)


@pytest.mark.slow
@cases(10)
@given(nets(), domains(), st.integers(-40, 40))
def test_scaling_a_layer_by_a_power_of_two_changes_no_bit(net: nn.Sequential, domain: np.ndarray, power: int) -> None:
    """ReLU and LeakyReLU commute with positive factors, and powers of two round nothing."""
    expected = compute_partition(net, plane_of(domain))
    first, following = [m for m in net if isinstance(m, nn.Linear)][:2]
    with torch.no_grad():
        first.weight.mul_(2.0**power)
        if first.bias is not None:
            first.bias.mul_(2.0**power)
        following.weight.div_(2.0**power)
    found = compute_partition(net, plane_of(domain))
    for name in ("vertices", "cell_offsets", "cell_vertices", "edges", "edge_layer", "edge_unit", "values"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)


@pytest.mark.slow
@cases(10)
@given(nets(), domains(), st.floats(0, 6.28), st.floats(-1, 1), st.floats(-1, 1))
def test_another_basis_of_the_same_plane_shows_the_same_cells(
    net: nn.Sequential, domain: np.ndarray, angle: float, x: float, y: float
) -> None:
    expected = compute_partition(net, plane_of(domain))
    basis = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    origin = np.array([x, y])
    turned = compute_partition(net, Slice.from_basis(origin, basis, (domain - origin) @ basis.T))
    assert_consistent(turned)
    if touches_a_kink(expected):
        return  # a line along the domain's border is inside or outside as the border is rounded
    assert turned.n_cells == expected.n_cells
    where = turned.locate((expected.centroids - origin) @ basis.T)
    assert len(np.unique(where)) == turned.n_cells
    size = float(np.ptp(domain, axis=0).max())
    np.testing.assert_allclose(turned.areas[where], expected.areas, rtol=0, atol=GENTLE * size * size)


def touches_a_kink(partition: Partition) -> bool:
    """Whether a unit that is not zero nearby vanishes on a corner or along a side of the domain."""
    corners = torch.from_numpy(partition.plane.to_input(partition.plane.domain))
    near = 1e3 * CORNER_ROUNDINGS * UNIT_ROUNDOFF
    return any((np.abs(z) <= near).any() for z in preactivations_at(partition, corners))


class Choice(nn.Module):
    """The largest or smallest in groups of k neighbours."""

    def __init__(self, k: int, is_largest: bool) -> None:
        super().__init__()
        self.k, self.is_largest = k, is_largest

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        groups = x.reshape(-1, x.shape[1] // self.k, self.k)
        return groups.amax(2) if self.is_largest else groups.min(2).values


@st.composite
def choosing_nets(draw: st.DrawFn) -> tuple[nn.Sequential, Slice]:
    """Nets of maxima, minima, max-pools and kinks with several knots; few distinct weights make ties below and at the top."""
    numbers = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    step = draw(st.sampled_from([0.0, 1.0, 0.5]))
    layers: list[nn.Module] = []
    if draw(st.booleans()):
        width = 2
        for _ in range(draw(st.integers(1, 2))):
            k, n = draw(st.integers(2, 5)), draw(st.integers(1, 4))
            bend = draw(st.sampled_from([nn.Identity, nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.PReLU]))
            layers += [nn.Linear(width, k * n), bend(), Choice(k, draw(st.booleans()))]
            width = n
        plane = Slice.from_basis(np.zeros(2), np.eye(2), rectangle(-2, 2, -2, 2))
    else:
        kernel = draw(st.integers(2, 3))
        pool = nn.MaxPool2d(kernel, draw(st.integers(1, 3)), draw(st.integers(0, kernel // 2)), ceil_mode=draw(st.booleans()))
        layers += [nn.Conv2d(1, draw(st.integers(1, 2)), draw(st.integers(1, 3)), bias=draw(st.booleans())),
                   draw(st.sampled_from([nn.Identity, nn.ReLU]))(), pool, nn.Flatten()]
        width = nn.Sequential(*layers)(torch.zeros(1, 1, 6, 6)).shape[1]
        plane = Slice.around(numbers.standard_normal((1, 6, 6)), seed=int(numbers.integers(1000)))
    net = nn.Sequential(*layers, nn.Linear(width, 2)).double().eval()
    with torch.no_grad():
        for parameter in net.parameters():
            shape = tuple(parameter.shape)
            values = numbers.standard_normal(shape) if step == 0 else step * numbers.integers(-2, 3, shape)
            parameter.copy_(torch.from_numpy(values))
    return net, plane


@pytest.mark.slow
@cases(40)
@given(choosing_nets(), st.integers(0, 2**32 - 1))
def test_cells_of_maxima_are_the_sets_of_points_with_one_pattern(given_net: tuple[nn.Sequential, Slice], seed: int) -> None:
    """A pattern's points form one convex set: so no two cells share a pattern, and no point's pattern is missing."""
    net, plane = given_net
    partition = compute_partition(net, plane)
    assert_consistent(partition)
    assert partition.certificate(full=True).is_sound
    if not partition.network.kinks:
        return
    patterns = np.concatenate(partition.patterns(np.arange(partition.n_cells)), axis=1)
    assert len(np.unique(patterns, axis=0)) == partition.n_cells
    assert len(np.unique(partition.planar.cell_hashes)) == partition.n_cells
    low, high = plane.domain.min(axis=0), plane.domain.max(axis=0)
    u = low + (high - low) * np.random.default_rng(seed).random((500, 2))
    cells = partition.locate(u)
    inside = cells >= 0
    np.testing.assert_array_equal(np.concatenate(partition.patterns(u[inside]), axis=1), patterns[cells[inside]])
