"""Slices from data: along axes, principal directions, and through nearest neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from cases import cases
from splinecam_widget import Slice


def images(n: int = 40, shape: tuple[int, ...] = (1, 3, 4), seed: int = 0) -> np.ndarray:
    numbers = np.random.default_rng(seed)
    size = int(np.prod(shape))
    return (numbers.standard_normal((n, size)) * np.arange(1, size + 1) + 5).reshape(n, *shape)


class TestAxes:
    def test_only_two_entries_vary(self) -> None:
        x = np.arange(12.0).reshape(3, 4)
        for axes in (((0, 1), (2, 3)), (1, 11), (1, (2, 3))):
            plane = Slice.axis_aligned(x, axes, radius=2.0)
            inputs = plane.to_input([[0.25, -0.5], [0.0, 0.0]])
            np.testing.assert_array_equal(inputs[1], x)
            assert np.argwhere(inputs[0] != x).tolist() == [[0, 1], [2, 3]]
            assert inputs[0][0, 1] == 1.25
            assert inputs[0][2, 3] == 10.5
            assert plane.domain.tolist() == [[-2, -2], [2, -2], [2, 2], [-2, 2]]

    @pytest.mark.parametrize(("axes", "text"), [
        ((0, 0), r"^axes: expected two different entries of the input, got \(0, 0\)"),
        ((0, 4), r"^axes: expected entries of the input from 0 to 3, got 4"),
        ((0, (1,)), r"^axes: expected indices within \(2, 2\), got \(1,\)"),
        ((0, (0, 2)), r"^axes: expected indices within \(2, 2\), got \(0, 2\)"),
        (3, r"^axes: expected two entries of the input, got 3"),
        ((0, 1, 2), r"^axes: expected two entries of the input, got \(0, 1, 2\)"),
    ])
    def test_refuses_axes(self, axes: Any, text: str) -> None:
        with pytest.raises(ValueError, match=text):
            Slice.axis_aligned(np.zeros((2, 2)), axes)

    def test_refuses_a_radius(self) -> None:
        with pytest.raises(ValueError, match=r"^radius: expected a positive number, got -1"):
            Slice.axis_aligned(np.zeros(3), (0, 1), radius=-1)
        with pytest.raises(ValueError, match=r"^x: expected at least two input dimensions"):
            Slice.axis_aligned(np.zeros(1), (0, 1))


class TestPrincipalDirections:
    @pytest.mark.parametrize("components", [(0, 1), (2, 0)])
    def test_are_those_of_sklearn(self, components: tuple[int, int]) -> None:
        data = images()
        plane = Slice.along_principal_directions(data, components)
        fitted = PCA(3, svd_solver="full").fit(data.reshape(40, -1))
        np.testing.assert_allclose(plane.origin.ravel(), fitted.mean_, rtol=1e-12)
        overlap = plane.basis.reshape(2, -1) @ fitted.components_[list(components)].T
        np.testing.assert_allclose(np.abs(overlap), np.eye(2), rtol=0, atol=1e-12)
        for direction in plane.basis.reshape(2, -1):
            assert direction[np.abs(direction).argmax()] > 0

    def test_the_domain_holds_all_images(self) -> None:
        data = images(seed=1)
        plane = Slice.along_principal_directions(data)
        u = plane.to_slice(data)
        assert ((u > plane.domain.min(axis=0)) & (u < plane.domain.max(axis=0))).all()
        assert np.ptp(plane.domain[:, 0]) == pytest.approx(1.5 * np.ptp(u, axis=0).max())
        assert np.ptp(plane.domain[:, 1]) == pytest.approx(1.5 * np.ptp(u, axis=0).max())
        assert Slice.along_principal_directions(data, domain=[[0, 0], [1, 0], [0, 1]]).domain.shape == (3, 2)

    @cases(10)
    @given(st.integers(0, 2**32 - 1))
    def test_do_not_depend_on_the_order_of_images(self, seed: int) -> None:
        data = images(seed=seed)
        shuffled = data[np.random.default_rng(seed).permutation(len(data))]
        first, second = (Slice.along_principal_directions(d) for d in (data, shuffled))
        np.testing.assert_allclose(first.basis, second.basis, rtol=0, atol=1e-9)

    @pytest.mark.parametrize(("data", "components", "text"), [
        (np.zeros((2, 3)), (0, 1), r"^images: expected at least 3 inputs, shape \(N, \*shape\), got shape \(2, 3\)"),
        (np.zeros((5, 1)), (0, 1), r"^images: expected at least two input dimensions, got shape \(1,\)"),
        (images(), (0, 0), r"^components: expected two different numbers from 0 to 11, got \(0, 0\)"),
        (images(), (0, 12), r"^components: expected two different numbers from 0 to 11, got \(0, 12\)"),
        (np.ones((5, 3)), (0, 1), r"^components: expected directions in which the images vary, got 0"),
        (np.outer(np.arange(5.0), [0.1, 0.2, 0.3]), (0, 1), r"^components: expected directions .* vary, got 1"),
    ])
    def test_refuses(self, data: Any, components: Any, text: str) -> None:
        with pytest.raises(ValueError, match=text):
            Slice.along_principal_directions(data, components)


class TestNearest:
    @cases(15)
    @given(st.integers(0, 2**32 - 1), st.permutations(range(3)), st.booleans())
    def test_are_the_nearest_of_their_classes(self, seed: int, classes: list[int], has_x: bool) -> None:
        data = images(seed=seed)
        labels = np.arange(len(data)) * 7 % 3
        x = data.mean(axis=0) if has_x else None
        first = data[labels == classes[0]][0] if x is None else x
        plane = Slice.through_nearest(data, labels, classes, x)
        anchors = plane.to_input(plane.anchors)
        np.testing.assert_allclose(anchors[0], first, rtol=0, atol=1e-12)
        for anchor, c in zip(anchors[1:], classes[1:]):
            distances = [np.linalg.norm(image - first) for image in data[labels == c]]
            np.testing.assert_allclose(anchor, data[labels == c][np.argmin(distances)], rtol=0, atol=1e-12)

    def test_one_class_gives_several_different_anchors(self) -> None:
        data = np.array([[0.0, 0], [0, 0], [1, 0], [1, 0], [0, 3]])
        plane = Slice.through_nearest(data, np.zeros(5), (0, 0, 0))
        assert plane.anchors.tolist() == [[0, 0], [1, 0], [0, 3]]

    @pytest.mark.parametrize(("labels", "more", "text"), [
        ([0, 1, 2], {}, r"^labels: expected one for each of 4 images, got shape \(3,\)"),
        ([0, 1, 2, 2], {"classes": np.zeros((3, 2))}, r"^classes: expected three labels, got shape \(3, 2\)"),
        ([0, 1, 2, 2], {"classes": (0, 1)}, r"^classes: expected three labels, got \(0, 1\)"),
        ([0, 1, 2, 2], {"classes": (0, 1, 5)}, r"^classes: expected labels that images have, got 5"),
        ([0, 1, 2, 2], {"classes": (0, 1, 1)}, r"^classes: expected an image of class 1 other than the anchors before it"),
        ([0, 1, 2, 2], {"x": [0.0, 0, 0]}, r"^x: expected the shape of an image, \(2,\), got \(3,\)"),
    ])
    def test_refuses(self, labels: Any, more: dict[str, Any], text: str) -> None:
        data = [[0.0, 0], [1, 0], [0, 1], [3, 3]]
        with pytest.raises(ValueError, match=text):
            Slice.through_nearest(data, labels, **{"classes": (0, 1, 2), **more})

    def test_x_stands_for_a_class_without_images(self) -> None:
        plane = Slice.through_nearest([[1.0, 0], [0, 1]], [1, 2], (9, 1, 2), x=[0.0, 0.0])
        assert plane.anchors.tolist() == [[0, 0], [1, 0], [0, 1]]
