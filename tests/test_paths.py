"""Shortest paths through cells against networkx, by both ways, and how many units flip."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cases import cases
from oracle import mlp, square
from splinecam_widget.analysis._graph_backends import Neighbours
from splinecam_widget.analysis.graphs import RegionGraph
from splinecam_widget.engine import graph
from splinecam_widget.engine.compute import compute_partition
from splinecam_widget.engine.partition import Partition
from test_boundary import affine_classifier
from test_properties import domains, nets, plane_of

ROUNDING = 1e-12
"""Relative, of sums of some dozen distances."""


@pytest.fixture(scope="module")
def partition() -> Partition:
    return compute_partition(mlp(2, 16, 12, 3, seed=4), square())


def in_networkx(found: RegionGraph) -> nx.Graph:
    named = nx.Graph()
    named.add_nodes_from(range(found.n_nodes))
    for a, b in found.links.tolist():
        named.add_edge(a, b, distance=float(np.hypot(*(found.centroids[a] - found.centroids[b]))))
    return named


def assert_is_path(found: RegionGraph, route: Any, a: int, b: int) -> None:
    assert (route.nodes[0], route.nodes[-1]) == (a, b)
    assert len(route.links) == len(route.nodes) - 1
    for step, link, edge in zip(zip(route.nodes, route.nodes[1:]), route.links, route.edge_ids):
        assert set(step) == set(found.links[link].tolist())
        assert found.edge_ids[link] == edge


@pytest.mark.usefixtures("backend")
class TestPaths:
    """By graph-tool and by scipy."""

    @pytest.mark.parametrize("of", ["cells", "regions"])
    def test_distances_are_those_of_networkx(self, partition: Partition, of: str) -> None:
        found = partition.region_graph(of)
        named = in_networkx(found)
        hops = found.distances(7)
        assert hops.dtype == np.int64
        expected = nx.single_source_shortest_path_length(named, 7)
        np.testing.assert_array_equal(hops, [expected[i] for i in range(found.n_nodes)])
        lengths = nx.single_source_dijkstra_path_length(named, 7, weight="distance")
        np.testing.assert_allclose(found.distances(7, "distance"), [lengths[i] for i in range(found.n_nodes)], rtol=ROUNDING)

    @pytest.mark.parametrize("of", ["cells", "regions"])
    def test_paths_are_as_long_as_networkx_says(self, partition: Partition, of: str) -> None:
        found = partition.region_graph(of)
        named = in_networkx(found)
        for a, b in np.random.default_rng(0).integers(0, found.n_nodes, (12, 2)).tolist():
            few = found.shortest_path(a, b)
            assert_is_path(found, few, a, b)
            assert few.cost == len(few.links) == nx.shortest_path_length(named, a, b)
            short = found.shortest_path(a, b, weight="distance")
            assert_is_path(found, short, a, b)
            np.testing.assert_allclose(short.cost, nx.dijkstra_path_length(named, a, b, weight="distance"), rtol=ROUNDING)

    def test_of_several_paths_the_lowest_nodes_are_taken(self) -> None:
        """Two rows of a ladder: from the end on back, always the lowest node of those that are on a shortest path."""
        around = Neighbours.of(6, np.array([[0, 1], [0, 2], [1, 4], [2, 4], [0, 3], [3, 4], [4, 5]]))[0]
        assert around.path(None, 0, 5).tolist() == [0, 1, 4, 5]
        assert around.path(np.ones(7), 0, 5).tolist() == [0, 1, 4, 5]

    def test_nothing_between_two_nodes_costs_nothing(self) -> None:
        """Costs of 0 in a circle: a path leaves it, with the fewest links."""
        around = Neighbours.of(5, np.array([[0, 1], [1, 2], [2, 0], [2, 3], [3, 4]]))[0]
        costs = np.array([0.0, 0.0, 0.0, 1.0, 0.0])
        assert around.pairs.tolist() == [[0, 1], [0, 2], [1, 2], [2, 3], [3, 4]]
        np.testing.assert_array_equal(around.distances(costs, 0), [0, 0, 0, 1, 1])
        assert around.path(costs, 0, 4).tolist() == [0, 2, 3, 4]
        assert around.path(costs, 4, 1).tolist() == [4, 3, 2, 1]

    def test_a_detour_may_cost_less(self) -> None:
        around = Neighbours.of(4, np.array([[0, 1], [0, 2], [2, 3], [1, 3]]))[0]
        assert around.path(np.array([9.0, 1.0, 1.0, 1.0]), 0, 1).tolist() == [0, 2, 3, 1]
        assert around.path(None, 0, 1).tolist() == [0, 1]

    def test_where_there_is_no_way(self) -> None:
        around = Neighbours.of(4, np.array([[0, 1], [2, 3]]))[0]
        assert around.hops(0).tolist() == [0, 1, -1, -1]
        assert around.distances(np.ones(2), 0).tolist() == [0, 1, np.inf, np.inf]
        assert around.path(None, 0, 3).tolist() == []
        assert around.path(np.ones(2), 0, 3).tolist() == []

    def test_points_stand_for_their_cells(self, partition: Partition) -> None:
        found = partition.region_graph()
        a, b = [-0.9, -0.8], [0.7, 0.9]
        route = found.shortest_path(a, b)
        assert route.nodes[[0, -1]].tolist() == partition.locate([a, b]).tolist()


@pytest.mark.skipif(graph.graph_tool() is None, reason="graph-tool is not installed")
@cases(10)
@given(st.integers(0, 2**32 - 1))
def test_both_ways_agree(seed: int) -> None:
    """Random graphs with parallel links, several components, and costs of which many are equal or 0."""
    numbers = np.random.default_rng(seed)
    n = int(numbers.integers(1, 40))
    links = numbers.integers(0, n, (int(numbers.integers(0, 3 * n)), 2))
    links = links[links[:, 0] != links[:, 1]]
    first, last = numbers.integers(0, n, 2).tolist()
    answers = []
    with pytest.MonkeyPatch.context() as patch:
        for is_here in (True, False):
            if not is_here:
                patch.setattr(graph, "graph_tool", lambda: None)
            around, pair_ids, firsts = Neighbours.of(n, links)
            costs = np.random.default_rng(seed + 1).choice([0.0, 0.1, 0.2, 0.7], len(around.pairs))
            answers.append([around.hops(first), around.distances(costs, first), around.path(None, first, last),
                            around.path(costs, first, last), around.blocks(), pair_ids, firsts])
    for ours, theirs in zip(*answers):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.usefixtures("backend")
@cases(15)
@given(st.integers(0, 2**32 - 1))
def test_blocks_are_those_of_networkx(seed: int) -> None:
    numbers = np.random.default_rng(seed)
    n = int(numbers.integers(1, 30))
    links = numbers.integers(0, n, (int(numbers.integers(0, 2 * n)), 2))
    links = links[links[:, 0] != links[:, 1]]
    named = nx.Graph()
    named.add_nodes_from(range(n))
    named.add_edges_from(links.tolist())
    expected = np.zeros(n, np.int64)
    for block in nx.biconnected_components(named):
        expected[list(block)] += 1
    np.testing.assert_array_equal(Neighbours.of(n, links)[0].blocks(), expected)


class TestFlips:
    """Hamming distances of patterns."""

    @pytest.mark.parametrize("seed", range(3))
    def test_of_one_layer_they_are_the_crossings(self, seed: int) -> None:
        """Every line between two cells of an arrangement has to be crossed, and once is enough."""
        partition = compute_partition(mlp(2, 14, 1, seed=seed), square(2.0))
        found = partition.region_graph()
        every = np.arange(partition.n_cells)
        for a in (0, partition.n_cells // 2):
            np.testing.assert_array_equal(partition.flips(a, every), found.distances(a))

    def test_of_deep_nets_they_are_a_lower_bound(self, partition: Partition) -> None:
        found = partition.region_graph()
        every = np.arange(partition.n_cells)
        flips, hops = partition.flips(7, every), found.distances(7)
        assert (flips <= hops).all()
        assert (flips < hops).any(), "or this net says nothing"
        np.testing.assert_array_equal(flips == 0, every == 7)

    def test_neighbours_differ_by_one(self, partition: Partition) -> None:
        links = partition.region_graph().links
        assert (partition.flips(links[:, 0], links[:, 1]) == 1).all()

    def test_units_that_bend_along_one_line_flip_together(self) -> None:
        net = nn.Sequential(affine_classifier((1, 0, 0), (2, 0, 0), (0, 1, 0)), nn.ReLU(), nn.Linear(3, 1).double()).eval()
        partition = compute_partition(net, square())
        assert partition.flips([-0.5, 0.5], [0.5, 0.5]) == 2
        assert partition.flips([-0.5, 0.5], [-0.5, -0.5]) == 1
        assert partition.region_graph().shortest_path([-0.5, 0.5], [0.5, 0.5]).cost == 1

    @pytest.mark.slow
    @cases(10)
    @given(nets(max_depth=2), domains())
    def test_are_a_metric(self, net: nn.Sequential, domain: np.ndarray) -> None:
        partition = compute_partition(net, plane_of(domain))
        ids = np.random.default_rng(0).integers(0, partition.n_cells, (3, 5))
        ab, bc, ac = (partition.flips(ids[i], ids[j]) for i, j in ((0, 1), (1, 2), (0, 2)))
        assert (ac <= ab + bc).all()
        np.testing.assert_array_equal(ab, partition.flips(ids[1], ids[0]))
        np.testing.assert_array_equal(ab == 0, ids[0] == ids[1])

    def test_places_of_all_kinds(self, partition: Partition) -> None:
        points = partition.centroids[[3, 8]]
        assert partition.flips(3, 8) == partition.flips(points[0], points[1]) == partition.flips(3, torch.tensor(points[1]))
        assert partition.flips([3, 8], points).tolist() == [0, 0]
        assert partition.flips(3, [3, 8]).tolist() == partition.flips([3, 8], 3).tolist()
        assert partition.flips(3, np.empty(0, np.int64)).tolist() == []

    def test_refuses_what_does_not_fit(self, partition: Partition) -> None:
        with pytest.raises(ValueError, match=r"^b: expected one place, or 2 as in a, got 3"):
            partition.flips([1, 2], [1, 2, 3])
        with pytest.raises(ValueError, match=r"^a: expected cell ids, a point \(2,\) or points \(n, 2\), got shape \(3,\)"):
            partition.flips([0.0, 1.0, 2.0], 0)
        with pytest.raises(ValueError, match=r"^b: expected points of the domain, got 1 of 2 outside, the first at \(7, 0\)$"):
            partition.flips([0.0, 0.0], [[0.0, 0.0], [7.0, 0.0]])
        with pytest.raises(ValueError, match=r"^a: expected ids from 0 to \d+, got -1$"):
            partition.flips(-1, 0)
