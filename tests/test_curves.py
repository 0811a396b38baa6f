"""Curves by knots: interpolants stay within their tolerance of torch's own functions, and cells end where curves bend."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from oracle import assert_consistent, assert_same, square
from splinecam_widget.engine.compute import compute_partition
from splinecam_widget.engine.curves import APPROXIMABLE, PERIODIC, SMOOTH, table_of
from splinecam_widget.engine.errors import UnsupportedModelError
from splinecam_widget.engine.explain import explain
from splinecam_widget.engine.explorer import Explorer
from splinecam_widget.engine.lowering import lower
from splinecam_widget.engine.partition import Partition
from splinecam_widget.engine.pieces import interpolated
from splinecam_widget.engine.slices import Slice, rectangle
from splinecam_widget.nn import PiecewiseLinear, PositionalEncoding

TORCH: dict[str, tuple[Callable[..., torch.Tensor], list[dict[str, Any]]]] = {
    "tanh": (torch.tanh, [{}]), "sigmoid": (torch.sigmoid, [{}]), "silu": (F.silu, [{}]), "mish": (F.mish, [{}]),
    "softplus": (F.softplus, [{}, {"beta": 5.0}, {"beta": 0.2}]), "log_sigmoid": (F.logsigmoid, [{}]),
    "elu": (F.elu, [{}, {"alpha": 0.3}, {"alpha": 3.0}, {"alpha": -1.0}]), "selu": (F.selu, [{}]),
    "celu": (F.celu, [{}, {"alpha": 2.5}, {"alpha": 0.1}]), "gelu": (F.gelu, [{}, {"approximate": "tanh"}]),
    "hardswish": (F.hardswish, [{}]), "erf": (torch.erf, [{}]), "sin": (torch.sin, [{}]), "cos": (torch.cos, [{}]),
}
CURVES = [pytest.param(name, given, id=" ".join([name, *(f"{k}={v}" for k, v in given.items())]))
          for name, (_, every) in TORCH.items() for given in every]
SLACK = 1e-8
"""torch's softplus is the identity above 20 / beta, where the function itself is 2e-9 / beta higher."""


