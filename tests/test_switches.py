"""Conditions on the input: the same partition as by activations, right layers later, and refused where a choice jumps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from oracle import assert_consistent, square
from splinecam_widget.engine.compute import compute_partition
from splinecam_widget.engine.errors import UnsupportedModelError
from splinecam_widget.engine.partition import Partition
from splinecam_widget.engine.slices import Slice, rectangle

GENTLE = 2.0**-30
"""How far apart vertices of two computations of one picture may be: a rounding error times the condition of a crossing."""

Function = Callable[[torch.Tensor], torch.Tensor]


class Between(nn.Module):
    """A function between two linear layers, the same ones for every function."""

    def __init__(self, function: Function, width: int = 7) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(3, width), nn.Linear(width, 2)
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.function(self.first(x)))


def _put(z: torch.Tensor) -> torch.Tensor:
    copied = z.clone()
    copied[z < 0] = 0.0
    return copied


def _clipped(z: torch.Tensor) -> torch.Tensor:
    low = torch.where(z < -0.5, -0.5, z)
    return torch.where(low > 0.25, 0.25, low)


EQUAL: dict[str, tuple[Function, Function]] = {
    "where": (lambda z: torch.where(z > 0, z, 0.0), torch.relu),
    "where, from below": (lambda z: torch.where(z <= 0, 0.0, z), torch.relu),
    "where, number first": (lambda z: torch.where(torch.lt(torch.zeros_like(z), z), z, torch.zeros_like(z)), torch.relu),
    "where with two slopes": (lambda z: torch.where(z >= 0, z, 0.25 * z), lambda z: F.leaky_relu(z, 0.25)),
    "mask as a factor": (lambda z: z * (z > 0), torch.relu),
    "mask as a float factor": (lambda z: z * (z > 0).to(z.dtype), torch.relu),
    "mask first": (lambda z: (z > 0).double() * z, torch.relu),
    "one minus a mask": (lambda z: z * (1 - (z < 0).to(z.dtype)), torch.relu),
    "a mask with two slopes": (lambda z: z * (0.25 + 0.75 * (z > 0).to(z.dtype)), lambda z: F.leaky_relu(z, 0.25)),
    "masked_fill": (lambda z: z.masked_fill(z < 0, 0.0), torch.relu),
    "written by a mask": (_put, torch.relu),
    "sign": (lambda z: z * torch.sign(z), torch.abs),
    "heaviside": (lambda z: z * torch.heaviside(z, torch.zeros(1, dtype=z.dtype)), torch.relu),
    "not": (lambda z: torch.where(~(z < 0), z, 0.0), torch.relu),
    "logical not": (lambda z: z * torch.logical_not(z < 0), torch.relu),
    "or": (lambda z: torch.where((z < -0.5) | (z > 0.5), F.softshrink(z, 0.5), 0.0), lambda z: F.softshrink(z, 0.5)),
    "and": (lambda z: torch.where((z > -0.5) & (z < 0.25), z, z.clamp(-0.5, 0.25)), lambda z: z.clamp(-0.5, 0.25)),
    "xor": (lambda z: torch.where((z > -0.5) ^ (z > 0.25), z, z.clamp(-0.5, 0.25)), lambda z: z.clamp(-0.5, 0.25)),
    "one after another": (_clipped, lambda z: z.clamp(-0.5, 0.25)),
    "compared with a vector": (
        lambda z: torch.where(z > 0.1 * torch.arange(7, dtype=z.dtype), z, 0.1 * torch.arange(7, dtype=z.dtype)),
        lambda z: torch.maximum(z, 0.1 * torch.arange(7, dtype=z.dtype))),
    "compared with each other": (
        lambda z: torch.where(z[:, :3] > z[:, 3:6], z[:, :3], z[:, 3:6]).repeat(1, 3)[:, :7],
        lambda z: torch.maximum(z[:, :3], z[:, 3:6]).repeat(1, 3)[:, :7]),
    "one condition for all": (
        lambda z: torch.where(z[:, :1] > 0, z * 0 + z[:, :1], -0.5 * z[:, :1]),
        lambda z: F.leaky_relu(z[:, :1], -0.5).expand(-1, 7)),
}


def assert_same_picture(found: Partition, expected: Partition) -> None:
    assert_consistent(found)
    assert found.n_regions == expected.n_regions
    size = float(np.ptp(expected.plane.domain, axis=0).max())
    where = found.locate(expected.centroids)
    order = np.unique(where)
    assert len(order) == found.n_cells == expected.n_cells
    np.testing.assert_allclose(found.areas[where], expected.areas, rtol=0, atol=GENTLE * size * size)
    A, b = found.affine_maps()
    C, d = expected.affine_maps()
    np.testing.assert_allclose(A[where], C, rtol=0, atol=2.0**-40)
    np.testing.assert_allclose(b[where], d, rtol=0, atol=2.0**-40)


PLANE = Slice.around(np.array([0.1, -0.2, 0.3]), seed=2, radius=2.0)


@pytest.mark.slow
@pytest.mark.parametrize("name", EQUAL)
def test_a_condition_cuts_as_the_activation_that_it_writes(name: str) -> None:
    condition, activation = EQUAL[name]
    model = Between(condition).double().eval()
    found, expected = compute_partition(model, PLANE), compute_partition(Between(activation).double().eval(), PLANE)
    assert_same_picture(found, expected)
    certificate = found.certificate(full=True)
    assert certificate.is_sound, str(certificate)
    assert certificate.compared_with == "the model itself in float64"


class Later(nn.Module):
    """A mask made at the first layer, used on what is zero at its line only, after other kinks."""

    def __init__(self, is_continuous: bool = True) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first, self.second, self.last = nn.Linear(2, 6), nn.Linear(2, 6), nn.Linear(6, 2)
        self.is_continuous = is_continuous

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.first(x)
        mask = z > 0.25
        other = torch.relu(self.second(x)).abs()
        gate = (z - 0.25) if self.is_continuous else z
        chosen = torch.where(mask, other + F.hardtanh(gate, -0.5, 0.5), other)
        return self.last(F.leaky_relu(chosen - 0.3))


class TestLater:
    """A condition outlives the layer that made it."""

    def test_it_chooses_right_after_other_kinks(self) -> None:
        model = Later().double().eval()
        partition = compute_partition(model, square(2.0))
        assert_consistent(partition)
        certificate = partition.certificate(full=True)
        assert certificate.is_sound, str(certificate)
        assert_piecewise_affine(partition, model)

    def test_a_jump_there_is_seen(self) -> None:
        with pytest.raises(UnsupportedModelError, match=r"`where` in \(model\) jumps by 0.25"):
            compute_partition(Later(is_continuous=False).double().eval(), square(2.0))


def assert_piecewise_affine(partition: Partition, model: nn.Module, seed: int = 0) -> None:
    """What the model itself says at random points is what the map of their cell says."""
    low, high = partition.plane.domain.min(axis=0), partition.plane.domain.max(axis=0)
    u = np.random.default_rng(seed).uniform(low, high, (2000, 2))
    cells = partition.locate(u)
    u, cells = u[cells >= 0], cells[cells >= 0]
    A, b = partition.affine_maps()
    with torch.no_grad():
        said = model(torch.from_numpy(partition.plane.to_input(u))).reshape(len(u), -1).numpy()
    size = max(1.0, float(np.abs(said).max()))
    np.testing.assert_allclose(np.einsum("nki,ni->nk", A[cells], u) + b[cells], said, rtol=0, atol=2.0**-38 * size)


class Inner(nn.Module):
    """A function in a module with a path."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


