"""Bad arguments, models and changes: one message, and the last good picture stays."""

from __future__ import annotations

import gc
import threading
from contextlib import closing
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from splinecam_widget import Slice, SplineCamWidget, UnsupportedModelError
from widget_checks import assert_same_partition, assert_shows, fresh_partition, small_net
from widget_wire import (
    IMAGES,
    KEEP,
    LABELS,
    NET,
    SECONDS,
    MakeWidget,
    image,
    picture,
    receive,
    request,
    sent,
    tell,
    wait_checked,
)

COLOURINGS_OF_CLASSES = "color_by: expected one of class, margin, pattern, area, slope for this model"


class TestBadArguments:
    """One message that names the argument, what was expected and what came; nothing half made is left."""

    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            ({"x2": IMAGES[1, 0]}, r"x1, x2, x3: expected three of one shape, got \(1, 3, 3\), \(3, 3\) and \(1, 3, 3\)"),
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
            ({"class_names": "abc"}, r"class_names: expected a list of names, or a dict .*, got 'abc'"),
            ({"class_names": {"a", "b"}}, r"class_names: expected a list of names, or a dict .*, got {"),
            ({"class_names": {1: "a", 2: "b"}}, r"class_names: expected the classes' numbers from 0 to 1, got \[1, 2\]"),
            ({"class_names": 3}, r"class_names: expected a list of names, or a dict .*, got 3"),
            ({"domain": [[0, 0], [1, 1], [2, 2]]}, r"domain: expected a polygon of positive area, got area 0"),
            ({"domain": [[0, 0], [1, 1]]}, r"domain: expected the corners of a convex polygon"),
            ({"domain": "all"}, r"domain: expected real numbers, got dtype"),
            ({"color_by": "height"}, r"color_by: expected one of class, margin, pattern, area, slope, output, got 'height'"),
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

    @pytest.mark.slow
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
        assert w.status["state"] == ("refused" if kind is UnsupportedModelError else "error")
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
            ("color_by", "height", r"color_by: expected one of class, margin, pattern"),
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

    @pytest.mark.parametrize(("name", "instead"), [
        ("model", r"call update\(model\)"), ("images", "make another widget"), ("labels", "make another widget"),
        ("class_names", "make another widget"), ("max_cells", "make another widget")])
    def test_what_is_given_once(self, w: SplineCamWidget, name: str, instead: str) -> None:
        with pytest.raises(AttributeError, match=f"^{name}: it is given when the widget is made.*; {instead}$"):
            setattr(w, name, None)

    def test_browser_sends_what_is_no_colouring(self, w: SplineCamWidget) -> None:
        receive(w, color_by="height")  # ipywidgets reports what a setter raises: as a traceback or in the log
        receive(w, domain=[[0, 0], [1, 1], [2, 2]])
        receive(w, layer=7)
        assert w.color_by == "class"
        assert w.domain is None
        assert w.layer is None
        told = [data["state"] for data, _ in w.comm.sent if data.get("method") == "update"]
        for name in ("color_by", "domain", "layer"):  # or the page would go on with what was refused
            assert [state[name] for state in told if name in state][-1] == getattr(w, name)
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
