"""Copies of models: whatever the engine does, the user's model stays as it is, and the other way round."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from splinecam_widget import Slice, compute_partition
from splinecam_widget.engine.snapshot import snapshot
from widget_checks import assert_same_partition

PLANE = Slice.from_basis([0.0, 0.0], np.eye(2))


def net(*, dtype: torch.dtype = torch.float32) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2)).to(dtype)


GLOBAL_NET = net().train()


def by_global(x: torch.Tensor) -> torch.Tensor:
    return GLOBAL_NET(x)


def by_default(x: torch.Tensor, inner: nn.Module = GLOBAL_NET) -> torch.Tensor:
    return inner(x)


class Holder:
    def __init__(self, inner: nn.Module) -> None:
        self.inner = inner


WAYS: dict[str, Callable[[nn.Module], Any]] = {
    "lambda": lambda inner: lambda x: inner(x),
    "partial": lambda inner: functools.partial(lambda module, x: module(x), inner),
    "bound method": lambda inner: inner.forward,
    "nested": lambda inner: (lambda f: lambda x: f(x))(lambda x: inner(x)),
    "in a list": lambda inner: (lambda parts: lambda x: parts[0](x))([inner]),
    "data-parallel": nn.DataParallel,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_module_inside_a_callable_is_computed_as_in_eval_mode_and_left_alone(way: str) -> None:
    inner = net().train()
    before = {name: value.clone() for name, value in inner.state_dict().items()}
    with pytest.warns(UserWarning, match="training mode"):
        found = compute_partition(WAYS[way](inner), PLANE)
    assert inner.training
    for name, value in inner.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert_same_partition(found, compute_partition(inner.eval(), PLANE))


@pytest.mark.parametrize("function", [by_global, by_default])
def test_modules_among_globals_and_defaults_are_copied(function: Callable[[torch.Tensor], torch.Tensor]) -> None:
    with pytest.warns(UserWarning, match="training mode"):
        compute_partition(function, PLANE)
    assert GLOBAL_NET.training
    assert int(GLOBAL_NET[1].num_batches_tracked) == 0


@pytest.mark.parametrize("way", ["lambda", "nested", "in a list"])
def test_later_training_does_not_reach_what_was_computed(way: str) -> None:
    inner = net(dtype=torch.float64).eval()
    found = compute_partition(WAYS[way](inner), PLANE)
    A, _ = found.affine_maps()
    with torch.no_grad():
        inner[0].weight.mul_(3)
    np.testing.assert_array_equal(found.affine_maps()[0], A)


def test_what_is_shared_stays_shared() -> None:
    inner = net().eval()
    module, _ = snapshot(lambda x: inner(x) + (lambda y: inner(y))(x))
    assert len(list(module.parameters())) == len(list(inner.parameters()))


def test_a_partition_is_pickled() -> None:
    found = compute_partition(net().eval(), PLANE)
    again = pickle.loads(pickle.dumps(found))
    assert_same_partition(again, found)
    np.testing.assert_array_equal(again.affine_maps()[0], found.affine_maps()[0])


def test_the_size_of_the_batch_is_no_number_to_compute_with() -> None:
    with pytest.raises(Exception, match="computes with the size of the batch"):
        compute_partition(lambda x: torch.relu(x * x.shape[0] - 1), PLANE)


def test_squeeze_keeps_a_batch_of_one() -> None:
    found = compute_partition(lambda x: torch.relu(x.reshape(-1, 1, 2)).squeeze(), PLANE)
    assert found.n_cells == 4
    assert found.affine_maps()[0].shape == (4, 2, 2)
