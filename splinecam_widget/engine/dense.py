"""Stages that are one matrix after an activation that bends at zero.

While there are few vertices, a stage is one call, on the thread that asks: `compute` takes it in some thirty calls, of which
each costs more than its work as long as there are a few hundred cells. With many, its bounds, and its rows where these are
narrow, are still found by loops of their own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np
import torch

from . import _dense_kernels
from .arrays import Float64
from .hats import OPERATIONS
from .network import Network
from .operations import Affine, Kink
from .planar import NewVertices, PlanarComplex, Signs
from .rounding import CONFIDENCE, LERP_ERROR, UNIT_ROUNDOFF, Bound
from .splitting import LEAST_TRACED
from .states import State, Work
from .steps import Stage, Step
from .watching import BYTES_A_CELL, Watch

MOST_PRODUCTS = 1 << 20
"""Vertices times entries of the matrix above which torch multiplies faster; then threads pay, too."""

MOST_UNITS = 64
"""Of a stage. More lines across one cell are left to where they can be stopped."""

MOST_NEW_CELLS = 1 << 14
"""Of a stage: so many take some ten milliseconds, without a look whether to go on. With more it begins anew the other way."""

MOST_ENTRIES = 1 << 18
"""Of the matrix, which is copied. Larger ones are not taken at the four corners of a domain, either."""

NARROW = 4
"""Outputs of which torch makes no faster than reading what they are made of."""

LAYOUTS = frozenset({"flatten", "view", "reshape", "_unsafe_view", "squeeze", "unsqueeze"})
"""Operations after which a row has the same entries in the same order."""


@dataclass(frozen=True, eq=False)
class Dense:
    """The numbers of one such stage, n entries before and m after it.

    Attributes
    ----------
    source : str
        The pre-activation, or the network's input.
    above, below : (n,) float64
        Slopes of the activation; 1 and 1 where there is none.
    slope, kink_error : float
        What the activation does to bounds, see `rounding`.
    matrix : (n, m) float64
    bias : (m,) float64
    terms : float
        That are summed for an entry.
    """

    source: str
    above: Float64
    below: Float64
    slope: float
    kink_error: float
    matrix: Float64
    bias: Float64
    terms: float

    @property
    def sum_error(self) -> float:
        return (self.terms * UNIT_ROUNDOFF) ** 2

    @cached_property
    def sides(self) -> tuple[Float64, Float64]:
        """(m, n) float64 each: the matrix with its columns as rows, for entries above zero and below it."""
        weights = self.matrix.T
        with np.errstate(over="ignore", invalid="ignore"):  # the outputs tell
            return np.ascontiguousarray(weights * self.above), np.ascontiguousarray(weights * self.below)

    def write_rows(self, old: Float64, out: Float64) -> None:
        """Rows after the stage, into `out` (V, m), from those of the source (V, n); for few outputs faster than by torch."""
        _dense_kernels.narrow_rows(old, *self.sides, self.bias, out)

    def bound(self, before: Bound) -> Bound:
        """The bound after the stage, from that of the source."""
        rows = _dense_kernels.dense_bound(
            np.ascontiguousarray(before.rows.numpy().reshape(2, -1)), self.slope, self.kink_error, self.matrix, self.bias,
            self.sum_error, self.terms)
        return Bound(torch.from_numpy(rows))


_NONE = NewVertices(
    np.empty((0, 2), np.int32), np.empty(0), np.empty((0, 4), np.int32), np.empty((0, 3)), np.empty((0, 2), np.int32),
    np.empty(0, np.int32), np.zeros(1, np.int64), np.empty(0, np.int32),
    Signs(np.empty((0, 0), np.uint64), np.empty((0, 0), np.uint64), np.empty(0), 0), np.empty(0))
"""No new vertices."""

_FOUND: WeakKeyDictionary[Stage, Dense | None] = WeakKeyDictionary()


def dense_of(stage: Stage, shapes: Mapping[str, tuple[int, ...]]) -> Dense | None:
    """The stage's numbers, if it is one matrix after an activation, or one matrix alone, and its cut bends at zero."""
    if stage not in _FOUND:
        _FOUND[stage] = _dense_of(stage, shapes)
    return _FOUND[stage]


def carry(first: Stage, second: Stage) -> None:
    """Take what was found for one stage for another one that is the same."""
    if first in _FOUND:
        _FOUND[second] = _FOUND[first]


def _dense_of(stage: Stage, shapes: Mapping[str, tuple[int, ...]]) -> Dense | None:
    steps = list(stage.steps)
    if not steps or stage.kept != (steps[-1].name,) or steps[-1].operation != "linear" or (
            stage.cut is not None and (stage.cut.operation not in OPERATIONS or stage.cut.sources != stage.kept)):
        return None
    linear, first = steps[-1], steps[0]
    kink = first if first.kind == "kink" else None
    if kink is not None and (kink.operation not in OPERATIONS or kink.sources != (kink.arguments["self"].name,)
                             or kink.shape != shapes[kink.sources[0]]):
        return None
    chain = [first.sources[0] if first.sources else "", *(step.name for step in steps)]
    if any(step.sources != (before,) for step, before in zip(steps, chain)) or not all(
            step.kind == "affine" and step.operation in LAYOUTS for step in steps[kink is not None:-1]):
        return None
    if len(linear.shape) != 1 or len(shapes[linear.sources[0]]) != 1:
        return None
    weight, bias = linear.arguments["weight"], linear.arguments["bias"]
    if not isinstance(weight, torch.Tensor) or weight.ndim != 2 or weight.numel() > MOST_ENTRIES:
        return None
    m, n = weight.shape
    if bias is not None and not (isinstance(bias, torch.Tensor) and bias.shape == (m,)):  # torch takes one number for all, too
        return None
    rule = linear.rule
    assert isinstance(rule, Affine)
    return Dense(
        chain[0], *_slopes(kink, n), *_kink_bound(kink), _numbers(weight.T), np.zeros(m) if bias is None else _numbers(bias),
        float(rule.terms(linear.arguments, n, m) + 1))


