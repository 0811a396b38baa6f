"""The widget from both ends: as a user has it in Python, and over the wire as a browser has it."""

from __future__ import annotations

import copy
import dataclasses
import gc
import random
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import anywidget
import comm
import numpy as np
import pytest
import torch
import traitlets
from comm.base_comm import BaseComm
from torch import nn

from splinecam_widget import Slice, SplineCamWidget, UnsupportedModelError, _checks, _scheduler, compute_partition
from splinecam_widget._colours import COLOR_BY, colouring_of
from splinecam_widget._scene import Wish
from splinecam_widget.engine import warmup
from splinecam_widget.engine.boundary import winners_of
from splinecam_widget.engine.errors import Cancelled
from splinecam_widget.engine.explorer import Explorer
from widget_checks import Picture, assert_same_partition, assert_shows, decoded, fresh_partition, png_pixels, small_net

SECONDS = 120.0
"""A first partition may wait for a cold compile; a test that reaches this fails."""

IMAGES = np.random.default_rng(3).standard_normal((12, 1, 3, 3)).astype(np.float32)
LABELS = np.arange(12) % 3
NET = nn.Sequential(nn.Flatten(), *small_net(9, 3)).eval()
KEEP = {"kind": "keep"}
MakeWidget = Callable[..., SplineCamWidget]


class Wire(BaseComm):  # type: ignore[misc]
    """A comm that keeps what Python sends and delivers what a browser sends."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.sent: list[tuple[dict[str, Any], list[bytes]]] = []
        super().__init__(*args, **kwargs)

    def publish_msg(self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **keys: Any) -> None:
        if msg_type == "comm_msg":
            self.sent.append((copy.deepcopy(data), list(buffers or [])))


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeWidget]:
    """Make widgets on recording comms; all are closed afterwards."""
    monkeypatch.setattr(comm, "create_comm", Wire)
    monkeypatch.setattr(_checks, "REST_SECONDS", 0.0)
    made: list[SplineCamWidget] = []

    def widget(model: Any = NET, x1: Any = IMAGES[0], x2: Any = IMAGES[1], x3: Any = IMAGES[2], **more: Any) -> SplineCamWidget:
        made.append(SplineCamWidget(model, x1, x2, x3, **more))
        return made[-1]

    yield widget
    for w in made:
        w.close()


@pytest.fixture
def w(make: MakeWidget) -> SplineCamWidget:
    """A widget with images that shows its first partition, its wire emptied."""
    found = make(images=IMAGES, labels=LABELS)
    found.wait(SECONDS)
    found.comm.sent.clear()
    return found


def sent(w: SplineCamWidget, kind: str) -> list[tuple[dict[str, Any], list[bytes]]]:
    """The custom messages of a kind that went out."""
    return [
        (data["content"], buffers) for data, buffers in w.comm.sent
        if data.get("method") == "custom" and data["content"]["kind"] == kind
    ]


def picture(w: SplineCamWidget) -> Picture:
    """The newest picture that went out."""
    return decoded(*sent(w, "picture")[-1])


def receive(w: SplineCamWidget, **state: Any) -> None:
    """A browser's change of synced traits arrives."""
    w.comm.handle_msg({"content": {"data": {"method": "update", "state": state, "buffer_paths": []}}, "buffers": []})


def tell(w: SplineCamWidget, **content: Any) -> None:
    """A browser's custom message arrives."""
    w.comm.handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})
    assert w._answers.wait_idle(SECONDS)


def wait_checked(w: SplineCamWidget) -> None:
    """Until the certificate of the picture on show has gone out, or what went wrong."""
    w.wait(SECONDS)
    assert w._checks.wait_idle(SECONDS)


_SEQUENCE = iter(range(1, 1_000_000))


def request(w: SplineCamWidget, *anchors: Any, domain: Any = "keep", plane: int | None = None, view_id: str = "v") -> int:
    """A browser's request arrives; its sequence number."""
    sequence = next(_SEQUENCE)
    shown = w._scene.shown
    number = plane if plane is not None else shown.plane_number if shown is not None else -1
    receive(w, _request={
        "sequence": sequence, "view_id": view_id, "plane": number, "anchors": [*anchors, *[KEEP] * (3 - len(anchors))],
        "domain": domain,
    })
    return sequence


def image(index: int) -> dict[str, Any]:
    return {"kind": "image", "index": index}


