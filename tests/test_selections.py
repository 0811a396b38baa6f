"""Sorts and choices of entries: the comparisons sort all there is to sort, and every edge of a sort is a kink."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from oracle import assert_consistent, square
from splinecam_widget.engine.compute import compute_partition
from splinecam_widget.engine.errors import UnsupportedModelError
from splinecam_widget.engine.partition import Partition
from splinecam_widget.engine.selections import sorting_network
from splinecam_widget.engine.slices import Slice

Function = Callable[[torch.Tensor], torch.Tensor]


class TestSortingNetwork:
    @pytest.mark.parametrize("k", range(13))
    def test_it_sorts_all_zeros_and_ones(self, k: int) -> None:
        """What sorts every sequence of zeros and ones sorts every sequence (Knuth, TAOCP 3, 5.3.4, theorem Z)."""
        every = np.array(list(itertools.product([0, 1], repeat=k)), np.int8).reshape(2**k, k)
        found = every.copy()
        for pairs in sorting_network(k):
            for low, high in pairs:
                assert 0 <= low < high < k
                found[:, low], found[:, high] = (
                    np.minimum(found[:, low], found[:, high]), np.maximum(found[:, low], found[:, high]))
        np.testing.assert_array_equal(found, np.sort(every, axis=1))

    @pytest.mark.parametrize("k", [2, 3, 4, 7, 8, 12, 16, 33])
    def test_comparisons_of_a_round_are_apart_and_rounds_are_few(self, k: int) -> None:
        rounds = sorting_network(k)
        for pairs in rounds:
            places = [place for pair in pairs for place in pair]
            assert len(set(places)) == len(places)
        p = int(np.ceil(np.log2(k)))
        assert len(rounds) <= p * (p + 1) // 2


class Between(nn.Module):
    """A function between linear layers; the last is generic, so that its result changes where the function's does."""

    def __init__(self, function: Function, n: int = 6, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.first = nn.Linear(3, n)
        self.function = function
        with torch.no_grad():
            width = function(torch.zeros(2, n)).flatten(1).shape[1]
        self.last = nn.Linear(width, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.function(self.first(x)).flatten(1))


PLANE = Slice.around(np.array([0.1, -0.2, 0.3]), seed=2, radius=2.0)


def partitioned(function: Function, n: int = 6, seed: int = 0) -> Partition:
    """The partition, held against the user's model at the cells' corners and at random points."""
    model = Between(function, n, seed).double().eval()
    partition = compute_partition(model, PLANE)
    assert_consistent(partition)
    certificate = partition.certificate(full=True)
    assert certificate.is_sound, str(certificate)
    assert certificate.compared_with == "the model itself in float64"
    low, high = PLANE.domain.min(axis=0), PLANE.domain.max(axis=0)
    u = np.random.default_rng(0).uniform(low, high, (1000, 2))
    cells = partition.locate(u)
    A, b = partition.affine_maps()
    with torch.no_grad():
        said = model(torch.from_numpy(PLANE.to_input(u))).numpy()
    np.testing.assert_allclose(np.einsum("nki,ni->nk", A[cells], u) + b[cells], said, rtol=0, atol=2.0**-40)
    for here, there in zip(partition.patterns(cells), partition.patterns(u)):
        np.testing.assert_array_equal(here, there)
    return partition


SORTS: dict[str, Function] = {
    "sort": lambda z: z.sort(1).values,
    "sort, descending": lambda z: z.sort(dim=1, descending=True)[0],
    "sort, stable": lambda z: torch.sort(z, stable=True, dim=-1).values,
    "sort, stable and descending": lambda z: torch.sort(z, dim=1, stable=True, descending=True).values,
    "rows of a matrix": lambda z: z.view(-1, 2, 3).sort(2).values,
    "columns of a matrix": lambda z: z.view(-1, 2, 3).sort(1, descending=True).values,
    "middle axis": lambda z: z.view(-1, 1, 3, 2).sort(-2).values,
    "msort-like": lambda z: z.view(-1, 3, 2).sort(-1).values.flip(1),
}


@pytest.mark.parametrize("name", SORTS)
def test_a_sort_is_that_of_torch_and_every_edge_of_it_a_kink(name: str) -> None:
    partition = partitioned(SORTS[name])
    assert partition.n_cells == partition.n_regions > 1
    assert len(partition.network.layers) == 1


@pytest.mark.parametrize("n", [2, 3, 5, 8])
def test_cells_of_a_sort_are_orders(n: int) -> None:
    """As many cells as orders met, and at most as many as n (n - 1) / 2 lines make."""
    partition = partitioned(lambda z: z.sort(1).values, n, seed=1)
    model = Between(lambda z: z, n, seed=1).double()
    low, high = PLANE.domain.min(axis=0), PLANE.domain.max(axis=0)
    u = np.concatenate([np.random.default_rng(0).uniform(low, high, (20_000, 2)), partition.centroids])
    with torch.no_grad():
        order = model.first(torch.from_numpy(PLANE.to_input(u))).argsort(1).numpy()
    assert len(np.unique(order, axis=0)) == partition.n_cells
    cells = partition.locate(u)
    assert len(np.unique(np.column_stack([cells, order]), axis=0)) == partition.n_cells
    lines = n * (n - 1) // 2
    assert partition.n_cells <= 1 + lines + lines * (lines - 1) // 2


@pytest.mark.parametrize("descending", [False, True])
def test_equal_entries_make_no_edge(descending: bool) -> None:
    partition = partitioned(lambda z: torch.cat([z[:, :1], z[:, :1], z[:, :2]], 1).sort(1, descending=descending).values)
    assert partition.n_cells == partition.n_regions == 2


class TestGroupSort:
    """Sorts in groups (Anil, Lucas, Grosse: ICML 2019)."""

    def test_pairs_are_sorted_as_by_their_maximum_and_minimum(self) -> None:
        def minmax(z: torch.Tensor) -> torch.Tensor:
            pairs = z.view(-1, 3, 2)
            return torch.stack([pairs.amin(2), pairs.amax(2)], 2)

        found, expected = partitioned(lambda z: z.view(-1, 3, 2).sort(2).values), partitioned(minmax)
        assert found.n_cells == expected.n_regions == found.n_regions
        np.testing.assert_allclose(found.values, expected.values[
            np.argmin(np.linalg.norm(found.vertices[:, None] - expected.vertices, axis=2), axis=1)], rtol=0, atol=2.0**-40)

    def test_the_unit_of_an_edge_is_its_group(self) -> None:
        partition = partitioned(lambda z: z.view(-1, 2, 3).sort(2).values)
        inner = partition.edge_layer == 0
        assert set(partition.edge_unit[inner].tolist()) == {0, 1}
        model = Between(lambda z: z).double()
        middles = partition.vertices[partition.edges[inner]].mean(axis=1)
        with torch.no_grad():
            groups = model.first(torch.from_numpy(PLANE.to_input(middles))).view(-1, 2, 3).sort(2).values.numpy()
        gaps = np.diff(groups, axis=2).min(axis=2)
        assert (gaps[np.arange(len(gaps)), partition.edge_unit[inner]] < 2.0**-40).all()

    def test_layer_after_layer(self) -> None:
        torch.manual_seed(0)

        class Sorted(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return x.unflatten(1, (-1, 4)).sort(2).values.flatten(1)

        net = nn.Sequential(nn.Linear(2, 8), Sorted(), nn.Linear(8, 8), Sorted(), nn.Linear(8, 3)).double().eval()
        partition = compute_partition(net, square(2.0))
        assert_consistent(partition)
        certificate = partition.certificate(full=True)
        assert certificate.is_sound, str(certificate)
        assert partition.n_cells == partition.n_regions > 10


MATRIX = torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
INDEX = torch.tensor([[3, 0, 5]])
SELECTED: dict[str, tuple[Function, Function]] = {
    "gather": (lambda z: z.gather(1, INDEX.expand(z.shape[0], -1)), lambda z: z[:, [3, 0, 5]]),
    "gather with a sort before": (
        lambda z: z.relu().gather(1, INDEX.repeat(z.shape[0], 1)), lambda z: z.relu()[:, [3, 0, 5]]),
    "take along an axis": (lambda z: torch.take_along_dim(z, INDEX, dim=1), lambda z: z[:, [3, 0, 5]]),
    "take along a later axis": (
        lambda z: torch.take_along_dim(z.view(-1, 2, 3), torch.tensor([[[2], [0]]]), dim=2),
        lambda z: torch.stack([z[:, 2], z[:, 3]], 1)),
    "take, broadcast": (
        lambda z: torch.take_along_dim(z.view(-1, 2, 3), torch.tensor([[[2, 0]]]), dim=-1),
        lambda z: z.view(-1, 2, 3)[:, :, [2, 0]]),
    "bilinear with a constant side": (
        lambda z: F.bilinear(z[:, :2], torch.ones(z.shape[0], 3, dtype=z.dtype), MATRIX.to(z.dtype)),
        lambda z: torch.einsum("bi,kij->bk", z[:, :2], MATRIX.to(z.dtype))),
    "bmm with a constant side": (
        lambda z: torch.bmm(z.view(-1, 2, 3), MATRIX[:1].mT.to(z.dtype).expand(z.shape[0], -1, -1)),
        lambda z: z.view(-1, 2, 3) @ MATRIX[0].T.to(z.dtype)),
    "bmm, the constant first": (
        lambda z: torch.bmm(MATRIX[:1].mT.to(z.dtype).expand(z.shape[0], -1, -1), z.view(-1, 2, 3)),
        lambda z: MATRIX[0].T.to(z.dtype) @ z.view(-1, 2, 3)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SELECTED)
def test_what_takes_entries_or_multiplies_by_constants_cuts_nothing(name: str) -> None:
    found = partitioned(lambda z: SELECTED[name][0](z).flatten(1).relu())
    expected = partitioned(lambda z: SELECTED[name][1](z).flatten(1).relu())
    assert found.n_cells == expected.n_cells > 1
    where = found.locate(expected.centroids)
    assert len(np.unique(where)) == found.n_cells
    np.testing.assert_allclose(found.areas[where], expected.areas, rtol=0, atol=2.0**-40)


@pytest.mark.parametrize(("function", "reason"), [
    (lambda z: z.sort(1).indices.to(z.dtype), "whole numbers"),
    (lambda z: z.argsort(1).to(z.dtype), "."),
    (lambda z: z.gather(1, (z > 0).long()), "."),
    (lambda z: z.sort(0).values, "mixes the inputs of a batch"),
    (lambda z: torch.bmm(z.view(-1, 2, 3), z.view(-1, 3, 2)), "multiplies two"),
    (lambda z: F.bilinear(z[:, :2], z[:, 2:5], MATRIX.to(z.dtype)), "multiplies two"),
])
def test_what_depends_on_the_order_otherwise_is_refused(function: Function, reason: str) -> None:
    with pytest.raises(UnsupportedModelError, match=reason):
        compute_partition(Between(function).double().eval(), PLANE)


def test_a_window_without_entries_is_refused() -> None:
    net = nn.Sequential(nn.Unflatten(1, (1, 1, 2)), nn.MaxPool2d(2, 1, padding=1, dilation=2), nn.ReLU(), nn.Flatten()).eval()
    with pytest.raises(UnsupportedModelError, match="a window lies outside its input altogether"):
        compute_partition(net, square())
