"""Partitions of whole networks: counts that other tools find too, degenerate nets, exact cells, threads."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

from oracle import assert_consistent, assert_same_cells, exact_cells, mlp, square
from splinecam_widget.engine import splitting
from splinecam_widget.engine import threads as engine_threads
from splinecam_widget.engine.compute import compute_partition, partition_of
from splinecam_widget.engine.lowering import lower
from splinecam_widget.engine.partition import Partition
from splinecam_widget.engine.slices import Slice, rectangle
from splinecam_widget.engine.states import Work
from splinecam_widget.engine.threads import forget_pools
from splinecam_widget.engine.watching import Watch

GOLDEN = [
    ((2, 16, 16, 16, 1), 0, 1, 0.0, 178),
    ((2, 32, 32, 32, 1), 0, 1, 0.0, 1_180),
    ((2, 64, 64, 64, 1), 0, 1, 0.0, 6_668),
    ((2, 64, 64, 64, 64, 1), 0, 1, 0.0, 7_920),
    pytest.param((2, 128, 128, 128, 1), 0, 1, 0.0, 20_714, marks=pytest.mark.slow),
    pytest.param((2, 128, 128, 128, 128, 1), 0, 1, 0.0, 29_584, marks=pytest.mark.slow),
    pytest.param((2, 256, 256, 256, 256, 1), 0, 1, 0.0, 125_057, marks=pytest.mark.slow),
    pytest.param((2, 510, 1), 0, 1, 0.0, 40_870, marks=pytest.mark.slow),
    pytest.param((2, 960, 1), 0, 1, 0.0, 164_744, marks=pytest.mark.slow),
    pytest.param((2, 128, 128, 1), 0, 5, 0.0, 26_525, marks=pytest.mark.slow),
    ((2, *[20] * 10, 1), 0, 1, 0.03, 359),
    ((2, *[20] * 10, 1), 1, 3, 0.0, 1_146),
]
"""Widths, seed, half the domain's side, LeakyReLU's slope, cells: SplineCam, SyReNN and regioncam agree on them."""


@pytest.mark.parametrize(("widths", "seed", "half", "slope", "n_cells"), GOLDEN)
def test_finds_the_cells_that_other_tools_find(
    widths: tuple[int, ...], seed: int, half: float, slope: float, n_cells: int
) -> None:
    partition = compute_partition(mlp(*widths, seed=seed, slope=slope), square(half))
    assert partition.n_cells == n_cells
    assert_consistent(partition)


def lines(*rows: tuple[float, float, float]) -> nn.Sequential:
    """A layer of units `a x + b y + c`, and ReLU."""
    layer = nn.Linear(2, len(rows)).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([row[:2] for row in rows], dtype=torch.float64))
        layer.bias.copy_(torch.tensor([row[2] for row in rows], dtype=torch.float64))
    return nn.Sequential(layer, nn.ReLU()).eval()


DEGENERATE = {
    "a line through two corners": (lines((1, -1, 0)), 2),
    "both diagonals": (lines((1, -1, 0), (1, 1, 0)), 4),
    "both diagonals and both axes": (lines((1, -1, 0), (1, 1, 0), (1, 0, 0), (0, 1, 0)), 8),
    "two identical units": (lines((0.3, 0.7, 0.1), (0.3, 0.7, 0.1)), 2),
    "two opposite units": (lines((0.3, 0.7, 0.1), (-0.3, -0.7, -0.1)), 2),
    "a unit and its multiple": (lines((0.3, 0.7, 0.1), (0.6, 1.4, 0.2)), 2),
    "a line along a domain edge": (lines((1, 0, 1)), 1),
    "lines along all domain edges": (lines((1, 0, 1), (1, 0, -1), (0, 1, 1), (0, 1, -1)), 1),
    "a line through one corner, outside": (lines((1, 1, 2)), 1),
    "a line through one corner, inside": (lines((1, 2, 3)), 1),
    "a line through one corner into the middle": (lines((1, -0.5, 0.5)), 2),
    "three concurrent lines": (lines((1, 0, 0), (0, 1, 0), (1, 1, 0)), 6),
    "three concurrent lines off any grid": (lines((1, 0.3, -0.1), (0.7, 1, -0.3), (1.7, 1.3, -0.4)), 6),
    "two lines that meet on the border": (lines((1, 1, -1), (1, -1, -1)), 3),
    "parallel lines": (lines((1, 0.5, 0), (1, 0.5, 0.25), (1, 0.5, -0.25)), 4),
    "a dead unit": (lines((0, 0, 0), (1, 0, 0)), 2),
    "only dead units": (lines((0, 0, 0), (0, 0, 0)), 1),
    "constant units": (lines((0, 0, 1), (0, 0, -1), (1, 0, 0)), 2),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_counts_degenerate_nets_right(name: str) -> None:
    net, n_cells = DEGENERATE[name]
    partition = compute_partition(net, square())
    assert partition.n_cells == n_cells
    assert_consistent(partition)
    if "off any grid" not in name:  # in exact arithmetic, rounded lines do not quite meet
        assert_same_cells(partition, exact_cells(net, square()))


@pytest.mark.parametrize("scale", [2.0**-30, 2.0**30])
@pytest.mark.parametrize("name", [
    "both diagonals and both axes", "three concurrent lines off any grid", "two lines that meet on the border",
    "lines along all domain edges", "a unit and its multiple",
])
def test_counts_degenerate_nets_right_at_any_scale(name: str, scale: float) -> None:
    """The same picture, larger and smaller."""
    net, n_cells = DEGENERATE[name]
    scaled = nn.Sequential(nn.Linear(2, 2, bias=False), *net).double().eval()
    with torch.no_grad():
        scaled[0].weight.copy_(torch.eye(2) / scale)
    assert compute_partition(scaled, square(scale)).n_cells == n_cells


def test_the_second_layer_of_identical_units_adds_nothing() -> None:
    net = nn.Sequential(*lines((1, 0.5, 0.2), (1, 0.5, 0.2)), nn.Linear(2, 1, bias=False).double(), nn.ReLU()).eval()
    with torch.no_grad():
        net[2].weight.copy_(torch.tensor([[1.0, -1.0]]))
    assert compute_partition(net, square()).n_cells == 2


def test_a_second_layer_that_repeats_the_first_adds_nothing() -> None:
    """relu(relu(z)) has the kinks of relu(z): its units vanish on whole cells and along edges that are there."""
    net = nn.Sequential(*lines((1, 0.3, 0.1), (-0.2, 1, 0.3)), nn.Linear(2, 2).double(), nn.ReLU()).eval()
    with torch.no_grad():
        net[2].weight.copy_(torch.eye(2))
        net[2].bias.zero_()
    partition = compute_partition(net, square())
    assert partition.n_cells == 4
    assert_consistent(partition)


DOMAINS = {
    "triangle": [[-1, -1], [1, -0.9], [0.1, 1.1]],
    "pentagon": [[np.cos(a), np.sin(a)] for a in np.arange(5) * 2 * np.pi / 5],
    "corner on a side": [[-1, -1], [0, -1], [1, -1], [1, 1], [-1, 1]],
    "sliver": [[-1, 0], [1, 0], [1, 1e-9]],
    "far away": rectangle(1e6, 1e6 + 1, -1, 1),
}


@pytest.mark.parametrize("name", DOMAINS)
def test_any_convex_domain_is_covered(name: str) -> None:
    plane = Slice.from_basis(np.zeros(2), np.eye(2), DOMAINS[name])
    assert_consistent(compute_partition(mlp(2, 8, 8, 1, seed=3), plane))


@pytest.mark.parametrize("name", ["triangle", "pentagon", "corner on a side"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("slope", [0.0, 0.25])
def test_has_exactly_the_cells_of_rational_arithmetic(name: str, bias: bool, slope: float) -> None:
    plane = Slice.from_basis(np.zeros(2), np.eye(2), DOMAINS[name])
    net = mlp(2, 6, 6, 2, seed=5, slope=slope, bias=bias)
    partition = compute_partition(net, plane)
    assert_consistent(partition)
    assert_same_cells(partition, exact_cells(net, plane))


def test_has_exactly_the_cells_on_a_slice_of_a_larger_space() -> None:
    x1, x2, x3 = np.random.default_rng(0).standard_normal((3, 2, 4))
    plane = Slice.through(x1, x2, x3)
    net = nn.Sequential(nn.Flatten(), *mlp(8, 7, 5, 3, seed=2)).eval()
    partition = compute_partition(net, plane)
    assert_consistent(partition)
    assert_same_cells(partition, exact_cells(net, plane))


@pytest.fixture
def threads() -> Iterator[None]:
    """Torch's and the engine's numbers of threads are as before when a test is over."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
    forget_pools()