def corners(w: SplineCamWidget) -> Any:
    assert w.plane is not None
    return w.plane.domain


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
        assert mine & set(dir(anywidget.AnyWidget)) - made_by_traitlets == {"close"}


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
        asked = {"sequence": next(_SEQUENCE), "view_id": "v"}
        with w.hold_trait_notifications():
            w._ask(Wish((image(5), "keep", "keep")), asked)
            assert w._worker.wait_idle(SECONDS)
        assert w._worker.is_idle()
        assert w.status["sequence"] == asked["sequence"]
        assert len(sent(w, "picture")) == 1
        np.testing.assert_array_equal(w.x1, IMAGES[5])


class TestCertificate:
    def test_of_the_picture_on_show(self, make: MakeWidget) -> None:
        w = make(images=IMAGES)
        wait_checked(w)
        found = w.wait(0)
        expected = found.certificate()
        assert w.certificate is not None
        assert w.certificate.is_sound
        assert (w.certificate.n_cells, w.certificate.n_checked) == (expected.n_cells, expected.n_checked)
        ((content, buffers),) = sent(w, "certificate")
        assert buffers == []
        assert content["verdict"] == "sound"
        assert content["figures"] == [list(figure) for figure in w.certificate.figures]
        assert content["number"] == picture(w).content["number"]
        assert "cells not convex" not in repr(w.get_state())  # nothing of it is saved with a notebook

    def test_answers_the_request_of_its_picture(self, w: SplineCamWidget) -> None:
        wait_checked(w)
        w.comm.sent.clear()
        sequence = request(w, image(7))
        wait_checked(w)
        ((content, _),) = sent(w, "certificate")
        shown = picture(w).content
        assert (content["sequence"], content["view_id"], content["number"]) == (sequence, "v", shown["number"])
        kinds = [data["content"]["kind"] for data, _ in w.comm.sent if data.get("method") == "custom"]
        assert kinds == ["anchors", "picture", "certificate"]

    def test_none_beside_a_newer_picture(self, w: SplineCamWidget, monkeypatch: pytest.MonkeyPatch) -> None:
        """A request that comes while a picture is checked ends that check, and its picture is checked instead."""
        wait_checked(w)
        w.comm.sent.clear()
        begun, asked, stopped = threading.Event(), threading.Event(), []
        real = _checks.certificate_of

        def slow(partition: Any, full: bool, tick: Any) -> Any:
            if not begun.is_set():
                begun.set()
                assert asked.wait(SECONDS)
                try:
                    tick()
                except Cancelled:
                    stopped.append(partition)
                    raise
            return real(partition, full, tick)

        monkeypatch.setattr(_checks, "certificate_of", slow)
        request(w, image(7))
        assert begun.wait(SECONDS)
        old = w.partition
        assert w.certificate is None
        last = request(w, image(8))
        w.wait(SECONDS)
        assert w.certificate is None
        asked.set()
        wait_checked(w)
        assert stopped == [old]
        assert [content["sequence"] for content, _ in sent(w, "certificate")] == [last]
        assert w.certificate == real(w.wait(0), False, lambda: None)

    def test_goes_on_after_a_refused_request_and_new_colours(self, w: SplineCamWidget, monkeypatch: pytest.MonkeyPatch) -> None:
        wait_checked(w)
        w.comm.sent.clear()
        begun, asked = threading.Event(), threading.Event()
        real = _checks.certificate_of

        def slow(*arguments: Any) -> Any:
            begun.set()
            assert asked.wait(SECONDS)
            return real(*arguments)

        monkeypatch.setattr(_checks, "certificate_of", slow)
        sequence = request(w, image(7))
        assert begun.wait(SECONDS)
        w.color_by = "area"
        request(w, image(99))
        assert w._worker.wait_idle(SECONDS)
        asked.set()
        assert w._checks.wait_idle(SECONDS)
        assert [content["sequence"] for content, _ in sent(w, "certificate")] == [sequence]
        assert "expected an image from 0 to 11, got 99" in w.error

    def test_anchors_that_move_in_the_plane_need_no_other(self, w: SplineCamWidget, monkeypatch: pytest.MonkeyPatch) -> None:
        wait_checked(w)
        before = w.certificate
        monkeypatch.setattr(_checks, "certificate_of", lambda *_: pytest.fail("it was computed again"))
        w.comm.sent.clear()
        sequence = request(w, {"kind": "slice", "u": (0.9 * corners(w).mean(axis=0) + 0.1 * corners(w)[0]).tolist()})
        wait_checked(w)
        assert w.certificate is before is not None
        ((content, _),) = sent(w, "certificate")
        assert (content["sequence"], content["number"]) == (sequence, picture(w).content["number"])

    def test_a_view_that_comes_late_gets_it_after_its_picture(self, w: SplineCamWidget) -> None:
        wait_checked(w)
        w.comm.sent.clear()
        tell(w, kind="hello", view_id="late")
        kinds = [data["content"]["kind"] for data, _ in w.comm.sent if data.get("method") == "custom"]
        assert kinds == ["board", "anchors", "picture", "certificate"]

    def test_not_sound(self, w: SplineCamWidget, monkeypatch: pytest.MonkeyPatch) -> None:
        real = _checks.certificate_of
        monkeypatch.setattr(_checks, "certificate_of", lambda *args: dataclasses.replace(real(*args), n_flat=2))
        request(w, image(7))
        wait_checked(w)
        content, _ = sent(w, "certificate")[-1]
        assert content["verdict"] == "unsound"
        assert ["cells not convex", "2, expected 0"] in content["figures"]
        assert w.error == ""

    def test_what_goes_wrong_is_said(self, w: SplineCamWidget, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: Any) -> Any:
            raise MemoryError("no room")

        real = _checks.certificate_of
        monkeypatch.setattr(_checks, "certificate_of", broken)
        request(w, image(7))
        wait_checked(w)
        content, _ = sent(w, "certificate")[-1]
        assert (content["verdict"], content["figures"]) == ("failed", [["error", "no room"]])
        assert w.certificate is None
        said = "The picture could not be checked: no room"
        assert w.error == said
        w.color_by = "area"
        w.wait(SECONDS)
        assert w.error == said
        monkeypatch.setattr(_checks, "certificate_of", real)
        request(w, image(8))
        wait_checked(w)
        assert w.error == ""
        assert w.certificate is not None


