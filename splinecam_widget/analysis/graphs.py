"""Graphs of a partition: its cells or linear regions with the edges between them, and its skeleton. Knows no network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from splinecam_widget.engine.arrays import Float64, as_numbers
from splinecam_widget.engine.planar import Int32, Int64

from ._graph_backends import Neighbours, as_graph_tool, as_scipy

if TYPE_CHECKING:
    from splinecam_widget.engine.cells import Cells

    from .centrality import Betweenness
    from .paths import Route

KINDS = ("cells", "regions")
WEIGHTS = ("hops", "length", "distance")


@dataclass(frozen=True, eq=False)
class RegionGraph:
    """Cells or linear regions as nodes, and the edges between them as links. Made by `Cells.region_graph`.

    Every inner edge of the partition that has two different nodes beside it is one link, so two nodes may share several
    links: cells where their common side has a vertex on it (units of two layers may end one line there), regions also
    along borders with corners, or in several places.

    Attributes
    ----------
    partition : Cells
    of : str
        "cells" or "regions".
    cell_nodes : (C,) int64
        The node that each cell is, or belongs to.
    links : (L, 2) int32
        The nodes left and right of each edge.
    edge_ids : (L,) int64
        The edge of the partition that each link is.
    lengths : (L,) float64
        Of the edges, input-space units.
    layers, units : (L,) int32
        The kink and the unit that made the edge: what flips when it is crossed.
    """

    partition: Cells
    of: str
    cell_nodes: Int64
    links: Int32
    edge_ids: Int64
    lengths: Float64
    layers: Int32
    units: Int32

    @cached_property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return self.partition.n_cells if self.of == "cells" else self.partition.n_regions

    def __repr__(self) -> str:
        return f"RegionGraph({self.n_nodes:,} {self.of}, {len(self.links):,} links)"

    @cached_property
    def areas(self) -> Float64:
        """(N,) float64: input-space units squared."""
        if self.of == "cells":
            return self.partition.areas
        return np.asarray(np.bincount(self.cell_nodes, self.partition.areas, self.n_nodes), np.float64)

    @cached_property
    def centroids(self) -> Float64:
        """(N, 2) float64: slice coordinates. That of a linear region, which need not be convex, may lie outside it."""
        if self.of == "cells":
            return self.partition.centroids
        areas, points = self.partition.areas, self.partition.centroids
        # The mean of cells without any area left in float64 counts them alike.
        sums = np.bincount(self.cell_nodes, areas, self.n_nodes)
        weights = np.where(sums[self.cell_nodes] > 0, areas, 1.0)
        sums = np.bincount(self.cell_nodes, weights, self.n_nodes)
        return np.stack([np.bincount(self.cell_nodes, weights * x, self.n_nodes) / sums for x in points.T], axis=1)

    @cached_property
    def classes(self) -> Int32:
        """(N,) int32: the class that wins on the largest part of each node; of one output, 1 where it is above 0, else 0."""
        from .decision_regions import decision_regions_of

        parts = decision_regions_of(self.partition, 0.0)
        n_classes = int(parts.part_classes.max()) + 1
        keys, inverse = np.unique(self.cell_nodes[parts.part_cells] * n_classes + parts.part_classes, return_inverse=True)
        areas = np.bincount(inverse.reshape(-1), parts.part_areas)
        order = np.lexsort((-keys, areas, keys // n_classes))  # the last of each node: its largest area, of the lowest class
        nodes = keys[order] // n_classes
        is_last = np.append(nodes[1:] != nodes[:-1], True)
        found: Int32 = (keys[order] % n_classes)[is_last].astype(np.int32)
        return found

    @cached_property
    def _neighbours(self) -> tuple[Neighbours, Int64, Int64]:
        return Neighbours.of(self.n_nodes, self.links)

    @cached_property
    def _steps(self) -> Float64:
        """(P,) float64: distance between the centroids of every pair of neighbours."""
        ends = self.centroids[self._neighbours[0].pairs]
        steps: Float64 = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
        return steps

    def node_at(self, where: Any) -> int:
        """The node of that number, or at a point.

        Parameters
        ----------
        where : int or (2,) floats
            A node's id, or slice coordinates.

        Raises
        ------
        ValueError
            If there is no such node, or the point is outside the domain.
        """
        return self._node_at(where, "where")

    def _node_at(self, where: Any, name: str) -> int:
        """The same; `name` is the user's for it."""
        if isinstance(where, (int, np.integer)) and not isinstance(where, bool):
            if not 0 <= where < self.n_nodes:
                raise ValueError(f"{name}: expected a node from 0 to {self.n_nodes - 1}, got {where}")
            return int(where)
        point, _ = as_numbers(where, name)
        if point.shape != (2,):
            raise ValueError(f"{name}: expected a node's id or a point (2,), got shape {point.shape}")
        cell = int(self.partition.locate(point))
        if cell < 0:
            raise ValueError(f"{name}: expected a point of the domain, got ({point[0]:g}, {point[1]:g})")
        return int(self.cell_nodes[cell])

    def distances(self, source: Any, weight: str = "hops") -> Any:
        """How far every node is from one of them.

        Parameters
        ----------
        source : int or (2,) floats
            A node's id, or slice coordinates.
        weight : str
            "hops": the least number of edges to cross, the flips of units on the way; "distance": the least sum of
            distances between centroids of neighbours, input-space units.

        Returns
        -------
        (N,) int64 for "hops", else (N,) float64

        Raises
        ------
        ValueError
            For a node that does not exist, a point outside the domain, or another weight.

        References
        ----------
        E. W. Dijkstra, A note on two problems in connexion with graphs, Numerische Mathematik 1 (1959).
        Raghu, Poole, Kleinberg, Ganguli, Sohl-Dickstein: On the expressive power of deep neural networks. ICML 2017: units
        that flip along a path.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> graph = p.region_graph()
        >>> sorted(graph.distances([-0.5, -0.5]).tolist())
        [0, 1, 1, 2]
        """
        from .paths import distances_from

        return distances_from(self, source, weight)

    def shortest_path(self, a: Any, b: Any, weight: str = "hops") -> Route:
        """A path from one node to another that crosses the fewest edges, or is shortest through centroids.

        Of several, one of the fewest links; of those, from `b` on back, always the lowest node: the same one every time.

        Parameters
        ----------
        a, b : int or (2,) floats
            Nodes' ids, or slice coordinates.
        weight : str
            "hops" or "distance", see `distances`.

        Raises
        ------
        ValueError
            For a node that does not exist, a point outside the domain, or another weight.

        Notes
        -----
        In a network with one layer of kinks, two cells are as many hops apart as units differ, where no two units bend along
        one line: every line between them is crossed once. In deeper networks a path may have to cross more.

        References
        ----------
        E. W. Dijkstra, A note on two problems in connexion with graphs, Numerische Mathematik 1 (1959).

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> route = p.region_graph().shortest_path([-0.5, -0.5], [0.5, 0.5])
        >>> len(route.nodes), route.cost
        (3, 2.0)
        """
        from .paths import route_between

        return route_between(self, a, b, weight)

    def betweenness(self, pivots: Any = None, seed: int = 0) -> Betweenness:
        """Through which nodes and links the shortest paths go: bottlenecks have high values.

        Parameters
        ----------
        pivots : int, (k,) integers or None
            From how many nodes, drawn at random, or from which ones, paths are counted. None: from all where that takes about
            half a second or less (some 2,500 cells), else from as many as do.
        seed : int
            Of the draw.

        Raises
        ------
        ValueError
            For pivots that do not exist.

        Notes
        -----
        Of a node v, the mean over pairs of other nodes s, t of the share of shortest paths (fewest hops) between them that pass
        through v; of a link likewise, over all pairs of nodes. Nodes that share several links count as neighbours once, and
        each of these links has their value. With k pivots the sum over all N sources is estimated by N / k times that over the
        pivots, without bias (Brandes & Pich 2007).

        References
        ----------
        U. Brandes, A faster algorithm for betweenness centrality, J. Math. Sociology 25 (2001).
        U. Brandes, C. Pich, Centrality estimation in large networks, Int. J. Bifurcation and Chaos 17 (2007).

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> stripes = torch.nn.Hardtanh(-0.5, 0.5)
        >>> p = compute_partition(lambda x: stripes(x[:, :1]), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> sorted(p.region_graph().betweenness().nodes.tolist())
        [0.0, 0.0, 1.0]
        """
        from .centrality import betweenness_of

        return betweenness_of(self, pivots, seed)

    def to_graph_tool(self) -> Any:
        """An undirected `graph_tool.Graph`, its nodes and links numbered as here.

        Its property maps are `area`, `centroid` and `class` of vertices, `length`, `layer`, `unit` and `edge_id` of edges.

        Raises
        ------
        ImportError
            Without graph-tool.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> p.region_graph().to_graph_tool().num_edges()  # doctest: +SKIP
        4
        """
        return as_graph_tool(
            self.n_nodes, self.links, {"area": self.areas, "centroid": self.centroids, "class": self.classes},
            {"length": self.lengths, "layer": self.layers, "unit": self.units, "edge_id": self.edge_ids},
        )

    def to_scipy(self, weight: str = "hops") -> Any:
        """A symmetric `scipy.sparse.csr_array` (N, N), as `scipy.sparse.csgraph` takes it.

        Parameters
        ----------
        weight : str
            "hops": 1 between neighbours; "length": how long their common border is; "distance": that of their centroids.

        Raises
        ------
        ValueError
            For another weight.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> float(p.region_graph().to_scipy("length").sum())
        8.0
        """
        if weight not in WEIGHTS:
            raise ValueError(f"weight: expected one of {', '.join(WEIGHTS)}, got {weight!r}")
        if weight == "length":
            return as_scipy(self.n_nodes, self.links, self.lengths)
        pairs = self._neighbours[0].pairs
        return as_scipy(self.n_nodes, pairs, np.ones(len(pairs)) if weight == "hops" else self._steps)


def region_graph_of(partition: Cells, of: str) -> RegionGraph:
    """See `Cells.region_graph`."""
    if of not in KINDS:
        raise ValueError(f"of: expected one of {', '.join(KINDS)}, got {of!r}")
    nodes = np.arange(partition.n_cells) if of == "cells" else partition.region_ids
    beside = partition.edge_cells
    links = nodes[beside].astype(np.int32)
    ids: Int64 = np.flatnonzero((beside >= 0).all(axis=1) & (links[:, 0] != links[:, 1]))
    return RegionGraph(partition, of, nodes, links[ids], ids, _lengths(partition)[ids],
                       partition.edge_layer[ids], partition.edge_unit[ids])


def _lengths(partition: Cells) -> Float64:
    ends = partition.vertices[partition.edges]
    lengths: Float64 = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
    return lengths
