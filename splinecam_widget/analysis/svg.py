"""Partitions as standalone SVG: one path a colour, one an edges' layer, one a pair of classes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from splinecam_widget.engine.arrays import Float64, as_count
from splinecam_widget.engine.cells import Cells

from .colours import hex_of
from .drawing import BOUNDARY_COLOUR, EDGE_COLOUR, LINE_EDGES, LINE_OPACITY, MAX_SIDE, Drawing, check_height

STEPS = 100
"""Coordinates are whole hundredths of a pixel, finer than what renderers resolve by smoothing."""

SEAM = 0.3
"""Pixels by which colours overlap: without, renderers let the background through between polygons that meet."""


def svg_text(
    cells: Cells, drawing: Drawing, width: int, edges: bool, boundary: bool, anchors: bool,
) -> str:
    """See `Cells.to_svg`."""
    width = as_count(width, 1, MAX_SIDE, "width", "a number of pixels")
    span = drawing.high - drawing.low
    scale = width / span[0]
    height = float(span[1] * scale)
    check_height(height, width)
    edge_width, boundary_width = drawing.line_widths(width, height, cells.n_cells)

    def placed(points: Float64) -> NDArray[np.int64]:
        flipped = np.stack([points[..., 0] - drawing.low[0], drawing.high[1] - points[..., 1]], axis=-1)
        found: NDArray[np.int64] = np.rint(flipped * (scale * STEPS)).astype(np.int64)
        return found

    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height:.6g}" viewBox="0 0 {width} {height:.6g}">',
        f"<title>{escape(_title(cells))}</title>",
        f'<metadata id="record">{escape(json.dumps(cells.record(), ensure_ascii=False))}</metadata>',
        f'<g id="slice" transform="scale({1 / STEPS:g})" stroke-linejoin="round" stroke-linecap="round">',
        *_cell_paths(drawing, placed(drawing.points)),
    ]
    if edges:
        lines.append(f'<g id="edges" fill="none" stroke="{EDGE_COLOUR}" stroke-opacity="{drawing.edge_opacity:.3g}" '
                     f'stroke-width="{edge_width * STEPS:.3g}">')
        for layer in np.unique(drawing.edge_layers):
            ends = placed(drawing.edges[drawing.edge_layers == layer])
            lines.append(f'<path id="edges-layer-{layer}" d="{_path(ends.reshape(-1, 2), np.full(len(ends), 2), "")}"/>')
        lines.append("</g>")
    if drawing.lines is not None:
        data = _path(placed(drawing.lines).reshape(-1, 2), np.full(len(drawing.lines), 2), "")
        lines.append(f'<path id="lines" fill="none" stroke="{EDGE_COLOUR}" stroke-opacity="{LINE_OPACITY}" '
                     f'stroke-width="{LINE_EDGES * edge_width * STEPS:.3g}" d="{data}"/>')
    if boundary:
        lines.append(f'<g id="boundary" fill="none" stroke="{BOUNDARY_COLOUR}" stroke-width="{boundary_width * STEPS:.3g}">')
        lines += _boundary_paths(drawing, placed)
        lines.append("</g>")
    if anchors and cells.plane.anchors is not None:
        lines.append(f'<g id="anchors" fill="#ffffff" stroke="{BOUNDARY_COLOUR}" stroke-width="{1.5 * STEPS:g}">')
        lines += [f'<circle id="anchor-x{i}" cx="{x}" cy="{y}" r="{5 * STEPS}"><title>x{i}</title></circle>'
                  for i, (x, y) in enumerate(placed(cells.plane.anchors).tolist(), 1)]
        lines.append("</g>")
    return "\n".join([*lines, "</g>", "</svg>", ""])


def write(path: str | os.PathLike[str], text: str) -> None:
    """Write the text of an SVG to a file."""
    Path(path).write_text(text, encoding="utf-8")


def _title(cells: Cells) -> str:
    return f"Partition of a slice: {cells.n_cells:,} cells"


def _cell_paths(drawing: Drawing, points: NDArray[np.int64]) -> list[str]:
    """One path a colour; those of classes are called by their number and have their name as title."""
    sizes = np.diff(drawing.offsets)
    is_class = drawing.legend["kind"] == "classes"
    keys = drawing.classes if is_class else drawing.colours
    order = np.argsort(keys, kind="stable")
    firsts = np.flatnonzero(np.diff(keys[order], prepend=keys[order[0]] + 1))
    inner = np.argsort(np.repeat(np.argsort(order, kind="stable"), sizes), kind="stable")  # corners, polygon by polygon
    corners, counts = points[inner], sizes[order]
    starts = np.concatenate([[0], np.cumsum(counts)])
    lines = [f'<g id="cells" stroke-width="{2 * SEAM * STEPS:g}">']
    for first, last in zip(firsts, np.append(firsts[1:], len(order))):
        key, colour = keys[order[first]], hex_of(drawing.colours[order[first]])
        name = f"class-{key}" if is_class else colour[1:]
        title = f"<title>{escape(drawing.class_names[key])}</title>" if is_class else ""
        data = _path(corners[starts[first]:starts[last]], counts[first:last], "z")
        lines.append(f'<path id="cells-{name}" fill="{colour}" stroke="{colour}" d="{data}">{title}</path>')
    return [*lines, "</g>"]


def _boundary_paths(drawing: Drawing, placed: Any) -> list[str]:
    boundary = drawing.boundary.polylines
    found = []
    for pair in np.unique(boundary.classes, axis=0) if len(boundary) else ():
        lines = boundary.chosen((boundary.classes == pair).all(axis=1))
        name = "level" if pair[0] < 0 else f"{pair[0]}-{pair[1]}"
        found.append(f'<path id="boundary-{name}" d="{_path(placed(lines.points), np.diff(lines.offsets), "")}"/>')
    return found


def _path(points: NDArray[np.int64], sizes: NDArray[np.int64], end: str) -> str:
    """Path data of consecutive runs of points: one format of the whole is filled in at once."""
    forms = {int(n): "M" + " ".join(["%d %d"] * int(n)) + end for n in np.unique(sizes)}
    return "".join(map(forms.__getitem__, sizes.tolist())) % tuple(points.ravel().tolist())
