"""Compiled loops that carry activation patterns from cell to cell. Arrays in, arrays out."""

from __future__ import annotations

import numpy as np

from splinecam_widget.engine._sign_kernels import unit_key
from splinecam_widget.engine.loops import loop


@loop
def pair_keys(cut, n_entries, n_windows):
    """What a hash changes by, for each pair of the entries of each window that win before and after, and the windows (n,)."""
    n = n_windows * (n_entries * (n_entries - 1) // 2)
    keys, windows = np.empty(n, np.uint64), np.empty(n, np.int64)
    at = 0
    for window in range(n_windows):
        for i in range(n_entries):
            for j in range(i):
                keys[at] = unit_key(cut, i * n_windows + window) ^ unit_key(cut, j * n_windows + window)
                windows[at] = window
                at += 1
    return keys, windows


@loop
def changes(
    beside, hashes, layers, units, n_units, cut_starts, cut_numbers, cut_widths, cut_columns, pair_keys, pair_windows
):
    """The entry (E,) of the pattern and the window (E,) that alone change across each edge, -1 and -1 where there may be more.

    An edge names its layer and unit; the entries of that unit are those of the layer's cuts that are `unit` modulo `n_units`.
    """
    columns, windows = np.full(len(beside), -1, np.int64), np.full(len(beside), -1, np.int64)
    for e in range(len(beside)):
        if beside[e, 0] < 0 or beside[e, 1] < 0:
            continue
        difference = hashes[beside[e, 0]] ^ hashes[beside[e, 1]]
        layer = layers[e]
        windows[e] = _window_of(difference, pair_keys, pair_windows)
        for cut in range(cut_starts[layer], cut_starts[layer + 1]):
            for entry in range(units[e], cut_widths[cut], n_units[layer]):
                if windows[e] < 0 and columns[e] < 0:
                    rest = difference ^ unit_key(cut_numbers[cut], entry)
                    windows[e] = _window_of(rest, pair_keys, pair_windows)
                    if rest == 0 or windows[e] >= 0:
                        columns[e] = cut_columns[cut] + entry
    return columns, windows


@loop
def _window_of(difference, pair_keys, pair_windows):
    """The window that changes a hash by so much, -1 for none."""
    at = np.searchsorted(pair_keys, difference)
    return pair_windows[at] if at < len(pair_keys) and pair_keys[at] == difference else -1


@loop
def add_hashes(hashes, cut, flags):
    """Into the hashes (n,) of patterns, the entries (n, m) of one cut."""
    for row in range(len(flags)):
        for entry in range(flags.shape[1]):
            if flags[row, entry]:
                hashes[row] ^= unit_key(cut, entry)


@loop
def walk(roots, flags, counts, offsets, cell_edges, beside, is_crossed, columns, layer_of_column, out):
    """Numbers of entries that are set, for every cell that can be reached from `roots`, into `out` (C, L).

    Depth-first from each root, with one pattern that is changed entry by entry, and changed back on the way back.

    Parameters
    ----------
    roots : (n,) int64
    flags : (n, W) bool
        Their patterns. Changed, and as before at the end.
    counts : (n, L) int64
        Of their patterns.
    is_crossed : (E,) bool
        Whether an edge may be crossed.
    columns : (E,) int64
        The entry that changes there; -1 for none.
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
            if not is_crossed[e]:
                continue
            other = beside[e, 1] if beside[e, 0] == cell else beside[e, 0]
            if is_done[other]:
                continue
            column = columns[e]
            if column >= 0:
                pattern[column] = not pattern[column]
                now[layer_of_column[column]] += 1 if pattern[column] else -1
            is_done[other] = True
            out[other] = now
            stack[depth], at[depth], came[depth] = other, offsets[other], column
            depth += 1
