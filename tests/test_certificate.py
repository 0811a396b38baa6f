"""Certificates: sound for what the engine makes, and not for anything that was tampered with."""

from __future__ import annotations

import dataclasses
import itertools
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from splinecam_widget import Partition, Slice, compute_partition
from splinecam_widget.engine.checking import certificate_of
from splinecam_widget.engine.errors import Cancelled
from splinecam_widget.engine.explorer import Explorer
from splinecam_widget.engine.slices import rectangle

PLANE = Slice.from_basis([0.0, 0.0], np.eye(2))


def net(*widths: int, seed: int = 0, last: nn.Module | None = None) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for n, m in itertools.pairwise(widths):
            layers += [nn.Linear(n, m), nn.ReLU()]
    return nn.Sequential(*layers[:-1], *([] if last is None else [last])).eval()


@pytest.fixture(scope="module")
def partition() -> Partition:
    return compute_partition(net(2, 32, 32, 4), PLANE)


@pytest.mark.parametrize("head", [None, nn.Softmax(1), nn.LogSoftmax(1), nn.Sigmoid()])
def test_a_partition_is_sound_against_the_model_with_its_head(head: nn.Module | None) -> None:
    certificate = compute_partition(net(2, 16, 16, 3, last=head), PLANE).certificate(full=True)
    assert certificate.is_sound, str(certificate)
    assert certificate.is_full
    assert certificate.compared_with == "the model itself in float64"


@pytest.mark.parametrize("model", [
    lambda x: torch.relu(x) - 1,
    nn.Sequential(nn.Linear(2, 5), nn.LeakyReLU(0.1), nn.BatchNorm1d(5), nn.Linear(5, 1)).eval(),
    nn.Sequential(nn.Unflatten(1, (1, 1, 2)), nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)).eval(),
    nn.Linear(2, 2, bias=False),
])
def test_other_models_are_sound(model: Any) -> None:
    if isinstance(model, nn.Module):
        model.eval()
    certificate = compute_partition(model, PLANE).certificate(full=True)
    assert certificate.is_sound, str(certificate)


def test_a_sample_of_a_large_partition_is_checked() -> None:
    found = compute_partition(net(2, 64, 64, 64, 1), PLANE)
    certificate = found.certificate()
    assert certificate.is_sound, str(certificate)
    assert (certificate.n_cells, certificate.n_checked) == (found.n_cells, 256)
    assert not certificate.is_full
    assert f"{found.n_cells:,}" in str(certificate)


def test_a_clipped_partition_is_sound() -> None:
    explorer = Explorer(net(2, 32, 32, 4), PLANE)
    explorer.show(PLANE)
    certificate = explorer.show(PLANE.with_domain(rectangle(-0.3, 0.1, 0.2, 0.7))).certificate(full=True)
    assert certificate.is_sound, str(certificate)


def test_without_the_model_the_network_is_compared_with(partition: Partition) -> None:
    certificate = pickle.loads(pickle.dumps(partition)).certificate(full=True)
    assert certificate.is_sound, str(certificate)
    assert certificate.compared_with == "the network as it was read"
    assert dict(certificate.figures)["the model itself could not be asked"] == "it is not stored with the network"


def test_a_model_that_raises_says_why_it_could_not_be_asked() -> None:
    class Fussy(nn.Module):
        is_ready = True

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if not self.is_ready:
                raise KeyError("no more")
            return torch.relu(x)

    found = compute_partition(Fussy().eval(), PLANE)
    assert found.network.reference is not None
    found.network.reference.module.is_ready = False
    certificate = found.certificate()
    assert certificate.compared_with == "the network as it was read"
    assert certificate.unasked == "KeyError: 'no more'"
    assert ("the model itself could not be asked", "KeyError: 'no more'") in certificate.figures


