"""What makes a picture feel live: starting, the first lines, stopping, and weights that change.

    python benchmarks/live.py

Start: fresh processes that do as a notebook does (a cell that imports, a moment without cells, a cell with the widget), after
torch has been imported, with compiled loops on disk. First lines and stopping: the time to the first sketch of a slice, and the
longest time from one look whether to go on to the next, or, where the whole takes less than two seconds, that one of
sixteen computations that are to stop at times spread over it took to do so, if that is longer. Weights: a bias is changed and
the slice shown again, against computing it anew in the same run. Goals stand in brackets. Prints Markdown tables and saves them
under benchmarks/results.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import suppress
from itertools import pairwise

import machine
import torch
from engine import best_of, with_goal
from growth import net_of, square, table
from torch import nn

from splinecam_widget import Slice, compute_partition
from splinecam_widget.engine.compute import partition_of
from splinecam_widget.engine.errors import Cancelled
from splinecam_widget.engine.explorer import Explorer
from splinecam_widget.engine.lowering import lower
from splinecam_widget.engine.network import Network
from splinecam_widget.engine.states import Work
from splinecam_widget.engine.watching import Sketch, Watch

sys.path.insert(0, str(machine.ROOT / "tests"))
from zoo import vgg16  # the tests' definition

START = """
import asyncio, json, time
import IPython, torch

times = []

async def cell():
    started = time.perf_counter()
    from splinecam_widget import SplineCamWidget
    times.append(time.perf_counter() - started)

async def notebook():
    await cell()
    await asyncio.sleep({idle})

asyncio.run(notebook())
from sklearn.datasets import load_digits
from splinecam_widget import SplineCamWidget
digits = load_digits()
images = torch.tensor(digits.images / 16, dtype=torch.float32)[:, None]
net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 64),
                          torch.nn.ReLU(), torch.nn.Linear(64, 10)).eval()
started = time.perf_counter()
w = SplineCamWidget(net, *images[:3], images=images, labels=digits.target)
w.wait(100)
times.append(time.perf_counter() - started)
print(json.dumps(times))
"""
N_STARTS = 5
N_STOPS, SECONDS_TO_STOP = 16, 2.0


def main() -> int:
    where = machine.description() | {"torch_threads": torch.get_num_threads()}
    text = "\n\n".join([start(), looks(), weights(), machine.sentence(where)])
    print(text)
    machine.RESULTS.mkdir(exist_ok=True)
    (machine.RESULTS / "live.md").write_text(text + "\n")
    return 0


def start() -> str:
    rows = []
    for name, idle in (("after six seconds without a cell", 6.0), ("at once", 0.0)):
        runs = [json.loads(subprocess.run([sys.executable, "-c", START.format(idle=idle)], check=True, capture_output=True,
                                          text=True).stdout) for _ in range(N_STARTS)]
        imports, pictures = (sorted(times)[N_STARTS // 2] for times in zip(*runs))
        rows.append((name, with_goal(imports, 0.5, "≤", 2) + " s", with_goal(pictures, 1.0, "≤", 2) + " s"))
    head = ("the widget is made", "import beyond torch", "from there to the picture")
    return f"Start with the quickstart's digits net, median of {N_STARTS}\n\n" + table(head, rows)


def looks() -> str:
    cases: list[tuple[str, nn.Module, Slice]] = [
        (f"2-{'-'.join(map(str, widths))}-1", net_of((2, *widths, 1)), square())
        for widths in ((128,) * 4, (256,) * 4, (960,), (1000, 700))]
    x = torch.rand((3, 64, 64), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    cases.append(("VGG16 with BatchNorm", vgg16(), Slice.around(x, seed=0, radius=0.01)))
    rows = []
    for name, model, plane in cases:
        network = lower(model, plane.input_shape)
        found = []
        for _ in range(3):
            sketches: list[float] = []
            ticks = [time.perf_counter()]

            def seen(_: Sketch, sketches: list[float] = sketches, ticks: list[float] = ticks) -> None:
                sketches.append(time.perf_counter() - ticks[0])

            def tick(ticks: list[float] = ticks) -> None:
                ticks.append(time.perf_counter())

            partition = partition_of(network, plane, Work(), Watch(tick, on_sketch=seen))
            end = time.perf_counter()
            longest = max(b - a for a, b in pairwise([*ticks, end]))
            found.append((longest, sketches[0] if sketches else 0.0, end - ticks[0]))
        longest, first, seconds = (min(values) for values in zip(*found))
        if seconds < SECONDS_TO_STOP:  # of tiles, threads have work that the one that looks does not see
            longest = max(longest, *(
                min(stopped(network, plane, (i + 0.5) / N_STOPS * seconds) for _ in range(3)) for i in range(N_STOPS)))
        rows.append((name, f"{partition.n_cells:,}", f"{1e3 * seconds:,.0f} ms", with_goal(1e3 * first, 50, "≤", 0) + " ms",
                     with_goal(1e3 * longest, 50, "≤", 0) + " ms"))
    head = ("net", "cells", "whole time", "first lines", "longest time until it stops")
    return "First lines, and stopping, best of three\n\n" + table(head, rows)


def stopped(network: Network, plane: Slice, after: float) -> float:
    """Seconds that a computation goes on when it is to stop `after` some; 0 if it was done before."""
    due = time.perf_counter() + after

    def tick() -> None:
        if time.perf_counter() >= due:
            raise Cancelled

    with suppress(Cancelled):
        partition_of(network, plane, Work(), Watch(tick))
    return max(0.0, time.perf_counter() - due)


def weights() -> str:
    rows = []
    for name, widths in (("2-128x4-1", (128,) * 4), ("2-256x4-1", (256,) * 4)):
        model = net_of((2, *widths, 1))
        explorer = Explorer(lower(model, (2,)), square(), memory=1 << 31)
        explorer.show(square())
        places = [i for i, layer in enumerate(model) if isinstance(layer, nn.Linear)]
        for what, place, goal in zip(("outputs", "last kink", "kink before"), places[::-1], (None, 3.0, None)):
            times = []
            for _ in range(5):
                with torch.no_grad():
                    model[place].bias[0] += 0.01
                network = lower(model, (2,))
                started = time.perf_counter()
                explorer.update(network)
                found = explorer.show(square())
                times.append(time.perf_counter() - started)
            anew, again = best_of(5, lambda network=network: compute_partition(network, square()))
            assert found.n_cells == again.n_cells
            rows.append((name, what, f"{1e3 * min(times):,.1f} ms", f"{1e3 * anew:,.1f} ms",
                         with_goal(anew / min(times), goal, "≥", 1)))
    head = ("net", "a bias of", "time", "computed anew", "times as fast")
    return "One weight changes\n\n" + table(head, rows)


if __name__ == "__main__":
    sys.exit(main())
