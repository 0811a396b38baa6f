"""Loops are compiled when first called, call each other, and have what numba's dispatchers have."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest
import torch
from numba import njit
from numba.core.compiler_lock import global_compiler_lock
from numba.core.dispatcher import Dispatcher
from numba.core.errors import TypingError
from torch import nn

from splinecam_widget.engine.loops import Loop, compiler_lock, inlined, lean, loop
from splinecam_widget.engine.lowering import lower


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


@loop
def fill(values: Any, out: Any) -> Any:
    """Makes an array."""
    for i, value in enumerate(values / 2):
        out[i] = value
    return len(out)


def filled(values: Any, pair: Any, n: int) -> Any:
    """Hands arrays to another loop again and again."""
    n_done = 0
    for k in range(n):
        one, two = pair
        if k % 2:
            one, two = two, one
        n_done += fill(values, one) + fill(one, two)
    return n_done


@pytest.mark.parametrize(("kind", "counts"), [(lean, False), (loop, True)])  # the lean one compiles the other first
def test_only_lean_loops_count_no_references(kind: Any, counts: bool) -> None:
    values, pair = np.arange(4.0), (np.empty(4), np.empty(4))
    assert kind(filled)(values, pair, 3) == 24
    assert pair[0].tolist() == [0.0, 0.5, 1.0, 1.5]
    assert pair[1].tolist() == [0.0, 0.25, 0.5, 0.75]
    compiled = njit(**kind(filled)._options)(filled)  # not from disk, from where there is no text
    compiled(values, pair, 3)
    (text,) = compiled.inspect_asm().values()
    assert ("NRT_" in text[:text.index("retq")]) == counts


def test_lean_loops_make_no_arrays() -> None:
    with pytest.raises(TypingError, match="empty"):
        lean(lambda n: np.empty(n))(3)


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


def test_a_trace_holds_the_lock() -> None:
    held: list[bool] = []

    class Asking(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            held.append(global_compiler_lock.is_locked())
            return torch.relu(x)

    lower(Asking(), (2,))
    assert held
    assert all(held)
    assert not global_compiler_lock.is_locked()


IMPORTING = """
import sys, threading, time
from splinecam_widget.engine import loops

problems = []

def import_numba():
    try:
        import numba
    except BaseException as error:
        problems.append(error)

importing = threading.Thread(target=import_numba)
importing.start()
while "numba" not in sys.modules:
    time.sleep(0.0001)
early = "numba.core.compiler_lock" not in sys.modules
with loops.compiler_lock():
    pass
importing.join()
print(early, problems)
"""


def test_numba_may_be_imported_by_another_thread_at_the_same_time() -> None:
    """Who asks for a part of a package that another thread imports waits, holding what that thread may need."""
    done = subprocess.run([sys.executable, "-c", IMPORTING], capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.stderr) == (["True", "[]"], "")


FORKED = """
import os, threading, time
from splinecam_widget.engine.loops import compiler_lock

is_held, is_over = threading.Event(), threading.Event()

def hold():
    with compiler_lock():
        is_held.set()
        is_over.wait()

holding = threading.Thread(target=hold)
holding.start()
is_held.wait()
child = os.fork()
if not child:
    with compiler_lock():
        os._exit(7)
end = time.monotonic() + 20
while not (found := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < end:
    time.sleep(0.05)
is_over.set()
holding.join()
if not found[0]:
    os.kill(child, 9)
print(os.waitstatus_to_exitcode(found[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked here")
def test_a_forked_process_does_not_wait_for_threads_that_it_does_not_have() -> None:
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "7"
