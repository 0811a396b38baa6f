"""Reading models: what CNNs and MLPs are built of is understood, and the model is left alone."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from models import CONSTANT, Function, everything_about, shaken
from oracle import assert_consistent
from splinecam_widget.engine.compute import compute_partition
from splinecam_widget.engine.evaluation import evaluate
from splinecam_widget.engine.lowering import lower
from splinecam_widget.engine.slices import Slice

ROUNDINGS = 4096 * 2.0**-53
"""Relative to the largest output: no output of these models sums more than 4096 terms over all its layers."""


def reference(model: Any, x: torch.Tensor) -> torch.Tensor:
    """The user's model in float64."""
    model = copy.deepcopy(model).double().eval() if isinstance(model, nn.Module) else model
    with torch.no_grad():
        return model(x).reshape(len(x), -1)


def assert_understood(model: Any, shape: tuple[int, ...], n_kinks: int) -> None:
    """The network read computes what the model computes, and its partition is consistent and has the model's values."""
    network = lower(model, shape)
    assert len(network.kinks) == n_kinks
    x = torch.randn(5, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = reference(model, x)
    assert network.n_outputs == expected.shape[1]
    with torch.no_grad():
        torch.testing.assert_close(evaluate(network, x), expected, rtol=0, atol=ROUNDINGS * float(expected.abs().max()))
    plane = Slice.around(x[0], seed=2)
    partition = compute_partition(network, plane)
    assert_consistent(partition)
    at_vertices = reference(model, torch.from_numpy(plane.to_input(partition.vertices)))
    torch.testing.assert_close(
        torch.from_numpy(partition.values), at_vertices, rtol=0, atol=ROUNDINGS * float(at_vertices.abs().max())
    )
    certificate = partition.certificate(full=True)
    assert certificate.is_sound, str(certificate)


def headed(layer: nn.Module, shape: tuple[int, ...]) -> nn.Sequential:
    """The layer, a kink, and a linear head on what comes out."""
    torch.manual_seed(0)
    with torch.no_grad():
        width = layer.eval()(torch.zeros(2, *shape)).flatten(1).shape[1]
    return nn.Sequential(layer, nn.ReLU(), nn.Flatten(), nn.Linear(width, 3))


CONVOLUTIONS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "conv1d": (lambda: nn.Conv1d(2, 3, 3), (2, 7)),
    "conv1d stride dilation": (lambda: nn.Conv1d(2, 4, 2, stride=3, padding=2, dilation=2), (2, 7)),
    "conv2d": (lambda: nn.Conv2d(2, 3, 3), (2, 5, 5)),
    "conv2d no bias": (lambda: nn.Conv2d(2, 3, 3, bias=False), (2, 5, 5)),
    "conv2d one by one": (lambda: nn.Conv2d(2, 3, 1), (2, 4, 4)),
    "conv2d oblong": (lambda: nn.Conv2d(2, 2, (1, 3), stride=(2, 1), padding=(0, 2), dilation=(1, 2)), (2, 5, 4)),
    "conv2d stride": (lambda: nn.Conv2d(2, 3, 3, stride=2, padding=1), (2, 6, 5)),
    "conv2d stride over kernel": (lambda: nn.Conv2d(2, 3, 2, stride=3), (2, 6, 5)),
    "conv2d same": (lambda: nn.Conv2d(2, 2, 3, padding="same", dilation=2), (2, 4, 4)),
    "conv2d valid": (lambda: nn.Conv2d(2, 2, 2, padding="valid"), (2, 4, 4)),
    "conv2d grouped": (lambda: nn.Conv2d(4, 6, 3, padding=1, groups=2), (4, 3, 3)),
    "conv2d depthwise": (lambda: nn.Conv2d(4, 8, 3, padding=2, dilation=2, groups=4), (4, 3, 3)),
    "conv2d zeros wide": (lambda: nn.Conv2d(1, 2, 2, padding=5), (1, 3, 3)),
    "conv2d reflect": (lambda: nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect"), (1, 4, 4)),
    "conv2d circular": (lambda: nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular"), (1, 4, 4)),
    "conv2d replicate": (lambda: nn.Conv2d(1, 2, 3, padding=1, padding_mode="replicate"), (1, 4, 4)),
    "conv3d": (lambda: nn.Conv3d(2, 2, 2, stride=(1, 2, 1), padding=(0, 1, 0), dilation=(1, 1, 2)), (2, 3, 3, 4)),
    "conv3d grouped": (lambda: nn.Conv3d(2, 4, 2, groups=2), (2, 3, 3, 3)),
}
LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    **CONVOLUTIONS,
    "linear": (lambda: nn.Linear(4, 6), (4,)),
    "linear no bias": (lambda: nn.Linear(4, 6, bias=False), (4,)),
    "linear on the last axis": (lambda: nn.Linear(4, 3), (2, 4)),
    "batch norm 1d": (lambda: nn.BatchNorm1d(4), (4,)),
    "batch norm 1d of sequences": (lambda: nn.BatchNorm1d(3), (3, 4)),
    "batch norm 2d": (lambda: nn.BatchNorm2d(3), (3, 2, 2)),
    "batch norm 2d not affine": (lambda: nn.BatchNorm2d(3, affine=False, eps=0.1), (3, 2, 2)),
    "batch norm 3d": (lambda: nn.BatchNorm3d(2), (2, 2, 2, 2)),
    "avg pool 1d": (lambda: nn.AvgPool1d(3, stride=2, padding=1), (2, 7)),
    "avg pool 2d": (lambda: nn.AvgPool2d(2), (2, 4, 4)),
    "avg pool 2d no pad counted": (lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False, ceil_mode=True), (2, 4, 4)),
    "avg pool 2d divisor": (lambda: nn.AvgPool2d(2, divisor_override=1), (2, 4, 4)),
    "avg pool 3d": (lambda: nn.AvgPool3d(2), (2, 2, 4, 4)),
    "adaptive avg pool 1d": (lambda: nn.AdaptiveAvgPool1d(3), (2, 7)),
    "adaptive avg pool 2d": (lambda: nn.AdaptiveAvgPool2d((2, 3)), (2, 5, 4)),
    "adaptive avg pool 2d to one": (lambda: nn.AdaptiveAvgPool2d(1), (3, 4, 4)),
    "adaptive avg pool 3d": (lambda: nn.AdaptiveAvgPool3d((1, 2, 2)), (2, 3, 3, 3)),
    "flatten": (lambda: nn.Flatten(), (2, 3)),
    "flatten in part": (lambda: nn.Flatten(2), (2, 2, 2)),
    "unflatten": (lambda: nn.Unflatten(1, (2, 3)), (6,)),
    "dropout": (lambda: nn.Dropout(0.5), (5,)),
    "dropout 2d": (lambda: nn.Dropout2d(0.5), (2, 2, 2)),
    "alpha dropout": (lambda: nn.AlphaDropout(0.5), (5,)),
    "identity": (lambda: nn.Identity(), (5,)),
    "zero pad": (lambda: nn.ZeroPad2d((1, 0, 2, 1)), (1, 2, 2)),
    "constant pad": (lambda: nn.ConstantPad1d(1, 2.5), (1, 4)),
    "reflection pad": (lambda: nn.ReflectionPad2d(1), (1, 3, 3)),
    "replication pad": (lambda: nn.ReplicationPad1d(2), (1, 3)),
    "circular pad": (lambda: nn.CircularPad2d(1), (1, 3, 3)),
    "conv transpose 1d": (lambda: nn.ConvTranspose1d(2, 3, 3, stride=2, padding=1, output_padding=1), (2, 4)),
    "conv transpose 2d": (lambda: nn.ConvTranspose2d(2, 4, 2, stride=2, groups=2), (2, 2, 3)),
    "conv transpose 2d dilated": (lambda: nn.ConvTranspose2d(1, 2, 2, dilation=2, bias=False), (1, 2, 2)),
    "conv transpose 3d": (lambda: nn.ConvTranspose3d(1, 2, 2), (1, 2, 2, 2)),
    "upsample nearest": (lambda: nn.Upsample(scale_factor=2), (1, 2, 3)),
    "upsample linear": (lambda: nn.Upsample(scale_factor=2, mode="linear"), (2, 3)),
    "upsample bilinear": (lambda: nn.Upsample(size=(5, 3), mode="bilinear"), (1, 2, 3)),
    "upsample bilinear, corners aligned": (lambda: nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), (1, 2, 3)),
    "upsample trilinear": (lambda: nn.Upsample(scale_factor=2, mode="trilinear"), (1, 2, 2, 2)),
    "pixel shuffle": (lambda: nn.PixelShuffle(2), (4, 2, 2)),
    "pixel unshuffle": (lambda: nn.PixelUnshuffle(2), (1, 4, 4)),
    "channel shuffle": (lambda: nn.ChannelShuffle(2), (4, 2, 2)),
    "unfold": (lambda: nn.Unfold(2), (1, 3, 3)),
    "fold": (lambda: nn.Fold((3, 3), 2), (4, 4)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_understands_every_affine_layer(name: str) -> None:
    make, shape = LAYERS[name]
    torch.manual_seed(0)
    assert_understood(shaken(headed(make(), shape)), shape, n_kinks=1)


FUNCTIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "reshape": lambda z: z.reshape(-1, 2, 3),
    "reshape by size": lambda z: z.reshape(z.shape[0], 3, 2),
    "view": lambda z: z.view(z.size(0), 2, -1),
    "permute": lambda z: z.view(-1, 2, 3).permute(0, 2, 1),
    "transpose": lambda z: z.view(-1, 2, 3).transpose(1, 2),
    "squeeze and unsqueeze": lambda z: z.unsqueeze(1).unsqueeze(-1).squeeze(1),
    "slices": lambda z: z[:, 1:5:2],
    "one column": lambda z: z[:, 2],
    "none and dots": lambda z: z[:, None, ..., :4],
    "chunks": lambda z: z.chunk(2, dim=1)[1],
    "splits, added": lambda z: sum(z.split(2, dim=1)),  # type: ignore[arg-type, return-value]
    "unbind": lambda z: z.unbind(1)[3],
    "cat": lambda z: torch.cat([z, 2 * z], dim=1),
    "cat with a constant": lambda z: torch.cat([z, torch.ones_like(z)], dim=1),
    "cat with a constant as large as the batch":
        lambda z: torch.cat([z, CONSTANT.to(z.dtype).expand(z.shape[0], -1)], dim=1),
    "repeat": lambda z: torch.cat([z.repeat(1, 2), CONSTANT.to(z.dtype).repeat(z.shape[0], 1)], dim=1),
    "cat with new zeros": lambda z: torch.cat([z.new_full((z.shape[0], 2), 0.5), z, torch.zeros(z.shape[0], 1)], dim=1),
    "stack": lambda z: torch.stack([z, -z], dim=1),
    "skip": lambda z: z + z[:, :1],
    "add a number": lambda z: z + 1.5,
    "number minus": lambda z: 1.5 - z,
    "subtract with alpha": lambda z: torch.sub(z, z[:, :1], alpha=3),
    "mul by a number": lambda z: 2 * z * 0.25,
    "mul by a constant": lambda z: z * CONSTANT.to(z.dtype),
    "div": lambda z: z / 3,
    "div by a constant": lambda z: z / CONSTANT.to(z.dtype),
    "neg": lambda z: -z,
    "mean": lambda z: z.mean(dim=1, keepdim=True),
    "mean over two axes": lambda z: z.view(-1, 2, 3).mean((1, 2)),
    "sum": lambda z: z.view(-1, 2, 3).sum(1),
    "matmul": lambda z: z @ CONSTANT.to(z.dtype).view(6, 1),
    "linear": lambda z: F.linear(z, CONSTANT.to(z.dtype).view(1, 6)),
    "pad": lambda z: F.pad(z, (1, 2), value=0.5),
    "avg pool": lambda z: F.avg_pool1d(z[:, None], 2),
    "in-place add": lambda z: z.add_(1.0),
    "in-place add after a clone": lambda z: z.clone().mul_(2).add_(z),
    "written into a slice": lambda z: _first_column_doubled(z),
    "written over": lambda z: _first_columns_set(z),
    "written into zeros": lambda z: _written_into_zeros(z),
    "an unused branch": lambda z: (torch.relu(z - 1), z)[1],
    "to double": lambda z: z.double(),
    "to the type of another": lambda z: (z + 1).type_as(z),
    "a constant to the shape of another": lambda z: z + CONSTANT[:1].to(z.dtype).expand_as(z),
    "to the shape of another": lambda z: z[:, :1].expand_as(z) + z.view(-1, 2, 3).reshape_as(z) + z.view(-1, 3, 2).view_as(z),
    "contiguous": lambda z: z.view(-1, 2, 3).transpose(1, 2).contiguous().view(-1, 6),
    "expand": lambda z: z[:, :, None].expand(-1, -1, 2),
    "functional dropout": lambda z: F.dropout(z, 0.5, training=False),
    "flip": lambda z: z.flip(1),
    "roll": lambda z: z.roll(2, 1),
    "tile": lambda z: z.tile(1, 2),
    "index by a list": lambda z: z[:, [3, 0, 0]],
    "index select": lambda z: z.index_select(1, torch.tensor([5, 1])),
    "repeat interleave": lambda z: z.repeat_interleave(2, dim=1),
    "windows": lambda z: z.unfold(1, 3, 2),
    "cumsum": lambda z: z.cumsum(1),
    "einsum": lambda z: torch.einsum("bij,jk->bik", z.view(-1, 2, 3), CONSTANT.to(z.dtype).view(3, 2)),
    "einsum, constant first": lambda z: torch.einsum("k,bk->b", CONSTANT.to(z.dtype), z)[:, None],
    "interpolate": lambda z: F.interpolate(z[:, None], scale_factor=2, mode="linear"),
    "a choice by a constant": lambda z: torch.where(CONSTANT > 0, z, 2 * z),
    "masked": lambda z: z.masked_fill(CONSTANT > 0, 0.5),
}


