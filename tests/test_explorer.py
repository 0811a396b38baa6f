"""Following a slice through changes gives what computing from scratch gives, and evaluates no more than it must."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn

from oracle import assert_same, mlp, square
from splinecam_widget.engine.compute import Work, compute_partition
from splinecam_widget.engine.explorer import Explorer
from splinecam_widget.engine.lowering import Network, lower
from splinecam_widget.engine.slices import Slice, rectangle


@pytest.fixture(scope="module")
def network() -> Network:
    return lower(mlp(2, 24, 24, 3, seed=0), (2,))


VIEWS = {
    "the same": rectangle(-1, 1, -1, 1),
    "zoom in": rectangle(-0.3, 0.4, -0.2, 0.5),
    "zoom in at a corner": rectangle(0.5, 1, 0.5, 1),
    "zoom in by a thousand": rectangle(0.1, 0.101, 0.2, 0.201),
    "zoom in by a million": rectangle(0.1, 0.100001, 0.2, 0.200001),
    "half": rectangle(-1, 0, -1, 1),
    "triangle": np.array([[-0.9, -0.8], [0.7, -0.5], [0.1, 0.9]]),
    "octagon": 0.9 * np.stack([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)], axis=1),
}


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_inside_is_cut_out_without_the_network(network: Network, view: str) -> None:
    plane = square()
    explorer = Explorer(network, plane)
    whole = explorer.show(plane)
    assert explorer.work.vertices_evaluated > 0
    shown = explorer.show(plane.with_domain(VIEWS[view]))
    assert explorer.work.vertices_evaluated == 0
    assert explorer.work.cells_reused == shown.n_cells
    assert_same(shown, compute_partition(network, plane.with_domain(VIEWS[view])))
    assert_same(explorer.show(plane), whole)
    assert explorer.work.vertices_evaluated == 0


@pytest.mark.parametrize("view", [rectangle(-0.5, 1.5, -1, 1), rectangle(-3, 3, -3, 3), rectangle(5, 6, 5, 6)],
                         ids=["pan", "zoom out", "elsewhere"])
def test_a_view_that_reaches_outside_is_right(network: Network, view: np.ndarray) -> None:
    plane = square()
    explorer = Explorer(network, plane)
    explorer.show(plane)
    assert_same(explorer.show(plane.with_domain(view)), compute_partition(network, plane.with_domain(view)))


def test_a_long_walk_stays_right(network: Network) -> None:
    """Pans and zooms one after the other: errors do not add up."""
    numbers = np.random.default_rng(0)
    plane = square()
    explorer = Explorer(network, plane)
    for _ in range(6):
        x, y = numbers.uniform(-1, 1, 2)
        half = 10 ** numbers.uniform(-2, 0.3)
        plane = plane.with_domain(rectangle(x - half, x + half, y - half, y + half))
        assert_same(explorer.show(plane), compute_partition(network, plane))


def test_the_line_of_a_kink_may_be_the_border_of_the_view() -> None:
    """relu(x), relu(y) on a view whose sides lie on both axes."""
    plane = square()
    explorer = Explorer(nn.ReLU().eval(), plane)
    explorer.show(plane)
    view = plane.with_domain(rectangle(0, 1, 0, 1))
    assert explorer.show(view).n_cells == compute_partition(nn.ReLU().eval(), view).n_cells == 1
    view = plane.with_domain([[0, 0], [1, 1], [-1, 1]])
    assert_same(explorer.show(view), compute_partition(nn.ReLU().eval(), view))


class TestAnchors:
    """Anchors that move in the plane or out of it."""

    points = np.random.default_rng(0).standard_normal((4, 6))
    network = lower(mlp(6, 12, 12, 2, seed=1), (6,))

    def test_a_move_in_the_plane_evaluates_nothing(self) -> None:
        plane = Slice.through(*self.points[:3])
        explorer = Explorer(self.network, plane)
        before = explorer.show(plane)
        moved = plane.with_anchors(np.asarray(plane.anchors) * 0.5 + [0.1, 0.2])
        after = explorer.show(moved)
        assert explorer.work.vertices_evaluated == 0
        assert explorer.work.cells_reused == before.n_cells
        assert after.plane is moved
        assert_same(after, compute_partition(self.network, moved))

    def test_a_move_in_the_plane_with_another_view_evaluates_nothing(self) -> None:
        plane = Slice.through(*self.points[:3])
        explorer = Explorer(self.network, plane)
        explorer.show(plane)
        middle = plane.domain.mean(axis=0)
        moved = plane.with_anchors(np.asarray(plane.anchors) * 0.5).with_domain(middle + 0.3 * (plane.domain - middle))
        after = explorer.show(moved)
        assert explorer.work.vertices_evaluated == 0
        assert after.plane is moved
        assert_same(after, compute_partition(self.network, moved))

    def test_a_move_out_of_the_plane_is_right(self) -> None:
        explorer = Explorer(self.network, Slice.through(*self.points[:3]))
        for points in (self.points[:3], self.points[[0, 1, 3]], self.points[[3, 1, 2]], self.points[:3]):
            plane = Slice.through(*points)
            assert_same(explorer.show(plane), compute_partition(self.network, plane))
            assert explorer.work.vertices_evaluated > 0


def test_work_adds_up(network: Network) -> None:
    plane = square()
    explorer = Explorer(network, plane)
    assert explorer.total == Work()
    explorer.show(plane)
    first = explorer.work
    assert first.cells_reused == 0
    explorer.show(plane.with_domain(VIEWS["zoom in"]))
    assert explorer.total.vertices_evaluated == first.vertices_evaluated
    assert explorer.total.cells_reused == explorer.work.cells_reused > 0


def test_a_stopped_computation_changes_nothing(network: Network) -> None:
    class Stop(Exception):
        """Told to stop."""

    def stop() -> None:
        raise Stop

    plane = square()
    explorer = Explorer(network, plane)
    explorer.show(plane)
    state = (explorer.plane, explorer.work, explorer.total)
    with pytest.raises(Stop):
        explorer.show(plane.with_domain(rectangle(-5, 5, -5, 5)), stop)
    assert (explorer.plane, explorer.work, explorer.total) == state
    explorer.show(plane.with_domain(VIEWS["half"]))
    assert explorer.work.vertices_evaluated == 0


def test_refuses_a_slice_of_other_inputs(network: Network) -> None:
    explorer = Explorer(network, square())
    with pytest.raises(ValueError, match=r"^plane: expected inputs of shape \(2,\), got \(3,\)"):
        explorer.show(Slice.around(np.zeros(3)))


@pytest.mark.parametrize("size", [1e12, 1e14])
def test_a_view_far_inside_the_known_one_keeps_its_digits(network: Network, size: float) -> None:
    plane = Slice.around(np.zeros(network.input_shape), seed=1)
    explorer = Explorer(network, plane)
    explorer.show(plane.with_domain(rectangle(-size, size, -size, size)))
    assert explorer.show(plane).n_cells == compute_partition(network, plane).n_cells


@pytest.mark.parametrize("height", [1e-15, 1e-12])
def test_a_sliver_of_the_known_view_has_cells(network: Network, height: float) -> None:
    plane = Slice.around(np.zeros(network.input_shape), seed=1)
    explorer = Explorer(network, plane)
    explorer.show(plane)
    assert explorer.show(plane.with_domain(rectangle(0, 1, 0, height))).n_cells > 0
