"""Compiled loops that cut a smaller domain out of a complex. Arrays in, arrays out."""

from __future__ import annotations

import numpy as np

from .loops import loop


@loop
def heights_over(polygon, normals, points):
    """Distances (n, k) of points from the lines through a polygon's sides, positive on the left of each.

    Parameters
    ----------
    polygon, normals (k, 2) : a corner of every side, and its unit normal
    points (n, 2)
    """
    out = np.empty((len(points), len(polygon)))
    for i in range(len(points)):
        for k in range(len(polygon)):
            out[i, k] = ((points[i, 0] - polygon[k, 0]) * normals[k, 0] + (points[i, 1] - polygon[k, 1]) * normals[k, 1])
    return out


@loop
def cells_above(offsets, vertices, rows, new_rows):
    """Whether the corners' values of every function sum to more than zero, for each cell (C,).

    Parameters
    ----------
    rows (V, k), new_rows (N, k) : the functions at the old vertices and at those that follow them
    """
    n_old, k = rows.shape
    out = np.empty(len(offsets) - 1, np.bool_)
    for c in range(len(out)):
        is_above = True
        for j in range(k):
            total = 0.0
            for i in range(offsets[c], offsets[c + 1]):
                v = vertices[i]
                total += rows[v, j] if v < n_old else new_rows[v - n_old, j]
            if not total > 0.0:
                is_above = False
                break
        out[c] = is_above
    return out


@loop
def compacted(kept, points, edges, edge_layer, edge_unit, offsets, vertices, cell_edges, hashes):
    """The complex of some of the cells, renumbered in order; edges that lose a cell become border.

    Parameters
    ----------
    kept (C,) : whether a cell stays

    Returns
    -------
    The complex' arrays in the order of the arguments, and the old id of each vertex.
    """
    uses = np.zeros(len(edges), np.uint8)
    new_vertex = np.full(len(points), -1, np.int32)
    n_cells, n_loop = 0, 0
    for c in range(len(kept)):
        if kept[c]:
            n_cells += 1
            n_loop += offsets[c + 1] - offsets[c]
            for i in range(offsets[c], offsets[c + 1]):
                uses[cell_edges[i]] += 1
                new_vertex[vertices[i]] = 0
    n_vertices = 0
    for v in range(len(points)):
        if new_vertex[v] == 0:
            new_vertex[v] = n_vertices
            n_vertices += 1
    vertex_ids = np.empty(n_vertices, np.int64)
    out_points = np.empty((n_vertices, 2))
    for v in range(len(points)):
        at = new_vertex[v]
        if at >= 0:
            vertex_ids[at] = v
            out_points[at, 0], out_points[at, 1] = points[v, 0], points[v, 1]
    n_edges = 0
    for e in range(len(edges)):
        n_edges += uses[e] > 0
    new_edge = np.empty(len(edges), np.int32)
    out_edges = np.empty((n_edges, 2), np.int32)
    out_layer, out_unit = np.empty(n_edges, np.int32), np.empty(n_edges, np.int32)
    at = 0
    for e in range(len(edges)):
        if uses[e] == 0:
            continue
        new_edge[e] = at
        out_edges[at, 0], out_edges[at, 1] = new_vertex[edges[e, 0]], new_vertex[edges[e, 1]]
        is_border = uses[e] == 1
        out_layer[at] = -1 if is_border else edge_layer[e]
        out_unit[at] = -1 if is_border else edge_unit[e]
        at += 1
    out_offsets = np.zeros(n_cells + 1, np.int64)
    out_vertices, out_cell_edges = np.empty(n_loop, np.int32), np.empty(n_loop, np.int32)
    out_hashes = np.empty(n_cells, np.uint64)
    cell, size = 0, 0
    for c in range(len(kept)):
        if not kept[c]:
            continue
        for i in range(offsets[c], offsets[c + 1]):
            out_vertices[size], out_cell_edges[size] = new_vertex[vertices[i]], new_edge[cell_edges[i]]
            size += 1
        out_hashes[cell] = hashes[c]
        cell += 1
        out_offsets[cell] = size
    return out_points, out_edges, out_layer, out_unit, out_offsets, out_vertices, out_cell_edges, out_hashes, vertex_ids
