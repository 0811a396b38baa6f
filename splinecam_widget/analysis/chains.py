"""The chain of intervals that a network makes of a straight segment: `engine.compute` and `engine.planar` in one dimension.

A segment's points are a + t (b - a). Everything alive is affine on an interval between two breakpoints, so a kink cuts an
interval exactly where its pre-activation has opposite signs at the two ends; the sign at a breakpoint is decided once, for both
intervals beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splinecam_widget.engine import _dissolving_kernels, _sign_kernels
from splinecam_widget.engine.arrays import Float64
from splinecam_widget.engine.compute import output_tolerance
from splinecam_widget.engine.errors import UnsupportedModelError
from splinecam_widget.engine.evaluation import advance, advance_bounds
from splinecam_widget.engine.hats import hats_for
from splinecam_widget.engine.network import Network
from splinecam_widget.engine.pieces import bends
from splinecam_widget.engine.planar import Int32, Int64, NewVertices, Signs
from splinecam_widget.engine.rounding import Bound, input_bound
from splinecam_widget.engine.steps import Step
from splinecam_widget.engine.switches import jumps
from splinecam_widget.engine.threads import apart

from . import _line_kernels

CHUNK_BYTES = 1 << 28
"""Of live tensors at the breakpoints of a chain. Above, it is cut into parts, which go on one after the other: what is left of
a breakpoint does not depend on what is right of it."""


@dataclass(frozen=True, eq=False)
class Chain:
    """A segment cut into intervals, in order.

    Attributes
    ----------
    t : (V,) float64
        Of its breakpoints, those at both ends first and then as they were found.
    layer, unit : (V,) int32
        The cut and the unit that made each breakpoint first; -1 at both ends.
    intervals : (n, 2) int32
        The breakpoints left and right of each.
    """

    t: Float64
    layer: Int32
    unit: Int32
    intervals: Int32

    @classmethod
    def whole(cls) -> Chain:
        """One interval, from 0 to 1."""
        border = np.full(2, -1, np.int32)
        return cls(np.array([0.0, 1.0]), border, border, np.array([[0, 1]], np.int32))

    @property
    def n_cells(self) -> int:
        return len(self.intervals)

    @property
    def cell_offsets(self) -> Int64:
        """(n + 1,): intervals as cells of two corners."""
        return np.arange(0, 2 * len(self.intervals) + 1, 2, dtype=np.int64)

    @property
    def cell_vertices(self) -> Int32:
        """(2 n,): their ends."""
        return np.ascontiguousarray(self.intervals).reshape(-1)

    @property
    def in_order(self) -> Int32:
        """(n + 1,): the breakpoints from one end to the other."""
        return np.append(self.intervals[:, 0], self.intervals[-1:, 1])

    def refined(self, new: NewVertices, units: Int32, offsets: Int64, layer: int) -> Chain:
        """With new breakpoints, made by `units` (N,) of a cut; interval i has those from `offsets[i]` to `offsets[i + 1]`."""
        nothing = np.zeros(len(self.intervals), np.int32)
        intervals, _, _ = _sign_kernels.edge_pieces(
            self.intervals, nothing, nothing, offsets, len(self.t), self.intervals[:0], -1, nothing[:0])
        left, right = self.t[new.edge_ends].T
        t = np.clip(left + new.edge_t * (right - left), left, right)
        return Chain(np.concatenate([self.t, t]), np.concatenate([self.layer, np.full(len(t), layer, np.int32)]),
                     np.concatenate([self.unit, units]), intervals)

    def among(self, intervals: Int32) -> tuple[Chain, Int64]:
        """With these intervals only, and the old numbers of its breakpoints."""
        kept = np.unique(intervals).astype(np.int64)
        number = np.empty(len(self.t), np.int32)
        number[kept] = np.arange(len(kept), dtype=np.int32)
        return Chain(self.t[kept], self.layer[kept], self.unit[kept], number[intervals]), kept


def crossed(
    chain: Chain, rows: Float64, tolerance: Float64, layer: int, signs: Signs | None
) -> tuple[Chain, NewVertices, int, int]:
    """The chain cut where units with values `rows` (V, n) change sign; numbers of merged crossings, and of zeros."""
    found = Signs.of(rows, tolerance) if signs is None else signs
    offsets, units, places, parents, t, vertex_offsets, n_close = _sign_kernels.edge_crossings(
        0, chain.n_cells, chain.intervals, found.positive, found.negative, rows, tolerance)
    new = _new_vertices(chain, parents, t, offsets, units, found, tolerance)
    of_crossing = np.repeat(vertex_offsets[:-1], np.diff(offsets)) + places
    first = np.flatnonzero(np.diff(of_crossing, prepend=-1))
    return chain.refined(new, units[first], vertex_offsets, layer), new, int(n_close), found.n_zero


def bent(chain: Chain, rows: Float64, tolerance: Float64, layer: int, curve: Step) -> tuple[Chain, NewVertices, int, int]:
    """The same where units pass a knot of a curve."""
    period = curve.arguments["3"]
    knots = bends(curve.arguments["1"], curve.arguments["2"], period).numpy()
    parents, t, units, offsets, n_close = _line_kernels.knot_crossings(
        chain.intervals, rows, tolerance, knots, 0.0 if period is None else float(period))
    nothing = np.zeros((0, 0), np.uint64)
    new = _new_vertices(chain, parents, t, np.zeros(chain.n_cells + 1, np.int64), np.zeros(0, np.int32),
                        Signs(nothing, nothing, np.zeros(0), 0), tolerance)
    return chain.refined(new, units, offsets, layer), new, int(n_close), 0


def _new_vertices(
    chain: Chain, parents: Int32, t: Float64, offsets: Int64, units: Int32, signs: Signs, tolerance: Float64
) -> NewVertices:
    """All on edges: the intervals."""
    return NewVertices(
        chain.intervals[parents], t, np.zeros((0, 4), np.int32), np.zeros((0, 3)), np.zeros((0, 2), np.int32), parents, offsets,
        units, signs, tolerance)


def settled(chain: Chain, first_cut: int, n_rounds: int, entries: Float64, tolerance: Float64) -> tuple[Chain, Int64]:
    """The chain after a tournament, and the old numbers of its breakpoints: those where no winner changes are gone.

    Parameters as of `engine.dissolving.settled`.
    """
    n = tolerance.shape[1]
    corners = chain.cell_offsets, chain.cell_vertices
    winners = _dissolving_kernels.winner_hashes(0, chain.n_cells, first_cut, *corners, entries, tolerance)
    inner = chain.intervals[1:, 0]
    is_new = (chain.layer[inner] >= first_cut) & (chain.layer[inner] < first_cut + n_rounds)
    is_false = is_new & (winners[:-1] == winners[1:])
    true = np.flatnonzero(is_new & ~is_false).astype(np.int32)
    unit = chain.unit.copy()
    unit[inner[true]] = _dissolving_kernels.changed_places(
        np.stack([true, true + np.int32(1)], axis=1), unit[inner[true]] % n, *corners, entries, tolerance)
    stays = np.append(True, ~is_false), np.append(~is_false, True)
    intervals = np.stack([chain.intervals[stays[side], side] for side in range(2)], axis=1)
    return replace(chain, unit=unit).among(intervals)


@dataclass(frozen=True, eq=False)
class State:
    """A chain before one of the network's stages; see `engine.states.State`."""

    number: int
    chain: Chain
    live: dict[str, Float64]
    bounds: dict[str, Bound]
    new: NewVertices | None = None
    first_round: dict[str, int] = field(default_factory=dict)
    zero_tolerances: tuple[Float64, ...] = ()
    n_close: int = 0
    n_zero: int = 0

    def rows(self) -> dict[str, Float64]:
        """What is alive, at all breakpoints."""
        new = self.new
        return self.live if new is None else {
            name: np.concatenate([rows, new.rows(rows)]) for name, rows in self.live.items()}

    def part(self, begin: int, end: int) -> State:
        """Of intervals `begin` to `end` only. What was counted so far counts for the first part."""
        chain, kept = self.chain.among(self.chain.intervals[begin:end])
        n_old = len(next(iter(self.live.values())))
        old, ids = kept[kept < n_old], kept[kept >= n_old] - n_old
        live = {name: rows[old] for name, rows in self.live.items()}
        if self.new is not None:
            live = {name: np.concatenate([rows, self.new.rows_of(self.live[name], ids)]) for name, rows in live.items()}
        found = replace(self, chain=chain, live=live, new=None)
        return found if begin == 0 else replace(found, n_close=0, n_zero=0)


