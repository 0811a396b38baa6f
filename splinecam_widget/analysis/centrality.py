"""Bottlenecks of region graphs: through which nodes and links shortest paths go. Knows no network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from splinecam_widget.engine.arrays import Float64, generator_of
from splinecam_widget.engine.planar import Int64

if TYPE_CHECKING:
    from .graphs import RegionGraph

MOST_VISITS = 2**25
"""Visits of nodes and links that take about half a second on one core: 60 to 100 million a second. One search visits each
node once and each link from both ends."""


@dataclass(frozen=True, eq=False)
class Betweenness:
    """Shares of shortest paths. Made by `RegionGraph.betweenness`.

    Attributes
    ----------
    nodes : (N,) float64
        Of the pairs of other nodes, the share whose shortest paths pass through the node.
    links : (L,) float64
        Of all pairs of nodes, the share whose shortest paths go along the link.
    pivots : (k,) int64 or None
        The nodes from which paths were counted, where those from all are estimated; None: the values are exact.
    """

    nodes: Float64
    links: Float64
    pivots: Int64 | None

    def __repr__(self) -> str:
        kind = "exact" if self.pivots is None else f"estimated from {len(self.pivots):,} pivots"
        return f"Betweenness({len(self.nodes):,} nodes, {len(self.links):,} links, {kind})"

    @property
    def is_exact(self) -> bool:
        """Whether paths from all nodes were counted."""
        return self.pivots is None


def betweenness_of(graph: RegionGraph, pivots: Any, seed: int) -> Betweenness:
    """See `RegionGraph.betweenness`."""
    n = graph.n_nodes
    neighbours, pair_ids, _ = graph._neighbours
    sources = _sources(n, n + 2 * len(neighbours.pairs), pivots, seed)
    of_nodes, of_pairs = neighbours.dependencies(sources)
    # Each pair of nodes is met from both of its ends.
    every = n / (2 * len(sources))
    of_nodes *= every / max((n - 1) * (n - 2) / 2, 1)
    of_pairs *= every / max(n * (n - 1) / 2, 1)
    return Betweenness(of_nodes, of_pairs[pair_ids], None if len(sources) == n else sources)


def _sources(n: int, visits: int, pivots: Any, seed: int) -> Int64:
    """Different nodes, in order."""
    if pivots is None:
        pivots = min(n, MOST_VISITS // visits + 1)
    if isinstance(pivots, (int, np.integer)) and not isinstance(pivots, bool):
        if not 1 <= pivots <= n:
            raise ValueError(f"pivots: expected a number from 1 to {n}, got {pivots}")
        return np.sort(generator_of(seed).choice(n, int(pivots), replace=False))
    ids = np.asarray(pivots)
    if ids.ndim != 1 or ids.dtype.kind not in "iu" or not len(ids) or ids.min() < 0 or ids.max() >= n:
        raise ValueError(f"pivots: expected a number, or nodes (k,) from 0 to {n - 1}, got {pivots!r}")
    if len(np.unique(ids)) < len(ids):
        raise ValueError("pivots: expected different nodes, got some of them twice")
    return np.sort(ids.astype(np.int64))
