"""Small stages in one call find what the steps one by one find."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from oracle import mlp, square
from splinecam_widget.engine import _dense_kernels, compute, dense
from splinecam_widget.engine.compute import compute_partition
from splinecam_widget.engine.explorer import Explorer
from splinecam_widget.engine.lowering import lower
from splinecam_widget.engine.network import Network
from splinecam_widget.engine.partition import Partition
from splinecam_widget.engine.slices import Slice
from splinecam_widget.engine.states import State


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(3)
    return make().double().eval()


class Abs(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.abs()


def with_lines(net: nn.Sequential) -> nn.Sequential:
    """Diagonals, axes, two units that are the same, one that is dead."""
    first = net[0]
    assert isinstance(first, nn.Linear)
    with torch.no_grad():
        first.weight[:] = torch.tensor([[1.0, 1], [1, -1], [1, 0], [0, 1], [1, 0], [0, 0]])
        first.bias[:] = 0.0
    return net


NETS: dict[str, tuple[nn.Module, Slice]] = {
    "relu": (mlp(2, 16, 16, 16, 1), square()),
    "several outputs": (mlp(2, 20, 10, 5, seed=4), square(2.0)),
    "leaky": (mlp(2, 20, 20, 20, 20, 1, slope=0.03), square()),
    "abs": (seeded(lambda: nn.Sequential(nn.Linear(2, 9), Abs(), nn.Linear(9, 9), Abs(), nn.Linear(9, 2))), square()),
    "prelu": (seeded(lambda: nn.Sequential(nn.Linear(2, 9), nn.PReLU(9), nn.Linear(9, 2))), square()),
    "no bias": (seeded(lambda: nn.Sequential(
        nn.Linear(2, 9, bias=False), nn.ReLU(), nn.Linear(9, 9, bias=False), nn.ReLU(), nn.Linear(9, 1))), square()),
    "images": (seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(48, 12), nn.ReLU(), nn.Linear(12, 4))),
               Slice.around(np.linspace(0.0, 1.0, 48).reshape(3, 4, 4), radius=3.0, seed=0)),
    "batch norm between": (seeded(lambda: nn.Sequential(
        nn.Linear(2, 12), nn.ReLU(), nn.BatchNorm1d(12), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 2))), square()),
    "degenerate": (seeded(lambda: with_lines(nn.Sequential(
        nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 1)))), square()),
}


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The stages that were taken in one call."""
    found: list[int] = []

    def spy(network: Network, state: State, *others: Any) -> Any:
        after = dense.after_small_stage(network, state, *others)
        if after is not None:
            found.append(state.number)
        return after

    monkeypatch.setattr(compute, "after_small_stage", spy)
    return found


def step_by_step(monkeypatch: pytest.MonkeyPatch, network: Network, plane: Slice) -> Partition:
    with monkeypatch.context() as patch:
        patch.setattr(dense, "MOST_PRODUCTS", -1)
        return compute_partition(network, plane)


def assert_same(found: Partition, expected: Partition) -> None:
    for name in ("edges", "edge_layer", "edge_unit", "cell_offsets", "cell_vertices", "cell_edges", "cell_hashes"):
        assert np.array_equal(getattr(found.planar, name), getattr(expected.planar, name)), name
    assert found.vertices == pytest.approx(expected.vertices, abs=1e-11)
    assert found.values == pytest.approx(expected.values, rel=1e-11, abs=1e-12)
    assert found.tolerance == pytest.approx(expected.tolerance, rel=1e-9)
    assert (found.n_close, found.n_zero) == (expected.n_close, expected.n_zero)
    assert len(found.zero_tolerances) == len(expected.zero_tolerances)
    for one, other in zip(found.zero_tolerances, expected.zero_tolerances):
        assert one == pytest.approx(other, rel=1e-9)


@pytest.mark.parametrize("name", NETS)
def test_is_what_the_steps_are(name: str, monkeypatch: pytest.MonkeyPatch, taken: list[int]) -> None:
    net, plane = NETS[name]
    network = lower(net, plane.input_shape)
    found = compute_partition(network, plane)
    assert taken == ([0] if name == "batch norm between" else [*range(len(network.stages))])
    taken.clear()
    assert_same(found, step_by_step(monkeypatch, network, plane))
    assert not taken
    assert found.certificate(full=True).is_sound


def test_larger_stages_follow_small_ones(monkeypatch: pytest.MonkeyPatch, taken: list[int]) -> None:
    network = lower(mlp(2, 40, 40, 40, 2), (2,))
    found = compute_partition(network, square())
    assert 0 < len(taken) < len(network.stages)
    assert_same(found, step_by_step(monkeypatch, network, square()))


def test_stages_of_another_kind_are_left_alone(taken: list[int]) -> None:
    skip = seeded(lambda: Skip())
    assert compute_partition(skip, square()).certificate(full=True).is_sound
    pooled = nn.Sequential(nn.Linear(2, 12), nn.Unflatten(1, (3, 4)), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(6, 2)).eval()
    assert compute_partition(pooled, square()).certificate(full=True).is_sound
    assert taken == [0]  # the matrix before the skip


class Skip(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2, 8), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.first(x)
        return z.relu() + self.second(z.relu()).relu()


