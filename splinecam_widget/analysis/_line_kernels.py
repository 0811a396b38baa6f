"""Compiled loops over the intervals of a line: where units pass knots, and where classes change. Arrays in, arrays out."""

from __future__ import annotations

import numpy as np

from splinecam_widget.engine._sign_kernels import sort_crossings
from splinecam_widget.engine.loops import inlined, loop


@inlined
def knot_place(number, knots, period):
    """Place of a knot; of a periodic curve, knots are numbered on through all periods."""
    if period == 0.0:
        return knots[number]
    return (number // len(knots)) * period + knots[number % len(knots)]


@loop
def first_knot(low, knots, period):
    """Number of a knot that is not beyond the first one above `low`."""
    if period == 0.0:
        return np.int64(np.searchsorted(knots, low))
    return (np.int64(np.floor((low - knots[0]) / period)) - 1) * len(knots)


@loop
def passed_knots(a, b, tolerance, knots, period):
    """Numbers [first, stop) of the knots between the values a and b of a unit, farther from both than the tolerance."""
    low, high = min(a, b), max(a, b)
    last = len(knots) if period == 0.0 else np.int64(2**62)
    number = first_knot(low, knots, period)
    while number < last and not low - knot_place(number, knots, period) < -tolerance:
        number += 1
    stop = number
    while stop < last and high - knot_place(stop, knots, period) > tolerance:
        stop += 1
    return number, stop


@loop
def knot_crossings(intervals, rows, tolerance, knots, period):
    """Where units with values `rows` (V, n) at the ends of intervals pass knots of one curve.

    Parameters
    ----------
    knots (k,) : increasing
    period : 0 for a curve that has none

    Returns
    -------
    parents (N,), t (N,) : interval and parameter of every new vertex, a + t (b - a), in order along the line
    units (N,) : the first unit that passes a knot there
    vertex_offsets (n + 1,) : which new vertices lie in each interval
    n_close : crossings that were merged into their neighbour's vertex
    """
    n, n_units = len(intervals), rows.shape[1]
    total = np.int64(0)
    if len(knots):
        for e in range(n):
            for j in range(n_units):
                first, stop = passed_knots(rows[intervals[e, 0], j], rows[intervals[e, 1], j], tolerance[j], knots, period)
                total += stop - first
    parents, units = np.empty(total, np.int32), np.empty(total, np.int32)
    t = np.empty(total, np.float64)
    offsets = np.zeros(n + 1, np.int64)
    size, n_vertices, n_close = 16, np.int64(0), np.int64(0)
    parameters, names = np.empty(size), np.empty(size, np.int32)
    at, who = np.empty(size), np.empty(size, np.int32)
    for e in range(n):
        a, b = intervals[e, 0], intervals[e, 1]
        m = 0
        if total:
            for j in range(n_units):
                first, stop = passed_knots(rows[a, j], rows[b, j], tolerance[j], knots, period)
                while m + stop - first > size:
                    size *= 2
                    grown, grown_at, grown_who = np.empty(size), np.empty(size), np.empty(size, np.int32)
                    grown[:m], grown_at[:m], grown_who[:m] = parameters[:m], at[:m], who[:m]
                    parameters, at, who, names = grown, grown_at, grown_who, np.empty(size, np.int32)
                for number in range(first, stop):
                    place = knot_place(number, knots, period)
                    parameters[m] = (rows[a, j] - place) / ((rows[a, j] - place) - (rows[b, j] - place))
                    at[m], who[m] = place, j
                    m += 1
        for k in range(m):
            names[k] = k
        sort_crossings(parameters, names, 0, m)
        begin = n_vertices
        for k in range(m):
            j, place = who[names[k]], at[names[k]]
            if n_vertices > begin:
                here = rows[a, j] - place
                if abs(here + t[n_vertices - 1] * ((rows[b, j] - place) - here)) <= tolerance[j]:
                    n_close += 1
                    continue
            parents[n_vertices], t[n_vertices], units[n_vertices] = e, parameters[k], j
            n_vertices += 1
        offsets[e + 1] = n_vertices
    return parents[:n_vertices].copy(), t[:n_vertices].copy(), units[:n_vertices].copy(), offsets, n_close


@loop
def winner_right_of(here, there, tolerance):
    """The class that is the largest just right of a point: of those that tie there, the one ahead at the interval's right end.

    Values `here` and `there` (K,) have rounding errors `tolerance`; what these cannot tell apart goes to the lower class.
    """
    floor = -np.inf
    for k in range(len(here)):
        floor = max(floor, here[k] - tolerance[k])
    ahead = -np.inf
    for k in range(len(here)):
        if here[k] + tolerance[k] >= floor:
            ahead = max(ahead, there[k] - tolerance[k])
    for k in range(len(here)):
        if here[k] + tolerance[k] >= floor and there[k] + tolerance[k] >= ahead:
            return k
    return 0


@loop
def class_walk(t, values, tolerance):
    """Where the largest of the outputs changes along a line, from its start to its end.

    Parameters
    ----------
    t (n + 1,), values (n + 1, K) : breakpoints and outputs there
    tolerance (K,) : their rounding error; two outputs nearer than the sum of theirs tie

    Returns
    -------
    places (M,), before (M,), after (M,), cells (M,) : every change, and the interval that it lies in or begins
    first : the class at the start

    Notes
    -----
    Inside an interval outputs are affine. The class that wins is overtaken first by the one that reaches it first, of those
    that are ahead at the right end. What is ahead there grows by more than the tolerance with every change, so there are less
    than K changes in an interval.
    """
    n_out = values.shape[1]
    size = 16
    places, before, after = np.empty(size), np.empty(size, np.int32), np.empty(size, np.int32)
    cells = np.empty(size, np.int32)
    m = 0
    here = np.empty(n_out)
    current = first = -1
    for i in range(len(t) - 1):
        left, right = values[i], values[i + 1]
        here[:] = left
        s = 0.0
        following = winner_right_of(here, right, tolerance)
        for _ in range(n_out):
            if current < 0:
                current = first = following
            elif following != current:
                place = min(t[i] + s * (t[i + 1] - t[i]), t[i + 1])
                if m and places[m - 1] == place:  # several changes at one place are one
                    m -= 1
                    current = before[m]
                if following != current:
                    if m == size:
                        size *= 2
                        places, before = np.append(places, np.empty(m)), np.append(before, np.empty(m, np.int32))
                        after, cells = np.append(after, np.empty(m, np.int32)), np.append(cells, np.empty(m, np.int32))
                    places[m], before[m], after[m], cells[m] = place, current, following, i
                    m += 1
                current = following
            rival, soonest = -1, np.inf
            for j in range(n_out):
                rise = right[j] - right[current]
                if rise > tolerance[j] + tolerance[current]:
                    gap = max(left[current] - left[j], 0.0)
                    at = max(s, gap / (gap + rise))
                    if at < soonest:
                        rival, soonest = j, at
            if rival < 0:
                break
            s = soonest
            for j in range(n_out):
                here[j] = left[j] + s * (right[j] - left[j])
            following = winner_right_of(here, right, tolerance)
            if following == current:
                following = rival
    return places[:m].copy(), before[:m].copy(), after[:m].copy(), cells[:m].copy(), first
