"""From a model and a slice to the exact partition: the loop over kinks."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from ._sign_kernels import peaks
from .arrays import Float64
from .bending import bent
from .budgets import within_budget
from .dense import after_small_stage
from .dissolving import settled
from .dividing import division_of, in_tiles
from .errors import UnsupportedModelError
from .evaluation import advance, advance_bounds
from .hats import hats_for
from .lowering import lower
from .network import NEAR, Network
from .partition import Partition
from .patching import Patch
from .planar import PlanarComplex, Signs, chords
from .rounding import CONFIDENCE, LERP_ERROR, Bound
from .slices import Slice
from .splitting import Room, Split, split_complex
from .states import State, Work
from .steps import Stage
from .switches import jumps
from .threads import apart
from .watching import BYTES_A_CELL, MOST_LINES, Budget, Sketch, Watch, some_edges


def compute_partition(
    model: Any, plane: Slice, output: str | int | None = None, approximate: float | None = None,
    max_cells: int | None = None, max_memory: int | None = None, client: Any = None,
    device: str | None = None,
) -> Partition:
    """The exact partition of a slice into the cells on which a CPWL network is affine.

    Parameters
    ----------
    model : nn.Module, callable of torch operations, or Network
        Takes inputs of shape (batch, *input_shape). Computed as in eval mode, in float64, on a copy; never changed. The
        `network` of another partition saves reading the model again.
    plane : Slice
    output : str, int or None
        Which of several outputs, by key, attribute or place in what the model returns.
    approximate : float or None
        Smooth activations (GELU, tanh, sin, ...) are replaced by continuous piecewise-linear ones that differ by at most this
        much (1e-10 or more) from them; the partition is exact for the network with these. None: they are refused.
    max_cells : int or None
        Cells that there may be at any time (those of maxima before they are merged included).
    max_memory : int or None
        Bytes that the computation's arrays may take. With neither, all of the domain is computed or nothing.
    client : distributed.Client or None
        The workers of its cluster compute the domain in tiles, which are joined: the same cells in another order, see
        `spreading`. The budgets are for one process and cannot be given with it.
    device : str or None
        Where torch runs the network on vertices, in float64: "cpu", "cuda", "cuda:1", ... Cells are split on the CPU. None: on
        the CPU, or where the `network` of another partition was.

    Returns
    -------
    Partition
        Where it would need more cells or memory than it may use, that of a smaller domain about the same middle: its
        `plane.domain` says which, `asked` what was asked for, `share` how much of it that is.

    Raises
    ------
    UnsupportedModelError
        If an operation of the model is neither affine nor a known kink; lists all of them.
    TypeError, ValueError
        If an argument is of the wrong kind, or not even the smallest domain fits into the budget.
    MemoryError
        If no budget is given and the memory that is free does not suffice.

    Warns
    -----
    UserWarning
        If the model is in training mode; it is computed as in eval mode. If the slice's inputs look like batches.

    Notes
    -----
    Breadth-first over kinks. A network that is affine on each cell is known from its values at the vertices, so each kink
    needs one batched evaluation of its pre-activations, and cuts every cell by the units whose sign changes on it.

    References
    ----------
    Humayun, Balestriero, Balakrishnan, Baraniuk: SplineCam. CVPR 2023, arXiv 2302.12828.
    Berzins: Polyhedral complex extraction from ReLU networks using edge subdivision. ICML 2023, arXiv 2306.07212.

    Examples
    --------
    >>> import torch
    >>> plane = Slice.from_basis([0.0, 0.0], torch.eye(2))
    >>> compute_partition(torch.nn.ReLU(), plane).n_cells
    4
    """
    if not isinstance(plane, Slice):
        raise TypeError(f"plane: expected a Slice, got {type(plane).__name__}")
    budget = Budget.of(max_cells, max_memory)
    network = network_of(model, plane.input_shape, output, approximate)
    if device is not None and device != network.device:
        network = on_device(network, device)
    if client is not None:
        if max_cells is not None or max_memory is not None:
            raise ValueError("max_cells, max_memory: expected None with a client, whose workers have memory of their own")
        from .spreading import spread

        return spread(network, plane, client)
    watch = Watch(budget=budget)
    return within_budget(plane, watch, lambda part: partition_of(network, part, Work(), watch))


def network_of(model: Any, input_shape: tuple[int, ...], output: str | int | None, approximate: float | None) -> Network:
    """The model as a network, or the network itself; arguments and what is raised as of `compute_partition`."""
    if isinstance(model, Network):
        if output is not None or approximate is not None:
            raise ValueError("output, approximate: expected None for a Network, in which both are decided already")
        return model
    network = lower(model, input_shape, output, approximate)
    if network.was_training:
        warnings.warn(
            "model: it is in training mode; the partition is that of eval mode, computed on a copy", stacklevel=3)
    return network


def on_device(network: Network, device: str) -> Network:
    """The same network, run elsewhere.

    Raises
    ------
    TypeError, ValueError
        If there is no such device.
    """
    if not isinstance(device, str):
        raise TypeError(f"device: expected a name such as 'cpu' or 'cuda', got {device!r}")
    try:
        torch.zeros(1, dtype=torch.float64, device=device).cpu()
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        text = str(error).splitlines()[0]
        raise ValueError(f"device: expected one that computes in float64 here, got {device!r}: {text}") from None
    return replace(network, device=device)


def partition_of(network: Network, plane: Slice, work: Work, watch: Watch | None = None) -> Partition:
    """The partition of a slice by a network that is lowered already.

    Parameters
    ----------
    work : Work
        Counted into.
    watch : Watch or None

    Raises
    ------
    ValueError
        If the slice's inputs have another shape than the network's.
    OverBudget
        If it would need more than the watch's budget.
    """
    return continued(network, plane, None, work, watch or Watch())


def continued(
    network: Network, plane: Slice, state: State | None, work: Work, watch: Watch,
    keep: Callable[[State], None] = lambda _: None, patch: Patch | None = None, may_divide: bool = True,
) -> Partition:
    """The partition of a slice from a state that an earlier computation came to, None to begin at the beginning.

    Parameters
    ----------
    state : State or None
        Of a network whose stages before `state.number` are the same.
    keep : callable
        Told of every state.
    patch : Patch or None
        What is known of one stage.
    may_divide : bool
        Whether the domain may be cut into tiles, see `dividing`; else it is computed in one piece, whatever that takes.
    """
    if network.input_shape != plane.input_shape:
        raise ValueError(f"plane: expected inputs of shape {network.input_shape}, got {plane.input_shape}")

    begun = state or State.of_corners(network, plane)
    while patch is None and (small := after_small_stage(network, begun, work, watch)) is not None:
        if not isinstance(small, State):
            return _finished(network, plane, begun, *small)
        keep(small)
        watch.offer(partial(_sketch, network, small.planar, begun.number))
        begun = small

    handed_over = [begun]  # not held here: its values are to go when tiles begin
    del begun

    def compute(tick: Callable[[], None]) -> Partition:
        found = handed_over.pop()
        while True:
            division = division_of(network, found, watch.budget) if may_divide else None
            if division is not None:
                sketch = partial(_sketch, network, found.planar, found.number - 1)
                del found  # with its values
                return in_tiles(plane, division, partial(part, True), partial(part, False), sketch, work, watch, tick)
            following = _after_stage(network, found, work, watch, tick, patch)
            if not isinstance(following, State):
                return _finished(network, plane, found, *following)
            keep(following)
            found = replace(following, split=None)
            del following

    def part(may_divide: bool, other: Slice, own: Work, beside: Watch) -> Partition:
        return continued(network, other, None, own, beside, may_divide=may_divide)

    return apart(compute, watch.tick)


def _after_stage(
    network: Network, state: State, work: Work, watch: Watch, tick: Callable[[], None], patch: Patch | None
) -> State | tuple[dict[str, Float64], dict[str, Bound]]:
    """The state after one more stage; what is alive and its bounds after the last one."""
    number, planar, new = state.number, state.planar, state.new
    stage = network.stages[number]
    tick()
    n_bytes = state.n_bytes + 8 * planar.n_vertices * sum(math.prod(network.shapes[name]) for name in stage.kept)
    watch.check(planar.n_cells, n_bytes)
    if any(step.kind == "choice" for step in stage.steps):
        _check_continuity(stage, network, state, tick)
    hats = hats_for(stage, network.shapes, new, tick)  # a patch has values from hats, too
    tick()
    bounds = advance_bounds(stage, network.shapes, state.bounds, hats)
    if hats is not None and new is not None:
        work.vertices_by_hats += int(new.is_plain.sum()) + len(new.chord_places)
    is_plain = stage.cut is not None and stage.cut.kind not in ("settle", "curve")
    cut = (stage.cut.sources[0], bounds[stage.cut.sources[0]].tolerance()) if stage.cut is not None and is_plain else None
    tick()
    cut_by: Callable[..., Split] = split_complex
    if patch is not None and patch.number == number and cut is not None:
        cut_by = patch.split
        signs: Signs | None
        live, signs = patch.advanced(network, state.live, new, cut[1], tick)
    else:
        live, signs = advance(
            network.stages_on_device[number], network.shapes, state.live, new, tick, cut, hats, network.device)
    work.vertices_evaluated += planar.n_vertices
    if stage.cut is None:
        return live, bounds
    first_round = {stage.cut.node: number, **state.first_round}
    if stage.cut.kind == "settle":
        _, entries = stage.cut.sources
        first = first_round[stage.cut.node]
        tolerance = bounds[entries].tolerance()
        k, n = network.shapes[entries]
        planar, kept = settled(planar, first, number - first, live[entries], tolerance.reshape(k, n), state.n_corners)
        return replace(
            state, number=number + 1, planar=planar, live={name: live[name][kept] for name in stage.passed_on},
            bounds={name: bounds[name] for name in stage.passed_on}, new=None, split=None, first_round=first_round,
            zero_tolerances=(*state.zero_tolerances, tolerance))
    source = stage.cut.sources[0]
    tolerance = bounds[source].tolerance()
    is_round = stage.cut.node in network.tournaments
    n_free = max(0, watch.budget.memory - n_bytes)
    room = Room(min(watch.budget.cells, planar.n_cells + n_free // BYTES_A_CELL), n_free)
    if signs is not None and number == 0:
        watch.offer(lambda: _first_lines(network, planar, live[source], signs))
    if stage.cut.kind == "curve":
        split = bent(planar, live[source], tolerance, number, stage.cut, room, tick)
    else:
        split = cut_by(planar, live[source], tolerance, number, not is_round, signs, room, tick)
    watch.check(split.after.n_cells, n_bytes + BYTES_A_CELL * (split.after.n_cells - planar.n_cells))
    work.n_close += split.n_close
    work.n_irregular += split.n_irregular
    work.n_zero += split.n_zero
    bounds = {name: bound.interpolated(split.peak if name == source else peaks(live[name])) for name, bound in bounds.items()}
    if stage.cut.operation == "larger_of_pairs":
        compared = stage.cut.sources[1]
        bounds[compared] = bounds[compared].without_losers(live[compared])
    if not is_round:
        watch.offer(lambda: _sketch(network, split.after, number))
    last_cut = split if is_plain and not is_round else None
    return State(
        number + 1, split.after, live, bounds, state.n_corners, split.new, last_cut, first_round,
        state.zero_tolerances if is_round else (*state.zero_tolerances, tolerance),
        state.n_close + split.n_close, state.n_irregular + split.n_irregular, state.n_zero + split.n_zero)


def _first_lines(network: Network, planar: PlanarComplex, rows: Float64, signs: Signs) -> Sketch:
    """The lines of the first layer's units across a single cell."""
    return Sketch(chords(planar.points, rows, signs, MOST_LINES), 1, len(network.layers), 0)


