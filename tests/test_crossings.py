"""Crossings of an edge in order, however many there are and wherever they lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases import cases
from splinecam_widget.engine._sign_kernels import MANY, sort_crossings

Array = np.ndarray[Any, Any]


def even(generator: np.random.Generator, n: int) -> Array:
    return generator.random(n)


def crowded(generator: np.random.Generator, n: int) -> Array:
    """Most of them next to one another: hardly any lies in a bucket of its own."""
    return np.where(generator.random(n) < 0.02, generator.random(n), 0.5 + 1e-12 * generator.random(n))


def tied(generator: np.random.Generator, n: int) -> Array:
    return generator.integers(0, 5, n) / 4.0


def equal(generator: np.random.Generator, n: int) -> Array:
    return np.full(n, 0.25)


def next_to_one(generator: np.random.Generator, n: int) -> Array:
    return np.nextafter(1.0, 0.0) + np.spacing(0.5) * generator.integers(-2, 2, n)


def halving(generator: np.random.Generator, n: int) -> Array:
    return 0.5 ** generator.integers(0, 1000, n)


@cases(100)
@given(
    st.sampled_from([even, crowded, tied, equal, next_to_one, halving]), st.integers(0, 1 << 20),
    st.one_of(st.integers(0, 2 * MANY), st.integers(0, 2000)), st.integers(0, 3))
def test_are_sorted_and_equal_ones_stay_in_order(draw: Any, seed: int, n: int, before: int) -> None:
    parameters = draw(np.random.default_rng(seed), n + 2 * before)
    units = np.arange(len(parameters), dtype=np.int32)
    order = np.concatenate(
        [units[:before], before + np.argsort(parameters[before:before + n], kind="stable"), units[before + n:]])
    expected = parameters[order]
    sort_crossings(parameters, units, before, before + n)
    np.testing.assert_array_equal(units, order)
    np.testing.assert_array_equal(parameters, expected)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n", [3, MANY + 1, 500])
def test_what_is_no_number_loses_none(n: int, bad: float) -> None:
    """Of values that overflow: the outputs will tell."""
    parameters = np.random.default_rng(0).random(n)
    parameters[[0, n // 2, n - 1]] = bad
    given_, units = parameters.copy(), np.arange(n, dtype=np.int32)
    sort_crossings(parameters, units, 0, n)
    assert sorted(units.tolist()) == list(range(n))
    np.testing.assert_array_equal(parameters, given_[units])
