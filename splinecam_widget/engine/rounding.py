r"""How large a rounding error of a network's value can be: the bound that decides which values count as zero.

Every tensor of the network carries two tensors of its own shape: `square`, a bound of its squared magnitude over the domain,
and `variance`, a bound of its squared rounding error at the stored position of a vertex. Both pass each operation with its
coefficients squared.

For one entry :math:`y = \sum_{i=1}^{n} w_i x_i + c` let :math:`q = \sum w_i^2 x_i^2 + c^2`. By Cauchy-Schwarz
:math:`|y|^2 \le n q`. The rounding error of the sum is at most :math:`\lambda \sqrt n\, u \sum |w_i x_i|
\le \lambda n u \sqrt q` with a probability of at least :math:`1 - 2 n e^{-\lambda^2/2}` (Higham & Mary 2019, theorem 2.4), so
the variance grows by :math:`(n u)^2 q`, and the errors already in :math:`x` add :math:`\sum w_i^2 \mathrm{var}_i`.
A value is zero when :math:`|z| \le \lambda \sqrt{\mathrm{variance}}`.

References
----------
Higham, Mary: A new approach to probabilistic rounding error analysis. SIAM J. Sci. Comput. 41 (2019).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from .arrays import Float64
from .lowering import Reference, Step
from .operations import Affine, Kink

UNIT_ROUNDOFF = 2.0**-53
CONFIDENCE = 8.0
"""Lambda: an error exceeds the bound with a probability below 3e-14 a summed term."""
LERP_ROUNDINGS = 6.0
"""A new vertex interpolates twice, each time with a subtraction, a product and a sum."""


@dataclass(frozen=True)
class Bound:
    """Bounds of one tensor (1, *shape): of its squared magnitude, and of its squared rounding error."""

    square: torch.Tensor
    variance: torch.Tensor

    def tolerance(self) -> Float64:
        """Magnitude (n,) below which an entry's sign is not known."""
        tolerance: Float64 = (CONFIDENCE * self.variance.sqrt()).reshape(-1).numpy()
        return tolerance

    def interpolated(self, peak: Float64 | None = None) -> Bound:
        """The bound after interpolation to new vertices, the magnitude measured where `peak` (n,) is given."""
        square = self.square if peak is None else torch.from_numpy(peak * peak).reshape(self.square.shape)
        return Bound(square, self.variance + (LERP_ROUNDINGS * UNIT_ROUNDOFF) ** 2 * square)


def input_bound(corners: torch.Tensor) -> Bound:
    """The bound of inputs (V, *shape) computed from slice coordinates: two products and two sums."""
    square = (corners * corners).amax(0, keepdim=True)
    return Bound(square, (4 * UNIT_ROUNDOFF) ** 2 * square)


def step_bound(step: Step, bounds: Mapping[str, Bound | list[Bound] | int]) -> Bound | list[Bound]:
    """The bound of a step's result from those of its sources (batch sizes count as 1)."""
    if isinstance(step.rule, Kink):
        (source,) = (bounds[name] for name in step.sources)
        assert isinstance(source, Bound)
        left, right = step.rule.slopes(step.arguments)
        gain = max(left * left, right * right)
        return Bound(gain * source.square, gain * source.variance)
    rule = step.rule
    assert isinstance(rule, Affine)
    if rule.coefficients == "sum":
        return _sum_bound(step, bounds)
    arguments = dict(step.arguments) if rule.squared is None else rule.squared(dict(step.arguments))
    beside = ("value", *(rule.varying if rule.coefficients == "selection" else ()))
    with_constants = {k: _squared_constants(v) if k in beside else v for k, v in arguments.items()}
    without_constants = {k: _zeroed_constants(v) if k in beside else v for k, v in arguments.items()}
    squares = step.call(**_filled(with_constants, bounds, "square"))
    variances = step.call(**_filled(without_constants, bounds, "variance"))
    at_zeros = step.call(**_filled(without_constants, bounds, "zero"))
    if isinstance(squares, (list, tuple)):
        return [_linear_bound(step, rule, *parts) for parts in zip(squares, variances, at_zeros)]
    return _linear_bound(step, rule, squares, variances, at_zeros)


def _linear_bound(step: Step, rule: Affine, square: torch.Tensor, variance: torch.Tensor, at_zero: torch.Tensor) -> Bound:
    """The bound from the operation, squared, on squares, on variances, and on zeros (which leaves its additive part)."""
    if rule.coefficients == "selection":
        return Bound(square, variance)
    if step.operation in ("neg", "negative"):
        return Bound(-square, -variance)
    terms = float(rule.terms(step.arguments) + 1)
    magnitude = terms * square if rule.coefficients == "weights" else square
    return Bound(magnitude, variance - at_zero + (terms * UNIT_ROUNDOFF) ** 2 * square)


def _sum_bound(step: Step, bounds: Mapping[str, Bound | list[Bound] | int]) -> Bound:
    """A sum or difference: errors may be correlated, so standard deviations add."""
    alpha = abs(float(step.arguments.get("alpha") or 1))
    magnitude: Any = 0.0
    error: Any = 0.0
    for name, factor in (("self", 1.0 if step.operation != "rsub" else alpha),
                         ("other", alpha if step.operation != "rsub" else 1.0)):
        value = step.arguments[name]
        if isinstance(value, Reference):
            bound = bounds[value.name]
            if isinstance(bound, Bound):
                magnitude = magnitude + factor * bound.square.sqrt()
                error = error + factor * bound.variance.sqrt()
                continue
            value = bound
        magnitude = magnitude + factor * abs(value)
    square = magnitude * magnitude
    return Bound(square, error * error + 4 * UNIT_ROUNDOFF**2 * square)


def _filled(arguments: dict[str, Any], bounds: Mapping[str, Bound | list[Bound] | int], part: str) -> dict[str, Any]:
    def fill(value: Any) -> Any:
        if isinstance(value, Reference):
            bound = bounds[value.name]
            if isinstance(bound, int):
                return bound
            if isinstance(bound, list):
                return [torch.zeros_like(b.square) if part == "zero" else getattr(b, part) for b in bound]
            return torch.zeros_like(bound.square) if part == "zero" else getattr(bound, part)
        if isinstance(value, (list, tuple)):
            return [fill(v) for v in value]
        return value

    return {k: fill(v) for k, v in arguments.items()}


def _squared_constants(value: Any) -> Any:
    """Constants that stand beside varying tensors or in their place (in a concatenation, as padding), squared."""
    if isinstance(value, (list, tuple)):
        return [_squared_constants(v) for v in value]
    return value * value if isinstance(value, (torch.Tensor, float, int)) else value


def _zeroed_constants(value: Any) -> Any:
    """The same constants as zeros: they carry no rounding error."""
    if isinstance(value, (list, tuple)):
        return [_zeroed_constants(v) for v in value]
    return value * 0 if isinstance(value, (torch.Tensor, float, int)) else value
