"""Compiled walk through cells along a straight line. Arrays in, arrays out.

Every vertex is on one side of the line, decided once; one within the rounding error of the line is put on a side that is given.
So the line turns into one that passes every vertex and crosses edges only. Around a cell, crossings into it and out of it take
turns; a crossing in leads to the next crossing out, counter-clockwise. No two lead to the same one, and the first comes from
outside the domain: so the walk cannot turn back to where it was, and ends outside, whatever the rounding.
"""

from __future__ import annotations

import numpy as np

from splinecam_widget.engine._cell_measures import UNIT_ROUNDOFF
from splinecam_widget.engine._growing_kernels import grown
from splinecam_widget.engine.loops import inlined, loop


@inlined
def height(points, v, ax, ay, dx, dy, noise):
    """How far a vertex is left of the line from a along d, times its length; 0 where rounding decides."""
    x, y = points[v, 0] - ax, points[v, 1] - ay
    p, q = dx * y, dy * x
    # Of each product: two differences and itself, and the difference of both: 4 roundings. Vertices are off by `noise`.
    if abs(p - q) <= 4.0 * UNIT_ROUNDOFF * (abs(p) + abs(q)) + noise * (abs(dx) + abs(dy)):
        return 0.0
    return p - q


@inlined
def place_along(points, v, h, w, h2, ax, ay, dx, dy):
    """Where the line crosses the edge between two vertices with their heights, as a share of d; at the vertex of height 0."""
    length2 = dx * dx + dy * dy
    t = ((points[v, 0] - ax) * dx + (points[v, 1] - ay) * dy) / length2
    t2 = ((points[w, 0] - ax) * dx + (points[w, 1] - ay) * dy) / length2
    if h == 0.0:
        return t
    if h2 == 0.0:
        return t2
    s = h / (h - h2)
    return t + s * (t2 - t)


@loop
def walk(points, edges, beside, offsets, vertices, cell_edges, ax, ay, dx, dy, noise, of_zero):
    """The cells that a line passes through the domain, in order.

    Parameters
    ----------
    ax, ay, dx, dy : a point of the line, its direction
    noise : error of the vertices
    of_zero : the side (1 left, -1 right) of vertices on the line

    Returns
    -------
    cells (m,), t (m + 1,) places where it enters and leaves them, crossed (m + 1,) edges; m = 0 where it does not enter
    """
    cells, t, crossed = np.empty(64, np.int64), np.empty(65), np.empty(65, np.int64)
    # The edge at which it enters the domain: the first, where rounding makes several.
    first, t_first = -1, np.inf
    for e in range(len(edges)):
        if beside[e, 0] >= 0 and beside[e, 1] >= 0:
            continue
        v, w = edges[e, 0], edges[e, 1]
        h, h2 = height(points, v, ax, ay, dx, dy, noise), height(points, w, ax, ay, dx, dy, noise)
        is_left, is_left2 = h > 0.0 or (h == 0.0 and of_zero > 0), h2 > 0.0 or (h2 == 0.0 and of_zero > 0)
        # With the cell on its left, the edge goes from the line's left to its right where the line enters.
        if is_left == is_left2 or is_left != (beside[e, 0] >= 0):
            continue
        place = place_along(points, v, h, w, h2, ax, ay, dx, dy)
        if place < t_first:
            first, t_first = e, place
    if first < 0:
        return cells[:0].copy(), t[:0].copy(), crossed[:0].copy()
    n = 0
    t[0], crossed[0] = t_first, first
    c, edge = np.int64(max(beside[first, 0], beside[first, 1])), np.int64(first)
    while c >= 0:
        lo, hi = offsets[c], offsets[c + 1]
        k = lo
        while cell_edges[k] != edge:
            k += 1
        # From the edge on which it comes in, on to the next on which the loop goes from the line's right to its left.
        while True:
            k = k + 1 if k + 1 < hi else lo
            v, w = vertices[k], vertices[k + 1 if k + 1 < hi else lo]
            h, h2 = height(points, v, ax, ay, dx, dy, noise), height(points, w, ax, ay, dx, dy, noise)
            if not (h > 0.0 or (h == 0.0 and of_zero > 0)) and (h2 > 0.0 or (h2 == 0.0 and of_zero > 0)):
                break
        edge = cell_edges[k]
        cells, t, crossed = grown(cells, n + 1), grown(t, n + 2), grown(crossed, n + 2)
        cells[n] = c
        t[n + 1] = place_along(points, v, h, w, h2, ax, ay, dx, dy)
        crossed[n + 1] = edge
        n += 1
        c = np.int64(beside[edge, 1] if beside[edge, 0] == c else beside[edge, 0])
    return cells[:n].copy(), t[: n + 1].copy(), crossed[: n + 1].copy()
