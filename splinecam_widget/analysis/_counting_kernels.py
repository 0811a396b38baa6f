"""Compiled loops over balls and convex cells. Arrays in, arrays out. Norms are 1, 2 and, for the largest coordinate, 0."""

from __future__ import annotations

import numpy as np

from splinecam_widget.engine.loops import inlined, loop

UNIT_ROUNDOFF = 2.0**-53


@inlined
def length_of(x, y, norm):
    """Of a vector."""
    if norm == 2:
        return np.sqrt(x * x + y * y)
    return abs(x) + abs(y) if norm == 1 else max(abs(x), abs(y))


@loop
def distance_to_segment(ax, ay, bx, by, norm):
    """Distance of the origin to a segment.

    Along it a norm is convex: straight between the places where a coordinate vanishes (norm 1) or both are of one magnitude
    (the largest coordinate), so that it is smallest at one of these or at an end.
    """
    dx, dy = bx - ax, by - ay
    if norm == 2:
        square, along = dx * dx + dy * dy, -(ax * dx + ay * dy)
        if 0.0 < along < square:  # nearest in between
            return abs(ax * dy - ay * dx) / np.sqrt(square)
        return length_of(ax, ay, norm) if along <= 0.0 else length_of(bx, by, norm)
    best = min(length_of(ax, ay, norm), length_of(bx, by, norm))
    for i in range(2):
        if norm == 1:
            value, slope = (ax, dx) if i == 0 else (ay, dy)
        else:
            value, slope = (ax - ay, dx - dy) if i == 0 else (ax + ay, dx + dy)
        if slope != 0.0:
            t = -value / slope
            if 0.0 < t < 1.0:
                best = min(best, length_of(ax + t * dx, ay + t * dy, norm))
    return best


@loop
def meets(x, y, radius, norm, points, vertices, lo, hi):
    """Whether a convex cell, counter-clockwise, has a point in the closed ball."""
    for k in range(lo, hi):  # most that meet it have a corner in it
        if length_of(points[vertices[k], 0] - x, points[vertices[k], 1] - y, norm) <= radius:
            return True
    inside = True
    for k in range(lo, hi):
        v, w = vertices[k], vertices[k + 1 if k + 1 < hi else lo]
        ax, ay, bx, by = points[v, 0] - x, points[v, 1] - y, points[w, 0] - x, points[w, 1] - y
        if ax * by - ay * bx < 0.0:
            inside = False
        if distance_to_segment(ax, ay, bx, by, norm) <= radius:
            return True
    return inside


@loop
def boxes_of(points, ids, left, bottom, width, height, n):
    """The box of an n x n grid that each of some points lies in: its column times n, plus its row."""
    out = np.empty(len(ids), np.int64)
    for k in range(len(ids)):
        x, y = points[ids[k], 0], points[ids[k], 1]
        out[k] = _column(x, left, width, n) * n + _column(y, bottom, height, n)
    return out


@loop
def counts_in_balls(
    u, radii, norm, points, offsets, vertices, regions, left, bottom, width, height, n, starts, ids,
    anchor_boxes, alone_before, shared_starts, shared, vertex_starts, vertex_ids,
):
    """How many cells and regions meet each closed ball, and how many vertices lie in it: (n, 3).

    Where a box lies in the ball as a whole, so do its vertices and the cells whose first corner, their anchor, is among them:
    those are only counted. A cell with its anchor elsewhere that meets the ball has a point in another box of the ball's range.

    Parameters
    ----------
    starts, ids :
        The cells that may have points in each box.
    anchor_boxes : (C,) int64
        The box of each cell's anchor.
    alone_before : (n n + 1,) int64
        Anchors of cells that are a region by themselves, in all boxes before.
    shared_starts, shared : (n n + 1,), (m,) int64
        The other cells, by the boxes of their anchors.
    vertex_starts, vertex_ids : (n n + 1,), (V,) int64
        Vertices by their boxes.
    """
    found = np.zeros((len(u), 3), np.int64)
    cell_seen = np.full(len(offsets) - 1, -1, np.int64)
    region_seen = np.full(len(offsets) - 1, -1, np.int64)
    first, end = np.zeros(n, np.int64), np.zeros(n, np.int64)  # of the rows of each column that lie in the ball as a whole
    margin_x, margin_y = 8 * UNIT_ROUNDOFF * (abs(left) + width), 8 * UNIT_ROUNDOFF * (abs(bottom) + height)
    for i in range(len(u)):
        x, y, radius = u[i, 0], u[i, 1], radii[i]
        # Boxes are looked up by rounded numbers: the ball's is made larger by the rounding of its sides.
        reach = radius + 4 * UNIT_ROUNDOFF * (abs(x) + abs(y) + radius)
        lo_x, hi_x = _column(x - reach, left, width, n), _column(x + reach, left, width, n)
        lo_y, hi_y = _column(y - reach, bottom, height, n), _column(y + reach, bottom, height, n)
        inner, outer = radius * (1 - 8 * UNIT_ROUNDOFF), radius * (1 + 8 * UNIT_ROUNDOFF)
        for column in range(lo_x, hi_x + 1):
            dx = _farthest(x, left, width, column, n, margin_x)
            low, high = lo_y, hi_y
            while low <= high and length_of(dx, _farthest(y, bottom, height, low, n, margin_y), norm) > inner:
                low += 1
            while high > low and length_of(dx, _farthest(y, bottom, height, high, n, margin_y), norm) > inner:
                high -= 1
            first[column], end[column] = low, high + 1
            lo, hi = column * n + first[column], column * n + end[column]
            n_alone = alone_before[hi] - alone_before[lo]
            found[i, 0] += n_alone + shared_starts[hi] - shared_starts[lo]
            found[i, 1] += n_alone
            found[i, 2] += vertex_starts[hi] - vertex_starts[lo]
            for at in range(shared_starts[lo], shared_starts[hi]):
                if region_seen[regions[shared[at]]] != i:
                    region_seen[regions[shared[at]]] = i
                    found[i, 1] += 1
        for column in range(lo_x, hi_x + 1):
            dx = _nearest(x, left, width, column, n, margin_x)
            for place in range(lo_y, hi_y + 1 - (end[column] - first[column])):
                row = place if place < first[column] else place + end[column] - first[column]
                if length_of(dx, _nearest(y, bottom, height, row, n, margin_y), norm) > outer:
                    continue
                box = column * n + row
                for at in range(vertex_starts[box], vertex_starts[box + 1]):
                    v = vertex_ids[at]
                    if length_of(points[v, 0] - x, points[v, 1] - y, norm) <= radius:
                        found[i, 2] += 1
                for at in range(starts[box], starts[box + 1]):
                    c = ids[at]
                    if cell_seen[c] == i:
                        continue
                    cell_seen[c] = i
                    its_column, its_row = anchor_boxes[c] // n, anchor_boxes[c] % n
                    if lo_x <= its_column <= hi_x and first[its_column] <= its_row < end[its_column]:
                        continue
                    if meets(x, y, radius, norm, points, vertices, offsets[c], offsets[c + 1]):
                        found[i, 0] += 1
                        if region_seen[regions[c]] != i:
                            region_seen[regions[c]] = i
                            found[i, 1] += 1
    return found


