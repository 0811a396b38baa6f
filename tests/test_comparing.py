"""Two partitions laid over one another, held against closed forms, shapely's intersections and dense sampling."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import shapely
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cases import cases
from oracle import mlp, square
from splinecam_widget import Partition, Slice, compare, compute_partition, load_partition
from splinecam_widget.analysis import _overlay_kernels
from splinecam_widget.analysis.comparing import UNIT_ROUNDOFF, WIDTH_ROUNDINGS, Comparison, _grid
from splinecam_widget.analysis.parts import parts_of
from splinecam_widget.engine.boundary import winners_of
from test_imports import imported

AREA = 1e-9
"""What areas of the overlay may be off, relative to the domain: far above the rounding of all perimeters."""


def balanced(net: nn.Sequential) -> nn.Sequential:
    """With all classes somewhere near the middle of the square."""
    points = torch.rand(512, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    with torch.no_grad():
        net[-1].bias -= net(points).mean(0)
    return net


def half_plane(x: float, y: float, shift: float) -> Partition:
    """One output, positive where x u0 + y u1 > shift."""
    return compute_partition(lambda u: (u @ torch.tensor([[x], [y]], dtype=torch.float64)) - shift, square())


def polygons_of(found: Comparison) -> list[np.ndarray]:
    return np.split(found.points, found.offsets[1:-1]) if len(found.classes) else []


def shapely_cells(p: Partition) -> np.ndarray:
    loops = np.split(p.vertices[p.cell_vertices], p.cell_offsets[1:-1])
    return np.array([shapely.Polygon(loop) for loop in loops])


def assert_true(found: Comparison) -> None:
    """What holds of any comparison."""
    domain = shapely.Polygon(found.first.plane.domain).area
    assert found.area == pytest.approx(domain, rel=AREA)
    for axis, cells in ((1, found.first), (0, found.second)):
        winners = winners_of(cells)
        sums = np.zeros(len(found.areas))
        whole = ~np.isin(np.arange(cells.n_cells), winners.piece_cells)
        np.add.at(sums, winners.cells[whole], cells.areas[whole])
        for k, loop in zip(winners.piece_classes, np.split(winners.piece_points, winners.piece_offsets[1:-1])):
            sums[k] += shapely.Polygon(loop).area
        np.testing.assert_allclose(found.areas.sum(axis=axis), sums, rtol=0, atol=AREA * domain)
    assert (found.classes[:, 0] != found.classes[:, 1]).all()
    assert (found.polygon_areas > 0).all()
    assert found.polygon_areas.sum() == pytest.approx(found.differing_area, rel=AREA, abs=AREA * domain)
    for cells, column in ((found.first, 0), (found.second, 1)):
        assert (np.bincount(found.pairs[:, column], minlength=cells.n_cells)[cells.areas > AREA] > 0).all()
    assert len(np.unique(found.pairs, axis=0)) == found.n_cells


class TestClosedForms:
    def test_two_half_planes(self) -> None:
        """Right of x = 0 and above y = 0: four quarters, two of which differ."""
        found = compare(half_plane(1, 0, 0), half_plane(0, 1, 0))
        np.testing.assert_allclose(found.areas, np.ones((2, 2)), rtol=AREA)
        assert found.differing_share == pytest.approx(0.5, rel=AREA)
        assert found.n_cells == 1  # neither network bends
        assert found.classes.tolist() in ([[0, 1], [1, 0]], [[1, 0], [0, 1]])
        # |x - y| is 2 at two corners of the square.
        assert found.largest_differences == pytest.approx([2.0])
        assert sorted(map(abs, found.largest_at[0].tolist())) == [1, 1]
        assert found.largest_at[0, 0] == -found.largest_at[0, 1]

    def test_a_wedge(self) -> None:
        """Above y = 0 and above y = x: of the two wedges between them, each is half of 1 x 1."""
        found = compare(half_plane(0, 1, 0), half_plane(-1, 1, 0))
        np.testing.assert_allclose(found.areas, [[1.5, 0.5], [0.5, 1.5]], rtol=AREA)
        expected = {(0, 1): [[-1, -1], [0, 0], [-1, 0]], (1, 0): [[0, 0], [1, 0], [1, 1]]}
        for (a, b), corners in zip(found.classes.tolist(), polygons_of(found)):
            assert shapely.Polygon(corners).symmetric_difference(shapely.Polygon(expected[a, b])).area < AREA

    def test_a_shift_of_one_output(self) -> None:
        net = balanced(mlp(2, 8, 3, seed=2))
        other = copy.deepcopy(net)
        with torch.no_grad():
            other[-1].bias[1] += 0.25
        found = compare(compute_partition(net, square()), compute_partition(other, square()))
        np.testing.assert_allclose(found.largest_differences, [0, 0.25, 0], rtol=0, atol=1e-12)
        # More of class 1 and less of the others.
        assert found.areas[1, 0] == found.areas[1, 2] == found.areas[0, 2] == found.areas[2, 0] == 0
        assert found.areas[0, 1] + found.areas[2, 1] > 0

    def test_level_of_one_output(self) -> None:
        found = compare(half_plane(1, 0, 0), half_plane(1, 0, 0.5), level=0.25)
        np.testing.assert_allclose(found.areas, [[2.5, 0], [1.0, 0.5]], rtol=AREA)

    def test_the_largest_of_nearly_equal_differences(self) -> None:
        found = compare(half_plane(1, 0, 0), half_plane(1 + 1e-5, 0, 1))
        # 1 - x / 100,000 on the square.
        assert found.largest_differences == pytest.approx([1 + 1e-5], rel=1e-14)
        assert found.largest_at[0, 0] == -1
        found = compare(half_plane(1, 0, 0), half_plane(1 - 1e-5, 0, 1))
        assert found.largest_differences == pytest.approx([1 + 1e-5], rel=1e-14)
        assert found.largest_at[0, 0] == 1

    @pytest.mark.slow
    def test_lines_that_are_a_rounding_apart_leave_nothing_between(self) -> None:
        found = compare(half_plane(1, 0, 0.3), half_plane(1, 0, 0.3 + 2.0**-51))
        assert found.differing_area == 0
        assert len(found.classes) == 0
        assert WIDTH_ROUNDINGS * UNIT_ROUNDOFF < 1e-14


class TestAgainstShapely:
    @pytest.mark.parametrize("widths", [(2, 9, 3), (2, 6, 6, 4), (2, 12, 1)])
    def test_cells_and_areas(self, widths: tuple[int, ...]) -> None:
        p, q = (compute_partition(balanced(mlp(*widths, seed=s)), square()) for s in (0, 1))
        found = compare(p, q)
        assert_true(found)
        ours, theirs = shapely_cells(p), shapely_cells(q)
        overlaps = shapely.area(shapely.intersection(ours[:, None], theirs[None]))
        expected = np.argwhere(overlaps > 1e-12)
        np.testing.assert_array_equal(np.unique(found.pairs, axis=0), expected)
        assert found.n_cells == len(expected)

    def test_regions(self) -> None:
        """Areas by classes are those of the unions' intersections."""
        p, q = (compute_partition(balanced(mlp(2, 10, 8, 3, seed=s)), square()) for s in (3, 4))
        found = compare(p, q)
        regions = []
        for cells in (p, q):
            winners = winners_of(cells)
            loops = [(winners.cells[c], loop) for c, loop in enumerate(np.split(cells.vertices[cells.cell_vertices],
                                                                                cells.cell_offsets[1:-1]))
                     if c not in winners.piece_cells]
            loops += list(zip(winners.piece_classes, np.split(winners.piece_points, winners.piece_offsets[1:-1])))
            regions.append([shapely.union_all([shapely.Polygon(loop) for k, loop in loops if k == j], grid_size=1e-12)
                            for j in range(3)])
        expected = [[a.intersection(b).area for b in regions[1]] for a in regions[0]]
        assert (np.array(expected) > 0.01).sum() > 3
        np.testing.assert_allclose(found.areas, expected, rtol=0, atol=1e-9)