def test_functions_of_float32_tensors_are_asked_in_float64() -> None:
    torch.manual_seed(4)
    weight, kernel, shift = torch.randn(8, 2), torch.randn(3, 1, 3), torch.randn(3)

    def function(x: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(nn.functional.linear(x, weight))
        return nn.functional.conv1d(hidden[:, None], kernel).flatten(1) @ torch.ones(18, 3) + shift

    certificate = compute_partition(function, PLANE).certificate(full=True)
    assert certificate.is_sound, str(certificate)
    assert certificate.compared_with == "the model itself in float64"
    assert certificate.residual < 1e-13


def test_an_argmax_counts_only_where_its_outputs_differ() -> None:
    """The second output is the first by another sum, which rounds otherwise; the third is larger on one half."""

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(1)
            self.first = nn.Linear(2, 8)
            self.second = nn.Linear(8, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = torch.relu(self.first(x))
            z = self.second(h)
            again = self.second.bias + 3 * (h / 3 * self.second.weight[0]).flip(1).sum(1, keepdim=True)
            return torch.cat([z, again, z + x[:, :1]], 1).argmax(1)

    certificate = compute_partition(Tied().eval(), PLANE).certificate(full=True)
    assert certificate.is_sound, str(certificate)
    assert certificate.compared_with == "the model itself in float64"


def test_figures_are_what_is_printed(partition: Partition) -> None:
    certificate = partition.certificate()
    lines = str(certificate).splitlines()
    assert lines[0] == "certificate: sound"
    assert [tuple(part.strip() for part in line.split("  ") if part.strip()) for line in lines[1:]] == list(certificate.figures)
    assert dict(certificate.figures)["cells"] == f"{partition.n_cells:,}"
    assert all("expected" not in text for _, text in certificate.figures)


@pytest.mark.parametrize(("change", "name", "text"), [
    ({"euler": 0}, "V − E + F", "0, expected 1"),
    ({"n_flat": 1234}, "cells not convex", "1,234, expected 0"),
    ({"residual": 0.5}, "against the model itself in float64", "5.0e-01, expected at most 1e-09"),
    ({"residual": float("nan")}, "against the model itself in float64", "nan, expected at most 1e-09"),
    ({"boundary_residual": float("nan")}, "ties on the boundary", "nan, expected at most 1e-09"),
    ({"area_error": 1e-8}, "areas against the domain's", "1.0e-08, expected at most 1e-09"),
])
def test_a_figure_that_is_wrong_says_what_was_expected(
    partition: Partition, change: dict[str, Any], name: str, text: str
) -> None:
    certificate = dataclasses.replace(partition.certificate(), **change)
    assert not certificate.is_sound
    assert [figure for figure in certificate.figures if "expected" in figure[1]] == [(name, text)]


class TestStopping:
    """With a tick the work comes in small pieces and can be stopped before each."""

    def test_pieces_find_the_same(self) -> None:
        found = compute_partition(net(2, 64, 64, 64, 3), PLANE)
        ticks: list[None] = []
        inner, whole = certificate_of(found, False, lambda: ticks.append(None)), certificate_of(found, False)
        assert len(ticks) > 3
        assert inner.is_sound
        measured = {"residual", "boundary_residual"}  # sums of another batch size round differently
        assert {k: v for k, v in vars(inner).items() if k not in measured} == {
            k: v for k, v in vars(whole).items() if k not in measured}

    def test_large_networks_come_cell_by_cell(self) -> None:
        found = compute_partition(net(2, 4, 300_000, 1), PLANE.with_domain(rectangle(0, 1e-6, 0, 1e-6)))
        ticks: list[None] = []
        assert certificate_of(found, True, lambda: ticks.append(None)).is_sound
        assert len(ticks) >= 3 * found.n_cells

    @pytest.mark.parametrize("n", [1, 2, 3])
    def test_a_tick_that_raises_stops_it(self, partition: Partition, n: int) -> None:
        count = iter(range(1, 1000))

        def tick() -> None:
            if next(count) == n:
                raise Cancelled

        with pytest.raises(Cancelled):
            certificate_of(partition, False, tick)


class TestTampering:
    def tampered(self, partition: Partition, **planar: Any) -> Partition:
        return dataclasses.replace(partition, planar=dataclasses.replace(partition.planar, **planar))

    def test_a_moved_vertex(self, partition: Partition) -> None:
        inner = np.flatnonzero(np.abs(partition.vertices).max(axis=1) < 0.5)[0]
        points = partition.vertices.copy()
        points[inner] += 0.3
        certificate = self.tampered(partition, points=points).certificate(full=True)
        assert not certificate.is_sound
        assert certificate.n_flat > 0

    def test_a_lost_cell(self, partition: Partition) -> None:
        n = partition.cell_offsets[-2]
        planar = partition.planar
        certificate = self.tampered(
            partition, cell_offsets=planar.cell_offsets[:-1], cell_vertices=planar.cell_vertices[:n],
            cell_edges=planar.cell_edges[:n], cell_hashes=planar.cell_hashes[:-1]).certificate(full=True)
        assert not certificate.is_sound
        assert certificate.euler == 0
        assert certificate.n_loose_edges > 0
        assert certificate.area_error > 0

    def test_a_missing_kink(self, partition: Partition) -> None:
        coarse = compute_partition(net(2, 32, 4), PLANE)
        certificate = dataclasses.replace(
            coarse, network=partition.network, zero_tolerances=partition.zero_tolerances).certificate(full=True)
        assert not certificate.is_sound
        assert certificate.n_mixed > 0

    @pytest.mark.parametrize("place", [0, 1, 2])
    def test_a_missing_cut_of_a_maximum_beside_entries_that_tie(self, place: int) -> None:
        class Net(nn.Module):
            def __init__(self, offset: float) -> None:
                super().__init__()
                self.offset = offset

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                entries = [torch.zeros_like(x[:, 0])] * 2
                entries.insert(place, x[:, 0] - self.offset)
                return torch.stack(entries, 1).amax(1, keepdim=True)

        right, wrong = (compute_partition(Net(offset).eval(), PLANE) for offset in (0.2, 50.0))
        assert (right.n_cells, wrong.n_cells) == (2, 1)
        values = right.network.reference(torch.from_numpy(PLANE.to_input(wrong.vertices))).numpy()
        certificate = dataclasses.replace(wrong, network=right.network, values=values).certificate(full=True)
        assert certificate.n_mixed == 1
        assert right.certificate(full=True).is_sound

    def test_another_model(self, partition: Partition) -> None:
        network = dataclasses.replace(partition.network, reference=net(2, 32, 32, 4, seed=1).double())
        certificate = dataclasses.replace(partition, network=network).certificate(full=True)
        assert not certificate.is_sound
        assert certificate.residual > 1e-3
        assert "NOT sound" in str(certificate)


class TestAgainstWrongOnes:
    """Partitions that are wrong in one thing, and models that are another's."""

    @pytest.mark.parametrize("change", [
        lambda v: 3 * v, lambda v: v + np.random.default_rng(0).normal(size=v.shape) * 1e-6,
        lambda v: np.where(v == v.max(), 2 * v, v),
    ])
    def test_stored_outputs(self, change: Any) -> None:
        found = compute_partition(net(2, 8, 8, 2), PLANE)
        certificate = dataclasses.replace(found, values=change(found.values)).certificate(full=True)
        assert not certificate.is_sound
        assert certificate.n_off > 0
        assert "expected 0" in dict(certificate.figures)["corners with other outputs"]

    @pytest.mark.slow
    @pytest.mark.parametrize("head", [nn.Softmax(1), nn.LogSoftmax(1), nn.Sigmoid(), "argmax"])
    @pytest.mark.parametrize("scale", [1.0, 1e10])
    def test_another_model_under_a_head(self, head: Any, scale: float) -> None:
        def model(factor: float) -> nn.Module:
            made = net(2, 8, 8, 3)
            with torch.no_grad():
                made[-1].weight.mul_(scale * factor)
                made[-1].bias.mul_(scale * factor)
                made[-1].weight[0] *= factor
            return (Argmax(made) if head == "argmax" else nn.Sequential(made, head)).eval()

        found, other = (compute_partition(model(factor), PLANE) for factor in (1.0, -0.5))
        assert found.certificate(full=True).is_sound
        wrong = dataclasses.replace(found.network, reference=other.network.reference)
        assert not dataclasses.replace(found, network=wrong).certificate(full=True).is_sound

    def test_a_model_of_which_nothing_can_be_told(self) -> None:
        class Same(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                z = torch.relu(x).sum(1, keepdim=True)
                return torch.cat([z, z, z], 1).argmax(1)

        certificate = compute_partition(Same().eval(), PLANE).certificate(full=True)
        assert certificate.compared_with == "the network as it was read"
        assert "tie everywhere" in certificate.unasked


class Argmax(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x).argmax(1)


@pytest.mark.slow
def test_models_that_fill_a_tensor_of_their_own_are_asked_in_float64() -> None:
    class Filled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first = nn.Linear(2, 6)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = torch.relu(self.first(x))
            made = torch.zeros(x.shape[0], 3)
            made[:, 0] = h[:, 0]
            made[:, 1:] = h[:, 1:3] - h[:, 3:5]
            return made

    certificate = compute_partition(Filled().eval(), PLANE).certificate(full=True)
    assert certificate.is_sound, str(certificate)
    assert certificate.residual < 1e-13
