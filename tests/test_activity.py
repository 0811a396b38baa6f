"""Active units of every cell against the network's own patterns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cases import cases
from oracle import mlp, square
from splinecam_widget import Slice, compute_partition
from splinecam_widget.analysis import activity
from splinecam_widget.analysis.activity import active_counts
from splinecam_widget.engine.partition import Partition
from splinecam_widget.nn import PositionalEncoding
from zoo import ZOO, GroupSort, Maxout


def counts_by_the_network(partition: Partition) -> np.ndarray:
    """(C, L): True entries of all patterns, -1 where they are numbers."""
    patterns = partition.patterns(np.arange(partition.n_cells))
    return np.stack([p.sum(axis=1) if p.dtype == bool else np.full(len(p), -1) for p in patterns], axis=1)


def assert_counted(partition: Partition) -> None:
    np.testing.assert_array_equal(active_counts(partition), counts_by_the_network(partition))


@pytest.mark.slow
@cases(10)
@given(st.integers(0, 10**6), st.booleans(), st.sampled_from([0.0, 0.25]))
def test_are_those_of_the_patterns(seed: int, bias: bool, slope: float) -> None:
    assert_counted(compute_partition(mlp(2, 7, 6, 5, 2, seed=seed, bias=bias, slope=slope), square()))


@pytest.mark.parametrize("name", [
    "maxout", "GroupSort", "conditions", "functional, softmax", "lambda", "shared weights", "U-Net-like, bilinear",
    "MobileNet-like, ReLU6", "DenseNet-like", "NeRF-like, 5 inputs",
    *(pytest.param(name, marks=pytest.mark.slow) for name in (
        "LeNet with max-pooling", "INR, positional encoding", "DeepSDF-like", "1-D audio", "CNN of 8 layers"))])
def test_of_the_zoo(name: str) -> None:
    assert_counted(compute_partition(ZOO[name].model(), ZOO[name].plane()))


def test_units_of_a_square() -> None:
    partition = compute_partition(nn.ReLU().eval(), square())
    counts = active_counts(partition)
    expected = (partition.centroids > 0).sum(axis=1)
    assert counts.dtype == np.int64
    assert counts[:, 0].tolist() == expected.tolist()


def test_several_knots_count_several_times() -> None:
    """A ReLU6 passes its knots at 0 and at 6."""
    partition = compute_partition(nn.ReLU6().eval(), square(8))
    expected = (partition.centroids > 0).sum(axis=1) + (partition.centroids > 6).sum(axis=1)
    assert active_counts(partition)[:, 0].tolist() == expected.tolist()
    assert expected.max() == 4


class TestDegenerate:
    """Nets whose edges tell less than their cells know."""

    def test_identical_units_change_at_once(self) -> None:
        """No edge has a single unit, so every cell is asked by itself."""
        net = mlp(2, 12, 1, seed=2)
        with torch.no_grad():
            net[0].weight[6:] = net[0].weight[:6]
            net[0].bias[6:] = net[0].bias[:6]
        partition = compute_partition(net, square())
        assert partition.n_cells > 4
        assert_counted(partition)

    def test_opposite_dead_and_constant_units(self) -> None:
        net = mlp(2, 6, 3, 1, seed=5)
        with torch.no_grad():
            net[0].weight[1], net[0].bias[1] = -net[0].weight[0], -net[0].bias[0]
            net[0].weight[2:4] = 0
            net[0].bias[2], net[0].bias[3] = 0.0, 1.0
        assert_counted(compute_partition(net, square()))

    def test_concurrent_lines_and_lines_through_corners(self) -> None:
        net = nn.Sequential(nn.Linear(2, 4, bias=False), nn.ReLU(), nn.Linear(4, 3, bias=False), nn.ReLU()).double().eval()
        with torch.no_grad():
            net[0].weight.copy_(torch.tensor([[1.0, 1], [1, -1], [1, 0], [0, 1]]))
            net[2].weight.copy_(torch.tensor([[1.0, -1, 0, 0], [1, 1, -2, -1], [0, 1, -1, 1]]))
        assert_counted(compute_partition(net, square()))

    def test_one_cell(self) -> None:
        net = mlp(2, 3, 1)
        with torch.no_grad():
            net[0].weight.zero_()
            net[0].bias.copy_(torch.tensor([1.0, -1, 2]))
        partition = compute_partition(net, square())
        assert partition.n_cells == 1
        assert active_counts(partition).tolist() == [[2]]

    def test_no_kinks(self) -> None:
        assert active_counts(compute_partition(nn.Linear(2, 2).eval(), square())).shape == (1, 0)

    def test_only_numbers(self) -> None:
        model = nn.Sequential(Maxout(2, 6, 3), nn.Linear(6, 1)).eval()
        counts = active_counts(compute_partition(model, square()))
        assert len(counts) > 3
        assert (counts == -1).all()

    def test_numbers_and_bits(self) -> None:
        """Curves, then the largest of several, then a sort, then ReLUs."""
        torch.manual_seed(0)
        encoding = PositionalEncoding(1, knots_per_period=4)
        model = nn.Sequential(encoding, nn.Linear(encoding.n_features(2), 8), GroupSort(4), Maxout(8, 4, 3),
                              nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 1)).eval()
        partition = compute_partition(model, square())
        counts = active_counts(partition)
        assert_counted(partition)
        kinds = ["curve" if step.kind == "curve" else step.operation for step in partition.network.kinks]
        assert kinds == ["curve", "curve", "exchanged", "settled", "relu"]
        assert (counts == -1).all(axis=0).tolist() == [True, True, False, True, False]


class TestWalk:
    """Few cells are asked, and none whose hash disagrees is believed."""

    @pytest.fixture
    def partition(self) -> Partition:
        return compute_partition(mlp(2, 16, 16, 1, seed=1), Slice.from_basis(np.zeros(2), np.eye(2)))

    def test_one_cell_is_asked(self, partition: Partition, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[int] = []
        original = Partition.patterns
        monkeypatch.setattr(Partition, "patterns", lambda self, cells: asked.extend(cells) or original(self, cells))
        active_counts(partition)
        assert asked == [int(partition.areas.argmax())]

    def test_another_hash_of_one_cell_takes_it_from_the_network(self, partition: Partition) -> None:
        hashes = partition.planar.cell_hashes.copy()
        hashes[[3, 7]] ^= np.uint64(12345)
        changed = replace(partition, planar=replace(partition.planar, cell_hashes=hashes))
        np.testing.assert_array_equal(active_counts(changed), active_counts(partition))

    def test_other_hashes_of_all_cells_take_all_from_the_network(self, partition: Partition) -> None:
        """Differences are as before, so the walk would go everywhere."""
        hashes = partition.planar.cell_hashes ^ np.uint64(12345)
        changed = replace(partition, planar=replace(partition.planar, cell_hashes=hashes))
        np.testing.assert_array_equal(active_counts(changed), active_counts(partition))

    def test_a_pattern_with_another_hash_is_not_carried_on(
        self, partition: Partition, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The network says of the root what its cell is not, as rounding may on a tiny cell: only the root has it."""
        expected, root = active_counts(partition), int(partition.areas.argmax())
        original = Partition.patterns

        def wrong_at_the_root(self: Partition, cells: np.ndarray) -> tuple[np.ndarray, ...]:
            first, second = original(self, cells)
            first[np.asarray(cells) == root, 0] ^= True
            return first, second

        monkeypatch.setattr(Partition, "patterns", wrong_at_the_root)
        different = np.flatnonzero((active_counts(partition) != expected).any(axis=1))
        assert different.tolist() == [root]

    def test_where_the_largest_is_taken_one_cell_a_piece_is_asked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Patterns of numbers count in the hash, too, so that cells joined by ReLUs' edges are walked."""
        entry = ZOO["U-Net-like, bilinear"]
        partition = compute_partition(entry.model(), entry.plane())
        asked: list[int] = []
        original = Partition.patterns
        monkeypatch.setattr(Partition, "patterns", lambda self, cells: asked.extend(cells) or original(self, cells))
        active_counts(partition)
        assert len(asked) == len(set(asked)) < partition.n_cells / 2

    def test_runs_of_patterns_come_to_the_same(self, partition: Partition, monkeypatch: pytest.MonkeyPatch) -> None:
        expected = active_counts(partition)
        hashes = partition.planar.cell_hashes.copy()
        hashes[::2] ^= np.arange(len(hashes[::2]), dtype=np.uint64)
        changed = replace(partition, planar=replace(partition.planar, cell_hashes=hashes))
        monkeypatch.setattr(activity, "ENTRIES_AT_A_TIME", 100)
        np.testing.assert_array_equal(active_counts(changed), expected)
