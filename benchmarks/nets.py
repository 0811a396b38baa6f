"""The reference networks: seeds, domains and true numbers of cells, and what was measured on them before.

A network is `torch.manual_seed(seed)`, then `Linear, activation, ..., Linear` built in order with torch's default
initialisation, in float32; its domain is the square `[-half_side, half_side]^2`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Net:
    """One reference network."""

    name: str
    widths: tuple[int, ...]
    """Width of every hidden layer."""
    cells: int
    seed: int = 0
    half_side: float = 1.0
    leak: float = 0.0
    """Slope of LeakyReLU, 0 for ReLU."""
    draft_ms: float | None = None
    """A first draft of the engine, one thread."""
    regioncam_ms: float | None = None
    """regioncam 0.5.2 in the same run as the draft."""
    least_gain: float | None = None
    """How many times as fast as regioncam the engine is to be."""
    most_forward: float | None = None
    """How long it may take, in plain forward passes over the final vertices."""

    @property
    def gain_of_draft(self) -> float | None:
        """What regioncam's time is over the draft's, on one machine in one run."""
        if self.draft_ms is None or self.regioncam_ms is None:
            return None
        return self.regioncam_ms / self.draft_ms

    def build(self) -> nn.Sequential:
        """The network, in float32."""
        torch.manual_seed(self.seed)
        layers: list[nn.Module] = []
        width_in = 2
        for width in self.widths:
            layers += [nn.Linear(width_in, width), nn.LeakyReLU(self.leak) if self.leak else nn.ReLU()]
            width_in = width
        return nn.Sequential(*layers, nn.Linear(width_in, 1))


NETS = (
    Net("2-16x3-1", (16,) * 3, 178, draft_ms=0.3, regioncam_ms=0.3),
    Net("2-32x3-1", (32,) * 3, 1_180, draft_ms=1.8, regioncam_ms=3.4),
    Net("2-64x3-1", (64,) * 3, 6_668, draft_ms=12, regioncam_ms=48),
    Net("2-64x4-1", (64,) * 4, 7_920, draft_ms=21, regioncam_ms=73, least_gain=12),
    Net("2-128x3-1", (128,) * 3, 20_714, draft_ms=76, regioncam_ms=305),
    Net("2-128x4-1", (128,) * 4, 29_584, draft_ms=127, regioncam_ms=739, least_gain=18, most_forward=0.5),
    Net("2-256x4-1", (256,) * 4, 125_057, draft_ms=903, regioncam_ms=9_861, least_gain=28, most_forward=0.4),
    Net("2-510-1", (510,), 40_870, draft_ms=354, regioncam_ms=982),
    Net("2-960-1", (960,), 164_744, draft_ms=2_117, regioncam_ms=10_325, least_gain=15, most_forward=0.7),
    Net("2-128-128-1", (128, 128), 26_525, half_side=5.0, regioncam_ms=320),
    Net("2-20x10-1 leaky", (20,) * 10, 359, leak=0.03, regioncam_ms=2),
    Net("2-20x10-1", (20,) * 10, 1_146, seed=1, half_side=3.0, regioncam_ms=6),
)