def _first_column_doubled(z: torch.Tensor) -> torch.Tensor:
    copied = z.clone()
    copied[:, 0] *= 2
    return copied


def _first_columns_set(z: torch.Tensor) -> torch.Tensor:
    copied = z.clone()
    copied[:, 0] = 2.0
    copied[:, 1:3] = CONSTANT[:2].to(z.dtype)
    return copied


def _written_into_zeros(z: torch.Tensor) -> torch.Tensor:
    wide = z.new_zeros(z.shape[0], 8)
    wide[:, 1:7] = z
    return wide


@pytest.mark.parametrize("name", FUNCTIONS)
def test_understands_functional_calls(name: str) -> None:
    assert_understood(Function(FUNCTIONS[name]), (3,), n_kinks=1)


KINKS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": torch.relu,
    "relu6": lambda z: F.relu6(8 * z),
    "leaky relu": lambda z: F.leaky_relu(z, 0.2),
    "leaky relu, falling": lambda z: F.leaky_relu(z, -2.0),
    "prelu": lambda z: F.prelu(z, torch.tensor([0.1, -0.5, 1.5, 0.0, 2.0, 1.0], dtype=z.dtype)),
    "rrelu": lambda z: F.rrelu(z, 0.1, 0.3, training=False),
    "abs": torch.abs,
    "hardtanh": lambda z: F.hardtanh(z, -0.5, 0.25),
    "hardsigmoid": lambda z: F.hardsigmoid(6 * z),
    "clamp": lambda z: z.clamp(-0.25, 0.5),
    "clamp below": lambda z: z.clamp_min(0.25),
    "clamp above": lambda z: z.clamp(max=0.25),
    "clamp by tensors": lambda z: z.clamp(min=-CONSTANT.abs().to(z.dtype), max=CONSTANT.abs().to(z.dtype)),
    "clamp at one end, infinite at the other": lambda z: F.hardtanh(z, 0.25, float("inf")),
    "clamp that spreads": lambda z: z[:, :1].clamp(min=0.125 * CONSTANT.to(z.dtype)),
    "softshrink": lambda z: F.softshrink(z, 0.25),
    "softshrink after writing": lambda z: F.softshrink(_first_column_doubled(z), 0.25),
    "threshold": lambda z: F.threshold(z, 0.25, 0.25),
    "in place": lambda z: F.hardtanh_(z + 0, -0.5, 0.5),
    "maximum of two": lambda z: torch.maximum(z[:, :3], z[:, 3:]),
    "minimum of two": lambda z: torch.minimum(z[:, :3], 2 * z[:, 3:]),
    "maximum, broadcast": lambda z: torch.maximum(z.view(-1, 2, 3), z[:, None, :3]),
    "maximum with a constant": lambda z: torch.maximum(z, CONSTANT.to(z.dtype)),
    "constant first": lambda z: torch.minimum(CONSTANT.to(z.dtype), z),
    "max method": lambda z: z[:, :3].max(z[:, 3:]),
    "amax": lambda z: z.amax(1, keepdim=True),
    "amax of two axes": lambda z: z.view(-1, 2, 3).amax((1, 2))[:, None],
    "amin": lambda z: z.view(-1, 2, 3).amin(-1),
    "max over an axis": lambda z: z.view(-1, 2, 3).max(1).values,
    "min over an axis": lambda z: z.view(-1, 3, 2).min(dim=1, keepdim=True)[0],
    "max pool 1d": lambda z: F.max_pool1d(z[:, None], 3, stride=2, padding=1),
    "max pool of one": lambda z: F.max_pool1d(torch.relu(z)[:, None], 1),
}


