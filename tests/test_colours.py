"""Colours mean what the legend says, and the same thing in every slice."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from splinecam_widget import Partition, Slice, compute_partition
from splinecam_widget.analysis.colours import CLASS_COLOURS, COLOR_BY, class_palette, colouring_of, hex_of, words_of
from splinecam_widget.engine.boundary import winners_of

ANCHORS = np.random.default_rng(5).standard_normal((4, 6))


def net(n_outputs: int, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 8), nn.ReLU(), nn.Linear(8, n_outputs)
        ).double().eval()


@pytest.fixture(scope="module")
def partition() -> Partition:
    return compute_partition(net(3), Slice.through(*ANCHORS[:3]))


def names(n: int) -> list[str]:
    return [f"class {k}" for k in range(n)]


def rgba(words: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Words as the browser reads them: four bytes, red first."""
    return words.astype("<u4").view(np.uint8).reshape(len(words), 4)


class TestWords:
    def test_red_is_the_lowest_byte(self) -> None:
        word = words_of(np.array([[0x12, 0x34, 0x56]], np.uint8))
        assert rgba(word).tolist() == [[0x12, 0x34, 0x56, 0xFF]]
        assert hex_of(word[0]) == "#123456"

    @pytest.mark.parametrize("n", [0, 1, 2, 10, 11, 100])
    def test_palette(self, n: int) -> None:
        palette = class_palette(n)
        assert palette.shape == (n,)
        assert [hex_of(word) for word in palette[:10]] == list(CLASS_COLOURS[:n])
        assert len(set(palette.tolist())) == n
        np.testing.assert_array_equal(class_palette(n + 5)[:n], palette)  # a class keeps its colour when others come


class TestClass:
    def test_cells_have_the_colour_of_the_class_that_wins(self, partition: Partition) -> None:
        winners = winners_of(partition)
        colouring = colouring_of(partition, winners, "class", names(3))
        entries = {entry["name"]: entry["colour"] for entry in colouring.legend["entries"]}
        x = torch.from_numpy(partition.plane.to_input(partition.centroids))
        predicted = net(3)(x).argmax(dim=1).numpy()
        whole = np.setdiff1d(np.arange(partition.n_cells), winners.piece_cells)  # the boundary misses these cells
        assert len(whole) > 0
        shown = [hex_of(word) for word in colouring.cells[whole]]
        assert shown == [entries[f"class {k}"] for k in predicted[whole]]

    def test_pieces_have_the_colour_of_their_class(self, partition: Partition) -> None:
        winners = winners_of(partition)
        colouring = colouring_of(partition, winners, "class", names(3))
        assert len(colouring.pieces) == len(winners.piece_classes) > 0
        offsets = winners.piece_offsets
        middles = np.stack([winners.piece_points[a:b].mean(axis=0) for a, b in itertools.pairwise(offsets)])
        predicted = net(3)(torch.from_numpy(partition.plane.to_input(middles))).argmax(dim=1).numpy()
        np.testing.assert_array_equal(colouring.pieces, class_palette(3)[predicted])

    def test_one_output_has_two_classes(self) -> None:
        found = compute_partition(net(1), Slice.through(*ANCHORS[:3]))
        colouring = colouring_of(found, winners_of(found), "class", ["no", "yes"])
        assert [entry["name"] for entry in colouring.legend["entries"]] == ["no", "yes"]
        assert set(colouring.cells.tolist()) <= set(class_palette(2).tolist())

    def test_legend_of_many_classes_names_those_on_show(self) -> None:
        found = compute_partition(net(30), Slice.through(*ANCHORS[:3]))
        winners = winners_of(found)
        legend = colouring_of(found, winners, "class", names(30)).legend
        assert [entry["name"] for entry in legend["entries"]] == [f"class {k}" for k in np.unique(winners.cells)]


