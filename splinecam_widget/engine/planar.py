"""The planar complex that networks subdivide: vertices, edges and cells as flat arrays. Knows nothing of networks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from . import _cell_measures, _sign_kernels
from .arrays import Float64

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
UInt64 = NDArray[np.uint64]

EDGES_AT_A_TIME = 16384
"""Edges that one thread looks through at a time."""


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


def cells_beside_edges(planar: PlanarComplex) -> Int32:
    """(E, 2) int32: the cells left and right of each edge, -1 outside."""
    beside: Int32 = _cell_measures.cells_beside_edges(
        len(planar.edges), planar.edges, planar.cell_offsets, planar.cell_vertices, planar.cell_edges)
    return beside
