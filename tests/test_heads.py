"""Last operations that are set aside, also where only the layout changes behind them, against the model itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from oracle import assert_same, mlp, square
from splinecam_widget import UnsupportedModelError, compare, compute_line, compute_partition
from splinecam_widget.analysis.colours import colouring_of
from splinecam_widget.engine.boundary import winners_of

Ending = Callable[[torch.Tensor], torch.Tensor]

ONE: dict[str, tuple[Ending, str]] = {
    "sigmoid": (torch.sigmoid, "sigmoid"),
    "sigmoid, squeezed": (lambda y: torch.sigmoid(y).squeeze(1), "sigmoid"),
    "sigmoid, squeezed from the back": (lambda y: torch.sigmoid(y).squeeze(-1), "sigmoid"),
    "sigmoid, without its axis": (lambda y: torch.sigmoid(y)[:, 0], "sigmoid"),
    "sigmoid, flattened": (lambda y: torch.sigmoid(y).flatten(), "sigmoid"),
    "sigmoid, viewed": (lambda y: torch.sigmoid(y).view(-1), "sigmoid"),
    "sigmoid, of a type": (lambda y: torch.sigmoid(y).float(), "sigmoid"),
    "sigmoid, cloned and detached": (lambda y: torch.sigmoid(y).clone().detach(), "sigmoid"),
    "sigmoid, as rows": (lambda y: torch.sigmoid(y).view(y.size(0), -1), "sigmoid"),
    "sigmoid, in place": (lambda y: (y + 0).sigmoid_(), "sigmoid"),
    "sigmoid, dropped out": (lambda y: nn.functional.dropout(torch.sigmoid(y), 0.5, False), "sigmoid"),
    "expit": (torch.special.expit, "sigmoid"),
    "tanh": (torch.tanh, "tanh"),
    "tanh, squeezed": (lambda y: torch.tanh(y).squeeze(1), "tanh"),
}

SEVERAL: dict[str, tuple[Ending, str]] = {
    "softmax, as a picture": (lambda y: torch.softmax(y, 1).reshape(-1, 1, 3), "softmax"),
    "softmax, detached": (lambda y: torch.softmax(y, 1).detach(), "softmax"),
    "softmax, as a picture and back": (lambda y: torch.softmax(y, 1).unsqueeze(1).squeeze(1), "softmax"),
    "logarithm of softmax": (lambda y: torch.log(torch.softmax(y, 1)), "log_softmax"),
    "sigmoid, of some": (lambda y: torch.sigmoid(y)[:, 1:], "sigmoid"),
    "sigmoid, turned": (lambda y: torch.sigmoid(y).reshape(-1, 3, 1).permute(0, 2, 1), "sigmoid"),
    "argmax, squeezed": (lambda y: y.argmax(1, keepdim=True).squeeze(1), "argmax"),
    "argmax, as floats": (lambda y: y.argmax(1).float(), "argmax"),
    "argmax, as short numbers": (lambda y: y.argmax(1).to(torch.int32), "argmax"),
    "sigmoid, as a picture": (lambda y: torch.sigmoid(y).unflatten(1, (3, 1)), "sigmoid"),
    "argmax of softmax": (lambda y: torch.softmax(y, 1).argmax(1), "argmax"),
    "place of the maximum": (lambda y: torch.max(y, 1)[1], "argmax"),
}

REFUSED: dict[str, Ending] = {
    "softmax, of some": lambda y: torch.softmax(y, 1)[:, 1],
    "softmax over half": lambda y: torch.softmax(y.reshape(-1, 1, 3), 1).squeeze(1),
    "argmax of argmax": lambda y: y.argmax(1, keepdim=True).argmax(1),
    "argmax of some": lambda y: y[:, 1:].argmax(1, keepdim=True)[:, 0:1].argmax(1),
    "bits as numbers": lambda y: torch.sigmoid(y).view(torch.float32),
    "sigmoid twice": lambda y: torch.sigmoid(torch.sigmoid(y)),
    "sigmoid in between": lambda y: torch.sigmoid(y) + y,
    "sum of sigmoids": lambda y: torch.sigmoid(y).sum(1),
    "sigmoid beside itself": lambda y: torch.cat([torch.sigmoid(y), y], 1),
}


class Ended(nn.Module):
    def __init__(self, ending: Ending, n_outputs: int) -> None:
        super().__init__()
        self.body, self.ending = mlp(2, 16, 16, n_outputs), ending

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.ending(self.body(x))


@pytest.mark.parametrize("name", [*ONE, *SEVERAL])
def test_is_set_aside(name: str) -> None:
    ending, head = {**ONE, **SEVERAL}[name]
    model = Ended(ending, 1 if name in ONE else 3).eval()
    found = compute_partition(model, square())
    assert found.head == head
    assert found.head in repr(found)
    logits = compute_partition(model.body, square())
    if name != "sigmoid, of some":
        assert_same(found, logits)
    points = np.random.default_rng(0).uniform(-0.9, 0.9, (200, 2))
    with torch.no_grad():
        said = model.double()(torch.from_numpy(points)).reshape(200, -1).numpy()
    a, b = found.affine_maps(found.locate(points))
    headed = found.network.headed((a @ points[:, :, None])[:, :, 0] + b)
    np.testing.assert_allclose(headed, said, rtol=0, atol=1e-6)  # `float` rounds
    assert found.certificate(full=True).is_sound


@pytest.mark.parametrize("name", REFUSED)
def test_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedModelError):
        compute_partition(Ended(REFUSED[name], 3).eval(), square())


def test_a_line_tells_its_head() -> None:
    line = compute_line(Ended(torch.sigmoid, 1).eval(), [-1.0, 0.0], [1.0, 0.5])
    assert line.head == "sigmoid"
    assert "sigmoid" in repr(line)
    assert compute_line(mlp(2, 4, 1), [-1.0, 0.0], [1.0, 0.5]).head == ""


@pytest.mark.parametrize(("ending", "function"), [(torch.sigmoid, torch.sigmoid), (torch.special.expit, torch.sigmoid),
                                                  (torch.tanh, torch.tanh)])
def test_outputs_are_shown_as_the_model_returns_them(ending: Ending, function: Ending) -> None:
    model = Ended(ending, 3).eval()
    found, logits = (compute_partition(net, square()) for net in (model, model.body))
    sums = np.add.reduceat(logits.values[logits.cell_vertices], logits.cell_offsets[:-1], axis=0)
    means = torch.from_numpy(sums / np.diff(logits.cell_offsets)[:, None])
    expected = (function(means).clamp(0, 1).numpy() * 255 + 0.5).astype(np.uint8)
    words = colouring_of(found, winners_of(found), "output", ["a", "b", "c"]).cells
    np.testing.assert_array_equal(words.astype("<u4").view(np.uint8).reshape(-1, 4)[:, :3], expected)
    assert compare(found, compute_partition(Ended(function, 3).eval(), square()))  # heads of one name
