"""Conditions on the input: comparisons, what is made of them, and choices between values, such as `where(x > 0, x, 0)`.

A condition has one of two values on either side of a line and none on the line itself, so no vertex can hold it. It is
computed anew from what is compared wherever it is used. A choice is continuous, or the model is refused: on the line both
values must agree (`jumps`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

import numpy as np
import torch

from .arrays import Float64
from .evaluation import row_chunks_of_width
from .operations import AFFINE, KINKS
from .planar import Int32, Int64
from .rounding import Bound, sizes, step_bound
from .steps import Call, Reference, Stage, Step, run_steps


class Corners(Protocol):
    """Cells by the vertices at their corners: of a planar complex, or intervals of a line."""

    @property
    def n_cells(self) -> int: ...
    @property
    def cell_offsets(self) -> Int64: ...
    @property
    def cell_vertices(self) -> Int32: ...


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
        {k for k, v in arguments.items() if names_in(v) & set(group)} for group in (numbers, conditions))
    if operation in OPERATIONS:
        if of_conditions:
            return "it compares with a condition on the input"
        return _comparison(name, operation, path, arguments, input_shapes, shape)
    arguments = dict(arguments)
    if isinstance(arguments.get("dtype"), torch.dtype) and arguments["dtype"].is_floating_point:
        arguments["dtype"] = torch.float64
    kind = "choice" if of_numbers else "condition"
    if operation == "index_put" and of_conditions == {"indices"} and len(arguments["indices"]) == 1 and not (
            arguments["accumulate"]) and isinstance(arguments["values"], torch.Tensor) and (
            arguments["values"].numel() == 1 and input_shapes[0] == input_shapes[-1]):
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
    sources = tuple(sorted(names_in(list(arguments.values()))))
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
            tuple(sorted(names_in(list(operands.values())))), shape, input_shapes, name, operation))
        tie = Reference(f"{name}.tie")
    function = _SWITCHES[operation]
    steps.append(Step(name, function.__name__, path, Call(function), {"0": tie}, "switch", KINKS[function.__name__],
                      (tie.name,), shape, input_shapes, name, operation))
    return steps


def names_in(value: Any) -> set[str]:
    """Names of the results that a value refers to."""
    if isinstance(value, (list, tuple)):
        return {name for v in value for name in names_in(v)}
    return {value.name} if isinstance(value, Reference) else set()


def jumps(
    stage: Stage, shapes: Mapping[str, tuple[int, ...]], rows: Mapping[str, Float64], bounds: Mapping[str, Bound],
    cells: Corners, tick: Callable[[], None],
) -> str:
    """Path and operation of a choice in a stage that is not continuous, with the height of its jump; or "".

    Parameters
    ----------
    rows : dict of (V, n) float64
        What comes into the stage, at all vertices.
    bounds : dict
        Of the same.
    cells : Corners
        They lie on one side of every line on which a condition changes.

    Notes
    -----
    Conditions have one value inside each cell. With these, every choice is computed at the cell's corners, and must be there
    what it is for the vertex itself, and so for all cells around it. Where what is compared is zero up to rounding on a whole
    cell, the choice must be the same either way.
    """
    choices = [step for step in stage.steps if step.kind == "choice"]
    needed = {name for choice in choices for name in (choice.name, *choice.sources)}
    for step in reversed(stage.steps):
        if step.name in needed:
            needed.update(step.sources)
    steps = tuple(step for step in stage.steps if step.name in needed or step.kind == "size")
    switches = [step for step in steps if step.kind == "switch"]
    errors: dict[str, Any] = dict(bounds)
    with torch.no_grad():
        for step in steps:
            errors[step.name] = sizes(step, errors) if step.kind == "size" else step_bound(step, errors)
    tolerances = {s.sources[0]: errors[s.sources[0]].tolerance() for s in switches}
    width = max(1, *(rows[name].shape[1] for name in rows), *(math.prod(step.shape) for step in steps))
    for part in row_chunks_of_width(6 * width, cells.n_cells):
        tick()
        found = _jump_in(steps, choices, switches, shapes, rows, errors, tolerances, cells, part)
        if found:
            return found
    return ""


def _jump_in(
    steps: tuple[Step, ...], choices: list[Step], switches: list[Step], shapes: Mapping[str, tuple[int, ...]],
    rows: Mapping[str, Float64], errors: Mapping[str, Any], tolerances: Mapping[str, Float64], cells: Corners,
    part: slice,
) -> str:
    """The same for a run of cells."""
    offsets = cells.cell_offsets[part.start:part.stop + 1]
    corners = cells.cell_vertices[offsets[0]:offsets[-1]]
    starts = offsets[:-1] - offsets[0]
    owner = np.repeat(np.arange(len(starts)), np.diff(offsets))
    n = len(corners)
    blocks = {name: torch.from_numpy(values[corners]).reshape(n, *shapes[name]) for name, values in rows.items()}
    inside, least, most, peaks = {}, {}, {}, {}
    for name, tolerance in tolerances.items():
        values = rows[name][corners]
        peaks[name] = np.maximum.reduceat(np.abs(values), starts, axis=0)
        means = np.add.reduceat(values, starts, axis=0)
        flat = peaks[name] <= tolerance
        inside[name], least[name], most[name] = means, np.where(flat, -1.0, means), np.where(flat, 1.0, means)

    def chosen(ties: Mapping[str, Float64] | None) -> dict[str, Float64]:
        fixed = None if ties is None else {
            s.name: s.call({"0": torch.from_numpy(ties[s.sources[0]][owner]).reshape(n, *shapes[s.sources[0]])})
            for s in switches}
        with torch.no_grad():
            env = run_steps(steps, blocks, n, fixed)
        return {choice.name: env[choice.name].reshape(n, -1).numpy() for choice in choices}

    at_vertices, in_cells = chosen(None), chosen(inside)
    has_flat = any((least[name] != most[name]).any() for name in tolerances)
    either = (chosen(least), chosen(most)) if has_flat else None
    for choice in choices:
        error = 4 * errors[choice.name].tolerance()
        if either is not None:
            height = _difference(either[0][choice.name], either[1][choice.name])
            if not (height <= error).all():
                return _said(choice, f"depends on a comparison of what is equal on a whole cell (by {_largest(height):.3g})")
        height = _difference(in_cells[choice.name], at_vertices[choice.name])
        suspect = np.flatnonzero(~(height <= error).all(axis=1))
        if not len(suspect):
            continue
        # A corner on a line is there up to the error of what is compared, with which the gap between both values grows.
        slack = np.zeros_like(height)
        for name, tolerance in tolerances.items():
            signs = {key: inside[key] for key in tolerances}
            above, below = (chosen({**signs, name: np.full_like(inside[name], side)})[choice.name] for side in (1.0, -1.0))
            gap = np.maximum.reduceat(np.abs(above - below), starts, axis=0)
            ratio = (tolerance / np.maximum(peaks[name], np.finfo(np.float64).tiny)).max(axis=1, where=peaks[name] > tolerance,
                                                                                     initial=0.0)
            slack += 2 * (gap * ratio[:, None])[owner]
        if not (height <= error + slack).all():
            worst = _largest(np.where(height <= error + slack, 0.0, height))
            return _said(choice, f"jumps by {worst:.3g} where a condition on the input changes")
    return ""


def _difference(first: Float64, second: Float64) -> Float64:
    """Magnitude; infinities of one sign are equal, and what is no number is infinitely far."""
    with np.errstate(invalid="ignore"):
        return np.where(first == second, 0.0, np.nan_to_num(np.abs(first - second), nan=np.inf))


def _largest(values: Float64) -> float:
    return float(values.max())


def _said(choice: Step, what: str) -> str:
    return f"`{choice.operation}` in {choice.path or '(model)'} {what}"
