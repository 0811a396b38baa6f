"""Compiled loops that sew two complexes together."""

from __future__ import annotations

import numpy as np

from .loops import lean, loop


@loop
def border_ring(is_border, cell_offsets, cell_vertices, cell_edges, n_vertices):
    """The border as a ring: for every vertex on it the next one counter-clockwise, with edge and cell; -1 elsewhere.

    Edges of the border are told by `is_border` (E,) bool. The last value tells whether it is a ring: every vertex has at most
    one next.
    """
    following = np.full(n_vertices, -1, np.int32)
    edge = np.full(n_vertices, -1, np.int32)
    cell_of = np.full(n_vertices, -1, np.int32)
    is_ring = True
    for cell in range(len(cell_offsets) - 1):
        lo, hi = cell_offsets[cell], cell_offsets[cell + 1]
        for k in range(lo, hi):
            if is_border[cell_edges[k]]:
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


@lean
def put_loops(begin, end, offsets, vertices, edges, vertex_map, edge_map, count, size, out_offsets, out_vertices, out_edges):
    """Loops of the cells `begin` to `end`, behind `count` others with `size` entries; returns both numbers with these."""
    lo, hi = offsets[begin], offsets[end]
    for k in range(hi - lo):
        out_vertices[size + k] = vertex_map[vertices[lo + k]]
    for k in range(hi - lo):
        out_edges[size + k] = edge_map[edges[lo + k]]
    for cell in range(begin, end):
        out_offsets[count + 1 + cell - begin] = size + offsets[cell + 1] - lo
    return count + end - begin, size + hi - lo


@lean
def put_half(cell, seam, last, offsets, vertices, edges, vertex_map, edge_map, size, out_vertices, out_edges):
    """One side of a sewn cell, without the edge `seam` and its ends, with the edge `last` in place of its last one."""
    start, length = offsets[cell], offsets[cell + 1] - offsets[cell]
    at = 0
    while edges[start + at] != seam:
        at += 1
    # Behind the seam's edge come its end, the corners that stay, and its beginning.
    for step in range(2, length):
        k = start + (at + step) % length
        out_vertices[size] = vertex_map[vertices[k]]
        out_edges[size] = last if step == length - 1 else edge_map[edges[k]]
        size += 1
    return size


@loop
def sew_first(
    offsets, vertices, edges, vertex_map, edge_map,
    other_offsets, other_vertices, other_edges, other_vertex_map, other_edge_map,
    seam_cells, other_seam_cells, seam_edges, other_seam_edges, across, out_offsets, out_vertices, out_edges,
):
    """Loops of the first side's cells, those at the seam sewn to those of the other side, into the beginning of `out`.

    Cells `seam_cells[i]` and `other_seam_cells[i]` become one: without the edges `seam_edges[i]` and `other_seam_edges[i]`
    between them, and with the edges `across[i]` and `across[i + 1]` in place of those that ended on the seam.

    Returns how many corners such a cell has at least; with two it is none.
    """
    count, size, begin, fewest = np.int64(0), np.int64(0), np.int64(0), len(vertices)
    out_offsets[0] = 0
    for i in np.argsort(seam_cells):
        cell = seam_cells[i]
        count, size = put_loops(
            begin, cell, offsets, vertices, edges, vertex_map, edge_map, count, size, out_offsets, out_vertices, out_edges)
        before = size
        size = put_half(
            cell, seam_edges[i], across[i], offsets, vertices, edges, vertex_map, edge_map, size, out_vertices, out_edges)
        size = put_half(
            other_seam_cells[i], other_seam_edges[i], across[i + 1], other_offsets, other_vertices, other_edges,
            other_vertex_map, other_edge_map, size, out_vertices, out_edges)
        count += 1
        out_offsets[count] = size
        fewest, begin = min(fewest, size - before), cell + 1
    put_loops(
        begin, len(offsets) - 1, offsets, vertices, edges, vertex_map, edge_map, count, size, out_offsets, out_vertices,
        out_edges)
    return fewest


@loop
def put_others(offsets, vertices, edges, vertex_map, edge_map, seam_cells, count, size, out_offsets, out_vertices, out_edges):
    """Loops of the other side's cells that are not at the seam, behind `count` others with `size` entries."""
    begin = np.int64(0)
    for cell in np.sort(seam_cells):
        count, size = put_loops(
            begin, cell, offsets, vertices, edges, vertex_map, edge_map, count, size, out_offsets, out_vertices, out_edges)
        begin = cell + 1
    put_loops(
        begin, len(offsets) - 1, offsets, vertices, edges, vertex_map, edge_map, count, size, out_offsets, out_vertices,
        out_edges)
