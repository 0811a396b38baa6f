"""What the engine's results are held against: exact rational subdivision of small nets, invariants of partitions.

The subdivision shares no idea with the engine's: polygons are cut one by one in `fractions.Fraction`, without
rounding or tolerance. It knows fully connected ReLU and LeakyReLU nets only.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from splinecam_widget.engine.partition import Partition
from splinecam_widget.engine.slices import Slice

Point = tuple[Fraction, Fraction]
Form = tuple[Fraction, Fraction, Fraction]
"""A function of slice coordinates: `form[0] u[0] + form[1] u[1] + form[2]`."""

UNIT_ROUNDOFF = 2.0**-53
AREA_TOLERANCE = 1e-9
"""Relative error of the sum of all areas. Each area is a sum of at most a hundred rounded products and there are at
most a million cells: 1e8 roundings of 1.1e-16, in the worst way, are 1.1e-8; their random sum stays below 1e-11."""
CORNER_ROUNDINGS = 64.0
"""A vertex interpolates twice on old vertices, which themselves did so a layer before: a few roundings of the largest
coordinate a layer, and the cross product of two differences adds four."""

CONDITION = 2.0**20
"""How much larger an error of a vertex may be than that of the unit: one over the sine of the angle of the lines there.
Those of random small nets meet at angles above 1e-6, but for one pair in a million."""


@dataclass(frozen=True)
class ExactCell:
    """One cell: a convex polygon, counter-clockwise, and the signs of all units on it.

    Attributes
    ----------
    corners : list of pairs of Fraction
        No three on one line.
    pattern : tuple of tuple of int
        For every kink, 1, -1, or 0 where the pre-activation vanishes on the whole cell.
    outputs : list of Form
        The affine map of the network's outputs.
    """

    corners: list[Point]
    pattern: tuple[tuple[int, ...], ...]
    outputs: list[Form]

    @property
    def area(self) -> Fraction:
        return _twice_area(self.corners) / 2

    @property
    def middle(self) -> Point:
        """A point inside: the mean of the corners."""
        n = len(self.corners)
        return sum((p[0] for p in self.corners), Fraction(0)) / n, sum((p[1] for p in self.corners), Fraction(0)) / n


@dataclass
class _Piece:
    corners: list[Point]
    forms: list[Form]
    pattern: list[tuple[int, ...]] = field(default_factory=list)


def exact_cells(net: nn.Sequential, plane: Slice) -> list[ExactCell]:
    """The cells of a fully connected net of Linear, ReLU, LeakyReLU and Flatten, without any rounding.

    Parameters
    ----------
    net : nn.Sequential
        In float64; weights count as the dyadic rationals that they are.
    plane : Slice
        Its origin, basis and domain likewise.
    """
    origin, basis = _fractions(plane.origin.ravel()), [_fractions(row) for row in plane.basis.reshape(2, -1)]
    inputs = [(basis[0][i], basis[1][i], origin[i]) for i in range(len(origin))]
    corners = [(Fraction(float(x)), Fraction(float(y))) for x, y in plane.domain]
    pieces = [_Piece(_without_straight_corners(corners), inputs)]
    for layer in net:
        if isinstance(layer, nn.Linear):
            weight = [_fractions(row) for row in layer.weight.detach().numpy()]
            bias = _fractions(layer.bias.detach().numpy()) if layer.bias is not None else [Fraction(0)] * len(weight)
            for piece in pieces:
                piece.forms = [_combined(row, shift, piece.forms) for row, shift in zip(weight, bias)]
        elif isinstance(layer, (nn.ReLU, nn.LeakyReLU)):
            slope = Fraction(float(layer.negative_slope)) if isinstance(layer, nn.LeakyReLU) else Fraction(0)
            pieces = [part for piece in pieces for part in _split_by_all(piece, slope)]
        elif not isinstance(layer, nn.Flatten):
            raise TypeError(f"net: expected Linear, ReLU, LeakyReLU or Flatten, got {type(layer).__name__}")
    return [ExactCell(piece.corners, tuple(piece.pattern), piece.forms) for piece in pieces]


def exact_neighbours(cells: Sequence[ExactCell]) -> set[tuple[int, int]]:
    """Pairs of cells, lower first, that share a segment of positive length."""
    return {(min(i, j), max(i, j)) for i, j, _ in _overlaps(cells)}


def _overlaps(cells: Sequence[ExactCell]) -> Iterator[tuple[int, int, float]]:
    """Pairs of cells with sides on a common line that overlap, and the length of the overlap."""
    sides: dict[tuple[Fraction, ...], list[tuple[Fraction, Fraction, int]]] = defaultdict(list)
    for i, cell in enumerate(cells):
        for (ax, ay), (bx, by) in zip(cell.corners, cell.corners[1:] + cell.corners[:1]):
            normal = (ay - by, bx - ax)
            lead = normal[0] if normal[0] != 0 else normal[1]
            line = (normal[0] / lead, normal[1] / lead, (normal[0] * ax + normal[1] * ay) / lead)
            low, high = ((ay, by) if normal[0] != 0 else (ax, bx))
            sides[line].append((min(low, high), max(low, high), i))
    for line, on_line in sides.items():
        # Along the second axis, or the first where the line runs along it; a unit of it is this long on the line.
        unit = math.hypot(1.0, float(line[1]))
        for x, (low, high, i) in enumerate(on_line):
            for other_low, other_high, j in on_line[x + 1:]:
                overlap = min(high, other_high) - max(low, other_low)
                if i != j and overlap > 0:
                    yield i, j, float(overlap) * (unit if line[0] != 0 else 1.0)


def exact_wins(cells: Sequence[ExactCell]) -> list[tuple[int, ExactCell]]:
    """The parts of cells in which one class wins, ties to the lower class: (class, part), parts of positive area."""
    parts = []
    for cell in cells:
        for k, own in enumerate(cell.outputs):
            corners = cell.corners
            for j, other in enumerate(cell.outputs):
                if j == k or not corners:
                    continue
                ahead: Form = (own[0] - other[0], own[1] - other[1], own[2] - other[2])
                heights = [_at(ahead, p) for p in corners]
                if not any(h > 0 for h in heights) and not (k < j and not any(heights)):
                    corners = []
                elif any(h < 0 for h in heights):
                    corners = _half(corners, heights)
            if corners:
                parts.append((k, ExactCell(corners, cell.pattern, cell.outputs)))
    return parts


def exact_boundary_lengths(parts: Sequence[tuple[int, ExactCell]]) -> dict[tuple[int, int], float]:
    """Length of the border between any two classes: where sides of their parts overlap."""
    lengths: dict[tuple[int, int], float] = defaultdict(float)
    for i, j, length in _overlaps([part for _, part in parts]):
        a, b = sorted((parts[i][0], parts[j][0]))
        if a != b:
            lengths[a, b] += length
    return dict(lengths)


def exact_values(net: nn.Sequential, x: Iterable[Any]) -> list[Fraction]:
    """The outputs of a fully connected net at one input, without any rounding."""
    values = [Fraction(float(v)) for v in x]
    for layer in net:
        if isinstance(layer, nn.Linear):
            weight = [_fractions(row) for row in layer.weight.detach().numpy()]
            bias = _fractions(layer.bias.detach().numpy()) if layer.bias is not None else [Fraction(0)] * len(weight)
            values = [sum((w * v for w, v in zip(row, values)), shift) for row, shift in zip(weight, bias)]
        elif isinstance(layer, (nn.ReLU, nn.LeakyReLU)):
            slope = Fraction(float(layer.negative_slope)) if isinstance(layer, nn.LeakyReLU) else Fraction(0)
            values = [v if v > 0 else slope * v for v in values]
    return values


def _fractions(numbers: Any) -> list[Fraction]:
    return [Fraction(float(v)) for v in numbers]


def _combined(row: Sequence[Fraction], shift: Fraction, forms: Sequence[Form]) -> Form:
    a, b, c = Fraction(0), Fraction(0), shift
    for w, form in zip(row, forms):
        if w:
            a, b, c = a + w * form[0], b + w * form[1], c + w * form[2]
    return a, b, c


def _at(form: Form, point: Point) -> Fraction:
    return form[0] * point[0] + form[1] * point[1] + form[2]


def _twice_area(corners: Sequence[Point]) -> Fraction:
    return sum((a[0] * b[1] - a[1] * b[0] for a, b in zip(corners, [*corners[1:], corners[0]])), Fraction(0))


def _split_by_all(piece: _Piece, slope: Fraction) -> list[_Piece]:
    """A piece cut by the zero line of each of its forms, then the activation applied."""
    parts: list[tuple[list[Point], tuple[int, ...]]] = [(piece.corners, ())]
    for form in piece.forms:
        cut: list[tuple[list[Point], tuple[int, ...]]] = []
        for corners, signs in parts:
            heights = [_at(form, p) for p in corners]
            positive, negative = any(h > 0 for h in heights), any(h < 0 for h in heights)
            if positive and negative:
                cut.append((_half(corners, heights), (*signs, 1)))
                cut.append((_half(corners, [-h for h in heights]), (*signs, -1)))
            else:
                cut.append((corners, (*signs, int(positive) - int(negative))))
        parts = cut
    zero = (Fraction(0), Fraction(0), Fraction(0))
    return [
        _Piece(corners, [form if s > 0 else (slope * form[0], slope * form[1], slope * form[2]) if slope else zero
                         for s, form in zip(signs, piece.forms)], [*piece.pattern, signs])
        for corners, signs in parts
    ]


def _half(corners: Sequence[Point], heights: Sequence[Fraction]) -> list[Point]:
    """The part of a convex polygon where the heights are not negative."""
    kept: list[Point] = []
    for i, (p, h) in enumerate(zip(corners, heights)):
        q, k = corners[(i + 1) % len(corners)], heights[(i + 1) % len(corners)]
        if h >= 0:
            kept.append(p)
        if h * k < 0:
            t = h / (h - k)
            kept.append((p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1])))
    return kept


def _without_straight_corners(corners: list[Point]) -> list[Point]:
    n = len(corners)
    return [p for i, p in enumerate(corners) if _twice_area([corners[i - 1], p, corners[(i + 1) % n]]) != 0]


def assert_same_cells(partition: Partition, cells: Sequence[ExactCell]) -> None:
    """The partition has exactly these cells, with these areas, patterns and neighbours."""
    assert partition.n_cells == len(cells)
    middles = np.array([[float(c) for c in cell.middle] for cell in cells])
    found = partition.locate(middles)
    assert sorted(found.tolist()) == list(range(len(cells))), "every exact cell's middle lies in a cell of its own"
    extent = float(np.abs(partition.vertices).max())
    for i, cell in zip(found, cells):
        # A corner off by some roundings of the largest coordinate moves the area by at most that times the perimeter.
        slack = CORNER_ROUNDINGS * len(cell.corners) * UNIT_ROUNDOFF * extent * 8 * extent * CONDITION
        assert abs(partition.areas[i] - float(cell.area)) <= slack
    patterns = partition.patterns(middles)
    for row, cell in enumerate(cells):
        for on, signs in zip(patterns, cell.pattern):
            assert all(bool(o) == (s > 0) for o, s in zip(on[row], signs) if s != 0)
    inner = partition.edge_cells[(partition.edge_cells >= 0).all(axis=1)]
    ids = {int(c): i for i, c in enumerate(found)}
    neighbours = {tuple(sorted((ids[int(a)], ids[int(b)]))) for a, b in inner}
    assert neighbours == exact_neighbours(cells)


def loops_of(partition: Partition) -> list[np.ndarray[Any, np.dtype[np.int32]]]:
    """The vertex ids of every cell."""
    return np.split(partition.cell_vertices, partition.cell_offsets[1:-1])


def assert_consistent(partition: Partition) -> None:
    """All that is true of the partition of a convex domain by any network.

    Euler's formula, areas, convexity and orientation, the cells beside every edge, interior points, provenance.
    """
    _assert_arrays(partition)
    V, E, C = len(partition.vertices), len(partition.edges), partition.n_cells
    assert V - E + C == 1, f"Euler: {V} vertices, {E} edges, {C} cells"
    domain = _polygon_area(partition.plane.domain)
    assert abs(partition.areas.sum() - domain) <= AREA_TOLERANCE * domain
    assert (partition.areas > 0).all()
    _assert_convex(partition)
    _assert_edges(partition)
    np.testing.assert_array_equal(partition.locate(partition.centroids), np.arange(C))
    _assert_provenance(partition)


def _polygon_area(corners: Any) -> float:
    x, y = corners[:, 0] - corners[0, 0], corners[:, 1] - corners[0, 1]
    return 0.5 * float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))


def _assert_arrays(partition: Partition) -> None:
    V, C = len(partition.vertices), partition.n_cells
    assert partition.vertices.dtype == np.float64
    assert partition.vertices.shape == (V, 2)
    assert partition.cell_offsets.dtype == np.int64
    assert partition.cell_offsets.shape == (C + 1,)
    assert partition.cell_offsets[0] == 0
    assert partition.cell_offsets[-1] == len(partition.cell_vertices)
    assert partition.cell_vertices.dtype == np.int32
    for name in ("edges", "edge_cells", "edge_layer", "edge_unit"):
        assert getattr(partition, name).dtype == np.int32, name
        assert len(getattr(partition, name)) == len(partition.edges), name
    assert partition.areas.shape == (C,)
    assert partition.values.shape[0] == V
    used = np.unique(partition.cell_vertices)
    np.testing.assert_array_equal(used, np.arange(V), err_msg="every vertex belongs to a cell")


def _assert_convex(partition: Partition) -> None:
    """Every cell turns left at every corner, up to the rounding of its corners, and winds once around."""
    starts, ends = partition.cell_offsets[:-1], partition.cell_offsets[1:]
    sizes = ends - starts
    assert (sizes >= 3).all()
    place = np.arange(len(partition.cell_vertices))
    cell = np.repeat(np.arange(partition.n_cells), sizes)
    following = np.where(place + 1 == ends[cell], starts[cell], place + 1)
    points = partition.vertices[partition.cell_vertices]
    sides = points[following] - points
    lengths = np.linalg.norm(sides, axis=1)
    assert (lengths > 0).all(), "no edge of zero length"
    nexts, next_lengths = sides[following], lengths[following]
    turns = sides[:, 0] * nexts[:, 1] - sides[:, 1] * nexts[:, 0]
    # A corner off by `noise` turns the sides beside it by noise times their lengths.
    noise = CORNER_ROUNDINGS * UNIT_ROUNDOFF * float(np.abs(partition.vertices).max())
    assert (turns >= -noise * (lengths + next_lengths)).all(), "a cell is not convex"
    for loop in loops_of(partition):
        assert len(set(loop.tolist())) == len(loop), "a cell passes a vertex twice"


def _assert_edges(partition: Partition) -> None:
    """An edge has a cell on either side, or one and the domain's border; cells consist of edges."""
    pairs = np.sort(partition.edges, axis=1)
    assert len(np.unique(pairs, axis=0)) == len(pairs), "two edges join the same vertices"
    has_cell = partition.edge_cells >= 0
    assert has_cell.any(axis=1).all()
    is_border = ~has_cell.all(axis=1)
    np.testing.assert_array_equal(is_border, partition.edge_layer == -1)
    uses: dict[tuple[int, int], list[int]] = defaultdict(list)
    for cell, loop in enumerate(loops_of(partition)):
        for a, b in zip(loop.tolist(), np.roll(loop, -1).tolist()):
            uses[a, b].append(cell)
    assert all(len(cells) == 1 for cells in uses.values()), "two cells lie on the same side of an edge"
    for (a, b), (left, right) in zip(partition.edges.tolist(), partition.edge_cells.tolist()):
        assert uses.pop((a, b), [-1]) == [left]
        assert uses.pop((b, a), [-1]) == [right]
    assert not uses, "a cell has a side that is no edge"
    corners = partition.plane.domain
    border = partition.vertices[partition.edges[is_border]].mean(axis=1)
    assert (_distance_to_border(corners, border) <= CORNER_ROUNDINGS * UNIT_ROUNDOFF * np.abs(corners).max()).all()


