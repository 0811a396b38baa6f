"""Compiled loops that fill convex polygons on a raster. Arrays in, arrays out."""

from __future__ import annotations

import numpy as np

from splinecam_widget.engine.loops import loop


@loop
def fill(points, offsets, ids, raster, first_row):
    """Write `ids` of convex polygons into the pixels of `raster` (H, W) whose centres they contain.

    Parameters
    ----------
    points : (M, 2) float64
        In pixels: x to the right, y down; the centre of pixel (r, c) is at (c + 1/2, first_row + r + 1/2).

    Notes
    -----
    Where an edge meets a row is computed from its upper end, whichever side it is seen from. So polygons with an edge in common
    leave no centre out and share none: one on the edge is of the polygon on its right.
    """
    height, width = raster.shape
    for p in range(len(offsets) - 1):
        low, high = np.inf, -np.inf
        for k in range(offsets[p], offsets[p + 1]):
            low, high = min(low, points[k, 1]), max(high, points[k, 1])
        # Centres with low <= y < high.
        top, bottom = max(0, int(np.ceil(low - first_row - 0.5))), min(height, int(np.ceil(high - first_row - 0.5)))
        for r in range(top, bottom):
            y = first_row + r + 0.5
            left, right = np.inf, -np.inf
            for k in range(offsets[p], offsets[p + 1]):
                n = k + 1 if k + 1 < offsets[p + 1] else offsets[p]
                ax, ay, bx, by = points[k, 0], points[k, 1], points[n, 0], points[n, 1]
                if ay > by or (ay == by and ax > bx):
                    ax, ay, bx, by = bx, by, ax, ay
                if ay <= y and y < by:
                    x = ax + (y - ay) / (by - ay) * (bx - ax)
                    left, right = min(left, x), max(right, x)
            if left > right:
                continue
            for c in range(max(0, int(np.ceil(left - 0.5))), min(width, int(np.ceil(right - 0.5)))):
                raster[r, c] = ids[p]


@loop
def thickened(lines, width):
    """Rectangles (4 L, 2) around segments (L, 2, 2), longer by half the width at either end, so that joints are filled."""
    corners = np.empty((4 * len(lines), 2))
    for s in range(len(lines)):
        dx, dy = lines[s, 1, 0] - lines[s, 0, 0], lines[s, 1, 1] - lines[s, 0, 1]
        length = np.hypot(dx, dy)
        dx, dy = (dx / length * width / 2, dy / length * width / 2) if length > 0 else (width / 2, 0.0)
        for i in range(4):
            end = 0 if i == 0 or i == 3 else 1
            along = -1.0 if end == 0 else 1.0
            across = -1.0 if i < 2 else 1.0
            corners[4 * s + i, 0] = lines[s, end, 0] + along * dx - across * dy
            corners[4 * s + i, 1] = lines[s, end, 1] + along * dy + across * dx
    return corners
