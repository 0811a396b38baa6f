"""Partitions one after the other, computing only what changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .arrays import Float64
from .compute import Work, partition_of
from .lowering import lower
from .network import Network
from .partition import Partition
from .planar import PlanarComplex, split_complex
from .rounding import UNIT_ROUNDOFF
from .slices import Slice

MAX_ZOOM = 2.0**26
"""A domain this many times smaller than one that is known still has 27 of float64's 53 bits; smaller ones are computed anew."""


class Explorer:
    """Follows a slice through changes; results are those of `compute_partition`.

    What is known is kept: the partition of the widest domain computed on the present plane. A domain inside it is clipped
    from it, and anchors that move in the plane change nothing, both without evaluating the network.

    Parameters
    ----------
    model : nn.Module, callable of torch operations, or Network
    plane : Slice

    Attributes
    ----------
    plane : Slice
        The slice last shown.
    work : Work
        What the last call of `show` did.
    total : Work
        What all of them did.

    Examples
    --------
    >>> import torch
    >>> plane = Slice.from_basis([0.0, 0.0], torch.eye(2))
    >>> explorer = Explorer(torch.nn.ReLU(), plane)
    >>> explorer.show(plane).n_cells
    4
    >>> explorer.show(plane.with_domain([[0.5, 0.5], [1, 0.5], [1, 1]])).n_cells, explorer.work.vertices_evaluated
    (1, 0)
    """

    def __init__(self, model: Any, plane: Slice) -> None:
        self.network = model if isinstance(model, Network) else lower(model, plane.input_shape)
        self.plane = plane
        self.work = Work()
        self.total = Work()
        self._widest: Partition | None = None

    def show(self, plane: Slice, tick: Callable[[], None] = lambda: None) -> Partition:
        """The partition of a slice.

        Parameters
        ----------
        plane : Slice
        tick : callable
            Called often; may raise to stop, after which nothing has changed.

        Raises
        ------
        ValueError
            If the slice's inputs have another shape than the network's.
        """
        work = Work()
        known = self._widest
        if known is not None and _same_plane(known.plane, plane):
            if np.array_equal(known.plane.domain, plane.domain):
                work.cells_reused = known.n_cells
                result = known.with_anchors_of(plane)
            elif _contains(known.plane.domain, plane.domain) and _is_sharp(known.plane.domain, plane.domain):
                result = clipped(known, plane)
                work.cells_reused = result.n_cells
            else:
                known = None
        else:
            known = None
        if known is None:
            result = partition_of(self.network, plane, work, tick)
            self._widest = result
        self.plane, self.work = plane, work
        self.total = Work(*(a + b for a, b in zip(vars(self.total).values(), vars(work).values())))
        return result


def _same_plane(first: Slice, second: Slice) -> bool:
    return first is second or (np.array_equal(first.origin, second.origin) and np.array_equal(first.basis, second.basis))


def _distances(polygon: Float64, points: Float64) -> tuple[Float64, Float64]:
    """Distances (n, k) of points inside each side of a convex polygon, and the rounding error (k,) of each column."""
    following = np.roll(polygon, -1, axis=0)
    sides = following - polygon
    normals = np.stack([-sides[:, 1], sides[:, 0]], axis=1) / np.linalg.norm(sides, axis=1, keepdims=True)
    distances = np.einsum("nki,ki->nk", points[:, None, :] - polygon[None], normals)
    # A rounded difference of coordinates, a rounded unit normal (a difference of corners over its length), two products, a
    # sum: at most 8 roundings of the largest coordinate.
    size = max(float(np.abs(points).max()), float(np.abs(polygon).max()))
    return distances, np.full(len(polygon), 16 * UNIT_ROUNDOFF * size)


def _contains(outer: Float64, inner: Float64) -> bool:
    distances, error = _distances(outer, inner)
    return bool((distances >= -error).all())


def _is_sharp(outer: Float64, inner: Float64) -> bool:
    return float(np.abs(outer).max()) <= MAX_ZOOM * float(np.ptp(inner, axis=0).min())


def clipped(partition: Partition, plane: Slice) -> Partition:
    """The partition of a smaller domain in the same plane, cut out of a known one without the network."""
    before = partition.planar
    rows, error = _distances(plane.domain, before.points)
    split = split_complex(before, np.ascontiguousarray(rows), error, -1)
    after = split.after
    every_row = np.concatenate([rows, split.new.rows(np.ascontiguousarray(rows))])
    # Every cell lies on one side of each line now; the sum over its corners tells which.
    side = np.add.reduceat(every_row[after.cell_vertices], after.cell_offsets[:-1], axis=0)
    kept = (side > 0).all(axis=1)
    values = np.concatenate([partition.values, split.new.rows(partition.values)])
    planar, vertex_ids = compacted(after, kept, before.cell_hashes[split.parents])
    return replace(partition, plane=plane, planar=planar, values=values[vertex_ids])


def compacted(planar: PlanarComplex, kept: Any, hashes: Any) -> tuple[PlanarComplex, Any]:
    """The complex of some of the cells, and the old id of each of its vertices; edges that lose a cell become border."""
    sizes = np.diff(planar.cell_offsets)
    entries = np.repeat(kept, sizes)
    loops, loop_edges = planar.cell_vertices[entries], planar.cell_edges[entries]
    uses = np.bincount(loop_edges, minlength=len(planar.edges))
    edge_ids = np.flatnonzero(uses)
    vertex_ids = np.flatnonzero(np.bincount(loops, minlength=planar.n_vertices))
    new_vertex = np.empty(planar.n_vertices, np.int32)
    new_vertex[vertex_ids] = np.arange(len(vertex_ids), dtype=np.int32)
    new_edge = np.empty(len(planar.edges), np.int32)
    new_edge[edge_ids] = np.arange(len(edge_ids), dtype=np.int32)
    border = uses[edge_ids] == 1
    return PlanarComplex(
        planar.points[vertex_ids],
        new_vertex[planar.edges[edge_ids]],
        np.where(border, np.int32(-1), planar.edge_layer[edge_ids]),
        np.where(border, np.int32(-1), planar.edge_unit[edge_ids]),
        np.concatenate([[0], np.cumsum(sizes[kept])]),
        new_vertex[loops],
        new_edge[loop_edges],
        hashes[kept],
    ), vertex_ids
