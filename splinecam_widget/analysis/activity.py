"""How many units are on in every cell, from the patterns of few. Knows how patterns are hashed; runs no network itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from splinecam_widget.engine import _dissolving_kernels
from splinecam_widget.engine.graph import component_ids

from . import _activity_kernels
from .quantities import largest_cells

if TYPE_CHECKING:
    from splinecam_widget.engine.partition import Partition

Bool = NDArray[np.bool_]
Int64 = NDArray[np.int64]
UInt64 = NDArray[np.uint64]

ENTRIES_AT_A_TIME = 1 << 24
"""Of patterns: 16 MiB of bool."""

NO_COUNT = -1
"""For layers whose patterns are numbers."""


@dataclass(frozen=True, eq=False)
class _Entries:
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
    def of(cls, partition: Partition) -> _Entries:
        network = partition.network
        number_of = _cut_numbers(partition)
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


def active_counts(partition: Partition) -> Int64:
    """How many entries of the activation patterns are True, cell by cell and layer by layer.

    Returns
    -------
    (C, L) int64
        -1 for layers whose patterns are numbers: where the largest of several is taken, and curves with a table of knots.

    Notes
    -----
    Across most edges a single entry changes, that of the unit that made the edge. Whether it is the only one, the hashes of
    both cells tell, which are those of their whole patterns. The cells that such edges join form a graph; one cell of each of
    its components, the largest, has its pattern from the network, and a walk over the component flips entry by entry. That
    pattern must have the hash of its cell, or all cells of the component take theirs from the network.
    Two patterns have one hash by chance with a probability of 2^-64 for each pair that is compared.

    A pattern here is that of the signs at a cell's vertices. It may differ from `Partition.patterns`, which asks the cell's
    centroid, where a unit's largest value on the cell is as small as its rounding error.
    """
    entries = _Entries.of(partition)
    found = np.full((partition.n_cells, len(entries.n_units)), NO_COUNT, np.int64)
    if not entries.n_columns:
        return found
    planar, beside = partition.planar, partition.edge_cells
    flips = _flips(partition, entries)
    is_crossed = flips >= 0
    if is_crossed[(beside >= 0).all(axis=1)].all():  # all cells of a convex domain are joined
        component = np.zeros(partition.n_cells, np.int64)
    else:
        component = component_ids(partition.n_cells, beside[is_crossed])
    sizes = np.bincount(component)
    roots = largest_cells(component, partition.areas, len(sizes))
    for part in _runs(roots, entries.n_columns):
        flags, hashes = _patterns(partition, entries, part)
        is_sure = (hashes == planar.cell_hashes[part]) | (sizes[component[part]] == 1)
        _activity_kernels.walk(
            part[is_sure], flags[is_sure], _counts(flags, entries)[is_sure], planar.cell_offsets, planar.cell_edges, beside,
            flips, entries.layer_of_column, found)
        if not is_sure.all():
            others = np.flatnonzero(np.isin(component, component[part[~is_sure]]))
            for cells in _runs(others, entries.n_columns):
                found[cells] = _counts(_patterns(partition, entries, cells)[0], entries)
    return found


def is_alone(partition: Partition) -> Bool:
    """(E,) bool: whether the unit that made an edge is known to be the only one that changes its piece there.

    Told by the hashes of the patterns on both sides; where several units may change, and on the border, False.
    """
    found: Bool = _flips(partition, _Entries.of(partition)) >= 0
    return found


def _flips(partition: Partition, entries: _Entries) -> Int64:
    """The entry (E,) of the patterns that alone changes across each edge, -1 where there may be others."""
    planar = partition.planar
    found: Int64 = _activity_kernels.flipped_columns(
        partition.edge_cells, planar.cell_hashes, planar.edge_layer, planar.edge_unit, entries.n_units,
        entries.starts, entries.numbers, entries.widths, entries.columns)
    return found


def _runs(cells: Int64, n_columns: int) -> list[Int64]:
    size = max(1, ENTRIES_AT_A_TIME // n_columns)
    return [cells[start:start + size] for start in range(0, len(cells), size)]


def _patterns(partition: Partition, entries: _Entries, cells: Int64) -> tuple[Bool, UInt64]:
    """The entries (n, W) of some cells' patterns, and the hashes (n,) of all of the patterns."""
    number_of = _cut_numbers(partition)
    patterns = partition.patterns(cells)
    hashes = np.zeros(len(cells), np.uint64)
    for layer, (cuts, pattern) in enumerate(zip(partition.network.layers, patterns)):
        if layer not in entries.layers:
            hashes ^= _dissolving_kernels.piece_hashes(number_of[cuts[-1].name], pattern.astype(np.int64))
            continue
        column = 0
        for cut in range(entries.starts[layer], entries.starts[layer + 1]):
            width = int(entries.widths[cut])
            _activity_kernels.add_hashes(hashes, entries.numbers[cut], pattern[:, column:column + width])
            column += width
    return np.concatenate([patterns[layer] for layer in entries.layers], axis=1), hashes


def _cut_numbers(partition: Partition) -> dict[str, int]:
    """Under which number the pattern of every cut is hashed: its stage, or that of a tournament's first round."""
    stages = [stage.cut for stage in partition.network.stages if stage.cut is not None]
    first_round: dict[str, int] = {}
    found = {}
    for number, cut in enumerate(stages):
        first = first_round.setdefault(cut.node, number)
        found[cut.name] = first if cut.kind == "settle" else number
    return found


def _counts(flags: Bool, entries: _Entries) -> Int64:
    """True entries (n, L) of each layer, `NO_COUNT` where it has none."""
    found = np.full((len(flags), len(entries.n_units)), NO_COUNT, np.int64)
    for layer in entries.layers:
        first, last = entries.starts[layer], entries.starts[layer + 1]
        begin = int(entries.columns[first])
        found[:, layer] = flags[:, begin:begin + int(entries.widths[first:last].sum())].sum(axis=1)
    return found
