"""Samples of boundaries and distances to them: against the model, shapely, and counts of random points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cases import cases
from oracle import UNIT_ROUNDOFF, mlp, square
from splinecam_widget.engine.compute import compute_partition
from splinecam_widget.engine.partition import Partition
from splinecam_widget.engine.slices import Slice
from splinecam_widget.engine.storage import load_partition

ROUNDINGS = 2.0**20 * UNIT_ROUNDOFF
"""Relative to the largest output: 4096 roundings of the evaluation, with places that are off by those over the sine of the
angle at which outputs meet, above 1/256 in these nets."""


def centred(*widths: int, seed: int = 1) -> nn.Sequential:
    """A net of which all outputs have a mean of zero on the square."""
    net = mlp(*widths, seed=seed)
    with torch.no_grad():
        net[-1].bias -= net(torch.rand(2000, widths[0], dtype=torch.float64) * 2 - 1).mean(0)
    return net


@pytest.fixture(scope="module")
def net() -> nn.Sequential:
    return centred(2, 16, 16, 3)


@pytest.fixture(scope="module")
def partition(net: nn.Sequential) -> Partition:
    return compute_partition(net, square())


class TestSamples:
    """`sample_boundary`."""

    def test_the_classes_tie_and_are_the_largest(self, net: nn.Sequential, partition: Partition) -> None:
        found = partition.sample_boundary(2000)
        with torch.no_grad():
            z = net(torch.from_numpy(found.x)).numpy()
        first, second = (np.take_along_axis(z, found.classes[:, [i]].astype(int), axis=1)[:, 0] for i in range(2))
        np.testing.assert_allclose(found.residual, np.abs(first - second), rtol=0, atol=64 * UNIT_ROUNDOFF * np.abs(z).max())
        assert found.residual.max() <= ROUNDINGS * np.abs(z).max()
        assert (z.max(axis=1) - first).max() <= ROUNDINGS * np.abs(z).max()
        np.testing.assert_array_equal(found.x, partition.plane.to_input(found.u))
        np.testing.assert_array_equal(found.classes, found.boundary.classes[found.segment])

    def test_are_on_their_segments_and_uniform_by_length(self, partition: Partition) -> None:
        n = 40_000
        found = partition.sample_boundary(n, seed=3)
        lines = shapely.linestrings(found.boundary.points)
        distances = shapely.distance(shapely.points(found.u), lines[found.segment])
        assert distances.max() <= 64 * UNIT_ROUNDOFF
        share = found.boundary.segment_lengths / found.boundary.length
        # Counts are binomial: five standard deviations, and one for the discreteness of rare ones.
        slack = 5 * np.sqrt(n * share * (1 - share)) + 5
        assert (np.abs(np.bincount(found.segment, minlength=len(share)) - n * share) <= slack).all()
        along = shapely.line_locate_point(lines[found.segment], shapely.points(found.u), normalized=True)
        assert abs(along.mean() - 0.5) < 5 / np.sqrt(12 * n)

    def test_the_seed_decides(self, partition: Partition) -> None:
        np.testing.assert_array_equal(partition.sample_boundary(9, seed=4).u, partition.sample_boundary(9, seed=4).u)
        assert (partition.sample_boundary(9, seed=4).u != partition.sample_boundary(9, seed=5).u).all()

    def test_may_be_of_one_pair(self, partition: Partition) -> None:
        found = partition.sample_boundary(50, classes=(2, 0))
        assert (found.classes == [0, 2]).all()

    def test_of_one_output_is_at_the_level(self) -> None:
        """On a slice of five inputs."""
        net = centred(5, 12, 1)
        plane = Slice.around(np.zeros(5), radius=2.0)
        found = compute_partition(net, plane).sample_boundary(300, level=0.01)
        assert found.x.shape == (300, 5)
        assert (found.classes == -1).all()
        with torch.no_grad():
            z = net(torch.from_numpy(found.x)).numpy()[:, 0]
        np.testing.assert_allclose(found.residual, np.abs(z - 0.01), rtol=0, atol=64 * UNIT_ROUNDOFF)
        assert found.residual.max() <= ROUNDINGS

    def test_from_a_file_the_residual_is_interpolated(self, partition: Partition, tmp_path: Path) -> None:
        partition.save(tmp_path / "p.npz")
        found, expected = load_partition(tmp_path / "p.npz").sample_boundary(500), partition.sample_boundary(500)
        np.testing.assert_array_equal(found.u, expected.u)
        assert found.residual.max() <= ROUNDINGS * np.abs(partition.values).max()

    def test_the_interpolated_residual_is_that_of_the_place(self, partition: Partition) -> None:
        """Away from the boundary, the interpolated outputs are the network's."""
        from splinecam_widget.analysis.boundaries import interpolated_outputs

        u = np.random.default_rng(0).uniform(-1, 1, (300, 2))
        cells = partition.locate(u)
        np.testing.assert_allclose(interpolated_outputs(partition, u, cells), partition._outputs_at(u, cells), atol=1e-9)

    @pytest.mark.parametrize("n", [0, -1, 1.5, True, "3"])
    def test_refuses_numbers_that_are_none(self, partition: Partition, n: Any) -> None:
        with pytest.raises(ValueError, match=r"^n: expected a whole number from 1, got"):
            partition.sample_boundary(n)

    def test_refuses_a_slice_without_a_boundary(self) -> None:
        constant = nn.Linear(2, 2).double().eval()
        with torch.no_grad():
            constant.weight.zero_()
        found = compute_partition(constant, square())
        with pytest.raises(ValueError, match=r"^sample_boundary: expected a slice with a decision boundary, got one without"):
            found.sample_boundary(5)
        with pytest.raises(ValueError, match=r"^classes: expected a pair with a boundary between them, got 0 and 1"):
            found.sample_boundary(5, classes=(0, 1))


