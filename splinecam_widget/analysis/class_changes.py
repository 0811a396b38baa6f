"""Where the predicted class changes along a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from splinecam_widget.engine.arrays import Float64, as_numbers, as_real
from splinecam_widget.engine.planar import Int32

from . import _line_kernels
from .lines import LinePartition, compute_line


@dataclass(frozen=True, eq=False)
class ClassChanges:
    """Where the largest output changes along a line; of one output, where it passes a level.

    Attributes
    ----------
    t : (M,) float64
        Increasing; 0 at the line's start, 1 at its end.
    classes : (M, 2) int32
        Before and after. Of one output, 1 is above the level, 0 is not.
    cells : (M,) int32
        The cell that each change lies in, or begins.
    first : int
        The class just after the start; at a start where classes tie, the one that wins in the line's direction.
    """

    t: Float64
    classes: Int32
    cells: Int32
    first: int

    def __len__(self) -> int:
        return len(self.t)

    def __repr__(self) -> str:
        last = int(self.classes[-1, 1]) if len(self) else self.first
        return f"ClassChanges({len(self):,} changes, from class {self.first} to class {last})"


@dataclass(frozen=True, eq=False)
class ClassChange:
    """The first change of the class along a direction.

    Attributes
    ----------
    distance : float
        From the input, input-space units.
    point : (*input_shape,) float64
        The input there.
    classes : (int, int)
        Before and after.
    """

    distance: float
    point: Float64
    classes: tuple[int, int]

    def __repr__(self) -> str:
        before, after = self.classes
        return f"ClassChange(distance {self.distance:.6g}, from class {before} to class {after})"


def changes_along(line: LinePartition, level: float) -> ClassChanges:
    """See `LinePartition.class_changes`."""
    level = as_real(level, "level")
    values, tolerance = line.values, line.tolerance
    if values.shape[1] == 1:
        values = np.concatenate([np.full_like(values, level), values], axis=1)
        tolerance = np.concatenate([[0.0], tolerance])
    elif level != 0.0:
        raise ValueError(f"level: expected 0 for a model with {values.shape[1]} outputs, got {level}")
    t, before, after, cells, first = _line_kernels.class_walk(line.t, values, tolerance)
    return ClassChanges(t, np.stack([before, after], axis=1), cells, int(first))


def closest_class_change(model: Any, x: Any, direction: Any, max_distance: float) -> ClassChange | None:
    """The first place along a direction at which the predicted class changes (of one output: where it passes zero).

    Parameters
    ----------
    model : nn.Module, callable of torch operations, or Network
    x : (*input_shape,) tensor or array
    direction : (*input_shape,) tensor or array
        Of any length but zero.
    max_distance : float
        How far to look, input-space units.

    Returns
    -------
    ClassChange or None
        None if there is none within `max_distance`. Where classes tie at `x` itself, the class that wins just after it, in
        this direction, is the one that must change.

    Raises
    ------
    TypeError, ValueError
        As `compute_line`, or if `direction` is zero or `max_distance` not positive.

    References
    ----------
    Sotoudeh, Thakur: Computing linear restrictions of neural networks. NeurIPS 2019, arXiv 1908.06214.
    Moosavi-Dezfooli, Fawzi, Frossard: DeepFool. CVPR 2016: distances to the boundary, by search.

    Examples
    --------
    >>> import torch
    >>> change = closest_class_change(torch.nn.Identity(), [1.0, 0.0], [0.0, 5.0], 2.0)
    >>> change.distance, change.point.tolist(), change.classes
    (1.0, [1.0, 1.0], (0, 1))
    """
    (start, _), (towards, _) = as_numbers(x, "x"), as_numbers(direction, "direction")
    if towards.shape != start.shape:
        raise ValueError(f"direction: expected the shape of x, {start.shape}, got {towards.shape}")
    largest = float(np.abs(towards).max(initial=0.0))
    if largest == 0:
        raise ValueError("direction: expected one different from zero, got zero")
    max_distance = as_real(max_distance, "max_distance", is_positive=True)
    unit = towards / largest  # whose squares neither overflow nor vanish
    line = compute_line(model, start, start + unit * (max_distance / np.linalg.norm(unit)))
    changes = line.class_changes()
    if not len(changes):
        return None
    before, after = changes.classes[0].tolist()
    return ClassChange(float(changes.t[0]) * line.length, line.to_input(changes.t[0]), (before, after))
