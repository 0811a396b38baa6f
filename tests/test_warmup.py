"""Warming up compiles the loops, leaves random numbers alone, and may be asked for from several threads."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
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


TRACE_MEANWHILE = """
import threading
import time
import torch
from splinecam_widget.engine.lowering import lower
from splinecam_widget.engine.warmup import warm_up

failures = []
threading.excepthook = lambda args: failures.append(args.exc_value)
warming = threading.Thread(target=warm_up)

class Slow(torch.nn.Module):
    def forward(self, x):
        if not warming.ident:
            warming.start()
        time.sleep(1.0)
        return torch.relu(x)

lower(Slow(), (2,))
warming.join()
assert not failures, failures
"""


@pytest.mark.slow
def test_a_trace_in_another_thread_does_not_reach_the_compiler() -> None:
    done = subprocess.run([sys.executable, "-c", TRACE_MEANWHILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
