"""Slices: orthonormal bases, coordinates there and back, domains, and errors that say what was expected."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch

from splinecam_widget.engine.slices import DEFAULT_MARGIN, Slice, as_domain, rectangle, square_around

UNIT_ROUNDOFF = 2.0**-53
IMAGE = (3, 4, 5)
ROUNDINGS = 16 * np.sqrt(60) * UNIT_ROUNDOFF
"""Relative error of a scalar product over the 60 entries of an image, 16 roundings an entry, errors independent."""


def anchors_of(shape: tuple[int, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x1, x2, x3 = np.random.default_rng(seed).standard_normal((3, *shape))
    return x1, x2, x3


def slices() -> dict[str, Slice]:
    x1, x2, x3 = anchors_of(IMAGE)
    basis = np.zeros((2, *IMAGE))
    basis[0, 0, 0, 0] = basis[1, 2, 3, 4] = 1
    return {
        "through": Slice.through(x1, x2, x3),
        "through_two": Slice.through_two(x1, x2, seed=3),
        "around": Slice.around(x1, seed=3),
        "from_basis": Slice.from_basis(x1, basis),
    }


@pytest.mark.parametrize("plane", slices().values(), ids=slices().keys())
class TestEverySlice:
    """What holds for a slice of any origin."""

    def test_its_basis_is_orthonormal(self, plane: Slice) -> None:
        flat = plane.basis.reshape(2, -1)
        np.testing.assert_allclose(flat @ flat.T, np.eye(2), atol=ROUNDINGS)

    def test_coordinates_survive_the_way_to_the_input_and_back(self, plane: Slice) -> None:
        u = np.random.default_rng(1).uniform(-3, 3, size=(7, 2, 2))
        assert plane.to_input(u).shape == (7, 2, *IMAGE)
        size = 3 + float(np.linalg.norm(plane.origin))
        np.testing.assert_allclose(plane.to_slice(plane.to_input(u)), u, atol=ROUNDINGS * size)

    @pytest.mark.parametrize("u", [[[1.0], [2.0]], [1.0, 2.0, 3.0], 1.0])
    def test_refuses_coordinates_that_are_not_pairs(self, plane: Slice, u: Any) -> None:
        with pytest.raises(ValueError, match=r"^u: expected slice coordinates of shape \(\.\.\., 2\), got "):
            plane.to_input(u)

    def test_distances_on_the_slice_are_those_of_input_space(self, plane: Slice) -> None:
        u = np.random.default_rng(2).uniform(-3, 3, size=(2, 2))
        a, b = plane.to_input(u)
        size = 3 + float(np.linalg.norm(plane.origin))
        np.testing.assert_allclose(np.linalg.norm(a - b), np.linalg.norm(u[0] - u[1]), atol=ROUNDINGS * size)

    def test_to_slice_projects_orthogonally(self, plane: Slice) -> None:
        x = np.random.default_rng(3).standard_normal(IMAGE)
        rest = (x - plane.to_input(plane.to_slice(x))).ravel()
        size = float(np.linalg.norm(x)) + float(np.linalg.norm(plane.origin))
        np.testing.assert_allclose(plane.basis.reshape(2, -1) @ rest, 0, atol=ROUNDINGS * size)

    def test_no_inputs_have_no_coordinates(self, plane: Slice) -> None:
        assert plane.to_slice(np.zeros((0, *IMAGE))).shape == (0, 2)

    def test_its_domain_is_a_counter_clockwise_square(self, plane: Slice) -> None:
        assert plane.domain.shape == (4, 2)
        assert plane.domain.dtype == np.float64
        (ax, ay), (bx, by), (cx, cy), _ = plane.domain
        assert (bx - ax) * (cy - by) - (by - ay) * (cx - bx) > 0

    def test_it_knows_its_input_shape(self, plane: Slice) -> None:
        assert plane.input_shape == IMAGE
        assert plane.basis.shape == (2, *IMAGE)


class TestThrough:
    """The slice through three anchors."""

    def test_holds_its_anchors(self) -> None:
        points = anchors_of(IMAGE)
        plane = Slice.through(*points)
        assert plane.anchors is not None
        for point, u in zip(points, plane.anchors):
            np.testing.assert_allclose(plane.to_input(u), point, atol=ROUNDINGS * float(np.linalg.norm(point)))

    def test_puts_x1_at_zero_x2_on_the_first_axis_and_x3_above(self) -> None:
        x1, x2, x3 = anchors_of(IMAGE)
        plane = Slice.through(x1, x2, x3)
        assert plane.anchors is not None
        size = ROUNDINGS * float(np.linalg.norm(x2) + np.linalg.norm(x1))
        np.testing.assert_allclose(plane.anchors[0], [0, 0], atol=size)
        np.testing.assert_allclose(plane.anchors[1], [np.linalg.norm(x2 - x1), 0], atol=size)
        assert plane.anchors[2, 1] > 0

    def test_of_two_numbers_is_the_plane_itself(self) -> None:
        plane = Slice.through([0.0, 0.0], [0.0, 2.0], [-2.0, 1.0])
        assert plane.anchors is not None
        np.testing.assert_array_equal(plane.anchors, [[0, 0], [0, 2], [-2, 1]])
        np.testing.assert_array_equal(plane.to_input([0.3, 0.7]), [0.3, 0.7])

    def test_of_two_numbers_in_any_shape_is_the_plane_itself(self) -> None:
        plane = Slice.through(*np.array([[0.0, 0], [1, 0], [0, 1]]).reshape(3, 1, 2, 1))
        np.testing.assert_array_equal(plane.to_input([0.3, 0.7]), [[[0.3], [0.7]]])

    def test_looks_at_a_square_around_the_anchors(self) -> None:
        plane = Slice.through([0.0, 0, 0], [2.0, 0, 0], [0, 1.0, 0])
        assert plane.anchors is not None
        low, high = plane.domain.min(axis=0), plane.domain.max(axis=0)
        np.testing.assert_allclose(high - low, 2 * DEFAULT_MARGIN, rtol=4 * UNIT_ROUNDOFF)
        np.testing.assert_allclose((low + high) / 2, [1.0, 0.5], rtol=4 * UNIT_ROUNDOFF)

    def test_takes_tensors_of_any_type(self) -> None:
        points = [torch.tensor(p, dtype=torch.float32) for p in anchors_of(IMAGE)]
        ours, theirs = Slice.through(*points), Slice.through(*(p.double().numpy() for p in points))
        np.testing.assert_array_equal(ours.basis, theirs.basis)

    @pytest.mark.parametrize("scale", [1e-300, 1e-12, 1.0, 1e12, 1e300])
    def test_works_at_any_scale(self, scale: float) -> None:
        points = [scale * p for p in anchors_of(IMAGE)]
        flat = Slice.through(*points).basis.reshape(2, -1)
        np.testing.assert_allclose(flat @ flat.T, np.eye(2), atol=ROUNDINGS)

    def test_finds_the_plane_of_a_thin_triangle(self) -> None:
        """x3 stands 1e-6 above the line: representable, so a direction and not noise."""
        plane = Slice.through([0.0, 0, 0], [1.0, 0, 0], [0.5, 1e-6, 0])
        np.testing.assert_allclose(plane.basis, [[1, 0, 0], [0, 1, 0]], atol=UNIT_ROUNDOFF * 4e6)

    def test_refuses_another_shape(self) -> None:
        with pytest.raises(ValueError, match=r"^x1, x2, x3: expected three of one shape, got \(2,\), \(3,\) and \(3,\)$"):
            Slice.through(np.zeros(2), np.ones(3), np.ones(3))

    def test_refuses_inputs_of_one_number(self) -> None:
        with pytest.raises(ValueError, match=r"^x1: expected at least two input dimensions, got shape \(1,\)"):
            Slice.through([0.0], [1.0], [2.0])

    @pytest.mark.parametrize(("at", "name"), [(0, "x1"), (1, "x2"), (2, "x3")])
    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_refuses_nan_and_infinity(self, at: int, name: str, bad: float) -> None:
        points = np.array(anchors_of((4,)))
        points[at, 2] = bad
        with pytest.raises(ValueError, match=f"^{name}: expected finite numbers, got (NaN|infinity)"):
            Slice.through(*points)

    def test_refuses_complex_numbers_and_text(self) -> None:
        with pytest.raises(ValueError, match=r"^x2: expected real numbers, got dtype complex128"):
            Slice.through(np.zeros(3), np.ones(3) * 1j, np.ones(3))
        with pytest.raises(ValueError, match=r"^x1: expected real numbers, got dtype <U1"):
            Slice.through(["a", "b"], [0, 1], [1, 0])

    def test_refuses_equal_anchors(self) -> None:
        a, b = np.zeros(3), np.ones(3)
        for points, text in (
            ((a, a, b), r"^x2: expected an anchor different from x1, got the same point"),
            ((a, b, a), r"^x3: expected an anchor different from x1, got the same point"),
            ((a, b, b), r"^x3: expected an anchor different from x2, got the same point"),
            ((b, b, b), r"^x1, x2, x3: expected three different anchors, got three times the same point"),
        ):
            with pytest.raises(ValueError, match=text):
                Slice.through(*points)

    @pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
    @pytest.mark.parametrize("at", [-2.0, 0.3, 0.5, 7.0])
    def test_refuses_anchors_on_one_line(self, dtype: type, at: float) -> None:
        """Also where the line is not exact because the anchors are rounded to their type."""
        x1, x2, _ = anchors_of((50,))
        points = [p.astype(dtype) for p in (x1, x2, x1 + at * (x2 - x1))]
        text = r"^x1, x2, x3: expected anchors that are not on one line, got collinear ones"
        with pytest.raises(ValueError, match=text):
            Slice.through(*points)


class TestThroughTwo:
    """The slice through two anchors and a random direction."""

    def test_holds_both_anchors(self) -> None:
        x1, x2, _ = anchors_of(IMAGE)
        plane = Slice.through_two(x1, x2, seed=1)
        for x in (x1, x2):
            np.testing.assert_allclose(plane.to_input(plane.to_slice(x)), x, atol=ROUNDINGS * float(np.linalg.norm(x)))

    def test_puts_the_third_anchor_above_the_middle(self) -> None:
        x1, x2, _ = anchors_of(IMAGE)
        plane = Slice.through_two(x1, x2)
        assert plane.anchors is not None
        length = float(np.linalg.norm(x2 - x1))
        size = ROUNDINGS * float(np.linalg.norm(x1) + np.linalg.norm(x2))
        np.testing.assert_allclose(plane.anchors[2], [length / 2, length / 2], atol=size)

    def test_is_the_same_for_the_same_seed_only(self) -> None:
        x1, x2, _ = anchors_of(IMAGE)
        first, same, other = (Slice.through_two(x1, x2, seed=s).basis for s in (1, 1, 2))
        np.testing.assert_array_equal(first, same)
        assert not np.array_equal(first, other)

    def test_refuses_inputs_of_one_number(self) -> None:
        with pytest.raises(ValueError, match=r"^x1: expected at least two input dimensions, got shape \(1,\)"):
            Slice.through_two([0.0], [1.0])

    def test_refuses_equal_anchors_and_other_shapes(self) -> None:
        with pytest.raises(ValueError, match=r"^x2: expected an anchor different from x1, got the same point"):
            Slice.through_two(np.ones(3), np.ones(3))
        with pytest.raises(ValueError, match=r"^x2: expected the shape of x1, \(3,\), got \(2,\)"):
            Slice.through_two(np.ones(3), np.zeros(2))


class TestAround:
    """The slice around one input."""

    def test_has_the_input_at_zero(self) -> None:
        x, _, _ = anchors_of(IMAGE)
        np.testing.assert_array_equal(Slice.around(x, seed=1).to_input([0.0, 0.0]), x)

    def test_looks_as_far_as_its_radius(self) -> None:
        plane = Slice.around(np.zeros(5), radius=0.25)
        np.testing.assert_array_equal(plane.domain, rectangle(-0.25, 0.25, -0.25, 0.25))

    def test_is_the_same_for_the_same_seed_only(self) -> None:
        first, same, other = (Slice.around(np.zeros(5), seed=s).basis for s in (1, 1, 2))
        np.testing.assert_array_equal(first, same)
        assert not np.array_equal(first, other)

    @pytest.mark.parametrize("radius", [0.0, -1.0, np.nan, np.inf])
    def test_refuses_a_radius_that_is_not_positive(self, radius: float) -> None:
        with pytest.raises(ValueError, match=r"^radius: expected a positive number, got"):
            Slice.around(np.zeros(5), radius=radius)

    def test_refuses_inputs_of_one_number(self) -> None:
        with pytest.raises(ValueError, match=r"^x: expected at least two input dimensions, got shape \(1,\)"):
            Slice.around([0.0])


class TestFromBasis:
    """The slice with a basis of the user's."""

    def test_takes_what_it_is_given(self) -> None:
        basis = np.array([[0.6, 0.8, 0], [0, 0, 1]])
        plane = Slice.from_basis([1.0, 2, 3], basis, [[0, 0], [1, 0], [0, 1]])
        np.testing.assert_array_equal(plane.basis, basis)
        np.testing.assert_array_equal(plane.domain, [[0, 0], [1, 0], [0, 1]])
        assert plane.anchors is None

    def test_takes_a_basis_that_is_orthonormal_in_float32(self) -> None:
        q, _ = torch.linalg.qr(torch.randn(500, 2, generator=torch.Generator().manual_seed(0)))
        assert Slice.from_basis(torch.zeros(500), q.T).basis.shape == (2, 500)

    def test_refuses_another_shape(self) -> None:
        with pytest.raises(ValueError, match=r"^basis: expected shape \(2, 3\), got \(3, 2\)"):
            Slice.from_basis(np.zeros(3), np.eye(3)[:, :2])

    @pytest.mark.parametrize("basis", [
        [[1.0, 0], [1, 0]], [[1.0, 0], [0, 1.001]], [[1.0, 1e-6], [0, 1]], [[0.0, 0], [0, 0]],
    ])
    def test_refuses_vectors_that_are_not_orthonormal(self, basis: Any) -> None:
        with pytest.raises(ValueError, match=r"^basis: expected two orthonormal vectors, got the Gram matrix"):
            Slice.from_basis(np.zeros(2), basis)


