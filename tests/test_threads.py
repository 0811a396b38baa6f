"""The engine's threads: how many there are, and that nobody else's torch notices."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from splinecam_widget.engine import threads
from splinecam_widget.engine.errors import Cancelled
from splinecam_widget.engine.threads import _pool, apart, forget_pools, n_cores, on_all_cores


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    forget_pools()
    yield
    torch.set_num_threads(before)
    forget_pools()


def names_met(n: int) -> set[str]:
    """The threads that `n` tasks of which each waits for the others run on."""
    barrier = threading.Barrier(n, timeout=10)

    def meet(_: int) -> str:
        barrier.wait()
        return threading.current_thread().name

    return set(on_all_cores(meet, range(n)))


class TestLoops:
    """Runs of compiled loops, which need no torch."""

    def test_in_order_on_several_threads(self) -> None:
        barrier = threading.Barrier(3, timeout=10)

        def meet(begin: int, end: int) -> tuple[int, int, str]:
            barrier.wait()
            return begin, end, threading.current_thread().name

        found = threads.loops_in_runs(meet, 8, 3)
        assert [run[:2] for run in found] == [(0, 3), (3, 6), (6, 8)]
        assert len({name for *_, name in found}) == 3

    def test_few_are_done_here(self) -> None:
        name = threading.current_thread().name
        assert threads.loops_in_runs(lambda *_: threading.current_thread().name, 5, 3) == [name]

    def test_within_a_run_there_are_no_more_threads(self) -> None:
        """Which would wait for one another."""
        found = threads.loops_in_runs(lambda *_: threads.loops_in_runs(lambda begin, end: end - begin, 8, 3), 60, 1)
        assert found == [[3, 3, 2]] * 60

    def test_as_the_process_ends(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Then a pool takes no more."""
        name = threading.current_thread().name
        threads._loop_pool(3).shutdown()
        assert threads.loops_in_runs(lambda *_: threading.current_thread().name, 8, 3) == [name] * 3

    def test_errors_come_through(self) -> None:
        with pytest.raises(ZeroDivisionError):
            threads.loops_in_runs(lambda begin, _: 1 // (4 - begin), 12, 2)

    @pytest.mark.parametrize("blocked", [False, True])
    def test_where_torch_is_not_there(self, monkeypatch: pytest.MonkeyPatch, blocked: bool) -> None:
        if blocked:
            monkeypatch.setitem(sys.modules, "torch", None)
        else:
            monkeypatch.delitem(sys.modules, "torch")
        assert threads.n_loop_cores() == len(os.sched_getaffinity(0))
        assert threads.loops_in_runs(lambda begin, end: end - begin, 8, 3) == [3, 3, 2]


def test_work_from_the_engines_own_thread_gets_all_cores() -> None:
    assert len(apart(lambda _: names_met(3), lambda: None)) == 3


def test_torch_runs_on_one_core_in_the_engine_and_as_before_elsewhere() -> None:
    assert apart(lambda _: (torch.get_num_threads(), n_cores()), lambda: None) == (1, 3)
    assert set(on_all_cores(lambda _: torch.get_num_threads(), range(6))) == {1}
    assert (torch.get_num_threads(), n_cores()) == (3, 3)


def test_threads_that_begin_at_once_do_not_see_each_others_one_core() -> None:
    barrier = threading.Barrier(3, timeout=10)

    def meet(_: int) -> int:
        barrier.wait()
        return n_cores()

    for _ in range(30):
        forget_pools()
        assert on_all_cores(meet, range(3)) == [3] * 3
        met: list[int] = []
        later = threading.Thread(target=lambda met=met: met.append(torch.get_num_threads()))
        later.start()
        later.join()
        assert met == [3]


def test_every_thread_has_its_own_number() -> None:
    """As torch's: what a thread was given once does not change when another asks for more."""
    found: list[int] = []

    def ask() -> None:
        torch.set_num_threads(2)
        found.append(len(apart(lambda _: names_met(2), lambda: None)))
        found.append(apart(lambda _: n_cores(), lambda: None))

    other = threading.Thread(target=ask)
    other.start()
    other.join()
    assert found == [2, 2]
    assert apart(lambda _: n_cores(), lambda: None) == 3


def test_results_come_in_order() -> None:
    assert on_all_cores(lambda a, b: a * b, range(50), range(50)) == [k * k for k in range(50)]


def test_a_thread_of_the_engines_does_not_wait_for_others_to_begin() -> None:
    """The pool's threads are busy with something else meanwhile."""
    release = threading.Event()

    def busy(_: object) -> set[str]:
        blockers = [_pool().submit(release.wait, 20) for _ in range(3)]
        names = set(on_all_cores(lambda _: threading.current_thread().name, range(10)))
        assert not any(blocker.done() for blocker in blockers)
        return names | {threading.current_thread().name}

    try:
        assert len(apart(busy, lambda: None)) == 1
    finally:
        release.set()


def test_long_work_is_left_to_others() -> None:
    def work(_: object) -> tuple[list[str], str]:
        names = on_all_cores(lambda _: threading.current_thread().name, range(3), is_long=True)
        return names, threading.current_thread().name

    names, own = apart(work, lambda: None)
    assert own not in names


def test_work_inside_work_ends() -> None:
    def inner(k: int) -> int:
        return sum(on_all_cores(lambda i: i, range(k)))

    assert apart(lambda _: on_all_cores(inner, range(12)), lambda: None) == [k * (k - 1) // 2 for k in range(12)]


@pytest.mark.parametrize("is_engine", [True, False])
def test_an_error_stops_the_rest_and_is_raised(is_engine: bool) -> None:
    done: list[int] = []
    stop = np.zeros(1, np.uint8)

    def work(k: int) -> None:
        if k == 5:
            raise KeyError(k)
        done.append(k)
        time.sleep(0.002)

    def run(_: object) -> None:
        on_all_cores(work, range(1000), stop=stop)

    with pytest.raises(KeyError):
        apart(run, lambda: None) if is_engine else run(None)
    n_done = len(done)
    assert n_done < 900
    assert stop[0]
    time.sleep(0.05)
    assert len(done) == n_done, "nothing runs any more"


def test_a_tick_stops_the_rest() -> None:
    done: list[int] = []

    def tick() -> None:
        if len(done) > 10:
            raise Cancelled

    def work(k: int) -> None:
        done.append(k)
        time.sleep(0.001)

    with pytest.raises(Cancelled):
        apart(lambda checked: on_all_cores(work, range(2000), tick=checked), tick)
    n_done = len(done)
    assert n_done < 1000
    time.sleep(0.05)
    assert len(done) == n_done


def test_an_interrupt_while_threads_begin_leaves_none_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(threading.Barrier):
        def wait(self, timeout: float | None = None) -> int:
            if threading.current_thread() is threading.main_thread():
                raise KeyboardInterrupt
            return super().wait(timeout)

    before = set(threading.enumerate())
    with monkeypatch.context() as patch:
        patch.setattr(threads.threading, "Barrier", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            on_all_cores(lambda k: k, range(3))
    deadline = time.monotonic() + 10
    while (left := set(threading.enumerate()) - before) and time.monotonic() < deadline:
        time.sleep(0.01)  # not joined: one may be there before it has begun
    assert not left
    assert on_all_cores(lambda k: k, range(3)) == [0, 1, 2]
