"""The table of what was understood: a row an operation, refused ones with reason and replacement; no exceptions."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import numpy as np
import pytest
import torch
from torch import nn

from splinecam_widget.engine.explain import explain


class Mixed(nn.Module):
    """Two good layers, two bad ones, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.LayerNorm([2, 4, 4]), nn.AvgPool2d(2), nn.Flatten())
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.head(torch.tanh(self.body(x))), dim=1)


def test_has_a_row_for_every_operation_in_order() -> None:
    inner = nn.Sequential(nn.BatchNorm1d(5), nn.LeakyReLU())
    table = explain(nn.Sequential(nn.Linear(4, 5), nn.ReLU(), inner, nn.Linear(5, 2)).eval(), torch.zeros(4))
    assert table.is_supported
    assert table.rows == [
        ("0", "linear", "(4,) -> (5,)", "25", "20", "affine"),
        ("1", "relu", "(5,) -> (5,)", "", "", "kink 0 with 5 units"),
        ("2.0", "batch_norm", "(5,) -> (5,)", "10", "20", "affine"),
        ("2.1", "leaky_relu", "(5,) -> (5,)", "", "", "kink 1 with 5 units"),
        ("3", "linear", "(5,) -> (2,)", "12", "10", "affine"),
    ]
    assert "about 50 multiplications for each vertex" in table.message


def test_counts_parameters_once_for_each_use_and_the_terms_of_convolutions() -> None:
    conv = nn.Conv2d(2, 6, 3, groups=2, bias=False)
    table = explain(nn.Sequential(conv, nn.ReLU(), nn.AvgPool2d(2)).eval(), torch.zeros(2, 6, 6))
    assert [row[3:5] for row in table.rows] == [("54", str(6 * 4 * 4 * 9)), ("", ""), ("", str(6 * 2 * 2 * 4))]


def test_says_what_is_approximated_by_how_much() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.GELU(), nn.Linear(3, 1)).eval()
    assert "see approximate=" in explain(net, np.zeros(2)).rows[1][5]
    table = explain(net, np.zeros(2), approximate=0.01)
    assert table.is_supported
    assert table.rows[1][5].endswith("knots to within 0.01")
    assert "with approximations" in table.message


@pytest.mark.slow
def test_names_attention_and_recurrence_once_a_module() -> None:
    class Sequences(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mixing = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            self.memory = nn.GRU(8, 4, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.memory(self.mixing(x))[0]

    refused = [row for row in explain(Sequences().eval(), np.zeros((5, 8))).rows if row[5].startswith("refused: ")]
    assert [row[:2] for row in refused] == [
        ("mixing.self_attn", "MultiheadAttention"), ("mixing.norm1", "layer_norm"), ("mixing.norm2", "layer_norm"),
        ("memory", "GRU")]
    assert "softmax" in refused[0][5]
    assert "recurrent" in refused[3][5]


def test_a_mask_of_truth_values_is_refused_by_name() -> None:
    mask = torch.tensor([True, False, True])
    table = explain(lambda x: torch.relu(x[:, mask]), np.zeros(3))
    assert [row[1] for row in table.rows if row[5].startswith("refused: it takes entries by a mask")] == ["index"]


def test_says_what_is_refused_why_and_what_to_use() -> None:
    table = explain(Mixed().eval(), torch.zeros(1, 4, 4))
    assert not table.is_supported
    assert table.message.startswith("2 operations refused")
    refused = [row for row in table.rows if row[5].startswith("refused: ")]
    assert [row[:3] for row in refused] == [
        ("body.2", "layer_norm", "(2, 4, 4) -> (2, 4, 4)"), ("(model)", "tanh", "(8,) -> (8,)"),
    ]
    for row in refused:
        assert "; use " in row[5]
    assert table.rows[1][5] == "kink 0 with 32 units"


def test_says_that_a_head_is_set_aside() -> None:
    table = explain(nn.Sequential(nn.Linear(2, 2), nn.Softmax(1)).eval(), np.zeros(2))
    assert table.rows[-1][1] == "softmax"
    assert table.rows[-1][5].startswith("head, set aside")


def test_says_that_a_model_is_in_training_mode() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Dropout(), nn.ReLU())
    assert "in training mode, computed as in eval mode on a copy" in explain(net.train(), np.zeros(2)).message
    assert "training" not in explain(net.eval(), np.zeros(2)).message
    assert not net.training


def test_prints_the_table_aligned() -> None:
    table = explain(nn.Sequential(nn.Linear(2, 30), nn.ReLU()).eval(), np.zeros(2))
    assert str(table) == repr(table) == table.message
    _, header, rule, *rows = table.message.splitlines()
    assert header.split() == ["module", "operation", "shapes", "parameters", "cost", "understood", "as"]
    assert len(rows) == len(table.rows)
    for column in ("operation", "shapes", "understood"):
        at = header.index(column)
        assert rule[at - 1] == " "
        assert all(row[at - 1] == " " != row[at] for row in rows)


def test_is_a_table_in_notebooks() -> None:
    """Every cell of the table stands in the HTML, as text."""
    table = explain(Mixed().eval(), torch.zeros(1, 4, 4))
    parser = ET.fromstring(f"<div>{table._repr_html_()}</div>")
    cells = [tuple(cell.text or "" for cell in row.iter("td")) for row in parser.iter("tr")]
    assert cells[1:] == table.rows
    assert "<p>model: expected" in explain(lambda x: (x, x), np.zeros(2))._repr_html_()


@pytest.mark.parametrize("model", [
    nn.Linear(3, 2), lambda x: x if bool(x.sum() > 0) else -x, lambda x: (x, x), lambda x: torch.ones(2, 2),
])
def test_does_not_raise_for_a_model_that_cannot_be_read(model: nn.Module) -> None:
    table = explain(model, np.zeros(4))
    assert not table.is_supported
    assert table.rows == []
    assert table.message.startswith("model: expected ")


def test_takes_plain_functions() -> None:
    assert explain(lambda x: torch.relu(x) + 1, np.zeros(2)).is_supported


@pytest.mark.parametrize("x", [None, 3.0, "image"])
def test_an_input_without_axes_is_refused(x: object) -> None:
    with pytest.raises(ValueError, match=r"^x: expected an input of at least one axis, got "):
        explain(nn.ReLU(), x)
