"""Lines of boundaries: segments meet by what their ends lie on, to lines that shapely and closed forms know as well."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cases import cases
from oracle import UNIT_ROUNDOFF, mlp, square
from splinecam_widget.analysis.polylines import BORDER, JUNCTION, LOOSE, NOWHERE
from splinecam_widget.engine.boundary import Boundary
from splinecam_widget.engine.compute import compute_partition
from splinecam_widget.engine.partition import Partition
from splinecam_widget.engine.storage import load_partition


def of(function: object, half: float = 2.0) -> Partition:
    return compute_partition(function, square(half))


def diamond(x: torch.Tensor) -> torch.Tensor:
    return 1.0 - x.abs().sum(dim=1, keepdim=True)


def linear(*rows: tuple[float, ...]) -> nn.Module:
    layer = nn.Linear(2, len(rows)).double().eval()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([row[:2] for row in rows], dtype=torch.float64))
        layer.bias.copy_(torch.tensor([row[2] for row in rows], dtype=torch.float64))
    return layer


def random_net(seed: int, is_generic: bool) -> nn.Sequential:
    """With 1 to 10 outputs, centred; of small integers where it is not to be generic, so that many lines meet."""
    rng = np.random.default_rng(seed)
    n_outputs, width = int(rng.choice([1, 2, 3, 5, 10])), int(rng.integers(2, 10 if is_generic else 6))
    net = mlp(2, *[width] * int(rng.integers(0, 3)), n_outputs, seed=seed)
    with torch.no_grad():
        if is_generic:
            net[-1].bias -= net(torch.rand(500, 2, dtype=torch.float64) * 4 - 2).mean(0)
        else:
            scale = 3.0 if seed % 2 else 1.0
            for layer in net[::2]:
                layer.weight.copy_(torch.from_numpy(rng.integers(-2, 3, layer.weight.shape)))
                layer.bias.copy_(torch.from_numpy(rng.integers(-1, 2, layer.bias.shape)))
            net[-1].weight /= scale
            net[-1].bias /= scale
    return net


def signed_area(line: np.ndarray) -> float:
    x, y = line.T
    return 0.5 * float(np.sum(x[:-1] * y[1:] - y[:-1] * x[1:]))


def assert_one_place_a_node(boundary: Boundary) -> None:
    """Ends are equal bit by bit if and only if they are one node."""
    ends = boundary.points.reshape(-1, 2)
    _, places = np.unique(ends, axis=0, return_inverse=True)
    pairs = np.unique(np.stack([boundary.nodes.ravel(), places.ravel()], axis=1), axis=0)
    assert len(pairs) == len(np.unique(pairs[:, 0])) == len(np.unique(pairs[:, 1]))


class TestClosedForms:
    """Curves that one can draw by hand."""

    @pytest.mark.parametrize("sign", [1, -1])
    def test_a_diamond_is_one_closed_line_with_the_side_above_on_its_left(self, sign: int) -> None:
        boundary = of(lambda x: sign * diamond(x)).decision_boundary()
        lines = boundary.polylines
        assert lines.is_closed.tolist() == [True]
        assert lines.ends.tolist() == [[NOWHERE, NOWHERE]]
        assert lines.classes.tolist() == [[-1, -1]]
        np.testing.assert_allclose(lines.lengths, [4 * np.sqrt(2)], rtol=16 * UNIT_ROUNDOFF)
        np.testing.assert_allclose(signed_area(lines.line(0)), sign * 2.0, rtol=16 * UNIT_ROUNDOFF)
        np.testing.assert_array_equal(lines.line(0)[0], lines.line(0)[-1])

    def test_a_ring_has_two_lines_around_it(self) -> None:
        """0.5 - |1 - |x| - |y|| is positive between the diamonds of radius 1/2 and 3/2."""
        lines = of(lambda x: 0.5 - diamond(x).abs()).decision_boundary().polylines
        assert lines.is_closed.all()
        areas = sorted(signed_area(lines.line(i)) for i in range(len(lines)))
        np.testing.assert_allclose(areas, [-0.5, 4.5], rtol=16 * UNIT_ROUNDOFF)

    def test_a_straight_line_goes_from_border_to_border_through_all_cells(self) -> None:
        straight = of(lambda x: x[:, :1].abs() - x[:, :1].abs() + x[:, 1:]).decision_boundary()
        assert len(straight.points) == 2
        assert straight.polylines.ends.tolist() == [[BORDER, BORDER]]
        np.testing.assert_allclose(straight.length, 4.0)

    def test_three_classes_meet_in_one_node(self) -> None:
        angles = np.arange(3) * 2 * np.pi / 3
        boundary = of(linear(*((float(np.cos(a)), float(np.sin(a)), 0.0) for a in angles)), 1.0).decision_boundary()
        lines = boundary.polylines
        assert sorted(lines.classes.tolist()) == [[0, 1], [0, 2], [1, 2]]
        assert sorted(map(sorted, lines.ends.tolist())) == [[BORDER, JUNCTION]] * 3
        assert np.bincount(boundary.nodes.ravel()).max() == 3
        table = boundary.lengths
        assert table.pairs.tolist() == [[0, 1], [0, 2], [1, 2]]
        # Rays at 60, 180 and 300 degrees from the centre to the border of the square.
        np.testing.assert_allclose(table.length, [1 / np.cos(np.pi / 6), 1 / np.cos(np.pi / 6), 1], rtol=64 * UNIT_ROUNDOFF)

    def test_four_classes_meet_in_one_node(self) -> None:
        """x, -x, y and -y: all tie at the origin, where four lines along the diagonals meet."""
        boundary = of(linear((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0))).decision_boundary()
        assert sorted(boundary.polylines.classes.tolist()) == [[0, 2], [0, 3], [1, 2], [1, 3]]
        assert np.bincount(boundary.nodes.ravel()).max() == 4
        np.testing.assert_allclose(boundary.length, 8 * np.sqrt(2), rtol=16 * UNIT_ROUNDOFF)
        assert_one_place_a_node(boundary)

    def test_of_a_pair_alone_lines_still_end_at_the_third_class(self) -> None:
        partition = of(linear((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0)))
        pair = partition.decision_boundary(classes=(2, 0))
        assert pair.polylines.ends.ravel().tolist().count(JUNCTION) == 1
        assert pair.polylines.segments.tolist() == list(range(len(pair.points)))
        np.testing.assert_array_equal(pair.polylines.points, pair.points[0])

    def test_of_a_pair_that_does_not_meet_there_are_no_lines(self) -> None:
        pair = of(linear((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0))).decision_boundary(classes=(0, 1))
        assert (len(pair.points), len(pair.polylines), pair.length) == (0, 0, 0.0)
        assert pair.lengths.pairs.shape == (0, 2)

    def test_without_a_boundary_there_are_no_lines(self) -> None:
        boundary = of(linear((0, 0, 1))).decision_boundary()
        assert len(boundary.polylines) == 0
        assert boundary.nodes.shape == (0, 2)
        assert boundary.lengths.length.tolist() == []

    def test_the_winner_along_an_edge_changes_where_four_classes_tie(self) -> None:
        """Left of x = 0 classes 0 and 1 win, right of it 2 and 3: all tie at the origin, on an edge and at no vertex."""
        def net(x: torch.Tensor) -> torch.Tensor:
            left, right, y = -x[:, 0].relu(), -(-x[:, 0]).relu(), x[:, 1]
            return torch.stack([y + left, -y + left, y + right, -y + right], dim=1)

        boundary = of(net).decision_boundary()
        assert sorted(boundary.polylines.classes.tolist()) == [[0, 1], [0, 2], [1, 3], [2, 3]]
        assert np.bincount(boundary.nodes.ravel()).max() == 4
        assert sorted(map(sorted, boundary.polylines.ends.tolist())) == [[BORDER, JUNCTION]] * 4


@pytest.mark.slow
@cases(25)
@given(st.integers(0, 10_000), st.booleans())
def test_segments_of_random_nets_meet(seed: int, is_generic: bool) -> None:
    """No end is left alone inside the domain; nodes are places; with all segments in lines, lengths agree."""
    boundary = of(random_net(seed, is_generic)).decision_boundary()
    lines = boundary.polylines
    assert (lines.ends != LOOSE).all()
    assert_one_place_a_node(boundary)
    assert sorted(lines.segments.tolist()) == list(range(len(boundary.points)))
    np.testing.assert_allclose(lines.lengths.sum(), boundary.length, rtol=1e-12)
    np.testing.assert_allclose(boundary.lengths.length.sum(), boundary.length, rtol=1e-12)
    assert (boundary.classes[lines.segments] == np.repeat(lines.classes, np.diff(lines.offsets) - 1, axis=0)).all()
    steps = np.delete(np.stack([lines.points[:-1], lines.points[1:]], axis=1), lines.offsets[1:-1] - 1, axis=0) \
        if len(lines) else np.zeros((0, 2, 2))
    np.testing.assert_array_equal(steps, boundary.points[lines.segments])  # also: no segment is passed backwards
    on_border = np.isclose(np.abs(boundary.points).max(axis=2), 2.0, rtol=0, atol=64 * UNIT_ROUNDOFF)
    np.testing.assert_array_equal(boundary.joints.is_border[boundary.nodes], on_border)


@pytest.mark.slow
@cases(15)
@given(st.integers(0, 10_000))
def test_the_lower_class_is_on_the_left(seed: int) -> None:
    net = random_net(seed, True)
    partition = of(net)
    boundary = partition.decision_boundary()
    a, b = boundary.points.transpose(1, 0, 2)
    normal = np.stack([a[:, 1] - b[:, 1], b[:, 0] - a[:, 0]], axis=1)
    is_long = np.linalg.norm(b - a, axis=1) > 1e-3
    for side, column in ((1, 0), (-1, 1)):
        u = ((a + b) / 2 + side * 1e-6 * normal)[is_long]
        with torch.no_grad():
            z = net(torch.from_numpy(u)).numpy()
        if z.shape[1] == 1:
            np.testing.assert_array_equal(z[:, 0] > 0, side > 0)
        else:
            np.testing.assert_array_equal(z.argmax(axis=1), boundary.classes[is_long, column])


@pytest.mark.slow
@cases(15)
@given(st.integers(0, 10_000))
def test_lines_are_those_of_shapely(seed: int) -> None:
    """Of each pair of classes, in a generic net: as many merged lines, of the same lengths."""
    boundary = of(random_net(seed, True)).decision_boundary()
    lines = boundary.polylines
    for pair in boundary.lengths.pairs:
        merged = shapely.line_merge(shapely.multilinestrings(
            shapely.linestrings(boundary.points[(boundary.classes == pair).all(axis=1)])))
        found = np.sort(lines.lengths[(lines.classes == pair).all(axis=1)])
        np.testing.assert_allclose(np.sort(shapely.length(shapely.get_parts(merged))), found, rtol=1e-12)


def test_a_partition_from_a_file_has_the_same_lines(tmp_path: Path) -> None:
    partition = of(random_net(7, True))
    partition.save(tmp_path / "p.npz")
    expected, found = partition.decision_boundary(), load_partition(tmp_path / "p.npz").decision_boundary()
    np.testing.assert_array_equal(found.polylines.points, expected.polylines.points)
    np.testing.assert_array_equal(found.polylines.offsets, expected.polylines.offsets)
    np.testing.assert_array_equal(found.nodes, expected.nodes)
