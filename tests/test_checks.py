"""Checks run while no picture is computed, and only of the picture on show. Threads meet at events, not by sleeping."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from splinecam_widget import _checks
from splinecam_widget._checks import Checks
from splinecam_widget._scene import Scene, Shown, Wish
from splinecam_widget._scheduler import Worker
from splinecam_widget.engine.certificate import Certificate
from widget_checks import small_net

SECONDS = 60.0
"""Every wait ends long before this; a test that reaches it fails."""

ANCHORS = [np.array(x) for x in ([0.0, 0.0, 0.0], [1.0, 0.0, 0.5], [0.0, 1.0, 0.0])]


class Desk:
    """A scene, the worker of its pictures, and what the checks told."""

    def __init__(self) -> None:
        self.scene = Scene(small_net(3, 2), ANCHORS, None, None)
        self.pictures = Worker("test-pictures")
        scene = self.scene
        self.checks = Checks(self.pictures, lambda: scene.shown)
        self.told: list[tuple[Shown, Certificate | Exception]] = []

    def show(self, *anchors: Any) -> Shown:
        return self.scene.show(Wish(anchors or ("keep",) * 3), lambda: None)

    def begin(self, shown: Shown) -> None:
        self.checks.begin(shown, lambda found: self.told.append((shown, found)))


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.scene.close()
    made.pictures.close()
    made.checks.close()
    assert made.checks.wait_idle(SECONDS)


class Busy:
    """A job on a worker that goes on until it is let go."""

    def __init__(self, worker: Worker) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()
        worker.submit("busy", self.run)
        assert self.begun.wait(SECONDS)

    def run(self, _: Callable[[], None]) -> None:
        self.begun.set()
        assert self.may_end.wait(SECONDS)


def test_a_certificate_is_told_and_kept(desk: Desk) -> None:
    shown = desk.show()
    assert desk.checks.of(shown) is None
    desk.begin(shown)
    assert desk.checks.wait_idle(SECONDS)
    ((picture, found),) = desk.told
    assert picture is shown
    assert desk.checks.of(shown) is found
    assert isinstance(found, Certificate)
    assert found.is_sound
    assert desk.checks.of(None) is None


def test_nothing_is_checked_while_pictures_are_computed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    real, was_busy = _checks.certificate_of, []
    monkeypatch.setattr(
        _checks, "certificate_of", lambda *args: was_busy.append(not desk.pictures.is_idle()) or real(*args))  # type: ignore[func-returns-value]
    busy = Busy(desk.pictures)
    desk.begin(desk.show())
    assert not desk.checks.wait_idle(0.05)
    assert was_busy == []
    busy.may_end.set()
    assert desk.checks.wait_idle(SECONDS)
    assert was_busy == [False]


def test_a_check_pauses_while_pictures_are_computed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_checks, "REST_SECONDS", 0.0)
    real, busy = _checks.certificate_of, []

    def interrupted(partition: Any, full: bool, tick: Callable[[], None]) -> Certificate:
        busy.append(Busy(desk.pictures))
        threading.Timer(0.05, busy[0].may_end.set).start()
        tick()
        assert busy[0].may_end.is_set()
        return real(partition, full, tick)

    monkeypatch.setattr(_checks, "certificate_of", interrupted)
    shown = desk.show()
    desk.begin(shown)
    assert desk.checks.wait_idle(SECONDS)
    assert desk.told == [(shown, desk.checks.of(shown))]


def test_a_picture_that_is_gone_is_not_checked(desk: Desk) -> None:
    busy = Busy(desk.pictures)
    desk.begin(desk.show())
    latest = desk.show("keep", "keep", np.array([0.0, 1.0, 1.0]))
    desk.begin(latest)
    busy.may_end.set()
    assert desk.checks.wait_idle(SECONDS)
    assert [shown for shown, _ in desk.told] == [latest]


def test_the_same_cells_are_checked_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    first = desk.show()
    desk.begin(first)
    assert desk.checks.wait_idle(SECONDS)
    monkeypatch.setattr(_checks, "certificate_of", lambda *_: pytest.fail("it was computed again"))
    moved = desk.show("keep", "keep", first.partition.plane.to_input([0.2, 0.3]))
    assert moved.partition.planar is first.partition.planar
    desk.begin(moved)
    assert desk.told == [(first, desk.checks.of(first)), (moved, desk.checks.of(first))]


def test_an_exception_is_told_and_no_certificate(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    error = ValueError("broken")

    def broken(*_: Any) -> Certificate:
        raise error

    monkeypatch.setattr(_checks, "certificate_of", broken)
    shown = desk.show()
    desk.begin(shown)
    assert desk.checks.wait_idle(SECONDS)
    assert desk.told == [(shown, error)]
    assert desk.checks.of(shown) is None


def test_holds_no_picture(desk: Desk) -> None:
    desk.begin(desk.show())
    assert desk.checks.wait_idle(SECONDS)
    gone = weakref.ref(desk.told[0][0].partition.planar)
    desk.told.clear()
    desk.scene.close()
    gc.collect()
    assert gone() is None


def test_closing_ends_a_check_that_waits(desk: Desk) -> None:
    busy = Busy(desk.pictures)
    desk.begin(desk.show())
    desk.pictures.close()
    assert desk.checks.wait_idle(SECONDS), "though its picture is still on show"
    assert desk.told == []
    busy.may_end.set()


def test_closing_ends_a_check_that_runs(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    real = _checks.certificate_of

    def closed_meanwhile(partition: Any, full: bool, tick: Callable[[], None]) -> Certificate:
        desk.checks.close()
        return real(partition, full, tick)

    monkeypatch.setattr(_checks, "certificate_of", closed_meanwhile)
    desk.begin(desk.show())
    assert desk.checks.wait_idle(SECONDS)
    assert desk.told == []
