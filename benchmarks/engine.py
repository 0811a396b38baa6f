"""Time `compute_partition`, regioncam and a plain forward pass on the reference networks, in one process, best of several runs.

"ours" starts from the network as read once by `lower`, as a widget does on every drag, and regioncam starts from weight
arrays. "from the model" reads the model again; "first" is the first call for this model. "forward" is the model itself in
float64 torch over all vertices that were found. "naive" splits polygons one by one in numpy (naive.py). Goals stand in
brackets, with "missed" where they are.

    python benchmarks/engine.py --quick                 leaves out the two nets that take regioncam ten seconds
    python benchmarks/engine.py --net 2-64x4-1 --repeats 9

Prints a Markdown table and saves it with the raw numbers under benchmarks/results. Machines differ, ratios in one run much
less. "draft" is what a first draft of the engine reached against regioncam.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import machine
import torch
from naive import naive_cells
from nets import NETS, Net

from splinecam_widget import Slice, compute_partition
from splinecam_widget.engine.lowering import lower

LEAST_SECONDS = 0.3
"""Runs shorter than this are repeated: the first few wait for caches."""

MOST_NAIVE_CELLS = 30_000
"""The naive way takes a second for some thousand cells."""

SLOW_PEER_MS = 2_000
"""`--quick` leaves out nets on which regioncam takes longer."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="leave out what takes regioncam more than 2 s")
    parser.add_argument("--net", action="append", help="only this net; may be repeated")
    parser.add_argument("--repeats", type=int, default=5, help="runs of the engine per net")
    parser.add_argument("--peer-repeats", type=int, default=3, help="runs of regioncam per net, 0 to leave it out")
    parser.add_argument("--threads", type=int, help="torch's threads; torch's default otherwise")
    parser.add_argument("--name", default="engine", help="name of the files under benchmarks/results, '' to save none")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)

    where = machine.description("regioncam") | {"torch_threads": torch.get_num_threads()}
    rows = []
    for net in NETS:
        if arguments.net and net.name not in arguments.net:
            continue
        if arguments.quick and (net.regioncam_ms or 0) > SLOW_PEER_MS:
            continue
        rows.append(measured(net, arguments.repeats, arguments.peer_repeats))
        print(f"{net.name}: {rows[-1]['cells']} cells, {rows[-1]['ours_ms']:.1f} ms", file=sys.stderr, flush=True)
    text = report(rows, where)
    print(text)
    if arguments.name:
        machine.RESULTS.mkdir(exist_ok=True)
        path = machine.RESULTS / arguments.name
        path.with_suffix(".json").write_text(json.dumps({"machine": where, "rows": rows}, indent=1) + "\n")
        path.with_suffix(".md").write_text(text + "\n")
    return 0 if all(row["cells"] == row["cells_true"] for row in rows) else 1


def measured(net: Net, repeats: int, peer_repeats: int) -> dict[str, Any]:
    """One row: the first call, which also reads the model, and the best of the later ones."""
    model = net.build().double().eval()
    s = net.half_side
    plane = Slice.from_basis(torch.zeros(2), torch.eye(2), domain=[[-s, -s], [s, -s], [s, s], [-s, s]])
    start = time.perf_counter()
    partition = compute_partition(model, plane)
    first = time.perf_counter() - start
    whole, _ = best_of(repeats, lambda: compute_partition(model, plane))
    network = lower(model, plane.input_shape)
    ours, partition = best_of(repeats, lambda: compute_partition(network, plane))
    row: dict[str, Any] = {
        "net": net.name,
        "seed": net.seed,
        "half_side": s,
        "cells": partition.n_cells,
        "cells_true": net.cells,
        "first_ms": 1e3 * first,
        "model_ms": 1e3 * whole,
        "ours_ms": 1e3 * ours,
        "gain_of_draft": net.gain_of_draft, "least_gain": net.least_gain, "most_forward": net.most_forward,
    }
    inputs = torch.from_numpy(plane.to_input(partition.vertices))
    del partition
    with torch.no_grad():
        forward, _ = best_of(repeats, lambda: model(inputs))
    row |= {"forward_ms": 1e3 * forward, "forwards": ours / forward}
    if peer_repeats:
        peer, cells = best_of(peer_repeats, regioncam_run(net))
        row |= {"regioncam_ms": 1e3 * peer, "regioncam_cells": cells, "gain": peer / ours}
        if net.cells <= MOST_NAIVE_CELLS:
            start = time.perf_counter()
            cells = naive_cells(net.build(), s)
            row |= {"naive_ms": 1e3 * (time.perf_counter() - start), "naive_cells": cells}
    return row


def regioncam_run(net: Net) -> Callable[[], int]:
    """Run regioncam on the same weights (it computes in float32) and count its cells."""
    import regioncam

    model = net.build()

    def run() -> int:
        peer = regioncam.Regioncam(size=net.half_side)
        peer.add(model)
        return int(peer.num_faces)

    return run


def best_of(repeats: int, run: Callable[[], Any]) -> tuple[float, Any]:
    """The shortest time in seconds of at least `repeats` runs and `LEAST_SECONDS`, and the last result."""
    times: list[float] = []
    result = None
    gc.collect()
    while len(times) < repeats or sum(times) < LEAST_SECONDS:
        result = None
        start = time.perf_counter()
        result = run()
        times.append(time.perf_counter() - start)
    return min(times), result


def report(rows: list[dict[str, Any]], where: dict[str, Any]) -> str:
    """The table in Markdown, with the machine below it."""
    head = ("net (seed, s)", "cells", "first", "from the model", "ours", "regioncam", "times as fast", "draft", "naive",
            "forward", "in forwards")
    lines = [head, ("---", *["---:"] * (len(head) - 1))]
    for row in rows:
        gain = row.get("gain")
        cells = f"{row['cells']:,}" + ("" if row["cells"] == row["cells_true"] else f" (true: {row['cells_true']:,})")
        peer = f"{row['regioncam_ms']:,.1f} ms" if gain else "-"
        if gain and row["regioncam_cells"] != row["cells_true"]:
            peer += f" ({row['regioncam_cells']:,} cells)"
        lines.append((
            f"{row['net']} ({row['seed']}, {row['half_side']:g})", cells, f"{row['first_ms']:,.0f} ms",
            f"{row['model_ms']:,.0f} ms", f"{row['ours_ms']:,.1f} ms", peer,
            with_goal(gain, row["least_gain"], "≥", 1), number(row["gain_of_draft"], 1),
            naive(row),
            f"{row['forward_ms']:,.1f} ms", with_goal(row["forwards"], row["most_forward"], "≤", 2),
        ))
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"{table}\n\n{machine.sentence(where)}\ntorch threads: {where['torch_threads']}. Best of several runs."


def naive(row: dict[str, Any]) -> str:
    if "naive_ms" not in row:
        return "-"
    wrong = "" if row["naive_cells"] == row["cells_true"] else f" ({row['naive_cells']:,} cells)"
    return f"{row['naive_ms']:,.0f} ms{wrong}"


def number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def with_goal(value: float | None, goal: float | None, sign: str, digits: int) -> str:
    """A figure with its goal, and whether that is missed."""
    if value is None or goal is None:
        return number(value, digits)
    is_met = value >= goal if sign == "≥" else value <= goal
    return f"{value:.{digits}f} ({sign} {goal:g}{'' if is_met else ', missed'})"


if __name__ == "__main__":
    sys.exit(main())
