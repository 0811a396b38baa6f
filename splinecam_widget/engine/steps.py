"""Steps of a network: torch operations with their arguments, and stages of them between two cuts. Knows no torch graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .operations import AFFINE, KINKS, Affine, Kink
from .pieces import bends, pieces


@dataclass(frozen=True)
class Reference:
    """Stands for the result of an earlier step among a step's arguments."""

    name: str


class Call:
    """A torch operation as a function of its arguments by name. Pickled by the operation's own name.

    Parameters
    ----------
    target : operation of torch.ops, or a plain function of arguments named "0", "1", ..., or by keyword
    fixed : dict
        Arguments that are the same in every call.
    """

    def __init__(self, target: Any, fixed: dict[str, Any] | None = None) -> None:
        self.target = target
        self.fixed = fixed or {}
        schema = getattr(target, "_schema", None)
        self._positional = None if schema is None else [a.name for a in schema.arguments if not a.kwarg_only]
        self._keywords = [] if schema is None else [a.name for a in schema.arguments if a.kwarg_only]

    def __call__(self, arguments: dict[str, Any]) -> Any:
        if self.fixed:
            arguments = {**arguments, **self.fixed}
        if self._positional is None:
            if "0" not in arguments:
                return self.target(**arguments)
            return self.target(*(arguments[k] for k in sorted(arguments, key=int)))
        return self.target(*(arguments[k] for k in self._positional), **{k: arguments[k] for k in self._keywords})

    def __reduce__(self) -> Any:
        if self._positional is None:
            return Call, (self.target, self.fixed)
        return _call_named, (str(self.target), self.fixed)


def _call_named(name: str, fixed: dict[str, Any]) -> Call:
    """The call of an operation by its full name, such as aten.relu.default."""
    target: Any = torch.ops
    for part in name.split("."):
        target = getattr(target, part)
    return Call(target, fixed)


@dataclass(frozen=True, eq=False)
class Step:
    """One operation of the network that depends on the input.

    Attributes
    ----------
    name : str
        Name of its result.
    operation : str
        Name of the torch operation.
    path : str
        Dotted path of the module that calls it.
    call : Call
        The operation on float64 tensors, by schema arguments.
    arguments : dict
        By schema name; a `Reference` where an earlier result or the batch size goes in.
    kind : {"affine", "kink", "curve", "settle", "switch", "condition", "choice", "spectrum", "size"}
        Those that bend, the end of a tournament, and see `curves`, `switches` and `spectra`.
    rule : Affine or Kink or None
    sources : tuple of str
        Results of earlier steps that it depends on through the input. A kink bends where entries of the first are zero. What
        settles a tournament has the winners first and then the entries of the first round.
    shape : tuple of int
        Shape of its result without the batch axis.
    input_shapes : tuple of tuple of int
    node : str
        Name of the user's operation that it is a part of, "" if it is one itself.
    part_of : str
        The torch operation of that node.
    deviation : float
        How far at most it is from the smooth activation in whose place it stands.
    """

    name: str
    operation: str
    path: str
    call: Call
    arguments: dict[str, Any]
    kind: str
    rule: Affine | Kink | None
    sources: tuple[str, ...]
    shape: tuple[int, ...]
    input_shapes: tuple[tuple[int, ...], ...] = ()
    node: str = ""
    part_of: str = ""
    deviation: float = 0.0

    def __getstate__(self) -> dict[str, Any]:
        """Without the rule, which the tables of operations have by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)} | {"rule": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        rules: dict[str, Affine | Kink] = {**AFFINE, **KINKS}
        self.__dict__.update(state, rule=rules.get("spectrum" if state["kind"] == "spectrum" else state["operation"]))

    @property
    def is_cut(self) -> bool:
        """Whether the partition changes before this step."""
        return self.kind in ("kink", "curve", "settle", "switch")

    @property
    def as_run(self) -> Step:
        """The step as it computes: of the end of a tournament without the first round, which only the cut needs."""
        if self.kind != "settle":
            return self
        return replace(self, arguments={"0": self.arguments["0"]}, sources=self.sources[:1])

    @property
    def is_condition(self) -> bool:
        """Whether its result only depends on the sides of lines, so that it has no value on the lines themselves."""
        return self.kind in ("switch", "condition")

    @property
    def n_units(self) -> int:
        """Units of a kink: entries of its result, or groups that are sorted."""
        return math.prod(self.shape[1:] if self.operation == "exchanged" else self.shape)

    @cached_property
    def open_arguments(self) -> tuple[str, ...]:
        """Names of the arguments that hold references."""
        return tuple(name for name, value in self.arguments.items() if _has_reference(value))

    def pattern(self, results: Mapping[str, torch.Tensor], tolerance: torch.Tensor) -> torch.Tensor:
        """Of a layer's kink: the pieces (B, m) that its units are on, from the results of all steps.

        `tolerance` holds the rounding errors of what decides; of several pieces that it leaves open, the first is taken.
        """
        if self.kind == "settle":
            return self._may_win(results, tolerance).to(torch.int8).argmax(1)
        if self.kind == "curve":
            knots, values, period = (self.arguments[k] for k in "123")
            return pieces(_as_rows(results[self.sources[0]]) - tolerance, bends(knots, values, period), period)
        return _as_rows(results[self.sources[0]]) > tolerance

    def open_pieces(self, results: Mapping[str, torch.Tensor], tolerance: torch.Tensor) -> torch.Tensor:
        """Pieces that rounding errors leave open: first and last (B, 2, m); of a maximum each of k entries (B, k, m)."""
        if self.kind == "settle":
            return self._may_win(results, tolerance)
        return torch.stack([self.pattern(results, tolerance), self.pattern(results, -tolerance)], 1)

    def have_common_piece(self, open_pieces: NDArray[Any], starts: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether (g, m) all rows of a run of `open_pieces` (B, ...) may be on one piece; runs begin at `starts` (g,)."""
        if self.kind == "settle":  # entries have no order: one must do for all
            found = np.logical_and.reduceat(open_pieces, starts).any(axis=1)
        else:
            first, last = np.moveaxis(open_pieces, 1, 0)
            found = np.maximum.reduceat(first, starts) <= np.minimum.reduceat(last, starts)
        return np.asarray(found)

    def _may_win(self, results: Mapping[str, torch.Tensor], tolerance: torch.Tensor) -> torch.Tensor:
        """Whether (B, k, m) each of the k entries that a maximum is taken of may be the largest."""
        entries = results[self.sources[1]]
        errors = tolerance.reshape(entries.shape[1:])
        certain = (entries - errors).amax(1, keepdim=True)
        return entries + errors >= certain

    def result(self, results: Mapping[str, Any]) -> Any:
        """What the step makes of earlier results."""
        return self.call(self.filled(self.arguments, results.__getitem__))

    def filled(self, arguments: Mapping[str, Any], value_of: Callable[[str], Any]) -> dict[str, Any]:
        """Arguments with a value for every reference."""
        return {**arguments, **{name: _filled(arguments[name], value_of) for name in self.open_arguments}}


