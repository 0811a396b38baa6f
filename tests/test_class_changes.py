"""Where classes change along lines: closed forms, dense samples, and ties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from oracle import UNIT_ROUNDOFF, mlp, square
from splinecam_widget import closest_class_change, compute_line, compute_partition
from splinecam_widget.analysis._line_kernels import class_walk

NEAR = 2.0**-36
"""In t: a change is as exact as the quotient of two differences of logits."""


def affine(*rows: tuple[float, ...]) -> nn.Linear:
    """Logits w x + c of one input, rows (w, c)."""
    layer = nn.Linear(1, len(rows)).double().eval()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([row[:1] for row in rows]))
        layer.bias.copy_(torch.tensor([row[1] for row in rows]))
    return layer


def changes_of(model: Any, a: float = -1.0, b: float = 1.0) -> tuple[list[float], list[list[int]], int]:
    found = compute_line(model, [a], [b]).class_changes()
    return found.t.tolist(), found.classes.tolist(), found.first


class TestSeveralClasses:
    @pytest.mark.parametrize("seed", [0, 1, 3])
    def test_dense_samples(self, seed: int) -> None:
        net = mlp(2, 24, 24, 7, seed=seed)
        with torch.no_grad():
            net[-1].bias.zero_()
            net[-1].weight -= net[-1].weight.mean(0)
        line = compute_line(net, [-5.0, 4.0], [6.0, -5.0])
        changes = line.class_changes()
        t = np.linspace(0, 1, 100_001)
        with torch.no_grad():
            classes = net(torch.from_numpy(line.to_input(t))).argmax(1).numpy()
        assert len(changes) >= 2
        assert (changes.classes[1:, 0] == changes.classes[:-1, 1]).all()
        assert (changes.classes[:, 0] != changes.classes[:, 1]).all()
        said = np.append(changes.first, changes.classes[:, 1])[np.searchsorted(changes.t, t)]
        clear = np.abs(t[:, None] - changes.t).min(axis=1) > NEAR
        np.testing.assert_array_equal(said[clear], classes[clear])
        with torch.no_grad():
            z = net(torch.from_numpy(line.to_input(changes.t))).numpy()
        tied = np.take_along_axis(z, changes.classes, axis=1)
        np.testing.assert_allclose(tied[:, 0], tied[:, 1], rtol=0, atol=2.0**-36)
        np.testing.assert_allclose(tied[:, 0], z.max(axis=1), rtol=0, atol=2.0**-36)
        assert ((changes.t >= line.t[changes.cells]) & (changes.t <= line.t[changes.cells + 1])).all()

    def test_several_changes_in_one_cell(self) -> None:
        t, classes, first = changes_of(affine((-3, -1), (-1, 0), (1, 0), (3, -1)))
        np.testing.assert_allclose(t, [0.25, 0.5, 0.75], rtol=0, atol=4 * UNIT_ROUNDOFF)
        assert (classes, first) == ([[0, 1], [1, 2], [2, 3]], 0)

    def test_three_that_tie_at_one_place_are_one_change(self) -> None:
        assert changes_of(affine((-1, 0), (0, 0), (1, 0))) == ([0.5], [[0, 2]], 0)
        assert changes_of(affine((0, 0), (1, 0), (-1, 0))) == ([0.5], [[2, 1]], 2)

    def test_equal_outputs_never_change(self) -> None:
        assert changes_of(affine((1, 0.3), (1, 0.3), (1, 0.3))) == ([], [], 0)
        assert changes_of(affine((1, 0), (1, 0), (-1, 0))) == ([0.5], [[2, 0]], 2)

    def test_a_tie_that_is_only_touched(self) -> None:
        """|x| and 0 tie at 0, where the first is the largest on both sides."""
        net = nn.Sequential(affine((1, 0), (-1, 0)), nn.ReLU(), nn.Linear(2, 2).double()).eval()
        with torch.no_grad():
            net[2].weight.copy_(torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
            net[2].bias.zero_()
        assert changes_of(net) == ([], [], 1)

    def test_a_change_at_a_breakpoint(self) -> None:
        """relu(x) and relu(-x)."""
        assert changes_of(nn.Sequential(affine((1, 0), (-1, 0)), nn.ReLU()).eval()) == ([0.5], [[1, 0]], 1)

    def test_ties_of_a_whole_cell_go_to_the_lower_class(self) -> None:
        """0 and relu(x): equal for x < 0. Then relu(x) and 0: they tie there as well."""
        net = nn.Sequential(affine((0, 0), (1, 0)), nn.ReLU()).eval()
        assert changes_of(net) == ([0.5], [[0, 1]], 0)
        assert changes_of(nn.Sequential(affine((1, 0), (0, 0)), nn.ReLU()).eval()) == ([], [], 0)

    def test_what_rounding_errors_cannot_tell_apart_is_no_change(self) -> None:
        t, values, tolerance = np.array([0.0, 1.0]), np.array([[0.0, 0.0], [0.0, 5e-4]]), np.array([1e-3, 1e-3])
        assert [len(found) for found in class_walk(t, values, tolerance)[:4]] == [0, 0, 0, 0]
        assert len(class_walk(t, values, tolerance / 8)[0]) == 0, "class 1 is ahead on all of the cell"
        assert class_walk(t, values, tolerance / 8)[4] == 1

    def test_changes_at_one_rounded_place_are_one(self) -> None:
        """The second class overtakes the first by so little that this happens, in float64, where the third overtakes both."""
        values = np.array([[1e17, 0.0, 0.0], [0.0, 1e-3, 1e-3], [0.0, 1.0, 5.0]])
        t, before, after, _, first = class_walk(np.array([0.0, 1.0, 2.0]), values, np.zeros(3))
        assert (t.tolist(), before.tolist(), after.tolist(), first) == ([1.0], [0], [2], 0)

    def test_a_level_is_for_one_output(self) -> None:
        line = compute_line(affine((1, 0), (2, 0)), [0.5], [1.0])
        with pytest.raises(ValueError, match=r"^level: expected 0 for a model with 2 outputs, got 1"):
            line.class_changes(level=1.0)


class TestOneOutput:
    def test_levels(self) -> None:
        line = compute_line(affine((2, 0)), [-1.0], [1.0])
        assert line.class_changes().t.tolist() == [0.5]
        assert line.class_changes().classes.tolist() == [[0, 1]]
        assert line.class_changes(level=1.0).t.tolist() == [0.75]
        assert len(line.class_changes(level=3.0)) == 0

    def test_not_above_the_level_is_class_0(self) -> None:
        """A ReLU is zero for x < 0, not above."""
        assert changes_of(nn.ReLU().eval()) == ([0.5], [[0, 1]], 0)

    def test_refuses_levels_that_are_no_numbers(self) -> None:
        with pytest.raises(ValueError, match=r"^level: expected a finite number, got nan"):
            compute_line(affine((2, 0)), [-1.0], [1.0]).class_changes(level=np.nan)


class TestClosest:
    def test_a_linear_classifier(self) -> None:
        net = nn.Linear(3, 2).double().eval()
        weight = np.array([1.0, -2.0, 2.0])
        with torch.no_grad():
            net.weight.copy_(torch.from_numpy(np.stack([np.zeros(3), weight])))
            net.bias.copy_(torch.tensor([0.0, -6.0]))
        x = np.array([1.0, 1.0, 0.5])
        distance = (6 - weight @ x) / 3
        change = closest_class_change(net, x, 7 * weight, 10.0)
        assert change is not None
        assert change.classes == (0, 1)
        np.testing.assert_allclose(change.distance, distance, rtol=64 * UNIT_ROUNDOFF)
        np.testing.assert_allclose(change.point, x + distance * weight / 3, rtol=64 * UNIT_ROUNDOFF)
        assert closest_class_change(net, x, weight, 0.99 * distance) is None
        assert closest_class_change(net, x, -weight, 10.0) is None

    def test_no_boundary_of_the_slice_is_nearer(self) -> None:
        net = mlp(2, 16, 16, 4, seed=1)
        with torch.no_grad():
            net[-1].bias -= net(torch.rand(500, 2, dtype=torch.float64) * 2 - 1).mean(0)
        partition = compute_partition(net, square())
        points = partition.decision_boundary().points
        network = partition.network
        found = 0
        for angle in np.linspace(0, 2 * np.pi, 24, endpoint=False):
            d = np.array([np.cos(angle), np.sin(angle)])
            change = closest_class_change(network, [0.0, 0.0], d, 0.99)
            # Where the ray crosses segments of the boundary: both sides of it, at a positive distance.
            side = points @ np.array([-d[1], d[0]])
            crossed = side[:, 0] * side[:, 1] < 0
            s = side[crossed, 0] / (side[crossed, 0] - side[crossed, 1])
            ahead = points[crossed, 0] @ d + s * ((points[crossed, 1] - points[crossed, 0]) @ d)
            ahead = ahead[(ahead > 0) & (ahead < 0.99)]
            assert (change is None) == (len(ahead) == 0)
            if change is not None:
                found += 1
                np.testing.assert_allclose(change.distance, ahead.min(), rtol=0, atol=NEAR)
        assert found > 3

    @pytest.mark.parametrize(("direction", "distance", "text"), [
        ([0.0, 0], 1.0, r"^direction: expected one different from zero, got zero"),
        ([1.0, 0, 0], 1.0, r"^direction: expected the shape of x, \(2,\), got \(3,\)"),
        ([1.0, 0], 0.0, r"^max_distance: expected a positive number, got 0.0"),
        ([1.0, 0], np.inf, r"^max_distance: expected a positive number, got inf"),
    ])
    def test_refuses(self, direction: Any, distance: float, text: str) -> None:
        with pytest.raises(ValueError, match=text):
            closest_class_change(nn.ReLU().eval(), [0.0, 0], direction, distance)
