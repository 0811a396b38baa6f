"""How time and memory grow, what two threads bring, and what changes of a view cost, against computing anew in the same run.

    python benchmarks/growth.py [--quick]

Prints Markdown tables with the goals in brackets and saves them under benchmarks/results. Each row of the memory table runs
in a process of its own, whose peak is that of everything in it, torch included (about 0.4 GiB).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from itertools import pairwise

import machine
import torch
from engine import best_of, with_goal
from nets import NETS
from torch import nn

from splinecam_widget import Slice, compute_partition
from splinecam_widget.engine.explorer import Explorer
from splinecam_widget.engine.lowering import lower
from splinecam_widget.engine.slices import rectangle
from splinecam_widget.engine.warmup import warm_up

FAMILY = (130, 250, 440, 760, 1020)
"""Widths w of nets 2-w-w-1, from ten thousand cells on the square of side 2 to most of a million."""

SIDES = (0.2, 0.4, 0.8, 1.4, 2.0)
"""Of squares about the origin, for the largest of them."""

LARGE = {"2-1000-700-1": (2, 1000, 700, 1), "2-2000-1500-1": (2, 2000, 1500, 1), "2-5600-1": (2, 5600, 1)}
PEAK = """
import json, sys, time
sys.path.insert(0, {folder!r})
from growth import net_of
from splinecam_widget import Slice, compute_partition
from splinecam_widget.engine.slices import rectangle
import torch
net = net_of({widths})
start = time.perf_counter()
found = compute_partition(net, Slice.from_basis(torch.zeros(2), torch.eye(2), domain=rectangle(-1, 1, -1, 1)))
# Not ru_maxrss, which a process inherits from the one that started it.
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 2**20
print(json.dumps([found.n_cells, time.perf_counter() - start, peak]))
"""


def net_of(widths: tuple[int, ...]) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for n, m in pairwise(widths):
        layers += [nn.Linear(n, m), nn.ReLU()]
    return nn.Sequential(*layers[:-1]).eval()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="leave out what takes more than a few seconds")
    arguments = parser.parse_args()
    warm_up()
    tables = [growth(FAMILY[:3], SIDES[:2]) if arguments.quick else growth(FAMILY, SIDES), increments(), threads()]
    if not arguments.quick:
        tables.append(memory())
    where = machine.description() | {"torch_threads": torch.get_num_threads()}
    text = "\n\n".join([*tables, machine.sentence(where)])
    print(text)
    machine.RESULTS.mkdir(exist_ok=True)
    (machine.RESULTS / "growth.md").write_text(text + "\n")
    return 0


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ("---", *["---:"] * (len(head) - 1)), *rows])


def square(side: float = 2.0) -> Slice:
    half = side / 2
    return Slice.from_basis(torch.zeros(2), torch.eye(2), domain=rectangle(-half, half, -half, half))


def growth(widths: tuple[int, ...], sides: tuple[float, ...]) -> str:
    wide = net_of((2, FAMILY[-1], FAMILY[-1], 1))
    by_side = [(f"2-{FAMILY[-1]}-{FAMILY[-1]}-1, side {side:g}", wide, square(side)) for side in sides]
    by_width = [(f"2-{w}-{w}-1", net_of((2, w, w, 1)), square()) for w in widths]
    tables = []
    for title, rows in (("Time for each cell, as the domain of one net grows", by_side),
                        ("Time for each cell, as nets and the numbers at each vertex grow", by_width)):
        found, first = [], None
        for name, net, plane in rows:
            network = lower(net, (2,))
            seconds, partition = best_of(3, lambda network=network, plane=plane: compute_partition(network, plane))
            each = seconds / partition.n_cells
            first = first or each
            found.append((name, f"{partition.n_cells:,}", f"{1e3 * seconds:,.1f} ms", f"{1e6 * each:.2f} µs",
                          with_goal(each / first, 1.3, "≤", 2)))
        tables.append(f"{title}\n\n" + table(("net", "cells", "time", "a cell", "of the first"), found))
    return "\n\n".join(tables)


ROUNDS = 5

VIEWS = {
    "zoom in by 2": (rectangle(-0.5, 0.5, -0.5, 0.5), 0.0), "pan by 10 %": (rectangle(-0.8, 1.2, -1, 1), 0.15),
    "pan by 10 % both ways": (rectangle(-0.6, 1.4, -0.8, 1.2), None), "back": (rectangle(-1, 1, -1, 1), 0.0),
    "zoom out by 1.25": (rectangle(-1.25, 1.25, -1.25, 1.25), 0.45),
}


def increments() -> str:
    rows = []
    for net in NETS:
        if net.name not in ("2-64x4-1", "2-128x4-1", "2-256x4-1"):
            continue
        network = lower(net.build(), (2,))
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in VIEWS}
        said = {}
        for _ in range(ROUNDS):
            explorer = Explorer(network, square())
            explorer.show(square())
            for name, (domain, goal) in VIEWS.items():
                plane = square().with_domain(domain)
                start = time.perf_counter()
                found = explorer.show(plane)
                seconds = time.perf_counter() - start
                anew = Explorer(network, plane)
                start = time.perf_counter()
                again = anew.show(plane)
                times[name].append((seconds, time.perf_counter() - start))
                assert found.n_cells == again.n_cells
                share = explorer.work.vertices_evaluated / anew.work.vertices_evaluated
                said[name] = f"{found.n_cells:,}", with_goal(share, goal, "≤", 2)
        for name, (cells, share) in said.items():
            seconds, scratch = (min(column) for column in zip(*times[name]))
            rows.append((net.name, name, cells, f"{1e3 * seconds:,.1f} ms", f"{1e3 * scratch:,.1f} ms", share))
    head = ("net", "change", "cells", "time", "computed anew", "of the vertices evaluated")
    return f"Changes of the view, one after the other, best of {ROUNDS}\n\n" + table(head, rows)


def threads() -> str:
    rows = []
    for name in ("2-64x4-1", "2-128x4-1", "2-256x4-1", "2-960-1", "2-1000-700-1"):
        times = [json.loads(subprocess.run(
            [sys.executable, "-c", THREADS.format(n=n, name=name, folder=str(machine.ROOT / "benchmarks"))],
            check=True, capture_output=True, text=True).stdout) for n in (1, 2)]
        rows.append((name, *(f"{1e3 * t:,.1f} ms" for t in times), with_goal(times[0] / times[1], 1.6, "≥", 2)))
    gemm = [json.loads(subprocess.run([sys.executable, "-c", PRODUCTS.format(n=n)], check=True, capture_output=True,
                                      text=True).stdout) for n in (1, 2)]
    rows.append(("matrix products alone", *(f"{rate:.0f} GFlop/s" for rate in gemm), f"{gemm[1] / gemm[0]:.2f}"))
    return "Two threads\n\n" + table(("net", "one", "two", "gain"), rows)


THREADS = """
import json, sys, torch
torch.set_num_threads({n})
sys.path.insert(0, {folder!r})
from engine import best_of
from growth import LARGE, net_of, square
from nets import NETS
from splinecam_widget import compute_partition
from splinecam_widget.engine.lowering import lower
name = {name!r}
network = lower(net_of(LARGE[name]) if name in LARGE else next(net for net in NETS if net.name == name).build(), (2,))
compute_partition(network, square())
print(json.dumps(best_of(5, lambda: compute_partition(network, square()))[0]))
"""

PRODUCTS = """
import json, threading, time, torch
w = torch.randn(256, 256, dtype=torch.float64)
def work():
    torch.set_num_threads(1)  # of this thread
    x = torch.randn(512, 256, dtype=torch.float64)
    for _ in range(400):
        torch.mm(x, w)
best = 0.0
for _ in range(3):
    threads = [threading.Thread(target=work) for _ in range({n})]
    start = time.perf_counter()
    [t.start() for t in threads]
    [t.join() for t in threads]
    best = max(best, {n} * 400 * 2 * 512 * 256 * 256 / (time.perf_counter() - start) / 1e9)
print(json.dumps(best))
"""


def memory() -> str:
    goals = {"2-1000-700-1": 4, "2-2000-1500-1": None, "2-5600-1": 8}
    rows = []
    for name, widths in LARGE.items():
        program = PEAK.format(folder=str(machine.ROOT / "benchmarks"), widths=widths)
        done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
        cells, seconds, peak = json.loads(done.stdout)
        rows.append((name, f"{cells:,}", f"{seconds:.1f} s", with_goal(peak, goals[name], "≤", 2)))
    return "Peak memory, in GiB\n\n" + table(("net", "cells", "time", "peak"), rows)


if __name__ == "__main__":
    sys.exit(main())
