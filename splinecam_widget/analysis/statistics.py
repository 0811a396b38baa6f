"""Measures of the cells of a partition, and what they come to together. Runs no network itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splinecam_widget.engine.arrays import Float64
from splinecam_widget.engine.cells import Cells
from splinecam_widget.engine.slices import polygon_area
from splinecam_widget.engine.threads import loops_in_runs

from . import _statistics_kernels, quantities, summaries
from .nearest import distances_to_segments
from .region_statistics import RegionStatistics

Bool = NDArray[np.bool_]
Int64 = NDArray[np.int64]

CELLS_AT_A_TIME = 16384
"""That one thread takes: some milliseconds."""

CELL_COLUMNS = {
    "area": "areas", "perimeter": "perimeters", "n_vertices": "n_vertices", "n_sides": "n_sides",
    "eccentricity": "eccentricities", "vertex_ratio": "vertex_ratios", "radius_ratio": "radius_ratios", "inradius": "inradii",
    "slope_norm": "slope_norms", "frobenius_norm": "frobenius_norms", "boundary_distance": "boundary_distances",
}
"""Of a cell: names of single numbers in tables and quantiles, and of the arrays they are in."""


@dataclass(frozen=True, eq=False, repr=False)
class Statistics:
    """Measures of every cell. Made by `Cells.statistics`; each is computed when it is first asked for, and kept.

    Lengths and areas are those of input space (its units, and its units squared), because the slice's basis is orthonormal.
    Arrays are in the order of the cells: entry i is of cell i.

    Attributes
    ----------
    cells : Cells
        The partition.
    count_active : callable or None
        Makes `n_active`; None where the network is not known.

    Notes
    -----
    Cells at the border of the domain are cut off by it, which makes their areas, perimeters and angles those of no cell of the
    network. `is_clipped` names them; quantiles and summaries can leave them out. That in turn favours small cells, which meet
    the border less often: for a mean without either bias choose a domain much larger than the cells.

    References
    ----------
    Humayun, Balestriero, Balakrishnan, Baraniuk: SplineCam. CVPR 2023, arXiv 2302.12828: volumes and eccentricities of regions.

    Examples
    --------
    >>> import torch
    >>> from splinecam_widget import Slice, compute_partition
    >>> statistics = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2))).statistics()
    >>> statistics.areas.tolist(), statistics.inradii.tolist()
    ([1.0, 1.0, 1.0, 1.0], [0.5, 0.5, 0.5, 0.5])
    """

    cells: Cells
    count_active: Callable[[], Int64] | None = None

    # -- of each cell --------------------------------------------------------------------------------------------------------

    @property
    def areas(self) -> Float64:
        """(C,) float64: area of each cell, squared units of input space; half the sum of its corners' cross products.

        They sum to the domain's area.
        """
        return self.cells.areas

    @cached_property
    def perimeters(self) -> Float64:
        """(C,) float64: length of each cell's border, units of input space, the domain's border included.

        The sum over its sides of sqrt(dx^2 + dy^2).
        """
        return quantities.summed_over_sides(self.cells, self.edge_lengths)

    @cached_property
    def n_vertices(self) -> Int64:
        """(C,) int64: vertices on each cell's border, also those that only a neighbour needs, where it goes on straight."""
        return np.diff(self.cells.cell_offsets)

    @cached_property
    def n_sides(self) -> Int64:
        """(C,) int64: straight sides of each cell.

        Notes
        -----
        Decided by which unit made an edge, not by angles. Inside a cell a unit is affine, so its edges there lie on one line:
        a vertex where two edges of one unit meet, and no third edge of it, is no corner. Of the border, the domain's corners
        are corners. Two edges of different units that happen to lie on one line count as two sides. Of layers that take the
        largest of several, in windows that overlap, a corner where three windows change may be missed. A continuous network
        makes no other vertices than corners but in special positions, so this is `n_vertices` nearly always.
        """
        return quantities.side_counts(self.cells)

    @property
    def centroids(self) -> Float64:
        """(C, 2) float64: slice coordinates of each cell's centre of mass, the mean of all its points.

        With the corners p_i in order and their cross products c_i = x_i y_(i+1) - x_(i+1) y_i, it is the sum of
        (p_i + p_(i+1)) c_i over 3 times the sum of c_i.
        """
        return self.cells.centroids

    @cached_property
    def second_moments(self) -> Float64:
        """(C, 3) float64: integrals of x x, x y and y y over each cell, from its centroid; units to the fourth."""
        found: Float64 = _statistics_kernels.second_moments(
            self.cells.vertices, self.cells.cell_offsets, self.cells.cell_vertices, self.centroids)
        return found

    @cached_property
    def eccentricities(self) -> Float64:
        """(C,) float64: from 0 to 1, of the ellipse with the same second moments.

        Notes
        -----
        sqrt(1 - l_min / l_max) with the eigenvalues l of the matrix of `second_moments`. A square and every regular polygon
        have 0, a rectangle of sides a > b has sqrt(1 - b^2 / a^2), and what is nearly a segment has nearly 1.
        """
        return quantities.eccentricities_of(self.second_moments)

    @cached_property
    def _ratios(self) -> Float64:
        found: Float64 = _statistics_kernels.distance_ratios(
            self.cells.vertices, self.cells.cell_offsets, self.cells.cell_vertices, self.centroids)
        return found

    @property
    def vertex_ratios(self) -> Float64:
        """(C,) float64: largest over smallest distance between two vertices of each cell.

        What the published code of Humayun et al. (arXiv 2302.12828) computes as eccentricity, but for the 1e-10 that it adds to
        the smallest. One short side makes it large, however round the cell is.
        """
        return self._ratios[:, 0]

    @property
    def radius_ratios(self) -> Float64:
        """(C,) float64: largest over smallest distance of a vertex from the centroid of each cell."""
        return self._ratios[:, 1]

    @cached_property
    def inradii(self) -> Float64:
        """(C,) float64: radius of the largest circle in each cell, units of input space.

        The largest r for which some point c has n_k c + r <= d_k for all sides, with outer unit normals n_k at distances d_k:
        the Chebyshev radius. It is found in closed form, as the time after which sides that move inwards at unit speed leave
        nothing.

        References
        ----------
        Boyd, Vandenberghe: Convex Optimization. Cambridge 2004, section 8.5.1: the Chebyshev centre of a polyhedron.
        Aichholzer et al.: A novel type of skeleton for polygons. J.UCS 1 (1995): polygons whose sides move inwards.
        """
        points, offsets, vertices = self.cells.vertices, self.cells.cell_offsets, self.cells.cell_vertices
        found: Float64 = np.concatenate(loops_in_runs(
            lambda begin, end: _statistics_kernels.inradii(points, offsets[begin:end + 1], vertices), len(offsets) - 1,
            CELLS_AT_A_TIME))
        return found

    @property
    def slope_norms(self) -> Float64:
        """(C,) float64: spectral norm of the outputs' slope A (K, 2), output units per input-space unit.

        The Jacobian by the input, restricted to directions of the slice.
        """
        return self.cells.slope_norms

    @cached_property
    def frobenius_norms(self) -> Float64:
        """(C,) float64: the root of the sum of squares of the slope A (K, 2)."""
        entries = self.cells.slopes.reshape(self.cells.n_cells, -1)
        found: Float64 = np.sqrt(np.einsum("ci,ci->c", entries, entries))
        return found

    @cached_property
    def offsets(self) -> Float64:
        """(C, K) float64: b of the affine map A u + b in slice coordinates u, output units.

        From the values at the vertices, as `Cells.slopes`; the origin may be far from the cell, and b then as uncertain as A is
        times that distance. `Partition.affine_maps` has no such loss.
        """
        return quantities.offsets_of(self.cells)

    @cached_property
    def is_clipped(self) -> Bool:
        """(C,) bool: whether a side of the cell lies on the domain's border, so that the network's own cell goes on beyond."""
        return quantities.summed_over_sides(self.cells, (self.cells.edge_layer < 0).astype(np.int64)) > 0

    @property
    def region_ids(self) -> Int64:
        """(C,) int64: the linear region of each cell."""
        return self.cells.region_ids

    @cached_property
    def boundary_distances(self) -> Float64:
        """(C,) float64: from each cell's centroid to the decision boundary (one output: where it is 0); inf without one.

        Within the domain: a nearer part of the boundary may lie outside.
        """
        distances, _, _ = distances_to_segments(self.centroids, self.cells.decision_boundary().points)
        return distances

    @cached_property
    def n_active(self) -> Int64:
        """(C, L) int64: active units of each layer of kinks.

        Raises
        ------
        ValueError
            Without the network, as for a partition from a file.

        Notes
        -----
        The entries of `Partition.patterns` that are True: units above their knot; where there are several knots, as of a ReLU6,
        knots that are passed, so that a unit may count twice; of a sort, comparisons; of the larger of two, those that
        the first wins. -1 for layers whose patterns are numbers: where the largest of more is taken, and curves with a table
        of knots.
        """
        if self.count_active is None:
            raise ValueError("n_active: expected a partition with its network, got one from arrays alone")
        return self.count_active()

    # -- of edges, regions and all -------------------------------------------------------------------------------------------

    @cached_property
    def edge_lengths(self) -> Float64:
        """(E,) float64: length of each edge of the partition, units of input space."""
        return quantities.edge_lengths(self.cells)

    @cached_property
    def layer_lengths(self) -> Float64:
        """(L,) float64: length of all edges that each layer of kinks made, units of input space.

        The sum of `edge_lengths` where `edge_layer` is that layer: an edge counts for the first layer that bends there. Over
        the domain's area it is the density of the layer's edges.
        """
        return self._lengths_by_layer[1:]

    @property
    def border_length(self) -> float:
        """Length of the edges on the domain's border, units of input space."""
        return float(self._lengths_by_layer[0])

    @cached_property
    def _lengths_by_layer(self) -> Float64:
        n_layers = len(self.cells.layers)
        found: Float64 = np.bincount(self.cells.edge_layer + 1, self.edge_lengths, n_layers + 1).astype(np.float64)
        return found

    @cached_property
    def regions(self) -> RegionStatistics:
        """The same of linear regions."""
        return RegionStatistics(self)

    @property
    def area(self) -> float:
        """Of the domain, squared units of input space."""
        return polygon_area(self.cells.plane.domain)

    def quantiles(self, name: str, q: Any, inner: bool = False) -> Float64:
        """Quantiles over cells.

        Parameters
        ----------
        name : str
            A quantity, as the columns of `to_pandas` are named: "area", "perimeter", "eccentricity", ...
        q : float or (n,) floats
            From 0 to 1.
        inner : bool
            Leave out cells that the domain's border cuts off.

        Returns
        -------
        () or (n,) float64
            Interpolated as by `numpy.quantile`; of numbers some of which are infinite, the lower neighbour. NaN where there
            are no cells.

        Raises
        ------
        ValueError
            For a name or a number that is none of these.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> partition = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> partition.statistics().quantiles("perimeter", [0.1, 0.5]).tolist()
        [4.0, 4.0]
        """
        return summaries.quantiles_of(self, CELL_COLUMNS, name, q, inner)

    @cached_property
    def summary(self) -> dict[str, float]:
        """Counts, means and lengths as one dict of numbers, see `summaries.summary_of`."""
        return summaries.summary_of(self)

    def __str__(self) -> str:
        return summaries.text_of(self)

    __repr__ = __str__

    def to_pandas(self, inner: bool = False) -> Any:
        """A DataFrame with a row for each cell.

        Columns are those of `quantiles`, and centroid_x, centroid_y, offset_0, ..., region, is_clipped, and n_active_0, ...
        where the network is known.

        Parameters
        ----------
        inner : bool
            Leave out cells that the domain's border cuts off.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        more = summaries.active_columns(self, self.count_active is not None)
        return summaries.table_of(self, CELL_COLUMNS, "cell", inner, {"region": self.region_ids}, more)

    def regions_to_pandas(self, inner: bool = False) -> Any:
        """A DataFrame with a row for each linear region; otherwise as `to_pandas`."""
        return self.regions.to_pandas(inner)
