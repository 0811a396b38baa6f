"""Local complexity: against signs that hooks see, closed forms, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from oracle import mlp
from splinecam_widget import compute_line, local_complexity
from splinecam_widget.analysis import complexity
from zoo import GroupSort, Maxout


def corners_of(x: np.ndarray, radius: float, n_directions: int, seed: int) -> np.ndarray:
    """Those of the cross-polytope: the orthonormal columns of a QR decomposition of normally distributed numbers."""
    q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((x.size, n_directions)))
    return np.concatenate([x + radius * q.T.reshape(-1, *x.shape), x - radius * q.T.reshape(-1, *x.shape)])


def changing(net: nn.Module, x: np.ndarray) -> list[int]:
    """Inputs of each ReLU that are positive at some corners and not at others."""
    seen: list[int] = []
    hooks = [m.register_forward_pre_hook(lambda _, given: seen.append(
        int(((given[0] > 0).any(0) & (given[0] <= 0).any(0)).sum()))) for m in net.modules() if isinstance(m, nn.ReLU)]
    with torch.no_grad():
        net(torch.from_numpy(x))
    for hook in hooks:
        hook.remove()
    return seen


@pytest.mark.parametrize(("n_directions", "seed"), [(1, 0), (3, 1), (5, 2)])
def test_counts_what_hooks_see(n_directions: int, seed: int) -> None:
    net = mlp(5, 40, 30, 20, 3, seed=seed)
    points = np.random.default_rng(seed).uniform(-1, 1, (30, 5))
    found = local_complexity(net, points, 0.4, n_directions, seed)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, [changing(net, corners_of(x, 0.4, n_directions, seed)) for x in points])
    assert (found.sum(axis=0) > 0).all()


def test_images_in_a_few_at_a_time(monkeypatch: Any) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten()).double().eval()
    points = np.random.default_rng(0).uniform(-1, 1, (7, 1, 6, 6))
    expected = [changing(net, corners_of(x, 0.5, 25, 0)) for x in points]
    np.testing.assert_array_equal(local_complexity(net, points, 0.5), expected)
    monkeypatch.setattr(complexity, "MOST_ROWS", 16)
    monkeypatch.setattr(complexity, "CHUNKS_AT_A_TIME", 1)
    np.testing.assert_array_equal(local_complexity(net, points, 0.5), expected)


def test_in_one_dimension_are_the_units_that_bend_in_an_interval() -> None:
    """One layer: exactly the breakpoints between x - r and x + r."""
    net = mlp(1, 60, 1, seed=3)
    places = compute_line(net, [-3.0], [3.0]).t[1:-1] * 6 - 3
    points = np.linspace(-2, 2, 23)
    expected = [int(((places > x - 0.3) & (places < x + 0.3)).sum()) for x in points]
    assert max(expected) > 3
    np.testing.assert_array_equal(local_complexity(net, points[:, None], 0.3)[:, 0], expected)


def test_units_of_several_knots_and_choices_count_once() -> None:
    assert local_complexity(nn.ReLU6().eval(), [[3.0, 3.0]], 100.0).tolist() == [[2]]
    torch.manual_seed(1)
    for net, n in ((Maxout(6, 5, 3), 5), (nn.Sequential(nn.Linear(6, 12), GroupSort(4)), 3)):
        assert local_complexity(net.double().eval(), np.zeros((1, 6)), 1e6).tolist() == [[n]]
        assert local_complexity(net, np.ones((2, 6)), 1e-9).tolist() == [[0], [0]]


def test_without_kinks_there_are_no_layers() -> None:
    assert local_complexity(nn.Linear(2, 2).double().eval(), np.zeros((3, 2)), 1.0).shape == (3, 0)
    assert local_complexity(nn.ReLU().eval(), np.zeros((0, 2)), 1.0).shape == (0, 1)


@pytest.mark.parametrize(("points", "more", "text"), [
    ([1.0, 2.0], {"radius": 1.0}, r"^points: expected inputs of shape \(n, \*input_shape\), got shape \(2,\)"),
    ([[1.0, 2.0]], {"radius": 0.0}, r"^radius: expected a positive number, got 0.0"),
    ([[1.0, 2.0]], {"radius": 1.0, "n_directions": 3}, r"^n_directions: expected a number, .*, from 1 to 2, got 3"),
])
def test_refuses(points: Any, more: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        local_complexity(nn.ReLU().eval(), points, **more)


def test_refuses_points_of_another_shape_than_the_network() -> None:
    network = compute_line(nn.ReLU().eval(), [0.0, 0], [1.0, 1]).network
    with pytest.raises(ValueError, match=r"^points: expected inputs of shape \(2,\), got \(3,\)"):
        local_complexity(network, np.zeros((1, 3)), 1.0)
