"""A network as the engine sees it: steps in execution order, cut at its kinks into stages. Knows no torch graph."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import torch

from .heads import entries_with_head, with_head
from .layers import Layer
from .steps import Reference, Stage, Step, is_same_step

FAR = 2.0**400
"""Stands for infinity where a constant is only there to be smaller or larger than everything: its square is still finite."""

NEAR = math.sqrt(FAR)
"""Smaller outputs do not come of it."""


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
