"""What tests of exports start from: nets with several classes, one output, a part, one cell; and files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from oracle import mlp, square
from splinecam_widget import Partition, Slice, compute_partition, load_partition
from splinecam_widget.engine.storage import SavedPartition

ANCHORS = np.random.default_rng(4).standard_normal((3, 5))


def several() -> Partition:
    """Three classes that all win somewhere, on a slice of five inputs with anchors."""
    net, plane = mlp(5, 8, 8, 3, seed=1), Slice.through(*ANCHORS)
    u = np.random.default_rng(0).uniform(plane.domain.min(axis=0), plane.domain.max(axis=0), (500, 2))
    with torch.no_grad():
        net[-1].bias -= net(torch.from_numpy(plane.to_input(u))).mean(0)
    return compute_partition(net, plane)


def single() -> Partition:
    """One output."""
    net = mlp(2, 10, 1, seed=2)
    with torch.no_grad():
        net[-1].bias -= net(torch.zeros(1, 2).double())[0]
    return compute_partition(net, square())


def lone() -> Partition:
    """One cell on a triangle, no boundary."""
    return compute_partition(nn.Linear(2, 2).double().eval(), square().with_domain([[0, 0], [2, 0], [0, 1]]))


def part() -> Partition:
    found = compute_partition(mlp(2, 16, 16, 2), square(), max_cells=40)
    assert not found.is_complete
    return found


def reloaded(partition: Partition, folder: Path) -> SavedPartition:
    partition.save(folder / "a.npz")
    return load_partition(folder / "a.npz")
