"""Partitions as figures of Bokeh, of stock glyphs: for pages without the widget."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from splinecam_widget.engine.cells import Cells
from splinecam_widget.engine.garbage import without_collections

from .colours import hex_of
from .drawing import BOUNDARY_COLOUR, EDGE_COLOUR, LINE_EDGES, LINE_OPACITY, Drawing
from .optional import package

FRAME = 480
"""Pixels of the wider side, unless told otherwise."""

LEAST_FRAME = 150
"""Of the other side, so that ticks and labels have room."""


def figure_of(cells: Cells, drawing: Drawing, edges: bool, boundary: bool, options: dict[str, Any]) -> Any:
    """See `Cells.to_bokeh`."""
    plotting, models = package("bokeh.plotting", "to_bokeh"), package("bokeh.models", "to_bokeh")
    span = drawing.high - drawing.low
    width, height = (float(v) for v in FRAME * span / span.max())
    plot = plotting.figure(**{
        "tools": "pan,wheel_zoom,box_zoom,reset,save", "active_scroll": "wheel_zoom", "match_aspect": True,
        "frame_width": max(LEAST_FRAME, round(width)), "frame_height": max(LEAST_FRAME, round(height)),
        "x_range": (drawing.low[0], drawing.high[0]), "y_range": (drawing.low[1], drawing.high[1]),
        "x_axis_label": "u₀ (input-space units)", "y_axis_label": "u₁ (input-space units)", **options,
    })
    edge_width, boundary_width = drawing.line_widths(width, height, cells.n_cells)
    offsets, points = drawing.offsets.tolist(), drawing.points.T.tolist()
    owners = drawing.cells
    words, colour_ids = np.unique(drawing.colours, return_inverse=True)
    names = [hex_of(word) for word in words.tolist()]
    with without_collections():
        xs, ys = ([column[a:b] for a, b in pairwise(offsets)] for column in points)
    source = models.ColumnDataSource({
        "xs": xs, "ys": ys,
        "colour": [names[i] for i in colour_ids.ravel().tolist()], "cell": owners,
        "class": [drawing.class_names[k] for k in drawing.classes.tolist()], "area": cells.areas[owners],
        "slope_norm": cells.slope_norms[owners], "region": cells.region_ids[owners],
    })
    shown = plot.patches("xs", "ys", source=source, fill_color="colour", line_color="colour", line_width=0.5, name="cells",
                         hover_line_color=BOUNDARY_COLOUR, hover_line_width=1.5)
    for name, segments, thickness, opacity in (
            ("edges", drawing.edges if edges else None, edge_width, drawing.edge_opacity),
            ("lines", drawing.lines, LINE_EDGES * edge_width, LINE_OPACITY)):
        if segments is not None and len(segments):
            x0, y0, x1, y1 = np.ascontiguousarray(segments.reshape(-1, 4).T)
            plot.segment(x0, y0, x1, y1, line_color=EDGE_COLOUR, line_alpha=opacity, line_width=thickness, name=name)
    lines = drawing.boundary.polylines
    if boundary and len(lines):
        xs, ys = ([column[a:b] for a, b in pairwise(lines.offsets)] for column in lines.points.T)
        plot.multi_line(xs, ys, line_color=BOUNDARY_COLOUR, line_width=boundary_width, line_join="round", name="boundary")
    if cells.plane.anchors is not None:
        plot.scatter(*np.ascontiguousarray(cells.plane.anchors.T), size=8, fill_color="white", line_color=BOUNDARY_COLOUR,
                     name="anchors")
    plot.add_tools(models.HoverTool(renderers=[shown], point_policy="follow_mouse", tooltips=[
        ("cell", "@cell"), ("class", "@class"), ("area", "@area{%.6g}"), ("slope norm", "@slope_norm{%.6g}"),
        ("linear region", "@region")], formatters={"@area": "printf", "@slope_norm": "printf"}))
    plot.tags = [*plot.tags, {"record": cells.record()}]
    return plot
