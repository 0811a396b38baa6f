"""Running a network's steps on batches of vertices: which tensors stay alive at each kink, and the chunks in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from .arrays import Float64
from .lowering import Network, Reference, Step
from .planar import NewVertices
from .rounding import Bound, step_bound

CHUNK_ENTRIES = 1 << 19
"""Entries of the widest tensor of a chunk: 4 MiB of float64, so that a chunk stays in cache between two operations."""


@dataclass(frozen=True)
class Stage:
    """The steps from one kink to the next: the kink's activation, then affine steps.

    Attributes
    ----------
    steps : tuple of Step
        Whole numbers that depend on the batch size, then the kink before (but for the first stage), then affine steps.
    kept : tuple of str
        Tensors that are alive at the next kink (the last stage: the output).
    kink : Step or None
        The kink that comes next.
    """

    steps: tuple[Step, ...]
    kept: tuple[str, ...]
    kink: Step | None


def stages_of(network: Network) -> tuple[Stage, ...]:
    """The network cut at its kinks, with what must be kept at each cut."""
    sizes = tuple(step for step in network.steps if step.kind == "size")
    groups: list[list[Step]] = [[]]
    kinks: list[Step | None] = []
    for step in network.steps:
        if step.kind == "size":
            continue
        if step.kind == "kink":
            kinks.append(step)
            groups.append([step])
        else:
            groups[-1].append(step)
    kinks.append(None)
    needed_after: set[str] = {network.output_name}
    kept: list[tuple[str, ...]] = []
    for group in reversed(groups):
        kept.append(tuple(sorted(needed_after)))
        made = {step.name for step in group}
        used = {name for step in group for name in step.sources}
        needed_after = {name for name in needed_after | used if name not in made}
    kept.reverse()
    return tuple(Stage((*sizes, *group), names, kink) for group, names, kink in zip(groups, kept, kinks))


def run_steps(steps: tuple[Step, ...], blocks: dict[str, Any], n_rows: int) -> dict[str, Any]:
    """All tensors after running steps on a batch of `n_rows`; `blocks` holds those that come in, (n_rows, *shape)."""
    env = dict(blocks)
    for step in steps:
        if step.operation == "sym_size":
            env[step.name] = n_rows
            continue
        env[step.name] = step.call(**_filled(step.arguments, env))
    return env


def _filled(arguments: Mapping[str, Any], env: Mapping[str, Any]) -> dict[str, Any]:
    def fill(value: Any) -> Any:
        if isinstance(value, Reference):
            return env[value.name]
        if isinstance(value, (list, tuple)):
            return [fill(v) for v in value]
        return value

    return {k: fill(v) for k, v in arguments.items()}


def advance(
    stage: Stage, shapes: Mapping[str, tuple[int, ...]], live: Mapping[str, Float64], new: NewVertices | None,
    tick: Callable[[], None],
) -> dict[str, Float64]:
    """The kept tensors as rows (V, n), at the old vertices and the new ones.

    Parameters
    ----------
    live : dict of (V_old, n) float64
        Rows at the old vertices of the tensors that come in (before the stage's kink).
    new : NewVertices or None
        Vertices that the kink added.
    tick : callable
        Called before every chunk; may raise to stop.
    """
    n_old = len(next(iter(live.values())))
    n_new = 0 if new is None else len(new)
    widest = max([1, *(int(np.prod(s.shape)) for s in stage.steps), *(rows.shape[1] for rows in live.values())])
    size = max(16, CHUNK_ENTRIES // widest)
    out = {name: np.empty((n_old + n_new, int(np.prod(shapes[name])))) for name in stage.kept}
    with torch.no_grad():
        for start, stop in _chunks(n_old, n_new, size):
            tick()
            blocks = {}
            for name, rows in live.items():
                if start < n_old:
                    block = rows[start:stop]
                else:
                    assert new is not None
                    block = new.rows(rows, start - n_old, stop - n_old)
                blocks[name] = torch.from_numpy(block).reshape(stop - start, *shapes[name])
            env = run_steps(stage.steps, blocks, stop - start)
            for name in stage.kept:
                out[name][start:stop] = env[name].reshape(stop - start, -1).numpy()
    return out


def _chunks(n_old: int, n_new: int, size: int) -> Iterator[tuple[int, int]]:
    for first, last in ((0, n_old), (n_old, n_old + n_new)):
        for start in range(first, last, size):
            yield start, min(start + size, last)


def advance_bounds(stage: Stage, bounds: Mapping[str, Bound]) -> dict[str, Bound]:
    """The kept tensors' bounds, from those that come in."""
    env: dict[str, Any] = dict(bounds)
    with torch.no_grad():
        for step in stage.steps:
            env[step.name] = 1 if step.kind == "size" else step_bound(step, env)
    return {name: env[name] for name in stage.kept}


def evaluate(network: Network, x: torch.Tensor) -> torch.Tensor:
    """The network's outputs (n, K) in float64 at inputs (n, *input_shape); differentiable by forward-mode AD."""
    env = run_steps(network.steps, {network.input_name: x}, len(x))
    outputs: torch.Tensor = env[network.output_name].reshape(len(x), -1)
    return outputs
