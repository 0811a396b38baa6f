"""Garbage collection held back, and given back."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from splinecam_widget.engine.garbage import without_collections


@pytest.fixture(autouse=True)
def enabled() -> Iterator[None]:
    gc.enable()
    yield
    gc.enable()


def test_off_inside_and_on_again() -> None:
    with without_collections():
        assert not gc.isenabled()
        with without_collections():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_on_again_after_an_error() -> None:
    with pytest.raises(KeyError), without_collections():
        raise KeyError
    assert gc.isenabled()


def test_stays_off_where_it_was_off() -> None:
    gc.disable()
    with without_collections():
        pass
    assert not gc.isenabled()


def test_off_until_the_last_thread_has_left() -> None:
    first_is_in, first_may_leave = threading.Event(), threading.Event()

    def first() -> None:
        with without_collections():
            first_is_in.set()
            first_may_leave.wait(10)

    thread = threading.Thread(target=first)
    thread.start()
    assert first_is_in.wait(10)
    with without_collections():
        first_may_leave.set()
        thread.join(10)
        assert not gc.isenabled()
    assert gc.isenabled()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_process_collects_again() -> None:
    """It has none of the threads that were inside."""
    program = (
        "import gc, os, sys, threading\nfrom splinecam_widget.engine.garbage import without_collections\n"
        "with without_collections():\n    child = os.fork()\n    if not child:\n"
        "        ok = gc.isenabled()\n        os._exit(0 if ok else 1)\n    _, status = os.waitpid(child, 0)\n"
        "    sys.exit(os.waitstatus_to_exitcode(status))")
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
