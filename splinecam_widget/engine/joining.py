"""Two partitions of neighbouring domains as one of both: the seam between them, which is no edge, is taken out.

Nothing is measured: along the seam both sides must have the same edges, by layer and unit, between cells of the same activation
patterns. Where they do not (a line runs along the seam, or through a corner; rounding decided otherwise), there is no join, and
the whole is to be computed anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from . import _joining_kernels
from .arrays import Float64
from .partition import Partition
from .planar import Int32, Int64, PlanarComplex
from .slices import rectangle


@dataclass(frozen=True)
class _Seam:
    """One side of a rectangle: vertices from corner to corner, edges and cells between them, and the edges that end there.

    Attributes
    ----------
    vertices : (n + 1,) int64
    edges, cells : (n,) int64
    ending : (n - 1,) int64
        The inner edge at every vertex but the corners.
    before, after : int
        The border's edges beyond the corners.
    """

    vertices: Int64
    edges: Int64
    cells: Int64
    ending: Int64
    before: int
    after: int

    def reversed(self) -> _Seam:
        return _Seam(self.vertices[::-1], self.edges[::-1], self.cells[::-1], self.ending[::-1], self.after, self.before)


def joined(first: Partition, second: Partition) -> Partition | None:
    """The partition of two rectangles that share a whole side, or None if the sides do not fit.

    Parameters
    ----------
    first, second : Partition
        Of one network, in one plane.
    """
    boxes = [_box(partition.plane.domain) for partition in (first, second)]
    shared = _shared_side(*boxes)
    if shared is None:
        return None
    low, high = np.minimum(boxes[0][0], boxes[1][0]), np.maximum(boxes[0][1], boxes[1][1])
    return joined_along(first, second, shared, rectangle(low[0], high[0], low[1], high[1]))


def joined_along(first: Partition, second: Partition, shared: Float64, domain: Float64) -> Partition | None:
    """The partition of a convex polygon from those of its parts on either side of a line, or None if they do not fit.

    Parameters
    ----------
    first, second : Partition
        Of one network, in one plane.
    shared : (2, 2) float64
        Both ends of the side that the parts share, counter-clockwise in the first; no corners of the polygon.
    domain : (k, 2) float64
        The polygon.
    """
    seam, other = (_seam(partition.planar, corners) for partition, corners in (
        (first, shared), (second, shared[::-1])))
    if seam is None or other is None:
        return None
    other = other.reversed()
    a, b = first.planar, second.planar
    if not (
        len(seam.cells) == len(other.cells) == len(np.unique(seam.cells)) == len(np.unique(other.cells))
        and np.array_equal(a.cell_hashes[seam.cells], b.cell_hashes[other.cells])
        and np.array_equal(a.edge_layer[seam.ending], b.edge_layer[other.ending])
        and np.array_equal(a.edge_unit[seam.ending], b.edge_unit[other.ending])
    ):
        return None
    planar, kept = _sewn(a, seam, b, other)
    if planar is None:
        return None
    return replace(
        first, plane=replace(first.plane, domain=domain), planar=planar,
        values=np.concatenate([first.values[kept[0]], second.values[kept[1]]]),
        tolerance=np.maximum(first.tolerance, second.tolerance),
        n_close=first.n_close + second.n_close, n_zero=first.n_zero + second.n_zero,
        zero_tolerances=tuple(np.maximum(x, y) for x, y in zip(first.zero_tolerances, second.zero_tolerances)),
    )


def is_rectangle(domain: Float64) -> bool:
    """Whether a polygon is a rectangle with sides along the axes, its corners from the lower left."""
    return domain.shape == (4, 2) and np.array_equal(domain, rectangle(*sides_of(domain)))


def sides_of(domain: Float64) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of a polygon."""
    (left, bottom), (right, top) = domain.min(axis=0).tolist(), domain.max(axis=0).tolist()
    return left, right, bottom, top


def _box(domain: Float64) -> tuple[Float64, Float64]:
    return domain.min(axis=0), domain.max(axis=0)


def _shared_side(first: tuple[Float64, Float64], second: tuple[Float64, Float64]) -> Float64 | None:
    """Both ends of the side that two rectangles share, counter-clockwise in the first, or None."""
    (low, high), (other_low, other_high) = first, second
    for axis in (0, 1):
        across = 1 - axis
        if low[across] != other_low[across] or high[across] != other_high[across]:
            continue
        for at, is_high in ((high[axis], True), (low[axis], False)):
            if at == (other_low if is_high else other_high)[axis]:
                ends = np.empty((2, 2))
                ends[:, axis] = at
                # Counter-clockwise, the right and the lower side run towards larger coordinates.
                rises = is_high == (axis == 0)
                ends[:, across] = (low[across], high[across]) if rises else (high[across], low[across])
                return ends
    return None


