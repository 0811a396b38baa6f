"""Values at new vertices on edges, from those at the ends: as the network has them, within the bound, with the same cells."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from oracle import assert_consistent, assert_same_cells, by_one_and_by_three_threads, exact_cells, exact_values, mlp, square
from splinecam_widget.engine import compute, dense, evaluation, hats
from splinecam_widget.engine.compute import partition_of
from splinecam_widget.engine.evaluation import evaluate
from splinecam_widget.engine.lowering import lower
from splinecam_widget.engine.network import Network
from splinecam_widget.engine.partition import Partition
from splinecam_widget.engine.slices import Slice
from splinecam_widget.engine.states import Work


@pytest.fixture(autouse=True)
def _no_small_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of small nets are taken without hats."""
    monkeypatch.setattr(dense, "MOST_PRODUCTS", -1)


@pytest.fixture(autouse=True)
def everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few vertices there are."""
    monkeypatch.setattr(hats, "LEAST_ENTRIES", 0)


class Skips(nn.Module):
    """Tensors of before the kink that live on beside it, and its activation used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(2, 9), nn.Linear(9, 9), nn.Linear(20, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = torch.relu(self.first(x))
        b = nn.functional.leaky_relu(self.second(a) + 0.5 * a, 0.2)
        return self.third(torch.cat([a - b, x, b], 1))


class Convolutions(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.Unflatten(1, (1, 5, 5)), nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.PReLU(4, 0.1),
            nn.AvgPool2d(2), nn.Conv2d(4, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(3, 2))
        self[2].running_mean.normal_()
        self[2].running_var.uniform_(0.5, 2.0)


def absolute(x: torch.Tensor) -> torch.Tensor:
    return ((x @ WEIGHTS[0] - 0.3).abs() @ WEIGHTS[1] + 0.1).abs() @ WEIGHTS[2]


WEIGHTS = [torch.from_numpy(np.random.default_rng(3).normal(size=shape)) for shape in ((2, 10), (10, 10), (10, 1))]


def made(kind: str) -> tuple[Any, Slice]:
    torch.manual_seed(0)
    if kind == "convolutions":
        numbers = np.random.default_rng(0)
        return Convolutions().eval(), Slice.through(*numbers.normal(size=(3, 25)))
    nets: dict[str, Any] = {
        "relu": mlp(2, 24, 24, 24, 3), "leaky": mlp(2, 16, 16, 16, 1, slope=0.2), "bias-free": mlp(2, 16, 16, 2, bias=False),
        "skips": Skips().eval(), "abs": absolute, "detached": Detached().eval(),
        "residual": Residual().eval(),
        "padded maximum": nn.Sequential(
            nn.Linear(2, 12), nn.ReLU(), nn.Unflatten(1, (1, 3, 4)), nn.MaxPool2d(2, 1, padding=1), nn.Flatten(),
            nn.Linear(20, 6), nn.ReLU(), nn.Linear(6, 2)).eval(),
    }
    return nets[kind], square(2.0)


def both(model: Any, plane: Slice, monkeypatch: pytest.MonkeyPatch) -> tuple[Partition, Partition]:
    """With hats and without; fails if there were none."""
    network = lower(model, plane.input_shape)
    works = Work(), Work()
    found = partition_of(network, plane, works[0])
    monkeypatch.setattr(compute, "hats_for", lambda *_: None)
    expected = partition_of(network, plane, works[1])
    assert works[0].vertices_by_hats > works[1].vertices_by_hats == 0
    return found, expected


class Detached(nn.Module):
    """Autograd does not see one of its branches."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.first, self.second, self.third = nn.Linear(2, 16), nn.Linear(16, 16), nn.Linear(16, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = torch.relu(self.first(x))
        return self.third(torch.relu(self.second(a) + 0.5 * a.detach()))


class Residual(nn.Module):
    """One matrix behind a kink, and the kink's activation kept beside what the matrix makes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(6)
        self.first, self.second, self.third = nn.Linear(2, 12), nn.Linear(12, 12), nn.Linear(12, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = torch.relu(self.first(x))
        return self.third(torch.relu(self.second(a)) + a)


KINDS = ["relu", "leaky", "bias-free", "skips", "abs", "convolutions", "padded maximum", "detached", "residual"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_cells_and_values(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found, expected = both(*made(kind), monkeypatch)
    assert found.n_cells == expected.n_cells > 30
    order, other = np.argsort(found.planar.cell_hashes), np.argsort(expected.planar.cell_hashes)
    np.testing.assert_array_equal(found.planar.cell_hashes[order], expected.planar.cell_hashes[other])
    np.testing.assert_allclose(found.areas[order], expected.areas[other], atol=1e-10)
    assert_consistent(found)
    with torch.no_grad():
        direct = evaluate(found.network, torch.from_numpy(found.plane.to_input(found.vertices))).numpy()
    assert (np.abs(found.values - direct) <= 2 * found.tolerance).all()
    assert found.certificate(full=True).is_sound


@pytest.mark.parametrize("kind", KINDS)
def test_the_bound_stays_near_that_of_running_the_network(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found, expected = both(*made(kind), monkeypatch)
    assert (found.tolerance >= expected.tolerance).all()
    assert (found.tolerance <= 5 * expected.tolerance).all()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("slope", [0.0, 0.25])
@pytest.mark.parametrize("widths", [(2, 8, 8, 8, 2), (2, 30, 2)], ids=str)
def test_errors_stay_below_the_bound(seed: int, slope: float, widths: tuple[int, ...]) -> None:
    net = mlp(*widths, seed=seed, slope=slope)
    found = partition_of(lower(net, (2,)), square(), Work())
    largest = 0.0
    for u, values in zip(found.vertices[::3], found.values[::3]):
        for k, exact in enumerate(exact_values(net, u)):
            error = abs(Fraction(float(values[k])) - exact)
            assert error <= Fraction(float(found.tolerance[k]))
            largest = max(largest, float(error) / found.tolerance[k])
    assert largest > 1e-6, "a bound a million times too large decides nothing"


def test_many_hats_below_the_last_digit_count_together() -> None:
    """Two thousand units of 2e-16 beside a one: each alone would vanish in it."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 400), nn.ReLU(), nn.Linear(400, 1)).double().eval()
    net[2].weight.data.fill_(1e-16)
    net[2].bias.data.fill_(0.0)
    found = partition_of(lower(lambda x: net(x) + 1.0, (2,)), square(), Work())
    with torch.no_grad():
        expected = 1.0 + net(torch.from_numpy(found.vertices)).numpy()
    assert np.abs(found.values - expected).max() <= 1e-15


def test_columns_of_many_outputs_are_not_found_at_any_price() -> None:
    net = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 16_384)).eval()
    network = lower(net, (2,))
    assert hats.hats_of(network.stages[1], network.shapes) is None


def test_the_number_of_threads_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "CHUNK_ENTRIES", 64)
    monkeypatch.setattr(evaluation, "LEAST_NANOSECONDS", 0)
    shared = []
    on_all_cores = evaluation.on_all_cores

    def seen(*args: Any, **kwargs: Any) -> Any:
        shared.append(len(args[1]))
        return on_all_cores(*args, **kwargs)

    monkeypatch.setattr(evaluation, "on_all_cores", seen)
    one, three = by_one_and_by_three_threads(mlp(2, 24, 24, 24, 3), square())
    np.testing.assert_array_equal(one.values, three.values)
    np.testing.assert_array_equal(one.vertices, three.vertices)
    assert max(shared) > 3


@pytest.mark.parametrize("seed", range(6))
def test_cells_of_integer_nets_are_the_exact_ones(seed: int) -> None:
    """Concurrent lines and vertices on kinks, where the network is run as before."""
    net = mlp(2, 5, 5, 4, 2, seed=seed)
    numbers = np.random.default_rng(seed)
    for parameter in net.parameters():
        parameter.data = torch.from_numpy(numbers.integers(-2, 3, tuple(parameter.shape)) / 2.0)
    found = partition_of(lower(net, (2,)), square(), Work())
    assert_same_cells(found, exact_cells(net, square()))


class TestWhereTheyAreNot:
    def hats_of(self, model: Any, shape: tuple[int, ...] = (4,)) -> list[hats.Hats | None]:
        network: Network = lower(model, shape)
        return [hats.hats_of(stage, network.shapes) for stage in network.stages[1:]]

    def test_found_where_one_entry_bends_at_zero(self) -> None:
        found = self.hats_of(mlp(4, 6, 5, 2))
        assert [None if h is None else {k: v.shape for k, v in h.columns.items()} for h in found] == [
            dict.fromkeys(h.columns, shape) for h, shape in zip(found, [(6, 5), (5, 2)]) if h is not None]

    @pytest.mark.parametrize("model", [
        nn.Sequential(nn.Linear(4, 6), nn.ReLU6(), nn.Linear(6, 2)).eval(),
        lambda x: x.amax(1, keepdim=True) * 2,
        nn.Sequential(nn.Unflatten(1, (1, 2, 2)), nn.Upsample(scale_factor=12), nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(),
                      nn.Conv2d(4, 4, 3, padding=1)).eval(),
        lambda x: torch.where(x > 0, x, 0.1 * x).sum(1, keepdim=True),
    ], ids=["two knots", "maximum", "large convolution", "condition"])
    def test_not_elsewhere(self, model: Any) -> None:
        assert all(found is None for found in self.hats_of(model))

    def test_large_matrices_are_as_large_as_their_columns(self) -> None:
        found = self.hats_of(nn.Sequential(nn.Linear(4, 1200), nn.ReLU(), nn.Linear(1200, 1000)).eval())
        assert [h is not None for h in found] == [True]

    def test_not_for_few_vertices(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(hats, "LEAST_ENTRIES", 1 << 17)
        network = lower(mlp(2, 8, 8, 1), (2,))
        work = Work()
        partition_of(network, square(), work)
        monkeypatch.setattr(hats, "LEAST_ENTRIES", 0)
        with_hats = Work()
        partition_of(network, square(), with_hats)
        assert with_hats.vertices_by_hats > work.vertices_by_hats == 0
