"""Partitions as PNG: cells by what the centres of finer pixels lie in, then edges and boundary, then averaged."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from splinecam_widget.engine.arrays import Float64, as_count
from splinecam_widget.engine.cells import Cells

from . import _raster_kernels
from .drawing import BOUNDARY_COLOUR, EDGE_COLOUR, LINE_EDGES, LINE_OPACITY, MAX_SIDE, Drawing, check_height

BAND_PIXELS = 1 << 22
"""Fine pixels at a time, so that a large picture takes little more memory than itself."""


def png_bytes(
    cells: Cells, drawing: Drawing, width: int, edges: bool, boundary: bool, samples: int,
) -> bytes:
    """See `Cells.to_png`."""
    pixels = pixels_of(cells, drawing, width, edges, boundary, samples)
    chunk = PngImagePlugin.PngInfo()
    chunk.add_itxt("Software", "splinecam_widget")
    chunk.add_itxt("record", json.dumps(cells.record(), ensure_ascii=False), zip=True)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", pnginfo=chunk, compress_level=6)
    return out.getvalue()


def write(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a PNG to a file."""
    Path(path).write_bytes(content)


def pixels_of(
    cells: Cells, drawing: Drawing, width: int, edges: bool, boundary: bool, samples: int
) -> NDArray[np.uint8]:
    """The picture as RGBA (height, width, 4); transparent outside the domain."""
    width = as_count(width, 1, MAX_SIDE, "width", "a number of pixels")
    samples = as_count(samples, 1, 8, "samples", "a number of samples a pixel's side")
    span = drawing.high - drawing.low
    height = max(1, round(float(width * span[1] / span[0])))
    check_height(height, width)
    scale = np.array([width, height]) * samples / span

    def placed(points: Float64) -> Float64:
        flipped = np.stack([points[..., 0] - drawing.low[0], drawing.high[1] - points[..., 1]], axis=-1)
        return np.ascontiguousarray(flipped * scale)

    edge_width, boundary_width = (samples * w for w in drawing.line_widths(width, height, cells.n_cells))
    polygons = placed(drawing.points)
    lines = [(_raster_kernels.thickened(placed(segments), thickness), colour, opacity)
             for segments, thickness, colour, opacity in (
                 (drawing.edges if edges else None, edge_width, EDGE_COLOUR, drawing.edge_opacity),
                 (drawing.lines, LINE_EDGES * edge_width, EDGE_COLOUR, LINE_OPACITY),
                 (drawing.boundary.points if boundary else None, boundary_width, BOUNDARY_COLOUR, 1.0)) if segments is not None]
    palette = np.concatenate([drawing.colours, [0]]).astype("<u4")  # the last for what lies outside: transparent
    ids = np.arange(len(drawing.colours))
    out = np.empty((height, width, 4), np.uint8)
    rows = max(1, BAND_PIXELS // (width * samples * samples))
    for start in range(0, height, rows):
        n_rows = min(rows, height - start)
        raster = np.full((n_rows * samples, width * samples), -1, np.int32)
        _raster_kernels.fill(polygons, drawing.offsets, ids, raster, start * samples)
        is_inside = raster >= 0
        band = palette[raster].view(np.uint8).reshape(*raster.shape, 4)
        for corners, colour, opacity in lines:
            covered = np.zeros(raster.shape, np.uint8)
            n_lines = len(corners) // 4
            _raster_kernels.fill(corners, 4 * np.arange(n_lines + 1), np.ones(n_lines, np.uint8), covered, start * samples)
            on = (covered > 0) & is_inside
            ink = np.array([int(colour[i:i + 2], 16) for i in (1, 3, 5)])
            band[on, :3] = np.rint(opacity * ink + (1 - opacity) * band[on, :3]).astype(np.uint8)
        out[start:start + n_rows] = band if samples == 1 else np.asarray(Image.fromarray(band).reduce(samples))
    return out
