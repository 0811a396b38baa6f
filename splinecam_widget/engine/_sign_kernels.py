"""Compiled loops over vertices and edges: signs as bits, crossings of edges, interpolation of rows.

Arrays in, arrays out. A *row* is the vector of a tensor's entries at one vertex; a *word* holds 64 units.
"""

from __future__ import annotations

import numpy as np

from .loops import inlined, lean, loop

_ONE = np.uint64(1)
_SIX = np.int64(6)
_LOW = np.int64(63)
_GATHER = np.uint64(0x0102040810204080)
_TOP = np.uint64(56)

MANY = 32
"""Crossings of one edge that are no longer sorted by insertion."""

MOST_MOVES = 16
"""For each of many that are sorted, squares of the buckets' sizes: of numbers spread evenly they sum up to two."""


@inlined
def popcount(word):
    """Number of set bits of a 64-bit word."""
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@inlined
def lowest_bit(word):
    """Position of the lowest set bit of a non-zero word."""
    return popcount((word & (~word + _ONE)) - _ONE)


@inlined
def unit_key(layer, unit):
    """A 64-bit random number for one unit (splitmix64), the same in every slice (Zobrist hashing); 0 for layer -1."""
    if layer < 0:
        return np.uint64(0)
    z = (np.uint64(layer) << np.uint64(40)) + np.uint64(unit) + np.uint64(0x9E3779B97F4A7C15)
    z *= np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@loop
def peaks(rows):
    """Largest magnitude (n,) in each column of rows (V, n); NaN where there is one."""
    found = np.zeros(rows.shape[1])
    for v in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            found[j] = np.maximum(found[j], abs(rows[v, j]))
    return found


@loop
def pack_signs(rows, tolerance, positive, negative, peak):
    """Signs of rows (V, n) as bit words (V, W): entries > tolerance, entries < -tolerance; peak (n,) = max |entry|.

    Returns how many entries are neither: too near to zero for a sign. Units without any rounding error do not count.

    Comparisons go into bytes, which the compiler does several at a time; a product then gathers the low bits of eight bytes
    in its highest byte (the magic number has one bit for each, none of which meet).
    """
    n_rows, n_units = rows.shape
    n_words = positive.shape[1]
    plus_bytes, minus_bytes = np.zeros(n_words * 64, np.uint8), np.zeros(n_words * 64, np.uint8)
    plus_eights, minus_eights = plus_bytes.view(np.uint64), minus_bytes.view(np.uint64)
    computed = computed_units(tolerance, n_words)
    n_zero = np.int64(0)
    peak[:] = 0.0
    for v in range(n_rows):
        for j in range(n_units):
            value = rows[v, j]
            plus_bytes[j] = value > tolerance[j]
            minus_bytes[j] = value < -tolerance[j]
            peak[j] = max(peak[j], abs(value))
        for w in range(n_words):
            plus, minus = np.uint64(0), np.uint64(0)
            for k in range(8):
                shift = np.uint64(8 * k)
                plus |= ((plus_eights[w * 8 + k] * _GATHER) >> _TOP) << shift
                minus |= ((minus_eights[w * 8 + k] * _GATHER) >> _TOP) << shift
            positive[v, w] = plus
            negative[v, w] = minus
            zeros = computed[w] & ~(plus | minus)
            if zeros != 0:
                n_zero += popcount(zeros)
    return n_zero


@loop
def repack_signs(rows, units, before, after, positive, negative, peak):
    """New values (V, m) of some units into what `pack_signs` made of all; returns how many more entries are neither.

    The tolerance of each unit was `before[unit]` and is `after[unit]` now.
    """
    n_more = np.int64(0)
    for k in range(len(units)):
        unit = units[k]
        word, bit = unit >> _SIX, _ONE << np.uint64(unit & _LOW)
        tolerance, was_computed = after[unit], before[unit] > 0
        largest = 0.0
        for v in range(len(rows)):
            value = rows[v, k]
            if was_computed and (positive[v, word] | negative[v, word]) & bit == 0:
                n_more -= 1
            is_plus, is_minus = value > tolerance, value < -tolerance
            if tolerance > 0 and not is_plus and not is_minus:
                n_more += 1
            positive[v, word] = positive[v, word] | bit if is_plus else positive[v, word] & ~bit
            negative[v, word] = negative[v, word] | bit if is_minus else negative[v, word] & ~bit
            largest = max(largest, abs(value))
        peak[unit] = largest
    return n_more


