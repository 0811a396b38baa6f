"""Vertices evaluated on another device than the CPU."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from oracle import assert_consistent, assert_same, mlp, square
from splinecam_widget import Slice, compute_partition
from splinecam_widget.engine import evaluation
from splinecam_widget.engine.lowering import lower
from zoo import ZOO

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


@pytest.mark.parametrize(("device", "error"), [("gpu9", ValueError), ("meta", ValueError), (3, TypeError)])
def test_refuses_what_is_no_device(device: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^device: expected "):
        compute_partition(mlp(2, 3, 1), square(), device=device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_says_that_there_is_none() -> None:
    with pytest.raises(ValueError, match=r"^device: expected one that computes in float64 here, got 'cuda'"):
        compute_partition(mlp(2, 3, 1), square(), device="cuda")


def test_stages_elsewhere_are_the_same_but_for_where_their_constants_are() -> None:
    """On the CPU under another name: every constant goes through the move."""
    model = nn.Sequential(nn.Linear(2, 64), nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2),
                          nn.Flatten(), nn.Linear(36, 3)).eval()
    network = lower(model, (2,))
    other = replace(network, device="cpu:0")
    assert other.stages_on_device is not other.stages
    assert_same(compute_partition(other, square()), compute_partition(network, square()))


def test_no_numbers_are_read_of_constants_that_lie_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """numpy has none of what is on a GPU."""
    network = replace(lower(mlp(2, 70, 70, 1), (2,)), device="cpu:0")
    read = []
    dense_of = evaluation.dense_of

    def seen(stage: Any, shapes: Any) -> Any:
        read.append(stage)
        return dense_of(stage, shapes)

    monkeypatch.setattr(evaluation, "dense_of", seen)
    compute_partition(network, square())
    assert read
    assert not set(map(id, read)).intersection(map(id, network.stages_on_device))


def test_a_network_stays_where_it_was_unless_told() -> None:
    network = replace(lower(mlp(2, 3, 1), (2,)), device="cpu:0")
    assert compute_partition(network, square()).network.device == "cpu:0"
    assert compute_partition(network, square(), device="cpu").network.device == "cpu"


@needs_cuda
@pytest.mark.parametrize("widths", [(2, 16, 16, 1), (2, 128, 128, 128, 1)])
def test_finds_the_same_cells_on_a_gpu(widths: tuple[int, ...]) -> None:
    network = lower(mlp(*widths), (2,))
    found = compute_partition(network, square(), device="cuda")
    assert_same(found, compute_partition(network, square()))
    assert_consistent(found)
    assert found.certificate().is_sound


@needs_cuda
@pytest.mark.parametrize("name", ["LeNet with max-pooling", "GroupSort", "conditions", "MobileNet-like, ReLU6"])
def test_finds_the_same_cells_of_other_nets_on_a_gpu(name: str) -> None:
    entry = ZOO[name]
    network = lower(entry.model(), entry.shape)
    plane: Slice = entry.plane()
    assert_same(compute_partition(network, plane, device="cuda"), compute_partition(network, plane))
