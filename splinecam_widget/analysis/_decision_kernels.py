"""Compiled loops over the parts of cells in which one class wins. Arrays in, arrays out."""

from __future__ import annotations

import numpy as np

from splinecam_widget.engine._growing_kernels import grown
from splinecam_widget.engine._tie_kernels import winner_across
from splinecam_widget.engine.loops import loop


@loop
def part_of(offsets, classes, c, k):
    """The part of cell c in which class k wins, -1 if there is none."""
    for p in range(offsets[c], offsets[c + 1]):
        if classes[p] == k:
            return p
    return -1


@loop
def parts_across_edges(points, edges, beside, offsets, vertices, values, tolerance, part_offsets, part_classes):
    """The parts that lie on both sides of a piece of positive length of an edge.

    Along an edge the outputs are affine, so one class wins on an interval, whose ends are where it ties with others; the
    signs of the differences at both vertices decide as they do in `ties_along_edges`. Where several tie along the interval,
    the one that wins beside it counts, on each side for itself.

    Parameters
    ----------
    part_offsets (C + 1,), part_classes (P,) : the parts of every cell, at least one

    Returns
    -------
    links (n, 2) : parts on both sides of an edge, second -1 on the domain's border
    """
    n_out = values.shape[1]
    links = np.empty((len(edges), 2), np.int32)
    candidates = np.empty(n_out, np.int64)
    taken = np.empty(n_out, np.bool_)
    n = 0
    for e in range(len(edges)):
        a, b = edges[e, 0], edges[e, 1]
        inside, across = beside[e, 0], beside[e, 1]
        if inside < 0:
            inside, across = across, inside
        is_whole = part_offsets[inside + 1] - part_offsets[inside] == 1
        is_whole_across = across < 0 or part_offsets[across + 1] - part_offsets[across] == 1
        if is_whole and is_whole_across:
            links = grown(links, n + 1)
            links[n, 0] = part_offsets[inside]
            links[n, 1] = part_offsets[across] if across >= 0 else -1
            n += 1
            continue
        # The classes that may be largest somewhere on the edge: not below at both ends what another reaches at both.
        floor = -np.inf
        for k in range(n_out):
            floor = max(floor, min(values[a, k], values[b, k]) - tolerance[k])
        m = 0
        for k in range(n_out):
            if max(values[a, k], values[b, k]) + tolerance[k] >= floor:
                candidates[m] = k
                taken[m] = False
                m += 1
        for x in range(m):
            if taken[x]:
                continue
            k = candidates[x]
            low, high, n_tied = 0.0, 1.0, 0
            for y in range(m):
                j = candidates[y]
                tol = tolerance[k] + tolerance[j]
                d, d2 = values[a, k] - values[a, j], values[b, k] - values[b, j]
                if y == x or (abs(d) <= tol and abs(d2) <= tol):
                    taken[y] = True
                    n_tied += 1
                elif d <= tol and d2 <= tol:
                    high = -1.0
                elif d < -tol:
                    low = max(low, d / (d - d2))
                elif d2 < -tol:
                    high = min(high, d / (d - d2))
            if high <= low:
                continue
            left = right = k
            if n_tied > 1:
                left = winner_across(points, vertices, offsets, values, tolerance, a, b, inside, k, candidates, m)
                if across >= 0:
                    right = winner_across(points, vertices, offsets, values, tolerance, a, b, across, k, candidates, m)
            p = part_offsets[inside] if is_whole else part_of(part_offsets, part_classes, inside, left)
            q = -1
            if across >= 0:
                q = part_offsets[across] if is_whole_across else part_of(part_offsets, part_classes, across, right)
            if p < 0 or (across >= 0 and q < 0):  # a part too small to be cut out touches the edge
                continue
            links = grown(links, n + 1)
            links[n, 0], links[n, 1] = p, q
            n += 1
    return links[:n].copy()
