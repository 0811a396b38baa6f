"""Jacobians by the full input, and units that are on: against torch's own derivatives, and the layers one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from torch import nn

from architectures import architectures
from cases import cases
from oracle import mlp, square
from splinecam_widget import Slice, compute_partition
from splinecam_widget.engine.partition import Partition


def convolutional() -> tuple[nn.Sequential, Partition]:
    torch.manual_seed(2)
    net = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 5), nn.ReLU6(), nn.Linear(5, 2),
    ).double().eval()
    return net, compute_partition(net, Slice.around(torch.rand(1, 6, 6, dtype=torch.float64), radius=1.0))


@cases(4)
@given(architectures(max_layers=2))
def test_jacobians_are_those_of_the_model(drawn: tuple[nn.Sequential, Slice]) -> None:
    net, plane = drawn
    body = net[:-1] if isinstance(net[-1], nn.Softmax) else net
    partition = compute_partition(net, plane)
    cells = np.argsort(partition.areas)[-5:]
    found = partition.input_jacobian(cells)
    inputs = torch.from_numpy(plane.to_input(partition.centroids[cells]))
    for jacobian, x in zip(found, inputs):
        expected = torch.autograd.functional.jacobian(lambda v: body(v[None])[0], x)
        np.testing.assert_allclose(jacobian, expected.numpy(), rtol=0, atol=1e-12 * (1 + np.abs(found).max()))
    A, _ = partition.affine_maps(cells)
    along = found.reshape(len(cells), -1, plane.origin.size) @ plane.basis.reshape(2, -1).T
    np.testing.assert_allclose(along, A, rtol=0, atol=1e-12 * (1 + np.abs(A).max()))


def test_one_cell_or_several() -> None:
    _, partition = convolutional()
    assert partition.input_jacobian(3).shape == (2, 1, 6, 6)
    assert partition.input_jacobian([3]).shape == (1, 2, 1, 6, 6)
    assert partition.input_jacobian(np.arange(0)).shape == (0, 2, 1, 6, 6)
    everything = partition.input_jacobian(np.arange(partition.n_cells))
    np.testing.assert_allclose(everything[3], partition.input_jacobian(3), rtol=0, atol=1e-14)


def test_of_a_constant_is_zero() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Threshold(0.0, 0.0)).double().eval()
    with torch.no_grad():
        net[0].bias.fill_(-100.0)
    assert compute_partition(net, square()).input_jacobian(0).tolist() == [[0.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize(("cells", "text"), [
    (10**6, r"^cells: expected ids from 0 to \d+, got 1000000$"), ([-1], r"^cells: expected ids from 0"),
    ([0.5], r"^cells: expected a cell id or ids \(n,\), got float64"), ([[0]], r"^cells: expected a cell id or ids"),
])
def test_refuses_cells_that_are_not_there(cells: Any, text: str) -> None:
    partition = compute_partition(mlp(2, 4, 1), square())
    with pytest.raises(ValueError, match=text):
        partition.input_jacobian(cells)


def test_circuits_are_what_layers_see() -> None:
    net, partition = convolutional()
    for cell in range(0, partition.n_cells, max(1, partition.n_cells // 7)):
        seen = []
        with torch.no_grad():
            x = torch.from_numpy(partition.plane.to_input(partition.centroids[cell]))[None]
            for i, layer in enumerate(net):
                if i in (1, 2, 5):
                    seen.append(x[0])
                x = layer(x)
        first, pool, last = partition.active_circuit(cell)
        assert [(part.layer.path, part.layer.shape) for part in (first, pool, last)] == [
            ("1", (3, 4, 4)), ("2", (3, 2, 2)), ("5", (5,))]
        np.testing.assert_array_equal(first.places, np.argwhere(seen[0].numpy() > 0))
        np.testing.assert_array_equal(first.units, np.flatnonzero(seen[0].numpy() > 0))
        assert (first.pieces == 1).all()
        z = seen[1].numpy().reshape(3, 2, 2, 2, 2).transpose(0, 1, 3, 2, 4).reshape(12, 4)
        winners = np.isclose(z, z.max(axis=1, keepdims=True), rtol=0, atol=1e-14).argmax(axis=1)
        np.testing.assert_array_equal(pool.units, np.flatnonzero(winners))
        np.testing.assert_array_equal(pool.pieces, winners[winners > 0])
        knots = (seen[2].numpy() > 0).astype(int) + (seen[2].numpy() > 6)
        np.testing.assert_array_equal(last.units, np.flatnonzero(knots))
        np.testing.assert_array_equal(last.pieces, knots[knots > 0])


def test_pieces_count_knots() -> None:
    partition = compute_partition(nn.ReLU6().eval(), square(8.0))
    (part,) = partition.active_circuit(int(partition.locate([7.0, 3.0])))
    assert (part.units.tolist(), part.pieces.tolist()) == ([0, 1], [2, 1])


def test_a_circuit_is_of_one_cell() -> None:
    with pytest.raises(ValueError, match=r"^cell: expected one cell id, got shape \(1,\)"):
        compute_partition(mlp(2, 4, 1), square()).active_circuit([0])


def test_images_at_points() -> None:
    _, partition = convolutional()
    u = np.array([[0.1, 0.2], [-0.5, 0.3]])
    np.testing.assert_array_equal(partition.image_at(u), partition.plane.to_input(u))
    assert partition.image_at(u[0]).shape == (1, 6, 6)
    with pytest.raises(ValueError, match=r"^u: expected points of the domain, got 1 of 2 outside, the first at \(5, 0\)"):
        partition.image_at([[0.0, 0.0], [5.0, 0.0]])
    with pytest.raises(ValueError, match=r"^u: expected slice coordinates"):
        partition.image_at([0.0, 0.0, 1.0])
