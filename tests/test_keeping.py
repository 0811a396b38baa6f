"""What an explorer keeps: found by plane, dropped by use."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn

from oracle import mlp
from splinecam_widget.engine import keeping
from splinecam_widget.engine.compute import compute_partition
from splinecam_widget.engine.explorer import Explorer
from splinecam_widget.engine.keeping import Kept, n_bytes_of
from splinecam_widget.engine.partition import Partition
from splinecam_widget.engine.slices import Slice, rectangle

BASIS = np.eye(3)[:2]


def plane_at(height: float, side: float = 1.0) -> Slice:
    return Slice.from_basis([0.0, 0.0, height], BASIS, rectangle(-side, side, -side, side))


def partition_at(height: float, side: float = 1.0) -> Partition:
    return compute_partition(NET, plane_at(height, side))


NET: nn.Module = mlp(3, 8, 2, seed=0)


def test_planes_are_found_whatever_their_domains_the_last_used_last() -> None:
    kept = Kept(1 << 30)
    small, other, large = partition_at(0.0, 0.5), partition_at(1.0), partition_at(0.0)
    for partition in (small, other, large):
        kept.remember(partition)
    assert kept.of(plane_at(0.0, 0.1)) == [small, large]
    kept.remember(small)
    assert kept.of(plane_at(-0.0)) == [large, small], "zeros of both signs are one plane"
    assert kept.of(plane_at(1.0)) == [other]
    assert kept.of(plane_at(2.0)) == []
    assert len(kept) == 3
    kept.clear()
    assert len(kept) == 0
    assert kept.of(plane_at(0.0)) == []


def test_the_longest_unused_go_where_there_is_no_room_and_the_last_stays() -> None:
    partitions = [partition_at(float(height)) for height in range(4)]
    sizes = [n_bytes_of(partition) for partition in partitions]
    kept = Kept(sizes[0] + sizes[2] + sizes[3])
    for partition in partitions[:3]:
        kept.remember(partition)
    kept.remember(partitions[0])
    kept.remember(partitions[3])
    assert [len(kept.of(partition.plane)) for partition in partitions] == [1, 0, 1, 1]
    tight = Kept(1)
    for partition in partitions:
        tight.remember(partition)
    assert [len(tight.of(partition.plane)) for partition in partitions] == [0, 0, 0, 1]


def test_a_picture_after_many_others_compares_no_more_planes(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    same = keeping.same_plane
    monkeypatch.setattr(keeping, "same_plane", lambda a, b: compared.append((a, b)) or same(a, b))
    explorer = Explorer(NET, plane_at(0.0))
    for height in np.linspace(0.0, 1.0, 40):
        explorer.show(plane_at(float(height)))
    del compared[:]
    explorer.show(plane_at(2.0))
    assert not compared
    explorer.show(plane_at(0.0))
    assert explorer.work.vertices_evaluated == 0
    assert len(compared) == 1
