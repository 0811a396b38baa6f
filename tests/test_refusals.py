"""What is no CPWL network is refused, all of it at once, with where, why and what to use instead."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from models import CONSTANT, Function, everything_about
from splinecam_widget.engine.errors import UnsupportedModelError
from splinecam_widget.engine.lowering import lower


class Forbidden(nn.Module):
    """Affine, smooth, normalised, pooled and multiplied by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        self.body = nn.Sequential(nn.GELU(), nn.GroupNorm(1, 2), nn.ReLU(), nn.AvgPool2d(2))
        self.head = nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.body(self.conv(x)).flatten(1)
        return torch.sin(self.head(z * z))


def test_lists_every_offender_with_path_shapes_reason_and_replacement() -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        lower(Forbidden(), (1, 4, 4))
    found = [(o.path, o.operation, o.shapes) for o in caught.value.offenders]
    assert found == [
        ("body.0", "gelu", "(2, 4, 4) -> (2, 4, 4)"),
        ("body.1", "group_norm", "(2, 4, 4) -> (2, 4, 4)"),
        ("", "mul", found[2][2]),
        ("", "sin", "(2,) -> (2,)"),
    ]
    text = str(caught.value)
    assert text.startswith("model: expected a continuous piecewise-linear network, but 4 operations are not supported:")
    for offender in caught.value.offenders:
        assert offender.reason
        assert offender.replacement
        for part in (offender.path, offender.operation, offender.shapes, offender.reason, offender.replacement):
            assert part in text


@pytest.mark.parametrize(("operation", "reason"), [
    (torch.tanh, "smooth"), (torch.sin, "smooth"), (torch.exp, "smooth"), (F.gelu, "smooth"), (F.silu, "smooth"),
    (F.softplus, "smooth"), (F.elu, "smooth"), (lambda z: z**2, "smooth"), (lambda z: z.softmax(1) + z, "smooth"),
    (lambda z: z * z, "multiplies two tensors"), (lambda z: z @ z.mT @ z, "mixes the inputs|multiplies two"),
    (lambda z: z / z.sum(1, keepdim=True), "not affine in this argument: other"), (lambda z: 1 / z, "."),
    (lambda z: z + torch.randn_like(z), "random"), (lambda z: z.amax(0), "mixes the inputs"),
    (lambda z: F.layer_norm(z, (6,)), "statistics of the data"),
    (lambda z: z - z.mean(0), "mixes the inputs of a batch"),
    (lambda z: F.batch_norm(z, None, None, training=True), "statistics of the batch"),
    (lambda z: F.dropout(z, 0.5, training=True), r"random: .*training=self\.training"), (lambda z: z.round() + z, "."),
    (lambda z: z.flip(0), "mixes the inputs"), (lambda z: z.roll(1), "mixes the inputs"),
    (lambda z: z.cumsum(-2), "mixes the inputs"), (lambda z: F.pad(z, (0, 0, 1, -1)), "mixes the inputs"),
    (lambda z: torch.select_scatter(z, CONSTANT.to(z.dtype), 0, 0), "mixes the inputs"),
    (lambda z: z + torch.full_like(z, z.shape[0]), "size of the batch"),
    (lambda z: z.masked_fill(CONSTANT > 0, z.shape[0]), "size of the batch"),
    (lambda z: z * (torch.ones(z.shape[0], 1) / z.shape[0]), "size of the batch"),
    (lambda z: z * torch.arange(z.shape[0])[:, None], "size of the batch"),
    (lambda z: torch.maximum(z, torch.arange(z.shape[0]).to(z.dtype)[:, None]), "size of the batch"),
    (lambda z: z * torch.ones(z.shape[0], 2).sum(0)[0], "size of the batch"),
    (lambda z: torch.where(z > z.shape[0], z, z), "size of the batch"),
    (lambda z: z[:, torch.tensor([[0, 1]]).expand(z.shape[0], -1)].sum(1), "as large as the batch"),
    (lambda z: z.clamp(max=z.shape[0]), "size of the batch"), (lambda z: z.to(torch.int64).to(z.dtype), "rounds|int64"),
    (F.hardswish, "quadratic"),
    (F.hardshrink, "not continuous"), (lambda z: F.threshold(z, 0.5, 0.0), "not continuous"), (torch.sign, "not continuous"),
    (lambda z: z.clamp(min=z.mean(1, keepdim=True)), "not affine in this argument: min"),
    (lambda z: z.clamp(1.0, -1.0), "above the upper one"), (lambda z: z.max(1).indices.to(z.dtype)[:, None], "whole numbers"),
    (lambda z: F.pad(z, (-1, -1)) * z[:, :4], "multiplies two"),
    (lambda z: torch.div(z, 2, rounding_mode="floor"), "rounds"), (lambda z: (z > 0).to(z.dtype), "."),
    (lambda z: z[z[:, 0] > 0], "."),
])
def test_refuses_what_is_not_piecewise_linear_here(
    operation: Callable[[torch.Tensor], torch.Tensor], reason: str
) -> None:
    with pytest.raises(UnsupportedModelError, match=reason) as caught:
        lower(Function(operation), (3,))
    assert caught.value.offenders


