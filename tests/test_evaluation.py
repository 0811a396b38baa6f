"""Stages between kinks: what stays alive, the same values in any chunks, and stopping in between."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest
import torch
from torch import nn

from oracle import assert_consistent, mlp, square
from splinecam_widget.engine import evaluation
from splinecam_widget.engine.compute import compute_partition
from splinecam_widget.engine.evaluation import evaluate, open_pieces_at
from splinecam_widget.engine.lowering import lower
from splinecam_widget.engine.slices import Slice

ROUNDINGS = 4096 * 2.0**-53


class Skip(nn.Module):
    """A skip connection over two kinks, from the input and from the first layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.c = nn.Linear(3, 5), nn.Linear(5, 5), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = torch.relu(self.a(x))
        second = torch.relu(self.b(first)) + first
        return self.c(torch.cat([second, x], dim=1))


def test_there_is_a_stage_for_every_kink_and_one_after() -> None:
    network = lower(mlp(2, 4, 4, 1), (2,))
    stages = network.stages
    assert len(stages) == len(network.kinks) + 1 == 3
    assert [stage.cut for stage in stages] == [*network.kinks, None]
    assert stages[-1].kept == (network.output_name,)


def test_a_chain_keeps_one_tensor_alive() -> None:
    for stage in lower(mlp(2, 4, 4, 4, 1), (2,)).stages:
        assert len(stage.kept) == 1


def test_a_skip_keeps_what_is_needed_later_and_no_more() -> None:
    stages = lower(Skip().eval(), (3,)).stages
    assert [len(stage.kept) for stage in stages] == [2, 3, 1]


def test_every_kinks_source_is_kept() -> None:
    for stage in lower(Skip().eval(), (3,)).stages:
        if stage.cut is not None:
            assert set(stage.cut.sources) <= set(stage.kept)


def test_evaluates_what_the_model_does() -> None:
    model = Skip().eval()
    x = torch.randn(7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = Skip().double().eval()(x)
        torch.testing.assert_close(evaluate(lower(model, (3,)), x), expected, rtol=0, atol=ROUNDINGS)


def test_evaluates_any_batch_size() -> None:
    network = lower(lambda x: torch.relu(x).reshape(x.shape[0], -1) + 1, (2, 2))
    for n in (1, 2, 3, 17):
        assert evaluate(network, torch.zeros(n, 2, 2, dtype=torch.float64)).shape == (n, 4)


def test_a_skip_has_a_consistent_partition() -> None:
    partition = compute_partition(Skip().eval(), Slice.around(np.zeros(3), radius=2))
    assert_consistent(partition)
    x = torch.from_numpy(partition.plane.to_input(partition.vertices))
    with torch.no_grad():
        expected = Skip().double().eval()(x).numpy()
    np.testing.assert_allclose(partition.values, expected, rtol=0, atol=ROUNDINGS * np.abs(expected).max())


def test_the_size_of_chunks_changes_no_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    net = mlp(2, 16, 16, 2, seed=0)
    expected = compute_partition(net, square())
    monkeypatch.setattr(evaluation, "CHUNK_ENTRIES", 16)
    found = compute_partition(net, square())
    np.testing.assert_array_equal(found.cell_vertices, expected.cell_vertices)
    np.testing.assert_allclose(found.values, expected.values, rtol=0, atol=ROUNDINGS)


def test_where_roundings_leave_pieces_open_all_of_them_are_named() -> None:
    """At the origin three entries tie, and a ReLU is zero; beside it nothing is open."""
    class Net(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack([x[:, 0], x[:, 1], -x[:, 0], x[:, 0] - 3], 1).amax(1, keepdim=True) + x[:, :1].relu()

    partition = compute_partition(Net().eval(), square())
    points = np.array([[0.0, 0.0], [0.5, 0.1], [-0.1, 0.6]])
    found = {cut.kind: (cut, pieces) for cut, pieces in open_pieces_at(
        partition.network, partition.zero_tolerances, lambda rows: points[rows], 3)}
    maximum, entries = found["settle"]
    assert [np.flatnonzero(row).tolist() for row in entries[:, :, 0]] == [[0, 1, 2], [0], [1]]
    relu, sides = found["kink"]
    assert sides[:, :, 0].tolist() == [[False, True], [True, True], [False, False]]
    # All three have nothing in common, but the first has something with each.
    assert maximum.have_common_piece(entries, np.array([0])).tolist() == [[False]]
    assert maximum.have_common_piece(entries[:2], np.array([0])).tolist() == [[True]]
    assert relu.have_common_piece(sides, np.array([0])).tolist() == [[False]]
    assert relu.have_common_piece(sides, np.array([0, 2])).tolist() == [[True], [True]]
    # Entries have no order: what lies between two that tie is none of them.
    tied = np.array([[[True], [False], [True]], [[False], [True], [False]]])
    assert maximum.have_common_piece(tied, np.array([0])).tolist() == [[False]]


@pytest.mark.parametrize(("n", "width", "nanoseconds", "is_here"), [
    (40, 1000, math.inf, True), (4, 1 << 20, math.inf, False), (1 << 12, 256, math.inf, False), (1 << 12, 256, 100.0, True)])
def test_only_small_work_keeps_this_thread_from_looking_whether_to_go_on(
    n: int, width: int, nanoseconds: float, is_here: bool
) -> None:
    runs, places = [], set()

    def work(start: int, stop: int) -> None:
        places.add(threading.get_ident() == this)
        runs.append((start, stop))

    this = threading.get_ident()
    evaluation._in_chunks(work, n, width, nanoseconds, lambda: None, evaluation.LEAST_ROWS)
    assert places == {is_here}
    assert sum(stop - start for start, stop in runs) == n
