"""Compiled loops that sew two complexes together."""

from __future__ import annotations

import numpy as np

from .loops import loop


@loop
def border_ring(edge_layer, cell_offsets, cell_vertices, cell_edges, n_vertices):
    """The border as a ring: for every vertex on it the next one counter-clockwise, with edge and cell; -1 elsewhere.

    The last value tells whether it is one: every vertex has at most one next.
    """
    following = np.full(n_vertices, -1, np.int32)
    edge = np.full(n_vertices, -1, np.int32)
    cell_of = np.full(n_vertices, -1, np.int32)
    is_ring = True
    for cell in range(len(cell_offsets) - 1):
        lo, hi = cell_offsets[cell], cell_offsets[cell + 1]
        for k in range(lo, hi):
            if edge_layer[cell_edges[k]] < 0:
                v = cell_vertices[k]
                if following[v] >= 0:
                    is_ring = False
                following[v] = cell_vertices[k + 1 if k + 1 < hi else lo]
                edge[v] = cell_edges[k]
                cell_of[v] = cell
    return following, edge, cell_of, is_ring


@loop
def seam_between(edges, edge_layer, following, start, stop):
    """The border from one vertex on it to another, and the inner edges that end on the way.

    Returns
    -------
    vertices (n,) : from `start` to `stop`
    ending (n,) : the inner edge at each of them, -1 where there is none
    before : the vertex from which the border comes to `start`, -1 if there is none
    is_plain : whether `stop` is reached, and no two inner edges end at one vertex, nor any edge at two
    """
    place = np.full(len(following), -1, np.int32)
    vertices = np.empty(len(following), np.int64)
    n = 0
    v = start
    while v >= 0 and place[v] < 0:
        place[v] = n
        vertices[n] = v
        n += 1
        if v == stop:
            break
        v = following[v]
    ending = np.full(n, -1, np.int64)
    is_plain = v == stop
    for e in range(len(edges)):
        if edge_layer[e] < 0:
            continue
        p, q = place[edges[e, 0]], place[edges[e, 1]]
        at = max(p, q)
        if at < 0:
            continue
        if min(p, q) >= 0 or ending[at] >= 0:
            is_plain = False
        ending[at] = e
    before = -1
    for v in range(len(following)):
        if following[v] == start:
            before = v
    return vertices[:n].copy(), ending, before, is_plain


@loop
def renumbered(n, gone, first):
    """Numbers from `first` on for `n` things in order but those that are `gone`, which have -1; and the one behind the last."""
    out = np.zeros(n, np.int32)
    out[gone] = -1
    for i in range(n):
        if out[i] == 0:
            out[i] = first
            first += 1
    return out, first


@loop
def put_rows(rows, new_ids, out):
    """Rows to their new places; those with -1 go nowhere."""
    for i in range(len(rows)):
        if new_ids[i] >= 0:
            for k in range(rows.shape[1]):
                out[new_ids[i], k] = rows[i, k]


@loop
def put_edges(edges, edge_layer, edge_unit, vertex_map, edge_map, out_edges, out_layer, out_unit):
    """Edges to their new places, between the new ids of their ends."""
    for e in range(len(edges)):
        at = edge_map[e]
        if at >= 0:
            out_edges[at, 0], out_edges[at, 1] = vertex_map[edges[e, 0]], vertex_map[edges[e, 1]]
            out_layer[at], out_unit[at] = edge_layer[e], edge_unit[e]


@loop
def sewn_cells(
    offsets, vertices, edges, vertex_map, edge_map, seam_of, other_offsets, other_vertices, other_edges, other_vertex_map,
    other_edge_map, other_seam_of, seam_cells, other_seam_cells, seam_edges, other_seam_edges, across,
):
    """Loops of the cells of both sides, those of the first, then those of the second that are not sewn to one of these.

    Cells `seam_cells[i]` and `other_seam_cells[i]` become one: without the edges `seam_edges[i]` and `other_seam_edges[i]`
    between them, and with the edges `across[i]` and `across[i + 1]` in place of those that ended on the seam.

    Returns
    -------
    offsets, vertices, edges : the loops; a sewn cell of two corners has none
    """
    n, m = len(offsets) - 1, len(other_offsets) - 1
    out_offsets = np.zeros(n + m - len(seam_cells) + 1, np.int64)
    out_vertices = np.empty(len(vertices) + len(other_vertices), np.int32)
    out_edges = np.empty(len(out_vertices), np.int32)
    size, count = 0, 0
    for cell in range(n):
        lo, hi = offsets[cell], offsets[cell + 1]
        i = seam_of[cell]
        if i < 0:
            for k in range(lo, hi):
                out_vertices[size], out_edges[size] = vertex_map[vertices[k]], edge_map[edges[k]]
                size += 1
        else:
            for side in range(2):
                if side == 0:
                    start, length, seam = lo, hi - lo, seam_edges[i]
                else:
                    other = other_seam_cells[i]
                    start, length = other_offsets[other], other_offsets[other + 1] - other_offsets[other]
                    seam = other_seam_edges[i]
                at = 0
                while (edges[start + at] if side == 0 else other_edges[start + at]) != seam:
                    at += 1
                # Behind the seam's edge come its end, the corners that stay, and its beginning.
                for step in range(2, length):
                    k = start + (at + step) % length
                    if side == 0:
                        v, e = vertex_map[vertices[k]], edge_map[edges[k]]
                    else:
                        v, e = other_vertex_map[other_vertices[k]], other_edge_map[other_edges[k]]
                    out_vertices[size] = v
                    out_edges[size] = across[i if side == 0 else i + 1] if step == length - 1 else e
                    size += 1
        count += 1
        out_offsets[count] = size
    for cell in range(m):
        if other_seam_of[cell] >= 0:
            continue
        for k in range(other_offsets[cell], other_offsets[cell + 1]):
            out_vertices[size], out_edges[size] = other_vertex_map[other_vertices[k]], other_edge_map[other_edges[k]]
            size += 1
        count += 1
        out_offsets[count] = size
    return out_offsets, out_vertices[:size].copy(), out_edges[:size].copy()
