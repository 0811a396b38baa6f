"""Partitions as GeoJSON: cells, edges and boundary with what is known of each, coordinates to the last bit."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from io import TextIOWrapper
from itertools import chain, islice, pairwise
from typing import Any

import numpy as np
import orjson

from splinecam_widget.engine.arrays import Float64
from splinecam_widget.engine.boundary import winners_of
from splinecam_widget.engine.cells import Cells
from splinecam_widget.engine.garbage import without_collections
from splinecam_widget.engine.planar import Int64
from splinecam_widget.engine.replacing import replacing

from .polylines import Polylines

Rows = Iterator[tuple[Any, ...]]
Listed = Callable[[Float64], list[Any]]

FEATURES_AT_A_TIME = 1024
"""Written together: some hundred kilobytes, in memory that serves for the next. New memory for all costs more than text."""


def feature_collection(cells: Cells, edges: bool, boundary: bool, level: float) -> dict[str, Any]:
    """See `Cells.to_geojson`."""
    winners = winners_of(cells, level)
    record = cells.record()
    with without_collections():
        features = [
            {"type": "Feature", "id": f"cell-{i}", "geometry": {"type": "Polygon", "coordinates": [ring]},
             "properties": {"kind": "cell", "area": area, "class": winner, "region": region, "slope_norm": slope}}
            for i, ring, area, winner, region, slope in _cell_rows(cells, winners.cells, cells.vertices.tolist())
        ]
        if edges:
            features += [
                {"type": "Feature", "id": f"edge-{i}", "geometry": {"type": "LineString", "coordinates": ends},
                 "properties": {"kind": "edge", "layer": layer, "unit": unit, "left": left, "right": right}}
                for i, ends, layer, unit, left, right in _edge_rows(cells, cells.vertices.tolist())
            ]
        if boundary:
            lines = winners.boundary.polylines
            features += [
                {"type": "Feature", "id": f"boundary-{i}", "geometry": {"type": "LineString", "coordinates": points},
                 "properties": {"kind": "boundary", "classes": [first, second], "length": length}}
                for i, points, first, second, length in _line_rows(lines, lines.points.tolist())
            ]
    return {"type": "FeatureCollection", "features": features, "record": record}


def write(path: str | os.PathLike[str], cells: Cells, edges: bool, boundary: bool, level: float) -> None:
    """The same as a file, a feature a line: made as text at once, in which every corner is formatted only once.

    An older file of that name stays whole until the new one is.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    winners = winners_of(cells, level)
    record = json.dumps(cells.record(), allow_nan=False)
    with without_collections():
        corners = _texts(cells.vertices)
        features: Any = _cell_texts(_cell_rows(cells, winners.cells, corners, _number_texts))
        if edges:
            features = chain(features, _edge_texts(_edge_rows(cells, corners)))
        if boundary:
            lines = winners.boundary.polylines
            features = chain(features, _line_texts(_line_rows(lines, _texts(lines.points), _number_texts)))
        with replacing(path) as binary, TextIOWrapper(binary, encoding="utf-8", newline="\n") as file:
            file.write(f'{{"type":"FeatureCollection","record":{record},"features":[\n')
            separator = ""
            while run := list(islice(features, FEATURES_AT_A_TIME)):
                file.write(separator + ",\n".join(run))
                separator = ",\n"
            file.write("\n]}\n")


def _cell_rows(cells: Cells, classes: Any, corners: list[Any], listed: Listed = np.ndarray.tolist) -> Rows:
    """Of every cell: number, ring of corners, area, class, region, slope norm; area and slope norm as `listed` has them.

    Its ring is counter-clockwise, as the format asks, and ends where it begins.
    """
    offsets, loop = cells.cell_offsets, cells.cell_vertices
    closed = np.insert(loop, offsets[1:], loop[offsets[:-1]])
    return zip(
        range(cells.n_cells), _runs([corners[i] for i in closed.tolist()], offsets + np.arange(len(offsets))),
        listed(cells.areas), classes.tolist(), cells.region_ids.tolist(), listed(cells.slope_norms))


def _edge_rows(cells: Cells, corners: list[Any]) -> Rows:
    """Of every edge: number, both ends, layer, unit, cells left and right."""
    return zip(
        range(len(cells.edges)), ([corners[i], corners[j]] for i, j in cells.edges.tolist()), cells.edge_layer.tolist(),
        cells.edge_unit.tolist(), *cells.edge_cells.T.tolist())


def _line_rows(lines: Polylines, points: list[Any], listed: Listed = np.ndarray.tolist) -> Rows:
    """Of every line of the boundary: number, points, both classes, length as `listed` has it."""
    classes = lines.classes.T.tolist() if len(lines) else ([], [])
    return zip(range(len(lines)), _runs(points, lines.offsets), *classes, listed(lines.lengths))


def _runs(entries: list[Any], offsets: Int64) -> Iterator[list[Any]]:
    ends = offsets.tolist()
    return (entries[start:stop] for start, stop in pairwise(ends))


def _number_texts(values: Float64) -> list[str]:
    """The shortest text of each that reads as the same float64: a quarter of the time that `repr` takes."""
    return _json_of(values)[1:-1].split(",") if len(values) else []


def _texts(points: Float64) -> list[str]:
    return [f"[{pair}]" for pair in _json_of(points)[2:-2].split("],[")] if len(points) else []


def _json_of(values: Float64) -> str:
    return orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY).decode()


# Features as text, floats in them too.


def _cell_texts(rows: Rows) -> Iterator[str]:
    return (
        f'{{"type":"Feature","id":"cell-{i}","geometry":{{"type":"Polygon","coordinates":[[{",".join(ring)}]]}},'
        f'"properties":{{"kind":"cell","area":{area},"class":{winner},"region":{region},"slope_norm":{slope}}}}}'
        for i, ring, area, winner, region, slope in rows)


def _edge_texts(rows: Rows) -> Iterator[str]:
    return (
        f'{{"type":"Feature","id":"edge-{i}","geometry":{{"type":"LineString","coordinates":[{a},{b}]}},'
        f'"properties":{{"kind":"edge","layer":{layer},"unit":{unit},"left":{left},"right":{right}}}}}'
        for i, (a, b), layer, unit, left, right in rows)


def _line_texts(rows: Rows) -> Iterator[str]:
    return (
        f'{{"type":"Feature","id":"boundary-{i}","geometry":{{"type":"LineString","coordinates":[{",".join(points)}]}},'
        f'"properties":{{"kind":"boundary","classes":[{first},{second}],"length":{length}}}}}'
        for i, points, first, second, length in rows)
