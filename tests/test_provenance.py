"""Which layer and unit made what: prefixes of the network give the same cells, units change sign where their curves are."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cases import cases
from oracle import mlp, square
from splinecam_widget import Slice, compute_partition, load_partition
from splinecam_widget.analysis.provenance import LayerCells
from splinecam_widget.engine.layers import Layer
from splinecam_widget.engine.partition import Partition
from splinecam_widget.engine.tessellation import Tessellation
from zoo import ZOO

AREA_ROUNDINGS = 64 * 2.0**-53
"""Of a shoelace sum over up to 16 corners with coordinates of at most 1, begun at another corner."""


def in_order(cells: Tessellation) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and labelled edges without their numbers: rows in lexicographic order."""
    ends = np.sort(cells.vertices[cells.edges].view(np.complex128)[..., 0], axis=1)
    edges = np.column_stack([ends.real, ends.imag, cells.edge_layer, cells.edge_unit])
    return np.unique(cells.vertices, axis=0), edges[np.lexsort(edges.T)]


def assert_same_geometry(coarse: LayerCells, partition: Partition) -> None:
    for found, expected in zip(in_order(coarse), in_order(partition)):
        np.testing.assert_array_equal(found, expected)
    assert coarse.n_cells == partition.n_cells
    np.testing.assert_allclose(np.sort(coarse.areas), np.sort(partition.areas), rtol=0, atol=AREA_ROUNDINGS)


def assert_holds_the_cells_of(coarse: LayerCells, partition: Partition) -> None:
    """Each cell lies in the one that it is said to lie in; areas add up."""
    np.testing.assert_array_equal(coarse.cell_of, coarse.locate(partition.centroids))
    sums = np.bincount(coarse.cell_of, weights=partition.areas, minlength=coarse.n_cells)
    np.testing.assert_allclose(sums, coarse.areas, rtol=0, atol=1e3 * AREA_ROUNDINGS)  # of up to a thousand cells in one
    np.testing.assert_array_equal(coarse.vertices, partition.vertices[coarse.vertex_ids])


class TestAtLayer:
    """`Partition.at_layer`."""

    @pytest.mark.slow
    @cases(25)
    @given(seed=st.integers(0, 10**6), widths=st.lists(st.integers(1, 12), min_size=1, max_size=3), leaky=st.booleans())
    def test_it_is_the_partition_by_the_layers_alone(self, seed: int, widths: list[int], leaky: bool) -> None:
        net = mlp(2, *widths, 2, seed=seed)
        if leaky:
            net = nn.Sequential(*(nn.LeakyReLU(0.1) if isinstance(m, nn.ReLU) else m for m in net)).eval()
        partition = compute_partition(net, square())
        for k in range(len(widths) + 1):
            coarse = partition.at_layer(k)
            assert_same_geometry(coarse, compute_partition((net[:2 * k] if k else nn.Identity()).eval(), square()))
            assert_holds_the_cells_of(coarse, partition)

    @pytest.mark.slow
    @pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
    def test_of_a_network_with_max_pooling(self, k: int) -> None:
        entry = ZOO["LeNet with max-pooling"]
        net, plane = entry.model(), entry.plane().with_domain(0.1 * np.array([[-1.0, -1], [1, -1], [1, 1], [-1, 1]]))
        partition = compute_partition(net, plane)
        stops = [i + 1 for i, m in enumerate(net) if isinstance(m, (nn.ReLU, nn.MaxPool2d))]
        coarse = partition.at_layer(k)
        # Flattened, for outputs have one axis.
        assert_same_geometry(coarse, compute_partition(nn.Sequential(*net[:stops[k - 1]], nn.Flatten()).eval(), plane))
        assert_holds_the_cells_of(coarse, partition)

    @pytest.mark.parametrize("corners", [[0], [0, 2], [1, 3], [0, 1, 2, 3]])
    def test_lines_of_later_layers_that_end_in_corners_leave_the_corners(self, corners: list[int]) -> None:
        """The second layer's kinks are lines from corners to the middle of the far side."""
        plane = square()
        lines = [np.cross([*plane.domain[c], 1.0], [0.3, 0.2, 1.0]) for c in corners]
        second = nn.Linear(2, len(lines)).double()
        with torch.no_grad():
            second.weight.copy_(torch.tensor(np.array(lines)[:, :2]))
            second.bias.copy_(torch.tensor(np.array(lines)[:, 2]))
        net = nn.Sequential(ShiftedReLU(4.0), second, nn.ReLU()).eval()
        partition = compute_partition(net, plane)
        assert partition.n_cells > 1
        coarse = partition.at_layer(1)
        assert coarse.n_cells == 1
        assert len(coarse.vertices) == 4
        assert_holds_the_cells_of(coarse, partition)

    def test_all_layers_are_the_partition_itself(self) -> None:
        partition = compute_partition(mlp(2, 8, 8, 1, seed=3), square())
        coarse = partition.at_layer(2)
        np.testing.assert_array_equal(coarse.cell_vertices, partition.cell_vertices)
        np.testing.assert_array_equal(coarse.cell_of, np.arange(partition.n_cells))

    def test_it_is_a_complex_that_speaks_of_itself(self) -> None:
        coarse = compute_partition(mlp(2, 8, 8, 1, seed=3), square()).at_layer(1)
        assert len(coarse.vertices) - len(coarse.edges) + coarse.n_cells == 1
        np.testing.assert_array_equal((coarse.edge_cells >= 0).sum(axis=1), np.where(coarse.edge_layer < 0, 1, 2))
        assert repr(coarse).startswith(f"LayerCells({coarse.n_cells} cells of the first 1 layers, ")

    @pytest.mark.parametrize("k", [-1, 3, 1.5, "a", None])
    def test_there_must_be_so_many_layers(self, k: object) -> None:
        partition = compute_partition(mlp(2, 4, 4, 1), square())
        with pytest.raises(ValueError, match=r"k: expected a number of layers from 0 to 2, got"):
            partition.at_layer(k)