@pytest.mark.parametrize("name", KINKS)
def test_understands_every_kink(name: str) -> None:
    def bent(z: torch.Tensor) -> torch.Tensor:
        return KINKS[name](z).flatten(1)

    assert_understood(Function(bent), (3,), n_kinks=2)


POOLS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "1d": (lambda: nn.MaxPool1d(3), (2, 7)),
    "1d dilated": (lambda: nn.MaxPool1d(2, stride=1, dilation=3, padding=1), (2, 7)),
    "2d": (lambda: nn.MaxPool2d(2), (2, 4, 4)),
    "2d overlapping": (lambda: nn.MaxPool2d(3, stride=2, padding=1), (1, 5, 4)),
    "2d oblong": (lambda: nn.MaxPool2d((1, 3), stride=(2, 1), padding=(0, 1)), (1, 3, 4)),
    "2d ceil": (lambda: nn.MaxPool2d(3, stride=2, ceil_mode=True), (1, 4, 6)),
    "2d with indices": (lambda: nn.MaxPool2d(2, return_indices=True), (1, 4, 4)),
    "3d": (lambda: nn.MaxPool3d(2, stride=1), (1, 2, 3, 2)),
    "adaptive 1d": (lambda: nn.AdaptiveMaxPool1d(3), (2, 7)),
    "adaptive 2d": (lambda: nn.AdaptiveMaxPool2d((2, 3)), (1, 5, 4)),
    "adaptive 3d": (lambda: nn.AdaptiveMaxPool3d((1, 2, 1)), (1, 2, 3, 2)),
}


