"""Decision regions: the connected components in which one class wins, their holes, and which hold no point. No network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from splinecam_widget.engine import _cell_measures, _tie_kernels
from splinecam_widget.engine.arrays import Float64, as_numbers
from splinecam_widget.engine.boundary import scores_of
from splinecam_widget.engine.graph import component_ids
from splinecam_widget.engine.planar import Int32, Int64

from ._decision_kernels import parts_across_edges
from ._graph_backends import Neighbours

if TYPE_CHECKING:
    from splinecam_widget.engine.cells import Cells


@dataclass(frozen=True, eq=False)
class DecisionRegions:
    """The connected components of every class's decision region. Made by `Cells.decision_regions`.

    A cell on which one class wins is one part; a cell on which several do has one part a class, which is convex. Two
    parts of one class are connected where they have a piece of an edge in common, not where they only meet at a point.

    Attributes
    ----------
    partition : Cells
    part_cells, part_classes : (P,) int32
        The cell and the class of each part, in order of both.
    part_areas : (P,) float64
        Input-space units squared.
    part_components : (P,) int64
        The component that each part belongs to, numbered by first parts.
    part_points : (M, 2) float64
    part_offsets : (P + 1,) int64
        Corners of the parts, counter-clockwise: `part_points[part_offsets[i]:part_offsets[i + 1]]`.
    part_links : (L, 2) int32
        Neighbouring parts of one class.
    classes : (R,) int32
        The class of each component.
    areas : (R,) float64
        Input-space units squared.
    n_parts : (R,) int64
        The number of parts, which is the number of cells that a component reaches into.
    touches_border : (R,) bool
        Whether a component has a piece of the domain's border, so that it may go on beyond it.
    holes : (R,) int64
        The number of holes of each component, see `Cells.decision_regions`.
    """

    partition: Cells
    part_cells: Int32
    part_classes: Int32
    part_areas: Float64
    part_components: Int64
    part_points: Float64
    part_offsets: Int64
    part_links: Int32
    classes: Int32
    areas: Float64
    n_parts: Int64
    touches_border: Any
    holes: Int64

    def __len__(self) -> int:
        return len(self.classes)

    def __repr__(self) -> str:
        return f"DecisionRegions({len(self):,} components of {len(np.unique(self.classes))} classes)"

    @cached_property
    def _first_parts(self) -> Int64:
        """(C + 1,) int64: where the parts of each cell begin."""
        return np.searchsorted(self.part_cells, np.arange(self.partition.n_cells + 1))

    def components_at(self, points: Any) -> Int64:
        """The component at each point, -1 outside the domain.

        Parameters
        ----------
        points : (n, 2) array
            Slice coordinates.

        Returns
        -------
        (n,) int64

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(lambda x: x[:, :1], Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> p.decision_regions().components_at([[-0.5, 0.0], [0.5, 0.0], [2.0, 0.0]]).tolist()
        [0, 1, -1]
        """
        u = _points(points)
        cells = self.partition.locate(u)
        inside = np.flatnonzero(cells >= 0)
        firsts = self._first_parts
        parts = np.full(len(u), -1, np.int64)
        parts[inside] = firsts[cells[inside]]
        several = inside[np.diff(firsts)[cells[inside]] > 1]
        if len(several):
            parts[several] = self._parts_in(cells[several], u[several])
        return np.where(parts >= 0, self.part_components[parts], -1)

    def _parts_in(self, cells: Int64, u: Float64) -> Int64:
        """The part of each of some cells (n,) that holds a point (n, 2) of the cell: that least outside of any side."""
        counts = np.diff(self._first_parts)[cells]
        rows = np.repeat(np.arange(len(cells)), counts)
        starts = np.cumsum(counts) - counts
        parts = self._first_parts[cells][rows] + np.arange(len(rows)) - starts[rows]
        sizes = np.diff(self.part_offsets)[parts]
        owners = np.repeat(np.arange(len(parts)), sizes)
        begins = np.cumsum(sizes) - sizes
        at = self.part_offsets[parts][owners] + np.arange(len(owners)) - begins[owners]
        is_last = np.append(owners[1:] != owners[:-1], True)
        following = np.where(is_last, self.part_offsets[parts][owners], at + 1)
        a, b = self.part_points[at], self.part_points[following]
        along, off = b - a, u[rows][owners] - a
        lengths = np.hypot(along[:, 0], along[:, 1])
        with np.errstate(invalid="ignore", divide="ignore"):
            depths = np.where(lengths > 0, (along[:, 0] * off[:, 1] - along[:, 1] * off[:, 0]) / lengths, np.inf)
        depth = np.minimum(np.minimum.reduceat(depths, begins), 0.0)
        order = np.lexsort((parts, -depth, rows))
        found: Int64 = parts[order][starts]
        return found

    def components_without(self, points: Any, labels: Any = None) -> Int64:
        """The components that no point lies in: where the network decides without having seen an example.

        Parameters
        ----------
        points : (n, 2) array
            Slice coordinates, such as `plane.to_slice(training_inputs)` of inputs that lie on the slice.
        labels : (n,) integers or None
            The classes of the points: only those of a component's own class count.

        Returns
        -------
        (m,) int64
            Ids of components, in order.

        Raises
        ------
        ValueError
            If points or labels have another shape.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(lambda x: x[:, :1], Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> regions = p.decision_regions()
        >>> regions.components_without([[-0.5, 0.0], [0.5, 0.0]]).tolist()
        []
        >>> regions.components_without([[-0.5, 0.0], [0.5, 0.0]], labels=[0, 0]).tolist()
        [1]
        """
        found = self.components_at(points)
        is_counted = found >= 0
        if labels is not None:
            numbers, _ = as_numbers(labels, "labels")
            if numbers.shape != found.shape:
                raise ValueError(f"labels: expected one for each of {len(found)} points, got shape {numbers.shape}")
            n_classes = max(2, self.partition.values.shape[1])
            if not np.isin(numbers, np.arange(n_classes)).all():
                raise ValueError(f"labels: expected classes from 0 to {n_classes - 1}, got {labels}")
            is_counted &= self.classes[found] == numbers
        return np.flatnonzero(np.bincount(found[is_counted], minlength=len(self)) == 0)


def decision_regions_of(partition: Cells, level: float) -> DecisionRegions:
    """See `Cells.decision_regions`."""
    values, tolerance = scores_of(partition, level)
    loops = partition.cell_offsets, partition.cell_vertices
    winners, points, offsets, classes, owners, _, ties, tie_cells, *_ = _tie_kernels.winner_pieces(
        partition.vertices, *loops, values, tolerance)

    n_cells, n_pieces = partition.n_cells, np.bincount(owners, minlength=partition.n_cells)
    firsts = np.concatenate([[0], np.cumsum(np.maximum(n_pieces, 1))])
    cells = np.repeat(np.arange(n_cells, dtype=np.int32), np.diff(firsts))
    is_piece = n_pieces[cells] > 0
    part_classes = winners[cells]
    part_classes[is_piece] = classes
    areas = partition.areas[cells]
    areas[is_piece] = _cell_measures.areas_and_centroids(points, offsets, np.arange(len(points)))[0]

    links = parts_across_edges(
        partition.vertices, partition.edges, partition.edge_cells, *loops, values, tolerance, firsts, part_classes)
    inner, at_border = links[links[:, 1] >= 0], links[links[:, 1] < 0, 0]
    is_one = part_classes[inner[:, 0]] == part_classes[inner[:, 1]]
    components = component_ids(len(cells), inner[is_one])
    n = int(components.max()) + 1
    _, first_parts = np.unique(components, return_index=True)
    touches = np.zeros(n, np.bool_)
    touches[components[at_border]] = True
    # Parts of one cell meet where their classes tie.
    k = values.shape[1]
    keys = cells.astype(np.int64) * k + part_classes
    wanted = tie_cells.astype(np.int64)[:, None] * k + ties
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    beside = np.concatenate([inner[~is_one], at[(keys[at] == wanted).all(axis=1)]])
    part_points, part_offsets = _corners(partition, is_piece, n_pieces, points, offsets)
    return DecisionRegions(
        partition, cells, part_classes, areas, components, part_points, part_offsets, inner[is_one], part_classes[first_parts],
        np.asarray(np.bincount(components, areas, n), np.float64), np.bincount(components, minlength=n), touches,
        _holes(n, components[beside], np.flatnonzero(touches)),
    )


def _corners(
    partition: Cells, is_piece: Any, n_pieces: Int64, points: Float64, offsets: Int64
) -> tuple[Float64, Int64]:
    """The parts as polygons: whole cells, and the pieces of the others, in their places."""
    whole = n_pieces == 0
    cell_sizes = np.diff(partition.cell_offsets)
    sizes = np.empty(len(is_piece), np.int64)
    sizes[is_piece], sizes[~is_piece] = np.diff(offsets), cell_sizes[whole]
    corners = np.empty((int(sizes.sum()), 2))
    of_piece = np.repeat(is_piece, sizes)
    corners[of_piece] = points
    corners[~of_piece] = partition.vertices[partition.cell_vertices[np.repeat(whole, cell_sizes)]]
    return corners, np.concatenate([[0], np.cumsum(sizes)])


def _holes(n: int, beside: Int64, at_border: Int64) -> Int64:
    """Holes of each component: parts that the graph of components and the outside falls into without it, less one."""
    outside = np.stack([at_border, np.full_like(at_border, n)], axis=1)
    beside = beside[beside[:, 0] != beside[:, 1]]
    around, _, _ = Neighbours.of(n + 1, np.concatenate([beside, outside]))
    return np.maximum(around.blocks()[:n] - 1, 0)


def _points(points: Any) -> Float64:
    u, _ = as_numbers(points, "points")
    if u.size == 0:
        return np.empty((0, 2))
    if u.ndim != 2 or u.shape[1] != 2:
        raise ValueError(f"points: expected slice coordinates of shape (n, 2), got {u.shape}")
    return u
