"""One cell that many lines cross, cut by following its faces along chords.

Two chords from border to border cross where their ends alternate on the border. With the crossings in order along each chord,
every face is a walk that turns left at each vertex: work in proportion to the faces, where splitting unit by unit takes every
piece again for each unit that still crosses it. The order on a chord must be beyond doubt; else the cell is left to splitting.
"""

from __future__ import annotations

import numpy as np

from ._sign_kernels import sort_crossings, unit_key
from .loops import inlined, loop

_ONE = np.int64(1)

CERTAIN = 3.0
"""A value this many tolerances from zero is so for splitting too, which finds it by another way: each errs by one at most."""

MOST_CROSSINGS = np.int64(1 << 28)
"""So many have numbers for all sides of their pieces in 32 bits, with those of a million chords."""

FACES_A_LOOK = 1024
"""Faces that are followed between two looks whether to go on."""


@loop
def chord_scratch(n):
    """Room for what is noted of `n` chords while a cell is traced; it is used again."""
    return (
        np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n + 1, np.int32), np.empty(n, np.int32), np.empty(n, np.int32),
        np.empty(n, np.int32))


@loop
def value_scratch(n):
    """Room for values of `n` chords."""
    return np.empty(n), np.empty(n), np.empty(n)


@loop
def crossing_scratch(n):
    """Room for what is noted of `n` crossings, some of it twice."""
    return (
        np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int32), np.empty(2 * n, np.int32),
        np.empty(2 * n, np.int32), np.empty(2 * n, np.int32))


@loop
def face_scratch(n):
    """Room for what is still to be followed of `n` pieces of chords."""
    return np.empty(2 * n, np.int32), np.empty(2 * n, np.int32)


@inlined
def alternate(low, high, first, last):
    """Whether one of the places `low` and `high` of the border is between `first` and `last` and the other is not."""
    return ((low > first) & (low < last)) != ((high > first) & (high < last))


@inlined
def is_minus_at(place, p, q):
    """Whether a place of the border is on the side of a chord from p to q where its unit is negative: between them."""
    if p < q:
        return (place > p) & (place < q)
    return (place > p) | (place < q)


@inlined
def count_crossings(n_border, chord_p, chord_q, m, chord_at, chords, most, halt):
    """How many crossings there are; -1 if two chords share an end, there are more than `most`, or `halt` is set meanwhile.

    Chord l goes from place `chord_p[l]` of the border to `chord_q[l]`; `chord_at` (n_border,) becomes the chord that ends at
    each place, or -1. `chords` are `chord_scratch`.
    """
    low, high, offsets, befores = chords[:4]
    chord_at[:n_border] = -1
    for l in range(m):
        p, q = chord_p[l], chord_q[l]
        if p == q or chord_at[p] >= 0 or chord_at[q] >= 0:
            return np.int64(-1)
        chord_at[p] = chord_at[q] = l
        low[l], high[l] = min(p, q), max(p, q)
    offsets[0] = 0
    total, most_records = np.int64(0), 2 * min(np.int64(most), MOST_CROSSINGS)
    for i in range(m):
        if halt[0]:
            return np.int64(-1)
        first, last = low[i], high[i]
        before, after = np.int32(0), np.int32(0)
        for l in range(i):
            before += alternate(low[l], high[l], first, last)
        for l in range(i + 1, m):
            after += alternate(low[l], high[l], first, last)
        befores[i] = before
        total += before + after
        if total > most_records:
            return np.int64(-1)
        offsets[i + 1] = total
    return total // 2


@inlined
def order_crossings(chord_p, chord_q, m, units, rows, tolerance, ends, t, chords, values, crossings, s, halt):
    """Crossings in order along each chord: those of chord l are records `offsets[l]` to `offsets[l + 1]`.

    A record says which chord is met there (twice its number, and 1 if its unit goes from + to -), where that chord's own record
    of the crossing is, and the crossing's number. Crossing r lies on chord `on_chord[r]`, the first of its two, at `s[r]`.

    Returns whether the order is certain.
    """
    low, high, offsets, befores, met, order = chords
    here, there, where = values
    on_chord, known, record_of, others, twins, numbers = crossings
    # `known`: of each chord the numbers of its crossings with those before it, in their order, up to `befores`.
    at = np.int32(0)
    for l in range(m):
        befores[l], at = at, at + befores[l]
    n = np.int64(0)
    for i in range(m):
        if halt[0]:
            return False
        p, q = np.int64(chord_p[i]), np.int64(chord_q[i])
        a, b, c, d, tp, tq = ends[p, 0], ends[p, 1], ends[q, 0], ends[q, 1], t[p], t[q]
        first, last = low[i], high[i]
        count = np.int64(0)
        for l in range(i):
            met[count] = l
            count += alternate(low[l], high[l], first, last)
        known_from = befores[i] - count  # all those before this chord have added theirs
        for l in range(i + 1, m):
            met[count] = l
            count += alternate(low[l], high[l], first, last)
        for x in range(count):
            unit = units[met[x]]
            z_p = rows[a, unit] + tp * (rows[b, unit] - rows[a, unit])
            z_q = rows[c, unit] + tq * (rows[d, unit] - rows[c, unit])
            here[x], there[x] = z_p, z_q
            where[x], order[x] = min(max(z_p / (z_p - z_q), 0.0), 1.0) if z_p != z_q else 0.5, x
        sort_crossings(where, order, 0, count)
        for k in range(count):
            x = order[k]
            l = met[x]
            if k > 0:
                y = order[k - 1]
                z_y = here[y] + where[k] * (there[y] - here[y])
                z_x = here[x] + where[k - 1] * (there[x] - here[x])
                if not (abs(z_y) > CERTAIN * tolerance[units[met[y]]] and abs(z_x) > CERTAIN * tolerance[units[l]]):
                    return False
            record = offsets[i] + k
            others[record] = 2 * l + (not is_minus_at(p, chord_p[l], chord_q[l]))
            if l < i:
                r = np.int64(known[known_from + x])
                twins[record] = record_of[r]
                twins[record_of[r]] = record
            else:
                r = n
                n += 1
                record_of[r] = record
                on_chord[r], s[r] = i, where[k]
                known[befores[l]] = r
                befores[l] += 1
            numbers[record] = r
    return True


