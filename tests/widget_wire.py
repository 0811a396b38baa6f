"""Widgets on a recording wire: fixtures and what a browser does, for the tests of the widget."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import comm
import numpy as np
import pytest
from comm.base_comm import BaseComm
from torch import nn

from splinecam_widget import SplineCamWidget, _checks
from widget_checks import Picture, decoded, small_net

SECONDS = 120.0
"""A first partition may wait for a cold compile; a test that reaches this fails."""

IMAGES = np.random.default_rng(3).standard_normal((12, 1, 3, 3)).astype(np.float32)
LABELS = np.arange(12) % 3
NET = nn.Sequential(nn.Flatten(), *small_net(9, 3)).eval()
KEEP = {"kind": "keep"}
MakeWidget = Callable[..., SplineCamWidget]


class Wire(BaseComm):  # type: ignore[misc]
    """A comm that keeps what Python sends and delivers what a browser sends."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.sent: list[tuple[dict[str, Any], list[bytes]]] = []
        super().__init__(*args, **kwargs)

    def publish_msg(self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **keys: Any) -> None:
        if msg_type == "comm_msg":
            self.sent.append((copy.deepcopy(data), list(buffers or [])))


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeWidget]:
    """Make widgets on recording comms; all are closed afterwards."""
    monkeypatch.setattr(comm, "create_comm", Wire)
    monkeypatch.setattr(_checks, "REST_SECONDS", 0.0)
    made: list[SplineCamWidget] = []

    def widget(model: Any = NET, x1: Any = IMAGES[0], x2: Any = IMAGES[1], x3: Any = IMAGES[2], **more: Any) -> SplineCamWidget:
        made.append(SplineCamWidget(model, x1, x2, x3, **more))
        return made[-1]

    yield widget
    for w in made:
        w.close()


@pytest.fixture
def w(make: MakeWidget) -> SplineCamWidget:
    """A widget with images that shows its first partition, its wire emptied."""
    found = make(images=IMAGES, labels=LABELS)
    found.wait(SECONDS)
    found.comm.sent.clear()
    return found


def sent(w: SplineCamWidget, kind: str) -> list[tuple[dict[str, Any], list[bytes]]]:
    """The custom messages of a kind that went out."""
    return [
        (data["content"], buffers) for data, buffers in w.comm.sent
        if data.get("method") == "custom" and data["content"]["kind"] == kind
    ]


def picture(w: SplineCamWidget) -> Picture:
    """The newest picture that went out."""
    return decoded(*sent(w, "picture")[-1])


def receive(w: SplineCamWidget, **state: Any) -> None:
    """A browser's change of synced traits arrives."""
    w.comm.handle_msg({"content": {"data": {"method": "update", "state": state, "buffer_paths": []}}, "buffers": []})


def tell(w: SplineCamWidget, **content: Any) -> None:
    """A browser's custom message arrives."""
    w.comm.handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})
    assert w._answers.wait_idle(SECONDS)


def wait_lines(w: SplineCamWidget) -> None:
    """Until the lines of the layer that is chosen have gone out."""
    w.wait(SECONDS)
    assert w._lines.wait_idle(SECONDS)


def wait_checked(w: SplineCamWidget) -> None:
    """Until the certificate of the picture on show has gone out, or what went wrong."""
    w.wait(SECONDS)
    assert w._checks.wait_idle(SECONDS)


SEQUENCE = iter(range(1, 1_000_000))


def request(w: SplineCamWidget, *anchors: Any, domain: Any = "keep", plane: int | None = None, view_id: str = "v") -> int:
    """A browser's request arrives; its sequence number."""
    sequence = next(SEQUENCE)
    shown = w._scene.shown
    number = plane if plane is not None else shown.plane_number if shown is not None else -1
    receive(w, _request={
        "sequence": sequence, "view_id": view_id, "plane": number, "anchors": [*anchors, *[KEEP] * (3 - len(anchors))],
        "domain": domain,
    })
    return sequence


def image(index: int) -> dict[str, Any]:
    return {"kind": "image", "index": index}


def corners(w: SplineCamWidget) -> Any:
    assert w.plane is not None
    return w.plane.domain
