"""What is said of a model that is read: training mode, inputs that look like batches."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from models import shaken
from splinecam_widget.analysis.attributions import integrated_gradients
from splinecam_widget.analysis.complexity import local_complexity
from splinecam_widget.analysis.lines import compute_line
from splinecam_widget.engine import reading
from splinecam_widget.engine.compute import compute_partition
from splinecam_widget.engine.explain import explain
from splinecam_widget.engine.lowering import read
from splinecam_widget.engine.slices import Slice
from splinecam_widget.engine.spreading import partition_many


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


def test_rows_without_outputs_look_like_no_batch() -> None:
    assert not reading._takes_rows_apart(lambda x: x[..., :0], (4, 3))
    assert reading._takes_rows_apart(torch.relu, (4, 3))