class Several(nn.Module):
    """A model that returns what it saw and what it thinks."""

    def __init__(self) -> None:
        super().__init__()
        self.body = NET

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"features": x.flatten(1), "logits": self.body(x)}


class TestOptions:
    def test_shows_one_of_several_outputs(self, make: MakeWidget) -> None:
        w = make(Several().eval(), output="logits")
        found = w.wait(SECONDS)
        assert_same_partition(found, fresh_partition(NET, w.plane))
        assert w.status["state"] == "exact"

    def test_says_which_outputs_there_are(self, make: MakeWidget) -> None:
        with pytest.raises(ValueError, match=r"^output: expected .*\['features'\] \(9,\), \['logits'\] \(3,\), got .*'scores'"):
            make(Several().eval(), output="scores")
        w = make(Several().eval())
        with pytest.raises(UnsupportedModelError, match="output="):
            w.wait(SECONDS)
        assert "['logits'] (3,)" in w.error

    def test_never_calls_an_approximation_exact(self, make: MakeWidget) -> None:
        net = nn.Sequential(nn.Flatten(), nn.Linear(9, 6), nn.GELU(), nn.Linear(6, 3)).eval()
        w = make(net, approximate=0.05)
        found = w.wait(SECONDS)
        assert not found.is_exact
        assert w.status["state"] == "approximation"
        assert "approximation, activations to within 0.05" in w.status["text"]
        assert "exact" not in w.status["text"]
        assert sent(w, "picture")[-1][0]["exact"] is False
        wait_checked(w)
        assert w.certificate is not None
        assert w.certificate.n_approximated == 1
        assert sent(w, "certificate")[-1][0]["verdict"] == "approximation"
        for bad in (0.0, -1.0, float("nan")):
            with pytest.raises(ValueError, match=r"^approximate: expected a positive number"):
                make(net, approximate=bad)


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