class ShiftedReLU(nn.Module):
    """A ReLU whose kinks lie outside the domain."""

    def __init__(self, shift: float) -> None:
        super().__init__()
        self.shift = shift

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.shift) - self.shift


def pre_activations(net: nn.Sequential, layer: int, plane: Slice, u: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return net[:2 * layer + 1].double()(torch.from_numpy(plane.to_input(u))).numpy()


class TestUnitCurve:
    """`Partition.unit_curve`."""

    @pytest.mark.slow
    @cases(15)
    @given(seed=st.integers(0, 10**6))
    def test_a_unit_changes_sign_where_a_line_crosses_its_curve(self, seed: int) -> None:
        """Along random straight lines: crossings of the curve, counted by shapely, against a dense sample of the unit."""
        shapely = pytest.importorskip("shapely")
        net, plane = mlp(2, 6, 6, 1, seed=seed), square()
        partition = compute_partition(net, plane)
        rng = np.random.default_rng(seed)
        for layer in range(2):
            for unit in range(6):
                curve = partition.unit_curve(layer, unit)
                shape = shapely.MultiLineString([curve.lines.line(i) for i in range(len(curve.lines))])
                a, b = rng.uniform(-1, 1, (2, 2))
                t = np.linspace(0, 1, 20001)[:, None]
                z = pre_activations(net, layer, plane, a + t * (b - a))[:, unit]
                places = (t[:-1, 0] + t[1:, 0])[(z[:-1] > 0) != (z[1:] > 0)] / 2
                met = shapely.intersection(shape, shapely.LineString([a, b]))
                points = shapely.get_coordinates(met)
                found = np.sort((points - a) @ (b - a) / np.sum((b - a) ** 2))
                if len(found) != len(places):  # two crossings between two samples cannot be seen by them
                    assert (len(found) - len(places)) % 2 == 0
                    continue
                np.testing.assert_allclose(found, places, atol=1e-4)

    def test_its_edges_are_zeros_of_the_unit(self) -> None:
        net, plane = mlp(2, 10, 10, 10, 3, seed=5), square()
        partition = compute_partition(net, plane)
        seen = 0
        for layer in range(3):
            z = pre_activations(net, layer, plane, partition.vertices)
            for unit in range(10):
                curve = partition.unit_curve(layer, unit)
                seen += len(curve.edges)
                assert np.abs(z[partition.edges[curve.edges], unit]).max(initial=0.0) < 1e-13
                lengths = np.linalg.norm(np.diff(partition.vertices[partition.edges[curve.edges]], axis=1), axis=-1)
                assert curve.length == pytest.approx(lengths.sum())
        assert seen == (partition.edge_layer >= 0).sum()  # no unit shares an edge with another one in this net

    @pytest.mark.slow
    @pytest.mark.parametrize("name", ["GroupSort", "maxout", "conditions", "MobileNet-like, ReLU6", "INR, positional encoding",
                                      "functional, softmax", "1-D audio", "U-Net-like, bilinear"])
    def test_of_all_kinds_of_kinks_the_named_edges_are_in_the_curves(self, name: str) -> None:
        entry = ZOO[name]
        plane = entry.plane().with_domain(0.2 * np.array([[-1.0, -1], [1, -1], [1, 1], [-1, 1]]))
        partition = compute_partition(entry.model(), plane)
        inner = np.flatnonzero(partition.edge_layer >= 0)
        assert len(inner)
        for layer, unit in np.unique(np.column_stack([partition.edge_layer, partition.edge_unit])[inner], axis=0)[:12]:
            named = np.flatnonzero((partition.edge_layer == layer) & (partition.edge_unit == unit))
            assert set(named) <= set(partition.unit_curve(layer, unit).edges)

    def test_units_that_bend_at_the_same_place_both_have_the_curve(self, tmp_path: Path) -> None:
        net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)).eval()
        with torch.no_grad():
            net[0].weight.copy_(torch.tensor([[1.0, 0.0], [-2.0, 0.0], [0.0, 1.0]]))
            net[0].bias.copy_(torch.tensor([-0.25, 0.5, 0.0]))
        partition = compute_partition(net, square())
        first, second = partition.unit_curve(0, 0), partition.unit_curve(0, 1)
        np.testing.assert_array_equal(first.edges, second.edges)
        assert second.length == 2.0
        np.testing.assert_array_equal(second.lines.ends, [[1, 1]])
        partition.save(tmp_path / "net.npz")
        loaded = load_partition(tmp_path / "net.npz")
        assert loaded.unit_curve(0, 0).length == 2.0
        assert len(loaded.unit_curve(0, 1).edges) == 0

    def test_a_closed_curve(self) -> None:
        """|u_0| + |u_1| - 1/2 vanishes on a diamond."""
        net = nn.Sequential(nn.Linear(2, 4, bias=False), nn.ReLU(), nn.Linear(4, 1), nn.ReLU()).eval()
        with torch.no_grad():
            net[0].weight.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
            net[2].weight.fill_(1.0)
            net[2].bias.fill_(-0.5)
        curve = compute_partition(net, square()).unit_curve(1, 0)
        assert curve.lines.is_closed.tolist() == [True]
        assert len(curve.edges) == 4
        assert curve.length == pytest.approx(2 * np.sqrt(2), rel=1e-15)

    def test_layers_and_units_must_exist(self) -> None:
        partition = compute_partition(mlp(2, 4, 4, 1), square())
        with pytest.raises(ValueError, match=r"layer: expected a layer of kinks from 0 to 1, got 2"):
            partition.unit_curve(2, 0)
        with pytest.raises(ValueError, match=r"unit: expected a number from 0 to 3, got -1"):
            partition.unit_curve(1, -1)


