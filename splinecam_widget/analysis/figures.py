"""Partitions on axes of matplotlib: vector graphics for papers."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from splinecam_widget.engine.arrays import Float64
from splinecam_widget.engine.cells import Cells
from splinecam_widget.engine.planar import Int64

from .colours import VIRIDIS, class_palette, hex_of
from .drawing import BOUNDARY_COLOUR, EDGE_COLOUR, LINE_EDGES, LINE_OPACITY, Drawing
from .optional import package

PATH_POLYGONS = 2000
"""Polygons of one colour in one path: neighbours in a path have no seam, and renderers have limits for the size of paths."""

SEAM = 0.25
"""Points by which colours overlap, see `svg.SEAM`."""

LABELS = ("$u_0$ (input-space units)", "$u_1$ (input-space units)")


def axes_of(
    cells: Cells, drawing: Drawing, ax: Any, edges: bool, boundary: bool, anchors: bool, legend: bool | None, title: str | None,
    rasterized: bool, is_named: bool,
) -> Any:
    """See `Cells.plot`."""
    kinds = package("matplotlib.axes", "plot")
    if ax is not None and not isinstance(ax, kinds.Axes):
        raise TypeError(f"ax: expected matplotlib axes or None, got {ax!r:.80}")
    if ax is None:
        pyplot = package("matplotlib.pyplot", "plot")
        ax = pyplot.subplots(layout="constrained")[1]
    box = ax.get_position()
    inches = ax.figure.get_size_inches()
    span = drawing.high - drawing.low
    room = np.array([box.width, box.height]) * inches * 72
    size = span * (room / span).min()
    edge_width, boundary_width = drawing.line_widths(float(size[0]), float(size[1]), cells.n_cells)
    ax.add_collection(_polygons(drawing, rasterized), autolim=False)
    for segments, width, opacity in ((drawing.edges if edges else None, edge_width, drawing.edge_opacity),
                                     (drawing.lines, LINE_EDGES * edge_width, LINE_OPACITY)):
        if segments is not None and len(segments):
            offsets = 2 * np.arange(len(segments) + 1)
            ax.add_collection(_strokes(segments.reshape(-1, 2), offsets, EDGE_COLOUR, width, opacity, rasterized),
                              autolim=False)
    lines = drawing.boundary.polylines
    if boundary and len(lines):
        ax.add_collection(_strokes(lines.points, lines.offsets, BOUNDARY_COLOUR, boundary_width, 1.0, False), autolim=False)
    if anchors and cells.plane.anchors is not None:
        _add_anchors(ax, cells.plane.anchors)
    ax.set(xlim=(drawing.low[0], drawing.high[0]), ylim=(drawing.low[1], drawing.high[1]), aspect="equal",
           xlabel=LABELS[0], ylabel=LABELS[1])
    if title is not None:
        ax.set_title(title)
    if legend or (legend is None and (drawing.values is not None or is_named)):
        _add_legend(ax, drawing)
    ax.record = cells.record()
    return ax


def _polygons(drawing: Drawing, rasterized: bool) -> Any:
    """All polygons of a colour as few paths, so that those that meet have no seam between them."""
    collections, paths = package("matplotlib.collections", "plot"), package("matplotlib.path", "plot")
    sizes = np.diff(drawing.offsets)
    order = np.argsort(drawing.colours, kind="stable")
    keys = drawing.colours[order]
    is_new = np.diff(keys, prepend=keys[0] + 1) != 0
    places = np.arange(len(keys)) - np.maximum.accumulate(np.where(is_new, np.arange(len(keys)), 0))
    begins = np.flatnonzero(places % PATH_POLYGONS == 0)
    # Closed rings one after the other: corners, then the first again with the code that closes.
    rings = sizes[order] + 1
    starts = np.concatenate([[0], np.cumsum(rings)])
    within = np.arange(starts[-1]) - np.repeat(starts[:-1], rings)
    last = within == np.repeat(rings - 1, rings)
    ids = np.repeat(drawing.offsets[:-1][order], rings) + np.where(last, 0, within)
    codes = np.full(len(ids), paths.Path.LINETO, np.uint8)
    codes[within == 0], codes[last] = paths.Path.MOVETO, paths.Path.CLOSEPOLY
    cuts = starts[np.append(begins, len(order))]
    found = [paths.Path(drawing.points[ids[a:b]], codes[a:b]) for a, b in pairwise(cuts)]
    colours = [hex_of(word) for word in keys[begins]]
    return collections.PathCollection(found, facecolors=colours, edgecolors=colours, linewidths=SEAM, zorder=0.5,
                                      rasterized=rasterized)


def _strokes(points: Float64, offsets: Int64, colour: str, width: float, opacity: float, rasterized: bool) -> Any:
    """Lines as few paths: within a path, strokes that meet are not darker."""
    collections, paths = package("matplotlib.collections", "plot"), package("matplotlib.path", "plot")
    codes = np.full(len(points), paths.Path.LINETO, np.uint8)
    codes[offsets[:-1]] = paths.Path.MOVETO
    cuts = np.append(offsets[:-1:PATH_POLYGONS], offsets[-1])
    found = [paths.Path(points[a:b], codes[a:b]) for a, b in pairwise(cuts)]
    return collections.PathCollection(found, facecolors="none", edgecolors=colour, linewidths=width, alpha=opacity, zorder=1.5,
                                      capstyle="round", joinstyle="round", rasterized=rasterized)


def _add_anchors(ax: Any, anchors: Float64) -> None:
    effects = package("matplotlib.patheffects", "plot")
    ax.plot(*anchors.T, linestyle="none", marker="o", markersize=5, markerfacecolor="white", markeredgecolor=BOUNDARY_COLOUR,
            markeredgewidth=1.0, zorder=3, label="_anchors")
    halo = [effects.withStroke(linewidth=2.5, foreground="white")]
    for i, place in enumerate(anchors, 1):
        ax.annotate(f"$x_{i}$", place, (5, 4), textcoords="offset points", zorder=3, path_effects=halo, annotation_clip=True)


def _add_legend(ax: Any, drawing: Drawing) -> None:
    """One entry a class that wins somewhere, or a scale as high as the axes."""
    kind = drawing.legend["kind"]
    if kind == "classes":
        patches = package("matplotlib.patches", "plot")
        names = drawing.class_names
        palette = class_palette(len(names))
        texts = [name.replace("$", r"\$") for name in names]  # not mathematics
        handles = [patches.Patch(facecolor=hex_of(palette[k]), edgecolor=EDGE_COLOUR, linewidth=0.4, label=texts[k])
                   for k in np.unique(drawing.classes)]
        ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0, frameon=False,
                  handlelength=1.1, handleheight=1.1)
    elif kind == "scale":
        colors, cm = package("matplotlib.colors", "plot"), package("matplotlib.cm", "plot")
        legend = drawing.legend
        norm = (colors.LogNorm if legend["log"] else colors.Normalize)(legend["low"], legend["high"])
        beyond = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
        scale = cm.ScalarMappable(norm, colors.ListedColormap([hex_of(word) for word in VIRIDIS]))
        bar = ax.figure.colorbar(scale, cax=ax.inset_axes([1.03, 0, 0.04, 1]), label=legend["title"],
                                 extend=beyond[legend["is_low_clipped"], legend["is_high_clipped"]])
        bar.outline.set_linewidth(ax.spines["left"].get_linewidth())