class TestAgainstSamples:
    def test_predictions_differ_inside_the_polygons_and_nowhere_else(self) -> None:
        nets = [balanced(mlp(2, 16, 16, 4, seed=s)) for s in (0, 5)]
        found = compare(*(compute_partition(net, square()) for net in nets))
        assert 0.05 < found.differing_share < 0.95
        u = np.random.default_rng(0).uniform(-1, 1, (4000, 2))
        with torch.no_grad():
            outputs = [net(torch.from_numpy(u)).numpy() for net in nets]
        predictions = np.stack([z.argmax(axis=1) for z in outputs], axis=1)
        tree = shapely.STRtree([shapely.Polygon(corners) for corners in polygons_of(found)])
        at, polygon = tree.query(shapely.points(u), predicate="within")
        assert len(at) == len(np.unique(at))
        np.testing.assert_array_equal(np.flatnonzero(predictions[:, 0] != predictions[:, 1]), np.sort(at))
        np.testing.assert_array_equal(found.classes[polygon], predictions[at])

    def test_the_largest_difference_is_attained_and_not_exceeded(self) -> None:
        nets = [mlp(2, 16, 16, 4, seed=s) for s in (0, 5)]
        found = compare(*(compute_partition(net, square()) for net in nets))
        u = np.random.default_rng(1).uniform(-1, 1, (20000, 2))
        with torch.no_grad():
            sampled = (nets[0](torch.from_numpy(u)) - nets[1](torch.from_numpy(u))).abs().numpy().max(axis=0)
            at = (nets[0](torch.from_numpy(found.largest_at)) - nets[1](torch.from_numpy(found.largest_at))).abs().numpy()
        assert (sampled <= found.largest_differences * (1 + 1e-12)).all()
        assert (sampled >= 0.9 * found.largest_differences).all()
        np.testing.assert_allclose(np.diag(at), found.largest_differences, rtol=1e-12)


