"""How many units are on in every cell, from the patterns of few. Knows how patterns are hashed; runs no network itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from splinecam_widget.engine import _dissolving_kernels
from splinecam_widget.engine.graph import component_ids

from . import _activity_kernels
from .changes import Entries, cut_numbers
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


def active_counts(partition: Partition) -> Int64:
    """How many entries of the activation patterns are True, cell by cell and layer by layer.

    Returns
    -------
    (C, L) int64
        -1 for layers whose patterns are numbers: where the largest of several is taken, and curves with a table of knots.

    Notes
    -----
    Across most edges it is known which entry changes, if one does, see `changes`. The cells that such edges join form a graph;
    one cell of each of its components, the largest, has its pattern from the network, and a walk over the component flips
    entry by entry. That pattern must have the hash of its cell, or all cells of the component take theirs from the network.

    A pattern here is that of the signs at a cell's vertices. It may differ from `Partition.patterns`, which asks the cell's
    centroid, where a unit's largest value on the cell is as small as its rounding error.
    """
    changes = partition._changes
    entries = changes.entries
    found = np.full((partition.n_cells, len(entries.n_units)), NO_COUNT, np.int64)
    if not entries.n_columns:
        return found
    planar, beside = partition.planar, partition.edge_cells
    is_crossed = changes.is_known
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
            is_crossed, changes.columns, entries.layer_of_column, found)
        if not is_sure.all():
            others = np.flatnonzero(np.isin(component, component[part[~is_sure]]))
            for cells in _runs(others, entries.n_columns):
                found[cells] = _counts(_patterns(partition, entries, cells)[0], entries)
    return found


def _runs(cells: Int64, n_columns: int) -> list[Int64]:
    size = max(1, ENTRIES_AT_A_TIME // n_columns)
    return [cells[start:start + size] for start in range(0, len(cells), size)]


def _patterns(partition: Partition, entries: Entries, cells: Int64) -> tuple[Bool, UInt64]:
    """The entries (n, W) of some cells' patterns, and the hashes (n,) of all of the patterns."""
    number_of = cut_numbers(partition)
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


def _counts(flags: Bool, entries: Entries) -> Int64:
    """True entries (n, L) of each layer, `NO_COUNT` where it has none."""
    found = np.full((len(flags), len(entries.n_units)), NO_COUNT, np.int64)
    for layer in entries.layers:
        first, last = entries.starts[layer], entries.starts[layer + 1]
        begin = int(entries.columns[first])
        found[:, layer] = flags[:, begin:begin + int(entries.widths[first:last].sum())].sum(axis=1)
    return found