def _seam(planar: PlanarComplex, ends: Float64) -> _Seam | None:
    """The border from one corner of a rectangle to the next, counter-clockwise; None if a line ends in one of them."""
    following, edge, cell, is_ring = _joining_kernels.border_ring(
        planar.edge_layer, planar.cell_offsets, planar.cell_vertices, planar.cell_edges, planar.n_vertices)
    on_border = np.flatnonzero(following >= 0)
    if not is_ring:
        return None
    start, stop = (int(on_border[np.abs(planar.points[on_border] - corner).max(axis=1).argmin()]) for corner in ends)
    vertices = [start]
    while vertices[-1] != stop:
        if len(vertices) > len(on_border):
            return None
        vertices.append(int(following[vertices[-1]]))
    ids = np.array(vertices)
    before = int(edge[on_border[following[on_border] == start][0]])
    is_on = np.zeros(planar.n_vertices, np.bool_)
    is_on[ids] = True
    ending = np.flatnonzero((is_on[planar.edges].sum(axis=1) > 0) & (planar.edge_layer >= 0))
    ends_on = is_on[planar.edges[ending]]
    where = planar.edges[ending][ends_on]
    # Each vertex between the corners has one edge that ends there, the corners have none, and no edge has both ends there.
    if len(where) != len(ending) or not np.array_equal(np.sort(where), np.sort(ids[1:-1])):
        return None
    edge_at = np.full(planar.n_vertices, -1, np.int64)
    edge_at[where] = ending
    edges, cells = (array[ids[:-1]].astype(np.int64) for array in (edge, cell))
    return _Seam(ids, edges, cells, edge_at[ids[1:-1]], before, int(edge[stop]))


def _sewn(
    a: PlanarComplex, seam: _Seam, b: PlanarComplex, other: _Seam
) -> tuple[PlanarComplex | None, tuple[Int64, Int64]]:
    """Both complexes as one, and which of their vertices are in it."""
    sides = []
    n_vertices = n_edges = 0
    for planar, side in ((a, seam), (b, other)):
        gone = np.concatenate([side.edges, side.ending, [side.before, side.after]])
        kept_vertices, kept_edges = np.ones(planar.n_vertices, np.bool_), np.ones(len(planar.edges), np.bool_)
        kept_vertices[side.vertices] = False
        kept_edges[gone] = False
        vertex_map, edge_map = (_numbered(kept, first) for kept, first in ((kept_vertices, n_vertices), (kept_edges, n_edges)))
        seam_of = np.full(planar.n_cells, -1, np.int64)
        seam_of[side.cells] = np.arange(len(side.cells))
        sides.append((planar, side, kept_vertices, kept_edges, vertex_map, edge_map, seam_of))
        n_vertices += int(kept_vertices.sum())
        n_edges += int(kept_edges.sum())
    # What ended on the seam from both sides is one edge: the border below, the inner edges, the border above.
    far: list[Int32] = []
    for planar, side, *_, vertex_map, _edge_map, _seam_of in sides:
        ids = np.concatenate([[side.before], side.ending, [side.after]])
        ends = planar.edges[ids]
        is_on = np.isin(ends, side.vertices)
        if not (is_on.sum(axis=1) == 1).all():
            return None, (np.empty(0, np.int64),) * 2
        far.append(vertex_map[ends[~is_on]])
    across = n_edges + np.arange(len(far[0]))
    layers = np.concatenate([[-1], a.edge_layer[seam.ending], [-1]])
    units = np.concatenate([[-1], a.edge_unit[seam.ending], [-1]])
    (_, _, kept_a, edges_a, map_a, edge_map_a, seam_of_a), (_, _, kept_b, edges_b, map_b, edge_map_b, seam_of_b) = sides
    offsets, vertices, edges = _joining_kernels.sewn_cells(
        a.cell_offsets, a.cell_vertices, a.cell_edges, map_a, edge_map_a, seam_of_a,
        b.cell_offsets, b.cell_vertices, b.cell_edges, map_b, edge_map_b, seam_of_b,
        seam.cells, other.cells, seam.edges, other.edges, across,
    )
    if np.diff(offsets).min() < 3:
        return None, (np.empty(0, np.int64),) * 2
    planar = PlanarComplex(
        np.concatenate([a.points[kept_a], b.points[kept_b]]),
        np.concatenate([map_a[a.edges[edges_a]], map_b[b.edges[edges_b]], np.stack(far, axis=1)]),
        np.concatenate([a.edge_layer[edges_a], b.edge_layer[edges_b], layers]).astype(np.int32),
        np.concatenate([a.edge_unit[edges_a], b.edge_unit[edges_b], units]).astype(np.int32),
        offsets, vertices, edges,
        np.concatenate([a.cell_hashes, b.cell_hashes[seam_of_b < 0]]),
    )
    return planar, (np.flatnonzero(kept_a), np.flatnonzero(kept_b))


def _numbered(kept: np.ndarray[tuple[int], np.dtype[np.bool_]], first: int) -> Int32:
    """New ids of what is kept, from `first` on, -1 for the rest."""
    ids = np.full(len(kept), -1, np.int32)
    ids[kept] = np.arange(first, first + int(kept.sum()), dtype=np.int32)
    return ids
