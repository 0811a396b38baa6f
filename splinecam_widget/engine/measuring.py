"""The façade of measures: what is counted, measured and asked of cells. Each is a module of `analysis`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import Float64, as_count, as_numbers
from .facade import Facade
from .planar import Int64

if TYPE_CHECKING:
    from splinecam_widget.analysis.counting import LocalCounts
    from splinecam_widget.analysis.decision_regions import DecisionRegions
    from splinecam_widget.analysis.graphs import RegionGraph
    from splinecam_widget.analysis.provenance import LayerCells, LayerLines, UnitCurve
    from splinecam_widget.analysis.skeleton import SkeletonGraph
    from splinecam_widget.analysis.statistics import Statistics


class Measures(Facade):
    """Methods of `Cells` that measure; all work for partitions from files as well."""

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
        patterns of the cells on both sides; one from a file does not. It is where the pre-activation is at a knot: straight on
        each cell of the layers before, bent where it crosses their edges. Lengths in units of input space.

        References
        ----------
        Hanin, Rolnick: Complexity of linear regions in deep networks. ICML 2019: bent hyperplanes.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> p.unit_curve(0, 1).length, p.unit_curve(0, 1).name
        (2.0, 'model (relu), unit 1')
        """
        from splinecam_widget.analysis.provenance import curve_of

        record = self._cells.layer_of(layer)
        record.check(unit)
        return curve_of(self._cells, int(layer), int(unit), record.name_of(unit), self._edges_of_unit(int(layer), int(unit)))

    def layer_lines(self, layer: int) -> LayerLines:
        """The edges along which the units of a layer bend, within the domain.

        Parameters
        ----------
        layer : int
            A layer of kinks, from 0 in execution order.

        Returns
        -------
        LayerLines
            The edges, and which units these are.

        Raises
        ------
        ValueError
            If there is no such layer.

        Notes
        -----
        All curves of `unit_curve` together, and with its limits: those of a partition from a file are by the names of edges.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> p.layer_lines(0)
        LayerLines(model (relu); 2 of 2 units bend along 4 edges, length 4)
        """
        from splinecam_widget.analysis.provenance import LayerLines

        record = self._cells.layer_of(layer)
        edges, units = self._edges_of_layer(int(layer))
        ends = self._cells.vertices[self._cells.edges[edges]]
        length = float(np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1).sum())
        return LayerLines(int(layer), record, edges, units, length)

    def asks_network_for_lines(self, layer: int) -> bool:  # noqa: ARG002 (names tell all that there is)
        """Whether `layer_lines` evaluates the network, as where units share lines; that may take longer than all else."""
        return False

    def _edges_of_layer(self, layer: int) -> tuple[Int64, Int64]:
        """Edges along which units of a layer bend, and these units, both increasing."""
        edges = np.flatnonzero(self._cells.edge_layer == layer)
        return edges, np.unique(self._cells.edge_unit[edges]).astype(np.int64)

    def _edges_of_unit(self, layer: int, unit: int) -> Int64:
        found: Int64 = np.flatnonzero((self._cells.edge_layer == layer) & (self._cells.edge_unit == unit))
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

        return first_layers(self._cells, as_count(k, 0, len(self._cells.layers), "k", "a number of layers"))

    def image_at(self, u: Any) -> Float64:
        """The inputs (..., *input_shape) at points (..., 2) of the domain, to look at.

        Raises
        ------
        ValueError
            If points are not given as slice coordinates, or lie outside the domain.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> plane = Slice.from_basis([5.0, 0.0, 0.0], torch.eye(3)[:2])
        >>> compute_partition(torch.nn.ReLU(), plane).image_at([0.5, 0.25]).tolist()
        [5.5, 0.25, 0.0]
        """
        points, _ = as_numbers(u, "u")
        if points.shape[-1:] != (2,):
            raise ValueError(f"u: expected slice coordinates of shape (..., 2), got {points.shape}")
        self._cells._check_inside(points, "u")
        return self._cells.plane.to_input(points)

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

        return region_graph_of(self._cells, of)

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

        return skeleton_graph_of(self._cells)

    def decision_regions(self, level: float = 0.0) -> DecisionRegions:
        """The connected components of every class's decision region, with their areas and holes.

        Parameters
        ----------
        level : float
            For one output: class 1 is where it is above, class 0 the rest. Before a head that was set aside: of a sigmoid's,
            the logit.

        Raises
        ------
        ValueError
            For a level that is not finite, or with several outputs.

        Notes
        -----
        Components are connected through pieces of edges, not through points. Taken with its border, a component is a closed
        set; a hole is a connected part of the rest of the domain that has no piece of the domain's border. So what touches
        that border at a point only is a hole, and so are two places that meet at a point two holes.

        References
        ----------
        Fawzi, Moosavi-Dezfooli, Frossard, Soatto: Empirical study of the topology and geometry of deep networks. CVPR 2018:
        whether regions of a class are connected.

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

        return decision_regions_of(self._cells, level)

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

        return Statistics(self._cells)

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
            A cell counts when it has a point in the closed ball. Only cells of the domain are there to be counted: `areas`
            tells how much of each ball is in it, and `densities` are cells for each unit of that.

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

        return counts_around(self._cells, points, radius, norm)
