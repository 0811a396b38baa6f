"""Compiled loops that cut cells where two outputs tie. Arrays in, arrays out.

Inside a cell the outputs are affine, so the part where one class wins is the cell clipped by half-planes: convex, one
polygon a class. Ties go to the lower class, as in `torch.argmax`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ._cell_kernel import grown


@njit(cache=True, nogil=True)
def winner_pieces(points, offsets, vertices, values, tolerance):
    """The parts of cells in which one class wins, for cells where more than one does.

    Parameters
    ----------
    values : (V, K) outputs at the vertices
    tolerance : (K,) their rounding error; two outputs nearer than the sum of theirs tie

    Returns
    -------
    cell_winner (C,) : the class that wins on the cell (on its largest part)
    piece_points (M, 2), piece_offsets (P + 1,), piece_winner (P,), piece_cell (P,) : parts of mixed cells
    segments (S, 4), segment_classes (S, 2), segment_cell (S,) : ties inside cells, lower class first
    """
    n_cells, n_out = len(offsets) - 1, values.shape[1]
    cell_winner = np.empty(n_cells, np.int32)
    piece_points = np.empty((64, 2))
    piece_offsets = np.zeros(64, np.int64)
    piece_winner = np.empty(64, np.int32)
    piece_cell = np.empty(64, np.int32)
    segments = np.empty((64, 4))
    segment_classes = np.empty((64, 2), np.int32)
    segment_cell = np.empty(64, np.int32)
    n_pieces, n_points, n_segments = np.int64(0), np.int64(0), np.int64(0)
    candidates = np.empty(n_out, np.int64)
    # A polygon under the knife: coordinates, candidate values, and the class across the edge that starts at each corner.
    size = 64
    xy, z, tag = np.empty((size, 2)), np.empty((size, n_out)), np.empty(size, np.int64)
    xy2, z2, tag2 = np.empty((size, 2)), np.empty((size, n_out)), np.empty(size, np.int64)
    for c in range(n_cells):
        lo, hi = offsets[c], offsets[c + 1]
        floor = -np.inf
        for k in range(n_out):
            low = np.inf
            for i in range(lo, hi):
                low = min(low, values[vertices[i], k] - tolerance[k])
            floor = max(floor, low)
        m = 0
        for k in range(n_out):
            high = -np.inf
            for i in range(lo, hi):
                high = max(high, values[vertices[i], k] + tolerance[k])
            if high >= floor:
                candidates[m] = k
                m += 1
        # Candidates that another one beats or equals at every vertex win nowhere (equals: the lower class wins).
        kept = 0
        for x in range(m):
            k = candidates[x]
            beaten = False
            for y in range(m):
                j = candidates[y]
                if j == k:
                    continue
                all_worse, some_better = True, False
                for i in range(lo, hi):
                    d = values[vertices[i], k] - values[vertices[i], j]
                    if d > tolerance[k] + tolerance[j]:
                        all_worse = False
                        break
                    if d < -(tolerance[k] + tolerance[j]):
                        some_better = True
                if all_worse and (some_better or j < k):
                    beaten = True
                    break
            if not beaten:
                candidates[kept] = k
                kept += 1
        m = kept
        if m == 1:
            cell_winner[c] = candidates[0]
            continue
        need = hi - lo + m + 2
        if need > size:
            size = need
            xy, z, tag = np.empty((size, 2)), np.empty((size, n_out)), np.empty(size, np.int64)
            xy2, z2, tag2 = np.empty((size, 2)), np.empty((size, n_out)), np.empty(size, np.int64)
        best_area = -1.0
        cell_winner[c] = candidates[0] if m else 0
        for x in range(m):
            k = candidates[x]
            n = hi - lo
            for i in range(n):
                v = vertices[lo + i]
                xy[i] = points[v]
                tag[i] = -1
                for y in range(m):
                    z[i, y] = values[v, candidates[y]]
            for y in range(m):
                if y == x or n == 0:
                    continue
                j = candidates[y]
                tol = tolerance[k] + tolerance[j]
                count = 0
                any_plus = False
                for i in range(n):
                    i2 = i + 1 if i + 1 < n else 0
                    d, d2 = z[i, x] - z[i, y], z[i2, x] - z[i2, y]
                    s = 1 if d > tol else (-1 if d < -tol else 0)
                    s2 = 1 if d2 > tol else (-1 if d2 < -tol else 0)
                    if s > 0:
                        any_plus = True
                    if s >= 0:
                        xy2[count] = xy[i]
                        z2[count, :m] = z[i, :m]
                        # From a tie at this corner into the other side: the new edge runs along the tie.
                        tag2[count] = j if (s == 0 and s2 < 0) else tag[i]
                        count += 1
                    if s * s2 < 0:
                        r = d / (d - d2)
                        xy2[count, 0] = xy[i, 0] + r * (xy[i2, 0] - xy[i, 0])
                        xy2[count, 1] = xy[i, 1] + r * (xy[i2, 1] - xy[i, 1])
                        for q in range(m):
                            z2[count, q] = z[i, q] + r * (z[i2, q] - z[i, q])
                        tag2[count] = j if s > 0 else tag[i]
                        count += 1
                if not any_plus:
                    count = 0
                xy, xy2, z, z2, tag, tag2 = xy2, xy, z2, z, tag2, tag
                n = count
            if n < 3:
                continue
            piece_points = grown(piece_points, n_points + n)
            piece_offsets = grown(piece_offsets, n_pieces + 2)
            piece_winner = grown(piece_winner, n_pieces + 1)
            piece_cell = grown(piece_cell, n_pieces + 1)
            area = 0.0
            for i in range(n):
                i2 = i + 1 if i + 1 < n else 0
                piece_points[n_points + i] = xy[i]
                area += (xy[i, 0] - xy[0, 0]) * (xy[i2, 1] - xy[0, 1]) - (xy[i, 1] - xy[0, 1]) * (xy[i2, 0] - xy[0, 0])
                if tag[i] > k:
                    segments = grown(segments, n_segments + 1)
                    segment_classes = grown(segment_classes, n_segments + 1)
                    segment_cell = grown(segment_cell, n_segments + 1)
                    segments[n_segments, 0] = xy[i, 0]
                    segments[n_segments, 1] = xy[i, 1]
                    segments[n_segments, 2] = xy[i2, 0]
                    segments[n_segments, 3] = xy[i2, 1]
                    segment_classes[n_segments, 0] = k
                    segment_classes[n_segments, 1] = tag[i]
                    segment_cell[n_segments] = c
                    n_segments += 1
            if area > best_area:
                best_area = area
                cell_winner[c] = k
            n_points += n
            piece_winner[n_pieces] = k
            piece_cell[n_pieces] = c
            n_pieces += 1
            piece_offsets[n_pieces] = n_points
    return (cell_winner, piece_points[:n_points].copy(), piece_offsets[: n_pieces + 1].copy(),
            piece_winner[:n_pieces].copy(), piece_cell[:n_pieces].copy(),
            segments[:n_segments].copy(), segment_classes[:n_segments].copy(), segment_cell[:n_segments].copy())


@njit(cache=True, nogil=True)
def tied_vertices(values, tolerance):
    """Vertices at which a second output ties with the largest: (V,) bool."""
    n_vertices, n_out = values.shape
    tied = np.zeros(n_vertices, np.bool_)
    for v in range(n_vertices):
        best = 0
        for k in range(1, n_out):
            if values[v, k] > values[v, best]:
                best = k
        for k in range(n_out):
            if k != best and values[v, best] - values[v, k] <= tolerance[best] + tolerance[k]:
                tied[v] = True
                break
    return tied


@njit(cache=True, nogil=True)
def ties_along_edges(points, edges, beside, offsets, vertices, values, tolerance, tied):
    """Inner edges along which outputs tie for the maximum and different classes win on either side.

    Returns
    -------
    found (S,) : edge ids
    classes (S, 2) : the winners, lower first
    """
    n_out = values.shape[1]
    found = np.empty(16, np.int64)
    classes = np.empty((16, 2), np.int32)
    n = 0
    for e in range(len(edges)):
        a, b = edges[e, 0], edges[e, 1]
        if not (tied[a] and tied[b]) or beside[e, 0] < 0 or beside[e, 1] < 0:
            continue
        best_a, best_b = values[a].max(), values[b].max()
        winners = (-1, -1)
        ex, ey = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1]
        for side in range(2):
            c = beside[e, side]
            far, across = a, -1.0
            for k in range(offsets[c], offsets[c + 1]):
                v = vertices[k]
                d = abs(ex * (points[v, 1] - points[a, 1]) - ey * (points[v, 0] - points[a, 0]))
                if d > across:
                    far, across = v, d
            win, n_tied = -1, 0
            for k in range(n_out):
                if best_a - values[a, k] > 2 * tolerance[k] or best_b - values[b, k] > 2 * tolerance[k]:
                    continue
                n_tied += 1
                if win < 0 or values[far, k] - values[far, win] > tolerance[k] + tolerance[win]:
                    win = k
            if n_tied < 2:
                win = -1
            winners = (win, winners[1]) if side == 0 else (winners[0], win)
        if winners[0] >= 0 and winners[1] >= 0 and winners[0] != winners[1]:
            found = grown(found, n + 1)
            classes = grown(classes, n + 1)
            found[n] = e
            classes[n, 0] = min(winners)
            classes[n, 1] = max(winners)
            n += 1
    return found[:n].copy(), classes[:n].copy()
