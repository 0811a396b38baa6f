"""What is under the cursor, as a message to the browser. Knows no traits and no threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ._images import Renderer
from ._protocol import Message, prediction_text, value_names
from ._scene import Shown
from .engine.arrays import Float64
from .engine.evaluation import evaluate
from .engine.partition import Partition

MAX_VALUES = 20
"""Outputs listed under the cursor."""


def inspection_message(
    shown: Shown, content: dict[str, Any], renderer: Renderer | None, class_names: list[str] | None, is_class: bool,
    has_boundary: bool,
) -> Message:
    """The cell, the network's outputs there, what is nearest, and the input as a picture.

    Parameters
    ----------
    content : dict
        The browser's question.
    """
    answer = unanswered(shown, content, "")
    if content["plane"] != shown.plane_number:
        return {**answer, "error": "the plane has changed"}, []
    partition = shown.partition
    u = np.array(content["u"], dtype=np.float64)
    cell = int(partition.locate(u))
    if cell < 0:
        return {**answer, "error": "outside the domain"}, []
    x = partition.plane.to_input(u)
    with torch.no_grad():
        values = evaluate(partition.network, torch.from_numpy(x[None])).numpy()[0]
    if not is_class:
        values = partition.network.with_head(values)
    edges = partition.planar.cell_edges[partition.cell_offsets[cell]:partition.cell_offsets[cell + 1]]
    is_border = partition.edge_layer[edges] < 0
    # One output decides between two classes and is the score of neither.
    names = ["output"] if len(values) == 1 else value_names(len(values), class_names)
    return {
        **answer, "cell": cell, "area": float(partition.areas[cell]), "is_cut": bool(is_border.any()),
        "prediction": prediction_text(values, class_names, is_class), "is_class": is_class,
        "values": [{"name": names[k], "value": float(v)} for k, v in enumerate(values[:MAX_VALUES])],
        "slope": float(partition.slope_norms[cell]), "edge": _nearest_edge(partition, edges[~is_border], u),
        "distance": _distance(partition, shown.winners.boundary.points, u) if has_boundary else None,
        "picture_size": None if renderer is None else list(renderer.size),
    }, [] if renderer is None else [renderer.png(x)]


def unanswered(shown: Shown, content: dict[str, Any], error: str) -> dict[str, Any]:
    """The answer to a question that has none."""
    return {
        "kind": "inspection", "view_id": content["view_id"], "id": content["id"], "number": shown.number, "cell": None,
        "area": None, "is_cut": False, "prediction": "", "is_class": False, "values": [], "slope": None, "edge": None,
        "distance": None, "picture_size": None, "error": error,
    }


def _nearest_edge(partition: Partition, edges: Any, u: Float64) -> dict[str, Any] | None:
    """Which unit bends along the nearest of a cell's edges inside the domain, None if it has none."""
    if not len(edges):
        return None
    distances = _distances(u, partition.vertices[partition.edges[edges]])
    edge = int(edges[distances.argmin()])
    layer, unit = int(partition.edge_layer[edge]), int(partition.edge_unit[edge])
    name = partition.layers[layer].name_of(unit)
    return {"layer": layer, "unit": unit, "name": name, "distance": float(distances.min())}


def _distance(partition: Partition, boundary: Float64, u: Float64) -> dict[str, Any]:
    """How far the decision boundary is within the slice; at least so far, where it may be nearer outside the domain."""
    domain = partition.plane.domain
    found = _distances(u, boundary).min(initial=np.inf)
    to_border = _distances(u, np.stack([domain, np.roll(domain, -1, axis=0)], axis=1)).min()
    return {"value": float(min(found, to_border)), "is_bound": bool(found > to_border)}


def _distances(u: Float64, segments: Float64) -> Float64:
    """Of a point (2,) from segments (S, 2, 2)."""
    start, along = segments[:, 0], segments[:, 1] - segments[:, 0]
    squared = np.maximum((along * along).sum(axis=1), np.finfo(np.float64).tiny)  # of one without length, the point's
    t = np.clip(((u - start) * along).sum(axis=1) / squared, 0, 1)
    distances: Float64 = np.linalg.norm(u - start - t[:, None] * along, axis=1)
    return distances