class TestLayers:
    """`Partition.layers`."""

    @staticmethod
    def conv_net() -> nn.Sequential:
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 5), nn.ReLU6(),
                             nn.Linear(5, 2)).double().eval()

    def test_their_units_are_arranged_as_in_the_model(self, tmp_path: Path) -> None:
        partition = compute_partition(self.conv_net(), Slice.around(np.zeros((1, 6, 6)), radius=3.0))
        assert partition.layers == (
            Layer("1", "relu", (3, 4, 4)), Layer("2", "max_pool2d", (3, 2, 2)), Layer("5", "hardtanh", (5,)))
        partition.save(tmp_path / "net.npz")
        assert load_partition(tmp_path / "net.npz").layers == partition.layers

    def test_an_edge_of_a_channel_is_a_zero_of_that_channel(self) -> None:
        net, plane = self.conv_net(), Slice.around(np.zeros((1, 6, 6)), radius=3.0)
        partition = compute_partition(net, plane)
        with torch.no_grad():
            z = net[0](torch.from_numpy(plane.to_input(partition.vertices))).numpy()
        of_first = np.flatnonzero(partition.edge_layer == 0)
        assert len(of_first)
        for edge in of_first:
            channel, row, column = partition.layers[0].place_of(partition.edge_unit[edge])
            assert np.abs(z[partition.edges[edge], channel, row, column]).max() < 1e-13
            assert partition.layers[0].unit_at((channel, row, column)) == partition.edge_unit[edge]
        places = partition.layers[0].places_of(partition.edge_unit[of_first])
        assert places.tolist() == [list(partition.layers[0].place_of(unit)) for unit in partition.edge_unit[of_first]]

    def test_names(self) -> None:
        layer = Layer("net.3", "relu", (4, 5, 6))
        assert layer.name_of(37) == "net.3 (relu), channel 1, row 1, column 1"
        assert Layer("", "relu", (7,)).name_of(2) == "model (relu), unit 2"
        assert Layer("a", "relu", (2, 9)).name_of(10) == "a (relu), channel 1, position 1"
        with pytest.raises(ValueError, match=r"place: expected indices within \(4, 5, 6\), got \(0, 5, 0\)"):
            layer.unit_at((0, 5, 0))
        with pytest.raises(ValueError, match=r"unit: expected a number from 0 to 119, got 120"):
            layer.place_of(120)
        assert Layer("a", "relu", ()).places_of([0, 0]).shape == (2, 0)
        assert layer.places_of([]).shape == (0, 3)
        for units, text in (([0, 120], "numbers from 0 to 119, got 0 to 120"), ([0.5], "whole numbers"), (3, "whole numbers")):
            with pytest.raises(ValueError, match=f"^units: expected {text}"):
                layer.places_of(units)


