r"""Tensors at new vertices from those at the ends of edges and chords, without running the network there.

Along an edge (a, b) of the complex before a kink everything alive is affine but for the units that change sign on it. Between
its values at the ends, an activation with slopes :math:`s_-, s_+` left and right of zero is the straight line plus a hat with
its top at the crossing, which at :math:`a + t (b - a)` is :math:`-(s_+ - s_-) \min(t\,|z_b|, (1 - t)\,|z_a|)`. What follows
up to the next kink is affine, so each crossing unit adds its hat times its column of that affine map: a few columns for a
vertex where a product with the whole matrix stood. The same holds along a chord, between two vertices on edges.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import torch

from . import _hat_kernels
from .arrays import Float64
from .operations import Affine
from .planar import NewVertices
from .rounding import LERP_ROUNDINGS, UNIT_ROUNDOFF, Bound
from .steps import Stage, run_steps

OPERATIONS = frozenset({"relu", "leaky_relu", "prelu", "abs"})
"""Activations of one entry that bend at zero only."""

MAX_COLUMN_ENTRIES = 1 << 20
"""Entries of all columns of a stage: 8 MiB. Larger ones would not stay in cache, and convolutions are cheaper than theirs."""

MAX_WEIGHT_ENTRIES = 1 << 24
"""The same where the stage's own weights are as many, as those of matrices are: these would not stay in cache, either."""

MAX_BATCH_ENTRIES = 1 << 22
"""Width times the number of columns above which finding them takes too long."""

RUN_ENTRIES = 1 << 16
"""Entries of the widest tensor while some of the columns are found: a few milliseconds."""

LINEAR_ROUNDINGS = 1 << 16
"""By how many roundings of its largest entry the map that columns make may differ from the steps themselves."""

HAT_ROUNDINGS = 6
"""Of the height of a hat times its column."""

LEAST_ENTRIES = 1 << 17
"""Entries of the new vertices' rows below which running the network is as fast."""


@dataclass(frozen=True, eq=False)
class Hats:
    """What each unit of a kink adds to the tensors that a stage keeps.

    Attributes
    ----------
    source : str
        The kink's pre-activation.
    columns : dict of (n, m) float64
        By kept tensor that depends on the kink: for every unit its jump of slope times its column of the affine map.
    roundings : int
        Each entry of a column carries at most so many.
    """

    source: str
    columns: Mapping[str, Float64]
    roundings: int

    def bound(self, name: str, bound: Bound, before: Bound) -> Bound:
        """The bound of a kept tensor at new vertices.

        Parameters
        ----------
        bound : Bound
            Of the tensor where the network is run.
        before : Bound
            Of the pre-activation.

        Notes
        -----
        The line between the ends and the hats are together, whatever the pre-activations at the ends, the activation of the
        interpolated pre-activation; so their errors come through as where the network is run. What is added are roundings: two
        interpolations (on an edge, then on a chord), each with one subtraction of its hats, which are summed by themselves; and
        of each hat those of its height, of its column, and of that sum, over all units at most. The height is |z| at one end
        times 1 - t, or at the other times t, by where the crossing is. That is a quotient: near it the wrong one may be taken,
        which differs by two roundings. Those, that of 1 - t, those of the products with the column and with 1 - t, and that of
        the sum of both kinds of hats make six.
        """
        rows = np.ascontiguousarray(bound.rows.numpy().reshape(2, -1))
        columns, has_columns = self._columns_of(name, rows)
        roundings = (HAT_ROUNDINGS + len(columns) + self.roundings) * UNIT_ROUNDOFF
        found = _hat_kernels.bound_with_hats(
            rows, ((LERP_ROUNDINGS + 2) * UNIT_ROUNDOFF) ** 2, np.ascontiguousarray(before.square.numpy().reshape(-1)), columns,
            has_columns, roundings**2)
        return Bound(torch.from_numpy(found).view(bound.rows.shape))

    def write_on_edges(
        self, name: str, rows: Float64, source_rows: Float64, new: NewVertices, start: int, stop: int
    ) -> None:
        """Rows of a kept tensor at the plain ones of new vertices `start` to `stop`, which lie on edges.

        They go into all rows (V, m), where those at the old ones are.
        """
        _hat_kernels.rows_by_hats(
            rows, source_rows, new.edge_ends, new.edge_t, new.parents, new.crossing_offsets, new.crossing_units,
            *self._columns_of(name, rows), new.is_plain, len(rows) - len(new), start, stop)

    def write_on_chords(
        self, name: str, rows: Float64, source_rows: Float64, new: NewVertices, first: int, last: int
    ) -> None:
        """Rows of a kept tensor at the vertices of chords `first` to `last`, into all rows (V, m), where those on edges are."""
        _hat_kernels.rows_on_chords(
            rows, source_rows, new.signs.positive, new.signs.negative, new.chord_ends, new.chord_weights, new.chord_places,
            new.chord_begins, first, last, len(rows) - len(new.chord_places), *self._columns_of(name, rows))

    def _columns_of(self, name: str, rows: Float64) -> tuple[Float64, bool]:
        columns = self.columns.get(name)
        return (np.empty((0, rows.shape[1])), False) if columns is None else (columns, True)


_FOUND: WeakKeyDictionary[Stage, Hats | None] = WeakKeyDictionary()


