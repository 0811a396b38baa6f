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
    # A polygon under the knife: coordinates, candidate values, the candidate across the edge that starts at each corner.
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
                if 2 * n > size:  # where values are noise, signs may turn at every corner
                    size = 2 * n
                    xy, z, tag = grown(xy, size), grown(z, size), grown(tag, size)
                    xy2, z2, tag2 = grown(xy2, size), grown(z2, size), grown(tag2, size)
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
                        tag2[count] = y if (s == 0 and s2 < 0) else tag[i]
                        if s == 0 and s2 == 0 and tag[i] >= 0:
                            # Three classes tie along this edge. Across it wins the one that falls back faster here.
                            rival = tag[i]
                            ahead, rival_ahead = 0.0, 0.0
                            for q in range(n):
                                if z[q, x] - z[q, y] > ahead:
                                    ahead, rival_ahead = z[q, x] - z[q, y], z[q, x] - z[q, rival]
                            slack = tol + tolerance[k] + tolerance[candidates[rival]]
                            if ahead > rival_ahead + slack or (ahead >= rival_ahead - slack and y < rival):
                                tag2[count] = y
                        count += 1
                    if s * s2 < 0:
                        r = d / (d - d2)
                        xy2[count, 0] = xy[i, 0] + r * (xy[i2, 0] - xy[i, 0])
                        xy2[count, 1] = xy[i, 1] + r * (xy[i2, 1] - xy[i, 1])
                        for q in range(m):
                            z2[count, q] = z[i, q] + r * (z[i2, q] - z[i, q])
                        tag2[count] = y if s > 0 else tag[i]
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
                if tag[i] >= 0 and candidates[tag[i]] > k:
                    segments = grown(segments, n_segments + 1)
                    segment_classes = grown(segment_classes, n_segments + 1)
                    segment_cell = grown(segment_cell, n_segments + 1)
                    segments[n_segments, 0] = xy[i, 0]
                    segments[n_segments, 1] = xy[i, 1]
                    segments[n_segments, 2] = xy[i2, 0]
                    segments[n_segments, 3] = xy[i2, 1]
                    segment_classes[n_segments, 0] = k
                    segment_classes[n_segments, 1] = candidates[tag[i]]
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
def ties_along_edges(points, edges, beside, offsets, vertices, values, tolerance):
    """Parts of inner edges along which outputs tie for the maximum and different classes win on either side.

    Returns
    -------
    segments (S, 4) : both ends of each part
    classes (S, 2) : the winners, lower first
    cells (S,) : the cell on the left of the edge
    """
    n_out = values.shape[1]
    segments = np.empty((16, 4))
    classes = np.empty((16, 2), np.int32)
    cells = np.empty(16, np.int32)
    candidates = np.empty(n_out, np.int64)
    taken = np.empty(n_out, np.bool_)
    n = 0
    for e in range(len(edges)):
        a, b = edges[e, 0], edges[e, 1]
        if beside[e, 0] < 0 or beside[e, 1] < 0:
            continue
        # The classes that may be largest somewhere on the edge: not below at both ends what another reaches at both.
        floor = -np.inf
        for k in range(n_out):
            floor = max(floor, min(values[a, k], values[b, k]) - tolerance[k])
        m = 0
        for k in range(n_out):
            if max(values[a, k], values[b, k]) + tolerance[k] >= floor:
                candidates[m] = k
                taken[m] = False
                m += 1
        for x in range(m):
            if taken[x]:
                continue
            k = candidates[x]
            low, high = 0.0, 1.0
            n_tied = 0
            for y in range(m):
                j = candidates[y]
                tol = tolerance[k] + tolerance[j]
                d, d2 = values[a, k] - values[a, j], values[b, k] - values[b, j]
                if y == x or (abs(d) <= tol and abs(d2) <= tol):
                    taken[y] = True
                    n_tied += 1
                elif d <= tol and d2 <= tol:
                    high = -1.0
                elif d < -tol:
                    low = max(low, d / (d - d2))
                elif d2 < -tol:
                    high = min(high, d / (d - d2))
            if n_tied < 2 or high <= low:
                continue
            left = winner_across(points, vertices, offsets, values, tolerance, a, b, beside[e, 0], k, candidates, m)
            right = winner_across(points, vertices, offsets, values, tolerance, a, b, beside[e, 1], k, candidates, m)
            if left == right:
                continue
            segments = grown(segments, n + 1)
            classes = grown(classes, n + 1)
            cells = grown(cells, n + 1)
            for i in range(2):
                along = points[b, i] - points[a, i]
                segments[n, i] = points[a, i] + low * along
                segments[n, 2 + i] = points[b, i] if high == 1.0 else points[a, i] + high * along
            classes[n, 0] = min(left, right)
            classes[n, 1] = max(left, right)
            cells[n] = beside[e, 0]
            n += 1
    return segments[:n].copy(), classes[:n].copy(), cells[:n].copy()


@njit(cache=True, nogil=True)
def winner_across(points, vertices, offsets, values, tolerance, a, b, c, k, candidates, m):
    """The class that wins in cell c beside its edge (a, b), of the candidates that tie with k along the edge."""
    ex, ey = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1]
    far, across = a, -1.0
    for i in range(offsets[c], offsets[c + 1]):
        v = vertices[i]
        d = abs(ex * (points[v, 1] - points[a, 1]) - ey * (points[v, 0] - points[a, 0]))
        if d > across:
            far, across = v, d
    win = k
    for y in range(m):
        j = candidates[y]
        tol = tolerance[k] + tolerance[j]
        if abs(values[a, k] - values[a, j]) > tol or abs(values[b, k] - values[b, j]) > tol:
            continue
        ahead = values[far, j] - values[far, win]
        slack = tolerance[j] + tolerance[win]
        if ahead > slack or (ahead >= -slack and j < win):
            win = j
    return win
