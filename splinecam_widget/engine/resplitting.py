"""A cut of which some units have moved: cells that they cross, before or now, are cut again, the others are taken over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np

from . import _resplitting_kernels, _sign_kernels
from .arrays import Float64
from .errors import OverBudget
from .planar import Int64, PlanarComplex, Signs
from .splitting import Crossings, Room, Split, assembled, split_cells

LARGEST_SHARE = 0.25
"""Of the cells, before and after the cut: where more have changed, all are cut anew, by several threads."""


def resplit(
    before: PlanarComplex, rows: Float64, tolerance: Float64, layer: int, has_pattern: bool, signs: Signs, old: Split,
    units: Int64, room: Room, tick: Callable[[], None],
) -> Split | None:
    """What `split_complex` returns, from what it returned when some functions had other values.

    Parameters
    ----------
    before, rows, tolerance, layer, has_pattern, signs, room, tick :
        As of `split_complex`.
    old : Split
        Of the same complex. Its new vertices know the signs then.
    units : (m,) int64
        The functions whose values or tolerance have changed.

    Returns
    -------
    Split or None
        None where cutting all cells is faster, or something about the old cut was irregular.

    Raises
    ------
    OverBudget
        If the cells do not fit into `room`.

    Notes
    -----
    Of cells that are taken over, the table of border vertices and units is not asked for room again.
    """
    if old.n_irregular:
        return None
    key_layer = layer if has_pattern else -1
    was = old.new.signs
    is_cell_changed, is_edge_changed = np.zeros(before.n_cells, np.bool_), np.zeros(len(before.edges), np.bool_)
    flips, some_signs = np.zeros(before.n_cells, np.uint64), np.empty(before.n_vertices, np.uint64)
    for start in range(0, len(units), _resplitting_kernels.UNITS_AT_A_TIME):
        some = units[start:start + _resplitting_kernels.UNITS_AT_A_TIME]
        _resplitting_kernels.signs_of_some(some, was.positive, was.negative, signs.positive, signs.negative, some_signs)
        _resplitting_kernels.mark_cells(
            before.cell_offsets, before.cell_vertices, some_signs, some, key_layer, is_cell_changed, flips)
        changed = np.flatnonzero(is_cell_changed)
        first, last = (np.searchsorted(old.parents, changed, side) for side in ("left", "right"))
        n_replaced = int((last - first).sum())
        # A few cells may hold most of what there is.
        if len(changed) > LARGEST_SHARE * before.n_cells or n_replaced > LARGEST_SHARE * old.after.n_cells:
            return None
        _resplitting_kernels.mark_edges(before.edges, some_signs, is_edge_changed)
        tick()
    edges = np.flatnonzero(is_edge_changed)
    part = _sign_kernels.edge_crossings(
        0, len(edges), before.edges[edges], signs.positive, signs.negative, rows, tolerance)
    *arrays, vertex_shifts, piece_shifts = _resplitting_kernels.merged_crossings(
        edges, _arrays(old.crossings), (*part[:3], *part[4:6]))
    crossings = Crossings(*arrays)
    tick()
    cells = _some_cells(before, changed)
    n_crossings = int(np.diff(crossings.offsets)[cells.cell_edges].sum())
    *made, parents, ends, weights, places, chords, chord_units, n_irregular = split_cells(
        cells, rows, tolerance, key_layer, signs, crossings, n_crossings, room, tick)
    n_cells = old.after.n_cells - n_replaced + len(parents)
    if n_cells > room.cells:
        raise OverBudget(n_cells)
    flips[changed] = 0
    merged = _merged(
        before, crossings, old, (*made, changed[parents].astype(np.int32), ends, weights, places, chords, chord_units),
        (changed, first, last), (flips, vertex_shifts, piece_shifts))
    tick()
    return assembled(before, layer, signs, tolerance, crossings, (*merged, n_irregular), tick)


def _arrays(crossings: Crossings) -> tuple[Any, ...]:
    return tuple(getattr(crossings, field.name) for field in fields(crossings))


def _some_cells(planar: PlanarComplex, cells: Int64) -> PlanarComplex:
    """The complex with these cells alone; vertices and edges are those of all."""
    counts = np.diff(planar.cell_offsets)[cells]
    offsets = np.concatenate([[0], np.cumsum(counts)])
    entries = np.repeat(planar.cell_offsets[cells] - offsets[:-1], counts) + np.arange(offsets[-1])
    return replace(
        planar, cell_offsets=offsets, cell_vertices=planar.cell_vertices[entries], cell_edges=planar.cell_edges[entries],
        cell_hashes=planar.cell_hashes[cells])


def _merged(
    before: PlanarComplex, crossings: Crossings, old: Split, part: tuple[Any, ...], changed: tuple[Int64, Int64, Int64],
    moves: tuple[Any, ...],
) -> tuple[Any, ...]:
    """All cells, from those of the old cut and those of the changed cells."""
    after, new, n_pieces = old.after, old.new, old.crossings.n_pieces
    known: tuple[Any, ...] = (
        after.cell_offsets, after.cell_vertices, after.cell_edges, after.cell_hashes, old.parents, new.chord_ends,
        new.chord_weights, new.chord_places, after.edges[n_pieces:], after.edge_unit[n_pieces:])
    _, first, last = changed
    n_cells, n_entries, n_inner, n_chords = _resplitting_kernels.count_replaced(
        first, last, *known[:3], before.n_vertices + len(old.new.edge_t), n_pieces).tolist()
    gone = (n_cells, n_entries, n_entries, n_cells, n_cells, n_inner, n_inner, n_inner, n_chords, n_chords)
    out = tuple(np.empty((len(a) + len(b) - n - (a is known[0]), *a.shape[1:]), a.dtype) for a, b, n in zip(known, part, gone))
    out[0][0] = 0
    _resplitting_kernels.merge_cells(
        *changed, known, part, moves[0], before.n_vertices, *moves[1:], before.n_vertices + len(crossings.t),
        crossings.n_pieces, out, np.zeros(4, np.int64), np.zeros((2, 4), np.int64))
    return out
