"""Compiled loops over vertices and edges: signs as bits, crossings of edges, interpolation of rows.

Arrays in, arrays out. A *row* is the vector of a tensor's entries at one vertex; a *word* holds 64 units.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_ONE = np.uint64(1)
_SIX = np.int64(6)
_LOW = np.int64(63)


@njit(cache=True, nogil=True)
def pack_signs(rows, tolerance, positive, negative, peak):
    """Signs of rows (V, n) as bit words (V, W): entries > tolerance, entries < -tolerance; peak (n,) = max |entry|."""
    n_rows, n_units = rows.shape
    n_words = positive.shape[1]
    for v in range(n_rows):
        for w in range(n_words):
            plus = np.uint64(0)
            minus = np.uint64(0)
            start = w * 64
            for j in range(start, min(start + 64, n_units)):
                value = rows[v, j]
                bit = np.uint64(j - start)
                plus |= np.uint64(value > tolerance[j]) << bit
                minus |= np.uint64(value < -tolerance[j]) << bit
            positive[v, w] = plus
            negative[v, w] = minus
        for j in range(n_units):
            peak[j] = max(peak[j], abs(rows[v, j]))


@njit(cache=True, nogil=True, inline="always")
def popcount(word):
    """Number of set bits of a 64-bit word."""
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@njit(cache=True, nogil=True)
def count_zeros(positive, negative, tolerance):
    """Entries that are neither: too near to zero for a sign. Units without any rounding error do not count."""
    total = 0
    for w in range(positive.shape[1]):
        computed = np.uint64(0)
        for j in range(w * 64, min(w * 64 + 64, len(tolerance))):
            computed |= np.uint64(tolerance[j] > 0) << np.uint64(j - w * 64)
        for v in range(len(positive)):
            total += popcount(computed & ~(positive[v, w] | negative[v, w]))
    return total


@njit(cache=True, nogil=True, inline="always")
def lowest_bit(word):
    """Position of the lowest set bit of a non-zero word."""
    return popcount((word & (~word + _ONE)) - _ONE)


@njit(cache=True, nogil=True, inline="always")
def sign_at(positive, negative, vertex, unit):
    """Sign (-1, 0, 1) of a unit at an old vertex."""
    word, bit = unit >> _SIX, np.uint64(unit & _LOW)
    return np.int64((positive[vertex, word] >> bit) & _ONE) - np.int64((negative[vertex, word] >> bit) & _ONE)


@njit(cache=True, nogil=True)
def count_crossings(edges, positive, negative):
    """How many units change strictly from one sign to the other along each edge: (E + 1,) offsets."""
    n_edges, n_words = len(edges), positive.shape[1]
    offsets = np.zeros(n_edges + 1, np.int64)
    for e in range(n_edges):
        a, b = edges[e, 0], edges[e, 1]
        total = np.int64(0)
        for w in range(n_words):
            word = (positive[a, w] & negative[b, w]) | (negative[a, w] & positive[b, w])
            if word != 0:
                total += popcount(word)
        offsets[e + 1] = offsets[e] + total
    return offsets


@njit(cache=True, nogil=True)
def edge_crossings(edges, positive, negative, rows, tolerance, offsets):
    """Crossings of every edge, in order along it, crossings nearer than the tolerance sharing one vertex.

    Returns
    -------
    units (X,), places (X,) : the unit of each crossing, and the place of its vertex among the edge's new ones
    parents (N,), t (N,) : edge and parameter of every new vertex, a + t (b - a), in order along each edge
    vertex_offsets (E + 1,) : which new vertices lie on each edge
    n_close : crossings that were merged into their neighbour's vertex
    """
    n_edges, n_words = len(edges), positive.shape[1]
    units = np.empty(offsets[n_edges], np.int32)
    places = np.empty(offsets[n_edges], np.int32)
    parents = np.empty(offsets[n_edges], np.int32)
    t = np.empty(offsets[n_edges], np.float64)
    vertex_offsets = np.zeros(n_edges + 1, np.int64)
    n_vertices = np.int64(0)
    n_close = np.int64(0)
    for e in range(n_edges):
        start, stop = offsets[e], offsets[e + 1]
        if stop > start:
            a, b = edges[e, 0], edges[e, 1]
            k = start
            parameters = np.empty(stop - start, np.float64)
            for w in range(n_words):
                word = (positive[a, w] & negative[b, w]) | (negative[a, w] & positive[b, w])
                while word != 0:
                    j = w * 64 + lowest_bit(word)
                    word &= word - _ONE
                    units[k] = j
                    parameters[k - start] = rows[a, j] / (rows[a, j] - rows[b, j])
                    k += 1
            if stop - start > 1:
                order = np.argsort(parameters, kind="mergesort")
                units[start:stop] = units[start:stop][order]
                parameters = parameters[order]
            first = n_vertices
            for k in range(start, stop):
                j = units[k]
                if k > start:
                    last = t[n_vertices - 1]
                    if abs(rows[a, j] + last * (rows[b, j] - rows[a, j])) <= tolerance[j]:
                        places[k] = n_vertices - 1 - first
                        n_close += 1
                        continue
                parents[n_vertices] = e
                t[n_vertices] = parameters[k - start]
                places[k] = n_vertices - first
                n_vertices += 1
        vertex_offsets[e + 1] = n_vertices
    return units, places, parents[:n_vertices].copy(), t[:n_vertices].copy(), vertex_offsets, n_close


@njit(cache=True, nogil=True)
def edge_pieces(edges, layers, units, vertex_offsets, first_vertex, new_edges, new_layers, new_units):
    """Every edge cut at its new vertices; the pieces of edge e start at e + vertex_offsets[e], from its first vertex on."""
    for e in range(len(edges)):
        start, stop = vertex_offsets[e], vertex_offsets[e + 1]
        tail = edges[e, 0]
        for k in range(start, stop + 1):
            head = np.int64(edges[e, 1]) if k == stop else first_vertex + k
            new_edges[e + k, 0] = tail
            new_edges[e + k, 1] = head
            new_layers[e + k] = layers[e]
            new_units[e + k] = units[e]
            tail = head


@njit(cache=True, nogil=True)
def cut_edges(edges, layers, units, rows, tolerance):
    """Everything about the edges of a split: signs, crossings, new vertices and pieces.

    Returns
    -------
    positive, negative, peak : see `pack_signs`
    offsets : see `count_crossings`
    crossing_units, places, parents, t, vertex_offsets, n_close : see `edge_crossings`
    n_zero : see `count_zeros`
    pieces, piece_layers, piece_units : see `edge_pieces`
    """
    n_vertices, n_units = rows.shape
    positive = np.empty((n_vertices, (n_units + 63) // 64), np.uint64)
    negative = np.empty_like(positive)
    peak = np.zeros(n_units)
    pack_signs(rows, tolerance, positive, negative, peak)
    offsets = count_crossings(edges, positive, negative)
    crossing_units, places, parents, t, vertex_offsets, n_close = edge_crossings(
        edges, positive, negative, rows, tolerance, offsets)
    n_pieces = len(edges) + len(t)
    pieces = np.empty((n_pieces, 2), np.int32)
    piece_layers, piece_units = np.empty(n_pieces, np.int32), np.empty(n_pieces, np.int32)
    edge_pieces(edges, layers, units, vertex_offsets, n_vertices, pieces, piece_layers, piece_units)
    n_zero = count_zeros(positive, negative, tolerance)
    return (positive, negative, peak, offsets, crossing_units, places, parents, t, vertex_offsets, n_close, n_zero,
            pieces, piece_layers, piece_units)


@njit(cache=True, nogil=True)
def rows_at(rows, edge_ends, edge_t, chord_ends, chord_weights, start, out):
    """Interpolated rows at new vertices, from number `start` on; those on edges come first.

    On an edge (a, b) at t it is a + t (b - a); on a chord it is p + r (q - p), with p and q at s and t on the edges
    `chord_ends[i, :2]` and `chord_ends[i, 2:]`, where `chord_weights[i]` = s, t, r.
    """
    n_edge = len(edge_t)
    for k in range(len(out)):
        i = start + k
        if i < n_edge:
            a, b, s = edge_ends[i, 0], edge_ends[i, 1], edge_t[i]
            for j in range(rows.shape[1]):
                out[k, j] = rows[a, j] + s * (rows[b, j] - rows[a, j])
        else:
            i -= n_edge
            a, b, c, d = chord_ends[i, 0], chord_ends[i, 1], chord_ends[i, 2], chord_ends[i, 3]
            s, t, r = chord_weights[i, 0], chord_weights[i, 1], chord_weights[i, 2]
            for j in range(rows.shape[1]):
                p = rows[a, j] + s * (rows[b, j] - rows[a, j])
                q = rows[c, j] + t * (rows[d, j] - rows[c, j])
                out[k, j] = p + r * (q - p)
