"""Compiled loops that cut cells where two outputs tie. Arrays in, arrays out.

Inside a cell the outputs are affine, so the part where one class wins is the cell clipped by half-planes: convex, one
polygon a class. Ties go to the lower class, as in `torch.argmax`.

Every place at which classes tie has a key (4,) int64, the same whichever cell, class or direction it is found from: a vertex v
is (v << 32 | v, -1, -1, -1); where classes p < q tie on an edge between vertices a < b, (a << 32 | b, p, q, -1); where
p < q < r tie inside cell c, (-1 - c, p, q, r). Coordinates follow from the key, so those of one key are equal bit by bit.
Where more classes tie than a key names, links join the keys of one place.
"""

from __future__ import annotations

import numpy as np

from ._growing_kernels import grown
from .loops import inlined, loop


@inlined
def place_between(v, w):
    """The first number of a key on the edge between two vertices, or at the vertex that is both."""
    return min(np.int64(v), np.int64(w)) << 32 | max(np.int64(v), np.int64(w))


@inlined
def set_key(key, place, p, q, r):
    """Write a key; classes in any order, -1 for r where there are two."""
    key[0] = place
    key[1], key[2], key[3] = min(p, q), max(p, q), r
    if r >= 0:
        if r < key[2]:
            key[2], key[3] = r, key[2]
        if key[2] < key[1]:
            key[1], key[2] = key[2], key[1]


@inlined
def tie_between(values, v, w, k, j):
    """Where classes k and j tie between two vertices: 0 at the lower one, 1 at the other. Equal for both orders of both."""
    a, b = min(v, w), max(v, w)
    d, d2 = values[a, k] - values[a, j], values[b, k] - values[b, j]
    if d == d2:
        return 0.5
    return min(max(d / (d - d2), 0.0), 1.0)


@loop
def linked(links, n, place, p, q, r, p2, q2, r2):
    """Links with one more, between two keys of one place."""
    links = grown(links, n + 1)
    set_key(links[n, 0], place, p, q, r)
    set_key(links[n, 1], place, p2, q2, r2)
    return links


@loop
def clear_winners(values, tolerance):
    """The class (V,) that is larger than every other by more than their rounding, -1 where none is.

    Where it is the same at all vertices of a cell or an edge, it wins there alone.
    """
    n, n_out = values.shape
    winners = np.empty(n, np.int32)
    for v in range(n):
        best = 0
        for k in range(1, n_out):
            if values[v, k] > values[v, best]:
                best = k
        winners[v] = best
        for k in range(n_out):
            if k != best and not values[v, best] - values[v, k] > tolerance[best] + tolerance[k]:
                winners[v] = -1
    return winners


@loop
def candidates_of(lo, hi, vertices, values, tolerance, low, high, candidates):
    """Writes the classes that may win somewhere on a cell, in order, and returns how many.

    `low` and `high` (K,) are scratch.
    """
    n_out = values.shape[1]
    low[:] = np.inf
    high[:] = -np.inf
    for i in range(lo, hi):
        v = vertices[i]
        for k in range(n_out):
            low[k] = min(low[k], values[v, k])
            high[k] = max(high[k], values[v, k])
    floor = -np.inf
    for k in range(n_out):
        floor = max(floor, low[k] - tolerance[k])
    m = 0
    for k in range(n_out):
        if high[k] + tolerance[k] >= floor:
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
    return kept