class TestSharedEdges:
    def test_the_frozen_layers_are_shared(self) -> None:
        net = mlp(2, 10, 10, 3, seed=1)
        other = copy.deepcopy(net)
        with torch.no_grad():
            other[2].weight *= 1.5
            other[2].bias += 0.1
        p, q = compute_partition(net, square()), compute_partition(other, square())
        found = compare(p, q)
        ends = p.vertices[p.edges]
        lengths = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
        is_first = p.edge_layer == 0
        assert is_first.any()
        np.testing.assert_allclose(found.shared_lengths[is_first], lengths[is_first], rtol=1e-9, atol=1e-13)
        np.testing.assert_allclose(found.shared_lengths[~is_first], 0, atol=1e-13)
        back = compare(q, p)
        assert found.shared_length == pytest.approx(back.shared_length, rel=1e-9)
        assert found.shared_length == pytest.approx(lengths[is_first].sum(), rel=1e-9)

    def test_nothing_to_share(self) -> None:
        assert compare(half_plane(1, 0, 0), half_plane(0, 1, 0)).shared_length == 0
        net = mlp(2, 6, 2)
        assert compare(compute_partition(net, square()), compute_partition(mlp(2, 6, 2, seed=1), square())).shared_length == 0


class TestOneWithItself:
    @pytest.mark.slow
    @cases(8)
    @given(seed=st.integers(0, 10**6), widths=st.lists(st.integers(1, 8), min_size=1, max_size=3), n=st.integers(1, 4),
           bias=st.booleans())
    def test_differs_nowhere(self, seed: int, widths: list[int], n: int, bias: bool) -> None:
        """Without biases all lines go through the middle."""
        p = compute_partition(mlp(2, *widths, n, seed=seed, bias=bias), square())
        found = compare(p, p)
        assert_true(found)
        assert found.differing_area == 0
        assert len(found.classes) == 0
        assert (found.largest_differences <= 64 * p.tolerance).all()
        assert found.n_cells == (p.areas > WIDTH_ROUNDINGS * UNIT_ROUNDOFF).sum()
        inner = p.edge_layer >= 0
        ends = p.vertices[p.edges]
        lengths = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
        np.testing.assert_allclose(found.shared_lengths[inner], lengths[inner], rtol=1e-9, atol=1e-13)

    @pytest.mark.slow
    @cases(8)
    @given(seeds=st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), bias=st.booleans(), n=st.integers(1, 4))
    def test_two_random_nets(self, seeds: tuple[int, int], bias: bool, n: int) -> None:
        p, q = (compute_partition(mlp(2, 6, 5, n, seed=s, bias=bias), square()) for s in seeds)
        found, back = compare(p, q), compare(q, p)
        assert_true(found)
        np.testing.assert_allclose(found.areas, back.areas.T, rtol=0, atol=AREA)
        np.testing.assert_allclose(found.largest_differences, back.largest_differences, rtol=1e-9)
        assert found.n_cells == back.n_cells

    def test_equal_logits_and_dead_units(self) -> None:
        net = mlp(2, 4, 3)
        with torch.no_grad():
            net[-1].weight.zero_()
            net[-1].bias.zero_()
            net[0].bias[0] = -100
            net[0].weight[1], net[0].bias[1] = net[0].weight[2], net[0].bias[2]
        p = compute_partition(net, square())
        found = compare(p, p)
        assert found.areas[0, 0] == pytest.approx(4, rel=AREA)
        assert found.differing_area == 0


