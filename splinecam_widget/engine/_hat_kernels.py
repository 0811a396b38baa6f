"""Compiled loops over new vertices whose rows are interpolated, with a hat for each unit that bends between, see `hats`."""

from __future__ import annotations

import numpy as np

from ._sign_kernels import lowest_bit, sort_crossings
from .loops import lean, loop

_ONE = np.uint64(1)


@loop
def bound_with_hats(bound, lerp_error, before, columns, has_columns, hat_error):
    """Bounds (2, m) of squared magnitudes and squared errors at new vertices, from those where the network is run.

    What has no error so far is a constant, which interpolation leaves as it is: infinity before a maximum, for one. Hats are
    columns (n, m) times what is at most the square root of `before` (n,).
    """
    found = bound.copy()
    for j in range(found.shape[1]):
        if found[1, j] > 0:
            found[1, j] += lerp_error * found[0, j]
    if has_columns:
        for k in range(len(before)):
            error = hat_error * before[k]
            for j in range(found.shape[1]):
                found[1, j] += error * columns[k, j] * columns[k, j]
    return found


@loop
def rows_by_hats(
    rows, before, edge_ends, edge_t, parents, crossing_offsets, crossing_units, columns, has_columns, is_plain, n_old,
    start, stop,
):
    """Rows at new vertices `start` to `stop`, which lie on edges, into `rows` itself, after the `n_old` that are there.

    They are interpolated, with a hat for each unit that crosses their edge; of vertex i that is edge `parents[i]`. The units'
    values at old vertices are in `before`. Vertices that are not plain are left out.
    """
    most, begin = 1, start
    for i in range(start, stop):
        if parents[i] != parents[begin]:
            begin = i
        most = max(most, i + 1 - begin)
    hats_on_edges(
        rows, before, edge_ends, edge_t, parents, crossing_offsets, crossing_units, columns, has_columns, is_plain, n_old,
        start, stop, np.empty(rows.shape[1]), np.empty((most, rows.shape[1])))


@lean
def hats_on_edges(
    rows, before, edge_ends, edge_t, parents, crossing_offsets, crossing_units, columns, has_columns, is_plain, n_old,
    start, stop, total, hats,
):
    """The same with scratch, one and as many as one edge has vertices for entries.

    At t, the units that cross the edge before have a hat of (1 - t) |z(a)|, the others one of t |z(b)|: each is added once, to
    a sum that grows from a on, and to one that grows from b on.
    """
    n_entries = rows.shape[1]
    i = start
    while i < stop:
        edge, begin = parents[i], i
        a, b = edge_ends[i, 0], edge_ends[i, 1]
        while i < stop and parents[i] == edge:
            i += 1
        lo, hi = np.int64(0), np.int64(0)
        if has_columns:
            lo, hi = crossing_offsets[edge], crossing_offsets[edge + 1]
        if hi - lo == 1:
            unit = crossing_units[lo]  # at its own crossing both heights are the same
            for k in range(begin, i):
                t, v = edge_t[k], n_old + k
                height = t * abs(before[b, unit])
                if is_plain[k]:
                    for j in range(n_entries):
                        rows[v, j] = rows[a, j] + t * (rows[b, j] - rows[a, j]) - height * columns[unit, j]
            continue
        for j in range(n_entries):
            total[j] = 0.0
        x = lo
        for k in range(begin, i):
            t = edge_t[k]
            while x < hi:
                unit = crossing_units[x]
                if before[a, unit] / (before[a, unit] - before[b, unit]) > t:
                    break
                height = abs(before[a, unit])
                for j in range(n_entries):
                    total[j] += height * columns[unit, j]
                x += 1
            for j in range(n_entries):
                hats[k - begin, j] = (1.0 - t) * total[j]
        for j in range(n_entries):
            total[j] = 0.0
        x = hi - 1
        for k in range(i - 1, begin - 1, -1):
            t, v = edge_t[k], n_old + k
            while x >= lo:
                unit = crossing_units[x]
                if before[a, unit] / (before[a, unit] - before[b, unit]) <= t:
                    break
                height = abs(before[b, unit])
                for j in range(n_entries):
                    total[j] += height * columns[unit, j]
                x -= 1
            if is_plain[k]:
                for j in range(n_entries):
                    rows[v, j] = rows[a, j] + t * (rows[b, j] - rows[a, j]) - (hats[k - begin, j] + t * total[j])


