"""Memory that is used again: never by two arrays at once, and no more than a bounded part of it is kept."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest
import torch

from splinecam_widget.engine import buffers
from splinecam_widget.engine.buffers import LEAST_BYTES, MOST_SPARE_BYTES, empty

N = LEAST_BYTES // 8


@pytest.fixture(autouse=True)
def no_spare(monkeypatch: pytest.MonkeyPatch) -> None:
    buffers._spare.clear()


def address(array: np.ndarray) -> int:
    return array.ctypes.data


def test_the_next_array_has_the_memory_of_one_that_is_gone() -> None:
    first = empty((N, 2))
    assert (first.shape, first.dtype, first.flags.c_contiguous, first.flags.writeable) == ((N, 2), np.float64, True, True)
    place = address(first)
    del first
    second = empty((2, N + 7))
    assert address(second) == place


@pytest.mark.parametrize("hold", [lambda a: a[5:], lambda a: torch.from_numpy(a), lambda a: a.T.reshape(-1), memoryview])
def test_memory_in_use_is_not_given_to_another(hold) -> None:  # type: ignore[no-untyped-def]
    first = empty((N, 1))
    first[:] = 3.0
    held = hold(first)
    del first
    gc.collect()
    second = empty((N, 1))
    second[:] = 4.0
    assert float(np.asarray(held).reshape(-1)[0]) == 3.0


def test_small_and_very_large_arrays_are_as_ever() -> None:
    for size in (0, 1, N - 1, MOST_SPARE_BYTES // 8 + 1):
        array = empty((size,))
        assert array.base is None
        del array
    assert not buffers._spare


def test_what_is_kept_is_bounded() -> None:
    arrays = [empty((MOST_SPARE_BYTES // 8 // 3,)) for _ in range(6)]
    del arrays
    assert 0 < sum(map(len, buffers._spare.values())) <= MOST_SPARE_BYTES


def test_the_largest_that_is_kept_leaves_nothing_larger_than_the_store() -> None:
    largest = empty((MOST_SPARE_BYTES // 8 - 1,))
    place = address(largest)
    del largest
    assert address(empty((MOST_SPARE_BYTES // 8 - 1,))) == place


def test_a_much_larger_buffer_is_not_spent_on_a_small_array() -> None:
    large = empty((8 * N,))
    place = address(large)
    del large
    assert address(empty((N,))) != place


def test_threads_never_share_memory() -> None:
    wrong = []

    def work(number: int) -> None:
        for _ in range(200):
            array = empty((N,))
            array[:100] = number
            if (array[:100] != number).any():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
