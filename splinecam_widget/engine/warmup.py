"""Compiling the engine's loops before they are needed. Numba keeps them on disk, so this takes long only once."""

from __future__ import annotations

import threading
from collections.abc import Callable

import torch

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
        network = lower(_small_net(), (2,))
        plane = Slice.from_basis([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
        report("compiling: subdivision")
        explorer = Explorer(network, plane)
        explorer.show(plane)
        report("compiling: clipping")
        partition = explorer.show(plane.with_domain(rectangle(-0.5, 0.5, -0.5, 0.5)))
        report("compiling: boundary")
        winners_of(partition)
        report("compiling: measures")
        _ = partition.areas, partition.n_regions, partition.slope_norms
        partition.locate([[0.0, 0.0]])
        _done.set()


def _small_net() -> Callable[[torch.Tensor], torch.Tensor]:
    """A random net that takes no numbers from torch's global generator: the user's stay as they are."""
    generator = torch.Generator().manual_seed(0)
    first, second, last = (
        torch.randn(n, m, generator=generator, dtype=torch.float64) for m, n in ((2, 12), (12, 6), (6, 3)))
    return lambda x: (x.double() @ first.T + 0.1).relu().matmul(second.T).relu() @ last.T