@inlined
def _farthest(x, left, width, column, n, margin):
    """How far at most a number is from those of a column."""
    low = left + column * width / n - margin
    high = left + (column + 1) * width / n + margin
    return max(abs(low - x), abs(high - x))


@inlined
def _nearest(x, left, width, column, n, margin):
    """How far at least a number is from those of a column."""
    low = left + column * width / n - margin
    high = left + (column + 1) * width / n + margin
    return max(low - x, x - high, 0.0)


@inlined
def _column(x, left, width, n):
    return int(min(max((x - left) / width * n, 0.0), n - 1.0))


@loop
def ball_areas(u, radii, norm, polygon):
    """Area (n,) of the part of each ball that lies in a convex polygon."""
    out = np.empty(len(u))
    corners = np.arange(len(polygon))
    for i in range(len(u)):
        if not meets(u[i, 0], u[i, 1], radii[i], norm, polygon, corners, 0, len(polygon)):
            out[i] = 0.0  # where the sums below leave their rounding
        elif norm == 2:
            out[i] = _disc_area(u[i, 0], u[i, 1], radii[i], polygon)
        else:
            out[i] = _square_area(u[i, 0], u[i, 1], radii[i], norm, polygon)
    return out


@loop
def _disc_area(x, y, radius, polygon):
    """Sum over the sides of the signed area of the disc within the triangle of its centre and the side."""
    total, n = 0.0, len(polygon)
    for k in range(n):
        ax, ay = polygon[k, 0] - x, polygon[k, 1] - y
        bx, by = polygon[(k + 1) % n, 0] - x, polygon[(k + 1) % n, 1] - y
        dx, dy = bx - ax, by - ay
        square = dx * dx + dy * dy
        if square == 0.0:
            continue
        cross = ax * by - ay * bx
        middle = -(ax * dx + ay * dy) / square
        half2 = radius * radius / square - (cross / square) ** 2
        if half2 <= 0.0:  # the side's line misses the disc
            total += radius * radius / 2 * np.arctan2(cross, ax * bx + ay * by)
            continue
        half = np.sqrt(half2)
        enter, leave = max(middle - half, 0.0), min(middle + half, 1.0)
        if enter >= leave:
            total += radius * radius / 2 * np.arctan2(cross, ax * bx + ay * by)
            continue
        px, py, qx, qy = ax + enter * dx, ay + enter * dy, ax + leave * dx, ay + leave * dy
        total += cross * (leave - enter) / 2
        total += radius * radius / 2 * (np.arctan2(ax * py - ay * px, ax * px + ay * py)
                                        + np.arctan2(qx * by - qy * bx, qx * bx + qy * by))
    return max(total, 0.0)


@loop
def _square_area(x, y, radius, norm, polygon):
    """The polygon, seen from the centre, cut along the four sides of the square that is the ball of norm 1, or 0."""
    n = len(polygon)
    here, there = np.empty((n + 8, 2)), np.empty((n + 8, 2))
    for k in range(n):
        here[k, 0], here[k, 1] = polygon[k, 0] - x, polygon[k, 1] - y
    for side in range(4):
        # The side is where p u + q v = radius.
        if norm == 1:
            p, q = (1.0 if side % 2 == 0 else -1.0), (1.0 if side < 2 else -1.0)
        else:
            p, q = (1.0 - side if side % 2 == 0 else 0.0), (2.0 - side if side % 2 == 1 else 0.0)
        m = 0
        for k in range(n):
            a, b = here[k], here[(k + 1) % n]
            over, next_over = p * a[0] + q * a[1] - radius, p * b[0] + q * b[1] - radius
            if over <= 0.0:
                there[m] = a
                m += 1
            if (over < 0.0 < next_over) or (next_over < 0.0 < over):
                t = over / (over - next_over)
                there[m, 0], there[m, 1] = a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])
                m += 1
        here, there, n = there, here, m
    twice = 0.0
    for k in range(1, n - 1):
        twice += ((here[k, 0] - here[0, 0]) * (here[k + 1, 1] - here[0, 1])
                  - (here[k, 1] - here[0, 1]) * (here[k + 1, 0] - here[0, 0]))
    return max(twice / 2, 0.0)
