"""As much of a domain as fits into a budget."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from .errors import OverBudget
from .partition import Partition
from .slices import Slice
from .watching import Watch

SMALLEST = 2.0**-26
"""The smallest domain that is tried, relative to the one asked for: it still has 27 of float64's 53 bits."""

FILL = 0.9
"""The share of a budget that is aimed at when a smaller domain has shown how much a larger one takes."""

WORTHWHILE = 1.15
"""A domain that is larger by less than this, in each direction, is not tried."""


def within_budget(plane: Slice, watch: Watch, compute: Callable[[Slice], Partition]) -> Partition:
    """The partition of the whole domain, or of a smaller one about the same middle if the whole does not fit.

    Parameters
    ----------
    plane : Slice
    watch : Watch
        Its budget holds.
    compute : callable
        The partition of a slice; raises OverBudget.

    Raises
    ------
    ValueError
        If even the smallest domain does not fit.
    MemoryError
        If no budget was asked for and the machine's does not suffice.

    Notes
    -----
    The domain is halved in each direction until it fits, then enlarged once by what that says: numbers of cells and bytes grow
    with the area. So all attempts together take about as long as three that just fit.
    """
    found = _attempt(plane, 1.0, watch, compute)
    if isinstance(found, Partition):
        return found
    if not watch.budget.is_asked:
        raise MemoryError(found)
    size = 1.0
    while not isinstance(found, Partition):
        size /= 2
        if size < SMALLEST:
            raise ValueError(f"max_cells, max_memory: expected a budget that at least the very middle fits into, but {found}")
        found = _attempt(plane, size, watch, compute)
    fullness = max(watch.fullness, watch.budget.fullness(found.n_cells, 0))
    larger = min(size * math.sqrt(FILL / fullness), 2 * FILL * size)
    if larger >= WORTHWHILE * size:
        enlarged = _attempt(plane, larger, watch, compute)
        found = enlarged if isinstance(enlarged, Partition) else found
    return replace(found, asked=plane.domain)


def _attempt(plane: Slice, size: float, watch: Watch, compute: Callable[[Slice], Partition]) -> Partition | str:
    """The partition of the domain, `size` as large in each direction; in words, why there is none."""
    watch.fullness = 0.0
    try:
        if size == 1:
            return compute(plane)
        middle = plane.domain.mean(axis=0)
        return compute(plane.with_domain(middle + size * (plane.domain - middle)))
    except OverBudget as over:  # not kept: its frames hold arrays
        n_bytes = f" and {over.n_bytes / 2**20:,.1f} MiB of arrays" if over.n_bytes else ""
        return (
            f"the slice has too many cells for the memory that is free or allowed: it came to at least {over.n_cells:,} "
            f"cells{n_bytes} and was not done; take a smaller domain, or max_cells= or max_memory= (bytes) for as much of "
            "its middle as fits")
