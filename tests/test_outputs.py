"""One of several outputs, by name or place; heads that choose a class; models that compute in narrow floats inside."""

from __future__ import annotations

import pickle
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn
from torch.utils import _pytree as pytree

from oracle import assert_consistent, square
from splinecam_widget.analysis.lines import compute_line
from splinecam_widget.engine.compute import compute_partition
from splinecam_widget.engine.errors import UnsupportedModelError
from splinecam_widget.engine.explain import explain
from splinecam_widget.engine.lowering import lower
from splinecam_widget.engine.partition import Partition


class Named(NamedTuple):
    logits: torch.Tensor
    features: torch.Tensor


@dataclass
class Record:
    logits: torch.Tensor
    features: torch.Tensor


Plain = namedtuple("Plain", ["logits", "features"])
pytree.register_dataclass(Record)


class Several(nn.Module):
    """Logits and features, arranged by a function."""

    def __init__(self, arranged: Callable[[torch.Tensor, torch.Tensor], Any]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.head, self.arranged = nn.Sequential(nn.Linear(2, 6), nn.ReLU()), nn.Linear(6, 3), arranged

    def forward(self, x: torch.Tensor) -> Any:
        z = self.body(x)
        return self.arranged(self.head(z), z)


CHOICES: dict[str, tuple[Callable[[torch.Tensor, torch.Tensor], Any], str | int, str | int]] = {
    "dict": (lambda y, z: {"logits": y, "features": z}, "logits", "features"),
    "dict in another order": (lambda y, z: {"features": z, "logits": y}, "logits", "features"),
    "tuple": (lambda y, z: (y, z), 0, 1),
    "list": (lambda y, z: [y, z], 0, 1),
    "named tuple": (Named, "logits", "features"),
    "plain named tuple": (Plain, "logits", "features"),
    "dataclass": (Record, "logits", "features"),
    "dict of whole numbers": (lambda y, z: {7: y, 3: z}, 7, 3),
}


def single(arranged: Callable[[torch.Tensor, torch.Tensor], Any]) -> Partition:
    return compute_partition(Several(arranged).double().eval(), square(3))


def assert_sound(partition: Partition) -> None:
    assert_consistent(partition)
    certificate = partition.certificate(full=True)
    assert certificate.is_sound, str(certificate)
    assert certificate.compared_with == "the model itself in float64"


@pytest.mark.slow
@pytest.mark.parametrize("name", CHOICES)
def test_the_chosen_output_is_looked_at(name: str) -> None:
    arranged, logits, features = CHOICES[name]
    model = Several(arranged).double().eval()
    for wanted, alone in ((logits, lambda y, z: y), (features, lambda y, z: z)):
        found, expected = compute_partition(model, square(3), output=wanted), single(alone)
        np.testing.assert_array_equal(found.values, expected.values)
        np.testing.assert_array_equal(found.vertices, expected.vertices)
        assert_sound(found)
        assert explain(model, torch.zeros(2), output=wanted).is_supported


@pytest.mark.parametrize("name", CHOICES)
def test_without_a_choice_what_there_is_is_listed(name: str) -> None:
    arranged, logits, features = CHOICES[name]
    with pytest.raises(UnsupportedModelError, match=r"^model: expected one output tensor, got a structure of 2") as caught:
        lower(Several(arranged), (2,))
    text = str(caught.value)
    assert "choose one with output=" in text
    assert str(logits) in text
    assert str(features) in text
    assert "(3,)" in text
    assert "(6,)" in text


@pytest.mark.parametrize("output", ["nothing", 2, -1, "logit", ""])
@pytest.mark.parametrize("name", ["dict", "tuple", "dataclass"])
def test_a_name_that_is_not_there_is_refused_with_those_that_are(name: str, output: str | int) -> None:
    with pytest.raises(ValueError, match=r"^output: expected one tensor of a structure of 2 tensors.*got nothing of that name"):
        lower(Several(CHOICES[name][0]), (2,), output=output)


def test_a_choice_among_one_output_is_refused() -> None:
    text = r"^output: expected None, since it picks one of several tensors that a model returns \(not a class\) and this model "
    with pytest.raises(ValueError, match=text + "returns one tensor, got 'logits'$"):
        lower(Several(lambda y, z: y), (2,), output="logits")
    with pytest.raises(ValueError, match=text + "returns one tensor, got 3$"):
        compute_line(Several(lambda y, z: y), [0.0, 0.0], [1.0, 1.0], 3)


def test_a_structure_in_a_structure_is_refused_with_what_there_is() -> None:
    model = Several(lambda y, z: {"heads": (y, 2 * y), "features": z})
    with pytest.raises(ValueError, match=r"^output: expected one tensor of .*got 2 tensors for 'heads'"):
        lower(model, (2,), output="heads")
    assert lower(model, (2,), output="features").n_outputs == 6


def test_one_output_in_a_structure_may_be_chosen() -> None:
    model = Several(lambda y, z: {"logits": y})
    assert lower(model, (2,)).n_outputs == 3
    assert lower(model, (2,), output="logits").n_outputs == 3
    with pytest.raises(ValueError, match=r"output: expected one tensor of a structure of 1 tensor: "):
        lower(model, (2,), output="logit")


def test_what_the_chosen_output_does_not_need_may_be_anything() -> None:
    model = Several(lambda y, z: {"logits": y, "smooth": torch.sin(z), "label": y.argmax(1)})
    assert lower(model, (2,), output="logits").n_outputs == 3
    with pytest.raises(UnsupportedModelError, match="sin"):
        lower(model, (2,), output="smooth")


def test_a_head_on_the_chosen_output_is_set_aside() -> None:
    model = Several(lambda y, z: {"p": y.softmax(1), "z": z}).double().eval()
    partition = compute_partition(model, square(3), output="p")
    assert partition.network.head == "softmax"
    np.testing.assert_array_equal(partition.values, single(lambda y, z: y).values)
    assert_sound(partition)


HEADS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "argmax": lambda y, z: y.argmax(1),
    "argmax, axis from the back": lambda y, z: y.argmax(-1),
    "argmax, axis kept": lambda y, z: y.argmax(1, keepdim=True),
    "argmax of a softmax": lambda y, z: y.softmax(1).argmax(1),
    "argmax of a log-softmax": lambda y, z: F.log_softmax(y, 1).argmax(dim=1),
    "argmax of sigmoids": lambda y, z: y.sigmoid().argmax(1),
    "softmax": lambda y, z: y.softmax(-1),
    "log-softmax": lambda y, z: F.log_softmax(y, 1),
    "sigmoids": lambda y, z: torch.sigmoid(y),
}


