"""On which core a thread runs, and to have it go on on another one. Linux only; elsewhere nothing happens."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from functools import cache


def current_core() -> int | None:
    """The core that this thread runs on; None where the system does not say."""
    ask = _getter()
    core = -1 if ask is None else ask()
    return core if core >= 0 else None


def leave_core(core: int | None) -> None:
    """Go on on another core than this one, if this thread is on it and may use others.

    Linux wakes a thread on the core where it ran last, or on that of the thread that wakes it, and looks for an idle one only
    among those that share a cache. In a virtual machine these may be none: two threads that have once come to one core stay
    there for all of a computation that takes milliseconds, while another core is idle. The thread may be moved at any time
    afterwards.
    """
    if core is None or current_core() != core:
        return
    allowed = os.sched_getaffinity(0)  # of this thread
    others = allowed - {core}
    if others:
        try:
            os.sched_setaffinity(0, others)
            os.sched_setaffinity(0, allowed)
        except OSError:  # not allowed in this container
            return


@cache
def _getter() -> Callable[[], int] | None:
    if not hasattr(os, "sched_setaffinity"):
        return None
    try:
        found: Callable[[], int] = ctypes.CDLL(None).sched_getcpu
    except (OSError, AttributeError):
        return None
    return found
