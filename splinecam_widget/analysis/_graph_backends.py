"""Questions to graphs of nodes and links, by graph-tool where it is installed and by scipy or own loops elsewhere.

Both give the same answer. Knows no cells. Connected components are in `engine.graph`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splinecam_widget.engine import graph
from splinecam_widget.engine.arrays import Float64
from splinecam_widget.engine.planar import Int32, Int64
from splinecam_widget.engine.threads import loops_in_runs

from . import _graph_kernels

MOST_SHARES = 16
"""Into so many parts the sources of a sum are split: a constant, so that any number of threads gives the same bits."""

MISSING = ("graph-tool is not installed: conda's `graph-tool` or Debian's `python3-graph-tool` bring it "
           "(there is no wheel on PyPI)")


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Which nodes are neighbours: an undirected graph without loops and parallel links.

    Attributes
    ----------
    n_nodes : int
    pairs : (P, 2) int64
        Every pair of neighbours once, lower first, in order.
    """

    n_nodes: int
    pairs: Int64

    @classmethod
    def of(cls, n_nodes: int, links: NDArray[np.integer[Any]]) -> tuple[Neighbours, Int64, Int64]:
        """Those that links (L, 2) join, the pair (L,) of every link, and the first link (P,) of every pair."""
        low, high = links.min(axis=1).astype(np.int64), links.max(axis=1).astype(np.int64)
        keys, first, pair_ids = np.unique(low * n_nodes + high, return_index=True, return_inverse=True)
        pairs = np.stack([keys // max(n_nodes, 1), keys % max(n_nodes, 1)], axis=1)
        return cls(n_nodes, pairs), pair_ids.reshape(-1), first

    @cached_property
    def rows(self) -> tuple[Int64, Int32, Int64]:
        """Compressed rows: `offsets` (N + 1,), and for both directions of each pair, `neighbours` and `pair_ids` (2 P,)."""
        ends, others = self.pairs.T.ravel(), self.pairs[:, ::-1].T.ravel()
        order = np.lexsort((others, ends))
        offsets = np.concatenate([[0], np.cumsum(np.bincount(ends, minlength=self.n_nodes))])
        return offsets, others[order].astype(np.int32), np.tile(np.arange(len(self.pairs)), 2)[order]

    @cached_property
    def _in_graph_tool(self) -> Any:
        return as_graph_tool(self.n_nodes, self.pairs)

    def hops(self, source: int) -> Int64:
        """(N,) int64: the least number of links from a node to every node, -1 where there is no way."""
        package = graph.graph_tool()
        if package is not None:
            g = self._in_graph_tool
            hops = np.array(package.topology.shortest_distance(g, source=g.vertex(source)).a, dtype=np.int64)
            return np.where(hops > self.n_nodes, -1, hops)
        return _whole(self._by_dijkstra(np.ones(2 * len(self.pairs)), source, unweighted=True))

    def distances(self, costs: Float64, source: int) -> Float64:
        """(N,) float64: the least sum of the costs (P,) of pairs, not negative, inf where there is no way.

        The sums are taken from the source on, so both ways give the same bits: least fixed points of one and the same sum.
        """
        package = graph.graph_tool()
        if package is not None:
            g = self._in_graph_tool
            weights = g.new_edge_property("double", vals=costs)
            return np.array(package.topology.shortest_distance(g, source=g.vertex(source), weights=weights).a)
        return self._by_dijkstra(costs[self.rows[2]], source)

    def _by_dijkstra(self, costs: Float64, source: int, is_kept: Any = None, unweighted: bool = False) -> Float64:
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import dijkstra

        offsets, neighbours, _ = self.rows
        if is_kept is not None:
            offsets = np.concatenate([[0], np.cumsum(is_kept)])[offsets]
            neighbours, costs = neighbours[is_kept], costs[is_kept]
        matrix = csr_array((costs, neighbours, offsets), shape=(self.n_nodes, self.n_nodes))
        found: Float64 = dijkstra(matrix, indices=source, unweighted=unweighted)
        return found

    def path(self, costs: Float64 | None, source: int, target: int) -> Int64:
        """The nodes of a shortest path, empty where there is none.

        Of several with the least cost (or hops, without costs), one with the fewest links; of those, from the target on back,
        always the node of the lowest id.
        """
        offsets, neighbours, pair_ids = self.rows
        if costs is None:
            levels = self.hops(source)
            is_tight = np.ones(len(neighbours), np.bool_)
        else:
            found = self.distances(costs, source)
            ends = np.repeat(np.arange(self.n_nodes), np.diff(offsets))
            along = costs[pair_ids]
            is_tight = found[neighbours] + along == found[ends]
            # Costs of 0 make circles of links that are all shortest: count links along those that lead away from the source.
            leads_away = found[ends] + along == found[neighbours]
            levels = _whole(self._by_dijkstra(np.ones(len(neighbours)), source, leads_away, unweighted=True))
        if levels[target] < 0:
            return np.empty(0, np.int64)
        nodes: Int64 = _graph_kernels.path_back(offsets, neighbours, is_tight, levels, target)[::-1]
        return nodes

    def blocks(self) -> Int64:
        """(N,) int64: in how many biconnected components each node is.

        Without the node, the connected component that it is in falls into as many parts.
        """
        package = graph.graph_tool()
        if package is None:
            found: Int64 = _graph_kernels.blocks_at_nodes(*self.rows[:2])
            return found
        labels = np.array(package.topology.label_biconnected_components(self._in_graph_tool)[0].a, dtype=np.int64)
        n_labels = int(labels.max(initial=-1)) + 1
        pairs = np.unique(self.pairs * n_labels + labels[:, None])
        return np.bincount(pairs // max(n_labels, 1), minlength=self.n_nodes)

    def dependencies(self, sources: Int64) -> tuple[Float64, Float64]:
        """Sums over sources of the shares of shortest paths through nodes (N,) and along pairs (P,), after Brandes (2001).

        Not by graph-tool: version 2.45 counts shortest paths in 64-bit integers, and in a grid of 40 by 40 there are more.
        """
        offsets, neighbours, pair_ids = self.rows
        found = loops_in_runs(
            lambda begin, end: _graph_kernels.dependencies(
                offsets, neighbours, pair_ids, len(self.pairs), sources[begin:end]),
            len(sources), max(1, -(-len(sources) // MOST_SHARES)))
        return sum(f[0] for f in found), sum(f[1] for f in found)


def _whole(hops: Float64) -> Int64:
    return np.where(np.isfinite(hops), hops, -1.0).astype(np.int64)


def as_graph_tool(
    n_nodes: int, links: NDArray[np.integer[Any]], of_nodes: Mapping[str, NDArray[Any]] | None = None,
    of_links: Mapping[str, NDArray[Any]] | None = None,
) -> Any:
    """An undirected `graph_tool.Graph` with these nodes and links, in this order, and their properties by name.

    Raises
    ------
    ImportError
        Without graph-tool.
    """
    package = graph.graph_tool()
    if package is None:
        raise ImportError(MISSING)
    g = package.Graph(directed=False)
    g.add_vertex(n_nodes)
    g.add_edge_list(links)
    for properties, made, internal in ((of_nodes, g.new_vertex_property, g.vertex_properties),
                                       (of_links, g.new_edge_property, g.edge_properties)):
        for name, values in (properties or {}).items():
            number = "double" if values.dtype.kind == "f" else "int32_t" if values.dtype.itemsize == 4 else "int64_t"
            if values.ndim == 1:
                internal[name] = made(number, vals=values)
            else:
                internal[name] = made(f"vector<{number}>")
                internal[name].set_2d_array(np.ascontiguousarray(values.T))
    return g


def as_scipy(n_nodes: int, links: NDArray[np.integer[Any]], weights: NDArray[Any]) -> Any:
    """A symmetric `scipy.sparse.csr_array` (N, N) with the weights (L,) of links; of parallel links, their sum."""
    from scipy.sparse import coo_array

    rows, columns = np.concatenate([links, links[:, ::-1]]).T
    return coo_array((np.tile(weights, 2), (rows, columns)), shape=(n_nodes, n_nodes)).tocsr()
