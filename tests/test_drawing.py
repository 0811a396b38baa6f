"""What pictures show, before they have a format: names, levels, widths of lines, sizes."""

from __future__ import annotations

import pytest
import torch

from splinecam_widget import Partition, Slice, compute_partition
from splinecam_widget.analysis.drawing import drawing_of


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


def test_a_record_is_a_copy() -> None:
    partition = TestRefused.partition(1)
    partition.record()["model"]["layers"].append("mine")
    assert partition.record()["model"]["layers"] == []
