"""Compiled loops of `dissolving`: who wins on a cell, and how the sides of a joined cell follow one another."""

import numpy as np

from ._sign_kernels import unit_key
from .loops import loop


@loop
def winner(cell, place, offsets, vertices, entries, tolerance):
    """The first entry of a place that may be the largest on a cell, by the means of its corners."""
    k, n = tolerance.shape
    first, last = offsets[cell], offsets[cell + 1]
    certain = -np.inf  # the largest is at least this, times the number of corners
    for entry in range(k):
        total = 0.0
        for corner in range(first, last):
            total += entries[vertices[corner], entry * n + place]
        certain = max(certain, total - (last - first) * tolerance[entry, place])
    for entry in range(k):
        total = 0.0
        for corner in range(first, last):
            total += entries[vertices[corner], entry * n + place]
        if total + (last - first) * tolerance[entry, place] >= certain:
            return entry
    return 0


@loop
def winner_hashes(start, stop, layer, offsets, vertices, entries, tolerance):
    """A hash of the winning entries of all places on each cell."""
    k, n = tolerance.shape
    hashes = np.zeros(stop - start, np.uint64)
    keys = np.empty(k * n, np.uint64)
    for j in range(k * n):
        keys[j] = unit_key(layer, j)
    totals, certain = np.empty(k * n), np.empty(n)
    for cell in range(start, stop):
        # As `winner` does it, all places at a time.
        first, last = offsets[cell], offsets[cell + 1]
        totals[:] = 0.0
        for corner in range(first, last):
            v = vertices[corner]
            for j in range(k * n):
                totals[j] += entries[v, j]
        certain[:] = -np.inf
        for entry in range(k):
            for place in range(n):
                least = totals[entry * n + place] - (last - first) * tolerance[entry, place]
                certain[place] = max(certain[place], least)
        for place in range(n):
            best = 0
            for entry in range(k):
                if totals[entry * n + place] + (last - first) * tolerance[entry, place] >= certain[place]:
                    best = entry
                    break
            hashes[cell - start] ^= keys[best * n + place]
    return hashes


@loop
def piece_hashes(layer, numbers):
    """A hash of the numbers (C, m) of the pieces that all units are on."""
    hashes = np.zeros(len(numbers), np.uint64)
    for cell in range(len(numbers)):
        for unit in range(numbers.shape[1]):
            hashes[cell] ^= unit_key(layer, numbers[cell, unit] * numbers.shape[1] + unit)
    return hashes


@loop
def changed_places(beside, places, offsets, vertices, entries, tolerance):
    """Of each edge, the place at which the winners of its two cells differ: the one given, or else the first."""
    found = places.copy()
    for e in range(len(beside)):
        a, b = beside[e]
        for step in range(tolerance.shape[1] + 1):
            place = places[e] if step == 0 else step - 1
            if winner(a, place, offsets, vertices, entries, tolerance) != winner(
                    b, place, offsets, vertices, entries, tolerance):
                found[e] = place
                break
    return found


@loop
def loops(starts, tails, sides, edges, n_vertices):
    """The order in which each cell's half-edges follow one another."""
    walk = np.empty(len(tails), np.int64)
    entry_at = np.full(n_vertices, -1, np.int64)
    for cell in range(len(starts) - 1):
        start, stop = starts[cell], starts[cell + 1]
        for entry in range(start, stop):
            entry_at[tails[entry]] = entry
        entry = start
        for place in range(start, stop):
            walk[place] = entry
            e = sides[entry]
            head = edges[e, 1] if edges[e, 0] == tails[entry] else edges[e, 0]
            entry = entry_at[head]
            if entry < start or (entry == start) != (place == stop - 1):
                raise ValueError("a cell's edges do not form one loop")
    return walk


