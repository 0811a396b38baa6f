"""One slice in tiles, in this process: where the values at all of its vertices would take too much memory at once.

A computation knows before each stage how many values it is about to make. Where these are very many, it is begun anew, tile by
tile, so what it takes does not grow with their number: 2-2000-1500-1 on the square of side 2 (2,069,098 cells) takes 1 GiB
where all at once takes 9. Tiles are also what several threads share best. Which they are depends on the network and the slice
alone, where the memory suffices.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from .arrays import Float64
from .errors import Cancelled
from .keeping import n_bytes_of
from .network import Network
from .partition import Partition
from .slices import Slice
from .states import State, Work
from .threads import alone, on_all_cores
from .tiling import Cut, cut_for, halves, united
from .watching import Budget, Watch

MOST_BYTES = 1 << 28
"""Of the values that a stage makes."""

TILES = 4
"""For each time that much."""

LEAST_VERTICES = 4096
"""Of a tile: lines along its sides cross about five times as many edges as the root of that, 8 % more vertices."""


def tiles_for(network: Network, state: State, budget: Budget) -> int:
    """Into how many tiles to cut the domain, as the next stage would make very many values; 1 to leave it whole."""
    stage, n_vertices = network.stages[state.number], state.planar.n_vertices
    n_bytes = 8 * n_vertices * sum(math.prod(network.shapes[name]) for name in stage.kept)
    most = MOST_BYTES if state.n_bytes + n_bytes <= budget.memory else max(1, min(MOST_BYTES, budget.memory // TILES))
    return 1 if n_bytes <= most else max(1, min(-(-TILES * n_bytes // most), n_vertices // LEAST_VERTICES))


Computing = Callable[[Slice, Work, Watch], Partition]
"""Computes the partition of a slice, counting."""


def in_tiles(
    plane: Slice, n_tiles: int, tile: Computing, whole: Computing, work: Work, watch: Watch, tick: Callable[[], None]
) -> Partition:
    """The partition of a slice, its domain cut into tiles that the engine's threads take and join.

    Parameters
    ----------
    n_tiles : int
    tile, whole : callable
        For tiles; for what must stay in one piece. Called by several threads at a time.
    work : Work
        Counted into.
    watch : Watch
        Its budget holds for all of them together.
    tick : callable
        Called here meanwhile; may raise to stop.

    Raises
    ------
    OverBudget
        If it would need more than the watch's budget.
    """
    leaves = _leaves(plane.domain, n_tiles)
    stop = np.zeros(1, np.uint8)
    shared = _Shared(watch.budget, stop)

    def take(leaf: _Tile) -> Partition | None:
        own = Work()
        part = Watch(shared.tick, Budget(watch.budget.cells, watch.budget.memory // 2, watch.budget.is_asked))
        try:
            with alone():
                found = tile(replace(plane, domain=leaf.polygon), own, part)
                shared.add(found)
                union = leaf.above
                while union is not None:
                    parts = union.complete(leaf.place, found)
                    if parts is None:
                        return None
                    found = united(lambda strip: whole(strip, own, part), plane, union.polygon, union.cut, *parts)
                    leaf, union = union, union.above
            return found
        except BaseException as error:
            shared.problems.append(error)
            raise
        finally:
            shared.works.append(own)

    try:
        results = on_all_cores(take, leaves, tick=tick, stop=stop, is_long=True)
    except Cancelled:  # of several threads one may be told of it that only stopped for another
        if shared.problems:
            raise shared.problems[0] from None
        raise
    for own in shared.works:
        for name, count in vars(own).items():
            setattr(work, name, getattr(work, name) + count)
    work.n_tiles += len(leaves)
    found = next(result for result in results if result is not None)
    watch.check(found.n_cells, 2 * n_bytes_of(found))
    return found


@dataclass(eq=False)
class _Tile:
    """A polygon that is computed in one piece: part `place` of a union, or all there is."""

    polygon: Float64
    above: _Union | None
    place: int


@dataclass(eq=False)
class _Union(_Tile):
    """A polygon that is cut in two."""

    cut: Cut
    parts: dict[int, Partition] = field(default_factory=dict)

    def complete(self, place: int, part: Partition) -> tuple[Partition, Partition] | None:
        """Both parts, for whoever brings the second one."""
        with _completing:
            self.parts[place] = part
            if len(self.parts) < 2:
                return None
        low, high = self.parts.pop(0), self.parts.pop(1)
        return low, high


_completing = threading.Lock()


class _Shared:
    """What the threads that take tiles have in common."""

    def __init__(self, budget: Budget, stop: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> None:
        self.works: list[Work] = []
        self.problems: list[BaseException] = []
        self._budget, self._stop = budget, stop
        self._adding = threading.Lock()
        self._n_cells = self._n_bytes = 0

    def tick(self) -> None:
        """For the threads: stop where another one did, or was told to."""
        if self._stop[0]:
            raise Cancelled

    def add(self, part: Partition) -> None:
        """A tile is done. Raises OverBudget when all of them have more cells, those at seams not counted, than there may be."""
        with self._adding:
            self._n_cells += max(0, part.n_cells - int((part.planar.edge_layer < 0).sum()))
            self._n_bytes += n_bytes_of(part)
            self._budget.check(self._n_cells, self._n_bytes)


def _leaves(polygon: Float64, n: int, above: _Union | None = None, place: int = 0) -> list[_Tile]:
    """The tiles of a polygon, those with lower coordinates first."""
    cut = cut_for(polygon, n)
    if cut is None:
        return [_Tile(polygon, above, place)]
    union = _Union(polygon, above, place, cut)
    return [leaf for at, (half, m) in enumerate(zip(halves(polygon, *cut), (n // 2, n - n // 2)))
            for leaf in _leaves(half, m, union, at)]
