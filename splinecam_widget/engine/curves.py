"""Continuous piecewise-linear functions of one variable, by knots: given by a model, or in place of smooth activations.

In place of a smooth function stands its interpolant between knots, and beyond the outer ones its asymptote. Between knots at a
distance h the two differ by at most h^2 / 8 times the largest second derivative (the error of linear interpolation). This is
at most its largest sample plus the largest third derivative times half the distance of samples. Beside the asymptotes, half of
the tolerance goes to this and half to them, so that the bound holds on the whole line, whatever values a unit takes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy  # loads `special` when it is first used
import torch

from .arrays import Float64
from .operations import KINKS
from .pieces import interpolated
from .steps import Call, Reference, Step


@dataclass(frozen=True)
class Smooth:
    """A smooth activation, as far as interpolating it needs.

    Attributes
    ----------
    value, second : callable
        The function and its second derivative, of arrays.
    third : float
        Bound of its third derivative's magnitude, wherever that exists.
    left, right : (slope, offset)
        Asymptotes.
    tail : float
        Beyond this magnitude the distance from the asymptotes only falls.
    corners : tuple of float
        Where derivatives jump.
    """

    value: Callable[[Float64], Float64]
    second: Callable[[Float64], Float64]
    third: float
    left: tuple[float, float]
    right: tuple[float, float]
    tail: float = 0.0
    corners: tuple[float, ...] = ()


def expit(x: Float64) -> Float64:
    """The logistic function 1 / (1 + exp(-x))."""
    found: Float64 = scipy.special.expit(x)
    return found


def erf(x: Float64) -> Float64:
    """The error function."""
    found: Float64 = scipy.special.erf(x)
    return found


def _softplus(arguments: Mapping[str, Any]) -> Smooth:
    beta = float(arguments.get("beta", 1.0))
    return Smooth(
        lambda x: np.logaddexp(0.0, beta * x) / beta, lambda x: beta * expit(beta * x) * expit(-beta * x),
        beta * beta / (6 * math.sqrt(3)), (0.0, 0.0), (1.0, 0.0))


def _log_sigmoid(_: Mapping[str, Any]) -> Smooth:
    return Smooth(lambda x: -np.logaddexp(0.0, -x), lambda x: -expit(x) * expit(-x), 1 / (6 * math.sqrt(3)),
                  (1.0, 0.0), (0.0, 0.0))


def _elu(arguments: Mapping[str, Any]) -> Smooth:
    alpha, scale, rate = (float(arguments.get(k, 1.0)) for k in ("alpha", "scale", "input_scale"))
    return _exponential(alpha, scale, rate)


def _celu(arguments: Mapping[str, Any]) -> Smooth:
    alpha = float(arguments.get("alpha", 1.0))
    return _exponential(alpha, 1.0, 1 / alpha)


def _selu(_: Mapping[str, Any]) -> Smooth:
    return _exponential(1.6732632423543772848170429916717, 1.0507009873554804934193349852946, 1.0)


def _exponential(alpha: float, scale: float, rate: float) -> Smooth:
    return Smooth(
        lambda x: scale * np.where(x > 0, x, alpha * np.expm1(rate * np.minimum(x, 0.0))),
        lambda x: np.where(x > 0, 0.0, scale * alpha * rate * rate * np.exp(rate * np.minimum(x, 0.0))),
        abs(scale * alpha * rate**3), (0.0, -scale * alpha), (scale, 0.0), corners=(0.0,))


def _tanh_second(x: Float64) -> Float64:
    t: Float64 = np.tanh(x)
    second: Float64 = -2 * t * (1 - t * t)
    return second


def _sigmoid_second(x: Float64) -> Float64:
    below: Float64 = expit(-x)
    second: Float64 = expit(x) * below * (below - expit(x))
    return second


def _gelu(arguments: Mapping[str, Any]) -> Smooth:
    if arguments.get("approximate", "none") == "none":
        return Smooth(
            lambda x: x * (1 + erf(x / math.sqrt(2))) / 2,
            lambda x: np.exp(-x * x / 2) / math.sqrt(2 * math.pi) * (2 - x * x), 0.8, (0.0, 0.0), (1.0, 0.0), tail=1.5)
    c, d = math.sqrt(2 / math.pi), 0.044715

    def second(x: Float64) -> Float64:
        t: Float64 = np.tanh(c * (x + d * x**3))
        slope, bend = c * (1 + 3 * d * x * x), 6 * c * d * x
        found: Float64 = (1 - t * t) * (slope + x / 2 * (bend - 2 * t * slope * slope))
        return found

    return Smooth(lambda x: x / 2 * (1 + np.tanh(c * (x + d * x**3))), second, 0.9, (0.0, 0.0), (1.0, 0.0), tail=1.5)


def _mish_second(x: Float64) -> Float64:
    t: Float64 = np.tanh(np.logaddexp(0.0, x))
    s: Float64 = expit(x)
    slope = (1 - t * t) * s
    second: Float64 = 2 * slope + x * (slope * (1 - s) - 2 * t * slope * s)
    return second


SMOOTH: dict[str, Callable[[Mapping[str, Any]], Smooth]] = {
    "tanh": lambda _: Smooth(np.tanh, _tanh_second, 2.0, (0.0, -1.0), (0.0, 1.0)),
    "sigmoid": lambda _: Smooth(expit, _sigmoid_second, 0.125, (0.0, 0.0), (0.0, 1.0)),
    "softplus": _softplus,
    "log_sigmoid": _log_sigmoid,
    "elu": _elu,
    "selu": _selu,
    "celu": _celu,
    "gelu": _gelu,
    "silu": lambda _: Smooth(lambda x: x * expit(x), lambda x: 2 * expit(x) * expit(-x) + x * _sigmoid_second(x), 0.4,
                             (0.0, 0.0), (1.0, 0.0), tail=1.5),
    "mish": lambda _: Smooth(lambda x: x * np.tanh(np.logaddexp(0.0, x)), _mish_second, 0.7, (0.0, 0.0), (1.0, 0.0), tail=1.5),
    "hardswish": lambda _: Smooth(lambda x: x * np.clip(x + 3, 0, 6) / 6, lambda x: np.where(np.abs(x) < 3, 1 / 3, 0.0), 0.0,
                                  (0.0, 0.0), (1.0, 0.0), tail=3.0, corners=(-3.0, 3.0)),
    "erf": lambda _: Smooth(erf, lambda x: -4 / math.sqrt(math.pi) * x * np.exp(-x * x), 2.3, (0.0, -1.0), (0.0, 1.0)),
}
"""Smooth activations by name, from their arguments."""

PERIODIC: dict[str, Callable[[Float64], Float64]] = {"sin": np.sin, "cos": np.cos}

APPROXIMABLE = {*SMOOTH, *PERIODIC}

N_SAMPLES = 17
"""Samples of the second derivative on a segment."""

_INSIDE = (np.arange(N_SAMPLES) + 0.5) / N_SAMPLES

BISECTIONS = 6
"""Steps towards the farthest end of a segment; a nearer one costs a few more knots, no accuracy."""

FINEST = 1e-10
"""The smallest tolerance: a curve then has some hundred thousand knots, each of which may cut each cell for each unit."""


def table_of(operation: str, arguments: Mapping[str, Any], tolerance: float) -> tuple[Float64, Float64, float | None]:
    """Knots, values and period of the interpolant of a smooth activation that differs from it by at most `tolerance`."""
    scalars = tuple(sorted((k, v) for k, v in arguments.items() if isinstance(v, (bool, int, float, str))))
    return _table_of(operation, scalars, tolerance)


@lru_cache(maxsize=64)
def _table_of(
    operation: str, scalars: tuple[tuple[str, Any], ...], tolerance: float
) -> tuple[Float64, Float64, float | None]:
    """The same, of arguments that can be compared. The arrays are shared: nobody writes into them."""
    arguments = dict(scalars)
    if operation in PERIODIC:
        quarter = math.ceil(math.tau / math.sqrt(8 * tolerance) / 4)
        knots = np.arange(4 * quarter) * (math.tau / (4 * quarter))
        return knots, PERIODIC[operation](knots), math.tau
    smooth = SMOOTH[operation](arguments)
    start, stop = -_end(smooth, smooth.left, -1.0, tolerance / 2), _end(smooth, smooth.right, 1.0, tolerance / 2)
    if start == stop:
        # Both asymptotes are near enough here: they are moved to meet, by less than they are apart.
        middle = (smooth.left[1] + smooth.right[1]) / 2
        knots = np.array([-1.0, 0.0, 1.0])
        return knots, np.array([middle - smooth.left[0], middle, middle + smooth.right[0]]), None
    inside, width = [start], math.sqrt(tolerance)
    for goal in sorted({stop, *(c for c in smooth.corners if start < c < stop)}):
        while inside[-1] < goal:
            # At the outer knots the interpolant is on the asymptote, which took half of the tolerance.
            ends = [tolerance / 2 if x in (start, stop) else tolerance for x in (inside[-1], goal)]
            knot = _next_knot(smooth, inside[-1], goal, ends[0], min(ends), width)
            width = knot - inside[-1]
            inside.append(knot)
    inner = np.array(inside)
    values = smooth.value(inner)
    outside = [start - 1.0, stop + 1.0]
    lines = [slope * x + offset for (slope, offset), x in zip((smooth.left, smooth.right), outside)]
    values[[0, -1]] = [slope * x + offset for (slope, offset), x in zip((smooth.left, smooth.right), (start, stop))]
    return np.concatenate([outside[:1], inner, outside[1:]]), np.concatenate([lines[:1], values, lines[1:]]), None


def _end(smooth: Smooth, line: tuple[float, float], side: float, tolerance: float) -> float:
    """The smallest magnitude on one side beyond which the asymptote is near enough."""

    def distance(size: float) -> float:
        x = np.array(side * size)
        return abs(float(smooth.value(x)) - line[0] * side * size - line[1])

    low, high = smooth.tail, max(1.0, 2 * smooth.tail)
    while distance(high) > tolerance:
        high *= 2
    if distance(low) <= tolerance:
        return low
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if distance(middle) <= tolerance else (middle, high)
    return high


def _next_knot(smooth: Smooth, start: float, goal: float, tolerance: float, last: float, guess: float) -> float:
    """The farthest end of a segment on which linear interpolation is within the tolerance; `last` is that up to the goal.

    Sought from a `guess` of its width, which is doubled or halved until the width lies between the two.
    """

    def is_near(width: float, tolerance: float = tolerance) -> bool:
        # Not quite to the ends: there may be a corner.
        x = start + width * _INSIDE
        bend = float(np.abs(smooth.second(x)).max()) + smooth.third * width / (2 * N_SAMPLES)
        return width * width / 8 * bend <= tolerance

    whole = goal - start
    if is_near(whole, last):
        return goal
    if is_near(whole):
        return (start + goal) / 2
    low, high = 0.0, whole
    width = min(guess, whole / 2)
    while low == 0.0 or (high == whole and width < whole):
        low, high = (width, high) if is_near(width) else (low, width)
        width = 2 * low if low else high / 2
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_near(middle) else (low, middle)
    return start + low


def curved(operation: str, arguments: Mapping[str, Any], approximate: float | None) -> dict[str, Any] | str | None:
    """Arguments of `interpolated` that stand for an operation; None if it is no such curve; or why it cannot be one.

    Parameters
    ----------
    approximate : float or None
        How far the interpolant of a smooth activation may be from it.
    """
    if operation == "piecewise_linear":
        x, knots, values = (arguments[k] for k in ("x", "knots", "values"))
        if not isinstance(x, Reference) or isinstance(knots, Reference) or isinstance(values, Reference):
            return "its knots and values depend on the input"
        return {"0": x, "1": knots.double(), "2": values.double(), "3": arguments["period"]}
    if operation not in APPROXIMABLE or approximate is None:
        return None
    rate = {"softplus": "beta", "celu": "alpha", "elu": "input_scale"}.get(operation)
    if rate is not None and not 0 < float(arguments.get(rate, 1.0)) < math.inf:
        return f"its {rate} is expected to be positive and finite"
    jump = 0.0
    if operation == "softplus":  # beyond its threshold it is the asymptote itself
        jump = math.log1p(math.exp(-float(arguments["threshold"]))) / float(arguments["beta"])
        if jump > approximate / 4:
            return f"it jumps by {jump:.1g} at its threshold"
    knots, values, period = table_of(operation, arguments, approximate - jump)
    x = arguments["input"] if "input" in arguments else arguments["self"]
    return {"0": x, "1": torch.from_numpy(knots), "2": torch.from_numpy(values), "3": period}


def curve_step(
    name: str, operation: str, path: str, arguments: dict[str, Any], shape: tuple[int, ...], approximate: float | None
) -> Step:
    """The step of a curve with arguments as from `curved`."""
    bound = 0.0 if operation == "piecewise_linear" or approximate is None else approximate
    return Step(name, "piecewise_linear", path, Call(interpolated), arguments, "curve", KINKS["piecewise_linear"],
                (arguments["0"].name,), shape, (shape,), name, operation, bound)
