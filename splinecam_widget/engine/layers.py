"""What is known of a layer of kinks: where in the model it is, and how its units are arranged. Knows no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import as_count, span_text


@dataclass(frozen=True)
class Layer:
    """A layer of kinks of a network.

    Attributes
    ----------
    path : str
        Dotted path of the module that bends, "" for the model itself.
    operation : str
        The torch operation.
    shape : tuple of int
        How the units are arranged: (m,), or for images (channels, height, width). Unit numbers count along the last axis first.
    """

    path: str
    operation: str
    shape: tuple[int, ...]

    @property
    def n_units(self) -> int:
        """How many units the layer has."""
        return math.prod(self.shape)

    @property
    def name(self) -> str:
        """Where it is and what it does: "features.1 (relu)"."""
        return f"{self.path or 'model'} ({self.operation})"

    def place_of(self, unit: int) -> tuple[int, ...]:
        """The place of a unit in `shape`: (channel, row, column) of an image.

        Raises
        ------
        ValueError
            If there is no such unit.

        Examples
        --------
        >>> Layer("features.1", "relu", (16, 8, 8)).place_of(70)
        (1, 0, 6)
        """
        self.check(unit)
        return tuple(int(i) for i in np.unravel_index(unit, self.shape)) if self.shape else ()

    def places_of(self, units: Any) -> NDArray[np.int64]:
        """The places (n, axes) int64 of many units (n,), as `place_of` gives them.

        Raises
        ------
        ValueError
            If they are no whole numbers, or one of them is no unit.

        Examples
        --------
        >>> Layer("features.1", "relu", (16, 8, 8)).places_of([70, 0]).tolist()
        [[1, 0, 6], [0, 0, 0]]
        """
        numbers = np.asarray(units)
        if numbers.ndim != 1 or (numbers.dtype.kind not in "iu" and numbers.size):
            raise ValueError(f"units: expected whole numbers (n,), got {numbers.dtype} of shape {numbers.shape}")
        if numbers.size and not (numbers.min() >= 0 and numbers.max() < self.n_units):
            raise ValueError(f"units: expected numbers from 0 to {self.n_units - 1}, got {span_text(numbers)}")
        axes = np.unravel_index(numbers.astype(np.int64), self.shape) if self.shape else ()
        return np.array(axes, np.int64).reshape(len(self.shape), len(numbers)).T

    def unit_at(self, place: Sequence[int]) -> int:
        """The number of the unit at a place; the other way round as `place_of`.

        Raises
        ------
        ValueError
            If there is no such place.
        """
        if len(place) != len(self.shape) or not all(0 <= i < n for i, n in zip(place, self.shape)):
            raise ValueError(f"place: expected indices within {self.shape}, got {tuple(place)}")
        return int(np.ravel_multi_index(tuple(place), self.shape)) if self.shape else 0

    def name_of(self, unit: int) -> str:
        """A unit in words.

        Examples
        --------
        >>> Layer("features.1", "relu", (16, 8, 8)).name_of(70)
        'features.1 (relu), channel 1, row 0, column 6'
        """
        place = self.place_of(unit)
        words = ["channel", *["position"] * (len(place) == 2), *["row", "column"] * (len(place) == 3)]
        if len(words) == len(place) > 1:
            where = ", ".join(f"{word} {i}" for word, i in zip(words, place))
        else:
            where = f"unit {unit}" if len(place) < 2 else f"unit {place}"
        return f"{self.name}, {where}"

    def check(self, unit: int) -> None:
        """Raise a ValueError if there is no such unit."""
        as_count(unit, 0, self.n_units - 1, "unit", "a number")
