"""Compiled loops that lay two sets of convex polygons over one another. Arrays in, arrays out."""

from __future__ import annotations

import numpy as np

from splinecam_widget.engine._growing_kernels import grown
from splinecam_widget.engine.loops import loop


@loop
def bounding_boxes(points, offsets):
    """Left, bottom, right, top (P, 4) of every polygon."""
    boxes = np.empty((len(offsets) - 1, 4))
    for p in range(len(boxes)):
        left, bottom, right, top = np.inf, np.inf, -np.inf, -np.inf
        for k in range(offsets[p], offsets[p + 1]):
            x, y = points[k, 0], points[k, 1]
            left, right, bottom, top = min(left, x), max(right, x), min(bottom, y), max(top, y)
        boxes[p, 0], boxes[p, 1], boxes[p, 2], boxes[p, 3] = left, bottom, right, top
    return boxes


@loop
def bucketed(points, offsets, boxes, left, bottom, width, height, n):
    """Ids of convex polygons by the squares of an n x n grid that they may meet: offsets (n n + 1,), ids."""
    counts = np.zeros(n * n + 1, np.int64)
    for p in range(len(boxes)):
        for i in range(column(boxes[p, 0], left, width, n), column(boxes[p, 2], left, width, n) + 1):
            low, high = rows_in_column(points, offsets[p], offsets[p + 1], boxes[p], i, left, bottom, width, height, n)
            for j in range(low, high + 1):
                counts[i * n + j + 1] += 1
    starts = np.cumsum(counts)
    fill = starts[:-1].copy()
    ids = np.empty(starts[-1], np.int32)
    for p in range(len(boxes)):
        for i in range(column(boxes[p, 0], left, width, n), column(boxes[p, 2], left, width, n) + 1):
            low, high = rows_in_column(points, offsets[p], offsets[p + 1], boxes[p], i, left, bottom, width, height, n)
            for j in range(low, high + 1):
                ids[fill[i * n + j]] = p
                fill[i * n + j] += 1
    return starts, ids


@loop
def rows_in_column(points, begin, end, box, i, left, bottom, width, height, n):
    """The first and the last row of squares that a convex polygon may meet in column i; long thin ones meet few.

    Of the column and its neighbours, and a row more on either side: rounding moves a coordinate by far less than a square.
    """
    x_low, x_high = left + (i - 1) * width / n, left + (i + 2) * width / n
    low, high = np.inf, -np.inf
    for k in range(begin, end):
        f = k + 1 if k + 1 < end else begin
        ax, ay, bx, by = points[k, 0], points[k, 1], points[f, 0], points[f, 1]
        if max(ax, bx) < x_low or min(ax, bx) > x_high:
            continue
        for x in (min(max(ax, x_low), x_high), min(max(bx, x_low), x_high)):
            y = ay + (x - ax) / (bx - ax) * (by - ay) if bx != ax else ay
            low, high = min(low, y), max(high, y)
        if bx == ax:
            low, high = min(low, by), max(high, by)
    return (max(column(low, bottom, height, n) - 1, column(box[1], bottom, height, n)),
            min(column(high, bottom, height, n) + 1, column(box[3], bottom, height, n)))


@loop
def column(x, start, length, n):
    """The square of a coordinate, rounding and all: it grows with x, so boxes that overlap share one."""
    return min(max(int((x - start) / length * n), 0), n - 1)


