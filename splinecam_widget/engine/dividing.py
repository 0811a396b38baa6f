"""One slice in tiles, in this process: where the values at all of its vertices would take too much memory at once.

A computation knows before each stage how many values it is about to make. Where these are very many, it is begun anew, tile by
tile, so what it takes does not grow with their number: 2-2000-1500-1 on the square of side 2 (2,069,098 cells) takes 1.2 GiB
where all at once takes 9. Tiles are also what several threads share best. Which they are depends on the network and the slice
alone, where the memory suffices.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from .arrays import Float64
from .errors import Cancelled, OverBudget
from .keeping import n_bytes_of
from .network import Network
from .partition import Partition
from .slices import Slice, polygon_area
from .states import State, Work
from .threads import alone, n_cores, on_all_cores, stop_flag
from .tiling import Cut, cut_for, halves, united
from .watching import MOST_LINES, Budget, Sketch, Watch, some_edges

MOST_BYTES = 1 << 30
"""Of the values that a stage makes: what was done before it is lost."""

MOST_FIRST_BYTES = 3 << 28
"""The same of the stage behind the first cut, where that is little. Seams and joins cost a quarter of the time as well."""

TILE_BYTES = 1 << 27
"""Of the values of a tile: with less, seams cost more than new pages of memory."""

TILES_IN_MEMORY = 8
"""Where memory lacks for all at once, the values of so many tiles fit into it."""

ROOM_OF_TILE = 3
"""For each byte of its values, what a tile takes at its peak: measured 2 for nets of two layers."""

LEAST_VERTICES = 4096
"""Of a tile: lines along its sides cross about five times as many edges as the root of that, 8 % more vertices."""


@dataclass(frozen=True)
class Division:
    """How to cut a domain.

    Attributes
    ----------
    n_tiles : int
    n_at_a_time : int
        So many fit into the memory at the same time.
    points : (V, 2) float64
        Of which each tile has about as many.
    """

    n_tiles: int
    n_at_a_time: int
    points: Float64


def division_of(network: Network, state: State, budget: Budget) -> Division | None:
    """How to cut the domain, where the next stage would make very many values; None to leave it whole."""
    stage, n_vertices = network.stages[state.number], state.planar.n_vertices
    n_bytes = 8 * n_vertices * sum(math.prod(network.shapes[name]) for name in stage.kept)
    most, of_tile = MOST_FIRST_BYTES if state.number == 1 else MOST_BYTES, TILE_BYTES
    if state.n_bytes + n_bytes > budget.memory:
        most, of_tile = 0, min(TILE_BYTES, 1 + budget.memory // TILES_IN_MEMORY)
    n_tiles = min(-(-n_bytes // of_tile), n_vertices // LEAST_VERTICES)
    if n_bytes <= most or n_tiles < 2:
        return None
    return Division(n_tiles, max(1, budget.memory // (ROOM_OF_TILE * n_bytes // n_tiles)), state.planar.points)


Computing = Callable[[Slice, Work, Watch], Partition]
"""Computes the partition of a slice, counting."""


def in_tiles(
    plane: Slice, division: Division, tile: Computing, whole: Computing, begun: Callable[[], Sketch], work: Work, watch: Watch,
    tick: Callable[[], None],
) -> Partition:
    """The partition of a slice, its domain cut into tiles that several threads take and join.

    Parameters
    ----------
    division : Division
    tile, whole : callable
        For tiles; for what must stay in one piece. Called by several threads at a time.
    begun : callable
        The sketch of what is known of the whole.
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

    Notes
    -----
    Tiles that are computed at the same time share the memory that finished ones leave. Where one needs more than its share, all
    are computed once more, one after the other: so whether it suffices does not depend on threads.
    """
    def leaves() -> list[_Tile]:
        return _leaves(plane.domain, division.n_tiles, division.points)

    n_leaves = len(leaves())
    if n_leaves == 1:
        return whole(plane, work, watch)
    n_threads = min(n_cores(), n_leaves, division.n_at_a_time)
    try:
        found = _taken(plane, leaves(), n_threads, tile, whole, begun, work, watch, tick)
    except OverBudget as over:
        if n_threads == 1 or over.n_cells > watch.budget.cells or over.n_bytes > watch.budget.memory:
            raise
        found = _taken(plane, leaves(), 1, tile, whole, begun, work, watch, tick)
    work.n_tiles += n_leaves
    watch.check(found.n_cells, 2 * n_bytes_of(found))
    return found


def _taken(
    plane: Slice, leaves: list[_Tile], n_threads: int, tile: Computing, whole: Computing, begun: Callable[[], Sketch],
    work: Work, watch: Watch, tick: Callable[[], None],
) -> Partition:
    """See `in_tiles`; `n_threads` of them at a time."""
    stop = stop_flag()
    shared = _Shared(watch, n_threads, stop, begun, MOST_LINES // len(leaves), polygon_area(plane.domain))

    def take(leaf: _Tile) -> Partition | None:
        own, part = Work(), shared.part()
        try:
            with alone(stop):
                found = tile(replace(plane, domain=leaf.polygon), own, part)
                shared.add(found)
                union = leaf.above
                while union is not None:
                    parts = union.complete(leaf.place, found)
                    if parts is None:
                        return None
                    found = united(
                        lambda strip: whole(strip, own, part), plane, union.polygon, union.cut, *parts, tick=part.tick)
                    leaf, union = union, union.above
            return found
        except BaseException as error:
            if not isinstance(error, Cancelled):
                shared.problem = shared.problem or error
            raise
        finally:
            shared.works.append(own)

    try:
        results = on_all_cores(take, leaves, tick=tick, stop=stop, is_long=True, n_own=n_threads)
    except Cancelled as cancelled:  # of several threads one may be told of it that only stopped for another
        raise shared.problem or cancelled from None
    finally:
        shared.problem = None  # it holds this frame
    for own in shared.works:
        for name, count in vars(own).items():
            setattr(work, name, getattr(work, name) + count)
    return next(result for result in results if result is not None)


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

    def __init__(
        self, watch: Watch, n_threads: int, stop: NDArray[np.uint8], begun: Callable[[], Sketch], most_lines: int, area: float
    ) -> None:
        self.works: list[Work] = []
        self.problem: BaseException | None = None
        self._watch, self._n_threads, self._stop = watch, n_threads, stop
        self._adding = threading.Lock()
        self._n_cells = self._n_bytes = 0
        self._begun, self._most_lines, self._area = begun, most_lines, area
        self._lines: list[Float64] = []
        self._share = 0.0

    def part(self) -> Watch:
        """Over a tile that begins now: with a share of the memory that finished ones leave."""
        budget = self._watch.budget
        return Watch(self.tick, Budget(budget.cells, max(1, budget.memory - self._n_bytes) // self._n_threads, budget.is_asked))

    def tick(self) -> None:
        """For the threads: stop where another one did, or was told to."""
        if self._stop[1]:
            raise Cancelled

    def add(self, part: Partition) -> None:
        """A tile is done. Raises OverBudget when all of them have more cells, those at seams not counted, than there may be."""
        with self._adding:
            self._n_cells += max(0, part.n_cells - int((part.planar.edge_layer < 0).sum()))
            self._n_bytes += n_bytes_of(part)
            self._watch.budget.check(self._n_cells, self._n_bytes)
        if self._watch.is_followed:
            lines = some_edges(part.planar, self._most_lines)
            with self._adding:
                self._lines.append(lines)
                self._share += polygon_area(part.plane.domain) / self._area
                self._watch.offer(partial(self._sketch, list(self._lines), self._share))

    def _sketch(self, lines: list[Float64], share: float) -> Sketch:
        begun = self._begun()
        return replace(begun, segments=np.concatenate([begun.segments, *lines]), share=share)


def _leaves(polygon: Float64, n: int, points: Float64, above: _Union | None = None, place: int = 0) -> list[_Tile]:
    """The tiles of a polygon, those with lower coordinates first."""
    cut = cut_for(polygon, n, points)
    if cut is None:
        return [_Tile(polygon, above, place)]
    union, (axis, at) = _Union(polygon, above, place, cut), cut
    is_low = points[:, axis] < at
    return [leaf for side, (half, m, those) in enumerate(zip(
                halves(polygon, *cut), (n // 2, n - n // 2), (points[is_low], points[~is_low])))
            for leaf in _leaves(half, m, those, union, side)]