def _numbers(tensor: torch.Tensor) -> Float64:
    """In one order, as compiled loops want them; a tensor may be one that is negated, transposed or repeated as it is read."""
    return np.ascontiguousarray(tensor.detach().resolve_neg().numpy())


def _slopes(kink: Step | None, n: int) -> tuple[Float64, Float64]:
    if kink is None or kink.operation == "relu":
        return np.ones(n), np.full(n, float(kink is None))
    sides = torch.tensor([1.0, -1.0], dtype=torch.float64, device="cpu").reshape(2, *(1,) * len(kink.shape))
    sides = sides.expand(2, *kink.shape)
    above, below = kink.result({kink.sources[0]: sides}).reshape(2, -1).numpy()
    return np.ascontiguousarray(above), np.ascontiguousarray(-below)


def _kink_bound(kink: Step | None) -> tuple[float, float]:
    if kink is None or kink.operation == "relu":
        return 1.0, 0.0
    assert isinstance(kink.rule, Kink)
    return float(kink.rule.slope(kink.arguments)), (4 * UNIT_ROUNDOFF) ** 2


def after_small_stage(
    network: Network, state: State, work: Work, watch: Watch
) -> State | tuple[dict[str, Float64], dict[str, Bound]] | None:
    """The state after one more stage; what is alive and its bounds after the last one; None for a stage of another kind."""
    planar, number = state.planar, state.number
    stage = network.stages[number]
    n_vertices = planar.n_vertices
    if network.device != "cpu" or len(stage.kept) != 1 or len(state.live) != 1:
        return None
    (name,), ((source, old),) = stage.kept, state.live.items()
    m = math.prod(network.shapes[name])
    if m > MOST_UNITS or n_vertices * max(old.shape[1] * m, stage.width) > MOST_PRODUCTS:
        return None
    dense = dense_of(stage, network.shapes)
    if dense is None or dense.source != source:
        return None
    watch.tick()
    n_bytes = state.n_bytes + 8 * n_vertices * m
    watch.check(planar.n_cells, n_bytes)
    new = state.new or _NONE
    before = state.bounds[source].rows.numpy().reshape(2, -1)
    where = (old, new.edge_ends, new.edge_t, new.chord_ends, new.chord_weights)
    numbers = (dense.above, dense.below, dense.matrix, dense.bias)
    errors = (before, dense.slope, dense.kink_error)
    if stage.cut is None:
        work.vertices_evaluated += n_vertices
        return {name: _dense_kernels.dense_rows(*where, *numbers)}, {name: dense.bound(state.bounds[source])}
    n_free = max(0, watch.budget.memory - n_bytes)
    most_cells = min(watch.budget.cells, planar.n_cells + min(n_free // BYTES_A_CELL, MOST_NEW_CELLS))
    halt = np.zeros(1, np.uint8)
    (rows, bound, tolerance, positive, negative, peak, n_zero, offsets, units, parents, t, ends, n_close, points, edges, layers,
     edge_units, split) = _dense_kernels.dense_stage(
        *where, *numbers, *errors, dense.sum_error, dense.terms, CONFIDENCE, LERP_ERROR, number, planar.points, planar.edges,
        planar.edge_layer, planar.edge_unit, planar.cell_offsets, planar.cell_vertices, planar.cell_edges, planar.cell_hashes,
        most_cells, n_free, LEAST_TRACED, halt)
    if halt[0]:  # too much for one call, or for the budget; the other way says how much
        return None
    cell_offsets, cell_vertices, cell_edges, hashes, _, chord_ends, weights, places, _, _, n_irregular = split
    found = PlanarComplex(points, edges, layers, edge_units, cell_offsets, cell_vertices, cell_edges, hashes)
    watch.check(found.n_cells, n_bytes + BYTES_A_CELL * (found.n_cells - planar.n_cells))
    work.vertices_evaluated += n_vertices
    work.n_close += n_close
    work.n_irregular += n_irregular
    work.n_zero += n_zero
    signs = Signs(positive, negative, peak, n_zero)
    return State(
        number + 1, found, {name: rows}, {name: Bound(torch.from_numpy(bound))}, state.n_corners,
        NewVertices(ends, t, chord_ends, weights, places, parents, offsets, units, signs, tolerance), None,
        {stage.cut.node: number, **state.first_round}, (*state.zero_tolerances, tolerance),
        state.n_close + n_close, state.n_irregular + n_irregular, state.n_zero + n_zero)