def of_torch(name: str, given: dict[str, Any]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: TORCH[name][0](torch.from_numpy(x), **given).numpy()


def interpolant(name: str, given: dict[str, Any], tolerance: float) -> Callable[[np.ndarray], np.ndarray]:
    knots, values, period = table_of(name, given, tolerance)
    assert (np.diff(knots) > 0).all()
    return lambda x: interpolated(*map(torch.from_numpy, (x, knots, values)), period).numpy()


def test_every_smooth_activation_is_tried() -> None:
    assert set(TORCH) == APPROXIMABLE == {*SMOOTH, *PERIODIC}


@pytest.mark.parametrize("tolerance", [1e-1, 1e-2, 1e-3, pytest.param(1e-4, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("name", "given"), CURVES)
def test_an_interpolant_stays_within_its_tolerance(name: str, given: dict[str, Any], tolerance: float) -> None:
    """Everywhere: densely near zero and near the knots, and far out."""
    knots = table_of(name, given, tolerance)[0]
    x = np.concatenate([np.linspace(-60, 60, 12_001), (knots[1:] + knots[:-1]) / 2, knots, [-1e3, -300.0, 300, 1e3]])
    error = np.abs(interpolant(name, given, tolerance)(x) - of_torch(name, given)(x)).max()
    assert error <= tolerance + SLACK


@pytest.mark.parametrize(("name", "given"), [p for p in CURVES if p.values[0] in SMOOTH])
def test_bounds_of_third_derivatives_hold(name: str, given: dict[str, Any]) -> None:
    """Against differences of the stated second derivative, and that against differences of torch's function."""
    smooth = SMOOTH[name](given)
    x = np.linspace(-30, 30, 60_001)
    away = np.min([np.full(len(x), np.inf), *(np.abs(x - c) for c in smooth.corners)], axis=0) > 0.01
    third = np.gradient(smooth.second(x), x)
    assert np.abs(third[away]).max() <= smooth.third * 1.001 + 1e-9
    h = 1e-3
    f = of_torch(name, given)
    second = (f(x + h) - 2 * f(x) + f(x - h)) / h**2
    # h^2 / 12 times a fourth derivative below 1e4, rounding, and where torch's softplus becomes the identity, `SLACK`.
    np.testing.assert_allclose(smooth.second(x)[away], second[away], rtol=0, atol=SLACK / h**2)


@pytest.mark.parametrize(("name", "given"), CURVES)
def test_there_are_few_knots(name: str, given: dict[str, Any]) -> None:
    """The best interpolant has one knot for every 8 tolerance = h^2 |f''|, so the integral of sqrt(|f''| / (8 tolerance))."""
    x, h = np.linspace(-60, 60, 120_001) if name in SMOOTH else np.linspace(0, 2 * np.pi, 10_001), 1e-3
    f = of_torch(name, given)
    second = np.abs(f(x + h) - 2 * f(x) + f(x - h)) / h**2
    second[second < 1e-7] = 0  # rounding
    for corner in SMOOTH[name](given).corners if name in SMOOTH else ():
        second[np.abs(x - corner) < 2 * h] = 0  # a knot stands there
    size = np.sqrt(second).sum() * (x[1] - x[0])
    counts = {tolerance: len(table_of(name, given, tolerance)[0]) for tolerance in (1e-1, 1e-2, 1e-3, 2.5e-4)}
    for tolerance, count in counts.items():
        assert count <= 1.75 * size / math.sqrt(8 * tolerance) + 8
    assert 1.6 < counts[2.5e-4] / counts[1e-3] < 2.4, "four times as near takes twice the knots"


class TestArguments:
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)).eval()

    @pytest.mark.parametrize("approximate", [0, -1, float("nan"), float("inf"), 0.0, 9e-11, True, "0.1"])
    def test_what_is_no_tolerance_is_named(self, approximate: float) -> None:
        text = r"^approximate: expected a finite number from 1e-10 on, or None, got"
        with pytest.raises(ValueError, match=text):
            compute_partition(self.net, square(), approximate=approximate)
        with pytest.raises(ValueError, match=text):
            lower(self.net, (2,), approximate=approximate)
        with pytest.raises(ValueError, match=text):
            explain(self.net, torch.zeros(2), approximate=approximate)

    def test_without_a_tolerance_it_is_refused_with_a_hint(self) -> None:
        with pytest.raises(UnsupportedModelError, match=r"smooth, not piecewise linear \(see approximate=\)"):
            compute_partition(self.net, square())

    @pytest.mark.parametrize("function", [
        lambda x: F.softplus(x, beta=-1.0), lambda x: F.celu(x, alpha=-1.0), lambda x: F.softplus(x, beta=0.0)])
    def test_arguments_that_make_no_such_curve_are_refused(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        with pytest.raises(UnsupportedModelError, match=r"expected to be positive"):
            compute_partition(lambda x: function(x).sum(1, keepdim=True), square(), approximate=0.1)


def on_first(*blocks: nn.Module) -> nn.Sequential:
    """Blocks on the first coordinate of the plane alone."""
    first = nn.Linear(2, 1, bias=False).double()
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0, 0.0]]))
    return nn.Sequential(first, *blocks).double().eval()


def strips(partition: Partition) -> np.ndarray:
    """Where vertical strips end, from left to right."""
    assert_consistent(partition)
    x = partition.vertices[partition.edges[partition.edge_layer >= 0], 0]
    np.testing.assert_allclose(x[:, 0], x[:, 1], rtol=0, atol=2.0**-48)
    return np.sort(x[:, 0])