class TestTraits:
    def test_set_anchor(self, w: SplineCamWidget) -> None:
        seen: list[Any] = []
        w.observe(lambda change: seen.append(change["new"]), "x1")
        w.x1 = torch.from_numpy(IMAGES[9])
        assert_same_partition(w.wait(SECONDS), fresh_partition(NET, Slice.through(IMAGES[9], *IMAGES[1:3])))
        assert len(seen) == 1
        np.testing.assert_array_equal(seen[0], IMAGES[9])

    def test_anchors_are_read_only_and_copies(self, make: MakeWidget) -> None:
        mine = IMAGES[0].astype(np.float64)
        w = make(x1=mine)
        mine[:] = 5
        np.testing.assert_array_equal(w.x1, IMAGES[0])
        with pytest.raises(ValueError, match="read-only"):
            w.x1[0] = 3

    def test_swap(self, w: SplineCamWidget) -> None:
        w.x1, w.x2 = w.x2, w.x1  # equal for a moment
        w.wait(SECONDS)
        np.testing.assert_array_equal(np.stack([w.x1, w.x2, w.x3]), IMAGES[[1, 0, 2]])

    def test_domain(self, w: SplineCamWidget) -> None:
        triangle = np.array([[0.0, 0], [0, 1], [1, 0]])  # clockwise
        w.domain = triangle
        found = w.wait(SECONDS)
        assert found.areas.sum() == pytest.approx(0.5)
        assert_same_partition(found, fresh_partition(NET, found.plane))
        w.domain = None
        np.testing.assert_array_equal(w.wait(SECONDS).plane.domain, Slice.through(*IMAGES[:3]).domain)

    @pytest.mark.parametrize("color_by", ["pattern", "area", "slope"])
    def test_colours_evaluate_nothing(self, w: SplineCamWidget, color_by: str) -> None:
        before, total = w.wait(0), copy.copy(w._scene._explorer.total)
        w.color_by = color_by
        assert w.wait(SECONDS) is before
        assert w._scene._explorer.total == total
        assert sent(w, "picture") == []
        ((content, buffers),) = sent(w, "colours")
        assert len(buffers[0]) == 4 * before.n_cells
        tell(w, kind="hello", view_id="late")
        late = picture(w)
        assert_shows(late, before)
        assert late.colours.tobytes() == buffers[0]
        assert late.content["legend"] == content["legend"]

    def test_pattern_colours_stay_from_one_slice_to_the_next(self, w: SplineCamWidget) -> None:
        w.color_by = "pattern"
        colour_of: dict[bytes, int] = {}
        again = 0
        for index in (3, 4, 5):
            request(w, KEEP, KEEP, image(index))
            found = w.wait(SECONDS)
            patterns = np.concatenate(found.patterns(np.arange(found.n_cells)), axis=1)
            for pattern, colour in zip(patterns, picture(w).colours.tolist()):
                again += pattern.tobytes() in colour_of
                assert colour_of.setdefault(pattern.tobytes(), colour) == colour
        assert again > 0

    def test_links(self, make: MakeWidget) -> None:
        first, second = make(), make()
        first.wait(SECONDS)
        second.wait(SECONDS)
        link = traitlets.link((first, "x1"), (second, "x1"))
        first.x1 = IMAGES[6]
        expected = fresh_partition(NET, Slice.through(IMAGES[6], *IMAGES[1:3]))
        for w in (first, second):
            assert_same_partition(w.wait(SECONDS), expected)
        request(second, {"kind": "slice", "u": corners(second).mean(axis=0).tolist()})
        second.wait(SECONDS)
        first.wait(SECONDS)
        np.testing.assert_array_equal(first.x1, second.x1)
        assert first.error == second.error == ""
        link.unlink()
        second.x1 = IMAGES[7]
        np.testing.assert_array_equal(first.x1 == second.x1, False)

    def test_browser_link_of_anchors(self, w: SplineCamWidget) -> None:
        """`jslink` hands over a trait's state as it came."""
        state = {"x1": {"shape": [1, 3, 3], "data": memoryview(IMAGES[9].astype(np.float64).tobytes())}}
        receive(w, **state)
        assert_same_partition(w.wait(SECONDS), fresh_partition(NET, Slice.through(IMAGES[9], *IMAGES[1:3])))

    def test_whole_anchors_compare_as_one(self, w: SplineCamWidget) -> None:
        assert (w.x1 == w.x1) is True
        assert (w.x1 != w.x2) is True
        assert (w.x1[0] == w.x1[0]).all()
        assert (w.x1 == np.zeros((1, 3, 3))).shape == (1, 3, 3)


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
            (3, {"class_names": ["a", "b", "c"]}, ["class", "pattern", "area", "slope", "output"]),
            (2, {}, ["class", "pattern", "area", "slope"]),
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


