"""Two partitions of one domain laid over one another: where their decisions differ, and by how much their outputs do."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from splinecam_widget.engine.arrays import Float64
from splinecam_widget.engine.boundary import winners_of
from splinecam_widget.engine.cells import Cells
from splinecam_widget.engine.errors import percent_text
from splinecam_widget.engine.planar import Int32, Int64

from . import _overlay_kernels
from .parts import Parts, parts_of

UNIT_ROUNDOFF = 2.0**-53

WIDTH_ROUNDINGS = 16.0
"""A corner of a clipped polygon lies beside the line that cut it by four roundings of the cross product that places it and two
of its own coordinates, in units of roundoff times the domain's largest coordinate (a distance is at most three of these). What
is thinner than that, area over half the perimeter, may be rounding and is not counted."""

PLANE_ROUNDINGS = 16.0
"""Of an input made from slice coordinates: two products and two sums, in either slice, and as many for entries of origin and
basis that were made in another order."""

LINE_ROUNDINGS = 8.0
"""A vertex on an edge is interpolated on it: four roundings of a coordinate, and as many for an end of the edge that was so
itself, once a layer."""

SHOWN = ("n_cells", "n_regions", "cell_area_mean", "cell_slope_norm_mean", "edge_length", "boundary_length")
"""Of the table, in the text of a comparison."""


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Two partitions, laid over one another. Made by `compare`.

    Attributes
    ----------
    first, second : Cells
    level : float
        For one output.
    areas : (K, K) float64
        `areas[i, j]`: where the first predicts i and the second j, input-space units squared. With one output (2, 2): below
        and above the level.
    pairs : (N, 2) int32
        Cells of the first and the second that overlap: one pair for each cell of the overlay.
    points : (M, 2) float64
    offsets : (D + 1,) int64
        The convex polygons, counter-clockwise, on which the two predict different classes:
        `points[offsets[i]:offsets[i + 1]]`, slice coordinates.
    classes : (D, 2) int32
        What the first and the second predict on each.
    largest_differences : (K,) float64
        Of each output, max |first - second| over the domain.
    largest_at : (K, 2) float64
        Where, slice coordinates.
    """

    first: Cells
    second: Cells
    level: float
    areas: Float64
    pairs: Int32
    points: Float64
    offsets: Int64
    classes: Int32
    largest_differences: Float64
    largest_at: Float64

    @property
    def n_cells(self) -> int:
        """Cells of the overlay: parts of the domain on which both networks are affine."""
        return len(self.pairs)

    @property
    def area(self) -> float:
        """Of the domain, input-space units squared."""
        return float(self.areas.sum())

    @property
    def differing_area(self) -> float:
        """Where the two predict different classes, input-space units squared."""
        return float(self.areas.sum(where=~np.eye(len(self.areas), dtype=np.bool_)))

    @property
    def differing_share(self) -> float:
        """The same as a share of the domain."""
        return self.differing_area / self.area

    @property
    def polygon_areas(self) -> Float64:
        """(D,) float64: of the polygons where predictions differ."""
        if not len(self.classes):
            return np.zeros(0)
        starts = self.offsets[:-1]
        sizes = np.diff(self.offsets)
        centred = self.points - np.repeat(self.points[starts], sizes, axis=0)
        after = np.arange(1, len(centred) + 1)
        after[self.offsets[1:] - 1] = starts
        cross = centred[:, 0] * centred[after, 1] - centred[:, 1] * centred[after, 0]
        found: Float64 = np.add.reduceat(cross, starts) / 2
        return found

    @cached_property
    def shared_lengths(self) -> Float64:
        """(E,) float64: how much of each edge of the first lies on edges of the second; 0 for the domain's border.

        Meant for networks with some units in common, to the last bit, as after training the last layers only. Lines that are
        farther apart than rounding, `LINE_ROUNDINGS` a layer, are different ones.
        """
        inner = np.flatnonzero(self.first.edge_layer >= 0)
        others = np.flatnonzero(self.second.edge_layer >= 0)
        found = np.zeros(len(self.first.edges))
        if not (len(inner) and len(others)):
            return found
        layers = 2 + max(int(self.first.edge_layer.max()), int(self.second.edge_layer.max()))
        bound = LINE_ROUNDINGS * layers * UNIT_ROUNDOFF * float(np.abs(self.first.vertices).max())
        lines, other_lines = self.first.vertices[self.first.edges[inner]], self.second.vertices[self.second.edges[others]]
        boxes = np.concatenate([other_lines.min(axis=1), other_lines.max(axis=1)], axis=1)
        grid = _grid(other_lines.reshape(-1, 2), 2 * np.arange(len(others) + 1), boxes, bound)
        find: Any = _overlay_kernels.shared_lengths
        found[inner] = find(lines, other_lines, *grid, bound)
        return found

    @property
    def shared_length(self) -> float:
        """Length of the edges that both partitions have, input-space units."""
        return float(self.shared_lengths.sum())

    @cached_property
    def table(self) -> dict[str, tuple[float, float]]:
        """Counts and measures of both, side by side: `Statistics.summary`, and boundary_length (input-space units)."""
        first, second = (_figures(cells, self.level) for cells in (self.first, self.second))
        return {name: (value, second[name]) for name, value in first.items()}

    def __repr__(self) -> str:
        return (f"Comparison({self.n_cells:,} cells in the overlay; predictions differ on {percent_text(self.differing_share)} "
                f"of the domain)")

    def __str__(self) -> str:
        lines = [repr(self), f"  largest difference of outputs  {self.largest_differences.max():.6g}"]
        width = max(len(name) for name in SHOWN)
        lines.append(f"  {'':<{width}}  {'first':>12}  {'second':>12}")
        lines += [f"  {name:<{width}}  {self.table[name][0]:>12.6g}  {self.table[name][1]:>12.6g}" for name in SHOWN]
        return "\n".join(lines)


