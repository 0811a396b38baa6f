"""Figures of Bokeh: stock glyphs with the cells' corners, and a page that holds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bokeh.embed import file_html
from bokeh.models import HoverTool
from bokeh.resources import INLINE

from exported import lone, part, reloaded, several, single
from oracle import square
from splinecam_widget.analysis.colours import class_palette, hex_of
from splinecam_widget.analysis.parts import parts_of
from splinecam_widget.engine.boundary import winners_of


@pytest.mark.parametrize("make", [several, single, lone, part])
def test_renders(make: Any) -> None:
    p = make()
    plot = p.to_bokeh(color_by="area", title="a slice")
    html = file_html(plot, INLINE, "slice")
    assert "a slice" in html
    assert plot.title.text == "a slice"
    low, high = p.plane.domain.min(axis=0), p.plane.domain.max(axis=0)
    assert (plot.x_range.start, plot.x_range.end, plot.y_range.start, plot.y_range.end) == (low[0], high[0], low[1], high[1])


def test_glyphs() -> None:
    p = several()
    plot = p.to_bokeh(class_names=["a", "b", "c"])
    cells, edges, boundary, anchors = plot.renderers
    assert [renderer.name for renderer in plot.renderers] == ["cells", "edges", "boundary", "anchors"]
    data, parts = cells.data_source.data, parts_of(p, winners_of(p))
    for i in range(len(parts.classes)):
        corners = np.stack([data["xs"][i], data["ys"][i]], axis=1)
        np.testing.assert_array_equal(corners, parts.points[parts.offsets[i]:parts.offsets[i + 1]])
    assert data["class"] == [["a", "b", "c"][k] for k in parts.classes]
    assert data["colour"] == [hex_of(word) for word in class_palette(3)[parts.classes]]
    np.testing.assert_array_equal(data["area"], p.areas[parts.cells])
    ends = p.vertices[p.edges[p.edge_layer >= 0]]
    drawn = np.stack([edges.data_source.data[k] for k in ("x0", "y0", "x1", "y1")], axis=-1)
    np.testing.assert_array_equal(drawn, ends.reshape(-1, 4))
    lines = [np.stack(line, axis=1) for line in zip(*(boundary.data_source.data[k] for k in ("xs", "ys")))]
    length = sum(np.linalg.norm(np.diff(line, axis=0), axis=1).sum() for line in lines)
    assert length == pytest.approx(p.decision_boundary().length)
    np.testing.assert_array_equal(np.stack([anchors.data_source.data[k] for k in ("x", "y")], axis=-1), p.plane.anchors)
    hover = plot.select_one(HoverTool)
    assert hover.renderers == [cells]
    assert ("area", "@area{%.6g}") in hover.tooltips
    assert hover.formatters == {"@area": "printf", "@slope_norm": "printf"}
    assert (plot.xaxis.axis_label, plot.yaxis.axis_label) == ("u₀ (input-space units)", "u₁ (input-space units)")
    assert plot.tags == [{"record": p.record()}]


def test_only_cells_and_from_a_file(tmp_path: Path) -> None:
    p = reloaded(several(), tmp_path)
    assert [renderer.name for renderer in p.to_bokeh(edges=False, boundary=False).renderers] == ["cells", "anchors"]
    assert square().anchors is None
    assert [renderer.name for renderer in lone().to_bokeh().renderers] == ["cells"]
