"""The bound of rounding errors holds against exact evaluation, and decides at its edge as it says."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

from oracle import UNIT_ROUNDOFF, exact_values, mlp, square
from splinecam_widget.engine.compute import compute_partition
from splinecam_widget.engine.evaluation import advance_bounds, evaluate
from splinecam_widget.engine.lowering import lower
from splinecam_widget.engine.rounding import CONFIDENCE, Bound, input_bound

LOOSE = 1e6
"""A bound a million times larger than the errors would merge what floats tell apart."""


def output_bound(net: Callable[[torch.Tensor], torch.Tensor], corners: torch.Tensor) -> Bound:
    """The bound of the outputs on the box of the corners, without any interpolation."""
    network = lower(net, tuple(corners.shape[1:]))
    bounds = {network.input_name: input_bound(corners.numpy())}
    for stage in network.stages:
        bounds = advance_bounds(stage, network.shapes, bounds)
    return bounds[network.output_name]


@pytest.mark.slow
@pytest.mark.parametrize("widths", [(2, 8, 3), (2, 32, 32, 2), (6, 16, 16, 16, 16, 4), (40, 3)])
@pytest.mark.parametrize("slope", [0.0, 0.1])
@pytest.mark.parametrize("bias", [True, False])
def test_errors_of_random_nets_stay_below_the_bound(widths: tuple[int, ...], slope: float, bias: bool) -> None:
    net = mlp(*widths, seed=len(widths), slope=slope, bias=bias)
    x = np.random.default_rng(0).uniform(-1, 1, size=(12, widths[0]))
    tolerance = output_bound(net, torch.ones(1, widths[0], dtype=torch.float64)).tolerance()
    with torch.no_grad():
        found = evaluate(lower(net, (widths[0],)), torch.from_numpy(x)).numpy()
    largest = 0.0
    for row, outputs in zip(x, found):
        for k, exact in enumerate(exact_values(net, row)):
            error = abs(Fraction(float(outputs[k])) - exact)
            assert error <= Fraction(float(tolerance[k]))
            largest = max(largest, float(error) / tolerance[k])
    assert largest > 1 / LOOSE


@pytest.mark.parametrize("net", [
    nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)), nn.Sequential(nn.Unflatten(1, (1, 3)), nn.AvgPool1d(2)),
    nn.Sequential(nn.Unflatten(1, (1, 3)), nn.Conv1d(1, 2, 2)),
    nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.ConstantPad1d(1, 2.0)),
], ids=["batch norm", "average", "convolution", "padding"])
def test_magnitudes_stay_below_the_bound(net: nn.Module) -> None:
    torch.manual_seed(0)
    net = net.double().eval()
    bound = output_bound(net, torch.ones(1, 3, dtype=torch.float64))
    x = torch.rand(500, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        assert (net(x).square().amax(0).reshape(-1) <= bound.square.reshape(-1) * (1 + 64 * UNIT_ROUNDOFF)).all()
    assert (bound.variance >= 0).all()


FUNCTIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "add": lambda x: x + 1,
    "number minus": lambda x: 1 - x,
    "sub with alpha": lambda x: torch.sub(x, 1, alpha=2),
    "neg": lambda x: -x,
    "mul": lambda x: 3 * x,
    "div": lambda x: x / 7,
    "mean": lambda x: x.mean(1, keepdim=True),
    "sum": lambda x: x.sum(1, keepdim=True),
    "skip": lambda x: x[:, 1:] * 0.1 + x[:, :-1],
    "cat": lambda x: torch.cat([x, x - x[:, :1]], 1),
    "stack": lambda x: torch.stack(x.unbind(1), 1),
    "cat with ones": lambda x: torch.cat([x, torch.ones_like(x)], 1),
    "cat with new ones": lambda x: torch.cat([x, x.new_ones(x.shape[0], 2)], 1),
    "cat with fives": lambda x: torch.cat([x, torch.full_like(x, 5)], 1),
    "cat with an expanded constant":
        lambda x: torch.cat([x, torch.tensor([[-3.0, 0.1]]).to(x.dtype).expand(x.shape[0], -1)], 1),
    "written over": lambda x: torch.cat([_first_column_set(x), x], 1),
}


def _first_column_set(x: torch.Tensor) -> torch.Tensor:
    copied = x.clone()
    copied[:, 0] = 2.5
    return copied


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_bounds_of_functions_are_numbers_and_hold(name: str) -> None:
    function = FUNCTIONS[name]
    bound = output_bound(function, torch.ones(1, 3, dtype=torch.float64))
    x = torch.rand(200, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    values = function(x)
    assert torch.isfinite(bound.square).all()
    assert (bound.variance >= 0).all()
    assert (values.square().amax(0).reshape(-1) <= bound.square.reshape(-1) * (1 + 64 * UNIT_ROUNDOFF)).all()
    # A few roundings a step, four steps at most, or 4096 summed terms where the number of terms is not known: a bound
    # far above that would merge what floats tell apart.
    assert float(bound.tolerance().max()) <= 2**13 * CONFIDENCE * UNIT_ROUNDOFF * float(bound.square.max().sqrt())


def test_constants_carry_no_error() -> None:
    bound = output_bound(lambda x: torch.cat([x, torch.ones_like(x)], 1), torch.ones(1, 2, dtype=torch.float64))
    assert (bound.variance.reshape(-1)[2:] <= (2 * UNIT_ROUNDOFF) ** 2).all()


def single_unit(offset: float) -> nn.Sequential:
    """relu(x + y - 2 + offset): its line cuts the corner (1, 1) off the square by `offset`."""
    layer = nn.Linear(2, 1).double()
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.bias.fill_(offset - 2.0)
    return nn.Sequential(layer, nn.ReLU()).eval()


def corner_tolerance() -> float:
    corners = torch.from_numpy(square().domain)
    return float(output_bound(single_unit(0.0)[:1], corners).tolerance()[0])


def test_a_corner_nearer_than_the_bound_is_not_cut_off() -> None:
    assert compute_partition(single_unit(corner_tolerance() / 2), square()).n_cells == 1
    assert compute_partition(single_unit(-corner_tolerance() / 2), square()).n_cells == 1


def test_a_corner_farther_than_the_bound_is_cut_off() -> None:
    tolerance = corner_tolerance()
    assert tolerance < 1e3 * UNIT_ROUNDOFF
    partition = compute_partition(single_unit(4 * tolerance), square())
    assert partition.n_cells == 2
    assert partition.areas.min() > 0


def test_the_bound_grows_with_the_input() -> None:
    """Far from zero, coordinates have fewer digits."""
    net = mlp(2, 4, 1)
    corner = torch.ones(1, 2, dtype=torch.float64)
    near, far = (output_bound(net, size * corner).tolerance()[0] for size in (1.0, 2.0**20))
    assert far > 2.0**18 * near


def test_interpolation_adds_to_the_error() -> None:
    bound = output_bound(mlp(2, 4, 1), torch.ones(1, 2, dtype=torch.float64))
    assert (bound.interpolated(bound.square.sqrt().numpy().reshape(-1)).variance > bound.variance).all()
    peak = np.full(1, 1e-3)
    assert bound.interpolated(peak).square.item() == pytest.approx(1e-6, rel=4 * UNIT_ROUNDOFF)


def test_the_tolerance_of_a_partition_covers_the_errors_of_its_values() -> None:
    """At the vertices as they are stored, outputs are compared with those of exact arithmetic."""
    net = mlp(2, 12, 12, 2, seed=0)
    partition = compute_partition(net, square())
    for u, values in list(zip(partition.vertices, partition.values))[::9]:
        for k, exact in enumerate(exact_values(net, u)):
            assert abs(Fraction(float(values[k])) - exact) <= Fraction(float(partition.tolerance[k]))


@pytest.mark.parametrize("reduce", [torch.sum, torch.mean])
def test_one_number_for_each_input_has_the_bound_of_a_row_of_one(reduce: Callable[..., torch.Tensor]) -> None:
    class Net(nn.Module):
        def __init__(self, keepdim: bool) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.inner = nn.Linear(2, 40)
            self.keepdim = keepdim

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            found = torch.relu(reduce(torch.relu(self.inner(x)), 1, keepdim=self.keepdim) - 0.3)
            return found.reshape(-1, 1)

    row, number = (compute_partition(Net(keepdim).eval(), square()).zero_tolerances for keepdim in (True, False))
    np.testing.assert_array_equal(number[1], row[1])