class TestDomains:
    """The polygons that slices look at."""

    def test_a_clockwise_polygon_is_turned_around(self) -> None:
        polygon = as_domain([[0, 1], [1, 0], [0, 0]])
        np.testing.assert_array_equal(polygon, [[0, 0], [1, 0], [0, 1]])

    def test_corners_on_a_side_are_allowed(self) -> None:
        assert len(as_domain([[0, 0], [1, 0], [2, 0], [2, 2], [0, 2]])) == 5

    @pytest.mark.parametrize("shape", [(4,), (2, 2), (4, 3), (2, 2, 2), (0, 2)])
    def test_other_shapes_are_refused(self, shape: tuple[int, ...]) -> None:
        text = rf"^domain: expected the corners of a convex polygon, shape \(k, 2\) .*, got {re.escape(str(shape))}"
        with pytest.raises(ValueError, match=text):
            as_domain(np.zeros(shape))

    @pytest.mark.parametrize("domain", [
        [[0, 0], [1, 0], [2, 0]], [[1, 1], [1, 1], [1, 1]], [[0.1, 0.1], [0.2, 0.2], [0.3, 0.3]],
    ])
    def test_no_area_is_refused(self, domain: Any) -> None:
        with pytest.raises(ValueError, match=r"^domain: expected a polygon of positive area, got area"):
            as_domain(domain)

    @pytest.mark.parametrize("domain", [
        [[0, 0], [2, 0], [0.5, 0.5], [0, 2]],
        [[0, 0], [2, 0], [1, 0.5], [2, 2], [0, 2]],
    ])
    def test_a_dent_is_refused(self, domain: Any) -> None:
        with pytest.raises(ValueError, match=r"^domain: expected a convex polygon .* in order, got a non-convex one"):
            as_domain(domain)

    def test_a_star_is_refused(self) -> None:
        angles = np.arange(5) * 4 * np.pi / 5
        with pytest.raises(ValueError, match=r"^domain: expected .* without crossing or repeated corners, got"):
            as_domain(np.stack([np.cos(angles), np.sin(angles)], axis=1))

    def test_a_repeated_corner_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"^domain: expected .* without crossing or repeated corners, got"):
            as_domain([[0, 0], [1, 0], [1, 0], [1, 1], [0, 1]])

    def test_nan_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"^domain: expected finite numbers, got NaN in 1 of 6 entries"):
            as_domain([[0, 0], [1, 0], [0, np.nan]])

    def test_every_constructor_checks_its_domain(self) -> None:
        line = [[0, 0], [1, 1], [2, 2]]
        points = anchors_of(IMAGE)
        for make in (
            lambda: Slice.through(*points, domain=line), lambda: Slice.through_two(*points[:2], domain=line),
            lambda: Slice.around(points[0], domain=line), lambda: Slice.from_basis(np.zeros(2), np.eye(2), line),
            lambda: Slice.around(points[0]).with_domain(line),
        ):
            with pytest.raises(ValueError, match=r"^domain: expected a polygon of positive area"):
                make()

    def test_a_square_around_points(self) -> None:
        np.testing.assert_array_equal(square_around(np.array([[0.0, 0], [4, 2]]), 2.0), rectangle(-2, 6, -3, 5))