@dataclass(frozen=True, eq=False)
class Stage:
    """The steps from one cut to the next: the kink's activation, then affine steps.

    Attributes
    ----------
    steps : tuple of Step
        Whole numbers that depend on the batch size, then the kink before (but for the first stage), then affine steps.
    kept : tuple of str
        Tensors that are alive at the next cut (the last stage: the output).
    cut : Step or None
        The step before which the partition changes next.
    passed_on : tuple of str
        Those of `kept` that are alive behind the cut; the others are for the cut alone.
    """

    steps: tuple[Step, ...]
    kept: tuple[str, ...]
    cut: Step | None
    passed_on: tuple[str, ...]

    @cached_property
    def width(self) -> int:
        """Entries of the widest result, for one input."""
        return max([1, *(math.prod(step.shape) for step in self.steps)])


def is_same_step(first: Step, second: Step) -> bool:
    """Whether two steps of the same name do the same, to every bit."""
    return (first.name, first.operation, first.kind, first.shape, first.sources) == (
        second.name, second.operation, second.kind, second.shape, second.sources) and (
        _is_same(first.arguments, second.arguments))


def _is_same(first: Any, second: Any) -> bool:
    if type(first) is not type(second):
        return False
    if isinstance(first, torch.Tensor):
        return first.dtype == second.dtype and torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(_is_same(first[name], second[name]) for name in first)
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(_is_same(a, b) for a, b in zip(first, second))
    return bool(first == second)


def run_steps(
    steps: tuple[Step, ...], blocks: dict[str, Any], n_rows: int, fixed: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """All tensors after running steps on a batch of `n_rows`; `blocks` holds those that come in, (n_rows, *shape).

    Results in `fixed` are taken from there.
    """
    env = dict(blocks)
    for step in steps:
        if fixed is not None and step.name in fixed:
            env[step.name] = fixed[step.name]
        else:
            env[step.name] = n_rows if step.operation == "sym_size" else step.result(env)
    return env


def _as_rows(x: torch.Tensor) -> torch.Tensor:
    """X (B, *shape) as (B, n), also where it has one number for each input."""
    return x.flatten(1) if x.ndim > 1 else x[:, None]


def _has_reference(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_has_reference(v) for v in value)
    return isinstance(value, Reference)


def _filled(value: Any, value_of: Callable[[str], Any]) -> Any:
    if isinstance(value, Reference):
        return value_of(value.name)
    if isinstance(value, (list, tuple)):
        return [_filled(v, value_of) for v in value]
    return value
