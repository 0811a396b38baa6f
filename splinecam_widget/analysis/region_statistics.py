"""Measures of the linear regions of a partition, from those of its cells. Runs no network itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from splinecam_widget.engine.arrays import Float64
from splinecam_widget.engine.cells import Cells

from . import _statistics_kernels, quantities, summaries
from .nearest import distances_to_segments
from .shapes import region_inradii

if TYPE_CHECKING:
    from .statistics import Statistics

Bool = NDArray[np.bool_]
Int64 = NDArray[np.int64]

REGION_COLUMNS = {
    "area": "areas", "perimeter": "perimeters", "n_cells": "n_cells", "n_vertices": "n_vertices",
    "eccentricity": "eccentricities", "vertex_ratio": "vertex_ratios", "radius_ratio": "radius_ratios",
    "slope_norm": "slope_norms", "frobenius_norm": "frobenius_norms", "boundary_distance": "boundary_distances",
}
"""Of a linear region: names of single numbers in tables and quantiles, and of the arrays they are in."""


@dataclass(frozen=True, eq=False, repr=False)
class RegionStatistics:
    """Measures of every linear region: neighbouring cells with one affine map, merged. A region need not be convex.

    Lengths and areas are in units of input space.

    Attributes
    ----------
    of_cells : Statistics

    References
    ----------
    Hanin, Rolnick: Complexity of linear regions in deep networks. ICML 2019: regions on which the gradient is constant.
    """

    of_cells: Statistics

    def __repr__(self) -> str:
        return f"RegionStatistics({self.cells.n_regions:,} regions, area {self.of_cells.area:.6g})"

    @property
    def cells(self) -> Cells:
        """The partition."""
        return self.of_cells.cells

    @property
    def _ids(self) -> Int64:
        return self.of_cells.region_ids

    def _summed(self, of_cells: Float64) -> Float64:
        found: Float64 = np.bincount(self._ids, of_cells).astype(np.float64)
        return found

    @cached_property
    def _largest_cells(self) -> Int64:
        """(R,) int64: the cell with the largest area of each region, whose slope is the least uncertain."""
        return quantities.largest_cells(self._ids, self.of_cells.areas, self.cells.n_regions)

    @cached_property
    def areas(self) -> Float64:
        """(R,) float64: the sum of its cells' areas, squared units of input space."""
        return self._summed(self.of_cells.areas)

    @cached_property
    def n_cells(self) -> Int64:
        """(R,) int64: cells of each region."""
        return np.bincount(self._ids)

    @cached_property
    def _sides(self) -> tuple[Int64, Int64]:
        """Edges to other regions and on the domain's border, once for each region beside them: regions and edges (n,)."""
        beside = self.cells.edge_cells
        left, right = (np.where(cells >= 0, self._ids[cells], -1) for cells in beside.T)
        edges = np.flatnonzero(left != right)
        ids = np.stack([left[edges], right[edges]], axis=1)
        return ids[ids >= 0], np.repeat(edges, (ids >= 0).sum(axis=1))

    @cached_property
    def perimeters(self) -> Float64:
        """(R,) float64, units of input space: length of edges to other regions and on the border, around holes as well."""
        regions, edges = self._sides
        found: Float64 = np.bincount(regions, self.of_cells.edge_lengths[edges], len(self.areas)).astype(np.float64)
        return found

    @cached_property
    def _corners(self) -> tuple[Int64, NDArray[np.int32]]:
        """The vertices on each region's border: where those of each region begin, (R + 1,), and their ids."""
        regions, edges = self._sides
        ends = self.cells.edges[edges]
        pairs = np.unique(regions[:, None] << 32 | ends)
        return np.searchsorted(pairs >> 32, np.arange(len(self.areas) + 1)), (pairs & 0xFFFFFFFF).astype(np.int32)

    @cached_property
    def n_vertices(self) -> Int64:
        """(R,) int64: vertices on each region's border, around holes as well, also those where it goes on straight."""
        return np.diff(self._corners[0])

    @cached_property
    def _ratios(self) -> Float64:
        found: Float64 = _statistics_kernels.distance_ratios(self.cells.vertices, *self._corners, self.centroids)
        return found

    @property
    def vertex_ratios(self) -> Float64:
        """(R,) float64: largest over smallest distance between two vertices on each region's border."""
        return self._ratios[:, 0]

    @property
    def radius_ratios(self) -> Float64:
        """(R,) float64: largest over smallest distance of a vertex on the border from the region's centroid."""
        return self._ratios[:, 1]

    @cached_property
    def boundary_distances(self) -> Float64:
        """(R,) float64, units of input space: from each region's centroid to the decision boundary; inf without one."""
        distances, _, _ = distances_to_segments(self.centroids, self.cells.decision_boundary().points)
        return distances

    @cached_property
    def centroids(self) -> Float64:
        """(R, 2) float64: slice coordinates; not always inside the region."""
        found = self.of_cells.centroids[self._largest_cells]  # sums are taken from here, so that small regions lose no digits
        has_area = self.areas > 0
        for of_cells, start in zip(self.of_cells.centroids.T, found.T):
            sums = self._summed(self.of_cells.areas * (of_cells - start[self._ids]))
            start += np.divide(sums, self.areas, out=np.zeros_like(sums), where=has_area)
        return found

    @cached_property
    def second_moments(self) -> Float64:
        """(R, 3) float64: integrals of x x, x y and y y over each region, from its centroid; units to the fourth.

        From those of the cells by the parallel axis theorem.
        """
        x, y = (of_cells - of_regions[self._ids] for of_cells, of_regions in zip(self.of_cells.centroids.T, self.centroids.T))
        found = np.empty((len(self.areas), 3))
        for k, product in enumerate((x * x, x * y, y * y)):
            found[:, k] = self._summed(self.of_cells.second_moments[:, k] + self.of_cells.areas * product)
        return found

    @cached_property
    def eccentricities(self) -> Float64:
        """(R,) float64 from 0 to 1: sqrt(1 - l_min / l_max) with the eigenvalues l of the second moments' matrix."""
        return quantities.eccentricities_of(self.second_moments)

    @property
    def slope_norms(self) -> Float64:
        """(R,) float64, units of output per unit of input: largest singular value of the slopes along the slice."""
        return self.of_cells.slope_norms[self._largest_cells]

    @property
    def frobenius_norms(self) -> Float64:
        """(R,) float64, units of output per unit of input: root of the sum of the squared slopes along the slice."""
        return self.of_cells.frobenius_norms[self._largest_cells]

    @property
    def offsets(self) -> Float64:
        """(R, K) float64: outputs at slice coordinates (0, 0) by the map of each region."""
        return self.of_cells.offsets[self._largest_cells]

    @cached_property
    def inradii(self) -> Float64:
        """(R,) float64: radius of the largest circle in each region, units of input space.

        Raises
        ------
        ImportError
            If a region has several cells and shapely is not installed.

        Notes
        -----
        Of a region of one cell that of the cell. Of others there is no closed form: shapely searches until it is within 1e-9
        of the root of the region's area.
        """
        return region_inradii(self.cells, self.of_cells.inradii)

    @property
    def n_active(self) -> Int64:
        """(R, L) int64: active units of each layer on the largest cell of each region, as `Statistics.n_active`.

        The region's other cells differ from it in units that make no difference to the outputs there.
        """
        return self.of_cells.n_active[self._largest_cells]

    @cached_property
    def is_clipped(self) -> Bool:
        """(R,) bool: whether a side of one of its cells lies on the domain's border."""
        return self._summed(self.of_cells.is_clipped.astype(np.float64)) > 0

    def quantiles(self, name: str, q: Any, inner: bool = False) -> Float64:
        """Quantiles over regions, as `Statistics.quantiles`."""
        return summaries.quantiles_of(self, REGION_COLUMNS, name, q, inner)

    def to_pandas(self, inner: bool = False) -> Any:
        """A DataFrame with a row for each region, as `Statistics.to_pandas`."""
        more = summaries.active_columns(self, self.of_cells.count_active is not None)
        return summaries.table_of(self, REGION_COLUMNS, "region", inner, {}, more)
