"""Partitions that were computed, to be found again by their plane; the longest unused go where there is no room."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

from .partition import Partition
from .slices import Slice


class Kept:
    """Partitions of one network.

    Finding those of a plane takes as long however many are kept: a drag of minutes leaves thousands.

    Parameters
    ----------
    memory : int
        Bytes to keep, the last used partition in any case.
    """

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._n_bytes = 0
        self._by_use: OrderedDict[int, tuple[Partition, int, int]] = OrderedDict()
        """By identity: each partition with the key of its plane and its bytes, the last used last."""
        self._by_plane: dict[int, list[Partition]] = {}

    def __len__(self) -> int:
        return len(self._by_use)

    def clear(self) -> None:
        """Keep nothing."""
        self._n_bytes = 0
        self._by_use.clear()
        self._by_plane.clear()

    def of(self, plane: Slice) -> list[Partition]:
        """Those of the same plane, whatever their domains and anchors, the last used last."""
        return [partition for partition in self._by_plane.get(_key(plane), []) if same_plane(partition.plane, plane)]

    def remember(self, partition: Partition) -> None:
        """As the last used."""
        own = id(partition)
        if own not in self._by_use:
            n_bytes = n_bytes_of(partition)
            self._by_use[own] = (partition, _key(partition.plane), n_bytes)
            self._n_bytes += n_bytes
        self._by_use.move_to_end(own)
        key = self._by_use[own][1]
        self._by_plane[key] = [*self._without(partition, key), partition]
        while self._n_bytes > self._memory and len(self._by_use) > 1:
            _, (oldest, key, n_bytes) = self._by_use.popitem(last=False)
            self._n_bytes -= n_bytes
            self._by_plane[key] = self._without(oldest, key)
            if not self._by_plane[key]:
                del self._by_plane[key]

    def _without(self, partition: Partition, key: int) -> list[Partition]:
        return [other for other in self._by_plane.get(key, []) if other is not partition]


def same_plane(first: Slice, second: Slice) -> bool:
    """Whether coordinates of one are those of the other."""
    return first is second or (np.array_equal(first.origin, second.origin) and np.array_equal(first.basis, second.basis))


def n_bytes_of(partition: Partition) -> int:
    """Bytes of a partition's arrays, without what follows from them."""
    return int(partition.values.nbytes + sum(array.nbytes for array in vars(partition.planar).values()))


def _key(plane: Slice) -> int:
    """Equal for equal planes; others may share one, and are told apart by comparing them. Sums are quick for large inputs."""
    return hash((float(plane.origin.sum()), *plane.basis.reshape(2, -1).sum(axis=1).tolist()))
