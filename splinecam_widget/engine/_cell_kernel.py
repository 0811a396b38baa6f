"""The compiled heart: every cell split by the units that cross it.

A cell's border is cut at its crossings before (`_sign_kernels.edge_crossings`), so cells are independent of one another and
of the order in which threads take them. Inside one cell every crossing unit is a straight chord from border to border. A
vertex inside the cell is where two chords meet: on chord (p, q) of one unit at s, where the other is zero.

Where the order of these along each chord is certain, faces are followed (`_tracing_kernels`). Else the cell is split unit by
unit (`_stack_kernels`).
"""

from __future__ import annotations

import numpy as np

from ._cutting_kernels import BORDER, CELLS, CHORD_EDGES, DONE, ENTRIES, INNER, MET, PIECES, UNCERTAIN, cut_cells
from ._growing_kernels import grown, trimmed, with_room
from ._stack_kernels import split_one
from ._tracing_kernels import chord_scratch, crossing_scratch, face_scratch, value_scratch
from .loops import loop


@loop
def split_cells(
    begin, end, layer, cell_offsets, cell_vertices, cell_edges, cell_hashes,
    edges, positive, negative, rows, tolerance,
    crossing_offsets, crossing_units, crossing_places, vertex_offsets, vertex_t,
    first_edge_vertex, first_chord_vertex, first_chord_edge, most_cells, most_entries, least_traced, halt,
):
    """Cells `begin` to `end`, split by the units that cross them.

    Where that makes more than `most_cells` cells, or a cell's table has more than `most_entries` entries, `halt[0]` is set;
    once it is, by whomever, this returns with what there is, which is then not to be used. Cells that
    `least_traced` units or more cross are traced where they can be.

    New vertices on edges are numbered from `first_edge_vertex`; vertices and edges made here, from `first_chord_vertex` and
    `first_chord_edge` on, in the order of the cells.

    Returns
    -------
    offsets, vertices, edges : loops of the new cells
    hashes, parents : activation hash and old cell of each new one
    chord_ends (N, 4), chord_weights (N, 3) : where the new inner vertices lie, see `_sign_kernels.rows_at`
    chord_places (N, 2) : the vertices at both ends of their chords
    new_edges (M, 2), new_units (M,) : pieces of chords
    n_irregular : splits whose signs were not those of a line through a convex cell
    """
    n_words = positive.shape[1]
    n_units = n_words * 64
    n_old = end - begin
    n_entries = cell_offsets[end] - cell_offsets[begin] + 64
    out = (
        np.zeros(n_old + 17, np.int64), np.empty(n_entries, np.int32), np.empty(n_entries, np.int32),
        np.empty(n_old + 16, np.uint64), np.empty(n_old + 16, np.int32),
        np.empty((64, 4), np.int32), np.empty((64, 3), np.float64), np.empty((64, 2), np.int32),
        np.empty((64, 2), np.int32), np.empty(64, np.int32))
    counts, wanted, n_irregular = np.zeros(4, np.int64), np.zeros(7, np.int64), np.int64(0)
    # The pattern of the cell before and its hash: neighbours in memory differ in few units. The units that cross a cell.
    bits, hashes = np.zeros((2, n_words), np.uint64), np.zeros(2, np.uint64)

    # Scratch of one cell; it grows and is used again.
    lines = (
        np.empty(n_units, np.int32), np.empty(n_units, np.int32), np.empty(n_units, np.int32), np.empty(n_units, np.int32),
        np.empty(n_units, np.int32), chord_scratch(n_units), value_scratch(n_units))
    border = (
        np.empty(64, np.int32), np.empty(64, np.int32), np.empty((64, 2), np.int32), np.empty(64, np.float64),
        np.empty(64, np.int32))
    short_loop = np.empty(64, np.int32), np.empty(64, np.int32), np.empty(64, np.int8)
    crossings, met_at = crossing_scratch(64), np.empty(64)
    faces, is_done, todo_hash = face_scratch(256), np.empty(512, np.bool_), np.empty(512, np.uint64)

    cell = np.int64(begin)
    while True:
        cell, why, m, n_border, is_simple = cut_cells(
            cell, end, layer, cell_offsets, cell_vertices, cell_edges, cell_hashes, edges, positive, negative, rows, tolerance,
            crossing_offsets, crossing_units, crossing_places, vertex_offsets, vertex_t, first_edge_vertex, first_chord_vertex,
            first_chord_edge, most_cells, least_traced, halt, out, counts, wanted, bits, hashes, lines, border,
            (crossings, met_at, faces, is_done, todo_hash), short_loop)
        if why == DONE:
            break
        if why == UNCERTAIN:
            out, n_odd = split_one(
                cell, m, n_border, is_simple, hashes[1], layer, cell_offsets, cell_vertices, cell_edges, edges, positive,
                negative, rows, tolerance, crossing_offsets, crossing_units, crossing_places, vertex_offsets,
                first_chord_vertex, first_chord_edge, most_cells, most_entries, halt, out, counts, wanted, lines, border)
            n_irregular += n_odd
            cell += 1
            continue
        out = with_room(out, wanted)
        border_vertex, border_edge, ends, t, chord_at = border
        size = wanted[BORDER]
        border = (
            grown(border_vertex, size), grown(border_edge, size), grown(ends, size), grown(t, size), grown(chord_at, size))
        loop_v, loop_e, signs = short_loop
        short_loop = grown(loop_v, size), grown(loop_e, size), grown(signs, size)
        if wanted[MET] > len(met_at):
            crossings, met_at = crossing_scratch(2 * wanted[MET]), np.empty(2 * wanted[MET])
        if 2 * wanted[PIECES] > len(is_done):
            n = 2 * wanted[PIECES]
            faces, is_done, todo_hash = face_scratch(n), np.empty(2 * n, np.bool_), np.empty(2 * n, np.uint64)

    (out_offsets, out_vertices, out_edges, out_hashes, out_parents, chord_ends, chord_weights, chord_places, new_edges,
     new_units) = out
    n_cells, n_loop, n_inner, n_new_edges = counts[CELLS], counts[ENTRIES], counts[INNER], counts[CHORD_EDGES]
    return (
        trimmed(out_offsets, n_cells + 1), trimmed(out_vertices, n_loop), trimmed(out_edges, n_loop),
        trimmed(out_hashes, n_cells), trimmed(out_parents, n_cells), trimmed(chord_ends, n_inner),
        trimmed(chord_weights, n_inner), trimmed(chord_places, n_inner), trimmed(new_edges, n_new_edges),
        trimmed(new_units, n_new_edges), n_irregular,
    )


