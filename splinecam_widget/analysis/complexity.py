"""Local complexity: how many units change sign in small neighbourhoods of inputs. An estimate for inputs of any dimension."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from splinecam_widget.engine.arrays import Float64, as_count, as_numbers, as_real, generator_of
from splinecam_widget.engine.compute import network_of
from splinecam_widget.engine.evaluation import patterns_at, row_chunks
from splinecam_widget.engine.network import Network
from splinecam_widget.engine.planar import Int64
from splinecam_widget.engine.steps import Step

CHUNKS_AT_A_TIME = 8
"""Of corners, for several cores; so many have their patterns in memory at a time."""

MOST_ROWS = 1 << 20
"""Of a chunk of corners."""


def local_complexity(
    model: Any, points: Any, radius: float, n_directions: int | None = None, seed: int = 0
) -> Int64:
    """How many units of each layer of kinks change their piece near inputs.

    Parameters
    ----------
    model : nn.Module, callable of torch operations, or Network
    points : (n, *input_shape) tensor or array
    radius : float
        Of the neighbourhoods, input-space units.
    n_directions : int or None
        P, at most the number of entries of an input. None: 25, or all there are if these are fewer.
    seed : int
        Of the directions.

    Returns
    -------
    (n, L) int64
        Units of each of the L layers of kinks, in execution order; their sum over layers is the local complexity.

    Raises
    ------
    UnsupportedModelError
        If an operation of the model is neither affine nor a known kink.
    TypeError, ValueError
        If an argument is of the wrong kind.

    Notes
    -----
    The neighbourhood of x is the cross-polytope with the 2 P corners x + r v_p and x - r v_p, for random orthonormal directions
    v_1 to v_P, the same ones for all points. Of a layer, those units are counted whose pre-activation does not have the same
    sign at all corners. In the first layer, where pre-activations are affine, these are exactly the units that bend within the
    neighbourhood. In deeper layers a unit may bend inside and have one sign at all corners, so that it is missed.

    This is the definition of Humayun, Balestriero and Baraniuk, extended to all kinks: of units with several knots, those are
    counted that do not lie between the same two everywhere; where the largest of several is taken, or several are sorted, those
    whose order changes. It differs in two ways: zero counts as negative, where the authors' program has a sign of its own for
    it; and it looks before every kink, where their experiments may take the units of some layers only.

    On a slice, `Partition` has exact counts instead of this estimate.

    References
    ----------
    Humayun, Balestriero, Baraniuk: Deep networks always grok and here is why. ICML 2024, arXiv 2402.15555.

    Examples
    --------
    >>> import torch
    >>> local_complexity(torch.nn.ReLU(), [[0.1, 2.0], [3.0, 2.0]], radius=0.5).tolist()
    [[1], [0]]
    """
    centres, _ = as_numbers(points, "points")
    if centres.ndim < 2:
        raise ValueError(f"points: expected inputs of shape (n, *input_shape), got shape {centres.shape}")
    radius = as_real(radius, "radius", is_positive=True)
    shape = centres.shape[1:]
    size = math.prod(shape)
    wanted = min(25, size) if n_directions is None else n_directions
    count = as_count(wanted, 1, size, "n_directions", "a number, not above that of an input's entries,")
    network = network_of(model, shape, None, None)
    if network.input_shape != shape:
        raise ValueError(f"points: expected inputs of shape {network.input_shape}, got {shape}")
    normal = generator_of(seed).standard_normal((size, count))
    directions = radius * np.linalg.qr(normal)[0].T.reshape(count, *shape)
    corners = np.concatenate([directions, -directions])
    counts = np.zeros((len(centres), len(network.layers)), np.int64)
    step = max(1, CHUNKS_AT_A_TIME * row_chunks(network, MOST_ROWS)[0].stop // len(corners))
    for start in range(0, len(centres), step):
        some = centres[start:start + step]
        counts[start:start + step] = _changing_units(network, some[:, None] + corners)
    return counts


def _changing_units(network: Network, corners: Float64) -> Int64:
    """Units (n, L) of each layer that are not on one piece at all corners (n, 2 P, *input_shape)."""
    n, n_corners = corners.shape[:2]
    exact = tuple(np.zeros(_n_decisions(network, step)) for layer in network.layers for step in layer)
    found = np.empty((n, len(network.layers)), np.int64)
    inputs = corners.reshape(n * n_corners, *network.input_shape)
    patterns = patterns_at(network, exact, lambda rows: inputs[rows], len(inputs))
    for i, (kink, pattern) in enumerate(zip(network.kinks, patterns)):
        pieces = pattern.reshape(n, n_corners, -1, kink.n_units)  # knot by knot, or comparison by comparison
        found[:, i] = (pieces != pieces[:, :1]).any(axis=(1, 2)).sum(axis=1)
    return found


def _n_decisions(network: Network, step: Step) -> int:
    """Entries of what decides on the pieces of a cut."""
    return math.prod(network.shapes[step.sources[1 if step.kind == "settle" else 0]])