@pytest.mark.parametrize("max_cells", [5, 60, 100])
def test_budgets_hold(max_cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    network = lower(mlp(2, 16, 16, 16, 1), (2,))
    found = compute_partition(network, square(), max_cells=max_cells)
    with monkeypatch.context() as patch:
        patch.setattr(dense, "MOST_PRODUCTS", -1)
        expected = compute_partition(network, square(), max_cells=max_cells)
    assert found.n_cells <= max_cells
    assert found.share == expected.share < 1
    assert_same(found, expected)


def test_work_is_counted_and_stages_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    net = mlp(2, 16, 16, 16, 1)
    explorer, other = (Explorer(lower(net, (2,)), square()) for _ in range(2))
    explorer.show(square())
    with monkeypatch.context() as patch:
        patch.setattr(dense, "MOST_PRODUCTS", -1)
        other.show(square())
    assert explorer.work == other.work
    with torch.no_grad():
        net[-1].bias += 1.0
    network = lower(net, (2,))
    assert explorer.update(network) == 3
    again = explorer.show(square())
    assert explorer.work.vertices_evaluated < 0.6 * other.work.vertices_evaluated
    assert_same(again, compute_partition(network, square()))


class Given(nn.Module):
    """A matrix with any weight and bias that torch takes."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)
        self.last = nn.Linear(len(weight), 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(nn.functional.linear(x, self.weight, self.bias).relu())


@pytest.mark.parametrize("bias", [(1,), (1, 8), ()])
def test_one_number_for_all_units(bias: tuple[int, ...], monkeypatch: pytest.MonkeyPatch, taken: list[int]) -> None:
    torch.manual_seed(1)
    network = lower(Given(torch.randn(8, 2), torch.full(bias, 0.2)).double().eval(), (2,))
    found = compute_partition(network, square())
    assert 0 not in taken
    assert found.certificate(full=True).is_sound
    assert_same(found, step_by_step(monkeypatch, network, square()))


def test_weights_that_are_views(monkeypatch: pytest.MonkeyPatch, taken: list[int]) -> None:
    torch.manual_seed(1)
    numbers = torch.randn(2, 8, dtype=torch.float64)
    before = len(_dense_kernels.dense_stage.signatures)
    for weight in (numbers.T, torch.complex(numbers, numbers).T.conj().imag, numbers[:, :1].expand(2, 8).T):
        network = lower(Given(weight, torch.ones(1, dtype=torch.float64).expand(8)).double().eval(), (2,))
        assert_same(compute_partition(network, square()), step_by_step(monkeypatch, network, square()))
    assert taken == [0, 1] * 3
    assert len(_dense_kernels.dense_stage.signatures) == max(1, before), "compiled once"


def test_other_default_devices_do_not_matter() -> None:
    network = lower(mlp(2, 9, 3), (2,))
    with torch.device("meta"):
        found = compute_partition(network, square())
    assert_same(found, compute_partition(network, square()))


def test_too_many_cells_for_one_call(monkeypatch: pytest.MonkeyPatch, taken: list[int]) -> None:
    network = lower(mlp(2, 16, 16, 16, 1), (2,))
    monkeypatch.setattr(dense, "MOST_NEW_CELLS", 40)
    found = compute_partition(network, square())
    assert taken == [0]
    assert_same(found, step_by_step(monkeypatch, network, square()))


def test_wide_stages_are_not_copied(taken: list[int]) -> None:
    network = lower(mlp(2, dense.MOST_UNITS + 1, 3), (2,))
    compute_partition(network, square())
    assert taken == []
    network = lower(mlp(2, 513, 512, 3), (2,))
    assert dense.dense_of(network.stages[1], network.shapes) is None
    assert dense.dense_of(network.stages[2], network.shapes) is not None


def test_weights_too_large_are_said() -> None:
    net = mlp(2, 8, 8, 1)
    with torch.no_grad():
        net[2].weight *= 1e200
        net[4].weight *= 1e200
    with pytest.raises(ValueError, match="finite outputs"):
        compute_partition(net, square())


@pytest.mark.parametrize("weight", [np.inf, 1e308])
def test_infinite_weights_are_said_once(weight: float) -> None:
    net = mlp(2, 128, 1, slope=4.0)
    with torch.no_grad():
        net[2].weight[0, 3] = weight
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="finite outputs"):
            compute_partition(net, square())


@pytest.mark.parametrize("slope", [0.0, 0.3])
@pytest.mark.parametrize("m", [1, dense.NARROW])
def test_a_row_of_few_outputs_does_not_depend_on_others(m: int, slope: float) -> None:
    network = lower(mlp(2, 37, 37, m, slope=slope), (2,))
    stage = network.stages[-1]
    found = dense.dense_of(stage, network.shapes)
    assert found is not None
    before = np.random.default_rng(0).standard_normal((50, 37))
    together, apart = np.empty((50, m)), np.empty((50, m))
    found.write_rows(before, together)
    for i in range(50):
        found.write_rows(before[i:i + 1], apart[i:i + 1])
    np.testing.assert_array_equal(together, apart)
    expected = np.where(before > 0, before, slope * before) @ found.matrix + found.bias
    np.testing.assert_allclose(together, expected, rtol=0, atol=1e-14 * np.abs(expected).max())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n", [1, 7, 64, 131])
def test_a_row_of_few_outputs_hides_no_nan(n: int, bad: float) -> None:
    network = lower(mlp(2, n, 2, slope=0.25), (2,))
    found = dense.dense_of(network.stages[-1], network.shapes)
    assert found is not None
    before = np.random.default_rng(0).standard_normal((n + 1, n))
    before[np.arange(n), np.arange(n)] = bad
    out = np.empty((n + 1, 2))
    found.write_rows(before, out)
    assert not np.isfinite(out[:n]).any()
    assert np.isfinite(out[n]).all()
