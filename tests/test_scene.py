"""How wishes change anchors, plane and partition: as a fresh computation finds it; failures change nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from splinecam_widget import Slice, UnsupportedModelError
from splinecam_widget._board import image_board, plane_board
from splinecam_widget._scene import KEEP, Scene, Shown, Wish
from splinecam_widget.engine.errors import Cancelled
from splinecam_widget.engine.slices import rectangle
from widget_checks import assert_same_partition, fresh_partition, small_net

RNG = np.random.default_rng(3)
IMAGES = RNG.standard_normal((12, 1, 3, 3)).astype(np.float32)
NET = nn.Sequential(nn.Flatten(), *small_net(9, 3)).eval()


def scene_of(model: Any = NET, domain: Any = None, labels: Any = None) -> Scene:
    board = image_board(IMAGES, labels, (1, 3, 3))
    return Scene(model, [board.image(i) for i in range(3)], board, domain)


@pytest.fixture
def scene() -> Scene:
    return scene_of()


@pytest.fixture
def first(scene: Scene) -> Shown:
    return scene.show(Wish())


def assert_exact(shown: Shown, model: Any = NET) -> None:
    """What is shown is what a fresh computation finds for these anchors and this domain."""
    plane = shown.partition.plane
    assert_same_partition(shown.partition, fresh_partition(model, plane))
    for anchor, u in zip(shown.anchors, plane.anchors if plane.anchors is not None else []):
        np.testing.assert_allclose(plane.to_input(u), anchor.x, rtol=0, atol=1e-13)
    with torch.no_grad():
        x = torch.from_numpy(np.stack([anchor.x for anchor in shown.anchors])).float()
        np.testing.assert_allclose(shown.outputs, model(x), rtol=1e-5, atol=1e-5)  # the model's own float32


def inner(shown: Shown, share: float = 0.5) -> Any:
    """A smaller range in the middle of the domain."""
    domain = shown.partition.plane.domain
    middle = domain.mean(axis=0)
    return middle + share * (domain - middle)


class TestFirst:
    def test_is_the_partition_through_the_anchors(self, first: Shown) -> None:
        expected = Slice.through(*IMAGES[:3])
        np.testing.assert_array_equal(first.partition.plane.domain, expected.domain)
        assert_same_partition(first.partition, fresh_partition(NET, expected))
        assert_exact(first)
        assert first.is_default_domain
        assert [anchor.name for anchor in first.anchors] == ["image 0", "image 1", "image 2"]

    def test_own_domain(self) -> None:
        polygon = np.array([[0.0, 0], [1, 0], [0, 1]])
        shown = scene_of(domain=polygon).show(Wish())
        np.testing.assert_array_equal(shown.partition.plane.domain, polygon)
        assert not shown.is_default_domain

    def test_later_wish_goes_over_the_first(self) -> None:
        shown = scene_of().show(Wish((KEEP, {"kind": "image", "index": 7}, KEEP)))
        np.testing.assert_array_equal(np.stack([a.x for a in shown.anchors]), IMAGES[[0, 7, 2]])

    def test_model_is_copied_when_the_scene_is_made(self) -> None:
        model = nn.Sequential(nn.Flatten(), *small_net(9, 3)).eval()
        scenes = [scene_of(model), scene_of(model.forward)]
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(-2)
        for scene in scenes:
            assert_exact(scene.show(Wish()), NET)


class TestAnchors:
    def test_image(self, scene: Scene, first: Shown) -> None:
        shown = scene.show(Wish(({"kind": "image", "index": 9}, KEEP, KEEP)))
        np.testing.assert_array_equal(shown.anchors[0].x, IMAGES[9])
        assert shown.anchors[1] is first.anchors[1]
        assert shown.anchors[0].place == tuple(scene.board.positions[9].tolist())  # type: ignore[union-attr]
        assert shown.plane_number == first.plane_number + 1
        assert_exact(shown)

    def test_label_in_the_name(self) -> None:
        shown = scene_of(labels=np.arange(12)).show(Wish())
        assert shown.anchors[2].name == "image 2, label 2"

    def test_blend(self, scene: Scene, first: Shown) -> None:
        wish = {"kind": "blend", "indices": [3, 5, 8], "weights": [0.5, 0.25, 0.25]}
        shown = scene.show(Wish((KEEP, wish, KEEP)))
        expected = 0.5 * IMAGES[3].astype(float) + 0.25 * IMAGES[5] + 0.25 * IMAGES[8]
        np.testing.assert_allclose(shown.anchors[1].x, expected, rtol=0, atol=1e-15)
        assert shown.anchors[1].name == "blend of images 3, 5, 8"
        places = scene.board.positions[[3, 5, 8]].astype(float)  # type: ignore[union-attr]
        np.testing.assert_allclose(shown.anchors[1].place, [0.5, 0.25, 0.25] @ places)
        assert_exact(shown)

    def test_blend_of_one_is_the_image(self, scene: Scene, first: Shown) -> None:
        wish = {"kind": "blend", "indices": [3, 5, 8], "weights": [0, 1, 0]}
        shown = scene.show(Wish((wish, KEEP, KEEP)))
        np.testing.assert_array_equal(shown.anchors[0].x, IMAGES[5])
        assert shown.anchors[0].name == "image 5"

    def test_slice(self, scene: Scene, first: Shown) -> None:
        u = first.partition.plane.domain.mean(axis=0) + [0.3, 0.2]
        shown = scene.show(Wish(({"kind": "slice", "u": u.tolist()}, KEEP, KEEP), KEEP, first.plane_number))
        np.testing.assert_array_equal(shown.anchors[0].x, first.partition.plane.to_input(u))
        assert shown.plane_number == first.plane_number
        assert_exact(shown)

    def test_slice_of_a_plane_that_is_gone_keeps_the_anchor(self, scene: Scene, first: Shown) -> None:
        second = scene.show(Wish(({"kind": "image", "index": 9}, KEEP, KEEP)))
        late = {"kind": "slice", "u": [0.1, 0.1]}
        shown = scene.show(Wish((late, KEEP, KEEP), KEEP, first.plane_number))
        assert shown.anchors == second.anchors
        assert shown.plane_number == second.plane_number

    def test_array(self, scene: Scene, first: Shown) -> None:
        x = RNG.standard_normal((1, 3, 3))
        shown = scene.show(Wish((KEEP, KEEP, x)))
        np.testing.assert_array_equal(shown.anchors[2].x, x)
        assert_exact(shown)


class TestReuse:
    """Counted work: what is known is not computed again, and the result is the same."""

    def test_anchor_moves_inside_the_domain(self, scene: Scene, first: Shown) -> None:
        shown = first
        for i in range(30):
            u = (first.partition.plane.domain.mean(axis=0) + 0.02 * i).tolist()
            wish = {"kind": "slice", "u": u}
            shown = scene.show(Wish((wish, KEEP, KEEP), KEEP, first.plane_number))
            assert shown.work.vertices_evaluated == 0
            assert shown.work.cells_reused == first.partition.n_cells
            assert shown.plane_number == first.plane_number
        assert_exact(shown)

    def test_anchor_leaves_the_domain(self, scene: Scene, first: Shown) -> None:
        wish = {"kind": "slice", "u": (3 * first.partition.plane.domain[2]).tolist()}
        shown = scene.show(Wish((wish, KEEP, KEEP), KEEP, first.plane_number))
        domain = shown.partition.plane.domain
        assert shown.partition.plane.anchors is not None
        assert (shown.partition.plane.anchors >= domain.min(axis=0)).all()
        assert (shown.partition.plane.anchors <= domain.max(axis=0)).all()
        assert_exact(shown)

    @pytest.mark.parametrize("share", [0.9, 0.5, 0.1, 1e-4])
    def test_zoom_in(self, scene: Scene, first: Shown, share: float) -> None:
        shown = scene.show(Wish((KEEP,) * 3, inner(first, share), first.plane_number))
        assert shown.work.vertices_evaluated == 0
        assert shown.work.cells_reused == shown.partition.n_cells > 0
        np.testing.assert_array_equal(shown.partition.plane.domain, inner(first, share))
        assert not shown.is_default_domain
        assert_exact(shown)

    def test_zoom_out_again(self, scene: Scene, first: Shown) -> None:
        scene.show(Wish((KEEP,) * 3, inner(first, 0.2), first.plane_number))
        wider = scene.show(Wish((KEEP,) * 3, inner(first, 0.6), first.plane_number))
        assert wider.work.vertices_evaluated == 0
        assert_exact(wider)
        back = scene.show(Wish((KEEP,) * 3, None, first.plane_number))
        assert back.is_default_domain
        assert back.work.vertices_evaluated == 0
        assert back.partition.n_cells == first.partition.n_cells

    def test_zoom_out_beyond(self, scene: Scene, first: Shown) -> None:
        shown = scene.show(Wish((KEEP,) * 3, inner(first, 2.0), first.plane_number))
        assert shown.work.vertices_evaluated > 0
        assert_exact(shown)

    def test_anchor_moves_out_of_the_plane(self, scene: Scene, first: Shown) -> None:
        zoomed = scene.show(Wish((KEEP,) * 3, inner(first, 0.5), first.plane_number))
        shown = scene.show(Wish(({"kind": "image", "index": 9}, KEEP, KEEP)))
        assert shown.work.vertices_evaluated > 0
        assert shown.plane_number == first.plane_number + 1
        np.testing.assert_array_equal(shown.partition.plane.domain, zoomed.partition.plane.domain)  # the range stays
        assert_exact(shown)

    def test_range_of_a_plane_that_is_gone(self, scene: Scene, first: Shown) -> None:
        wish = Wish(({"kind": "image", "index": 9}, KEEP, KEEP), inner(first, 0.5), first.plane_number)
        shown = scene.show(wish)
        assert shown.is_default_domain
        assert_exact(shown)


class TestLimits:
    def test_a_zoom_may_go_to_the_limits(self, scene: Scene, first: Shown) -> None:
        u = first.partition.vertices[first.partition.n_cells // 2]
        for width in (first.limits.finest, first.limits.coarsest):
            domain = rectangle(u[0] - width / 2, u[0] + width / 2, u[1] - width / 2, u[1] + width / 2)
            shown = scene.show(Wish((KEEP,) * 3, domain, first.plane_number))
            certificate = shown.partition.certificate()
            assert certificate.is_sound, str(certificate)

    def test_at_the_limit_a_move_sideways_is_not_refused(self, scene: Scene, first: Shown) -> None:
        shown, width = first, first.limits.finest
        domain = first.partition.plane.domain.mean(axis=0) + rectangle(0, width, 0, width)
        for _ in range(20):
            domain = domain + [width / 2, 0]
            shown = scene.show(Wish((KEEP,) * 3, domain, first.plane_number))
        assert shown.partition.plane.domain.tolist() == domain.tolist()

    def test_a_range_that_stays_is_not_refused(self, scene: Scene, first: Shown) -> None:
        """Anchors far away make the numbers larger; the view has fewer digits then, and is what was asked for."""
        width = first.limits.finest
        scene.show(Wish((KEEP,) * 3, rectangle(0, width, 0, width), first.plane_number))
        shown = scene.show(Wish((KEEP, KEEP, 1000 * IMAGES[9].astype(float))))
        assert shown.limits.finest > 10 * width
        assert np.ptp(shown.partition.plane.domain[:, 0]) == pytest.approx(width)


class TestPlane:
    """Models of two inputs: every slice is the whole plane."""

    @pytest.fixture
    def inr(self) -> Scene:
        board = plane_board(np.zeros((4, 4)), (-1, 1, -1, 1), (2,))
        anchors = [np.array(x) for x in ([0.0, 0.0], [0.5, 0.0], [0.0, 0.5])]
        return Scene(small_net(2, 1), anchors, board, None)

    def test_domain_is_the_picture(self, inr: Scene) -> None:
        shown = inr.show(Wish())
        np.testing.assert_array_equal(shown.partition.plane.domain, rectangle(-1, 1, -1, 1))
        np.testing.assert_array_equal(shown.partition.plane.to_input(np.eye(2)), np.eye(2))
        assert_exact(shown, small_net(2, 1))

    def test_points_move_nothing(self, inr: Scene) -> None:
        before = inr.show(Wish())
        shown = inr.show(Wish(({"kind": "point", "x": [-0.7, 0.2]}, KEEP, KEEP)))
        assert shown.anchors[0].x.tolist() == [-0.7, 0.2]
        assert shown.anchors[0].place == (-0.7, 0.2)
        assert shown.plane_number == before.plane_number
        assert shown.work.vertices_evaluated == 0

    def test_point_outside_the_picture(self, inr: Scene) -> None:
        inr.show(Wish())
        shown = inr.show(Wish(({"kind": "point", "x": [3.0, 0.0]}, KEEP, KEEP)))
        assert shown.partition.plane.domain[:, 0].max() >= 3
        assert_exact(shown, small_net(2, 1))

    def test_point_of_a_model_whose_inputs_have_more_axes(self) -> None:
        model = nn.Sequential(nn.Flatten(), *small_net(2, 1)).eval()
        board = plane_board(np.zeros((4, 4)), (-1, 1, -1, 1), (1, 2))
        scene = Scene(model, [np.array([x]) for x in ([0.0, 0.0], [0.5, 0.0], [0.0, 0.5])], board, None)
        scene.show(Wish())
        shown = scene.show(Wish((KEEP, {"kind": "point", "x": [-0.7, 0.2]}, KEEP)))
        assert shown.anchors[1].x.tolist() == [[-0.7, 0.2]]


class TestFailure:
    @pytest.mark.parametrize(
        ("wish", "text"),
        [
            (Wish((KEEP, {"kind": "image", "index": 0}, KEEP)), "^Anchor B is where A is: move one of them.$"),
            (Wish(({"kind": "image", "index": 2}, KEEP, KEEP)), "^Anchor A is where C is: move one of them.$"),
            (Wish((KEEP, IMAGES[0].astype(float), KEEP)), r"^Anchor B \(x2\) is where A is: move one of them.$"),
            (Wish(({"kind": "image", "index": 2}, {"kind": "image", "index": 2}, KEEP)), "^Anchors A, B and C are in the same"),
            (Wish((KEEP, KEEP, IMAGES[:2].astype(float).mean(axis=0))), r"^Anchors A, B and C \(x3\) are on one line: move"),
            (Wish(({"kind": "image", "index": 12}, KEEP, KEEP)), "index: expected an image from 0 to 11, got 12"),
            (Wish(({"kind": "image", "index": -1}, KEEP, KEEP)), "index: expected an image from 0 to 11, got -1"),
            (Wish(({"kind": "slice", "u": [np.nan, 0]}, KEEP, KEEP), KEEP, 1), "u: expected finite numbers, got NaN"),
            (Wish(({"kind": "slice", "u": [0.0]}, KEEP, KEEP), KEEP, 1), "u: expected two numbers, got shape"),
            (Wish(({"kind": "blend", "indices": [1, 2], "weights": [0, 0]}, KEEP, KEEP)), "blend: expected images"),
            (Wish(({"kind": "blend", "indices": [1, 12], "weights": [1, 1]}, KEEP, KEEP)), "blend: expected images"),
            (Wish(({"kind": "blend", "indices": [1, -2], "weights": [1, 1]}, KEEP, KEEP)), "blend: expected images"),
            (Wish(({"kind": "point", "x": [0, 0]}, KEEP, KEEP)), "anchors: expected keep, image, blend, slice or point"),
            (Wish(({"kind": "new"}, KEEP, KEEP)), "anchors: expected keep, image, blend, slice or point, got"),
            (Wish((KEEP,) * 3, rectangle(1, 1 + 1e-12, 1, 1 + 1e-12)), "domain: expected a width of at least .* got 1e-12"),
            (Wish((KEEP,) * 3, rectangle(0, 1e9, 0, 1)), "domain: expected a width of at most .* got 1e\\+09"),
            (Wish((KEEP,) * 3, np.zeros((4, 2))), "domain: expected a polygon of positive area, got area 0"),
        ],
    )
    def test_changes_nothing(self, scene: Scene, first: Shown, wish: Wish, text: str) -> None:
        with pytest.raises(ValueError, match=text):
            scene.show(wish)
        assert scene.shown is first
        again = scene.show(Wish())
        assert again.work.vertices_evaluated == 0
        assert_exact(again)

    def test_three_anchors_on_a_line_in_the_plane(self, scene: Scene, first: Shown) -> None:
        a, b = first.partition.plane.anchors[:2]  # type: ignore[index]
        wish = Wish((KEEP, KEEP, {"kind": "slice", "u": ((a + b) / 2).tolist()}), KEEP, first.plane_number)
        with pytest.raises(ValueError, match=r"^Anchors A, B and C are on one line: move one of them off it\.$"):
            scene.show(wish)
        assert scene.shown is first

    def test_model_that_is_refused_is_refused_again(self) -> None:
        scene = scene_of(nn.Sequential(nn.Flatten(), nn.Linear(9, 4), nn.Sigmoid(), nn.Linear(4, 2)).eval())
        for _ in range(2):
            with pytest.raises(UnsupportedModelError):
                scene.show(Wish())
            assert scene.shown is None
            assert scene.network is None

    @pytest.mark.parametrize("n", [1, 2, 3])
    def test_stopped_changes_nothing(self, scene: Scene, first: Shown, n: int) -> None:
        def stop_at(n: int) -> Callable[[], None]:
            count = iter(range(1, 1000))

            def tick() -> None:
                if next(count) == n:
                    raise Cancelled

            return tick

        wish = Wish(({"kind": "image", "index": 9}, KEEP, KEEP))
        with pytest.raises(Cancelled):
            scene.show(wish, stop_at(n))
        assert scene.shown is first
        assert_exact(scene.show(wish))


class TestClose:
    def test_lets_go(self, scene: Scene, first: Shown) -> None:
        scene.close()
        assert scene.shown is None
        assert scene.network is None

    def test_result_that_comes_later_is_dropped(self, scene: Scene, first: Shown) -> None:
        with pytest.raises(Cancelled):
            scene.show(Wish(({"kind": "image", "index": 9}, KEEP, KEEP)), scene.close)
        assert scene.shown is None
        assert scene.network is None


def test_a_closed_scene_shows_nothing_and_holds_nothing() -> None:
    scene = scene_of()
    scene.close()
    with pytest.raises(Cancelled):
        scene.show(Wish(tuple(IMAGES[:3].astype(np.float64)), None))
    assert scene.network is None
