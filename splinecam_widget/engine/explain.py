"""What the engine understood of a model, as a table. Does not raise for a model it cannot compute."""

from __future__ import annotations

import html
import math
from typing import Any

import numpy as np

from .errors import Offender, UnsupportedModelError, shape_text, text_table
from .lowering import read
from .operations import Affine
from .steps import Step

HEADER = ("module", "operation", "shapes", "parameters", "cost", "understood as")


class Explanation:
    """A table of a model's operations, printed by `print` and shown by notebooks.

    Attributes
    ----------
    rows : list of tuple of str
        Module path, operation, shapes, parameters, multiplications for each vertex (about: the terms that each entry of its
        result sums), and what it is: affine, kink with its number of units, head, or refused and why.
    is_supported : bool
    message : str
        The table as text, with a summary above.
    """

    def __init__(self, rows: list[tuple[str, ...]], summary: str, is_supported: bool) -> None:
        self.rows = rows
        self._summary = summary
        self.is_supported = is_supported
        self.message = summary + ("\n" + text_table(HEADER, rows) if rows else "")

    def __str__(self) -> str:
        return self.message

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The table as notebooks show it, so that long reasons wrap in their column."""
        left = ' style="text-align: left; vertical-align: top"'
        head = "".join(f"<th{left}>{html.escape(name)}</th>" for name in HEADER)
        rows = "".join(f"<tr>{''.join(f'<td{left}>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in self.rows)
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>" if self.rows else ""
        return f"<p>{html.escape(self._summary)}</p>{table}"


def explain(
    model: Any, x: Any, output: str | int | None = None, approximate: float | None = None
) -> Explanation:
    """What the engine understands of a model, operation by operation, without raising for unsupported ones.

    Parameters
    ----------
    model : nn.Module or callable of torch operations
    x : (*input_shape,) tensor or array
        One input, without the batch axis; only its shape matters.
    output, approximate :
        See `compute_partition`.

    Raises
    ------
    TypeError
        If the model is not callable.
    ValueError
        If `output` names none of the outputs, `approximate` is not a finite number from 1e-10 on, or `x` has no axes.

    Examples
    --------
    >>> import torch
    >>> explain(torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU()), torch.zeros(2)).is_supported
    True
    """
    shape = tuple(int(s) for s in np.shape(x))
    if not shape:
        raise ValueError(f"x: expected an input of at least one axis, got {x!r}")
    try:
        reading = read(model, shape, output, approximate)
    except UnsupportedModelError as error:
        return Explanation([], str(error), False)
    rows: list[tuple[str, ...]] = []
    layer = cost = n_parameters = total = 0
    bends: set[str] = set()
    for entry in reading.entries:
        if isinstance(entry, Offender):
            understood = f"refused: {entry.reason}; use {entry.replacement}"
            rows.append((entry.path or "(model)", entry.operation, entry.shapes, "", "", understood))
            continue
        cost += cost_of(entry)
        n_parameters += sum(reading.parameters.get(id(v), 0) for v in constants_of(entry))
        bends.update(entry.node or entry.name for _ in range(entry.is_cut))
        if entry.kind == "size" or (entry.node and entry.node != entry.name):
            continue  # of an operation in several steps, the last one stands for all
        understood = "affine"
        if entry.is_condition or entry.kind == "choice":
            understood = "condition" if entry.is_condition else "choice, checked for continuity"
        if entry.name in bends:
            understood = f"kink {layer} with {entry.n_units} units"
            layer += 1
        if entry.deviation:
            understood += f", approximation by {len(entry.arguments['1'])} knots to within {entry.deviation:g}"
        shapes = ", ".join(shape_text(s) for s in entry.input_shapes) + " -> " + shape_text(entry.shape)
        rows.append((entry.path or "(model)", entry.part_of or entry.operation, shapes,
                     f"{n_parameters:,}" if n_parameters else "", f"{cost:,}" if cost else "", understood))
        total += cost
        cost = n_parameters = 0
    if reading.head:
        rows.append(("(model)", reading.head, "", "", "", "head, set aside: it keeps the order of the logits"))
    supported = not reading.offenders
    n = len(reading.offenders)
    summary = "continuous piecewise-linear" if supported else f"{n} operation{'s' * (n > 1)} refused"
    if any(isinstance(entry, Step) and entry.deviation for entry in reading.entries):
        summary += ", with approximations: exact for the network with these"
    if supported:
        summary += f"; about {total:,} multiplications for each vertex"
    if reading.was_training:
        summary += "; in training mode, computed as in eval mode on a copy"
    if reading.batch_note:
        summary += f"; {reading.batch_note}"
    return Explanation(rows, summary, supported)


def cost_of(step: Step) -> int:
    """Multiplications that a step takes for one vertex: the terms that each entry of its result sums; none for selections."""
    if not isinstance(step.rule, Affine) or step.rule.coefficients not in ("weights", "average"):
        return 0
    n_out = math.prod(step.shape)
    n_in = max([1, *(math.prod(shape) for shape in step.input_shapes)])
    return n_out * step.rule.terms(step.arguments, n_in, n_out)


def constants_of(step: Step) -> list[Any]:
    """The constants among a step's arguments."""
    found: list[Any] = []
    waiting = list(step.arguments.values())
    while waiting:
        value = waiting.pop()
        if isinstance(value, (list, tuple)):
            waiting.extend(value)
        else:
            found.append(value)
    return found
