"""Taking out edges at which nothing changes: ties of a tournament below its winner. Knows planar complexes, no networks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from . import _dissolving_kernels
from .arrays import Float64
from .graph import component_ids
from .planar import Int32, Int64, PlanarComplex, cells_beside_edges
from .threads import in_runs

Bool = NDArray[np.bool_]

CELLS_AT_A_TIME = 1024


def settled(
    planar: PlanarComplex, first_cut: int, n_rounds: int, entries: Float64, tolerance: Float64, n_corners: int
) -> tuple[PlanarComplex, Int64]:
    """The complex after a tournament: only edges at which a winner changes stay, and winners are part of the cells' patterns.

    Parameters
    ----------
    first_cut : int
        `edge_layer` of the first round; the rounds follow one another. The unit of an edge is its place, plus a multiple of the
        number of places.
    entries : (V, k n) float64
        What was compared at the vertices, entry by entry.
    tolerance : (k, n) float64
        Magnitude of the rounding error of the entries.
    n_corners : int
        The first vertices, which are the domain's corners.

    Returns
    -------
    PlanarComplex
    (V',) int64
        Old ids of its vertices.
    """
    n = tolerance.shape[1]
    beside = cells_beside_edges(planar)
    winners = np.concatenate(in_runs(lambda begin, end: _dissolving_kernels.winner_hashes(
        begin, end, first_cut, planar.cell_offsets, planar.cell_vertices, entries, tolerance), planar.n_cells, CELLS_AT_A_TIME))
    is_new = (planar.edge_layer >= first_cut) & (planar.edge_layer < first_cut + n_rounds)
    is_false = is_new & (winners[beside[:, 0]] == winners[beside[:, 1]])
    # Of overlapping windows with one tie, the first made the edge; at which place the winner changes, the winners tell.
    units = planar.edge_unit.copy()
    ids = np.flatnonzero(is_new & ~is_false)
    units[ids] = _dissolving_kernels.changed_places(
        beside[ids], units[ids] % n, planar.cell_offsets, planar.cell_vertices, entries, tolerance)
    named = replace(planar, edge_unit=units, cell_hashes=planar.cell_hashes ^ winners)
    return dissolved(named, beside, is_false, np.arange(n_corners))


def dissolved(planar: PlanarComplex, edge_cells: Int32, is_false: Bool, corners: Int64) -> tuple[PlanarComplex, Int64]:
    """The complex without some inner edges, and the old ids of its vertices, in the same order.

    Cells on both sides become one, numbered by their first cells; vertices that then lie inside an edge go too. The vertices
    `corners`, those of the domain, stay.
    """
    if not is_false.any():
        return planar, np.arange(planar.n_vertices, dtype=np.int64)
    edges = planar.edges
    cell_ids = component_ids(planar.n_cells, edge_cells[is_false])
    owners = cell_ids[np.repeat(np.arange(planar.n_cells), np.diff(planar.cell_offsets))]
    stays = ~is_false[planar.cell_edges]
    order = np.argsort(owners[stays], kind="stable")
    owners, tails, sides = owners[stays][order], planar.cell_vertices[stays][order], planar.cell_edges[stays][order]
    n_cells = int(cell_ids.max()) + 1
    starts = np.searchsorted(owners, np.arange(n_cells + 1))
    walk = _dissolving_kernels.loops(starts, tails, sides, edges, planar.n_vertices)
    tails, sides = tails[walk], sides[walk]

    inside = _inside_edges(planar, is_false, corners)
    edge_ids = _joined_edges(planar, is_false, inside)
    corner = ~inside[tails]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owners[corner], minlength=n_cells))])
    vertex_ids: Int64 = np.flatnonzero((np.bincount(edges[~is_false].ravel(), minlength=planar.n_vertices) > 0) & ~inside)
    new_vertex = np.full(planar.n_vertices, -1, np.int32)
    new_vertex[vertex_ids] = np.arange(len(vertex_ids), dtype=np.int32)
    # Of the pieces of a joined edge, the end that stays: one at the first piece it has one, one at the last.
    ends = edges[~is_false]
    of_edge = np.repeat(edge_ids[~is_false], 2)
    is_end = ~inside[ends.ravel()]
    by_edge = np.argsort(of_edge[is_end], kind="stable")
    new_edges = new_vertex[ends.ravel()[is_end][by_edge]].reshape(-1, 2)
    _, first_piece = np.unique(edge_ids[~is_false], return_index=True)
    kept_ids = np.flatnonzero(~is_false)[first_piece]
    _, first_cell = np.unique(cell_ids, return_index=True)
    return PlanarComplex(
        planar.points[vertex_ids], new_edges, planar.edge_layer[kept_ids], planar.edge_unit[kept_ids], offsets,
        new_vertex[tails[corner]], edge_ids[sides[corner]].astype(np.int32), planar.cell_hashes[first_cell],
    ), vertex_ids


def _inside_edges(planar: PlanarComplex, is_false: Bool, corners: Int64) -> Bool:
    """Vertices at which, without the false edges, nothing is left but one line going through: (V,) bool."""
    n = planar.n_vertices
    touched = np.zeros(n, np.bool_)
    touched[planar.edges[is_false]] = True
    touched[corners] = False
    left = planar.edges[~is_false]
    inside: Bool = touched & (np.bincount(left.ravel(), minlength=n) == 2)
    # The two edges left must have one origin; two that only happen to be in line keep their vertex.
    label = planar.edge_layer[~is_false].astype(np.int64) << 32 | planar.edge_unit[~is_false].astype(np.int64) & 0xFFFFFFFF
    low, high = np.full(n, np.iinfo(np.int64).max), np.full(n, np.iinfo(np.int64).min)
    for column in left.T:
        np.minimum.at(low, column, label)
        np.maximum.at(high, column, label)
    inside &= low == high
    return inside


def _joined_edges(planar: PlanarComplex, is_false: Bool, inside: Bool) -> Int64:
    """New numbers of the edges, (E,) int64: pieces that meet at a vertex inside an edge get one; -1 for false edges."""
    ids = np.flatnonzero(~is_false)
    ends = planar.edges[ids].ravel()
    at = inside[ends]
    order = np.argsort(ends[at], kind="stable")
    pairs = np.repeat(np.arange(len(ids)), 2)[at][order].reshape(-1, 2)  # two edges at every such vertex
    numbers = np.full(len(planar.edges), -1, np.int64)
    numbers[ids] = component_ids(len(ids), pairs)
    return numbers