def hats_for(
    stage: Stage, shapes: Mapping[str, tuple[int, ...]], new: NewVertices | None, tick: Callable[[], None] = lambda: None
) -> Hats | None:
    """The hats of a stage's kink where they pay, else None.

    They do not where there are few new vertices on edges, or where there are none, see `hats_of`.
    """
    if new is None or len(new) * stage.width < max(1, LEAST_ENTRIES):
        return None
    return hats_of(stage, shapes, tick)


def hats_of(
    stage: Stage, shapes: Mapping[str, tuple[int, ...]], tick: Callable[[], None] = lambda: None
) -> Hats | None:
    """The hats of a stage's kink, found once.

    None where entries bend together, where there are very many, or where what follows the kink is not affine.
    """
    if stage not in _FOUND:
        _FOUND[stage] = _sought(stage, shapes, tick)
    return _FOUND[stage]


def carry(first: Stage, second: Stage) -> None:
    """Take what was found for one stage for another one that is the same."""
    if first in _FOUND:
        _FOUND[second] = _FOUND[first]


def _sought(stage: Stage, shapes: Mapping[str, tuple[int, ...]], tick: Callable[[], None]) -> Hats | None:
    steps = [step for step in stage.steps if step.kind != "size"]
    if not steps or steps[0].operation not in OPERATIONS or steps[0].kind != "kink":
        return None
    kink, after = steps[0], steps[1:]
    if any(step.kind != "affine" for step in after) or kink.sources != (kink.arguments["self"].name,):
        return None
    n = math.prod(kink.shape)
    dependent = {kink.name}
    for step in after:
        if dependent.intersection(step.sources):
            dependent.add(step.name)
    sizes = {name: math.prod(shapes[name]) for name in stage.kept if name in dependent}
    n_weights = sum(value.numel() for step in after for value in step.arguments.values() if isinstance(value, torch.Tensor))
    n_entries = max(MAX_COLUMN_ENTRIES, min(MAX_WEIGHT_ENTRIES, n_weights))
    if kink.shape != shapes[kink.sources[0]] or n * sum(sizes.values()) > n_entries or (
            max([2, *sizes.values()]) * stage.width > MAX_BATCH_ENTRIES):
        return None
    sides = torch.tensor([1.0, -1.0], dtype=torch.float64).reshape(2, *(1,) * len(kink.shape)).expand(2, *kink.shape)
    jump = kink.result({kink.sources[0]: sides}).sum(0).reshape(-1).numpy()
    columns: dict[str, Float64] = {}
    for name in sizes:
        found = _columns(stage, name, shapes, tick)
        if found is None:
            return None
        with np.errstate(over="ignore", invalid="ignore"):  # the outputs tell
            columns[name] = jump[:, None] * found
    n_rounding = sum(isinstance(step.rule, Affine) and step.rule.coefficients != "selection" for step in after)
    roundings = n if n_rounding > 1 else 0  # one matrix has its columns as they are
    return Hats(kink.sources[0], columns, roundings)


def _columns(
    stage: Stage, name: str, shapes: Mapping[str, tuple[int, ...]], tick: Callable[[], None]
) -> Float64 | None:
    """The affine map (n, m) from the kink's activation to a kept tensor, by differentiating one output for each of a batch.

    Of one matrix it is the matrix. None if the steps do otherwise than their derivative says: with a step of that kind there
    are no hats.
    """
    kink = next(step for step in stage.steps if step.kind == "kink")
    steps = tuple(step for step in stage.steps if step is not kink)
    only = steps[0] if len(steps) == 1 else None
    if only and (only.operation, only.name, only.sources, len(kink.shape)) == ("linear", name, (kink.name,), 1):
        matrix: Float64 = np.ascontiguousarray(only.arguments["weight"].numpy().T)
        return matrix
    n, m = math.prod(kink.shape), math.prod(shapes[name])
    made = {step.name for step in stage.steps}
    inputs = {source for step in steps for source in step.sources if source not in made}

    def result(active: torch.Tensor) -> torch.Tensor:
        blocks = {source: active.new_zeros((len(active), *shapes[source])) for source in inputs}
        found: torch.Tensor = run_steps(steps, {**blocks, kink.name: active}, len(active))[name].reshape(len(active), m)
        return found

    columns = np.empty((n, m))
    size = max(1, RUN_ENTRIES // max(n, m))
    for start in range(0, m, size):
        tick()
        outputs = slice(start, min(start + size, m))
        with torch.enable_grad():
            active = torch.zeros((outputs.stop - start, *kink.shape), dtype=torch.float64, requires_grad=True)
            traced = result(active)
            if not traced.requires_grad:
                return None
            (gradient,) = torch.autograd.grad(traced.diagonal(start).sum(), active)
        columns[:, outputs] = gradient.reshape(-1, n).numpy().T
    with torch.no_grad():
        probe = torch.from_numpy(np.random.default_rng(0).choice([-1.0, 1.0], n))
        at_probe, at_zero = result(torch.stack([probe, torch.zeros_like(probe)]).reshape(2, *kink.shape)).numpy()
    largest = np.abs(columns).sum(axis=0) + np.abs(at_zero)
    if (np.abs(probe.numpy() @ columns - (at_probe - at_zero)) > LINEAR_ROUNDINGS * UNIT_ROUNDOFF * largest).any():
        return None
    return columns
