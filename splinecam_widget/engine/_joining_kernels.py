"""Compiled loops that sew two complexes together."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
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
