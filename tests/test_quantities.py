"""Measures that need arrays alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from oracle import UNIT_ROUNDOFF, loops_of, mlp, square
from splinecam_widget import Slice, compute_partition
from splinecam_widget.analysis import counting, nearest, quantities, statistics
from splinecam_widget.engine import cells
from splinecam_widget.engine.partition import Partition


@pytest.fixture(scope="module")
def partition() -> Partition:
    return compute_partition(mlp(2, 10, 10, 2, seed=4), square())


def test_edge_lengths(partition: Partition) -> None:
    ends = partition.vertices[partition.edges]
    np.testing.assert_allclose(
        quantities.edge_lengths(partition), np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1), rtol=4 * UNIT_ROUNDOFF)


def test_sums_over_sides_visit_every_cells_own_edges(partition: Partition) -> None:
    """An edge is a power of two here, so that sums tell which edges there are."""
    numbers = np.arange(len(partition.edges), dtype=np.int64)**2
    found = quantities.summed_over_sides(partition, numbers)
    beside = partition.edge_cells
    for c in range(partition.n_cells):
        assert found[c] == numbers[(beside == c).any(axis=1)].sum()


def test_a_cells_map_passes_through_its_vertices(partition: Partition) -> None:
    offsets = quantities.offsets_of(partition)
    for c, loop in enumerate(loops_of(partition)):
        expected = partition.slopes[c] @ partition.vertices[loop[0]] + offsets[c]
        np.testing.assert_allclose(expected, partition.values[loop[0]], rtol=0, atol=1e-9)


def test_eccentricities_of_moments() -> None:
    """Of diagonal matrices turned by any angle: sqrt(1 - smaller / larger)."""
    angles = np.linspace(0, np.pi, 7)
    for small, large in ((1.0, 1.0), (1.0, 2.0), (0.0, 3.0), (2.0**-60, 1.0)):
        c, s = np.cos(angles), np.sin(angles)
        moments = np.stack([large * c * c + small * s * s, (large - small) * s * c, large * s * s + small * c * c], axis=1)
        found = quantities.eccentricities_of(moments)
        np.testing.assert_allclose(found, np.sqrt(1 - small / large), rtol=0, atol=np.sqrt(8 * UNIT_ROUNDOFF))


def test_without_area_a_cell_counts_as_a_segment() -> None:
    assert quantities.eccentricities_of(np.zeros((2, 3))).tolist() == [1.0, 1.0]


def test_the_largest_cells_are_the_first_of_equal_ones() -> None:
    groups, areas = np.array([2, 0, 2, 1, 2, 0]), np.array([1.0, 5, 3, 0, 3, 5])
    assert quantities.largest_cells(groups, areas, 3).tolist() == [1, 3, 2]


def test_a_single_cell_has_the_domains_sides() -> None:
    assert quantities.side_counts(compute_partition(nn.Linear(2, 1).eval(), square())).tolist() == [4]


def test_corners_on_the_border_are_corners() -> None:
    """Where two edges of one maximum meet on the border, the third would lie outside."""
    def largest(x: torch.Tensor) -> torch.Tensor:
        return torch.stack([x[:, 0], 0.5 * x[:, 1], -x[:, 0]], 1).max(1, keepdim=True).values

    upper = Slice.from_basis([0.0, 0.0], torch.eye(2), domain=[[-1, 0], [1, 0], [1, 1], [-1, 1]])
    assert sorted(compute_partition(largest, upper).statistics().n_sides.tolist()) == [3, 4, 4]


def test_several_threads_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """In runs of a few, which one thread takes otherwise."""
    net, plane = mlp(2, 16, 16, 3, seed=1), square()
    points = np.random.default_rng(0).uniform(-1, 1, (100, 2))

    def measured() -> list[np.ndarray]:
        partition = compute_partition(net, plane)
        counts, near = partition.counts_around(points, 0.2), partition.distance_to_boundary(points)
        return [partition.statistics().inradii, partition.region_ids, counts.n_cells, counts.n_regions, counts.n_vertices,
                near.distance, near.nearest, near.segment]

    expected = measured()
    for module, name in ((statistics, "CELLS_AT_A_TIME"), (cells, "EDGES_AT_A_TIME"), (counting, "POINTS_AT_A_TIME"),
                         (nearest, "POINTS_AT_A_TIME")):
        assert getattr(module, name) > 1000
        monkeypatch.setattr(module, name, 7)
    for found, other in zip(measured(), expected):
        np.testing.assert_array_equal(found, other)
