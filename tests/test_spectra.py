"""Fourier transforms inside a network: affine in their input, with complex numbers as pairs."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from oracle import assert_consistent
from splinecam_widget.engine.compute import compute_partition
from splinecam_widget.engine.errors import UnsupportedModelError
from splinecam_widget.engine.lowering import lower
from splinecam_widget.engine.slices import Slice

Function = Callable[[torch.Tensor], torch.Tensor]
FILTER = torch.randn(5, dtype=torch.cfloat, generator=torch.Generator().manual_seed(3))

SPECTRA: dict[str, Function] = {
    "both parts": lambda z: torch.view_as_real(torch.fft.rfft(z)),
    "filtered": lambda z: torch.fft.irfft(torch.fft.rfft(z) * FILTER.to(torch.cfloat), n=8),
    "real part, ortho": lambda z: torch.fft.fft(z, norm="ortho").real,
    "imaginary part of two axes": lambda z: torch.fft.rfft2(z.view(-1, 2, 4)).imag,
    "given axes": lambda z: torch.fft.fftn(z.view(-1, 2, 2, 2), dim=(1, 3), norm="forward").real,
    "conjugate": lambda z: torch.fft.ifft(torch.fft.fft(z).conj()).imag,
    "some frequencies": lambda z: torch.view_as_real(torch.fft.fft(z)[:, 1:4]),
    "hermitian": lambda z: torch.fft.hfft(torch.view_as_complex(z.view(-1, 4, 2)), n=6),
}


class Spectral(nn.Module):
    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function
        self.enter = nn.Linear(8, 8)
        with torch.no_grad():
            width = function(torch.zeros(2, 8)).flatten(1).shape[1]
        self.leave = nn.Linear(width, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.leave(self.function(self.enter(x).relu()).relu().flatten(1))
        return y


def spectral(name: str) -> Spectral:
    torch.manual_seed(0)
    return Spectral(SPECTRA[name]).eval()


@pytest.mark.slow
@pytest.mark.parametrize("name", SPECTRA)
def test_partition_is_exact(name: str) -> None:
    partition = compute_partition(spectral(name), Slice.around(np.zeros(8), radius=2.0))
    assert partition.n_cells > 20
    assert_consistent(partition)
    certificate = partition.certificate(full=True)
    assert certificate.is_sound, str(certificate)


@pytest.mark.parametrize("name", SPECTRA)
def test_tolerance_holds_and_is_not_far_above_the_true_error(name: str) -> None:
    """Between one rounding of the largest output and a few thousand."""
    network = lower(spectral(name), (8,))
    partition = compute_partition(network, Slice.around(np.zeros(8), radius=2.0))
    scale = float(np.abs(partition.values).max())
    assert (partition.tolerance < 1e-12 * scale).all()
    assert (partition.tolerance > 1e-16 * scale).all()


def test_survives_pickling() -> None:
    network = lower(spectral("filtered"), (8,))
    plane = Slice.around(np.zeros(8), radius=2.0)
    again = compute_partition(pickle.loads(pickle.dumps(network)), plane)
    np.testing.assert_array_equal(again.values, compute_partition(network, plane).values)


@pytest.mark.parametrize("function", [
    lambda z: torch.fft.fft(z).abs(), lambda z: (torch.fft.fft(z) * torch.fft.fft(z)).real,
])
def test_refuses_what_is_not_affine(function: Function) -> None:
    with pytest.raises(UnsupportedModelError, match="complex"):
        lower(function, (8,))


@pytest.mark.parametrize("function", [
    lambda z: torch.fft.fftshift(torch.fft.fft(z)).real, lambda z: z + torch.fft.fft(z)[:1].real,
    lambda z: z + torch.fft.fft(z).transpose(0, 1)[:, :1].transpose(0, 1).real,
])
def test_refuses_what_mixes_a_batch(function: Function) -> None:
    with pytest.raises(UnsupportedModelError, match="mixes the inputs of a batch"):
        lower(function, (8,))