@inlined
def trace_faces(
    n_border, border_vertex, border_edge, chord_p, chord_q, m, chord_at, units, layer, base_hash, chords, crossings, todo,
    is_done, todo_hash, first_vertex, first_edge, cell, n_cells, n_loop,
    out_offsets, out_vertices, out_edges, out_hashes, out_parents, halt,
):
    """The faces as cells, written from cell `n_cells` and loop entry `n_loop` on; returns whether all are there.

    There are fewer where the orders contradict one another, and where it was stopped.

    Inner vertex r has the number `first_vertex + r`; piece k of chord l has `first_edge + offsets[l] + l + k`. `base_hash` is
    that of a face on which all units are negative.
    """
    offsets = chords[2]
    first_cell = n_cells
    others, twins, numbers = crossings[3:]
    # Where to begin a face: a piece, twice its number and 1 if against the chord's direction; its chord; the face's hash.
    todo_half, todo_chord = todo
    is_done[: 2 * (offsets[m] + m)] = False
    start_hash = base_hash ^ unit_key(layer, units[0])
    for l in range(1, m):
        if not is_minus_at(chord_p[0], chord_p[l], chord_q[l]):
            start_hash ^= unit_key(layer, units[l])
    todo_half[0], todo_chord[0], todo_hash[0] = 0, 0, start_hash
    n_todo = 1
    until_look = FACES_A_LOOK
    while n_todo > 0:
        n_todo -= 1
        start = np.int64(todo_half[n_todo])
        if is_done[start]:
            continue
        until_look -= 1
        if until_look == 0:
            if halt[0]:
                return False
            until_look = FACES_A_LOOK
        half, l = start, np.int64(todo_chord[n_todo])
        found = todo_hash[n_todo]
        first = n_loop
        while True:
            is_done[half] = True
            piece, is_back = half >> _ONE, half & _ONE
            twin = half ^ _ONE
            if not is_done[twin]:
                todo_half[n_todo], todo_chord[n_todo] = twin, l
                todo_hash[n_todo] = found ^ unit_key(layer, units[l])
                n_todo += 1
            out_edges[n_loop] = first_edge + piece
            n_loop += 1
            record = piece - l - is_back  # of the crossing where the piece ends
            if offsets[l] <= record < offsets[l + 1]:
                out_vertices[n_loop] = first_vertex + numbers[record]
                other = np.int64(others[record])
                l = other >> _ONE
                is_turned = other & _ONE == is_back
                half = (twins[record] + l + (not is_turned)) << _ONE | is_turned
            else:
                place = np.int64(chord_p[l] if is_back else chord_q[l])
                while True:
                    out_vertices[n_loop] = border_vertex[place]
                    out_edges[n_loop] = border_edge[place]
                    n_loop += 1
                    place = place + 1 if place + 1 < n_border else np.int64(0)
                    if chord_at[place] >= 0:
                        break
                out_vertices[n_loop] = border_vertex[place]
                l = np.int64(chord_at[place])
                is_end = chord_q[l] == place
                half = (offsets[l + is_end] + l) << _ONE | is_end
            if half == start:
                break
        # The last vertex that was written is where the first edge begins.
        out_vertices[first] = out_vertices[n_loop]
        out_hashes[n_cells] = found
        out_parents[n_cells] = cell
        n_cells += 1
        out_offsets[n_cells] = n_loop
    return n_cells - first_cell == offsets[m] // 2 + m + 1


@inlined
def place_crossings(
    n_met, m, border_vertex, chord_p, chord_q, ends, t, units, chords, crossings, s, first_vertex, n_inner, n_edges,
    chord_ends, chord_weights, chord_places, new_edges, new_units,
):
    """Where the inner vertices lie, from entry `n_inner` on, and the pieces of chords as edges, from `n_edges` on.

    Crossing r is entry `n_inner + r` and has the number `first_vertex + r`.
    """
    offsets, on_chord, numbers = chords[2], crossings[0], crossings[5]
    for r in range(n_met):
        p, q, k = chord_p[on_chord[r]], chord_q[on_chord[r]], n_inner + r
        chord_places[k, 0], chord_places[k, 1] = border_vertex[p], border_vertex[q]
        chord_ends[k, 0], chord_ends[k, 1], chord_ends[k, 2], chord_ends[k, 3] = ends[p, 0], ends[p, 1], ends[q, 0], ends[q, 1]
        chord_weights[k, 0], chord_weights[k, 1], chord_weights[k, 2] = t[p], t[q], s[r]
    for l in range(m):
        head = np.int64(border_vertex[chord_p[l]])
        for record in range(offsets[l], offsets[l + 1] + 1):
            is_last = record == offsets[l + 1]
            tail = np.int64(border_vertex[chord_q[l]]) if is_last else first_vertex + numbers[record]
            new_edges[n_edges, 0], new_edges[n_edges, 1], new_units[n_edges] = tail, head, units[l]
            n_edges += 1
            head = tail
