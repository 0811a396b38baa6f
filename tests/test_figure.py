"""The Bokeh figure as the browser reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bokeh.models import Plot

import splinecam_widget
from splinecam_widget._figure import ConvexCells, figure_json, slice_figure

STATIC = Path(splinecam_widget.__file__).parent / "static"


@pytest.fixture(scope="module")
def item() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(figure_json())
    return found


def attributes(item: dict[str, Any], name: str) -> dict[str, Any]:
    """The attributes of the one model of a kind in the document."""
    found: list[dict[str, Any]] = []

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if node.get("type") == "object" and node.get("name") == name:
                found.append(node.get("attributes", {}))
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(item["doc"])
    assert len(found) == 1
    return found[0]


def test_one_root(item: dict[str, Any]) -> None:
    (root,) = item["doc"]["roots"]
    assert root["id"] == item["root_id"]
    assert root["attributes"]["name"] == "slice"


def test_has_one_cells_renderer_under_the_name_that_the_browser_registers(item: dict[str, Any]) -> None:
    assert attributes(item, "splinecam_widget.ConvexCells")["name"] == "cells"
    assert ConvexCells.__qualified_model__ == "splinecam_widget.ConvexCells"


def test_bundle_registers_that_name() -> None:
    bundle = STATIC / "widget.js"
    if not bundle.exists():
        pytest.skip("the front end is not built")
    text = bundle.read_text()
    assert "splinecam_widget" in text
    assert "ConvexCells" in text


def test_axes_are_equal_and_the_browser_moves_them() -> None:
    plot = slice_figure()
    assert plot.frame_width == plot.frame_height
    assert (plot.x_range.start, plot.x_range.end) == (plot.y_range.start, plot.y_range.end) == (-1.0, 1.0)
    assert list(plot.tools) == []


def test_no_data(item: dict[str, Any]) -> None:
    assert len(json.dumps(item)) < 20_000
    assert "ndarray" not in json.dumps(item)


def test_figures_share_no_models() -> None:
    first, second = slice_figure(), slice_figure()
    assert isinstance(first, Plot)
    assert not {m.id for m in first.references()} & {m.id for m in second.references()}


def test_json_of_each_widget_is_its_own() -> None:
    assert json.loads(figure_json())["root_id"] != json.loads(figure_json())["root_id"]
