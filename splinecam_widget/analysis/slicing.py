"""Slices through data: along axes and principal directions, and through nearest neighbours. Knows no networks."""

from __future__ import annotations

from typing import Any

import numpy as np

from splinecam_widget.engine.arrays import as_count, as_numbers, as_real
from splinecam_widget.engine.slices import Slice, square_around

RANK_ROUNDINGS = 16.0
"""The singular values of a matrix (n, d) carry an error of about `u sqrt(n d)` times the largest; a direction whose own is
below this many times that is noise."""


def principal_slice(images: Any, components: Any, domain: Any) -> Slice:
    """See `Slice.along_principal_directions`."""
    points, roundoff = as_numbers(images, "images")
    if points.ndim < 2 or len(points) < 3:
        raise ValueError(f"images: expected at least 3 inputs, shape (N, *shape), got shape {points.shape}")
    shape = points.shape[1:]
    flat = points.reshape(len(points), -1)
    if flat.shape[1] < 2:
        raise ValueError(f"images: expected at least two input dimensions, got shape {shape}")
    n_components = min(len(flat) - 1, flat.shape[1])
    pair = list(components) if np.ndim(components) == 1 else []
    are_there = all(isinstance(c, (int, np.integer)) and 0 <= c < n_components for c in pair)
    if len(pair) != 2 or not are_there or pair[0] == pair[1]:
        raise ValueError(f"components: expected two different numbers from 0 to {n_components - 1}, got {components}")
    mean = flat.mean(axis=0)
    _, sizes, rows = np.linalg.svd(flat - mean, full_matrices=False)
    # Means and differences carry the roundings of the data themselves.
    noise = RANK_ROUNDINGS * roundoff * np.sqrt(flat.size) * max(float(sizes[0]), float(np.abs(flat).max()))
    for c in pair:
        if not sizes[c] > noise:
            raise ValueError(f"components: expected directions in which the images vary, got {c}, in which they do not "
                             f"(singular value {sizes[c]:.3g}, rounding error {noise:.3g})")
    basis = rows[pair]
    # A direction's sign is arbitrary: the entry of largest magnitude (the first of them) is positive.
    largest = basis[np.arange(2), np.abs(basis).argmax(axis=1)]
    basis = (basis * np.sign(largest)[:, None]).reshape(2, *shape)
    plane = Slice.from_basis(mean.reshape(shape), basis)
    return plane.with_domain(square_around(plane.to_slice(points)) if domain is None else domain)


def neighbour_slice(images: Any, labels: Any, classes: Any, x: Any, domain: Any) -> Slice:
    """See `Slice.through_nearest`."""
    points, _ = as_numbers(images, "images")
    if points.ndim < 2 or not len(points):
        raise ValueError(f"images: expected inputs of shape (N, *shape), got shape {points.shape}")
    of_image = np.asarray(labels.detach().cpu().numpy() if hasattr(labels, "detach") else labels)
    if of_image.shape != (len(points),):
        raise ValueError(f"labels: expected one for each of {len(points)} images, got shape {of_image.shape}")
    triple = list(classes) if np.ndim(classes) == 1 else []
    if len(triple) != 3:
        given = f"shape {np.shape(classes)}" if np.ndim(classes) > 1 else f"{classes!r}"
        raise ValueError(f"classes: expected three labels, got {given}")
    flat = points.reshape(len(points), -1)
    members = [np.flatnonzero(of_image == c) for c in triple]
    for c, ids in list(zip(triple, members))[x is not None:]:
        if not len(ids):
            raise ValueError(f"classes: expected labels that images have, got {c!r}")
    if x is None:
        first = flat[members[0][0]]
    else:
        start, _ = as_numbers(x, "x")
        if start.shape != points.shape[1:]:
            raise ValueError(f"x: expected the shape of an image, {points.shape[1:]}, got {start.shape}")
        first = start.reshape(-1)
    anchors = [first]
    for c, ids in zip(triple[1:], members[1:]):
        distances = np.linalg.norm(flat[ids] - first, axis=1)
        for anchor in anchors:  # nor another image that is the same
            distances[(flat[ids] == anchor).all(axis=1)] = np.inf
        if not np.isfinite(distances).any():
            raise ValueError(f"classes: expected an image of class {c!r} other than the anchors before it, got none")
        anchors.append(flat[ids[distances.argmin()]])
    x1, x2, x3 = (anchor.reshape(points.shape[1:]) for anchor in anchors)
    return Slice.through(x1, x2, x3, domain)


def axis_slice(x: Any, axes: Any, radius: float, domain: Any) -> Slice:
    """See `Slice.axis_aligned`."""
    centre, _ = as_numbers(x, "x")
    if centre.size < 2:
        raise ValueError(f"x: expected at least two input dimensions, got shape {centre.shape}")
    radius = as_real(radius, "radius", is_positive=True)
    try:
        first, second = axes
    except (TypeError, ValueError):
        raise ValueError(f"axes: expected two entries of the input, got {axes!r}") from None
    ids = [_entry(axis, centre.shape) for axis in (first, second)]
    if ids[0] == ids[1]:
        raise ValueError(f"axes: expected two different entries of the input, got {axes!r}")
    basis = np.zeros((2, centre.size))
    basis[[0, 1], ids] = 1.0
    square = radius * np.array([[-1.0, -1], [1, -1], [1, 1], [-1, 1]])
    return Slice.from_basis(centre, basis.reshape(2, *centre.shape), square if domain is None else domain)


def _entry(axis: Any, shape: tuple[int, ...]) -> int:
    """The flat number of an entry, given as that or as a tuple of indices."""
    size = int(np.prod(shape))
    if np.ndim(axis) == 0:
        return as_count(axis, 0, size - 1, "axes", "entries of the input")
    place = tuple(axis)
    if len(place) != len(shape) or not all(isinstance(i, (int, np.integer)) and 0 <= i < n for i, n in zip(place, shape)):
        raise ValueError(f"axes: expected indices within {shape}, got {axis!r}")
    return int(np.ravel_multi_index(place, shape))
