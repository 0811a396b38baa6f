"""Compiled loops over edges along which outputs tie. Arrays in, arrays out. Keys of ends are those of `_tie_kernels`."""

from __future__ import annotations

import numpy as np

from ._growing_kernels import grown
from ._tie_kernels import clear_winners, linked, place_between, set_key, tie_between, winner_across
from .loops import loop


@loop
def ties_along_edges(points, edges, beside, offsets, vertices, values, tolerance):
    """Parts of inner edges along which outputs tie for the maximum and different classes win on either side.

    Returns
    -------
    segments (S, 4) : both ends of each part, the lower class on the left
    classes (S, 2) : the winners, lower first
    cells (S,) : the cell on the left of the edge
    keys (S, 2, 4), links (L, 2, 4) : keys of the ends, and pairs of keys of one place
    """
    n_out = values.shape[1]
    segments = np.empty((16, 4))
    classes = np.empty((16, 2), np.int32)
    cells = np.empty(16, np.int32)
    keys = np.empty((16, 2, 4), np.int64)
    links = np.empty((4, 2, 4), np.int64)
    n_links = 0
    stops = np.empty(2, np.int64)
    candidates = np.empty(n_out, np.int64)
    taken = np.empty(n_out, np.bool_)
    n = 0
    clear = clear_winners(values, tolerance)
    for e in range(len(edges)):
        a, b = edges[e, 0], edges[e, 1]
        if beside[e, 0] < 0 or beside[e, 1] < 0 or (clear[a] >= 0 and clear[a] == clear[b]):
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
            low, high = 0.0, 1.0
            stops[0], stops[1] = -1, -1  # the classes that take the lead at both ends of the part
            n_tied = 0
            for y in range(m):
                j = candidates[y]
                tol = tolerance[k] + tolerance[j]
                d, d2 = values[a, k] - values[a, j], values[b, k] - values[b, j]
                if y == x or (abs(d) <= tol and abs(d2) <= tol):
                    taken[y] = True
                    n_tied += 1
                elif d <= tol and d2 <= tol:
                    high = -1.0
                elif d < -tol and d / (d - d2) > low:
                    low, stops[0] = d / (d - d2), j
                elif d >= -tol and d2 < -tol and d / (d - d2) < high:
                    high, stops[1] = d / (d - d2), j
            if n_tied < 2 or high <= low:
                continue
            left = winner_across(points, vertices, offsets, values, tolerance, a, b, beside[e, 0], k, candidates, m)
            right = winner_across(points, vertices, offsets, values, tolerance, a, b, beside[e, 1], k, candidates, m)
            if left == right:
                continue
            segments = grown(segments, n + 1)
            classes = grown(classes, n + 1)
            cells = grown(cells, n + 1)
            keys = grown(keys, n + 1)
            for i in range(2):
                # The lower class is on the left: along the edge where it wins there.
                end = i if left < right else 1 - i
                v = a if i == 0 else b
                if stops[i] < 0:
                    set_key(keys[n, end], place_between(v, v), -1, -1, -1)
                    segments[n, 2 * end], segments[n, 2 * end + 1] = points[v, 0], points[v, 1]
                    continue
                set_key(keys[n, end], place_between(a, b), k, stops[i], -1)
                r = tie_between(values, a, b, k, stops[i])
                for q in range(2):
                    segments[n, 2 * end + q] = points[min(a, b), q] + r * (points[max(a, b), q] - points[min(a, b), q])
                # On either side, others that tie with these two all along the edge may win.
                for y in range(m):
                    j = candidates[y]
                    tol = tolerance[j] + tolerance[stops[i]]
                    if abs(values[a, j] - values[a, stops[i]]) > tol or abs(values[b, j] - values[b, stops[i]]) > tol:
                        continue
                    for own in (k, left, right):
                        if own != k or j != stops[i]:
                            links = linked(links, n_links, place_between(a, b), k, stops[i], -1, own, j, -1)
                            n_links += 1
            classes[n, 0] = min(left, right)
            classes[n, 1] = max(left, right)
            cells[n] = beside[e, 0]
            n += 1
    return segments[:n].copy(), classes[:n].copy(), cells[:n].copy(), keys[:n].copy(), links[:n_links].copy()


@loop
def edges_at_level(edges, beside, offsets, vertices, heights, tolerance):
    """Edges along which a function is zero, but those with no cell beside them on which it is anything else.

    Parameters
    ----------
    heights (V,), tolerance : the function, its rounding error

    Returns
    -------
    ids (n,)
    is_turned (n,) : whether the side on which the function is larger is on the right of the edge
    """
    found = np.empty(16, np.int64)
    is_turned = np.empty(16, np.bool_)
    n = 0
    for e in range(len(edges)):
        if abs(heights[edges[e, 0]]) > tolerance or abs(heights[edges[e, 1]]) > tolerance:
            continue
        left = farthest_from_zero(beside[e, 0], offsets, vertices, heights)
        right = farthest_from_zero(beside[e, 1], offsets, vertices, heights)
        if abs(left) > tolerance or abs(right) > tolerance:
            found, is_turned = grown(found, n + 1), grown(is_turned, n + 1)
            found[n], is_turned[n] = e, left < right
            n += 1
    return found[:n].copy(), is_turned[:n].copy()


@loop
def farthest_from_zero(c, offsets, vertices, heights):
    """The height of largest magnitude at the vertices of a cell, 0 for cell -1."""
    far = 0.0
    if c >= 0:
        for i in range(offsets[c], offsets[c + 1]):
            if abs(heights[vertices[i]]) > abs(far):
                far = heights[vertices[i]]
    return far
