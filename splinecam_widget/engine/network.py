"""A network as the engine sees it: steps in execution order, cut at its kinks into stages. Knows no torch graph."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .heads import entries_with_head, with_head
from .layers import Layer
from .operations import AFFINE, KINKS, Affine, Kink
from .pieces import bends, pieces

FAR = 2.0**400
"""Stands for infinity where a constant is only there to be smaller or larger than everything: its square is still finite."""

NEAR = math.sqrt(FAR)
"""Smaller outputs do not come of it."""


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


@dataclass(frozen=True, eq=False)
class Network:
    """A CPWL network as a list of steps in execution order, constants in float64.

    Attributes
    ----------
    input_shape : tuple of int
    input_name, output_name : str
    steps : tuple of Step
    head : str
        A monotone last operation that was set aside ("softmax"), or "".
    was_training : bool
        Whether the user's model was in training mode; it is computed as in eval mode.
    n_outputs : int
    reference : nn.Module or None
        The copy of the user's model itself, in float64 and eval mode, to compare with; not pickled.
    device : str
        Where torch runs its stages on vertices: "cpu", "cuda", "cuda:1", ...
    """

    input_shape: tuple[int, ...]
    input_name: str
    output_name: str
    steps: tuple[Step, ...]
    head: str
    was_training: bool
    n_outputs: int
    reference: torch.nn.Module | None = None
    device: str = "cpu"

    def __repr__(self) -> str:
        inputs = " x ".join(map(str, self.input_shape))
        return (f"Network({len(self.steps):,} steps, {len(self.layers)} layers of kinks; {inputs} inputs, "
                f"{self.n_outputs:,} outputs)")

    def __getstate__(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)} | {"reference": None}

    @cached_property
    def layers(self) -> tuple[tuple[Step, ...], ...]:
        """The layers of kinks in execution order, each with the cuts that make its pattern.

        Of a tournament that is the one that settles it, of a sort all its rounds, else the only one.
        """
        cuts: dict[str, list[Step]] = {}
        for step in self.steps:
            if step.is_cut:
                cuts.setdefault(step.node or step.name, []).append(step)
        return tuple(tuple(group[-1:] if group[-1].kind == "settle" else group) for group in cuts.values())

    @property
    def kinks(self) -> tuple[Step, ...]:
        """The last cut of every layer of kinks."""
        return tuple(layer[-1] for layer in self.layers)

    @cached_property
    def layer_records(self) -> tuple[Layer, ...]:
        """What is known of every layer of kinks."""
        shapes = {step.node: step.shape for step in self.steps if step.node}  # of the last step of each operation
        found = []
        for step in self.kinks:
            result = shapes.get(step.node, step.shape)
            # What several entries are chosen from has one unit for each result; what is sorted, one for each group.
            shape = result if math.prod(result) == step.n_units else (step.n_units,)
            found.append(Layer(step.path, step.part_of or step.operation, shape))
        return tuple(found)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what the network computes: operations, how they are joined, and every number in them."""
        found = hashlib.sha256()
        places = {self.input_name: 0, **{step.name: i for i, step in enumerate(self.steps, 1)}}

        def add(value: Any) -> None:
            if isinstance(value, Reference):
                found.update(f"step {places.get(value.name, value.name)};".encode())
            elif isinstance(value, torch.Tensor):
                found.update(f"tensor {value.dtype} {tuple(value.shape)};".encode())
                found.update(value.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy().tobytes())
            elif isinstance(value, (list, tuple)):
                found.update(f"list {len(value)};".encode())
                for entry in value:
                    add(entry)
            else:
                found.update(f"{value!r};".encode())

        add(self.input_shape)
        for step in self.steps:
            add((step.operation, step.kind, step.shape))
            for name in sorted(step.arguments):
                add((name, step.arguments[name]))
        add((places[self.output_name], self.head))
        return found.hexdigest()

    @property
    def approximations(self) -> tuple[Step, ...]:
        """The steps that stand for smooth activations; the network is not exact where there are any."""
        return tuple(step for step in self.steps if step.deviation)

    def with_head(self, outputs: Any) -> Any:
        """What the model itself returns for outputs (..., K), where a sigmoid or tanh was set aside; a softmax stays aside."""
        return entries_with_head(self.head, outputs)

    def headed(self, outputs: Any) -> Any:
        """What the model itself returns for outputs (n, K), with every head that was set aside."""
        return with_head(self.head, outputs)

    @cached_property
    def limit(self) -> float:
        """Outputs of this magnitude come of infinite constants."""
        def is_far(value: Any) -> bool:
            if isinstance(value, (list, tuple)):
                return any(is_far(v) for v in value)
            if isinstance(value, torch.Tensor) and value.is_floating_point():
                return bool((value.abs() >= FAR).any())
            return isinstance(value, float) and abs(value) >= FAR

        has_any = any(is_far(value) for step in self.steps for value in step.arguments.values())
        return NEAR if has_any else math.inf

    @cached_property
    def tournaments(self) -> set[str]:
        """Operations in several rounds, whose ties count only where the winner changes."""
        return {step.node for step in self.steps if step.kind == "settle"}

    @cached_property
    def layer_of_cut(self) -> list[int]:
        """The layer of kinks that each cut belongs to."""
        layers = {step.node or step.name: layer for layer, step in enumerate(self.kinks)}
        return [layers[stage.cut.node or stage.cut.name] for stage in self.stages if stage.cut is not None]

    @cached_property
    def cuts_are_layers(self) -> bool:
        """Whether each cut is a layer of its own, with a line for each of its units."""
        cuts = [stage.cut for stage in self.stages if stage.cut is not None]
        return self.layer_of_cut == [*range(len(self.kinks))] and all(
            cut.kind == "kink" and cut.n_units == math.prod(self.shapes[cut.sources[0]]) for cut in cuts)

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor without the batch axis, by name."""
        return {step.name: step.shape for step in self.steps} | {self.input_name: self.input_shape}

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """The network cut at its kinks, with what must be kept at each cut."""
        sizes = tuple(step for step in self.steps if step.kind == "size")
        groups: list[list[Step]] = [[]]
        cuts: list[Step | None] = []
        for step in self.steps:
            if step.kind == "size":
                continue
            if step.is_cut:
                cuts.append(step)
                groups.append([step.as_run])
            else:
                groups[-1].append(step)
        cuts.append(None)
        groups = [[*self._conditions_for(group), *group] for group in groups]
        needed_after: set[str] = {self.output_name}
        stages: list[Stage] = []
        for group, cut in zip(reversed(groups), reversed(cuts)):
            passed_on = tuple(sorted(needed_after))
            needed_after |= set(cut.sources if cut else ())
            stages.append(Stage((*sizes, *group), tuple(sorted(needed_after)), cut, passed_on))
            made = {step.name for step in group}
            used = {name for step in group for name in step.sources}
            needed_after = {name for name in needed_after | used if name not in made}
        return tuple(reversed(stages))


    @cached_property
    def stages_on_device(self) -> tuple[Stage, ...]:
        """The stages with their constants on `device`."""
        if self.device == "cpu":
            return self.stages

        def moved(value: Any) -> Any:
            if isinstance(value, torch.Tensor):
                return value.to(self.device)
            if isinstance(value, (list, tuple)):
                return [moved(entry) for entry in value]
            return torch.device(self.device) if isinstance(value, torch.device) else value

        def there(step: Step) -> Step:
            return replace(step, arguments={name: moved(value) for name, value in step.arguments.items()})

        return tuple(replace(stage, steps=tuple(there(step) for step in stage.steps)) for stage in self.stages)

    def _conditions_for(self, group: list[Step]) -> list[Step]:
        """Conditions that steps use and that others made: they have no value on lines, so none can be kept for new vertices."""
        conditions = {step.name: step for step in self.steps if step.is_condition}
        made = {step.name for step in group}
        needed: dict[str, Step] = {}
        waiting = [name for step in group for name in step.sources]
        while waiting:
            name = waiting.pop()
            if name in conditions and name not in made and name not in needed:
                needed[name] = conditions[name]
                waiting.extend(conditions[name].sources)
        return [step for name, step in conditions.items() if name in needed]


def same_stages(first: Network, second: Network) -> list[bool]:
    """Which stages of two networks are the same, to every bit, with all that comes into them."""
    if (first.input_shape, first.input_name) != (second.input_shape, second.input_name):
        return []
    return [_is_same_stage(a, b) for a, b in zip(first.stages, second.stages)]


def _is_same_stage(first: Stage, second: Stage) -> bool:
    steps, others = ((*stage.steps, *([] if stage.cut is None else [stage.cut])) for stage in (first, second))
    return first.kept == second.kept and len(steps) == len(others) and all(
        is_same_step(a, b) for a, b in zip(steps, others))


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
