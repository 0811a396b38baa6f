"""The map of training images, or the one training image of an INR: where inputs stand on it. Knows nothing of messages."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._images import Renderer, array_of, background_png, layout_of
from .engine.arrays import Float64, as_numbers

Place = tuple[float, float]

NEAREST = 3
"""An input that is no training image stands among this many nearest ones."""


@dataclass(frozen=True)
class ImageBoard:
    """Training images on a map.

    Attributes
    ----------
    images : (n, *input_shape) array of the user's dtype
    labels : (n,) int array or None
    renderer : Renderer or None
        None where inputs are no pictures.
    """

    images: Any
    labels: NDArray[np.int64] | None
    renderer: Renderer | None
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    @property
    def positions(self) -> NDArray[np.float32]:
        """(n, 2) float32: the middle of each image, y upwards; images are one apart. Made once, whoever asks first."""
        with self._lock:
            return self._positions

    @cached_property
    def _positions(self) -> NDArray[np.float32]:
        from ._embedding import grid_positions  # which takes a moment to import

        return grid_positions(self.images)

    @cached_property
    def columns(self) -> int:
        """Thumbnails in one row of the atlas."""
        return math.ceil(math.sqrt(len(self.images)))

    @cached_property
    def atlas(self) -> bytes:
        """All thumbnails in one PNG; empty where inputs are no pictures."""
        return b"" if self.renderer is None else self.renderer.atlas(self.images, self.columns)

    @cached_property
    def _ids(self) -> dict[bytes, int]:
        # Adding zero makes -0 to 0: equal images have equal bytes.
        zero = self.images.dtype.type(0)
        return {(image + zero).tobytes(): i for i, image in reversed(list(enumerate(self.images)))}

    def id_of(self, x: Float64) -> int | None:
        """The training image that an input is, or None."""
        if x.shape != self.images.shape[1:]:
            return None
        with np.errstate(invalid="ignore", over="ignore"):  # out of the dtype's range: no image, as the last line finds
            rounded = x.astype(self.images.dtype)
        found = self._ids.get((rounded + self.images.dtype.type(0)).tobytes())
        return found if found is not None and np.array_equal(self.images[found], x) else None

    def image(self, index: int) -> Float64:
        """Training image `index` as float64."""
        return np.array(self.images[index], dtype=np.float64)

    def blend(self, indices: Sequence[int], weights: Sequence[float]) -> Float64:
        """The weighted mean of training images."""
        out: Float64 = np.tensordot(np.asarray(weights, np.float64), self.images[list(indices)].astype(np.float64), axes=1)
        return out

    def place_of(self, x: Float64) -> Place:
        """Where an input stands: at its image, else among the nearest ones, nearer to the nearer."""
        index = self.id_of(x)
        if index is not None:
            return float(self.positions[index, 0]), float(self.positions[index, 1])
        flat = self.images.reshape(len(self.images), -1)
        distances = np.linalg.norm(flat - x.reshape(1, -1), axis=1)
        nearest = np.argsort(distances)[:NEAREST]
        weights = 1 / np.maximum(distances[nearest], np.finfo(np.float64).tiny) ** 2
        middle = (weights[:, None] * self.positions[nearest]).sum(axis=0) / weights.sum()
        return float(middle[0]), float(middle[1])

    def name_of(self, index: int) -> str:
        """What an image is called."""
        return f"image {index}" if self.labels is None else f"image {index}, label {self.labels[index]}"


@dataclass(frozen=True)
class PlaneBoard:
    """The picture that a 2-input model was fitted to; inputs stand at their own coordinates.

    Attributes
    ----------
    background : bytes
        PNG.
    extent : tuple of 4 floats
        Left, right, bottom and top edge of the picture in input coordinates.
    """

    background: bytes
    extent: tuple[float, float, float, float]

    def place_of(self, x: Float64) -> Place:
        return float(x.flat[0]), float(x.flat[1])


def image_board(images: Any, labels: Any, input_shape: tuple[int, ...]) -> ImageBoard:
    """A board of the user's images, checked.

    Raises
    ------
    ValueError
        If there are fewer than two images, they have another shape than the anchors or are not finite numbers, or the labels
        do not match them.
    """
    array = array_of(images, "images")
    if array.dtype.kind not in "fiu":
        raise ValueError(f"images: expected real numbers, got dtype {array.dtype}")
    if array.ndim == 0 or len(array) < 2:
        raise ValueError(f"images: expected at least 2 images, got {0 if array.ndim == 0 else len(array)}")
    if array.shape[1:] != input_shape:
        expected = ", ".join(map(str, ("n", *input_shape)))
        raise ValueError(f"images: expected shape ({expected}) as the anchors have, got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("images: expected finite numbers, got NaN or infinity")
    found = None
    if labels is not None:
        numbers, _ = as_numbers(labels, "labels")
        if numbers.shape != (len(array),):
            raise ValueError(f"labels: expected one label for each of the {len(array)} images, got shape {numbers.shape}")
        if (numbers != np.round(numbers)).any() or (numbers < 0).any():
            raise ValueError("labels: expected whole numbers from 0 on (class ids)")
        found = numbers.astype(np.int64)
    layout = layout_of(input_shape)
    return ImageBoard(array, found, None if layout is None else Renderer.of(layout, array))


def plane_board(background: Any, extent: Any, input_shape: tuple[int, ...]) -> PlaneBoard:
    """A board of one background picture, checked.

    Raises
    ------
    ValueError
        If the model does not take two numbers, or the picture or its extent is bad.
    """
    if math.prod(input_shape) != 2:
        raise ValueError(f"background: expected a model of two input numbers, got anchors of shape {input_shape}")
    numbers, _ = as_numbers(extent, "extent")
    if numbers.shape != (4,) or not (numbers[0] < numbers[1] and numbers[2] < numbers[3]):
        raise ValueError(f"extent: expected (left, right, bottom, top) with left < right and bottom < top, got {extent}")
    left, right, bottom, top = (float(v) for v in numbers)
    return PlaneBoard(background_png(background), (left, right, bottom, top))


def check_labels(board: Any, class_names: list[str] | None) -> None:
    """Raise ValueError if a label of the board has no name."""
    labels = board.labels if isinstance(board, ImageBoard) else None
    if labels is not None and class_names is not None and labels.max() >= len(class_names):
        raise ValueError(
            f"labels: expected numbers from 0 to {len(class_names) - 1}, one for each of the {len(class_names)} "
            f"class_names, got {labels.max()}")


def checked_board(images: Any, labels: Any, background: Any, extent: Any, shape: tuple[int, ...]) -> Any:
    """The board of a user's images or background; None without either."""
    if images is not None and background is not None:
        raise ValueError("background: expected either images or a background, got both")
    if labels is not None and images is None:
        raise ValueError("labels: expected images to go with them, got none")
    if images is not None:
        return image_board(images, labels, shape)
    return None if background is None else plane_board(background, extent, shape)
