"""The cells of a slice and the outputs at their vertices, and what follows from these arrays alone. Knows no network."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from . import _cell_measures
from .arrays import Float64, as_count
from .exporting import Exports
from .graph import component_ids
from .layers import Layer
from .planar import Int64
from .slices import Slice, polygon_area
from .tessellation import Tessellation

if TYPE_CHECKING:
    from splinecam_widget.analysis.boundaries import BoundaryDistances, BoundarySample
    from splinecam_widget.analysis.counting import LocalCounts
    from splinecam_widget.analysis.decision_regions import DecisionRegions
    from splinecam_widget.analysis.graphs import RegionGraph
    from splinecam_widget.analysis.provenance import LayerCells, UnitCurve
    from splinecam_widget.analysis.skeleton import SkeletonGraph
    from splinecam_widget.analysis.statistics import Statistics
    from splinecam_widget.analysis.walking import CellPath

    from .boundary import Boundary
    from .records import Made

P = TypeVar("P", bound="Cells")


@dataclass(frozen=True, eq=False)
class Cells(Exports, Tessellation):
    """Convex cells of a slice on each of which the outputs are affine.

    Attributes
    ----------
    plane, planar :
        As of a `Tessellation`.
    values : (V, K) float64
        The network's outputs at the vertices (the logits, where a softmax was set aside).
    tolerance : (K,) float64
        Bound of the rounding error of `values`, see `rounding`.
    n_close : int
        Crossings of edges that float64 could not tell apart; they share a vertex.
    n_zero : int
        Pre-activations at vertices that counted as zero.
    asked : (k, 2) float64 or None
        The domain that was asked for, where only `plane.domain` fitted into the budget.
    """

    values: Float64
    tolerance: Float64
    n_close: int = 0
    n_zero: int = 0
    asked: Float64 | None = None

    def with_anchors_of(self: P, plane: Slice) -> P:
        """The same partition with another slice's anchors: nothing else depends on them."""
        clone = copy.copy(self)
        object.__setattr__(clone, "plane", plane)
        return clone

    @property
    def asked_plane(self) -> Slice:
        """The slice that was asked for: `plane`, with all of the domain."""
        return self.plane if self.asked is None else self.plane.with_domain(self.asked)

    @property
    def is_complete(self) -> bool:
        """Whether this is all that was asked for."""
        return self.asked is None

    @property
    def share(self) -> float:
        """How much of the area that was asked for this is, 1.0 for all of it."""
        return 1.0 if self.asked is None else polygon_area(self.plane.domain) / polygon_area(self.asked)

    @property
    def made(self) -> Made:
        """What it was made of and by, with its certificate."""
        raise NotImplementedError

    @property
    def head(self) -> str:
        """A monotone last operation of the model that was set aside ("softmax"), or ""."""
        raise NotImplementedError

    def record(self) -> dict[str, Any]:
        """Where the partition comes from: what every exported file carries, made of what JSON has.

        Returns
        -------
        dict
            `slice` (input_shape, origin, basis, anchors), `domain`, `asked` and `share` where that is only a part of what
            was asked for, `n_cells`, `is_exact` (False for an approximation), `model` (a digest, layers), `versions` of
            packages, `certificate`.

        Notes
        -----
        `origin` and `basis` are given by shape, SHA-256 and, up to 64 KiB, their float64 numbers in base64, see
        `engine.records.array_of`; `Partition.save` stores them in full. The certificate takes a moment, the first time.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> record = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2))).record()
        >>> record["n_cells"], record["is_exact"], record["certificate"]["is_sound"]
        (4, True, True)
        """
        from .records import record_of

        return record_of(self)

    @cached_property
    def region_ids(self) -> Int64:
        """(C,) int64: linear region of each cell, neighbours with the same affine map merged, numbered by first cells."""
        same = _cell_measures.same_map_across(
            self.vertices, self.edges, self.edge_cells, self.cell_offsets, self.cell_vertices, self.values, self.tolerance
        )
        if not same.any():
            return np.arange(self.n_cells)
        return component_ids(self.n_cells, self.edge_cells[same])

    @cached_property
    def n_regions(self) -> int:
        """Number of linear regions: cells merged with neighbours that have the same affine map.

        At most `n_cells`; smaller, for example, when a unit has no outgoing weight, so that nothing bends at its edges.
        """
        return int(self.region_ids.max()) + 1

    @cached_property
    def slopes(self) -> Float64:
        """(C, K, 2) float64: gradient of the outputs on each cell, from the values at its vertices, without the network.

        Exact up to the rounding of the values over the cell's width; `affine_maps` has no such loss on tiny cells.
        """
        found: Float64 = _cell_measures.gradients(self.vertices, self.values, self.cell_offsets, self.cell_vertices)
        return found

    @cached_property
    def slope_norms(self) -> Float64:
        """(C,) float64: spectral norm of each cell's slope (K, 2), output units per input-space unit.

        From the 2 x 2 Gram matrix: the root of its larger eigenvalue.
        """
        gram = np.einsum("cki,ckj->cij", self.slopes, self.slopes)
        half = (gram[:, 0, 0] + gram[:, 1, 1]) / 2
        norms: Float64 = np.sqrt(half + np.hypot((gram[:, 0, 0] - gram[:, 1, 1]) / 2, gram[:, 0, 1]))
        return norms

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What `edge_layer` and `edge_unit` count: the layers of kinks in execution order."""
        raise NotImplementedError

    def layer_of(self, layer: int) -> Layer:
        """One layer of kinks.

        Raises
        ------
        ValueError
            If there is no such layer.
        """
        return self.layers[as_count(layer, 0, len(self.layers) - 1, "layer", "a layer of kinks")]

    def unit_curve(self, layer: int, unit: int) -> UnitCurve:
        """The curve along which one unit bends, within the domain.

        Parameters
        ----------
        layer : int
            A layer of kinks, from 0 in execution order; `layers` says which they are.
        unit : int
            See `Layer.unit_at` for the number of a channel's pixel.

        Returns
        -------
        UnitCurve
            Its edges, and these joined to polylines.

        Raises
        ------
        ValueError
            If there is no such layer or unit.

        Notes
        -----
        An edge is named by the first unit that bends there. A partition with its network finds the later ones as well, by the
        patterns of the cells on both sides; one from a file does not.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> p.unit_curve(0, 1).length, p.unit_curve(0, 1).name
        (2.0, 'model (relu), unit 1')
        """
        from splinecam_widget.analysis.provenance import curve_of

        record = self.layer_of(layer)
        record.check(unit)
        return curve_of(self, int(layer), int(unit), record.name_of(unit), self._edges_of_unit(int(layer), int(unit)))

    def _edges_of_unit(self, layer: int, unit: int) -> Int64:
        found: Int64 = np.flatnonzero((self.edge_layer == layer) & (self.edge_unit == unit))
        return found

    def at_layer(self, k: int) -> LayerCells:
        """The partition by the first `k` layers of kinks, from the edges that are there: nothing is computed anew.

        Parameters
        ----------
        k : int
            From 0 (the domain as one cell) to the number of layers (all cells).

        Returns
        -------
        LayerCells
            Its cells, and in which of them each cell of this partition lies.

        Raises
        ------
        ValueError
            If there are not so many layers.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> p.at_layer(0).n_cells, p.at_layer(1).n_cells, p.at_layer(0).cell_of.tolist()
        (1, 4, [0, 0, 0, 0])
        """
        from splinecam_widget.analysis.provenance import first_layers

        return first_layers(self, as_count(k, 0, len(self.layers), "k", "a number of layers"))

    def region_graph(self, of: str = "cells") -> RegionGraph:
        """Cells as nodes and the edges between them as links: neighbours, shortest paths, bottlenecks.

        Parameters
        ----------
        of : str
            "cells", or "regions": linear regions, linked by the edges at which the affine map changes.

        Raises
        ------
        ValueError
            For another kind of nodes.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> p.region_graph()
        RegionGraph(4 cells, 4 links)
        """
        from splinecam_widget.analysis.graphs import region_graph_of

        return region_graph_of(self, of)

    def skeleton_graph(self) -> SkeletonGraph:
        """Vertices as nodes and edges as links: a planar graph.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> p.skeleton_graph().degree_counts.tolist()  # four corners, four ends of lines, one crossing
        [0, 0, 4, 4, 1]
        """
        from splinecam_widget.analysis.skeleton import skeleton_graph_of

        return skeleton_graph_of(self)

    def decision_regions(self, level: float = 0.0) -> DecisionRegions:
        """The connected components of every class's decision region, with their areas and holes.

        Parameters
        ----------
        level : float
            For one output: class 1 is where it is above, class 0 the rest.

        Raises
        ------
        ValueError
            For a level that is not finite, or with several outputs.

        Notes
        -----
        Components are connected through pieces of edges, not through points. Taken with its border, a component is a closed
        set; a hole is a connected part of the rest of the domain that has no piece of the domain's border. So what touches
        that border at a point only is a hole, and so are two places that meet at a point two holes.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> diamond = lambda x: 0.5 - x.abs().sum(dim=1, keepdim=True)
        >>> regions = compute_partition(diamond, Slice.from_basis([0.0, 0.0], torch.eye(2))).decision_regions()
        >>> regions.classes.tolist(), regions.areas.tolist(), regions.holes.tolist()
        ([0, 1], [3.5, 0.5], [1, 0])
        """
        from splinecam_widget.analysis.decision_regions import decision_regions_of

        return decision_regions_of(self, level)

    def statistics(self) -> Statistics:
        """Measures of cells and linear regions: areas, shapes, slopes, distances to the decision boundary; means and quantiles.

        Returns
        -------
        Statistics
            Every measure is computed when it is first asked for.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> found = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2))).statistics()
        >>> found.perimeters.tolist(), found.regions.areas.tolist(), found.summary["cell_density"]
        ([4.0, 4.0, 4.0, 4.0], [1.0, 1.0, 1.0, 1.0], 1.0)
        """
        from splinecam_widget.analysis.statistics import Statistics

        return Statistics(self)

    def counts_around(self, points: Any, radius: Any, norm: float = 2) -> LocalCounts:
        """How many cells, linear regions and vertices there are around each of some points.

        Parameters
        ----------
        points : (n, 2) tensor or array
            Slice coordinates, inside the domain or not.
        radius : float or (n,) floats
            Of the balls around them, input-space units; 0 for the points alone.
        norm : 1, 2 or inf
            Of slice coordinates: a ball is a square on its corner, a disc, or a square. The disc is where the slice meets a
            ball of input space around a point on it.

        Returns
        -------
        LocalCounts
            A cell counts when it has a point in the closed ball. Only cells of the domain are there to be counted: `areas` tells
            how much of each ball is in it, and `densities` are cells for each unit of that.

        Raises
        ------
        ValueError
            If points are not of that shape, a radius is negative, or a number is not finite.

        Notes
        -----
        A cell meets the ball if its distance from the centre is at most the radius, as float64 tells it: no sampling.

        References
        ----------
        Humayun, Balestriero, Baraniuk: Deep networks always grok and here is why. arXiv 2402.15555, counts knots around data
        points (local complexity); this counts the cells themselves.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> around = p.counts_around([[0.0, 0.0], [0.5, 0.1], [0.5, 0.5]], radius=0.25)
        >>> around.n_cells.tolist(), around.n_vertices.tolist()
        ([4, 2, 1], [1, 0, 0])
        """
        from splinecam_widget.analysis.counting import counts_around

        return counts_around(self, points, radius, norm)

    def decision_boundary(self, classes: tuple[int, int] | None = None, level: float = 0.0) -> Boundary:
        """Where the two largest outputs tie (K > 1), or where the output is `level` (K = 1).

        Parameters
        ----------
        classes : pair of int or None
            Only the ties between these two classes.
        level : float
            For one output.

        Returns
        -------
        Boundary
            Segments, and these joined to polylines. It parts the sides: where the winner is the same on both sides of a tie,
            or the output above the level (or not above it) on both, there is no boundary; `level_set` has these as well.

        Raises
        ------
        ValueError
            For a level with several outputs, or classes that do not exist.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> diamond = lambda x: 0.5 - x.abs().sum(dim=1, keepdim=True)
        >>> boundary = compute_partition(diamond, Slice.from_basis([0.0, 0.0], torch.eye(2))).decision_boundary()
        >>> len(boundary.polylines), boundary.polylines.is_closed.tolist(), round(boundary.length**2, 12)
        (1, [True], 8.0)
        """
        from .boundary import boundary_of

        return boundary_of(self, classes, level)

    def level_set(self, of: Any, level: float = 0.0) -> Boundary:
        """Where an output, or a weighted sum of outputs, is at a level.

        Parameters
        ----------
        of : int or (K,) floats
            The number of an output, or weights: with 1 for class a and -1 for b it is where a is ahead of b by `level`.
        level : float

        Returns
        -------
        Boundary
            Its classes are -1. With the side above the level on the left, where there is one.

        Raises
        ------
        ValueError
            If there is no such output, there are not K weights, all are zero, or a number is not finite.

        Notes
        -----
        All of the set that is a line: also an edge on both sides of which the function is above the level, once, and one on
        the border of the domain. Of a cell on which it is at the level everywhere, within rounding, there are those edges
        beside which it is not: the frontier of the flat part within the domain. Points that it touches are left out.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> p.level_set(0, 0.5).polylines.points.tolist()
        [[0.5, 1.0], [0.5, 0.0], [0.5, -1.0]]
        >>> p.level_set([1, -1], 0.25).length == p.level_set([1, -1], -0.25).length
        True
        """
        from .boundary import level_set_of

        return level_set_of(self, of, level)

    def sample_boundary(
        self, n: int, seed: int = 0, classes: tuple[int, int] | None = None, level: float = 0.0
    ) -> BoundarySample:
        """Random points of the decision boundary, uniform by length.

        Parameters
        ----------
        n : int
        seed : int
            Of numpy's generator: the same points each time.
        classes, level :
            See `decision_boundary`.

        Raises
        ------
        ValueError
            If there is no boundary, `n` is not positive, or as `decision_boundary`.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> found = p.sample_boundary(100)
        >>> found.x.shape, found.classes[0].tolist(), float(found.residual.max())
        ((100, 2), [0, 1], 0.0)
        """
        from splinecam_widget.analysis.boundaries import sample_of

        return sample_of(self, n, seed, classes, level)

    def _outputs_at(self, u: Float64, cells: Any) -> Float64:
        """Outputs (n, K) at points (n, 2) that lie in cells (n,), as well as they are known."""
        from splinecam_widget.analysis.boundaries import interpolated_outputs

        return interpolated_outputs(self, u, cells)

    def distance_to_boundary(
        self, points: Any, classes: tuple[int, int] | None = None, level: float = 0.0
    ) -> BoundaryDistances:
        """How far points are from the decision boundary, on the slice and within its domain.

        Parameters
        ----------
        points : (n, 2) tensor or array
            Slice coordinates, inside the domain or not.
        classes, level :
            See `decision_boundary`.

        Returns
        -------
        BoundaryDistances
            Distances, nearest points, their segments, and by `path` the cells on the way.

        Raises
        ------
        ValueError
            If points are not of that shape or not finite, or as `decision_boundary`.

        Notes
        -----
        The straight distance to the nearest point of the nearest segment. In input space there may be a nearer one off the
        slice or outside the domain: this is an upper bound of the distance there.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> found = p.distance_to_boundary([[-0.6, 0.8]])
        >>> found.distance.tolist(), found.nearest.tolist(), found.path(0).cells.tolist() == p.locate(found.points).tolist()
        ([0.8], [[-0.6, 0.0]], True)
        """
        from splinecam_widget.analysis.boundaries import distances_of

        return distances_of(self, points, classes, level)

    def cells_along(self, a: Any, b: Any) -> CellPath:
        """The cells that the straight segment from a to b crosses, in order.

        Parameters
        ----------
        a, b : (2,) tensors or arrays
            Slice coordinates, in the domain.

        Returns
        -------
        CellPath

        Raises
        ------
        ValueError
            If an end is not in the domain.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> path = p.cells_along([-1.0, -0.5], [1.0, 0.5])
        >>> path.cells.tolist() == p.locate([[-0.5, -0.25], [0.5, 0.25]]).tolist(), path.t.tolist(), path.edges.tolist()
        (True, [0.0, 0.5, 1.0], [-1])
        """
        from splinecam_widget.analysis.walking import cells_along

        return cells_along(self, a, b)
