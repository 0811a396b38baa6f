"""Decision boundaries: on every segment two logits of the user's model tie and are the largest, and none is missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from oracle import UNIT_ROUNDOFF, mlp, square
from splinecam_widget.engine._tie_kernels import winner_pieces
from splinecam_widget.engine.boundary import winners_of
from splinecam_widget.engine.compute import compute_partition
from splinecam_widget.engine.partition import Partition
from splinecam_widget.engine.slices import Slice

ROUNDINGS = 2.0**20 * UNIT_ROUNDOFF
"""Relative to the largest logit: 4096 roundings of the evaluation, and a tie's place that may be off by those over the
sine of the angle at which logits meet, above 1/256 in these nets."""
N_CLASSES = 4


def classifier(seed: int = 0, n_classes: int = N_CLASSES) -> nn.Sequential:
    return mlp(2, 16, 16, n_classes, seed=seed)


def logits(net: nn.Module, plane: Slice, u: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return net(torch.from_numpy(plane.to_input(u))).numpy()


def sampled(n: int = 400, half: float = 1.0) -> np.ndarray:
    """Points (n, n, 2) of a grid that is not aligned with anything."""
    ticks = np.linspace(-half, half, n + 2)[1:-1] + 1e-3 * half / n
    return np.stack(np.meshgrid(ticks, ticks), axis=-1)


def along(points: np.ndarray, t: float) -> np.ndarray:
    return points[:, 0] + t * (points[:, 1] - points[:, 0])


@pytest.fixture(scope="module")
def net() -> nn.Sequential:
    """A random classifier of which all classes win somewhere."""
    net = classifier(seed=1)
    with torch.no_grad():
        values = net(torch.from_numpy(sampled(100).reshape(-1, 2)))
        net[-1].bias -= values.mean(0)
    return net


@pytest.fixture(scope="module")
def partition(net: nn.Sequential) -> Partition:
    return compute_partition(net, square())


class TestSeveralClasses:
    """Ties of the two largest logits."""

    def test_the_named_logits_tie_and_are_the_largest(self, net: nn.Sequential, partition: Partition) -> None:
        boundary = partition.decision_boundary()
        assert len(boundary.points) > 10
        assert (boundary.classes[:, 0] < boundary.classes[:, 1]).all()
        for t in (0.0, 0.25, 0.5, 1.0):
            z = logits(net, partition.plane, along(boundary.points, t))
            first, second = (np.take_along_axis(z, boundary.classes[:, [i]], axis=1)[:, 0] for i in range(2))
            slack = ROUNDINGS * np.abs(z).max()
            assert np.abs(first - second).max() <= slack
            assert (z.max(axis=1) - first).max() <= slack

    def test_the_named_classes_win_on_either_side(self, net: nn.Sequential, partition: Partition) -> None:
        """A little off the middle of a segment, to the left and to the right."""
        boundary = partition.decision_boundary()
        d = boundary.points[:, 1] - boundary.points[:, 0]
        length = np.linalg.norm(d, axis=1)
        middle, normal = along(boundary.points, 0.5), np.stack([-d[:, 1], d[:, 0]], axis=1) / length[:, None]
        step = 1e-6
        wide = length > 1e3 * step
        assert wide.sum() > 10
        sides = [logits(net, partition.plane, (middle + s * step * normal)[wide]).argmax(axis=1) for s in (-1, 1)]
        np.testing.assert_array_equal(np.sort(np.stack(sides, axis=1), axis=1), boundary.classes[wide])

    def test_every_change_between_neighbouring_samples_has_a_segment(
        self, net: nn.Sequential, partition: Partition
    ) -> None:
        grid = sampled()
        winners = logits(net, partition.plane, grid.reshape(-1, 2)).argmax(axis=1).reshape(grid.shape[:2])
        assert len(np.unique(winners)) == N_CLASSES
        assert_segments_between(partition.decision_boundary().points, grid, winners)

    def test_lies_in_the_cell_that_it_names(self, partition: Partition) -> None:
        boundary = partition.decision_boundary()
        middle = along(boundary.points, 0.5)
        inside = partition.locate(middle)
        off = inside != boundary.cells
        # A segment along an edge, or so short that its middle rounds out of its cell, may name the neighbour.
        lengths = np.linalg.norm(boundary.points[:, 1] - boundary.points[:, 0], axis=1)
        assert not (off & (lengths > 1e-9)).any()

    def test_can_be_asked_for_one_pair(self, partition: Partition) -> None:
        everything = partition.decision_boundary()
        total = 0.0
        for i in range(N_CLASSES):
            for j in range(i + 1, N_CLASSES):
                pair = partition.decision_boundary(classes=(j, i))
                assert (pair.classes == [i, j]).all()
                total += pair.length
        np.testing.assert_allclose(total, everything.length, rtol=len(everything.points) * UNIT_ROUNDOFF)

    @pytest.mark.parametrize("classes", [(0, 0), (0, N_CLASSES), (-1, 0), (0,), (0, 1, 2), (0.5, 1), 3])
    def test_refuses_classes_that_do_not_exist(self, partition: Partition, classes: Any) -> None:
        with pytest.raises(ValueError, match=r"^classes: expected two different classes from 0 to 3, got"):
            partition.decision_boundary(classes=classes)

    def test_refuses_classes_of_one_output(self) -> None:
        one = compute_partition(affine_classifier((1, 0, 0)), square())
        with pytest.raises(ValueError, match=r"^classes: expected None for a model with one output, .* got \(0, 1\)$"):
            one.decision_boundary(classes=(0, 1))

    def test_refuses_a_level(self, partition: Partition) -> None:
        with pytest.raises(ValueError, match=r"^level: expected 0 for a model with 4 outputs, got 0.5"):
            partition.decision_boundary(level=0.5)

    def test_a_softmax_changes_nothing(self, net: nn.Sequential, partition: Partition) -> None:
        headed = compute_partition(nn.Sequential(net, nn.Softmax(1)).eval(), square())
        np.testing.assert_array_equal(headed.decision_boundary().points, partition.decision_boundary().points)


def assert_segments_between(points: np.ndarray, grid: np.ndarray, winners: np.ndarray) -> None:
    """Between any two neighbours of a grid with different winners, a segment passes."""
    for axis in range(2):
        changes = np.argwhere(np.diff(winners, axis=axis) != 0)
        step = np.array([1, 0]) if axis == 0 else np.array([0, 1])
        a, b = grid[tuple(changes.T)], grid[tuple((changes + step).T)]
        # Grid lines are axis-parallel: a segment meets one where it straddles it, at a place that its slope tells.
        fixed = 0 if axis == 0 else 1
        moving = 1 - fixed
        for p, q in zip(a, b):
            low, high = points[:, 0, fixed] - p[fixed], points[:, 1, fixed] - p[fixed]
            near = low * high <= 0
            s = low[near] / np.where(low[near] == high[near], 1, low[near] - high[near])
            at = points[near, 0, moving] + s * (points[near, 1, moving] - points[near, 0, moving])
            assert ((at >= p[moving] - 1e-9) & (at <= q[moving] + 1e-9)).any(), f"no segment between {p} and {q}"


class TestOneOutput:
    """Level sets."""

    @pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
    def test_the_output_is_the_level_and_none_is_missing(self, share: float) -> None:
        """The levels are zero, and those that some share of the samples is below."""
        net = classifier(seed=3, n_classes=1)
        grid = sampled()
        values = logits(net, square(), grid.reshape(-1, 2)).reshape(grid.shape[:2])
        middle = float(np.median(values))
        with torch.no_grad():
            net[-1].bias -= middle
        values -= middle
        level = float(np.quantile(values, share)) if share else 0.0
        partition = compute_partition(net, square())
        boundary = partition.decision_boundary(level=level)
        assert (boundary.classes == -1).all()
        for t in (0.0, 0.3, 1.0):
            z = logits(net, partition.plane, along(boundary.points, t))
            assert np.abs(z - level).max() <= ROUNDINGS * np.abs(values).max()
        assert_segments_between(boundary.points, grid, values > level)

    def test_a_straight_line_has_its_length(self) -> None:
        """x + y = 1/2 crosses the square from (-1/2, 1) to (1, -1/2)."""
        line = nn.Linear(2, 1).double().eval()
        with torch.no_grad():
            line.weight.fill_(1.0)
            line.bias.zero_()
        boundary = compute_partition(line, square()).decision_boundary(level=0.5)
        np.testing.assert_allclose(boundary.length, np.sqrt(4.5), rtol=16 * UNIT_ROUNDOFF)

    def test_refuses_a_level_that_is_no_number(self) -> None:
        partition = compute_partition(classifier(n_classes=1), square())
        with pytest.raises(ValueError, match=r"^level: expected a finite number, got nan"):
            partition.decision_boundary(level=np.nan)


def affine_classifier(*rows: tuple[float, float, float]) -> nn.Module:
    layer = nn.Linear(2, len(rows)).double().eval()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([row[:2] for row in rows], dtype=torch.float64))
        layer.bias.copy_(torch.tensor([row[2] for row in rows], dtype=torch.float64))
    return layer


def affine_classifier_of(weight: torch.Tensor, bias: torch.Tensor) -> nn.Module:
    layer = nn.Linear(weight.shape[1], weight.shape[0]).double()
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    return layer


class TestSpecialPlaces:
    """Ties along edges, at corners, of many classes, and of all."""

    def test_a_tie_along_an_edge_is_found_once(self) -> None:
        """Logits relu(x) and 0 tie on all of x <= 0; class 1 wins for x > 0, so the boundary is the edge x = 0."""
        net = nn.Sequential(affine_classifier((1, 0, 0)), nn.ReLU(), nn.Linear(1, 2).double()).eval()
        with torch.no_grad():
            net[2].weight.copy_(torch.tensor([[0.0], [1.0]]))
            net[2].bias.zero_()
        boundary = compute_partition(net, square()).decision_boundary()
        np.testing.assert_allclose(boundary.length, 2, rtol=4 * UNIT_ROUNDOFF)
        np.testing.assert_allclose(boundary.points[..., 0], 0, atol=4 * UNIT_ROUNDOFF)
        assert boundary.classes.tolist() == [[0, 1]]

    def test_a_tie_along_an_edge_between_winners_is_found_once(self) -> None:
        """Logits relu(x) and relu(-x): class 0 wins right of the edge x = 0, class 1 left of it."""
        net = nn.Sequential(affine_classifier((1, 0, 0), (-1, 0, 0)), nn.ReLU()).eval()
        boundary = compute_partition(net, square()).decision_boundary()
        np.testing.assert_allclose(boundary.length, 2, rtol=4 * UNIT_ROUNDOFF)

    def test_a_tie_along_an_edge_may_be_the_maximum_on_a_part_of_it(self) -> None:
        """Logits relu(x), relu(-x) and y: the first two tie on x = 0, where the third is above them for y > 0."""
        net = nn.Sequential(affine_classifier((1, 0, 0), (-1, 0, 0), (0, 1, 2)), nn.ReLU(),
                            affine_classifier_of(torch.eye(3), torch.tensor([0.0, 0, -2]))).eval()
        boundary = compute_partition(net, square()).decision_boundary(classes=(0, 1))
        np.testing.assert_allclose(boundary.length, 1, rtol=16 * UNIT_ROUNDOFF)
        assert (boundary.points[..., 1] <= 16 * UNIT_ROUNDOFF).all()

    def test_where_three_tie_along_a_line_the_winners_on_either_side_are_named(self) -> None:
        """Logits -x, 0 and x tie on x = 0, where the middle one is the largest as well, but on no area."""
        for rows, classes in (
            (((-1, 0, 0), (0, 0, 0), (1, 0, 0)), [0, 2]), (((0, 0, 0), (-1, 0, 0), (1, 0, 0)), [1, 2]),
            (((-1, 0, 0), (1, 0, 0), (0, 0, 0)), [0, 1]), (((-1, 0, 0), (0, 0, 0), (1, 0, 0), (1, 0, 0)), [0, 2]),
        ):
            boundary = compute_partition(affine_classifier(*rows), square()).decision_boundary()
            assert boundary.classes.tolist() == [classes]
            np.testing.assert_allclose(boundary.length, 2, rtol=16 * UNIT_ROUNDOFF)

    def test_ties_along_lines_through_corners(self) -> None:
        boundary = compute_partition(affine_classifier((1, -1, 0), (-1, 1, 0)), square()).decision_boundary()
        np.testing.assert_allclose(boundary.length, 2 * np.sqrt(2), rtol=16 * UNIT_ROUNDOFF)

    def test_three_classes_meet_in_a_point(self) -> None:
        angles = np.arange(3) * 2 * np.pi / 3
        rows = [(float(np.cos(a)), float(np.sin(a)), 0.0) for a in angles]
        boundary = compute_partition(affine_classifier(*rows), square()).decision_boundary()
        assert sorted(map(tuple, boundary.classes.tolist())) == [(0, 1), (0, 2), (1, 2)]
        # Rays at 60, 180 and 300 degrees from the centre to the border of the square.
        np.testing.assert_allclose(boundary.length, 1 + 2 / np.cos(np.pi / 6), rtol=64 * UNIT_ROUNDOFF)

    def test_a_tie_below_the_maximum_is_no_boundary(self) -> None:
        boundary = compute_partition(affine_classifier((1, 0, 0), (-1, 0, 0), (0, 0, 5)), square()).decision_boundary()
        assert len(boundary.points) == 0
        assert boundary.length == 0

    def test_equal_logits_have_no_boundary(self) -> None:
        """Everything ties, and class 0 wins everywhere, as `torch.argmax` says."""
        partition = compute_partition(affine_classifier((1, 2, 3), (1, 2, 3)), square())
        assert len(partition.decision_boundary().points) == 0
        assert winners_of(partition).cells.tolist() == [0]

    def test_class_that_repeats_another_never_wins(self) -> None:
        partition = compute_partition(affine_classifier((1, 0, 0), (1, 0, 0), (-1, 0, 0)), square())
        boundary = partition.decision_boundary()
        assert (boundary.classes == [0, 2]).all()
        np.testing.assert_allclose(boundary.length, 2, rtol=16 * UNIT_ROUNDOFF)


class TestLevelSets:
    """Of one output, and of weighted sums of several."""

    def test_of_a_margin_the_classes_differ_by_it_and_none_is_missing(self, net: nn.Sequential, partition: Partition) -> None:
        boundary = partition.level_set([1, 0, -1, 0], 0.05)
        assert len(boundary.points) > 10
        assert (boundary.classes == -1).all()
        grid = sampled()
        values = logits(net, partition.plane, grid.reshape(-1, 2))
        margin = (values[:, 0] - values[:, 2]).reshape(grid.shape[:2])
        assert_segments_between(boundary.points, grid, margin > 0.05)
        for t in (0.0, 0.3, 1.0):
            z = logits(net, partition.plane, along(boundary.points, t))
            assert np.abs(z[:, 0] - z[:, 2] - 0.05).max() <= ROUNDINGS * np.abs(values).max()

    def test_of_a_number_is_that_of_its_unit_vector(self, partition: Partition) -> None:
        np.testing.assert_array_equal(partition.level_set(2, 0.1).points, partition.level_set([0, 0, 1.0, 0], 0.1).points)

    def test_of_one_output_is_the_decision_boundary(self) -> None:
        partition = compute_partition(classifier(seed=3, n_classes=1), square())
        level = float(np.median(partition.values))
        found, expected = partition.level_set(0, level), partition.decision_boundary(level=level)
        np.testing.assert_array_equal(found.points, expected.points)
        np.testing.assert_array_equal(found.nodes, expected.nodes)

    def test_the_larger_side_is_on_the_left(self) -> None:
        partition = compute_partition(affine_classifier((1, 0, 0), (0, 1, 0)), square())
        for weights, step in (([1, 0], [0, -2]), ([-1, 0], [0, 2]), ([0, 2], [2, 0])):
            points = partition.level_set(weights).points
            np.testing.assert_allclose(points[0, 1] - points[0, 0], step)

    def test_an_edge_with_the_same_side_above_is_there_once(self) -> None:
        """|x| touches zero along the edge x = 0, which parts nothing."""
        partition = compute_partition(lambda x: x[:, :1].abs(), square())
        assert len(partition.decision_boundary().points) == 0
        found = partition.level_set(0)
        assert len(found.points) == 1
        assert found.length == 2.0
        assert found.polylines.ends.tolist() == [[1, 1]]
        assert partition.level_set(0, 0.5).length == 4.0

    def test_of_a_flat_part_there_is_the_frontier_with_the_larger_side_on_its_left(self) -> None:
        """relu(x) is zero on all of x <= 0, and -relu(x) as well."""
        for sign in (1, -1):
            net = nn.Sequential(affine_classifier((1, 0, 0)), nn.ReLU(), affine_classifier_of(
                torch.tensor([[float(sign)]]), torch.zeros(1))).eval()
            boundary = compute_partition(net, square()).level_set(0)
            assert len(boundary.points) == 1
            np.testing.assert_array_equal(boundary.points[0], [[0, sign], [0, -sign]])

    def test_a_flat_part_at_the_level_has_a_closed_frontier(self) -> None:
        """relu(1/2 - |x| - |y|): the level set is all but a diamond, its frontier the diamond."""
        partition = compute_partition(lambda x: (0.5 - x.abs().sum(dim=1, keepdim=True)).relu(), square())
        found = partition.level_set(0)
        assert found.polylines.is_closed.tolist() == [True]
        np.testing.assert_allclose(found.length, 2 * np.sqrt(2), rtol=16 * UNIT_ROUNDOFF)
        np.testing.assert_allclose(found.length, partition.decision_boundary().length)

    def test_where_everything_is_at_the_level_there_is_no_line(self) -> None:
        partition = compute_partition(affine_classifier((0, 0, 0.5)), square())
        assert len(partition.level_set(0, 0.5).points) == 0
        assert len(partition.level_set([0.1], 0.05).points) == 0  # a product that is rounded

    def test_a_side_of_the_domain_at_the_level_belongs_to_it(self) -> None:
        partition = compute_partition(affine_classifier((1, 0, 0)), square())
        np.testing.assert_array_equal(partition.level_set(0, 1.0).points, [[[1, 1], [1, -1]]])  # the rest is below
        np.testing.assert_array_equal(partition.level_set(0, -1.0).points, [[[-1, 1], [-1, -1]]])
        assert partition.level_set(0, 1.0).cells.tolist() == [0]

    def test_a_corner_at_the_level_is_left_out(self) -> None:
        assert len(compute_partition(affine_classifier((1, 1, 0)), square()).level_set(0, 2.0).points) == 0

    @pytest.mark.parametrize(("of", "text"), [(1, "got 1$"), ([1, 2], r"got shape \(2,\)$")])
    def test_refuses_another_output_than_the_only_one(self, of: Any, text: str) -> None:
        one = compute_partition(affine_classifier((1, 0, 0)), square())
        with pytest.raises(ValueError, match=r"^of: expected 0, the only output, or one weight, " + text):
            one.level_set(of, 0.5)

    @pytest.mark.parametrize(("of", "level", "text"), [
        (4, 0.0, r"^of: expected an output from 0 to 3 or 4 weights, got 4"),
        (-1, 0.0, r"^of: expected an output from 0 to 3 or 4 weights, got -1"),
        (1.5, 0.0, r"^of: expected an output from 0 to 3 or 4 weights, got 1.5"),
        (True, 0.0, r"^of: expected an output from 0 to 3 or 4 weights, got True"),
        ([1, 2], 0.0, r"^of: expected an output from 0 to 3 or 4 weights, got shape \(2,\)"),
        ([0, 0, 0, 0], 0.0, r"^of: expected weights that are not all zero, got zeros"),
        ([0, np.nan, 0, 1], 0.0, r"^of: expected finite numbers, got NaN"),
        ("cat", 0.0, r"^of: expected real numbers, got dtype"),
        (0, np.inf, r"^level: expected a finite number, got inf"),
    ])
    def test_refuses_what_does_not_exist(self, partition: Partition, of: Any, level: float, text: str) -> None:
        with pytest.raises(ValueError, match=text):
            partition.level_set(of, level)


class TestWinners:
    """Which class wins where."""

    def test_pieces_cover_the_mixed_cells(self, partition: Partition) -> None:
        found = winners_of(partition)
        for c in np.unique(found.piece_cells):
            pieces = np.flatnonzero(found.piece_cells == c)
            assert len(pieces) >= 2
            total = sum(shoelace(found.piece_points[found.piece_offsets[p]:found.piece_offsets[p + 1]]) for p in pieces)
            assert abs(total - partition.areas[c]) <= ROUNDINGS
            assert found.cells[c] in found.piece_classes[pieces]

    def test_are_those_of_argmax(self, net: nn.Sequential, partition: Partition) -> None:
        found = winners_of(partition)
        u = sampled(150).reshape(-1, 2)
        z = logits(net, partition.plane, u)
        best = np.sort(z, axis=1)
        clear = best[:, -1] - best[:, -2] > ROUNDINGS * np.abs(z).max()
        cells = partition.locate(u)
        pure = ~np.isin(cells, found.piece_cells)
        assert (clear & pure).sum() > 1000
        np.testing.assert_array_equal(found.cells[cells[clear & pure]], z.argmax(axis=1)[clear & pure])
        for p in range(len(found.piece_classes)):
            corners = found.piece_points[found.piece_offsets[p]:found.piece_offsets[p + 1]]
            if shoelace(corners) > 1e-9:
                inside = logits(net, partition.plane, corners.mean(axis=0)[None])
                assert inside.argmax() == found.piece_classes[p]


def shoelace(corners: np.ndarray) -> float:
    x, y = (corners - corners[0]).T
    return 0.5 * float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))


def test_corners_that_turn_at_random_fit_in_the_buffers() -> None:
    n = 300
    angles = np.linspace(0, 2 * np.pi, n, endpoint=False)
    corners = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    values = np.zeros((n, 2))
    values[::2, 0] = values[1::2, 1] = 1.0
    found = winner_pieces(corners, np.array([0, n]), np.arange(n, dtype=np.int32), values, np.zeros(2))
    assert len(found[1]) == 2 * (n // 2 + n)
