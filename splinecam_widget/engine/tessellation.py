"""Convex cells that fill a part of a slice, and what follows from their shapes alone. Knows no outputs, no network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from . import _cell_measures
from .arrays import Float64
from .planar import Int32, Int64, PlanarComplex, cells_beside_edges
from .slices import Slice


@dataclass(frozen=True, eq=False)
class Tessellation:
    """Convex cells that fill the domain of a slice without overlaps.

    All coordinates are slice coordinates (input-space units). Arrays are shared with the engine: read, do not write.

    Attributes
    ----------
    plane : Slice
    planar : PlanarComplex
        The arrays behind the properties below.
    """

    plane: Slice
    planar: PlanarComplex

    @property
    def vertices(self) -> Float64:
        """(V, 2) float64."""
        return self.planar.points

    @property
    def cell_offsets(self) -> Int64:
        """(C + 1,) int64: cell i is `cell_vertices[cell_offsets[i]:cell_offsets[i + 1]]`, counter-clockwise."""
        return self.planar.cell_offsets

    @property
    def cell_vertices(self) -> Int32:
        """(sum,) int32."""
        return self.planar.cell_vertices

    @property
    def edges(self) -> Int32:
        """(E, 2) int32: vertex ids."""
        return self.planar.edges

    @property
    def edge_layer(self) -> Int32:
        """(E,) int32: the kink that made each edge, counted from 0 in execution order; -1 on the domain's border."""
        return self.planar.edge_layer

    @property
    def edge_unit(self) -> Int32:
        """(E,) int32: the unit of that kink, its index in the flattened pre-activation; -1 on the border."""
        return self.planar.edge_unit

    @cached_property
    def edge_cells(self) -> Int32:
        """(E, 2) int32: the cells left and right of each edge, -1 outside."""
        return cells_beside_edges(self.planar)

    @cached_property
    def corner_ids(self) -> Int64:
        """(k,) int64: the vertices at the corners of the domain; of those on its border, the nearest to each."""
        border = np.unique(self.edges[self.edge_layer < 0]).astype(np.int64)
        gaps = np.linalg.norm(self.vertices[border][:, None] - self.plane.domain, axis=2)
        found: Int64 = border[gaps.argmin(axis=0)]
        return found

    @property
    def n_cells(self) -> int:
        """Number of activation cells: polygons with one activation pattern."""
        return self.planar.n_cells

    @cached_property
    def _measures(self) -> tuple[Float64, Float64]:
        areas, centroids = _cell_measures.areas_and_centroids(self.vertices, self.cell_offsets, self.cell_vertices)
        return areas, centroids

    @property
    def areas(self) -> Float64:
        """(C,) float64: areas of the cells, input-space units squared."""
        return self._measures[0]

    @property
    def centroids(self) -> Float64:
        """(C, 2) float64: a point inside each cell."""
        return self._measures[1]

    @cached_property
    def _buckets(self) -> tuple[float, float, float, float, int, Int64, Int32]:
        low, high = self.vertices.min(axis=0), self.vertices.max(axis=0)
        n = max(1, int(np.sqrt(self.n_cells)))
        width, height = high - low
        starts, ids = _cell_measures.bucket_cells(
            self.vertices, self.cell_offsets, self.cell_vertices, low[0], low[1], width, height, n
        )
        return float(low[0]), float(low[1]), float(width), float(height), n, starts, ids

    def locate(self, u: Any) -> Int64:
        """The cell of each point (..., 2): ids (...), the lowest of them on an edge, -1 outside the domain."""
        points = np.ascontiguousarray(u.detach().cpu().numpy() if hasattr(u, "detach") else u, dtype=np.float64)
        if points.shape[-1:] != (2,):
            raise ValueError(f"u: expected slice coordinates of shape (..., 2), got {points.shape}")
        left, bottom, width, height, n, starts, ids = self._buckets
        found = _cell_measures.locate_points(
            points.reshape(-1, 2), self.vertices, self.cell_offsets, self.cell_vertices,
            left, bottom, width, height, n, starts, ids,
        )
        cells: Int64 = found.reshape(points.shape[:-1])
        return cells

    def _check_inside(self, points: Float64, name: str) -> None:
        """Raise ValueError if one of the points (..., 2) lies outside the domain; `name` is the user's for them."""
        places = points.reshape(-1, 2)
        outside = places[self.locate(places) < 0]
        if len(outside):
            raise ValueError(f"{name}: expected points of the domain, got {len(outside):,} of {len(places):,} outside, "
                             f"the first at ({outside[0, 0]:g}, {outside[0, 1]:g})")
