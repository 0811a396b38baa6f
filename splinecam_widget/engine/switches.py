"""Conditions on the input: comparisons, what is made of them, and choices between values, such as `where(x > 0, x, 0)`.

A condition has one of two values on either side of a line and none on the line itself, so no vertex can hold it. It is
computed anew from what is compared wherever it is used. A choice is continuous, or the model is refused: on the line both
values must agree (`jumps`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import torch

from .arrays import Float64
from .evaluation import row_chunks_of_width, run_steps
from .network import Call, Reference, Stage, Step
from .operations import AFFINE, KINKS
from .planar import Int32
from .rounding import Bound, sizes, step_bound

# -- what switches call ------------------------------------------------------------------------------------------------------


def is_above(tie: torch.Tensor) -> torch.Tensor:
    """Whether entries are positive."""
    return tie > 0


def is_below(tie: torch.Tensor) -> torch.Tensor:
    """Whether entries are not."""
    return tie <= 0


def sign_of(tie: torch.Tensor) -> torch.Tensor:
    """1 or -1."""
    return torch.where(tie > 0, 1.0, -1.0).double()


def step_of(tie: torch.Tensor) -> torch.Tensor:
    """1 or 0."""
    return (tie > 0).double()


_SWITCHES = {"gt": is_above, "ge": is_above, "greater": is_above, "greater_equal": is_above, "lt": is_below, "le": is_below,
             "less": is_below, "less_equal": is_below, "sign": sign_of, "sgn": sign_of, "heaviside": step_of}

OPERATIONS = set(_SWITCHES)
"""Operations that make a condition of numbers."""

_CONDITIONS = {"logical_and", "logical_or", "logical_xor", "logical_not", "bitwise_and", "bitwise_or", "bitwise_xor",
               "bitwise_not", "and", "or", "xor", "to", "_to_copy", "type_as", "clone", "where", "masked_fill", "mul", "add",
               "sub", "rsub", "neg"}
"""Operations that make a condition of conditions, entry by entry."""


def steps_of(
    name: str, operation: str, path: str, arguments: Mapping[str, Any], numbers: Collection[str], conditions: Collection[str],
    input_shapes: tuple[tuple[int, ...], ...], shape: tuple[int, ...], call: Call,
) -> list[Step] | str:
    """The steps of an operation that makes or uses a condition, or why it cannot be one.

    Parameters
    ----------
    numbers, conditions : collection of str
        Names of earlier results that depend on the input.
    """
    of_numbers, of_conditions = (
        {k for k, v in arguments.items() if _names(v) & set(group)} for group in (numbers, conditions))
    if operation in OPERATIONS:
        if of_conditions:
            return "it compares with a condition on the input"
        return _comparison(name, operation, path, arguments, input_shapes, shape)
    arguments = dict(arguments)
    if isinstance(arguments.get("dtype"), torch.dtype) and arguments["dtype"].is_floating_point:
        arguments["dtype"] = torch.float64
    kind = "choice" if of_numbers else "condition"
    if operation == "index_put" and of_conditions == {"indices"} and len(arguments["indices"]) == 1 and not (
            arguments["accumulate"]) and arguments["values"].numel() == 1:
        operation, call = "where", Call(torch.ops.aten.where.self)
        arguments = {"condition": arguments["indices"][0], "self": arguments["values"].reshape(()), "other": arguments["self"]}
        of_conditions = {"condition"}
    is_choice = (operation == "mul" and len(of_conditions) == 1) or (
        operation in ("where", "masked_fill") and not of_numbers & {"condition", "mask"})
    if operation == "where":  # numbers without a type become float64 ones
        call = Call(torch.ops.aten.where.self)
        arguments = {k: torch.tensor(float(v), dtype=torch.float64) if isinstance(v, (int, float)) else v
                     for k, v in arguments.items()}
    if not (is_choice if kind == "choice" else operation in _CONDITIONS):
        return "it is not continuous: a condition on the input may only choose between values, entry by entry"
    sources = tuple(sorted(_names(list(arguments.values()))))
    return [Step(name, operation, path, call, arguments, kind, AFFINE.get(operation), sources, shape, input_shapes)]


def _comparison(
    name: str, operation: str, path: str, arguments: Mapping[str, Any], input_shapes: tuple[tuple[int, ...], ...],
    shape: tuple[int, ...],
) -> list[Step] | str:
    first, second = arguments["self"], arguments.get("other", 0)
    steps = []
    tie = first
    if isinstance(second, (Reference, torch.Tensor)) or second != 0 or not isinstance(first, Reference):
        operands = {"self": first, "other": second}
        operands = {k: v.double() if isinstance(v, torch.Tensor) else v for k, v in operands.items()}
        if not isinstance(second, (Reference, torch.Tensor)):
            operands["other"] = torch.tensor(float(second), dtype=torch.float64)
        steps.append(Step(
            f"{name}.tie", "sub", path, Call(torch.ops.aten.sub.Tensor), {**operands, "alpha": 1}, "affine", AFFINE["sub"],
            tuple(sorted(_names(list(operands.values())))), shape, input_shapes, name, operation))
        tie = Reference(f"{name}.tie")
    function = _SWITCHES[operation]
    steps.append(Step(name, function.__name__, path, Call(function), {"0": tie}, "switch", KINKS[function.__name__],
                      (tie.name,), shape, input_shapes, name, operation))
    return steps


def _names(value: Any) -> set[str]:
    if isinstance(value, (list, tuple)):
        return {name for v in value for name in _names(v)}
    return {value.name} if isinstance(value, Reference) else set()


def jumps(
    stage: Stage, shapes: Mapping[str, tuple[int, ...]], rows: Mapping[str, Float64], bounds: Mapping[str, Bound],
    edges: Int32,
) -> str:
    """Path and operation of a choice in a stage that is not continuous, with the height of its jump; or "".

    Parameters
    ----------
    rows : dict of (V, n) float64
        What comes into the stage, at all vertices.
    bounds : dict
        Of the same.
    edges : (E, 2) int32

    Notes
    -----
    Along an edge, what is compared and the difference of the two values are affine. The difference is continued to the place
    where what is compared is zero. There it must be zero up to rounding.
    """
    switches = {step.name: step for step in stage.steps if step.kind == "switch"}
    errors: dict[str, Any] = dict(bounds)
    with torch.no_grad():
        for step in stage.steps:
            errors[step.name] = sizes(step, errors) if step.kind == "size" else step_bound(step, errors)
    for choice in (step for step in stage.steps if step.kind == "choice"):
        for tie in sorted({s.sources[0] for s in switches.values()}):
            turned = [name for name, s in switches.items() if s.sources[0] == tie]
            gap, place = _gap(stage, shapes, rows, choice, turned, tie)
            tie_error = _spread(torch.from_numpy(errors[tie].tolerance()).reshape(1, *shapes[tie]), choice.shape, 1)[0]
            height = _height(gap, place, errors[choice.name].tolerance(), tie_error, edges)
            if height > 0:
                return (f"`{choice.operation}` in {choice.path or '(model)'} jumps by {height:.3g} where a condition on the "
                        "input changes")
    return ""


def _gap(
    stage: Stage, shapes: Mapping[str, tuple[int, ...]], rows: Mapping[str, Float64], choice: Step, turned: list[str],
    tie: str,
) -> tuple[Float64, Float64]:
    """At all vertices: a choice's value above minus that below a line, and what is compared, both (V, n)."""
    n = len(next(iter(rows.values())))
    width = max(stage.width, *(r.shape[1] for r in rows.values()))
    gaps, ties = [], []
    for part in row_chunks_of_width(width, n):
        blocks = {k: torch.from_numpy(r[part]).reshape(len(r[part]), *shapes[k]) for k, r in rows.items()}
        size = len(next(iter(blocks.values())))
        with torch.no_grad():
            above, below = (
                run_steps(stage.steps, blocks, size, {
                    s.name: s.call({"0": torch.full((size, *shapes[tie]), side, dtype=torch.float64)})
                    for s in stage.steps if s.name in turned})
                for side in (1.0, -1.0))
        gaps.append((above[choice.name] - below[choice.name]).reshape(size, -1).numpy())
        ties.append(_spread(above[tie], choice.shape, size))
    return np.concatenate(gaps), np.concatenate(ties)