class ValuesOf(nn.Module):
    """What a pool returns, without the indices."""

    def __init__(self, pool: nn.Module) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = self.pool(x)
        return found[0] if isinstance(found, tuple) else found


@pytest.mark.parametrize("name", POOLS)
def test_understands_every_max_pool(name: str) -> None:
    make, shape = POOLS[name]
    torch.manual_seed(0)
    assert_understood(headed(ValuesOf(make()), shape), shape, n_kinks=2)


class Residual(nn.Module):
    """A block with a skip connection and batch norms before and after its kinks."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1, bias=False), nn.BatchNorm2d(2), nn.ReLU(inplace=True),
                                  nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x + self.body(x), inplace=True)


class Shared(nn.Module):
    """One linear layer and one ReLU, each used three times."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.act = nn.Linear(4, 4), nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(3):
            x = self.act(self.linear(x))
        return x


class InPlaceAfterUse(nn.Module):
    """The pre-activation is used again after an in-place ReLU changed it."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.first(x)
        before = z + 1
        F.relu_(z)
        return z + before


class InPlaceOnView(nn.Module):
    """An in-place ReLU on a view changes half of the tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.first(x)
        F.relu_(z[:, :2])
        return z


def nested() -> nn.Sequential:
    inner = nn.Sequential(nn.Sequential(nn.Linear(5, 5), nn.BatchNorm1d(5)), nn.Sequential(nn.Sequential(nn.ReLU())))
    return nn.Sequential(nn.Linear(3, 5), nn.LeakyReLU(0.1, inplace=True), inner, nn.BatchNorm1d(5), nn.Linear(5, 2))


