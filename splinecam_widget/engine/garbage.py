"""Garbage collection held back where many objects are made that stay. Knows nothing of partitions."""

from __future__ import annotations

import gc
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
    with _lock:
        if not _n_inside:
            _was_enabled = gc.isenabled()
            gc.disable()
        _n_inside += 1
    try:
        yield
    finally:
        with _lock:
            _n_inside -= 1
            if not _n_inside and _was_enabled:
                gc.enable()