def _sketch(network: Network, planar: PlanarComplex, number: int) -> Sketch:
    """All edges inside; where they are very many, those of some units."""
    return Sketch(some_edges(planar, MOST_LINES), network.layer_of_cut[number] + 1, len(network.layers), planar.n_cells)


def _finished(
    network: Network, plane: Slice, state: State, live: dict[str, Float64], bounds: dict[str, Bound]
) -> Partition:
    planar = replace(_by_layers(state.planar, network))  # a complex of its own: others know a result by it
    values = live[network.output_name]
    peak = peaks(values)
    output_error = output_tolerance(bounds[network.output_name], peak)
    is_near = (peak < NEAR).all() or (peak < network.limit).all()  # for the limit all weights are looked through
    if not (is_near and np.isfinite(output_error).all()):  # not so for NaN, either
        raise ValueError("model: expected finite outputs on the domain, got NaN or infinity (in its weights, or by overflow)")
    return Partition(plane, planar, values, output_error, state.n_close, state.n_zero, network=network,
                     zero_tolerances=state.zero_tolerances)


def _check_continuity(stage: Stage, network: Network, state: State, tick: Callable[[], None]) -> None:
    live, new = state.live, state.new
    rows = live if new is None else {name: np.concatenate([old, new.rows(old)]) for name, old in live.items()}
    found = jumps(stage, network.shapes, rows, state.bounds, state.planar, tick)
    if found:
        raise UnsupportedModelError(f"model: expected choices that are continuous, each by itself, but {found}")


def _by_layers(planar: PlanarComplex, network: Network) -> PlanarComplex:
    """Edges by layers of kinks and their units, which so far are those of the cuts."""
    inner = planar.edge_layer >= 0
    if network.cuts_are_layers or not inner.any():
        return planar
    layers = np.array(network.layer_of_cut, np.int32)[planar.edge_layer]
    n_units = np.array([step.n_units for step in network.kinks])
    units = (planar.edge_unit % n_units[layers]).astype(np.int32)
    return replace(planar, edge_layer=np.where(inner, layers, np.int32(-1)), edge_unit=np.where(inner, units, np.int32(-1)))


def output_tolerance(bound: Bound, peak: Float64) -> Float64:
    """Magnitude (K,) of the rounding error of outputs of at most magnitude `peak` (K,), with that of interpolating them."""
    with np.errstate(over="ignore"):  # of a square; whether it is finite is asked next
        tolerance: Float64 = CONFIDENCE * np.sqrt(bound.rows.numpy()[1].reshape(-1) + LERP_ERROR * (peak * peak))
    return tolerance