@pytest.mark.slow
def test_from_files_without_torch(tmp_path: Path) -> None:
    for seed in (0, 1):
        compute_partition(balanced(mlp(2, 8, 3, seed=seed)), square()).save(tmp_path / f"{seed}.npz")
    p, q = (load_partition(tmp_path / f"{seed}.npz") for seed in (0, 1))
    nets = [compute_partition(balanced(mlp(2, 8, 3, seed=seed)), square()) for seed in (0, 1)]
    np.testing.assert_array_equal(compare(p, q).areas, compare(*nets).areas)
    program = f"from splinecam_widget import compare, load_partition\np = load_partition({str(tmp_path / '0.npz')!r})"
    assert imported(f"{program}\ncompare(p, p).table") == []


def test_text_and_table() -> None:
    p, q = half_plane(1, 0, 0), compute_partition(mlp(2, 5, 1), square())
    found = compare(p, q)
    assert found.table["n_cells"] == (p.n_cells, q.n_cells)
    assert found.table["boundary_length"][0] == pytest.approx(2)
    assert found.table["cell_slope_norm_mean"] == pytest.approx((1, q.slope_norms.mean()))
    assert repr(compare(p, p)) == "Comparison(1 cells in the overlay; predictions differ on 0% of the domain)"
    assert "largest difference of outputs" in str(found)
    assert "cell_area_mean" in str(found)


