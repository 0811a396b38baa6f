"""The border of one cell: signs along it, and where lines cross it. Compiled loops that `_cell_kernel` goes through."""

from __future__ import annotations

import numpy as np

from ._sign_kernels import sign_at
from .loops import inlined, lean


@lean
def sign_on_chord(rows, tolerance, unit, a, b, s, c, d, t, r):
    """Sign of a unit at `r` between two places: at `s` on edge (a, b) and at `t` on edge (c, d)."""
    p = rows[a, unit] + s * (rows[b, unit] - rows[a, unit])
    q = rows[c, unit] + t * (rows[d, unit] - rows[c, unit])
    z = p + r * (q - p)
    if z > tolerance[unit]:
        return 1
    if z < -tolerance[unit]:
        return -1
    return 0


@inlined
def inner_sign(table, row, unit, a, b, s, rows, tolerance, ends, t):
    """Sign of a unit where the chord from border vertex `a` to `b` is cut at `s`; border signs stand in `table` from `row`.

    Inlined by numba: as a call it made a layer of many units half as slow again.
    """
    sa, sb = np.int64(table[row + a]), np.int64(table[row + b])
    if sa == sb or sb == 0:
        return sa
    if sa == 0:
        return sb
    return np.int64(sign_on_chord(rows, tolerance, unit, ends[a, 0], ends[a, 1], t[a], ends[b, 0], ends[b, 1], t[b], s))


@inlined
def halves(
    lo, hi, cell_vertices, cell_edges, edges, vertex_offsets, first_edge_vertex, positive, negative, unit,
    loop_v, loop_e, signs,
):
    """The border of a cell that one unit crosses, into `loop_v` and `loop_e`, with the unit's signs.

    Returns its length, and where the unit goes from + to - and back; -1 where it does so more than once.
    """
    n = np.int64(0)
    for k in range(lo, hi):
        v, e = np.int64(cell_vertices[k]), np.int64(cell_edges[k])
        start = vertex_offsets[e]
        loop_v[n] = v
        loop_e[n] = e + start
        signs[n] = sign_at(positive, negative, v, unit)
        n += 1
        if vertex_offsets[e + 1] > start:
            loop_v[n] = first_edge_vertex + start
            loop_e[n] = e + start
            if edges[e, 0] == v:
                loop_e[n] += 1
            else:
                loop_e[n - 1] += 1
            signs[n] = 0
            n += 1
    k = np.int64(0)
    while signs[k] != 1:
        k += 1
    cut1, cut2, zero = np.int64(-1), np.int64(-1), np.int64(-1)
    last, turns = 1, 0
    for _ in range(n):
        k = k + 1 if k + 1 < n else np.int64(0)
        s = signs[k]
        if s == 0:
            if zero < 0:
                zero = k
        elif s == last:
            zero = np.int64(-1)
        else:
            turns += 1
            if s < 0:
                cut1 = zero
            else:
                cut2 = zero
            last, zero = np.int64(s), np.int64(-1)
    if turns != 2 or cut1 < 0 or cut2 < 0:
        return n, np.int64(-1), np.int64(-1)
    return n, cut1, cut2


@lean
def fill_table(
    lo, hi, cell_vertices, cell_edges, edges, positive, negative, vertex_offsets, crossing_offsets, crossing_units,
    crossing_places, local_of, units, m, size, table,
):
    """Signs of the `m` units that cross a cell at all `size` places of its border, unit by unit, into `table`."""
    n_border = np.int64(0)
    for k in range(lo, hi):
        v, e = np.int64(cell_vertices[k]), np.int64(cell_edges[k])
        forward = edges[e, 0] == v
        other = edges[e, 1] if forward else edges[e, 0]
        count = vertex_offsets[e + 1] - vertex_offsets[e]
        for l in range(m):
            table[l * size + n_border] = sign_at(positive, negative, v, units[l])
        n_border += 1
        if count == 0:
            continue
        # A unit that does not change sign along the edge has the sign of the end where it is not zero.
        for l in range(m):
            row = l * size + n_border
            here = table[row - 1]
            there = sign_at(positive, negative, other, units[l])
            between = there if here == 0 else here
            for i in range(count):
                table[row + i] = between
        for x in range(crossing_offsets[e], crossing_offsets[e + 1]):
            row = local_of[crossing_units[x]] * size + n_border
            place = crossing_places[x] if forward else count - 1 - crossing_places[x]
            table[row + place] = 0
            for i in range(place + 1, count):
                table[row + i] = -table[row - 1]
        n_border += count


@lean
def turning_places(table, row, n_border):
    """Where a unit goes from + to - and where from - to +, and how often it turns; its signs stand in `table` from `row` on."""
    k = np.int64(0)
    while table[row + k] != 1:
        k += 1
    down, up, last, zero, turns = -1, -1, 1, -1, 0
    for _ in range(n_border):
        k += 1
        if k == n_border:
            k = 0
        s = table[row + k]
        if s == 0:
            if zero < 0:
                zero = k
        elif s == last:
            zero = -1
        else:
            at = zero if zero >= 0 else k
            turns += 1
            if s < 0 and down < 0:
                down = at
            if s > 0 and up < 0:
                up = at
            last, zero = s, -1
    return down, up, turns
