"""Compiled loops keep inside their arrays. Without checks, as they run, an index too far is a crash, or worse."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from oracle import mlp, square
from splinecam_widget.engine.compute import compute_partition
from splinecam_widget.engine.explorer import Explorer
from splinecam_widget.engine.lowering import lower
from splinecam_widget.engine.slices import Slice
from test_compute import DEGENERATE


@pytest.mark.slow
def test_no_index_is_out_of_bounds(tmp_path: Path) -> None:
    checked = os.environ | {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, __file__], env=checked, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) > 30_000


def pictures() -> int:
    """Cells of pictures in which arrays grow: many cells, a cell with many lines, coincidences, maxima, pans."""
    pooled = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 3))
    cases = [(mlp(2, 64, 64, 64, 64, 3), square(1.5)), (mlp(2, 300, 1), square()), (mlp(2, 40, 200, 2), square(3.0)),
             *((net, square()) for net, _ in DEGENERATE.values()),
             (pooled.eval(), Slice.around(np.zeros((1, 8, 8)), radius=2.0, seed=0))]
    n_cells = 0
    for net, plane in cases:
        partition = compute_partition(net, plane)
        partition.certificate(full=True)
        partition.decision_boundary()
        n_cells += partition.n_cells
        explorer = Explorer(net, plane)
        explorer.show(plane)
        step = np.ptp(plane.domain, axis=0) / 7
        n_cells += explorer.show(plane.with_domain(plane.domain + step)).n_cells
    net, plane = mlp(2, 80, 80, 2), square()
    explorer = Explorer(net, plane)
    for unit in (0, 79, 3):  # cells are taken over from the picture before
        n_cells += explorer.show(plane).n_cells
        net[2].bias.data[unit] += 0.1
        explorer.update(lower(net, (2,)))
    return n_cells


if __name__ == "__main__":
    print(pictures())