def _distance_to_border(corners: Any, points: Any) -> Any:
    sides = np.roll(corners, -1, axis=0) - corners
    normals = np.stack([-sides[:, 1], sides[:, 0]], axis=1) / np.linalg.norm(sides, axis=1, keepdims=True)
    return np.abs(np.einsum("nki,ki->nk", points[:, None] - corners[None], normals)).min(axis=1)


def _assert_provenance(partition: Partition) -> None:
    """The unit that made an edge bends on it, and is not on one piece on both of its cells.

    The unit is evaluated by the network's own steps at both ends of the edge. Rounding: the vertex is off by a few
    roundings of the coordinates (times the unit's slope), and the evaluation by those of its terms; `slack` allows for
    2^12 of each.
    """
    kinks = partition.network.kinks
    border = partition.edge_layer == -1
    assert (partition.edge_unit[border] == -1).all()
    assert (partition.edge_layer < len(kinks)).all()
    inputs = torch.from_numpy(partition.plane.to_input(partition.vertices))
    for layer, (kink, rows) in enumerate(zip(kinks, decisions_at(partition, inputs))):
        here = partition.edge_layer == layer
        units = partition.edge_unit[here]
        assert ((units >= 0) & (units < rows.shape[2])).all()
        size = max(1.0, float(inputs.abs().max()), float(np.abs(rows).max(initial=0.0)))
        slack = 2.0**12 * UNIT_ROUNDOFF * (1 + layer) * size
        ends = [rows[partition.edges[here, end], :, units] for end in range(2)]
        if kink.kind == "settle":  # the two largest tie
            gaps = [np.sort(end, axis=1)[:, -1] - np.sort(end, axis=1)[:, -2] for end in ends]
        else:  # one knot is passed
            gaps = list(np.abs(ends)[:, :, 0] if rows.shape[1] == 1 else [np.maximum(*np.abs(ends)).min(axis=1)])
        assert all((gap <= slack).all() for gap in gaps)
    middles = decisions_at(partition, torch.from_numpy(partition.plane.to_input(partition.centroids)))
    inner = np.flatnonzero(~border)
    for layer, (kink, rows) in enumerate(zip(kinks, middles)):
        here = inner[partition.edge_layer[inner] == layer]
        left, right = (rows[partition.edge_cells[here, side], :, partition.edge_unit[here]] for side in range(2))
        if kink.kind == "settle":
            assert (left.argmax(axis=1) != right.argmax(axis=1)).all(), "the same entry wins on both cells of an edge"
        else:
            assert (left * right <= 0).any(axis=1).all(), "the unit of an edge is on one piece on both of its cells"


