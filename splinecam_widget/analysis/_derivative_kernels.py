"""Compiled loops over cells and the units that bend otherwise in them. Arrays in, arrays out."""

from __future__ import annotations

import numpy as np

from splinecam_widget.engine.loops import loop


@loop
def add_hats(before, along, parents, moves, columns, rows, slopes):
    """Add to tensors what units change that are on the other side of zero than at the parent's place.

    Parameters
    ----------
    before : (p, w) float64
        Pre-activations at the parents' places.
    along : (m, p, w) float64
        Their derivatives.
    parents : (n,) int64
    moves : (m, n) float64
        How far each place is from its parent's, along each direction.
    columns : (w, k) float64
        See `engine.hats`.
    rows : (n, k) float64
        Changed: a tensor's values at the places, as by the pieces at the parents' places.
    slopes : (m, n, k) float64
        Changed: its derivatives.
    """
    m, n_units = along.shape[0], before.shape[1]
    there = np.empty(n_units)
    for c in range(len(parents)):
        p = parents[c]
        there[:] = before[p]
        for i in range(m):
            step = moves[i, c]
            for k in range(n_units):
                there[k] += step * along[i, p, k]
        for k in range(n_units):
            is_on = there[k] > 0.0
            if is_on == (before[p, k] > 0.0):
                continue
            sign = 1.0 if is_on else -1.0
            factor = sign * there[k]
            for j in range(columns.shape[1]):
                rows[c, j] += factor * columns[k, j]
            for i in range(m):
                factor = sign * along[i, p, k]
                for j in range(columns.shape[1]):
                    slopes[i, c, j] += factor * columns[k, j]
