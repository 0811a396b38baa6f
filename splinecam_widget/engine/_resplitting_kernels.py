"""Compiled loops for a cut of which some units have moved: what changes, and the rest with new numbers.

What is taken over from the cut before has its numbers moved by what came to or went from lower numbers. Knows no network;
arrays in, arrays out.
"""

from __future__ import annotations

import numpy as np

from ._cutting_kernels import CELLS, CHORD_EDGES, ENTRIES, INNER
from ._sign_kernels import lowest_bit, unit_key
from .loops import inlined, lean, loop

_ONE = np.uint64(1)


UNITS_AT_A_TIME = 16
"""Units whose signs at a vertex, before and now, fit into one word."""

_NOW = np.uint64(32)
_MINUS = np.uint64(16)
_PLUS_BITS = np.uint64(0x0000FFFF0000FFFF)
_UNITS = np.uint64(0xFFFF)


@lean
def signs_of_some(units, positive, negative, positive_now, negative_now, found):
    """Into `found` (V,): where some units are positive before, negative before, positive now and negative now, 16 bits each."""
    for v in range(len(found)):
        signs = np.uint64(0)
        for i in range(len(units)):
            w, bit = units[i] >> 6, np.uint64(units[i] & 63)
            signs |= (
                ((positive[v, w] >> bit) & _ONE) | ((negative[v, w] >> bit) & _ONE) << _MINUS
                | (((positive_now[v, w] >> bit) & _ONE) | ((negative_now[v, w] >> bit) & _ONE) << _MINUS) << _NOW
            ) << np.uint64(i)
        found[v] = signs


@lean
def mark_edges(edges, signs, is_changed):
    """Marks the edges (E,) that one of the units of `signs` (V,) crosses before or now."""
    for e in range(len(edges)):
        a, b = signs[edges[e, 0]], signs[edges[e, 1]]
        is_changed[e] |= ((a & (b >> _MINUS)) | (b & (a >> _MINUS))) & _PLUS_BITS != 0


@lean
def mark_cells(cell_offsets, cell_vertices, signs, units, layer, is_changed, flips):
    """Marks the cells (C,) that one of the units crosses before or now; of the others what their change does to the hash."""
    for cell in range(len(is_changed)):
        seen = np.uint64(0)
        for k in range(cell_offsets[cell], cell_offsets[cell + 1]):
            seen |= signs[cell_vertices[k]]
        is_changed[cell] |= seen & (seen >> _MINUS) & _PLUS_BITS != 0
        changed = (seen ^ (seen >> _NOW)) & _UNITS
        while changed != 0:
            flips[cell] ^= unit_key(layer, units[lowest_bit(changed)])
            changed &= changed - _ONE


