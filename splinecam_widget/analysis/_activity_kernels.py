"""Compiled loops that carry activation patterns from cell to cell. Arrays in, arrays out."""

from __future__ import annotations

import numpy as np
from numba import njit

from splinecam_widget.engine._sign_kernels import unit_key


@njit(cache=True, nogil=True)
def flipped_columns(beside, hashes, layers, units, n_units, cut_starts, cut_numbers, cut_widths, cut_columns):
    """The entry of the pattern (E,) that alone changes across each edge, -1 where there is no such entry.

    An edge names its layer and unit; the entries of that unit are those of the layer's cuts that are `unit` modulo `n_units`.
    Hashes of patterns are sums without carry of one random number for each entry, so that their difference tells which it is.
    """
    out = np.full(len(beside), -1, np.int64)
    for e in range(len(beside)):
        if beside[e, 0] < 0 or beside[e, 1] < 0:
            continue
        difference = hashes[beside[e, 0]] ^ hashes[beside[e, 1]]
        layer = layers[e]
        for cut in range(cut_starts[layer], cut_starts[layer + 1]):
            for entry in range(units[e], cut_widths[cut], n_units[layer]):
                if unit_key(cut_numbers[cut], entry) == difference:
                    out[e] = cut_columns[cut] + entry
    return out


@njit(cache=True, nogil=True)
def add_hashes(hashes, cut, flags):
    """Into the hashes (n,) of patterns, the entries (n, m) of one cut."""
    for row in range(len(flags)):
        for entry in range(flags.shape[1]):
            if flags[row, entry]:
                hashes[row] ^= unit_key(cut, entry)


@njit(cache=True, nogil=True)
def walk(roots, flags, counts, offsets, cell_edges, beside, flips, layer_of_column, out):
    """Numbers of entries that are set, for every cell that can be reached from `roots`, into `out` (C, L).

    Depth-first from each root, with one pattern that is changed entry by entry, and changed back on the way back.

    Parameters
    ----------
    roots : (n,) int64
    flags : (n, W) bool
        Their patterns. Changed, and as before at the end.
    counts : (n, L) int64
        Of their patterns.
    flips : (E,) int64
        The entry that alone changes across each edge; -1 for edges that are not to be crossed.
    """
    n_cells = len(offsets) - 1
    is_done = np.zeros(n_cells, np.bool_)
    stack = np.empty(n_cells, np.int64)
    at, came = np.empty(n_cells, np.int64), np.empty(n_cells, np.int64)
    for i in range(len(roots)):
        pattern, now = flags[i], counts[i].copy()
        root = roots[i]
        is_done[root] = True
        out[root] = now
        stack[0], at[0], came[0], depth = root, offsets[root], -1, 1
        while depth > 0:
            cell, place = stack[depth - 1], at[depth - 1]
            if place == offsets[cell + 1]:
                depth -= 1
                column = came[depth]
                if column >= 0:
                    pattern[column] = not pattern[column]
                    now[layer_of_column[column]] += 1 if pattern[column] else -1
                continue
            at[depth - 1] += 1
            e = cell_edges[place]
            column = flips[e]
            if column < 0:
                continue
            other = beside[e, 1] if beside[e, 0] == cell else beside[e, 0]
            if is_done[other]:
                continue
            pattern[column] = not pattern[column]
            now[layer_of_column[column]] += 1 if pattern[column] else -1
            is_done[other] = True
            out[other] = now
            stack[depth], at[depth], came[depth] = other, offsets[other], column
            depth += 1
