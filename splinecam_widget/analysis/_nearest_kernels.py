"""Compiled search for the nearest of many segments, by a tree of boxes. Arrays in, arrays out."""

from __future__ import annotations

import numpy as np

from splinecam_widget.engine.loops import inlined, loop

LEAF = 4
"""Segments in a leaf of the tree."""


@loop
def morton_codes(points):
    """Places (n,) uint64 of points (n, 2) on a curve on which near places are near points: 32 bits an axis, interleaved."""
    codes = np.empty(len(points), np.uint64)
    low, extent = np.empty(2), 0.0
    for i in range(2):
        low[i] = points[:, i].min()
        extent = max(extent, points[:, i].max() - low[i])
    for k in range(len(points)):
        code = np.uint64(0)
        for i in range(2):
            share = (points[k, i] - low[i]) / extent if extent > 0.0 else 0.0
            x = np.uint64(share * 4294967295.0)
            x = (x | (x << np.uint64(16))) & np.uint64(0x0000FFFF0000FFFF)
            x = (x | (x << np.uint64(8))) & np.uint64(0x00FF00FF00FF00FF)
            x = (x | (x << np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
            x = (x | (x << np.uint64(2))) & np.uint64(0x3333333333333333)
            x = (x | (x << np.uint64(1))) & np.uint64(0x5555555555555555)
            code |= x << np.uint64(i)
        codes[k] = code
    return codes


@loop
def box_tree(segments, order):
    """Boxes (2 L, 4) of a full binary tree over segments (S, 2, 2) in an order, L a power of two of leaves of `LEAF` of them.

    Node k has children 2 k and 2 k + 1; the root is 1. A box is low x, low y, high x, high y; inf, inf, -inf, -inf of none.
    """
    n_leaves = 1
    while n_leaves * LEAF < len(order):
        n_leaves *= 2
    boxes = np.empty((2 * n_leaves, 4))
    boxes[:, :2] = np.inf
    boxes[:, 2:] = -np.inf
    for k in range(len(order)):
        box = boxes[n_leaves + k // LEAF]
        for end in range(2):
            for i in range(2):
                box[i] = min(box[i], segments[order[k], end, i])
                box[2 + i] = max(box[2 + i], segments[order[k], end, i])
    for k in range(n_leaves - 1, 0, -1):
        for i in range(2):
            boxes[k, i] = min(boxes[2 * k, i], boxes[2 * k + 1, i])
            boxes[k, 2 + i] = max(boxes[2 * k, 2 + i], boxes[2 * k + 1, 2 + i])
    return boxes


@inlined
def box_distance2(boxes, k, x, y):
    """Squared distance of a point to a box."""
    dx = max(boxes[k, 0] - x, 0.0, x - boxes[k, 2])
    dy = max(boxes[k, 1] - y, 0.0, y - boxes[k, 3])
    return dx * dx + dy * dy


@loop
def nearest_on_segment(segments, s, x, y):
    """The point of a segment that is nearest to (x, y), within the box of the segment's ends."""
    ax, ay, bx, by = segments[s, 0, 0], segments[s, 0, 1], segments[s, 1, 0], segments[s, 1, 1]
    ex, ey = bx - ax, by - ay
    length2 = ex * ex + ey * ey
    along = (x - ax) * ex + (y - ay) * ey
    if along <= 0.0 or length2 == 0.0:
        return ax, ay
    if along >= length2:
        return bx, by
    t = along / length2
    return min(max(ax + t * ex, min(ax, bx)), max(ax, bx)), min(max(ay + t * ey, min(ay, by)), max(ay, by))


@loop
def nearest_segments(points, segments, order, boxes):
    """Distance (n,), nearest point (n, 2) and segment (n,) of points (n, 2); of several at one distance, the first segment.

    A point of a segment lies within the boxes above it, and differences, squares and sums round monotonically: the computed
    distance to a box is never above the computed one to a segment in it. So the result is that of looking at all segments.
    """
    n_leaves = len(boxes) // 2
    distances = np.full(len(points), np.inf)
    nearest = np.full((len(points), 2), np.nan)
    found = np.full(len(points), -1)
    stack = np.empty(128, np.int64)
    bounds = np.empty(128)
    last = -1
    for k in range(len(points)):
        x, y = points[k, 0], points[k, 1]
        best, best_s, best_x, best_y = np.inf, -1, np.nan, np.nan
        if last >= 0:  # the segment of the point before is often near
            best_x, best_y = nearest_on_segment(segments, last, x, y)
            best, best_s = (best_x - x) ** 2 + (best_y - y) ** 2, last
        n = 1
        stack[0], bounds[0] = 1, box_distance2(boxes, 1, x, y)
        while n:
            n -= 1
            if bounds[n] > best:
                continue
            node = stack[n]
            if node >= n_leaves:
                first = (node - n_leaves) * LEAF
                for at in range(first, min(first + LEAF, len(order))):
                    s = order[at]
                    qx, qy = nearest_on_segment(segments, s, x, y)
                    d = (qx - x) ** 2 + (qy - y) ** 2
                    if d < best or (d == best and s < best_s):
                        best, best_s, best_x, best_y = d, s, qx, qy
                continue
            left, right = box_distance2(boxes, 2 * node, x, y), box_distance2(boxes, 2 * node + 1, x, y)
            # The nearer child is looked at first: it goes onto the stack last.
            near = 0 if left <= right else 1
            for side in (1 - near, near):
                bound = left if side == 0 else right
                if bound <= best:
                    stack[n], bounds[n] = 2 * node + side, bound
                    n += 1
        distances[k] = np.hypot(best_x - x, best_y - y) if best_s >= 0 else np.inf
        nearest[k, 0], nearest[k, 1] = best_x, best_y
        found[k] = best_s
        last = best_s
    return distances, nearest, found
