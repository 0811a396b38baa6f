"""Functions that numba compiles. Knows nothing of what they compute.

numba is imported when the first of them is called, not with the package: it takes as long as all of the package's own modules.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import update_wrapper
from typing import Any

_is_known = False


def compiler_lock() -> AbstractContextManager[None]:
    """Numba's own lock, one for the process: while a thread holds it, no other compiles a loop or loads one from disk."""
    import_numba()
    from numba.core.compiler_lock import global_compiler_lock

    held: AbstractContextManager[None] = global_compiler_lock
    return held


def import_numba() -> None:
    """Import numba, before any part of it is imported.

    Python locks a part and then waits for the package; another thread, which imports the package, waits for the part.
    """
    import numba  # noqa: F401


class Loop:
    """A function that is compiled at its first call, or loaded from disk; runs without the GIL.

    Loops call each other as plain functions do. All attributes are those of numba's dispatcher.
    """

    def __init__(self, function: Callable[..., Any], **options: Any) -> None:
        update_wrapper(self, function)
        self._function, self._options = function, options
        self._dispatcher: Any = None

    def __call__(self, *args: Any) -> Any:
        return (self._dispatcher or self.dispatcher)(*args)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # asked for by who looks what kind of object this is
            raise AttributeError(name)
        return getattr(self.dispatcher, name)

    @property
    def dispatcher(self) -> Any:
        """What numba makes of the function."""
        with compiler_lock():
            if self._dispatcher is None:
                _make_known()
                from numba import njit

                self._dispatcher = njit(cache=True, nogil=True, **self._options)(self._function)
        return self._dispatcher


def loop(function: Callable[..., Any]) -> Loop:
    """A function as a loop."""
    return Loop(function, _nrt=True)  # without a word, numba takes this from the first that calls it


def lean(function: Callable[..., Any]) -> Loop:
    """A loop that makes no arrays and so counts no references to them, which where it is short takes longer than its work.

    A count is changed in one step for all processors. numba leaves many such changes in loops that call others.
    """
    return Loop(function, _nrt=False)


def summing(function: Callable[..., Any]) -> Loop:
    """A lean loop that takes sums in whatever order is fast, always the same."""
    return Loop(function, _nrt=False, fastmath={"reassoc", "nsz", "contract"})


def inlined(function: Callable[..., Any]) -> Loop:
    """A loop that becomes part of those that call it."""
    return Loop(function, inline="always")


def _begin_anew() -> None:
    """In a forked process, which has none of the threads that compiled or traced."""
    held = sys.modules.get("numba.core.compiler_lock")
    if held is not None:
        held.global_compiler_lock._lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def _make_known() -> None:
    """Tell numba that a loop, where another calls it, is its dispatcher."""
    global _is_known
    if not _is_known:
        from numba.extending import typeof_impl

        typeof_impl.register(Loop)(lambda one, context: typeof_impl(one.dispatcher, context))
        _is_known = True
