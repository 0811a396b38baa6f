"""A map of images: 2-D places at which similar images are neighbours and none covers another. Knows only vectors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, diags_array, identity
from scipy.sparse.linalg import eigsh
from scipy.spatial import cKDTree

from .engine import threads
from .engine.arrays import Float64

N_COMPONENTS = 32
N_NEIGHBOURS = 10


def grid_positions(vectors: Any) -> NDArray[np.float32]:
    """Places (n, 2) of vectors (n, d) on a full grid of whole numbers, y upwards, similar vectors near one another.

    Laplacian eigenmaps of the nearest-neighbour graph give two coordinates; sorting by the first into columns, and inside
    each column by the second, spreads them evenly.

    References
    ----------
    Belkin, Niyogi: Laplacian eigenmaps for dimensionality reduction. Neural Computation 15 (2003).
    """
    flat = np.asarray(vectors, dtype=np.float64).reshape(len(vectors), -1)
    n = len(flat)
    plane = _eigenmap(_principal(flat))
    n_rows = math.ceil(n / math.ceil(math.sqrt(n)))
    out = np.empty((n, 2), np.float32)
    order = np.lexsort((plane[:, 1], plane[:, 0]))
    for column, ids in enumerate(np.split(order, range(n_rows, n, n_rows))):
        ranked = ids[np.lexsort((plane[ids, 0], plane[ids, 1]))]
        out[ranked, 0] = column
        out[ranked, 1] = np.arange(n_rows - len(ranked), n_rows)
    return out


def _principal(flat: Float64) -> Float64:
    """The first principal components (n, <= 32)."""
    centred = flat - flat.mean(axis=0)
    k = min(N_COMPONENTS, *centred.shape)
    if centred.shape[1] <= 1024:
        _, vectors = np.linalg.eigh(centred.T @ centred)
        projected: Float64 = centred @ vectors[:, ::-1][:, :k]
        return projected
    # Random projection first, so that large images do not need a d x d matrix (Halko, Martinsson, Tropp 2011).
    sketch = centred @ np.random.default_rng(0).standard_normal((centred.shape[1], 4 * k))
    basis, _ = np.linalg.qr(centred.T @ sketch)
    projected = centred @ basis
    _, vectors = np.linalg.eigh(projected.T @ projected)
    out: Float64 = projected @ vectors[:, ::-1][:, :k]
    return out


def _eigenmap(points: Float64) -> Float64:
    """Two coordinates (n, 2) of points (n, k)."""
    n = len(points)
    if n <= N_NEIGHBOURS + 1 or not (np.ptp(points, axis=0) > 0).any():
        padded = np.zeros((n, 2))
        padded[:, : min(2, points.shape[1])] = points[:, :2]
        return padded
    _, neighbours = cKDTree(points).query(points, N_NEIGHBOURS + 1, workers=threads.n_cores())
    rows = np.repeat(np.arange(n), N_NEIGHBOURS)
    links = coo_array((np.ones(n * N_NEIGHBOURS), (rows, neighbours[:, 1:].ravel())), shape=(n, n)).tocsr()
    # A faint link of all to all, folded into the shift, keeps separate clusters apart but defined.
    links = links.maximum(links.T)
    scale = diags_array(1 / np.sqrt(links.sum(axis=1)))
    laplacian = identity(n) - scale @ links @ scale
    start = np.sin(np.arange(1.0, n + 1))  # any fixed vector: the same images get the same map
    _, vectors = eigsh(laplacian.tocsc(), k=3, sigma=-1e-2, v0=start)
    out: Float64 = scale @ vectors[:, ::-1][:, :2] if vectors.shape[1] < 3 else scale @ vectors[:, 1:3]
    return out
