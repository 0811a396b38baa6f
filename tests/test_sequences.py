"""Plain sequences of layers give the network that torch.export's graph gives, and nothing else passes for one."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from splinecam_widget import Slice, compute_partition
from splinecam_widget.engine import lowering
from splinecam_widget.engine.errors import UnsupportedModelError
from splinecam_widget.engine.loops import compiler_lock
from splinecam_widget.engine.lowering import read
from splinecam_widget.engine.operations import Affine, Kink
from splinecam_widget.engine.reading import Reading
from splinecam_widget.engine.sequences import LAYERS, sequence
from splinecam_widget.engine.steps import Call, Reference
from splinecam_widget.engine.tracing import _exported


def conv_net(**options: Any) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, **options), nn.BatchNorm2d(4, affine=False), nn.LeakyReLU(0.1, inplace=True), nn.MaxPool2d(2, 1),
        nn.Sequential(nn.Conv2d(4, 2, (1, 2), bias=False), nn.ReLU(inplace=True), nn.Identity()), nn.Flatten(),
        nn.Dropout(0.3), nn.LazyLinear(5), nn.BatchNorm1d(5), nn.ReLU(inplace=True), nn.Linear(5, 4))


MODELS = {
    "matrices": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)), (1, 8, 8)),
    "one layer": (lambda: nn.Linear(2, 3), (2,)),
    "no weights": (lambda: nn.Sequential(nn.ReLU(), nn.Identity(), nn.LeakyReLU(0.3)), (2,)),
    "no bias": (lambda: nn.Sequential(nn.Linear(2, 3, bias=False), nn.ReLU()), (2,)),
    "float64": (lambda: nn.Sequential(nn.Linear(2, 3), nn.ReLU()).double(), (2,)),
    "rows": (lambda: nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Flatten(1, 2), nn.Linear(12, 2)), (4, 2)),
    "convolutions": (lambda: conv_net(), (3, 8, 8)),
    "strided": (lambda: conv_net(stride=(2, 1), padding=1, dilation=(1, 2)), (3, 8, 8)),
    "softmax": (lambda: nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Softmax(1)), (2,)),
    "log softmax": (lambda: nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.LogSoftmax(-1)), (2,)),
    "sigmoid": (lambda: nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1), nn.Sigmoid()), (2,)),
    "sigmoid inside": (lambda: nn.Sequential(nn.Linear(2, 3), nn.Sigmoid(), nn.Linear(3, 1)), (2,)),
    "softmax over rows": (lambda: nn.Sequential(nn.Linear(2, 3), nn.Softmax(1)), (4, 2)),
}


def made(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    torch.manual_seed(0)
    make, shape = MODELS[name]
    model = make()
    if any(isinstance(m, nn.LazyLinear) for m in model.modules()):
        with torch.no_grad():
            model(torch.rand(4, *shape))
    for buffer in model.buffers():
        if buffer.is_floating_point():
            buffer.copy_(torch.rand_like(buffer) + 0.5)
    return model.eval(), shape


def exported(model: nn.Module, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> Reading:
    dtype = next((p.dtype for p in model.parameters()), torch.float32)

    def traced(module: nn.Module, input_shape: tuple[int, ...]) -> Any:
        with compiler_lock():
            return _exported(module, input_shape, [dtype])

    with monkeypatch.context() as patch:
        patch.setattr(lowering, "traced", traced)
        return read(model, shape)


def assert_same(found: Any, expected: Any) -> None:
    if isinstance(expected, torch.Tensor):
        assert found.dtype == expected.dtype
        assert torch.equal(found, expected)
    elif isinstance(expected, Call):
        assert (found.target, found.fixed) == (expected.target, expected.fixed)
    elif isinstance(expected, (Affine, Kink)):  # some are made anew for a step
        assert type(found) is type(expected)
        assert found.varying == expected.varying
    elif isinstance(expected, Reference):
        assert_same(found.name, expected.name)
    elif isinstance(expected, str):
        assert found == expected.replace("relu_", "relu"), "in place or not"
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            if name != "cudnn_enabled":  # of the graphics card
                assert_same(found[name], value)
    elif isinstance(expected, (list, tuple)):
        assert len(found) == len(expected)
        for one, other in zip(found, expected):
            assert_same(one, other)
    else:
        assert found == expected


@pytest.mark.parametrize("name", MODELS)
def test_steps_are_those_of_an_exported_graph(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, shape = made(name)
    dtype = next((p.dtype for p in model.parameters()), torch.float32)
    assert sequence(model, shape, dtype) is not None
    found, expected = read(model, shape), exported(model, shape, monkeypatch)
    assert len(found.entries) == len(expected.entries) > 0
    for one, other in zip(found.entries, expected.entries):
        assert_same(vars(one), vars(other))
    for attribute in ("head", "input_name", "output_name", "output_shape", "input_shape", "batch_note"):
        assert_same(getattr(found, attribute), getattr(expected, attribute))
    assert sorted(found.parameters.values()) == sorted(expected.parameters.values())


def test_in_place_on_a_view_of_the_input() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.ReLU(inplace=True), nn.Linear(4, 3)).eval()
    assert sequence(net, (2, 2), torch.float32) is not None
    found = compute_partition(net, Slice.around(torch.zeros(2, 2), seed=0))
    assert found.n_cells > 4
    assert found.certificate(full=True).is_sound


def test_every_known_layer_is_tried() -> None:
    tried = {type(layer) for name in MODELS for layer in made(name)[0].modules()}
    assert set(LAYERS) <= tried


class Doubled(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


def hooked() -> nn.Module:
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    model[0].register_forward_hook(lambda module, inputs, output: 2 * output)
    return model


def pre_hooked() -> nn.Module:
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    model.register_forward_pre_hook(lambda module, inputs: (2 * inputs[0],))
    return model


def replaced() -> nn.Module:
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    model[1].forward = lambda x: 2 * x
    return model


def shared() -> nn.Module:
    layer = nn.Linear(2, 2)
    return nn.Sequential(layer, nn.ReLU(), layer)


def tied() -> nn.Module:
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    model[2].weight = model[0].weight
    return model


def computed() -> nn.Module:
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    weight = model[0].weight.detach()
    del model[0]._parameters["weight"]
    model[0].weight = 2 * weight
    return model


def called_otherwise() -> nn.Module:
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    model[1]._call_impl = lambda x: 2 * x
    return model


def broad() -> nn.Module:
    layer = nn.Linear(2, 3)
    layer.bias = nn.Parameter(torch.rand(2, 3))
    return layer


OTHERS = {
    "called otherwise": called_otherwise, "a bias for each row": broad,
    "one batch size only": lambda: nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1), nn.Flatten(0), nn.Linear(2, 2)),
    "subclass": lambda: nn.Sequential(Doubled(2, 3), nn.ReLU()), "subclass of Sequential": lambda: Twice(nn.ReLU()),
    "hook": hooked, "hook before": pre_hooked, "forward replaced": replaced, "layer twice": shared, "weight twice": tied,
    "weight computed": computed, "parametrized": lambda: nn.Sequential(parametrizations.spectral_norm(nn.Linear(2, 3))),
    "unknown layer": lambda: nn.Sequential(nn.Linear(2, 3), nn.Hardtanh()), "nothing": nn.Sequential, "identity": nn.Identity,
    "another shape": lambda: nn.Sequential(nn.Linear(3, 3), nn.ReLU()),
    "another type": lambda: nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double()),
    "batch flattened": lambda: nn.Sequential(nn.Linear(2, 3), nn.Flatten(0)),
    "training": lambda: nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)), "softmax of no axis": nn.Softmax,
    "dropout": nn.Dropout, "no statistics": lambda: nn.Sequential(nn.BatchNorm1d(2, track_running_stats=False)).eval(),
}


class Twice(nn.Sequential):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = super().forward(super().forward(x) - 1)
        return found


@pytest.mark.parametrize("name", OTHERS)
def test_whatever_is_not_surely_a_sequence_is_left_to_a_trace(name: str) -> None:
    assert sequence(OTHERS[name](), (2,), torch.float32) is None


@pytest.mark.parametrize("layer", [
    nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2).eval(), nn.MaxPool2d(2), nn.Conv2d(1, 2, 3, padding="same"),
    nn.Conv2d(1, 2, 3, padding_mode="circular", padding=1), nn.MaxPool2d(2, return_indices=True)])
def test_layers_used_in_another_way_are_left_to_a_trace(layer: nn.Module) -> None:
    shape = (1, 4, 4) if getattr(layer, "padding", 0) in ("same", (1, 1)) or getattr(layer, "return_indices", False) else (4, 4)
    assert sequence(layer, shape, torch.float32) is None


def test_a_hook_for_all_modules_is_not_left_out() -> None:
    handle = nn.modules.module.register_module_forward_hook(lambda module, inputs, output: 2 * output)
    try:
        assert sequence(nn.Linear(2, 3), (2,), torch.float32) is None
    finally:
        handle.remove()


def test_a_mode_for_all_functions_is_not_left_out() -> None:
    with torch.device("cpu"):
        assert sequence(nn.Linear(2, 3), (2,), torch.float32) is None


def test_a_forward_replaced_for_all_layers_is_not_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nn.Linear, "forward", lambda self, x: 2 * x @ self.weight.T)
    assert sequence(nn.Linear(2, 3), (2,), torch.float32) is None


def test_models_that_are_no_sequence_are_not_asked_for_their_state() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 3)

        def state_dict(self) -> Any:  # type: ignore[override]
            raise AssertionError("not saved")

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.layer(x)
            return found

    assert len(read(Own(), (2,)).entries) == 1


def test_what_does_not_fit_is_told_as_ever() -> None:
    with pytest.raises(UnsupportedModelError, match=r"inputs of shape \(1, 2\)"):
        read(nn.Sequential(nn.Linear(3, 3), nn.ReLU()), (2,))


def test_a_sequence_needs_no_torch_export() -> None:
    program = """
import sys, torch
from torch import nn
from splinecam_widget import Slice, compute_partition, integrated_gradients
net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
p = compute_partition(net, Slice.from_basis([0.0, 0.0], torch.eye(2)))
p.certificate(full=True), p.statistics(), p.affine_maps(), p.input_jacobian(0), p.decision_boundary(), p.image_at([[0.0, 0.0]])
integrated_gradients(net, [1.0, 0.0], [0.0, 0.3])
print(sorted({"sympy", "torch._dynamo"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