@loop
def clipped(xy, n, other, begin, end, spare):
    """The part of a convex polygon that lies in another one (Sutherland and Hodgman 1974).

    Parameters
    ----------
    xy, spare : (size, 2) float64
        The polygon's n corners, and room.
    other : (m, 2) float64
        Of which `begin` to `end` are the corners, counter-clockwise.

    Returns
    -------
    The corners, room, and how many there are, 0 for none.
    """
    for e in range(begin, end):
        ax, ay = other[e, 0], other[e, 1]
        f = e + 1 if e + 1 < end else begin
        dx, dy = other[f, 0] - ax, other[f, 1] - ay
        if 2 * n > min(len(xy), len(spare)):  # where signs are rounding, they may turn at every corner
            xy, spare = grown(xy, 2 * n), grown(spare, 2 * n)
        m = 0
        before = dx * (xy[n - 1, 1] - ay) - dy * (xy[n - 1, 0] - ax)
        h = n - 1
        for i in range(n):
            here = dx * (xy[i, 1] - ay) - dy * (xy[i, 0] - ax)
            if (here < 0.0 and before > 0.0) or (here > 0.0 and before < 0.0):
                r = before / (before - here)
                spare[m, 0] = xy[h, 0] + r * (xy[i, 0] - xy[h, 0])
                spare[m, 1] = xy[h, 1] + r * (xy[i, 1] - xy[h, 1])
                m += 1
            if here >= 0.0:
                spare[m, 0], spare[m, 1] = xy[i, 0], xy[i, 1]
                m += 1
            before, h = here, i
        xy, spare, n = spare, xy, m
        if n < 3:
            return xy, spare, 0
    return xy, spare, n


@loop
def overlaid(
    first, last, points, offsets, classes, cells, slopes, constants, boxes, other_points, other_offsets, other_classes,
    other_cells, other_slopes, other_constants, other_boxes, left, bottom, width, height, n_squares, starts, ids, width_bound,
):
    """Polygons `first` to `last` of one set against all of another.

    Parameters
    ----------
    points, offsets, classes, cells, boxes
        Of the parts of each; `slopes` (C, K, 2) and `constants` (C, K) are the outputs of each cell.
    left, bottom, width, height, n_squares, starts, ids
        The grid of the other ones.
    width_bound : float
        What is thinner than this is rounding.

    Returns
    -------
    areas (Ka, Kb), pairs (N, 2) cells, largest (K,) differences, largest_at (K, 2),
    corners (M, 2), corner_offsets (D + 1,), corner_classes (D, 2) of those with different classes
    """
    n_outputs = slopes.shape[1]
    n_classes = max(n_outputs, 2)
    areas = np.zeros((n_classes, n_classes))
    pairs = np.empty((1024, 2), np.int32)
    largest, largest_at = np.full(n_outputs, -1.0), np.zeros((n_outputs, 2))
    corners, corner_offsets = np.empty((256, 2)), np.zeros(64, np.int64)
    corner_classes = np.empty((64, 2), np.int32)
    n_pairs, n_corners, n_different = np.int64(0), np.int64(0), np.int64(0)
    seen = np.full(len(other_offsets) - 1, -1, np.int32)
    xy, spare = np.empty((64, 2)), np.empty((64, 2))
    for p in range(first, last):
        c = cells[p]
        m = offsets[p + 1] - offsets[p]
        for i in range(column(boxes[p, 0], left, width, n_squares), column(boxes[p, 2], left, width, n_squares) + 1):
            low, high = rows_in_column(points, offsets[p], offsets[p + 1], boxes[p], i, left, bottom, width, height, n_squares)
            for j in range(low, high + 1):
                for at in range(starts[i * n_squares + j], starts[i * n_squares + j + 1]):
                    q = ids[at]
                    if seen[q] == p:
                        continue
                    seen[q] = p
                    if (other_boxes[q, 0] >= boxes[p, 2] or other_boxes[q, 2] <= boxes[p, 0]
                            or other_boxes[q, 1] >= boxes[p, 3] or other_boxes[q, 3] <= boxes[p, 1]):
                        continue
                    begin, end = other_offsets[q], other_offsets[q + 1]
                    if m > min(len(xy), len(spare)):
                        xy, spare = np.empty((2 * m, 2)), np.empty((2 * m, 2))
                    for k in range(m):
                        xy[k, 0], xy[k, 1] = points[offsets[p] + k, 0], points[offsets[p] + k, 1]
                    xy, spare, n = clipped(xy, m, other_points, begin, end, spare)
                    if n == 0:
                        continue
                    twice, around = 0.0, 0.0
                    for k in range(n):
                        f = k + 1 if k + 1 < n else 0
                        twice += ((xy[k, 0] - xy[0, 0]) * (xy[f, 1] - xy[0, 1])
                                  - (xy[k, 1] - xy[0, 1]) * (xy[f, 0] - xy[0, 0]))
                        around += abs(xy[f, 0] - xy[k, 0]) + abs(xy[f, 1] - xy[k, 1])
                    if twice <= width_bound * around:
                        continue
                    a, b, d = classes[p], other_classes[q], other_cells[q]
                    areas[a, b] += twice / 2
                    pairs = grown(pairs, n_pairs + 1)
                    pairs[n_pairs, 0], pairs[n_pairs, 1] = c, d
                    n_pairs += 1
                    for o in range(n_outputs):
                        gx = slopes[c, o, 0] - other_slopes[d, o, 0]
                        gy = slopes[c, o, 1] - other_slopes[d, o, 1]
                        shift = constants[c, o] - other_constants[d, o]
                        for k in range(n):
                            apart = abs(gx * xy[k, 0] + gy * xy[k, 1] + shift)
                            if apart > largest[o]:
                                largest[o] = apart
                                largest_at[o, 0], largest_at[o, 1] = xy[k, 0], xy[k, 1]
                    if a != b:
                        corners = grown(corners, n_corners + n)
                        corner_offsets = grown(corner_offsets, n_different + 2)
                        corner_classes = grown(corner_classes, n_different + 1)
                        corners[n_corners:n_corners + n] = xy[:n]
                        n_corners += n
                        corner_classes[n_different, 0], corner_classes[n_different, 1] = a, b
                        n_different += 1
                        corner_offsets[n_different] = n_corners
    return (areas, pairs[:n_pairs].copy(), largest, largest_at, corners[:n_corners].copy(),
            corner_offsets[:n_different + 1].copy(), corner_classes[:n_different].copy())


