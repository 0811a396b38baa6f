"""What views are told, and what is kept for those that come later."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from splinecam_widget._scene import Scene, Shown, Wish
from splinecam_widget._views import Views, Words
from splinecam_widget.engine.slices import rectangle
from widget_checks import small_net

ASKED = {"sequence": 7, "view_id": "a1b2"}
Told = list[tuple[dict[str, Any], list[bytes]]]


@pytest.fixture
def told() -> Told:
    return []


@pytest.fixture
def views(told: Told) -> Views:
    return Views(lambda content, buffers: told.append((content, buffers)), None, None, Words(None, True, True))


@pytest.fixture(scope="module")
def pictures() -> list[Shown]:
    """Two pictures of one plane, the second of a part."""
    scene = Scene(small_net(2, 3), [np.array(x) for x in ([0.0, 0.0], [1.0, 0.0], [0.0, 1.0])], None, None)
    first = scene.show(Wish())
    return [first, scene.show(Wish(domain=rectangle(0.0, 0.3, 0.0, 0.3), plane=first.plane_number))]


def kinds(told: Told) -> list[str]:
    return [content["kind"] for content, _ in told]


def test_a_view_that_comes_later_is_told_all_there_is(views: Views, told: Told, pictures: list[Shown]) -> None:
    views.greet()
    assert kinds(told) == ["board"]
    assert views.show(pictures[0], "class", 1, ASKED, {})
    views.certify(pictures[0], ASKED, ValueError("no"))
    assert kinds(told) == ["board", "anchors", "picture", "certificate"]
    before = told[:]
    views.greet()
    assert told[4:] == before


def test_colours_and_lines_change_what_is_kept(views: Views, told: Told, pictures: list[Shown]) -> None:
    views.show(pictures[0], "class", None, ASKED, {})
    assert views.recolour(pictures[0], "area")
    assert views.redraw_lines(pictures[0], 0)
    told.clear()
    views.greet()
    kept = dict(zip(kinds(told), told))["picture"]
    told.clear()
    views.show(pictures[0], "area", 0, ASKED, {})
    content, buffers = told[-1]
    assert kept[1] == buffers
    assert {**kept[0], "timing": {}} == {**content, "timing": {}}


def test_nothing_of_another_picture_goes_into_the_one_that_is_kept(
    views: Views, told: Told, pictures: list[Shown]
) -> None:
    """One that could not be told of is not known to any view."""
    assert not views.redraw_lines(pictures[0], 0)
    views.show(pictures[0], "class", None, ASKED, {})
    told.clear()
    assert not views.redraw_lines(pictures[1], 0)
    assert not views.recolour(pictures[1], "area")
    assert told == []
    views.greet()
    content, buffers = told[-1]
    assert content["lines"] is None
    assert buffers[8] == b""
    assert content["legend"]["kind"] == "classes"


def test_a_layer_that_only_the_next_model_has(views: Views, told: Told, pictures: list[Shown]) -> None:
    assert views.show(pictures[0], "class", 2, ASKED, {})
    assert told[-1][0]["lines"] is None


def test_keeps_nothing_once_it_is_closed(views: Views, told: Told, pictures: list[Shown]) -> None:
    views.close()
    views.show(pictures[0], "class", None, ASKED, {})
    views.certify(pictures[0], ASKED, ValueError("no"))
    assert not views.redraw_lines(pictures[0], 0)
    views.greet()
    assert told == []
    assert views._last == {}