class TestModel:
    def model(self) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            model = nn.Sequential(nn.Flatten(), nn.Linear(9, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 3))
            model(torch.randn(16, 1, 3, 3)).sum().backward()
        return model

    @pytest.mark.parametrize("is_training", [True, False])
    def test_is_left_as_it_was(self, make: MakeWidget, is_training: bool) -> None:
        model = self.model().train(is_training)
        model[1].eval()
        calls: list[int] = []
        handle = model[3].register_forward_hook(lambda *_: calls.append(1))
        before = copy.deepcopy(model.state_dict())
        grads = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
        ids = [id(p) for p in model.parameters()]
        modes = [m.training for m in model.modules()]
        w = make(model)
        w.wait(SECONDS)
        w.x1 = IMAGES[5]
        w.wait(SECONDS)
        w.close()
        for name, value in model.state_dict().items():
            assert value.dtype == before[name].dtype
            assert value.device == before[name].device
            assert torch.equal(value, before[name])
        for p, grad in zip(model.parameters(), grads):
            assert p.requires_grad
            assert p.grad is not None
            assert grad is not None
            assert torch.equal(p.grad, grad)
        assert [id(p) for p in model.parameters()] == ids
        assert [m.training for m in model.modules()] == modes
        assert list(model[3]._forward_hooks) == [handle.id]

    def test_in_training_mode_is_computed_as_eval_and_said_so(self, make: MakeWidget) -> None:
        w = make(self.model())
        found = w.wait(SECONDS)
        assert_same_partition(found, compute_partition(self.model().eval(), found.plane))
        assert "training mode" in w.status["note"]
        w = make(self.model().eval())
        w.wait(SECONDS)
        assert w.status["note"] == ""

    def test_is_copied_at_once_and_not_held(self, make: MakeWidget) -> None:
        model = nn.Sequential(nn.Flatten(), *small_net(9, 3)).eval()
        w = make(model)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.zero_()
        assert_same_partition(w.wait(SECONDS), fresh_partition(NET, Slice.through(*IMAGES[:3])))
        gone = weakref.ref(model)
        del model, parameter
        gc.collect()
        assert gone() is None

    def test_user_computes_while_the_widget_traces(self, make: MakeWidget) -> None:
        both = {"widget": threading.Event(), "user": threading.Event(), "widget is done": threading.Event()}

        def traced_by(mine: str, other: str) -> Callable[[torch.Tensor], torch.Tensor]:
            def model(x: torch.Tensor) -> torch.Tensor:
                both[mine].set()
                both[other].wait(1.0)  # in vain where one of them waits until the other has traced
                return x.flatten(1)[:, :2].relu()

            return model

        w = make(traced_by("widget", "user"))
        assert both["widget"].wait(SECONDS)
        threading.Thread(target=lambda: (w._worker.wait_idle(SECONDS), both["widget is done"].set()), daemon=True).start()
        found = compute_partition(traced_by("user", "widget is done"), Slice.through(*IMAGES[:3]))
        assert_same_partition(w.wait(SECONDS), found)

    def test_random_numbers_of_the_user_stay(self, make: MakeWidget, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(warmup, "_done", threading.Event())  # as in a fresh process
        before = torch.get_rng_state(), np.random.get_state(), random.getstate()
        w = make(images=IMAGES)
        w.wait(SECONDS)
        tell(w, kind="hello", view_id="v")
        assert torch.equal(torch.get_rng_state(), before[0])
        assert str(np.random.get_state()) == str(before[1])
        assert random.getstate() == before[2]


COLOURINGS_OF_CLASSES = "color_by: expected one of class, pattern, area, slope for this model"


class TestBadArguments:
    """One message that names the argument, what was expected and what came; nothing half made is left."""

    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            ({"x2": IMAGES[1, 0]}, r"x2: expected the shape of x1, \(1, 3, 3\), got \(3, 3\)"),
            ({"x1": [[1.0, 2.0], [3.0]]}, r"x1: expected an array of real numbers, got list"),
            ({"x1": "image"}, r"x1: expected real numbers, got dtype <U5"),
            ({"x1": None}, r"x1: expected real numbers, got dtype object"),
            ({"x3": IMAGES[2] > 0}, r"x3: expected real numbers, got dtype bool"),
            ({"x3": IMAGES[2].astype(complex)}, r"x3: expected real numbers, got dtype complex128"),
            ({"x2": np.full((1, 3, 3), np.nan)}, r"x2: expected finite numbers, got NaN in 9 of 9 entries"),
            ({"x3": np.where(IMAGES[2] == IMAGES[2].max(), np.inf, 0)}, r"x3: expected finite numbers, got infinity in 1 of 9"),
            ({"x2": IMAGES[0]}, r"x2: expected an anchor different from x1, got the same point"),
            ({"x3": IMAGES[0]}, r"x3: expected an anchor different from x1, got the same point"),
            ({"x3": IMAGES[1]}, r"x3: expected an anchor different from x2, got the same point"),
            ({"x3": 2 * IMAGES[1] - IMAGES[0]}, r"x1, x2, x3: expected anchors that are not on one line, got collinear"),
            ({"images": IMAGES, "labels": LABELS[:5]}, r"labels: expected one label for each of the 12 images, got shape"),
            ({"images": IMAGES[:0]}, r"images: expected at least 2 images, got 0"),
            ({"images": IMAGES[:1]}, r"images: expected at least 2 images, got 1"),
            ({"images": IMAGES[:, 0]}, r"images: expected shape \(n, 1, 3, 3\) as the anchors have, got \(12, 3, 3\)"),
            ({"labels": LABELS}, r"labels: expected images to go with them, got none"),
            ({"images": IMAGES, "labels": LABELS, "class_names": ["a", "b"]},
             r"labels: expected numbers from 0 to 1, one for each of the 2 class_names, got 2"),
            ({"class_names": "abc"}, r"class_names: expected a list of names, got 'abc'"),
            ({"class_names": 3}, r"class_names: expected a list of names, got 3"),
            ({"domain": [[0, 0], [1, 1], [2, 2]]}, r"domain: expected a polygon of positive area, got area 0"),
            ({"domain": [[0, 0], [1, 1]]}, r"domain: expected the corners of a convex polygon"),
            ({"domain": "all"}, r"domain: expected real numbers, got dtype"),
            ({"color_by": "height"}, r"color_by: expected one of class, pattern, area, slope, output, got 'height'"),
            ({"background": np.zeros((4, 4))}, r"background: expected a model of two input numbers, got anchors of shape"),
            ({"background": np.zeros((4, 4)), "images": IMAGES}, r"background: expected either images or a background"),
            ({"model": 3}, r"model: expected a torch module or a callable, got int"),
        ],
    )
    def test_refused(self, make: MakeWidget, arguments: dict[str, Any], text: str) -> None:
        before = threading.active_count()
        with pytest.raises((ValueError, TypeError), match=f"^{text}"):
            make(**arguments)
        assert threading.active_count() <= before

    @pytest.mark.parametrize("arguments", [{"x2": IMAGES[0]}, {"color_by": "height"}], ids=["before", "during"])
    def test_what_was_half_made_is_freed(self, make: MakeWidget, arguments: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="expected"):
            make(**arguments)
        gc.collect()  # an error in a finaliser would be a warning, hence an error, here

    @pytest.mark.parametrize("background", [np.zeros(5), np.zeros((2, 2, 5)), "picture", [[1, 2], [3]]])
    def test_background(self, make: MakeWidget, background: Any) -> None:
        with pytest.raises(ValueError, match=r"^background: expected a.*, got "):
            make(small_net(2, 1), [0.0, 0.0], [1.0, 0.0], [0.0, 1.0], background=background)


