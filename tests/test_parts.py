"""Convex parts with one winner fill the domain, each inside its cell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
import torch

from exported import lone, part, several, single
from splinecam_widget.analysis.drawing import drawing_of, names_of
from splinecam_widget.analysis.parts import parts_of
from splinecam_widget.engine.boundary import winners_of


@pytest.mark.parametrize("make", [several, single, lone, part])
def test_parts_are_where_they_say_and_have_the_class_of_the_network(make: Any) -> None:
    p = make()
    parts = parts_of(p, winners_of(p))
    polygons = [shapely.Polygon(corners) for corners in np.split(parts.points, parts.offsets[1:-1])]
    areas = np.array([polygon.area for polygon in polygons])
    np.testing.assert_allclose(np.bincount(parts.cells, areas), p.areas, rtol=0, atol=1e-9)
    wide = areas > 1e-9
    middles = np.array([polygon.centroid.coords[0] for polygon in polygons])[wide]
    np.testing.assert_array_equal(p.locate(middles), parts.cells[wide])
    with torch.no_grad():
        outputs = p.network.reference(torch.from_numpy(p.plane.to_input(middles))).numpy()
    expected = outputs.argmax(axis=1) if outputs.shape[1] > 1 else outputs[:, 0] > 0
    np.testing.assert_array_equal(parts.classes[wide], expected)


def test_lines_are_fine_where_cells_are_many_and_pictures_small() -> None:
    drawing = drawing_of(several(), "class", None, 0.0)
    widths = [drawing.line_widths(800, 800, n) for n in (10, 1000, 20_000, 100_000)]
    assert all(first >= second for first, second in zip(np.array(widths)[:-1, 0], np.array(widths)[1:, 0]))
    assert all(boundary > 2 * edge for edge, boundary in widths)
    assert drawing.line_widths(100, 100, 10)[0] < widths[0][0]


def test_names() -> None:
    assert names_of(several(), None) == ["0", "1", "2"]
    assert names_of(single(), None, 0.5) == ["≤ 0.5", "> 0.5"]
    assert names_of(single(), ["no", "yes"]) == ["no", "yes"]
