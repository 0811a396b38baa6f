"""A slice in tiles: cuts are exact, and joined tiles are what computing the whole gives, also where lines run along seams."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from oracle import assert_same, mlp, square
from splinecam_widget.engine import tiling
from splinecam_widget.engine.compute import compute_partition
from splinecam_widget.engine.lowering import lower
from splinecam_widget.engine.network import Network
from splinecam_widget.engine.partition import Partition
from splinecam_widget.engine.slices import Slice, polygon_area, rectangle
from splinecam_widget.engine.tiling import cut_for, halves, united

DOMAINS = {
    "square": rectangle(-1, 1, -1, 1),
    "flat": rectangle(-1, 1, 0.1, 0.3),
    "triangle": np.array([[-0.9, -0.8], [0.7, -0.5], [0.1, 0.9]]),
    "octagon": 0.9 * np.stack([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)], axis=1),
    "sliver along the diagonal": np.array([[-1.0, -1.0], [1.0, 0.98], [1.0, 1.0], [-0.98, -0.9]]),
}


@pytest.fixture(scope="module")
def network() -> Network:
    return lower(mlp(2, 64, 64, 64, 3), (2,))


class Computer:
    """Computes the partitions of a network, and notes of which domains."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.domains: list[np.ndarray] = []

    def __call__(self, plane: Slice) -> Partition:
        self.domains.append(plane.domain)
        return compute_partition(self.network, plane)