class TestPartition:
    def test_a_triangle_wave_cuts_strips_of_half_a_period(self) -> None:
        """Of 8 u_0 with extremes half a unit from every whole number: 16 lines, 15 strips of width 1/8, two of 1/16."""
        first = nn.Linear(1, 1, bias=False).double()
        with torch.no_grad():
            first.weight.fill_(8.0)
        wave = PiecewiseLinear([0.0, 0.5, 1.5], [0.0, 1.0, -1.0], period=2.0)
        partition = compute_partition(on_first(first, wave), square())
        np.testing.assert_allclose(strips(partition), (np.arange(-8, 8) + 0.5) / 8, rtol=0, atol=2.0**-50)
        assert partition.n_cells == partition.n_regions == 17
        np.testing.assert_allclose(np.sort(partition.areas), [1 / 8] * 2 + [1 / 4] * 15, rtol=0, atol=2.0**-48)
        assert partition.certificate(full=True).is_sound

    def test_cuts_lie_at_the_knots(self) -> None:
        knots = [-3.0, -0.75, -0.5, 0.125, 0.875, 2.0]
        partition = compute_partition(on_first(PiecewiseLinear(knots, [0.0, 1.0, -1.0, 2.0, 0.5, 7.0])), square())
        np.testing.assert_allclose(strips(partition), knots[1:-1], rtol=0, atol=2.0**-51)
        (numbers,) = partition.patterns(np.argsort(partition.centroids[:, 0]))
        assert np.diff(numbers[:, 0]).tolist() == [1, 1, 1, 1]
        expected = np.interp(partition.vertices[:, 0], knots, [0.0, 1.0, -1.0, 2.0, 0.5, 7.0])
        np.testing.assert_allclose(partition.values[:, 0], expected, rtol=0, atol=2.0**-46)

    def test_outer_knots_do_not_bend(self) -> None:
        partition = compute_partition(on_first(PiecewiseLinear([-0.5, 0.25, 0.5], [0.0, 1.0, -1.0])), square())
        np.testing.assert_allclose(strips(partition), [0.25], rtol=0, atol=2.0**-51)

    def test_knots_at_which_the_slope_stays_leave_no_edge(self) -> None:
        """In float64: the numbers of a float32 module are rounded so that it does bend there, by 1e-7."""
        knots = np.linspace(-0.9, 0.8, 18)
        line, bent = 3 * knots - 1, 3 * knots - 1 + np.maximum(0.0, 2 * (knots - knots[10]))
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            straight, once, twice = (PiecewiseLinear(knots.tolist(), values.tolist(), period) for values, period in (
                (line, None), (bent, None), (np.zeros(18), 2.0)))
        finally:
            torch.set_default_dtype(before)
        assert compute_partition(on_first(straight), square()).n_cells == 1
        np.testing.assert_allclose(strips(compute_partition(on_first(once), square())), knots[10:11], rtol=0, atol=2.0**-48)
        assert compute_partition(on_first(twice), square(5)).n_cells == 1

    def test_a_knot_at_the_domains_border_cuts_nothing(self) -> None:
        block = PiecewiseLinear([-1.0, 0.0, 1.0], [0.0, 1.0, 5.0], period=3.0)
        np.testing.assert_allclose(strips(compute_partition(on_first(block), square())), [0.0], rtol=0, atol=2.0**-51)

    @pytest.mark.parametrize("period", [2.0, 0.3, 7.0])
    def test_piece_numbers_count_pieces_on_both_sides_of_zero(self, period: float) -> None:
        knots = (period * np.array([0.05, 0.3, 0.8])).tolist()
        partition = compute_partition(on_first(PiecewiseLinear(knots, [0.0, 1.0, -2.0], period)), square(3.0))
        ends = np.sort((np.array(knots) + period * np.arange(-30, 30)[:, None]).ravel())
        ends = ends[np.abs(ends) < 3]
        np.testing.assert_allclose(strips(partition), ends, rtol=0, atol=2.0**-20)  # knots are float32 numbers
        (numbers,) = partition.patterns(np.argsort(partition.centroids[:, 0]))
        assert (np.diff(numbers[:, 0]) == 1).all()
        u = np.random.default_rng(0).uniform(-3, 3, (500, 2))
        (sampled,) = partition.patterns(u)
        np.testing.assert_array_equal(sampled, partition.patterns(partition.locate(u))[0])
        assert partition.certificate(full=True).is_sound

    def test_a_curve_like_relu_cuts_as_relu_does(self) -> None:
        torch.manual_seed(0)
        body, head = nn.Linear(2, 12).double(), nn.Linear(12, 2).double()
        bend = PiecewiseLinear([-1.0, 0.0, 1.0], [0.0, 0.0, 1.0])
        found = compute_partition(nn.Sequential(body, bend, head).eval(), square(3))
        expected = compute_partition(nn.Sequential(body, nn.ReLU(), head).eval(), square(3))
        assert found.n_cells == expected.n_cells
        where = found.locate(expected.centroids)
        assert len(np.unique(where)) == found.n_cells
        np.testing.assert_allclose(found.areas[where], expected.areas, rtol=0, atol=2.0**-40)
        np.testing.assert_array_equal(np.sort(found.edge_unit), np.sort(expected.edge_unit))

    def test_a_positional_encoding_cuts_a_grid(self) -> None:
        """Four knots a period bend sine and cosine at multiples of half a unit of 2^l u: sin at odd, cos at even ones."""
        net = nn.Sequential(PositionalEncoding(2, 4), nn.Linear(8, 2)).double().eval()
        partition = compute_partition(net, square())
        assert_consistent(partition)
        lines = np.arange(-1, 1, 0.25)[1:]  # at l = 1; those of l = 0 are among them
        assert partition.n_cells == (len(lines) + 1) ** 2
        np.testing.assert_allclose(partition.areas, 1 / 16, rtol=0, atol=2.0**-40)
        assert partition.certificate(full=True).is_sound