@loop
def shared_lengths(lines, others, left, bottom, width, height, n_squares, starts, ids, bound):
    """How much of each segment (L, 2, 2) lies on other ones (O, 2, 2), no farther from it than `bound`: (L,).

    The other segments overlap at most in their ends; the rest is their grid.
    """
    found = np.zeros(len(lines))
    seen = np.full(len(others), -1, np.int64)
    box = np.empty(4)
    for s in range(len(lines)):
        ax, ay = lines[s, 0, 0], lines[s, 0, 1]
        dx, dy = lines[s, 1, 0] - ax, lines[s, 1, 1] - ay
        length = np.hypot(dx, dy)
        if length == 0.0:
            continue
        dx, dy = dx / length, dy / length
        box[0], box[2] = min(ax, lines[s, 1, 0]), max(ax, lines[s, 1, 0])
        box[1], box[3] = min(ay, lines[s, 1, 1]), max(ay, lines[s, 1, 1])
        for i in range(column(box[0], left, width, n_squares), column(box[2], left, width, n_squares) + 1):
            low, high = rows_in_column(lines[s], 0, 2, box, i, left, bottom, width, height, n_squares)
            for j in range(low, high + 1):
                for at in range(starts[i * n_squares + j], starts[i * n_squares + j + 1]):
                    o = ids[at]
                    if seen[o] == s:
                        continue
                    seen[o] = s
                    px, py = others[o, 0, 0] - ax, others[o, 0, 1] - ay
                    qx, qy = others[o, 1, 0] - ax, others[o, 1, 1] - ay
                    if abs(dx * py - dy * px) > bound or abs(dx * qy - dy * qx) > bound:
                        continue
                    t, r = dx * px + dy * py, dx * qx + dy * qy
                    found[s] += max(0.0, min(length, max(t, r)) - max(0.0, min(t, r)))
        found[s] = min(found[s], length)
    return found
