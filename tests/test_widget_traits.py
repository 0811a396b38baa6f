"""What can be set on the widget from Python, and said when it is made."""

from __future__ import annotations

import copy
import threading
from typing import Any

import numpy as np
import pytest
import torch
import traitlets
from torch import nn

from splinecam_widget import Slice, SplineCamWidget, UnsupportedModelError
from widget_checks import assert_same_partition, assert_shows, fresh_partition
from widget_wire import (
    IMAGES,
    KEEP,
    NET,
    SECONDS,
    MakeWidget,
    corners,
    image,
    picture,
    receive,
    request,
    sent,
    tell,
    wait_checked,
    wait_lines,
)


class TestTraits:
    def test_set_anchor(self, w: SplineCamWidget) -> None:
        seen: list[Any] = []
        w.observe(lambda change: seen.append(change["new"]), "x1")
        w.x1 = torch.from_numpy(IMAGES[9])
        assert_same_partition(w.wait(SECONDS), fresh_partition(NET, Slice.through(IMAGES[9], *IMAGES[1:3])))
        assert len(seen) == 1
        np.testing.assert_array_equal(seen[0], IMAGES[9])

    def test_anchors_are_read_only_and_copies(self, make: MakeWidget) -> None:
        mine = IMAGES[0].astype(np.float64)
        w = make(x1=mine)
        mine[:] = 5
        np.testing.assert_array_equal(w.x1, IMAGES[0])
        with pytest.raises(ValueError, match="read-only"):
            w.x1[0] = 3

    def test_swap(self, w: SplineCamWidget) -> None:
        w.x1, w.x2 = w.x2, w.x1  # equal for a moment
        w.wait(SECONDS)
        np.testing.assert_array_equal(np.stack([w.x1, w.x2, w.x3]), IMAGES[[1, 0, 2]])

    def test_domain(self, w: SplineCamWidget) -> None:
        triangle = np.array([[0.0, 0], [0, 1], [1, 0]])  # clockwise
        w.domain = triangle
        found = w.wait(SECONDS)
        assert found.areas.sum() == pytest.approx(0.5)
        assert_same_partition(found, fresh_partition(NET, found.plane))
        w.domain = None
        np.testing.assert_array_equal(w.wait(SECONDS).plane.domain, Slice.through(*IMAGES[:3]).domain)

    @pytest.mark.parametrize("color_by", ["margin", "pattern", "area", "slope"])
    def test_colours_evaluate_nothing(self, w: SplineCamWidget, color_by: str) -> None:
        before, total = w.wait(0), copy.copy(w._scene._explorer.total)
        w.color_by = color_by
        assert w.wait(SECONDS) is before
        assert w._scene._explorer.total == total
        assert sent(w, "picture") == []
        ((content, buffers),) = sent(w, "colours")
        assert len(buffers[0]) == 4 * before.n_cells
        tell(w, kind="hello", view_id="late")
        late = picture(w)
        assert_shows(late, before)
        assert late.colours.tobytes() == buffers[0]
        assert late.content["legend"] == content["legend"]

    def test_lines_of_a_layer_evaluate_nothing(self, w: SplineCamWidget) -> None:
        before, total = w.wait(0), copy.copy(w._scene._explorer.total)
        assert w._layers == ["2 (relu)", "4 (relu)"]
        w.layer = 1
        wait_lines(w)
        assert w.wait(SECONDS) is before
        assert w._scene._explorer.total == total
        assert sent(w, "picture") == []
        ((content, (ends,)),) = sent(w, "lines")
        assert len(ends) == 8 * int((before.edge_layer == 1).sum()) > 0
        tell(w, kind="hello", view_id="late")
        late, buffers = sent(w, "picture")[-1]
        assert_shows(picture(w), before)
        assert (late["lines"], buffers[8]) == (content["lines"], ends)
        w.x1 = IMAGES[9]
        found = w.wait(SECONDS)
        drawn, buffers = sent(w, "picture")[-1]
        assert drawn["lines"]["n_edges"] == int((found.edge_layer == 1).sum()) == len(buffers[8]) // 8
        receive(w, layer=None)
        wait_lines(w)
        assert w.layer is None
        assert sent(w, "lines")[-1][0]["lines"] is None

    def test_a_layer_that_is_not_there(self, w: SplineCamWidget) -> None:
        for bad in (2, -1, "relu", 0.5, True):
            with pytest.raises(ValueError, match=rf"^layer: expected None or a layer of kinks from 0 to 1, got {bad!r}$"):
                w.layer = bad
        assert w.layer is None

    def test_layers_follow_the_model(self, make: MakeWidget) -> None:
        deep = nn.Sequential(nn.Flatten(), nn.Linear(9, 5), nn.ReLU(), nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(),
                             nn.Linear(4, 3)).eval()
        w = make(layer=1)
        w.wait(SECONDS)
        assert picture(w).content["lines"]["layer"] == 1
        w.update(deep)
        w.layer = 2  # before it is on show
        w.wait(SECONDS)
        assert w._layers == ["2 (relu)", "4 (relu)", "6 (relu)"]
        assert sent(w, "picture")[-1][0]["lines"]["name"] == "6 (relu)"
        w.update(NET)
        receive(w, layer=2)  # from a menu that still offers the layers of the model on show
        w.wait(SECONDS)
        assert w.layer is None
        assert w._layers == ["2 (relu)", "4 (relu)"]
        assert sent(w, "picture")[-1][0]["lines"] is None
        assert w.error == ""

    def test_an_observer_that_raises_hides_no_picture(self, make: MakeWidget) -> None:
        def refuse(_: Any) -> None:
            raise RuntimeError("no")

        w = make(layer=1)
        w.wait(SECONDS)
        w.observe(refuse, "layer")
        shallow = nn.Sequential(nn.Flatten(), nn.Linear(9, 5), nn.ReLU(), nn.Linear(5, 3)).eval()
        w.update(shallow)
        with pytest.raises(RuntimeError, match=r"^no$"):
            w.wait(SECONDS)
        assert w.status["state"] == "error"
        assert w.partition is not None
        assert_same_partition(w.partition, fresh_partition(shallow, w.partition.plane))

    def test_lines_do_not_wait_for_the_next_picture(self, w: SplineCamWidget) -> None:
        w.wait(SECONDS)
        begun, done = threading.Event(), threading.Event()

        def hold(_: Any) -> None:
            begun.set()
            assert done.wait(SECONDS)

        w._worker.submit("hold", hold)
        assert begun.wait(SECONDS)
        w.layer = 0
        assert w._lines.wait_idle(SECONDS)
        assert sent(w, "lines")[-1][0]["lines"]["layer"] == 0
        done.set()

    def test_lines_that_need_the_network_follow_the_picture(self, make: MakeWidget) -> None:
        """Of units that share their lines, edges name the first alone."""
        w = make(Mirrored().eval(), layer=0)
        found = w.wait(SECONDS)
        assert found.asks_network_for_lines(0)
        wait_lines(w)
        assert picture(w).content["lines"] is None
        lines = sent(w, "lines")[-1][0]["lines"]
        assert (lines["n_bent"], lines["n_units"]) == (2 * len(np.unique(found.edge_unit[found.edge_layer == 0])), 12)
        tell(w, kind="hello", view_id="late")
        assert picture(w).content["lines"] == lines

    def test_one_layer_of_kinks(self, make: MakeWidget) -> None:
        w = make(nn.Sequential(nn.Flatten(), nn.Linear(9, 5), nn.ReLU(), nn.Linear(5, 3)).eval(), layer=0)
        w.wait(SECONDS)
        with pytest.raises(ValueError, match=r"^layer: expected None or 0, the only layer of kinks, got 1$"):
            w.layer = 1
        w.close()
        with pytest.raises(ValueError, match=r"^layer: expected None or 0, the only layer of kinks, got 77$"):
            w.layer = 77

    def test_a_model_without_kinks_has_no_layer(self, make: MakeWidget) -> None:
        flat = nn.Sequential(nn.Flatten(), nn.Linear(9, 3)).eval()
        w = make(flat)
        w.wait(SECONDS)
        assert w._layers == []
        with pytest.raises(ValueError, match=r"^layer: expected None for a model without kinks, got 0$"):
            w.layer = 0
        with pytest.raises(ValueError, match=r"^layer: expected None or a layer of kinks from 0 to 1, got 2$"):
            make(layer=2)

    def test_links_of_layers(self, make: MakeWidget) -> None:
        first, second = make(), make()
        second.wait(SECONDS)
        traitlets.link((first, "layer"), (second, "layer"))
        first.layer = 0
        wait_lines(second)
        assert sent(second, "lines")[-1][0]["lines"]["layer"] == 0

    def test_pattern_colours_stay_from_one_slice_to_the_next(self, w: SplineCamWidget) -> None:
        w.color_by = "pattern"
        colour_of: dict[bytes, int] = {}
        again = 0
        for index in (3, 4, 5):
            request(w, KEEP, KEEP, image(index))
            found = w.wait(SECONDS)
            patterns = np.concatenate(found.patterns(np.arange(found.n_cells)), axis=1)
            for pattern, colour in zip(patterns, picture(w).colours.tolist()):
                again += pattern.tobytes() in colour_of
                assert colour_of.setdefault(pattern.tobytes(), colour) == colour
        assert again > 0

    def test_links(self, make: MakeWidget) -> None:
        first, second = make(), make()
        first.wait(SECONDS)
        second.wait(SECONDS)
        link = traitlets.link((first, "x1"), (second, "x1"))
        first.x1 = IMAGES[6]
        expected = fresh_partition(NET, Slice.through(IMAGES[6], *IMAGES[1:3]))
        for w in (first, second):
            assert_same_partition(w.wait(SECONDS), expected)
        request(second, {"kind": "slice", "u": corners(second).mean(axis=0).tolist()})
        second.wait(SECONDS)
        first.wait(SECONDS)
        np.testing.assert_array_equal(first.x1, second.x1)
        assert first.error == second.error == ""
        link.unlink()
        second.x1 = IMAGES[7]
        np.testing.assert_array_equal(first.x1 == second.x1, False)

    def test_browser_link_of_anchors(self, w: SplineCamWidget) -> None:
        """`jslink` hands over a trait's state as it came."""
        state = {"x1": {"shape": [1, 3, 3], "data": memoryview(IMAGES[9].astype(np.float64).tobytes())}}
        receive(w, **state)
        assert_same_partition(w.wait(SECONDS), fresh_partition(NET, Slice.through(IMAGES[9], *IMAGES[1:3])))

    def test_whole_anchors_compare_as_one(self, w: SplineCamWidget) -> None:
        assert (w.x1 == w.x1) is True
        assert (w.x1 != w.x2) is True
        assert (w.x1[0] == w.x1[0]).all()
        assert (w.x1 == np.zeros((1, 3, 3))).shape == (1, 3, 3)