class Shared(nn.Module):
    """Eight units whose lines are shared: by a second layer, or by eight others of the same one."""

    def __init__(self, bends: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.bends, self.first = bends, nn.Linear(2, 8)
        self.last = nn.Linear(8 if bends == "a sum" else 16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.first(x)
        if self.bends == "two layers":
            return self.last(torch.cat([torch.relu(z), z.abs()], 1))
        if self.bends == "mirrored":
            return self.last(torch.relu(torch.cat([z, -z], 1)))
        return self.last(torch.where(z > 0, z, 0.1 * z) + z * (z > 0))


def pooling() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3)).eval()


def overlapping() -> nn.Sequential:
    torch.manual_seed(2)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(3, 1), nn.Flatten(), nn.Linear(32, 3)).eval()


class TestLayerLines:
    """`Partition.layer_lines`."""

    @pytest.mark.parametrize("bends", ["two layers", "mirrored", "a sum"])
    def test_units_that_share_lines(self, bends: str) -> None:
        """Whatever edges are called: a unit bends where its pre-activation is zero."""
        net = Shared(bends).eval()
        partition = compute_partition(net, square())
        with torch.no_grad():
            z = copy.deepcopy(net.first).double()(torch.from_numpy(partition.vertices)).numpy()
        ends = z[partition.edges]
        on_line = (np.abs(ends) < 1e-12).all(axis=1)
        assert partition.asks_network_for_lines(0)
        for layer in range(len(partition.layers)):
            lines = partition.layer_lines(layer)
            np.testing.assert_array_equal(lines.edges, np.flatnonzero(on_line.any(axis=1)))
            units = np.flatnonzero(on_line.any(axis=0))
            mirrored = np.concatenate([units, units + 8]) if bends == "mirrored" else units
            np.testing.assert_array_equal(lines.units, mirrored)
            assert lines.length > 0

    @pytest.mark.parametrize("make", [pooling, overlapping])
    def test_pools_bend_where_their_winner_changes(self, make: Callable[[], nn.Sequential]) -> None:
        net = make()
        partition = compute_partition(net, Slice.around(np.random.default_rng(0).standard_normal((1, 8, 8)), seed=1))
        sides = np.flatnonzero((partition.edge_cells >= 0).all(axis=1))
        inputs = torch.from_numpy(partition.plane.to_input(partition.centroids))
        for layer, record in enumerate(partition.layers):
            before = copy.deepcopy(net[:int(record.path)]).double()
            with torch.no_grad():
                z = before(inputs) if len(before) else inputs
                if record.operation == "relu":
                    pieces = (z > 0).flatten(1).numpy()
                else:
                    pool = net[int(record.path)]
                    pieces = torch.nn.functional.max_pool2d(
                        z, pool.kernel_size, pool.stride, return_indices=True)[1].flatten(1).numpy()
                    if layer:  # where all entries are zero the first one wins, in torch as here
                        assert (z == 0).any()
            differ = pieces[partition.edge_cells[sides, 0]] != pieces[partition.edge_cells[sides, 1]]
            lines = partition.layer_lines(layer)
            np.testing.assert_array_equal(lines.edges, sides[differ.any(axis=1)])
            np.testing.assert_array_equal(lines.units, np.flatnonzero(differ.any(axis=0)))

    @pytest.mark.parametrize("seed", range(4))
    def test_all_curves_of_units_together(self, seed: int, tmp_path: Path) -> None:
        partition = compute_partition(mlp(2, 9, 7, 2, seed=seed), square())
        partition.save(tmp_path / "p.npz")
        stored = load_partition(tmp_path / "p.npz")
        for layer, record in enumerate(partition.layers):
            curves = [partition.unit_curve(layer, unit) for unit in range(record.n_units)]
            for found in (partition.layer_lines(layer), stored.layer_lines(layer)):
                np.testing.assert_array_equal(found.edges, np.unique(np.concatenate([curve.edges for curve in curves])))
                np.testing.assert_array_equal(found.units, [unit for unit, curve in enumerate(curves) if len(curve.edges)])
                assert found.length == pytest.approx(sum(curve.length for curve in curves), rel=1e-12)
                said = f"{len(found.units)} of {record.n_units} units bend along {len(found.edges)} edges"
                assert repr(found).startswith(f"LayerLines({record.name}; {said}, length ")
            assert not partition.asks_network_for_lines(layer)

    @pytest.mark.parametrize("layer", [-1, 2, "relu", 0.5])
    def test_there_must_be_such_a_layer(self, layer: object) -> None:
        with pytest.raises(ValueError, match=r"^layer: expected a layer of kinks from 0 to 1, got"):
            compute_partition(mlp(2, 4, 4, 1), square()).layer_lines(layer)
