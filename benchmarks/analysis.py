"""What the analysis of a large partition takes, call by call.

    python benchmarks/analysis.py

One network of ten classes on a slice with about 100,000 cells. Every call is made once to load its compiled loops, and then
timed on a partition that has nothing in store (best of three). The goal is 1 s, 0.3 s for the statistics. Prints a Markdown
table and saves it under benchmarks/results.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import machine
import numpy as np
import torch
from growth import table
from torch import nn

from splinecam_widget import (
    Partition,
    Slice,
    compare,
    compute_line,
    compute_partition,
    integrated_gradients,
    load_partition,
    local_complexity,
)

WIDTHS = (2, 230, 230, 230, 230, 10)
N_RUNS = 3
GOAL, STATISTICS_GOAL = 1.0, 0.3


def main() -> int:
    where = machine.description("scipy", "shapely", "matplotlib", "bokeh", "pandas")
    first, second = partition_of(0), partition_of(1)
    rows = [row(name, call, first) for name, call in calls(first, second)]
    text = "\n\n".join([
        f"{first.n_cells:,} cells, {len(first.edges):,} edges, {first.values.shape[1]} outputs.",
        table(("call", "time", "goal"), rows), machine.sentence(where)])
    print(text)
    machine.RESULTS.mkdir(exist_ok=True)
    (machine.RESULTS / "analysis.md").write_text(text + "\n")
    return 0


def net_of(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(WIDTHS):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1]).eval()


def partition_of(seed: int) -> Partition:
    """Around outputs that are centred, so that all classes win somewhere."""
    net = net_of(seed)
    plane = Slice.from_basis(np.zeros(2), np.eye(2))
    with torch.no_grad():
        net[-1].bias -= net(torch.rand(4096, 2) * 2 - 1).mean(0)
    return compute_partition(net, plane)


def row(name: str, call: Callable[[Partition], Any], partition: Partition) -> list[str]:
    call(afresh(partition))
    times = []
    for _ in range(N_RUNS):
        one = afresh(partition)
        started = time.perf_counter()
        call(one)
        times.append(time.perf_counter() - started)
    goal = STATISTICS_GOAL if name.startswith("`p.statistics()`") else GOAL
    found = min(times)
    print(f"{name}: {1e3 * found:.0f} ms", flush=True)
    return [name, f"{1e3 * found:,.0f} ms", f"≤ {1e3 * goal:,.0f} ms" + ("" if found <= goal else ", missed")]


def afresh(partition: Partition) -> Partition:
    """The same partition without anything that was computed from it."""
    return Partition(partition.plane, partition.planar, partition.values, partition.tolerance, partition.n_close,
                     partition.n_zero, network=partition.network, zero_tolerances=partition.zero_tolerances)


def all_measures(partition: Partition) -> None:
    found = partition.statistics()
    for name in dir(type(found)):
        if not name.startswith("_") and name not in ("count_active", "cells"):
            getattr(found, name)
    _ = found.summary


def calls(first: Partition, second: Partition) -> list[tuple[str, Callable[[Partition], Any]]]:
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (10_000, 2))
    some = rng.integers(0, first.n_cells, 100)
    everywhere = np.arange(first.n_cells)
    folder = Path(tempfile.mkdtemp())
    net = net_of(0)
    stored = folder / "stored.npz"
    first.save(stored)
    return [
        ("`p.statistics()`, every measure", all_measures),
        ("`p.statistics().to_pandas()`", lambda p: p.statistics().to_pandas()),
        ("`p.counts_around`, 10,000 discs", lambda p: p.counts_around(points, 0.01)),
        ("... of 3 % of the domain each", lambda p: p.counts_around(points, 0.2)),
        ("`p.decision_boundary()`", lambda p: p.decision_boundary()),
        ("`p.decision_boundary().polylines`", lambda p: p.decision_boundary().polylines),
        ("`p.level_set(0)`", lambda p: p.level_set(0).polylines),
        ("`p.sample_boundary`, 10,000 points", lambda p: p.sample_boundary(10_000)),
        ("... 100,000 points", lambda p: p.sample_boundary(100_000)),
        ("`p.distance_to_boundary`, 10,000 points", lambda p: p.distance_to_boundary(points)),
        ("`p.cells_along`", lambda p: p.cells_along([-0.9, -0.8], [0.9, 0.7])),
        ("`p.unit_curve`", lambda p: p.unit_curve(2, 7)),
        ("`p.at_layer(2)`", lambda p: p.at_layer(2)),
        ("`p.region_graph()`", lambda p: p.region_graph()),
        ("`p.region_graph(of=\"regions\")`", lambda p: p.region_graph(of="regions")),
        ("... `.distances`", lambda p: p.region_graph().distances(0)),
        ("... `.shortest_path`", lambda p: p.region_graph().shortest_path([-0.9, -0.8], [0.9, 0.7])),
        ("... `.shortest_path`, by distance", lambda p: p.region_graph().shortest_path([-0.9, -0.8], [0.9, 0.7], "distance")),
        ("... `.betweenness`", lambda p: p.region_graph().betweenness()),
        ("`p.decision_regions()`, with holes", lambda p: p.decision_regions()),
        ("... `.components_without`, 10,000 points", lambda p: p.decision_regions().components_without(points)),
        ("`p.skeleton_graph().is_planar()`", lambda p: p.skeleton_graph().is_planar()),
        ("`compute_line` across the slice", lambda p: compute_line(p.network, [-1.0, -0.9], [1.0, 0.8])),
        ("`integrated_gradients`", lambda p: integrated_gradients(p.network, [0.8, 0.9], [0.0, 0.0])),
        ("`local_complexity`, 100 points", lambda _: local_complexity(net, points[:100], 0.01)),
        ("`p.affine_maps()`", lambda p: p.affine_maps()),
        ("`p.input_jacobian`, 100 cells", lambda p: p.input_jacobian(some)),
        ("... all cells", lambda p: p.input_jacobian(everywhere)),
        ("`p.patterns`, all cells", lambda p: p.patterns(everywhere)),
        ("`p.flips`, one cell and all others", lambda p: p.flips(0, everywhere)),
        ("`p.image_at`, 100,000 points", lambda p: p.image_at(p.centroids[:100_000])),
        ("`p.to_geojson()`", lambda p: p.to_geojson()),
        ("... with edges, to a file", lambda p: p.to_geojson(folder / "p.json", edges=True)),
        ("`p.to_svg()`", lambda p: p.to_svg()),
        ("`p.to_png()`", lambda p: p.to_png()),
        ("`p.to_shapely()`", lambda p: p.to_shapely()),
        ("`p.to_pandas()`", lambda p: p.to_pandas()),
        ("`p.to_bokeh()`", lambda p: p.to_bokeh()),
        ("`p.plot()`", drawn),
        ("`p.save`", lambda p: p.save(folder / "p.npz")),
        ("`load_partition`", lambda _: load_partition(stored)),
        ("`compare(p, q)`", lambda p: compare(p, second)),
    ]


def drawn(partition: Partition) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    axes = partition.plot()
    plt.close(axes.figure)


if __name__ == "__main__":
    raise SystemExit(main())
