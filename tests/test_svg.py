"""SVG that parses, shows every cell in its place and colour, and says where it comes from."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from exported import lone, part, reloaded, several, single
from splinecam_widget.analysis.colours import COLOR_BY, class_palette, hex_of
from splinecam_widget.analysis.svg import STEPS
from splinecam_widget.engine.boundary import winners_of

SVG = "{http://www.w3.org/2000/svg}"


def read(text: str) -> dict[str, ET.Element]:
    """Elements by id, which none shares."""
    root = ET.fromstring(text)
    assert root.tag == f"{SVG}svg"
    ids = Counter(element.get("id") for element in root.iter() if element.get("id"))
    assert set(ids.values()) <= {1}
    return {str(element.get("id")): element for element in root.iter() if element.get("id")}


def rings(element: ET.Element) -> list[np.ndarray]:
    """Runs of points of a path, in pixels."""
    data = element.get("d", "")
    found = [np.array(run.split(), dtype=float).reshape(-1, 2) / STEPS for run in re.findall(r"M([\d\s-]+)", data)]
    assert data.count("M") == len(found)
    return found


def to_pixels(p: Any, points: np.ndarray, width: int) -> np.ndarray:
    low, high = p.plane.domain.min(axis=0), p.plane.domain.max(axis=0)
    scale = width / (high[0] - low[0])
    return np.stack([(points[..., 0] - low[0]) * scale, (high[1] - points[..., 1]) * scale], axis=-1)


@pytest.mark.slow
@pytest.mark.parametrize("make", [several, single, lone, part])
@pytest.mark.parametrize("color_by", ["class", "margin", "pattern", "area", "slope"])
def test_cells_fill_the_domain(make: Any, color_by: str) -> None:
    p = make()
    elements = read(p.to_svg(color_by=color_by, width=400))
    total = sum(shapely.Polygon(ring).area for path in elements["cells"] for ring in rings(path))
    low, high = p.plane.domain.min(axis=0), p.plane.domain.max(axis=0)
    expected = shapely.Polygon(p.plane.domain).area * (400 / (high[0] - low[0])) ** 2
    # Every corner is off by half a step at most, in either direction.
    perimeter = sum(shapely.Polygon(ring).length for path in elements["cells"] for ring in rings(path))
    assert abs(total - expected) <= perimeter / STEPS
    assert sum(len(rings(path)) for path in elements["cells"]) >= p.n_cells


def test_classes_have_their_colours_names_and_places() -> None:
    p = several()
    elements = read(p.to_svg(class_names=["a & b", "<c>", "d"], width=300))
    palette = [hex_of(word) for word in class_palette(3)]
    for k, name in enumerate(["a & b", "<c>", "d"]):
        path = elements[f"cells-class-{k}"]
        assert path.get("fill") == path.get("stroke") == palette[k]
        assert path[0].text == name
    winners = winners_of(p)
    whole = np.setdiff1d(np.arange(p.n_cells), winners.piece_cells)
    places = {k: shapely.STRtree([shapely.Polygon(ring).buffer(0.02) for ring in rings(elements[f"cells-class-{k}"])])
              for k in range(3)}
    for cell, place in zip(whole, to_pixels(p, p.centroids[whole], 300)):
        assert len(places[winners.cells[cell]].query(shapely.Point(place), predicate="within")) > 0


def test_boundary_edges_and_anchors_are_in_their_places() -> None:
    p = several()
    elements = read(p.to_svg(width=500))
    scale = 500 / np.ptp(p.plane.domain[:, 0])
    boundary = p.decision_boundary()
    total = sum(np.linalg.norm(np.diff(run, axis=0), axis=1).sum() for path in elements["boundary"] for run in rings(path))
    assert total == pytest.approx(boundary.length * scale, abs=2 * len(boundary.points) / STEPS)
    assert {path.get("id") for path in elements["boundary"]} == {f"boundary-{a}-{b}" for a, b in boundary.classes.tolist()}
    for layer in range(2):
        ends = to_pixels(p, p.vertices[p.edges[p.edge_layer == layer]], 500)
        np.testing.assert_allclose(np.array(rings(elements[f"edges-layer-{layer}"])), ends, atol=0.51 / STEPS)
    for i, place in enumerate(to_pixels(p, p.plane.anchors, 500), 1):
        circle = elements[f"anchor-x{i}"]
        np.testing.assert_allclose([float(circle.get("cx", "")), float(circle.get("cy", ""))], place * STEPS, atol=0.51)


def test_what_is_not_wanted_is_left_out() -> None:
    elements = read(several().to_svg(edges=False, boundary=False, anchors=False))
    assert not {"edges", "boundary", "anchors"} & set(elements)
    assert "boundary-level" in read(single().to_svg())


def test_record_and_file(tmp_path: Path) -> None:
    p = several()
    text = p.to_svg(tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text(encoding="utf-8") == text
    assert json.loads(str(read(text)["record"].text)) == p.record()
    assert reloaded(p, tmp_path).to_svg() == text


def test_numbers_of_ones_own() -> None:
    p = several()
    text = p.to_svg(color_by=np.arange(p.n_cells))
    assert len(read(text)["cells"]) > min(p.n_cells, 256) / 2
    with pytest.raises(ValueError, match=rf"^color_by: expected one of {', '.join(COLOR_BY)}, or a number for each of the"):
        p.to_svg(color_by=[1.0, 2.0])
    by_number = {2: "d", 0: "a & b", 1: "<c>"}
    assert p.to_svg(class_names=by_number) == p.to_svg(class_names=["a & b", "<c>", "d"])
    with pytest.raises(ValueError, match=r"^class_names: expected 3 names, got 2"):
        p.to_svg(class_names=["a", "b"])
    with pytest.raises(ValueError, match=r"^width: expected a number of pixels from 1 to"):
        p.to_svg(width=0)
    with pytest.raises(ValueError, match=r"^color_by: expected 1 or 3 outputs for the colours of the outputs, got 2"):
        lone().to_svg(color_by="output")
