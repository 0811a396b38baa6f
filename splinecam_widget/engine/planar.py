"""The planar complex that networks subdivide: vertices, edges and cells as flat arrays. Knows nothing of networks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import _cell_kernel, _cell_measures, _sign_kernels
from .arrays import Float64
from .threads import on_all_cores

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
UInt64 = NDArray[np.uint64]

PARALLEL_CELLS = 4096
"""Below this many cells, starting a second thread costs more than it brings."""


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

    @classmethod
    def single_cell(cls, polygon: Float64) -> PlanarComplex:
        """The polygon (k, 2), counter-clockwise, as one cell."""
        k = len(polygon)
        ring = np.arange(k, dtype=np.int32)
        border = np.full(k, -1, np.int32)
        return cls(
            np.array(polygon, dtype=np.float64), np.stack([ring, np.roll(ring, -1)], axis=1), border, border,
            np.array([0, k], np.int64), ring, ring, np.zeros(1, np.uint64),
        )

    @property
    def n_vertices(self) -> int:
        return len(self.points)

    @property
    def n_cells(self) -> int:
        return len(self.cell_offsets) - 1


@dataclass(frozen=True)
class NewVertices:
    """Where the vertices that a split adds lie on the old complex.

    First those on edges, `a + t (b - a)`, then those where two chords meet: `p + r (q - p)` with p and q on edges.
    """

    edge_ends: Int32
    edge_t: Float64
    chord_ends: Int32
    chord_weights: Float64

    def __len__(self) -> int:
        return len(self.edge_t) + len(self.chord_ends)

    def rows(self, old: Float64, start: int = 0, stop: int | None = None) -> Float64:
        """Values (n, k) at new vertices `start` to `stop` of a function that is affine on each old cell, from old (V, k)."""
        out = np.empty(((len(self) if stop is None else stop) - start, old.shape[1]))
        self.write_rows(old, start, out)
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
    before: PlanarComplex, rows: Float64, tolerance: Float64, layer: int, has_pattern: bool = True
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
    """
    (positive, negative, peak, offsets, units, places, parents, t, vertex_offsets, n_close, n_zero, pieces, piece_layer,
     piece_unit) = _sign_kernels.cut_edges(before.edges, before.edge_layer, before.edge_unit, rows, tolerance)
    n_old, n_on_edges, n_pieces = before.n_vertices, len(t), len(pieces)

    def split(begin: int, end: int):  # type: ignore[no-untyped-def]
        return _cell_kernel.split_cells(
            begin, end, layer if has_pattern else -1,
            before.cell_offsets, before.cell_vertices, before.cell_edges, before.cell_hashes, before.edges,
            positive, negative, rows, tolerance, offsets, units, places, vertex_offsets, t,
            n_old, n_old + n_on_edges, n_pieces,
        )

    n_cells = before.n_cells
    if n_cells < PARALLEL_CELLS:
        parts = [split(0, n_cells)]
    else:
        bounds = np.append(np.arange(0, n_cells, max(1, PARALLEL_CELLS // 2)), n_cells)
        parts = on_all_cores(split, bounds[:-1], bounds[1:])
    out = parts[0] if len(parts) == 1 else _joined(parts, n_old + n_on_edges, n_pieces)
    cell_offsets, cell_vertices, cell_edges, hashes, cell_parents, chord_ends, weights, chords, chord_units, odd = out

    new = NewVertices(before.edges[parents], t, chord_ends, weights)
    after = PlanarComplex(
        np.concatenate([before.points, new.rows(before.points)]),
        np.concatenate([pieces, chords]),
        np.concatenate([piece_layer, np.full(len(chords), layer, np.int32)]),
        np.concatenate([piece_unit, chord_units]),
        cell_offsets, cell_vertices, cell_edges, hashes,
    )
    return Split(after, new, cell_parents, peak, int(n_close), int(odd), int(n_zero))


def cells_beside_edges(planar: PlanarComplex) -> Int32:
    """(E, 2) int32: the cells left and right of each edge, -1 outside."""
    beside: Int32 = _cell_measures.cells_beside_edges(
        len(planar.edges), planar.edges, planar.cell_offsets, planar.cell_vertices, planar.cell_edges)
    return beside


def _joined(parts, first_chord_vertex: int, first_chord_edge: int):  # type: ignore[no-untyped-def]
    """The results of consecutive runs of cells as one, as if one thread had taken them all."""
    loops = np.cumsum([0] + [part[0][-1] for part in parts])
    vertices = np.cumsum([0] + [len(part[5]) for part in parts])
    edges = np.cumsum([0] + [len(part[7]) for part in parts])
    for i, part in enumerate(parts):
        part[0][:] += loops[i]
        part[1][part[1] >= first_chord_vertex] += vertices[i]
        part[2][part[2] >= first_chord_edge] += edges[i]
        part[7][part[7] >= first_chord_vertex] += vertices[i]
    offsets = np.concatenate([[0], *(part[0][1:] for part in parts)])
    columns = [np.concatenate([part[i] for part in parts]) for i in range(1, 9)]
    return (offsets, *columns, sum(part[9] for part in parts))