def partition_with(n_threads: int, net: torch.nn.Module, plane: Slice) -> Partition:
    torch.set_num_threads(n_threads)
    forget_pools()
    return compute_partition(net, plane)


def assert_equal(first: Partition, second: Partition) -> None:
    names = ("vertices", "cell_offsets", "cell_vertices", "edges", "edge_cells", "edge_layer", "edge_unit", "values")
    for name in names:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)
    np.testing.assert_array_equal(first.planar.cell_hashes, second.planar.cell_hashes)


@pytest.mark.usefixtures("threads")
def test_the_result_is_the_same_for_any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splitting, "CELLS_AT_A_TIME", 8)
    monkeypatch.setattr(splitting, "EDGES_AT_A_TIME", 16)
    monkeypatch.setattr(engine_threads, "LEAST_RUNS", 1)
    net = mlp(2, 32, 32, 32, 3, seed=0)
    results = [partition_with(n_threads, net, square()) for n_threads in (1, 2, 3, 7)]
    for other in results[1:]:
        assert_equal(other, results[0])
    assert_consistent(results[-1])


@pytest.mark.usefixtures("threads")
@pytest.mark.slow
def test_a_large_result_is_the_same_for_any_number_of_threads() -> None:
    net = mlp(2, 128, 128, 128, 1, seed=0)
    results = [partition_with(n_threads, net, square()) for n_threads in (1, 2, 3)]
    for other in results[1:]:
        assert_equal(other, results[0])


