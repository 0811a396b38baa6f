"""Piecewise-linear blocks: their values by numpy, their gradients by finite differences, and that they train and travel."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from splinecam_widget.nn import PiecewiseLinear, PositionalEncoding

KNOTS = [-1.5, -0.25, 0.5, 2.0, 2.25]
VALUES = [0.5, -1.0, 0.75, 0.75, -2.0]
PERIOD = 5.0
ROUNDINGS = 32 * 2.0**-53
"""A slope, a difference from a knot, a product and a sum, of numbers below 32."""
ROUNDINGS_32 = 32 * 2.0**-24
"""The same in float32."""


def curve(period: float | None = None) -> PiecewiseLinear:
    return PiecewiseLinear(KNOTS, VALUES, period).double()


def at(block: nn.Module, x: Any) -> np.ndarray:
    with torch.no_grad():
        return block(torch.as_tensor(x, dtype=torch.float64)).numpy()


class TestValues:
    def test_inside_they_are_those_of_linear_interpolation(self) -> None:
        x = np.concatenate([np.linspace(KNOTS[0], KNOTS[-1], 501), KNOTS])
        np.testing.assert_allclose(at(curve(), x), np.interp(x, KNOTS, VALUES), rtol=0, atol=ROUNDINGS)

    def test_outside_the_outer_pieces_go_on(self) -> None:
        left, right = np.linspace(-20, KNOTS[0], 100), np.linspace(KNOTS[-1], 20, 100)
        first, last = (VALUES[1] - VALUES[0]) / (KNOTS[1] - KNOTS[0]), (VALUES[-1] - VALUES[-2]) / (KNOTS[-1] - KNOTS[-2])
        np.testing.assert_allclose(at(curve(), left), VALUES[0] + first * (left - KNOTS[0]), rtol=0, atol=8 * ROUNDINGS)
        np.testing.assert_allclose(at(curve(), right), VALUES[-1] + last * (right - KNOTS[-1]), rtol=0, atol=8 * ROUNDINGS)

    @pytest.mark.parametrize("turn", [-7, -1, 0, 1, 12])
    def test_a_periodic_curve_repeats_itself(self, turn: int) -> None:
        x = np.linspace(KNOTS[0], KNOTS[0] + PERIOD, 401)[:-1]
        expected = np.interp(x, [*KNOTS, KNOTS[0] + PERIOD], [*VALUES, VALUES[0]])
        slopes = np.diff([*VALUES, VALUES[0]]) / np.diff([*KNOTS, KNOTS[0] + PERIOD])
        # The place within a period is off by a rounding of x, here below 64.
        atol = 4 * ROUNDINGS * (1 + np.abs(slopes).max())
        np.testing.assert_allclose(at(curve(PERIOD), x + turn * PERIOD), expected, rtol=0, atol=atol)

    def test_two_knots_are_a_line(self) -> None:
        x = np.linspace(-9, 9, 50)
        np.testing.assert_allclose(at(PiecewiseLinear([0.0, 2.0], [1.0, 2.0]).double(), x), 1 + x / 2, rtol=0, atol=ROUNDINGS)

    @pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3, 4)])
    def test_any_shape_stays(self, shape: tuple[int, ...]) -> None:
        assert curve()(torch.zeros(shape, dtype=torch.float64)).shape == shape

    def test_a_transposed_input_is_no_other(self) -> None:
        x = torch.linspace(-3, 3, 12, dtype=torch.float64).reshape(3, 4)
        torch.testing.assert_close(curve()(x.T), curve()(x).T, rtol=0, atol=0)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_values_have_the_inputs_type(self, dtype: torch.dtype) -> None:
        x = torch.linspace(-3, 3, 50, dtype=dtype)
        found = PiecewiseLinear(KNOTS, VALUES)(x)
        assert found.dtype == dtype
        inside = (x >= KNOTS[0]) & (x <= KNOTS[-1])
        expected = np.interp(x[inside].double().numpy(), KNOTS, VALUES)
        np.testing.assert_allclose(found[inside].detach().double().numpy(), expected, rtol=0, atol=64 * ROUNDINGS_32)


class TestTraining:
    @pytest.mark.parametrize("period", [None, PERIOD])
    def test_gradients_are_those_of_finite_differences(self, period: float | None) -> None:
        knots = torch.tensor(KNOTS, dtype=torch.float64)
        x = torch.tensor([-9.3, -1.2, -0.1, 0.7, 1.9, 2.1, 3.3, 11.1], dtype=torch.float64, requires_grad=True)
        values = torch.tensor(VALUES, dtype=torch.float64, requires_grad=True)

        def function(x: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
            return torch.ops.splinecam_widget.piecewise_linear(x, knots, values, period)

        assert torch.autograd.gradcheck(function, (x, values))
        for wanted in ((x, values.detach()), (x.detach(), values)):  # one of them only
            assert torch.autograd.gradcheck(function, wanted)

    def test_a_step_of_an_optimizer_brings_values_nearer_to_what_is_wanted(self) -> None:
        block = curve()
        before = block.values.detach().clone()
        x = torch.linspace(-1.5, 2.25, 64, dtype=torch.float64)
        optimizer = torch.optim.SGD(block.parameters(), lr=0.1)
        losses = []
        for _ in range(2):
            optimizer.zero_grad()
            loss = (block(x) - torch.cos(x)).square().mean()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        assert losses[1] < losses[0]
        assert not torch.equal(block.values, before)
        assert block.knots.tolist() == KNOTS

    def test_knots_do_not_train(self) -> None:
        assert [name for name, _ in curve().named_parameters()] == ["values"]
        assert not any(p.requires_grad for p in PositionalEncoding(2).parameters())

    def test_state_goes_from_one_to_another(self) -> None:
        other = PiecewiseLinear(list(range(5)), [0.0] * 5).double()
        other.load_state_dict(curve().state_dict())
        x = np.linspace(-3, 3, 50)
        np.testing.assert_array_equal(at(other, x), at(curve(), x))

    def test_a_copy_stands_alone(self) -> None:
        block = curve(PERIOD)
        copied = copy.deepcopy(block)
        with torch.no_grad():
            block.values.zero_()
        x = np.linspace(-3, 3, 50)
        np.testing.assert_array_equal(at(copied, x), at(curve(PERIOD), x))

    def test_it_can_be_exported(self) -> None:
        block = nn.Sequential(nn.Linear(3, 4), PiecewiseLinear(KNOTS, VALUES, PERIOD), PositionalEncoding(2)).eval()
        batch = torch.export.Dim("batch")
        program = torch.export.export(block, (torch.zeros(2, 3),), dynamic_shapes=({0: batch},), strict=False)
        x = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(program.module()(x), block(x), rtol=0, atol=0)

    def test_gradients_reach_layers_before_it(self) -> None:
        net = nn.Sequential(nn.Linear(2, 3), PiecewiseLinear([-1.0, 0.0, 1.0], [1.0, 0.0, 2.0]), nn.Linear(3, 1))
        net(torch.randn(8, 2, generator=torch.Generator().manual_seed(0))).sum().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


@pytest.mark.parametrize(("arguments", "text"), [
    (([0.0], [1.0]), "knots: expected at least two finite, increasing numbers"),
    (([], []), "knots: expected at least two finite, increasing numbers"),
    (([0.0, 0.0], [1.0, 2.0]), "knots: expected at least two finite, increasing numbers"),
    (([1.0, 0.0], [1.0, 2.0]), "knots: expected at least two finite, increasing numbers"),
    (([0.0, float("nan")], [1.0, 2.0]), "knots: expected at least two finite, increasing numbers"),
    (([0.0, float("inf")], [1.0, 2.0]), "knots: expected at least two finite, increasing numbers"),
    (([[0.0, 1.0]], [[1.0, 2.0]]), "knots: expected at least two finite, increasing numbers"),
    (([0.0, 1.0], [1.0]), "values: expected 2 finite numbers"),
    (([0.0, 1.0], [1.0, float("inf")]), "values: expected 2 finite numbers"),
    (([0.0, 1.0], [1.0, 2.0], 1.0), "period: expected more than the distance of the outer knots, 1.0"),
    (([0.0, 1.0], [1.0, 2.0], -3.0), "period: expected more than"),
    (([0.0, 1.0], [1.0, 2.0], float("inf")), "period: expected more than"),
    (([0.0, 1.0], [1.0, 2.0], float("nan")), "period: expected more than"),
    (([1.0, 1.0 + 1e-12], [1.0, 2.0]), "knots: expected numbers that torch.float32 tells apart"),
])
def test_what_is_no_curve_is_named(arguments: tuple[Any, ...], text: str) -> None:
    with pytest.raises(ValueError, match=f"^{text}"):
        PiecewiseLinear(*arguments)


@pytest.mark.parametrize(("arguments", "text"), [
    (("ab", [1.0, 2.0]), "knots: expected a sequence of numbers, got 'ab'"),
    (([0.0, 1.0], [1.0, None]), r"values: expected a sequence of numbers, got \[1.0, None\]"),
    (([0.0, 1.0], [1.0, 2.0], "2"), "period: expected a number or None, got '2'"),
])
def test_what_is_no_number_is_named(arguments: tuple[Any, ...], text: str) -> None:
    with pytest.raises(TypeError, match=f"^{text}"):
        PiecewiseLinear(*arguments)


class TestPositionalEncoding:
    @pytest.mark.parametrize("knots", [4, 8, 32])
    @pytest.mark.parametrize("n", [1, 3])
    def test_waves_are_as_near_as_interpolation_makes_them(self, knots: int, n: int) -> None:
        """h^2 / 8 times the largest second derivative, for knots at a distance h in half turns of sin(pi t)."""
        x = np.linspace(-1.3, 1.7, 601)[:, None]
        found = at(PositionalEncoding(n, knots).double(), x).reshape(-1, n, 2)
        bound = (2 / knots) ** 2 / 8 * np.pi**2
        for level in range(n):
            for wave, expected in enumerate((np.sin, np.cos)):
                error = np.abs(found[:, level, wave] - expected(2**level * np.pi * x[:, 0])).max()
                assert bound / 2 < error <= bound, (level, expected)

    def test_zeros_and_extremes_are_kept(self) -> None:
        quarters = np.arange(-8, 9)[:, None] / 2
        found = at(PositionalEncoding(1, 4).double(), quarters)
        np.testing.assert_allclose(found[:, 0], np.sin(np.pi * quarters[:, 0]), rtol=0, atol=2.0**-20)
        np.testing.assert_allclose(found[:, 1], np.cos(np.pi * quarters[:, 0]), rtol=0, atol=2.0**-20)

    @pytest.mark.parametrize("shape", [(5, 2), (3,), (2, 4, 3)])
    @pytest.mark.parametrize("include", [False, True])
    def test_shapes(self, shape: tuple[int, ...], include: bool) -> None:
        block = PositionalEncoding(3, include_input=include)
        x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        found = block(x)
        assert found.shape == (*shape[:-1], shape[-1] * 6 + shape[-1] * include)
        assert block.n_features(shape[-1]) == found.shape[-1]
        if include:
            torch.testing.assert_close(found[..., :shape[-1]], x, rtol=0, atol=0)

    def test_a_coordinates_waves_depend_on_it_alone(self) -> None:
        block = PositionalEncoding(2).double()
        x = torch.tensor([[0.1, 0.2, 0.3]], dtype=torch.float64)
        parts = [block(x[:, i:i + 1]) for i in range(3)]
        torch.testing.assert_close(block(x), torch.cat(parts, 1), rtol=0, atol=0)

    @pytest.mark.parametrize(("arguments", "text"), [
        ((0,), "n_frequencies: expected a whole number from 1 on, got 0"), (("a",), "n_frequencies: expected .* got 'a'"),
        ((-2,), "n_frequencies: expected"),
        ((3, 6), "knots_per_period: expected a multiple of four, got 6"), ((3, 0), "knots_per_period: expected"),
    ])
    def test_what_is_no_encoding_is_named(self, arguments: tuple[Any, ...], text: str) -> None:
        with pytest.raises(ValueError, match=f"^{text}"):
            PositionalEncoding(*arguments)


def test_a_block_says_what_it_is() -> None:
    assert repr(curve()) == "PiecewiseLinear(5 knots)"
    assert repr(curve(PERIOD)) == "PiecewiseLinear(5 knots, period=5)"


def test_a_curve_is_continuous_at_its_knots() -> None:
    for period in (None, PERIOD):
        below, above = at(curve(period), np.nextafter(KNOTS, -np.inf)), at(curve(period), KNOTS)
        np.testing.assert_allclose(below, above, rtol=0, atol=32 * ROUNDINGS)
