"""The widget's certificates: of the picture on show, when it rests, in nobody's way."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

import pytest

from splinecam_widget import SplineCamWidget, _checks
from splinecam_widget.engine.errors import Cancelled
from widget_wire import (
    IMAGES,
    SECONDS,
    MakeWidget,
    corners,
    image,
    picture,
    request,
    sent,
    tell,
    wait_checked,
)


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