class TestBadModel:
    """What only computing can find is in `error`, and raised by `wait`."""

    def failed(self, w: SplineCamWidget, kind: type[Exception]) -> str:
        with pytest.raises(kind) as caught:
            w.wait(SECONDS)
        assert w.error == str(caught.value)
        assert w.status["state"] == "error"
        assert w.partition is None
        (content, _) = sent(w, "failed")[-1]
        assert content["title"] == kind.__name__
        assert content["message"] == w.error
        assert sent(w, "picture") == []
        return w.error

    def test_unsupported_layers_are_all_listed(self, make: MakeWidget) -> None:
        model = nn.Sequential(nn.Flatten(), nn.Linear(9, 4), nn.Sigmoid(), nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 2)).eval()
        text = self.failed(make(model), UnsupportedModelError)
        assert text.startswith("model: expected a continuous piecewise-linear network, but 2 operations are not supported")
        assert make(model, color_by="output").color_by == "output"  # of an unknown model all may be asked for
        assert "sigmoid" in text
        assert "gelu" in text

    def test_model_that_raises(self, make: MakeWidget) -> None:
        def broken(x: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("no such file")

        text = self.failed(make(broken), UnsupportedModelError)
        assert text.startswith("model: expected a module that runs on inputs of shape (batch, 1, 3, 3)")
        assert "RuntimeError: no such file" in text

    def test_inputs_that_do_not_fit_the_model(self, make: MakeWidget) -> None:
        text = self.failed(make(small_net(5, 3), images=IMAGES), UnsupportedModelError)
        assert text.startswith("model: expected a module that runs on inputs of shape (batch, 1, 3, 3)")

    @pytest.mark.parametrize("names", [["a", "b"], ["a", "b", "c", "d"], []])
    def test_class_names(self, make: MakeWidget, names: list[str]) -> None:
        text = self.failed(make(class_names=names), ValueError)
        assert text == f"class_names: expected 3 names, one for each class, got {len(names)}"

    def test_colours_of_outputs_that_are_no_colours(self, make: MakeWidget) -> None:
        model = nn.Sequential(nn.Flatten(), *small_net(9, 5)).eval()
        text = f"^{COLOURINGS_OF_CLASSES}, got 'output'; that needs one or three outputs$"
        with pytest.raises(ValueError, match=text):
            make(model, color_by="output")


STAYS = "The picture is the last one that could be drawn."


class TestBadChange:
    """The last good picture stays, `error` says why, and the next good change works."""

    def assert_goes_on(self, w: SplineCamWidget) -> None:
        request(w, image(5), image(6), image(7))
        assert_same_partition(w.wait(SECONDS), fresh_partition(NET, Slice.through(*IMAGES[5:8])))
        assert w.error == ""
        assert w.status["state"] == "exact"

    @pytest.mark.parametrize(
        ("name", "value", "text"),
        [
            ("x1", IMAGES[1, 0], r"x1: expected shape \(1, 3, 3\), got \(3, 3\)"),
            ("x2", np.full((1, 3, 3), np.nan), r"x2: expected finite numbers, got NaN"),
            ("x2", "image", r"x2: expected real numbers"),
            ("x3", None, r"x3: expected real numbers"),
            ("domain", [[0, 0], [1, 1], [2, 2]], r"domain: expected a polygon of positive area"),
            ("domain", 3, r"domain: expected the corners of a convex polygon"),
            ("color_by", "height", r"color_by: expected one of class, pattern"),
            ("color_by", "output", None),
        ],
    )
    def test_assignment_is_refused(self, make: MakeWidget, name: str, value: Any, text: str | None) -> None:
        model = nn.Sequential(nn.Flatten(), *small_net(9, 5)).eval()
        w = make(model, images=IMAGES)
        before, old = w.wait(SECONDS), getattr(w, name)
        wait_checked(w)
        n_sent = len(w.comm.sent)
        with pytest.raises(ValueError, match=f"^{text or COLOURINGS_OF_CLASSES}"):
            setattr(w, name, value)
        assert w.wait(SECONDS) is before
        assert getattr(w, name) is old
        assert len(w.comm.sent) == n_sent

    def test_browser_sends_what_is_no_colouring(self, w: SplineCamWidget) -> None:
        receive(w, color_by="height")  # ipywidgets reports what a setter raises: as a traceback or in the log
        receive(w, domain=[[0, 0], [1, 1], [2, 2]])
        assert w.color_by == "class"
        assert w.domain is None
        self.assert_goes_on(w)

    @pytest.mark.parametrize("value", [IMAGES[0], IMAGES[:2].astype(float).sum(axis=0) - IMAGES[1]], ids=["equal", "computed"])
    def test_equal_anchors(self, w: SplineCamWidget, value: Any) -> None:
        before = w.partition
        w.x2 = value
        with pytest.raises(ValueError, match=r"^Anchor B \(x2\) is where A is: move one of them\.$"):
            w.wait(SECONDS)
        assert w.partition is before
        assert w.error == f"Anchor B (x2) is where A is: move one of them. {STAYS}"
        assert w.status["text"] == "Not drawn; see the message"
        assert sent(w, "picture") == []
        ((content, _),) = sent(w, "failed")
        assert content["message"] == w.error
        w.x2 = IMAGES[4]
        assert_same_partition(w.wait(SECONDS), fresh_partition(NET, Slice.through(IMAGES[0], IMAGES[4], IMAGES[2])))
        self.assert_goes_on(w)

    def test_collinear_anchors(self, w: SplineCamWidget) -> None:
        before = w.partition
        w.x3 = IMAGES[:2].astype(float).mean(axis=0)
        with pytest.raises(ValueError, match=r"^Anchors A, B and C \(x3\) are on one line: move one of them off it\.$"):
            w.wait(SECONDS)
        assert w.partition is before
        assert w.error.endswith(STAYS)
        self.assert_goes_on(w)

    @pytest.mark.parametrize(("width", "limit"), [(1e-13, "at least"), (1e15, "at most")])
    def test_domain_without_digits(self, w: SplineCamWidget, width: float, limit: str) -> None:
        before = w.partition
        w.domain = [[1, 1], [1 + width, 1], [1, 1 + width]]
        with pytest.raises(ValueError, match=rf"^domain: expected a width of {limit} .*, got "):
            w.wait(SECONDS)
        assert w.partition is before
        assert w.error.endswith(STAYS)
        assert sent(w, "picture") == []
        w.domain = None
        assert w.wait(SECONDS).n_cells == before.n_cells
        self.assert_goes_on(w)

    @pytest.mark.parametrize(
        ("anchors", "domain", "text"),
        [
            ([KEEP, image(0)], "keep", "Anchor B is where A is: move one of them."),
            ([image(1)], "keep", "Anchor A is where B is: move one of them."),
            ([image(1), KEEP, image(1)], "keep", "Anchors A, B and C are in the same place: move two of them."),
            ([{"kind": "blend", "indices": [1, 2], "weights": [0.5, 0.5]}], "keep", "Anchors A, B and C are on one line"),
            ([image(99)], "keep", "index: expected an image from 0 to 11, got 99"),
            ([{"kind": "slice", "u": [float("nan"), 0]}], "keep", "u: expected finite numbers, got NaN"),
            ([{"kind": "slice", "u": [None, 0]}], "keep", "u: expected real numbers"),
            ([{"kind": "slice"}], "keep", "u: expected real numbers"),
            ([{"kind": "image"}], "keep", "anchors: expected them as in docs/protocol.md"),
            ([KEEP] * 3, [0, 0, 0, 0], "domain: expected a polygon of positive area"),
            ([KEEP] * 3, [0, float("inf"), 0, 1], "domain: expected finite numbers"),
            ([KEEP] * 3, [0, 1], "request: expected one as in docs/protocol.md"),
            ([KEEP] * 4, "keep", "request: expected one as in docs/protocol.md"),
            ([3], "keep", "request: expected one as in docs/protocol.md"),
        ],
    )
    def test_drag(self, w: SplineCamWidget, anchors: list[Any], domain: Any, text: str) -> None:
        before = w.partition
        sequence = request(w, *anchors, domain=domain)
        with pytest.raises(ValueError, match=text):
            w.wait(SECONDS)
        assert w.partition is before
        assert text in w.error
        assert sent(w, "picture") == []
        ((content, _),) = sent(w, "failed")
        assert (content["sequence"], content["view_id"], content["message"]) == (sequence, "v", w.error)
        np.testing.assert_array_equal(np.stack([w.x1, w.x2, w.x3]), IMAGES[:3])
        w.comm.sent.clear()
        tell(w, kind="hello", view_id="late")
        assert_shows(picture(w), before)  # type: ignore[arg-type]
        self.assert_goes_on(w)


class TestClose:
    def threads(self) -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name.startswith("splinecam-widget")]

    def join(self) -> None:
        for thread in self.threads():
            thread.join(SECONDS)
        assert self.threads() == []

    def test_twice_and_then_nothing_happens(self, w: SplineCamWidget) -> None:
        w.close()
        w.close()
        assert w.status["state"] == "closed"
        assert w.partition is None
        assert w.plane is None
        w.x1 = IMAGES[5]
        w.color_by = "area"
        with pytest.raises(RuntimeError, match="the widget is closed"):
            w.wait(SECONDS)
        assert w.status["state"] == "closed"
        self.join()

    def test_frees_what_it_showed_though_the_widget_is_held(self, w: SplineCamWidget) -> None:
        tell(w, kind="hello", view_id="v")
        found = w.wait(0)
        refs = [weakref.ref(thing) for thing in (found, found.vertices, found.values, found.cell_vertices, found.network)]
        w.close()
        self.join()
        del found
        gc.collect()
        assert [ref() for ref in refs] == [None] * len(refs)

    def test_frees_the_widget(self) -> None:
        w = SplineCamWidget(NET, *IMAGES[:3])
        w.wait(SECONDS)
        gone = weakref.ref(w)
        w.close()
        self.join()
        del w
        gc.collect()
        assert gone() is None

    def test_while_computing(self, make: MakeWidget, monkeypatch: pytest.MonkeyPatch) -> None:
        held, begun = threading.Event(), threading.Event()
        show = Explorer.show

        def slow(*arguments: Any) -> Any:
            begun.set()
            assert held.wait(SECONDS)
            return show(*arguments)

        monkeypatch.setattr(Explorer, "show", slow)
        w = make()
        assert begun.wait(SECONDS)
        w.close()
        held.set()
        self.join()
        assert w.partition is None
        assert w.status["state"] == "closed"
        assert w.error == ""

    def test_twenty_at_once(self, make: MakeWidget) -> None:
        self.join()
        widgets = [make() for _ in range(20)]
        expected = fresh_partition(NET, Slice.through(*IMAGES[:3])).n_cells if widgets[-1].wait(SECONDS) else 0
        for w in widgets:
            assert w.wait(SECONDS).n_cells == expected
            w.close()
        self.join()

    def test_threads_of_widgets_that_are_not_closed_end(self, make: MakeWidget, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_scheduler, "IDLE_SECONDS", 0.0)
        widgets = [make() for _ in range(3)]
        for w in widgets:
            w.wait(SECONDS)
        self.join()
        widgets[0].x1 = IMAGES[5]  # and start again
        assert widgets[0].wait(SECONDS).n_cells > 0
        np.testing.assert_array_equal(widgets[0].x1, IMAGES[5])


def test_new_colours_do_not_take_back_an_error() -> None:
    with closing(SplineCamWidget(small_net(3, 2), *np.eye(3))) as widget:
        widget.wait(60)
        widget.x2 = widget.x1
        with pytest.raises(ValueError):
            widget.wait(60)
        error = widget.error
        widget.color_by = "area"
        with pytest.raises(ValueError):
            widget.wait(60)
        assert widget.error == error != ""