def jumping(function: Function) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 4), Inner(function)), nn.Linear(4, 2)).eval()


ONE_CHANNEL = torch.tensor([0.0, 0.0, 1.0, 0.0], dtype=torch.float64)
JUMPS: dict[str, tuple[Function, str]] = {
    "by one": (lambda z: torch.where(z > 0, z + 1, z), "where"),
    "by a millionth": (lambda z: torch.where(z > 0, z + 1e-6, z), "where"),
    "a mask beside the line": (lambda z: z * (z > 0.1), "mul"),
    "filled beside the line": (lambda z: z.masked_fill(z < 0.1, 0.0), "masked_fill"),
    "written beside the line": (lambda z: _put_beside(z), "index_put|where"),
    "a sign of something else": (lambda z: z * torch.sign(z + 0.1), "mul"),
    "in one channel only": (lambda z: torch.where(z > 0, z + ONE_CHANNEL, z), "where"),
    "one condition for all": (lambda z: torch.where(z[:, 1:2] > 0, z, 0.5 * z), "where"),
    "the mask's second use": (lambda z: _twice(z), "mul"),
    "and": (lambda z: torch.where((z > -0.1) & (z < 0.1), z, 0.0), "where"),
    "a number instead": (lambda z: torch.where(z > 0, 1.0, 0.0) * z + torch.where(z > 0, z, 1.0), "where"),
}


