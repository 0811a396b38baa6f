"""Models as people build them, on slices small enough for a test: how each is made, its input's shape, the slice's size.

Weights are torch's default ones for a fixed seed; batch norms have random statistics, as after training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from splinecam_widget import Slice
from splinecam_widget.nn import PositionalEncoding


@dataclass(frozen=True)
class Entry:
    """One model of the zoo.

    Attributes
    ----------
    make : callable
    shape : tuple of int
        Of the input, without the batch axis.
    reach : float
        Distance of the slice's anchors from the input it is around.
    """

    make: Callable[[], Any]
    shape: tuple[int, ...]
    reach: float = 1.0

    def model(self, seed: int = 0) -> Any:
        torch.manual_seed(seed)
        made = self.make()
        return with_statistics(made).eval() if isinstance(made, nn.Module) else made

    def plane(self, seed: int = 0) -> Slice:
        x = torch.rand(self.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        return Slice.around(x, seed=seed, radius=self.reach)


def with_statistics(module: nn.Module) -> nn.Module:
    for m in module.modules():
        if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.running_mean is not None and m.running_var is not None:
            m.running_mean.normal_(0, 0.2)
            m.running_var.uniform_(0.5, 1.5)
    return module


def conv_bn(n_in: int, n_out: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(n_out))


def lenet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))


class BasicBlock(nn.Module):
    """Two convolutions and a skip connection (He et al. 2016)."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.first, self.second = conv_bn(n_in, n_out, stride=stride), conv_bn(n_out, n_out)
        self.relu = nn.ReLU(inplace=True)
        self.skip = nn.Identity() if stride == 1 and n_in == n_out else conv_bn(n_in, n_out, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.second(self.relu(self.first(x)))
        z += self.skip(x)
        out: torch.Tensor = self.relu(z)
        return out


def resnet18() -> nn.Module:
    blocks: list[nn.Module] = []
    n_in = 64
    for n_out, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        blocks += [BasicBlock(n_in, n_out, stride), BasicBlock(n_out, n_out, 1)]
        n_in = n_out
    return nn.Sequential(conv_bn(3, 64), nn.ReLU(), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


class DenseLayer(nn.Module):
    """Its input and what it makes of it, side by side (Huang et al. 2017)."""

    def __init__(self, n_in: int, growth: int) -> None:
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(n_in), nn.Conv2d(n_in, growth, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, self.conv(F.relu(self.norm(x)))], dim=1)


def densenet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), *(DenseLayer(8 + 4 * i, 4) for i in range(3)), nn.Conv2d(20, 10, 1), nn.AvgPool2d(2),
        *(DenseLayer(10 + 4 * i, 4) for i in range(3)), nn.BatchNorm2d(22), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(22, 10))


class UNet(nn.Module):
    """Down by max-pooling, up by bilinear interpolation, and across."""

    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2, self.bottom = (self.block(a, b) for a, b in ((1, 4), (4, 8), (8, 8)))
        self.up2, self.up1, self.head = self.block(16, 4), self.block(8, 4), nn.Conv2d(4, 1, 1)

    def block(self, n_in: int, n_out: int) -> nn.Sequential:
        return nn.Sequential(*conv_bn(n_in, n_out), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        z = self.bottom(F.max_pool2d(b, 2))
        z = self.up2(torch.cat([F.interpolate(z, scale_factor=2, mode="bilinear"), b], 1))
        z = self.up1(torch.cat([F.interpolate(z, scale_factor=2, mode="bilinear"), a], 1))
        out: torch.Tensor = self.head(z)
        return out.mean(dim=(2, 3))


class Inverted(nn.Module):
    """Wide in the middle, depthwise there, with a skip (Sandler et al. 2018)."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *conv_bn(n, 4 * n, 1), nn.ReLU6(), *conv_bn(4 * n, 4 * n, 3, groups=4 * n), nn.ReLU6(), *conv_bn(4 * n, n, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = x + self.body(x)
        return out


def mobilenet() -> nn.Module:
    return nn.Sequential(*conv_bn(3, 8, 3, 2), nn.ReLU6(), Inverted(8), Inverted(8), *conv_bn(8, 16, 3, 2), nn.Hardtanh(0, 6),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))


def vgg(plan: list[int]) -> nn.Module:
    """As in SplineCam's paper: batch norm, no bias, a stride of 2 in the first layer, average pooling (0 in the plan)."""
    layers: list[nn.Module] = []
    n_in = 3
    for n_out in plan:
        if n_out == 0:
            layers.append(nn.AvgPool2d(2))
        else:
            layers += [*conv_bn(n_in, n_out, stride=1 if layers else 2), nn.ReLU()]
            n_in = n_out
    return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(10))


def vgg11() -> nn.Module:
    net = vgg([64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512])
    net(torch.zeros(2, 3, 64, 64))
    return net


def vgg16() -> nn.Module:
    net = vgg([64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512])
    net(torch.zeros(2, 3, 64, 64))
    return net


