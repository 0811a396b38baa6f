"""The compiled heart: every cell split by the units that cross it.

A cell's border is cut at its crossings before (`_sign_kernels.edge_crossings`), so cells are independent of one another and
of the order in which threads take them. Inside one cell every crossing unit is a straight chord from border to border. A
vertex inside the cell is where two chords meet: on chord (p, q) of one unit at s, where the other is zero.

Where the order of these along each chord is certain, faces are followed (`_tracing_kernels`). Else the cell is split unit by
unit with an explicit stack; each piece passes on only the units that still cross it. The sign of any third unit at a vertex
is a function of that vertex alone, so both sides of every chord see the same sign and no two decisions contradict.
"""

from __future__ import annotations

import numpy as np

from ._border_kernels import fill_table, halves, inner_sign, turning_places
from ._sign_kernels import lowest_bit, popcount, sign_at, unit_key
from ._tracing_kernels import (
    chord_scratch,
    count_crossings,
    crossing_scratch,
    face_scratch,
    order_crossings,
    place_crossings,
    trace_faces,
    value_scratch,
)
from .loops import loop

_ONE = np.uint64(1)


@loop
def grown(array, size):
    """The array with room for at least `size` entries (rows), its content kept."""
    if size <= len(array):
        return array
    shape = (max(size, 2 * len(array)),) + array.shape[1:]
    larger = np.empty(shape, array.dtype)
    larger[: len(array)] = array
    return larger


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
    n_old = end - begin
    out_offsets = np.zeros(n_old + 2, np.int64)
    out_vertices = np.empty(cell_offsets[end] - cell_offsets[begin] + 16, np.int32)
    out_edges = np.empty(len(out_vertices), np.int32)
    out_hashes = np.empty(n_old + 1, np.uint64)
    out_parents = np.empty(n_old + 1, np.int32)
    n_cells, n_loop = np.int64(0), np.int64(0)
    chord_ends = np.empty((64, 4), np.int32)
    chord_weights = np.empty((64, 3), np.float64)
    chord_places = np.empty((64, 2), np.int32)
    n_inner = np.int64(0)
    new_edges = np.empty((64, 2), np.int32)
    new_units = np.empty(64, np.int32)
    n_new_edges = np.int64(0)
    n_irregular = np.int64(0)

    # Activation hash of the cell before, and its bits: neighbours in memory differ in few units.
    active = np.zeros(n_words, np.uint64)
    active_hash = np.uint64(0)
    crossing = np.empty(n_words, np.uint64)
    local_of = np.full(positive.shape[1] * 64, -1, np.int32)

    # Scratch of one cell; all of it grows and is used again.
    units = np.empty(64, np.int32)
    border_vertex = np.empty(64, np.int32)
    border_edge = np.empty(64, np.int32)
    ends = np.empty((64, 2), np.int32)
    t = np.empty(64, np.float64)
    table = np.empty(1024, np.int8)
    chord_p = np.empty(64, np.int32)
    chord_q = np.empty(64, np.int32)
    n_turns = np.empty(64, np.int32)
    chord_at = np.empty(64, np.int32)
    chords, values = chord_scratch(64), value_scratch(64)
    crossings, met_at = crossing_scratch(64), np.empty(64)
    faces, todo_hash, is_done = face_scratch(256), np.empty(512, np.uint64), np.empty(512, np.bool_)
    iv_chord = np.empty(64, np.int32)
    iv_other = np.empty(64, np.int32)
    iv_s = np.empty(64, np.float64)
    ce = np.empty((64, 5), np.int32)  # inner edges: tail, head, unit, first half or -1, second half
    ce_global = np.empty(64, np.int32)
    stack = np.empty(1024, np.int32)
    stack_hash = np.empty(64, np.uint64)
    leaves = np.empty(1024, np.int32)
    leaf_hash = np.empty(64, np.uint64)
    loop_v = np.empty(64, np.int32)
    loop_e = np.empty(64, np.int32)
    signs = np.empty(64, np.int8)
    todo = np.empty(64, np.int32)
    frame_units = np.empty(64, np.int32)

    for cell in range(begin, end):
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

        if m == 0:
            size = hi - lo
            if n_loop + size > len(out_vertices):
                out_vertices = grown(out_vertices, n_loop + size)
            if n_loop + size > len(out_edges):
                out_edges = grown(out_edges, n_loop + size)
            if n_cells + 2 > len(out_offsets):
                out_offsets = grown(out_offsets, n_cells + 2)
            if n_cells + 1 > len(out_hashes):
                out_hashes = grown(out_hashes, n_cells + 1)
            if n_cells + 1 > len(out_parents):
                out_parents = grown(out_parents, n_cells + 1)
            for k in range(lo, hi):
                e = cell_edges[k]
                out_vertices[n_loop] = cell_vertices[k]
                out_edges[n_loop] = e + vertex_offsets[e]
                n_loop += 1
            out_hashes[n_cells] = base_hash
            out_parents[n_cells] = cell
            n_cells += 1
            out_offsets[n_cells] = n_loop
            continue

        # The units that cross this cell, in ascending order.
        if m > len(units):
            units = grown(units, m)
        m = np.int64(0)
        for w in range(n_words):
            word = crossing[w]
            while word != 0:
                j = w * 64 + lowest_bit(word)
                word &= word - _ONE
                units[m] = j
                local_of[j] = m
                m += 1

        if m == 1:
            # One line across a cell, which is what most are: two loops, without the table and the stack.
            unit = np.int64(units[0])
            size = 2 * (hi - lo)
            if size > len(loop_v):
                loop_v, loop_e = grown(loop_v, size), grown(loop_e, size)
                signs, todo = grown(signs, size), grown(todo, size)
            n, cut1, cut2 = halves(
                lo, hi, cell_vertices, cell_edges, edges, vertex_offsets, first_edge_vertex, positive, negative, unit,
                loop_v, loop_e, signs)
            if cut1 >= 0:
                if n_loop + n + 2 > len(out_vertices):
                    out_vertices, out_edges = grown(out_vertices, n_loop + n + 2), grown(out_edges, n_loop + n + 2)
                if n_cells + 3 > len(out_offsets):
                    out_offsets = grown(out_offsets, n_cells + 3)
                if n_cells + 2 > len(out_hashes):
                    out_hashes, out_parents = grown(out_hashes, n_cells + 2), grown(out_parents, n_cells + 2)
                if n_new_edges + 1 > len(new_edges):
                    new_edges, new_units = grown(new_edges, n_new_edges + 1), grown(new_units, n_new_edges + 1)
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
                continue

        # The border with all its crossings. Each unit's chord goes from where it turns from + to -, to where it turns back.
        size = hi - lo
        for k in range(lo, hi):
            e = cell_edges[k]
            size += vertex_offsets[e + 1] - vertex_offsets[e]
        if n_cells + m > most_cells:
            halt[0] = 1
            break
        if size > len(border_vertex):
            border_vertex, border_edge = grown(border_vertex, size), grown(border_edge, size)
            ends, t, chord_at = grown(ends, size), grown(t, size), grown(chord_at, size)
        if m > len(chord_p):
            chord_p, chord_q, n_turns = grown(chord_p, m), grown(chord_q, m), grown(n_turns, m)
        n_turns[:m] = 0
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
                l = local_of[unit]
                place = crossing_places[x] if forward else count - 1 - crossing_places[x]
                n_turns[l] += 1
                if sign_at(positive, negative, v, unit) > 0:
                    chord_p[l] = n_border + place
                else:
                    chord_q[l] = n_border + place
            n_border += count
        for l in range(m):
            is_simple &= n_turns[l] == 2

        n_met = np.int64(-1)
        if m >= least_traced and is_simple:
            if m > len(chords[0]):
                chords, values = chord_scratch(2 * m), value_scratch(2 * m)
            # More than the budget is left to splitting: where lines meet in one point, cells are fewer.
            n_met = count_crossings(n_border, chord_p, chord_q, m, chord_at, chords, most_cells - n_cells - m - 1, halt)
        if n_met >= 0:
            if n_met > len(met_at):
                crossings, met_at = crossing_scratch(2 * n_met), np.empty(2 * n_met)
            if not order_crossings(
                chord_p, chord_q, m, units, rows, tolerance, ends, t, chords, values, crossings, met_at, halt,
            ):
                n_met = np.int64(-1)
        if n_met >= 0:
            n_pieces = m + 2 * n_met
            size = n_loop + n_border + 2 * n_pieces + 1
            if size > len(out_vertices):
                out_vertices, out_edges = grown(out_vertices, size), grown(out_edges, size)
            last = n_cells + n_met + m + 1
            if last + 1 > len(out_offsets):
                out_offsets = grown(out_offsets, last + 1)
            if last > len(out_hashes):
                out_hashes, out_parents = grown(out_hashes, last), grown(out_parents, last)
            if 2 * n_pieces > len(is_done):
                faces, todo_hash = face_scratch(2 * n_pieces), np.empty(4 * n_pieces, np.uint64)
                is_done = np.empty(4 * n_pieces, np.bool_)
            if not trace_faces(
                n_border, border_vertex, border_edge, chord_p, chord_q, m, chord_at, units, layer, base_hash, chords, crossings,
                faces, is_done, todo_hash, first_chord_vertex + n_inner, first_chord_edge + n_new_edges, cell, n_cells, n_loop,
                out_offsets, out_vertices, out_edges, out_hashes, out_parents, halt,
            ):
                n_met = np.int64(-1)
        if n_met >= 0:
            if n_inner + n_met > len(chord_ends):
                chord_ends, chord_weights = grown(chord_ends, n_inner + n_met), grown(chord_weights, n_inner + n_met)
                chord_places = grown(chord_places, n_inner + n_met)
            if n_new_edges + n_pieces > len(new_edges):
                new_edges, new_units = grown(new_edges, n_new_edges + n_pieces), grown(new_units, n_new_edges + n_pieces)
            place_crossings(
                n_met, m, border_vertex, chord_p, chord_q, ends, t, units, chords, crossings, met_at,
                first_chord_vertex + n_inner, n_inner, n_new_edges, chord_ends, chord_weights, chord_places, new_edges,
                new_units)
            n_new_edges += n_pieces
            n_inner += n_met
            n_cells += n_met + m + 1
            n_loop += n_border + 2 * n_pieces
            continue

        # The sign of every unit at every place of the border; where a corner is zero, chords are found from these.
        if size * m > most_entries:
            halt[0] = 1
            break
        if size * m > len(table):
            table = grown(table, size * m)
        fill_table(
            lo, hi, cell_vertices, cell_edges, edges, positive, negative, vertex_offsets, crossing_offsets, crossing_units,
            crossing_places, local_of, units, m, size, table)
        if not is_simple:
            for l in range(m):
                chord_p[l], chord_q[l], turns = turning_places(table, l * size, n_border)
                n_irregular += turns != 2

        n_iv, n_ce = np.int64(0), np.int64(0)
        n_leaves, leaf_top = np.int64(0), np.int64(0)
        # A frame of the stack: its length, number of vertices, number of units, vertices, edges, units.
        if 3 + 2 * n_border + m > len(stack):
            stack = grown(stack, 3 + 2 * n_border + m)
        stack[0] = 3 + 2 * n_border + m
        stack[1] = n_border
        stack[2] = m
        for k in range(n_border):
            stack[3 + k] = k
            stack[3 + n_border + k] = k
        for l in range(m):
            stack[3 + 2 * n_border + l] = l
        top = np.int64(stack[0])
        if top + 1 > len(stack):
            stack = grown(stack, top + 1)
        stack[top] = stack[0]  # frames are read from the end
        top += 1
        n_frames = 1
        stack_hash[0] = base_hash

        while n_frames > 0:
            if halt[0] != 0 or n_cells + n_leaves + n_frames > most_cells:
                halt[0] = 1
                break
            length = np.int64(stack[top - 1])
            base = top - 1 - length
            nv, nu = np.int64(stack[base + 1]), np.int64(stack[base + 2])
            n_frames -= 1
            frame_hash = stack_hash[n_frames]
            top = base

            # A loop has every vertex at most once, and an edge fewer halves than that.
            reserve = n_border + n_iv + 4
            if reserve > len(loop_v):
                loop_v, loop_e = grown(loop_v, reserve), grown(loop_e, reserve)
                signs, todo = grown(signs, reserve), grown(todo, reserve)
            # The loop with the cuts that neighbours made since; signs of the first unit along it.
            n = np.int64(0)
            for k in range(nv):
                v, e = stack[base + 3 + k], stack[base + 3 + nv + k]
                loop_v[n] = v
                if e < n_border or ce[e - n_border, 3] < 0:
                    loop_e[n] = e
                    n += 1
                    continue
                todo[0] = e
                depth = np.int64(1)
                while depth > 0:
                    depth -= 1
                    e = todo[depth]
                    c = e - n_border
                    if ce[c, 3] < 0:
                        loop_v[n] = v
                        loop_e[n] = e
                        n += 1
                        v = ce[c, 1] if ce[c, 0] == v else ce[c, 0]
                    else:
                        if ce[c, 0] == v:
                            todo[depth], todo[depth + 1] = ce[c, 4], ce[c, 3]
                        else:
                            todo[depth], todo[depth + 1] = ce[c, 3], ce[c, 4]
                        depth += 2

            # The children go where the frame was: all that is still needed of it is taken out.
            if nu > len(frame_units):
                frame_units = grown(frame_units, nu)
            for x in range(nu):
                frame_units[x] = stack[base + 3 + 2 * nv + x]
            l = np.int64(frame_units[0])
            unit = np.int64(units[l])
            row = l * size
            k = np.int64(-1)
            for at in range(n):
                v = np.int64(loop_v[at])
                if v < n_border:
                    s = np.int64(table[row + v])
                else:
                    r = v - n_border
                    i = iv_chord[r]
                    s = np.int64(0) if l == i or l == iv_other[r] else inner_sign(
                        table, row, unit, chord_p[i], chord_q[i], iv_s[r], rows, tolerance, ends, t)
                signs[at] = s
                if k < 0 and s == 1:
                    k = at
            # Where the unit goes from + to - (cut 1) and back (cut 2): at a vertex, or on the edge that ends at a vertex.
            cut1, cut2 = np.int64(-1), np.int64(-1)
            on_edge1, on_edge2 = False, False
            last, zero = 1, np.int64(-1)
            for _ in range(n):
                k += 1
                if k == n:
                    k = 0
                s = signs[k]
                if s == 0:
                    if zero < 0:
                        zero = k
                elif s == last:
                    zero = -1
                else:
                    if s < 0 and cut1 < 0:
                        cut1 = zero if zero >= 0 else k
                        on_edge1 = zero < 0
                    elif s > 0 and cut2 < 0:
                        cut2 = zero if zero >= 0 else k
                        on_edge2 = zero < 0
                    elif s < 0:
                        n_irregular += 1
                    last, zero = s, -1

            # New vertices on inner edges. A border edge is never cut here: its crossings are on it already.
            made1, made2 = np.int64(-1), np.int64(-1)
            for which in range(2):
                at = cut1 if which == 0 else cut2
                on_edge = on_edge1 if which == 0 else on_edge2
                if not on_edge:
                    continue
                e = loop_e[at - 1 if at > 0 else n - 1]
                if e < n_border:
                    n_irregular += 1
                    continue
                c = e - n_border
                i = np.int64(ce[c, 2])
                if n_iv + 1 > len(iv_chord):
                    iv_chord = grown(iv_chord, n_iv + 1)
                if n_iv + 1 > len(iv_other):
                    iv_other = grown(iv_other, n_iv + 1)
                if n_iv + 1 > len(iv_s):
                    iv_s = grown(iv_s, n_iv + 1)
                p, q = chord_p[i], chord_q[i]
                zp = rows[ends[p, 0], unit] + t[p] * (rows[ends[p, 1], unit] - rows[ends[p, 0], unit])
                zq = rows[ends[q, 0], unit] + t[q] * (rows[ends[q, 1], unit] - rows[ends[q, 0], unit])
                iv_chord[n_iv] = i
                iv_other[n_iv] = l
                iv_s[n_iv] = min(max(zp / (zp - zq), 0.0), 1.0) if zp != zq else 0.5
                r = n_border + n_iv
                n_iv += 1
                if n_ce + 2 > len(ce):
                    ce = grown(ce, n_ce + 2)
                for half in range(2):
                    ce[n_ce, 0] = ce[c, 0] if half == 0 else r
                    ce[n_ce, 1] = r if half == 0 else ce[c, 1]
                    ce[n_ce, 2] = i
                    ce[n_ce, 3] = -1
                    ce[c, 3 + half] = n_border + n_ce
                    n_ce += 1
                if which == 0:
                    made1 = r
                else:
                    made2 = r

            # The new chord piece, from cut 2 to cut 1, and the two loops beside it.
            v1 = made1 if made1 >= 0 else np.int64(loop_v[cut1])
            v2 = made2 if made2 >= 0 else np.int64(loop_v[cut2])
            if n_ce + 1 > len(ce):
                ce = grown(ce, n_ce + 1)
            piece = n_border + n_ce
            ce[n_ce, 0], ce[n_ce, 1], ce[n_ce, 2], ce[n_ce, 3] = v2, v1, l, -1
            n_ce += 1

            write = base
            if write + 2 * (4 + 2 * (n + 2) + nu) > len(stack):
                stack = grown(stack, write + 2 * (4 + 2 * (n + 2) + nu))
            if n_frames + 2 > len(stack_hash):
                stack_hash = grown(stack_hash, n_frames + 2)
            for side in range(2):
                first, stop_at = (cut2, cut1) if side == 0 else (cut1, cut2)
                made_first, made_stop = (made2, made1) if side == 0 else (made1, made2)
                count = np.int64(0)
                # The loop: the first cut, the run of this side's sign, the second cut, back along the chord.
                place = write + 3
                if made_first >= 0:
                    c = loop_e[first - 1 if first > 0 else n - 1] - n_border
                    stack[place] = made_first
                    half = ce[c, 4] if ce[ce[c, 4] - n_border, 1] == loop_v[first] else ce[c, 3]
                    todo[0] = half
                    count = 1
                k = first
                while True:
                    if k == stop_at and made_stop < 0:
                        break
                    stack[place + count] = loop_v[k]
                    following = k + 1 if k + 1 < n else np.int64(0)
                    if following == stop_at and made_stop >= 0:
                        c = loop_e[k] - n_border
                        todo[count] = ce[c, 3] if ce[ce[c, 3] - n_border, 0] == loop_v[k] else ce[c, 4]
                        count += 1
                        break
                    todo[count] = loop_e[k]
                    count += 1
                    k = following
                stack[place + count] = v1 if side == 0 else v2
                todo[count] = piece
                count += 1
                for k in range(count):
                    stack[place + count + k] = todo[k]
                # The units that still cross this side; the others' signs are settled and go into its hash.
                child_hash = frame_hash
                if side == 0:
                    child_hash ^= unit_key(layer, unit)
                kept = np.int64(0)
                for x in range(1, nu):
                    other_l = np.int64(frame_units[x])
                    other_unit = np.int64(units[other_l])
                    row = other_l * size
                    has_plus, has_minus = False, False
                    for k in range(count):
                        v = np.int64(stack[place + k])
                        if v < n_border:
                            s = np.int64(table[row + v])
                        else:
                            r = v - n_border
                            i = iv_chord[r]
                            if other_l == i or other_l == iv_other[r]:
                                continue
                            s = inner_sign(table, row, other_unit, chord_p[i], chord_q[i], iv_s[r], rows, tolerance, ends, t)
                        if s > 0:
                            has_plus = True
                        elif s < 0:
                            has_minus = True
                        if has_plus and has_minus:
                            break
                    if has_plus and has_minus:
                        stack[place + 2 * count + kept] = other_l
                        kept += 1
                    elif has_plus:
                        child_hash ^= unit_key(layer, other_unit)
                if kept == 0:
                    if leaf_top + 1 + 2 * count > len(leaves):
                        leaves = grown(leaves, leaf_top + 1 + 2 * count)
                    leaves[leaf_top] = count
                    for k in range(2 * count):
                        leaves[leaf_top + 1 + k] = stack[place + k]
                    leaf_top += 1 + 2 * count
                    if n_leaves + 1 > len(leaf_hash):
                        leaf_hash = grown(leaf_hash, n_leaves + 1)
                    leaf_hash[n_leaves] = child_hash
                    n_leaves += 1
                    continue
                stack[write] = 3 + 2 * count + kept
                stack[write + 1] = count
                stack[write + 2] = kept
                stack_hash[n_frames] = child_hash
                n_frames += 1
                stack[write + 3 + 2 * count + kept] = stack[write]
                write += 4 + 2 * count + kept
            top = write

        if halt[0]:
            break
        # Inner vertices and edges get their numbers; the leaves become cells.
        if n_inner + n_iv > len(chord_ends):
            chord_ends = grown(chord_ends, n_inner + n_iv)
        if n_inner + n_iv > len(chord_weights):
            chord_weights = grown(chord_weights, n_inner + n_iv)
        if n_inner + n_iv > len(chord_places):
            chord_places = grown(chord_places, n_inner + n_iv)
        for r in range(n_iv):
            p, q = chord_p[iv_chord[r]], chord_q[iv_chord[r]]
            chord_places[n_inner + r, 0] = border_vertex[p]
            chord_places[n_inner + r, 1] = border_vertex[q]
            chord_ends[n_inner + r, 0] = ends[p, 0]
            chord_ends[n_inner + r, 1] = ends[p, 1]
            chord_ends[n_inner + r, 2] = ends[q, 0]
            chord_ends[n_inner + r, 3] = ends[q, 1]
            chord_weights[n_inner + r, 0] = t[p]
            chord_weights[n_inner + r, 1] = t[q]
            chord_weights[n_inner + r, 2] = iv_s[r]
        if n_new_edges + n_ce > len(new_edges):
            new_edges = grown(new_edges, n_new_edges + n_ce)
        if n_new_edges + n_ce > len(new_units):
            new_units = grown(new_units, n_new_edges + n_ce)
        if n_ce > len(ce_global):
            ce_global = grown(ce_global, n_ce)
        for c in range(n_ce):
            if ce[c, 3] >= 0:
                continue
            for end_of in range(2):
                v = np.int64(ce[c, end_of])
                if v < n_border:
                    new_edges[n_new_edges, end_of] = border_vertex[v]
                else:
                    new_edges[n_new_edges, end_of] = first_chord_vertex + n_inner + v - n_border
            new_units[n_new_edges] = units[ce[c, 2]]
            ce_global[c] = first_chord_edge + n_new_edges
            n_new_edges += 1
        read = np.int64(0)
        if n_cells + n_leaves + 2 > len(out_offsets):
            out_offsets = grown(out_offsets, n_cells + n_leaves + 2)
        if n_cells + n_leaves > len(out_hashes):
            out_hashes = grown(out_hashes, n_cells + n_leaves)
        if n_cells + n_leaves > len(out_parents):
            out_parents = grown(out_parents, n_cells + n_leaves)
        for leaf in range(n_leaves):
            n = np.int64(leaves[read])
            read += 1
            reserve = n_border + n_iv + 4
            if n_loop + reserve > len(out_vertices):
                out_vertices = grown(out_vertices, n_loop + reserve)
            if n_loop + reserve > len(out_edges):
                out_edges = grown(out_edges, n_loop + reserve)
            for k in range(n):
                v, e = np.int64(leaves[read + k]), np.int64(leaves[read + n + k])
                if e < n_border or ce[e - n_border, 3] < 0:
                    out_vertices[n_loop] = border_vertex[v] if v < n_border else first_chord_vertex + n_inner + v - n_border
                    out_edges[n_loop] = border_edge[e] if e < n_border else ce_global[e - n_border]
                    n_loop += 1
                    continue
                todo[0] = e
                depth = np.int64(1)
                while depth > 0:
                    depth -= 1
                    e = todo[depth]
                    c = e - n_border
                    if ce[c, 3] >= 0:
                        if ce[c, 0] == v:
                            todo[depth], todo[depth + 1] = ce[c, 4], ce[c, 3]
                        else:
                            todo[depth], todo[depth + 1] = ce[c, 3], ce[c, 4]
                        depth += 2
                        continue
                    out_vertices[n_loop] = border_vertex[v] if v < n_border else first_chord_vertex + n_inner + v - n_border
                    out_edges[n_loop] = ce_global[c]
                    n_loop += 1
                    v = np.int64(ce[c, 1]) if ce[c, 0] == v else np.int64(ce[c, 0])
            read += 2 * n
            out_hashes[n_cells] = leaf_hash[leaf]
            out_parents[n_cells] = cell
            n_cells += 1
            out_offsets[n_cells] = n_loop
        n_inner += n_iv

    return (
        out_offsets[: n_cells + 1].copy(), out_vertices[:n_loop].copy(), out_edges[:n_loop].copy(),
        out_hashes[:n_cells].copy(), out_parents[:n_cells].copy(),
        chord_ends[:n_inner].copy(), chord_weights[:n_inner].copy(), chord_places[:n_inner].copy(),
        new_edges[:n_new_edges].copy(), new_units[:n_new_edges].copy(), n_irregular,
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
