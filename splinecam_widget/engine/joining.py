"""Two partitions of neighbouring domains as one of both: the seam between them, which is no edge, is taken out.

Nothing is measured: along the seam both sides must have the same edges, by layer and unit, between cells of the same activation
patterns. Where they do not (a line runs along the seam, or through a corner; rounding decided otherwise), there is no join, and
the whole is to be computed anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from . import _joining_kernels
from .arrays import Float64
from .partition import Partition
from .planar import Int64, PlanarComplex
from .slices import rectangle
from .threads import loops_in_runs

T = TypeVar("T")

MANY_CELLS = 1 << 15
"""Fewer are joined in less time than two threads take to share them."""


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
        """As seen from the other side."""
        vertices, edges, cells, ending = (array[::-1].copy() for array in (self.vertices, self.edges, self.cells, self.ending))
        return _Seam(vertices, edges, cells, ending, self.after, self.before)


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


def joined_along(
    first: Partition, second: Partition, shared: Float64, domain: Float64, tick: Callable[[], None] = lambda: None
) -> Partition | None:
    """The partition of a convex polygon from those of its parts on either side of a line, or None if they do not fit.

    Parameters
    ----------
    first, second : Partition
        Of one network, in one plane.
    shared : (2, 2) float64
        Both ends of the side that the parts share, counter-clockwise in the first; no corners of the polygon.
    domain : (k, 2) float64
        The polygon.
    tick : callable
        Called between steps; may raise to stop.
    """
    sides = (first.planar, shared), (second.planar, shared[::-1])
    seam, other = _of_both(lambda i: _seam(*sides[i]), first, second)
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
    tick()
    sewn = _sewn(first, seam, second, other, tick)
    tick()
    if sewn is None:
        return None
    planar, values = sewn
    return replace(
        first, plane=replace(first.plane, domain=domain), planar=planar, values=values,
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
        planar.edge_layer < 0, planar.cell_offsets, planar.cell_vertices, planar.cell_edges, planar.n_vertices)
    on_border = np.flatnonzero(following >= 0)
    if not is_ring:
        return None
    start, stop = (int(on_border[np.abs(planar.points[on_border] - corner).max(axis=1).argmin()]) for corner in ends)
    vertices, ending, before, is_plain = _joining_kernels.seam_between(
        planar.edges, planar.edge_layer, following, start, stop)
    # Each vertex between the corners has one edge that ends there, the corners have none, and no edge has both ends there.
    if not is_plain or before < 0 or len(vertices) < 2 or (ending[1:-1] < 0).any() or ending[0] >= 0 or ending[-1] >= 0:
        return None
    edges, cells = (array[vertices[:-1]].astype(np.int64) for array in (edge, cell))
    return _Seam(vertices, edges, cells, ending[1:-1], int(edge[before]), int(edge[stop]))


def _sewn(
    first: Partition, seam: _Seam, second: Partition, other: _Seam, tick: Callable[[], None]
) -> tuple[PlanarComplex, Float64] | None:
    """Both complexes as one, and the values at its vertices; None if something but single cells meets at the seam."""
    a, b = first.planar, second.planar
    vertex_maps, edge_maps, far = [], [], []
    n_vertices = n_edges = 0
    for planar, side in ((a, seam), (b, other)):
        ids = np.concatenate([[side.before], side.ending, [side.after]])
        vertex_map, n_vertices = _joining_kernels.renumbered(planar.n_vertices, side.vertices, n_vertices)
        edge_map, n_edges = _joining_kernels.renumbered(len(planar.edges), np.concatenate([side.edges, ids]), n_edges)
        # What ended on the seam from both sides is one edge: the border below, the inner edges, the border above.
        ends = vertex_map[planar.edges[ids]]
        if not ((ends < 0).sum(axis=1) == 1).all():
            return None
        far.append(ends[ends >= 0])
        vertex_maps.append(vertex_map)
        edge_maps.append(edge_map)
    tick()
    across = n_edges + np.arange(len(far[0]))
    points, values = np.empty((n_vertices, 2)), np.empty((n_vertices, first.values.shape[1]))
    ends = np.empty((n_edges + len(across), 2), np.int32)
    layers, units = np.empty(len(ends), np.int32), np.empty(len(ends), np.int32)
    loops = [(c.cell_offsets, c.cell_vertices, c.cell_edges, *maps) for c, *maps in zip((a, b), vertex_maps, edge_maps)]
    # A sewn cell is without both ends of the seam's edge, on either side.
    n_first = len(a.cell_vertices) + int(np.diff(b.cell_offsets)[other.cells].sum()) - 4 * len(seam.cells)
    n_all = len(a.cell_vertices) + len(b.cell_vertices) - 4 * len(seam.cells)
    into = np.empty(a.n_cells + b.n_cells - len(seam.cells) + 1, np.int64), np.empty(n_all, np.int32), np.empty(n_all, np.int32)

    def put(i: int) -> int:
        partition, vertex_map, edge_map = (first, second)[i], vertex_maps[i], edge_maps[i]
        planar = partition.planar
        _joining_kernels.put_rows(planar.points, vertex_map, points)
        _joining_kernels.put_rows(partition.values, vertex_map, values)
        _joining_kernels.put_edges(
            planar.edges, planar.edge_layer, planar.edge_unit, vertex_map, edge_map, ends, layers, units)
        if i == 1:
            _joining_kernels.put_others(*loops[1], other.cells, a.n_cells, n_first, *into)
            return 3
        fewest: int = _joining_kernels.sew_first(
            *loops[0], *loops[1], seam.cells, other.cells, seam.edges, other.edges, across, *into)
        return fewest

    if min(_of_both(put, first, second)) < 3:
        return None
    ends[across] = np.stack(far, axis=1)
    layers[across[[0, -1]]] = units[across[[0, -1]]] = -1
    layers[across[1:-1]], units[across[1:-1]] = a.edge_layer[seam.ending], a.edge_unit[seam.ending]
    hashes = np.concatenate([a.cell_hashes, np.delete(b.cell_hashes, other.cells)])
    return PlanarComplex(points, ends, layers, units, *into, hashes), values


def _of_both(work: Callable[[int], T], first: Partition, second: Partition) -> list[T]:
    """`[work(0), work(1)]`, by two threads where there are many cells."""
    size = 1 if first.n_cells + second.n_cells > MANY_CELLS else 2
    return [found for run in loops_in_runs(lambda begin, end: [work(i) for i in range(begin, end)], 2, size) for found in run]
