"""Tournaments leave no false edges: an edge stands only where the winner changes, and cells are whole and convex again."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from oracle import assert_consistent, square
from splinecam_widget.engine.compute import compute_partition, continued
from splinecam_widget.engine.dissolving import dissolved
from splinecam_widget.engine.lowering import lower
from splinecam_widget.engine.partition import Partition
from splinecam_widget.engine.planar import PlanarComplex, cells_beside_edges
from splinecam_widget.engine.slices import Slice
from splinecam_widget.engine.splitting import split_complex
from splinecam_widget.engine.states import State, Work
from splinecam_widget.engine.watching import Watch

CORNERS = np.arange(4)
"""The vertices at the corners of a square domain."""


class LargestOf(nn.Module):
    """The largest of planes a_i u_0 + b_i u_1 + c_i."""

    def __init__(self, planes: list[list[float]]) -> None:
        super().__init__()
        self.planes = nn.Parameter(torch.tensor(planes, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x @ self.planes[:, :2].T + self.planes[:, 2]).amax(1, keepdim=True)


def largest_of(planes: list[list[float]]) -> nn.Module:
    return LargestOf(planes).eval()


def regular(k: int) -> list[list[float]]:
    """k planes that fall off from the origin in k directions: k sectors."""
    angles = 2 * np.pi * np.arange(k) / k + 0.1
    return np.stack([np.cos(angles), np.sin(angles), np.zeros(k)], axis=1).tolist()


def test_what_was_compared_ends_with_the_tournament() -> None:
    """All entries of all windows are needed until the winners are known, and by nothing behind that."""
    network = lower(nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(3), nn.Flatten(), nn.Linear(8, 2)).eval(), (1, 8, 8))
    states: list[State] = []
    plane = Slice.through(*np.random.default_rng(0).standard_normal((3, 1, 8, 8)))
    continued(network, plane, None, Work(), Watch(), states.append)
    (number,) = (i for i, stage in enumerate(network.stages) if stage.cut is not None and stage.cut.kind == "settle")
    winners, entries = network.stages[number].cut.sources
    assert entries in states[number - 1].live
    assert {*states[number].live, *states[number].bounds} == {winners}


@pytest.mark.parametrize("k", [2, 3, 4, 5, 6, 7, 8, 12])
def test_k_planes_through_a_point_make_k_sectors(k: int) -> None:
    """Of the k (k - 1) / 2 lines on which two of them tie, only half a line each of k remains."""
    partition = compute_partition(largest_of(regular(k)), square())
    assert partition.n_cells == k
    assert (partition.edge_layer >= 0).sum() == (k if k > 2 else 1)
    assert_consistent(partition)


def test_a_plane_below_the_others_leaves_no_trace() -> None:
    high = [[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]
    alone = compute_partition(largest_of(high), square())
    below = compute_partition(largest_of([[0.0, 1.0, -2.0], *high, [0.3, 0.2, -9.0]]), square())
    assert alone.n_cells == below.n_cells == below.n_regions == 2
    assert len(below.vertices) == len(alone.vertices) == 6
    np.testing.assert_allclose(np.sort(below.areas), [2.0, 2.0])


def test_equal_planes_are_one() -> None:
    partition = compute_partition(largest_of([*regular(3), *regular(3)]), square())
    assert partition.n_cells == 3
    assert_consistent(partition)


def test_an_edge_that_two_windows_share_is_named_after_the_one_in_which_the_winner_changes() -> None:
    """x0 and x1 tie in both windows, (x0, x1, 9) and (x0, x1, -9); in the first below the constant."""

    class Windows(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            nine = torch.full_like(x[:, :1], 9.0)
            return torch.stack([torch.cat([x, nine], 1), torch.cat([x, -nine], 1)], 1).amax(2)

    partition = compute_partition(Windows().eval(), square())
    assert partition.n_cells == 2
    assert partition.edge_unit[partition.edge_layer == 0].tolist() == [1]


def test_patterns_name_the_winners() -> None:
    partition = compute_partition(largest_of(regular(5)), square())
    (winners,) = partition.patterns(np.arange(5))
    assert winners.shape == (5, 1)
    assert sorted(winners[:, 0].tolist()) == list(range(5))


def crossed() -> PlanarComplex:
    """A square cut by both axes."""
    before = PlanarComplex.single_cell(square().domain)
    rows = np.ascontiguousarray(before.points)
    return split_complex(before, rows, np.full(2, 1e-12), 0).after


def test_edges_taken_out_join_cells_and_edges_and_lose_vertices() -> None:
    planar = crossed()
    after, kept = dissolved(planar, cells_beside_edges(planar), (planar.edge_layer == 0) & (planar.edge_unit == 1), CORNERS)
    assert (planar.n_cells, planar.n_vertices, len(planar.edges)) == (4, 9, 12)
    # The middle, and the ends of the line that went, lie inside an edge now; the other line is one edge.
    assert (after.n_cells, after.n_vertices, len(after.edges)) == (2, 6, 7)
    np.testing.assert_array_equal(after.points, planar.points[kept])
    assert after.edge_unit[after.edge_layer == 0].tolist() == [0]
    assert np.diff(after.cell_offsets).tolist() == [4, 4]


def test_without_false_edges_nothing_changes() -> None:
    planar = crossed()
    after, kept = dissolved(planar, cells_beside_edges(planar), np.zeros(12, np.bool_), CORNERS)
    assert after is planar
    np.testing.assert_array_equal(kept, np.arange(9))


def test_all_inner_edges_taken_out_leave_the_domain() -> None:
    planar = crossed()
    after, _ = dissolved(planar, cells_beside_edges(planar), planar.edge_layer == 0, CORNERS)
    assert (after.n_cells, after.n_vertices, len(after.edges)) == (1, 4, 4)


@pytest.fixture
def pooled() -> Partition:
    torch.manual_seed(3)
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(3, 1), nn.Flatten(), nn.Linear(48, 2)).double().eval()
    return compute_partition(net, Slice.around(torch.randn(1, 8, 8), seed=0))


def test_winners_differ_across_every_edge_of_a_max_pool(pooled: Partition) -> None:
    edges = np.flatnonzero(pooled.edge_layer == 1)
    assert len(edges) > 20
    winners = pooled.patterns(np.arange(pooled.n_cells))[1]
    left, right = (winners[pooled.edge_cells[edges, side], pooled.edge_unit[edges]] for side in range(2))
    assert (left != right).all()


@pytest.mark.parametrize("masked", range(4))
@pytest.mark.parametrize("fill", [-1e3, -1e15, float(torch.finfo(torch.float32).min)])
def test_an_entry_masked_by_a_huge_number_takes_no_part(masked: int, fill: float) -> None:
    """Its rounding error is as huge, and must not pass for that of the winner."""

    class Masked(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            mask = torch.arange(4) == masked
            return torch.cat([x, -x], 1).masked_fill(mask, fill).amax(1, keepdim=True)

    partition = compute_partition(Masked().eval(), square())
    assert partition.n_cells == 3
    assert partition.certificate(full=True).is_sound


class Padded(nn.Module):
    """A max-pool over an image that is padded by hand, with what never wins."""

    def __init__(self, value: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head, self.value = nn.Conv2d(1, 2, 3), nn.Linear(18, 2), value

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = nn.functional.pad(self.conv(x), (1, 0, 1, 0), value=self.value)
        y: torch.Tensor = self.head(nn.functional.max_pool2d(z, 3, 2).flatten(1))
        return y


def test_padding_with_minus_infinity_is_padding_with_what_never_wins() -> None:
    plane = Slice.around(torch.zeros(1, 8, 8), seed=1, radius=2.0)
    infinite, low = (compute_partition(Padded(value).eval(), plane) for value in (-np.inf, -1e3))
    assert infinite.n_cells == low.n_cells > 20
    np.testing.assert_allclose(infinite.vertices, low.vertices, atol=1e-12)
    assert infinite.certificate(full=True).is_sound
    assert infinite.tolerance.max() < 1e-12


def test_infinity_that_reaches_the_output_is_refused() -> None:
    with pytest.raises(ValueError, match="expected finite outputs"):
        compute_partition(lambda x: nn.functional.pad(x, (1, 1), value=-np.inf), square())