class TestPattern:
    def test_the_same_pattern_has_the_same_colour_in_every_slice(self) -> None:
        colour_of: dict[bytes, int] = {}
        n_seen_again = 0
        for ids in ([0, 1, 2], [0, 1, 3], [2, 0, 1], [3, 2, 0]):
            found = compute_partition(net(3), Slice.through(*ANCHORS[ids]))
            patterns = np.concatenate(found.patterns(np.arange(found.n_cells)), axis=1)
            colours = colouring_of(found, winners_of(found), "pattern", names(3)).cells
            for pattern, colour in zip(patterns, colours.tolist()):
                n_seen_again += pattern.tobytes() in colour_of
                assert colour_of.setdefault(pattern.tobytes(), colour) == colour
        assert n_seen_again > 20
        # 256 colours: some of about a hundred patterns share one, as birthdays do, but most do not.
        assert len(set(colour_of.values())) > len(colour_of) / 2

    def test_nothing_is_painted_over_the_cells(self, partition: Partition) -> None:
        colouring = colouring_of(partition, winners_of(partition), "pattern", names(3))
        assert len(colouring.pieces) == 0
        assert colouring.legend["kind"] == "none"


class TestScale:
    @pytest.mark.parametrize("color_by", ["area", "slope"])
    def test_brighter_is_more(self, partition: Partition, color_by: str) -> None:
        values = partition.areas if color_by == "area" else partition.slope_norms
        colouring = colouring_of(partition, winners_of(partition), color_by, names(3))
        # Viridis: green rises from end to end.
        green = rgba(colouring.cells)[np.argsort(values), 1].astype(int)
        assert (np.diff(green) >= 0).all()
        assert green[-1] > green[0]

    @pytest.mark.parametrize("n_outputs", [1, 2, 3])
    def test_margins_are_those_of_the_model(self, n_outputs: int) -> None:
        model = net(n_outputs)
        found = compute_partition(model, Slice.through(*ANCHORS[:3]))
        colouring = colouring_of(found, winners_of(found), "margin", names(max(2, n_outputs)))
        middles = [found.vertices[found.cell_vertices[a:b]].mean(axis=0) for a, b in itertools.pairwise(found.cell_offsets)]
        with torch.no_grad():
            outputs = model(torch.from_numpy(found.plane.to_input(np.array(middles))))
        expected = outputs[:, 0].abs() if n_outputs == 1 else outputs.topk(2).values @ torch.tensor([1.0, -1.0]).double()
        np.testing.assert_allclose(colouring.values, expected, rtol=0, atol=1e-12)
        assert colouring.legend["title"] == "margin of the class"
        assert (colouring.legend["kind"], len(colouring.pieces)) == ("scale", 0)

    def test_slivers_do_not_take_the_scale_of_areas(self, partition: Partition) -> None:
        areas = partition.areas
        legend = colouring_of(partition, winners_of(partition), "area", names(3)).legend
        # The ends come from logarithms.
        below, up_to = (areas[areas < legend["low"] * (1 + side)].sum() for side in (-1e-9, 1e-9))
        assert below <= 0.01 * areas.sum() < up_to
        assert areas[areas > legend["high"] * (1 + 1e-9)].sum() <= 0.01 * areas.sum()
        # A third of the cells are slivers here, of a millionth of the others' area.
        slivers = replace(partition)
        thin = np.where(np.arange(len(areas)) % 3 == 0, 1e-6, 1.0) * areas
        slivers.__dict__["areas"] = thin
        thinned = colouring_of(slivers, winners_of(partition), "area", names(3)).legend
        assert thinned["low"] >= np.sort(thin[thin > 1e-5 * areas])[0]
        assert thinned["is_low_clipped"]

    def test_where_one_size_covers_nearly_everything_the_others_still_differ(self, partition: Partition) -> None:
        other = compute_partition(partition.network, partition.plane)
        areas = np.geomspace(1e-4, 1e-2, partition.n_cells)
        areas[0] = 1e4
        other.__dict__["areas"] = areas
        legend = colouring_of(other, winners_of(partition), "area", names(3)).legend
        assert 1e-4 <= legend["low"] < legend["high"] <= 1e4

    def test_truth_values_are_zero_and_one(self, partition: Partition) -> None:
        is_large = partition.areas > np.median(partition.areas)
        expected = colouring_of(partition, winners_of(partition), is_large.astype(float), names(3))
        for given in (is_large, torch.from_numpy(is_large)):
            found = colouring_of(partition, winners_of(partition), given, names(3))
            np.testing.assert_array_equal(found.cells, expected.cells)
            assert found.legend == expected.legend

    @pytest.mark.parametrize("color_by", ["area", "slope"])
    def test_legend_spans_all_but_the_outliers(self, partition: Partition, color_by: str) -> None:
        values = partition.areas if color_by == "area" else partition.slope_norms
        legend = colouring_of(partition, winners_of(partition), color_by, names(3)).legend
        assert legend["kind"] == "scale"
        assert legend["log"] == (color_by == "area")
        assert values.min() <= legend["low"] < legend["high"] <= values.max()
        assert legend["is_low_clipped"] == (values.min() < legend["low"] * (1 - 1e-12))
        assert legend["is_high_clipped"] == (values.max() > legend["high"] * (1 + 1e-12))
        assert legend["is_low_clipped"]
        assert legend["is_high_clipped"] == (color_by == "slope")  # the largest cell is more than a hundredth of the whole
        assert all(len(colour) == 7 for colour in legend["palette"])

    def test_one_cell(self) -> None:
        found = compute_partition(nn.Linear(6, 3).double().eval(), Slice.through(*ANCHORS[:3]))
        for color_by in ("area", "slope"):
            colouring = colouring_of(found, winners_of(found), color_by, names(3))
            assert len(colouring.cells) == 1
            assert colouring.legend["low"] < colouring.legend["high"]

    def test_slope_is_the_largest_stretch(self) -> None:
        A = torch.tensor([[3.0, 0.0], [0.0, 4.0]], dtype=torch.float64)
        found = compute_partition(lambda x: x @ A.T, Slice.from_basis([0.0, 0.0], np.eye(2)))
        legend = colouring_of(found, winners_of(found), "slope", names(2)).legend
        assert legend["low"] < 4 < legend["high"]
        assert not legend["is_low_clipped"]
        assert not legend["is_high_clipped"]
        assert legend["low"] + legend["high"] == pytest.approx(8)


