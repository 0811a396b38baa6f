"""What changes across every edge, against the network's own patterns in the middle of the cells on both sides."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cases import cases
from oracle import mlp, square
from splinecam_widget import Slice, compute_partition
from splinecam_widget.analysis import changes
from splinecam_widget.analysis.changes import changes_of
from splinecam_widget.engine.partition import Partition
from zoo import ZOO, GroupSort, Maxout

WIDE = 1e-9
"""Cells with a smaller area are left out: rounding may put the middle of one beside it."""


def pooled(seed: int, *pool: nn.Module) -> tuple[nn.Module, Slice]:
    torch.manual_seed(seed)
    first, second = pool
    net = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), first, nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), second,
                        nn.Flatten(), nn.LazyLinear(3)).double().eval()
    x = torch.rand((3, 1, 8, 8), dtype=torch.float64)
    net(x)
    return net, Slice.through(*x)


def assert_told(partition: Partition) -> np.ndarray:
    """Which edges are known, once it is seen that nothing else changes there."""
    found = changes_of(partition)
    patterns = partition.patterns(np.arange(partition.n_cells))
    wide = (partition.edge_cells >= 0).all(axis=1) & (partition.areas[partition.edge_cells] > WIDE).all(axis=1)
    edges = np.flatnonzero(found.is_known & wide)
    left, right = partition.edge_cells[edges].T
    n_changed, at_columns, at_windows = np.zeros(len(edges), int), np.full(len(edges), -1), np.full(len(edges), -1)
    column = 0
    for layer, pattern in enumerate(patterns):
        is_other = pattern[left] != pattern[right]
        n_changed += is_other.sum(axis=1)
        places, which = np.nonzero(is_other)
        if layer in found.entries.layers:
            at_columns[places] = column + which
            column += pattern.shape[1]
        else:
            at_windows[places] = found.windows.starts[layer] + which
    np.testing.assert_array_equal(found.columns[edges], at_columns)
    np.testing.assert_array_equal(found.changed_windows[edges], at_windows)
    np.testing.assert_array_equal(n_changed, (at_columns >= 0).astype(int) + (at_windows >= 0))
    return found.is_known[wide]


@cases(5)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.25]))
def test_of_random_nets(seed: int, slope: float) -> None:
    assert assert_told(compute_partition(mlp(2, 7, 6, 5, 2, seed=seed, slope=slope), square())).all()


@cases(2)
@given(st.integers(0, 10**6))
def test_where_a_relu_turns_on_in_a_window_of_zeros(seed: int) -> None:
    """Its entry and the window's winner change at once, at an edge that has the ReLU's name; nearly all is known."""
    partition = compute_partition(*pooled(seed, nn.MaxPool2d(2), nn.MaxPool2d(2)))
    assert assert_told(partition).mean() > 0.97
    found = changes_of(partition)
    assert ((found.columns >= 0) & (found.changed_windows >= 0)).any()
    assert ((found.columns < 0) & (found.changed_windows >= 0)).any()


def test_where_windows_overlap() -> None:
    """Several may change at once: then that is not known."""
    partition = compute_partition(*pooled(1, nn.MaxPool2d(3, 2), nn.MaxPool2d(3, 1)))
    share = assert_told(partition).mean()
    assert 0.3 < share < 1


@pytest.mark.parametrize("name", [
    "maxout", "GroupSort", "conditions", pytest.param("MobileNet-like, ReLU6", marks=pytest.mark.slow)])
def test_of_the_zoo(name: str) -> None:
    assert assert_told(compute_partition(ZOO[name].model(), ZOO[name].plane())).any()


@pytest.mark.parametrize("net", [
    nn.Sequential(nn.Linear(2, 8), nn.ReLU(), Maxout(8, 6, 3), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 1)),
    nn.Sequential(nn.Linear(2, 8), GroupSort(4), nn.Linear(8, 6), nn.ReLU6(), nn.Linear(6, 1)),
], ids=["maxout", "sort"])
def test_curves_of_all_units(net: nn.Module) -> None:
    """Those of the network, asked in the middle of all cells."""
    for module in net.modules():
        if hasattr(module, "reset_parameters"):
            torch.manual_seed(0)
            module.reset_parameters()
    partition = compute_partition(net.double().eval(), square(3))
    patterns = partition.patterns(np.arange(partition.n_cells))
    inner = np.flatnonzero((partition.edge_cells >= 0).all(axis=1))
    left, right = partition.edge_cells[inner].T
    for layer, pattern in enumerate(patterns):
        for unit in range(partition.layers[layer].n_units):
            own = pattern[:, unit::partition.layers[layer].n_units]
            expected = inner[(own[left] != own[right]).any(axis=1)]
            assert partition.unit_curve(layer, unit).edges.tolist() == expected.tolist()


def test_windows_with_too_many_pairs_are_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    net, plane = pooled(2, nn.MaxPool2d(2), nn.MaxPool2d(2))
    partition = compute_partition(net, plane)
    curves = [partition.unit_curve(1, unit).edges.tolist() for unit in range(4)]
    monkeypatch.setattr(changes, "MOST_PAIRS", 0)
    assert (changes_of(partition).changed_windows == -1).all()
    assert_told(partition)
    assert [partition.unit_curve(1, unit).edges.tolist() for unit in range(4)] == curves
