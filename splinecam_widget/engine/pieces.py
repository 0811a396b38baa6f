"""Continuous piecewise-linear functions of one variable: their values, where they bend, and on which piece a value lies."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from .arrays import Float64

Int64 = NDArray[np.int64]

UNIT_ROUNDOFF = 2.0**-53


def interpolated(x: torch.Tensor, knots: torch.Tensor, values: torch.Tensor, period: float | None = None) -> torch.Tensor:
    """A piecewise-linear function of every entry of x.

    Parameters
    ----------
    knots : (n,) tensor, increasing
    values : (n,) tensor
        At the knots.
    period : float or None
        The knots lie within one period; None: the first and last pieces go on for ever.
    """
    if period is None:
        starts, heights = knots[:-1], values[:-1]
        slopes = values.diff() / knots.diff()
        z = x
    else:
        starts, heights = knots, values
        slopes = (values.roll(-1) - values) / (torch.cat([knots[1:], knots[:1] + period]) - knots)
        z = x - period * torch.floor((x - knots[0]) / period)
    piece = (torch.searchsorted(starts, z.detach().contiguous(), right=True) - 1).clamp(0, len(starts) - 1)
    return heights[piece] + slopes[piece] * (z - starts[piece])


def bends(knots: torch.Tensor, values: torch.Tensor, period: float | None) -> torch.Tensor:
    """The knots (k,) at which the slope changes by more than the rounding of slopes, knots and values."""
    if period is None:
        ends, heights = knots, values
    else:
        ends, heights = torch.cat([knots, knots[:1] + period]), torch.cat([values, values[:1]])
    widths = ends.diff()
    slopes = heights.diff() / widths
    # Two differences and a quotient in each slope, and their difference; knots and values are rounded numbers themselves.
    sizes = 2 * slopes.abs() + (_pairs(heights.abs()) + slopes.abs() * _pairs(ends.abs())) / widths
    if period is None:
        before, after, noise, places = slopes[:-1], slopes[1:], _pairs(sizes), knots[1:-1]
    else:
        before, after, noise, places = slopes.roll(1), slopes, sizes.roll(1) + sizes, knots
    return places[(after - before).abs() > 2 * UNIT_ROUNDOFF * noise].contiguous()


def _pairs(x: torch.Tensor) -> torch.Tensor:
    """Sums of neighbours."""
    return x[:-1] + x[1:]


def bends_between(low: Float64, high: Float64, places: Float64, period: float | None) -> tuple[Int64, Float64]:
    """Where units bend: unit numbers (t,) and places (t,), for units with values from `low` to `high` (m,) and these bends."""
    if period is None or not len(places):
        units, which = np.nonzero((places > low[:, None]) & (places < high[:, None]))
        return units, places[which]
    first = np.floor((low - places[0]) / period).astype(np.int64)
    count = np.ceil((high - places[0]) / period).astype(np.int64) - first + 1
    units = np.repeat(np.arange(len(low)), count)
    turn = np.arange(len(units)) - np.repeat(np.cumsum(count) - count, count) + first[units]
    every = (turn[:, None] * period + places).ravel()
    units = np.repeat(units, len(places))
    inside = (every > low[units]) & (every < high[units])
    return units[inside], every[inside]


def pieces(z: torch.Tensor, places: torch.Tensor, period: float | None) -> torch.Tensor:
    """Number of the piece between bends that each entry of z lies on, as int64."""
    z = z.contiguous()
    if period is None or not len(places):
        return torch.searchsorted(places, z)
    turn = torch.floor((z - places[0]) / period)
    return turn.long() * len(places) + torch.searchsorted(places, z - period * turn)
