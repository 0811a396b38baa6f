"""Cells that no line crosses, or one, or several in an order that is certain: cut without making an array.

Whatever needs room is asked for from outside (`_cell_kernel.split_cells`), which then calls again.
"""

from __future__ import annotations

import numpy as np

from ._border_kernels import halves
from ._sign_kernels import lowest_bit, popcount, sign_at, unit_key
from ._tracing_kernels import count_crossings, order_crossings, place_crossings, trace_faces
from .loops import lean

_ONE = np.uint64(1)

DONE, NO_ROOM, UNCERTAIN = 0, 1, 2
"""Why `cut_cells` returns: all cells are cut, or one needs more room, or one is to be split line by line."""

CELLS, ENTRIES, INNER, CHORD_EDGES = 0, 1, 2, 3
"""Places in what counts the output: cells, entries of their loops, inner vertices, pieces of chords."""

BORDER, MET, PIECES = 4, 5, 6
"""Further places in what one cell wants: places of its border, crossings inside it, pieces of its chords."""


@lean
def cut_cells(
    begin, end, layer, cell_offsets, cell_vertices, cell_edges, cell_hashes,
    edges, positive, negative, rows, tolerance,
    crossing_offsets, crossing_units, crossing_places, vertex_offsets, vertex_t,
    first_edge_vertex, first_chord_vertex, first_chord_edge, most_cells, least_traced, halt,
    out, counts, wanted, bits, hashes, lines, border, tracing, short_loop,
):
    """Cells `begin` to `end`, as far as that goes; arguments and output as of `split_cells`.

    Parameters
    ----------
    out : arrays that `split_cells` returns, with room
    counts (4,) int64 : how much of it is written
    wanted (7,) int64 : where there is no room, how much of each is needed
    bits (2, W) uint64, hashes (2,) uint64 : the pattern of the cell before and its hash, the units that cross this one and the
        hash of what other units say of it
    lines, border, tracing, short_loop : scratch, see `split_cells`

    Returns
    -------
    The cell at which it ended, why, how many lines cross that, places of its border, whether its chords are plain.
    """
    (out_offsets, out_vertices, out_edges, out_hashes, out_parents, chord_ends, chord_weights, chord_places, new_edges,
     new_units) = out
    units, local_of, n_turns, chord_p, chord_q, chords, values = lines
    border_vertex, border_edge, ends, t, chord_at = border
    crossings, met_at, faces, is_done, todo_hash = tracing
    loop_v, loop_e, signs = short_loop
    n_words = positive.shape[1]
    n_cells, n_loop, n_inner, n_new_edges = counts[CELLS], counts[ENTRIES], counts[INNER], counts[CHORD_EDGES]
    active, crossing = bits[0], bits[1]
    active_hash = hashes[0]
    cell, why, m, n_border, is_simple = np.int64(begin), DONE, np.int64(0), np.int64(0), True
    while cell < end:
        if halt[0]:
            break
        lo, hi = cell_offsets[cell], cell_offsets[cell + 1]
        m = np.int64(0)
        for w in range(n_words):
            plus, minus = np.uint64(0), np.uint64(0)
            for k in range(lo, hi):
                plus |= positive[cell_vertices[k], w]
                minus |= negative[cell_vertices[k], w]
            both = plus & minus
            crossing[w] = both
            if both != 0:
                m += popcount(both)
            now = plus & ~both
            changed = now ^ active[w]
            active[w] = now
            while changed != 0:
                active_hash ^= unit_key(layer, w * 64 + lowest_bit(changed))
                changed &= changed - _ONE
        base_hash = cell_hashes[cell] ^ active_hash

        size = 2 * (hi - lo) + 2
        if (n_loop + size > len(out_vertices) or n_cells + 2 > len(out_hashes) or n_new_edges + 1 > len(new_units)
                or size > len(loop_v)):
            wanted[CELLS], wanted[ENTRIES], wanted[INNER], wanted[CHORD_EDGES] = n_cells + 2, n_loop + size, 0, n_new_edges + 1
            wanted[BORDER], wanted[MET], wanted[PIECES] = size, 0, 0
            why = NO_ROOM
            break

        if m == 0:
            for k in range(lo, hi):
                e = cell_edges[k]
                out_vertices[n_loop] = cell_vertices[k]
                out_edges[n_loop] = e + vertex_offsets[e]
                n_loop += 1
            out_hashes[n_cells] = base_hash
            out_parents[n_cells] = cell
            n_cells += 1
            out_offsets[n_cells] = n_loop
            cell += 1
            continue

        if m == 1:
            # One line across a cell, which is what most are: two loops, without the table and the stack.
            unit = np.int64(0)
            for w in range(n_words):
                if crossing[w] != 0:
                    unit = w * 64 + lowest_bit(crossing[w])
            n, cut1, cut2 = halves(
                lo, hi, cell_vertices, cell_edges, edges, vertex_offsets, first_edge_vertex, positive, negative, unit,
                loop_v, loop_e, signs)
            if cut1 >= 0:
                new_edges[n_new_edges, 0], new_edges[n_new_edges, 1] = loop_v[cut2], loop_v[cut1]
                new_units[n_new_edges] = unit
                for side in range(2):
                    k, stop = (cut1, cut2) if side == 0 else (cut2, cut1)
                    while k != stop:
                        out_vertices[n_loop], out_edges[n_loop] = loop_v[k], loop_e[k]
                        n_loop += 1
                        k = k + 1 if k + 1 < n else np.int64(0)
                    out_vertices[n_loop], out_edges[n_loop] = loop_v[stop], first_chord_edge + n_new_edges
                    n_loop += 1
                    out_hashes[n_cells] = base_hash if side == 0 else base_hash ^ unit_key(layer, unit)
                    out_parents[n_cells] = cell
                    n_cells += 1
                    out_offsets[n_cells] = n_loop
                n_new_edges += 1
                cell += 1
                continue

        if n_cells + m > most_cells:
            halt[0] = 1
            break
        n_border = hi - lo
        for k in range(lo, hi):
            e = cell_edges[k]
            n_border += vertex_offsets[e + 1] - vertex_offsets[e]
        if n_border > len(border_vertex):
            wanted[:] = 0
            wanted[BORDER] = n_border
            why = NO_ROOM
            break

        # The units that cross this cell, in ascending order.
        l = np.int64(0)
        for w in range(n_words):
            word = crossing[w]
            while word != 0:
                j = w * 64 + lowest_bit(word)
                word &= word - _ONE
                units[l] = j
                local_of[j] = l
                n_turns[l] = 0
                l += 1
        # The border with all its crossings. Each unit's chord goes from where it turns from + to -, to where it turns back.
        is_simple = True
        n_border = np.int64(0)
        for k in range(lo, hi):
            v, e = np.int64(cell_vertices[k]), np.int64(cell_edges[k])
            for w in range(n_words):
                is_simple &= crossing[w] & ~(positive[v, w] | negative[v, w]) == 0
            forward = edges[e, 0] == v
            start, stop = vertex_offsets[e], vertex_offsets[e + 1]
            count = stop - start
            border_vertex[n_border] = v
            border_edge[n_border] = e + start if forward else e + stop
            ends[n_border, 0] = v
            ends[n_border, 1] = v
            t[n_border] = 0.0
            n_border += 1
            for i in range(count):
                place = start + i if forward else stop - 1 - i
                border_vertex[n_border + i] = first_edge_vertex + place
                border_edge[n_border + i] = e + place + 1 if forward else e + place
                ends[n_border + i, 0] = edges[e, 0]
                ends[n_border + i, 1] = edges[e, 1]
                t[n_border + i] = vertex_t[place]
            for x in range(crossing_offsets[e], crossing_offsets[e + 1]):
                unit = np.int64(crossing_units[x])
                l = np.int64(local_of[unit])
                place = crossing_places[x] if forward else count - 1 - crossing_places[x]
                n_turns[l] += 1
                if sign_at(positive, negative, v, unit) > 0:
                    chord_p[l] = n_border + place
                else:
                    chord_q[l] = n_border + place
            n_border += count
        for l in range(m):
            is_simple &= n_turns[l] == 2
        if m < least_traced or not is_simple:
            hashes[1] = base_hash
            why = UNCERTAIN
            break

        # More than the budget is left to splitting: where lines meet in one point, cells are fewer.
        n_met = count_crossings(n_border, chord_p, chord_q, m, chord_at, chords, most_cells - n_cells - m - 1, halt)
        n_pieces = m + 2 * n_met
        if n_met >= 0:
            more = n_met + m + 1
            if (n_met > len(met_at) or 2 * n_pieces > len(is_done) or n_loop + n_border + 2 * n_pieces + 1 > len(out_vertices)
                    or n_cells + more > len(out_hashes) or n_inner + n_met > len(chord_ends)
                    or n_new_edges + n_pieces > len(new_units)):
                wanted[CELLS], wanted[ENTRIES] = n_cells + more, n_loop + n_border + 2 * n_pieces + 1
                wanted[INNER], wanted[CHORD_EDGES] = n_inner + n_met, n_new_edges + n_pieces
                wanted[BORDER], wanted[MET], wanted[PIECES] = 0, n_met, n_pieces
                why = NO_ROOM
                break
            if not order_crossings(
                chord_p, chord_q, m, units, rows, tolerance, ends, t, chords, values, crossings, met_at, halt,
            ) or not trace_faces(
                n_border, border_vertex, border_edge, chord_p, chord_q, m, chord_at, units, layer, base_hash, chords, crossings,
                faces, is_done, todo_hash, first_chord_vertex + n_inner, first_chord_edge + n_new_edges, cell, n_cells, n_loop,
                out_offsets, out_vertices, out_edges, out_hashes, out_parents, halt,
            ):
                n_met = np.int64(-1)
        if n_met < 0:
            hashes[1] = base_hash
            why = UNCERTAIN
            break
        place_crossings(
            n_met, m, border_vertex, chord_p, chord_q, ends, t, units, chords, crossings, met_at,
            first_chord_vertex + n_inner, n_inner, n_new_edges, chord_ends, chord_weights, chord_places, new_edges,
            new_units)
        n_new_edges += n_pieces
        n_inner += n_met
        n_cells += n_met + m + 1
        n_loop += n_border + 2 * n_pieces
        cell += 1
    hashes[0] = active_hash
    counts[CELLS], counts[ENTRIES], counts[INNER], counts[CHORD_EDGES] = n_cells, n_loop, n_inner, n_new_edges
    return cell, why, m, n_border, is_simple
