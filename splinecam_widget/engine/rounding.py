r"""How large a rounding error of a network's value can be: the bound that decides which values count as zero.

Every tensor of the network carries two tensors of its own shape: `square`, a bound of its squared magnitude over the domain,
and `variance`, a bound of its squared rounding error at the stored position of a vertex. Both pass each operation with its
coefficients squared.

For one entry :math:`y = \sum_{i=1}^{n} w_i x_i + c` let :math:`q = \sum w_i^2 x_i^2 + c^2`. By Cauchy-Schwarz
:math:`|y|^2 \le n q`. The rounding error of the sum is at most :math:`\lambda \sqrt n\, u \sum |w_i x_i|
\le \lambda n u \sqrt q` with a probability of at least :math:`1 - 2 n e^{-\lambda^2/2}` (Higham & Mary 2019, theorem 2.4), so
the variance grows by :math:`(n u)^2 q`, and the errors already in :math:`x` add :math:`\sum w_i^2 \mathrm{var}_i`.
The errors in the entries of one tensor are taken as independent of one another, as the theorem does for those of one sum; where
an entry is repeated many times and then summed, they are not, and the bound is too small by at most the root of the repeats.
A value is zero when :math:`|z| \le \lambda \sqrt{\mathrm{variance}}`.

References
----------
Higham, Mary: A new approach to probabilistic rounding error analysis. SIAM J. Sci. Comput. 41 (2019).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch

from .arrays import Float64
from .operations import Affine, Kink
from .selections import larger_of_pairs
from .spectra import spectrum_rows
from .steps import Reference, Step

UNIT_ROUNDOFF = 2.0**-53
CONFIDENCE = 8.0
"""Lambda: an error exceeds the bound with a probability below 3e-14 a summed term."""
LERP_ROUNDINGS = 6.0
"""A new vertex interpolates twice, each time with a subtraction, a product and a sum."""
LERP_ERROR = (LERP_ROUNDINGS * UNIT_ROUNDOFF) ** 2
"""Of the squared magnitude: the squared error that this adds."""

@dataclass(frozen=True)
class Bound:
    """Bounds of one tensor, as rows (2, *shape): of its squared magnitude, and of its squared rounding error."""

    rows: torch.Tensor

    @property
    def square(self) -> torch.Tensor:
        return self.rows[0]

    @property
    def variance(self) -> torch.Tensor:
        return self.rows[1]

    def tolerance(self) -> Float64:
        """Magnitude (n,) below which an entry's sign is not known."""
        tolerance: Float64 = CONFIDENCE * np.sqrt(self.rows.numpy()[1].reshape(-1))
        return tolerance

    def without_losers(self, values: Float64) -> Bound:
        """Of pairs of neighbours (k, n) with `values` (V, k n): an entry that is nowhere the larger leaves no error in it."""
        k, n = self.rows.shape[1:]
        even = k // 2 * 2
        low, high = (torch.from_numpy(extreme.reshape(k, n)[:even].reshape(-1, 2, n))
                     for extreme in (values.min(axis=0), values.max(axis=0)))
        loses = (high < low.flip(1)).flatten(0, 1)
        rows = self.rows.clone()
        rows[:, :even][:, loses] = 0.0
        return Bound(rows)

    def interpolated(self, peak: Float64) -> Bound:
        """The bound after interpolation to new vertices, with the magnitude `peak` (n,) as measured."""
        rows = np.empty((2, peak.size))
        with np.errstate(over="ignore"):  # of a square; whether outputs are finite is asked at the end
            np.multiply(peak, peak, rows[0])
        np.multiply(rows[0], LERP_ERROR, rows[1])
        rows[1] += self.rows.numpy()[1].reshape(-1)
        return Bound(torch.from_numpy(rows).view(self.rows.shape))


def input_bound(corners: Float64) -> Bound:
    """The bound of inputs (V, *shape) computed from slice coordinates: two products and two sums."""
    rows = np.empty((2, *corners.shape[1:]))
    (corners * corners).max(axis=0, out=rows[0, ...])
    np.multiply(rows[0], (4 * UNIT_ROUNDOFF) ** 2, out=rows[1, ...])
    return Bound(torch.from_numpy(rows))


Bounds = Mapping[str, Any]
"""By a step's name: a Bound, a list of them, or what `sizes` returns."""


def sizes(step: Step, bounds: Bounds) -> tuple[int, int]:
    """What a step that counts the batch gives for a batch of one and of two."""
    if step.operation == "sym_size":
        return 1, 2
    one = step.call(step.filled(step.arguments, lambda name: bounds[name][0]))
    two = step.call(step.filled(step.arguments, lambda name: bounds[name][1]))
    return one, two


