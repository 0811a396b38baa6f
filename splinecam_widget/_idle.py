"""Imports that a first picture needs, made while a notebook's kernel has nothing to do. Knows no widgets."""

from __future__ import annotations

import asyncio
import importlib
from contextlib import suppress

MODULES = (
    "torch.fx.experimental.symbolic_shapes", "torch._dynamo", "torch._functorch.aot_autograd", "torch.export._trace",
    "torch._export.passes.replace_with_hop_pass_util", "sympy.tensor.tensor", "bokeh.plotting", "bokeh.embed",
    "scipy.sparse.linalg", "scipy.spatial", "graph_tool.topology",
)
"""Most of the time of a process' first `torch.export`, and what is imported where it is used."""

PAUSE_SECONDS = 0.05
"""Between two of them, for the messages of a person who is faster."""


def import_when_idle() -> None:
    """Import `MODULES` one after the other on the loop of the kernel that runs this cell, when no cell runs.

    On that thread, because two threads that import parts of torch at a time may each see half of what the other is importing.
    Without a loop, as in a script, nothing happens: the modules are imported where they are used.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    names = iter(MODULES)

    def import_next() -> None:
        name = next(names, None)
        if name is not None:
            with suppress(Exception):  # raised again where it is used, or not needed
                importlib.import_module(name)
            loop.call_later(PAUSE_SECONDS, import_next)

    loop.call_later(PAUSE_SECONDS, import_next)
