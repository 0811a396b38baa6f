"""Derivatives of all cells at once: against the values at their corners, torch's own derivatives, and one cell at a time."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from torch import nn

from architectures import architectures
from cases import cases
from oracle import mlp, square
from splinecam_widget import Slice, compute_partition
from splinecam_widget.analysis import derivatives
from splinecam_widget.engine.hats import hats_of
from splinecam_widget.engine.partition import Partition
from splinecam_widget.engine.selections import larger_of_pairs

WIDE = 1e-6
"""Cells with a smaller area are left out: rounding may put the middle of one beside it."""


class HardSigmoid(nn.Module):
    """The same as torch's, whose own derivative has a sixth in float32."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x + 3).clamp(0, 6) / 6


def differentiable(net: nn.Module) -> nn.Module:
    found = copy.deepcopy(net)
    for module in list(found.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Hardsigmoid):
                setattr(module, name, HardSigmoid())
    return found


def assert_right(partition: Partition, body: nn.Module) -> None:
    """The maps give the values at the corners of their cells, and their slopes are torch's own."""
    A, b = partition.affine_maps()
    cells = np.flatnonzero(partition.areas > WIDE)
    assert len(cells)
    size = 1 + np.abs(partition.values).max() + np.abs(A).max()
    for c in cells:
        corners = partition.cell_vertices[partition.cell_offsets[c]:partition.cell_offsets[c + 1]]
        found = partition.vertices[corners] @ A[c].T + b[c]
        np.testing.assert_allclose(found, partition.values[corners], rtol=0, atol=1e-9 * size)
    basis = torch.from_numpy(partition.plane.basis)
    for c in cells[:: max(1, len(cells) // 5)]:
        x = torch.from_numpy(partition.plane.to_input(partition.centroids[c]))
        jacobian = torch.autograd.functional.jacobian(lambda v: body(v[None])[0], x)
        expected = torch.einsum("k...,i...->ki", jacobian, basis).numpy()
        np.testing.assert_allclose(A[c], expected, rtol=0, atol=1e-11 * size)


@cases(8)
@given(architectures(max_layers=3))
def test_of_random_architectures(drawn: tuple[nn.Sequential, Slice]) -> None:
    net, plane = drawn
    body = net[:-1] if isinstance(net[-1], nn.Softmax) else net
    assert_right(compute_partition(net, plane), differentiable(body))


class Branches(nn.Module):
    """Tensors that skip layers, and a pool whose rounds are several cuts of one layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.c, self.d = nn.Linear(2, 12), nn.Linear(12, 12), nn.Linear(6, 12), nn.Linear(14, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = torch.relu(self.a(x))
        second = torch.nn.functional.hardtanh(first + self.b(first))
        pooled = second.reshape(-1, 6, 2).amax(2)
        third = self.c(pooled).abs() + first
        return self.d(torch.cat([third, x], 1))


class Copies(nn.Module):
    """Views whose entries share memory, one of them choosing, and limits that make one entry several."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.c = nn.Linear(2, 6), nn.Linear(12, 6), nn.Linear(3, 2)
        self.register_buffer("limits", torch.tensor([-0.3, 0.0, 0.4]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = torch.relu(self.a(x))[:, :, None].expand(-1, -1, 4)
        pooled = torch.nn.functional.max_pool1d(first * torch.tensor([1.0, 2.0, -1.0, 0.5], dtype=x.dtype), 2)
        second = self.b(pooled.flatten(1))
        return self.c(torch.clamp(second[:, :1], min=self.limits) + second[:, 1:4])


@pytest.mark.parametrize("net", [
    Branches(), Copies(), mlp(2, 30, 30, 30, 3, seed=1), mlp(2, 20, 20, 4, slope=0.1),
    nn.Sequential(nn.Linear(2, 12), nn.ReLU(), nn.Linear(12, 12), nn.PReLU(), nn.Linear(12, 2)),
], ids=["branches", "copies", "mlp", "leaky", "prelu"])
def test_of_many_cells(net: nn.Module) -> None:
    net = net.double().eval()
    assert_right(compute_partition(net, square()), net)


def test_cells_alone_and_together(monkeypatch: pytest.MonkeyPatch) -> None:
    partition = compute_partition(mlp(2, 40, 40, 40, 3, seed=5), square())
    some = np.random.default_rng(0).permutation(partition.n_cells)[:700]
    together = partition.affine_maps(some)
    assert len(some) * derivatives.SHARED > partition.n_cells
    monkeypatch.setattr(derivatives, "SHARED", 0)
    alone = partition.affine_maps(some)
    for found, expected in zip(together, alone):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 * np.abs(expected).max())


class Skips(nn.Module):
    """What follows a kink keeps tensors that do not depend on it, and several that do; every activation that has hats."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.a, self.b, self.c, self.d = nn.Linear(2, 10), nn.Linear(10, 10), nn.Linear(10, 10), nn.Linear(10, 2)
        self.prelu = nn.PReLU(10)
        self.prelu.weight.data.uniform_(-0.5, 0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.prelu(self.a(x))
        second = nn.functional.leaky_relu(self.b(first), 0.1) + first
        third = (self.c(second) - x.sum(1, keepdim=True)).abs()
        return self.d(torch.relu(third - 0.2) + second)


class Token(nn.Module):
    """One layer bends what depends on the size of the batch alone."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.c = nn.Linear(2, 12), nn.Linear(8, 12), nn.Linear(24, 2)
        self.token = nn.Parameter(torch.randn(1, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        token = torch.relu(self.b(self.token.expand(x.shape[0], 8)))
        return self.c(torch.cat([torch.relu(self.a(x)), token], 1))


@pytest.mark.parametrize("net", [
    Skips(), Branches(), Token(), mlp(2, 30, 30, 30, 3, seed=1),
    nn.Sequential(nn.Unflatten(1, (1, 1, 2)), nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(),
                  nn.Conv2d(4, 3, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(6, 2)),
], ids=["skips", "branches", "token", "mlp", "convolutions"])
def test_what_bends_otherwise_is_added(net: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    """At one place of every cell of the layers before, or at one of every cell that the layer makes."""
    net = net.double().eval()
    partition = compute_partition(net, square())
    n_calls = 0

    def counted(*arguments: np.ndarray) -> None:
        nonlocal n_calls
        n_calls += 1
        add_hats(*arguments)

    add_hats = derivatives._derivative_kernels.add_hats
    monkeypatch.setattr(derivatives._derivative_kernels, "add_hats", counted)
    monkeypatch.setattr(derivatives, "FLIPS", np.inf)
    expected = partition.affine_maps()
    assert n_calls == 0
    monkeypatch.setattr(derivatives, "_hats_that_pay", lambda network, _, after, *__: hats_of(after, network.shapes))
    assert_right(partition, net)
    assert n_calls > 0
    for found, other in zip(partition.affine_maps(), expected):
        np.testing.assert_allclose(found, other, rtol=0, atol=1e-13 * (1 + np.abs(other).max()))


def test_what_is_added_is_not_looked_for_where_few_cells_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Finding it takes longer than it saves."""
    partition = compute_partition(mlp(2, 40, 40, 40, 3, seed=5), square())
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(derivatives, "hats_of", lambda stage, *rest: asked.append(stage.kept) or hats_of(stage, *rest))
    partition.affine_maps([0])
    assert not asked
    partition.affine_maps(np.arange(40))
    assert set(asked) <= {(partition.network.output_name,)}  # three outputs, which may pay
    partition.affine_maps()
    assert len(set(asked)) > 1


def test_the_users_default_device_is_not_used() -> None:
    partition = compute_partition(mlp(2, 40, 40, 40, 3, seed=5), square())
    with torch.device("meta"):
        found = partition.affine_maps()
    for one, other in zip(found, partition.affine_maps()):
        np.testing.assert_array_equal(one, other)


def test_a_cell_may_be_asked_for_twice() -> None:
    partition = compute_partition(mlp(2, 20, 20, 3, seed=5), square())
    cells = np.random.default_rng(0).integers(0, partition.n_cells, 1000)
    for found, expected in zip(partition.affine_maps(cells), partition.affine_maps()):
        np.testing.assert_allclose(found, expected[cells], rtol=0, atol=1e-13 * np.abs(expected).max())


def test_nothing_outside_its_thread_is_changed() -> None:
    """Forward differentiation of the user's goes on, and warnings are shown as before."""
    net = Copies().double().eval()
    partition = compute_partition(net, square())
    filters = list(warnings.filters)
    with torch.autograd.forward_ad.dual_level():
        found, _ = partition.affine_maps()
        partition.input_jacobian(np.arange(partition.n_cells))
    assert warnings.filters == filters
    np.testing.assert_array_equal(found, partition.affine_maps()[0])


def test_each_layer_is_run_on_its_own_cells() -> None:
    partition = compute_partition(mlp(2, 40, 40, 40, 3, seed=5), square())
    ancestry = derivatives._Ancestry.of(partition, np.arange(partition.n_cells))
    n_cells = [len(starts) for starts, _ in ancestry.between(slice(None))]
    assert n_cells == [partition.at_layer(k).n_cells for k in range(4)]


def test_input_jacobians_of_all_cells_of_a_plane() -> None:
    net = mlp(2, 20, 20, 3, seed=2).double()
    plane = Slice.from_basis([0.5, -0.25], [[0.6, 0.8], [-0.8, 0.6]])
    partition = compute_partition(net, plane)
    found = partition.input_jacobian(np.arange(partition.n_cells))
    assert found.shape == (partition.n_cells, 3, 2)
    for c in range(0, partition.n_cells, 97):
        x = torch.from_numpy(plane.to_input(partition.centroids[c]))
        expected = torch.autograd.functional.jacobian(lambda v: net(v[None])[0], x)
        np.testing.assert_allclose(found[c], expected.numpy(), rtol=0, atol=1e-12 * np.abs(found).max())


def test_of_the_larger_of_equal_ones_as_torch_has_it() -> None:
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.integers(0, 3, (40, 5, 6)).astype(float)).requires_grad_()
    along = torch.from_numpy(rng.standard_normal((2, 40, 5, 6)))
    found = derivatives._of_larger(x.detach(), along)
    _, expected = zip(*(torch.autograd.functional.jvp(lambda z: larger_of_pairs(None, z), x, one) for one in along))
    np.testing.assert_array_equal(found.numpy(), torch.stack(expected).detach().numpy())
    assert (x[:, 0] == x[:, 1]).any()
