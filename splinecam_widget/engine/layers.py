"""What is known of a layer of kinks: where in the model it is, and how its units are arranged. Knows no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .arrays import as_count


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
        return math.prod(self.shape)

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
        return f"{self.path or 'model'} ({self.operation}), {where}"

    def check(self, unit: int) -> None:
        """Raise a ValueError if there is no such unit."""
        as_count(unit, 0, self.n_units - 1, "unit", "a number")