class Mirrored(nn.Module):
    """Each unit of its layer of kinks has another one that bends where it does."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(9, 6), nn.Linear(12, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.first(x.flatten(1))
        return self.last(torch.relu(torch.cat([z, -z], dim=1)))


class Several(nn.Module):
    """A model that returns what it saw and what it thinks."""

    def __init__(self) -> None:
        super().__init__()
        self.body = NET

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"features": x.flatten(1), "logits": self.body(x)}


class TestOptions:
    def test_shows_one_of_several_outputs(self, make: MakeWidget) -> None:
        w = make(Several().eval(), output="logits")
        found = w.wait(SECONDS)
        assert_same_partition(found, fresh_partition(NET, w.plane))
        assert w.status["state"] == "exact"

    def test_says_which_outputs_there_are(self, make: MakeWidget) -> None:
        with pytest.raises(ValueError, match=r"^output: expected .*\['features'\] \(9,\), \['logits'\] \(3,\), got .*'scores'"):
            make(Several().eval(), output="scores")
        w = make(Several().eval())
        with pytest.raises(UnsupportedModelError, match="output="):
            w.wait(SECONDS)
        assert "['logits'] (3,)" in w.error

    def test_never_calls_an_approximation_exact(self, make: MakeWidget) -> None:
        net = nn.Sequential(nn.Flatten(), nn.Linear(9, 6), nn.GELU(), nn.Linear(6, 3)).eval()
        w = make(net, approximate=0.05)
        found = w.wait(SECONDS)
        assert not found.is_exact
        assert w.status["state"] == "approximation"
        assert "approximation, activations to within 0.05" in w.status["text"]
        assert "exact" not in w.status["text"]
        assert sent(w, "picture")[-1][0]["exact"] is False
        wait_checked(w)
        assert w.certificate is not None
        assert w.certificate.n_approximated == 1
        assert sent(w, "certificate")[-1][0]["verdict"] == "approximation"
        for bad in (0.0, -1.0, float("nan")):
            with pytest.raises(ValueError, match=r"^approximate: expected a finite number from 1e-10 on"):
                make(net, approximate=bad)