@loop
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
    segments (S, 4), segment_classes (S, 2), segment_cell (S,) : ties inside cells, lower class first, which is on the left
    segment_keys (S, 2, 4), links (L, 2, 4) : keys of their ends, and pairs of keys of one place
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
    segment_keys = np.empty((64, 2, 4), np.int64)
    links = np.empty((4, 2, 4), np.int64)
    n_links = 0
    n_pieces, n_points, n_segments = np.int64(0), np.int64(0), np.int64(0)
    candidates = np.empty(n_out, np.int64)
    low, high = np.empty(n_out), np.empty(n_out)
    # A polygon under the knife: coordinates, candidate values, the candidate across the edge that starts at each corner (or -1,
    # and the side of the cell that it lies on), keys.
    size = 64
    xy, z, tag = np.empty((size, 2)), np.empty((size, n_out)), np.empty((size, 2), np.int64)
    xy2, z2, tag2 = np.empty((size, 2)), np.empty((size, n_out)), np.empty((size, 2), np.int64)
    key, key2 = np.empty((size, 4), np.int64), np.empty((size, 4), np.int64)
    # Places inside one cell at which three classes tie: those of the class that comes first are all classes'.
    inner, inner_keys = np.empty((16, 2)), np.empty((16, 4), np.int64)
    clear = clear_winners(values, tolerance)
    for c in range(n_cells):
        lo, hi = offsets[c], offsets[c + 1]
        alone = clear[vertices[lo]] if lo < hi else -1
        for i in range(lo, hi):
            if clear[vertices[i]] != alone:
                alone = -1
                break
        if alone >= 0:
            cell_winner[c] = alone
            continue
        m = candidates_of(lo, hi, vertices, values, tolerance, low, high, candidates)
        if m == 1:
            cell_winner[c] = candidates[0]
            continue
        need = hi - lo + m + 2
        if need > size:
            size = need
            xy, z, tag = np.empty((size, 2)), np.empty((size, n_out)), np.empty((size, 2), np.int64)
            xy2, z2, tag2 = np.empty((size, 2)), np.empty((size, n_out)), np.empty((size, 2), np.int64)
            key, key2 = np.empty((size, 4), np.int64), np.empty((size, 4), np.int64)
        n_inner = 0
        best_area = -1.0
        cell_winner[c] = candidates[0] if m else 0
        for x in range(m):
            k = candidates[x]
            n = hi - lo
            for i in range(n):
                v = vertices[lo + i]
                xy[i] = points[v]
                tag[i, 0], tag[i, 1] = -1, i
                set_key(key[i], place_between(v, v), -1, -1, -1)
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
                    key, key2 = grown(key, size), grown(key2, size)
                count = 0
                any_plus = False
                d = z[n - 1, x] - z[n - 1, y]
                s_before = 1 if d > tol else (-1 if d < -tol else 0)
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
                        tag2[count] = tag[i]
                        key2[count] = key[i]
                        if s == 0 and s2 < 0:  # from a tie at this corner into the other side: the new edge runs along the tie
                            tag2[count, 0] = y
                        if s == 0 and s2 == 0 and tag[i, 0] >= 0:
                            # Three classes tie along this edge. Across it wins the one that falls back faster here.
                            rival = tag[i, 0]
                            ahead, rival_ahead = 0.0, 0.0
                            for q in range(n):
                                if z[q, x] - z[q, y] > ahead:
                                    ahead, rival_ahead = z[q, x] - z[q, y], z[q, x] - z[q, rival]
                            slack = tol + tolerance[k] + tolerance[candidates[rival]]
                            if ahead > rival_ahead + slack or (ahead >= rival_ahead - slack and y < rival):
                                tag2[count, 0] = y
                        if s == 0 and key[i, 1] >= 0:
                            before = tag[i - 1 if i else n - 1, 0]
                            links, n_links = links_at_corner(
                                links, n_links, key[i], k, j, candidates[before] if before >= 0 else -1, s_before,
                                candidates[tag[i, 0]] if tag[i, 0] >= 0 else -1, s2, values, tolerance)
                        count += 1
                    if s * s2 < 0:
                        rival = tag[i, 0]
                        if rival < 0:  # on the cell's side: from the ends of the side, as the neighbouring cell does
                            v = vertices[lo + tag[i, 1]]
                            w = vertices[lo + tag[i, 1] + 1 if lo + tag[i, 1] + 1 < hi else lo]
                            set_key(key2[count], place_between(v, w), k, j, -1)
                            r = tie_between(values, v, w, k, j)
                            v, w = min(v, w), max(v, w)
                            for q in range(2):
                                xy2[count, q] = points[v, q] + r * (points[w, q] - points[v, q])
                            for q in range(m):
                                z2[count, q] = (
                                    values[v, candidates[q]] + r * (values[w, candidates[q]] - values[v, candidates[q]]))
                        else:
                            set_key(key2[count], np.int64(-1 - c), k, j, candidates[rival])
                            r = d / (d - d2)
                            for q in range(2):
                                xy2[count, q] = xy[i, q] + r * (xy[i2, q] - xy[i, q])
                            for q in range(m):
                                z2[count, q] = z[i, q] + r * (z[i2, q] - z[i, q])
                        tag2[count, 0] = y if s > 0 else rival
                        tag2[count, 1] = tag[i, 1]
                        count += 1
                    s_before = s
                if not any_plus:
                    count = 0
                xy, xy2, z, z2, tag, tag2, key, key2 = xy2, xy, z2, z, tag2, tag, key2, key
                n = count
            if n < 3:
                continue
            piece_points = grown(piece_points, n_points + n)
            piece_offsets = grown(piece_offsets, n_pieces + 2)
            piece_winner = grown(piece_winner, n_pieces + 1)
            piece_cell = grown(piece_cell, n_pieces + 1)
            for i in range(n):
                if key[i, 0] < 0:
                    at = 0
                    while at < n_inner and not (inner_keys[at] == key[i]).all():
                        at += 1
                    if at == n_inner:
                        inner, inner_keys = grown(inner, n_inner + 1), grown(inner_keys, n_inner + 1)
                        inner[at], inner_keys[at] = xy[i], key[i]
                        n_inner += 1
                    xy[i] = inner[at]
            area = 0.0
            for i in range(n):
                i2 = i + 1 if i + 1 < n else 0
                piece_points[n_points + i] = xy[i]
                area += (xy[i, 0] - xy[0, 0]) * (xy[i2, 1] - xy[0, 1]) - (xy[i, 1] - xy[0, 1]) * (xy[i2, 0] - xy[0, 0])
                if tag[i, 0] >= 0 and candidates[tag[i, 0]] > k:
                    segments = grown(segments, n_segments + 1)
                    segment_classes = grown(segment_classes, n_segments + 1)
                    segment_cell = grown(segment_cell, n_segments + 1)
                    segment_keys = grown(segment_keys, n_segments + 1)
                    segments[n_segments, 0] = xy[i, 0]
                    segments[n_segments, 1] = xy[i, 1]
                    segments[n_segments, 2] = xy[i2, 0]
                    segments[n_segments, 3] = xy[i2, 1]
                    segment_classes[n_segments, 0] = k
                    segment_classes[n_segments, 1] = candidates[tag[i, 0]]
                    segment_keys[n_segments, 0], segment_keys[n_segments, 1] = key[i], key[i2]
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
            segments[:n_segments].copy(), segment_classes[:n_segments].copy(), segment_cell[:n_segments].copy(),
            segment_keys[:n_segments].copy(), links[:n_links].copy())


