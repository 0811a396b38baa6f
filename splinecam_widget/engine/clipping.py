"""Smaller domains cut out of partitions that are known, without the network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from . import _clipping_kernels
from .arrays import Float64
from .partition import Partition
from .planar import PlanarComplex
from .rounding import UNIT_ROUNDOFF
from .slices import Slice
from .splitting import split_complex

MAX_ZOOM = 2.0**26
"""A domain this many times smaller than one that is known still has 27 of float64's 53 bits; smaller ones are computed anew."""


def clipped(partition: Partition, plane: Slice) -> Partition:
    """The partition of a smaller domain in the same plane, cut out of a known one without the network."""
    before = partition.planar
    rows, error = _distances(plane.domain, before.points)
    split = split_complex(before, rows, error, -1)
    after = split.after
    # Every cell lies on one side of each line now; the sum over its corners tells which.
    kept = _clipping_kernels.cells_above(after.cell_offsets, after.cell_vertices, rows, split.new.rows(rows))
    *arrays, vertex_ids = _clipping_kernels.compacted(
        kept, after.points, after.edges, after.edge_layer, after.edge_unit, after.cell_offsets, after.cell_vertices,
        after.cell_edges, before.cell_hashes[split.parents])
    n_old = int(np.searchsorted(vertex_ids, before.n_vertices))
    values = np.concatenate([
        partition.values[vertex_ids[:n_old]], split.new.rows_of(partition.values, vertex_ids[n_old:] - before.n_vertices)])
    return replace(partition, plane=plane, planar=PlanarComplex(*arrays), values=values)


def contains(outer: Float64, inner: Float64) -> bool:
    """Whether a convex polygon holds another one."""
    distances, error = _distances(outer, inner)
    return bool((distances >= -error).all())


def is_sharp(outer: Float64, inner: Float64) -> bool:
    """Whether a polygon is not too small for what is known of another one, see `MAX_ZOOM`."""
    return float(np.abs(outer).max()) <= MAX_ZOOM * float(np.ptp(inner, axis=0).min())


def _distances(polygon: Float64, points: Float64) -> tuple[Float64, Float64]:
    """Distances (n, k) of points inside each side of a convex polygon, and the rounding error (k,) of each column."""
    following = np.roll(polygon, -1, axis=0)
    sides = following - polygon
    normals = np.stack([-sides[:, 1], sides[:, 0]], axis=1) / np.linalg.norm(sides, axis=1, keepdims=True)
    # A rounded difference of coordinates, a rounded unit normal (a difference of corners over its length), two products, a
    # sum: at most 8 roundings of the largest coordinate.
    size = max(float(np.abs(points).max()), float(np.abs(polygon).max()))
    return _clipping_kernels.heights_over(polygon, normals, points), np.full(len(polygon), 16 * UNIT_ROUNDOFF * size)
