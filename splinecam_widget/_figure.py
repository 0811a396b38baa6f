"""The Bokeh figure of the slice plot, as Python declares it.

Knows bokeh; knows nothing of partitions, traits or the browser's code. The figure holds axes, ranges and one
`ConvexCells` renderer. The browser fills that renderer with flat arrays, sets the ranges and adapts the colours to the
page's theme, so the document has no data and is sent once.
"""

from __future__ import annotations

import json

from bokeh.embed import json_item
from bokeh.models import Range1d
from bokeh.models.renderers.renderer import Renderer
from bokeh.plotting import figure

__all__ = ["ConvexCells", "figure_json", "slice_figure"]

FIGURE_NAME = "slice"
CELLS_NAME = "cells"


class ConvexCells(Renderer):
    """Cells, class pieces and decision boundary of a partition, painted in the browser from flat arrays.

    The implementation is `js/cells_renderer.ts`, registered under the same qualified name.
    """

    __view_module__ = "splinecam_widget"


def slice_figure() -> figure:
    """Return a fresh figure with equal axes over ``[-1, 1]²`` and an empty `ConvexCells` renderer.

    Returns
    -------
    bokeh.plotting.figure
        Named ``"slice"``. It has no tools: the browser turns gestures into range changes itself, because both ranges
        must change together and Python must hear of each change.

    Examples
    --------
    >>> slice_figure().name
    'slice'
    """
    plot = figure(
        name=FIGURE_NAME,
        x_range=Range1d(start=-1.0, end=1.0),
        y_range=Range1d(start=-1.0, end=1.0),
        frame_width=400,
        frame_height=400,
        min_border_left=68,
        min_border_right=12,
        min_border_top=8,
        min_border_bottom=44,
        tools="",
        toolbar_location=None,
        lod_threshold=None,
        background_fill_color=None,
        border_fill_color=None,
        # Bokeh 3.9 strokes it together with the last path of the paint before, the old ticks; the page draws it.
        outline_line_color=None,
        x_axis_label="u₀",
        y_axis_label="u₁",
    )
    plot.grid.visible = False
    plot.axis.axis_label_text_font_style = "italic"
    plot.axis.minor_tick_line_color = None
    plot.axis.major_tick_in = 0
    plot.axis.major_tick_out = 4
    plot.axis.axis_label_standoff = 4
    plot.renderers.append(ConvexCells(name=CELLS_NAME, level="glyph"))
    return plot


def figure_json() -> str:
    """Return the figure as the JSON text that the browser reads, in the layout of `bokeh.embed.json_item`.

    Returns
    -------
    str
        A string and not a dict: the order of the keys matters to BokehJS and some hosts sort them.

    Examples
    --------
    >>> sorted(json.loads(figure_json()))
    ['doc', 'root_id', 'target_id', 'version']
    """
    return json.dumps(json_item(slice_figure()))
