"""Two-dimensional slices of input space. Knows vectors; knows nothing of networks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .arrays import Float64, as_numbers, as_real, generator_of
from .errors import sizes_text

DEFAULT_MARGIN = 1.5
"""Side of the default domain over the larger extent of the anchors."""

COLLINEAR_FACTOR = 8.0
"""Differences of anchors carry rounding errors of `roundoff * max|x|` an entry, so `sqrt(d)` times that in norm, twice,
and twice again through the projection; a height below twice the sum of these is noise, not a direction."""


@dataclass(frozen=True, eq=False)
class Slice:
    """An affine 2-plane in input space with an orthonormal basis, and the convex part of it that is looked at.

    Make one with `Slice.through`, `Slice.through_two`, `Slice.around` or `Slice.from_basis`; from data with
    `Slice.axis_aligned`, `Slice.along_principal_directions` or `Slice.through_nearest`.

    Attributes
    ----------
    origin : (*input_shape,) float64
        The input at slice coordinates (0, 0).
    basis : (2, *input_shape) float64
        Orthonormal, so lengths and areas on the slice are those of input space.
    domain : (k, 2) float64
        Corners of a convex polygon, counter-clockwise, in slice coordinates.
    anchors : (3, 2) float64 or None
        The slice coordinates of the three anchors, when it was made from three.

    Examples
    --------
    >>> plane = Slice.through([0.0, 0, 0], [2.0, 0, 0], [0, 1.0, 0])
    >>> plane.to_input([1.0, 0.5]).tolist()
    [1.0, 0.5, 0.0]
    """

    origin: Float64
    basis: Float64
    domain: Float64
    anchors: Float64 | None = None

    def __repr__(self) -> str:
        anchors = "" if self.anchors is None else ", through three anchors"
        return (f"Slice({sizes_text(self.input_shape)} inputs; domain of {len(self.domain)} corners, "
                f"area {polygon_area(self.domain):.6g}{anchors})")

    @classmethod
    def through(cls, x1: Any, x2: Any, x3: Any, domain: Any = None) -> Slice:
        """The slice through three anchors.

        Slice coordinates have `x1` at the origin and `x2` on the positive first axis; `x3` lies above it. For inputs of
        two numbers every slice is the whole plane, and slice coordinates are the input's own.

        Parameters
        ----------
        x1, x2, x3 : (*input_shape,) tensors or arrays
            Anchors, not on one line.
        domain : (k, 2) array or None
            Convex polygon in slice coordinates; None: a square around the anchors, 1.5 times their larger extent wide.

        Raises
        ------
        ValueError
            If shapes differ, entries are not finite real numbers, anchors are equal or on one line, or the domain is bad.
        """
        points, roundoffs = zip(*(as_numbers(x, name) for x, name in zip((x1, x2, x3), ("x1", "x2", "x3"))))
        if len({point.shape for point in points}) > 1:
            shapes = [point.shape for point in points]
            raise ValueError(f"x1, x2, x3: expected three of one shape, got {shapes[0]}, {shapes[1]} and {shapes[2]}")
        _check_dimensions(points[0], "x1")
        basis = _basis_through(points, max(roundoffs))
        origin = points[0]
        if origin.size == 2:
            origin, basis = np.zeros_like(origin), np.eye(2).reshape(2, *origin.shape)
        plane = cls(origin, basis, np.empty((0, 2)))
        anchors = plane.to_slice(np.stack(points))
        polygon = square_around(anchors) if domain is None else as_domain(domain)
        return replace(plane, domain=polygon, anchors=anchors)

    @classmethod
    def through_two(cls, x1: Any, x2: Any, seed: int = 0, domain: Any = None) -> Slice:
        """The slice through two anchors and a random third direction (normal distribution, from `seed`).

        The third anchor stands on the perpendicular through the middle of the first two, half their distance away.

        Raises
        ------
        ValueError
            As `Slice.through`.
        """
        (a, _), (b, _) = as_numbers(x1, "x1"), as_numbers(x2, "x2")
        if a.shape != b.shape:
            raise ValueError(f"x2: expected the shape of x1, {a.shape}, got {b.shape}")
        _check_dimensions(a, "x1")
        length = float(np.linalg.norm(b - a))
        if length == 0:
            raise ValueError("x2: expected an anchor different from x1, got the same point")
        along = (b - a) / length
        direction = generator_of(seed).standard_normal(a.shape)
        direction -= np.sum(direction * along) * along
        direction /= np.linalg.norm(direction)
        return cls.through(a, b, (a + b) / 2 + direction * (length / 2), domain)

    @classmethod
    def around(cls, x: Any, seed: int = 0, radius: float = 1.0, domain: Any = None) -> Slice:
        """The slice through `x` in a random orientation (from `seed`), `x` at (0, 0).

        Parameters
        ----------
        radius : float
            Half the side of the default domain, in input-space units.

        Raises
        ------
        ValueError
            If `x` is not made of finite real numbers, or `radius` is not positive.
        """
        centre, _ = as_numbers(x, "x")
        _check_dimensions(centre, "x")
        radius = as_real(radius, "radius", is_positive=True)
        columns = generator_of(seed).standard_normal((centre.size, 2))
        directions, _ = np.linalg.qr(columns)
        square = radius * np.array([[-1.0, -1], [1, -1], [1, 1], [-1, 1]])
        return cls.from_basis(centre, directions.T.reshape(2, *centre.shape), square if domain is None else domain)

    @classmethod
    def from_basis(cls, origin: Any, basis: Any, domain: Any = None) -> Slice:
        """The slice with a given origin and orthonormal basis.

        Parameters
        ----------
        origin : (*input_shape,) array
        basis : (2, *input_shape) array, orthonormal to the rounding of its dtype
        domain : (k, 2) array or None
            None: the square [-1, 1] x [-1, 1].

        Raises
        ------
        ValueError
            If the basis has another shape or is not orthonormal.
        """
        start, _ = as_numbers(origin, "origin")
        pair, roundoff = as_numbers(basis, "basis")
        if pair.shape != (2, *start.shape):
            raise ValueError(f"basis: expected shape {(2, *start.shape)}, got {pair.shape}")
        flat = pair.reshape(2, -1)
        gram = flat @ flat.T
        # Each entry of the Gram matrix is a sum of d products of rounded numbers of norm 1.
        if np.abs(gram - np.eye(2)).max() > 8 * roundoff * np.sqrt(start.size + 1.0):
            raise ValueError(f"basis: expected two orthonormal vectors, got the Gram matrix {gram.tolist()}")
        square = np.array([[-1.0, -1], [1, -1], [1, 1], [-1, 1]])
        return cls(start, pair, square if domain is None else as_domain(domain))

    @classmethod
    def axis_aligned(cls, x: Any, axes: Any, radius: float = 1.0, domain: Any = None) -> Slice:
        """The slice through `x` on which two entries of the input vary, and all others are those of `x`; `x` at (0, 0).

        Parameters
        ----------
        x : (*input_shape,) array
        axes : pair of int, or of tuples of int
            The two entries, by their numbers in the flattened input or by their indices.
        radius : float
            Half the side of the default domain, in input-space units.

        Raises
        ------
        ValueError
            If `x` is not made of finite real numbers, the entries do not exist or are equal, or `radius` is not positive.

        Examples
        --------
        >>> Slice.axis_aligned([5.0, 6.0, 7.0], axes=(0, 2)).to_input([0.5, -0.5]).tolist()
        [5.5, 6.0, 6.5]
        """
        from splinecam_widget.analysis.slicing import axis_slice

        return axis_slice(x, axes, radius, domain)

    @classmethod
    def along_principal_directions(cls, images: Any, components: Any = (0, 1), domain: Any = None) -> Slice:
        """The slice through the mean of images along two of their principal directions.

        Parameters
        ----------
        images : (N, *input_shape) array
        components : pair of int
            Which directions, by falling variance.
        domain : (k, 2) array or None
            None: a square around the projections of all images, 1.5 times their larger extent wide.

        Raises
        ------
        ValueError
            If there are too few images, no such directions, or the images do not vary along one.

        Notes
        -----
        The directions are the right singular vectors of the images minus their mean. Their signs are chosen so that the entry
        of largest magnitude, the first of several, is positive.

        Examples
        --------
        >>> plane = Slice.along_principal_directions([[3.0, 0, 1], [-3, 0, 1], [0, 1, 1], [0, -1, 1]])
        >>> plane.origin.tolist(), (plane.basis + 0.0).tolist()
        ([0.0, 0.0, 1.0], [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
        """
        from splinecam_widget.analysis.slicing import principal_slice

        return principal_slice(images, components, domain)

    @classmethod
    def through_nearest(cls, images: Any, labels: Any, classes: Any, x: Any = None, domain: Any = None) -> Slice:
        """The slice through an image and its nearest neighbours in two classes.

        Parameters
        ----------
        images : (N, *input_shape) array
        labels : (N,) array
        classes : three labels a, b, c
            The anchors are `x`, the image of class b nearest to it, and that of class c nearest to it (Euclidean distance; the
            first of several), each other than the anchors before. b and c may be a, or the same.
        x : (*input_shape,) array or None
            None: the first image of class a. Given, it stands for class a, of which no image is needed.
        domain :
            As of `Slice.through`.

        Raises
        ------
        ValueError
            If shapes differ, a class has no image or none but the other anchors, or the anchors are on one line.

        Examples
        --------
        >>> images = [[0.0, 0], [9, 0], [2, 0], [0, 3]]
        >>> Slice.through_nearest(images, [0, 1, 1, 2], classes=(0, 1, 2)).anchors.tolist()
        [[0.0, 0.0], [2.0, 0.0], [0.0, 3.0]]
        """
        from splinecam_widget.analysis.slicing import neighbour_slice

        return neighbour_slice(images, labels, classes, x, domain)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input, without the batch axis."""
        return self.origin.shape

    def to_input(self, u: Any) -> Float64:
        """Inputs at slice coordinates: (..., 2) to (..., *input_shape), float64.

        Raises
        ------
        ValueError
            If `u` has another shape.
        """
        coordinates = np.asarray(u, dtype=np.float64)
        if coordinates.shape[-1:] != (2,):
            raise ValueError(f"u: expected slice coordinates of shape (..., 2), got {coordinates.shape}")
        steps = coordinates.reshape(-1, 2) @ self.basis.reshape(2, -1)
        inputs: Float64 = self.origin + steps.reshape(coordinates.shape[:-1] + self.origin.shape)
        return inputs

    def to_slice(self, x: Any) -> Float64:
        """Slice coordinates of the inputs' orthogonal projections: (..., *input_shape) to (..., 2), float64.

        Raises
        ------
        ValueError
            If they are not inputs of this slice's shape.
        """
        inputs, _ = as_numbers(x, "x")
        if inputs.shape[max(0, inputs.ndim - self.origin.ndim):] != self.origin.shape:
            raise ValueError(f"x: expected inputs of shape (..., {', '.join(map(str, self.origin.shape))}), got {inputs.shape}")
        difference = inputs - self.origin
        lead = difference.shape[: difference.ndim - self.origin.ndim]
        return difference.reshape(*lead, self.origin.size) @ self.basis.reshape(2, -1).T

    def with_domain(self, domain: Any) -> Slice:
        """The same plane and basis with another domain."""
        return replace(self, domain=as_domain(domain))

    def with_anchors(self, anchors: Any) -> Slice:
        """The same plane, basis and domain with anchors at other slice coordinates (3, 2).

        Raises
        ------
        ValueError
            If two anchors are equal or all are on one line.
        """
        coordinates, roundoff = as_numbers(anchors, "anchors")
        if coordinates.shape != (3, 2):
            raise ValueError(f"anchors: expected shape (3, 2), got {coordinates.shape}")
        _basis_through(tuple(coordinates), roundoff)
        return replace(self, anchors=coordinates)


def _check_dimensions(point: Float64, name: str) -> None:
    if point.size < 2:
        raise ValueError(f"{name}: expected at least two input dimensions, got shape {point.shape}")


def _basis_through(points: tuple[Float64, ...], roundoff: float) -> Float64:
    """Orthonormal basis of the plane through three points, by Gram-Schmidt with one re-orthogonalisation."""
    first, second = points[1] - points[0], points[2] - points[0]
    # The largest entry sets the scale, so that neither squares overflow nor tiny anchors vanish.
    scale = max(float(np.abs(first).max()), float(np.abs(second).max()))
    noise = COLLINEAR_FACTOR * roundoff * np.sqrt(points[0].size) * max(float(np.abs(p).max()) for p in points)
    if scale == 0:
        raise ValueError("x1, x2, x3: expected three different anchors, got three times the same point")
    length = float(np.linalg.norm(first / scale)) * scale
    if length <= noise:
        raise ValueError("x2: expected an anchor different from x1, got the same point")
    if float(np.linalg.norm(second / scale)) * scale <= noise:
        raise ValueError("x3: expected an anchor different from x1, got the same point")
    if float(np.linalg.norm((second - first) / scale)) * scale <= noise:
        raise ValueError("x3: expected an anchor different from x2, got the same point")
    e1 = first / length
    e2 = second / scale
    for _ in range(2):
        e2 = e2 - np.sum(e2 * e1) * e1
    height = float(np.linalg.norm(e2)) * scale
    # Noise across the first direction is amplified by how far along it the third anchor lies.
    reach = 1 + abs(float(np.sum(second / scale * e1))) * scale / length
    if not height > noise * reach:
        raise ValueError(
            "x1, x2, x3: expected anchors that are not on one line, got collinear ones "
            f"(height of the triangle over its first side: {height:.3g}, rounding error: {noise * reach:.3g})"
        )
    return np.stack([e1, e2 / np.linalg.norm(e2)])


def square_around(points: Float64, margin: float = DEFAULT_MARGIN) -> Float64:
    """Corners (4, 2) of the axis-parallel square around points (n, 2), `margin` times their larger extent wide."""
    low, high = points.min(axis=0), points.max(axis=0)
    centre, half = (low + high) / 2, margin * float((high - low).max()) / 2
    return rectangle(centre[0] - half, centre[0] + half, centre[1] - half, centre[1] + half)


def rectangle(left: float, right: float, bottom: float, top: float) -> Float64:
    """Corners (4, 2) of a rectangle, counter-clockwise from the lower left."""
    return np.array([[left, bottom], [right, bottom], [right, top], [left, top]], dtype=np.float64)


MAX_COORDINATE = 1e150
"""Of a domain: the squares of larger numbers overflow."""


def polygon_area(polygon: Float64) -> float:
    """Area of a polygon (k, 2), positive when it is counter-clockwise."""
    x, y = (polygon - polygon[0]).T
    return 0.5 * float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))