@loop
def links_at_corner(links, n, key, k, j, before, s_before, after, s_after, values, tolerance):
    """Links with those of a corner of class k's part where class j ties as well.

    A pair that ties all along the edge, or three classes that tie along a line, have no place there: they get no link.

    Parameters
    ----------
    key (4,) : of the corner, on an edge or inside a cell
    before, after : classes across the sides of the part that meet here, -1 for a side of the cell
    s_before, s_after : the signs of k over j at the corners before and after
    """
    place = key[0]
    if place >= 0:
        v, w = place >> 32, place & 0xFFFFFFFF
        p, q = key[1], key[2]
        for own in (p, q):
            tol = tolerance[own] + tolerance[j]
            if own != j and (abs(values[v, own] - values[v, j]) > tol or abs(values[w, own] - values[w, j]) > tol):
                links = linked(links, n, place, p, q, -1, own, j, -1)
                n += 1
        return links, n
    for rival, sign in ((before, s_before), (after, s_after)):
        if rival >= 0 and rival != j and sign != 0:
            links = linked(links, n, place, key[1], key[2], key[3], k, rival, j)
            n += 1
    if before >= 0 and after >= 0 and before != after:
        links = linked(links, n, place, key[1], key[2], key[3], k, before, after)
        n += 1
    return links, n


@loop
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
