"""What notebooks show of results: one line each, without arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from oracle import square
from splinecam_widget import Partition, closest_class_change, compute_line, compute_partition, load_partition
from splinecam_widget.engine.boundary import winners_of
from splinecam_widget.engine.slices import Slice


def ties(x: torch.Tensor) -> torch.Tensor:
    """Two classes that tie where |x0| is 1/2."""
    return torch.cat([x[:, :1].abs(), torch.full_like(x[:, :1], 0.5)], dim=1)


@pytest.fixture(scope="module")
def partition() -> Partition:
    return compute_partition(ties, square())


@pytest.fixture(scope="module")
def rectified() -> Partition:
    return compute_partition(nn.ReLU().eval(), square())


def test_slices() -> None:
    assert repr(square(2.0)) == "Slice(2 inputs; domain of 4 corners, area 16)"
    plane = Slice.through(np.zeros((2, 3)), np.eye(2, 3), np.ones((2, 3)), domain=[[0, 0], [1, 0], [0, 1]])
    assert repr(plane) == "Slice(2 x 3 inputs; domain of 3 corners, area 0.5, through three anchors)"


def test_boundaries(partition: Partition) -> None:
    boundary = partition.decision_boundary()
    assert repr(boundary) == "Boundary(2 segments, length 4, 1 pairs of classes)"
    assert repr(boundary.lengths) == "PairLengths(1 pairs of classes, length 4)"
    assert repr(boundary.polylines) == "Polylines(2 lines, 0 of them closed, 4 points, length 4)"
    assert repr(partition.level_set(0, 0.25)) == "Boundary(2 segments, length 4)"
    assert repr(partition.level_set(0, 7)) == "Boundary(0 segments, length 0)"
    assert repr(winners_of(partition)) == (
        "Winners(2 cells, 4 pieces of cells; Boundary(2 segments, length 4, 1 pairs of classes))")


def test_what_is_asked_of_boundaries(partition: Partition) -> None:
    assert repr(partition.sample_boundary(1000)) == "BoundarySample(1,000 points, 2 inputs; residual up to 0)"
    found = partition.distance_to_boundary([[0.5, 0], [0, 0]])
    assert repr(found) == "BoundaryDistances(2 points; distance 0 to 0.5)"
    assert repr(found.path(1)) == "CellPath(1 cells, length 0.5)"
    assert repr(partition.distance_to_boundary([[0.0, 1.0]])) == "BoundaryDistances(1 points; distance 0.5)"
    assert repr(partition.distance_to_boundary(np.zeros((0, 2)))) == "BoundaryDistances(0 points)"


def test_graphs(rectified: Partition) -> None:
    graph = rectified.region_graph()
    assert repr(graph.shortest_path([-0.5, -0.5], [0.5, 0.5])) == "Route(3 nodes, 2 links, cost 2)"
    assert repr(graph.betweenness()) == "Betweenness(4 nodes, 4 links, exact)"
    assert repr(graph.betweenness(pivots=2)) == "Betweenness(4 nodes, 4 links, estimated from 2 pivots)"


def test_counts_and_units(rectified: Partition) -> None:
    assert repr(rectified.counts_around([[0.0, 0.0], [0.5, 0.5]], 0.1)) == "LocalCounts(2 points, 1 to 4 cells around each)"
    assert repr(rectified.counts_around([[0.5, 0.5]], 0.1)) == "LocalCounts(1 points, 1 cells around each)"
    assert repr(rectified.counts_around([], 0.1)) == "LocalCounts(0 points)"
    assert repr(rectified.active_circuit(rectified.locate([0.5, -0.5]))) == "(ActiveUnits(1 of 2 units on, model (relu)),)"
    assert repr(rectified.unit_curve(0, 1)) == "UnitCurve(model (relu), unit 1; 2 edges in 1 lines, length 2)"
    assert repr(rectified.statistics().regions) == "RegionStatistics(4 regions, area 4)"
    assert repr(rectified.planar) == "PlanarComplex(4 cells, 9 vertices, 12 edges)"
    assert repr(rectified.made) == f"Made(network {rectified.network.digest[:8]}, 1 layers of kinks; certificate sound)"


def test_lines() -> None:
    line = compute_line(ties, [-1.0, 0.0], [1.0, 0.0])
    assert repr(line.class_changes()) == "ClassChanges(2 changes, from class 0 to class 0)"
    short = compute_line(ties, [0.0, 0.0], [0.1, 0.0])
    assert repr(short.class_changes()) == "ClassChanges(0 changes, from class 1 to class 1)"
    assert repr(closest_class_change(ties, [0.0, 0.0], [1.0, 0.0], 3)) == "ClassChange(distance 0.5, from class 1 to class 0)"


def test_exports(partition: Partition) -> None:
    assert repr(partition.to_pandas()) == "Tables(2 cells, 7 edges)"
    assert repr(partition.to_shapely()) == "Shapes(2 cells, boundary of 2 lines)"


def test_what_a_file_holds_is_shown_in_the_same_way(rectified: Partition, tmp_path: Path) -> None:
    rectified.save(tmp_path / "p.npz")
    found: Any = load_partition(tmp_path / "p.npz")
    for name in ("plane", "planar", "made"):
        assert repr(getattr(found, name)) == repr(getattr(rectified, name))