class TestDistances:
    """`distance_to_boundary`."""

    @pytest.mark.slow
    @cases(10)
    @given(st.integers(0, 10_000), st.sampled_from([1, 2, 3, 10]))
    def test_are_those_of_shapely(self, seed: int, n_outputs: int) -> None:
        found = compute_partition(centred(2, 8, 8, n_outputs, seed=seed), square())
        points = np.random.default_rng(seed).uniform(-1.5, 1.5, (60, 2))
        result = found.distance_to_boundary(points)
        if not len(result.boundary.points):
            assert (result.distance == np.inf).all()
            return
        union = shapely.multilinestrings(shapely.linestrings(result.boundary.points))
        expected = shapely.distance(shapely.points(points), union)
        np.testing.assert_allclose(result.distance, expected, rtol=0, atol=64 * UNIT_ROUNDOFF)
        np.testing.assert_allclose(np.linalg.norm(result.nearest - points, axis=1), expected, atol=64 * UNIT_ROUNDOFF)

    def test_to_a_diamond_in_closed_form(self) -> None:
        found = compute_partition(lambda x: 1 - x.abs().sum(dim=1, keepdim=True), square(2.0))
        result = found.distance_to_boundary(torch.tensor([[0.0, 0.0], [1.0, 1.0], [1.5, 0.0]]))
        np.testing.assert_allclose(result.distance, [np.sqrt(0.5), np.sqrt(0.5), 0.5], rtol=16 * UNIT_ROUNDOFF)
        np.testing.assert_allclose(result.nearest[1:], [[0.5, 0.5], [1, 0]], rtol=16 * UNIT_ROUNDOFF)

    def test_may_be_to_one_pair(self, partition: Partition) -> None:
        points = [[0.1, 0.2], [0.7, -0.7]]
        every = [partition.distance_to_boundary(points, classes=pair).distance for pair in ((0, 1), (0, 2), (1, 2))]
        np.testing.assert_array_equal(np.min(every, axis=0), partition.distance_to_boundary(points).distance)

    def test_the_path_leads_to_the_boundary(self, partition: Partition) -> None:
        points = np.random.default_rng(1).uniform(-1, 1, (40, 2))
        result = partition.distance_to_boundary(points)
        for i, point in enumerate(points):
            path = result.path(i)
            assert path.cells[0] == partition.locate(point)
            np.testing.assert_array_equal(path.points[[0, -1]], [point, result.nearest[i]])
            # On the way no class wins but the first point's.
            middles = (path.points[:-1] + path.points[1:]) / 2
            u = np.concatenate([point + (result.nearest[i] - point) * t for t in (0.0, 0.5, 0.99)]).reshape(-1, 2)
            winners = partition._outputs_at(np.concatenate([u, middles]), None).argmax(axis=1)
            assert (winners == winners[0]).all()

    def test_without_a_boundary_everything_is_infinitely_far(self) -> None:
        found = compute_partition(lambda x: x.abs().sum(dim=1, keepdim=True) + 1, square())
        result = found.distance_to_boundary([[0.0, 0.0]])
        assert result.distance.tolist() == [np.inf]
        assert result.segment.tolist() == [-1]
        assert np.isnan(result.nearest).all()
        with pytest.raises(ValueError, match=r"^path: expected a slice with a boundary to go to, got one without"):
            result.path(0)

    def test_from_a_file_they_are_the_same(self, partition: Partition, tmp_path: Path) -> None:
        partition.save(tmp_path / "p.npz")
        points = np.random.default_rng(2).uniform(-1, 1, (20, 2))
        found = load_partition(tmp_path / "p.npz").distance_to_boundary(points)
        np.testing.assert_array_equal(found.distance, partition.distance_to_boundary(points).distance)
        assert len(found.path(3)) > 0

    def test_refuses_what_does_not_exist(self, partition: Partition) -> None:
        with pytest.raises(ValueError, match=r"^points: expected slice coordinates of shape \(n, 2\), got \(3,\)"):
            partition.distance_to_boundary([1.0, 2.0, 3.0])
        with pytest.raises(ValueError, match=r"^points: expected finite numbers, got NaN"):
            partition.distance_to_boundary([[1.0, np.nan]])
        result = partition.distance_to_boundary([[0.0, 0.0], [5.0, 0.0]])
        with pytest.raises(ValueError, match=r"^i: expected a point from 0 to 1, got 2"):
            result.path(2)
        with pytest.raises(ValueError, match=r"^i: expected a point of the domain, got point 1 at \[5.0, 0.0\]"):
            result.path(1)


def test_level_sets_of_huge_weights_are_those_of_small_ones() -> None:
    partition = compute_partition(lambda x: x, Slice.from_basis([0.0, 0.0], torch.eye(2)))
    assert partition.level_set([1e308, -1e308]).length == partition.level_set([1, -1]).length > 2.8


@pytest.mark.parametrize("seed", [-1, "a", 0.5, None])
def test_seeds_are_whole_numbers(seed: object) -> None:
    partition = compute_partition(lambda x: x, Slice.from_basis([0.0, 0.0], torch.eye(2)))
    with pytest.raises(ValueError, match=r"seed: expected a whole number"):
        partition.sample_boundary(2, seed=seed)
