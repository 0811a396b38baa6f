"""Compiling the engine's loops before they are needed. Numba keeps them on disk, so this takes long only once."""

from __future__ import annotations

import threading
from collections.abc import Callable

import torch

from .boundary import winners_of
from .explorer import Explorer
from .network import Call, Network, Reference, Step
from .operations import AFFINE, KINKS
from .selections import Rewriting
from .slices import Slice, rectangle
from .tracing import TRACING

_done = threading.Event()


def is_warm() -> bool:
    """Whether `warm_up` has finished in this process."""
    return _done.is_set()


def warm_up(report: Callable[[str], None] = lambda _: None) -> None:
    """Compile every loop that a partition, its clipping, its boundary and its measures use, or load it from disk.

    Safe to call from several threads; later calls return at once. Models are not traced meanwhile.

    Parameters
    ----------
    report : callable
        Told in words what comes next.
    """
    with TRACING:
        if _done.is_set():
            return
        network = small_network()
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


def small_network() -> Network:
    """A random net with a max-pool.

    Made without a trace, which would change torch's behaviour in other threads, and without torch's generator.
    """
    generator = torch.Generator().manual_seed(0)
    steps: list[Step] = []
    for n, m in ((2, 12), (4, 6), (6, 3)):
        source = steps[-1].name if steps else "x"
        weight = torch.randn(m, n, generator=generator, dtype=torch.float64)
        arguments = {"input": Reference(source), "weight": weight, "bias": 0.1 * weight[:, 0]}
        steps.append(Step(f"z{n}", "linear", "", Call(torch.ops.aten.linear.default), arguments, "affine", AFFINE["linear"],
                          (source,), (m,)))
        if m > 3:
            steps.append(Step(f"a{n}", "relu", "", Call(torch.ops.aten.relu.default), {"self": Reference(f"z{n}")}, "kink",
                              KINKS["relu"], (f"z{n}",), (m,)))
        if m == 12:
            pool = Rewriting("pool", "amax", "", ((12,),))
            entries = pool.add("entries", (Reference("a2"), torch.arange(12).reshape(3, 4)), (3, 4))
            pool.add("shaped", (pool.extreme(entries, 3, 4, True), (4,)), (4,), is_last=True)
            steps += pool.steps
    return Network((2,), "x", "z6", tuple(steps), "", False, 3)
