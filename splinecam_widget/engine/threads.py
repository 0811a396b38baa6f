"""The engine's threads: each runs torch on one core, and big work is cut into chunks for several of them.

torch's own threads split every single operation and wait for each other after it; where another program keeps a core busy,
a small product then takes a hundred times as long. Chunks of a fixed size on independent threads do not wait, and give the
same bits whatever their number.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .errors import Cancelled

T = TypeVar("T")

POLL_SECONDS = 0.01
"""So often a thread that waits for others looks whether they should go on."""

LEAST_RUNS = 2
"""With fewer, handing them to threads costs more than it brings."""

_local = threading.local()
_entering = threading.Lock()


def enter(n_cores: int | None = None) -> None:
    """Make torch run on one core in this thread. Other threads, and those to come, keep their number.

    Parameters
    ----------
    n_cores : int or None
        How many threads work that begins in this one is for; with None as many as torch is allowed here.
    """
    if _is_entered():
        return
    import torch  # what never enters, such as reading a stored partition, does without

    with _entering:  # a thread that began between the two calls would find the one core of this
        n = torch.get_num_threads()
        torch.set_num_threads(1)
        # The call also set what threads to come begin with; another thread sets it back, for its own and theirs.
        restorer = threading.Thread(target=torch.set_num_threads, args=(n,))
        restorer.start()
        restorer.join()
    _local.n_cores = n if n_cores is None else n_cores


def n_cores() -> int:
    """How many cores torch is allowed in this thread, or was in the one that the engine's work came from."""
    if _is_entered():
        return int(_local.n_cores)
    import torch

    return torch.get_num_threads()


def n_loop_cores() -> int:
    """The same, and where torch is not loaded as many as this process may use."""
    if sys.modules.get("torch") is not None:
        return n_cores()
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _is_entered() -> bool:
    return hasattr(_local, "n_cores")


def _pool() -> ThreadPoolExecutor:
    return _pool_of(n_cores(), "splinecam-chunk")


def _callers() -> ThreadPoolExecutor:
    return _pool_of(n_cores(), "splinecam-engine")


@cache
def _pool_of(n: int, name: str) -> ThreadPoolExecutor:
    """For every number of threads that torch was allowed: it may be changed at any time.

    All of them have begun: one that did so later would set torch's number for threads to come back to an old one.
    """
    pool = ThreadPoolExecutor(n, name, enter, (n,))
    begun = threading.Barrier(n + 1)
    try:
        for _ in range(n):
            pool.submit(begun.wait)
        begun.wait()
    except BaseException:  # interrupted: those that wait would keep the process from ending
        begun.abort()
        pool.shutdown(wait=False)
        raise
    return pool


@cache
def _loop_pool(n: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n, "splinecam-loops", setattr, (_local, "is_loop", True))


def forget_pools() -> None:
    """Begin anew."""
    _pool_of.cache_clear()
    _loop_pool.cache_clear()


os.register_at_fork(after_in_child=forget_pools)  # a forked process has none of its parent's threads


def apart(work: Callable[[Callable[[], None]], T], tick: Callable[[], None]) -> T:
    """`work(tick)` on a thread of the engine's; here, if this is one.

    An interrupt of the waiting thread (Ctrl-C) stops the work at its next tick.
    """
    if _is_entered():
        return work(tick)
    is_interrupted = threading.Event()

    def checked() -> None:
        if is_interrupted.is_set():
            raise Cancelled
        tick()

    future: Future[T] = _callers().submit(work, checked)
    try:
        return future.result()
    except BaseException:
        is_interrupted.set()
        wait([future])  # until then it may still write
        raise
    finally:
        del future  # an error in it holds this frame


@contextmanager
def alone(stop: NDArray[np.uint8]) -> Iterator[None]:
    """Within this, the thread does all of its work by itself, as one of several with work of their own.

    Parameters
    ----------
    stop : (2,) uint8 array
        Set by others to stop this work: its long loops look at it, see `stop_flag`.
    """
    before = getattr(_local, "stop", None)
    _local.stop = stop
    try:
        yield
    finally:
        _local.stop = before


def _is_alone() -> bool:
    return getattr(_local, "stop", None) is not None


