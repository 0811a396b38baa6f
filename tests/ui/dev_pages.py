"""What tests of the development page share: its parts, what it asked for, and what it shows. `opened` opens one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ui.widget_page import WidgetPage

EXACT_SECONDS = 15.0
BOARD = "Board of images"
SLICE = "Slice plot"
Open = Callable[..., WidgetPage]


def requests(widget: WidgetPage) -> list[dict[str, Any]]:
    """What the browser asked for so far."""
    sent: list[dict[str, Any]] = widget.page.evaluate("dev.model.sent.filter(s => s.trait === '_request')")
    return [item["value"] for item in sent]


def view(widget: WidgetPage) -> list[float]:
    """The ranges of the plot: left, right, bottom, top."""
    ranges: list[float] = widget.page.evaluate("view => JSON.parse(view)", widget.data(SLICE)["view"])
    return ranges


def is_near(a: tuple[float, float], b: tuple[float, float], pixels: float = 1.5) -> bool:
    return abs(a[0] - b[0]) <= pixels and abs(a[1] - b[1]) <= pixels
