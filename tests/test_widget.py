"""The widget from both ends: as a user has it in Python, and over the wire as a browser has it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import anywidget
import numpy as np
import pytest
import torch
from torch import nn

from splinecam_widget import Slice, SplineCamWidget, compute_partition
from splinecam_widget._scene import Wish
from splinecam_widget.analysis.colours import COLOR_BY, colouring_of
from splinecam_widget.engine.boundary import winners_of
from splinecam_widget.engine.explorer import Explorer
from widget_checks import assert_same_partition, assert_shows, fresh_partition, png_pixels, small_net
from widget_wire import (
    IMAGES,
    KEEP,
    NET,
    SECONDS,
    SEQUENCE,
    MakeWidget,
    corners,
    image,
    picture,
    request,
    sent,
    tell,
)


class TestFirst:
    def test_is_the_partition_through_the_anchors(self, make: MakeWidget) -> None:
        w = make(images=IMAGES)
        found = w.wait(SECONDS)
        assert w.partition is found
        assert_same_partition(found, fresh_partition(NET, Slice.through(*IMAGES[:3])))
        assert w.error == ""
        assert w.status["state"] == "exact"
        assert (w.status["cells"], w.status["regions"]) == (found.n_cells, found.n_regions)
        assert w.domain is None
        for name, x in zip(("x1", "x2", "x3"), IMAGES):
            np.testing.assert_array_equal(getattr(w, name), x)

    def test_goes_out_before_any_view_is_there(self, make: MakeWidget) -> None:
        w = make(images=IMAGES)
        found = w.wait(SECONDS)
        assert_shows(picture(w), found)
        (anchors, pictures) = sent(w, "anchors")[-1]
        assert anchors["names"] == ["image 0", "image 1", "image 2"]
        assert [png_pixels(png).shape for png in pictures] == [(3, 3)] * 3

    def test_the_board_does_not_wait_for_a_hello_that_cannot_come_through(self, make: MakeWidget) -> None:
        w = make(images=IMAGES)
        w.wait(SECONDS)
        kinds = [data["content"]["kind"] for data, _ in w.comm.sent if data.get("method") == "custom"]
        assert [kind for kind in kinds if kind != "certificate"] == ["board", "anchors", "picture"]

    def test_messages_are_handled_where_the_browser_asks(self, make: MakeWidget) -> None:
        w = make()
        w.wait(SECONDS)
        assert w.comm._reply_subshell_for({"method": "custom"}, "theirs") == "theirs"

    def test_each_view_that_says_hello_gets_all_there_is(self, w: SplineCamWidget) -> None:
        for view_id in ("a", "b"):
            tell(w, kind="hello", view_id=view_id)
            for kind in ("board", "anchors", "picture"):
                assert len(sent(w, kind)) == 1
            assert_shows(picture(w), w.wait(0))
            w.comm.sent.clear()

    @pytest.mark.parametrize("convert", [torch.from_numpy, np.asarray, lambda x: x.tolist(), lambda x: x.astype(np.float16)])
    def test_kinds_of_anchors(self, make: MakeWidget, convert: Callable[[Any], Any]) -> None:
        w = make(NET, *(convert(x) for x in IMAGES[:3]))
        expected = Slice.through(*(convert(x) for x in IMAGES[:3]))
        np.testing.assert_allclose(corners(w) if w.wait(SECONDS) else 0, expected.domain)

    def test_one_output(self, make: MakeWidget) -> None:
        model = nn.Sequential(nn.Flatten(), *small_net(9, 1)).eval()
        w = make(model, class_names=["no", "yes"])
        assert_same_partition(w.wait(SECONDS), compute_partition(model, Slice.through(*IMAGES[:3])))
        assert [entry["name"] for entry in picture(w).content["legend"]["entries"]] == ["no", "yes"]
        boundary = w.wait(0).decision_boundary()
        assert len(picture(w).boundary) == len(boundary.points)

    def test_function_as_model(self, make: MakeWidget) -> None:
        w = make(lambda x: x.flatten(1)[:, :3].relu())
        assert w.wait(SECONDS).n_cells > 1

    def test_without_waiting(self, make: MakeWidget, monkeypatch: pytest.MonkeyPatch) -> None:
        held = threading.Event()
        show = Explorer.show
        monkeypatch.setattr(Explorer, "show", lambda *arguments: held.wait(SECONDS) and show(*arguments))
        w = make()
        assert w.partition is None
        with pytest.raises(TimeoutError, match=r"no exact partition after 0\.01 s"):
            w.wait(0.01)
        held.set()
        assert w.wait(SECONDS) is w.partition

    def test_no_private_name_hides_one_of_the_base_class(self) -> None:
        mine = {name for name in vars(SplineCamWidget) if not name.startswith("__")}
        made_by_traitlets = {"_trait_default_generators", "_all_trait_default_generators", "_traits", "_descriptors",
                             "_static_immutable_initial_values", "_instance_inits"}
        assert mine & set(dir(anywidget.AnyWidget)) - made_by_traitlets == {"open", "close", "set_state"}


class TestDrag:
    def test_to_an_image(self, w: SplineCamWidget) -> None:
        sequence = request(w, KEEP, image(8))
        found = w.wait(SECONDS)
        assert_same_partition(found, fresh_partition(NET, Slice.through(IMAGES[0], IMAGES[8], IMAGES[2])))
        np.testing.assert_array_equal(w.x2, IMAGES[8])
        shown = picture(w)
        assert (shown.content["sequence"], shown.content["view_id"]) == (sequence, "v")
        assert_shows(shown, found)
        assert (w.status["sequence"], w.status["view_id"], w.status["state"]) == (sequence, "v", "exact")
        assert sent(w, "anchors")[-1][0]["names"][1] == "image 8, label 2"

    def test_blend(self, w: SplineCamWidget) -> None:
        request(w, {"kind": "blend", "indices": [3, 5], "weights": [0.25, 0.75]})
        expected = 0.25 * IMAGES[3].astype(float) + 0.75 * IMAGES[5].astype(float)
        np.testing.assert_allclose(w.x1 if w.wait(SECONDS) else 0, expected, rtol=0, atol=1e-15)
        assert_same_partition(w.wait(0), fresh_partition(NET, Slice.through(w.x1, w.x2, w.x3)))

    def test_many_requests_end_at_the_last(self, w: SplineCamWidget) -> None:
        for index in [3, 4, 5, 6, 7, 8, 9, 10, 11] * 5:
            sequence = request(w, image(index))
        assert_same_partition(w.wait(SECONDS), fresh_partition(NET, Slice.through(IMAGES[11], *IMAGES[1:3])))
        assert picture(w).content["sequence"] == sequence
        answered = [content["sequence"] for content, _ in sent(w, "picture")]
        assert answered == sorted(answered)

    def test_in_the_slice_evaluates_nothing(self, w: SplineCamWidget) -> None:
        u = (0.9 * corners(w).mean(axis=0) + 0.1 * corners(w)[0]).tolist()
        before = w.plane
        request(w, {"kind": "slice", "u": u})
        found = w.wait(SECONDS)
        assert before is not None
        np.testing.assert_array_equal(w.x1, before.to_input(u))
        assert w.status["vertices_evaluated"] == 0
        assert w.status["cells_reused"] == found.n_cells > 0
        assert_same_partition(found, fresh_partition(NET, found.plane))

    def test_zoom_in_evaluates_nothing(self, w: SplineCamWidget) -> None:
        low, high = corners(w).min(axis=0), corners(w).max(axis=0)
        middle, half = (low + high) / 2, (high - low) / 8
        sides = [middle[0] - half[0], middle[0] + half[0], middle[1] - half[1], middle[1] + half[1]]
        request(w, domain=sides)
        found = w.wait(SECONDS)
        assert w.status["vertices_evaluated"] == 0
        assert w.status["cells_reused"] == found.n_cells > 0
        assert w.domain == found.plane.domain.tolist()
        assert_same_partition(found, fresh_partition(NET, found.plane))
        assert picture(w).content["view"] == pytest.approx(sides)
        request(w, domain=None)
        w.wait(SECONDS)
        assert w.domain is None
        assert w.status["vertices_evaluated"] == 0

    def test_each_view_and_python_get_what_they_asked_for(self, w: SplineCamWidget) -> None:
        held, begun = threading.Event(), threading.Event()

        def busy(_: Callable[[], None]) -> None:
            begun.set()
            assert held.wait(SECONDS)

        w._worker.submit("busy", busy)
        assert begun.wait(SECONDS)
        first = request(w, image(5), view_id="a")
        second = request(w, KEEP, image(6), view_id="b")
        w.x3 = IMAGES[7]
        held.set()
        assert_same_partition(w.wait(SECONDS), fresh_partition(NET, Slice.through(*IMAGES[5:8])))
        answered = {(content["view_id"], content["sequence"]) for content, _ in sent(w, "picture")}
        assert {("a", first), ("b", second)} <= answered

    def test_last_to_move_an_anchor_wins(self, w: SplineCamWidget) -> None:
        held, begun = threading.Event(), threading.Event()

        def busy(_: Callable[[], None]) -> None:
            begun.set()
            assert held.wait(SECONDS)

        w._worker.submit("busy", busy)
        assert begun.wait(SECONDS)
        w.x1 = IMAGES[5]
        request(w, image(6))
        request(w, image(6), image(7))  # what was asked for stays in later requests until it is answered
        w.x2 = IMAGES[8]
        held.set()
        w.wait(SECONDS)
        np.testing.assert_array_equal(np.stack([w.x1, w.x2, w.x3]), IMAGES[[6, 8, 2]])


    def test_own_changes_told_late_are_not_taken_for_the_users(self, w: SplineCamWidget) -> None:
        """A message that arrives while the worker sets anchors holds their notifications back, on another thread."""
        asked = {"sequence": next(SEQUENCE), "view_id": "v"}
        with w.hold_trait_notifications():
            w._ask(Wish((image(5), "keep", "keep")), asked)
            assert w._worker.wait_idle(SECONDS)
        assert w._worker.is_idle()
        assert w.status["sequence"] == asked["sequence"]
        assert len(sent(w, "picture")) == 1
        np.testing.assert_array_equal(w.x1, IMAGES[5])


class TestInspect:
    def test_answer_names_the_question(self, w: SplineCamWidget) -> None:
        found = w.wait(0)
        tell(w, kind="inspect", view_id="v", id=4, plane=w._scene.shown.plane_number, u=found.centroids[1].tolist())
        ((content, pictures),) = sent(w, "inspection")
        assert (content["view_id"], content["id"], content["cell"], content["error"]) == ("v", 4, 1, "")
        assert len(pictures) == 1

    def test_failure_is_an_answer(self, w: SplineCamWidget) -> None:
        tell(w, kind="inspect", view_id="v", id=5, plane=w._scene.shown.plane_number, u=["here"])
        ((content, _),) = sent(w, "inspection")
        assert (content["id"], content["cell"]) == (5, None)
        assert content["error"]


class TestPlane:
    """An implicit neural representation: two inputs, and the picture that it was fitted to."""

    picture = np.random.default_rng(0).random((6, 8, 3))

    def inr(self, make: MakeWidget, n_out: int, **more: Any) -> SplineCamWidget:
        w = make(small_net(2, n_out), [0.0, 0.0], [0.5, 0.0], [0.0, 0.5], background=self.picture, **more)
        w.wait(SECONDS)
        return w

    @pytest.mark.parametrize("n_out", [1, 3])
    def test_cells_have_the_outputs_colour(self, make: MakeWidget, n_out: int) -> None:
        w = self.inr(make, n_out)
        assert w.color_by == "output"
        np.testing.assert_array_equal(corners(w), [[-1, -1], [1, -1], [1, 1], [-1, 1]])
        assert_same_partition(w.wait(0), compute_partition(small_net(2, n_out), w.plane))
        shown = picture(w)
        assert shown.content["to_input"] == {"origin": [0, 0], "basis": [[1, 0], [0, 1]]}
        assert (len(shown.boundary) > 0) == (n_out == 1 and len(w.wait(0).decision_boundary().points) > 0)
        tell(w, kind="hello", view_id="v")
        (content, (background,)) = sent(w, "board")[-1]
        assert content["mode"] == "plane"
        assert png_pixels(background).shape == (6, 8, 3)

    def test_handles_move_without_computation(self, make: MakeWidget) -> None:
        w = self.inr(make, 1)
        request(w, {"kind": "point", "x": [-0.5, -0.25]})
        w.wait(SECONDS)
        assert w.x1.tolist() == [-0.5, -0.25]
        assert w.status["vertices_evaluated"] == 0

    def test_a_sigmoid_at_the_end_is_in_the_colours_and_values(self, make: MakeWidget) -> None:
        net = nn.Sequential(*small_net(2, 3), nn.Sigmoid()).eval()
        w = make(net, [0.0, 0.0], [0.5, 0.0], [0.0, 0.5], background=self.picture)
        p = w.wait(SECONDS)
        with torch.no_grad():
            said = net.double()(torch.from_numpy(p.plane.to_input(p.centroids[:1]))).numpy()[0]
        tell(w, kind="inspect", view_id="v", id=1, plane=1, u=p.centroids[0].tolist())
        (content, _) = sent(w, "inspection")[-1]
        assert [value["value"] for value in content["values"]] == pytest.approx(said, rel=1e-6)
        colours = colouring_of(p, winners_of(p), "output", ["", "", ""]).cells
        assert np.abs((colours[0] >> np.array([0, 8, 16]) & 255) / 255 - said).max() < 0.1  # in the middle of a cell, in bytes

    @pytest.mark.parametrize(
        ("n_out", "more", "colourings"),
        [
            (1, {}, ["pattern", "area", "slope", "output"]),
            (3, {}, ["pattern", "area", "slope", "output"]),
            (3, {"class_names": ["a", "b", "c"]}, ["class", "margin", "pattern", "area", "slope", "output"]),
            (2, {}, ["class", "margin", "pattern", "area", "slope"]),
        ],
    )
    def test_colourings_are_those_of_the_model(
        self, make: MakeWidget, n_out: int, more: dict[str, Any], colourings: list[str]
    ) -> None:
        w = self.inr(make, n_out, **more)
        assert w._colourings == colourings
        for name in COLOR_BY:
            if name in colourings:
                w.color_by = name
            else:
                with pytest.raises(ValueError, match=f"^color_by: expected one of .* for this model, got '{name}'; "):
                    w.color_by = name

    def test_classifier_of_points(self, make: MakeWidget) -> None:
        for more in ({}, {"class_names": ["a", "b"]}):
            w = self.inr(make, 2, **more)
            assert w.error == ""
            assert w.color_by == "class"
            assert len(picture(w).boundary) == len(w.wait(0).decision_boundary().points)
