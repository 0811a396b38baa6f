"""Random architectures of every supported layer: invariants, the user's model, and changes that leave the geometry as it is.

`SPLINECAM_NIGHTLY=1` runs 2,000 nets a property in place of a few.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from architectures import HOMOGENEOUS, architectures, dense_nets
from cases import cases
from oracle import assert_consistent, assert_same_picture, by_one_and_by_three_threads, mlp, square
from splinecam_widget.engine.compute import compute_partition
from splinecam_widget.engine.partition import Partition
from splinecam_widget.engine.slices import Slice

GENTLE = 2.0**-20
"""How far vertices of two computations of one picture may be apart, relative to the domain: a rounding error of 2^-53
grows by the condition of a crossing, which is below 2^33 for all but one in ten thousand million pairs of lines."""

ARRAYS = ("vertices", "cell_offsets", "cell_vertices", "edges", "edge_layer", "edge_unit", "values")


def points_in(plane: Slice, n: int, seed: int) -> np.ndarray:
    low, high = plane.domain.min(axis=0), plane.domain.max(axis=0)
    return np.random.default_rng(seed).uniform(low, high, (n, 2))


def assert_true(net: nn.Module, plane: Slice, partition: Partition) -> None:
    """Invariants; the certificate of every cell; patterns and the user's model at random points."""
    assert_consistent(partition)
    certificate = partition.certificate(full=True)
    assert certificate.is_sound, str(certificate)
    assert certificate.compared_with == "the model itself in float64"
    u = points_in(plane, 300, 0)
    cells = partition.locate(u)
    u, cells = u[cells >= 0], cells[cells >= 0]
    for here, there in zip(partition.patterns(cells), partition.patterns(u)):
        np.testing.assert_array_equal(here, there)
    A, b = partition.affine_maps(cells)
    body = net[:-1] if isinstance(net[-1], nn.Softmax) else net
    with torch.no_grad():
        said = body(torch.from_numpy(plane.to_input(u))).numpy()
    size = max(float(np.abs(partition.values).max()), 1e-9)
    np.testing.assert_allclose(np.einsum("nki,ni->nk", A, u) + b, said, rtol=0, atol=1e-9 * size)


@cases(12)
@given(architectures(max_layers=2))
def test_small_nets_are_what_the_model_computes(drawn: tuple[nn.Sequential, Slice]) -> None:
    net, plane = drawn
    assert_true(net, plane, compute_partition(net, plane))


@pytest.mark.slow
@cases(40)
@given(architectures(max_layers=5))
def test_nets_are_what_the_model_computes(drawn: tuple[nn.Sequential, Slice]) -> None:
    net, plane = drawn
    assert_true(net, plane, compute_partition(net, plane))


@pytest.mark.slow
@cases(15)
@given(dense_nets(), st.integers(0, 2**32 - 1))
def test_the_order_of_units_does_not_matter(drawn: tuple[nn.Sequential, Slice], seed: int) -> None:
    net, plane = drawn
    expected = compute_partition(net, plane)
    numbers = np.random.default_rng(seed)
    with torch.no_grad():
        for layer, following in pairwise([m for m in net if isinstance(m, nn.Linear)]):
            order = torch.from_numpy(numbers.permutation(layer.out_features))
            layer.weight.copy_(layer.weight[order].clone())
            layer.bias.copy_(layer.bias[order].clone())
            following.weight.copy_(following.weight[:, order].clone())
    assert_same_picture(compute_partition(net, plane), expected)


@pytest.mark.slow
@cases(15)
@given(dense_nets(only=HOMOGENEOUS), st.integers(-40, 40))
def test_scaling_a_layer_by_a_power_of_two_changes_no_bit(drawn: tuple[nn.Sequential, Slice], power: int) -> None:
    net, plane = drawn
    expected = compute_partition(net, plane)
    first, following = [m for m in net if isinstance(m, nn.Linear)][:2]
    with torch.no_grad():
        first.weight.mul_(2.0**power)
        first.bias.mul_(2.0**power)
        following.weight.div_(2.0**power)
    found = compute_partition(net, plane)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)


@pytest.mark.slow
@cases(20)
@given(architectures(max_layers=3), st.floats(0.1, 6.2), st.floats(-1, 1), st.floats(-1, 1))
def test_another_basis_of_the_same_plane_shows_the_same_cells(
    drawn: tuple[nn.Sequential, Slice], angle: float, x: float, y: float
) -> None:
    net, plane = drawn
    expected = compute_partition(net, plane)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    shift = np.array([x, y])
    turned = Slice.from_basis(
        plane.to_input(shift), np.tensordot(turn, plane.basis, axes=1), (plane.domain - shift) @ turn.T)
    found = compute_partition(net, turned)
    assert_consistent(found)
    assert found.n_cells == expected.n_cells
    where = found.locate((expected.centroids - shift) @ turn.T)
    assert len(np.unique(where)) == found.n_cells
    size = float(np.ptp(plane.domain, axis=0).max())
    np.testing.assert_allclose(found.areas[where], expected.areas, rtol=0, atol=GENTLE * size * size)


@pytest.mark.slow
@cases(10)
@given(architectures(max_layers=3))
def test_the_number_of_threads_changes_no_bit(drawn: tuple[nn.Sequential, Slice]) -> None:
    net, plane = drawn
    found = by_one_and_by_three_threads(net, plane)
    for name in ARRAYS:
        np.testing.assert_array_equal(*(getattr(partition, name) for partition in found), err_msg=name)


@pytest.mark.slow
@cases(25)
@given(architectures(max_layers=3), st.floats(0.2, 0.8))
def test_halves_of_the_domain_have_the_cells_of_the_whole(drawn: tuple[nn.Sequential, Slice], share: float) -> None:
    """Areas by the hash of the pattern are those of the whole."""
    net, plane = drawn
    (left, bottom), (right, top) = plane.domain.min(axis=0), plane.domain.max(axis=0)
    middle = left + share * (right - left)
    corners = [np.array([[a, bottom], [b, bottom], [b, top], [a, top]]) for a, b in (
        (left, right), (left, middle), (middle, right))]
    areas: list[dict[int, float]] = [defaultdict(float), defaultdict(float)]
    for i, domain in enumerate(corners):
        partition = compute_partition(net, plane.with_domain(domain))
        for key, area in zip(partition.planar.cell_hashes.tolist(), partition.areas.tolist()):
            areas[min(i, 1)][key] += area
    keys = sorted({*areas[0], *areas[1]})
    size = max(right - left, top - bottom)
    np.testing.assert_allclose([areas[1][k] for k in keys], [areas[0][k] for k in keys], rtol=0, atol=GENTLE * size**2)


@pytest.mark.slow
@cases(20)
@given(st.integers(0, 10_000), st.lists(st.integers(3, 16), min_size=1, max_size=3))
def test_there_are_as_many_cells_as_regioncam_counts(seed: int, widths: list[int]) -> None:
    regioncam = pytest.importorskip("regioncam")
    net = mlp(2, *widths, 2, seed=seed)
    peer = regioncam.Regioncam(size=2.0)
    peer.add(mlp(2, *widths, 2, seed=seed).float())
    assert compute_partition(net, square(2.0)).n_cells == peer.num_faces
