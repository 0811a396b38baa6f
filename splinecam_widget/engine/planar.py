"""The planar complex that networks subdivide: vertices, edges and cells as flat arrays. Knows nothing of networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _cell_kernel, _cell_measures, _sign_kernels
from .arrays import Float64
from .errors import OverBudget
from .threads import in_runs

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
UInt64 = NDArray[np.uint64]

CELLS_AT_A_TIME = 4096
"""Cells, and crossings of their edges, that one thread takes at a time to split them."""

EDGES_AT_A_TIME = 16384
"""Edges that one thread looks through at a time."""

RUNS_AT_A_TIME = 16
"""Runs of cells that one thread puts into their places at a time."""

LEAST_TRACED = 2
"""Lines across a cell from which on following faces is faster than splitting line by line."""

LONG_SPLIT = 1 << 15
"""Crossings squared a cell, of a split that takes more than a few milliseconds: lines cross lines."""


@dataclass(frozen=True)
class Room:
    """What fits into memory, or may be made.

    Attributes
    ----------
    cells : int
    entries : int
        Bytes of the table of one cell's border vertices and units.
    """

    cells: int = 1 << 62
    entries: int = 1 << 62


ANY_ROOM = Room()


@dataclass(frozen=True)
class PlanarComplex:
    """A subdivision of a convex polygon into convex cells.

    Attributes
    ----------
    points : (V, 2) float64
        Vertices, slice coordinates.
    edges : (E, 2) int32
    edge_layer, edge_unit : (E,) int32
        The kink and the unit that made each edge; -1 on the domain's border.
    cell_offsets : (C + 1,) int64
    cell_vertices, cell_edges : (sum,) int32
        Loops, counter-clockwise; edge k of a loop goes from vertex k to the next.
    cell_hashes : (C,) uint64
        A hash of each cell's activation pattern, the same in every slice.
    """

    points: Float64
    edges: Int32
    edge_layer: Int32
    edge_unit: Int32
    cell_offsets: Int64
    cell_vertices: Int32
    cell_edges: Int32
    cell_hashes: UInt64

    def __repr__(self) -> str:
        return f"PlanarComplex({self.n_cells:,} cells, {self.n_vertices:,} vertices, {len(self.edges):,} edges)"

    @classmethod
    def single_cell(cls, polygon: Float64) -> PlanarComplex:
        """The polygon (k, 2), counter-clockwise, as one cell."""
        k = len(polygon)
        ring = np.arange(k, dtype=np.int32)
        edges = np.empty((k, 2), np.int32)
        edges[:, 0], edges[:-1, 1], edges[-1, 1] = ring, ring[1:], 0
        border = np.full(k, -1, np.int32)
        return cls(
            np.array(polygon, dtype=np.float64), edges, border, border,
            np.array([0, k], np.int64), ring, ring, np.zeros(1, np.uint64),
        )

    @property
    def n_vertices(self) -> int:
        return len(self.points)

    @property
    def n_bytes(self) -> int:
        """Of its arrays."""
        return int(16 * len(self.points) + 16 * len(self.edges) + 16 * len(self.cell_hashes) + 8 * len(self.cell_vertices))

    @property
    def n_cells(self) -> int:
        return len(self.cell_offsets) - 1


@dataclass(frozen=True)
class Signs:
    """Signs of functions at vertices, 64 to a word.

    Attributes
    ----------
    positive, negative : (V, W) uint64
        Bits of values above the function's tolerance, and below minus that.
    peak : (n,) float64
        Largest magnitude of each function.
    n_zero : int
        Values that are neither, of functions with a rounding error.
    """

    positive: UInt64
    negative: UInt64
    peak: Float64
    n_zero: int

    @classmethod
    def of(cls, rows: Float64, tolerance: Float64) -> Signs:
        """Of values (V, n)."""
        gathering = SignGathering(len(rows), tolerance)
        gathering.take(0, rows)
        return gathering.signs()

    def with_units(self, units: Int64, rows: Float64, before: Float64, after: Float64) -> Signs:
        """The same with other values (V, m) of some functions.

        Parameters
        ----------
        before, after : (n,) float64
            The tolerances then and now, of the others the same.
        """
        positive, negative, peak = self.positive.copy(), self.negative.copy(), self.peak.copy()
        n_more = _sign_kernels.repack_signs(rows, units, before, after, positive, negative, peak)
        return Signs(positive, negative, peak, self.n_zero + int(n_more))


class SignGathering:
    """Signs that come in parts, in any order and from several threads.

    Parameters
    ----------
    n_vertices : int
    tolerance : (n,) float64
        A value of this magnitude or less counts as zero.
    """

    def __init__(self, n_vertices: int, tolerance: Float64) -> None:
        shape = (n_vertices, (len(tolerance) + 63) // 64)
        self._tolerance = tolerance
        self._positive, self._negative = np.empty(shape, np.uint64), np.empty(shape, np.uint64)
        self._found: list[tuple[Float64, int]] = []

    def take(self, start: int, rows: Float64) -> None:
        """Values (m, n) at vertices `start` to `start + m`."""
        words = slice(start, start + len(rows))
        peak = np.empty(len(self._tolerance))
        n_zero = _sign_kernels.pack_signs(rows, self._tolerance, self._positive[words], self._negative[words], peak)
        self._found.append((peak, int(n_zero)))

    def signs(self) -> Signs:
        """All of them."""
        peak = self._found[0][0] if len(self._found) == 1 else np.max([peak for peak, _ in self._found], axis=0)
        return Signs(self._positive, self._negative, peak, sum(n_zero for _, n_zero in self._found))


@dataclass(frozen=True)
class NewVertices:
    """Where the vertices that a split adds lie on the old complex.

    First those on edges, `a + t (b - a)`, then those where two chords meet: `p + r (q - p)` with p and q on edges, mostly one
    chord after the other, in order along each.

    Attributes
    ----------
    edge_ends : (N, 2) int32
    edge_t : (N,) float64
    chord_ends : (M, 4) int32
    chord_weights : (M, 3) float64
    chord_places : (M, 2) int32
        The vertices p and q.
    parents : (N,) int32
        The edge of each vertex on one.
    crossing_offsets : (E + 1,) int64
    crossing_units : (X,) int32
        The units that cross edge e: `crossing_units[crossing_offsets[e]:crossing_offsets[e + 1]]`.
    signs : Signs
        Of all units at the old vertices.
    tolerance : (n,) float64
    """

    edge_ends: Int32
    edge_t: Float64
    chord_ends: Int32
    chord_weights: Float64
    chord_places: Int32
    parents: Int32
    crossing_offsets: Int64
    crossing_units: Int32
    signs: Signs
    tolerance: Float64

    @cached_property
    def chord_begins(self) -> Int64:
        """(n + 1,) int64: where n runs of vertices on one chord, in order along it, begin and end among those on chords."""
        places = np.ascontiguousarray(self.chord_places).view(np.int64).reshape(-1)
        r = self.chord_weights[:, 2]
        begins: Int64 = np.concatenate(
            [[0], np.flatnonzero((places[1:] != places[:-1]) | (r[1:] < r[:-1])) + 1, [len(places)]])
        return begins if len(places) else begins[:1]

    @cached_property
    def is_plain(self) -> NDArray[np.bool_]:
        """(N,) bool: whether every unit with a rounding error has a sign at both ends of the edge."""
        found: NDArray[np.bool_] = _sign_kernels.plain_ends(
            self.edge_ends, self.signs.positive, self.signs.negative, self.tolerance)
        return found

    def __len__(self) -> int:
        return len(self.edge_t) + len(self.chord_ends)

    @property
    def n_bytes(self) -> int:
        """Of its arrays."""
        return int(20 * len(self.edge_t) + 48 * len(self.chord_ends) + 8 * len(self.crossing_offsets)
                   + 4 * len(self.crossing_units) + 2 * self.signs.positive.nbytes)

    def rows(self, old: Float64, start: int = 0, stop: int | None = None) -> Float64:
        """Values (n, k) at new vertices `start` to `stop` of a function that is affine on each old cell, from old (V, k)."""
        out = np.empty(((len(self) if stop is None else stop) - start, old.shape[1]))
        self.write_rows(old, start, out)
        return out

    def rows_of(self, old: Float64, ids: Int64) -> Float64:
        """The same at the new vertices `ids`."""
        out = np.empty((len(ids), old.shape[1]))
        _sign_kernels.rows_at_some(old, self.edge_ends, self.edge_t, self.chord_ends, self.chord_weights, ids, out)
        return out

    def write_rows(self, old: Float64, start: int, out: Float64) -> None:
        """The same from new vertex `start` on, into `out` (m, k)."""
        _sign_kernels.rows_at(old, self.edge_ends, self.edge_t, self.chord_ends, self.chord_weights, start, out)


@dataclass(frozen=True)
class Split:
    """What `split_complex` found.

    Attributes
    ----------
    after : PlanarComplex
    new : NewVertices
        They follow the old vertices in `after.points`.
    parents : (C,) int32
        The old cell of every new one.
    peak : (n,) float64
        Largest magnitude of every unit at the old vertices.
    n_close, n_irregular : int
        Crossings merged because they lie within the tolerance; splits with signs that no line has.
    n_zero : int
        Values at the old vertices that count as zero, though they may not be.
    """

    after: PlanarComplex
    new: NewVertices
    parents: Int32
    peak: Float64
    n_close: int
    n_irregular: int
    n_zero: int


def split_complex(
    before: PlanarComplex, rows: Float64, tolerance: Float64, layer: int, has_pattern: bool = True, signs: Signs | None = None,
    room: Room = ANY_ROOM, tick: Callable[[], None] = lambda: None,
) -> Split:
    """The complex cut along the zero lines of functions that are affine on each of its cells.

    Parameters
    ----------
    before : PlanarComplex
    rows : (V, n) float64
        The functions' values at the vertices.
    tolerance : (n,) float64
        A value of this magnitude or less counts as zero: the line goes through the vertex.
    layer : int
        Written into the provenance of the new edges.
    has_pattern : bool
        Whether the signs become part of the cells' patterns.
    signs : Signs or None
        Those of `rows`, where they are known.
    room : Room
    tick : callable
        Called often; may raise to stop.

    Raises
    ------
    OverBudget
        If the cells do not fit into `room`.
    """
    found = Signs.of(rows, tolerance) if signs is None else signs
    positive, negative = found.positive, found.negative
    crossings = in_runs(
        lambda begin, end: _sign_kernels.edge_crossings(begin, end, before.edges, positive, negative, rows, tolerance),
        len(before.edges), EDGES_AT_A_TIME, tick)
    offsets, vertex_offsets = (_chained([run[i] for run in crossings]) for i in (0, 5))
    units, places, parents, t = (_concatenated([run[i] for run in crossings]) for i in range(1, 5))
    n_old, n_on_edges = before.n_vertices, len(t)
    n_pieces = len(before.edges) + int(vertex_offsets[-1])

    def split(begin: int, end: int):  # type: ignore[no-untyped-def]
        return _cell_kernel.split_cells(
            begin, end, layer if has_pattern else -1,
            before.cell_offsets, before.cell_vertices, before.cell_edges, before.cell_hashes, before.edges,
            positive, negative, rows, tolerance, offsets, units, places, vertex_offsets, t,
            n_old, n_old + n_on_edges, n_pieces, room.cells, room.entries, LEAST_TRACED, stop,
        )

    stop = np.zeros(1, np.uint8)
    run = max(1, CELLS_AT_A_TIME * before.n_cells // (before.n_cells + len(units)))
    parts = in_runs(split, before.n_cells, run, tick, stop, len(units) ** 2 > LONG_SPLIT * before.n_cells)
    n_cells = sum(len(part[3]) for part in parts)
    if stop[0] or n_cells > room.cells:
        raise OverBudget(n_cells)
    out = parts[0] if len(parts) == 1 else _joined(parts, n_old + n_on_edges, n_pieces, tick)
    (cell_offsets, cell_vertices, cell_edges, hashes, cell_parents, chord_ends, weights, chord_places, chords, chord_units,
     odd) = out

    tick()
    new = NewVertices(before.edges[parents], t, chord_ends, weights, chord_places, parents, offsets, units, found, tolerance)
    points = np.empty((n_old + len(new), 2))
    points[:n_old] = before.points
    new.write_rows(before.points, 0, points[n_old:])
    tick()
    edges, edge_layer, edge_unit = _sign_kernels.edge_pieces(
        before.edges, before.edge_layer, before.edge_unit, vertex_offsets, n_old, chords, layer, chord_units)
    after = PlanarComplex(points, edges, edge_layer, edge_unit, cell_offsets, cell_vertices, cell_edges, hashes)
    tick()
    n_close = sum(int(run[6]) for run in crossings)
    return Split(after, new, cell_parents, found.peak, n_close, int(odd), found.n_zero)


def chords(points: Float64, rows: Float64, signs: Signs, most: int) -> Float64:
    """The zero lines (n, 2, 2) of functions on a single convex cell, from border to border.

    Parameters
    ----------
    points : (k, 2) float64
        Its corners in order.
    rows : (k, n) float64
        The functions there, with their `signs`.
    most : int
        Only so many lines, those of the first functions.
    """
    both = np.bitwise_or.reduce(signs.positive, axis=0) & np.bitwise_or.reduce(signs.negative, axis=0)
    units = np.flatnonzero(np.unpackbits(both.view(np.uint8), bitorder="little")[:rows.shape[1]])[:most]
    here = rows[:, units]
    there = np.roll(here, -1, axis=0)
    # A corner that lies on the line counts for the side that begins there.
    is_crossed = (here == 0) | (here * there < 0)
    first, last = is_crossed.argmax(axis=0), len(points) - 1 - is_crossed[::-1].argmax(axis=0)
    following = np.roll(points, -1, axis=0)
    columns = np.arange(len(units))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(is_crossed, here / (here - there), 0.0)
    ends = [points[side] + t[side, columns][:, None] * (following[side] - points[side]) for side in (first, last)]
    return np.stack(ends, axis=1)


def _concatenated(parts: list[Any]) -> Any:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _chained(parts: list[Int64]) -> Int64:
    """Offsets that each begin at 0 as those of all parts one after the other."""
    if len(parts) == 1:
        return parts[0]
    lasts = np.cumsum([part[-1] for part in parts[:-1]])
    return np.concatenate([parts[0], *(part[1:] + last for part, last in zip(parts[1:], lasts))])


def cells_beside_edges(planar: PlanarComplex) -> Int32:
    """(E, 2) int32: the cells left and right of each edge, -1 outside."""
    beside: Int32 = _cell_measures.cells_beside_edges(
        len(planar.edges), planar.edges, planar.cell_offsets, planar.cell_vertices, planar.cell_edges)
    return beside


def _joined(parts, first_chord_vertex: int, first_chord_edge: int, tick):  # type: ignore[no-untyped-def]
    """The results of consecutive runs of cells as one, as if one thread had taken them all."""
    sizes = np.array([[len(part[i]) for part in parts] for i in (3, 1, 5, 8)])
    starts = np.concatenate([np.zeros((4, 1), np.int64), np.cumsum(sizes, axis=1)], axis=1)
    n_cells, n_loop, n_inner, n_chords = starts[:, -1]
    out = (
        np.zeros(n_cells + 1, np.int64), *(np.empty(n_loop, np.int32) for _ in range(2)),
        np.empty(n_cells, np.uint64), np.empty(n_cells, np.int32),
        np.empty((n_inner, 4), np.int32), np.empty((n_inner, 3)), np.empty((n_inner, 2), np.int32),
        np.empty((n_chords, 2), np.int32), np.empty(n_chords, np.int32),
    )
    firsts = starts.T.tolist()

    def place(begin: int, end: int) -> None:
        kernel: Any = _cell_kernel.place_cells
        for part, first in zip(parts[begin:end], firsts[begin:end]):
            kernel(*part[:10], *out, *first, first_chord_vertex, first_chord_edge)

    in_runs(place, len(parts), RUNS_AT_A_TIME, tick)
    return (*out, sum(part[10] for part in parts))
