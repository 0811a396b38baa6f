"""What the browser asks for and what was set in Python, as one wish: the later of the two wins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from splinecam_widget._scene import Wish
from splinecam_widget._wishes import wish_of, with_traits

KEEP = {"kind": "keep"}
IMAGE = {"kind": "image", "index": 4}


def request(**more: Any) -> dict[str, Any]:
    return {"sequence": 1, "view_id": "v", "plane": 3, "anchors": [KEEP, IMAGE, KEEP], "domain": "keep", **more}


def test_a_request() -> None:
    assert wish_of(request()) == Wish(("keep", IMAGE, "keep"), "keep", 3)
    assert wish_of(request(domain=None)).domain is None
    assert wish_of(request(domain=[0, 1, 2, 4])).domain.tolist() == [[0, 2], [1, 2], [1, 4], [0, 4]]


@pytest.mark.parametrize("more", [
    {"domain": [0, 1]}, {"domain": "all"}, {"domain": 3}, {"anchors": [KEEP] * 4}, {"anchors": [3, KEEP, KEEP]},
    {"anchors": [{}, KEEP, KEEP]}, {"plane": None},
])
def test_what_is_no_request(more: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        wish_of(request(**more))


def test_traits_that_were_set_go_over_the_request() -> None:
    x, triangle = np.ones(3), [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    wish = with_traits(Wish((KEEP, IMAGE, KEEP), "keep", 3), {"x1": x, "domain": triangle}, set())
    assert wish.anchors == (x, IMAGE, KEEP)
    assert wish.domain.tolist() == triangle
    assert with_traits(Wish(domain=np.eye(2)), {"domain": None}, set()).domain is None


def test_what_was_set_later_and_shown_is_kept() -> None:
    wish = with_traits(Wish((IMAGE, IMAGE, IMAGE), None, 3), {}, {"x2", "domain"})
    assert wish == Wish((IMAGE, "keep", IMAGE), "keep", 3)
