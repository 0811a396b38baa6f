"""What pictures show, before they have a format: names, levels, widths of lines, sizes."""

from __future__ import annotations

import io
from typing import Any
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from PIL import Image

from oracle import mlp, square
from splinecam_widget import Partition, Slice, compute_partition
from splinecam_widget.analysis.drawing import drawing_of

mpl.use("agg")


class TestRefused:
    """What no picture is made of."""

    @staticmethod
    def partition(n_outputs: int) -> Partition:
        return compute_partition(lambda x: torch.cat([x, x.sum(1, keepdim=True)], 1)[:, :n_outputs],
                                 Slice.from_basis([0.0, 0.0], torch.eye(2)))

    @pytest.mark.parametrize("name", ["a\x00b", "line\nbreak", "\ud800"])
    def test_names_with_control_characters(self, name: str) -> None:
        with pytest.raises(ValueError, match=r"class_names: expected texts without control characters"):
            self.partition(2).to_svg(class_names=[name, "b"])

    @pytest.mark.parametrize("call", [
        "to_svg", "to_png", "to_geojson", "to_pandas", "to_shapely", "to_bokeh", "decision_regions"])
    def test_levels_of_several_outputs(self, call: str) -> None:
        with pytest.raises(ValueError, match=r"level: expected 0 for a model with 3 outputs, got 0.5"):
            getattr(self.partition(3), call)(level=0.5)

    @pytest.mark.parametrize("level", ["x", None, float("nan"), [0.0, 1.0], True])
    def test_levels_that_are_no_numbers(self, level: object) -> None:
        with pytest.raises(ValueError, match=r"level: expected a finite number, got"):
            self.partition(1).to_svg(level=level)

    @pytest.mark.parametrize("call", ["to_svg", "to_png"])
    def test_pictures_that_are_too_high(self, call: str) -> None:
        tall = Slice.from_basis([0.0, 0.0], torch.eye(2), domain=[[0, 0], [1, 0], [1, 60], [0, 60]])
        partition = compute_partition(lambda x: x[:, :1] - 0.5, tall)
        text = r"width: expected at most 546 pixels, for the domain is much higher than wide, got 800"
        with pytest.raises(ValueError, match=text):
            getattr(partition, call)()
        assert getattr(partition, call)(width=100)


def test_the_boundary_of_a_long_domain_stands_out() -> None:
    partition = compute_partition(lambda x: x[:, :1], Slice.from_basis([0.0, 0.0], torch.eye(2),
                                                                       domain=[[-3, 0], [3, 0], [3, 0.6], [-3, 0.6]]))
    drawing = drawing_of(partition, "class", None, 0.0)
    assert drawing.line_widths(480, 48, partition.n_cells)[1] > 0.75


class TestLayer:
    """Lines of one layer, in every format: on their middles dark, and on other edges' fainter than without."""

    @staticmethod
    def partition() -> Partition:
        return compute_partition(mlp(2, 9, 7, 2, seed=3), square())

    @staticmethod
    def middles(partition: Partition, layer: int) -> tuple[np.ndarray, np.ndarray]:
        """Of the longest edges of the layer, and of another one."""
        found = []
        for is_mine in (True, False):
            edges = np.flatnonzero((partition.edge_layer >= 0) & ((partition.edge_layer == layer) == is_mine))
            ends = partition.vertices[partition.edges[edges]]
            longest = np.argsort(np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1))[-20:]
            found.append(ends[longest].mean(axis=1))
        return found[0], found[1]

    @pytest.mark.parametrize("layer", [0, 1])
    def test_png(self, layer: int) -> None:
        partition = self.partition()

        def darkness(points: np.ndarray, **options: Any) -> float:
            png = partition.to_png(color_by="pattern", boundary=False, width=900, **options)
            image = Image.open(io.BytesIO(png)).convert("L")
            x, y = np.clip((points * [1, -1] + 1) / 2 * 900, 0, 899).astype(int).T
            return 255 - float(np.asarray(image)[y, x].mean())

        mine, others = self.middles(partition, layer)
        assert darkness(mine, layer=layer) > darkness(mine) + 20
        assert darkness(others, layer=layer) < darkness(others) - 5
        assert darkness(mine, layer=layer, edges=False) > darkness(mine) + 20
        assert darkness(others, layer=layer, edges=False) < darkness(others, layer=layer)

    @pytest.mark.parametrize("layer", [0, 1])
    def test_vectors(self, layer: int) -> None:
        partition = self.partition()
        ends = partition.vertices[partition.edges[partition.edge_layer == layer]]
        root = ET.fromstring(partition.to_svg(width=500, layer=layer))
        (path,) = [element for element in root.iter() if element.get("id") == "lines"]
        data = np.array([run.split() for run in path.get("d", "").split("M")[1:]], float).reshape(-1, 2, 2)
        # Hundredths of a pixel of 250 in a unit, the second coordinate downwards.
        np.testing.assert_allclose(data / 100, (ends * [1, -1] + 1) * 250, atol=0.0051)
        drawn = {renderer.name: renderer for renderer in partition.to_bokeh(layer=layer).renderers}
        source = drawn["lines"].data_source.data
        np.testing.assert_array_equal(np.stack([source[k] for k in ("x0", "y0", "x1", "y1")], axis=-1).reshape(-1, 2, 2), ends)
        assert drawn["lines"].glyph.line_alpha > 5 * drawn["edges"].glyph.line_alpha
        assert drawn["lines"].glyph.line_width > drawn["edges"].glyph.line_width
        axes = partition.plot(plt.subplots()[1], layer=layer)
        plt.close(axes.figure)
        strokes = [c for c in axes.collections if c.get_alpha() == pytest.approx(drawn["lines"].glyph.line_alpha)]
        (lines,) = [c for c in strokes if len(np.concatenate([p.vertices for p in c.get_paths()])) == 2 * len(ends)]
        np.testing.assert_array_equal(np.concatenate([p.vertices for p in lines.get_paths()]).reshape(-1, 2, 2), ends)

    @pytest.mark.parametrize("call", ["to_svg", "to_png", "to_bokeh", "plot"])
    def test_a_layer_that_is_not_there(self, call: str) -> None:
        with pytest.raises(ValueError, match=r"^layer: expected a layer of kinks from 0 to 1, got 2$"):
            getattr(self.partition(), call)(layer=2)


def test_a_record_is_a_copy() -> None:
    partition = TestRefused.partition(1)
    partition.record()["model"]["layers"].append("mine")
    assert partition.record()["model"]["layers"] == []
