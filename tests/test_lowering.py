"""Reading models: what CNNs and MLPs are built of is understood, the rest is refused, the model is left alone."""

from __future__ import annotations

import copy
import random
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from oracle import assert_consistent
from splinecam_widget.analysis.attributions import integrated_gradients
from splinecam_widget.analysis.complexity import local_complexity
from splinecam_widget.analysis.lines import compute_line
from splinecam_widget.engine import reading
from splinecam_widget.engine.compute import compute_partition
from splinecam_widget.engine.errors import UnsupportedModelError
from splinecam_widget.engine.evaluation import evaluate
from splinecam_widget.engine.explain import explain
from splinecam_widget.engine.lowering import lower, read
from splinecam_widget.engine.slices import Slice
from splinecam_widget.engine.spreading import partition_many

ROUNDINGS = 4096 * 2.0**-53
"""Relative to the largest output: no output of these models sums more than 4096 terms over all its layers."""


def shaken(module: nn.Module, seed: int = 0) -> nn.Module:
    """The module in eval mode with random statistics in its batch norms, so that they do something."""
    generator = torch.Generator().manual_seed(seed)
    for m in module.modules():
        if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.running_mean is not None and m.running_var is not None:
            m.running_mean.copy_(torch.randn(m.running_mean.shape, generator=generator))
            m.running_var.copy_(torch.rand(m.running_var.shape, generator=generator) + 0.5)
            if m.affine:
                with torch.no_grad():
                    m.weight.copy_(torch.randn(m.weight.shape, generator=generator))
                    m.bias.copy_(torch.randn(m.bias.shape, generator=generator))
    return module.eval()


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


class Function(nn.Module):
    """A function of tensors after a linear layer and before a kink."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor], width: int = 6) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.function = nn.Linear(3, width), function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.function(self.first(x)))


CONSTANT = torch.tensor([0.5, -1.0, 2.0, 0.25, -3.0, 1.5])
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


@pytest.mark.parametrize("function", [lambda x: (x,), lambda x: {"logits": x}, lambda x: [x]])
def test_takes_the_only_one_out_of_its_structure(function: Callable[[torch.Tensor], Any]) -> None:
    assert lower(function, (3,)).n_outputs == 3


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


def test_a_model_in_training_mode_is_computed_as_in_eval_mode() -> None:
    torch.manual_seed(0)
    model = shaken(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.ReLU()))
    plane = Slice.around(np.zeros(3))
    expected = compute_partition(model, plane)
    model.train()
    with pytest.warns(UserWarning, match=r"^model: it is in training mode"):
        found = compute_partition(model, plane)
    np.testing.assert_array_equal(found.values, expected.values)


LOOKS_LIKE_A_BATCH = (r"^model: an input of shape \(4, 6\) gives outputs of shape \(4, 3\), which looks like a batch of 4; "
                      r"one input is expected$")


@pytest.mark.parametrize("compute", [
    lambda net: compute_partition(net, Slice.around(np.zeros((4, 6)))),
    lambda net: compute_line(net, np.zeros((4, 6)), np.ones((4, 6))),
    lambda net: integrated_gradients(net, np.ones((4, 6))),
    lambda net: partition_many(net, Slice.around(np.zeros((4, 6)))),
    lambda net: local_complexity(net, np.zeros((1, 4, 6)), 0.1),
])
def test_warns_of_a_batch_that_is_taken_for_one_input(compute: Callable[[nn.Module], Any]) -> None:
    net = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)).eval()
    with pytest.warns(UserWarning, match=LOOKS_LIKE_A_BATCH) as caught:
        compute(net)
    assert [Path(w.filename).name for w in caught] == [Path(__file__).name]


def test_a_table_says_that_an_input_looks_like_a_batch() -> None:
    found = explain(nn.Linear(6, 3).eval(), np.zeros((4, 6)))
    assert "; an input of shape (4, 6) gives outputs of shape (4, 3)" in found.message


@pytest.mark.parametrize(("net", "shape"), [
    (nn.Linear(6, 3), (1, 6)),
    (nn.Linear(6, 3), (2, 4, 6)),
    (nn.ReLU(), (4, 6)),
    (nn.Conv1d(4, 4, 3), (4, 6)),
    (nn.Sequential(nn.Flatten(), nn.Linear(24, 12), nn.Unflatten(1, (4, 3))), (4, 6)),
    (lambda x: (x + torch.arange(4.0)[:, None])[:, :, :3], (4, 6)),
    (lambda x: (x - x.mean(1, keepdim=True))[:, :, :3], (4, 6)),
])
def test_no_warning_comes_with_rows_that_are_one_input(net: Any, shape: tuple[int, ...]) -> None:
    assert not read(net.eval() if isinstance(net, nn.Module) else net, shape).batch_note


def test_no_warning_comes_with_a_model_in_eval_mode() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU()).eval()
        compute_partition(net, Slice.around(np.zeros(3)))


def everything_about(model: nn.Module) -> dict[str, Any]:
    """All of a model and of torch's global state that a computation could change."""
    modules = dict(model.named_modules())
    return {
        "modes": {name: m.training for name, m in modules.items()},
        "hooks": {name: (len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks))
                  for name, m in modules.items()},
        "attributes": {name: sorted(vars(m)) for name, m in modules.items()},
        "forwards": {name: "forward" in vars(m) for name, m in modules.items()},
        "parameters": {name: (id(p), p.dtype, p.device, p.requires_grad, id(p.grad), p._version)
                       for name, p in model.named_parameters()},
        "buffers": {name: (id(b), b.dtype, b.device, b._version) for name, b in model.named_buffers()},
        "bits": {name: t.detach().numpy().tobytes() for name, t in model.state_dict().items()},
        "gradients": {name: None if p.grad is None else p.grad.numpy().tobytes()
                      for name, p in model.named_parameters()},
        "torch random": torch.get_rng_state().numpy().tobytes(),
        "numpy random": np.random.get_state()[1].tobytes(),
        "python random": random.getstate(),
        "torch": (torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads()),
    }


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


def test_a_softmax_over_all_outputs_is_set_aside_for_one_axis_of_several() -> None:
    assert lower(lambda x: x.reshape(-1, 1, 6).softmax(2), (6,)).head == "softmax"


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


def test_rows_without_outputs_look_like_no_batch() -> None:
    assert not reading._takes_rows_apart(lambda x: x[..., :0], (4, 3))
    assert reading._takes_rows_apart(torch.relu, (4, 3))
