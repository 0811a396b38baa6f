"""One background thread, the newest wish of each kind next. Knows nothing of partitions or traits."""

from __future__ import annotations

import contextvars
import sys
import threading
import time
from collections.abc import Callable

from .engine.errors import Cancelled

PATIENCE = 0.5
"""Seconds after which a running job gives way to a newer one of its kind. Stopping sooner would starve: a steady drag would
then never see a picture; a job shorter than this is always finished. A browser sends a second request when the first has taken
as long as this, so that one gives way at once; what it sketched has been seen by then."""

IDLE_SECONDS = 5.0
"""A thread without work ends after this; the next wish starts another."""

Job = Callable[[Callable[[], None]], None]


class Worker:
    """Runs jobs one at a time on a thread of its own; of several waiting jobs with one key, only the newest runs.

    Parameters
    ----------
    name : str
        Of the thread.
    enter : callable
        Called first on every thread.
    """

    def __init__(self, name: str, enter: Callable[[], None] = lambda: None) -> None:
        self._name = name
        self._enter = enter
        self._waiting: dict[object, tuple[Job, contextvars.Context]] = {}
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._running: object | None = None
        self._n_submitted = 0
        self._closed = False

    def submit(self, key: object, job: Job) -> None:
        """Run `job(tick)` soon, in a copy of the caller's context, in place of a waiting job with the same key.

        The context carries ipykernel's notion of who asked, so that answers go out where the question came in.
        """
        with self._condition:
            if self._closed:
                return
            self._waiting[key] = (job, contextvars.copy_context())
            self._n_submitted += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._condition.notify_all()

    def is_idle(self) -> bool:
        """Whether nothing runs and nothing waits."""
        with self._condition:
            return self._running is None and not self._waiting

    @property
    def is_closed(self) -> bool:
        """Whether it takes no more."""
        return self._closed

    def wait_idle(self, timeout: float | None) -> bool:
        """Wait until nothing runs and nothing waits; False if that took longer than `timeout` seconds.

        Raises
        ------
        RuntimeError
            On the worker's own thread, which would wait for itself.
        """
        if threading.current_thread() is self._thread:
            raise RuntimeError("wait: expected a call from another thread than the worker's; an observer runs on that one")
        with self._condition:
            return self._condition.wait_for(lambda: self._running is None and not self._waiting, timeout)

    def wait_rest(self, seconds: float, is_wanted: Callable[[], bool]) -> None:
        """Wait until nothing has run or waited for `seconds`, a job has ended and `is_wanted()` is false, or this is closed."""
        with self._condition:
            while is_wanted() and not self._closed:
                if self._running is not None or self._waiting:
                    self._condition.wait()
                else:
                    before = self._n_submitted  # a short job may be over before this thread wakes
                    if not self._condition.wait_for(lambda: self._n_submitted > before or self._closed, seconds):  # noqa: B023
                        return

    def close(self) -> None:
        """Drop what waits, stop what runs at its next tick, and take no more."""
        with self._condition:
            self._closed = True
            self._waiting.clear()
            self._condition.notify_all()

    def _run(self) -> None:
        self._enter()
        while True:
            with self._condition:
                if not self._condition.wait_for(lambda: self._waiting or self._closed, IDLE_SECONDS) or self._closed:
                    self._thread = None
                    return
                key = next(iter(self._waiting))
                job, context = self._waiting.pop(key)
                self._running = key
            started = time.monotonic()

            def tick(key: object = key, started: float = started) -> None:
                newer = key in self._waiting and time.monotonic() - started > PATIENCE
                if self._closed or newer:
                    raise Cancelled

            try:
                context.run(job, tick)
            except Cancelled:
                pass
            except BaseException:  # told as any thread's would be; the next job must not wait for ever
                threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))
            finally:
                del job, context, tick  # they hold whoever asked; an idle thread must not
                with self._condition:
                    self._running = None
                    self._condition.notify_all()
