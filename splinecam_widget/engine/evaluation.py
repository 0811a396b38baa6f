"""Running a network's stages on batches of vertices, in chunks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from . import buffers
from .arrays import Float64
from .dense import NARROW, dense_of
from .hats import Hats
from .network import Network
from .planar import NewVertices, SignGathering, Signs
from .rounding import Bound, sizes, step_bound
from .steps import Stage, Step, run_steps
from .threads import on_all_cores

T = TypeVar("T")

CHUNK_ENTRIES = 1 << 17
"""Entries of the widest tensor of a chunk: 1 MiB of float64, so that a chunk stays in cache between two operations.

Chunks do not depend on the number of threads.
"""

LEAST_NANOSECONDS = 1e6
"""Work that one thread does faster is over before another one has begun with its share."""

PRODUCTS_A_NANOSECOND, READ_NANOSECONDS, EDGE_NANOSECONDS, CHORD_NANOSECONDS, SIGN_NANOSECONDS = 15.0, 0.8, 3.0, 4.0, 1.0
"""About what one core does, and takes for an entry of a row: to read it, to find it on an edge or a chord, and for its sign."""

ONE_EDGE_NANOSECONDS, ONE_CHORD_NANOSECONDS, UNIT_NANOSECONDS = 100.0, 400.0, 20.0
"""Beside that, of a vertex on an edge, of a chord, and of each unit that may bend along it."""

ENTRY_NANOSECONDS = 3.0
"""About what an entry takes in all: chunks of work that has few entries for its time are cut by that."""

LEAST_ROWS = 16
"""Rows of the smallest chunk where the network is run: with fewer, a matrix is read for too little."""

WIDE = 1024
"""Where nothing is known of the time, a chunk of wider rows takes longer than this thread may go without a look."""

LONG_NANOSECONDS = 1e7
"""What does so where it is known."""


def advance(
    stage: Stage, shapes: Mapping[str, tuple[int, ...]], live: Mapping[str, Float64], new: NewVertices | None,
    tick: Callable[[], None], cut: tuple[str, Float64] | None = None, hats: Hats | None = None, device: str = "cpu",
) -> tuple[dict[str, Float64], Signs | None]:
    """The kept tensors as rows (V, n), at the old vertices and the new ones, and the signs of one of them.

    Parameters
    ----------
    live : dict of (V_old, n) float64
        Rows at the old vertices of the tensors that come in (before the stage's kink).
    new : NewVertices or None
        Vertices that the kink added.
    tick : callable
        Called often; may raise to stop.
    cut : (str, (n,) float64) or None
        The tensor whose signs are wanted, and its tolerance. They are taken from each chunk while that is in cache.
    hats : Hats or None
        With these, the network is not run at new vertices, but for those on edges with an end where a unit has no sign.
    device : str
        Where the stage's constants are. Several threads prepare chunks and take their results while others are computed there.
    """
    n_old = len(next(iter(live.values())))
    n_new = 0 if new is None else len(new)
    n = n_old + n_new
    width = max(stage.width, *(rows.shape[1] for rows in live.values()))
    empty = np.empty if stage.cut is None else buffers.empty  # the outputs stay
    out: dict[str, Float64] = {name: empty((n, math.prod(shapes[name]))) for name in stage.kept}
    matrix = _last_matrix(stage, shapes) if device == "cpu" else None
    dense = dense_of(stage, shapes) if device == "cpu" else None
    narrow = dense if dense is not None and len(dense.bias) <= NARROW else None
    nanoseconds = (
        math.inf if dense is None else dense.matrix.size / PRODUCTS_A_NANOSECOND + READ_NANOSECONDS * len(dense.matrix))
    gathering = None if cut is None else SignGathering(n, cut[1])

    def run(blocks: dict[str, Float64], n_rows: int, where: Any) -> None:
        if narrow is not None and isinstance(where, slice):
            narrow.write_rows(blocks[narrow.source], out[stage.kept[0]][where])
            return
        tensors = {
            name: torch.from_numpy(rows).reshape(n_rows, *shapes[name]).to(device) for name, rows in blocks.items()}
        with torch.no_grad():
            if matrix is not None and isinstance(where, slice):
                env = run_steps(stage.steps[:-1], tensors, n_rows)
                _multiply(env[matrix.sources[0]], matrix, out[matrix.name][where])
                return
            env = run_steps(stage.steps, tensors, n_rows)
        for name in stage.kept:
            out[name][where] = env[name].reshape(n_rows, -1).cpu().numpy()

    def gather(start: int, stop: int) -> None:
        if cut is not None and gathering is not None:
            gathering.take(start, out[cut[0]][start:stop])

    def everywhere(start: int, stop: int) -> None:
        run({name: _rows_between(rows, new, start, stop) for name, rows in live.items()}, stop - start, slice(start, stop))
        gather(start, stop)

    def on_edges(start: int, stop: int) -> None:
        assert hats is not None
        assert new is not None
        others = start + np.flatnonzero(~new.is_plain[start:stop])
        if len(others):
            run({name: new.rows_of(rows, others) for name, rows in live.items()}, len(others), n_old + others)
        for name in stage.kept:
            hats.write_on_edges(name, out[name], live[hats.source], new, start, stop)
        gather(n_old + start, n_old + stop)

    def on_chords(first: int, last: int) -> None:
        assert hats is not None
        assert new is not None
        for name in stage.kept:
            hats.write_on_chords(name, out[name], live[hats.source], new, first, last)
        start, stop = new.chord_begins[[first, last]].tolist()
        gather(n_on_edges + start, n_on_edges + stop)

    if hats is None or new is None:
        _in_chunks(everywhere, n, width, nanoseconds, tick, LEAST_ROWS)
    else:
        n_on_edges = n_old + len(new.edge_t)
        kept = sum(rows.shape[1] for rows in out.values())
        _in_chunks(everywhere, n_old, width, nanoseconds, tick, LEAST_ROWS)
        share_run = 1 - np.count_nonzero(new.is_plain) / max(1, len(new.edge_t))
        of_edge = ONE_EDGE_NANOSECONDS + EDGE_NANOSECONDS * kept + (share_run * nanoseconds if share_run else 0.0)
        _in_chunks(on_edges, len(new.edge_t), width, of_edge, tick, LEAST_ROWS)
        n_chords = len(new.chord_begins) - 1
        tick()
        n_along = max(1, len(new.chord_places) // max(1, n_chords))
        n_bending = 2 * len(new.edge_t) / (1 + np.count_nonzero(np.diff(new.parents)))
        of_chord = ONE_CHORD_NANOSECONDS + n_bending * (UNIT_NANOSECONDS + kept)
        of_chord += (CHORD_NANOSECONDS + SIGN_NANOSECONDS) * kept * n_along
        width = max(kept * n_along, live[hats.source].shape[1], int(of_chord / ENTRY_NANOSECONDS))
        _in_chunks(on_chords, n_chords, width, of_chord, tick)
    return out, None if gathering is None else gathering.signs()


def _last_matrix(stage: Stage, shapes: Mapping[str, tuple[int, ...]]) -> Step | None:
    """The step that makes all that a stage keeps, if that is one matrix for a vector."""
    last = stage.steps[-1] if stage.steps else None
    is_one = last is not None and last.operation == "linear" and stage.kept == (last.name,)
    return last if is_one and last is not None and len(last.shape) == len(shapes[last.sources[0]]) == 1 else None


def _multiply(x: torch.Tensor, matrix: Step, out: Float64) -> None:
    """What the step makes of a batch (B, n), into `out` (B, m)."""
    weight, bias, into = matrix.arguments["weight"], matrix.arguments["bias"], torch.from_numpy(out)
    if bias is None:
        torch.mm(x, weight.T, out=into)
    else:
        torch.addmm(bias, x, weight.T, out=into)


def _in_chunks(
    work: Callable[[int, int], None], n: int, width: int, nanoseconds: float, tick: Callable[[], None], least: int = 1
) -> None:
    """`work(start, stop)` for runs of `n` things of `width` entries, each of some `nanoseconds`, on several threads.

    Little work is done here. While runs take long, this thread only looks whether it should go on. No run has fewer than
    `least` things, unless there are fewer.
    """
    if n:
        n_chunks = min(-(-n * width // CHUNK_ENTRIES), max(1, n // least))
        if n * width <= CHUNK_ENTRIES:
            work(0, n)
            return
        bounds = np.linspace(0, n, n_chunks + 1).astype(int)
        if n * nanoseconds < LEAST_NANOSECONDS:
            for start, stop in pairwise(bounds.tolist()):
                tick()
                work(start, stop)
            return
        is_long = width > WIDE if math.isinf(nanoseconds) else n / n_chunks * nanoseconds > LONG_NANOSECONDS
        on_all_cores(work, bounds[:-1], bounds[1:], tick=tick, is_long=n_chunks == 1 or is_long)


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


def advance_bounds(
    stage: Stage, shapes: Mapping[str, tuple[int, ...]], bounds: Mapping[str, Bound], hats: Hats | None = None
) -> dict[str, Bound]:
    """The kept tensors' bounds, from those that come in; with hats at new vertices, too."""
    dense = dense_of(stage, shapes)
    if dense is not None:
        found = {stage.kept[0]: dense.bound(bounds[dense.source])}
    else:
        env: dict[str, Any] = dict(bounds)
        with torch.no_grad():
            for step in stage.steps:
                env[step.name] = sizes(step, env) if step.kind == "size" else step_bound(step, env)
        found = {name: env[name] for name in stage.kept}
    return found if hats is None else {
        name: hats.bound(name, bound, bounds[hats.source]) for name, bound in found.items()}


def evaluate(network: Network, x: torch.Tensor) -> torch.Tensor:
    """The network's outputs (n, K) in float64 at inputs (n, *input_shape); differentiable by torch."""
    env = run_steps(network.steps, {network.input_name: x}, len(x))
    outputs: torch.Tensor = env[network.output_name].reshape(len(x), -1)
    return outputs


def patterns_at(
    network: Network, zero_tolerances: Sequence[Float64], inputs: Callable[[slice], Float64], n: int,
    layers: Sequence[int] | None = None, units: slice = slice(None),
) -> tuple[NDArray[Any], ...]:
    """Which piece each unit is on; see `Partition.patterns`.

    Parameters
    ----------
    zero_tolerances : sequence of (m,) float64
        Of every cut in `network.layers`.
    inputs : callable
        Gives the inputs (m, *input_shape) of a run of the n places.
    layers : sequence of int or None
        Only these, in order.
    units : slice
        Only these columns.
    """
    def read(cuts: Cuts, env: dict[str, Any]) -> NDArray[Any]:
        found: NDArray[Any] = np.concatenate([cut.pattern(env, bound).numpy() for cut, bound in cuts], axis=1)[:, units]
        return found

    return tuple(np.concatenate(patterns) for patterns in _read_at(network, zero_tolerances, inputs, n, layers, read))


def open_pieces_at(
    network: Network, zero_tolerances: Sequence[Float64], inputs: Callable[[slice], Float64], n: int
) -> list[tuple[Step, NDArray[Any]]]:
    """Every cut in `network.layers`, with the pieces that rounding errors leave open, see `Step.open_pieces`.

    Parameters
    ----------
    zero_tolerances, inputs, n :
        As of `patterns_at`.
    """
    def read(cuts: Cuts, env: dict[str, Any]) -> list[tuple[Step, NDArray[Any]]]:
        return [(cut, cut.open_pieces(env, bound).numpy()) for cut, bound in cuts]

    found: list[tuple[Step, NDArray[Any]]] = []
    for chunks in _read_at(network, zero_tolerances, inputs, n, None, read):
        for parts in zip(*chunks):
            found.append((parts[0][0], np.concatenate([pieces for _, pieces in parts])))
    return found


Cuts = Sequence[tuple[Step, torch.Tensor]]
"""Of one layer, each with the rounding errors (m,) of what decides at it."""


def _read_at(
    network: Network, zero_tolerances: Sequence[Float64], inputs: Callable[[slice], Float64], n: int,
    layers: Sequence[int] | None, read: Callable[[Cuts, dict[str, Any]], T],
) -> list[tuple[T, ...]]:
    """Of each wanted layer what `read` makes of its cuts and the results of all steps, chunk by chunk of the n places."""
    wanted = range(len(network.layers)) if layers is None else layers
    tolerances = iter(zero_tolerances)
    cuts = [[(cut, torch.from_numpy(next(tolerances))) for cut in layer] for layer in network.layers]
    # What decides at a cut comes before it.
    steps = network.steps[:max([0, *(network.steps.index(network.layers[i][-1]) for i in wanted)])]

    def read_chunk(rows: slice) -> list[T]:
        x = torch.from_numpy(inputs(rows))
        with torch.no_grad():
            env = run_steps(steps, {network.input_name: x}, len(x))
        return [read(cuts[i], env) for i in wanted]

    # No points still have patterns of a width: one empty chunk.
    return list(zip(*on_all_cores(read_chunk, row_chunks(network, n) or [slice(0, 0)])))


def row_chunks(network: Network, n: int) -> list[slice]:
    """Runs of `n` inputs that keep all results of the network together within `16 CHUNK_ENTRIES` entries."""
    return row_chunks_of_width(math.prod(network.input_shape) + sum(math.prod(step.shape) for step in network.steps), n)


def row_chunks_of_width(width: int, n: int) -> list[slice]:
    """The same for rows of `width` entries."""
    size = max(LEAST_ROWS, 16 * CHUNK_ENTRIES // width)
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]
