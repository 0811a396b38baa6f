"""Partitions as GeoJSON: cells, edges and boundary with what is known of each, coordinates to the last bit."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from splinecam_widget.engine.boundary import winners_of
from splinecam_widget.engine.cells import Cells

Features = list[dict[str, Any]]


def feature_collection(cells: Cells, edges: bool, boundary: bool, level: float) -> dict[str, Any]:
    """See `Cells.to_geojson`."""
    winners = winners_of(cells, level)
    features = _cell_features(cells, winners.cells)
    if edges:
        features += _edge_features(cells)
    if boundary:
        features += _boundary_features(winners.boundary.polylines)
    return {"type": "FeatureCollection", "features": features, "record": cells.record()}


def write(path: str | os.PathLike[str], collection: dict[str, Any]) -> None:
    """Write a feature collection to a file.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    Path(path).write_text(json.dumps(collection, allow_nan=False, separators=(",", ":")), encoding="utf-8")


def _cell_features(cells: Cells, classes: Any) -> Features:
    """A polygon a cell: its ring is counter-clockwise, as the format asks, and ends where it begins."""
    offsets, loop = cells.cell_offsets, cells.cell_vertices
    closed = np.insert(loop, offsets[1:], loop[offsets[:-1]])
    points = cells.vertices[closed].tolist()
    ends = (offsets + np.arange(len(offsets))).tolist()
    columns = zip(ends[:-1], ends[1:], range(cells.n_cells), cells.areas.tolist(), classes.tolist(), cells.region_ids.tolist(),
                  cells.slope_norms.tolist())
    return [
        {"type": "Feature", "id": f"cell-{i}", "geometry": {"type": "Polygon", "coordinates": [points[start:stop]]},
         "properties": {"kind": "cell", "cell": i, "area": area, "class": winner, "region": region, "slope_norm": slope}}
        for start, stop, i, area, winner, region, slope in columns
    ]


def _edge_features(cells: Cells) -> Features:
    columns = zip(cells.vertices[cells.edges].tolist(), range(len(cells.edges)), cells.edge_layer.tolist(),
                  cells.edge_unit.tolist(), cells.edge_cells.tolist())
    return [
        {"type": "Feature", "id": f"edge-{i}", "geometry": {"type": "LineString", "coordinates": ends},
         "properties": {"kind": "edge", "edge": i, "layer": layer, "unit": unit, "cells": beside}}
        for ends, i, layer, unit, beside in columns
    ]


def _boundary_features(lines: Any) -> Features:
    points, offsets = lines.points.tolist(), lines.offsets.tolist()
    columns = zip(offsets[:-1], offsets[1:], range(len(lines)), lines.classes.tolist(), lines.lengths.tolist())
    return [
        {"type": "Feature", "id": f"boundary-{i}", "geometry": {"type": "LineString", "coordinates": points[start:stop]},
         "properties": {"kind": "boundary", "line": i, "classes": classes, "length": length}}
        for start, stop, i, classes, length in columns
    ]
