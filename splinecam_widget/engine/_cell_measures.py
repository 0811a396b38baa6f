"""Compiled loops over finished cells: measures, neighbours, and where a point lies. Arrays in, arrays out."""

from __future__ import annotations

import numpy as np

from .loops import loop

UNIT_ROUNDOFF = 2.0**-53


@loop
def areas_and_centroids(points, offsets, vertices):
    """Area (C,) and centroid (C, 2) of every cell, relative to its first vertex so that small cells lose no digits."""
    n_cells = len(offsets) - 1
    areas = np.zeros(n_cells)
    centroids = np.empty((n_cells, 2))
    for c in range(n_cells):
        lo, hi = offsets[c], offsets[c + 1]
        x0, y0 = points[vertices[lo], 0], points[vertices[lo], 1]
        twice, mx, my, sx, sy, ax, ay = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        left, right, bottom, top = 0.0, 0.0, 0.0, 0.0
        for k in range(lo + 1, hi):
            bx, by = points[vertices[k], 0] - x0, points[vertices[k], 1] - y0
            sx += bx
            sy += by
            left, right, bottom, top = min(left, bx), max(right, bx), min(bottom, by), max(top, by)
            if k > lo + 1:
                cross = ax * by - ay * bx
                twice += cross
                mx += cross * (ax + bx)
                my += cross * (ay + by)
            ax, ay = bx, by
        areas[c] = twice / 2
        count = hi - lo
        # The centroid, which lies inside; the mean of the corners, which does as well, where the area is lost to rounding: then
        # the quotient is anywhere, or no number at all.
        cx, cy = (mx / (3 * twice), my / (3 * twice)) if twice > 0 else (np.nan, np.nan)
        if not (left <= cx <= right and bottom <= cy <= top):
            cx, cy = sx / count, sy / count
        centroids[c, 0], centroids[c, 1] = x0 + cx, y0 + cy
    return areas, centroids


@loop
def n_flat(points, offsets, vertices, error):
    """How many cells are no polygon, or turn right at a corner by more than `error` times the lengths of the sides there."""
    found = 0
    for c in range(len(offsets) - 1):
        lo, hi = offsets[c], offsets[c + 1]
        is_flat = hi - lo < 3
        for k in range(lo, hi):
            u, v, w = vertices[k - 1 if k > lo else hi - 1], vertices[k], vertices[k + 1 if k + 1 < hi else lo]
            ax, ay = points[v, 0] - points[u, 0], points[v, 1] - points[u, 1]
            bx, by = points[w, 0] - points[v, 0], points[w, 1] - points[v, 1]
            if ax * by - ay * bx < -error * (abs(ax) + abs(ay) + abs(bx) + abs(by)):
                is_flat = True
        found += is_flat
    return found


@loop
def cells_beside_edges(n_edges, edges, offsets, vertices, cell_edges):
    """The cells (E, 2) left and right of every edge, -1 outside."""
    beside = np.full((n_edges, 2), -1, np.int32)
    for c in range(len(offsets) - 1):
        for k in range(offsets[c], offsets[c + 1]):
            e = cell_edges[k]
            beside[e, 0 if edges[e, 0] == vertices[k] else 1] = c
    return beside


@loop
def gradients(points, values, offsets, vertices):
    """Gradient (C, K, 2) of the values on every cell, from its largest triangle at the first vertex's longest diagonal."""
    n_cells, n_out = len(offsets) - 1, values.shape[1]
    out = np.zeros((n_cells, n_out, 2))
    for c in range(n_cells):
        a, b, d, area = widest_triangle(points, vertices, offsets[c], offsets[c + 1])
        if area == 0.0:
            continue
        ux, uy = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1]
        vx, vy = points[d, 0] - points[a, 0], points[d, 1] - points[a, 1]
        for k in range(n_out):
            p, q = values[b, k] - values[a, k], values[d, k] - values[a, k]
            out[c, k, 0] = (p * vy - q * uy) / area
            out[c, k, 1] = (q * ux - p * vx) / area
    return out


@loop
def widest_triangle(points, vertices, lo, hi):
    """Three vertices of a convex cell and twice their area: the one farthest from the first, and that farthest from both."""
    a = vertices[lo]
    b, far = a, -1.0
    for k in range(lo + 1, hi):
        v = vertices[k]
        distance = (points[v, 0] - points[a, 0]) ** 2 + (points[v, 1] - points[a, 1]) ** 2
        if distance > far:
            b, far = v, distance
    d, area = a, 0.0
    for k in range(lo + 1, hi):
        v = vertices[k]
        cross = ((points[b, 0] - points[a, 0]) * (points[v, 1] - points[a, 1])
                 - (points[b, 1] - points[a, 1]) * (points[v, 0] - points[a, 0]))
        if abs(cross) > abs(area):
            d, area = v, cross
    return a, b, d, area