def _put_beside(z: torch.Tensor) -> torch.Tensor:
    copied = z.clone()
    copied[z < 0.1] = 0.0
    return copied


def _twice(z: torch.Tensor) -> torch.Tensor:
    mask = (z > 0).to(z.dtype)
    return z * mask + (z + 1) * mask


@pytest.mark.parametrize("name", JUMPS)
def test_a_choice_that_jumps_is_refused_by_path_and_operation(name: str) -> None:
    function, operation = JUMPS[name]
    text = rf"^model: expected choices that are continuous, each by itself, but `({operation})` in 1.2 jumps by"
    with pytest.raises(UnsupportedModelError, match=text):
        compute_partition(jumping(function).double(), square(2.0))


def test_the_height_of_a_jump_is_said() -> None:
    with pytest.raises(UnsupportedModelError, match=r"jumps by 0.75 where a condition on the input changes"):
        compute_partition(lambda x: torch.where(x[:, :1] > 0.125, x[:, :1] + 0.75, x[:, :1]), square())


@pytest.mark.parametrize("domain", [rectangle(0.5, 2, -1, 1), rectangle(-3, -0.5, -1, 1)], ids=["right", "left"])
def test_a_jump_elsewhere_in_the_plane_does_not_matter(domain: np.ndarray) -> None:
    def model(x: torch.Tensor) -> torch.Tensor:
        return torch.where(x[:, :1] > 0, x[:, :1] + 1, -x[:, :1]) + torch.relu(x[:, 1:])

    partition = compute_partition(model, square().with_domain(domain))
    assert partition.n_cells == 2
    assert partition.certificate(full=True).is_sound
    with pytest.raises(UnsupportedModelError, match="jumps"):
        compute_partition(model, square())


def test_a_mask_used_twice_is_continuous_if_both_uses_are() -> None:
    def model(x: torch.Tensor) -> torch.Tensor:
        mask = x > 0
        return torch.where(mask, x, -x) + mask * x

    partition = compute_partition(model, square())
    assert partition.n_cells == 4
    assert partition.certificate(full=True).is_sound


@pytest.mark.parametrize("function", [
    lambda z: (z > 0).to(z.dtype).sum(1, keepdim=True) * z, lambda z: (z > 0).to(z.dtype) @ torch.ones(4, 4, dtype=z.dtype),
    lambda z: (z > 0).to(z.dtype).cumsum(1), lambda z: z + (z > 0), lambda z: torch.cat([z, (z > 0).to(z.dtype)], 1)[:, :4],
    lambda z: torch.relu((z > 0).to(z.dtype)), lambda z: (z > 0).any(1, keepdim=True) * z,
    lambda z: torch.where(z > 0, z, 0.0) * torch.where(z > 0.1, z, 0.0),
    lambda z: torch.where((z > 0) > 0.5, z, 0.0), lambda z: torch.where(z == 0, z, 0.0), lambda z: z[(z > 0).long().argmax(1)],
], ids=["sum", "matmul", "cumsum", "plus", "cat", "relu", "any", "product of choices", "compared", "equal", "index"])
def test_conditions_used_otherwise_are_refused(function: Function) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        compute_partition(jumping(function).double(), square(2.0))
    assert caught.value.offenders or "jumps" in str(caught.value)