def step_bound(step: Step, bounds: Bounds) -> Bound | list[Bound]:
    """The bound of a step's result from those of its sources."""
    with np.errstate(over="ignore", invalid="ignore"):  # squares overflow; whether outputs are finite is asked at the end
        return _step_bound(step, bounds)


def _step_bound(step: Step, bounds: Bounds) -> Bound | list[Bound]:
    rule = step.rule
    if step.kind in ("condition", "choice"):
        return _choice_bound(step, bounds)
    if isinstance(rule, Kink):
        return _kink_bound(step, rule, bounds)
    assert isinstance(rule, Affine)
    if step.kind == "spectrum":
        return Bound(spectrum_rows(step, bounds[step.sources[0]].rows, UNIT_ROUNDOFF))
    if rule.coefficients == "sum":
        return _sum_bound(step, bounds)
    if rule.coefficients == "none":
        values = step.call(step.filled(step.arguments, lambda name: _zero(bounds[name])))
        return Bound(torch.cat([values * values, torch.zeros_like(values)]))
    if step.operation in ("neg", "negative", "negated"):
        bound: Bound = bounds[step.sources[0]]
        return bound
    parts = _PARTS.get(step)
    if parts is None:
        parts = _PARTS[step] = _parts_of(step, rule, bounds)
    found = step.call(step.filled(parts.linear, lambda name: _rows(bounds[name])))
    if isinstance(found, (list, tuple)):
        return [Bound(rows) for rows in found]
    if rule.coefficients == "selection":
        return Bound(found if parts.constant is None else torch.stack([found[0] + parts.constant, found[1]]))
    rows = found.numpy()  # fresh memory, so written in place
    square, variance = rows[0, ...], rows[1, ...]  # of one number for each input, still arrays
    if parts.constant is not None:
        square += parts.constant.numpy()
    if parts.factor > 1:
        square *= parts.factor
        variance *= parts.factor
    variance += (parts.terms * UNIT_ROUNDOFF) ** 2 * square
    if rule.coefficients == "weights":
        square *= parts.terms
    return Bound(found)


def _kink_bound(step: Step, rule: Kink, bounds: Bounds) -> Bound:
    rows = bounds[step.arguments[rule.varying].name].rows
    if step.operation == "larger_of_pairs":  # as large, and as wrong, as either
        return Bound(larger_of_pairs(None, rows))
    if step.operation == "relu":
        return Bound(rows)
    if step.operation == "exchanged":
        low, high = step.arguments["2"], step.arguments["3"]
        rows = rows.clone()
        rows[:, low] = rows[:, high] = torch.maximum(rows[:, low], rows[:, high])
        return Bound(rows)
    if step.kind == "switch":  # 0, 1 or -1, without error
        return Bound(torch.stack([torch.ones(step.shape, dtype=torch.float64), torch.zeros(step.shape, dtype=torch.float64)]))
    rows = rows.expand(2, *step.shape)  # limits may be given for more entries than it has
    slope, at_zero = rule.slope(step.arguments), rule.at_zero(step.arguments)
    square = (at_zero + slope * rows[:1].sqrt()) ** 2
    return Bound(torch.cat([square, slope * slope * rows[1:] + (4 * UNIT_ROUNDOFF) ** 2 * square]))


def _choice_bound(step: Step, bounds: Bounds) -> Bound:
    """Of what is chosen between, the larger; of a product with a condition, that of independent factors."""
    if step.operation in ("where", "masked_fill"):
        values = [step.arguments[k] for k in ("self", "other", "value") if step.arguments.get(k) is not None]
        low, high = (_operand_rows(v, step.shape, bounds) for v in values)
        return Bound(torch.maximum(low, high))
    if step.operation == "mul":
        (square, variance), (factor, error) = (_operand_rows(step.arguments[k], step.shape, bounds) for k in ("self", "other"))
        product = square * factor
        return Bound(torch.stack([product, variance * factor + square * error + UNIT_ROUNDOFF**2 * product]))
    if step.operation in ("add", "sub", "rsub"):
        values = [_operand_rows(step.arguments[k], step.shape, bounds) for k in ("self", "other")]
        rows = (values[0].sqrt() + abs(float(step.arguments.get("alpha") or 1)) * values[1].sqrt()) ** 2
        return Bound(torch.stack([rows[0], rows[1] + UNIT_ROUNDOFF**2 * rows[0]]))
    if step.operation in ("to", "_to_copy", "type_as", "clone", "neg"):
        return Bound(_operand_rows(step.arguments["self"], step.shape, bounds))
    ones = torch.ones(step.shape, dtype=torch.float64)
    return Bound(torch.stack([ones, torch.zeros_like(ones)]))  # and, or, not: 0 or 1


