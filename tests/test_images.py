"""Inputs as pictures: PNGs are decoded again and compared with the inputs they show."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from splinecam_widget._images import MAX_THUMBNAIL, Layout, Renderer, background_png, layout_of, png_of

HALF_LEVEL = 0.5
"""8-bit levels are rounded to the nearest."""


def pixels_of(png: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(png)))


def layout(shape: tuple[int, ...]) -> Layout:
    found = layout_of(shape)
    assert found is not None
    return found


class TestLayout:
    @pytest.mark.parametrize(
        ("shape", "expected"),
        [
            ((1, 28, 20), (28, 20, 1)),
            ((3, 32, 30), (32, 30, 3)),
            ((4, 5, 6), (5, 6, 4)),
            ((8, 9, 3), (8, 9, 3)),
            ((3, 5, 3), (5, 3, 3)),  # torch's order where both are possible
            ((8, 7), (8, 7, 1)),
            ((64,), (8, 8, 1)),
            ((16,), (4, 4, 1)),
            ((9,), (1, 9, 1)),  # too few pixels to mean a square
            ((17,), (1, 17, 1)),
            ((3,), (1, 3, 1)),
        ],
    )
    def test_height_width_channels(self, shape: tuple[int, ...], expected: tuple[int, int, int]) -> None:
        found = layout(shape)
        assert (found.height, found.width, found.channels) == expected
        assert found.pixels(np.zeros((2, *shape))).shape == (2, *expected)

    @pytest.mark.parametrize("shape", [(2,), (1,), (), (2, 8, 8), (1, 2, 3, 4)])
    def test_no_picture(self, shape: tuple[int, ...]) -> None:
        assert layout_of(shape) is None

    def test_pixels_keep_their_places(self) -> None:
        x = np.random.default_rng(0).standard_normal((2, 3, 4, 5))
        np.testing.assert_array_equal(layout((3, 4, 5)).pixels(x)[1, 2, 3], x[1, :, 2, 3])
        y = np.moveaxis(x, 1, -1)
        y = np.concatenate([y, y], axis=1)  # eight rows: four would be the channels of RGBA
        np.testing.assert_array_equal(layout((8, 5, 3)).pixels(y), y)


class TestRenderer:
    def test_levels_are_the_inputs_on_the_scale_of_all_images(self) -> None:
        x = np.random.default_rng(0).normal(3, 2, (5, 4, 4))
        renderer = Renderer.of(layout((4, 4)), x)
        expected = (x - x.min()) / (x.max() - x.min()) * 255
        shown = np.stack([pixels_of(renderer.png(image)) for image in x])
        assert np.abs(shown - expected).max() <= HALF_LEVEL
        assert shown.min() == 0
        assert shown.max() == 255

    def test_each_channel_has_its_scale(self) -> None:
        x = np.random.default_rng(0).random((5, 3, 4, 4)) * np.array([1.0, 10, 100])[:, None, None]
        assert Renderer.of(layout((3, 4, 4)), x).levels(x).max(axis=(0, 1, 2)).tolist() == [255, 255, 255]

    def test_inputs_beyond_the_scale_are_clipped(self) -> None:
        renderer = Renderer.of(layout((4, 4)), np.linspace(0, 1, 32).reshape(2, 4, 4))
        assert (pixels_of(renderer.png(np.full((4, 4), -3.0))) == 0).all()
        assert (pixels_of(renderer.png(np.full((4, 4), 3.0))) == 255).all()

    def test_constant_images(self) -> None:
        x = np.full((3, 4, 4), 7.0)
        assert (pixels_of(Renderer.of(layout((4, 4)), x).png(x[0])) == 0).all()

    @pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float16, np.float32, np.float64])
    def test_any_dtype_of_images(self, dtype: Any) -> None:
        x = np.arange(32).reshape(2, 4, 4).astype(dtype)
        renderer = Renderer.of(layout((4, 4)), x)
        expected = np.arange(32).reshape(2, 4, 4) / 31 * 255
        assert np.abs(renderer.levels(x)[..., 0] - expected).max() <= HALF_LEVEL

    def test_png_is_in_full_resolution(self) -> None:
        renderer = Renderer.of(layout((1, 100, 60)), np.random.default_rng(0).random((2, 1, 100, 60)))
        assert renderer.size == (60, 100)
        assert pixels_of(renderer.png(np.zeros((1, 100, 60)))).shape == (100, 60)


class TestAtlas:
    @pytest.mark.parametrize("shape", [(3, 8, 6), (8, 6, 3), (8, 6), (1, 8, 6), (64,)])
    def test_tiles_are_the_images_in_rows(self, shape: tuple[int, ...]) -> None:
        x = np.random.default_rng(0).random((7, *shape))
        renderer = Renderer.of(layout(shape), x)
        sheet = pixels_of(renderer.atlas(x, 3))
        width, height = renderer.thumbnail_size()
        assert sheet.shape[:2] == (3 * height, 3 * width)
        for i in range(7):
            top, left = i // 3 * height, i % 3 * width
            tile = sheet[top : top + height, left : left + width]
            np.testing.assert_array_equal(tile, pixels_of(renderer.png(x[i])))

    @pytest.mark.parametrize("size", [(96, 96), (100, 60), (49, 1), (480, 500)])
    def test_large_images_are_averaged(self, size: tuple[int, int]) -> None:
        height, width = size
        ramp = np.linspace(0, 1, height)[:, None] * np.ones((1, width))
        renderer = Renderer.of(layout(size), np.stack([ramp, ramp[::-1]]))
        tile_width, tile_height = renderer.thumbnail_size()
        assert max(tile_width, tile_height) <= MAX_THUMBNAIL
        sheet = pixels_of(renderer.atlas(np.stack([ramp, ramp[::-1]]), 2)).astype(int)
        assert sheet.shape == (tile_height, 2 * tile_width)
        column = sheet[:, 0]
        factor = height // tile_height
        expected = ramp[: tile_height * factor, 0].reshape(tile_height, factor).mean(axis=1) * 255
        # Each level is rounded, and the mean of levels is cut to a whole number.
        assert np.abs(column - expected).max() <= HALF_LEVEL + 1

    def test_more_images_than_one_block(self) -> None:
        x = np.arange(1100.0)[:, None, None] * np.ones((1, 1, 1))
        renderer = Renderer.of(layout((1, 1)), x)
        sheet = pixels_of(renderer.atlas(x, 34)).ravel()[:1100]
        assert np.abs(sheet - np.arange(1100) / 1099 * 255).max() <= HALF_LEVEL


class TestPng:
    @pytest.mark.parametrize("shape", [(5, 4), (5, 4, 3), (5, 4, 4)])
    def test_round_trip(self, shape: tuple[int, ...]) -> None:
        levels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
        np.testing.assert_array_equal(pixels_of(png_of(levels)), levels)

    def test_single_channel_axis(self) -> None:
        levels = np.arange(20, dtype=np.uint8).reshape(5, 4, 1)
        np.testing.assert_array_equal(pixels_of(png_of(levels)), levels[..., 0])


class TestBackground:
    levels = np.random.default_rng(0).integers(0, 256, (5, 6, 3)).astype(np.uint8)

    @pytest.mark.parametrize(
        "picture",
        [
            levels,
            levels.astype(np.int32),
            levels / 255,
            (levels / 255).astype(np.float32),
            torch.from_numpy(levels),
            torch.from_numpy(levels / 255).permute(2, 0, 1),
            torch.from_numpy(levels / 255).requires_grad_(),
            levels.tolist(),
        ],
        ids=["uint8", "int32", "float64", "float32", "tensor", "channels first", "with grad", "list"],
    )
    def test_is_shown_as_it_is(self, picture: Any) -> None:
        np.testing.assert_array_equal(pixels_of(background_png(picture)), self.levels)

    def test_grey_boolean_and_transparent(self) -> None:
        np.testing.assert_array_equal(pixels_of(background_png(self.levels[..., 0])), self.levels[..., 0])
        mask = self.levels[..., 0] > 100
        np.testing.assert_array_equal(pixels_of(background_png(mask)), mask * np.uint8(255))
        rgba = np.concatenate([self.levels, self.levels[..., :1]], axis=2)
        np.testing.assert_array_equal(pixels_of(background_png(rgba)), rgba)

    def test_half_precision_tensor(self) -> None:
        picture = torch.tensor([[0.0, 1.0], [0.5, 0.25]], dtype=torch.bfloat16)
        assert pixels_of(background_png(picture)).tolist() == [[0, 255], [128, 64]]

    @pytest.mark.parametrize(
        "picture",
        [
            np.zeros(5), np.zeros((2, 3, 4, 5)), np.zeros((5, 6, 2)), np.zeros((0, 4)), np.zeros((4, 4), complex), "picture", 3,
            [[1, 2], [3]], None,
        ],
        ids=["1-d", "4-d", "two channels", "empty", "complex", "text", "number", "ragged", "none"],
    )
    def test_no_picture(self, picture: Any) -> None:
        with pytest.raises(ValueError, match=r"^background: expected a.*, got "):
            background_png(picture)

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_not_finite(self, bad: float) -> None:
        with pytest.raises(ValueError, match="background: expected finite numbers, got NaN or infinity"):
            background_png(np.array([[0.0, bad]]))
