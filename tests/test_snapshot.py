"""Copies of models: whatever the engine does, the user's model stays as it is, and the other way round."""

from __future__ import annotations

import functools
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from oracle import assert_same
from splinecam_widget import Slice, UnsupportedModelError, compute_line, compute_partition
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


def pruned(inner: nn.Sequential) -> nn.Sequential:
    prune.l1_unstructured(inner[0], "weight", 0.5)
    return inner


def weight_normed(inner: nn.Sequential) -> nn.Sequential:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.nn.utils.weight_norm(inner[0])
    return inner


def parametrized(inner: nn.Sequential) -> nn.Sequential:
    torch.nn.utils.parametrizations.weight_norm(inner[0])
    return inner


@pytest.mark.parametrize("made", [pruned, weight_normed, parametrized])
@pytest.mark.parametrize("has_run", [False, True])
def test_weights_that_are_computed(made: Callable[[nn.Sequential], nn.Sequential], has_run: bool) -> None:
    inner = made(net(dtype=torch.float64).eval())
    if has_run:
        inner(torch.zeros(2, 2, dtype=torch.float64))
    with torch.no_grad():
        plain = net(dtype=torch.float64).eval()
        plain[0].weight.copy_(inner[0].weight)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # in training mode is none of the user's modules
        found = compute_partition(inner, PLANE)
    assert_same(found, compute_partition(plain, PLANE))
    assert found.certificate().is_sound
    with pytest.warns(UserWarning, match="training mode"):
        compute_partition(inner.train(), PLANE)


@pytest.mark.parametrize(("model", "error", "text"), [
    (lambda: torch.jit.script(net()), UnsupportedModelError, "model: expected a module in Python, got TorchScript; hand"),
    (lambda: torch.jit.trace(net().eval(), torch.zeros(2, 2)), UnsupportedModelError, "got TorchScript"),
    (lambda: nn.Sequential(torch.jit.script(net()), nn.ReLU()), UnsupportedModelError, r"got TorchScript \(0\)"),
    (lambda: nn.Sequential(nn.LazyLinear(3), nn.ReLU()), UnsupportedModelError, r"got LazyLinear \(0\); run it on a batch"),
    (lambda: nn.ReLU, TypeError, "got the class ReLU; make one of it"),
    (lambda: torch.export.export(net().eval(), (torch.zeros(2, 2),)), TypeError, "hand over the module that was exported"),
    (lambda: 3, TypeError, "got int"),
    (lambda: (lambda part: lambda x: part(x))(torch.jit.script(net())), UnsupportedModelError, "got TorchScript"),
    (lambda: (lambda part: lambda x: part(x))(nn.LazyLinear(3)), UnsupportedModelError, "got LazyLinear; run it on a batch"),
    (lambda: nn.Sequential(nn.Linear(2, 3), nn.LazyBatchNorm1d(affine=False)), UnsupportedModelError, "got LazyBatchNorm1d"),
])
@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_read_is_told(model: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        compute_partition(model(), PLANE)


class TestInferenceMode:
    """Of the caller's: what is made in it can never be differentiated, so nothing of the engine is."""

    def test_all_that_a_partition_is_asked(self) -> None:
        inner = net().eval()
        with torch.inference_mode():
            found = compute_partition(inner, PLANE)
            line = compute_line(inner, torch.zeros(2), torch.ones(2))
            gradients = line.integrated_gradients()
            jacobians = found.input_jacobian(range(found.n_cells))
            maps = found.affine_maps()
            within = found.certificate(full=True)
        expected = compute_partition(inner, PLANE)
        assert_same_partition(found, expected)
        assert within.is_sound
        assert found.certificate().is_sound
        assert compute_partition(lambda x: 2 * inner(x), PLANE).certificate().is_sound
        np.testing.assert_array_equal(jacobians, expected.input_jacobian(range(found.n_cells)))
        for one, other in zip(maps, expected.affine_maps()):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(
            gradients, compute_line(inner, torch.zeros(2), torch.ones(2)).integrated_gradients())

    def test_a_model_that_is_made_in_it(self) -> None:
        with torch.inference_mode():
            inner = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2)).eval()
        assert compute_partition(inner, PLANE).certificate(full=True).is_sound
        with torch.inference_mode():
            assert compute_partition(inner, PLANE).certificate(full=True).is_sound

    def test_a_certificate_that_is_first_asked_for_in_it(self) -> None:
        inner = net().eval()
        found = compute_partition(lambda x: 2 * inner(x), PLANE)
        with torch.inference_mode():
            assert found.certificate(full=True).is_sound