@dataclass(frozen=True, eq=False)
class Finished:
    """What is known of a segment, or of a part of it, at the end; see `LinePartition`."""

    t: Float64
    layer: Int32
    unit: Int32
    values: Float64
    tolerance: Float64
    zero_tolerances: tuple[Float64, ...]
    n_close: int
    n_zero: int


def finished_along(network: Network, start: Float64, end: Float64) -> Finished:
    """The exact restriction of a network to the segment between two inputs (*input_shape)."""

    def compute(tick: Callable[[], None]) -> Finished:
        ends = np.stack([start, end])
        whole = State(0, Chain.whole(), {network.input_name: ends.reshape(2, -1)},
                      {network.input_name: input_bound(ends)})
        waiting = [(whole, 0, 1)]  # parts are made when their turn comes
        done: list[Finished] = []
        while waiting:
            before, first, last = waiting.pop()
            state = before if last - first == before.chain.n_cells else before.part(first, last)
            while True:
                n_parts = min(_n_parts(network, state), state.chain.n_cells)
                if n_parts > 1:
                    bounds = np.linspace(0, state.chain.n_cells, n_parts + 1).astype(int).tolist()
                    waiting += [(state, *pair) for pair in reversed(list(pairwise(bounds)))]
                    break
                following = _after_stage(network, state, tick)
                if not isinstance(following, State):
                    done.append(following)
                    break
                state = following
        return _in_one(done)

    return apart(compute, lambda: None)


