"""Numbers that users hand in become float64 copies, or an error that names the argument."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from splinecam_widget.engine.arrays import as_numbers


@pytest.mark.parametrize("value", [
    [[1, 2], [3, 4]],
    np.array([[1, 2], [3, 4]], np.int32),
    np.array([[1, 2], [3, 4]], np.float32),
    torch.tensor([[1, 2], [3, 4]]),
    torch.tensor([[1.0, 2], [3, 4]], requires_grad=True),
    torch.tensor([[1.0, 3], [2, 4]], dtype=torch.float16).T,
    torch.tensor([[1.0, 2], [3, 4]], dtype=torch.bfloat16),
])
def test_reads_tensors_arrays_and_lists(value: Any) -> None:
    numbers, _ = as_numbers(value, "x")
    assert numbers.dtype == np.float64
    np.testing.assert_array_equal(numbers, [[1, 2], [3, 4]])


@pytest.mark.parametrize(("dtype", "digits"), [
    (torch.float64, 53), (torch.float32, 24), (torch.float16, 11), (torch.bfloat16, 8), (torch.int64, 53),
])
def test_knows_the_roundoff_of_the_type(dtype: torch.dtype, digits: int) -> None:
    """That of a binary format with so many significant digits is 2^-digits; whole numbers become float64."""
    _, roundoff = as_numbers(torch.ones(3, dtype=dtype), "x")
    assert roundoff == 2.0**-digits


def test_copies_what_it_reads() -> None:
    array = np.zeros(3)
    tensor = torch.zeros(3, dtype=torch.float64)
    for value in (array, tensor):
        numbers, _ = as_numbers(value, "x")
        numbers[:] = 1
    assert not array.any()
    assert not tensor.any()


@pytest.mark.parametrize("value", [
    np.array([1 + 2j]), np.array(["a"]), np.array([True]), [[1, 2], [3]], None, "1", object(),
])
def test_refuses_what_is_not_a_real_number(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^picture: expected .*real numbers.*got"):
        as_numbers(value, "picture")


def test_refuses_nan_and_infinity_and_says_how_many() -> None:
    with pytest.raises(ValueError, match=r"^x1: expected finite numbers, got NaN in 1 of 3 entries"):
        as_numbers([0.0, np.nan, 1.0], "x1")
    with pytest.raises(ValueError, match=r"^x1: expected finite numbers, got infinity in 2 of 3 entries"):
        as_numbers(torch.tensor([np.inf, -np.inf, 1.0]), "x1")


def test_reads_an_empty_array() -> None:
    assert as_numbers(np.empty((0, 2)), "x")[0].shape == (0, 2)


@pytest.mark.parametrize("tensor", [torch.eye(2).to_sparse(), torch.zeros(2, device="meta")])
def test_tensors_without_plain_numbers_are_named(tensor: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="x1: expected a tensor that numpy can read"):
        as_numbers(tensor, "x1")
