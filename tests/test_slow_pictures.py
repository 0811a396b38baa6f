"""The widget where a picture takes long or is too much, and where the model changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from oracle import mlp
from splinecam_widget import SplineCamWidget, UnsupportedModelError, compute_partition
from splinecam_widget import _scene as scenes
from splinecam_widget._protocol import picture_message, sketch_message
from splinecam_widget._scene import KEEP, Scene, Sketched, Wish
from splinecam_widget._words import state_of, text_of
from splinecam_widget.analysis.colours import colouring_of
from splinecam_widget.engine.slices import Slice
from splinecam_widget.engine.watching import Budget, Sketch
from widget_checks import assert_same_partition, fresh_partition, small_net
from widget_wire import IMAGES, NET, SECONDS, MakeWidget, image, picture, request, sent, tell, wait_checked

POINTS = [np.array(x) for x in ([0.0, 0.0], [1.0, 0.0], [0.0, 1.0])]


def scene_of(model: Any, n_cells: int | None = None) -> Scene:
    return Scene(model, POINTS, None, None, budget=lambda: Budget.of(n_cells, None))


def test_a_picture_of_what_is_known_says_so() -> None:
    scene = scene_of(small_net(2, 2))
    first = scene.show(Wish())
    nearer = scene.show(Wish(domain=0.5 * first.partition.plane.domain, plane=first.plane_number))
    assert "computed before" not in text_of(first)
    assert text_of(nearer).endswith("ms, from what was computed before")


class TestTooMuch:
    def test_the_view_is_what_was_asked_for(self) -> None:
        shown = scene_of(mlp(2, 64, 64, 2), 50).show(Wish())
        assert not shown.partition.is_complete
        assert shown.is_default_domain
        content, buffers = picture_message(
            shown, _colouring(shown), None, {"sequence": 1, "view_id": None}, True, {})
        asked = Slice.through(*POINTS).domain
        low, high = asked.min(axis=0), asked.max(axis=0)
        np.testing.assert_allclose(content["view"], [low[0], high[0], low[1], high[1]])
        assert not content["complete"]
        np.testing.assert_array_equal(content["domain"], shown.partition.plane.domain)
        places = np.frombuffer(buffers[0], "<f4").reshape(-1, 2)
        np.testing.assert_allclose(
            places * content["scale"] + content["centre"], shown.partition.vertices, atol=1e-6)
        assert np.abs(places).max() < 0.9

    def test_the_view_stays_for_the_next_wish(self) -> None:
        scene = scene_of(mlp(2, 64, 64, 2), 50)
        first = scene.show(Wish())
        view = np.array([[-3.0, -3.0], [3.0, -3.0], [3.0, 3.0], [-3.0, 3.0]])
        wide = scene.show(Wish(domain=view))
        kept = scene.show(Wish(({"kind": "slice", "u": [0.1, 0.1]}, KEEP, KEEP), KEEP, wide.plane_number))
        np.testing.assert_array_equal(kept.partition.asked_plane.domain, view)
        assert first.partition.n_cells <= 50 >= kept.partition.n_cells

    def test_it_is_said(self) -> None:
        shown = scene_of(mlp(2, 64, 64, 2), 50).show(Wish())
        assert state_of(shown) == "partial"
        text = text_of(shown)
        assert text.startswith(f"{shown.partition.n_cells} cells in the middle ")
        assert "exact there" in text
        assert "zoom in" in text

    def test_widget(self, make: MakeWidget) -> None:
        w = make(images=IMAGES, max_cells=4)
        found = w.wait(SECONDS)
        assert w.status["state"] == "partial"
        assert w.status["cells"] == found.n_cells <= 4
        assert w.domain is None, "the view is still the default one"
        w.x2 = IMAGES[1] + 0.01 * (IMAGES[2] - IMAGES[0])  # in the plane
        again = w.wait(SECONDS)
        assert w.status["state"] == "partial", "the same view stays what it is"
        np.testing.assert_array_equal(again.asked_plane.anchors, again.plane.anchors)
        assert not picture(w).content["complete"]

    @pytest.mark.parametrize("name", ["max_cells", "max_memory"])
    def test_bad_budgets(self, make: MakeWidget, name: str) -> None:
        with pytest.raises(ValueError, match=f"^{name}: expected at least 1, got 0"):
            make(**{name: 0})


def _colouring(shown: scenes.Shown) -> Any:
    return colouring_of(shown.partition, shown.winners, "class", ["a", "b"])


class TestSketches:
    def test_of_a_new_plane_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(scenes, "SLOW_SECONDS", -1.0)
        monkeypatch.setattr(scenes, "FIRST_SKETCH_SECONDS", -1.0)
        net = nn.Sequential(nn.Linear(5, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 2)).eval()
        points = [np.eye(5)[i] for i in range(4)]
        scene = Scene(net, points[:3], None, None)
        found: list[Sketched] = []
        first = scene.show(Wish(), on_sketch=found.append)
        assert found
        assert found[0].plane_number == first.plane_number == 1
        assert found[0].plane.domain is not None
        assert len(found[0].sketch.segments) > 10
        n = len(found)
        middle = first.partition.plane.domain.mean(axis=0)
        scene.show(Wish(domain=middle + 3 * (first.partition.plane.domain - middle)), on_sketch=found.append)
        assert len(found) == n, "the picture on show is right where it is"
        scene.show(Wish((KEEP, points[3], KEEP), None), on_sketch=found.append)
        assert found[-1].plane_number == 2

    def test_message(self) -> None:
        plane = Slice.through(*POINTS)
        segments = np.array([[[0.0, 0.0], [0.5, 1.0]]])
        content, (buffer,) = sketch_message(Sketched(Sketch(segments, 1, 3, 17), plane, 4), {"sequence": 2, "view_id": "v"})
        assert (content["kind"], content["plane"], content["sequence"], content["view_id"]) == ("sketch", 4, 2, "v")
        assert (content["n_layers"], content["n_layers_in_all"], content["n_cells"]) == (1, 3, 17)
        np.testing.assert_allclose(content["slice"], plane.anchors)
        places = np.frombuffer(buffer, "<f4").reshape(1, 2, 2)
        np.testing.assert_allclose(places * content["scale"] + content["centre"], segments, atol=1e-6)

    def test_goes_out_and_is_not_kept(self, make: MakeWidget, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(scenes, "FIRST_SKETCH_SECONDS", -1.0)
        net = nn.Sequential(nn.Flatten(), *small_net(9, 3, width=400)).eval()
        w = make(net, images=IMAGES)
        w.wait(SECONDS)
        assert sent(w, "sketch")
        w.comm.sent.clear()
        tell(w, kind="hello", view_id="late")
        assert sent(w, "picture")
        assert not sent(w, "sketch")
        assert w.status["state"] == "exact"


class TestUpdate:
    def changed(self) -> nn.Module:
        net = nn.Sequential(nn.Flatten(), *small_net(9, 3)).eval()
        net.load_state_dict(NET.state_dict())
        with torch.no_grad():
            net[-1].bias[0] += 0.25
        return net

    def test_shows_the_new_weights(self, make: MakeWidget) -> None:
        w = make(images=IMAGES)
        before = w.wait(SECONDS)
        net = self.changed()
        w.update(net)
        found = w.wait(SECONDS)
        assert_same_partition(found, fresh_partition(net, Slice.through(*IMAGES[:3])))
        assert not np.array_equal(found.values, before.values)
        assert w.status["state"] == "exact"
        assert w.status["vertices_evaluated"] == len(found.vertices), "only what comes after the last kink"
        assert w.status["cells_reused"] == found.n_cells
        request(w, image(4))
        assert_same_partition(w.wait(SECONDS), fresh_partition(net, Slice.through(IMAGES[4], IMAGES[1], IMAGES[2])))

    def test_certificate_is_of_the_new_picture(self, make: MakeWidget) -> None:
        w = make(images=IMAGES)
        w.wait(SECONDS)
        w.update(self.changed())
        assert w.wait(SECONDS).certificate(full=True).is_sound

    def test_a_boundary_that_moves_though_no_cell_does(self, make: MakeWidget) -> None:
        """All units are on, everywhere: one cell before and after, and the boundary leaves the view."""
        model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2)).eval()
        with torch.no_grad():
            model[0].weight.copy_(torch.eye(2))
            model[0].bias.fill_(50.0)
            model[2].weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
            model[2].bias.copy_(torch.tensor([-50.25, 0.0]))
        w = make(model, *POINTS)
        assert len(w.wait(SECONDS).decision_boundary().points) == 1
        wait_checked(w)
        with torch.no_grad():
            model[2].bias[0] -= 100.0
        w.update(model)
        found = w.wait(SECONDS)
        assert len(found.decision_boundary().points) == 0
        assert len(picture(w).boundary) == 0
        assert w.certificate is None or w._checks.of(w._scene.shown) is not None
        assert w._scene.shown is not None
        assert len(w._scene.shown.winners.boundary.points) == 0

    def test_refusals_change_nothing(self, make: MakeWidget) -> None:
        w = make(images=IMAGES)
        found = w.wait(SECONDS)
        with pytest.raises(UnsupportedModelError):
            w.update(nn.Sequential(nn.Flatten(), nn.Linear(9, 4), nn.Sigmoid(), nn.Linear(4, 3)).eval())
        with pytest.raises(ValueError, match=r"^model: expected 3 outputs as before, got 2"):
            w.update(nn.Sequential(nn.Flatten(), nn.Linear(9, 2)).eval())
        assert w.wait(SECONDS) is found
        assert w.error == ""

    def test_closed(self, w: SplineCamWidget) -> None:
        w.close()
        with pytest.raises(ValueError, match=r"^model: expected an open widget"):
            w.update(NET)

    @pytest.mark.slow
    def test_of_many_only_the_newest_need_be_shown(self, make: MakeWidget) -> None:
        w = make(images=IMAGES)
        w.wait(SECONDS)
        net = self.changed()
        for _ in range(5):
            with torch.no_grad():
                net[1].bias[0] += 0.125
            w.update(net)
        found = w.wait(SECONDS)
        assert_same_partition(found, compute_partition(net, Slice.through(*IMAGES[:3])))
