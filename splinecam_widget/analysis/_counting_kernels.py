"""Compiled loops over balls and convex cells. Arrays in, arrays out. Norms are 1, 2 and, for the largest coordinate, 0."""

from __future__ import annotations

import numpy as np
from numba import njit

UNIT_ROUNDOFF = 2.0**-53


@njit(cache=True, nogil=True, inline="always")
def length_of(x, y, norm):
    """Of a vector."""
    if norm == 2:
        return np.sqrt(x * x + y * y)
    return abs(x) + abs(y) if norm == 1 else max(abs(x), abs(y))


@njit(cache=True, nogil=True)
def distance_to_segment(ax, ay, bx, by, norm):
    """Distance of the origin to a segment.

    Along it a norm is convex: straight between the places where a coordinate vanishes (norm 1) or both are of one magnitude
    (the largest coordinate), so that it is smallest at one of these or at an end.
    """
    dx, dy = bx - ax, by - ay
    best = min(length_of(ax, ay, norm), length_of(bx, by, norm))
    if norm == 2:
        square = dx * dx + dy * dy
        if square > 0.0:
            t = -(ax * dx + ay * dy) / square
            if 0.0 < t < 1.0:
                best = min(best, abs(ax * dy - ay * dx) / np.sqrt(square))
        return best
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


@njit(cache=True, nogil=True)
def meets(x, y, radius, norm, points, vertices, lo, hi):
    """Whether a convex cell, counter-clockwise, has a point in the closed ball."""
    inside = True
    for k in range(lo, hi):
        v, w = vertices[k], vertices[k + 1 if k + 1 < hi else lo]
        ax, ay, bx, by = points[v, 0] - x, points[v, 1] - y, points[w, 0] - x, points[w, 1] - y
        if ax * by - ay * bx < 0.0:
            inside = False
        if distance_to_segment(ax, ay, bx, by, norm) <= radius:
            return True
    return inside


@njit(cache=True, nogil=True)
def counts_in_balls(u, radii, norm, points, offsets, vertices, regions, left, bottom, width, height, n, starts, ids):
    """How many cells and regions meet each closed ball, and how many vertices lie in it: (n, 3)."""
    found = np.zeros((len(u), 3), np.int64)
    cell_seen = np.full(len(offsets) - 1, -1, np.int64)
    region_seen = np.full(len(offsets) - 1, -1, np.int64)
    vertex_seen = np.full(len(points), -1, np.int64)
    is_in_ball = np.zeros(len(points), np.bool_)
    for i in range(len(u)):
        x, y, radius = u[i, 0], u[i, 1], radii[i]
        # Boxes are looked up by rounded numbers: the ball's is made larger by the rounding of its sides.
        reach = radius + 4 * UNIT_ROUNDOFF * (abs(x) + abs(y) + radius)
        lo_x, hi_x = _column(x - reach, left, width, n), _column(x + reach, left, width, n)
        lo_y, hi_y = _column(y - reach, bottom, height, n), _column(y + reach, bottom, height, n)
        for column in range(lo_x, hi_x + 1):
            for row in range(lo_y, hi_y + 1):
                box = column * n + row
                for at in range(starts[box], starts[box + 1]):
                    c = ids[at]
                    if cell_seen[c] == i:
                        continue
                    cell_seen[c] = i
                    has_vertex = False
                    for k in range(offsets[c], offsets[c + 1]):
                        v = vertices[k]
                        if vertex_seen[v] != i:
                            vertex_seen[v] = i
                            is_in_ball[v] = length_of(points[v, 0] - x, points[v, 1] - y, norm) <= radius
                            found[i, 2] += is_in_ball[v]
                        has_vertex |= is_in_ball[v]
                    if not (has_vertex or meets(x, y, radius, norm, points, vertices, offsets[c], offsets[c + 1])):
                        continue
                    found[i, 0] += 1
                    if region_seen[regions[c]] != i:
                        region_seen[regions[c]] = i
                        found[i, 1] += 1
    return found


@njit(cache=True, nogil=True, inline="always")
def _column(x, left, width, n):
    return int(min(max((x - left) / width * n, 0.0), n - 1.0))


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
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