def test_says_that_colours_may_be_on_the_last_axis() -> None:
    """As in pictures of PIL."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    with pytest.raises(UnsupportedModelError, match=r"if the last axis is that of colours, put it first$"):
        lower(net, (8, 8, 3))
    with pytest.raises(UnsupportedModelError, match=r"with a batch axis in front$"):
        lower(net, (8, 8, 8))


def test_refuses_a_model_that_raises_and_says_what_it_raised() -> None:
    text = r"^model: expected a module that runs on inputs of shape \(batch, 5\)"
    with pytest.raises(UnsupportedModelError, match=text) as caught:
        lower(nn.Linear(3, 2), (5,))
    assert not caught.value.offenders
    assert caught.value.__cause__ is not None
    assert "; the model was given inputs of shape (1, 5), the shape of the anchors or the slice" in str(caught.value)


@pytest.mark.parametrize("function", [
    lambda x: x if bool((x > 0).all()) else -x,
    lambda x: (_ for _ in ()).throw(RuntimeError("my own error")),
])
def test_refuses_a_model_that_branches_on_the_data(function: Callable[[torch.Tensor], torch.Tensor]) -> None:
    text = r"^model: expected a module that runs on inputs of shape \(batch, 3\)"
    with pytest.raises(UnsupportedModelError, match=text):
        lower(function, (3,))


@pytest.mark.parametrize("function", [
    lambda x: (x, x), lambda x: {"logits": x, "features": x}, lambda x: [x, [x]], lambda x: []])
def test_refuses_several_outputs(function: Callable[[torch.Tensor], Any]) -> None:
    with pytest.raises(UnsupportedModelError, match=r"^model: expected one output tensor, got a structure of"):
        lower(function, (3,))


def test_refuses_a_constant_output() -> None:
    text = r"^model: expected an output that depends on the input, got a constant"
    with pytest.raises(UnsupportedModelError, match=text):
        lower(lambda x: torch.ones(2, 2), (3,))


class Attending(nn.Module):
    """Attention over rows, and a layer on what comes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = x.reshape(-1, 2, 8)
        return self.head(self.attention(z, z, z)[0].flatten(1))


@pytest.mark.parametrize("shape", [(2, 8), (16,)])
def test_a_module_that_is_refused_as_a_whole_is_one_offender(shape: tuple[int, ...]) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        lower(Attending().eval(), shape)
    assert [(o.path, o.operation) for o in caught.value.offenders] == [("attention", "MultiheadAttention")]


@pytest.mark.parametrize("model", [None, 3, "net", np.zeros(3)])
def test_refuses_what_is_no_model(model: Any) -> None:
    with pytest.raises(TypeError, match=r"^model: expected a torch module or a callable, got"):
        lower(model, (3,))


def test_leaves_a_refused_model_as_it_was() -> None:
    model = Forbidden().train()
    before = everything_about(model)
    with pytest.raises(UnsupportedModelError):
        lower(model, (1, 4, 4))
    assert everything_about(model) == before


@pytest.mark.parametrize("axis", [0, 2])
def test_a_softmax_that_does_not_order_the_outputs_is_refused(axis: int) -> None:
    with pytest.raises(UnsupportedModelError, match="softmax"):
        lower(lambda x: x.reshape(-1, 3, 2).softmax(axis), (6,))


def test_random_constants_are_refused() -> None:
    state = torch.get_rng_state()
    with pytest.raises(UnsupportedModelError, match="it is random"):
        lower(lambda x: (x + torch.randn(6)).relu(), (6,))
    assert torch.equal(state, torch.get_rng_state())


def test_a_model_without_numbers_is_named() -> None:
    with pytest.raises(UnsupportedModelError, match="model: expected a model that can be copied"):
        lower(nn.Linear(2, 2, device="meta"), (2,))


def test_a_model_that_exits_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="SystemExit"):
        lower(lambda x: sys.exit("enough"), (2,))
