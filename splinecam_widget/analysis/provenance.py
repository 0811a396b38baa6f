"""Which layer and unit made what: curves along which one unit bends, partitions by the first layers. Knows no network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from splinecam_widget.engine.dissolving import dissolved
from splinecam_widget.engine.graph import component_ids
from splinecam_widget.engine.layers import Layer
from splinecam_widget.engine.planar import Int64
from splinecam_widget.engine.tessellation import Tessellation

from .polylines import Polylines, polylines_of


@dataclass(frozen=True, eq=False)
class UnitCurve:
    """Where one unit bends: a bent line, which turns at the edges of earlier layers.

    Attributes
    ----------
    layer, unit : int
    name : str
        The unit in words: module, operation, place.
    edges : (E',) int64
        The edges of the partition that it consists of.
    lines : Polylines
        These edges joined: closed curves, and lines that end at the domain's border or at a junction.
    """

    layer: int
    unit: int
    name: str
    edges: Int64
    lines: Polylines

    def __repr__(self) -> str:
        return (f"UnitCurve({self.name}; {len(self.edges):,} edges in {len(self.lines):,} lines, "
                f"length {self.length:.6g})")

    @cached_property
    def length(self) -> float:
        """Input-space units."""
        return float(self.lines.lengths.sum())


@dataclass(frozen=True, eq=False)
class LayerLines:
    """Where the units of one layer bend.

    Attributes
    ----------
    layer : int
    record : Layer
        The layer itself.
    edges : (n,) int64
        Edges of the partition, increasing; each once, however many units bend there.
    units : (m,) int64
        The units that bend along them, increasing.
    length : float
        Of these edges, in input-space units.
    """

    layer: int
    record: Layer
    edges: Int64
    units: Int64
    length: float

    def __repr__(self) -> str:
        return (f"LayerLines({self.record.name}; {len(self.units):,} of {self.record.n_units:,} units bend along "
                f"{len(self.edges):,} edges, length {self.length:.6g})")


@dataclass(frozen=True, eq=False)
class LayerCells(Tessellation):
    """The partition of a slice by the first layers of a network.

    Attributes
    ----------
    plane, planar :
        As of a `Tessellation`; edges have the layers and units that they have in the whole partition.
    n_layers : int
        So many layers of kinks.
    cell_of : (C,) int64
        The cell of this partition in which each cell of the whole one lies.
    vertex_ids : (V',) int64
        What vertices are called in the whole partition.
    """

    n_layers: int
    cell_of: Int64
    vertex_ids: Int64

    def __repr__(self) -> str:
        return (f"LayerCells({self.n_cells:,} cells of the first {self.n_layers} layers, {len(self.vertices):,} vertices, "
                f"{len(self.edges):,} edges)")


def curve_of(cells: Tessellation, layer: int, unit: int, name: str, edges: Int64) -> UnitCurve:
    """Some edges as the curve of a unit."""
    planar = cells.planar
    is_border = np.zeros(planar.n_vertices, np.bool_)
    is_border[planar.edges[planar.edge_layer < 0]] = True
    return UnitCurve(layer, unit, name, edges, polylines_of(planar.points, planar.edges[edges], None, is_border))


def first_layers(cells: Tessellation, k: int) -> LayerCells:
    """The partition by the first k layers of kinks: the edges of later ones dissolved.

    Edges of a layer end at edges of its own and of earlier layers, so what is left is what these layers make by themselves.
    """
    is_later = cells.edge_layer >= k
    planar, vertex_ids = dissolved(cells.planar, cells.edge_cells, is_later, cells.corner_ids)
    return LayerCells(cells.plane, planar, k, component_ids(cells.n_cells, cells.edge_cells[is_later]), vertex_ids)
