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
    try:
        return compute(plane)
    except OverBudget as over:
        if not watch.budget.is_asked:
            raise _too_much(over) from None
    size, found = 1.0, None
    while found is None:
        size /= 2
        if size < SMALLEST:
            budget = watch.budget
            raise ValueError(
                f"max_cells, max_memory: expected a budget that some of the domain fits into, got {budget.cells:,} cells and "
                f"{budget.memory:,} bytes, which are too few at its very middle")
        found = _attempt(plane, size, watch, compute)
    fullness = max(watch.fullness, watch.budget.fullness(found.n_cells, 0))
    larger = min(size * math.sqrt(FILL / fullness), 2 * FILL * size)
    if larger >= WORTHWHILE * size:
        found = _attempt(plane, larger, watch, compute) or found
    return replace(found, asked=plane.domain)


def _too_much(over: OverBudget) -> MemoryError:
    found = f"{over.n_cells:,} cells" if over.n_cells else "more cells"
    if over.n_bytes:
        found += f" and {over.n_bytes / 2**30:.1f} GiB of arrays"
    return MemoryError(
        f"the domain has too many cells for the memory that is free: it came to {found} and was not done; take a smaller "
        "domain, or pass max_memory= (bytes) or max_cells= for as much of its middle as fits")


def _attempt(plane: Slice, size: float, watch: Watch, compute: Callable[[Slice], Partition]) -> Partition | None:
    middle = plane.domain.mean(axis=0)
    watch.fullness = 0.0
    try:
        return compute(plane.with_domain(middle + size * (plane.domain - middle)))
    except OverBudget:
        return None
