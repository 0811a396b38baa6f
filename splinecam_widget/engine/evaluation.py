"""Running a network's stages on batches of vertices, in chunks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from .arrays import Float64
from .network import Network, Stage, Step
from .planar import NewVertices
from .rounding import Bound, sizes, step_bound
from .threads import on_all_cores

CHUNK_ENTRIES = 1 << 18
"""Entries of the widest tensor of a chunk: 2 MiB of float64, so that a chunk stays in cache between two operations."""

PARALLEL_ENTRIES = 1 << 17
"""Below this many entries, handing chunks to other threads costs more than it brings."""


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
    width = max(stage.width, *(rows.shape[1] for rows in live.values()))
    out = {name: np.empty((n_old + n_new, math.prod(shapes[name]))) for name in stage.kept}

    def run(start: int, stop: int) -> None:
        tick()
        blocks = {name: torch.from_numpy(_rows_between(rows, new, start, stop)).reshape(stop - start, *shapes[name])
                  for name, rows in live.items()}
        with torch.no_grad():
            env = run_steps(stage.steps, blocks, stop - start)
        for name in stage.kept:
            out[name][start:stop] = env[name].reshape(stop - start, -1).numpy()

    n = n_old + n_new
    size = max(16, CHUNK_ENTRIES // width)
    if n * width < PARALLEL_ENTRIES:
        run(0, n)
    else:
        starts = range(0, n, size)
        on_all_cores(run, starts, [min(start + size, n) for start in starts])
    return out


def _rows_between(rows: Float64, new: NewVertices | None, start: int, stop: int) -> Float64:
    """Rows `start` to `stop` of the old vertices' rows followed by the new ones'."""
    n_old = len(rows)
    if stop <= n_old:
        return rows[start:stop]
    assert new is not None
    out = np.empty((stop - start, rows.shape[1]))
    n_first = max(0, n_old - start)
    out[:n_first] = rows[start:n_old]
    new.write_rows(rows, start + n_first - n_old, out[n_first:])
    return out


def advance_bounds(stage: Stage, bounds: Mapping[str, Bound]) -> dict[str, Bound]:
    """The kept tensors' bounds, from those that come in."""
    env: dict[str, Any] = dict(bounds)
    with torch.no_grad():
        for step in stage.steps:
            env[step.name] = sizes(step, env) if step.kind == "size" else step_bound(step, env)
    return {name: env[name] for name in stage.kept}


def evaluate(network: Network, x: torch.Tensor) -> torch.Tensor:
    """The network's outputs (n, K) in float64 at inputs (n, *input_shape); differentiable by forward-mode AD."""
    env = run_steps(network.steps, {network.input_name: x}, len(x))
    outputs: torch.Tensor = env[network.output_name].reshape(len(x), -1)
    return outputs


def row_chunks(network: Network, n: int) -> list[slice]:
    """Runs of `n` inputs that keep all results of the network together within `8 CHUNK_ENTRIES` entries."""
    return row_chunks_of_width(math.prod(network.input_shape) + sum(math.prod(step.shape) for step in network.steps), n)


def row_chunks_of_width(width: int, n: int) -> list[slice]:
    """The same for rows of `width` entries."""
    size = max(16, 8 * CHUNK_ENTRIES // width)
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]
