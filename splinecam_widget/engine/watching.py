"""How a computation is stopped, bounded and followed while it runs."""

from __future__ import annotations

import numbers
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import _sketch_kernels
from .arrays import Float64
from .errors import OverBudget
from .free_memory import free_memory
from .planar import PlanarComplex

MOST_CELLS = 1 << 29
"""Vertices, edges and entries of loops have 32-bit numbers; there are about four entries a cell."""

BYTES_A_CELL = 300
"""What a new cell takes with its vertex and two edges, while the runs of threads are put together."""

FIRST_SKETCH_SECONDS = 0.025
"""What takes less is not sketched: the picture itself is there as soon."""

SKETCH_SECONDS = 0.2
"""From one sketch to the next."""

MOST_LINES = 20_000
"""Lines of a sketch, or thereabouts: more take longer to gather than a computation may go without a look."""


@dataclass(frozen=True)
class Budget:
    """What one computation may use.

    Attributes
    ----------
    cells : int
        Cells at any time.
    memory : int
        Bytes of arrays that are alive at the same time.
    is_asked : bool
        Whether a part of the domain is wanted where all of it does not fit.
    """

    cells: int = MOST_CELLS
    memory: int = 1 << 62
    is_asked: bool = True

    @classmethod
    def of(cls, max_cells: Any, max_memory: Any) -> Budget:
        """From arguments of those names, each a whole number or None; with neither, what the machine has.

        Raises
        ------
        TypeError, ValueError
            If one is neither None nor a whole number above 0.
        """
        for name, given in (("max_cells", max_cells), ("max_memory", max_memory)):
            if given is not None and (isinstance(given, bool) or not isinstance(given, numbers.Integral)):
                raise TypeError(f"{name}: expected a whole number or None, got {given!r}")
            if given is not None and given < 1:
                raise ValueError(f"{name}: expected at least 1, got {given}")
        whole = cls()
        free = free_memory() if max_memory is None else max_memory
        memory = whole.memory if free is None else free
        is_asked = max_cells is not None or max_memory is not None
        return cls(min(int(max_cells or whole.cells), whole.cells), int(memory), is_asked)

    def check(self, n_cells: int, n_bytes: int) -> None:
        """Raise OverBudget if that is more."""
        if n_cells > self.cells or n_bytes > self.memory:
            raise OverBudget(n_cells, n_bytes)

    def fullness(self, n_cells: int, n_bytes: int) -> float:
        """Which share of it that is."""
        return max(n_cells / self.cells, n_bytes / self.memory)


@dataclass(frozen=True)
class Sketch:
    """A partition that is not finished: exact, but by the first layers of kinks only.

    Attributes
    ----------
    segments : (n, 2, 2) float64
        Its edges, or those of every so manieth unit; of the first layer, while its cells are not known, the lines of its units
        from border to border.
    n_layers, n_layers_in_all : int
        Layers of kinks that are done, and those there are.
    n_cells : int
        0 where they are not known.
    share : float
        Of the domain's area: where all layers are done, see `dividing`.
    """

    segments: Float64
    n_layers: int
    n_layers_in_all: int
    n_cells: int
    share: float = 0.0


def some_edges(planar: PlanarComplex, most: int) -> Float64:
    """Edges inside (n, 2, 2) for a sketch: about `most` of them, all those of some units, where there are more."""
    segments: Float64 = _sketch_kernels.segments_of_some_units(
        planar.points, planar.edges, planar.edge_layer, planar.edge_unit, most)
    return segments


class Watch:
    """Stops, bounds and follows one computation.

    Parameters
    ----------
    tick : callable
        Called at least every 50 ms or so, always on the thread that computes; may raise to stop.
    budget : Budget
    on_sketch : callable or None
        Told of what is known so far.
    sketch_after : float
        Seconds that pass before.
    """

    def __init__(
        self, tick: Callable[[], None] = lambda: None, budget: Budget = Budget(),
        on_sketch: Callable[[Sketch], None] | None = None, sketch_after: float = FIRST_SKETCH_SECONDS,
    ) -> None:
        self.budget = budget
        self.fullness = 0.0
        """The largest share of the budget that was in use."""
        self._tick = tick
        self._on_sketch = on_sketch
        self._offered: Callable[[], Sketch] | None = None
        self._due = time.perf_counter() + sketch_after

    def without(self, n_cells: int, n_bytes: int) -> Watch:
        """For a part of the whole, beside others that take so much of the budget; no sketch of it is wanted."""
        budget = self.budget
        return Watch(self._tick, Budget(max(1, budget.cells - n_cells), max(1, budget.memory - n_bytes), budget.is_asked))

    def tick(self) -> None:
        """Tell what was offered, if it is time; stop, if that is wanted."""
        self._tick()
        if self._offered is not None and self._on_sketch is not None and time.perf_counter() >= self._due:
            make, self._offered = self._offered, None
            self._on_sketch(make())
            self._due = time.perf_counter() + SKETCH_SECONDS

    @property
    def is_followed(self) -> bool:
        """Whether anybody is told of sketches."""
        return self._on_sketch is not None

    def offer(self, make: Callable[[], Sketch]) -> None:
        """What to tell next."""
        if self._on_sketch is not None:
            self._offered = make

    def check(self, n_cells: int, n_bytes: int) -> None:
        """Raise OverBudget if that is more than there may be."""
        self.budget.check(n_cells, n_bytes)
        self.fullness = max(self.fullness, self.budget.fullness(n_cells, n_bytes))