MODELS: dict[str, tuple[Callable[[], Any], tuple[int, ...], int]] = {
    "nested sequentials": (nested, (3,), 2),
    "residual": (lambda: nn.Sequential(Residual(), Residual(), nn.Flatten(), nn.Linear(18, 2)), (2, 3, 3), 4),
    "shared modules": (Shared, (4,), 3),
    "in-place after use": (InPlaceAfterUse, (3,), 1),
    "in-place on a view": (InPlaceOnView, (3,), 1),
    "batch norm first, after a kink and last": (
        lambda: nn.Sequential(
            nn.BatchNorm1d(3), nn.Linear(3, 5), nn.ReLU(), nn.BatchNorm1d(5), nn.ReLU(), nn.BatchNorm1d(5)
        ), (3,), 2),
    "no kink": (lambda: nn.Linear(3, 2), (3,), 0),
    "only a kink": (lambda: nn.ReLU(), (3,), 1),
    "leaky with a negative slope": (lambda: nn.Sequential(nn.Linear(3, 4), nn.LeakyReLU(-1.0)), (3,), 1),
    "a lambda": (lambda: lambda x: torch.relu(x[:, :1] - x[:, 1:]), (3,), 1),
    "a module in float64": (lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU()).double(), (3,), 1),
    "scalar inputs in two axes": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(2, 4), nn.ReLU()), (1, 2), 1),
    "weight norm": (lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 4)), nn.ReLU()), (3,), 1),
}


