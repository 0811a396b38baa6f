"""One cell split unit by unit, with an explicit stack; each piece passes on only the units that still cross it.

The sign of any third unit at a vertex is a function of that vertex alone, so both sides of every chord see the same sign and
no two decisions contradict.
"""

from __future__ import annotations

import numpy as np

from ._border_kernels import fill_table, inner_sign, turning_places
from ._cutting_kernels import CELLS, CHORD_EDGES, ENTRIES, INNER
from ._growing_kernels import grown, with_room
from ._sign_kernels import sort_crossings, unit_key
from .loops import loop


@loop
def split_one(
    cell, m, n_border, is_simple, base_hash, layer, cell_offsets, cell_vertices, cell_edges, edges, positive, negative, rows,
    tolerance, crossing_offsets, crossing_units, crossing_places, vertex_offsets, first_chord_vertex, first_chord_edge,
    most_cells, most_entries, halt, out, counts, wanted, lines, border,
):
    """The pieces of one cell that `m` lines cross, of which `cut_cells` left the border in `lines` and `border`.

    Returns the output with them, and how many splits had signs that are not those of a line through a convex cell.
    """
    units, local_of, _, chord_p, chord_q = lines[:5]
    border_vertex, border_edge, ends, t = border[:4]
    lo, hi = cell_offsets[cell], cell_offsets[cell + 1]
    n_cells, n_loop, n_inner, n_new_edges = counts[CELLS], counts[ENTRIES], counts[INNER], counts[CHORD_EDGES]
    n_irregular = np.int64(0)
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

    # The sign of every unit at every place of the border; where a corner is zero, chords are found from these.
    if n_border * m > most_entries:
        halt[0] = 1
        return out, n_irregular
    table = np.empty(n_border * m, np.int8)
    fill_table(
        lo, hi, cell_vertices, cell_edges, edges, positive, negative, vertex_offsets, crossing_offsets, crossing_units,
        crossing_places, local_of, units, m, n_border, table)
    if not is_simple:
        for l in range(m):
            chord_p[l], chord_q[l], turns = turning_places(table, l * n_border, n_border)
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
        row = l * n_border
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
                row = other_l * n_border
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
        return out, n_irregular
    # Inner vertices get their numbers, in order along each chord, chord by chord.
    wanted[:] = 0
    wanted[CELLS], wanted[INNER], wanted[CHORD_EDGES] = n_cells + n_leaves, n_inner + n_iv, n_new_edges + n_ce
    out = with_room(out, wanted)
    (out_offsets, out_vertices, out_edges, out_hashes, out_parents, chord_ends, chord_weights, chord_places, new_edges,
     new_units) = out
    number = np.empty(n_border + n_iv, np.int32)
    number[:n_border] = border_vertex[:n_border]
    ranks, ranked_s, begins = np.empty(n_iv, np.int32), np.empty(n_iv), np.zeros(m + 1, np.int64)
    for r in range(n_iv):
        begins[iv_chord[r] + 1] += 1
    for i in range(m):
        begins[i + 1] += begins[i]
    for r in range(n_iv):
        i = iv_chord[r]
        ranks[begins[i]], ranked_s[begins[i]] = r, iv_s[r]
        begins[i] += 1  # in the end where the next chord's begin
    for i in range(m):
        sort_crossings(ranked_s, ranks, begins[i - 1] if i > 0 else np.int64(0), begins[i])
    for k in range(n_iv):
        r = np.int64(ranks[k])
        number[n_border + r] = first_chord_vertex + n_inner + k
        p, q = chord_p[iv_chord[r]], chord_q[iv_chord[r]]
        chord_places[n_inner + k, 0] = border_vertex[p]
        chord_places[n_inner + k, 1] = border_vertex[q]
        chord_ends[n_inner + k, 0] = ends[p, 0]
        chord_ends[n_inner + k, 1] = ends[p, 1]
        chord_ends[n_inner + k, 2] = ends[q, 0]
        chord_ends[n_inner + k, 3] = ends[q, 1]
        chord_weights[n_inner + k, 0] = t[p]
        chord_weights[n_inner + k, 1] = t[q]
        chord_weights[n_inner + k, 2] = iv_s[r]
    if n_ce > len(ce_global):
        ce_global = grown(ce_global, n_ce)
    for c in range(n_ce):
        if ce[c, 3] >= 0:
            continue
        for end_of in range(2):
            new_edges[n_new_edges, end_of] = number[ce[c, end_of]]
        new_units[n_new_edges] = units[ce[c, 2]]
        ce_global[c] = first_chord_edge + n_new_edges
        n_new_edges += 1
    read = np.int64(0)
    for leaf in range(n_leaves):
        n = np.int64(leaves[read])
        read += 1
        reserve = n_loop + n_border + n_iv + 4
        if reserve > len(out_vertices):
            out_vertices, out_edges = grown(out_vertices, reserve), grown(out_edges, reserve)
        for k in range(n):
            v, e = np.int64(leaves[read + k]), np.int64(leaves[read + n + k])
            if e < n_border or ce[e - n_border, 3] < 0:
                out_vertices[n_loop] = number[v]
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
                out_vertices[n_loop] = number[v]
                out_edges[n_loop] = ce_global[c]
                n_loop += 1
                v = np.int64(ce[c, 1]) if ce[c, 0] == v else np.int64(ce[c, 0])
        read += 2 * n
        out_hashes[n_cells] = leaf_hash[leaf]
        out_parents[n_cells] = cell
        n_cells += 1
        out_offsets[n_cells] = n_loop
    counts[CELLS], counts[ENTRIES], counts[INNER], counts[CHORD_EDGES] = n_cells, n_loop, n_inner + n_iv, n_new_edges
    out = (
        out_offsets, out_vertices, out_edges, out_hashes, out_parents, chord_ends, chord_weights, chord_places, new_edges,
        new_units)
    return out, n_irregular