def as_domain(domain: Any) -> Float64:
    """A user's polygon checked: convex, of positive area, made counter-clockwise.

    Raises
    ------
    ValueError
        If it is not a (k, 2) array with k >= 3, not convex, too large for float64, or its area is zero.
    """
    polygon, roundoff = as_numbers(domain, "domain")
    polygon = np.ascontiguousarray(polygon)  # loops are compiled for these
    if polygon.ndim != 2 or polygon.shape[1] != 2 or len(polygon) < 3:
        raise ValueError(f"domain: expected the corners of a convex polygon, shape (k, 2) with k >= 3, got {polygon.shape}")
    largest = float(np.abs(polygon).max())
    if largest > MAX_COORDINATE:
        raise ValueError(f"domain: expected coordinates up to {MAX_COORDINATE:g}, or areas overflow, got {largest:g}")
    rolled = np.roll(polygon, -1, axis=0)
    edges = rolled - polygon
    following = np.roll(edges, -1, axis=0)
    turns = edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0]
    centred = polygon - polygon.mean(axis=0)
    area = 0.5 * float(np.sum(centred[:, 0] * np.roll(centred, -1, axis=0)[:, 1]
                              - centred[:, 1] * np.roll(centred, -1, axis=0)[:, 0]))
    # Rounding of a corner by `roundoff * max|u|` moves each of the k terms by at most that times the extent.
    extent = float(np.abs(centred).max())
    noise = 4 * len(polygon) * roundoff * largest * extent
    if abs(area) <= noise:
        raise ValueError(f"domain: expected a polygon of positive area, got area {area:.3g}")
    if area < 0:
        polygon, turns = polygon[::-1].copy(), -turns
    if (turns < -noise).any() or (turns <= 0).all():
        raise ValueError("domain: expected a convex polygon with its corners in order, got a non-convex one")
    winding = float(np.abs(np.angle(_complex(following) / _complex(edges))).sum()) if (edges != 0).any(1).all() else np.inf
    if winding > 3 * np.pi:  # a convex polygon turns by 2 pi in all, a self-crossing star by 4 pi or more
        raise ValueError(
            f"domain: expected a convex polygon without crossing or repeated corners, got {polygon.tolist()}"
        )
    return polygon


def _complex(vectors: Float64) -> NDArrayComplex:
    return vectors[:, 0] + 1j * vectors[:, 1]


NDArrayComplex = Any
