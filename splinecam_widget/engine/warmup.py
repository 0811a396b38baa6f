"""Compiling the engine's loops before they are needed. Numba keeps them on disk, so this takes long only once.

Run as a program, it prints what it does: ``python -m splinecam_widget.engine.warmup``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import torch
from torch import nn

from .boundary import winners_of
from .explorer import Explorer
from .lowering import lower
from .slices import Slice, rectangle

_lock = threading.Lock()
_done = threading.Event()


def is_warm() -> bool:
    """Whether `warm_up` has finished in this process."""
    return _done.is_set()


def warm_up(report: Callable[[str], None] = lambda _: None) -> None:
    """Compile every loop that a partition, its clipping, its boundary and its measures use, or load it from disk.

    Safe to call from several threads; later calls return at once.

    Parameters
    ----------
    report : callable
        Told in words what comes next.
    """
    with _lock:
        if _done.is_set():
            return
        report("tracing models (torch.export)")
        with torch.random.fork_rng(devices=[]):  # the user's random numbers stay as they are
            net = nn.Sequential(nn.Linear(2, 12), nn.ReLU(), nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 3))
        network = lower(net, (2,))
        plane = Slice.from_basis([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
        report("subdivision")
        explorer = Explorer(network, plane)
        explorer.show(plane)
        report("clipping")
        partition = explorer.show(plane.with_domain(rectangle(-0.5, 0.5, -0.5, 0.5)))
        report("boundary")
        winners_of(partition)
        report("measures")
        _ = partition.areas, partition.n_regions, partition.slope_norms
        partition.locate([[0.0, 0.0]])
        _done.set()


def main() -> None:
    """Warm up and print the steps with their times."""
    start = time.perf_counter()
    last = start

    def report(text: str) -> None:
        nonlocal last
        now = time.perf_counter()
        print(f"  [{now - start:5.1f} s] compiling: {text}", flush=True)
        last = now

    print("Compiling the engine's loops (once per machine) ...", flush=True)
    warm_up(report)
    print(f"  [{time.perf_counter() - start:5.1f} s] ready", flush=True)


if __name__ == "__main__":
    main()
