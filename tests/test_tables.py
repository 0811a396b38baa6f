"""Tables of cells and edges, read back through CSV."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from exported import lone, part, reloaded, several, single
from splinecam_widget import Slice, compute_partition
from splinecam_widget.engine.boundary import winners_of


@pytest.mark.parametrize("make", [several, single, lone, part])
def test_cells_and_edges(make: Any, tmp_path: Path) -> None:
    p = make()
    cells, edges = p.to_pandas()
    assert len(cells) == p.n_cells
    np.testing.assert_array_equal(cells["area"], p.areas)
    np.testing.assert_array_equal(cells["region"], p.region_ids)
    np.testing.assert_array_equal(cells["class"], winners_of(p).cells)
    assert edges.index.name == "edge"
    edges.to_csv(tmp_path / "edges.csv")
    read = pd.read_csv(tmp_path / "edges.csv", index_col="edge", float_precision="round_trip")
    np.testing.assert_array_equal(read[["x0", "y0", "x1", "y1"]].to_numpy().reshape(-1, 2, 2), p.vertices[p.edges])
    np.testing.assert_array_equal(read[["left", "right"]], p.edge_cells)
    np.testing.assert_array_equal(read[["layer", "unit"]], np.stack([p.edge_layer, p.edge_unit], axis=1))
    np.testing.assert_allclose(read["length"], np.linalg.norm(p.vertices[p.edges[:, 1]] - p.vertices[p.edges[:, 0]], axis=1))
    for table in (cells, edges):
        assert table.attrs["record"] == p.record()


def test_classes_by_level() -> None:
    p = single()
    level = float(np.median(p.values))
    np.testing.assert_array_equal(p.to_pandas(level=level).cells["class"], winners_of(p, level).cells)


def test_from_a_file(tmp_path: Path) -> None:
    p = several()
    loaded = reloaded(p, tmp_path).to_pandas()
    ours = p.to_pandas()
    pd.testing.assert_frame_equal(loaded.edges, ours.edges)
    pd.testing.assert_frame_equal(loaded.cells, ours.cells[list(loaded.cells.columns)])


def test_distances_are_those_to_the_level() -> None:
    partition = compute_partition(lambda x: x[:, :1], Slice.from_basis([0.0, 0.0], torch.eye(2)))
    assert partition.to_pandas(level=0.5).cells["boundary_distance"].tolist() == [0.5]
    assert partition.to_pandas().cells["boundary_distance"].tolist() == [0.0]
