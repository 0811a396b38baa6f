"""Graphs of cells and of linear regions: their nodes and links, their forms in graph-tool and scipy, where points lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from torch import nn

from cases import cases
from oracle import exact_cells, exact_neighbours, mlp, square
from splinecam_widget import load_partition
from splinecam_widget.analysis.graphs import RegionGraph
from splinecam_widget.engine import graph
from splinecam_widget.engine.compute import compute_partition
from splinecam_widget.engine.partition import Partition
from test_boundary import affine_classifier
from test_compute import DEGENERATE
from test_decision_regions import balanced
from test_properties import domains, nets, plane_of

ROUNDING = 1e-12
"""Relative, of sums of some hundred lengths and areas."""


@pytest.fixture(scope="module")
def partition() -> Partition:
    return compute_partition(balanced(2, 16, 12, 3, seed=4), square())


def with_a_dead_unit() -> nn.Sequential:
    """Units x, y and x - y + 1/2, of which nothing comes out of the last: two regions of its cells are one."""
    net = nn.Sequential(affine_classifier((1, 0, 0), (0, 1, 0), (1, -1, 0.5)), nn.ReLU(), nn.Linear(3, 1).double()).eval()
    with torch.no_grad():
        net[2].weight.copy_(torch.tensor([[1.0, 2.0, 0.0]]))
    return net


@pytest.mark.slow
@cases(8)
@given(nets(max_depth=2), domains())
def test_neighbours_are_those_of_rational_arithmetic(net: nn.Sequential, domain: np.ndarray) -> None:
    plane = plane_of(domain)
    cells = exact_cells(net, plane)
    found = compute_partition(net, plane).region_graph()
    ids = [found.node_at([float(c) for c in cell.middle]) for cell in cells]
    expected = {tuple(sorted((ids[i], ids[j]))) for i, j in exact_neighbours(cells)}
    assert {tuple(sorted(pair)) for pair in found.links.tolist()} == expected


class TestCells:
    """One node a cell."""

    def test_links_are_the_inner_edges(self, partition: Partition) -> None:
        found = partition.region_graph()
        inner = np.flatnonzero((partition.edge_cells >= 0).all(axis=1))
        np.testing.assert_array_equal(found.edge_ids, inner)
        np.testing.assert_array_equal(found.links, partition.edge_cells[inner])
        np.testing.assert_array_equal(found.layers, partition.edge_layer[inner])
        np.testing.assert_array_equal(found.units, partition.edge_unit[inner])
        ends = partition.vertices[partition.edges[inner]]
        np.testing.assert_allclose(found.lengths, np.hypot(*(ends[:, 1] - ends[:, 0]).T), rtol=ROUNDING)
        assert found.links.dtype == np.int32

    def test_nodes_are_the_partitions_arrays(self, partition: Partition) -> None:
        found = partition.region_graph()
        assert found.n_nodes == partition.n_cells
        assert found.areas is partition.areas
        assert found.centroids is partition.centroids

    def test_the_class_of_a_node_is_that_of_its_largest_part(self, partition: Partition) -> None:
        parts = partition.decision_regions()
        sizes = np.zeros((partition.n_cells, 3))
        np.add.at(sizes, (parts.part_cells, parts.part_classes), parts.part_areas)
        assert (np.count_nonzero(sizes, axis=1) > 1).any()
        np.testing.assert_array_equal(partition.region_graph().classes, sizes.argmax(axis=1))

    def test_one_cell_has_no_links(self) -> None:
        found = compute_partition(affine_classifier((1, 0, 0), (0, 1, 0)), square()).region_graph()
        assert (found.n_nodes, found.links.shape) == (1, (0, 2))
        assert found.to_scipy().nnz == 0
        assert found.distances(0).tolist() == [0]
        assert found.distances([0.3, 0.3], "distance").tolist() == [0.0]
        assert found.shortest_path(0, 0).nodes.tolist() == [0]
        assert found.betweenness().nodes.tolist() == [0.0]

    @pytest.mark.parametrize("name", sorted(DEGENERATE))
    def test_degenerate_nets_have_connected_graphs(self, name: str) -> None:
        partition = compute_partition(DEGENERATE[name][0], square())
        for of in ("cells", "regions"):
            found = partition.region_graph(of)
            assert (found.distances(0) >= 0).all()


class TestRegions:
    """One node a linear region."""

    def test_cells_with_one_map_are_one_node(self) -> None:
        partition = compute_partition(with_a_dead_unit(), square())
        found = partition.region_graph("regions")
        assert (partition.n_cells, found.n_nodes, partition.region_graph().n_nodes) == (7, 4, 7)
        np.testing.assert_array_equal(found.cell_nodes, partition.region_ids)
        np.testing.assert_allclose(found.areas, 1, rtol=ROUNDING)
        middles = sorted(np.round(found.centroids, 12).tolist())
        assert middles == [[-0.5, -0.5], [-0.5, 0.5], [0.5, -0.5], [0.5, 0.5]]

    def test_edges_within_a_region_are_no_links(self) -> None:
        found = compute_partition(with_a_dead_unit(), square()).region_graph("regions")
        assert set(found.units.tolist()) == {0, 1}
        assert (found.links[:, 0] != found.links[:, 1]).all()

    def test_links_in_pieces_add_up(self) -> None:
        """The line of the dead unit cuts two of the four borders: six links, four pairs, each 1 long."""
        found = compute_partition(with_a_dead_unit(), square()).region_graph("regions")
        assert len(found.links) == 6
        for weight, value in (("hops", 1.0), ("length", 1.0), ("distance", 1.0)):
            matrix = found.to_scipy(weight)
            assert matrix.nnz == 8
            np.testing.assert_allclose(matrix.data, value, rtol=ROUNDING)
            assert abs(matrix - matrix.T).max() == 0

    def test_without_such_units_regions_are_cells(self) -> None:
        partition = compute_partition(mlp(2, 9, 2, seed=1), square())
        cells, regions = partition.region_graph(), partition.region_graph("regions")
        assert cells.n_nodes == regions.n_nodes > 10
        np.testing.assert_array_equal(cells.links, regions.links)
        np.testing.assert_allclose(cells.centroids, regions.centroids, rtol=ROUNDING)


def edges_of(g: Any) -> np.ndarray:
    """Both ends of the edges of a graph of graph-tool, lower first, by number."""
    ends = g.get_edges([g.edge_index])
    return np.sort(ends[np.argsort(ends[:, 2]), :2], axis=1)


class TestForms:
    """What scipy and graph-tool are given."""

    @pytest.mark.parametrize("of", ["cells", "regions"])
    @pytest.mark.parametrize("weight", ["hops", "length", "distance"])
    def test_matrices_hold_all_links(self, partition: Partition, of: str, weight: str) -> None:
        found = partition.region_graph(of)
        expected = np.zeros((found.n_nodes, found.n_nodes))
        for (a, b), length in zip(found.links.tolist(), found.lengths.tolist()):
            if weight == "length":
                expected[a, b] += length
            else:
                expected[a, b] = expected[b, a] = (
                    1.0 if weight == "hops" else float(np.hypot(*(found.centroids[a] - found.centroids[b]))))
        if weight == "length":
            expected += expected.T
        np.testing.assert_allclose(found.to_scipy(weight).toarray(), expected, rtol=ROUNDING)

    @pytest.mark.skipif(graph.graph_tool() is None, reason="graph-tool is not installed")
    def test_graph_tool_has_the_same_numbers(self, partition: Partition) -> None:
        found = partition.region_graph()
        g = found.to_graph_tool()
        assert not g.is_directed()
        assert (g.num_vertices(), g.num_edges()) == (found.n_nodes, len(found.links))
        np.testing.assert_array_equal(edges_of(g), np.sort(found.links, axis=1))
        for name, values in (("area", found.areas), ("class", found.classes)):
            np.testing.assert_array_equal(g.vertex_properties[name].a, values)
        np.testing.assert_array_equal(g.vertex_properties["centroid"].get_2d_array([0, 1]).T, found.centroids)
        for name, values in (("length", found.lengths), ("layer", found.layers), ("unit", found.units),
                             ("edge_id", found.edge_ids)):
            np.testing.assert_array_equal(g.edge_properties[name].a, values)

    def test_says_how_to_get_graph_tool(self, partition: Partition, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(graph, "graph_tool", lambda: None)
        for g in (partition.region_graph(), partition.skeleton_graph()):
            with pytest.raises(ImportError, match=r"^graph-tool is not installed: conda's .*`python3-graph-tool`"):
                g.to_graph_tool()


class TestRequests:
    """What is asked for may not be there."""

    @pytest.fixture
    def found(self, partition: Partition) -> RegionGraph:
        return partition.region_graph()

    def test_names(self, partition: Partition, found: RegionGraph) -> None:
        with pytest.raises(ValueError, match=r"^of: expected one of cells, regions, got 'units'"):
            partition.region_graph("units")
        with pytest.raises(ValueError, match=r"^weight: expected one of hops, length, distance, got 'area'"):
            found.to_scipy("area")
        for ask in (found.distances, lambda a, weight: found.shortest_path(a, a, weight)):
            with pytest.raises(ValueError, match=r"^weight: expected one of hops, distance, got 'length'"):
                ask(0, weight="length")

    @pytest.mark.parametrize(("where", "text"), [
        (-1, r"a node from 0 to \d+, got -1"), (10**6, r"a node from 0 to \d+, got 1000000"),
        ([2.0, 0.0], r"a point of the domain, got \(2, 0\)"),
        ([0.0, 0.0, 0.0], r"a node's id or a point \(2,\), got shape \(3,\)"),
        ("north", "real numbers"), (0.5, r"a node's id or a point \(2,\), got shape \(\)"),
    ])
    def test_places(self, found: RegionGraph, where: Any, text: str) -> None:
        with pytest.raises(ValueError, match=f"^where: expected {text}"):
            found.node_at(where)

    def test_numbers_of_numpy_and_torch_are_places_too(self, partition: Partition, found: RegionGraph) -> None:
        assert found.node_at(np.int32(3)) == 3
        assert found.node_at(torch.from_numpy(partition.centroids[3])) == 3


def test_from_a_file(partition: Partition, tmp_path: Path) -> None:
    partition.save(tmp_path / "p.npz")
    loaded = load_partition(tmp_path / "p.npz")
    for of in ("cells", "regions"):
        ours, theirs = partition.region_graph(of), loaded.region_graph(of)
        for name in ("links", "edge_ids", "lengths", "areas", "centroids", "classes"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
        assert ours.shortest_path(0, 5).nodes.tolist() == theirs.shortest_path(0, 5).nodes.tolist()
