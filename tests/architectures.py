"""Random small networks composed of every supported layer, for property tests."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import strategies as st
from torch import nn

from splinecam_widget.engine.slices import Slice
from splinecam_widget.nn import PiecewiseLinear

MAX_ENTRIES = 48
"""Of any tensor: a picture of more units has more cells than a quick test takes."""


class Function(nn.Module):
    """A function of one tensor, by name."""

    def __init__(self, name: str, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.name, self.function = name, function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)

    def extra_repr(self) -> str:
        return self.name


class Residual(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x)


class Beside(nn.Module):
    """The input and what is made of it, side by side."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, self.body(x)], 1)


class Twice(nn.Module):
    """One module used two times."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(self.body(x))


def _masked(x: torch.Tensor) -> torch.Tensor:
    return x.masked_fill(x < 0.25, 0.25)


def _filled(x: torch.Tensor) -> torch.Tensor:
    copied = x.clone()
    copied[x > 0.5] = 0.5
    return copied


BENDS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU, "leaky": lambda: nn.LeakyReLU(0.1), "steep": lambda: nn.LeakyReLU(-0.5), "prelu": lambda: nn.PReLU(),
    "relu6": lambda: nn.Sequential(Function("8 x", lambda x: 8 * x), nn.ReLU6()), "hardtanh": lambda: nn.Hardtanh(-0.5, 0.75),
    "hardsigmoid": lambda: nn.Sequential(Function("4 x", lambda x: 4 * x), nn.Hardsigmoid()),
    "softshrink": lambda: nn.Softshrink(0.3), "abs": lambda: Function("abs", torch.abs),
    "clamp": lambda: Function("clamp", lambda x: x.clamp(-0.25, 0.5)),
    "clamp below": lambda: Function("clamp below", lambda x: x.clamp_min(0.125)),
    "where": lambda: Function("where", lambda x: torch.where(x > 0, x, 0.25 * x)),
    "sign": lambda: Function("sign", lambda x: x * torch.sign(x)),
    "mask": lambda: Function("mask", lambda x: x * (x > 0)),
    "masked fill": lambda: Function("masked fill", _masked),
    "index put": lambda: Function("index put", _filled),
    "knots": lambda: PiecewiseLinear([-1.0, -0.5, 0.25, 1.5], [0.5, -0.25, 0.75, 0.25]),
    "wave": lambda: PiecewiseLinear([0.0, 0.5, 1.5], [0.0, 0.5, -0.5], period=2.0),
    "odd wave": lambda: PiecewiseLinear([-0.3, 0.1, 0.4], [0.2, -0.7, 0.4], period=1.1),
    "constant maximum": lambda: Function("maximum with a number", lambda x: torch.maximum(x, torch.full((1,), 0.25))),
}
HOMOGENEOUS = ["relu", "leaky", "steep", "prelu", "abs", "where", "sign", "mask"]
"""Those that commute with positive factors."""



JOINT: dict[str, tuple[int, Callable[[], nn.Module]]] = {
    "maximum": (2, lambda: Function("maximum", lambda x: torch.maximum(*x.chunk(2, 1)))),
    "minimum": (2, lambda: Function("minimum", lambda x: torch.minimum(*x.chunk(2, 1)))),
    "maxout": (3, lambda: Function("maxout", lambda x: x.unflatten(1, (3, -1)).amax(1))),
    "minout": (4, lambda: Function("minout", lambda x: x.unflatten(1, (-1, 4)).min(2).values)),
    "pairs": (2, lambda: Function("sort pairs", lambda x: x.unflatten(1, (-1, 2)).sort(2).values.flatten(1, 2))),
    "groups": (3, lambda: Function(
        "sort groups", lambda x: x.unflatten(1, (-1, 3)).sort(2, descending=True).values.flatten(1, 2))),
    "sort": (1, lambda: Function("sort", lambda x: x.sort(1).values)),
}
"""Of axis 1, whose size must be a multiple of the number."""


@st.composite
def bends(draw: st.DrawFn, shape: tuple[int, ...]) -> nn.Module:
    joint = [name for name, (k, _) in JOINT.items() if shape[0] % k == 0 and shape[0] > 1]
    name = draw(st.sampled_from([*BENDS, *joint, *joint]))
    return BENDS[name]() if name in BENDS else JOINT[name][1]()


def _divisors(*numbers: int) -> list[int]:
    return [k for k in range(1, min(numbers) + 1) if all(n % k == 0 for n in numbers)]


@st.composite
def flat_layers(draw: st.DrawFn, n: int) -> nn.Module:
    kind = draw(st.sampled_from(["linear", "linear", "norm", "residual", "beside", "twice", "dropout"]))
    width = draw(st.sampled_from([2, 3, 4, 6, 8, 12]))
    if kind == "norm":
        return nn.BatchNorm1d(n)
    if kind == "dropout":
        return nn.Sequential(nn.Dropout(0.5), nn.Linear(n, width))
    bend = draw(bends((width,)))
    if kind == "linear":
        return nn.Linear(n, width, bias=draw(st.booleans()))
    if kind == "beside":
        return Beside(nn.Sequential(nn.Linear(n, width), bend))
    inner = bend(torch.zeros(2, width)).shape[1]
    body = nn.Sequential(nn.Linear(n, width), bend, nn.Linear(inner, n))
    return Residual(body) if kind == "residual" else Twice(body)


@st.composite
def spatial_layers(draw: st.DrawFn, shape: tuple[int, ...]) -> nn.Module:
    """Of sequences (channels, length) or images (channels, height, width)."""
    d = len(shape) - 1
    n = shape[0]
    conv, transposed, norm, mean, largest, adaptive_mean, adaptive_largest = (
        (nn.Conv1d, nn.ConvTranspose1d, nn.BatchNorm1d, nn.AvgPool1d, nn.MaxPool1d, nn.AdaptiveAvgPool1d, nn.AdaptiveMaxPool1d)
        if d == 1 else
        (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.AvgPool2d, nn.MaxPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d))
    kernel, stride, dilation = (draw(st.integers(1, k)) for k in (3, 2, 2))
    padding, channels = draw(st.integers(0, 2)), draw(st.integers(1, 4))
    groups = draw(st.sampled_from(_divisors(n, channels)))
    kind = draw(st.sampled_from(["conv", "conv", "conv", "transposed", "norm", "mean", "largest", "adaptive mean",
                                 "adaptive largest", "nearest", "linear", "pad", "beside", "residual"]))
    bias = draw(st.booleans())
    if kind == "conv":
        mode = draw(st.sampled_from(["zeros", "zeros", "reflect", "replicate", "circular"]))
        return conv(n, channels, kernel, stride, padding, dilation, groups, bias, padding_mode=mode)
    if kind == "transposed":
        return transposed(n, channels, kernel, stride, min(padding, kernel - 1), 0, groups, bias, dilation)
    if kind == "norm":
        return norm(n)
    if kind == "mean":
        return mean(kernel, stride, min(padding, kernel // 2), draw(st.booleans()), draw(st.booleans()))
    if kind == "largest":
        return largest(kernel, stride, min(padding, kernel // 2), dilation, ceil_mode=draw(st.booleans()))
    if kind in ("adaptive mean", "adaptive largest"):
        return (adaptive_mean if kind == "adaptive mean" else adaptive_largest)(draw(st.integers(1, 3)))
    if kind in ("nearest", "linear"):
        if kind == "nearest":
            return nn.Upsample(scale_factor=2)
        return nn.Upsample(scale_factor=2, mode="bilinear" if d == 2 else "linear", align_corners=draw(st.booleans()))
    if kind == "pad":
        mode = draw(st.sampled_from(["constant", "reflect", "replicate", "circular"]))
        sizes = [draw(st.integers(0, 1)) for _ in range(2 * d)]
        return Function(f"pad {sizes} {mode}", lambda x: F.pad(x, sizes, mode))
    if kind == "beside":
        return Beside(nn.Sequential(conv(n, channels, 3, padding=1), draw(st.sampled_from(list(BENDS.values())))()))
    return Residual(nn.Sequential(conv(n, n, 3, padding=1), draw(st.sampled_from(list(BENDS.values())))(), conv(n, n, 1)))


def shape_after(layer: nn.Module, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Shape of what a layer makes of inputs of a shape, without the batch axis; None if it cannot, or makes too much."""
    try:
        with torch.no_grad():
            found = layer.eval()(torch.zeros(2, *shape))
    except (RuntimeError, ValueError):
        return None
    if not found.isfinite().all():  # a window of a dilated pool may lie outside
        return None
    after = tuple(found.shape[1:])
    return after if 0 < np.prod(after) <= MAX_ENTRIES else None