class Maxout(nn.Module):
    """The largest of k affine functions (Goodfellow et al. 2013)."""

    def __init__(self, n_in: int, n_out: int, k: int) -> None:
        super().__init__()
        self.linear, self.k = nn.Linear(n_in, n_out * k), k

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x).unflatten(1, (-1, self.k)).amax(dim=2)


class DeepSDF(nn.Module):
    """A signed distance of points, with the point put in again half way (Park et al. 2019)."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Linear(width, width - 3), nn.ReLU())
        self.second = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.second(torch.cat([self.first(x), x], dim=1))
        return out


class Radiance(nn.Module):
    """Density and colour from a place and a direction, five numbers (Mildenhall et al. 2020, plain inputs)."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.place = nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.density = nn.Linear(width, 1)
        self.colour = nn.Sequential(nn.Linear(width + 2, width), nn.ReLU(), nn.Linear(width, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.place(x[:, :3])
        return torch.cat([F.relu(self.density(z)), self.colour(torch.cat([z, x[:, 3:]], 1))], 1)


class GroupSort(nn.Module):
    """Units sorted in groups of k (Anil et al. 2019)."""

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(1, (-1, self.k)).sort(dim=2).values.flatten(1)


def encoded() -> nn.Module:
    encoding = PositionalEncoding(3, knots_per_period=8)
    return nn.Sequential(
        encoding, nn.Linear(encoding.n_features(2), 24), nn.ReLU(), nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 3))


class Conditions(nn.Module):
    """Activations written out by hand: masks, `where`, and a gate that is used again layers later."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(6, 16), nn.Linear(16, 16), nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.first(x)
        is_on = z > 0
        y = self.second(torch.where(is_on, z, 0.1 * z))
        y = y * torch.where(y > 0, 1.0, 0.2)
        return self.third(y + z.masked_fill(~is_on, 0.0))


def audio() -> nn.Module:
    return nn.Sequential(nn.Conv1d(1, 8, 9, stride=4), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(4), nn.Conv1d(8, 16, 3),
                         nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(16, 5))


def cnn8() -> nn.Module:
    layers: list[nn.Module] = []
    for n_in, n_out, stride in ((3, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 32, 2), (32, 32, 2)):
        layers += [nn.Conv2d(n_in, n_out, 3, stride, 1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512, 32), nn.ReLU(), nn.Linear(32, 10))


class Shared(nn.Module):
    """One layer used three times."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.again, self.leave = nn.Linear(8, 16), nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = torch.relu(self.enter(x))
        for _ in range(3):
            z = torch.relu(self.again(z))
        out: torch.Tensor = self.leave(z)
        return out


class Functional(nn.Module):
    """No modules but parameters, and a softmax at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(12, 6) / 2)
        self.head = nn.Parameter(torch.randn(3, 12) / 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = F.leaky_relu(F.linear(x.sub(0.5).div(0.25), self.weight), 0.1)
        return F.softmax(z.clamp(max=2.0) @ self.head.t(), dim=1)


a_function = lambda x: torch.relu(x - 0.5).sum(1, keepdim=True) - x[:, :1].abs()  # noqa: E731


ZOO: dict[str, Entry] = {
    "LeNet with max-pooling": Entry(lenet, (1, 28, 28), 0.2),
    "ResNet-18": Entry(resnet18, (3, 32, 32), 0.002),
    "DenseNet-like": Entry(densenet, (3, 16, 16), 0.05),
    "U-Net-like, bilinear": Entry(UNet, (1, 16, 16), 0.1),
    "MobileNet-like, ReLU6": Entry(mobilenet, (3, 16, 16), 0.2),
    "VGG11 with BatchNorm": Entry(vgg11, (3, 64, 64), 0.02),
    "VGG16 with BatchNorm": Entry(vgg16, (3, 64, 64), 0.01),
    "maxout": Entry(lambda: nn.Sequential(Maxout(6, 12, 3), Maxout(12, 8, 4), nn.Linear(8, 3)), (6,), 4.0),
    "GroupSort": Entry(
        lambda: nn.Sequential(nn.Linear(6, 24), GroupSort(4), nn.Linear(24, 16), GroupSort(2), nn.Linear(16, 3)), (6,), 4.0),
    "INR, positional encoding": Entry(encoded, (2,), 0.5),
    "conditions": Entry(Conditions, (6,), 4.0),
    "DeepSDF-like": Entry(DeepSDF, (3,), 2.0),
    "NeRF-like, 5 inputs": Entry(Radiance, (5,), 2.0),
    "1-D audio": Entry(audio, (1, 128), 2.0),
    "CNN of 8 layers": Entry(cnn8, (3, 32, 32), 0.05),
    "shared weights": Entry(Shared, (8,), 4.0),
    "functional, softmax": Entry(Functional, (6,), 2.0),
    "lambda": Entry(lambda: a_function, (4,), 2.0),
}