@loop
def same_map_across(points, edges, beside, offsets, vertices, values, tolerance):
    """Whether the affine map goes on unchanged across each edge: (E,) bool, False on the border.

    Continuity makes both maps agree along the edge, so they are one map when they have the same slope across it. The slope
    is measured at the vertex of each cell that is farthest from the edge; its error is that of the values over the distance.
    """
    n_edges, n_out = len(edges), values.shape[1]
    same = np.zeros(n_edges, np.bool_)
    for e in range(n_edges):
        if beside[e, 0] < 0 or beside[e, 1] < 0:
            continue
        a, b = edges[e, 0], edges[e, 1]
        ex, ey = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1]
        length2 = ex * ex + ey * ey
        if length2 == 0.0:
            continue
        far0, far1, across0, across1 = a, a, 0.0, 0.0
        for side in range(2):
            c = beside[e, side]
            for k in range(offsets[c], offsets[c + 1]):
                v = vertices[k]
                cross = ex * (points[v, 1] - points[a, 1]) - ey * (points[v, 0] - points[a, 0])
                if side == 0 and cross > across0:
                    far0, across0 = v, cross
                if side == 1 and -cross > across1:
                    far1, across1 = v, -cross
        if across0 == 0.0 or across1 == 0.0:
            continue
        s0 = ((points[far0, 0] - points[a, 0]) * ex + (points[far0, 1] - points[a, 1]) * ey) / length2
        s1 = ((points[far1, 0] - points[a, 0]) * ex + (points[far1, 1] - points[a, 1]) * ey) / length2
        reach0, reach1 = 1.0 + abs(s0) + abs(1.0 - s0), 1.0 + abs(s1) + abs(1.0 - s1)
        agree = True
        for k in range(n_out):
            along = values[b, k] - values[a, k]
            rise0 = (values[far0, k] - values[a, k] - s0 * along) / across0
            rise1 = (values[far1, k] - values[a, k] - s1 * along) / across1
            if abs(rise0 + rise1) > tolerance[k] * (reach0 / across0 + reach1 / across1):
                agree = False
                break
        same[e] = agree
    return same


@loop
def bucket_cells(points, offsets, vertices, left, bottom, width, height, n):
    """Cells by the squares of an n x n grid that their bounding boxes touch: offsets (n n + 1,), cell ids."""
    counts = np.zeros(n * n + 1, np.int64)
    n_cells = len(offsets) - 1
    boxes = np.empty((n_cells, 4), np.int64)
    for c in range(n_cells):
        lo_x, hi_x, lo_y, hi_y = np.inf, -np.inf, np.inf, -np.inf
        for k in range(offsets[c], offsets[c + 1]):
            x, y = points[vertices[k], 0], points[vertices[k], 1]
            lo_x, hi_x, lo_y, hi_y = min(lo_x, x), max(hi_x, x), min(lo_y, y), max(hi_y, y)
        boxes[c, 0] = min(max(int((lo_x - left) / width * n), 0), n - 1)
        boxes[c, 1] = min(max(int((hi_x - left) / width * n), 0), n - 1)
        boxes[c, 2] = min(max(int((lo_y - bottom) / height * n), 0), n - 1)
        boxes[c, 3] = min(max(int((hi_y - bottom) / height * n), 0), n - 1)
        for i in range(boxes[c, 0], boxes[c, 1] + 1):
            for j in range(boxes[c, 2], boxes[c, 3] + 1):
                counts[i * n + j + 1] += 1
    starts = np.cumsum(counts)
    ids = np.empty(starts[-1], np.int32)
    fill = starts[:-1].copy()
    for c in range(n_cells):
        for i in range(boxes[c, 0], boxes[c, 1] + 1):
            for j in range(boxes[c, 2], boxes[c, 3] + 1):
                ids[fill[i * n + j]] = c
                fill[i * n + j] += 1
    return starts, ids


@loop
def locate_points(u, points, offsets, vertices, left, bottom, width, height, n, starts, ids):
    """The cell of each point (n, 2); on an edge, the lowest id; -1 outside.

    On an edge, rounding can put a point outside both cells: it then belongs to the one it is least outside of, if by no more
    than the rounding of a distance.
    """
    out = np.full(len(u), -1, np.int64)
    for i in range(len(u)):
        x, y = u[i, 0], u[i, 1]
        gx, gy = (x - left) / width * n, (y - bottom) / height * n
        if not (gx >= 0 and gx <= n and gy >= 0 and gy <= n):
            continue
        box = min(int(gx), n - 1) * n + min(int(gy), n - 1)
        # Four roundings of the products over the side's length, one of each coordinate of the point.
        best = -4 * UNIT_ROUNDOFF * (abs(x) + abs(y) + width + height)
        for at in range(starts[box], starts[box + 1]):
            c = ids[at]
            depth = np.inf
            for k in range(offsets[c], offsets[c + 1]):
                v = vertices[k]
                w = vertices[k + 1] if k + 1 < offsets[c + 1] else vertices[offsets[c]]
                ex, ey = points[w, 0] - points[v, 0], points[w, 1] - points[v, 1]
                cross = ex * (y - points[v, 1]) - ey * (x - points[v, 0])
                if cross < 0:
                    depth = min(depth, cross / np.hypot(ex, ey))
                    if depth < best:
                        break
            if depth == np.inf:
                out[i] = c
                break
            if depth > best:
                best = depth
                out[i] = c
    return out
