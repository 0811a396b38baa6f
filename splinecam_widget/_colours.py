"""Colours of cells: by class, activation pattern, area or slope. Partition in, 32-bit colours and a legend out."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import Any

import numpy as np
from bokeh.palettes import Viridis256
from numpy.typing import NDArray

from .engine.arrays import Float64
from .engine.boundary import Winners
from .engine.partition import Partition

UInt32 = NDArray[np.uint32]

COLOR_BY = ("class", "pattern", "area", "slope", "output")

CLASS_COLOURS = ("#7aa6d6", "#f2b26b", "#85c285", "#e58a8c", "#b79fd4", "#c2a08f", "#eab0d5", "#b5b5b5", "#d3d483", "#82cfd9")
"""Mid-tones, so that edges, the boundary and handles stand out on them in light and dark pages."""


@dataclass(frozen=True)
class Colouring:
    """Colours (C,) and (P,) as RGBA words, red in the lowest byte; the legend as the browser reads it."""

    cells: UInt32
    pieces: UInt32
    legend: dict[str, Any]


def colouring_of(partition: Partition, winners: Winners, color_by: str, class_names: list[str]) -> Colouring:
    """Colours of a partition's cells and of the class pieces painted over them.

    Parameters
    ----------
    color_by : {"class", "pattern", "area", "slope", "output"}
    class_names : list of str
        One for each class that can win.
    """
    none = np.empty(0, np.uint32)
    if color_by == "class":
        palette = class_palette(len(class_names))
        shown = range(len(class_names)) if len(class_names) <= 12 else np.unique(winners.cells)
        entries = [{"name": class_names[k], "colour": hex_of(palette[k])} for k in shown]
        return Colouring(palette[winners.cells], palette[winners.piece_classes], {"kind": "classes", "entries": entries})
    if color_by == "pattern":
        palette = _pattern_palette()
        ids = (partition.planar.cell_hashes >> np.uint64(32)) % np.uint64(len(palette))
        return Colouring(palette[ids], none, {"kind": "none", "title": "one colour per activation pattern"})
    if color_by == "area":
        return _scale(partition.areas, "cell area", True)
    if color_by == "slope":
        return _scale(partition.slope_norms, "slope norm", False)
    if color_by == "output":
        return Colouring(_output_colours(partition), none, {"kind": "none", "title": "the output in the middle of each cell"})
    raise ValueError(f"color_by: expected one of {', '.join(COLOR_BY)}, got {color_by!r}")


def class_palette(n: int) -> UInt32:
    """RGBA words (n,) of classes 0 to n - 1."""
    return class_words(np.arange(n))


def class_words(classes: NDArray[np.integer[Any]]) -> UInt32:
    """RGBA words (n,) of class ids (n,); beyond ten classes, hues spread by the golden angle."""
    return words_of(np.array([_class_rgb(int(k)) for k in classes], np.uint8).reshape(len(classes), 3))


def _class_rgb(k: int) -> tuple[int, int, int]:
    if k < len(CLASS_COLOURS):
        return _rgb_of(CLASS_COLOURS[k])
    red, green, blue = colorsys.hls_to_rgb(k * 0.381966 % 1, 0.55 + 0.2 * (k % 2), 0.5)
    return round(red * 255), round(green * 255), round(blue * 255)


def words_of(rgb: NDArray[np.uint8]) -> UInt32:
    """Opaque RGBA words (n,) of colours (n, 3)."""
    wide = rgb.astype(np.uint32)
    out: UInt32 = wide[:, 0] | wide[:, 1] << np.uint32(8) | wide[:, 2] << np.uint32(16) | np.uint32(0xFF000000)
    return out


def hex_of(word: Any) -> str:
    """``#rrggbb`` of an RGBA word."""
    value = int(word)
    return f"#{value & 255:02x}{value >> 8 & 255:02x}{value >> 16 & 255:02x}"


def _rgb_of(text: str) -> tuple[int, int, int]:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _pattern_palette() -> UInt32:
    """256 quiet colours: 32 hues by 8 tones."""
    colours = []
    for k in range(256):
        red, green, blue = colorsys.hls_to_rgb(k % 32 / 32, 0.58 + 0.035 * (k // 32), 0.35 + 0.03 * (k // 32))
        colours.append((round(red * 255), round(green * 255), round(blue * 255)))
    return words_of(np.array(colours, np.uint8))


_VIRIDIS = words_of(np.array([_rgb_of(text) for text in Viridis256], np.uint8))


def _scale(values: Float64, title: str, is_log: bool) -> Colouring:
    """Viridis from the 1st to the 99th percentile, so that one sliver does not take the whole scale."""
    finite = np.log10(np.maximum(values, np.finfo(np.float64).tiny)) if is_log else values
    low, high = (float(v) for v in np.percentile(finite, [1, 99]))
    if not high > low:
        low, high = low - 0.5, low + 0.5
    ids = np.clip((finite - low) / (high - low) * 255 + 0.5, 0, 255).astype(np.int64)
    ends = (10**low, 10**high) if is_log else (low, high)
    legend = {"kind": "scale", "title": title, "low": ends[0], "high": ends[1], "log": is_log,
              "is_low_clipped": bool(finite.min() < low), "is_high_clipped": bool(finite.max() > high),
              "palette": list(Viridis256[::17])}
    return Colouring(_VIRIDIS[ids], np.empty(0, np.uint32), legend)


def _output_colours(partition: Partition) -> UInt32:
    """The mean output of each cell's corners as grey (K = 1) or RGB (K = 3), 0 to 1."""
    sums = np.add.reduceat(partition.values[partition.cell_vertices], partition.cell_offsets[:-1], axis=0)
    means = sums / np.diff(partition.cell_offsets)[:, None]
    means = partition.network.with_head(means)
    rgb = np.broadcast_to(means, (len(means), 3)) if means.shape[1] == 1 else means
    return words_of((np.clip(rgb, 0, 1) * 255 + 0.5).astype(np.uint8))
