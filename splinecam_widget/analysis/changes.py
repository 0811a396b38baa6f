"""Which units change their piece across every edge, told by the hashes of the patterns on both sides. Runs no network.

An edge is named by the first unit that bends there; others may change at the same place. The hash of a pattern is a sum without
carry of one random number of 64 bits for each entry that is on, and for each entry that wins where the largest of several is
taken. So the difference of the hashes of two cells is a sum over what changes between them, and can be looked up: the entry of
the unit that made the edge, the winners of one window, or both, as where a ReLU turns on in a window of zeros. Two such sums
are equal by chance with a probability of 2^-64 for each pair that is compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from . import _activity_kernels

if TYPE_CHECKING:
    from splinecam_widget.engine.partition import Partition

Bool = NDArray[np.bool_]
Int64 = NDArray[np.int64]
UInt64 = NDArray[np.uint64]

MOST_PAIRS = 1 << 20
"""Of entries that compete in the windows of one layer: 16 MiB, and twice that while they are sorted. Changes of larger ones are
not looked up."""


@dataclass(frozen=True, eq=False)
class Entries:
    """The entries of patterns that are on or off, side by side.

    Attributes
    ----------
    layers : tuple of int
        The layers that have such entries.
    starts : (L + 1,) int64
        The cuts of layer l are `starts[l]` to `starts[l + 1]`; none where its patterns are numbers.
    numbers, widths, columns : (n,) int64
        Of each cut: under which its entries are hashed, how many there are, and the first one's column.
    n_units : (L,) int64
    """

    layers: tuple[int, ...]
    starts: Int64
    numbers: Int64
    widths: Int64
    columns: Int64
    n_units: Int64

    @classmethod
    def of(cls, partition: Partition) -> Entries:
        network = partition.network
        number_of = cut_numbers(partition)
        layers, starts, numbers, widths = [], [0], [], []
        tolerances = iter(partition.zero_tolerances)
        for layer, cuts in enumerate(network.layers):
            sizes = [len(next(tolerances)) for _ in cuts]
            if not any(step.kind in ("settle", "curve") for step in cuts):
                layers.append(layer)
                numbers += [number_of[step.name] for step in cuts]
                widths += sizes
            starts.append(len(numbers))
        columns = np.cumsum([0, *widths])
        return cls(tuple(layers), np.array(starts), np.array(numbers, np.int64), np.array(widths, np.int64), columns[:-1],
                   np.array([step.n_units for step in network.kinks], np.int64))

    @property
    def n_columns(self) -> int:
        return int(self.widths.sum())

    @property
    def layer_of_column(self) -> Int64:
        return np.repeat(np.arange(len(self.n_units)), [
            self.widths[first:last].sum() for first, last in zip(self.starts, self.starts[1:])])


@dataclass(frozen=True, eq=False)
class Windows:
    """Where the largest of several is taken: what a hash changes by when another entry wins.

    Attributes
    ----------
    starts : (L + 1,) int64
        The windows of layer l are `starts[l]` to `starts[l + 1]`; none where nothing competes.
    keys : (n,) uint64, increasing
        One for each pair of entries of each window.
    windows : (n,) int64
    """

    starts: Int64
    keys: UInt64
    windows: Int64

    @classmethod
    def of(cls, partition: Partition) -> Windows:
        network = partition.network
        number_of = cut_numbers(partition)
        starts, keys, windows = [0], [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
        for cuts in network.layers:
            n_windows = 0
            if cuts[-1].kind == "settle":
                n_entries, n_windows = network.shapes[cuts[-1].sources[1]]
                if n_windows * n_entries * (n_entries - 1) // 2 <= MOST_PAIRS:
                    of_pairs, its_windows = _activity_kernels.pair_keys(number_of[cuts[-1].name], n_entries, n_windows)
                    keys.append(of_pairs)
                    windows.append(starts[-1] + its_windows)
            starts.append(starts[-1] + n_windows)
        all_keys = np.concatenate(keys)
        order = np.argsort(all_keys)
        return cls(np.array(starts), all_keys[order], np.concatenate(windows)[order])


@dataclass(frozen=True, eq=False)
class Changes:
    """What changes across each edge of a partition. Made by `changes_of`.

    Attributes
    ----------
    entries : Entries
    windows : Windows
    columns : (E,) int64
        The entry, on or off, that changes; -1 where none does, or it is not known.
    changed_windows : (E,) int64
        The window in which another entry wins; -1 likewise.
    """

    entries: Entries
    windows: Windows
    columns: Int64
    changed_windows: Int64

    @property
    def is_known(self) -> Bool:
        """(E,) bool: whether that is all that changes there; False on the border."""
        found: Bool = (self.columns >= 0) | (self.changed_windows >= 0)
        return found

    def edges_of(self, layer: int, unit: int) -> Int64:
        """(n,) int64: of the edges that are known, those across which a unit changes its piece."""
        first, last = self.entries.starts[layer:layer + 2]
        n_units = int(self.entries.n_units[layer])  # knot by knot and comparison by comparison, one entry in so many is its own
        columns = [np.arange(unit, self.entries.widths[cut], n_units) + self.entries.columns[cut] for cut in range(first, last)]
        found = np.isin(self.columns, np.concatenate([np.empty(0, np.int64), *columns]))
        begin, end = self.windows.starts[layer:layer + 2]
        if begin < end:
            found |= self.changed_windows == begin + unit
        return np.flatnonzero(found)

    def of_layer(self, layer: int) -> tuple[Int64, Int64]:
        """Of the edges that are known, those (n,) across which a unit of a layer changes its piece, and which unit (n,)."""
        units = np.full(len(self.columns), -1, np.int64)
        first, last = self.entries.starts[layer:layer + 2]
        if first < last:
            starts = self.entries.columns[first:last]
            cuts = np.searchsorted(starts, self.columns, side="right") - 1
            is_in = (cuts >= 0) & (self.columns < starts[-1] + self.entries.widths[last - 1])
            units[is_in] = (self.columns[is_in] - starts[cuts[is_in]]) % self.entries.n_units[layer]
        begin, end = self.windows.starts[layer:layer + 2]
        is_in = (self.changed_windows >= begin) & (self.changed_windows < end)
        units[is_in] = self.changed_windows[is_in] - begin
        edges = np.flatnonzero(units >= 0)
        return edges, units[edges]


def changes_of(partition: Partition) -> Changes:
    """What changes across every edge.

    Examples
    --------
    >>> import torch
    >>> from splinecam_widget import Slice, compute_partition
    >>> partition = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
    >>> changes = changes_of(partition)
    >>> int(changes.is_known.sum()), len(changes.edges_of(0, 1))  # two lines that cross
    (4, 2)
    """
    entries, windows, planar = Entries.of(partition), Windows.of(partition), partition.planar
    columns, changed = _activity_kernels.changes(
        partition.edge_cells, planar.cell_hashes, planar.edge_layer, planar.edge_unit, entries.n_units,
        entries.starts, entries.numbers, entries.widths, entries.columns, windows.keys, windows.windows)
    return Changes(entries, windows, columns, changed)


def cut_numbers(partition: Partition) -> dict[str, int]:
    """Under which number the pattern of every cut is hashed: its stage, or that of a tournament's first round."""
    stages = [stage.cut for stage in partition.network.stages if stage.cut is not None]
    first_round: dict[str, int] = {}
    found = {}
    for number, cut in enumerate(stages):
        first = first_round.setdefault(cut.node, number)
        found[cut.name] = first if cut.kind == "settle" else number
    return found
