"""Imports that a first picture needs, made while a notebook's kernel has nothing to do. Knows no widgets."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from .engine.garbage import without_collections
from .engine.graph import graph_tool
from .engine.warmup import is_on_disk, is_warm, warm_up

MODULES = (
    "torch.fx.experimental.symbolic_shapes", "torch._dynamo", "torch._functorch.aot_autograd", "torch.export._trace",
    "torch._export.passes.replace_with_hop_pass_util", "sympy.tensor.tensor",
    "scipy.sparse.linalg", "scipy.spatial", "numba",
)
"""Most of the time of a process' first `torch.export`, and what is imported where it is used."""

PAUSE_SECONDS = 0.05
"""Between two of them, for the messages of a person who is faster."""


def import_when_idle() -> None:
    """Import `MODULES` and graph-tool one after the other on the loop of the kernel that runs this cell, when no cell runs.

    Then it loads the engine's loops, if they are on disk; compiling them is left to a picture that needs them.

    On that thread, because two threads that import parts of torch at a time may each see half of what the other is importing,
    and numba must not load while torch traces: what a cell does comes before or after. Without a loop, as in a script, nothing
    happens: the modules are imported where they are used.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    steps: Iterator[Callable[[], Any]] = iter((
        *(partial(importlib.import_module, name) for name in MODULES), graph_tool, _load_loops))

    def take_next() -> None:
        step = next(steps, None)
        if step is not None:
            with without_collections(), suppress(Exception):  # raised again where it is used, or not needed
                step()
            loop.call_later(PAUSE_SECONDS, take_next)

    loop.call_later(PAUSE_SECONDS, take_next)


def _load_loops() -> None:
    if not is_warm() and is_on_disk():
        warm_up()
