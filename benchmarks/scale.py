"""What a worker computes, what travels, what tiles cost, and from these figures what a thousand million cells would take.

    python benchmarks/scale.py [--quick]

Needs the extra `dask`. Workers are processes of this machine. Everything runs once before it is timed, then in turn, and the
best of two counts. Seconds of processor time are what a worker with a core of its own would take; on a busy machine more
pass. Prints Markdown tables and saves them under benchmarks/results.
"""

from __future__ import annotations

import argparse
import gc
import pickle
import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import dask
import machine
import numpy as np
import torch
from distributed import Client, LocalCluster
from engine import best_of
from growth import net_of, table

from splinecam_widget import Partition, Slice, partition_many
from splinecam_widget.engine.compute import compute_partition
from splinecam_widget.engine.lowering import lower
from splinecam_widget.engine.network import Network
from splinecam_widget.engine.slices import rectangle
from splinecam_widget.engine.spreading import spread
from splinecam_widget.engine.threads import forget_pools
from splinecam_widget.engine.tiling import cut_for, halves, united

WIDTHS = (2, 256, 256, 256, 256, 1)
QUICK_WIDTHS = (2, 128, 128, 128, 128, 1)
N_SLICES = 6
ROUNDS = 2
MANY = 10**9
WORKERS = (2, 16, 128)
KEEPING = {"MALLOC_TRIM_THRESHOLD_": 2**30, "MALLOC_MMAP_THRESHOLD_": 2**30}
"""So that a worker on Linux does not give memory back between slices, see docs/scale.md."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a net of a quarter of the cells")
    widths = QUICK_WIDTHS if parser.parse_args().quick else WIDTHS
    where = machine.description("distributed") | {"torch_threads": torch.get_num_threads()}
    network = lower(net_of(widths), (2,))
    name = "-".join(map(str, widths))
    facts, texts = throughput(network, name)
    texts += [tiles(network, name), estimate(facts), machine.sentence(where)]
    text = "\n\n".join(texts)
    print(text)
    machine.RESULTS.mkdir(exist_ok=True)
    (machine.RESULTS / "scale.md").write_text(text + "\n")
    return 0


def square(shift: float = 0.0) -> Slice:
    return Slice.from_basis(torch.zeros(2), torch.eye(2), domain=rectangle(-1 + shift, 1 + shift, -1, 1))


def n_cells(partition: Partition) -> int:
    return partition.n_cells


def insides_and_border(partition: Partition) -> tuple[int, np.ndarray[Any, np.dtype[np.uint64]]]:
    """How many cells do not touch the border, and the patterns of those that do: a cell has one pattern in all tiles."""
    is_border = (partition.edge_cells < 0).any(axis=1)
    cells = np.unique(partition.edge_cells[is_border].max(axis=1))
    return partition.n_cells - len(cells), partition.planar.cell_hashes[cells]


def throughput(network: Network, name: str) -> tuple[dict[str, float], list[str]]:
    """Cells a second by one and two workers, and sizes."""
    planes = [square(0.01 * k) for k in range(N_SLICES)]
    kinds: dict[str, Callable[[], Any]] = {}

    def here(n: int) -> list[int]:
        torch.set_num_threads(n)
        forget_pools()
        return partition_many(network, planes, summary=n_cells)

    with (cluster(1) as alone, Client(alone) as one, cluster(2) as both, Client(both) as two,
          cluster(1, KEEPING) as keeping, Client(keeping) as thrifty):
        for client in (one, two, thrifty):
            client.run(compute_partition, torch.nn.ReLU().eval(), square())
        before = max(two.run(peak).values())
        kinds["here, 1 thread"] = lambda: here(1)
        kinds["here, 2 threads"] = lambda: here(2)
        clients: dict[str, Client | None] = dict.fromkeys(kinds)
        for kind, client, summary in (
            ("1 worker, a summary", one, n_cells), ("2 workers, a summary", two, n_cells),
            ("2 workers, whole partitions", two, None), ("1 worker that keeps memory, a summary", thrifty, n_cells),
        ):
            clients[kind] = client
            kinds[kind] = partial(partition_many, network, planes, client=client, summary=summary, progress=False)
        total = sum(here(2))
        figures: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
        for _ in range(1 + ROUNDS):
            for kind, run in kinds.items():  # in turn: what else the machine does meets all of them
                figures[kind].append(spent(run, clients[kind]))
        after = max(two.run(peak).values())
        spread(network, square(), two)
        spread_seconds, found = best_of(3, lambda: spread(network, square(), two))
        local_seconds = best_of(3, lambda: compute_partition(network, square()))[0]
    wall, cpu = ({kind: total / min(pair[i] for pair in pairs[1:]) for kind, pairs in figures.items()} for i in (0, 1))
    unit = "1 worker, a summary"
    speed = table(("computed by", "cells a second", "of one worker", "cells a second of processor time"),
                  [(kind, f"{wall[kind]:,.0f}", f"{wall[kind] / wall[unit]:.2f}", f"{cpu[kind]:,.0f}") for kind in kinds])
    arrays = [*vars(found.planar).values(), found.values]
    facts = {
        "rate": cpu["2 workers, a summary"], "cells": total / N_SLICES, "peak": after,
        "bytes": sum(array.nbytes for array in arrays if isinstance(array, np.ndarray)) / found.n_cells,
        "weights": len(pickle.dumps(network)), "plane": len(pickle.dumps(planes[0])),
        "counted": len(pickle.dumps(insides_and_border(found))),
    }
    sizes = table(("what", "size"), [
        ("a cell of a partition, in memory and on the way", f"{facts['bytes']:.0f} bytes"),
        ("the weights, once to each worker", f"{facts['weights'] / 1e6:.2f} MB"),
        ("a slice, to a worker", f"{facts['plane']:,} bytes"),
        ("a number of cells, back", f"{len(pickle.dumps(found.n_cells)):,} bytes"),
        ("a number of cells with the patterns of those at the border, back", f"{facts['counted']:,} bytes"),
        ("peak memory of a worker before its first slice (torch and numba included)", f"{before:.2f} GiB"),
        ("peak memory of a worker after all slices", f"{after:.2f} GiB"),
    ])
    return facts, [
        f"{N_SLICES} slices of {name}, {total:,} cells in all; workers have one thread each\n\n{speed}", f"Sizes\n\n{sizes}",
        f"One slice of {found.n_cells:,} cells, all of it brought back: {spread_seconds:.2f} s by `spread` on two workers, "
        f"{local_seconds:.2f} s by two threads here.",
    ]


def spent(run: Callable[[], Any], client: Client | None) -> tuple[float, float]:
    """Seconds that passed, and seconds of processors in the workers of a cluster, or in this process."""
    gc.collect()
    cpu, start = processor_seconds(client), time.perf_counter()
    run()
    return time.perf_counter() - start, processor_seconds(client) - cpu


def processor_seconds(client: Client | None) -> float:
    return time.process_time() if client is None else sum(client.run(time.process_time).values())


def tiles(network: Network, name: str) -> str:
    """What is computed twice, and what joining takes."""
    torch.set_num_threads(1)
    forget_pools()
    whole_seconds, whole = best_of(3, lambda: compute_partition(network, square()))
    rows = []
    for n in (4, 16, 64):
        joining: list[float] = []
        leaves: list[Partition] = []
        in_tiles(network, square(), n, [], [])
        start = time.perf_counter()
        found = in_tiles(network, square(), n, leaves, joining)
        spent = time.perf_counter() - start
        assert found.n_cells == whole.n_cells
        pairs = [insides_and_border(leaf) for leaf in leaves]
        assert sum(n for n, _ in pairs) + len(np.unique(np.concatenate([some for _, some in pairs]))) == whole.n_cells
        cells, vertices = sum(leaf.n_cells for leaf in leaves), sum(len(leaf.vertices) for leaf in leaves)
        rows.append((str(n), f"{100 * (cells / whole.n_cells - 1):.1f} %",
                     f"{100 * (vertices / len(whole.vertices) - 1):.1f} %", f"{(spent - sum(joining)) / whole_seconds:.2f}",
                     f"{sum(joining) / whole_seconds:.2f}", f"{joining[-1] / whole_seconds:.2f}"))
    return (f"Tiles of one slice of {name}, one thread, one after the other; times relative to the whole at once, "
            f"{whole_seconds:.2f} s\n\n" + table(
                ("tiles", "more cells", "more vertices", "time of tiles", "time of all joins", "of the last one"), rows))


def in_tiles(network: Network, plane: Slice, n: int, leaves: list[Partition], joining: list[float]) -> Partition:
    cut = cut_for(plane.domain, n)
    if cut is None:
        leaves.append(compute_partition(network, plane))
        return leaves[-1]
    low, high = (in_tiles(network, plane.with_domain(half), m, leaves, joining)
                 for half, m in zip(halves(plane.domain, *cut), (n // 2, n - n // 2)))
    start = time.perf_counter()
    found = united(partial(compute_partition, network), plane, plane.domain, cut, low, high)
    joining.append(time.perf_counter() - start)
    return found


def estimate(facts: dict[str, float]) -> str:
    """Of `MANY` cells in slices of as many as measured, on workers that have a core each."""
    n_slices = MANY / facts["cells"]
    rows = []
    for n in WORKERS:
        small = n_slices * (facts["plane"] + facts["counted"]) + n * facts["weights"]
        rows.append((str(n), f"{MANY / facts['rate'] / n / 60:,.1f} min", f"{facts['peak']:.2f} GiB", f"{small / 1e6:,.0f} MB",
                     f"{MANY * facts['bytes'] / 1e9:,.0f} GB"))
    head = ("workers", "time", "memory of each", "traffic with a summary", "traffic of whole partitions")
    return (f"{MANY:,} cells in {n_slices:,.0f} slices or tiles of {facts['cells']:,.0f}, of which a worker computes "
            f"{facts['rate']:,.0f} a second\n\n{table(head, rows)}")


def cluster(n: int, environment: dict[str, int] | None = None) -> LocalCluster:
    name = "distributed.nanny.pre-spawn-environ"
    with dask.config.set({name: {**dask.config.get(name), **(environment or {})}}):
        return LocalCluster(n_workers=n, threads_per_worker=1, processes=True, dashboard_address=":0")


def peak() -> float:
    """Of this process, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    sys.exit(main())
