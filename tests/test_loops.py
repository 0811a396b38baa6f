"""Loops are compiled when first called, call each other, and have what numba's dispatchers have."""

from __future__ import annotations

import copy
import sys
import threading
from typing import Any

import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher

from splinecam_widget.engine.loops import Loop, compiler_lock, inlined, loop


@inlined
def doubled(x: Any) -> Any:
    return x + x


@loop
def total(values: Any) -> Any:
    """A sum."""
    found = 0.0
    for value in values:
        found += doubled(value)
    return found


@loop
def mean(values: Any) -> Any:
    return total(values) / (2 * len(values))


def test_loops_call_each_other() -> None:
    assert mean(np.arange(5.0)) == 2.0
    assert mean.signatures
    assert mean.py_func(np.arange(5.0)) == 2.0


def test_a_loop_is_a_function_with_its_name_and_text() -> None:
    assert isinstance(total, Loop)
    assert (total.__name__, total.__doc__, total.__module__) == ("total", "A sum.", __name__)
    with pytest.raises(AttributeError, match="no_such"):
        _ = total.no_such
    assert not hasattr(total, "__array__")
    assert copy.copy(total)(np.ones(3)) == 6.0


def test_threads_that_call_first_at_a_time_share_what_is_compiled() -> None:
    def squared(x: Any) -> Any:
        return x * x

    one = loop(squared)
    found: list[Any] = []
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait()
        found.append(one.dispatcher)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(dispatcher) for dispatcher in found}) == 1
    assert isinstance(found[0], Dispatcher)
    assert "numba" in sys.modules


def test_nothing_is_compiled_while_a_thread_holds_the_lock() -> None:
    def third(x: Any) -> Any:
        return x / 3

    one = loop(third)
    found: list[float] = []
    asking = threading.Thread(target=lambda: found.append(one(6.0)))
    with compiler_lock():
        asking.start()
        asking.join(0.3)
        assert not found
        assert one(9.0) == 3.0, "this thread may"
    asking.join()
    assert found == [2.0]
