"""A stage of which only some units have new weights: their values are computed, the others' are those of the network before."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from .arrays import Float64
from .evaluation import advance
from .hats import hats_for
from .network import Network
from .planar import Int64, NewVertices, PlanarComplex, Signs
from .resplitting import resplit
from .splitting import Room, Split, split_complex
from .states import State
from .steps import Stage, is_same_step

LARGEST_SHARE = 0.5
"""Of a stage's units: where more have changed, all are computed anew."""


@dataclass(eq=False)
class Patch:
    """What changes of one stage, written into the rows of the network before: a copy of them would take longer than the rest.

    Attributes
    ----------
    number : int
        The stage.
    stage : Stage
        It, with the changed units only.
    units : (m,) int64
    rows : (V, n) float64
        The values of all units before, at the vertices of the state before the stage and those that the cut before it added.
    signs : Signs
        Theirs.
    tolerance : (n,) float64
        With which these were taken.
    cut : Split or None
        What the stage's cut made then.
    replaced : (V, m) float64 or None
        What was in the place of the changed units.
    is_local : bool
        Whether the other units have the same tolerance now.
    """

    number: int
    stage: Stage
    units: Int64
    rows: Float64
    signs: Signs
    tolerance: Float64
    cut: Split | None
    replaced: Float64 | None = None
    is_local: bool = False

    @property
    def name(self) -> str:
        return self.stage.kept[0]

    def advanced(
        self, network: Network, live: dict[str, Float64], new: NewVertices | None, tolerance: Float64,
        tick: Callable[[], None],
    ) -> tuple[dict[str, Float64], Signs]:
        """The stage's kept tensor (V, n) and its signs, as `advance` computes them."""
        shapes = {**network.shapes, self.name: (len(self.units),)}
        part, _ = advance(self.stage, shapes, live, new, tick, None, hats_for(self.stage, shapes, new))
        self.replaced = self.rows[:, self.units]
        self.rows[:, self.units] = part[self.name]
        tick()
        others = np.ones(len(tolerance), np.bool_)
        others[self.units] = False
        self.is_local = np.array_equal(tolerance[others], self.tolerance[others])
        if not self.is_local:
            return {self.name: self.rows}, Signs.of(self.rows, tolerance)
        return {self.name: self.rows}, self.signs.with_units(self.units, part[self.name], self.tolerance, tolerance)

    def split(
        self, before: PlanarComplex, rows: Float64, tolerance: Float64, layer: int, has_pattern: bool, signs: Signs | None,
        room: Room, tick: Callable[[], None],
    ) -> Split:
        """What `split_complex` returns."""
        found = None
        if self.is_local and self.cut is not None and signs is not None:
            found = resplit(
                before, rows, tolerance, layer, has_pattern, signs, self.cut, self.units, room, tick)
        return found or split_complex(before, rows, tolerance, layer, has_pattern, signs, room, tick)

    def undo(self) -> None:
        """Put back what was there."""
        if self.replaced is not None:
            self.rows[:, self.units] = self.replaced
            self.replaced = None


def patch_for(before: Network, after: Network, number: int, following: State) -> Patch | None:
    """What changes of a stage from one network to another; None unless it ends in a matrix and only rows of that are new.

    Parameters
    ----------
    number : int
        The stage.
    following : State
        What the network before came to after it.
    """
    old, new = before.stages[number], after.stages[number]
    cut, old_kink, new_kink = following.new, old.cut, new.cut
    if cut is None or old_kink is None or new_kink is None:
        return None
    if old.kept != new.kept or len(old.kept) != 1 or len(old.steps) != len(new.steps):
        return None
    last, other = new.steps[-1], old.steps[-1]
    if last.operation != "linear" or (last.name,) != new.kept or new_kink.sources != (last.name,) or not all(
            is_same_step(a, b) for a, b in zip((*old.steps[:-1], old_kink), (*new.steps[:-1], new_kink))):
        return None
    rows = following.live[last.name]
    changed = np.zeros(math.prod(last.shape), np.bool_)
    arguments: dict[str, Any] = dict(last.arguments)
    if len(last.shape) != 1 or other.shape != last.shape or rows.shape[1] != len(changed):
        return None
    for name in ("weight", "bias"):
        a, b = other.arguments[name], last.arguments[name]
        if a is None and b is None:
            continue
        if not (isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) and a.shape == b.shape):
            return None
        changed |= (a != b).reshape(len(changed), -1).any(1).numpy()
    units = np.flatnonzero(changed)
    if not 0 < len(units) <= LARGEST_SHARE * len(changed):
        return None
    for name in ("weight", "bias"):
        if arguments[name] is not None:
            arguments[name] = arguments[name][units].contiguous()
    step = replace(last, arguments=arguments, shape=(len(units),))
    stage = Stage((*new.steps[:-1], step), new.kept, None, new.kept)
    return Patch(number, stage, units, rows, cut.signs, cut.tolerance, following.split)