def test_the_result_is_the_same_twice() -> None:
    net = mlp(2, 32, 32, 32, 1, seed=0)
    assert_equal(compute_partition(net, square()), compute_partition(net, square()))


def test_a_network_without_kinks_has_one_cell() -> None:
    partition = compute_partition(nn.Linear(2, 3).eval(), square())
    assert (partition.n_cells, partition.n_regions, len(partition.edges)) == (1, 1, 4)
    assert_consistent(partition)


def test_counts_its_work() -> None:
    """One line: 4 vertices before it, 6 after it."""
    work = Work()
    partition_of(lower(lines((1, 0.1, 0)), (2,)), square(), work)
    assert work.vertices_evaluated >= 4
    assert work.n_irregular == 0


def test_can_be_stopped() -> None:
    class Stop(Exception):
        """Told to stop."""

    def stop() -> None:
        raise Stop

    with pytest.raises(Stop):
        partition_of(lower(mlp(2, 8, 1), (2,)), square(), Work(), Watch(stop))


def test_refuses_what_is_no_slice() -> None:
    with pytest.raises(TypeError, match=r"^plane: expected a Slice, got ndarray"):
        compute_partition(mlp(2, 3, 1), np.zeros((4, 2)))  # type: ignore[arg-type]


def test_refuses_a_slice_of_other_inputs() -> None:
    with pytest.raises(ValueError, match=r"^plane: expected inputs of shape \(2,\), got \(3,\)"):
        compute_partition(lower(mlp(2, 3, 1), (2,)), Slice.around(np.zeros(3)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_works_in_a_forked_process() -> None:
    plane = Slice.from_basis([0.0, 0.0], np.eye(2))
    compute_partition(nn.ReLU().eval(), plane)
    context = multiprocessing.get_context("fork")
    counts = context.SimpleQueue()
    child = context.Process(target=lambda: counts.put(compute_partition(nn.ReLU().eval(), plane).n_cells), daemon=True)
    child.start()
    child.join(60)
    is_done = not child.is_alive()
    child.kill()
    assert is_done
    assert counts.get() == 4


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), 1e200])
def test_refuses_numbers_that_are_not_finite(weight: float) -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)).double()
    with torch.no_grad():
        net[0].weight[0, 0] = weight
    with pytest.raises(ValueError, match="model: expected finite outputs"):
        compute_partition(net.eval(), Slice.from_basis([0.0, 0.0], np.eye(2)))


@pytest.mark.parametrize("more", [{"output": 0}, {"approximate": 0.1}])
def test_what_a_network_has_decided_already_cannot_be_chosen(more: dict[str, float]) -> None:
    network = compute_partition(mlp(2, 4, 1), square(1.0)).network
    with pytest.raises(ValueError, match=r"^output, approximate: expected None for a Network"):
        compute_partition(network, square(1.0), **more)