def compare(p: Cells, q: Cells, level: float = 0.0) -> Comparison:
    """Lay two partitions of one domain over one another: two models, or two checkpoints of one.

    Parameters
    ----------
    p, q : partitions of the same slice and domain, with as many outputs, computed or loaded
    level : float
        For one output, before a head that was set aside: class 1 is where it is above.

    Returns
    -------
    Comparison

    Raises
    ------
    TypeError
        If one is no partition.
    ValueError
        If slices, domains, numbers of outputs or heads differ (a final softmax, sigmoid or tanh, which is set aside: outputs
        are those before it). Partial partitions must be of the same part: they are not compared on what they have in common,
        since all shares would then be of a domain that no one asked for.

    Notes
    -----
    On every cell of the overlay both networks are affine, so their difference is largest at one of its corners. Decisions are
    compared on the convex parts of cells with one winner, ties to the lower class. Convex polygons are clipped by one another
    (Sutherland and Hodgman 1974); the area of each is off by at most `WIDTH_ROUNDINGS` roundings of the largest coordinate
    times its perimeter, so the areas sum to the domain's up to that times the length of all edges.

    References
    ----------
    I. E. Sutherland, G. W. Hodgman (1974), Reentrant polygon clipping, Communications of the ACM 17.

    Examples
    --------
    Two half-planes of the square [-1, 1] x [-1, 1], right of x = 0 and right of x = 1/2:

    >>> import torch
    >>> from splinecam_widget import Slice, compare, compute_partition
    >>> plane = Slice.from_basis([0.0, 0.0], torch.eye(2))
    >>> found = compare(compute_partition(lambda x: x[:, :1], plane), compute_partition(lambda x: x[:, :1] - 0.5, plane))
    >>> found.areas.tolist(), found.differing_share, found.largest_differences.tolist()
    ([[2.0, 0.0], [1.0, 1.0]], 0.25, [0.5])
    """
    for cells, name in ((p, "p"), (q, "q")):
        if not isinstance(cells, Cells):
            raise TypeError(f"{name}: expected a partition, got {type(cells).__name__}")
    _check_same_place(p, q)
    if p.head != q.head:
        raise ValueError(f"q: expected the head of p, {p.head or 'none'}, got {q.head or 'none'}: outputs are those before it")
    if p.values.shape[1] != q.values.shape[1]:
        raise ValueError(f"q: expected as many outputs as p, {p.values.shape[1]}, got {q.values.shape[1]}")
    ours, others = (parts_of(cells, winners_of(cells, level)) for cells in (p, q))
    bound = WIDTH_ROUNDINGS * UNIT_ROUNDOFF * float(np.abs(p.plane.domain).max())
    boxes, other_boxes = (_overlay_kernels.bounding_boxes(parts.points, parts.offsets) for parts in (ours, others))
    overlaid: Any = _overlay_kernels.overlaid
    areas, pairs, largest, largest_at, points, offsets, classes = overlaid(
        0, len(ours.classes), *_arrays(ours), *_maps(p), boxes, *_arrays(others), *_maps(q), other_boxes,
        *_grid(others.points, others.offsets, other_boxes), bound,
    )
    if len(ours.classes) > p.n_cells or len(others.classes) > q.n_cells:  # pieces of one cell meet the same other cell
        keys = np.unique(pairs[:, 0].astype(np.int64) << 32 | pairs[:, 1])
        pairs = np.stack([keys >> 32, keys & 0xFFFFFFFF], axis=1).astype(np.int32)
    return Comparison(p, q, level, areas, pairs, points, offsets, classes, largest, largest_at)


