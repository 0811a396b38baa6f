"""The planar graph of a partition's vertices and edges. Knows no network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from splinecam_widget.engine import graph
from splinecam_widget.engine.arrays import Float64
from splinecam_widget.engine.planar import Int32, Int64

from ._graph_backends import MISSING, as_graph_tool, as_scipy

if TYPE_CHECKING:
    from splinecam_widget.engine.cells import Cells

WEIGHTS = ("hops", "length")


@dataclass(frozen=True, eq=False)
class SkeletonGraph:
    """Vertices as nodes and edges as links, the domain's border with them. Made by `Cells.skeleton_graph`.

    Attributes
    ----------
    partition : Cells
    positions : (V, 2) float64
        Of the vertices, slice coordinates.
    links : (E, 2) int32
        The vertices of each edge.
    lengths : (E,) float64
        Input-space units.
    layers, units : (E,) int32
        The kink and the unit that made each edge; -1 on the domain's border.
    """

    partition: Cells
    positions: Float64
    links: Int32
    lengths: Float64
    layers: Int32
    units: Int32

    def __repr__(self) -> str:
        return f"SkeletonGraph({len(self.positions):,} vertices, {len(self.links):,} edges)"

    @cached_property
    def degrees(self) -> Int64:
        """(V,) int64: how many edges end at each vertex."""
        return np.bincount(self.links.ravel(), minlength=len(self.positions))

    @cached_property
    def degree_counts(self) -> Int64:
        """(d + 1,) int64: how many vertices have each degree, from 0 to the highest.

        Where a line ends at another one it is 3, where two lines cross it is 4.
        """
        return np.bincount(self.degrees)

    @cached_property
    def n_components(self) -> int:
        """Number of connected components: 1, as every vertex lies on the domain's border or on a line that reaches it."""
        return int(graph.component_ids(len(self.positions), self.links).max()) + 1

    @property
    def euler(self) -> int:
        """Vertices minus edges plus cells, V - E + C: by Euler's formula `n_components`, as the outside is no cell."""
        return len(self.positions) - len(self.links) + self.partition.n_cells

    def is_planar(self) -> bool:
        """Whether the graph can be drawn without crossings, as it must.

        Raises
        ------
        ImportError
            If the cells do not prove it, as those of a damaged file, and graph-tool, which is then asked, is not there.

        Notes
        -----
        The cells say in what order edges follow one another around each vertex and each cell. If the surface that they and the
        outside make when glued along edges has Euler characteristic 2, it is a sphere on which the graph is drawn. That takes
        milliseconds; a test that finds a drawing by itself (graph-tool's, after Boyer & Myrvold) takes seconds for 100,000
        cells, and is asked only where the cells are no proof.

        References
        ----------
        J. M. Boyer, W. J. Myrvold, On the cutting edge: simplified O(n) planarity by edge addition, J. Graph Algorithms Appl. 8
        (2004).

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> p.skeleton_graph().is_planar()
        True
        """
        if self._is_drawn_by_cells():
            return True
        package = graph.graph_tool()
        if package is None:
            raise ImportError(f"is_planar: the cells are no proof, and {MISSING}")
        return bool(package.topology.is_planar(as_graph_tool(len(self.positions), self.links)))

    def _is_drawn_by_cells(self) -> bool:
        """Whether the cells and the outside are the faces of a drawing of the graph on a sphere."""
        planar, n_edges = self.partition.planar, len(self.links)
        tails, sides = planar.cell_vertices, planar.cell_edges
        follows = np.arange(1, len(sides) + 1)
        follows[planar.cell_offsets[1:] - 1] = planar.cell_offsets[:-1]
        # Side 2 e runs along edge e from its first vertex to its second, with a face on its left, and 2 e + 1 runs back.
        begins = self.links[sides, 0] == tails
        if not (np.where(begins, self.links[sides, 1], self.links[sides, 0]) == tails[follows]).all():
            return False
        if not np.where(begins, True, self.links[sides, 1] == tails).all():
            return False
        darts = 2 * sides.astype(np.int64) + ~begins
        uses = np.bincount(darts, minlength=2 * n_edges)
        outer = np.flatnonzero(uses == 0)
        starts, stops = (self.links.ravel()[outer ^ side] for side in (0, 1))
        if uses.max() > 1 or len(np.unique(starts)) < len(outer):
            return False
        # The sides of the outside follow one another: each begins at a vertex of its own.
        by_start = np.full(len(self.positions), -1)
        by_start[starts] = outer
        after = np.empty(2 * n_edges, np.int64)
        after[darts] = darts[follows]
        after[outer] = by_start[stops]
        if (after < 0).any():
            return False
        # Around a vertex, after the side that leaves along an edge comes the one that follows its way back.
        every = np.arange(2 * n_edges)
        n_around = _n_cycles(after[every ^ 1])
        n_outside = _n_cycles(np.searchsorted(outer, after[outer]))
        return (n_around == len(self.positions) and self.n_components == 1
                and n_around - n_edges + self.partition.n_cells + n_outside == 2)

    def to_graph_tool(self) -> Any:
        """An undirected `graph_tool.Graph`, its vertices and edges numbered as the partition's.

        Its property maps are `position` of vertices, `length`, `layer` and `unit` of edges.

        Raises
        ------
        ImportError
            Without graph-tool.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> p.skeleton_graph().to_graph_tool().num_vertices()  # doctest: +SKIP
        9
        """
        return as_graph_tool(len(self.positions), self.links, {"position": self.positions},
                             {"length": self.lengths, "layer": self.layers, "unit": self.units})

    def to_scipy(self, weight: str = "length") -> Any:
        """A symmetric `scipy.sparse.csr_array` (V, V), as `scipy.sparse.csgraph` takes it.

        Parameters
        ----------
        weight : str
            "length" of edges, or "hops": 1.

        Raises
        ------
        ValueError
            For another weight.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> float(p.skeleton_graph().to_scipy().sum())
        24.0
        """
        if weight not in WEIGHTS:
            raise ValueError(f"weight: expected one of {', '.join(WEIGHTS)}, got {weight!r}")
        return as_scipy(len(self.positions), self.links, self.lengths if weight == "length" else np.ones(len(self.links)))


def _n_cycles(successors: Int64) -> int:
    """Number of cycles of a permutation."""
    links = np.stack([np.arange(len(successors)), successors], axis=1)
    return int(graph.component_ids(len(successors), links).max(initial=-1)) + 1


def skeleton_graph_of(partition: Cells) -> SkeletonGraph:
    """See `Cells.skeleton_graph`."""
    ends = partition.vertices[partition.edges]
    return SkeletonGraph(partition, partition.vertices, partition.edges, np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1),
                         partition.edge_layer, partition.edge_unit)
