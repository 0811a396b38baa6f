"""On which core a thread runs, and leaving it."""

from __future__ import annotations

import os
import threading

import pytest

from splinecam_widget.engine import cores

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux says")


def test_the_core_is_one_of_those_allowed() -> None:
    assert cores.current_core() in os.sched_getaffinity(0)


def test_a_thread_goes_on_elsewhere_and_may_run_everywhere() -> None:
    allowed = os.sched_getaffinity(0)
    if len(allowed) == 1:
        pytest.skip("one core")
    found: list[bool] = []

    def run() -> None:
        for core in allowed:
            os.sched_setaffinity(0, {core})  # here now
            os.sched_setaffinity(0, allowed)
            cores.leave_core(core)
            found.append(cores.current_core() != core)
            assert os.sched_getaffinity(0) == allowed

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert len(found) == len(allowed)
    assert any(found)  # where other programs keep a core busy, it may be back at once


def test_a_thread_with_one_core_stays() -> None:
    seen: list[object] = []

    def run() -> None:
        core = min(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {core})
        cores.leave_core(core)
        seen.append((os.sched_getaffinity(0), core))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    ((allowed, core),) = seen
    assert allowed == {core}


def test_nothing_happens_where_the_system_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "_getter", lambda: None)
    assert cores.current_core() is None
    cores.leave_core(cores.current_core())