def in_tiles(compute: Computer, plane: Slice, polygon: np.ndarray, n: int, cuts: list[tuple[int, float]]) -> Partition:
    """By `n` tiles, as a cluster does it; the cuts are added to those in the list."""
    cut = cut_for(polygon, n)
    if cut is None:
        return compute(plane.with_domain(polygon))
    cuts.append(cut)
    low, high = halves(polygon, *cut)
    return united(compute, plane, polygon, cut, in_tiles(compute, plane, low, n // 2, cuts),
                  in_tiles(compute, plane, high, n - n // 2, cuts))


@pytest.mark.parametrize("n", [2, pytest.param(3, marks=pytest.mark.slow), 16])
@pytest.mark.parametrize("name", DOMAINS)
def test_joined_tiles_are_the_whole(network: Network, name: str, n: int) -> None:
    plane = square().with_domain(DOMAINS[name])
    cuts: list[tuple[int, float]] = []
    compute = Computer(network)
    found = in_tiles(compute, plane, plane.domain, n, cuts)
    assert len(cuts) == n - 1
    assert len(compute.domains) == n, "something was computed twice"
    assert found.plane.domain is plane.domain
    assert_same(found, compute_partition(network, plane))


def test_a_slice_of_many_inputs(network: Network) -> None:
    numbers = np.random.default_rng(0).standard_normal((3, 6))
    plane = Slice.through(*numbers)
    deep = lower(mlp(6, 24, 24, 4, seed=1), (6,))
    assert_same(in_tiles(Computer(deep), plane, plane.domain, 8, []), compute_partition(deep, plane))


NETS = {
    "a line along the seam": [(1.0, 0, 0), (0, 1, 0.25), (1, 1, 0.1)],
    "a crossing on the seam": [(1, 1, 0), (1, -1, 0), (1, 0.3, -0.4)],
    "a line through the end of the seam": [(1, 0.5, 0.5), (0.2, 1, -0.3)],
    "all of them": [(1, 0, 0), (1, 1, 0), (1, -1, 0), (1, 0.5, 0.5), (0, 1, 0)],
}


class TestMending:
    """Seams along lines, through crossings, and ends of seams on lines."""

    @pytest.mark.parametrize("axis", [0, 1])
    @pytest.mark.parametrize("name", NETS)
    def test_a_seam_that_does_not_fit_is_moved(self, name: str, axis: int) -> None:
        compute = Computer(_lines(NETS[name], axis))
        plane = square()
        low, high = (compute(plane.with_domain(half)) for half in halves(plane.domain, axis, 0.0))
        assert tiling._joined(low, high, plane.domain, (axis, 0.0)) is None
        found = united(compute, plane, plane.domain, (axis, 0.0), low, high)
        assert_same(found, compute_partition(compute.network, plane))
        strips = compute.domains[2:]
        assert strips
        assert all(polygon_area(strip) < 0.5 * polygon_area(plane.domain) for strip in strips), "the whole was computed"

    def test_where_nothing_fits_the_whole_is_computed(self) -> None:
        """Lines along the seam and along every border of a strip about it."""
        places = [0.0, *(sign * share for share in tiling.STRIPS for sign in (-1, 1))]
        compute = Computer(_lines([(1.0, 0.0, place) for place in places] + [(0.3, 1, 0.1)], 0))
        plane = square()
        low, high = (compute(plane.with_domain(half)) for half in halves(plane.domain, 0, 0.0))
        found = united(compute, plane, plane.domain, (0, 0.0), low, high)
        assert_same(found, compute_partition(compute.network, plane))
        assert np.array_equal(compute.domains[-1], plane.domain)

    def test_a_triangle(self) -> None:
        plane = square().with_domain(DOMAINS["triangle"])
        compute = Computer(_lines(NETS["all of them"], 0))
        low, high = (compute(plane.with_domain(half)) for half in halves(plane.domain, 0, 0.0))
        assert_same(united(compute, plane, plane.domain, (0, 0.0), low, high), compute(plane))

    def test_symmetric_lines_are_not_where_cuts_are(self) -> None:
        """A grid of lines at simple ratios, cut for many numbers of tiles."""
        grid = {k / m for m in range(1, 17) for k in range(m + 1)}
        for n in range(2, 40):
            cut = cut_for(rectangle(0, 1, 0, 1), n)
            assert cut is not None
            assert min(abs(cut[1] - place) for place in grid) > 2.0**-20


def _lines(rows: list[tuple[float, float, float]], axis: int) -> Network:
    """Units `a x + b y + c`, with x and y exchanged for the second axis, and a second layer over them."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, len(rows)), nn.ReLU(), nn.Linear(len(rows), 4), nn.ReLU(), nn.Linear(4, 1)).double().eval()
    with torch.no_grad():
        weights = torch.tensor([row[:2] for row in rows], dtype=torch.float64)
        net[0].weight.copy_(weights if axis == 0 else weights.flip(1))
        net[0].bias.copy_(torch.tensor([row[2] for row in rows], dtype=torch.float64))
    return lower(net, (2,))


class TestCuts:
    @pytest.mark.parametrize("n", [2, 5, pytest.param(16, marks=pytest.mark.slow)])
    @pytest.mark.parametrize("name", DOMAINS)
    def test_tiles_fill_the_domain_with_like_areas(self, name: str, n: int) -> None:
        areas = _areas(DOMAINS[name], n)
        assert len(areas) == n
        whole = polygon_area(DOMAINS[name])
        assert sum(areas) == pytest.approx(whole, rel=1e-12)
        assert max(areas) < 1.2 * whole / n

    @given(st.integers(3, 9), st.floats(0.01, 0.99), st.integers(0, 1), st.integers(0, 1000))
    def test_halves_share_a_side_to_the_bit(self, k: int, share: float, axis: int, seed: int) -> None:
        angles = np.sort(np.random.default_rng(seed).uniform(0, 2 * np.pi, k))
        polygon = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        low, high = polygon[:, axis].min(), polygon[:, axis].max()
        at = float(low + share * (high - low))
        if (polygon[:, axis] == at).any():
            return
        below, above = halves(polygon, axis, at)
        for side, ends in ((below, below[below[:, axis] == at]), (above, above[above[:, axis] == at])):
            assert ends.shape == (2, 2)
            assert len(np.unique(side, axis=0)) == len(side)
        assert {*map(tuple, below[below[:, axis] == at])} == {*map(tuple, above[above[:, axis] == at])}
        assert below[:, axis].max() == at == above[:, axis].min()
        assert polygon_area(below) + polygon_area(above) == pytest.approx(polygon_area(polygon), rel=1e-9, abs=1e-12)
        assert min(polygon_area(below), polygon_area(above)) >= 0

    def test_one_tile_and_a_deep_zoom_are_left_whole(self) -> None:
        assert cut_for(rectangle(0, 1, 0, 1), 1) is None
        assert cut_for(rectangle(1e6, 1e6 + 0.1, 0, 1), 2) is None
        assert cut_for(rectangle(1, 1.001, 0, 0.001), 16) is not None


def _areas(polygon: np.ndarray, n: int) -> list[float]:
    cut = cut_for(polygon, n)
    if cut is None:
        return [polygon_area(polygon)]
    low, high = halves(polygon, *cut)
    return _areas(low, n // 2) + _areas(high, n - n // 2)


def test_too_many_cells_for_one_partition_are_refused(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    plane = square()
    compute = Computer(network)
    low, high = (compute(plane.with_domain(half)) for half in halves(plane.domain, 0, 0.1))
    monkeypatch.setattr(tiling, "MOST_CELLS", low.n_cells + high.n_cells - 1)
    with pytest.raises(ValueError, match=r"plane: expected at most .* cells for one partition.*partition_many"):
        united(compute, plane, plane.domain, (0, 0.1), low, high)
