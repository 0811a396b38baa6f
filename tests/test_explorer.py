"""Following a slice through changes gives what computing from scratch gives, and evaluates no more than it must."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cases import cases
from oracle import assert_same, mlp, square
from splinecam_widget.engine.compute import Work, compute_partition
from splinecam_widget.engine.explorer import Explorer
from splinecam_widget.engine.lowering import lower
from splinecam_widget.engine.network import Network
from splinecam_widget.engine.slices import Slice, rectangle
from splinecam_widget.engine.watching import Budget, Watch


@pytest.fixture(scope="module")
def network() -> Network:
    return lower(mlp(2, 24, 24, 3, seed=0), (2,))


@pytest.fixture(scope="module")
def large() -> Network:
    return lower(mlp(2, 64, 64, 64, 1), (2,))


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
        for points in (self.points[:3], self.points[[0, 1, 3]], self.points[[3, 1, 2]]):
            plane = Slice.through(*points)
            assert_same(explorer.show(plane), compute_partition(self.network, plane))
            assert explorer.work.vertices_evaluated > 0
        explorer.show(Slice.through(*self.points[:3]))
        assert explorer.work.vertices_evaluated == 0, "it was seen before"


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
        explorer.show(plane.with_domain(rectangle(-5, 5, -5, 5)), Watch(stop))
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


class TestJoining:
    """A rectangle that overlaps a known one is computed where it is new, and is the same."""

    @pytest.mark.parametrize(("view", "share"), [
        (rectangle(-0.9, 1.1, -1.1, 0.9), 0.15),
        *(pytest.param(view, share, marks=pytest.mark.slow) for view, share in (
            (rectangle(-1.25, 1.25, -1.25, 1.25), 0.45),
            (rectangle(-0.8, 1.2, -1, 1), 0.15), (rectangle(-1.2, 0.8, -1, 1), 0.15),
            (rectangle(-1, 1, -0.8, 1.2), 0.15), (rectangle(-1, 1, -1.2, 0.8), 0.15),
            (rectangle(-1, 1.5, -0.5, 0.5), 0.4), (rectangle(-1.5, 1.5, -0.2, 0.3), 0.5))),
    ], ids=["diagonal", "zoom out", "right", "left", "up", "down", "other shape", "band"])
    def test_evaluates_little_and_finds_the_same(self, large: Network, view: np.ndarray, share: float) -> None:
        plane = square()
        explorer, other = Explorer(large, plane), Explorer(large, plane)
        explorer.show(plane)
        shown, expected = explorer.show(plane.with_domain(view)), other.show(plane.with_domain(view))
        assert_same(shown, expected)
        assert 0 < explorer.work.vertices_evaluated <= share * other.work.vertices_evaluated
        assert 0 < explorer.work.cells_reused < shown.n_cells
        assert shown.certificate(full=True).is_sound

    @pytest.mark.slow
    def test_a_place_seen_before_evaluates_nothing(self, large: Network) -> None:
        plane = square()
        explorer = Explorer(large, plane)
        views = [rectangle(-1 + 0.2 * i, 1 + 0.2 * i, -1, 1) for i in range(5)]
        for view in views:
            explorer.show(plane.with_domain(view))
        for view in views:
            assert_same(explorer.show(plane.with_domain(view)), compute_partition(large, plane.with_domain(view)))
            assert explorer.work.vertices_evaluated == 0

    def test_memory_is_bounded(self, large: Network) -> None:
        plane = square()
        explorer = Explorer(large, plane, memory=0)
        explorer.show(plane)
        explorer.show(plane)
        assert explorer.work.vertices_evaluated == 0, "the last is kept in any case"
        explorer.show(plane.with_domain(rectangle(5, 6, 5, 6)))
        explorer.show(plane)
        assert explorer.work.vertices_evaluated > 0

    @pytest.mark.parametrize("kind", ["bias-free", "integer", "axis", "diagonal"])
    def test_where_lines_meet_the_seam_in_corners_or_along_it(self, kind: str) -> None:
        torch.manual_seed(2)
        net = mlp(2, 6, 5, 2, bias=kind != "bias-free")
        if kind == "integer":
            for parameter in net.parameters():
                parameter.data = torch.randint(-2, 3, tuple(parameter.shape)).double() / 2
        if kind in ("axis", "diagonal"):
            net[0].weight.data[:2] = torch.tensor([[1.0, 0.0], [0.0, 1.0]] if kind == "axis" else [[1.0, 1.0], [1.0, -1.0]])
            net[0].bias.data[:2] = 0.0
        network, plane = lower(net, (2,)), square()
        for first, second in (
            (rectangle(-1, 0, -1, 1), rectangle(-1, 1, -1, 1)), (rectangle(-1, 0, -1, 0), rectangle(-1, 1, -1, 1)),
            (rectangle(-1, 1, 0, 1), rectangle(-1, 1, -0.5, 1)), (rectangle(0, 1, 0, 1), rectangle(-0.25, 1, -0.25, 1)),
        ):
            explorer = Explorer(network, plane)
            explorer.show(plane.with_domain(first))
            assert_same(explorer.show(plane.with_domain(second)), compute_partition(network, plane.with_domain(second)))

    def test_maxima_curves_and_several_outputs(self) -> None:
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Linear(2, 64), nn.Unflatten(1, (8, 8)), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(32, 16), nn.Tanh(),
            nn.Linear(16, 3)).eval()
        network, plane = lower(net, (2,), approximate=0.02), square()
        explorer, other = Explorer(network, plane), Explorer(network, plane)
        explorer.show(plane)
        view = plane.with_domain(rectangle(-0.9, 1.1, -1, 1))
        assert_same(explorer.show(view), other.show(view))
        assert explorer.work.vertices_evaluated < other.work.vertices_evaluated / 2

    def test_other_shapes_are_computed_anew(self, network: Network) -> None:
        plane = square()
        explorer = Explorer(network, plane)
        explorer.show(plane)
        triangle = plane.with_domain([[-1.2, -0.8], [0.7, -0.5], [0.1, 0.9]])
        assert_same(explorer.show(triangle), compute_partition(network, triangle))


STEPS = st.lists(st.tuples(
    st.sampled_from(["pan", "zoom", "anchor", "reset", "bias", "row", "layer", "undo", "stop", "budget"]),
    st.floats(-0.9, 0.9), st.floats(-0.9, 0.9)), min_size=1, max_size=8)


@pytest.mark.slow
@cases(12)
@given(steps=STEPS, seed=st.integers(0, 3))
def test_any_sequence_of_changes_gives_what_computing_anew_gives(steps: list[tuple[str, float, float]], seed: int) -> None:
    net = mlp(4, 12, 12, 2, seed=seed)
    networks = [lower(net, (4,))]
    anchors = np.random.default_rng(seed).normal(size=(3, 4))
    plane = Slice.through(*anchors)
    explorer = Explorer(networks[0], plane, memory=1 << 18)
    for kind, x, y in steps:
        low, high = plane.domain.min(axis=0), plane.domain.max(axis=0)
        size = high - low
        if kind == "pan":
            low, high = low + size * (x, y), high + size * (x, y)
            plane = plane.with_domain(rectangle(low[0], high[0], low[1], high[1]))
        elif kind == "zoom":
            grown = size * (2.0**x - 1) / 2
            low, high = low - grown, high + grown
            plane = plane.with_domain(rectangle(low[0], high[0], low[1], high[1]))
        elif kind == "anchor":
            anchors[0] = anchors[0] + (x, y, 0.1, 0.0)
            plane = Slice.through(*anchors)
        elif kind in ("bias", "row", "layer"):
            layer = net[2 * int(abs(3.3 * x))]
            unit = 0 if kind == "layer" else slice(None) if kind == "row" else int(y > 0)
            with torch.no_grad():
                (layer.bias if kind == "bias" else layer.weight)[unit] += y
            networks.append(lower(net, (4,)))
            explorer.update(networks[-1])
        elif kind == "undo":
            if len(networks) > 1:
                networks.pop()
            explorer.update(networks[-1])
        elif kind == "stop":
            _stopped(explorer, plane, int(10 * abs(x)))
        elif kind == "budget":
            n = 2 + int(40 * abs(x))
            found = explorer.show(plane, Watch(budget=Budget(cells=n)))
            assert found.n_cells <= n
            assert_same(found, compute_partition(networks[-1], plane.with_domain(found.plane.domain)))
        else:
            plane = Slice.through(*anchors)
        assert_same(explorer.show(plane), compute_partition(networks[-1], plane))


def _stopped(explorer: Explorer, plane: Slice, n_ticks: int) -> None:
    """A wider view that is stopped after some looks, or not."""
    class Stop(Exception):
        """Told to stop."""

    ticks = iter(range(n_ticks))

    def tick() -> None:
        if next(ticks, None) is None:
            raise Stop

    with suppress(Stop):
        explorer.show(plane.with_domain(2.0 * plane.domain), Watch(tick))