@loop
def place_cells(
    offsets, vertices, edges, hashes, parents, chord_ends, chord_weights, chord_places, new_edges, new_units,
    all_offsets, all_vertices, all_edges, all_hashes, all_parents, all_ends, all_weights, all_places, all_new_edges, all_units,
    cell, loop, inner, chord, first_chord_vertex, first_chord_edge,
):
    """One run's results into those of all runs: from cell `cell`, loop entry `loop`, inner vertex `inner`, edge `chord` on."""
    n = len(hashes)
    all_offsets[cell + 1 : cell + n + 1] = offsets[1:] + loop
    all_hashes[cell : cell + n] = hashes
    all_parents[cell : cell + n] = parents
    for k in range(len(vertices)):
        v, e = vertices[k], edges[k]
        all_vertices[loop + k] = v + inner if v >= first_chord_vertex else v
        all_edges[loop + k] = e + chord if e >= first_chord_edge else e
    all_ends[inner : inner + len(chord_ends)] = chord_ends
    all_weights[inner : inner + len(chord_ends)] = chord_weights
    all_places[inner : inner + len(chord_ends)] = chord_places
    for k in range(len(new_units)):
        for end_of in range(2):
            v = new_edges[k, end_of]
            all_new_edges[chord + k, end_of] = v + inner if v >= first_chord_vertex else v
        all_units[chord + k] = new_units[k]
