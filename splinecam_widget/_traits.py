"""The traits of `SplineCamWidget`: one class for each kind of value. Knows what may be set, and nothing of what follows."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets

from .analysis.colours import COLOR_BY
from .engine.arrays import Float64, as_numbers
from .engine.slices import as_domain


class Input(np.ndarray[Any, np.dtype[np.float64]]):
    """An anchor as a trait holds it: an array, but two of them are equal or not as a whole.

    Traits and links compare old and new with ``==`` and ``!=`` and take the answer as a truth value.
    """

    is_whole = False
    """Slices and results of arithmetic compare entry by entry, as any array."""

    def __eq__(self, other: object) -> Any:
        if self.is_whole and getattr(other, "is_whole", False):
            return bool(np.array_equal(self, other))  # type: ignore[arg-type]
        return super().__eq__(other)

    def __ne__(self, other: object) -> Any:
        if self.is_whole and getattr(other, "is_whole", False):
            return not self == other
        return super().__ne__(other)

    __hash__ = None


class ArrayTrait(traitlets.TraitType[Float64, Any]):
    """A float64 array of finite numbers, read-only; any tensor or array may be set."""

    info_text = "an array of finite real numbers"

    def validate(self, obj: Any, value: Any) -> Float64:
        array, _ = as_numbers(value, self.name or "array")
        expected = obj.input_shape
        if expected is not None and array.shape != expected:
            raise ValueError(f"{self.name}: expected shape {expected}, got {array.shape}")
        whole = array.view(Input)
        whole.is_whole = True
        whole.flags.writeable = False
        return whole


class DomainTrait(traitlets.TraitType[Any, Any]):
    """A convex polygon as a list of corners, or None; any array of shape (k, 2) may be set."""

    info_text = "the corners of a convex polygon"

    def validate(self, _: Any, value: Any) -> list[list[float]] | None:
        return corners(value)


class ColouringTrait(traitlets.TraitType[str, str]):
    """One of the names in `COLOR_BY`, and one that the model has."""

    info_text = "the name of a colouring"

    def validate(self, obj: Any, value: Any) -> str:
        if value not in COLOR_BY:
            raise ValueError(f"color_by: expected one of {', '.join(COLOR_BY)}, got {value!r}")
        obj.check_colouring(value)
        return str(value)


class LayerTrait(traitlets.TraitType[Any, Any]):
    """The number of a layer of kinks, one that the model has, or None."""

    info_text = "the number of a layer of kinks, or None"

    def validate(self, obj: Any, value: Any) -> int | None:
        return None if value is None else int(obj.check_layer(value))


def _array_to_json(value: Float64 | None, _: Any) -> Any:
    return None if value is None else {"shape": list(value.shape), "data": value.tobytes()}


def _array_from_json(value: Any, _: Any) -> Any:
    return None if value is None else np.frombuffer(bytes(value["data"]), np.float64).reshape(value["shape"])


def anchor_trait() -> Any:
    return ArrayTrait().tag(sync=True, to_json=_array_to_json, from_json=_array_from_json)


def corners(domain: Any) -> list[list[float]] | None:
    """A domain as JSON has it; checked."""
    return None if domain is None else [[float(x), float(y)] for x, y in as_domain(domain)]