def wavy(seed: int = 0) -> nn.Sequential:
    """Curves after curves, with periods and without, and a ReLU between."""
    torch.manual_seed(seed)
    wave = PiecewiseLinear([-0.4, 0.1, 0.5], [0.3, -0.7, 0.9], period=1.3)
    bump = PiecewiseLinear([-0.5, -0.2, 0.3, 0.4], [0.0, 0.4, -0.3, 0.1])
    layers = [nn.Linear(2, 5), wave, nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 4), bump, nn.Linear(4, 2)]
    return nn.Sequential(*layers).double().eval()


class TestOtherDomains:
    def test_hashes_are_the_same_where_domains_overlap(self) -> None:
        network = lower(wavy(), (2,))
        first = compute_partition(network, square().with_domain(rectangle(-1, 1, -1, 1)))
        second = compute_partition(network, square().with_domain(rectangle(-0.5, 1.75, -3, 0.625)))
        u = np.random.default_rng(0).uniform([-0.5, -1], [1, 0.625], (4000, 2))
        here, there = first.planar.cell_hashes[first.locate(u)], second.planar.cell_hashes[second.locate(u)]
        np.testing.assert_array_equal(here, there)
        for partition in (first, second):
            assert len(np.unique(partition.planar.cell_hashes)) == partition.n_cells

    @pytest.mark.parametrize("view", [
        rectangle(-0.3, 0.4, -0.2, 0.5), rectangle(0.1, 0.101, 0.2, 0.201), rectangle(-0.5, 1.5, -1, 1),
        rectangle(5, 6, 5, 6), np.array([[-0.9, -0.8], [0.7, -0.5], [0.1, 0.9]]),
    ], ids=["zoom in", "zoom in by a thousand", "pan", "elsewhere", "triangle"])
    @pytest.mark.slow
    def test_an_explorer_shows_what_is_there(self, view: np.ndarray) -> None:
        network, plane = lower(wavy(1), (2,)), square()
        explorer = Explorer(network, plane)
        explorer.show(plane)
        assert_same(explorer.show(plane.with_domain(view)), compute_partition(network, plane.with_domain(view)))