def _n_parts(network: Network, state: State) -> int:
    """Into how many parts to cut it: not within a tournament, whose false breakpoints go only where both sides are known."""
    before = network.stages[state.number - 1].cut if state.number else None
    if before is not None and before.kind != "settle" and before.node in network.tournaments:
        return 1
    width = sum(math.prod(network.shapes[name]) for name in network.stages[state.number].kept)
    return -(-8 * len(state.chain.t) * width // CHUNK_BYTES)


def _after_stage(network: Network, state: State, tick: Callable[[], None]) -> State | Finished:
    """The state after one more stage."""
    number, chain, new = state.number, state.chain, state.new
    stage = network.stages[number]
    tick()
    if any(step.kind == "choice" for step in stage.steps):
        found = jumps(stage, network.shapes, state.rows(), state.bounds, chain, tick)
        if found:
            raise UnsupportedModelError(f"model: expected choices that are continuous, each by itself, but {found}")
    hats = hats_for(stage, network.shapes, new)
    bounds = advance_bounds(stage, network.shapes, state.bounds, hats)
    is_plain = stage.cut is not None and stage.cut.kind not in ("settle", "curve")
    cut = (stage.cut.sources[0], bounds[stage.cut.sources[0]].tolerance()) if stage.cut is not None and is_plain else None
    live, signs = advance(
        network.stages_on_device[number], network.shapes, state.live, new, tick, cut, hats, network.device)
    if stage.cut is None:
        return _finished(network, state, live, bounds)
    first_round = {stage.cut.node: number, **state.first_round}
    if stage.cut.kind == "settle":
        _, entries = stage.cut.sources
        tolerance = bounds[entries].tolerance()
        first = first_round[stage.cut.node]
        chain, kept = settled(chain, first, number - first, live[entries], tolerance.reshape(network.shapes[entries]))
        return replace(
            state, number=number + 1, chain=chain, live={name: rows[kept] for name, rows in live.items()}, bounds=bounds,
            new=None, first_round=first_round, zero_tolerances=(*state.zero_tolerances, tolerance))
    source = stage.cut.sources[0]
    tolerance = bounds[source].tolerance()
    if stage.cut.kind == "curve":
        chain, new, n_close, n_zero = bent(chain, live[source], tolerance, number, stage.cut)
    else:
        chain, new, n_close, n_zero = crossed(chain, live[source], tolerance, number, signs)
    bounds = {name: bound.interpolated(_peak(live[name])) for name, bound in bounds.items()}
    if stage.cut.operation == "larger_of_pairs":
        compared = stage.cut.sources[1]
        bounds[compared] = bounds[compared].without_losers(live[compared])
    is_round = stage.cut.node in network.tournaments
    return State(number + 1, chain, live, bounds, new, first_round,
                 state.zero_tolerances if is_round else (*state.zero_tolerances, tolerance),
                 state.n_close + n_close, state.n_zero + n_zero)


def _finished(network: Network, state: State, live: dict[str, Float64], bounds: dict[str, Bound]) -> Finished:
    values = live[network.output_name]
    tolerance = output_tolerance(bounds[network.output_name], _peak(values))
    if not (np.isfinite(values).all() and (np.abs(values) < network.limit).all() and np.isfinite(tolerance).all()):
        raise ValueError("model: expected finite outputs on the segment, got NaN or infinity (in its weights, or by overflow)")
    chain = state.chain
    layer, unit = chain.layer.copy(), chain.unit.copy()
    inner = layer >= 0
    if inner.any():
        layer[inner] = np.array(network.layer_of_cut, np.int32)[layer[inner]]
        unit[inner] %= np.array([step.n_units for step in network.kinks], np.int32)[layer[inner]]
    ids = chain.in_order
    return Finished(chain.t[ids], layer[ids], unit[ids], values[ids], tolerance, state.zero_tolerances,
                    state.n_close, state.n_zero)


def _in_one(parts: list[Finished]) -> Finished:
    """Parts that follow one another as one; breakpoints with the same t in float64 are one as well."""
    def joined(name: str) -> Any:
        return np.concatenate([getattr(part, name)[min(i, 1):] for i, part in enumerate(parts)])

    t = joined("t")
    is_kept = np.append(True, np.diff(t) > 0) & (t < t[-1])
    is_kept[-1] = True
    zeros = zip(*(part.zero_tolerances for part in parts))
    return Finished(
        t[is_kept], joined("layer")[is_kept], joined("unit")[is_kept], joined("values")[is_kept],
        np.max([part.tolerance for part in parts], axis=0), tuple(np.max(tolerances, axis=0) for tolerances in zeros),
        sum(part.n_close for part in parts), sum(part.n_zero for part in parts) + int((~is_kept).sum()))


def _peak(rows: Float64) -> NDArray[np.float64]:
    """Largest magnitude (n,) in each column."""
    peak: Float64 = np.maximum(rows.max(axis=0), -rows.min(axis=0))
    return peak
