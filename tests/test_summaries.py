"""Means, quantiles and tables of statistics."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from oracle import mlp, square
from splinecam_widget import Slice, compute_partition, load_partition, partition_many, summary_table
from splinecam_widget.analysis import region_statistics, statistics, summaries
from splinecam_widget.analysis.statistics import Statistics
from splinecam_widget.engine.partition import Partition


@pytest.fixture(scope="module")
def partition() -> Partition:
    """Some of its cells share their maps; both classes win somewhere."""
    net = mlp(2, 20, 12, 2, seed=2)
    with torch.no_grad():
        net[2].weight[:, :4] = 0
        net[-1].bias -= net(torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (500, 2)))).mean(0)
    partition = compute_partition(net, square())
    assert len(partition.decision_boundary().points) > 0
    return partition


@pytest.fixture(scope="module")
def found(partition: Partition) -> Statistics:
    return partition.statistics()


class TestSummary:
    """Numbers of a whole partition."""

    def test_counts_and_densities(self, partition: Partition, found: Statistics) -> None:
        numbers = found.summary
        assert numbers["n_cells"] == partition.n_cells
        assert numbers["n_regions"] == partition.n_regions < partition.n_cells
        assert numbers["area"] == 4
        assert numbers["cell_density"] == partition.n_cells / 4
        edges = partition.vertices[partition.edges]
        lengths = np.linalg.norm(edges[:, 1] - edges[:, 0], axis=1)
        for i in range(len(partition.layers)):
            np.testing.assert_allclose(numbers[f"layer_{i}_edge_length"], lengths[partition.edge_layer == i].sum(), rtol=1e-12)
        assert numbers["region_density"] == partition.n_regions / 4
        np.testing.assert_allclose(numbers["border_length"], 8, rtol=1e-12)
        np.testing.assert_allclose(
            numbers["edge_length"], found.edge_lengths[partition.edge_layer >= 0].sum(), rtol=1e-12)

    def test_mean_areas_are_the_domains_over_the_counts(self, partition: Partition, found: Statistics) -> None:
        """The second is the average region volume of the paper."""
        np.testing.assert_allclose(found.summary["cell_area_mean"], 4 / partition.n_cells, rtol=1e-12)
        np.testing.assert_allclose(found.summary["region_area_mean"], 4 / partition.n_regions, rtol=1e-12)

    def test_inner_means_leave_out_what_the_border_cuts(self, partition: Partition, found: Statistics) -> None:
        border = partition.edge_cells[partition.edge_layer < 0].max(axis=1)
        inner = np.setdiff1d(np.arange(partition.n_cells), border)
        assert 0 < len(inner) == found.summary["n_inner_cells"] < partition.n_cells
        np.testing.assert_allclose(found.summary["inner_cell_area_mean"], partition.areas[inner].mean(), rtol=1e-12)
        clipped = np.unique(partition.region_ids[border])
        others = np.setdiff1d(np.arange(partition.n_regions), clipped)
        assert 0 < len(others) == found.summary["n_inner_regions"] < partition.n_regions
        np.testing.assert_allclose(
            found.summary["inner_region_area_mean"], found.regions.areas[others].mean(), rtol=1e-12)

    def test_without_inner_cells_their_means_are_no_numbers(self) -> None:
        numbers = compute_partition(nn.Linear(2, 1).eval(), square()).statistics().summary
        assert numbers["n_inner_cells"] == 0
        assert np.isnan(numbers["inner_cell_area_mean"])
        assert numbers["edge_length"] == 0

    def test_are_plain_numbers(self, found: Statistics) -> None:
        """So that they travel as JSON, and pickled without the partition."""
        assert {type(value) for value in found.summary.values()} <= {int, float}


class TestQuantiles:
    """Of cells and regions."""

    @pytest.mark.parametrize("name", statistics.CELL_COLUMNS)
    def test_are_numpys(self, found: Statistics, name: str) -> None:
        column = getattr(found, statistics.CELL_COLUMNS[name])
        np.testing.assert_array_equal(found.quantiles(name, [0, 0.3, 1]), np.quantile(column, [0, 0.3, 1]))
        np.testing.assert_array_equal(found.quantiles(name, 0.5, inner=True), np.quantile(column[~found.is_clipped], 0.5))

    @pytest.mark.parametrize("name", region_statistics.REGION_COLUMNS)
    def test_of_regions_are_numpys(self, found: Statistics, name: str) -> None:
        column = getattr(found.regions, region_statistics.REGION_COLUMNS[name])
        assert len(column) == found.cells.n_regions
        np.testing.assert_array_equal(found.regions.quantiles(name, 0.25), np.quantile(column, 0.25))

    def test_of_nothing_are_no_numbers(self) -> None:
        one = compute_partition(nn.Linear(2, 1).eval(), square()).statistics()
        assert np.isnan(one.quantiles("area", [0.1, 0.9], inner=True)).tolist() == [True, True]

    def test_of_distances_that_are_infinite_are_infinite(self) -> None:
        one = compute_partition(nn.ReLU().eval(), square(2)).statistics()
        infinite = replace(one, cells=one.cells)
        infinite.__dict__["boundary_distances"] = np.array([1.0, 2, np.inf, np.inf])
        assert infinite.quantiles("boundary_distance", [0, 0.4, 0.9]).tolist() == [1, 2, np.inf]

    def test_refuse_other_names_and_numbers(self, found: Statistics) -> None:
        with pytest.raises(ValueError, match=r"^name: expected one of area, perimeter, .*, got 'size'"):
            found.quantiles("size", 0.5)
        for q in (1.5, [-0.1], [[0.5]]):
            with pytest.raises(ValueError, match=r"^q: expected numbers from 0 to 1, got"):
                found.quantiles("area", q)


class TestText:
    """What a notebook shows."""

    def test_reads_as_a_table(self, partition: Partition, found: Statistics) -> None:
        lines = str(found).splitlines()
        assert lines[0].startswith(f"{partition.n_cells:,} cells ({found.summary['n_inner_cells']:,} inner), ")
        rows = {" ".join(line.split()[:2]): line.split()[2:] for line in lines[4:]}
        assert rows["cell area"][0] == f"{found.summary['cell_area_mean']:.4g}"
        assert rows["cell area"][1] == f"{found.summary['inner_cell_area_mean']:.4g}"
        assert rows["region area"][3] == f"{np.median(found.regions.areas):.4g}"
        assert max(len(line) for line in lines) <= 100
        assert len({len(line) for line in lines[3:]}) == 1, "columns end at one place"
        assert repr(found) == str(found)

    def test_says_nothing_where_there_is_nothing(self) -> None:
        text = str(compute_partition(nn.Linear(2, 1).eval(), square()).statistics())
        assert "nan" not in text
        assert " - " in text


class TestPandas:
    """Rows of cells and regions."""

    def test_a_row_for_each_cell(self, partition: Partition, found: Statistics) -> None:
        table = found.to_pandas()
        assert table.attrs["record"] == found.cells.record()
        assert isinstance(table, pd.DataFrame)
        assert len(table) == partition.n_cells
        assert table.index.name == "cell"
        np.testing.assert_array_equal(table["area"], partition.areas)
        np.testing.assert_array_equal(table[["centroid_x", "centroid_y"]], partition.centroids)
        np.testing.assert_array_equal(table["region"], partition.region_ids)
        np.testing.assert_array_equal(table[["n_active_0", "n_active_1"]], found.n_active)
        np.testing.assert_array_equal(table[["offset_0", "offset_1"]], found.offsets)
        assert set(statistics.CELL_COLUMNS) < set(table.columns)
        # By region, areas come to those of regions.
        np.testing.assert_allclose(table.groupby("region")["area"].sum(), found.regions.areas, rtol=1e-12)

    def test_a_row_for_each_region(self, found: Statistics) -> None:
        table = found.regions_to_pandas()
        assert table.attrs["record"] == found.cells.record()
        assert table.index.name == "region"
        np.testing.assert_array_equal(table["perimeter"], found.regions.perimeters)
        np.testing.assert_array_equal(table["is_clipped"], found.regions.is_clipped)
        np.testing.assert_array_equal(table[["n_active_0", "n_active_1"]], found.regions.n_active)

    def test_inner_ones_keep_their_ids(self, found: Statistics) -> None:
        np.testing.assert_array_equal(found.to_pandas(inner=True).index, np.flatnonzero(~found.is_clipped))
        np.testing.assert_array_equal(found.regions_to_pandas(inner=True).index, np.flatnonzero(~found.regions.is_clipped))

    def test_of_a_file_has_no_active_units(self, partition: Partition, tmp_path: Path) -> None:
        path = tmp_path / "p.npz"
        partition.save(path)
        table = load_partition(path).statistics().to_pandas()
        assert len(table) == partition.n_cells
        assert not [name for name in table if name.startswith("n_active")]
        assert not [name for name in load_partition(path).statistics().regions_to_pandas() if name.startswith("n_active")]

    def test_missing_pandas_is_named(self, found: Statistics, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pandas", None)
        with pytest.raises(ImportError, match=r"^to_pandas needs pandas: pip install 'splinecam_widget\[analysis\]'"):
            found.to_pandas()
        with pytest.raises(ImportError, match=r"^summary_table needs pandas: pip install 'splinecam_widget\[analysis\]'"):
            summary_table([found], pandas=True)


class TestSummaryTable:
    """Many partitions."""

    @pytest.fixture
    def partitions(self) -> list[Partition]:
        planes = [Slice.around(np.zeros(4), seed=seed) for seed in range(3)]
        return partition_many(mlp(4, 8, 8, 2), planes)

    def test_columns_are_summaries(self, partitions: list[Partition]) -> None:
        table = summary_table(partitions, names=["a", "b", "c"])
        assert table["name"].tolist() == ["a", "b", "c"]
        assert table["n_cells"].dtype.kind == "i"
        assert table["n_cells"].tolist() == [p.n_cells for p in partitions]
        np.testing.assert_allclose(table["region_area_mean"], [4 / p.n_regions for p in partitions], rtol=1e-12)
        assert set(table) == {"name", *partitions[0].statistics().summary}

    def test_takes_statistics_and_summaries_as_well(self, partitions: list[Partition]) -> None:
        first, second, third = partitions
        mixed = summary_table(iter([first, second.statistics(), third.statistics().summary]))
        plain = summary_table(partitions)
        for key, column in plain.items():
            np.testing.assert_array_equal(mixed[key], column)
        assert mixed["name"].tolist() == [0, 1, 2]

    def test_networks_of_other_depth_have_no_number_for_some_layers(self, partitions: list[Partition]) -> None:
        deeper = compute_partition(mlp(4, 8, 8, 8, 2), partitions[0].plane)
        table = summary_table([partitions[0], deeper])
        assert np.isnan(table["layer_2_edge_length"]).tolist() == [True, False]
        assert np.isfinite(table["layer_1_edge_length"]).all()

    def test_as_a_frame(self, partitions: list[Partition]) -> None:
        frame = summary_table(partitions, names=[10, 20, 30], pandas=True)
        assert frame.index.tolist() == [10, 20, 30]
        assert frame.index.name == "name"
        assert frame.loc[20, "n_cells"] == partitions[1].n_cells

    @pytest.mark.parametrize(("given", "error", "message"), [
        ([], ValueError, r"^partitions: expected at least one, got none"),
        ([3], TypeError, r"^partitions\[0\]: expected a Partition, its statistics or their summary, got int"),
        ({}, TypeError, r"^partitions: expected a list of partitions, got one dict"),
    ])
    def test_refuses_what_is_no_list_of_partitions(self, given: Any, error: Any, message: str) -> None:
        with pytest.raises(error, match=message):
            summary_table(given)

    def test_refuses_other_summaries_and_names(self, partition: Partition, found: Statistics) -> None:
        with pytest.raises(TypeError, match=r"^partitions: expected a list of partitions, got one Partition"):
            summary_table(partition)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"^partitions\[1\]: expected a summary of the same numbers as the first, got x"):
            summary_table([found, {"x": 1.0}])
        with pytest.raises(ValueError, match=r"^names: expected one for each of 1 partitions, got 2"):
            summary_table([found], names=["a", "b"])


@pytest.mark.slow
def test_statistics_of_a_file_need_no_torch(partition: Partition, tmp_path: Path) -> None:
    path = tmp_path / "p.npz"
    partition.save(path)
    program = (
        "import sys\nfrom splinecam_widget import load_partition, summary_table\n"
        f"p = load_partition({str(path)!r})\nsummary_table([p])\n"
        "p.counts_around([[0.0, 0.0]], 0.5)\np.statistics().to_pandas()\np.region_graph().betweenness(pivots=8)\n"
        "print(sorted({'torch', 'bokeh', 'traitlets', 'IPython'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_names_of_means_are_columns() -> None:
    assert set(summaries.MEANS) <= set(statistics.CELL_COLUMNS)
    assert set(summaries.REGION_MEANS) <= set(region_statistics.REGION_COLUMNS)
