"""The planar graph of vertices and edges: Euler's formula, planarity by three ways, degrees."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from torch import nn

from cases import cases
from oracle import mlp, square
from splinecam_widget import load_partition
from splinecam_widget.analysis.skeleton import SkeletonGraph, skeleton_graph_of
from splinecam_widget.engine import graph
from splinecam_widget.engine.cells import Cells
from splinecam_widget.engine.compute import compute_partition
from splinecam_widget.engine.partition import Partition
from splinecam_widget.engine.planar import PlanarComplex
from test_boundary import affine_classifier
from test_graphs import edges_of
from test_properties import domains, nets, plane_of

ROUNDING = 1e-12
"""Relative, of sums of some hundred lengths."""


@pytest.fixture(scope="module")
def partition() -> Partition:
    return compute_partition(mlp(2, 16, 12, 3, seed=4), square())


def in_networkx(found: SkeletonGraph) -> nx.Graph:
    named = nx.Graph()
    named.add_nodes_from(range(len(found.positions)))
    named.add_edges_from(found.links.tolist())
    return named


def assert_is_drawn(found: SkeletonGraph) -> None:
    """All that is true of the vertices and edges of any partition of a convex domain."""
    named = in_networkx(found)
    assert named.number_of_edges() == len(found.links), "two edges have the same ends"
    assert found.euler == found.n_components == nx.number_connected_components(named) == 1
    assert found._is_drawn_by_cells()
    assert nx.check_planarity(named)[0]
    np.testing.assert_array_equal(found.degrees, [named.degree[i] for i in range(len(found.positions))])
    assert found.degree_counts.sum() == len(found.positions)
    assert found.degree_counts[:2].sum() == 0
    package = graph.graph_tool()
    if package is not None:
        assert package.topology.is_planar(found.to_graph_tool())


@pytest.mark.slow
@cases(10)
@given(nets(max_depth=2), domains())
def test_skeletons_of_small_nets(net: nn.Sequential, domain: np.ndarray) -> None:
    assert_is_drawn(compute_partition(net, plane_of(domain)).skeleton_graph())


@pytest.mark.usefixtures("backend")
def test_that_of_a_random_net(partition: Partition) -> None:
    found = partition.skeleton_graph()
    assert_is_drawn(found)
    assert found.is_planar()
    assert found.degree_counts[4] > found.degree_counts[3] > 0


def test_that_of_one_cell() -> None:
    found = compute_partition(affine_classifier((1, 0, 0)), square()).skeleton_graph()
    assert_is_drawn(found)
    assert found.is_planar()
    assert found.degree_counts.tolist() == [0, 0, 4]
    assert found.lengths.tolist() == [2.0] * 4
    assert found.layers.tolist() == [-1] * 4


def test_that_of_lines_through_a_point() -> None:
    """n lines through the origin: 2 n ends on the border, and one vertex of degree 2 n."""
    found = compute_partition(mlp(2, 9, 1, bias=False), square()).skeleton_graph()
    assert_is_drawn(found)
    assert found.degree_counts[18] == 1
    assert found.degree_counts[3] == 18


def test_carries_the_partitions_arrays(partition: Partition) -> None:
    found = partition.skeleton_graph()
    assert found.positions is partition.vertices
    assert found.links is partition.edges
    assert found.units is partition.edge_unit
    ends = partition.vertices[partition.edges]
    matrix = found.to_scipy()
    for (a, b), (p, q) in zip(partition.edges.tolist(), ends):
        np.testing.assert_allclose(matrix[a, b], np.hypot(*(q - p)), rtol=ROUNDING)
        assert matrix[a, b] == matrix[b, a]
    assert matrix.nnz == found.to_scipy("hops").nnz == 2 * len(partition.edges)
    assert (found.to_scipy("hops").data == 1).all()
    with pytest.raises(ValueError, match=r"^weight: expected one of hops, length, got 'distance'"):
        found.to_scipy("distance")


@pytest.mark.skipif(graph.graph_tool() is None, reason="graph-tool is not installed")
def test_graph_tool_has_the_same_numbers(partition: Partition) -> None:
    found = partition.skeleton_graph()
    g = found.to_graph_tool()
    np.testing.assert_array_equal(edges_of(g), np.sort(found.links, axis=1))
    np.testing.assert_array_equal(g.vertex_properties["position"].get_2d_array([0, 1]).T, found.positions)
    for name, values in (("length", found.lengths), ("layer", found.layers), ("unit", found.units)):
        np.testing.assert_array_equal(g.edge_properties[name].a, values)


def on_a_torus(n: int) -> Cells:
    """Squares that close in both directions: V - E + F is 0. Coordinates are of no account."""
    ids = np.arange(n * n).reshape(n, n)
    right, up = np.roll(ids, -1, axis=1), np.roll(ids, -1, axis=0)
    edges = np.concatenate([np.stack([ids.ravel(), other.ravel()], axis=1) for other in (right, up)]).astype(np.int32)
    corners = np.stack([ids, right, np.roll(right, -1, axis=0), up], axis=-1).reshape(-1, 4)
    across, along = ids, ids + n * n
    sides = np.stack([across, np.roll(along, -1, axis=1), np.roll(across, -1, axis=0), along], axis=-1).reshape(-1, 4)
    none = np.full(len(edges), -1, np.int32)
    planar = PlanarComplex(
        np.zeros((n * n, 2)), edges, none, none, 4 * np.arange(n * n + 1), corners.ravel().astype(np.int32),
        sides.ravel().astype(np.int32), np.zeros(n * n, np.uint64))
    return Cells(square(), planar, np.zeros((n * n, 1)), np.zeros(1))


class TestWhatIsNotPlanar:
    """Complexes that no network has."""

    def test_a_torus_is_not(self, backend: str) -> None:
        found = skeleton_graph_of(on_a_torus(4))
        assert found.euler == 0
        assert not nx.check_planarity(in_networkx(found))[0]
        if backend == "graph-tool":
            assert not found.is_planar()
        else:
            with pytest.raises(ImportError, match=r"^is_planar: the cells are no proof, and graph-tool is not installed"):
                found.is_planar()

    def test_cells_that_are_no_proof_are_not_taken_for_one(self, partition: Partition) -> None:
        planar = partition.planar
        twisted, wrong = planar.cell_vertices.copy(), planar.cell_edges.copy()
        twisted[[1, 2]] = twisted[[2, 1]]
        wrong[0] = wrong[1]
        for broken in (replace(planar, cell_vertices=twisted), replace(planar, cell_edges=wrong)):
            assert not skeleton_graph_of(replace(partition, planar=broken))._is_drawn_by_cells()

    def test_a_sphere_that_meets_itself_at_a_point_is_none(self, partition: Partition) -> None:
        """The last vertex made one with the first: the cells around it still close, in two circles."""
        planar = partition.planar
        last = len(planar.points) - 1
        edges, loops = planar.edges.copy(), planar.cell_vertices.copy()
        edges[edges == last], loops[loops == last] = 0, 0
        found = skeleton_graph_of(replace(partition, planar=replace(
            planar, points=planar.points[:-1], edges=edges, cell_vertices=loops)))
        assert found.n_components == 1
        assert not found._is_drawn_by_cells()


def test_from_a_file(partition: Partition, tmp_path: Path) -> None:
    partition.save(tmp_path / "p.npz")
    found = load_partition(tmp_path / "p.npz").skeleton_graph()
    assert_is_drawn(found)
    np.testing.assert_array_equal(found.lengths, partition.skeleton_graph().lengths)
