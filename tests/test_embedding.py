"""The map of images: a full grid, neighbours that are alike, the same map each time."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from splinecam_widget._embedding import grid_positions


def clusters(n: int, d: int, n_clusters: int = 4, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Vectors in well-separated clusters, and the cluster of each."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, n_clusters, n)
    return rng.normal(0, 10, (n_clusters, d))[ids] + rng.standard_normal((n, d)), ids


def assert_full_grid(positions: NDArray[np.float32]) -> None:
    """No two images share a place, places are one apart, and the grid is about square without holes."""
    n = len(positions)
    assert positions.shape == (n, 2)
    assert positions.dtype == np.float32
    assert np.isfinite(positions).all()
    columns = np.unique(positions[:, 0])
    np.testing.assert_array_equal(columns, np.arange(len(columns)))
    heights = []
    for column in columns:
        rows = np.sort(positions[positions[:, 0] == column, 1])
        np.testing.assert_array_equal(np.diff(rows), 1)
        heights.append(len(rows))
    side = int(np.ceil(np.sqrt(n)))
    assert len(columns) <= side
    assert max(heights) <= side


@pytest.mark.parametrize("n", [2, 3, 5, 11, 12, 13, 50, 100, 257])
@pytest.mark.parametrize("d", [1, 2, 3, 64])
def test_full_grid(n: int, d: int) -> None:
    assert_full_grid(grid_positions(clusters(n, d)[0]))


def test_image_shapes_and_dtypes() -> None:
    vectors = clusters(40, 48)[0]
    expected = grid_positions(vectors)
    np.testing.assert_array_equal(grid_positions(vectors.reshape(40, 3, 4, 4)), expected)
    assert_full_grid(grid_positions((vectors * 10).astype(np.int16).reshape(40, 3, 16)))


@pytest.mark.parametrize("d", [64, 1200], ids=["covariance", "random projection"])
def test_alike_are_neighbours(d: int) -> None:
    vectors, ids = clusters(400, d)
    positions = grid_positions(vectors)
    apart = np.abs(positions[:, None] - positions[None]).max(axis=2)
    near = (apart > 0) & (apart <= 1)
    same = ids[:, None] == ids[None]
    # Four clusters of 100 on a grid of 20 x 20: inside a block all neighbours are alike, on its borders half are. Without any
    # order a quarter would be.
    assert same[near].mean() > 0.75


def test_the_same_images_get_the_same_map() -> None:
    vectors = clusters(120, 1200)[0]
    np.testing.assert_array_equal(grid_positions(vectors), grid_positions(vectors.copy()))


def test_random_numbers_of_the_user_stay() -> None:
    np.random.seed(3)
    expected = np.random.random(4)
    np.random.seed(3)
    grid_positions(clusters(60, 1200)[0])
    np.testing.assert_array_equal(np.random.random(4), expected)


@pytest.mark.parametrize("n", [2, 30, 200])
def test_equal_images(n: int) -> None:
    assert_full_grid(grid_positions(np.ones((n, 20))))


def test_many_copies_among_others() -> None:
    vectors = clusters(60, 20)[0]
    vectors[:40] = vectors[0]
    assert_full_grid(grid_positions(vectors))


def test_images_are_not_changed() -> None:
    vectors = clusters(50, 20)[0]
    before = vectors.copy()
    grid_positions(vectors)
    np.testing.assert_array_equal(vectors, before)


def test_large_scale() -> None:
    assert_full_grid(grid_positions(clusters(60, 20)[0] * 1e100))