@pytest.mark.parametrize("name", HEADS)
def test_the_boundary_is_that_of_the_logits(name: str) -> None:
    found, expected = single(HEADS[name]), single(lambda y, z: y)
    np.testing.assert_array_equal(found.values, expected.values)
    ours, theirs = found.decision_boundary(), expected.decision_boundary()
    assert len(theirs.points) > 0
    np.testing.assert_array_equal(ours.points, theirs.points)
    np.testing.assert_array_equal(ours.classes, theirs.classes)
    assert_sound(found)


def test_classes_are_those_of_the_models_argmax() -> None:
    model = Several(HEADS["argmax of a softmax"]).double().eval()
    partition = compute_partition(model, square(3))
    u = np.random.default_rng(0).uniform(-3, 3, (2000, 2))
    A, b = partition.affine_maps()
    cells = partition.locate(u)
    with torch.no_grad():
        classes = model(torch.from_numpy(u)).numpy()
    np.testing.assert_array_equal((np.einsum("nki,ni->nk", A[cells], u) + b[cells]).argmax(axis=1), classes)


@pytest.mark.parametrize("head", [
    lambda y, z: y.argmax(), lambda y, z: y.argmax(0), lambda y, z: z.view(-1, 2, 3).argmax(2),
    lambda y, z: y.argmax(1) * 2.0, lambda y, z: y.argmax(1)[:, None] + y,
])
def test_an_argmax_otherwise_is_refused(head: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
    with pytest.raises(UnsupportedModelError):
        lower(Several(head).double().eval(), (2,))


class Narrow(nn.Module):
    """Computes in a narrow type in the middle, as under mixed precision."""

    def __init__(self, dtype: torch.dtype, how: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last, self.dtype, self.how = nn.Linear(2, 6), nn.Linear(6, 3), dtype, how

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.first(x)
        if self.how == "to":
            z = z.to(self.dtype).relu().to(x.dtype)
        elif self.how == "type":
            z = z.type(self.dtype).relu().type_as(x)
        else:
            z = z.relu() + torch.full((6,), 0.1, dtype=self.dtype).to(x.dtype)
        return self.last(z)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["to", "type", "constant"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_model_that_is_narrow_inside_is_computed_and_compared_in_float64(dtype: torch.dtype, how: str) -> None:
    partition = compute_partition(Narrow(dtype, how).eval(), square(3))
    if how != "constant":
        wide = compute_partition(Narrow(torch.float64, how).eval(), square(3))
        np.testing.assert_array_equal(partition.values, wide.values)
    assert_sound(partition)


@pytest.mark.parametrize("name", ["dict", "tuple", "dataclass"])
def test_a_pickled_partition_of_a_chosen_output_is_sound(name: str) -> None:
    partition = compute_partition(Several(CHOICES[name][0]).eval(), square(), output=CHOICES[name][1])
    assert pickle.loads(pickle.dumps(partition)).certificate(full=True).is_sound