@loop
def merged_crossings(changed, before, part):
    """Crossings of all edges, from those before and those of the edges `changed`; both as `splitting.Crossings` lists them.

    Returns
    -------
    offsets, units, places, parents, t, vertex_offsets
    vertex_shifts, piece_shifts : by how much the numbers of the vertices before, and of the pieces of edges, move; of edges
        that did not change
    """
    old_offsets, old_units, old_places, old_parents, old_t, old_vertex_offsets = before
    part_offsets, part_units, part_places, part_t, part_vertex_offsets = part
    n_edges = len(old_offsets) - 1
    n_crossings, n_vertices = len(old_units) + len(part_units), len(old_t) + len(part_t)
    for k in range(len(changed)):
        e = changed[k]
        n_crossings -= old_offsets[e + 1] - old_offsets[e]
        n_vertices -= old_vertex_offsets[e + 1] - old_vertex_offsets[e]
    offsets, vertex_offsets = np.empty(n_edges + 1, np.int64), np.empty(n_edges + 1, np.int64)
    units, places = np.empty(n_crossings, np.int32), np.empty(n_crossings, np.int32)
    parents, t = np.empty(n_vertices, np.int32), np.empty(n_vertices)
    vertex_shifts = np.zeros(len(old_t), np.int32)
    piece_shifts = np.zeros(n_edges + len(old_t), np.int32)
    begin, shift, vertex_shift = np.int64(0), np.int64(0), np.int64(0)
    for k in range(len(changed) + 1):
        e = changed[k] if k < len(changed) else np.int64(n_edges)
        lo, hi = old_offsets[begin], old_offsets[e]
        units[lo + shift : hi + shift] = old_units[lo:hi]
        places[lo + shift : hi + shift] = old_places[lo:hi]
        lo, hi = old_vertex_offsets[begin], old_vertex_offsets[e]
        parents[lo + vertex_shift : hi + vertex_shift] = old_parents[lo:hi]
        t[lo + vertex_shift : hi + vertex_shift] = old_t[lo:hi]
        vertex_shifts[lo:hi] = vertex_shift
        piece_shifts[begin + lo : e + hi] = vertex_shift
        for i in range(begin, e + 1):
            offsets[i] = old_offsets[i] + shift
            vertex_offsets[i] = old_vertex_offsets[i] + vertex_shift
        if e < n_edges:
            lo, hi, at = part_offsets[k], part_offsets[k + 1], offsets[e]
            units[at : at + hi - lo] = part_units[lo:hi]
            places[at : at + hi - lo] = part_places[lo:hi]
            shift += hi - lo - (old_offsets[e + 1] - old_offsets[e])
            lo, hi, at = part_vertex_offsets[k], part_vertex_offsets[k + 1], vertex_offsets[e]
            parents[at : at + hi - lo] = e
            t[at : at + hi - lo] = part_t[lo:hi]
            vertex_shift += hi - lo - (old_vertex_offsets[e + 1] - old_vertex_offsets[e])
            begin = e + 1
    return offsets, units, places, parents, t, vertex_offsets, vertex_shifts, piece_shifts


@loop
def count_replaced(first, last, offsets, vertices, edges, first_inner, n_pieces):
    """How many cells, entries of loops, inner vertices and pieces of chords there are in cells `first[k]` to `last[k]`, all k.

    Vertices from `first_inner` on and edges from `n_pieces` on lie inside the cell that these came from, where no others do.
    """
    counts = np.zeros(4, np.int64)
    for k in range(len(first)):
        lo, hi = offsets[first[k]], offsets[last[k]]
        counts[CELLS] += last[k] - first[k]
        counts[ENTRIES] += hi - lo
        low_v, high_v, low_e, high_e = np.int64(-1), np.int64(-1), np.int64(-1), np.int64(-1)
        for i in range(lo, hi):
            v, e = np.int64(vertices[i]), np.int64(edges[i])
            if v >= first_inner:
                low_v, high_v = (v if low_v < 0 else min(low_v, v)), max(high_v, v)
            if e >= n_pieces:
                low_e, high_e = (e if low_e < 0 else min(low_e, e)), max(high_e, e)
        counts[INNER] += high_v - low_v + (high_v >= 0)
        counts[CHORD_EDGES] += high_e - low_e + (high_e >= 0)
    return counts


@lean
def merge_cells(
    changed, first_old, last_old, before, part, flips, n_vertices, vertex_shifts, piece_shifts, first_inner, n_pieces, out,
    counts, seen,
):
    """Cells after a cut into `out`, from those after the one before and those that the cells `changed` were cut into now.

    Parameters
    ----------
    changed (n,) : cells before either cut
    first_old, last_old (n,) : which cells before came from each
    before, part, out : what `split_cells` returns, but for the last entry
    flips (C,) : what changes in the hashes of the other cells
    n_vertices : before either cut
    first_inner, n_pieces : the first vertex inside a cell and how many pieces of edges there are now
    counts (4,) : how much of `out` is written
    seen (2, 4) : how much of `before` and `part` is read
    """
    old_inner, old_pieces = n_vertices + len(vertex_shifts), np.int64(len(piece_shifts))
    part_parents = part[4]
    for k in range(len(changed) + 1):
        # Cells that did not change, up to the next that did; what was made of that goes, and what is made of it comes.
        stop = first_old[k] if k < len(changed) else np.int64(len(before[3]))
        take_cells(
            before, stop, old_inner, old_pieces, n_vertices, 0, vertex_shifts, piece_shifts, flips, first_inner, n_pieces,
            out, counts, seen[0])
        if k == len(changed):
            break
        skip_cells(before, last_old[k], old_inner, old_pieces, seen[0])
        stop = seen[1, CELLS]
        while stop < len(part_parents) and part_parents[stop] == changed[k]:
            stop += 1
        take_cells(
            part, stop, first_inner, n_pieces, first_inner, n_pieces, vertex_shifts, piece_shifts, flips, first_inner, n_pieces,
            out, counts, seen[1])


