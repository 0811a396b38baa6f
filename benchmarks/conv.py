"""Convolutional nets on slices of their inputs, against a plain forward pass over the vertices that were found.

    python benchmarks/conv.py [--quick]

"forward" is the model itself in float64 torch on as many threads, in batches of 64. Goals stand in brackets, with "missed"
where they are. The reference implementation of SplineCam took 23 s for its own example (a net of this shape, 2,663 cells).
Prints a Markdown table and saves it under benchmarks/results.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import machine
import torch
from engine import with_goal
from torch import nn

sys.path.insert(0, str(machine.ROOT / "tests"))
from splinecam_widget import Slice, compute_partition
from splinecam_widget.engine.lowering import lower
from zoo import vgg11, vgg16  # the tests' definitions

BATCH = 64


@dataclass(frozen=True)
class Net:
    """One net with its slice and goals."""

    name: str
    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    reach: float
    """Distance of the slice's anchors from the input it is around."""
    most_forward: float
    most_seconds: float | None = None
    is_quick: bool = False


def reference_example() -> nn.Module:
    """Two strided convolutions with 6 and 16 channels, then 1024-120-84-10 without activations between."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 5, 2, 2), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 16, 5, 2, 2), nn.ReLU(), nn.Flatten(),
        nn.Linear(1024, 120), nn.Linear(120, 84), nn.Linear(84, 10))


NETS = (
    Net("reference's CNN example, 3x32x32", reference_example, (3, 32, 32), 0.8, 1.3, most_seconds=0.4, is_quick=True),
    Net("VGG11 with BatchNorm, 3x64x64", vgg11, (3, 64, 64), 0.045, 1.3),
    Net("VGG16 with BatchNorm, 3x64x64", vgg16, (3, 64, 64), 0.025, 1.3),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="only what takes less than a second")
    arguments = parser.parse_args()
    head = ("net", "cells", "time", "forward", "in forwards")
    lines = [head, ("---", *["---:"] * (len(head) - 1))]
    for net in NETS:
        if arguments.quick and not net.is_quick:
            continue
        lines.append(measured(net))
        print(lines[-1], file=sys.stderr, flush=True)
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    where = machine.description() | {"torch_threads": torch.get_num_threads()}
    text = f"{table}\n\n{machine.sentence(where)}\ntorch threads: {where['torch_threads']}. Best of two runs."
    print(text)
    if not arguments.quick:
        machine.RESULTS.mkdir(exist_ok=True)
        (machine.RESULTS / "conv.md").write_text(text + "\n")
    return 0


def measured(net: Net) -> tuple[str, ...]:
    torch.manual_seed(0)
    model = net.make().double().eval()
    x = torch.rand(net.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    plane = Slice.around(x, seed=0, radius=net.reach)
    network = lower(model, net.shape)
    ours, forward = [], []
    for _ in range(2):
        started = time.perf_counter()
        found = compute_partition(network, plane)
        ours.append(time.perf_counter() - started)
        inputs = torch.from_numpy(plane.to_input(found.vertices))
        started = time.perf_counter()
        with torch.no_grad():
            for batch in inputs.split(BATCH):
                model(batch)
        forward.append(time.perf_counter() - started)
    seconds = f"{min(ours):.3f}" if net.most_seconds is None else with_goal(min(ours), net.most_seconds, "≤", 3)
    return (net.name, f"{found.n_cells:,}", f"{seconds} s", f"{min(forward):.3f} s",
            with_goal(min(ours) / min(forward), net.most_forward, "≤", 2))


if __name__ == "__main__":
    sys.exit(main())
