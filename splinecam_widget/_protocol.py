"""Messages to the browser, as in docs/protocol.md: a dict and its buffers. Knows no traits and no threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ._board import ImageBoard, PlaneBoard
from ._images import Renderer
from ._scene import Shown, Sketched
from .analysis.colours import Colouring, class_words, hex_of
from .analysis.provenance import LayerLines
from .engine.arrays import Float64
from .engine.certificate import Certificate
from .engine.slices import Slice

Message = tuple[dict[str, Any], list[bytes]]


def board_message(board: ImageBoard | PlaneBoard | None, class_names: list[str] | None) -> Message:
    """The board, once for each view."""
    head: dict[str, Any] = {
        "kind": "board", "mode": "empty", "n_images": 0, "thumbnail": None, "columns": 0, "class_names": class_names,
        "class_colours": {}, "has_labels": False, "extent": None, "cell": None,
    }
    if isinstance(board, PlaneBoard):
        return {**head, "mode": "plane", "extent": list(board.extent)}, [board.background]
    if board is None or board.renderer is None:
        return head, []
    n = len(board.images)
    width, height = board.renderer.thumbnail_size()
    labels = np.full(n, -1) if board.labels is None else board.labels
    side = max(width, height)
    return {
        **head, "mode": "images", "n_images": n, "thumbnail": [width, height], "columns": board.columns,
        "class_colours": _class_colours(board), "has_labels": board.labels is not None,
        "cell": [0.92 * width / side, 0.92 * height / side],
    }, [np.asarray(board.positions, "<f4").tobytes(), labels.astype("<i4").tobytes(), board.atlas]


def _class_colours(board: ImageBoard) -> dict[str, str]:
    """The colour of each class that occurs, as the slice has it."""
    classes = np.empty(0, np.int64) if board.labels is None else np.unique(board.labels)
    return {str(k): hex_of(word) for k, word in zip(classes, class_words(classes))}


def anchors_message(
    shown: Shown, asked: dict[str, Any], renderer: Renderer | None, class_names: list[str] | None, is_class: bool
) -> Message:
    """The three anchors: places, pictures and predictions."""
    coordinates = shown.partition.plane.anchors
    assert coordinates is not None
    content = {
        "kind": "anchors", **asked, "plane": shown.plane_number, "slice": coordinates.tolist(),
        "board": [None if a.place is None else list(a.place) for a in shown.anchors],
        "names": [a.name for a in shown.anchors],
        "predictions": [
            prediction_text(row if is_class else shown.partition.network.with_head(row), class_names, is_class)
            for row in shown.outputs
        ],
        "is_class": is_class, "picture_size": None if renderer is None else list(renderer.size), "notes": ["", "", ""],
    }
    return content, [] if renderer is None else [renderer.png(a.x) for a in shown.anchors]


def picture_message(
    shown: Shown, colouring: Colouring, lines: LayerLines | None, asked: dict[str, Any], has_boundary: bool,
    timing: dict[str, float],
) -> Message:
    """The partition: geometry relative to the view, so that float32 keeps its digits at any zoom."""
    partition = shown.partition
    plane = partition.plane
    centre, scale, relative = _frame_of(partition.asked_plane)

    to_input = None
    if plane.origin.size == 2:
        to_input = {"origin": plane.origin.ravel().tolist(), "basis": plane.basis.reshape(2, 2).tolist()}
    boundary = shown.winners.boundary.points if has_boundary else np.empty((0, 2, 2))
    content = {
        "kind": "picture", **asked, "number": shown.number, "plane": shown.plane_number,
        "centre": centre.tolist(), "scale": scale, "domain": plane.domain.tolist(), "complete": partition.is_complete,
        "view": _view(centre, scale),
        "limits": {"finest": shown.limits.finest, "coarsest": shown.limits.coarsest},
        "n_cells": partition.n_cells, "n_vertices": len(partition.vertices), "n_regions": partition.n_regions,
        "exact": partition.is_exact, "to_input": to_input, "legend": colouring.legend, "timing": timing,
    }
    content["lines"], line_ends = _lines(shown, lines)
    colours, points, offsets, piece_colours = colour_buffers(shown, colouring, relative)
    return content, [
        relative(partition.vertices), partition.cell_offsets.astype("<u4").tobytes(),
        partition.cell_vertices.astype("<u4").tobytes(), colours, relative(boundary), points, offsets, piece_colours,
        line_ends,
    ]


def sketch_message(sketched: Sketched, asked: dict[str, Any]) -> Message:
    """What is known of a plane whose picture is not finished."""
    sketch, plane = sketched.sketch, sketched.plane
    centre, scale, relative = _frame_of(plane)
    assert plane.anchors is not None
    return {
        "kind": "sketch", **asked, "plane": sketched.plane_number, "centre": centre.tolist(), "scale": scale,
        "domain": plane.domain.tolist(), "view": _view(centre, scale), "slice": plane.anchors.tolist(),
        "n_layers": sketch.n_layers, "n_layers_in_all": sketch.n_layers_in_all, "n_cells": sketch.n_cells,
    }, [relative(sketch.segments)]


def _frame_of(plane: Slice) -> tuple[Float64, float, Callable[[Float64], bytes]]:
    """Centre and scale of a view, and points relative to them as bytes."""
    low, high = plane.domain.min(axis=0), plane.domain.max(axis=0)
    centre, scale = (low + high) / 2, float((high - low).max()) / 2

    def relative(points: Float64) -> bytes:
        data: bytes = ((points - centre) / scale).astype("<f4").tobytes()
        return data

    return centre, scale, relative


def _view(centre: Float64, scale: float) -> list[float]:
    return [centre[0] - scale, centre[0] + scale, centre[1] - scale, centre[1] + scale]


def certificate_message(shown: Shown, asked: dict[str, Any], found: Certificate | Exception) -> Message:
    """What the checks of a picture found, or why they could not be made."""
    if isinstance(found, Certificate):
        sound = "approximation" if found.n_approximated else "sound"
        verdict, figures = sound if found.is_sound else "unsound", found.figures
    else:
        verdict, figures = "failed", (("error", error_text(found)),)
    head = {"kind": "certificate", **asked, "number": shown.number}
    return {**head, "verdict": verdict, "figures": [list(figure) for figure in figures]}, []


def error_text(error: Exception) -> str:
    """What an error says; its kind, where it says nothing."""
    return str(error) or type(error).__name__


def colours_message(shown: Shown, colouring: Colouring) -> Message:
    """New colours for the picture on show."""
    _, _, relative = _frame_of(shown.partition.asked_plane)
    buffers = colour_buffers(shown, colouring, relative)
    return {"kind": "colours", "legend": colouring.legend}, list(buffers)


def lines_message(shown: Shown, lines: LayerLines | None) -> Message:
    """The lines of another layer, for the picture on show."""
    content, ends = _lines(shown, lines)
    return {"kind": "lines", "number": shown.number, "lines": content}, [ends]


def _lines(shown: Shown, lines: LayerLines | None) -> tuple[dict[str, Any] | None, bytes]:
    """What there is to say of a layer's lines, and the ends of their edges as numbers of vertices."""
    if lines is None:
        return None, b""
    record, edges = lines.record, lines.edges
    return {
        "layer": lines.layer, "name": record.name, "n_units": record.n_units, "n_bent": len(lines.units), "n_edges": len(edges),
        "length": lines.length,
    }, shown.partition.edges[edges].astype("<u4").tobytes()