@loop
def computed_units(tolerance, n_words):
    """Units with a rounding error, as bits."""
    computed = np.zeros(n_words, np.uint64)
    for j in range(len(tolerance)):
        computed[j >> _SIX] |= np.uint64(tolerance[j] > 0) << np.uint64(j & _LOW)
    return computed


@inlined
def sign_at(positive, negative, vertex, unit):
    """Sign (-1, 0, 1) of a unit at an old vertex."""
    word, bit = unit >> _SIX, np.uint64(unit & _LOW)
    return np.int64((positive[vertex, word] >> bit) & _ONE) - np.int64((negative[vertex, word] >> bit) & _ONE)


@loop
def edge_crossings(begin, end, edges, positive, negative, rows, tolerance):
    """Crossings of edges `begin` to `end`, in order along each, crossings nearer than the tolerance sharing one vertex.

    Returns
    -------
    offsets (n + 1,) : which crossings are those of each edge
    units (X,), places (X,) : the unit of each crossing, and the place of its vertex among the edge's new ones
    parents (N,), t (N,) : edge and parameter of every new vertex, a + t (b - a), in order along each edge
    vertex_offsets (n + 1,) : which new vertices lie on each edge
    n_close : crossings that were merged into their neighbour's vertex
    """
    n_words = positive.shape[1]
    offsets = np.zeros(end - begin + 1, np.int64)
    for e in range(begin, end):
        a, b = edges[e, 0], edges[e, 1]
        total = np.int64(0)
        for w in range(n_words):
            word = (positive[a, w] & negative[b, w]) | (negative[a, w] & positive[b, w])
            if word != 0:
                total += popcount(word)
        offsets[e - begin + 1] = offsets[e - begin] + total
    n_crossings = offsets[end - begin]
    units = np.empty(n_crossings, np.int32)
    places = np.empty(n_crossings, np.int32)
    parents = np.empty(n_crossings, np.int32)
    t = np.empty(n_crossings, np.float64)
    parameters = np.empty(n_crossings, np.float64)
    vertex_offsets = np.zeros(end - begin + 1, np.int64)
    n_vertices = np.int64(0)
    n_close = np.int64(0)
    for e in range(begin, end):
        start, stop = offsets[e - begin], offsets[e - begin + 1]
        if stop > start:
            a, b = edges[e, 0], edges[e, 1]
            k = start
            for w in range(n_words):
                word = (positive[a, w] & negative[b, w]) | (negative[a, w] & positive[b, w])
                while word != 0:
                    j = w * 64 + lowest_bit(word)
                    word &= word - _ONE
                    units[k] = j
                    parameters[k] = rows[a, j] / (rows[a, j] - rows[b, j])
                    k += 1
            sort_crossings(parameters, units, start, stop)
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
                t[n_vertices] = parameters[k]
                places[k] = n_vertices - first
                n_vertices += 1
        vertex_offsets[e - begin + 1] = n_vertices
    return offsets, units, places, parents[:n_vertices].copy(), t[:n_vertices].copy(), vertex_offsets, n_close


@lean
def sort_crossings(parameters, units, start, stop):
    """Sort both by parameter, equal ones by unit, as they come; most edges have one or two."""
    if stop - start > MANY:
        sort_many(parameters, units, start, stop)
        return
    insert_in_order(parameters, units, start, stop)


@lean
def insert_in_order(parameters, units, start, stop):
    """The same by insertion."""
    for k in range(start + 1, stop):
        parameter, unit = parameters[k], units[k]
        at = k
        while at > start and parameters[at - 1] > parameter:
            parameters[at], units[at] = parameters[at - 1], units[at - 1]
            at -= 1
        parameters[at], units[at] = parameter, unit


