"""Which ends of a boundary's segments are one place, told by what they lie on and not by distances."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .arrays import Float64
from .graph import component_ids
from .planar import Int32, Int64

if TYPE_CHECKING:
    from splinecam_widget.analysis.polylines import Polylines


@dataclass(frozen=True, eq=False)
class Joints:
    """The ends of segments.

    Attributes
    ----------
    points : (S, 2, 2) float64
    classes : (S, 2) int32
    keys : (S, 2, 4) int64
        Of both ends, see `_tie_kernels`.
    links : (L, 2, 4) int64
        Keys of one place.
    edges, edge_layer : (E, 2), (E,) int32
        Of the partition.
    """

    points: Float64
    classes: Int32
    keys: Int64
    links: Int64
    edges: Int32
    edge_layer: Int32

    @cached_property
    def nodes(self) -> Int64:
        """(S, 2) int64: ends with one node are one place. Numbered by first ends."""
        ids = _row_ids(np.concatenate([self.keys.reshape(-1, 4), self.links.reshape(-1, 4)]))
        if len(self.links):
            ids = component_ids(int(ids.max()) + 1, ids[2 * len(self.keys):].reshape(-1, 2))[ids]
        _, first, inverse = np.unique(ids[:2 * len(self.keys)], return_index=True, return_inverse=True)
        rank = np.empty(len(first), np.int64)
        rank[np.argsort(first)] = np.arange(len(first))
        return rank[inverse].reshape(-1, 2)

    @cached_property
    def _first_ends(self) -> Int64:
        """(N,) int64: the first end of every node, of 2 S ends."""
        return np.unique(self.nodes, return_index=True)[1]

    @cached_property
    def met_points(self) -> Float64:
        """(S, 2, 2) float64: the points, those of linked keys made equal."""
        if not len(self.links):
            return self.points  # equal keys have equal points
        return self.points.reshape(-1, 2)[self._first_ends][self.nodes]

    @cached_property
    def is_border(self) -> NDArray[np.bool_]:
        """(N,) bool: whether a node lies on the border of the domain."""
        border = np.sort(self.edges[self.edge_layer < 0].astype(np.int64), axis=1)
        places = np.concatenate([border[:, 0] << 32 | border[:, 1], np.unique(border) * (2**32 + 1)])
        is_there = np.isin(self.keys[:, :, 0], places)
        found: NDArray[np.bool_] = np.bincount(self.nodes.ravel(), is_there.ravel()) > 0
        return found

    @cached_property
    def polylines(self) -> Polylines:
        """All segments, joined."""
        from splinecam_widget.analysis.polylines import polylines_of

        return polylines_of(self.points.reshape(-1, 2)[self._first_ends], self.nodes, self.classes, self.is_border)


def _row_ids(rows: Int64) -> Int64:
    """(n,) int64: equal ids for equal rows (n, k)."""
    order = np.lexsort(rows.T)
    is_new = np.ones(len(rows), np.int64)
    is_new[1:] = (rows[order[1:]] != rows[order[:-1]]).any(axis=1)
    ids = np.empty(len(rows), np.int64)
    ids[order] = np.cumsum(is_new) - 1
    return ids