def with_random_weights(net: nn.Module, numbers: np.random.Generator, step: float) -> nn.Module:
    """In float64 and eval mode; weights normally distributed, or small multiples of `step`; statistics random."""
    net = net.double().eval()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith("values"):
                continue  # of a curve
            shape = tuple(parameter.shape)
            size = np.sqrt(max(1, parameter[0].numel())) if parameter.ndim > 1 else 1.0
            values = numbers.standard_normal(shape) / size if step == 0 else step * numbers.integers(-2, 3, shape)
            parameter.copy_(torch.from_numpy(np.asarray(values)))
        for m in net.modules():
            if isinstance(m, nn.modules.batchnorm._BatchNorm):
                m.running_mean.copy_(torch.from_numpy(numbers.standard_normal(m.num_features) / 4))
                m.running_var.copy_(torch.from_numpy(numbers.uniform(0.5, 2, m.num_features)))
    return net


@st.composite
def architectures(draw: st.DrawFn, max_layers: int = 4) -> tuple[nn.Sequential, Slice]:
    """A random net and a random slice of its inputs."""
    numbers = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape: tuple[int, ...] = draw(st.sampled_from([(2,), (3,), (5,), (1, 6), (2, 5), (1, 3, 4), (2, 3, 3)]))
    input_shape = shape
    layers: list[nn.Module] = []
    for _ in range(draw(st.integers(1, max_layers))):
        for make in (flat_layers(shape[0]) if len(shape) == 1 else spatial_layers(shape), None):
            layer = draw(make if make is not None else bends(shape))
            after = shape_after(layer, shape)
            if after is not None:
                layers.append(layer)
                shape = after
        if len(shape) > 1 and draw(st.integers(0, 3)) == 0:
            layers.append(nn.Flatten())
            shape = (int(np.prod(shape)),)
    layers += [nn.Flatten(), nn.Linear(int(np.prod(shape)), draw(st.integers(1, 3)))]
    if draw(st.integers(0, 4)) == 0:
        layers.append(nn.Softmax(1))
    net = with_random_weights(nn.Sequential(*layers), numbers, draw(st.sampled_from([0.0, 0.0, 0.0, 0.5])))
    radius = draw(st.sampled_from([0.5, 1.0, 3.0]))
    plane = Slice.around(numbers.standard_normal(input_shape) / 2, seed=int(numbers.integers(1000)), radius=radius)
    return net, plane


@st.composite
def dense_nets(draw: st.DrawFn, only: list[str] | None = None, max_depth: int = 3) -> tuple[nn.Sequential, Slice]:
    """Linear layers with an elementwise bend after each but the last."""
    numbers = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    widths = [draw(st.integers(2, 4)), *draw(st.lists(st.integers(2, 6), min_size=1, max_size=max_depth)), 2]
    layers: list[nn.Module] = []
    for n, m in pairwise(widths):
        layers += [nn.Linear(n, m), BENDS[draw(st.sampled_from(only or list(BENDS)))]()]
    net = with_random_weights(nn.Sequential(*layers[:-1]), numbers, draw(st.sampled_from([0.0, 0.0, 0.5])))
    plane = Slice.around(numbers.standard_normal(widths[0]) / 2, seed=int(numbers.integers(1000)), radius=2.0)
    return net, plane