def colour_buffers(shown: Shown, colouring: Colouring, relative: Any) -> tuple[bytes, bytes, bytes, bytes]:
    """Cell colours, and the class pieces where the colouring has any."""
    winners = shown.winners
    has_pieces = len(colouring.pieces) > 0
    points = winners.piece_points if has_pieces else np.empty((0, 2))
    offsets = winners.piece_offsets if has_pieces else np.zeros(1, np.int64)
    return (colouring.cells.astype("<u4").tobytes(), relative(points), offsets.astype("<u4").tobytes(),
            colouring.pieces.astype("<u4").tobytes())


def value_names(n: int, class_names: list[str] | None) -> list[str]:
    """Names of the outputs."""
    return class_names if class_names is not None else [str(k) for k in range(n)]


def prediction_text(values: Float64, class_names: list[str] | None, is_class: bool) -> str:
    """What the network says, in words: the winning class with its softmax probability, or the values."""
    texts = [f"{v:.3g}".replace("-", "−") for v in values[:4]]
    if not is_class:
        return ", ".join(texts)
    if len(values) == 1:
        name = (class_names or ["≤ 0", "> 0"])[int(values[0] > 0)]
        return f"{name} ({texts[0]})"
    shares = np.exp(values - values.max())
    best = int(values.argmax())
    return f"{value_names(len(values), class_names)[best]} ({shares[best] / shares.sum():.1%})"