@pytest.mark.parametrize("name", MODELS)
def test_understands_models(name: str) -> None:
    make, shape, n_kinks = MODELS[name]
    torch.manual_seed(0)
    model = make()
    assert_understood(shaken(model) if isinstance(model, nn.Module) else model, shape, n_kinks)


@pytest.mark.parametrize("head", [nn.Softmax(1), nn.LogSoftmax(1), nn.Sigmoid()])
def test_sets_a_monotone_head_aside(head: nn.Module) -> None:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    network = lower(nn.Sequential(body, head), (3,))
    assert network.head
    x = torch.randn(4, 3, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(evaluate(network, x), reference(body, x), rtol=0, atol=ROUNDINGS)


def test_a_bound_method_is_the_part_of_the_model_that_it_runs() -> None:
    class Coder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 2)

        def encode(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.first(x))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.second(self.encode(x))

    torch.manual_seed(0)
    coder = Coder()
    x = torch.randn(4, 3, dtype=torch.float64)
    with torch.no_grad():
        expected = coder.double().encode(x)
        torch.testing.assert_close(evaluate(lower(coder.encode, (3,)), x), expected, rtol=0, atol=ROUNDINGS)


@pytest.mark.parametrize("function", [lambda x: (x,), lambda x: {"logits": x}, lambda x: [x]])
def test_takes_the_only_one_out_of_its_structure(function: Callable[[torch.Tensor], Any]) -> None:
    assert lower(function, (3,)).n_outputs == 3


@pytest.mark.slow
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_leaves_the_model_and_the_world_as_they_were(training: bool, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.ReLU(inplace=True), nn.Linear(4, 2))
    model(torch.randn(8, 3)).sum().backward()
    model.to(dtype).train(training)
    model[0].weight.requires_grad_(False)
    calls: list[nn.Module] = []
    model[1].register_forward_hook(lambda m, *_: calls.append(m))
    before = everything_about(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        partition = compute_partition(model, Slice.around(np.zeros(3)))
        partition.affine_maps()
        partition.decision_boundary()
    after = everything_about(model)
    for what in before:
        assert after[what] == before[what], what
    assert not [m for m in calls if m is model[1]], "hooks of the user's model do not run"


def test_a_softmax_over_all_outputs_is_set_aside_for_one_axis_of_several() -> None:
    assert lower(lambda x: x.reshape(-1, 1, 6).softmax(2), (6,)).head == "softmax"
