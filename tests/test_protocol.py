"""Messages to the browser, byte for byte as docs/protocol.md has them."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from splinecam_widget._board import ImageBoard, image_board, plane_board
from splinecam_widget._protocol import (
    Message,
    anchors_message,
    board_message,
    certificate_message,
    colours_message,
    error_text,
    lines_message,
    picture_message,
    prediction_text,
    value_names,
)
from splinecam_widget._scene import KEEP, Scene, Shown, Wish
from splinecam_widget.analysis.colours import class_palette, colouring_of, hex_of
from splinecam_widget.engine.slices import rectangle
from widget_checks import FLOAT32, assert_shows, decoded, png_pixels, small_net

ASKED = {"sequence": 7, "view_id": "a1b2"}
IMAGES = np.random.default_rng(3).standard_normal((12, 1, 3, 4)).astype(np.float32)
LABELS = np.arange(12) % 3
NAMES = ["cat", "dog", "emu"]
NET = nn.Sequential(nn.Flatten(), *small_net(12, 3)).eval()


@pytest.fixture(scope="module")
def board() -> ImageBoard:
    return image_board(IMAGES, LABELS, (1, 3, 4))


@pytest.fixture(scope="module")
def scene(board: ImageBoard) -> Scene:
    return Scene(NET, [board.image(i) for i in range(3)], board, None)


@pytest.fixture(scope="module")
def shown(scene: Scene) -> Shown:
    return scene.show(Wish(), lambda: None)


@pytest.fixture(scope="module")
def plane_shown() -> Shown:
    """A model of two inputs and one output."""
    board = plane_board(np.zeros((4, 6)), (-1, 1, -1, 1), (2,))
    anchors = [np.array(x) for x in ([0.0, 0.0], [0.5, 0.0], [0.0, 0.5])]
    return Scene(small_net(2, 1), anchors, board, None).show(Wish(), lambda: None)


def picture_of(
    shown: Shown, color_by: str = "class", names: list[str] = NAMES, has_boundary: bool = True, layer: int | None = None
) -> Message:
    colouring = colouring_of(shown.partition, shown.winners, color_by, names)
    lines = None if layer is None else shown.partition.layer_lines(layer)
    return picture_message(shown, colouring, lines, ASKED, has_boundary, {})


def floats(buffer: bytes) -> Any:
    return np.frombuffer(buffer, "<f4")


class TestBoard:
    def test_images(self, board: ImageBoard) -> None:
        content, (positions, labels, atlas) = board_message(board, NAMES)
        json.dumps(content)
        assert {key: content[key] for key in ("kind", "mode", "n_images", "thumbnail", "columns", "has_labels")} == {
            "kind": "board", "mode": "images", "n_images": 12, "thumbnail": [4, 3], "columns": 4, "has_labels": True}
        assert content["class_names"] == NAMES
        assert content["class_colours"] == {str(k): hex_of(word) for k, word in enumerate(class_palette(3))}
        assert content["extent"] is None
        np.testing.assert_array_equal(floats(positions).reshape(12, 2), board.positions)
        np.testing.assert_array_equal(np.frombuffer(labels, "<i4"), LABELS)
        assert png_pixels(atlas).shape == (3 * 3, 4 * 4)
        # Images are one apart, so thumbnails smaller than that leave gaps and never overlap.
        assert max(content["cell"]) < 1
        assert content["cell"][0] / content["cell"][1] == pytest.approx(4 / 3)

    def test_no_labels(self) -> None:
        content, buffers = board_message(image_board(IMAGES, None, (1, 3, 4)), None)
        assert not content["has_labels"]
        assert content["class_names"] is None
        assert content["class_colours"] == {}
        assert np.frombuffer(buffers[1], "<i4").tolist() == [-1] * 12

    def test_colours_of_the_labels_that_occur(self) -> None:
        labels = np.array([0, 10**9] * 6)
        content, _ = board_message(image_board(IMAGES, labels, (1, 3, 4)), None)
        assert list(content["class_colours"]) == ["0", "1000000000"]

    def test_plane(self) -> None:
        content, (background,) = board_message(plane_board(np.zeros((4, 6)), (-1, 1, -2, 2), (2,)), None)
        json.dumps(content)
        assert content["mode"] == "plane"
        assert content["extent"] == [-1, 1, -2, 2]
        assert png_pixels(background).shape == (4, 6)

    def test_empty(self) -> None:
        for board in (None, image_board(np.eye(2), None, (2,))):
            content, buffers = board_message(board, None)
            assert (content["mode"], content["n_images"], buffers) == ("empty", 0, [])


class TestAnchors:
    def test_where_they_are_and_what_the_model_says(self, board: ImageBoard, shown: Shown) -> None:
        content, pictures = anchors_message(shown, ASKED, board.renderer, NAMES, True)
        json.dumps(content)
        assert (content["kind"], content["sequence"], content["view_id"]) == ("anchors", 7, "a1b2")
        assert content["plane"] == shown.plane_number
        for i, u in enumerate(content["slice"]):
            np.testing.assert_allclose(shown.partition.plane.to_input(u), IMAGES[i], rtol=0, atol=1e-14)
            assert content["board"][i] == board.positions[i].tolist()
        assert content["names"] == [f"image {i}, label {i % 3}" for i in range(3)]
        shares = torch.softmax(NET(torch.from_numpy(IMAGES[:3])), dim=1).detach()
        for text, share in zip(content["predictions"], shares):
            assert text == f"{NAMES[int(share.argmax())]} ({float(share.max()):.1%})"
        assert content["picture_size"] == [4, 3]
        assert [png_pixels(png).shape for png in pictures] == [(3, 4)] * 3
        assert len(content["notes"]) == 3

    def test_inputs_that_are_no_pictures(self, plane_shown: Shown) -> None:
        content, buffers = anchors_message(plane_shown, ASKED, None, None, False)
        assert content["picture_size"] is None
        assert buffers == []
        assert content["board"] == [[0, 0], [0.5, 0], [0, 0.5]]


class TestPicture:
    def test_shows_the_partition(self, shown: Shown) -> None:
        content, buffers = picture_of(shown)
        json.dumps(content)
        assert (content["kind"], content["sequence"], content["view_id"]) == ("picture", 7, "a1b2")
        assert content["exact"] is True
        assert content["to_input"] is None
        assert content["limits"] == {"finest": shown.limits.finest, "coarsest": shown.limits.coarsest}
        assert content["limits"]["finest"] < 2 * content["scale"] < content["limits"]["coarsest"]
        assert_shows(decoded(content, buffers), shown.partition)

    @pytest.mark.parametrize("share", [1e-3, 1e-9])  # the second is near the limit
    def test_deep_zoom_is_sharp(self, scene: Scene, shown: Shown, share: float) -> None:
        boundary = shown.winners.boundary.points
        middle = boundary[len(boundary) // 2].mean(axis=0)
        width = share * np.ptp(shown.partition.plane.domain)
        domain = rectangle(middle[0] - width, middle[0] + width, middle[1] - width, middle[1] + width)
        zoomed = scene.show(Wish((KEEP,) * 3, domain, shown.plane_number), lambda: None)
        picture = decoded(*picture_of(zoomed))
        assert_shows(picture, zoomed.partition)
        assert picture.content["scale"] == pytest.approx(width)
        assert len(picture.boundary) > 0

    def test_loops_are_convex_counter_clockwise_and_cover_the_domain(self, shown: Shown) -> None:
        picture = decoded(*picture_of(shown))
        total = 0.0
        for cell in picture.cells:
            x, y = picture.vertices[cell].T
            total += 0.5 * float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))
        low, high = shown.partition.plane.domain.min(axis=0), shown.partition.plane.domain.max(axis=0)
        assert total == pytest.approx(float(np.prod(high - low)), rel=len(picture.vertices) * FLOAT32)

    def test_an_inner_edge_is_in_two_cells_once_each_way(self, shown: Shown) -> None:
        cells = decoded(*picture_of(shown)).cells
        directed = [(int(a), int(b)) for cell in cells for a, b in zip(cell, np.roll(cell, -1))]
        assert len(set(directed)) == len(directed)
        alone = [(a, b) for a, b in directed if (b, a) not in set(directed)]
        vertices = shown.partition.vertices
        domain = shown.partition.plane.domain
        for a, b in alone:  # the border's edges only
            on_border = np.isclose(vertices[[a, b]][:, None], [domain.min(axis=0), domain.max(axis=0)]).all(axis=0)
            assert on_border.any()

    def test_boundary_and_pieces(self, shown: Shown) -> None:
        picture = decoded(*picture_of(shown))
        error = FLOAT32 * picture.content["scale"]
        assert np.abs(picture.boundary - shown.winners.boundary.points).max() <= error
        offsets = shown.winners.piece_offsets
        assert len(picture.pieces) == len(picture.piece_colours) == len(offsets) - 1 > 0
        for piece, (a, b) in zip(picture.pieces, itertools.pairwise(offsets)):
            assert np.abs(piece - shown.winners.piece_points[a:b]).max() <= error
        # On the boundary the two largest logits of the user's own model tie, to float32 of coordinates and model.
        x = shown.partition.plane.to_input(picture.boundary.reshape(-1, 2))
        top = torch.topk(NET(torch.from_numpy(x).float()), 2, dim=1).values.detach().numpy()
        assert (top[:, 0] - top[:, 1]).max() < 100 * FLOAT32

    @pytest.mark.parametrize("color_by", ["margin", "pattern", "area", "slope"])
    def test_no_pieces_but_by_class(self, shown: Shown, color_by: str) -> None:
        picture = decoded(*picture_of(shown, color_by))
        assert picture.pieces == []
        assert len(picture.boundary) == len(shown.winners.boundary.points)

    def test_no_boundary_where_there_is_none(self, shown: Shown) -> None:
        assert len(decoded(*picture_of(shown, has_boundary=False)).boundary) == 0

    def test_two_inputs_say_where_they_are(self, plane_shown: Shown) -> None:
        content, buffers = picture_of(plane_shown, names=["no", "yes"])
        assert content["to_input"] == {"origin": [0, 0], "basis": [[1, 0], [0, 1]]}
        assert_shows(decoded(content, buffers), plane_shown.partition)

    @pytest.mark.parametrize("color_by", ["class", "margin", "pattern", "area", "slope"])
    def test_colours_message_has_the_colour_buffers_of_the_picture(self, shown: Shown, color_by: str) -> None:
        colouring = colouring_of(shown.partition, shown.winners, color_by, NAMES)
        content, buffers = colours_message(shown, colouring)
        picture, expected = picture_of(shown, color_by)
        assert content == {"kind": "colours", "legend": picture["legend"]}
        assert buffers == [expected[3], *expected[5:8]]

    @pytest.mark.parametrize("layer", [0, 1])
    def test_lines_of_a_layer_are_where_its_units_are_zero(self, shown: Shown, layer: int) -> None:
        content, (ends,) = lines_message(shown, shown.partition.layer_lines(layer))
        json.dumps(content)
        picture, buffers = picture_of(shown, layer=layer)
        assert (content["number"], content["lines"], ends) == (picture["number"], picture["lines"], buffers[8])
        pairs = np.frombuffer(ends, "<u4").reshape(-1, 2)
        vertices = decoded(picture, buffers).vertices
        middles = torch.from_numpy(shown.partition.plane.to_input(vertices[pairs].mean(axis=1)))
        with torch.no_grad():  # the network's own units of that layer
            z = copy.deepcopy(NET[: 2 * layer + 2]).double()(middles)
        nearest, units = z.abs().min(dim=1)
        assert nearest.max() < 1e-5 * z.abs().max()
        lines = content["lines"]
        length = np.linalg.norm(np.diff(vertices[pairs], axis=1), axis=-1).sum()
        assert lines == {"layer": layer, "name": f"{2 * layer + 2} (relu)", "n_units": 8, "n_bent": len(units.unique()),
                         "n_edges": len(pairs), "length": pytest.approx(length, rel=1e-5)}
        assert 0 < lines["n_bent"] <= 8

    def test_lines_of_all_layers_are_all_edges_inside(self, shown: Shown) -> None:
        edges = [np.frombuffer(picture_of(shown, layer=layer)[1][8], "<u4").reshape(-1, 2) for layer in (0, 1)]
        partition = shown.partition
        inside = {tuple(edge) for edge in np.sort(partition.edges[(partition.edge_cells >= 0).all(axis=1)]).tolist()}
        assert {tuple(edge) for edge in np.sort(np.concatenate(edges)).tolist()} == inside
        assert len(edges[0]) + len(edges[1]) == len(inside)

    def test_no_lines(self, shown: Shown) -> None:
        content, (ends,) = lines_message(shown, None)
        assert content == {"kind": "lines", "number": shown.number, "lines": None}
        assert ends == b""


class TestCertificate:
    def test_names_its_picture_and_has_the_figures(self, shown: Shown) -> None:
        found = shown.partition.certificate()
        content, buffers = certificate_message(shown, ASKED, found)
        json.dumps(content)
        assert content == {"kind": "certificate", **ASKED, "number": picture_of(shown)[0]["number"], "verdict": "sound",
                           "figures": [list(figure) for figure in found.figures]}
        assert buffers == []
        unsound = certificate_message(shown, ASKED, dataclasses.replace(found, euler=0))[0]
        assert unsound["verdict"] == "unsound"

    def test_what_went_wrong(self, shown: Shown) -> None:
        content, _ = certificate_message(shown, ASKED, ValueError("bad"))
        assert (content["verdict"], content["figures"]) == ("failed", [["error", "bad"]])
        assert error_text(KeyError()) == "KeyError"


class TestWords:
    def test_value_names(self) -> None:
        assert value_names(3, None) == ["0", "1", "2"]
        assert value_names(3, NAMES) == NAMES

    @pytest.mark.parametrize(
        ("values", "names", "is_class", "text"),
        [
            ([0.0, 0.0], None, True, "0 (50.0%)"),
            ([0.0, np.log(3)], ["a", "b"], True, "b (75.0%)"),
            ([1000.0, -1000.0], None, True, "0 (100.0%)"),
            ([0.25], None, True, "> 0 (0.25)"),
            ([0.0], None, True, "≤ 0 (0)"),
            ([-0.25], ["no", "yes"], True, "no (−0.25)"),
            ([0.5, 0.25, 1.0], None, False, "0.5, 0.25, 1"),
        ],
    )
    def test_prediction(self, values: list[float], names: list[str] | None, is_class: bool, text: str) -> None:
        assert prediction_text(np.array(values), names, is_class) == text
