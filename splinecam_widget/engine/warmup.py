"""Compiling the engine's loops before they are needed. Numba keeps them on disk, so this takes long only once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import torch

from . import _cell_kernel, _cell_measures, _dense_kernels, _sketch_kernels
from .boundary import winners_of
from .explorer import Explorer
from .garbage import without_collections
from .loops import import_numba
from .network import Network
from .operations import AFFINE, KINKS
from .selections import Rewriting
from .slices import Slice, rectangle
from .steps import Call, Reference, Step

LOADING_SECONDS = 3.0
"""For which no garbage is looked for while a first picture loads loops: three times as long as it takes here."""

_warming = threading.Lock()
_done, _ready = threading.Event(), threading.Event()


def is_warm() -> bool:
    """Whether `warm_up` has finished in this process."""
    return _done.is_set()


@contextmanager
def with_loops(tick: Callable[[], None], waiting: Callable[[bool], None]) -> Iterator[Callable[[], None]]:
    """With all loops compiled, and `tick` or what stands for it.

    Those on disk are loaded as they are called. The picture of a process that loads them is made, and sent, before garbage is
    looked for again, unless it takes long.

    Parameters
    ----------
    tick : callable
        To be called often by what computes.
    waiting : callable
        Told, in a process that has not come here yet, that this takes a moment, and whether loops are on disk.
    """
    if _done.is_set() or _ready.is_set():
        yield tick
        return
    is_kept = is_on_disk()
    waiting(is_kept)
    if not is_kept:
        warm_up()
    _ready.set()
    begun = time.perf_counter()
    with ExitStack() as held:
        if is_kept:
            held.enter_context(without_collections())

        def look() -> None:
            if time.perf_counter() - begun > LOADING_SECONDS:
                held.close()
            tick()

        yield look


def warm_up(report: Callable[[str], None] = lambda _: None) -> None:
    """Compile every loop that partitions, changes of the view, boundaries and measures use, or load it from disk.

    Safe to call from several threads; later calls return at once.

    Parameters
    ----------
    report : callable
        Told in words what comes next.
    """
    # Compiling makes cyclic garbage, and for minutes; loading makes what stays.
    with _warming, without_collections() if is_on_disk() else nullcontext():
        if _done.is_set():
            return
        plane = Slice.from_basis([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
        report("subdivision")
        explorer = Explorer(small_network(), plane)
        explorer.show(plane)
        Explorer(tiny_network(), plane).show(plane)
        report("large pictures")
        follower = Explorer(large_network(), plane)
        follower.show(plane)
        report("changes of weights")
        follower.update(large_network(0.1))
        planar = follower.show(plane).planar
        _sketch_kernels.segments_of_some_units(planar.points, planar.edges, planar.edge_layer, planar.edge_unit, 1)
        report("changes of the view")
        explorer.show(plane.with_domain(rectangle(-0.5, 1.0, -1.0, 1.0)))
        partition = explorer.show(plane.with_domain(rectangle(-0.5, 1.5, -1.0, 1.0)))
        report("boundary")
        winners_of(partition)
        report("measures")
        _ = partition.areas, partition.n_regions, partition.slope_norms
        partition.locate([[0.0, 0.0]])
        _cell_measures.n_flat(partition.vertices, partition.cell_offsets, partition.cell_vertices, 0.0)
        _done.set()


def is_on_disk() -> bool:
    """Whether numba keeps the loops of this source for this processor, so that `warm_up` only has to load them."""
    with without_collections():  # numba may have to be imported
        return all(_is_kept(kernel) for kernel in (
            _cell_kernel.split_cells, _dense_kernels.dense_stage, _cell_measures.locate_points))


def _is_kept(kernel: Any) -> bool:
    """Numba's own index of a loop is empty where its source has changed; a key's second part is the processor."""
    import_numba()
    from numba.core.registry import cpu_target

    try:
        here = cpu_target.target_context.codegen().magic_tuple()
        return any(key[1] == here for key in kernel._cache._cache_file._load_index())
    except Exception:  # nothing is kept, or by another version of numba in another way
        return False


def small_network() -> Network:
    """A random net with a max-pool.

    Made without a trace, which would change torch's behaviour in other threads, and without torch's generator.
    """
    first, second, third = _weights((2, 12), (4, 6), (6, 3))
    pool = Rewriting("pool", "amax", "", ((12,),))
    entries = pool.add("entries", (Reference("a1"), torch.arange(12).reshape(3, 4)), (3, 4))
    pool.add("shaped", (pool.extreme(entries, 3, 4, True), (4,)), (4,), is_last=True)
    steps = (_linear("z1", "x", first), _relu("a1", "z1", 12), *pool.steps, _linear("z2", pool.steps[-1].name, second),
             _relu("a2", "z2", 6), _linear("y", "a2", third))
    return Network((2,), "x", "y", steps, "", False, 3)


def tiny_network() -> Network:
    """A random net of matrices alone."""
    first, second = _weights((2, 6), (6, 3))
    steps = (_linear("z1", "x", first), _relu("a1", "z1", 6), _linear("y", "a1", second))
    return Network((2,), "x", "y", steps, "", False, 3)


def large_network(bias: float = 0.0) -> Network:
    """A random net with enough cells for several threads. One unit is zero wherever one before it is off, but for a bias."""
    first, second, third = _weights((2, 96), (96, 96), (96, 3))
    second[0] = torch.eye(96, dtype=torch.float64)[0]
    steps = (_linear("z1", "x", first), _relu("a1", "z1", 96), _linear("z2", "a1", second, bias), _relu("a2", "z2", 96),
             _linear("y", "a2", third))
    return Network((2,), "x", "y", steps, "", False, 3)


def _weights(*sizes: tuple[int, int]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(m, n, generator=generator, dtype=torch.float64) for n, m in sizes]


def _linear(name: str, source: str, weight: torch.Tensor, first_bias: float = 0.0) -> Step:
    bias = 0.1 * weight[:, -1]
    bias[0] = first_bias
    arguments = {"input": Reference(source), "weight": weight, "bias": bias}
    return Step(name, "linear", "", Call(torch.ops.aten.linear.default), arguments, "affine", AFFINE["linear"], (source,),
                (len(weight),))


def _relu(name: str, source: str, n: int) -> Step:
    call = Call(torch.ops.aten.relu.default)
    return Step(name, "relu", "", call, {"self": Reference(source)}, "kink", KINKS["relu"], (source,), (n,))