def conditional(seed: int) -> nn.Module:
    """A net of several layers, each with one of the conditions above."""
    numbers = np.random.default_rng(seed)
    names = sorted(name for name in EQUAL if name not in ("one condition for all",))
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    width = 3
    for _ in range(int(numbers.integers(1, 4))):
        layers += [nn.Linear(width, 7), Inner(EQUAL[names[int(numbers.integers(len(names)))]][0])]
        if numbers.random() < 0.5:
            layers += [nn.Linear(7, 4), nn.LeakyReLU(0.1), nn.Linear(4, 7)]
        width = 7
    return nn.Sequential(*layers, nn.Linear(7, 2)).double().eval()


@pytest.mark.parametrize("seed", [*range(6), *(pytest.param(s, marks=pytest.mark.slow) for s in range(6, 30))])
def test_nets_of_conditions_are_what_the_model_computes(seed: int) -> None:
    model = conditional(seed)
    partition = compute_partition(model, PLANE)
    assert_consistent(partition)
    certificate: Any = partition.certificate(full=True)
    assert certificate.is_sound, str(certificate)
    assert_piecewise_affine(partition, model, seed)


def inside_a_box(x: torch.Tensor) -> torch.Tensor:
    a, b = x[:, :1], x[:, 1:]
    return torch.where((a > 0) & (1 - a > 0) & (b > 0) & (1 - b > 0), a + 1, a)


def test_a_jump_around_a_place_where_several_conditions_hold_is_refused() -> None:
    """At each corner of the box, one of the other conditions is on its own line."""
    with pytest.raises(UnsupportedModelError, match=r"`where` in \(model\) jumps by 1 "):
        compute_partition(inside_a_box, square(2.0))


@pytest.mark.parametrize("seed", range(8))
def test_so_is_one_around_a_triangle_anywhere(seed: int) -> None:
    w = torch.from_numpy(np.random.default_rng(seed).normal(size=(2, 3)))
    shift = torch.full((3,), 0.5, dtype=torch.float64)

    def raised(x: torch.Tensor) -> torch.Tensor:
        h = x @ w.to(x.dtype) + shift.to(x.dtype)
        return torch.where(((h[:, :1] > 0) & (h[:, 1:2] > 0) & (h[:, 2:] > 0)), x + 1, x)

    with pytest.raises(UnsupportedModelError, match="jumps by 1 "):
        compute_partition(raised, square())


@pytest.mark.parametrize("function", [
    lambda x: x * torch.sign(torch.relu(x)), lambda x: torch.where(torch.relu(x) >= 0, x, torch.zeros_like(x)),
    lambda x: torch.where(x.clamp(max=1) < 1, torch.ones_like(x), x), lambda x: torch.where(x * 0 >= 0, x, x + 1),
])
def test_a_comparison_of_what_is_equal_on_a_whole_cell_is_refused_where_it_matters(function: Any) -> None:
    with pytest.raises(UnsupportedModelError, match="equal on a whole cell"):
        compute_partition(function, square(1.5))


def test_it_is_taken_where_it_does_not_matter() -> None:
    def function(x: torch.Tensor) -> torch.Tensor:
        z = torch.relu(x)
        return torch.where(z > 0, z, torch.zeros_like(z))

    partition = compute_partition(function, square())
    assert partition.n_cells == 4
    assert partition.certificate(full=True).is_sound


@pytest.mark.parametrize("function", [
    lambda x: torch.sign(x), lambda x: x > 0, lambda x: (x > 0).to(x.dtype), lambda x: (x > 0).to(x.dtype).argmax(1),
])
def test_a_condition_is_no_output(function: Any) -> None:
    with pytest.raises(UnsupportedModelError, match="the output"):
        compute_partition(function, square())