def _arrays(parts: Parts) -> tuple[Float64, Int64, Int32, Int64]:
    return parts.points, parts.offsets, parts.classes, parts.cells


def _maps(cells: Cells) -> tuple[Float64, Float64]:
    """The outputs of each cell as `slopes @ u + constants`."""
    first = cells.cell_vertices[cells.cell_offsets[:-1]]
    return cells.slopes, cells.values[first] - np.einsum("cki,ci->ck", cells.slopes, cells.vertices[first])


def _grid(points: Float64, offsets: Int64, boxes: Float64, margin: float = 0.0) -> tuple[Any, ...]:
    """Squares that polygons lie in, or segments: left, bottom, width, height, number a side, offsets, ids."""
    boxes = boxes + np.array([-margin, -margin, margin, margin])
    left, bottom = boxes[:, :2].min(axis=0)
    width, height = boxes[:, 2:].max(axis=0) - (left, bottom)
    n = max(1, int(np.sqrt(len(boxes))))
    return left, bottom, width, height, n, *_overlay_kernels.bucketed(points, offsets, boxes, left, bottom, width, height, n)


def _check_same_place(p: Cells, q: Cells) -> None:
    """Raise a ValueError that names what differs, if the two are not of one slice and domain."""
    ours, theirs = p.plane, q.plane
    if ours.input_shape != theirs.input_shape:
        raise ValueError(f"q: expected a slice of inputs of shape {ours.input_shape}, as p has, got {theirs.input_shape}")
    corners, others = ours.domain, theirs.domain
    reach = float(np.abs(corners).max())
    # Of every entry: the magnitudes that are added up to it.
    sizes = np.abs(ours.origin) + reach * np.abs(ours.basis).sum(axis=0)
    apart = np.abs(ours.to_input(corners) - theirs.to_input(corners)).max(axis=0)
    if (apart > PLANE_ROUNDINGS * UNIT_ROUNDOFF * sizes.max()).any():
        is_moved = np.abs(ours.origin - theirs.origin).max() > PLANE_ROUNDINGS * UNIT_ROUNDOFF * sizes.max()
        what = "origin" if is_moved else "basis"
        raise ValueError(f"q: expected a partition of the slice of p, got one with another {what}: inputs at the same slice "
                         f"coordinates are up to {apart.max():.3g} apart")
    if not _is_same_polygon(corners, others, PLANE_ROUNDINGS * UNIT_ROUNDOFF * reach):
        part = "".join(f"; {name} is {percent_text(cells.share)} of the area asked for"
                       for cells, name in ((p, "p"), (q, "q")) if not cells.is_complete)
        raise ValueError(f"q: expected a partition of the domain of p, {corners.tolist()}, got {others.tolist()}{part}")


def _is_same_polygon(corners: Float64, others: Float64, bound: float) -> bool:
    """Whether two loops have the same corners in the same order, wherever they begin."""
    return corners.shape == others.shape and any(
        bool((np.abs(np.roll(others, k, axis=0) - corners) <= bound).all()) for k in range(len(corners)))


def _figures(cells: Cells, level: float) -> dict[str, float]:
    return {**cells.statistics().summary, "boundary_length": winners_of(cells, level).boundary.length}
