"""Compiled interpolation of outputs inside cells. Arrays in, arrays out."""

from __future__ import annotations

import numpy as np

from splinecam_widget.engine._cell_measures import widest_triangle
from splinecam_widget.engine.loops import loop


@loop
def interpolated(points, offsets, vertices, values, cells, u):
    """Outputs (n, K) at points u (n, 2) of cells (n,), from the three vertices of each that lie widest apart."""
    n_out = values.shape[1]
    out = np.empty((len(u), n_out))
    for i in range(len(u)):
        a, b, d, area = widest_triangle(points, vertices, offsets[cells[i]], offsets[cells[i] + 1])
        s, t = 0.0, 0.0
        if area != 0.0:
            x, y = u[i, 0] - points[a, 0], u[i, 1] - points[a, 1]
            s = (x * (points[d, 1] - points[a, 1]) - y * (points[d, 0] - points[a, 0])) / area
            t = (y * (points[b, 0] - points[a, 0]) - x * (points[b, 1] - points[a, 1])) / area
        for k in range(n_out):
            out[i, k] = values[a, k] + s * (values[b, k] - values[a, k]) + t * (values[d, k] - values[a, k])
    return out
