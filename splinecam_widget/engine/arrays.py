"""Reading arrays that users hand in: tensors, arrays, lists. Knows nothing of models or slices."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


def as_numbers(value: Any, name: str) -> tuple[Float64, float]:
    """A user's tensor or array as float64, with the unit roundoff it came with.

    Parameters
    ----------
    value : tensor, array or nested sequence of real numbers
    name : str
        The argument's name, for the error text.

    Returns
    -------
    numbers : float64 array, a fresh copy, of the same shape
    roundoff : float
        Half the machine epsilon of the dtype that `value` had (that of float64 for integers).

    Raises
    ------
    ValueError
        If it is not made of real numbers, or one of them is NaN or infinite.
    """
    if hasattr(value, "detach"):
        try:
            value = value.detach().cpu()
            array = None if str(value.dtype) == "torch.bfloat16" else value.resolve_conj().resolve_neg().numpy()
        except (TypeError, NotImplementedError, RuntimeError) as error:
            raise ValueError(f"{name}: expected a tensor that numpy can read, got {value.dtype}, {value.layout}, "
                             f"on {value.device} ({error})") from None
        if str(value.dtype) == "torch.bfloat16":
            return _finite(np.array(value.double().numpy(), dtype=np.float64), name), 2.0**-8
        value = array
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name}: expected an array of real numbers, got {type(value).__name__} ({error})") from None
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{name}: expected real numbers, got dtype {array.dtype}")
    roundoff = float(np.finfo(array.dtype).eps) / 2 if array.dtype.kind == "f" else float(np.finfo(np.float64).eps) / 2
    return _finite(np.array(array, dtype=np.float64), name), roundoff


ClassNames = Sequence[str] | Mapping[int, str] | None
"""What classes are called: in their order, or by their numbers."""


def as_names(value: Any, name: str) -> list[str]:
    """Names of classes as texts, in the order of the classes.

    Parameters
    ----------
    value : list, or dict by the classes' numbers
    name : str
        The argument, for the error's text.

    Raises
    ------
    ValueError
        If it is neither, or the dict's numbers are not those from 0 on.
    """
    if isinstance(value, Mapping):
        if set(value) != set(range(len(value))):
            raise ValueError(f"{name}: expected the classes' numbers from 0 to {len(value) - 1}, got {list(value)}")
        return [str(value[k]) for k in range(len(value))]
    if isinstance(value, (str, bytes, Set)) or not hasattr(value, "__len__") or getattr(value, "ndim", 1) != 1:
        raise ValueError(f"{name}: expected a list of names, or a dict by the classes' numbers, got {value!r}")
    return [str(one) for one in value]


def _finite(array: Float64, name: str) -> Float64:
    bad = ~np.isfinite(array)
    if bad.any():
        kind = "NaN" if np.isnan(array).any() else "infinity"
        raise ValueError(f"{name}: expected finite numbers, got {kind} in {int(bad.sum())} of {array.size} entries")
    return array


def as_count(value: Any, least: int, most: int, name: str, what: str) -> int:
    """A user's whole number checked.

    Raises
    ------
    ValueError
        If it is none, or not within `least` to `most`.
    """
    try:
        found = least - 1 if isinstance(value, (bool, np.bool_)) else operator.index(value)
    except TypeError:
        found = least - 1
    if not least <= found <= most:
        expected = f"{what} from {least} to {most}" if least < most else f"{least}, the only one"
        raise ValueError(f"{name}: expected {expected}, got {value!r}")
    return found


def span_text(numbers: NDArray[Any], spec: str = "") -> str:
    """The least and the largest of some numbers, or the one that all are.

    Examples
    --------
    >>> span_text(np.array([3, 1, 2])), span_text(np.array([5]))
    ('1 to 3', '5')
    """
    least, largest = numbers.min(), numbers.max()
    return f"{least:{spec}}" if least == largest else f"{least:{spec}} to {largest:{spec}}"


def as_real(value: Any, name: str, is_positive: bool = False) -> float:
    """A user's number checked.

    Raises
    ------
    ValueError
        If it is none, not finite, or not positive where it must be.
    """
    try:
        found = math.nan if isinstance(value, (bool, np.bool_, str)) else float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        found = math.nan
    if not math.isfinite(found) or (is_positive and found <= 0):
        raise ValueError(f"{name}: expected a {'positive' if is_positive else 'finite'} number, got {value!r}")
    return found


def generator_of(seed: Any) -> np.random.Generator:
    """Random numbers from a user's seed.

    Raises
    ------
    ValueError
        If it is no whole number from 0.
    """
    return np.random.default_rng(as_count(seed, 0, 2**128, "seed", "a whole number"))
