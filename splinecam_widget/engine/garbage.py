"""Garbage collection held back where many objects are made that stay. Knows nothing of partitions."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_n_inside = 0
_was_enabled = True


@contextmanager
def without_collections() -> Iterator[None]:
    """No collection of cyclic garbage, in the whole process, until the last of the threads inside has left.

    A process that holds torch has a million objects. Python looks at all of them again and again while a package is imported
    or a model is traced, and finds next to none to free. Objects that nobody refers to are freed as ever.
    """
    global _n_inside, _was_enabled
    is_inside = False
    try:
        with _lock:
            if not _n_inside:
                _was_enabled = gc.isenabled()
                gc.disable()
            _n_inside += 1
            is_inside = True
        yield
    finally:
        if is_inside:
            with _lock:
                _n_inside -= 1
                if not _n_inside and _was_enabled:
                    gc.enable()


def _begin_anew() -> None:
    """In a forked process, which has none of the threads that were inside."""
    global _lock, _n_inside
    _lock = threading.Lock()
    if _n_inside:
        _n_inside = 0
        if _was_enabled:
            gc.enable()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
