"""The compiled loop that gathers the lines of a sketch: it must not take long, however many edges there are."""

from __future__ import annotations

import numpy as np

from .loops import loop


@loop
def segments_of_some_units(points, edges, layers, units, most):
    """The ends (n, 2, 2) of the edges that units made; where they are more than `most`, those of every so manieth unit.

    Of units that have very many, not all: at most twice as many as that.
    """
    n_edges, n_units = np.int64(0), np.int64(0)
    for e in range(len(edges)):
        if layers[e] >= 0:
            n_edges += 1
            n_units = max(n_units, np.int64(units[e]) + 1)
    step = (n_edges + most - 1) // most
    n_lines = np.int64(0)
    if step > 1:
        for e in range(len(edges)):
            n_lines = max(n_lines, (np.int64(layers[e]) + 1) * n_units)
    is_chosen = np.zeros(n_lines, np.bool_)
    if step > 1:
        for e in range(len(edges)):
            if layers[e] >= 0:
                is_chosen[layers[e] * n_units + units[e]] = True
        n_seen = np.int64(0)
        for line in range(n_lines):
            if is_chosen[line]:
                is_chosen[line] = n_seen % step == 0
                n_seen += 1
    found = np.empty((min(n_edges, 2 * most), 2, 2))
    n = np.int64(0)
    for e in range(len(edges)):
        if n == len(found):
            break
        if layers[e] >= 0 and (step <= 1 or is_chosen[layers[e] * n_units + units[e]]):
            for end in range(2):
                for axis in range(2):
                    found[n, end, axis] = points[edges[e, end], axis]
            n += 1
    return found[:n].copy()