class TestRefuses:
    def test_what_is_no_partition(self) -> None:
        with pytest.raises(TypeError, match=r"^q: expected a partition, got dict"):
            compare(half_plane(1, 0, 0), {})  # type: ignore[arg-type]

    def test_another_number_of_outputs(self) -> None:
        with pytest.raises(ValueError, match=r"^q: expected as many outputs as p, 1, got 2"):
            compare(half_plane(1, 0, 0), compute_partition(mlp(2, 3, 2), square()))

    def test_another_domain(self) -> None:
        with pytest.raises(ValueError, match=r"^q: expected a partition of the domain of p, \[\[-1.0, -1.0\].*got \[\[-2.0"):
            compare(half_plane(1, 0, 0), compute_partition(mlp(2, 3, 1), square(2.0)))

    def test_another_slice_before_another_domain(self) -> None:
        net = mlp(5, 4, 1)
        plane = Slice.through(np.zeros(5), np.ones(5), np.eye(5)[0])
        p = compute_partition(net, plane)
        with pytest.raises(ValueError, match=r"^q: expected a partition of the slice of p, got one with another basis"):
            compare(p, compute_partition(net, Slice.through(np.zeros(5), np.eye(5)[1], np.eye(5)[0])))
        with pytest.raises(ValueError, match=r"^q: expected a partition of the domain of p"):
            compare(p, compute_partition(net, plane.with_domain(2 * plane.domain)))

    def test_a_part_says_so(self) -> None:
        net = mlp(2, 16, 16, 1)
        part = compute_partition(net, square(), max_cells=40)
        assert not part.is_complete
        with pytest.raises(ValueError, match=r"; q is \d+% of the area asked for$"):
            compare(half_plane(1, 0, 0), part)
        assert compare(part, part).differing_area == 0

    def test_another_slice(self) -> None:
        net = mlp(5, 4, 1)
        planes = [Slice.around(np.zeros(5)), Slice.around(np.zeros(5), seed=1), Slice.around(np.ones(5))]
        p, q, r = (compute_partition(net, plane) for plane in planes)
        with pytest.raises(ValueError, match=r"^q: expected a partition of the slice of p, got one with another basis: inputs"):
            compare(p, q)
        with pytest.raises(ValueError, match=r"got one with another origin: inputs at the same slice coordinates are up to 1"):
            compare(p, r)
        with pytest.raises(ValueError, match=r"^q: expected a slice of inputs of shape \(5,\), as p has, got \(2,\)"):
            compare(p, half_plane(1, 0, 0))

    def test_but_not_another_first_corner_or_anchors(self) -> None:
        net = mlp(2, 6, 2)
        plane = square()
        turned = plane.with_domain(np.roll(plane.domain, 1, axis=0)).with_anchors([[0, 0], [1, 0], [0, 1]])
        found = compare(compute_partition(net, plane), compute_partition(net, turned))
        assert found.differing_area == 0
        assert found.area == pytest.approx(4, rel=AREA)


@pytest.mark.slow
def test_large() -> None:
    p, q = (compute_partition(mlp(2, 800, 10, seed=s), square()) for s in (0, 1))
    found = compare(p, q)
    assert found.n_cells > 400_000
    assert found.area == pytest.approx(4, rel=1e-12)


def test_heads_must_be_the_same() -> None:
    plane = Slice.from_basis([0.0, 0.0], torch.eye(2))
    plain, headed = (compute_partition(f, plane) for f in (lambda x: x[:, :1], lambda x: torch.sigmoid(x[:, :1])))
    with pytest.raises(ValueError, match=r"q: expected the head of p, none, got sigmoid"):
        compare(plain, headed)


def test_long_thin_cells_meet_few_squares() -> None:
    """Diagonal stripes across the domain: each in the squares along it, not in all of its bounding box."""
    n = 400
    net = nn.Sequential(nn.Linear(2, n), nn.ReLU(), nn.Linear(n, 1)).double().eval()
    with torch.no_grad():
        net[0].weight.fill_(1.0)
        net[0].bias.copy_(torch.linspace(-1.9, 1.9, n))
    partition = compute_partition(net, Slice.from_basis([0.0, 0.0], torch.eye(2)))
    parts = parts_of(partition, winners_of(partition))
    boxes = _overlay_kernels.bounding_boxes(parts.points, parts.offsets)
    *_, side, starts, _ = _grid(parts.points, parts.offsets, boxes)
    assert starts[-1] <= 8 * side * len(parts.classes)
    found = compare(partition, partition)
    assert found.n_cells == partition.n_cells == n + 1
    assert found.differing_area == 0
    inner = partition.edge_layer >= 0
    np.testing.assert_allclose(found.shared_lengths[inner], partition.statistics().edge_lengths[inner], rtol=1e-12)


def test_the_text_names_its_columns() -> None:
    partition = compute_partition(lambda x: x[:, :1], Slice.from_basis([0.0, 0.0], torch.eye(2)))
    assert str(compare(partition, partition)).splitlines()[2].split() == ["first", "second"]
