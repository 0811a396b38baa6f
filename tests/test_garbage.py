"""Garbage collection held back, and given back."""

from __future__ import annotations

import gc
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