class TestOutput:
    def test_rgb_and_grey_are_the_outputs_in_the_middle(self) -> None:
        A, b = torch.tensor([[1.0, 0, 0], [0, 1, 0]]).double(), torch.tensor([0.0, 0, 2])
        square = Slice.from_basis([0.0, 0.0], np.eye(2), [[0, 0], [1, 0], [1, 1], [0, 1]])
        found = compute_partition(lambda x: x @ A + b, square)
        assert found.n_cells == 1
        colouring = colouring_of(found, winners_of(found), "output", names(3))
        assert rgba(colouring.cells).tolist() == [[128, 128, 255, 255]]
        found = compute_partition(lambda x: x[:, :1].relu() * 0.4, square)
        assert rgba(colouring_of(found, winners_of(found), "output", names(2)).cells).tolist() == [[51, 51, 51, 255]]


@pytest.mark.parametrize("color_by", COLOR_BY)
def test_every_colouring_has_one_opaque_colour_a_cell(partition: Partition, color_by: str) -> None:
    colouring = colouring_of(partition, winners_of(partition), color_by, names(3))
    assert colouring.cells.shape == (partition.n_cells,)
    assert colouring.cells.dtype == np.uint32
    assert (rgba(colouring.cells)[:, 3] == 255).all()
    assert colouring.legend["kind"] in ("classes", "scale", "none")


def test_unknown(partition: Partition) -> None:
    with pytest.raises(ValueError, match="color_by: expected one of class, margin, pattern, area, slope, output, got 'height'"):
        colouring_of(partition, winners_of(partition), "height", names(3))


@pytest.mark.parametrize("value", [0.0, 1e17, -1e300])
def test_numbers_without_a_span_have_one_colour(value: float) -> None:
    cells = compute_partition(torch.nn.ReLU().eval(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
    found = colouring_of(cells, winners_of(cells), np.full(cells.n_cells, value), ["a", "b"])
    assert len(np.unique(found.cells)) == 1
    assert found.legend["low"] < value < found.legend["high"]


@pytest.mark.parametrize("color_by", ["margin", "slope"])
def test_a_scale_does_not_go_where_nothing_can_be(color_by: str) -> None:
    cells = compute_partition(nn.Linear(2, 3).eval(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
    found = colouring_of(cells, winners_of(cells), color_by, names(3))
    assert 0 <= found.legend["low"] <= found.values[0] < found.legend["high"]


def test_numbers_as_far_apart_as_there_are() -> None:
    cells = compute_partition(torch.nn.ReLU().eval(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
    found = colouring_of(cells, winners_of(cells), np.array([-1.7e308, -6e307, 6e307, 1.7e308]), ["a", "b"])
    assert len(np.unique(found.cells)) == cells.n_cells