@loop
def rows_on_chords(
    rows, before, positive, negative, chord_ends, chord_weights, chord_places, begins, first, last, n_old_and_edges,
    columns, has_columns,
):
    """Rows at new vertices on chords `first` to `last`, from those at the ends of the chords, into `rows` itself.

    Along a chord from p to q all units that change sign from p to q bend: some of those that do not have one sign, of the bits
    `positive` and `negative`, at all four ends of the edges that p and q lie on. At r, those that did so before have a hat of
    (1 - r) |z(p)|, those that are still to come one of r |z(q)|: sums over the former grow on the way from p to q, sums over
    the latter on the way back.
    """
    n_units, n_entries = before.shape[1], rows.shape[1]
    most = 1
    for chord in range(first, last):
        most = max(most, begins[chord + 1] - begins[chord])
    here, there = np.empty(n_units), np.empty(n_units)
    units, places = np.empty(n_units, np.int32), np.empty(n_units)
    hats_on_chords(
        rows, before, positive, negative, chord_ends, chord_weights, chord_places, begins, first, last, n_old_and_edges,
        columns, has_columns, here, there, units, places, np.empty(n_entries), np.empty((most, n_entries)))


@lean
def hats_on_chords(
    rows, before, positive, negative, chord_ends, chord_weights, chord_places, begins, first, last, n_old_and_edges,
    columns, has_columns, here, there, units, places, total, hats,
):
    """The same with scratch: four for units, one and as many as one chord has vertices for entries."""
    n_units, n_entries = before.shape[1], rows.shape[1]
    for chord in range(first, last):
        lo, hi = begins[chord], begins[chord + 1]
        a, b, s = chord_ends[lo, 0], chord_ends[lo, 1], chord_weights[lo, 0]
        c, d, t = chord_ends[lo, 2], chord_ends[lo, 3], chord_weights[lo, 1]
        p, q = chord_places[lo, 0], chord_places[lo, 1]
        m = 0
        if has_columns:
            for w in range(positive.shape[1]):
                plus = positive[a, w] & positive[b, w] & positive[c, w] & positive[d, w]
                minus = negative[a, w] & negative[b, w] & negative[c, w] & negative[d, w]
                word = ~(plus | minus)
                while word != 0:
                    l = w * 64 + lowest_bit(word)
                    word &= word - _ONE
                    if l >= n_units:
                        break
                    here[l] = before[a, l] + s * (before[b, l] - before[a, l])
                    there[l] = before[c, l] + t * (before[d, l] - before[c, l])
                    if (here[l] > 0 and there[l] < 0) or (here[l] < 0 and there[l] > 0):
                        units[m], places[m] = l, here[l] / (here[l] - there[l])
                        m += 1
            sort_crossings(places, units, 0, m)
        for j in range(n_entries):
            total[j] = 0.0
        x = 0
        for k in range(lo, hi):
            r = chord_weights[k, 2]
            while x < m and places[x] <= r:
                unit = units[x]
                height = abs(here[unit])
                for j in range(n_entries):
                    total[j] += height * columns[unit, j]
                x += 1
            for j in range(n_entries):
                hats[k - lo, j] = (1.0 - r) * total[j]
        for j in range(n_entries):
            total[j] = 0.0
        x = m - 1
        for k in range(hi - 1, lo - 1, -1):
            r, v = chord_weights[k, 2], n_old_and_edges + k
            while x >= 0 and places[x] > r:
                unit = units[x]
                height = abs(there[unit])
                for j in range(n_entries):
                    total[j] += height * columns[unit, j]
                x -= 1
            for j in range(n_entries):
                rows[v, j] = rows[p, j] + r * (rows[q, j] - rows[p, j]) - (hats[k - lo, j] + r * total[j])
