"""Betweenness against networkx, closed forms where paths are too many to count, and estimates from pivots."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch

from oracle import mlp, square
from splinecam_widget.analysis import centrality
from splinecam_widget.analysis._graph_backends import Neighbours
from splinecam_widget.engine.compute import compute_partition
from splinecam_widget.engine.partition import Partition
from splinecam_widget.engine.threads import forget_pools
from test_graphs import with_a_dead_unit

RELATIVE = 1e-9


@pytest.fixture(scope="module")
def partition() -> Partition:
    return compute_partition(mlp(2, 16, 12, 3, seed=4), square())


def by_networkx(found: Any) -> tuple[np.ndarray, np.ndarray]:
    named = nx.Graph()
    named.add_nodes_from(range(found.n_nodes))
    named.add_edges_from(found.links.tolist())
    nodes, links = nx.betweenness_centrality(named), nx.edge_betweenness_centrality(named)
    return (np.array([nodes[i] for i in range(found.n_nodes)]),
            np.array([links.get((a, b), links.get((b, a))) for a, b in found.links.tolist()]))


@pytest.mark.parametrize("of", ["cells", "regions"])
def test_is_that_of_networkx(partition: Partition, of: str) -> None:
    found = partition.region_graph(of)
    ours = found.betweenness()
    nodes, links = by_networkx(found)
    assert ours.is_exact
    np.testing.assert_allclose(ours.nodes, nodes, rtol=RELATIVE, atol=1e-15)
    np.testing.assert_allclose(ours.links, links, rtol=RELATIVE)


def test_links_of_one_pair_have_its_value() -> None:
    """Four regions around a point, two of whose borders are in two pieces."""
    found = compute_partition(with_a_dead_unit(), square()).region_graph("regions")
    assert len(found.links) == 6
    np.testing.assert_allclose(found.betweenness().links, by_networkx(found)[1], rtol=RELATIVE)


def chain_of_diamonds(n: int) -> Neighbours:
    """Nodes 3 i are joined to 3 i + 3 by way of two others: 2^n shortest paths from end to end."""
    tips = 3 * np.arange(n)
    links = [np.stack([tips + a, tips + b], axis=1) for a, b in ((0, 1), (0, 2), (1, 3), (2, 3))]
    return Neighbours.of(3 * n + 1, np.concatenate(links))[0]


@pytest.mark.parametrize("n", [3, 70, 600, 1200])
def test_paths_beyond_the_range_of_numbers_are_counted(n: int) -> None:
    """From the first node: all nodes beyond a tip lie behind it, half of those beyond a diamond behind each of its sides."""
    around = chain_of_diamonds(n)
    nodes, _ = around.dependencies(np.array([0]))
    beyond = 3.0 * (n - np.arange(1, n + 1))
    np.testing.assert_allclose(nodes[3::3], beyond, rtol=RELATIVE)
    sides = (3.0 * (n - np.arange(n)) - 2) / 2  # of the tip at the end of the diamond and all beyond it
    np.testing.assert_allclose(nodes[1::3], sides, rtol=RELATIVE)
    np.testing.assert_allclose(nodes[2::3], sides, rtol=RELATIVE)


def test_dependencies_of_a_large_grid_add_up_to_the_distances() -> None:
    """From one corner of 600 by 600, with 10^359 paths to the other: all targets' nodes between, sum of distances less 1."""
    n = 600
    ids = np.arange(n * n).reshape(n, n)
    links = np.concatenate([np.stack([ids[:-1].ravel(), ids[1:].ravel()], axis=1),
                            np.stack([ids[:, :-1].ravel(), ids[:, 1:].ravel()], axis=1)])
    nodes, pairs = Neighbours.of(n * n, links)[0].dependencies(np.array([0]))
    hops = np.add.outer(np.arange(n), np.arange(n)).ravel()
    assert np.isfinite(nodes).all()
    np.testing.assert_allclose(nodes.sum(), (hops[1:] - 1).sum(), rtol=RELATIVE)
    np.testing.assert_allclose(pairs.sum(), hops.sum(), rtol=RELATIVE)
    np.testing.assert_allclose(nodes.reshape(n, n), nodes.reshape(n, n).T, rtol=RELATIVE)


class TestPivots:
    """Estimates."""

    def test_the_mean_of_all_estimates_is_exact(self, partition: Partition) -> None:
        found = partition.region_graph()
        exact = found.betweenness()
        estimates = [found.betweenness([i]) for i in range(found.n_nodes)]
        assert not estimates[0].is_exact
        np.testing.assert_allclose(np.mean([e.nodes for e in estimates], axis=0), exact.nodes, rtol=RELATIVE, atol=1e-15)
        np.testing.assert_allclose(np.mean([e.links for e in estimates], axis=0), exact.links, rtol=RELATIVE)

    def test_more_are_nearer(self, partition: Partition) -> None:
        found = partition.region_graph()
        exact = found.betweenness().nodes

        def error(k: int) -> float:
            return float(np.mean([np.abs(found.betweenness(k, seed=s).nodes - exact).mean() for s in range(5)]))

        assert error(found.n_nodes // 2) < error(8) / 2

    def test_a_seed_gives_one_draw(self, partition: Partition) -> None:
        found = partition.region_graph()
        first, again, other = (found.betweenness(10, seed=s) for s in (1, 1, 2))
        assert first.pivots is not None
        assert len(np.unique(first.pivots)) == 10
        np.testing.assert_array_equal(first.nodes, again.nodes)
        assert (first.pivots != other.pivots).any()

    def test_large_graphs_take_as_many_as_there_is_time_for(
        self, partition: Partition, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = partition.region_graph()
        monkeypatch.setattr(centrality, "MOST_VISITS", 20 * (found.n_nodes + 2 * len(found.links)))
        estimate = found.betweenness()
        assert estimate.pivots is not None
        assert len(estimate.pivots) == 21
        assert found.betweenness(found.n_nodes).is_exact

    @pytest.mark.parametrize(("pivots", "text"), [
        (0, r"expected a number from 1 to \d+, got 0"), (10**6, r"expected a number from 1 to \d+, got 1000000"),
        ([], r"expected a number, or nodes \(k,\)"), ([[1]], r"expected a number, or nodes \(k,\)"),
        ([-1], r"expected a number, or nodes \(k,\)"), ([0.5], r"expected a number, or nodes \(k,\)"),
        ([1, 1], "expected different nodes"), (True, r"expected a number, or nodes \(k,\)"),
    ])
    def test_refuses_others(self, partition: Partition, pivots: Any, text: str) -> None:
        with pytest.raises(ValueError, match=f"^pivots: {text}"):
            partition.region_graph().betweenness(pivots)


def test_the_number_of_threads_changes_no_bit(partition: Partition) -> None:
    before, found = torch.get_num_threads(), []
    try:
        for n in (1, 3):
            torch.set_num_threads(n)
            forget_pools()
            found.append(partition.region_graph().betweenness())
    finally:
        torch.set_num_threads(before)
        forget_pools()
    np.testing.assert_array_equal(found[0].nodes, found[1].nodes)
    np.testing.assert_array_equal(found[0].links, found[1].links)
