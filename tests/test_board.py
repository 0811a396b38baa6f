"""Where inputs stand on the map of images, or on the one picture of an INR."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from splinecam_widget._board import image_board, plane_board

RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((20, 1, 4, 5)).astype(np.float32)
LABELS = RNG.integers(0, 3, 20)
SHAPE = (1, 4, 5)


class TestImages:
    def test_each_image_stands_at_its_place(self) -> None:
        board = image_board(IMAGES, LABELS, SHAPE)
        assert len({tuple(place) for place in board.positions.tolist()}) == 20
        for i in range(20):
            x = board.image(i)
            assert x.dtype == np.float64
            np.testing.assert_array_equal(x, IMAGES[i])
            assert board.id_of(x) == i
            assert board.place_of(x) == tuple(board.positions[i].tolist())
            assert board.name_of(i) == f"image {i}, label {LABELS[i]}"

    def test_without_labels(self) -> None:
        assert image_board(IMAGES, None, SHAPE).name_of(3) == "image 3"

    def test_copies_of_an_image_are_the_first_of_them(self) -> None:
        images = np.concatenate([IMAGES, IMAGES[:5]])
        assert image_board(images, None, SHAPE).id_of(images[22].astype(np.float64)) == 2

    def test_almost_an_image_is_none(self) -> None:
        board = image_board(IMAGES, None, SHAPE)
        x = board.image(4)
        x[0, 0, 0] = np.nextafter(x[0, 0, 0], np.inf)  # float32 would round this away
        assert board.id_of(x) is None

    def test_another_input_stands_among_the_nearest(self) -> None:
        board = image_board(IMAGES, None, SHAPE)
        x = board.image(4) + 1e-9
        np.testing.assert_allclose(board.place_of(x), board.positions[4], atol=1e-6)  # weights fall with distance squared
        x = (board.image(4) + board.image(7)) / 2
        left, bottom = board.positions.min(axis=0)
        right, top = board.positions.max(axis=0)
        assert left <= board.place_of(x)[0] <= right
        assert bottom <= board.place_of(x)[1] <= top

    def test_blend_is_the_weighted_mean(self) -> None:
        blended = image_board(IMAGES, None, SHAPE).blend([3, 5, 7], [0.2, 0.5, 0.3])
        expected = 0.2 * IMAGES[3].astype(float) + 0.5 * IMAGES[5].astype(float) + 0.3 * IMAGES[7].astype(float)
        np.testing.assert_allclose(blended, expected, rtol=4 * np.finfo(float).eps, atol=4 * np.finfo(float).eps)

    @pytest.mark.parametrize("x", [-3.7, 1e30, 0.5])
    def test_integer_images_and_inputs_beyond_them(self, x: float) -> None:
        levels = RNG.integers(0, 256, (20, 4, 5)).astype(np.uint8)
        board = image_board(levels, None, (4, 5))
        point = board.image(3)
        assert board.id_of(point) == 3
        point[0, 0] = x
        assert board.id_of(point) is None
        assert np.isfinite(board.place_of(point)).all()

    def test_negative_zero_is_zero(self) -> None:
        images = IMAGES.copy()
        images[2, 0, 0] = -0.0
        board = image_board(images, None, SHAPE)
        assert board.id_of(board.image(2) + 0.0) == 2

    def test_atlas_has_all_images(self) -> None:
        board = image_board(IMAGES, None, SHAPE)
        sheet = np.asarray(Image.open(io.BytesIO(board.atlas)))
        assert board.columns == 5
        assert sheet.shape == (4 * 4, 5 * 5)

    def test_inputs_that_are_no_pictures(self) -> None:
        board = image_board(RNG.standard_normal((6, 2)), None, (2,))
        assert board.renderer is None
        assert board.atlas == b""
        assert board.id_of(board.image(1)) == 1

    @pytest.mark.parametrize(
        "given",
        [
            torch.from_numpy(IMAGES), torch.from_numpy(IMAGES).requires_grad_(), list(torch.from_numpy(IMAGES)),
            [image.requires_grad_() for image in torch.from_numpy(IMAGES).unbind()], list(IMAGES), IMAGES.tolist(),
            torch.from_numpy(IMAGES).bfloat16(),
        ],
        ids=["tensor", "with grad", "list of tensors", "list with grad", "list", "nested list", "bfloat16"],
    )
    def test_kinds_of_images(self, given: Any) -> None:
        board = image_board(given, torch.from_numpy(LABELS), SHAPE)
        expected = given.float().numpy() if getattr(given, "dtype", None) == torch.bfloat16 else IMAGES
        np.testing.assert_array_equal(np.stack([board.image(i) for i in range(20)]), expected)
        np.testing.assert_array_equal(board.labels, LABELS)

    @pytest.mark.parametrize(
        ("images", "text"),
        [
            (IMAGES[:0], r"images: expected at least 2 images, got 0"),
            (IMAGES[:1], r"images: expected at least 2 images, got 1"),
            (np.float64(3), r"images: expected at least 2 images, got 0"),
            (IMAGES[:, 0], r"images: expected shape \(n, 1, 4, 5\) as the anchors have, got \(20, 4, 5\)"),
            (IMAGES.astype(complex), r"images: expected real numbers, got dtype complex128"),
            (IMAGES > 0, r"images: expected real numbers, got dtype bool"),
            (["a", "b"], r"images: expected real numbers, got dtype"),
            ([[1.0, 2.0], [3.0]], r"images: expected an array of real numbers, got list"),
            (np.where(IMAGES > 1, np.nan, IMAGES), r"images: expected finite numbers, got NaN or infinity"),
            (np.where(IMAGES > 1, np.inf, IMAGES), r"images: expected finite numbers, got NaN or infinity"),
        ],
    )
    def test_bad_images(self, images: Any, text: str) -> None:
        with pytest.raises(ValueError, match=f"^{text}"):
            image_board(images, None, SHAPE)

    @pytest.mark.parametrize(
        ("labels", "text"),
        [
            (LABELS[:19], r"labels: expected one label for each of the 20 images, got shape \(19,\)"),
            (LABELS[:, None], r"labels: expected one label for each of the 20 images, got shape \(20, 1\)"),
            (LABELS + 0.5, r"labels: expected whole numbers from 0 on"),
            (LABELS - 1, r"labels: expected whole numbers from 0 on"),
            (np.where(LABELS == 0, np.nan, 1), r"labels: expected finite numbers, got NaN"),
            (["cat"] * 20, r"labels: expected real numbers, got dtype"),
        ],
    )
    def test_bad_labels(self, labels: Any, text: str) -> None:
        with pytest.raises(ValueError, match=f"^{text}"):
            image_board(IMAGES, labels, SHAPE)


class TestPlane:
    picture = RNG.random((6, 4))

    @pytest.mark.parametrize("shape", [(2,), (1, 2), (2, 1, 1)])
    def test_inputs_stand_at_their_coordinates(self, shape: tuple[int, ...]) -> None:
        board = plane_board(self.picture, (-1, 1, 0, 3), shape)
        assert board.place_of(np.array([0.25, 2.0]).reshape(shape)) == (0.25, 2.0)
        assert board.extent == (-1.0, 1.0, 0.0, 3.0)
        assert np.asarray(Image.open(io.BytesIO(board.background))).shape == (6, 4)

    @pytest.mark.parametrize("shape", [(3,), (1, 28, 28), (1,)])
    def test_model_of_other_inputs(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match=r"^background: expected a model of two input numbers, got anchors of shape"):
            plane_board(self.picture, (-1, 1, -1, 1), shape)

    @pytest.mark.parametrize("extent", [(1, -1, -1, 1), (-1, 1, 1, 1), (0, 1), (0, 1, 0, np.nan), None, "wide"])
    def test_bad_extent(self, extent: Any) -> None:
        with pytest.raises(ValueError, match=r"^extent: expected"):
            plane_board(self.picture, extent, (2,))

    def test_bad_picture(self) -> None:
        with pytest.raises(ValueError, match=r"^background: expected a picture"):
            plane_board(np.zeros(5), (-1, 1, -1, 1), (2,))
