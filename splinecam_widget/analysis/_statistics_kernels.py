"""Compiled loops over cells: moments, distances of corners, inscribed circles, straight corners. Arrays in, arrays out."""

from __future__ import annotations

import numpy as np

from splinecam_widget.engine.loops import loop


@loop
def second_moments(points, offsets, vertices, centroids):
    """Integrals (C, 3) of x x, x y and y y over every cell, x and y counted from its centroid.

    Triangles from the centroid, all of which are counter-clockwise, so that nothing cancels.
    """
    n_cells = len(offsets) - 1
    out = np.zeros((n_cells, 3))
    for c in range(n_cells):
        lo, hi = offsets[c], offsets[c + 1]
        cx, cy = centroids[c, 0], centroids[c, 1]
        ax, ay = points[vertices[hi - 1], 0] - cx, points[vertices[hi - 1], 1] - cy
        xx, xy, yy = 0.0, 0.0, 0.0
        for k in range(lo, hi):
            bx, by = points[vertices[k], 0] - cx, points[vertices[k], 1] - cy
            cross = ax * by - ay * bx
            xx += cross * (ax * ax + ax * bx + bx * bx)
            xy += cross * (2 * ax * ay + ax * by + bx * ay + 2 * bx * by)
            yy += cross * (ay * ay + ay * by + by * by)
            ax, ay = bx, by
        out[c, 0], out[c, 1], out[c, 2] = xx / 12, xy / 24, yy / 12
    return out


@loop
def distance_ratios(points, offsets, vertices, centroids):
    """Largest over smallest distance (C, 2): between two vertices of a cell, and of a vertex from its centroid."""
    n_cells = len(offsets) - 1
    out = np.empty((n_cells, 2))
    for c in range(n_cells):
        lo, hi = offsets[c], offsets[c + 1]
        near, far, least, most = np.inf, 0.0, np.inf, 0.0
        for k in range(lo, hi):
            x, y = points[vertices[k], 0], points[vertices[k], 1]
            radius = (x - centroids[c, 0]) ** 2 + (y - centroids[c, 1]) ** 2
            least, most = min(least, radius), max(most, radius)
            for i in range(lo, k):
                distance = (x - points[vertices[i], 0]) ** 2 + (y - points[vertices[i], 1]) ** 2
                near, far = min(near, distance), max(far, distance)
        out[c, 0] = np.sqrt(far / near) if near > 0 else np.inf
        out[c, 1] = np.sqrt(most / least) if least > 0 else np.inf
    return out


@loop
def inradii(points, offsets, vertices):
    """Radius (C,) of the largest circle inside every cell.

    All sides move inwards at unit speed. A side of length L between corners that turn by p and q gets shorter by
    tan(p / 2) + tan(q / 2) in unit time. One that has vanished is taken out, and its corners become one that turns by p + q;
    where this is half a turn or more, nothing is left between its neighbours, and the time is the radius.
    """
    n_cells = len(offsets) - 1
    most = 0
    for c in range(n_cells):
        most = max(most, offsets[c + 1] - offsets[c])
    length, speed, turn = np.empty(most), np.empty(most), np.empty(most)
    before, after = np.empty(most, np.int64), np.empty(most, np.int64)
    out = np.zeros(n_cells)
    for c in range(n_cells):
        out[c] = _inradius(points, vertices[offsets[c]:offsets[c + 1]], length, speed, turn, before, after)
    return out


@loop
def _inradius(points, loop, length, speed, turn, before, after):
    """Of one cell; the other arrays are room to work in. Side k goes from corner k, at which it turns, to the next."""
    n = len(loop)
    u, v = loop[n - 1], loop[0]
    ax, ay = points[v, 0] - points[u, 0], points[v, 1] - points[u, 1]
    last = np.sqrt(ax * ax + ay * ay)
    for k in range(n):
        w = loop[k + 1 if k + 1 < n else 0]
        bx, by = points[w, 0] - points[v, 0], points[w, 1] - points[v, 1]
        cross, dot = ax * by - ay * bx, ax * bx + ay * by
        length[k] = np.sqrt(bx * bx + by * by)
        if cross <= 0 and dot <= 0:  # a spike without width, or a side without length
            return 0.0
        # The tangent of half the turn, without a difference of nearly equal numbers; no convex cell turns right.
        turn[k] = max(cross, 0.0) / (last * length[k] + dot) if dot > 0 else (last * length[k] - dot) / cross
        before[k], after[k] = k - 1 if k > 0 else n - 1, k + 1 if k + 1 < n else 0
        v, ax, ay, last = w, bx, by, length[k]
    for k in range(n):
        speed[k] = turn[k] + turn[after[k]]
    first, left, time = 0, n, 0.0
    while True:
        # `length` is that at time zero, with the present speed.
        side, soonest, k = first, np.inf, first
        for _ in range(left):
            moment = length[k] / speed[k] if speed[k] > 0 else np.inf
            if moment < soonest:
                side, soonest = k, moment
            k = after[k]
        time = max(time, soonest)
        i, j = before[side], after[side]
        product = turn[side] * turn[j]
        if left == 3 or product >= 1:
            return time
        both = (turn[side] + turn[j]) / (1 - product)
        after[i], before[j] = j, i
        first, left = i, left - 1
        faster_i, faster_j = turn[i] + both, both + turn[after[j]]
        turn[j] = both
        length[i] += time * (faster_i - speed[i])
        length[j] += time * (faster_j - speed[j])
        speed[i], speed[j] = faster_i, faster_j


@loop
def offsets(values, slopes, points, first):
    """Outputs (C, K) at slice coordinates (0, 0), by the slopes (C, K, 2) from one vertex `first` (C,) of every cell."""
    n_cells, n_out = slopes.shape[0], slopes.shape[1]
    out = np.empty((n_cells, n_out))
    for c in range(n_cells):
        x, y = points[first[c], 0], points[first[c], 1]
        for k in range(n_out):
            out[c, k] = values[first[c], k] - (slopes[c, k, 0] * x + slopes[c, k, 1] * y)
    return out


@loop
def largest_of_groups(groups, areas, n_groups):
    """The cell (n_groups,) with the largest area of each group, the first of equal ones; -1 of a group without cells."""
    out = np.full(n_groups, -1)
    for c in range(len(groups)):
        best = out[groups[c]]
        if best < 0 or areas[c] > areas[best]:
            out[groups[c]] = c
    return out


@loop
def same_labels(offsets, vertices, edges, layers, units):
    """Whether the sides (sum,) that meet at each corner of each cell were made by the same unit."""
    out = np.zeros(len(vertices), np.bool_)
    for c in range(len(offsets) - 1):
        for k in range(offsets[c], offsets[c + 1]):
            e, f = edges[k - 1 if k > offsets[c] else offsets[c + 1] - 1], edges[k]
            out[k] = layers[e] == layers[f] and units[e] == units[f]
    return out


@loop
def edges_of_label(corners, sides, starts, around, layers, units):
    """How many edges (n,) at each of some vertices `corners` were made by the unit that made the edge in `sides`.

    The edges at vertex v are `around[starts[v]:starts[v + 1]]`.
    """
    out = np.zeros(len(corners), np.int64)
    for i in range(len(corners)):
        for k in range(starts[corners[i]], starts[corners[i] + 1]):
            e = around[k]
            out[i] += layers[e] == layers[sides[i]] and units[e] == units[sides[i]]
    return out
