"""Cutting a planar complex along the zero lines of functions that are affine on each of its cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _cell_kernel, _sign_kernels
from .arrays import Float64
from .errors import Cancelled, OverBudget
from .planar import EDGES_AT_A_TIME, Int32, Int64, NewVertices, PlanarComplex, Signs
from .threads import in_runs, stop_flag

CELLS_AT_A_TIME = 4096
"""Cells, and crossings of their edges, that one thread takes at a time to split them."""

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
class Crossings:
    """Where functions change sign on the edges of a complex, edge by edge and in order along each.

    Attributes
    ----------
    offsets : (E + 1,) int64
        Which crossings are those of each edge.
    units, places : (X,) int32
        The function of each, and the place of its vertex among the edge's new ones.
    parents : (N,) int32
        The edge of each new vertex.
    t : (N,) float64
        Where it lies on that, at a + t (b - a).
    vertex_offsets : (E + 1,) int64
        Which of them lie on each edge.
    """

    offsets: Int64
    units: Int32
    places: Int32
    parents: Int32
    t: Float64
    vertex_offsets: Int64

    @property
    def n_close(self) -> int:
        """Crossings merged with others because they lie within the tolerance."""
        return len(self.units) - len(self.t)

    @property
    def n_pieces(self) -> int:
        """Of edges, cut at their new vertices."""
        return len(self.vertex_offsets) - 1 + len(self.t)


@dataclass(frozen=True)
class Split:
    """What `split_complex` found.

    Attributes
    ----------
    after : PlanarComplex
    new : NewVertices
        They follow the old vertices in `after.points`.
    crossings : Crossings
    parents : (C,) int32
        The old cell of every new one, in order.
    peak : (n,) float64
        Largest magnitude of every unit at the old vertices.
    n_irregular : int
        Splits with signs that no line has.
    n_zero : int
        Values at the old vertices that count as zero, though they may not be.
    """

    after: PlanarComplex
    new: NewVertices
    crossings: Crossings
    parents: Int32
    peak: Float64
    n_irregular: int
    n_zero: int

    @property
    def n_close(self) -> int:
        return self.crossings.n_close

    @property
    def n_bytes(self) -> int:
        """Of the arrays that neither the complex nor its new vertices have."""
        return int(self.parents.nbytes + self.crossings.places.nbytes + self.crossings.vertex_offsets.nbytes)


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
    runs = in_runs(
        lambda begin, end: _sign_kernels.edge_crossings(
            begin, end, before.edges, found.positive, found.negative, rows, tolerance),
        len(before.edges), EDGES_AT_A_TIME, tick)
    units, places, parents, t = (_concatenated([run[i] for run in runs]) for i in range(1, 5))
    crossings = Crossings(
        _chained([run[0] for run in runs]), units, places, parents, t, _chained([run[5] for run in runs]))
    cells = split_cells(
        before, rows, tolerance, layer if has_pattern else -1, found, crossings, len(crossings.units), room, tick)
    return assembled(before, layer, found, tolerance, crossings, cells, tick)


def split_cells(
    cells: PlanarComplex, rows: Float64, tolerance: Float64, key_layer: int, signs: Signs, crossings: Crossings,
    n_crossings: int, room: Room, tick: Callable[[], None],
) -> tuple[Any, ...]:
    """All of some cells cut, as `_cell_kernel.split_cells` returns them.

    Parameters
    ----------
    cells : PlanarComplex
        Vertices and edges are those of the whole complex.
    key_layer : int
        Of the keys in the cells' patterns, -1 where signs do not become part of them.
    n_crossings : int
        Of these cells.

    Raises
    ------
    OverBudget
        If they do not fit into `room`.
    """
    first_chord_vertex = cells.n_vertices + len(crossings.t)
    stop = stop_flag()

    def split(begin: int, end: int) -> tuple[Any, ...]:
        found: tuple[Any, ...] = _cell_kernel.split_cells(
            begin, end, key_layer, cells.cell_offsets, cells.cell_vertices, cells.cell_edges, cells.cell_hashes, cells.edges,
            signs.positive, signs.negative, rows, tolerance, crossings.offsets, crossings.units, crossings.places,
            crossings.vertex_offsets, crossings.t, cells.n_vertices, first_chord_vertex, crossings.n_pieces, room.cells,
            room.entries, LEAST_TRACED, stop)
        return found

    run = max(1, CELLS_AT_A_TIME * cells.n_cells // max(1, cells.n_cells + n_crossings))
    parts = in_runs(split, cells.n_cells, run, tick, stop, n_crossings**2 > LONG_SPLIT * cells.n_cells)
    n_cells = sum(len(part[3]) for part in parts)
    is_stopped = bool(stop[0])  # before the next line: who stops it from outside sets both
    if stop[1]:
        raise Cancelled
    if is_stopped or n_cells > room.cells:
        raise OverBudget(n_cells)
    return parts[0] if len(parts) == 1 else _joined(parts, first_chord_vertex, crossings.n_pieces, tick)


def assembled(
    before: PlanarComplex, layer: int, signs: Signs, tolerance: Float64, crossings: Crossings, cells: tuple[Any, ...],
    tick: Callable[[], None],
) -> Split:
    """What a complex becomes, from the crossings of its edges and what `split_cells` returned for all of its cells."""
    (cell_offsets, cell_vertices, cell_edges, hashes, parents, chord_ends, weights, chord_places, chords, chord_units,
     n_irregular) = cells
    n_old = before.n_vertices
    tick()
    new = NewVertices(
        before.edges[crossings.parents], crossings.t, chord_ends, weights, chord_places, crossings.parents, crossings.offsets,
        crossings.units, signs, tolerance)
    tick()
    points = np.empty((n_old + len(new), 2))
    points[:n_old] = before.points
    new.write_rows(before.points, 0, points[n_old:])
    tick()
    edges, edge_layer, edge_unit = _sign_kernels.edge_pieces(
        before.edges, before.edge_layer, before.edge_unit, crossings.vertex_offsets, n_old, chords, layer, chord_units)
    after = PlanarComplex(points, edges, edge_layer, edge_unit, cell_offsets, cell_vertices, cell_edges, hashes)
    tick()
    return Split(after, new, crossings, parents, signs.peak, int(n_irregular), signs.n_zero)


def _concatenated(parts: list[Any]) -> Any:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _chained(parts: list[Int64]) -> Int64:
    """Offsets that each begin at 0 as those of all parts one after the other."""
    if len(parts) == 1:
        return parts[0]
    lasts = np.cumsum([part[-1] for part in parts[:-1]])
    return np.concatenate([parts[0], *(part[1:] + last for part, last in zip(parts[1:], lasts))])


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