def stop_flag() -> NDArray[np.uint8]:
    """For `stop` of work that begins in this thread, (2,) uint8: a loop sets the first to stop itself, others set both."""
    found: NDArray[np.uint8] = _local.stop if _is_alone() else np.zeros(2, np.uint8)
    return found


def on_all_cores(
    work: Callable[..., T], *tasks: Iterable[Any], tick: Callable[[], None] = lambda: None, stop: Any = None,
    is_long: bool = False, n_own: int | None = None,
) -> list[T]:
    """`[work(*task) for task in zip(*tasks)]`, several at a time, in order.

    A thread of the engine's takes tasks, too, and does not wait for others to begin: where they are late, it has done
    everything itself.

    Parameters
    ----------
    tick : callable
        Called here between tasks, and every `POLL_SECONDS` while the others work; may raise, after which no task runs any more.
    stop : (n,) uint8 array or None
        All set to 1 when one of them or `tick` raises, for tasks that look at it.
    is_long : bool
        Whether a task takes long, so that this thread only looks whether they should go on.
    n_own : int or None
        So many threads are made for these tasks alone: as long as they last, other work would wait for the engine's.
    """
    todo = list(zip(*tasks))
    if not todo:
        return []
    found: list[Any] = [None] * len(todo)
    if _is_alone():
        for place, task in enumerate(todo):
            tick()
            found[place] = work(*task)
        return found
    places = itertools.count()  # the next of which is one step for the interpreter, so no two threads get the same
    is_over = threading.Event()

    def end() -> None:
        is_over.set()
        if stop is not None:
            stop[:] = 1

    def take(between: Callable[[], None] = lambda: None) -> None:
        try:
            while not is_over.is_set() and (place := next(places)) < len(todo):
                found[place] = work(*todo[place])
                between()
        except BaseException:
            end()
            raise

    is_taking = _is_entered() and not is_long and n_own is None
    own = None if n_own is None else ThreadPoolExecutor(n_own, "splinecam-tile", enter, (1,))
    waiting = {(own or _pool()).submit(take) for _ in range(min(n_own or n_cores(), len(todo)) - is_taking)}
    try:
        if is_taking:
            take(tick)
            waiting = {future for future in waiting if not future.cancel()}
        while waiting:
            tick()
            done, waiting = wait(waiting, POLL_SECONDS, FIRST_EXCEPTION)
            for future in done:
                future.result()
    except BaseException:
        end()
        wait({future for future in waiting if not future.cancel()})
        raise
    finally:
        waiting = done = future = None  # type: ignore[assignment]  # an error in one holds this frame, and all that it knows
        if own is not None:
            own.shutdown()
    return found


def in_runs(
    work: Callable[[int, int], T], n: int, size: int, tick: Callable[[], None] = lambda: None, stop: Any = None,
    is_long: bool = False,
) -> list[T]:
    """`work(begin, end)` for consecutive runs of `n` things, on several threads where there are several runs.

    A single run that takes long is also left to another thread, so that this one can look whether it should go on.
    """
    if n < LEAST_RUNS * size and not is_long:
        return [work(0, n)]
    bounds = [0, n] if n < LEAST_RUNS * size else [*range(0, n, size), n]
    return on_all_cores(work, bounds[:-1], bounds[1:], tick=tick, stop=stop, is_long=is_long or len(bounds) == 2)


def loops_in_runs(work: Callable[[int, int], T], n: int, size: int) -> list[T]:
    """`work(begin, end)` for consecutive runs of `n` things, on several threads, where it runs compiled loops and no torch.

    Does not load torch, for partitions from files. Where such work asks for more of it, or the process is ending, that is done
    here.
    """
    if n < LEAST_RUNS * size:
        return [work(0, n)]
    bounds = [*range(0, n, size), n]
    futures = []
    try:
        for begin, end in pairwise(() if hasattr(_local, "is_loop") else bounds):
            futures.append(_loop_pool(n_loop_cores()).submit(work, begin, end))
    except RuntimeError:  # no thread takes more at the end
        pass
    try:
        found = [future.result() for future in futures]
    finally:
        for future in futures:
            future.cancel()
    return found + [work(begin, end) for begin, end in pairwise(bounds[len(futures):])]