def _spread(values: torch.Tensor, shape: tuple[int, ...], size: int) -> Float64:
    """Entries (size, *smaller) broadcast to (size, n)."""
    values = values.reshape(size, *(1,) * (len(shape) - values.ndim + 1), *values.shape[1:])
    spread: Float64 = values.expand(size, *shape).reshape(size, -1).numpy()
    return spread


EDGES_AT_A_TIME = 4096


def _height(gap: Float64, tie: Float64, gap_error: Float64, tie_error: Float64, edges: Int32) -> float:
    """The largest difference at a line that rounding does not explain, or 0."""
    worst = 0.0
    for start in range(0, len(edges), EDGES_AT_A_TIME):
        for a, b in (edges[start:start + EDGES_AT_A_TIME].T, edges[start:start + EDGES_AT_A_TIME, ::-1].T):
            on_line = (np.abs(tie[a]) <= tie_error) & (np.abs(tie[b]) > tie_error)
            edge, unit = np.nonzero(on_line)
            here, there = gap[a[edge], unit], gap[b[edge], unit]
            t_here, t_there = tie[a[edge], unit], tie[b[edge], unit]
            slope = (there - here) / (t_there - t_here)
            at_line = np.abs(here - slope * t_here)
            # Both values carry errors, and the place of the line that of what is compared.
            slack = 4 * gap_error[unit] + 2 * np.abs(slope) * tie_error[unit]
            is_jump = at_line > slack
            if is_jump.any():
                worst = max(worst, float(at_line[is_jump].max()))
    return worst
