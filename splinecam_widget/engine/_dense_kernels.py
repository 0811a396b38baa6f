"""One whole stage of a small net of matrices in one compiled call.

Each call from Python into compiled code costs some ten microseconds for its arrays, and each torch operation as much: for a
few hundred cells more than the work itself. Knows no network; arrays in, arrays out.
"""

from __future__ import annotations

import numpy as np

from ._cell_kernel import split_cells
from ._sign_kernels import edge_crossings, edge_pieces, pack_signs, rows_at
from .loops import loop, summing


@loop
def dense_rows(old, edge_ends, edge_t, chord_ends, chord_weights, above, below, matrix, bias):
    """What a matrix (n, m) makes of an activation with slopes `above` and `below` zero, as rows (V, m).

    At vertices whose pre-activations are `old` (V_old, n), and at the new ones that lie between them, see `rows_at`.
    """
    n_old, n = old.shape
    n_new, m = len(edge_t) + len(chord_ends), matrix.shape[1]
    out = np.empty((n_old + n_new, m))
    one = np.empty((1, n))
    for v in range(n_old + n_new):
        if v < n_old:
            one[0] = old[v]
        else:
            rows_at(old, edge_ends, edge_t, chord_ends, chord_weights, v - n_old, one)
        out[v] = bias
        for k in range(n):
            z = one[0, k]
            x = z * above[k] if z > 0 else z * below[k]
            if x != 0:
                for j in range(m):
                    out[v, j] += x * matrix[k, j]
    return out


@summing
def narrow_rows(old, positive_weights, negative_weights, bias, out):
    """The same for few outputs at old vertices alone, into `out` (V, m), by what positive and negative entries count, (m, n).

    What a row becomes does not depend on those beside it. As a larger and a smaller one of two, the sides are told apart
    several at a time, and NaN stays what it is.
    """
    m, n = positive_weights.shape
    for v in range(len(old)):
        for j in range(m):
            total = 0.0
            for k in range(n):
                z = old[v, k]
                total += max(z, 0.0) * positive_weights[j, k] + min(z, 0.0) * negative_weights[j, k]
            out[v, j] = total + bias[j]


@loop
def dense_bound(before, slope, kink_error, matrix, bias, sum_error, terms):
    """Bounds (2, m) of squared magnitudes and squared errors after it, as `rounding.step_bound` finds them."""
    n, m = matrix.shape
    after = np.empty((2, m))
    for j in range(m):
        after[0, j], after[1, j] = bias[j] * bias[j], 0.0
    for k in range(n):
        square = slope * slope * before[0, k]
        variance = slope * slope * before[1, k] + kink_error * square
        for j in range(m):
            weight = matrix[k, j] * matrix[k, j]
            after[0, j] += weight * square
            after[1, j] += weight * variance
    for j in range(m):
        after[1, j] += sum_error * after[0, j]
        after[0, j] *= terms
    return after


@loop
def dense_stage(
    old, edge_ends, edge_t, chord_ends, chord_weights, above, below, matrix, bias,
    before, slope, kink_error, sum_error, terms, confidence, lerp_error,
    layer, points, edges, edge_layer, edge_unit, cell_offsets, cell_vertices, cell_edges, cell_hashes, most_cells,
    most_entries, least_traced, halt,
):
    """Values, bounds and signs after a stage, and the complex cut by them, see `splitting.split_complex`.

    Returns
    -------
    rows (V, m), bound (2, m) after interpolation, tolerance (m,), positive and negative (V, W), peak (m,), n_zero
    crossing_offsets, crossing_units, parents, t, edge_ends, n_close : of edges
    points, edges, edge_layers, edge_units : after the cut
    split : what `split_cells` returns
    """
    rows = dense_rows(old, edge_ends, edge_t, chord_ends, chord_weights, above, below, matrix, bias)
    bound = dense_bound(before, slope, kink_error, matrix, bias, sum_error, terms)
    n_vertices, m = rows.shape
    tolerance = confidence * np.sqrt(bound[1])
    positive = np.empty((n_vertices, (m + 63) // 64), np.uint64)
    negative = np.empty_like(positive)
    peak = np.empty(m)
    n_zero = pack_signs(rows, tolerance, positive, negative, peak)
    for j in range(m):
        bound[0, j] = peak[j] * peak[j]
        bound[1, j] += lerp_error * bound[0, j]
    offsets, units, places, parents, t, vertex_offsets, n_close = edge_crossings(
        0, len(edges), edges, positive, negative, rows, tolerance)
    n_on_edges = len(t)
    n_pieces = len(edges) + vertex_offsets[len(edges)]
    split = split_cells(
        0, len(cell_offsets) - 1, layer, cell_offsets, cell_vertices, cell_edges, cell_hashes, edges, positive, negative, rows,
        tolerance, offsets, units, places, vertex_offsets, t, n_vertices, n_vertices + n_on_edges, n_pieces, most_cells,
        most_entries, least_traced, halt)
    ends, weights, chords, chord_units = split[5], split[6], split[8], split[9]
    all_edges, layers, all_units = edge_pieces(
        edges, edge_layer, edge_unit, vertex_offsets, n_vertices, chords, layer, chord_units)
    new_ends = np.empty((n_on_edges, 2), np.int32)
    for i in range(n_on_edges):
        new_ends[i] = edges[parents[i]]
    all_points = np.empty((n_vertices + n_on_edges + len(ends), 2))
    all_points[:n_vertices] = points
    rows_at(points, new_ends, t, ends, weights, 0, all_points[n_vertices:])
    return (
        rows, bound, tolerance, positive, negative, peak, n_zero, offsets, units, parents, t, new_ends, n_close,
        all_points, all_edges, layers, all_units, split)
