"""Colours of cells by class, margin, pattern, area, slope, output or given numbers: 32-bit words and a legend."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splinecam_widget.engine.arrays import Float64, as_numbers
from splinecam_widget.engine.boundary import Winners
from splinecam_widget.engine.cells import Cells
from splinecam_widget.engine.heads import entries_with_head

UInt32 = NDArray[np.uint32]

COLOR_BY = ("class", "margin", "pattern", "area", "slope", "output")

CLASS_COLOURS = ("#7aa6d6", "#f2b26b", "#85c285", "#e58a8c", "#b79fd4", "#c2a08f", "#eab0d5", "#b5b5b5", "#d3d483", "#82cfd9")
"""Mid-tones, so that edges, the boundary and handles stand out on them in light and dark pages."""


@dataclass(frozen=True)
class Colouring:
    """Colours (C,) and (P,) as RGBA words, red in the lowest byte; the legend as the browser reads it.

    `values` (C,) float64 are the numbers that a legend with a scale is of, else None.
    """

    cells: UInt32
    pieces: UInt32
    legend: dict[str, Any]
    values: Float64 | None = None


def colouring_of(cells: Cells, winners: Winners, color_by: Any, class_names: list[str]) -> Colouring:
    """Colours of cells and of the class pieces painted over them.

    Parameters
    ----------
    color_by : {"class", "margin", "pattern", "area", "slope", "output"} or (C,) numbers
        "margin": by how much the largest output exceeds the second, or a single one differs from 0, in the middle of each cell.
        A number for each cell is shown as it is, on a linear scale; a truth value as 0 or 1.
    class_names : list of str
        One for each class that can win.

    Raises
    ------
    ValueError
        For another word, another count of numbers, or the colours of outputs that are neither grey (1) nor RGB (3).
    """
    none = np.empty(0, np.uint32)
    if not isinstance(color_by, str):
        numbers, _ = as_numbers(_as_shades(color_by), "color_by")
        if numbers.shape != (cells.n_cells,):
            raise ValueError(f"color_by: expected one of {', '.join(COLOR_BY)}, or a number for each of the {cells.n_cells} "
                             f"cells, got shape {numbers.shape}")
        return _scale(numbers, "", False)
    if color_by == "class":
        palette = class_palette(len(class_names))
        shown = range(len(class_names)) if len(class_names) <= 12 else np.unique(winners.cells)
        entries = [{"name": class_names[k], "colour": hex_of(palette[k])} for k in shown]
        return Colouring(palette[winners.cells], palette[winners.piece_classes], {"kind": "classes", "entries": entries})
    if color_by == "margin":
        return _scale(_margins(cells), "margin of the class", False, least=0.0)
    if color_by == "pattern":
        palette = _pattern_palette()
        ids = (cells.planar.cell_hashes >> np.uint64(32)) % np.uint64(len(palette))
        return Colouring(palette[ids], none, {"kind": "none", "title": "one colour per activation pattern"})
    if color_by == "area":
        return _scale(cells.areas, "cell area", True, cells.areas)
    if color_by == "slope":
        return _scale(cells.slope_norms, "slope norm", False, least=0.0)
    if color_by == "output":
        return Colouring(_output_colours(cells), none, {"kind": "none", "title": "the output in the middle of each cell"})
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


VIRIDIS_HEX = (
    "44015444025544035745055845065a45085b46095c460b5e460c5f460e61470f6247116347126547146647156747166947186a48196b481a6c481c6e"
    "481d6f481e70482071482172482273482374472575472676472777472878472a79472b7a472c7b462d7c462f7c46307d46317e45327f45347f453580"
    "453681443781443982433a83433b83433c84423d84423e854240854141864142864043874044873f45873f47883e48883e49893d4a893d4b893d4c89"
    "3c4d8a3c4e8a3b508a3b518a3a528b3a538b39548b39558b38568b38578c37588c37598c365a8c365b8c355c8c355d8c345e8d345f8d33608d33618d"
    "32628d32638d31648d31658d31668d30678d30688d2f698d2f6a8d2e6b8e2e6c8e2e6d8e2d6e8e2d6f8e2c708e2c718e2c728e2b738e2b748e2a758e"
    "2a768e2a778e29788e29798e287a8e287a8e287b8e277c8e277d8e277e8e267f8e26808e26818e25828e25838d24848d24858d24868d23878d23888d"
    "23898d22898d228a8d228b8d218c8d218d8c218e8c208f8c20908c20918c1f928c1f938b1f948b1f958b1f968b1e978a1e988a1e998a1e998a1e9a89"
    "1e9b891e9c891e9d881e9e881e9f881ea0871fa1871fa2861fa38620a48520a58521a68521a78422a78423a88323a98224aa8225ab8126ac8127ad80"
    "28ae7f29af7f2ab07e2bb17d2cb17d2eb27c2fb37b30b47a32b57a33b67935b77836b87738b97639b9763bba753dbb743ebc7340bd7242be7144be70"
    "45bf6f47c06e49c16d4bc26c4dc26b4fc36951c46853c56755c66657c66559c7645bc8625ec96160c96062ca5f64cb5d67cc5c69cc5b6bcd596dce58"
    "70ce5672cf5574d05477d05279d1517cd24f7ed24e81d34c83d34b86d44988d5478bd5468dd64490d64392d74195d73f97d83e9ad83c9dd93a9fd938"
    "a2da37a5da35a7db33aadb32addc30afdc2eb2dd2cb5dd2bb7dd29bade27bdde26bfdf24c2df22c5df21c7e01fcae01ecde01dcfe11cd2e11bd4e11a"
    "d7e219dae218dce218dfe318e1e318e4e318e7e419e9e419ece41aeee51bf1e51cf3e51ef6e61ff8e621fae622fde724"
)
"""256 colours, six digits each: the colour map viridis of S. van der Walt and N. Smith (2015), public domain (CC0)."""

VIRIDIS = words_of(np.frombuffer(bytes.fromhex(VIRIDIS_HEX), np.uint8).reshape(256, 3))


def _as_shades(value: Any) -> Any:
    """Truth values as 0 and 1; anything else as it is."""
    given = value.detach().cpu() if hasattr(value, "detach") else value
    try:
        array = np.asarray(given)
    except (TypeError, ValueError, RuntimeError):  # told by who asks for numbers
        return value
    return array.astype(np.float64) if array.dtype == np.bool_ else value


def _scale(
    values: Float64, title: str, is_log: bool, weights: Float64 | None = None, least: float = -np.inf
) -> Colouring:
    """Viridis from the 1st to the 99th percentile, so that one sliver does not take the whole scale.

    With weights (C,), from where 1% of their sum lies below to where 1% lies above: areas by area, for slivers are many. It
    does not begin below `least`, as no such number does.
    """
    finite = np.log10(np.maximum(values, np.finfo(np.float64).tiny)) if is_log else values
    ends = np.percentile(finite, [1, 99])
    if weights is not None:
        own = _quantiles(finite, weights, [0.01, 0.99])
        ends = own if own[1] > own[0] else ends  # one size covers nearly everything
    low, high = float(ends[0]), float(ends[1])
    if not high > low:  # by more than rounding, also of large numbers
        half = max(0.5, abs(low) * 2.0**-20)
        low, high = max(least, low - half), low + half
    # In halves: the span of numbers near the largest overflows.
    ids = np.clip((finite / 2 - low / 2) / (high / 2 - low / 2) * 255 + 0.5, 0, 255).astype(np.int64)
    said = (10**low, 10**high) if is_log else (low, high)
    legend = {"kind": "scale", "title": title, "low": said[0], "high": said[1], "log": is_log,
              "is_low_clipped": bool(finite.min() < low), "is_high_clipped": bool(finite.max() > high),
              "palette": [hex_of(word) for word in VIRIDIS[::17]]}
    return Colouring(VIRIDIS[ids], np.empty(0, np.uint32), legend, values)


def _quantiles(values: Float64, weights: Float64, shares: list[float]) -> Float64:
    """The values up to which such shares of the weights lie."""
    order = np.argsort(values, kind="stable")
    sums = np.cumsum(weights[order])
    out: Float64 = values[order[np.minimum(np.searchsorted(sums, np.multiply(shares, sums[-1])), len(order) - 1)]]
    return out


def _means(cells: Cells) -> Float64:
    """The outputs (C, K) at the mean of each cell's corners, which for an affine map are the means of theirs."""
    sums = np.add.reduceat(cells.values[cells.cell_vertices], cells.cell_offsets[:-1], axis=0)
    means: Float64 = sums / np.diff(cells.cell_offsets)[:, None]
    return means


def _margins(cells: Cells) -> Float64:
    """By how much the class there wins (C,)."""
    means = _means(cells)
    if means.shape[1] == 1:
        means = np.concatenate([np.abs(means), np.zeros_like(means)], axis=1)
    largest = np.partition(means, (-2, -1), axis=1)
    margins: Float64 = largest[:, -1] - largest[:, -2]
    return margins


def _output_colours(cells: Cells) -> UInt32:
    """The output in the middle of each cell as grey (K = 1) or RGB (K = 3), 0 to 1."""
    n_outputs = cells.values.shape[1]
    if n_outputs not in (1, 3):
        raise ValueError(f"color_by: expected 1 or 3 outputs for the colours of the outputs, got {n_outputs}")
    means = entries_with_head(cells.head, _means(cells))
    rgb = np.broadcast_to(means, (len(means), 3)) if n_outputs == 1 else means
    return words_of((np.clip(rgb, 0, 1) * 255 + 0.5).astype(np.uint8))
