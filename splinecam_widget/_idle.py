"""Imports that a first picture needs, made while a notebook's kernel has nothing to do. Knows no widgets."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from .engine.garbage import without_collections
from .engine.graph import graph_tool
from .engine.warmup import is_on_disk, is_warm, warm_up

MODULES = ("numba", "scipy.sparse.linalg", "scipy.spatial")
"""Of every first picture."""

TRACE_MODULES = (
    "torch.fx.experimental.symbolic_shapes", "torch._dynamo", "torch._functorch.aot_autograd", "torch.export._trace",
    "torch._export.passes.replace_with_hop_pass_util", "sympy.tensor.tensor",
)
"""Most of the time of a process' first `torch.export`, which models need that are no plain sequence of layers."""

PAUSE_SECONDS = 0.05
"""Between two of them, for the messages of a person who is faster."""

REST_SECONDS = 0.5
"""Without a cell that runs, before the first: cells that a person starts together follow one another faster."""

HOLD_SECONDS = 3.0
"""After a picture was asked for: the hand that did so may not be done."""

_not_before = 0.0


def hold_off() -> None:
    """A picture is asked for: nothing is imported for some seconds. May be called from any thread."""
    global _not_before
    _not_before = time.monotonic() + HOLD_SECONDS


def import_when_idle() -> None:
    """Import `MODULES` and more one after the other on the loop of the kernel that runs this cell, when no cell runs.

    Then it loads the engine's loops, if they are on disk; compiling them is left to a picture that needs them. What only traces
    need comes last, one takes a second.

    On that thread, because two threads that import parts of torch at a time may each see half of what the other is importing:
    what a cell does comes before or after. Without a loop, as in a script, nothing happens: the modules are imported where they
    are used.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    steps: Iterator[Callable[[], Any]] = iter((
        *(partial(importlib.import_module, name) for name in MODULES), graph_tool, _load_loops,
        *(partial(importlib.import_module, name) for name in TRACE_MODULES)))
    due = quiet_since = time.monotonic()

    def look() -> None:
        nonlocal quiet_since
        now = time.monotonic()
        if now - due > PAUSE_SECONDS or now < _not_before:  # a cell ran, or a person drags
            quiet_since = now
        if now - quiet_since < REST_SECONDS:
            look_again()
            return
        step = next(steps, None)
        if step is not None:
            with without_collections(), suppress(Exception):  # raised again where it is used, or not needed
                step()
            look_again()

    def look_again() -> None:
        nonlocal due
        due = time.monotonic() + PAUSE_SECONDS
        loop.call_later(PAUSE_SECONDS, look)

    look_again()


def _load_loops() -> None:
    if not is_warm() and is_on_disk():
        warm_up()
