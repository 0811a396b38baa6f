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

    def test_another_model(self, partition: Partition) -> None:
        network = dataclasses.replace(partition.network, reference=net(2, 32, 32, 4, seed=1).double())
        certificate = dataclasses.replace(partition, network=network).certificate(full=True)
        assert not certificate.is_sound
        assert certificate.residual > 1e-3
        assert "NOT sound" in str(certificate)
