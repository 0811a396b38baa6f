"""Shortest paths through cells and linear regions, and how many units differ between two places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from splinecam_widget.engine.arrays import as_numbers
from splinecam_widget.engine.planar import Int64

if TYPE_CHECKING:
    from splinecam_widget.engine.partition import Partition

    from .graphs import RegionGraph

WEIGHTS = ("hops", "distance")


@dataclass(frozen=True, eq=False)
class Route:
    """A shortest path. Made by `RegionGraph.shortest_path`.

    Attributes
    ----------
    nodes : (n,) int64
        In order, the first and the last with them.
    links : (n - 1,) int64
        The links of the graph that are crossed; of several between two nodes, the first.
    edge_ids : (n - 1,) int64
        The edges of the partition that these are.
    cost : float
        Number of links, or sum of distances between centroids in input-space units.
    """

    nodes: Int64
    links: Int64
    edge_ids: Int64
    cost: float

    def __repr__(self) -> str:
        return f"Route({len(self.nodes):,} nodes, {len(self.links):,} links, cost {self.cost:.6g})"


def distances_from(graph: RegionGraph, source: Any, weight: str) -> Any:
    """See `RegionGraph.distances`."""
    node = graph._node_at(source, "source")
    neighbours = graph._neighbours[0]
    return neighbours.hops(node) if _is_by_hops(weight) else neighbours.distances(graph._steps, node)


def route_between(graph: RegionGraph, a: Any, b: Any, weight: str) -> Route:
    """See `RegionGraph.shortest_path`."""
    first, last = graph._node_at(a, "a"), graph._node_at(b, "b")
    by_hops = _is_by_hops(weight)
    neighbours, _, first_links = graph._neighbours
    nodes = neighbours.path(None if by_hops else graph._steps, first, last)
    if not len(nodes):
        raise ValueError(f"b: expected a node that can be reached from {first}, got {last}")
    low, high = np.minimum(nodes[:-1], nodes[1:]), np.maximum(nodes[:-1], nodes[1:])
    n = graph.n_nodes
    pairs = np.searchsorted(neighbours.pairs[:, 0] * n + neighbours.pairs[:, 1], low * n + high)
    links = first_links[pairs]
    cost = float(len(links)) if by_hops else float(graph._steps[pairs].sum())
    return Route(nodes, links, graph.edge_ids[links], cost)


def _is_by_hops(weight: str) -> bool:
    if weight not in WEIGHTS:
        raise ValueError(f"weight: expected one of {', '.join(WEIGHTS)}, got {weight!r}")
    return weight == "hops"


def flips_between(partition: Partition, a: Any, b: Any) -> Any:
    """See `Partition.flips`."""
    (here, is_one), (there, is_one_too) = _places(partition, a, "a"), _places(partition, b, "b")
    if 1 not in (len(here), len(there)) and len(here) != len(there):
        raise ValueError(f"b: expected one place, or {len(here)} as in a, got {len(there)}")
    found = np.zeros(max(len(here), len(there)) if len(here) and len(there) else 0, np.int64)
    for first, second in zip(partition.patterns(here), partition.patterns(there)):
        found += (first != second).sum(axis=1)
    return int(found[0]) if is_one and is_one_too else found


def _places(partition: Partition, where: Any, name: str) -> tuple[Any, bool]:
    """Cell ids (n,) or points (n, 2), and whether it was one alone."""
    from .jacobians import cell_ids  # imports torch, which graphs of a partition from a file do without

    places = np.asarray(where.detach().cpu().numpy() if hasattr(where, "detach") else where)
    if places.dtype.kind in "iu" and places.ndim < 2:
        return np.atleast_1d(cell_ids(partition, places, name)), places.ndim == 0
    points, _ = as_numbers(places, name)
    if points.ndim not in (1, 2) or points.shape[-1] != 2:
        raise ValueError(f"{name}: expected cell ids, a point (2,) or points (n, 2), got shape {points.shape}")
    partition._check_inside(points, name)
    return np.atleast_2d(points), points.ndim == 1
