"""Where a zoom ends: views at the limits are certified and sharp, and Python refuses what lies beyond."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

from splinecam_widget import Slice, compute_partition
from splinecam_widget._limits import COARSEST, FINEST, REFUSED, Limits, limits_of, size_of, width_of
from splinecam_widget.engine.lowering import lower
from splinecam_widget.engine.slices import rectangle, square_around

PIXEL = 2.0**-12
"""The share of a view that `FINEST` leaves exact."""

PLANE = Slice.through([0.5, 0.25], [0.75, 0.25], [0.5, 0.75])


def net(*widths: int, seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for n, m in itertools.pairwise(widths):
            layers += [nn.Linear(n, m), nn.ReLU()]
    return nn.Sequential(*layers[:-1]).eval()


def view(u: np.ndarray, width: float) -> np.ndarray:
    return rectangle(u[0] - width / 2, u[0] + width / 2, u[1] - width / 2, u[1] + width / 2)


def test_no_number_on_the_slice_is_larger_than_its_size() -> None:
    rng = np.random.default_rng(0)
    for scale in (1e-6, 1.0, 1e6):
        plane = Slice.through(*(rng.standard_normal((3, 20)) * scale))
        u = rng.uniform(plane.domain.min(axis=0), plane.domain.max(axis=0), (1000, 2))
        assert max(np.abs(u).max(), np.abs(plane.to_input(u)).max()) <= size_of(plane, plane.domain)


def test_limits_grow_with_the_numbers_and_always_hold_the_default() -> None:
    default = square_around(np.asarray(PLANE.anchors))
    limits = limits_of(PLANE, default)
    assert limits == Limits(FINEST * size_of(PLANE, PLANE.domain), COARSEST * size_of(PLANE, np.asarray(PLANE.anchors)))
    far = PLANE.with_domain(PLANE.domain + 1e6)
    assert limits_of(far, default).finest > 1e5 * limits.finest
    close = Slice.through([1e6, 1e6], [1e6 + 1e-5, 1e6], [1e6, 1e6 + 1e-5])
    default = square_around(np.asarray(close.anchors))
    assert limits_of(close, default).finest == width_of(default)
    limits_of(close, default).check(default)
    picture = rectangle(-1, 1, -1, 1)
    tiny = Slice.through([0.0, 0.0], [1e-13, 0.0], [0.0, 1e-13])
    assert limits_of(tiny, picture).coarsest == 2
    limits_of(close, default).check(1e6 + picture)


def test_beyond_is_refused_by_one_sentence() -> None:
    limits = Limits(1e-9, 1e9)
    for width in (1e-9, 1e9, 1e-9 / REFUSED, REFUSED * 1e9):
        limits.check(rectangle(0, width, 0, width))
    limits.check(rectangle(0, 1, 0, 1e-15))  # thin and not narrow
    with pytest.raises(ValueError, match=r"^domain: expected a width of at least 1e-09, where float64 has .*, got 1e-10$"):
        limits.check(rectangle(0, 1e-10, 0, 1e-10))
    with pytest.raises(ValueError, match=r"^domain: expected a width of at most 1e\+09, where float64 has .*, got 1e\+10$"):
        limits.check(rectangle(0, 1e10, 0, 1))


@pytest.mark.slow
@pytest.mark.parametrize("widths", [(2, 48, 48, 3), (2, *[24] * 8, 1), (50, 40, 40, 40, 4)], ids=str)
def test_the_finest_view_is_certified(widths: tuple[int, ...]) -> None:
    """Around corners of cells, where most has to be decided: four cells, and all checks hold."""
    network = lower(net(*widths), widths[:1])
    rng = np.random.default_rng(1)
    plane = Slice.through(*rng.uniform(-1, 1, (3, widths[0])))
    whole = compute_partition(network, plane)
    middle, size = plane.domain.mean(axis=0), width_of(plane.domain)
    inner = np.flatnonzero((np.abs(whole.vertices - middle) < 0.45 * size).all(axis=1))
    for u in whole.vertices[rng.choice(inner, 5, replace=False)]:
        finest = limits_of(plane, plane.domain).finest
        found = compute_partition(network, plane.with_domain(view(u, finest)))
        assert found.n_cells == 4
        assert np.linalg.norm(found.vertices - u, axis=1).min() < PIXEL * finest
        certificate = found.certificate(full=True)
        assert certificate.is_sound, str(certificate)


def test_lines_of_the_finest_view_are_where_rational_numbers_have_them() -> None:
    """A first layer's kinks: w·x + b = 0 for the weights as they are, at every vertex, without rounding."""
    model = net(2, 40, 1)
    network = lower(model, (2,))
    whole = compute_partition(network, PLANE)
    inner = np.flatnonzero((np.abs(whole.vertices - PLANE.domain.mean(axis=0)) < 0.3).all(axis=1))
    finest = limits_of(PLANE, PLANE.domain).finest
    u = whole.vertices[inner[0]]
    found = compute_partition(network, PLANE.with_domain(view(u, finest)))
    weights, biases = model[0].weight.tolist(), model[0].bias.tolist()
    checked = 0
    for (a, b), layer, unit in zip(found.edges, found.edge_layer, found.edge_unit):
        if layer < 0:
            continue
        w = [Fraction(value) for value in weights[unit]]
        for vertex in (a, b):
            z = sum(c * Fraction(x) for c, x in zip(w, found.vertices[vertex].tolist())) + Fraction(biases[unit])
            assert abs(float(z)) <= PIXEL * finest * float(np.hypot(*weights[unit]))
            checked += 1
    assert checked >= 8


def test_the_coarsest_view_is_certified() -> None:
    limits = limits_of(PLANE, PLANE.domain)
    wide = PLANE.with_domain(view(np.asarray(PLANE.anchors)[0], limits.coarsest))
    certificate = compute_partition(lower(net(2, 24, 24, 2), (2,)), wide).certificate(full=True)
    assert certificate.is_sound, str(certificate)
    assert certificate.n_close == 0