SMOOTH_NETS = {"tanh": (torch.tanh, nn.Tanh, 1.0), "gelu": (F.gelu, nn.GELU, 1.13), "sin": (torch.sin, None, 1.0),
               "softplus": (F.softplus, nn.Softplus, 1.0), "silu": (F.silu, nn.SiLU, 1.1)}
"""Function, module and largest slope."""


class Smooth(nn.Module):
    """A small net of one smooth activation."""

    def __init__(self, name: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linears = nn.ModuleList([nn.Linear(3, 6), nn.Linear(6, 5), nn.Linear(5, 2)])
        self.name = name

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second, last = self.linears
        bend = SMOOTH_NETS[self.name][0]
        return last(bend(second(bend(first(x)))))

    def largest_deviation(self, tolerance: float) -> np.ndarray:
        """Of each output, when every unit is off by at most `tolerance`: errors pass weights by their magnitudes."""
        slope = SMOOTH_NETS[self.name][2]
        _, second, last = (layer.weight.detach().double().abs().numpy() for layer in self.linears)
        after = tolerance + slope * (second @ np.full(6, tolerance))
        return last @ after


class TestApproximation:
    @pytest.mark.slow
    @pytest.mark.parametrize("tolerance", [0.1, 0.01])
    @pytest.mark.parametrize("name", SMOOTH_NETS)
    def test_maps_are_as_near_to_the_model_as_its_units_are(self, name: str, tolerance: float) -> None:
        model = Smooth(name).eval()
        plane = Slice.around(np.zeros(3), seed=1, radius=2.0)
        partition = compute_partition(model, plane, approximate=tolerance)
        assert_consistent(partition)
        low, high = plane.domain.min(axis=0), plane.domain.max(axis=0)
        u = np.random.default_rng(0).uniform(low, high, (2000, 2))
        cells = partition.locate(u)
        A, b = partition.affine_maps()
        by_map = np.einsum("nki,ni->nk", A[cells], u) + b[cells]
        with torch.no_grad():
            true = model.double()(torch.from_numpy(plane.to_input(u))).numpy()
        bound = model.largest_deviation(tolerance)
        assert (np.abs(by_map - true) <= bound + 1e-12).all()
        assert np.abs(by_map - true).max() > bound.max() / 1000, "it is an approximation"
        certificate = partition.certificate(full=True)
        assert certificate.is_sound, str(certificate)
        for here, there in zip(partition.patterns(cells), partition.patterns(u)):
            np.testing.assert_array_equal(here, there)
        assert [step.deviation for step in partition.network.approximations] == [tolerance] * 2

    def test_what_is_piecewise_linear_stays_exact(self) -> None:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2)).double().eval()
        found, expected = compute_partition(net, square(), approximate=0.5), compute_partition(net, square())
        np.testing.assert_array_equal(found.values, expected.values)
        assert not found.network.approximations
        assert found.certificate().compared_with == "the model itself in float64"


@pytest.mark.parametrize(("module", "tolerance"), [(nn.ELU(1e-3), 0.01), (nn.CELU(0.1), 0.5), (nn.Tanh(), 2.5)])
def test_asymptotes_that_are_both_near_enough_meet(module: torch.nn.Module, tolerance: float) -> None:
    module = module.eval()
    partition = compute_partition(lambda x: 1 - module(x), square(100.0), approximate=tolerance)
    u = np.random.default_rng(0).uniform(-100, 100, (500, 2))
    A, b = partition.affine_maps(partition.locate(u))
    found = np.einsum("nki,ni->nk", A, u) + b
    assert np.abs(found - 1 + module(torch.from_numpy(u)).numpy()).max() <= tolerance


def test_a_softplus_that_jumps_at_its_threshold_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match=r"jumps by .* at its threshold"):
        compute_partition(lambda x: torch.nn.functional.softplus(x, 1, 0.5), square(), approximate=0.01)