class TestChanges:
    """The same plane with other anchors or another domain."""

    def test_with_domain_keeps_the_plane(self) -> None:
        plane = Slice.through(*anchors_of(IMAGE))
        moved = plane.with_domain(rectangle(0, 1, 0, 1))
        assert moved.basis is plane.basis
        assert moved.anchors is plane.anchors
        np.testing.assert_array_equal(moved.domain, rectangle(0, 1, 0, 1))

    def test_with_anchors_keeps_the_plane_and_the_domain(self) -> None:
        plane = Slice.through(*anchors_of(IMAGE))
        moved = plane.with_anchors([[0, 0], [1, 0], [0, 2]])
        assert moved.basis is plane.basis
        assert moved.domain is plane.domain
        np.testing.assert_array_equal(moved.anchors, [[0, 0], [1, 0], [0, 2]])

    def test_with_anchors_refuses_bad_ones(self) -> None:
        plane = Slice.through(*anchors_of(IMAGE))
        with pytest.raises(ValueError, match=r"^anchors: expected shape \(3, 2\), got \(2, 2\)"):
            plane.with_anchors(np.zeros((2, 2)))
        with pytest.raises(ValueError, match=r"not on one line, got collinear ones"):
            plane.with_anchors([[0, 0], [1, 1], [2, 2]])


@pytest.mark.parametrize("turn", [1, -1])
def test_domains_are_stored_row_by_row(turn: int) -> None:
    """Compiled loops take them as they are."""
    corners = np.array([[0.0, 1.0, 1.0, 0.0], [0.0, 0.0, 1.0, 1.0]]).T[::turn]
    assert as_domain(corners).flags.c_contiguous


@pytest.mark.parametrize("seed", ["x", 1.5, -1, None])
def test_seeds_are_whole_numbers(seed: Any) -> None:
    for make in (lambda: Slice.around(np.zeros(3), seed=seed), lambda: Slice.through_two(np.zeros(3), np.ones(3), seed=seed)):
        with pytest.raises((TypeError, ValueError), match=r"^seed: expected a whole number"):
            make()


@pytest.mark.parametrize("x", [np.zeros(5), np.zeros((3, 7)), 1.0])
def test_to_slice_names_the_shape_that_it_expects(x: object) -> None:
    plane = Slice.around(np.zeros((2, 3)), seed=0)
    with pytest.raises(ValueError, match=r"x: expected inputs of shape \(\.\.\., 2, 3\), got "):
        plane.to_slice(x)