@inlined
def moved(number, first_inside, shift, first_moved, shifts):
    """The new number of a vertex, or of an edge: inside a cell all move by the same."""
    if number >= first_inside:
        return number + shift
    return number + shifts[number - first_moved] if number >= first_moved else number


@lean
def take_cells(
    source, stop, source_inner, source_pieces, first_moved, first_edge, vertex_shifts, piece_shifts, flips, first_inner,
    n_pieces, out, counts, seen,
):
    """Cells of a source that follow those seen, up to cell `stop`, and what lies inside their parents, into `out`.

    In the source vertices from `first_moved` on and edges from `first_edge` on have shifts; vertices from `source_inner` on
    lie inside, and edges from `source_pieces` on are pieces of chords.
    """
    from_offsets, from_vertices, from_edges, from_hashes, from_parents, from_ends, from_weights, from_places, from_pairs, \
        from_units = source
    offsets, vertices, edges, hashes, parents, ends, weights, places, pairs, units = out
    inner, chord = seen[INNER], seen[CHORD_EDGES]
    inner_shift = first_inner + counts[INNER] - source_inner - inner
    chord_shift = n_pieces + counts[CHORD_EDGES] - source_pieces - chord
    inner_end, chord_end = source_inner + inner, source_pieces + chord
    lo, hi = from_offsets[seen[CELLS]], from_offsets[stop]
    more = counts[ENTRIES] - lo
    for i in range(lo, hi):
        v, e = np.int64(from_vertices[i]), np.int64(from_edges[i])
        inner_end, chord_end = max(inner_end, v + 1), max(chord_end, e + 1)
        vertices[more + i] = moved(v, source_inner, inner_shift, first_moved, vertex_shifts)
        edges[more + i] = moved(e, source_pieces, chord_shift, first_edge, piece_shifts)
    for c in range(seen[CELLS], stop):
        at, parent = counts[CELLS] + c - seen[CELLS], from_parents[c]
        offsets[at + 1] = from_offsets[c + 1] + more
        parents[at] = parent
        hashes[at] = from_hashes[c] ^ flips[parent]
    for i in range(inner, inner_end - source_inner):
        at = counts[INNER] + i - inner
        for j in range(4):
            ends[at, j] = from_ends[i, j]
        for j in range(3):
            weights[at, j] = from_weights[i, j]
        for j in range(2):
            places[at, j] = moved(np.int64(from_places[i, j]), source_inner, inner_shift, first_moved, vertex_shifts)
    for i in range(chord, chord_end - source_pieces):
        at = counts[CHORD_EDGES] + i - chord
        for j in range(2):
            pairs[at, j] = moved(np.int64(from_pairs[i, j]), source_inner, inner_shift, first_moved, vertex_shifts)
        units[at] = from_units[i]
    counts[CELLS] += stop - seen[CELLS]
    counts[ENTRIES] += hi - lo
    counts[INNER] += inner_end - source_inner - inner
    counts[CHORD_EDGES] += chord_end - source_pieces - chord
    seen[CELLS], seen[INNER], seen[CHORD_EDGES] = stop, inner_end - source_inner, chord_end - source_pieces


@lean
def skip_cells(source, stop, source_inner, source_pieces, seen):
    """Pass over cells of a source up to cell `stop`, and what lies inside their parents."""
    offsets, vertices, edges = source[0], source[1], source[2]
    for i in range(offsets[seen[CELLS]], offsets[stop]):
        seen[INNER] = max(seen[INNER], np.int64(vertices[i]) + 1 - source_inner)
        seen[CHORD_EDGES] = max(seen[CHORD_EDGES], np.int64(edges[i]) + 1 - source_pieces)
    seen[CELLS] = stop
