"""What every picture of a partition shows, before it has a format: coloured polygons, edges, the boundary, a legend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from splinecam_widget.engine.arrays import ClassNames, Float64, as_names
from splinecam_widget.engine.boundary import Boundary, winners_of
from splinecam_widget.engine.cells import Cells
from splinecam_widget.engine.planar import Int32, Int64

from .colours import UInt32, class_palette, colouring_of
from .parts import loops_of, parts_of

EDGE_COLOUR = "#1c1c1c"
EDGE_OPACITY = 0.45
BESIDE_LINES = 0.35
"""How strong edges are beside the lines of a chosen layer."""
LINE_OPACITY = 0.92
LINE_EDGES = 1.6
"""Width of a chosen layer's lines in those of edges."""
BOUNDARY_COLOUR = "#101010"

MAX_EDGE_WIDTH = 0.7
MAX_BOUNDARY_WIDTH = 2.0
"""In pixels of an SVG or PNG, points on paper."""

MAX_SIDE = 32_768
"""Pixels of a picture."""

EDGE_SHARE = 0.09
"""Width of edges over the side of a square as large as the mean cell: they take about a fifth of the picture at most, so that
colours stay what they are."""

LEAST_EDGES = 300.0
"""Widths of edges in the side of a square as large as the picture, at least: small pictures have fine lines."""

BOUNDARY_EDGES = 2.5
"""Width of the boundary in those of edges, at least: it must stand out, also where cells are many; see `MOST_BOUNDARIES`."""

MOST_BOUNDARIES = 200.0
"""Widths of the boundary in the side of a square as large as the picture, at most."""


@dataclass(frozen=True, eq=False)
class Drawing:
    """A picture as arrays, slice coordinates.

    Attributes
    ----------
    points : (M, 2) float64
    offsets : (P + 1,) int64
        Convex polygons that fill the domain, counter-clockwise.
    cells : (P,) int64
        The cell that each lies in.
    classes : (P,) int32
        The class that wins there; of polygons that are whole cells, on the largest part.
    colours : (P,) uint32
        RGBA words, red in the lowest byte.
    values : (P,) float64 or None
        The numbers behind the colours, where there is a scale.
    legend : dict
        See `colours.colouring_of`.
    edges : (E, 2, 2) float64
        Inner edges.
    edge_layers : (E,) int32
    lines : (L, 2, 2) float64 or None
        The edges along which units of a chosen layer bend.
    boundary : Boundary
    low, high : (2,) float64
        Of the domain.
    class_names : list of str
    """

    points: Float64
    offsets: Int64
    cells: Int64
    classes: Int32
    colours: UInt32
    values: Float64 | None
    legend: dict[str, Any]
    edges: Float64
    edge_layers: Int32
    lines: Float64 | None
    boundary: Boundary
    low: Float64
    high: Float64
    class_names: list[str]

    @property
    def edge_opacity(self) -> float:
        """Of edges, which are faint beside the lines of a layer."""
        return EDGE_OPACITY * (1.0 if self.lines is None else BESIDE_LINES)

    def line_widths(self, width: float, height: float, n_cells: int) -> tuple[float, float]:
        """Of edges and boundary, in the units of the picture's width and height."""
        side = float(np.sqrt(width * height))  # of a long domain, not the shorter side: lines would vanish
        edge = min(MAX_EDGE_WIDTH, side / LEAST_EDGES, EDGE_SHARE * float(np.sqrt(width * height / n_cells)))
        return edge, min(MAX_BOUNDARY_WIDTH, max(BOUNDARY_EDGES * edge, side / MOST_BOUNDARIES))


def drawing_of(cells: Cells, color_by: Any, class_names: ClassNames, level: float, layer: int | None = None) -> Drawing:
    """The picture of a partition.

    Raises
    ------
    ValueError
        For a bad `color_by`, `level`, `layer` or number of names.
    """
    winners = winners_of(cells, level)
    names = names_of(cells, class_names, level)
    colouring = colouring_of(cells, winners, color_by, names)
    inner = cells.edge_layer >= 0
    corners = cells.plane.domain
    lines = None if layer is None else cells.vertices[cells.edges[cells.layer_lines(layer).edges]]
    shared = {
        "legend": colouring.legend, "edges": cells.vertices[cells.edges[inner]], "edge_layers": cells.edge_layer[inner],
        "lines": lines,
        "boundary": winners.boundary, "low": corners.min(axis=0), "high": corners.max(axis=0), "class_names": names,
    }
    if isinstance(color_by, str) and color_by == "class":
        parts = parts_of(cells, winners)
        return Drawing(parts.points, parts.offsets, parts.cells, parts.classes, class_palette(len(names))[parts.classes], None,
                       **shared)
    points, offsets = loops_of(cells)
    return Drawing(points, offsets, np.arange(cells.n_cells), winners.cells, colouring.cells, colouring.values, **shared)


def names_of(cells: Cells, class_names: ClassNames, level: float = 0.0) -> list[str]:
    """What classes are called: given, or their numbers; with one output, on which side of the level they are.

    Raises
    ------
    ValueError
        If there are not as many names as classes.
    """
    n_outputs = cells.values.shape[1]
    if class_names is None:
        return [f"≤ {level:g}", f"> {level:g}"] if n_outputs == 1 else [str(k) for k in range(n_outputs)]
    names = as_names(class_names, "class_names")
    if any(ord(c) < 32 or 0xD800 <= ord(c) < 0xE000 or ord(c) in (0xFFFE, 0xFFFF) for name in names for c in name):
        raise ValueError(f"class_names: expected texts without control characters, got {names}")
    if len(names) != max(n_outputs, 2):
        raise ValueError(f"class_names: expected {max(n_outputs, 2)} names, got {len(names)}")
    return names


def check_height(height: float, width: int) -> None:
    """Raise a ValueError if a picture so wide is too high."""
    if height > MAX_SIDE:
        raise ValueError(f"width: expected at most {int(width * MAX_SIDE / height)} pixels, for the domain is much higher than "
                         f"wide, got {width} ({height:,.0f} pixels high, the most is {MAX_SIDE:,})")
