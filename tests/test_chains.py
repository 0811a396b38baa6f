"""Chains cut into parts, and hats along intervals: the same as without."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from oracle import UNIT_ROUNDOFF, mlp
from splinecam_widget import compute_line
from splinecam_widget.analysis import chains
from splinecam_widget.analysis.lines import LinePartition
from splinecam_widget.engine import hats
from zoo import Maxout

ROUNDINGS = 2.0**14 * UNIT_ROUNDOFF
"""Relative to the largest value: of evaluations in another order."""


def with_ties() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Linear(2, 20), nn.ReLU(), Maxout(20, 6, 4), nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2)).double().eval()


def assert_same_line(found: LinePartition, expected: LinePartition) -> None:
    assert found.n_cells == expected.n_cells
    np.testing.assert_array_equal(found.layer, expected.layer)
    np.testing.assert_array_equal(found.unit, expected.unit)
    np.testing.assert_allclose(found.t, expected.t, rtol=0, atol=2.0**-40)
    size = float(np.abs(expected.values).max())
    np.testing.assert_allclose(found.values, expected.values, rtol=0, atol=ROUNDINGS * size)


@pytest.mark.parametrize("make", [lambda: mlp(2, 24, 24, 24, 3, seed=1), with_ties], ids=["relu", "maxout"])
@pytest.mark.parametrize("n_bytes", [500, 3000])
def test_parts_one_after_the_other_are_the_whole(monkeypatch: Any, make: Any, n_bytes: int) -> None:
    net = make()
    expected = compute_line(net, [-3.0, -2.0], [3.0, 2.5])
    assert expected.n_cells > 10
    calls: list[tuple[int, int]] = []
    part = chains.State.part
    monkeypatch.setattr(chains.State, "part", lambda self, *run: (calls.append(run), part(self, *run))[1])
    monkeypatch.setattr(chains, "CHUNK_BYTES", n_bytes)
    assert_same_line(compute_line(net, [-3.0, -2.0], [3.0, 2.5]), expected)
    assert len(calls) >= 2


def test_parts_count_what_was_merged_once(monkeypatch: Any) -> None:
    net = mlp(2, 12, 12, 1, seed=1)
    with torch.no_grad():
        net[0].weight[6:] = net[0].weight[:6]
        net[0].bias[6:] = net[0].bias[:6]
    expected = compute_line(net, [-3.0, -2.0], [3.0, 2.5])
    assert expected.n_close > 0
    monkeypatch.setattr(chains, "CHUNK_BYTES", 500)
    assert compute_line(net, [-3.0, -2.0], [3.0, 2.5]).n_close == expected.n_close


@pytest.mark.parametrize("widths", [(2, 40, 1), (3, 30, 30, 2), (2, 17, 23, 19, 4)])
def test_hats_are_what_the_network_is(monkeypatch: Any, widths: tuple[int, ...]) -> None:
    net = mlp(*widths, seed=2, slope=0.1)
    a, b = np.linspace(-4, 3, widths[0]), np.linspace(5, -4, widths[0])
    monkeypatch.setattr(hats, "LEAST_ENTRIES", 1 << 60)
    expected = compute_line(net, a, b)
    seen: list[int] = []
    write = hats.Hats.write_on_edges
    monkeypatch.setattr(
        hats.Hats, "write_on_edges", lambda self, *given: (seen.append(given[-1] - given[-2]), write(self, *given))[1])
    monkeypatch.setattr(hats, "LEAST_ENTRIES", 0)
    assert_same_line(compute_line(net, a, b), expected)
    assert sum(seen) > 10
