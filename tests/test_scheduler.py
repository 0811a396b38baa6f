"""One job at a time, the newest of each key next, and never a dead worker. Threads meet at events, not by sleeping."""

from __future__ import annotations

import contextvars
import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator

import pytest

from splinecam_widget import _scheduler
from splinecam_widget._scheduler import Worker
from splinecam_widget.engine.errors import Cancelled

SECONDS = 10.0
"""Every wait ends long before this; a test that reaches it fails."""


class Gate:
    """A job that says when it has begun and ends when it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.may_end = threading.Event()
        self.thread: threading.Thread | None = None
        self.was_stopped = False

    def __call__(self, tick: Callable[[], None]) -> None:
        self.thread = threading.current_thread()
        self.begun.set()
        assert self.may_end.wait(SECONDS)
        try:
            tick()
        except Cancelled:
            self.was_stopped = True
            raise


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker("test-worker")
    yield made
    made.close()
    assert made.wait_idle(SECONDS)


@pytest.fixture
def gate(worker: Worker) -> Iterator[Gate]:
    """A job that keeps the worker busy."""
    job = Gate()
    worker.submit("gate", job)
    assert job.begun.wait(SECONDS)
    yield job
    job.may_end.set()


class TestOrder:
    def test_newest_of_each_key_runs_and_the_last_always(self, worker: Worker, gate: Gate) -> None:
        ran: list[object] = []
        for i in range(100):
            worker.submit("anchors", lambda _, i=i: ran.append(("anchors", i)))
            worker.submit("colours", lambda _, i=i: ran.append(("colours", i)))
        gate.may_end.set()
        assert worker.wait_idle(SECONDS)
        assert ran == [("anchors", 99), ("colours", 99)]

    def test_one_at_a_time(self, worker: Worker, gate: Gate) -> None:
        second = Gate()
        worker.submit("other", second)
        assert not second.begun.is_set()
        gate.may_end.set()
        assert second.begun.wait(SECONDS)
        second.may_end.set()

    def test_off_the_calling_thread(self, gate: Gate) -> None:
        assert gate.thread is not threading.current_thread()
        assert gate.thread is not None
        assert gate.thread.daemon  # an unfinished job does not keep a script from ending

    def test_in_the_context_of_who_asked(self, worker: Worker) -> None:
        asker: contextvars.ContextVar[str] = contextvars.ContextVar("asker", default="nobody")
        seen: list[str] = []
        asker.set("a cell")
        worker.submit("key", lambda _: seen.append(asker.get()))
        asker.set("another cell")
        assert worker.wait_idle(SECONDS)
        assert seen == ["a cell"]


class TestStopping:
    def test_short_job_is_finished_though_a_newer_waits(self, worker: Worker, gate: Gate) -> None:
        worker.submit("gate", lambda _: None)
        gate.may_end.set()
        assert worker.wait_idle(SECONDS)
        assert not gate.was_stopped

    def test_long_job_gives_way_to_a_newer_one(
        self, worker: Worker, gate: Gate, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_scheduler, "PATIENCE", -1.0)
        ran = threading.Event()
        worker.submit("gate", lambda _: ran.set())
        gate.may_end.set()
        assert ran.wait(SECONDS)
        assert gate.was_stopped

    def test_long_job_does_not_give_way_to_another_kind(
        self, worker: Worker, gate: Gate, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_scheduler, "PATIENCE", -1.0)
        worker.submit("other", lambda _: None)
        gate.may_end.set()
        assert worker.wait_idle(SECONDS)
        assert not gate.was_stopped


class TestFailure:
    @pytest.fixture
    def told(self, monkeypatch: pytest.MonkeyPatch) -> list[BaseException | None]:
        """What is said about exceptions that end a job."""
        seen: list[BaseException | None] = []
        monkeypatch.setattr(threading, "excepthook", lambda args: seen.append(args.exc_value))
        return seen

    def test_next_job_runs_after_one_that_raised(self, worker: Worker, told: list[BaseException | None]) -> None:
        def bad(_: Callable[[], None]) -> None:
            raise RuntimeError("broken")

        worker.submit("key", bad)
        assert worker.wait_idle(SECONDS)
        ran = threading.Event()
        worker.submit("key", lambda _: ran.set())
        assert ran.wait(SECONDS)
        assert [str(error) for error in told] == ["broken"]

    def test_stopping_is_no_failure(self, worker: Worker, told: list[BaseException | None]) -> None:
        def stopped(_: Callable[[], None]) -> None:
            raise Cancelled

        worker.submit("key", stopped)
        assert worker.wait_idle(SECONDS)
        assert told == []


class TestWaiting:
    def test_idle_from_the_start(self, worker: Worker) -> None:
        assert worker.is_idle()
        assert worker.wait_idle(0)

    def test_timeout(self, worker: Worker, gate: Gate) -> None:
        assert not worker.is_idle()
        assert not worker.wait_idle(0)
        gate.may_end.set()
        assert worker.wait_idle(SECONDS)

    def test_counts_what_waits(self, worker: Worker, gate: Gate) -> None:
        second = Gate()
        worker.submit("other", second)
        gate.may_end.set()
        assert second.begun.wait(SECONDS)
        assert not worker.wait_idle(0)
        second.may_end.set()


class TestRest:
    def test_at_rest_from_the_start(self, worker: Worker) -> None:
        worker.wait_rest(0.01, lambda: True)

    def test_not_before_what_runs_has_ended(self, worker: Worker, gate: Gate) -> None:
        order: list[str] = []

        def rest() -> None:
            worker.wait_rest(0.01, lambda: True)
            order.append("rest")

        waiting = threading.Thread(target=rest)
        waiting.start()
        worker.submit("other", lambda _: order.append("job"))
        gate.may_end.set()
        waiting.join(SECONDS)
        assert order == ["job", "rest"]

    def test_a_job_begins_the_wait_anew(self, worker: Worker) -> None:
        begun = threading.Event()
        ended: list[float] = []

        def asked() -> bool:
            if not begun.is_set():  # the wait has begun; a job comes in the middle of it
                begun.set()
                threading.Timer(0.1, worker.submit, ("key", lambda _: ended.append(time.monotonic()))).start()
            return True

        worker.wait_rest(0.2, asked)
        assert time.monotonic() - ended[0] >= 0.19

    def test_ends_when_it_is_not_wanted_after_a_job(self, worker: Worker, gate: Gate) -> None:
        wanted = [True]
        waiting = threading.Thread(target=worker.wait_rest, args=(SECONDS, lambda: wanted[0]))
        waiting.start()
        wanted[0] = False
        gate.may_end.set()
        waiting.join(SECONDS / 2)
        assert not waiting.is_alive()

    def test_ends_when_the_worker_is_closed(self, worker: Worker, gate: Gate) -> None:
        waiting = threading.Thread(target=worker.wait_rest, args=(SECONDS, lambda: True))
        waiting.start()
        worker.close()
        waiting.join(SECONDS / 2)
        assert not waiting.is_alive()


class TestEnding:
    def test_close_drops_what_waits_and_stops_what_runs(self, worker: Worker, gate: Gate) -> None:
        ran = threading.Event()
        worker.submit("other", lambda _: ran.set())
        worker.close()
        gate.may_end.set()
        assert gate.thread is not None
        gate.thread.join(SECONDS)
        assert not gate.thread.is_alive()
        assert gate.was_stopped
        assert not ran.is_set()

    def test_close_ends_an_idle_thread_at_once(self, worker: Worker, gate: Gate) -> None:
        gate.may_end.set()
        assert worker.wait_idle(SECONDS)
        worker.close()
        assert gate.thread is not None
        gate.thread.join(SECONDS)
        assert not gate.thread.is_alive()

    def test_closed_takes_no_more_and_closes_again(self, worker: Worker) -> None:
        worker.close()
        worker.close()
        worker.submit("key", lambda _: pytest.fail("it ran"))
        assert worker.is_idle()

    def test_thread_ends_when_idle_and_another_starts(self, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_scheduler, "IDLE_SECONDS", 0.0)
        threads: list[threading.Thread] = []
        for _ in range(2):
            worker.submit("key", lambda _: threads.append(threading.current_thread()))
            assert worker.wait_idle(SECONDS)
            threads[-1].join(SECONDS)
            assert not threads[-1].is_alive()
        assert len(set(threads)) == 2

    def test_no_thread_before_the_first_job(self) -> None:
        before = threading.active_count()
        Worker("idle").close()
        assert threading.active_count() == before

    def test_idle_thread_holds_nothing_of_the_last_job(self, worker: Worker) -> None:
        class Thing:
            pass

        thing = Thing()
        gone = weakref.ref(thing)
        worker.submit("key", lambda _, thing=thing: None)
        assert worker.wait_idle(SECONDS)
        del thing
        gc.collect()
        assert gone() is None


def test_a_job_that_waits_for_its_own_worker_fails_at_once(worker: Worker) -> None:
    raised: list[BaseException] = []

    def job(_: Callable[[], None]) -> None:
        try:
            worker.wait_idle(10)
        except RuntimeError as error:
            raised.append(error)

    worker.submit("job", job)
    assert worker.wait_idle(30)
    assert "wait: expected a call from another thread" in str(raised[0])


def test_a_job_that_exits_does_not_end_the_worker(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    done = threading.Event()

    def leave(_: Callable[[], None]) -> None:
        raise SystemExit

    worker.submit("first", leave)
    assert worker.wait_idle(30)
    worker.submit("second", lambda _: done.set())
    assert done.wait(30)
