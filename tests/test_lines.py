"""Networks along lines: exact rationals, dense samples, partitions of slices through the line, and what is refused."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from architectures import architectures
from cases import cases
from oracle import UNIT_ROUNDOFF, mlp
from splinecam_widget import Slice, UnsupportedModelError, compute_line, compute_partition
from splinecam_widget.analysis.lines import LinePartition
from splinecam_widget.nn import PiecewiseLinear
from zoo import ZOO

ROUNDINGS = 2.0**14 * UNIT_ROUNDOFF
"""Relative to the largest output: some thousand roundings of an evaluation in the small nets here."""

NEAR = 2.0**-30
"""In t: nearer than this to a breakpoint, a rounded sample may lie on its other side."""


def exact_pieces(net: nn.Sequential, a: np.ndarray, b: np.ndarray) -> list[tuple[Fraction, Fraction, list[Any]]]:
    """Pieces (from, to, (slope, constant) of all outputs) of a ReLU net along a line, without rounding, piece by piece."""
    ends = [[Fraction(float(v)) for v in x] for x in (a, b)]
    pieces = [(Fraction(0), Fraction(1), [(q - p, p) for p, q in zip(*ends)])]
    for layer in net:
        if isinstance(layer, nn.Linear):
            weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
            pieces = [(s, t, [
                (sum((Fraction(float(w)) * m for w, (m, _) in zip(row, forms)), Fraction(0)),
                 sum((Fraction(float(w)) * c for w, (_, c) in zip(row, forms)), Fraction(float(shift))))
                for row, shift in zip(weight, bias)]) for s, t, forms in pieces]
        else:
            assert isinstance(layer, nn.ReLU)
            cut = []
            for s, t, forms in pieces:
                zeros = {-c / m for m, c in forms if m != 0 and s < -c / m < t}
                places = [s, *sorted(zeros), t]
                for left, right in pairwise(places):
                    middle = (left + right) / 2
                    cut.append((left, right, [f if f[0] * middle + f[1] > 0 else (Fraction(0), Fraction(0)) for f in forms]))
            pieces = cut
    return pieces


def ends_of(n: int, seed: int, half: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    numbers = np.random.default_rng(seed)
    return numbers.uniform(-half, half, n), numbers.uniform(-half, half, n)


def assert_like(line: LinePartition, model: Any, n: int = 2000) -> None:
    """Values, patterns and provenance are those of the model at random points."""
    t = np.random.default_rng(n).uniform(0, 1, n)
    with torch.no_grad():
        said = model(torch.from_numpy(line.to_input(t))).reshape(n, -1).numpy()
    size = float(np.abs(line.values).max()) + 1e-9
    np.testing.assert_allclose(line.at(t), said, rtol=0, atol=ROUNDINGS * size)
    assert (np.diff(line.t) > 0).all()
    assert line.t[[0, -1]].tolist() == [0.0, 1.0]
    cells = line.locate(t)
    clear = np.minimum(t - line.t[cells], line.t[cells + 1] - t) > NEAR
    wide = np.flatnonzero(np.diff(line.t) > NEAR)
    of_cell, of_point = line.patterns(np.arange(line.n_cells)), line.patterns(t)
    for here, there in zip(of_cell, of_point):
        np.testing.assert_array_equal(here[cells[clear]], there[clear])
    for i in wide[:-1][np.diff(wide) == 1]:
        columns = slice(line.unit[i], None, line.network.kinks[line.layer[i]].n_units)
        here = of_cell[line.layer[i]][:, columns]
        assert (here[i] != here[i + 1]).any(), "the unit of a breakpoint is on one piece on both sides"


class TestExactly:
    """Against exact rationals."""

    @pytest.mark.parametrize(("widths", "seed"), [((2, 12, 3), 0), ((3, 8, 8, 2), 1), ((2, 6, 6, 6, 1), 2), ((1, 9, 9, 1), 4)])
    def test_breakpoints_and_values(self, widths: tuple[int, ...], seed: int) -> None:
        net = mlp(*widths, seed=seed)
        a, b = ends_of(widths[0], seed)
        line, pieces = compute_line(net, a, b), exact_pieces(net, a, b)
        assert line.n_cells == len(pieces) > 3
        # A crossing is the quotient of two rounded values, the denominator of which is not small in these nets.
        np.testing.assert_allclose(line.t[:-1], [float(s) for s, _, _ in pieces], rtol=0, atol=2.0**-40)
        values = [[float(m * s + c) for m, c in forms] for s, _, forms in pieces]
        np.testing.assert_allclose(line.values[:-1], values, rtol=0, atol=2.0**-40)
        slopes = np.array([[float(m) for m, _ in forms] for _, _, forms in pieces])
        np.testing.assert_allclose(line.slopes_per_t, slopes, rtol=0, atol=2.0**-30)
        np.testing.assert_allclose(line.slopes, slopes / np.linalg.norm(b - a), rtol=0, atol=2.0**-30)
        assert line.n_regions == 1 + (np.diff(slopes, axis=0) != 0).any(axis=1).sum()

    @pytest.mark.slow
    @cases(8)
    @given(st.integers(0, 2**32 - 1))
    def test_random_small_nets(self, seed: int) -> None:
        net = mlp(2, 5, 5, 2, seed=seed % 1000)
        a, b = ends_of(2, seed)
        line, pieces = compute_line(net, a, b), exact_pieces(net, a, b)
        assert line.n_cells == len(pieces)
        np.testing.assert_allclose(line.t[:-1], [float(s) for s, _, _ in pieces], rtol=0, atol=2.0**-30)


class TestModels:
    """Against the model itself, for every kind of kink."""

    @pytest.mark.slow
    @cases(5)
    @given(architectures(max_layers=2), st.integers(0, 1000))
    def test_small_nets(self, drawn: tuple[nn.Sequential, Slice], seed: int) -> None:
        assert_same_as_slice(*drawn, seed)

    @pytest.mark.slow
    @cases(80)
    @given(architectures(max_layers=5), st.integers(0, 1000))
    def test_nets(self, drawn: tuple[nn.Sequential, Slice], seed: int) -> None:
        assert_same_as_slice(*drawn, seed)

    @pytest.mark.slow
    @pytest.mark.parametrize("name", ZOO)
    def test_zoo(self, name: str) -> None:
        entry = ZOO[name]
        model, plane = entry.model(), entry.plane()
        a, b = plane.to_input([[-0.9 * entry.reach, -0.7 * entry.reach], [0.8 * entry.reach, 0.9 * entry.reach]])
        line = compute_line(model, a, b)
        reference = line.network.reference
        assert reference is not None
        said = (lambda x: reference(x).log()) if line.network.head == "softmax" else reference
        if line.network.head:  # logits up to a number for each point
            t = np.linspace(0, 1, 100)
            with torch.no_grad():
                expected = reference(torch.from_numpy(line.to_input(t))).numpy()
            np.testing.assert_allclose(line.network.headed(line.at(t)), expected, rtol=0, atol=1e-12)
        else:
            assert_like(line, said, 300)

    @pytest.mark.parametrize("period", [None, 2.0])
    def test_curves(self, period: float | None) -> None:
        curve = PiecewiseLinear([0.0, 0.5, 1.5], [0.0, 0.5, -0.5], period=period).double().eval()
        line = compute_line(curve, [-1.0], [7.0])
        places = np.array([0.5] if period is None else [-0.5, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5])
        np.testing.assert_allclose(line.t[1:-1], (places + 1) / 8, rtol=0, atol=4 * UNIT_ROUNDOFF)
        assert_like(line, curve)

    def test_dense_samples(self) -> None:
        net = mlp(2, 48, 48, 48, 4, seed=5)
        assert_like(compute_line(net, [-2.0, 1.5], [1.8, -2.0]), net, 100_000)

    def test_where_hats_stand_for_the_network(self) -> None:
        """Hundreds of crossings in one interval."""
        net = mlp(3, 400, 400, 2, seed=6)
        line = compute_line(net, [-6.0, 5.0, 4.0], [6.0, -5.0, 3.0])
        assert line.n_cells > 400
        assert_like(line, net)

    def test_approximations(self) -> None:
        net = nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 1)).double().eval()
        line = compute_line(net, [-2.0, -2.0], [2.0, 1.0], approximate=1e-4)
        t = np.linspace(0, 1, 500)
        with torch.no_grad():
            said = net(torch.from_numpy(line.to_input(t))).numpy()
        weight = float(net[2].weight.detach().abs().sum())
        assert 0 < np.abs(line.at(t) - said).max() <= 1e-4 * weight


def assert_same_as_slice(net: nn.Sequential, plane: Slice, seed: int) -> None:
    """The cells that the line passes are those of the partition of a slice that it lies in, each once."""
    body = net[:-1] if isinstance(net[-1], nn.Softmax) else net
    u = np.random.default_rng(seed).uniform(plane.domain.min(axis=0), plane.domain.max(axis=0), (2, 2))
    line = compute_line(net, *plane.to_input(u))
    assert_like(line, body)
    partition = compute_partition(line.network, plane)

    def along(t: np.ndarray) -> np.ndarray:
        return u[0] + t[:, None] * (u[1] - u[0])

    wide = np.flatnonzero(np.diff(line.t) > NEAR)
    cells = partition.locate(along(line.middles))[wide]
    assert len(np.unique(cells)) == len(wide), "two cells of the line lie in one of the slice"
    for here, there in zip(line.patterns(wide), partition.patterns(cells)):
        np.testing.assert_array_equal(here, there)
    path = partition.cells_along(*u)
    np.testing.assert_array_equal(path.cells[np.diff(path.t) > NEAR], cells)
    if len(path.cells) == line.n_cells:
        np.testing.assert_allclose(path.t, line.t, rtol=0, atol=NEAR)
    t = np.random.default_rng(seed).uniform(0, 1, 500)
    at = line.locate(t)
    clear = np.minimum(t - line.t[at], line.t[at + 1] - t) > NEAR
    expected = np.full(line.n_cells, -1)
    expected[wide] = cells
    np.testing.assert_array_equal(partition.locate(along(t))[clear], expected[at[clear]])


class TestDegenerate:
    def test_an_affine_network_is_one_cell(self) -> None:
        line = compute_line(nn.Linear(3, 2).double().eval(), [0.0, 0, 0], [1.0, 1, 1])
        assert line.n_cells == line.n_regions == 1
        assert line.layer.shape == line.unit.shape == (0,)
        assert line.class_changes().t.shape[0] <= 1

    def test_repeated_units_share_a_breakpoint(self) -> None:
        net = mlp(2, 4, 1)
        with torch.no_grad():
            net[0].weight.copy_(torch.tensor([[1.0, 0], [1, 0], [2, 0], [0, 0]]))
            net[0].bias.copy_(torch.tensor([0.0, 0, 0, 0]))
        line = compute_line(net, [-1.0, 0.0], [3.0, 0.0])
        assert line.t.tolist() == [0.0, 0.25, 1.0]
        assert line.unit.tolist() == [0]

    def test_a_kink_at_an_end_makes_no_cell(self) -> None:
        assert compute_line(nn.ReLU().eval(), [0.0, -1.0], [1.0, 0.0]).n_cells == 1

    def test_units_of_several_knots_have_one_number(self) -> None:
        line = compute_line(nn.ReLU6().eval(), [-2.0, 4.5], [8.0, 14.5])
        np.testing.assert_allclose(line.t, [0, 0.15, 0.2, 0.8, 1], rtol=0, atol=4 * UNIT_ROUNDOFF)
        assert line.unit.tolist() == [1, 0, 0]

    def test_a_line_along_a_kink(self) -> None:
        line = compute_line(nn.ReLU().eval(), [0.0, -1.0], [0.0, 1.0])
        assert line.t.tolist() == [0.0, 0.5, 1.0]
        assert line.unit.tolist() == [1]

    def test_a_line_through_a_corner_of_cells(self) -> None:
        line = compute_line(nn.ReLU().eval(), [-1.0, -1.0], [1.0, 1.0])
        assert line.t.tolist() == [0.0, 0.5, 1.0]
        assert [p.tolist() for p in line.patterns([0, 1])] == [[[False, False], [True, True]]]

    def test_dead_units_make_cells_but_no_regions(self) -> None:
        net = mlp(1, 3, 1)
        with torch.no_grad():
            net[0].weight.fill_(1.0)
            net[0].bias.copy_(torch.tensor([0.5, 0.0, -0.5]))
            net[2].weight.copy_(torch.tensor([[1.0, 0.0, 1.0]]))
        line = compute_line(net, [-1.0], [1.0])
        assert (line.n_cells, line.n_regions) == (4, 3)
        assert line.region_ids.tolist() == [0, 1, 1, 2]

    def test_ties_below_the_maximum_are_dissolved(self) -> None:
        """Entries x, -x and 5: the first two tie where the third wins."""
        net = nn.Sequential(nn.Linear(1, 3), nn.MaxPool1d(3)).double().eval()
        with torch.no_grad():
            net[0].weight.copy_(torch.tensor([[1.0], [-1.0], [0.0]]))
            net[0].bias.copy_(torch.tensor([0.0, 0.0, 5.0]))
        assert compute_line(net, [-4.0], [4.0]).n_cells == 1
        wide = compute_line(net, [-10.0], [10.0])
        np.testing.assert_allclose(wide.t, [0, 0.25, 0.75, 1], rtol=0, atol=4 * UNIT_ROUNDOFF)
        assert [p.ravel().tolist() for p in wide.patterns([0, 1, 2])] == [[1, 2, 0]]

    def test_ends_are_hit_exactly(self) -> None:
        a, b = np.array([0.1, 1e-3]), np.array([1e9, -0.3])
        line = compute_line(nn.ReLU().eval(), a, b)
        np.testing.assert_array_equal(line.to_input([0.0, 1.0]), [a, b])
        assert line.to_input(0.5).shape == (2,)


class TestResult:
    def test_measures(self) -> None:
        line = compute_line(nn.ReLU().eval(), [-3.0, -4.0], [3.0, 4.0])
        assert line.length == 10
        assert line.lengths.tolist() == [5, 5]
        assert line.slopes.tolist() == [[0.0, 0.0], [0.6, 0.8]]
        assert repr(line) == "LinePartition(2 cells, length 10, 2 outputs)"

    def test_where_a_point_lies(self) -> None:
        line = compute_line(nn.ReLU().eval(), [-1.0], [1.0])
        assert line.locate([[-0.1, 0.0, 0.3], [0.5, 1.0, 1.1]]).tolist() == [[-1, 0, 0], [0, 1, -1]]
        assert line.at(0.75).tolist() == [0.5]

    def test_the_number_of_threads_changes_no_bit(self) -> None:
        from splinecam_widget.engine.threads import forget_pools

        net, before = mlp(2, 200, 200, 3, seed=2), torch.get_num_threads()
        found = []
        try:
            for n in (1, 3):
                torch.set_num_threads(n)
                forget_pools()
                line = compute_line(net, [-3.0, -3.0], [3.0, 2.0])
                found.append([line.t, line.values, line.unit, line.integrated_gradients()])
        finally:
            torch.set_num_threads(before)
            forget_pools()
        for here, there in zip(*found):
            np.testing.assert_array_equal(here, there)

    def test_one_of_several_outputs(self) -> None:
        class Two(nn.Module):
            def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
                return {"a": torch.relu(x), "b": x}

        assert compute_line(Two().eval(), [-1.0], [1.0], output="a").n_cells == 2
        with pytest.raises(UnsupportedModelError, match="choose one with output="):
            compute_line(Two().eval(), [-1.0], [1.0])


class TestRefuses:
    @pytest.mark.parametrize(("a", "b", "text"), [
        ([0.0, 0], [0.0, 0], r"^b: expected an input different from a, got the same one"),
        ([0.0, 0], [0.0, 0, 0], r"^b: expected the shape of a, \(2,\), got \(3,\)"),
        (0.0, 1.0, r"^a: expected an input of at least one axis, got a number"),
        ([0.0, np.nan], [0.0, 0], r"^a: expected finite numbers"),
        ([0.0, 0], ["x", "y"], r"^b: expected real numbers"),
    ])
    def test_bad_ends(self, a: Any, b: Any, text: str) -> None:
        with pytest.raises(ValueError, match=text):
            compute_line(nn.ReLU().eval(), a, b)

    def test_a_network_of_other_inputs(self) -> None:
        network = compute_line(nn.ReLU().eval(), [0.0, 0], [1.0, 1]).network
        with pytest.raises(ValueError, match=r"^a: expected an input of shape \(2,\), got \(3,\)"):
            compute_line(network, [0.0, 0, 0], [1.0, 1, 1])
        with pytest.raises(ValueError, match="expected None for a Network"):
            compute_line(network, [0.0, 0], [1.0, 1], output=0)

    def test_operations_that_are_not_piecewise_linear(self) -> None:
        with pytest.raises(UnsupportedModelError, match="gelu"):
            compute_line(nn.GELU().eval(), [0.0], [1.0])

    def test_choices_that_jump(self) -> None:
        with pytest.raises(UnsupportedModelError, match="expected choices that are continuous"):
            compute_line(lambda x: torch.where(x > 0, x + 1, x), [-1.0], [1.0])

    def test_outputs_that_are_not_finite(self) -> None:
        net = nn.Linear(1, 1).double().eval()
        with torch.no_grad():
            net.weight.fill_(np.inf)
        with pytest.raises(ValueError, match="expected finite outputs on the segment"):
            compute_line(net, [1.0], [2.0])

    def test_points_and_cells_that_are_not_there(self) -> None:
        line = compute_line(nn.ReLU().eval(), [-1.0], [1.0])
        with pytest.raises(ValueError, match=r"^t: expected numbers from 0 to 1, got -0.5$"):
            line.at([-0.5])
        with pytest.raises(ValueError, match=r"^where: expected cell ids from 0 to 1, got 0 to 2"):
            line.patterns([0, 2])
        with pytest.raises(ValueError, match=r"^where: expected numbers t from 0 to 1"):
            line.patterns([1.5])
        with pytest.raises(ValueError, match=r"^where: expected cell ids \(n,\) or numbers t \(n,\), got shape \(\)"):
            line.patterns(0)

    @pytest.mark.filterwarnings("ignore:.*")
    def test_training_mode_is_told(self) -> None:
        with pytest.warns(UserWarning, match="it is in training mode"):
            compute_line(nn.ReLU(), [-1.0], [1.0])
