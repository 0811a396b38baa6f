"""GeoJSON that follows RFC 7946 and loses nothing: read back by json and by shapely."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npt

from exported import lone, part, reloaded, several, single
from splinecam_widget import Partition
from splinecam_widget.analysis import geojson
from splinecam_widget.engine.boundary import winners_of
from test_imports import imported

PARTITIONS = [several, single, lone, part]


def of_kind(collection: dict[str, Any], kind: str) -> list[Any]:
    return [feature for feature in collection["features"] if feature["properties"]["kind"] == kind]


def assert_valid(collection: dict[str, Any]) -> None:
    """What RFC 7946 asks of a FeatureCollection of polygons and lines."""
    assert collection["type"] == "FeatureCollection"
    ids = [feature["id"] for feature in collection["features"]]
    assert len(set(ids)) == len(ids)
    for feature in collection["features"]:
        assert feature["type"] == "Feature"
        geometry = feature["geometry"]
        lines = geometry["coordinates"] if geometry["type"] == "Polygon" else [geometry["coordinates"]]
        for line in lines:
            assert len(line) >= 2
            assert all(len(point) == 2 and all(isinstance(x, float) for x in point) for point in line)
        if geometry["type"] == "Polygon":
            ring = geometry["coordinates"][0]
            assert len(ring) >= 4
            assert ring[0] == ring[-1]
            assert shapely.LinearRing(ring).is_ccw
        else:
            assert geometry["type"] == "LineString"


@pytest.mark.parametrize("make", PARTITIONS)
@pytest.mark.parametrize("edges", [False, True])
def test_dict_and_file_are_one_and_valid(make: Any, edges: bool, tmp_path: Path) -> None:
    p = make()
    found = p.to_geojson(edges=edges)
    assert_valid(found)
    assert p.to_geojson(tmp_path / "a.geojson", edges=edges) is None
    assert json.loads((tmp_path / "a.geojson").read_text(encoding="utf-8")) == found
    assert found["record"] == p.record()
    assert len(of_kind(found, "edge")) == (len(p.edges) if edges else 0)


@given(npt.arrays(np.float64, st.tuples(st.integers(0, 20), st.just(2)),
                  elements=st.floats(allow_nan=False, allow_infinity=False)))
def test_texts_read_as_the_same_numbers(points: Any) -> None:
    texts = geojson._texts(points)
    assert len(texts) == len(points)
    for text, (x, y) in zip(texts, points):
        assert [a.hex() for a in json.loads(text)] == [float(x).hex(), float(y).hex()]
    assert [float(a).hex() for a in geojson._number_texts(points[:, 0])] == [float(x).hex() for x in points[:, 0]]


def test_a_file_that_cannot_be_finished_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.geojson"
    several().to_geojson(path)
    before = path.read_bytes()

    def interrupted(rows: Any) -> Any:
        yield from (f"{row[0]}" for _, row in zip(range(3), rows))
        raise KeyboardInterrupt

    monkeypatch.setattr(geojson, "_edge_texts", interrupted)
    monkeypatch.setattr(geojson, "FEATURES_AT_A_TIME", 2)
    with pytest.raises(KeyboardInterrupt):
        several().to_geojson(path, edges=True)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("n", [1, 3, 10**6])
def test_runs_of_features_make_one_file(n: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    p = several()
    monkeypatch.setattr(geojson, "FEATURES_AT_A_TIME", n)
    p.to_geojson(tmp_path / "a.geojson", edges=True)
    assert json.loads((tmp_path / "a.geojson").read_text(encoding="utf-8")) == p.to_geojson(edges=True)


def test_cells(tmp_path: Path) -> None:
    p = several()
    found = of_kind(p.to_geojson(), "cell")
    for c, feature in enumerate(found):
        loop = p.cell_vertices[p.cell_offsets[c]:p.cell_offsets[c + 1]]
        np.testing.assert_array_equal(feature["geometry"]["coordinates"][0][:-1], p.vertices[loop])
        properties = feature["properties"]
        assert properties["area"] == p.areas[c]
        assert shapely.geometry.shape(feature["geometry"]).area == pytest.approx(p.areas[c], rel=1e-9, abs=1e-15)
        assert properties["slope_norm"] == p.slope_norms[c]
        assert properties["region"] == p.region_ids[c]
    assert [feature["properties"]["class"] for feature in found] == winners_of(p).cells.tolist()
    union = shapely.union_all([shapely.geometry.shape(feature["geometry"]) for feature in found], grid_size=1e-12)
    assert union.symmetric_difference(shapely.Polygon(p.plane.domain)).area < 1e-9
    assert len(found) == p.n_cells == reloaded(p, tmp_path).n_cells


def test_edges_and_boundary() -> None:
    p = several()
    found = p.to_geojson(edges=True)
    for e, feature in enumerate(of_kind(found, "edge")):
        np.testing.assert_array_equal(feature["geometry"]["coordinates"], p.vertices[p.edges[e]])
        properties = feature["properties"]
        assert (properties["layer"], properties["unit"]) == (p.edge_layer[e], p.edge_unit[e])
        assert [properties["left"], properties["right"]] == p.edge_cells[e].tolist()
    lines = of_kind(found, "boundary")
    boundary = p.decision_boundary()
    assert sum(shapely.geometry.shape(line["geometry"]).length for line in lines) == pytest.approx(boundary.length)
    assert {tuple(line["properties"]["classes"]) for line in lines} == set(map(tuple, boundary.classes.tolist()))
    assert of_kind(lone().to_geojson(), "boundary") == []


def test_level() -> None:
    p = single()
    level = float(np.median(p.values))
    assert sum(line["properties"]["length"] for line in of_kind(p.to_geojson(level=level), "boundary")) == pytest.approx(
        p.decision_boundary(level=level).length)
    assert of_kind(p.to_geojson(boundary=False), "boundary") == []


@pytest.mark.slow
def test_from_a_file_without_torch(tmp_path: Path) -> None:
    p: Partition = several()
    assert reloaded(p, tmp_path).to_geojson(edges=True) == p.to_geojson(edges=True)
    program = f"from splinecam_widget import load_partition\np = load_partition({str(tmp_path / 'a.npz')!r})"
    assert imported(f"{program}\np.to_geojson(), p.to_svg(), p.to_png(), p.to_shapely(), p.to_pandas(), p.plot()") == []