def _operand_rows(value: Any, shape: tuple[int, ...], bounds: Bounds) -> torch.Tensor:
    """Rows (2, *shape) of an operand: of an earlier result, or of a constant."""
    if isinstance(value, Reference):
        rows: torch.Tensor = bounds[value.name].rows
        rows = rows.reshape(2, *(1,) * (len(shape) - rows.ndim + 1), *rows.shape[1:])
        return rows.expand(2, *shape)
    square = torch.as_tensor(value, dtype=torch.float64) ** 2
    if square.ndim > len(shape):
        square = square[0]
    return torch.stack([square.expand(shape), torch.zeros(shape, dtype=torch.float64)])


@dataclass(frozen=True)
class _Parts:
    """What the bound of an affine step takes from the step.

    Attributes
    ----------
    linear : dict
        Arguments of the step's linear part, with coefficients squared.
    constant : tensor or None
        The constant part squared; None: zero.
    terms : float
        That are summed for an entry.
    factor : float
        More than 1 for an average whose weights sum to more than 1.
    """

    linear: dict[str, Any]
    constant: torch.Tensor | None
    terms: float
    factor: float


_PARTS: WeakKeyDictionary[Step, _Parts] = WeakKeyDictionary()


def _parts_of(step: Step, rule: Affine, bounds: Bounds) -> _Parts:
    squared = step.arguments if rule.squared is None else rule.squared(dict(step.arguments))
    # A constant that stands where others vary (in a concatenation) is added like a bias; a factor is not.
    beside = {name for name in rule.varying if rule.coefficients == "selection"} | {
        name for name in rule.added if name not in step.open_arguments}
    linear = {k: _zeroed(v) if k in beside else v for k, v in squared.items()}
    n_in = max([1, *(math.prod(shape) for shape in step.input_shapes)])
    terms = 1.0 if rule.coefficients == "selection" else float(
        rule.terms(step.arguments, n_in, math.prod(step.shape)) + 1)
    divisor = step.arguments.get("divisor_override")
    factor = 1.0 if divisor is None else max(1.0, (terms / abs(divisor)) ** 2)
    if not any(_is_constant(squared[k]) for k in beside if k in squared):
        return _Parts(linear, None, terms, factor)
    with_constants = {
        k: _squared(v) if k in beside and rule.squared is None else v for k, v in squared.items()}
    at_zero = step.call(step.filled(with_constants, lambda name: _zero(bounds[name])))
    if isinstance(at_zero, (list, tuple)):  # batch norm with its (empty) statistics
        at_zero = at_zero[0]
    return _Parts(linear, at_zero[0], terms, factor)


def _rows(bound: Any) -> Any:
    if isinstance(bound, list):
        return [b.rows for b in bound]
    return bound.rows if isinstance(bound, Bound) else bound[1]


def _zero(bound: Any) -> Any:
    if isinstance(bound, list):
        return [_zero(b) for b in bound]
    return torch.zeros_like(bound.rows[:1]) if isinstance(bound, Bound) else bound[0]


def _sum_bound(step: Step, bounds: Bounds) -> Bound:
    """A sum or difference: errors may be correlated, so standard deviations add."""
    alpha = abs(float(step.arguments.get("alpha") or 1))
    factors = (alpha, 1.0) if step.operation == "rsub" else (1.0, alpha)
    deviations: Any = 0.0
    constants: Any = 0.0
    for name, factor in zip(("self", "other"), factors):
        value = step.arguments[name]
        if isinstance(value, Reference) and isinstance(bounds[value.name], Bound):
            deviations = deviations + factor * bounds[value.name].rows.sqrt()
        else:
            number = bounds[value.name][0] if isinstance(value, Reference) else value
            constants = constants + factor * abs(number)
    magnitude, error = deviations[:1] + constants, deviations[1:]
    square = magnitude * magnitude
    return Bound(torch.cat([square, (error * error + 4 * UNIT_ROUNDOFF**2 * square).expand_as(square)]))


def _is_constant(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_is_constant(v) for v in value)
    return isinstance(value, torch.Tensor) or (isinstance(value, (float, int)) and value != 0)


def _squared(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_squared(v) for v in value]
    return value * value if isinstance(value, (torch.Tensor, float, int)) else value


def _zeroed(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_zeroed(v) for v in value]
    return value * 0 if isinstance(value, (torch.Tensor, float, int)) else value
