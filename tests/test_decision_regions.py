"""Decision regions against exact rational arithmetic and networkx, shapely's unions, and nets whose regions are known."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from functools import reduce
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
import shapely
import torch
from hypothesis import given
from torch import nn

from cases import cases
from oracle import ExactCell, _overlaps, exact_cells, exact_wins, mlp, square
from splinecam_widget import load_partition
from splinecam_widget.analysis.decision_regions import DecisionRegions
from splinecam_widget.engine import graph
from splinecam_widget.engine.compute import compute_partition
from splinecam_widget.engine.slices import Slice
from test_boundary import affine_classifier, affine_classifier_of
from test_properties import domains, nets, plane_of

RELATIVE = 1e-9
"""Of areas: those of cells of small nets, whose vertices are off by 2^-20 of the domain at most and mostly by 2^-45."""

SLIVER = 1e-12
"""Area of what rounding may leave open between two parts that meet: 2^-45 of the side of the domain, times its length."""


def regions_of(net: Any, plane: Slice | None = None, level: float = 0.0) -> DecisionRegions:
    return compute_partition(net, square() if plane is None else plane).decision_regions(level)


def summary(found: DecisionRegions) -> list[tuple[int, float, bool, int]]:
    """Class, area, touches the border, holes of every component."""
    areas = np.round(found.areas, 9).tolist()
    return sorted(zip(found.classes.tolist(), areas, found.touches_border.tolist(), found.holes.tolist()))


def column(f: Any) -> Any:
    """A model of one output from a function of the two coordinates (n,)."""
    return lambda x: f(x[:, 0], x[:, 1])[:, None]


@pytest.mark.usefixtures("backend")
class TestKnownRegions:
    """One output, class 1 where it is above 0: polygons that can be told by hand."""

    def test_a_diamond_is_a_hole_of_what_is_around_it(self) -> None:
        found = regions_of(column(lambda x, y: 0.5 - x.abs() - y.abs()))
        assert summary(found) == [(0, 3.5, True, 1), (1, 0.5, False, 0)]
        assert found.n_parts.tolist() == [4, 4]

    def test_a_ring_has_a_hole_that_is_no_ring(self) -> None:
        found = regions_of(column(lambda x, y: 0.25 - (torch.maximum(x.abs(), y.abs()) - 0.5).abs()))
        assert summary(found) == [(0, 0.25, False, 0), (0, 1.75, True, 1), (1, 2.0, False, 1)]

    def test_classes_that_meet_at_a_point_are_not_connected_there(self) -> None:
        """A checkerboard of two by two: |x + y| - |x - y| has the sign of x y."""
        found = regions_of(column(lambda x, y: (x + y).abs() - (x - y).abs()))
        assert summary(found) == [(0, 1.0, True, 0)] * 2 + [(1, 1.0, True, 0)] * 2

    def test_a_checkerboard_whose_lines_are_edges(self) -> None:
        """The larger of min(x, y) and min(-x, -y): a part of each cell of the lines x = 0, y = 0 and x = +-y is its own."""
        found = regions_of(column(lambda x, y: torch.maximum(torch.minimum(x, y), torch.minimum(-x, -y))))
        assert summary(found) == [(0, 1.0, True, 0)] * 2 + [(1, 1.0, True, 0)] * 2

    def test_places_that_meet_at_a_point_are_two_holes(self) -> None:
        found = regions_of(column(lambda x, y: 0.25 - torch.minimum((x - 0.25).abs(), (x + 0.25).abs()) - y.abs()))
        assert summary(found) == [(0, 3.75, True, 2), (1, 0.125, False, 0), (1, 0.125, False, 0)]

    def test_a_chain_of_squares_that_touch_at_corners_is_several(self) -> None:
        """Class 0 between the four is apart from class 0 around them, whose hole is all of them together."""
        def chain(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            beside, above = torch.maximum((x.abs() - 0.5).abs(), y.abs()), torch.maximum(x.abs(), (y.abs() - 0.5).abs())
            return 0.25 - torch.minimum(beside, above)

        assert summary(regions_of(column(chain))) == [(0, 0.25, False, 0), (0, 2.75, True, 1)] + [(1, 0.25, False, 0)] * 4

    def test_what_closes_at_a_point_has_a_hole(self) -> None:
        """Four boxes around a square; the last one meets the first at a corner only, the others overlap."""
        boxes = [(-0.75, -0.25, -0.75, 0.75), (-0.75, 0.75, -0.75, -0.25), (0.25, 0.75, -0.5, 0.25), (-0.5, 0.25, 0.25, 0.75)]

        def depth(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            depths = [reduce(torch.minimum, (x - left, right - x, y - low, high - y)) for left, right, low, high in boxes]
            return reduce(torch.maximum, depths)

        assert summary(regions_of(column(depth))) == [(0, 0.25, False, 0), (0, 2.0, True, 1), (1, 1.75, False, 1)]

    def test_a_line_on_which_another_class_wins_separates_nothing(self) -> None:
        assert summary(regions_of(column(lambda x, y: x.abs()))) == [(1, 4.0, True, 0)]

    def test_what_touches_the_border_at_a_point_is_a_hole(self) -> None:
        found = regions_of(column(lambda x, y: 0.5 - (x - 0.5).abs() - y.abs()))
        assert summary(found) == [(0, 3.5, True, 1), (1, 0.5, False, 0)]

    def test_what_has_a_piece_of_the_border_is_none(self) -> None:
        found = regions_of(column(lambda x, y: 0.5 - (x - 0.75).abs() - y.abs()))
        assert summary(found) == [(0, 4 - 0.4375, True, 0), (1, 0.4375, True, 0)]

    def test_the_level_moves_the_classes(self) -> None:
        found = regions_of(column(lambda x, y: -x.abs() - y.abs()), level=-0.5)
        assert summary(found) == [(0, 3.5, True, 1), (1, 0.5, False, 0)]

    def test_stripes(self) -> None:
        """A wave of period 1 cuts the square into stripes; all reach the border."""
        found = regions_of(column(lambda x, y: (torch.minimum((x - 0.5).abs(), (x + 0.5).abs()) - 0.25)))
        assert summary(found) == [(0, 1.0, True, 0)] * 2 + [(1, 0.5, True, 0)] * 2 + [(1, 1.0, True, 0)]


class TestSeveralClasses:
    """Ties along edges, at corners, of many classes, and of all."""

    def test_three_classes_that_meet_in_one_cell(self) -> None:
        angles = np.arange(3) * 2 * np.pi / 3
        found = regions_of(affine_classifier(*[(float(np.cos(a)), float(np.sin(a)), 0.0) for a in angles]))
        assert found.classes.tolist() == [0, 1, 2]
        assert found.n_parts.tolist() == [1, 1, 1]
        np.testing.assert_allclose(found.areas.sum(), 4, rtol=RELATIVE)

    @pytest.mark.parametrize("rows", [((1, 2, 3), (1, 2, 3)), ((0, 0, 0),) * 4, ((0, 0, 1), (0, 0, 0))])
    def test_without_a_boundary_there_is_one(self, rows: Any) -> None:
        found = regions_of(affine_classifier(*rows))
        assert summary(found) == [(0, 4.0, True, 0)]
        assert found.components_without(np.zeros((0, 2))).tolist() == [0]
        assert found.components_without([[0.0, 0.0]]).tolist() == []

    def test_a_tie_along_an_edge_goes_to_who_wins_beside_it(self) -> None:
        """Logits relu(x) and 0: they tie on all of x <= 0, where class 0 wins, and on the edge."""
        found = regions_of(lambda x: torch.stack([torch.zeros_like(x[:, 0]), torch.relu(x[:, 0])], dim=1))
        assert summary(found) == [(0, 2.0, True, 0), (1, 2.0, True, 0)]
        assert found.n_parts.tolist() == [1, 1]

    def test_ties_along_an_edge_that_another_class_covers_in_part(self) -> None:
        """Logits relu(x), relu(-x) and relu(y) - 1/4: the first two meet on x = 0 below y = 1/4 only."""
        found = regions_of(lambda x: torch.stack(
            [torch.relu(x[:, 0]), torch.relu(-x[:, 0]), torch.relu(x[:, 1]) - 0.25], dim=1))
        assert summary(found) == [(0, 1.71875, True, 0), (1, 1.71875, True, 0), (2, 0.5625, True, 0)]

    def test_who_wins_on_both_sides_of_a_tie_goes_on_across_it(self) -> None:
        """Logits 0, |x| and y - 1/4: class 1 ties with class 0 on the edge x = 0, on the part below class 2."""
        found = regions_of(lambda x: torch.stack([torch.zeros_like(x[:, 0]), x[:, 0].abs(), x[:, 1] - 0.25], dim=1))
        assert summary(found) == [(1, 4 - 0.5625, True, 0), (2, 0.5625, True, 0)]

    def test_who_is_above_each_other_class_on_some_of_an_edge_need_not_win_there(self) -> None:
        """Logits y, -y and |x| - 1/5: on x = 0, the third is above y for low y, above -y for high y, and never the largest."""
        found = regions_of(lambda x: torch.stack([x[:, 1], -x[:, 1], x[:, 0].abs() - 0.2], dim=1))
        assert summary(found) == [(0, 1.36, True, 0), (1, 1.36, True, 0), (2, 0.64, True, 0), (2, 0.64, True, 0)]

    def test_duplicate_units_and_lines_through_corners(self) -> None:
        """Class 1 wins above the diagonal, made by three equal units."""
        found = regions_of(nn.Sequential(
            affine_classifier((1, -1, 0), (1, -1, 0), (-2, 2, 0)), nn.ReLU(),
            affine_classifier_of(torch.tensor([[0.0, 0, 0], [-1, -1, 1]]), torch.zeros(2))).eval())
        assert summary(found) == [(0, 2.0, True, 0), (1, 2.0, True, 0)]


def exact_components(cells: list[ExactCell], plane: Slice) -> tuple[Any, list[tuple[int, ExactCell]]]:
    """Components of exact parts as a networkx graph: nodes with class, area, parts and holes, and the outside, -1."""
    if len(cells[0].outputs) == 1:
        zero = (Fraction(0), Fraction(0), Fraction(0))
        cells = [ExactCell(c.corners, c.pattern, [zero, *c.outputs]) for c in cells]
    parts = exact_wins(cells)
    touching = nx.Graph()
    touching.add_nodes_from(range(len(parts)))
    touching.add_edges_from((i, j) for i, j, _ in _overlaps([part for _, part in parts]))
    corners = [(Fraction(float(x)), Fraction(float(y))) for x, y in plane.domain]
    for i, (_, part) in enumerate(parts):
        sides = zip(part.corners, part.corners[1:] + part.corners[:1])
        if any(_on_line(a, c, d) and _on_line(b, c, d) for a, b in sides for c, d in zip(corners, corners[1:] + corners[:1])):
            touching.add_edge(-1, i)
    same = nx.Graph((a, b) for a, b in touching.edges if a >= 0 and b >= 0 and parts[a][0] == parts[b][0])
    same.add_nodes_from(range(len(parts)))
    groups = [*nx.connected_components(same), {-1}]
    whole = nx.Graph(nx.quotient_graph(touching, groups))
    named = nx.relabel_nodes(whole, {group: -1 if -1 in group else min(group) for group in whole})
    for group in groups[:-1]:
        rest = named.subgraph(set(named) - {min(group)})
        named.nodes[min(group)].update(
            parts=group, label=parts[min(group)][0], area=float(sum(parts[i][1].area for i in group)),
            holes=sum(-1 not in piece for piece in nx.connected_components(rest)))
    return named, parts


def _on_line(p: Any, a: Any, b: Any) -> bool:
    return (b[0] - a[0]) * (p[1] - a[1]) == (b[1] - a[1]) * (p[0] - a[0])


@pytest.mark.slow
@cases(12)
@given(nets(max_depth=2), domains())
def test_components_are_those_of_rational_arithmetic(net: nn.Sequential, domain: np.ndarray) -> None:
    plane = plane_of(domain)
    expected, parts = exact_components(exact_cells(net, plane), plane)
    found = regions_of(net, plane)
    assert len(found.part_cells) == len(parts)
    middles = np.array([[float(c) for c in part.middle] for _, part in parts])
    ids = found.components_at(middles)
    components = [n for n in expected if n >= 0]
    assert len(found) == len(components)
    area = sum(expected.nodes[n]["area"] for n in components)
    for n in components:
        record = expected.nodes[n]
        mine = {int(ids[i]) for i in record["parts"]}
        assert len(mine) == 1, "one component is several"
        (i,) = mine
        assert found.classes[i] == record["label"]
        assert found.n_parts[i] == len(record["parts"])
        assert abs(found.areas[i] - record["area"]) <= RELATIVE * area
        assert found.touches_border[i] == expected.has_edge(-1, n)
        assert found.holes[i] == record["holes"]


def balanced(*widths: int, seed: int) -> nn.Sequential:
    """A random classifier of which all classes win somewhere."""
    net = mlp(*widths, seed=seed)
    with torch.no_grad():
        net[-1].bias -= net(torch.rand(500, 2, dtype=torch.float64) * 4 - 2).mean(0)
    return net


def islands(n_classes: int, seed: int, n: int = 24) -> Any:
    """Classes by the highest of many cones, steep ones and gentle ones, so that the steep ones are islands."""
    numbers = np.random.default_rng(seed)
    centres = torch.from_numpy(numbers.uniform(-2, 2, (n, 2)))
    heights, slopes = torch.from_numpy(numbers.uniform(0, 1, n)), torch.from_numpy(numbers.choice([0.5, 4.0], n))

    def classifier(x: torch.Tensor) -> torch.Tensor:
        cones = heights - slopes * (x[:, None, :] - centres).abs().sum(2)
        return torch.stack([cones[:, k::n_classes].amax(1) for k in range(n_classes)], dim=1)

    return classifier


@pytest.mark.parametrize(("n_classes", "seed"), [(3, 0), (3, 1), (4, 2)])
def test_unions_by_shapely_have_these_areas_and_holes(n_classes: int, seed: int) -> None:
    plane = square(2.0)
    found = regions_of(islands(n_classes, seed), plane)
    polygons = np.array([shapely.Polygon(corners) for corners in np.split(found.part_points, found.part_offsets[1:-1])])
    border = shapely.Polygon(plane.domain).exterior
    assert len(found) > 5
    assert found.holes.sum() > 0
    for i in range(len(found)):
        union = shapely.union_all(polygons[found.part_components == i])
        assert union.geom_type == "Polygon"
        assert sum(shapely.Polygon(ring).area > SLIVER for ring in union.interiors) == found.holes[i]
        np.testing.assert_allclose(union.area, found.areas[i], rtol=RELATIVE, atol=RELATIVE)
        assert (union.exterior.intersection(border).length > 0) == found.touches_border[i]
    for label in np.unique(found.classes):
        union = shapely.union_all(polygons[found.part_classes == label])
        assert len(shapely.get_parts(union)) == (found.classes == label).sum()


def test_both_ways_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    partition = compute_partition(islands(5, seed=3), square(2.0))
    ours = partition.decision_regions()
    monkeypatch.setattr(graph, "graph_tool", lambda: None)
    theirs = partition.decision_regions()
    for name in ("part_components", "classes", "areas", "n_parts", "touches_border", "holes"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))


class TestPoints:
    """Which component a point lies in, and which components hold none."""

    def test_components_are_those_of_the_class_that_wins(self) -> None:
        net = balanced(2, 24, 24, 4, seed=5)
        partition = compute_partition(net, square(2.0))
        found = partition.decision_regions()
        u = np.random.default_rng(0).uniform(-2.2, 2.2, (5000, 2))
        with torch.no_grad():
            z = np.sort(net(torch.from_numpy(u)).numpy(), axis=1)
            winners = net(torch.from_numpy(u)).argmax(1).numpy()
        inside = np.abs(u).max(axis=1) < 2
        ids = found.components_at(u)
        np.testing.assert_array_equal(ids >= 0, inside)
        clear = inside & (z[:, -1] - z[:, -2] > 1e-9)
        np.testing.assert_array_equal(found.classes[ids[clear]], winners[clear])
        # In a cell that is one part, the component is the cell's.
        cells = partition.locate(u)
        counts = np.bincount(found.part_cells, minlength=partition.n_cells)
        pure = inside & (counts[cells] == 1)
        np.testing.assert_array_equal(ids[pure], found.part_components[found._first_parts[cells[pure]]])

    def test_those_without_points(self) -> None:
        found = regions_of(column(lambda x, y: 0.25 - (torch.maximum(x.abs(), y.abs()) - 0.5).abs()))
        centre, ring, rest = (int(found.components_at([p])[0]) for p in ([0.0, 0.1], [0.5, 0.1], [0.9, 0.1]))
        assert {centre, ring, rest} == {0, 1, 2}
        points = [[0.01, 0.02], [0.9, 0.3], [7.0, 0.0]]
        assert found.components_without(points).tolist() == [ring]
        assert found.components_without(points, labels=[1, 0, 1]).tolist() == sorted([ring, centre])
        assert found.components_without(torch.tensor(points), labels=torch.tensor([0, 1, 1])).tolist() == sorted([ring, rest])
        assert found.components_without([]).tolist() == [0, 1, 2]

    def test_refuses_other_shapes(self) -> None:
        found = regions_of(affine_classifier((1, 0, 0), (-1, 0, 0)))
        with pytest.raises(ValueError, match=r"^points: expected slice coordinates of shape \(n, 2\), got \(3,\)"):
            found.components_at([0.0, 1.0, 2.0])
        with pytest.raises(ValueError, match=r"^labels: expected one for each of 2 points, got shape \(3,\)"):
            found.components_without([[0.0, 0.0], [0.1, 0.1]], labels=[0, 1, 2])


def test_refuses_levels_of_several_outputs_and_no_numbers() -> None:
    partition = compute_partition(affine_classifier((1, 0, 0), (-1, 0, 0)), square())
    with pytest.raises(ValueError, match=r"^level: expected 0 for a model with 2 outputs, got 0\.5"):
        partition.decision_regions(level=0.5)
    with pytest.raises(ValueError, match=r"^level: expected a finite number, got nan"):
        compute_partition(affine_classifier((1, 0, 0)), square()).decision_regions(level=float("nan"))


def test_from_a_file(tmp_path: Path) -> None:
    partition = compute_partition(balanced(2, 12, 12, 4, seed=5), square(2.0))
    partition.save(tmp_path / "p.npz")
    ours, theirs = partition.decision_regions(), load_partition(tmp_path / "p.npz").decision_regions()
    for name in ("part_components", "part_points", "classes", "areas", "holes"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))


def test_parts_are_in_order_and_fill_the_domain() -> None:
    partition = compute_partition(balanced(2, 24, 24, 4, seed=6), square(2.0))
    found = partition.decision_regions()
    keys = found.part_cells.astype(np.int64) * 4 + found.part_classes
    assert (np.diff(keys) > 0).all()
    filled: dict[int, float] = defaultdict(float)
    for cell, corners in zip(found.part_cells, np.split(found.part_points, found.part_offsets[1:-1])):
        filled[int(cell)] += shapely.Polygon(corners).area
    np.testing.assert_allclose([filled[c] for c in range(partition.n_cells)], partition.areas, rtol=1e-6, atol=1e-13)
    np.testing.assert_allclose(found.areas.sum(), 16, rtol=RELATIVE)
    assert (found.part_classes[found.part_links[:, 0]] == found.part_classes[found.part_links[:, 1]]).all()