def decisions_at(partition: Partition, inputs: torch.Tensor) -> list[np.ndarray[Any, np.dtype[np.float64]]]:
    """For every layer of kinks, what decides on its pieces, (n, m, units).

    Distances from m knots; the m entries of which the largest is taken; of what is sorted, the differences of any two.
    """
    from splinecam_widget.engine.steps import run_steps

    with torch.no_grad():
        env = run_steps(partition.network.steps, {partition.network.input_name: inputs}, len(inputs))
    found = []
    for kinks in partition.network.layers:
        kink = kinks[-1]
        if kink.operation == "exchanged":
            entries = env[kinks[0].sources[1]]
            first, second = torch.triu_indices(entries.shape[1], entries.shape[1], 1)
            rows = entries[:, first] - entries[:, second]
        elif kink.kind == "curve":
            z = env[kink.sources[0]].flatten(1)
            knots, values, period = (kink.arguments[k] for k in "123")
            rows = z[:, None] - torch.from_numpy(places_of_bends(knots.numpy(), values.numpy(), period, z.numpy()))[:, None]
        else:
            rows = env[kink.sources[-1 if kink.kind == "settle" else 0]].reshape(len(inputs), -1, math.prod(kink.shape))
        found.append(rows.numpy())
    return found


def places_of_bends(
    knots: np.ndarray[Any, Any], values: np.ndarray[Any, Any], period: float | None, z: np.ndarray[Any, Any]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The knots at which a curve changes its slope; of a periodic one, those in all periods that z reaches."""
    if period is not None:  # three periods have every knot of the middle one between two others
        turns = period * np.arange(-1, 2)[:, None]
        every, heights = (knots + turns).ravel(), np.tile(values, 3)
    else:
        every, heights = knots, values
    slopes = np.diff(heights) / np.diff(every)
    places = every[1:-1][np.diff(slopes) != 0]
    if period is None or not len(z):
        return places
    places = places[(places >= knots[0]) & (places <= knots[-1])]
    low, high = (int(np.floor((extreme - knots[0]) / period)) for extreme in (z.min(), z.max()))
    return (places + period * np.arange(low - 1, high + 2)[:, None]).ravel()


def preactivations_at(partition: Partition, inputs: torch.Tensor) -> list[np.ndarray[Any, np.dtype[np.float64]]]:
    """For every layer of kinks with one knot at zero, its pre-activations (n, units) at inputs (n, *input_shape)."""
    return [rows[:, 0] for rows in decisions_at(partition, inputs)]


SAME = 2.0**-24
"""How far vertices of two computations of one picture may be apart, relative to the domain: a rounding error of 2^-53
grows by the condition of a crossing, which is below 2^29 in these fixed nets."""


def assert_same(found: Partition, expected: Partition) -> None:
    """The same cells with the same patterns, areas, maps and edges, in any order."""
    assert_consistent(found)
    np.testing.assert_array_equal(found.plane.domain, expected.plane.domain)
    order, theirs = np.argsort(found.planar.cell_hashes), np.argsort(expected.planar.cell_hashes)
    np.testing.assert_array_equal(found.planar.cell_hashes[order], expected.planar.cell_hashes[theirs])
    size = float(np.ptp(expected.plane.domain, axis=0).max())
    np.testing.assert_allclose(found.areas[order], expected.areas[theirs], rtol=0, atol=SAME * size * size)
    np.testing.assert_array_equal(found.locate(expected.centroids[theirs]), order)
    assert links_of(found) == links_of(expected)
    assert found.n_regions == expected.n_regions
    # The outputs at a vertex that may lie elsewhere by rounding: compared where both know them, at the centroids.
    A, b = found.affine_maps()
    C, d = expected.affine_maps()
    largest = max(float(np.abs(C).max()), float(np.abs(d).max()))
    np.testing.assert_allclose(A[order], C[theirs], rtol=0, atol=4096 * UNIT_ROUNDOFF * largest)
    np.testing.assert_allclose(b[order], d[theirs], rtol=0, atol=4096 * UNIT_ROUNDOFF * largest * (1 + size))
    at = expected.locate(found.vertices)
    inside = at >= 0
    values = np.einsum("vki,vi->vk", C[at], found.vertices) + d[at]
    np.testing.assert_allclose(found.values[inside], values[inside], rtol=0, atol=SAME * largest * (1 + size))


LOOSE = 2.0**-20
"""The same for random nets: the condition is below 2^33 for all but one in ten thousand million pairs of lines."""


def assert_same_picture(first: Partition, second: Partition) -> None:
    """The same cells in any order, up to the rounding of their vertices."""
    assert first.n_cells == second.n_cells
    assert len(first.edges) == len(second.edges)
    assert first.n_regions == second.n_regions
    where = second.locate(first.centroids)
    assert len(np.unique(where)) == first.n_cells
    size = float(np.ptp(first.vertices, axis=0).max())
    np.testing.assert_allclose(second.areas[where], first.areas, rtol=0, atol=LOOSE * size * size)


def links_of(partition: Partition) -> set[tuple[int, int, int, int]]:
    """Inner edges as (hash, hash, layer, unit), the lower hash first."""
    hashes = [int(h) for h in partition.planar.cell_hashes]
    inner = np.flatnonzero((partition.edge_cells >= 0).all(axis=1))
    return {
        (*sorted((hashes[partition.edge_cells[e, 0]], hashes[partition.edge_cells[e, 1]])),
         int(partition.edge_layer[e]), int(partition.edge_unit[e]))
        for e in inner
    }  # type: ignore[misc]


def mlp(*widths: int, seed: int = 0, slope: float = 0.0, bias: bool = True) -> nn.Sequential:
    """A fully connected net in float64 with torch's default init: float32 numbers, converted, as in golden counts."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths[:-1]):
        layers += [nn.Linear(fan_in, fan_out, bias=bias), nn.LeakyReLU(slope) if slope else nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1], bias=bias)).double().eval()


def square(half: float = 1.0) -> Slice:
    """The plane of two-dimensional inputs on `[-half, half]²`."""
    corners = [[-half, -half], [half, -half], [half, half], [-half, half]]
    return Slice.from_basis(np.zeros(2), np.eye(2), corners)


def by_one_and_by_three_threads(net: nn.Module, plane: Slice) -> list[Partition]:
    """The partition computed by one thread of the engine, and by three."""
    from splinecam_widget.engine.compute import compute_partition
    from splinecam_widget.engine.threads import forget_pools

    before = torch.get_num_threads()
    found = []
    try:
        for n in (1, 3):
            torch.set_num_threads(n)
            forget_pools()
            found.append(compute_partition(net, plane))
    finally:
        torch.set_num_threads(before)
        forget_pools()
    return found
