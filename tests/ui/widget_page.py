"""One SplineCamWidget in a page, seen and moved as a person does: by labels, with mouse and keyboard."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import FloatRect, Locator, Page

EXACT_SECONDS = 120.0
"""A first picture may wait for a trace of the model and a cold compile."""


@dataclass(frozen=True)
class Status:
    """What the status line says."""

    state: str
    cells: int
    regions: int
    sequence: int
    text: str


@dataclass(frozen=True)
class WidgetPage:
    """The widget number `index` of the page, counted from above."""

    page: Page
    index: int = 0

    def part(self, label: str) -> Locator:
        """The part of this widget with an `aria-label`."""
        return self.page.get_by_label(label, exact=True).nth(self.index)

    def status(self) -> Status:
        line = self.part("Status")
        data: dict[str, str] = line.evaluate("line => ({...line.dataset})")
        return Status(
            data.get("state", ""),
            int(data.get("cells") or -1),
            int(data.get("regions") or -1),
            int(data.get("sequence") or -1),
            line.inner_text(),
        )

    def wait_exact(self, after: int | None = None, seconds: float = EXACT_SECONDS) -> Status:
        """Wait until the picture is exact and answers a request later than number `after`."""
        end = time.monotonic() + seconds
        while True:
            status = self.status()
            if status.state == "exact" and (after is None or status.sequence > after):
                return status
            if time.monotonic() > end:
                raise AssertionError(f"not exact within {seconds} s: {status}, error: {self.error()!r}")
            self.page.wait_for_timeout(20)

    def wait_certificate(self, state: str, seconds: float = EXACT_SECONDS) -> None:
        """Wait until the badge says how the checks of the picture on show came out."""
        self.page.wait_for_function(
            "([label, i, state]) => document.querySelectorAll(`[aria-label=${label}]`)[i]?.dataset.state === state",
            arg=["Certificate", self.index, state], timeout=1000 * seconds,
        )

    def badge(self) -> Locator:
        """The button of the certificate."""
        return self.part("Certificate").get_by_role("button")

    def figures(self) -> dict[str, str]:
        """The figures of the certificate by name, {} while they are not on show."""
        panel = self.part("Figures of the certificate")
        if not panel.is_visible():
            return {}
        rows = panel.locator("tr").all()
        return {row.locator("th").inner_text(): row.locator("td").inner_text() for row in rows}

    def error(self) -> str:
        """The text of the error panel, "" when it is hidden."""
        panel = self.page.locator("[aria-label='Error']").nth(self.index)
        return panel.inner_text() if panel.is_visible() else ""

    def box(self, label: str) -> FloatRect:
        box = self.part(label).bounding_box()
        assert box is not None, f"{label} is not visible"
        return box

    def centre(self, label: str) -> tuple[float, float]:
        box = self.box(label)
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def place(self, label: str, across: float, down: float) -> tuple[float, float]:
        """A point of a part, as shares of its width and height."""
        box = self.box(label)
        return box["x"] + across * box["width"], box["y"] + down * box["height"]

    def drag(self, label: str, to: tuple[float, float], steps: int = 12, pause_ms: float = 16) -> None:
        """Take a handle with the mouse and bring it to a point of the page."""
        x, y = self.centre(label)
        mouse = self.page.mouse
        mouse.move(x, y)
        mouse.down()
        for step in range(1, steps + 1):
            mouse.move(x + (to[0] - x) * step / steps, y + (to[1] - y) * step / steps)
            self.page.wait_for_timeout(pause_ms)
        mouse.up()

    def focus_by_tab(self, label: str, limit: int = 60) -> None:
        """Press Tab until the part has the focus."""
        part = self.part(label)
        for _ in range(limit):
            if part.evaluate("part => part === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"Tab does not reach {label!r}")

    def data(self, label: str) -> dict[str, Any]:
        """The `data-` attributes of a part."""
        data: dict[str, Any] = self.part(label).evaluate("part => ({...part.dataset})")
        return data
