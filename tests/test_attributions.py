"""Integrated gradients: completeness, closed forms, and sums of many small steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from torch import nn

from architectures import architectures
from cases import cases
from oracle import mlp
from splinecam_widget import Slice, compute_line, integrated_gradients

COMPLETE = 1e-10
"""Relative to the largest output: a sum of a few hundred rounded products is far better."""


def by_steps(net: nn.Module, x: np.ndarray, baseline: np.ndarray, output: int, n: int) -> np.ndarray:
    """The sum over the middles of n steps."""
    t = torch.from_numpy((np.arange(n) + 0.5) / n)[:, None]
    inputs = (torch.from_numpy(baseline) + t * torch.from_numpy(x - baseline)).requires_grad_()
    (gradients,) = torch.autograd.grad(net(inputs)[:, output].sum(), inputs)
    return gradients.mean(0).numpy() * (x - baseline)


@pytest.mark.parametrize("seed", range(3))
def test_are_the_limit_of_small_steps(seed: int) -> None:
    net = mlp(4, 24, 24, 3, seed=seed)
    x, baseline = np.random.default_rng(seed).uniform(-3, 3, (2, 4))
    n = 100_000
    line = compute_line(net, baseline, x)
    found = line.integrated_gradients(1)
    # A step that holds a breakpoint errs by at most the jump of the gradient there, over the number of steps.
    slopes = np.abs(np.diff(line.slopes_per_t[:, 1])).sum()
    np.testing.assert_allclose(found, by_steps(net, x, baseline, 1, n), rtol=0, atol=100 * slopes / n)
    np.testing.assert_allclose(integrated_gradients(line.network, x, baseline, 1), found, rtol=0, atol=0)


@cases(4)
@given(architectures(max_layers=2))
def test_sum_to_the_difference_of_the_outputs(drawn: tuple[nn.Sequential, Slice]) -> None:
    net, plane = drawn
    x, baseline = plane.to_input([[0.4, 0.3], [-0.45, 0.1]])
    line = compute_line(net, baseline, x)
    for output in range(line.values.shape[1]):
        found = line.integrated_gradients(output)
        assert found.shape == plane.input_shape
        change = line.values[-1, output] - line.values[0, output]
        assert abs(found.sum() - change) <= COMPLETE * (np.abs(line.values).max() + 1e-9)


def test_of_a_linear_model_are_weights_times_differences() -> None:
    net = nn.Linear(3, 2).double().eval()
    x, baseline = np.array([1.0, 2, 3]), np.array([0.5, -1, 3])
    weight = net.weight.detach().numpy()
    for output in range(2):
        np.testing.assert_allclose(integrated_gradients(net, x, baseline, output), weight[output] * (x - baseline), rtol=1e-15)


def test_of_a_ramp_counts_only_what_is_above() -> None:
    """relu(x0 + x1 - 1) from 0 to (2, 2): zero up to t = 1/4, then a gradient of (1, 1) for 3/4 of the way."""
    found = integrated_gradients(lambda x: torch.relu(x.sum(1, keepdim=True) - 1), [2.0, 2.0])
    np.testing.assert_allclose(found, [1.5, 1.5], rtol=1e-15)


def test_keep_the_shape_of_the_input() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3)).double().eval()
    x = np.random.default_rng(0).uniform(0, 1, (1, 6, 6))
    found = integrated_gradients(net, x)
    assert found.shape == (1, 6, 6)
    with torch.no_grad():
        at_x, at_zero = net(torch.from_numpy(np.stack([x, np.zeros_like(x)]))).numpy()
    best = at_x.argmax()
    assert abs(found.sum() - (at_x - at_zero)[best]) <= COMPLETE


def test_of_a_constant_are_zero() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU()).double().eval()
    with torch.no_grad():
        net[0].bias.fill_(-100)
    assert integrated_gradients(net, [1.0, 1.0], output=0).tolist() == [0.0, 0.0]


def test_zeros_have_no_sign() -> None:
    found = integrated_gradients(nn.ReLU().eval(), [-1.0, 2.0, 0.0], output=1)
    assert found.tolist() == [0.0, 2.0, 0.0]
    assert not np.signbit(found).any()


def test_refuses_another_output_than_the_only_one() -> None:
    with pytest.raises(ValueError, match=r"^output: expected 0, the only one, got 1$"):
        integrated_gradients(nn.Linear(2, 1).eval(), [1.0, 2.0], output=1)


@pytest.mark.parametrize(("x", "more", "text"), [
    ([1.0, 2.0], {"output": 2}, r"^output: expected a number from 0 to 1, got 2"),
    ([1.0, 2.0], {"output": "a"}, r"^output: expected a number from 0 to 1, got 'a'"),
    ([1.0, 2.0], {"baseline": [1.0]}, r"^baseline: expected the shape of x, \(2,\), got \(1,\)"),
    ([0.0, 0.0], {}, r"^baseline: expected an input different from x, got the same one"),
])
def test_refuse(x: Any, more: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        integrated_gradients(nn.ReLU().eval(), x, **more)
