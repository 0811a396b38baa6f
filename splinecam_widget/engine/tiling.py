"""Tiles of a slice: where a convex domain is cut, and how the partitions of its parts become one again. Knows no cluster.

Notes
-----
A domain is halved by lines along the axes, again and again, and a join undoes each cut: the two parts share a whole side. So
tiles of a polygon are polygons, nothing outside the domain is computed, and a rectangle is no special case. A join compares
edges and patterns and measures nothing, see `joining`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .arrays import Float64
from .clipping import MAX_ZOOM, clipped
from .joining import joined_along
from .partition import Partition
from .slices import Slice, polygon_area
from .watching import MOST_CELLS

Cut = tuple[int, float]
"""A line along an axis: across which one, and where on it."""

OFF_GRID = (math.sqrt(5) - 1) / 64
"""Seams lie this share of a tile, about 0.019, beside equal shares: what is symmetric has its lines at simple ratios."""

HALVINGS = 24
"""To find where a share of an area ends: to within 2^-24 of its width."""

THINNEST = 1e-3
"""Of a polygon's width: no part is thinner, however many points are in it."""

STRIPS = (0.05, 0.11, 0.23)
"""Half widths, in shares of the narrower part, of what is computed anew about a seam that does not fit."""

TOO_MANY = (f"plane: expected at most {MOST_CELLS:,} cells for one partition, got more; take tiles of it as slices of "
            "`partition_many`, with a summary")


def united(
    compute: Callable[[Slice], Partition], plane: Slice, polygon: Float64, cut: Cut, low: Partition, high: Partition,
    tick: Callable[[], None] = lambda: None,
) -> Partition:
    """The partition of a polygon from those below and above a line along an axis.

    Parameters
    ----------
    compute : callable
        The partition of a slice in one piece.
    plane : Slice
    polygon : (k, 2) float64
    cut : int and float
        The axis, and the coordinate of the line on it.
    low, high : Partition
        Of the polygon's part with lower coordinates, and of the other.
    tick : callable
        Called between steps of the join; may raise to stop.

    Raises
    ------
    ValueError
        If it has more cells than one partition can have.

    Notes
    -----
    Where the parts do not fit, because a line runs along the seam, say, a strip about it is computed and joined with what is
    left of both, for up to three widths; if none fits, the polygon is computed whole.
    """
    if low.n_cells + high.n_cells > MOST_CELLS:
        raise ValueError(TOO_MANY)
    found = _joined(low, high, polygon, cut, tick)
    axis, at = cut
    width = min(float(np.ptp(part.plane.domain[:, axis])) for part in (low, high))
    for share in STRIPS:
        if found is not None:
            break
        found = _mended(compute, plane, polygon, axis, at - share * width, at + share * width, low, high)
    return found or compute(replace(plane, domain=polygon))


def _joined(
    low: Partition, high: Partition, polygon: Float64, cut: Cut, tick: Callable[[], None] = lambda: None
) -> Partition | None:
    """Both parts as one, None if they do not fit."""
    axis, at = cut
    if (polygon[:, axis] == at).any():
        return None
    ends = low.plane.domain[low.plane.domain[:, axis] == at]
    if ends.shape != (2, 2):
        return None
    # Counter-clockwise about the lower part, its right side runs upwards, its upper side to the left.
    rising = ends[np.argsort(ends[:, 1 - axis])]
    return joined_along(low, high, rising if axis == 0 else rising[::-1], polygon, tick)


def _mended(
    compute: Callable[[Slice], Partition], plane: Slice, polygon: Float64, axis: int, start: float, stop: float,
    low: Partition, high: Partition,
) -> Partition | None:
    """Both parts as one with what lies between two lines computed anew; None if that does not fit either."""
    below, rest = halves(polygon, axis, start)
    strip, above = halves(rest, axis, stop)
    middle = compute(replace(plane, domain=strip))
    first = clipped(low, replace(plane, domain=below))
    upper = _joined(middle, clipped(high, replace(plane, domain=above)), rest, (axis, stop))
    return None if upper is None else _joined(first, upper, polygon, (axis, start))


def cut_for(polygon: Float64, n: int, points: Float64 | None = None) -> Cut | None:
    """Where to cut a polygon for `n` tiles: the axis along which it is longer, and the coordinate; None to leave it whole.

    The lower part gets `n // 2` tiles and about as large a share of the area, or of points (V, 2) inside, where there are any.
    """
    if n < 2:
        return None
    lengths = np.ptp(polygon, axis=0)
    axis = int(np.argmax(lengths))
    # The narrowest strip of a tile, see `united`, still has half of float64's digits.
    if np.abs(polygon).max() * n > MAX_ZOOM * STRIPS[0] * lengths.min():
        return None
    at = _quantile(polygon, axis, (n // 2 + OFF_GRID) / n)
    if points is not None and len(points) > n:
        at = _between(points[:, axis], (n // 2 + OFF_GRID) / n, polygon[:, axis])
    return None if (polygon[:, axis] == at).any() else (axis, at)


def _between(places: Float64, share: float, side: Float64) -> float:
    """The coordinate below which such a share of places are, between two of them; not so near the ends that strips are thin."""
    at = int(share * len(places))
    low, high = np.partition(places, (at - 1, at))[at - 1 : at + 1].tolist()
    start, end = float(side.min()), float(side.max())
    margin = THINNEST * (end - start)
    found: float = min(max((low + high) / 2, start + margin), end - margin)
    return found


def _quantile(polygon: Float64, axis: int, share: float) -> float:
    """The coordinate below which a convex polygon has about this share of its area."""
    low, high = float(polygon[:, axis].min()), float(polygon[:, axis].max())
    whole = polygon_area(polygon)
    for _ in range(HALVINGS):
        at = (low + high) / 2
        if polygon_area(halves(polygon, axis, at)[0]) < share * whole:
            low = at
        else:
            high = at
    return (low + high) / 2


def halves(polygon: Float64, axis: int, at: float) -> tuple[Float64, Float64]:
    """The parts of a convex polygon, counter-clockwise, below and above a coordinate.

    Corners on the line are the same numbers in both, and `at` itself along the axis.
    """
    low: list[Float64] = []
    high: list[Float64] = []
    for start, end in zip(polygon, np.roll(polygon, -1, axis=0)):
        if start[axis] <= at:
            low.append(start)
        if start[axis] >= at:
            high.append(start)
        if (start[axis] < at < end[axis]) or (end[axis] < at < start[axis]):
            # From the lower end in both directions: the same bits whichever polygon has this side.
            a, b = (start, end) if start[axis] < end[axis] else (end, start)
            crossing = a + (at - a[axis]) / (b[axis] - a[axis]) * (b - a)
            crossing[axis] = at
            low.append(crossing)
            high.append(crossing)
    return np.array(low).reshape(-1, 2), np.array(high).reshape(-1, 2)


