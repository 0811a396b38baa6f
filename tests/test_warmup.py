"""Warming up compiles the loops, leaves random numbers alone, and may be asked for from several threads."""

from __future__ import annotations

import threading

import torch

from splinecam_widget.engine import warmup


def test_is_warm_afterwards_and_says_what_it_does_once() -> None:
    told: list[str] = []
    before = torch.get_rng_state()
    threads = [threading.Thread(target=warmup.warm_up, args=(told.append,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warmup.is_warm()
    assert torch.equal(torch.get_rng_state(), before)
    assert len(told) == len(set(told))
    told.clear()
    warmup.warm_up(told.append)
    assert not told
