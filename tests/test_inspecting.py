"""What the widget says of the point under the cursor."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from splinecam_widget._board import ImageBoard, image_board, plane_board
from splinecam_widget._inspecting import MAX_VALUES, inspection_message
from splinecam_widget._scene import Scene, Shown, Wish
from widget_checks import png_pixels, small_net

IMAGES = np.random.default_rng(3).standard_normal((12, 1, 3, 4)).astype(np.float32)
NAMES = ["cat", "dog", "emu"]
NET = nn.Sequential(nn.Flatten(), *small_net(12, 3)).eval()
STEPS = 4096
"""Of a circle, for what is found by looking around."""


@pytest.fixture(scope="module")
def board() -> ImageBoard:
    return image_board(IMAGES, np.arange(12) % 3, (1, 3, 4))


@pytest.fixture(scope="module")
def shown(board: ImageBoard) -> Shown:
    return Scene(NET, [board.image(i) for i in range(3)], board, None).show(Wish(), lambda: None)


@pytest.fixture(scope="module")
def plane_shown() -> Shown:
    """A model of two inputs and one output."""
    board = plane_board(np.zeros((4, 6)), (-1, 1, -1, 1), (2,))
    anchors = [np.array(x) for x in ([0.0, 0.0], [0.5, 0.0], [0.0, 0.5])]
    return Scene(small_net(2, 1), anchors, board, None).show(Wish(), lambda: None)


def ask(shown: Shown, u: Any, **more: Any) -> dict[str, Any]:
    return {"kind": "inspect", "view_id": "a1b2", "id": 3, "plane": shown.plane_number, "u": list(u), **more}


def said(shown: Shown, u: Any, has_boundary: bool = True) -> dict[str, Any]:
    return inspection_message(shown, ask(shown, u), None, NAMES, True, has_boundary)[0]


def around(u: Any, radius: float) -> Any:
    """Inputs on a circle in the slice, and its points."""
    angles = np.linspace(0, 2 * np.pi, STEPS, endpoint=False)
    return u + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_what_is_there(board: ImageBoard, shown: Shown) -> None:
    cell = 2
    u = shown.partition.centroids[cell]
    content, (png,) = inspection_message(shown, ask(shown, u), board.renderer, NAMES, True, True)
    json.dumps(content)
    assert (content["kind"], content["view_id"], content["id"]) == ("inspection", "a1b2", 3)
    assert content["error"] == ""
    assert content["cell"] == cell
    assert content["area"] == shown.partition.areas[cell]
    assert content["number"] == shown.number
    assert content["slope"] == shown.partition.slope_norms[cell]
    x = shown.partition.plane.to_input(u)
    expected = NET(torch.from_numpy(x[None]).float())[0].tolist()
    assert [entry["name"] for entry in content["values"]] == NAMES
    assert [entry["value"] for entry in content["values"]] == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert content["prediction"].startswith(NAMES[int(np.argmax(expected))])
    assert png_pixels(png).shape == (3, 4)


def test_says_where_a_cell_goes_on_outside_the_domain(shown: Shown) -> None:
    partition = shown.partition
    at_border = set(partition.edge_cells[partition.edge_layer < 0].max(axis=1).tolist())
    assert 0 < len(at_border) < partition.n_cells
    for cell in range(partition.n_cells):
        content, _ = inspection_message(shown, ask(shown, partition.centroids[cell]), None, NAMES, True, True)
        assert content["is_cut"] == (cell in at_border)


def test_outside_and_of_a_plane_that_is_gone(shown: Shown) -> None:
    for asked, text in (
        (ask(shown, [1e6, 0]), "outside the domain"),
        (ask(shown, [0, 0], plane=shown.plane_number - 1), "the plane has changed"),
    ):
        content, buffers = inspection_message(shown, asked, None, NAMES, True, True)
        assert (content["error"], content["cell"], content["is_cut"], buffers) == (text, None, False, [])


def test_one_output_is_no_class(plane_shown: Shown) -> None:
    content, _ = inspection_message(plane_shown, ask(plane_shown, [0.1, 0.1]), None, ["no", "yes"], True, True)
    (value,) = content["values"]
    expected = float(small_net(2, 1)(torch.tensor([[0.1, 0.1]])).detach())
    assert value["value"] == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert value["name"] not in ("no", "yes")
    assert content["prediction"].startswith("yes" if expected > 0 else "no")


def test_long_lists_are_cut() -> None:
    model = nn.Linear(5, 30).eval()
    shown = Scene(model, list(np.eye(5)[:3]), None, None).show(Wish(), lambda: None)
    content, _ = inspection_message(shown, ask(shown, shown.partition.centroids[0]), None, None, True, True)
    assert len(content["values"]) == MAX_VALUES


def test_the_boundary_is_as_near_as_it_says(shown: Shown) -> None:
    """The class is one on a disc of that radius, and two on one that is little larger, where it is no mere bound."""
    partition = shown.partition
    rng = np.random.default_rng(0)
    low, high = partition.plane.domain.min(axis=0), partition.plane.domain.max(axis=0)
    n_bounds = 0
    for u in rng.uniform(low, high, (60, 2)):
        distance = said(shown, u)["distance"]
        n_bounds += distance["is_bound"]
        assert distance["value"] > 0
        inside, outside = (
            {int(k) for k in _outputs(shown, np.concatenate([[u], around(u, share * distance["value"])])).argmax(axis=1)}
            for share in (0.999, 1.01))
        assert len(inside) == 1
        if distance["is_bound"]:
            to_border = np.minimum(u - low, high - u).min()
            assert distance["value"] == pytest.approx(to_border, rel=1e-12)
        else:
            assert len(outside) > 1
    assert 0 < n_bounds < 60
    assert said(shown, partition.centroids[0], has_boundary=False)["distance"] is None


def test_the_nearest_edge_is_where_its_unit_bends(shown: Shown) -> None:
    partition = shown.partition
    n_cut = 0
    for cell, u in enumerate(partition.centroids):
        edge = said(shown, u)["edge"]
        patterns = [pattern[0] for pattern in partition.patterns(np.array([cell]))]
        assert edge["name"] == f"{2 * edge['layer'] + 2} (relu), unit {edge['unit']}"
        z = _units(shown, around(u, 1.001 * edge["distance"]), edge["layer"])[:, edge["unit"]]
        is_on = bool(patterns[edge["layer"]][edge["unit"]] > 0)
        assert ((z > 0) != is_on).any(), "a step farther the unit has switched"
        ring = around(u, 0.999 * edge["distance"])
        is_inside = partition.locate(ring) >= 0
        n_cut += not is_inside.all()
        # As far as the domain goes, no unit switches before.
        for layer in (0, 1):
            before = _units(shown, ring[is_inside], layer) > 0
            assert (before == (patterns[layer] > 0)).all()
    assert n_cut > 0


def test_a_cell_without_edges_inside_has_no_nearest_one() -> None:
    model = nn.Linear(5, 3).eval()
    whole = Scene(model, list(np.eye(5)[:3]), None, None).show(Wish(), lambda: None)
    assert said(whole, whole.partition.centroids[0])["edge"] is None


def _outputs(shown: Shown, u: Any) -> Any:
    with torch.no_grad():
        return copy.deepcopy(NET).double()(torch.from_numpy(shown.partition.plane.to_input(u))).numpy()


def _units(shown: Shown, u: Any, layer: int) -> Any:
    """Pre-activations of a layer by torch alone."""
    with torch.no_grad():
        return copy.deepcopy(NET[: 2 * layer + 2]).double()(torch.from_numpy(shown.partition.plane.to_input(u))).numpy()