@loop
def sort_many(parameters, units, start, stop):
    """The same, however many there are: into as many buckets, which leaves little to do unless most are in a few of them."""
    n = stop - start
    low, high = parameters[start], parameters[start]
    for k in range(start + 1, stop):
        low, high = min(low, parameters[k]), max(high, parameters[k])
    scale = n / (high - low) if high > low else 0.0
    begins = np.zeros(n + 1, np.int32)
    buckets = np.empty(n, np.int32)
    for k in range(n):
        place = (parameters[start + k] - low) * scale
        bucket = np.int32(place) if 0.0 <= place < n else np.int32(0)  # NaN is lost nowhere, but in no order
        bucket = np.int32(n - 1) if place >= n else bucket
        buckets[k] = bucket
        begins[bucket + 1] += 1
    n_moves = np.int64(0)
    for bucket in range(n):
        n_moves += np.int64(begins[bucket + 1]) * begins[bucket + 1]
        begins[bucket + 1] += begins[bucket]
    if n_moves > MOST_MOVES * n:
        order = start + np.argsort(parameters[start:stop], kind="mergesort")
        parameters[start:stop] = parameters[order]
        units[start:stop] = units[order]
        return
    old_parameters, old_units = parameters[start:stop].copy(), units[start:stop].copy()
    for k in range(n):
        at = start + begins[buckets[k]]
        begins[buckets[k]] += 1
        parameters[at], units[at] = old_parameters[k], old_units[k]
    insert_in_order(parameters, units, start, stop)


@loop
def edge_pieces(edges, layers, units, vertex_offsets, first_vertex, chords, layer, chord_units):
    """Every edge cut at its new vertices, and after them the pieces `chords` (N, 2) of chords, which are of one layer.

    The pieces of edge e start at e + vertex_offsets[e], from its first vertex on.

    Returns
    -------
    pieces (M, 2), piece_layers (M,), piece_units (M,)
    """
    n_pieces = len(edges) + vertex_offsets[len(edges)]
    pieces = np.empty((n_pieces + len(chords), 2), np.int32)
    piece_layers, piece_units = np.empty(len(pieces), np.int32), np.empty(len(pieces), np.int32)
    for e in range(len(edges)):
        start, stop = vertex_offsets[e], vertex_offsets[e + 1]
        tail = edges[e, 0]
        for k in range(start, stop + 1):
            head = np.int64(edges[e, 1]) if k == stop else first_vertex + k
            pieces[e + k, 0] = tail
            pieces[e + k, 1] = head
            piece_layers[e + k] = layers[e]
            piece_units[e + k] = units[e]
            tail = head
    for k in range(len(chords)):
        pieces[n_pieces + k, 0], pieces[n_pieces + k, 1] = chords[k, 0], chords[k, 1]
        piece_layers[n_pieces + k], piece_units[n_pieces + k] = layer, chord_units[k]
    return pieces, piece_layers, piece_units


@loop
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


@loop
def rows_at_some(rows, edge_ends, edge_t, chord_ends, chord_weights, ids, out):
    """As `rows_at`, at the new vertices `ids`."""
    for k in range(len(ids)):
        rows_at(rows, edge_ends, edge_t, chord_ends, chord_weights, ids[k], out[k : k + 1])


@loop
def plain_ends(edge_ends, positive, negative, tolerance):
    """Whether both ends of each edge (N, 2) have a sign for every unit that has a rounding error."""
    n_words = positive.shape[1]
    computed = computed_units(tolerance, n_words)
    is_plain = np.ones(len(edge_ends), np.bool_)
    for i in range(len(edge_ends)):
        a, b = edge_ends[i, 0], edge_ends[i, 1]
        for w in range(n_words):
            signed = (positive[a, w] | negative[a, w]) & (positive[b, w] | negative[b, w])
            if computed[w] & ~signed != 0:
                is_plain[i] = False
                break
    return is_plain
