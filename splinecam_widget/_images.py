"""Inputs as pictures: how a model's input is laid out as an image, and its 8-bit rendering. Knows nothing of widgets."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .engine.arrays import Float64

Bytes = NDArray[np.uint8]

MAX_THUMBNAIL = 48
"""Longer side of a thumbnail in pixels; larger images are averaged down to it."""


@dataclass(frozen=True)
class Layout:
    """How one input is laid out as an image: (height, width, channels).

    Attributes
    ----------
    shape : tuple of int
        The input's own shape.
    channels_first : bool
    """

    shape: tuple[int, ...]
    height: int
    width: int
    channels: int
    channels_first: bool

    def pixels(self, x: Float64) -> Float64:
        """Inputs (n, *shape) as (n, height, width, channels)."""
        n = len(x)
        if self.channels_first:
            return x.reshape(n, self.channels, self.height, self.width).transpose(0, 2, 3, 1)
        return x.reshape(n, self.height, self.width, self.channels)


def layout_of(shape: tuple[int, ...]) -> Layout | None:
    """The layout of an input shape, or None where it is no image.

    (C, H, W) and (H, W, C) with C of 1, 3 or 4, (H, W), a flat square number of at least 16 pixels; any other flat vector of
    more than two entries as one row.
    """
    if len(shape) == 3 and shape[0] in (1, 3, 4):
        return Layout(shape, shape[1], shape[2], shape[0], True)
    if len(shape) == 3 and shape[2] in (1, 3, 4):
        return Layout(shape, shape[0], shape[1], shape[2], False)
    if len(shape) == 2:
        return Layout(shape, shape[0], shape[1], 1, False)
    if len(shape) == 1 and shape[0] > 2:
        side = math.isqrt(shape[0])
        if shape[0] >= 16 and side * side == shape[0]:
            return Layout(shape, side, side, 1, False)
        return Layout(shape, 1, shape[0], 1, False)
    return None


@dataclass(frozen=True)
class Renderer:
    """Turns inputs into 8-bit pictures on one scale, so that pictures can be compared.

    Attributes
    ----------
    layout : Layout
    low, high : (channels,) float64
        Values shown as black and as full.
    """

    layout: Layout
    low: Float64
    high: Float64

    @classmethod
    def of(cls, layout: Layout, x: Float64) -> Renderer:
        """A renderer whose scale spans the inputs (n, *shape), channel by channel."""
        pixels = layout.pixels(np.asarray(x, dtype=np.float64))
        low, high = pixels.min(axis=(0, 1, 2)), pixels.max(axis=(0, 1, 2))
        return cls(layout, low, np.where(high > low, high, low + 1))

    def levels(self, x: Float64) -> Bytes:
        """Inputs (n, *shape) as (n, height, width, channels) of 0 to 255."""
        scaled = (self.layout.pixels(np.asarray(x, dtype=np.float64)) - self.low) / (self.high - self.low)
        out: Bytes = (np.clip(scaled, 0, 1) * 255 + 0.5).astype(np.uint8)
        return out

    def png(self, x: Float64) -> bytes:
        """One input (*shape) as a PNG in its own resolution."""
        return png_of(self.levels(x[None])[0])

    @property
    def size(self) -> tuple[int, int]:
        return self.layout.width, self.layout.height

    def thumbnail_size(self) -> tuple[int, int]:
        """Width and height of a thumbnail."""
        factor = max(1, math.ceil(max(self.size) / MAX_THUMBNAIL))
        return max(1, self.layout.width // factor), max(1, self.layout.height // factor)

    def atlas(self, x: Any, columns: int) -> bytes:
        """All inputs (n, *shape) as thumbnails in rows of `columns`, one PNG."""
        width, height = self.thumbnail_size()
        rows = math.ceil(len(x) / columns)
        sheet = np.zeros((rows * height, columns * width, self.layout.channels), np.uint8)
        for start in range(0, len(x), 1024):
            block = self.levels(x[start : start + 1024])
            factor_y, factor_x = self.layout.height // height, self.layout.width // width
            if factor_y > 1 or factor_x > 1:
                block = block[:, : height * factor_y, : width * factor_x]
                block = block.reshape(len(block), height, factor_y, width, factor_x, -1).mean(axis=(2, 4)).astype(np.uint8)
            for i, tile in enumerate(block, start):
                top, left = i // columns * height, i % columns * width
                sheet[top : top + height, left : left + width] = tile
        return png_of(sheet)


def array_of(value: Any, name: str) -> NDArray[Any]:
    """A user's tensor, array or list of either as an array of its own dtype (float32 for bfloat16, which numpy lacks).

    Raises
    ------
    ValueError
        If it is no array at all.
    """
    if hasattr(value, "detach"):
        tensor = value.detach().cpu()
        tensor = tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor
        array: NDArray[Any] = tensor.resolve_conj().resolve_neg().numpy()
        return array
    try:
        if isinstance(value, (list, tuple)):
            value = [array_of(entry, name) if hasattr(entry, "detach") else entry for entry in value]
        return np.asarray(value)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name}: expected an array of real numbers, got {type(value).__name__} ({error})") from None


def png_of(pixels: Bytes) -> bytes:
    """An (h, w), (h, w, 1), (h, w, 3) or (h, w, 4) array as PNG."""
    image = Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def background_png(background: Any) -> bytes:
    """A user's picture (H, W), (H, W, 3) or (H, W, 4), or with channels first, as PNG; integers to 255, floats to 1.

    Raises
    ------
    ValueError
        If it is no picture.
    """
    array = array_of(background, "background")
    if array.ndim == 3 and array.shape[0] in (1, 3, 4) and array.shape[2] not in (1, 3, 4):
        array = array.transpose(1, 2, 0)
    if array.dtype.kind not in "fiub" or array.size == 0 or not (
        array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))
    ):
        raise ValueError(
            f"background: expected a picture of shape (H, W), (H, W, 3) or (H, W, 4), got {array.shape} of {array.dtype}"
        )
    if array.dtype == np.uint8:
        return png_of(array)
    if not np.isfinite(array.astype(np.float64)).all():
        raise ValueError("background: expected finite numbers, got NaN or infinity")
    top = 255.0 if array.dtype.kind in "iu" else 1.0
    return png_of((np.clip(array / top, 0, 1) * 255 + 0.5).astype(np.uint8))
