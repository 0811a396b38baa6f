"""The ranges of the plot: zooms and pans by wheel, pointer and keyboard, their limits, and who owns them meanwhile."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("playwright")

from ui.dev_pages import EXACT_SECONDS, SLICE, Open, requests, view
from ui.lab import ROOT
from ui.widget_page import WidgetPage

pytestmark = pytest.mark.browser

TURN_WHEEL = """() => {
    const plot = document.querySelector("[aria-label='Slice plot']");
    const box = plot.getBoundingClientRect();
    plot.dispatchEvent(new WheelEvent("wheel", {
        deltaY: -300, ctrlKey: true, bubbles: true, cancelable: true, clientX: box.x + 100, clientY: box.y + 100}));
}"""
WHEEL_ENDS = 400
"""Milliseconds after which d3-zoom surely takes a turn of the wheel to be over."""


def test_wheel_scrolls_the_page_until_the_plot_has_the_focus(opened: Open) -> None:
    widget = opened(size=(1200, 500))
    page = widget.page
    ranges = view(widget)
    page.mouse.move(*widget.place(SLICE, 0.5, 0.4))
    page.mouse.wheel(0, 120)
    page.wait_for_function("scrollY > 0")
    assert view(widget) == ranges
    assert requests(widget) == []


def test_wheel_zooms_about_the_pointer(opened: Open) -> None:
    widget = opened()
    left, right, bottom, top = view(widget)
    widget.page.mouse.click(*widget.place(SLICE, 0.9, 0.1))
    widget.page.mouse.move(*widget.place(SLICE, 0.25, 0.75))
    widget.page.mouse.wheel(0, -300)
    status = widget.wait_exact(after=0, seconds=EXACT_SECONDS)
    domain = requests(widget)[-1]["domain"]
    assert domain[1] - domain[0] == pytest.approx(domain[3] - domain[2])
    assert domain[1] - domain[0] < 0.8 * (right - left)
    assert domain[0] + 0.25 * (domain[1] - domain[0]) == pytest.approx(left + 0.25 * (right - left), abs=0.02)
    assert domain[2] + 0.25 * (domain[3] - domain[2]) == pytest.approx(bottom + 0.25 * (top - bottom), abs=0.02)
    assert view(widget) == pytest.approx(domain)
    widget.page.get_by_label("Reset the slice").click()
    widget.wait_exact(after=status.sequence, seconds=EXACT_SECONDS)
    assert requests(widget)[-1]["domain"] is None
    assert view(widget) == pytest.approx([left, right, bottom, top])


def test_a_reset_right_after_the_wheel_shows_the_whole_picture(opened: Open) -> None:
    """d3-zoom takes a turn of the wheel to be over only after a while; the button may come before."""
    widget = opened("delay=5")
    whole = view(widget)
    turned = widget.page.evaluate(f"""() => {{
        ({TURN_WHEEL})();
        const turned = document.querySelector("[aria-label='{SLICE}']").dataset.view;
        document.querySelector("[aria-label='Reset the slice']").click();
        return JSON.parse(turned);
    }}""")
    assert turned[1] - turned[0] < 0.8 * (whole[1] - whole[0])
    widget.wait_exact(after=1, seconds=EXACT_SECONDS)
    widget.page.wait_for_timeout(WHEEL_ENDS)
    assert [request["domain"] is None for request in requests(widget)] == [False, True]
    assert view(widget) == pytest.approx(whole)


def test_ranges_set_in_python_during_a_gesture_show_when_it_ends(opened: Open) -> None:
    widget = opened("delay=5")
    whole, page = view(widget), widget.page
    page.evaluate(TURN_WHEEL)
    widget.wait_exact(after=0, seconds=EXACT_SECONDS)
    domain = requests(widget)[-1]["domain"]
    page.mouse.move(*widget.place(SLICE, 0.9, 0.1))
    page.mouse.down()
    page.wait_for_timeout(WHEEL_ENDS)
    assert view(widget) == pytest.approx(domain)
    page.evaluate("dev.kernel.show(dev.model, null)")
    held = widget.data(SLICE)["view"]
    assert view(widget) == pytest.approx(domain), "the hand holds them"
    page.mouse.up()
    page.wait_for_function(
        "([label, domain]) => document.querySelector(`[aria-label='${label}']`).dataset.view !== domain",
        arg=[SLICE, held])  # the wheel may be over only now
    assert view(widget) == pytest.approx(whole)


def test_ranges_set_in_python_while_a_handle_is_pressed_show_when_it_is_let_go(opened: Open) -> None:
    widget = opened("delay=5")
    whole, page = view(widget), widget.page
    half = [x / 2 for x in whole]
    page.mouse.move(*widget.centre("Anchor A in the slice"))
    page.mouse.down()
    page.evaluate("domain => dev.kernel.show(dev.model, domain)", half)
    assert view(widget) == pytest.approx(whole)
    page.mouse.up()
    assert view(widget) == pytest.approx(half)
    assert requests(widget) == [], "the anchor has not moved"


def test_fast_zooms_stay_under_the_pointer(opened: Open) -> None:
    """Many steps in one gesture, far beyond the limit and back; labels take the same room all the while."""
    widget = opened()
    page = widget.page
    frame, whole = widget.box(SLICE), view(widget)
    page.mouse.click(*widget.place(SLICE, 0.9, 0.1))
    x, y = map(round, widget.place(SLICE, 0.4, 0.4))  # events have whole pixels
    page.mouse.move(x, y)

    def pointed() -> tuple[float, float]:
        left, right, bottom, top = view(widget)
        across, down = ((x - frame["x"]) / frame["width"], (y - frame["y"]) / frame["height"])
        return left + across * (right - left), top - down * (top - bottom)

    u = pointed()
    for n, delta in ((110, -240), (6, 240), (6, -240), (60, 240)):
        before = widget.status().sequence
        for _ in range(n):
            page.mouse.wheel(0, delta)
            page.wait_for_timeout(5)
            assert widget.box(SLICE) == frame
        if delta < 0 or n == 6:
            left, right, *_ = view(widget)
            assert pointed() == pytest.approx(u, abs=2e-3 * (right - left) + 1e-12)
        widget.wait_exact(after=before, seconds=EXACT_SECONDS)
        page.wait_for_timeout(300)  # the gesture ends
    status = widget.status()
    page.get_by_label("Reset the slice").click()
    widget.wait_exact(after=status.sequence, seconds=EXACT_SECONDS)
    assert view(widget) == pytest.approx(whole)
    assert widget.box(SLICE) == frame


def test_a_pan_right_after_the_wheel_goes_on(opened: Open) -> None:
    """d3-zoom takes a turn of the wheel to be over only after a while; a press may come before."""
    widget = opened()
    page = widget.page
    x, y = map(round, widget.place(SLICE, 0.9, 0.1))
    page.mouse.click(x, y)
    page.mouse.wheel(0, -120)
    page.mouse.down()
    before = view(widget)
    for step in range(1, 11):
        page.mouse.move(x - 12 * step, y)
        page.wait_for_timeout(40)
    page.mouse.up()
    width = widget.box(SLICE)["width"]
    assert view(widget)[0] == pytest.approx(before[0] + 120 / width * (before[1] - before[0]), abs=0.01)
    widget.wait_exact(after=0, seconds=EXACT_SECONDS)


def test_labels_of_a_deep_zoom_are_short_and_named(opened: Open) -> None:
    widget = opened()
    page = widget.page

    def axis() -> bytes:
        page.mouse.move(2, 2)
        page.wait_for_timeout(200)
        box = widget.box(SLICE)
        return page.screenshot(clip={"x": box["x"] - 60, "y": box["y"], "width": 60, "height": box["height"]})

    ticks = axis()
    page.mouse.click(*widget.place(SLICE, 0.9, 0.1))
    page.mouse.move(*widget.place(SLICE, 0.4, 0.4))
    for _ in range(30):
        page.mouse.wheel(0, -240)
        page.wait_for_timeout(20)
    status = widget.wait_exact(after=0, seconds=EXACT_SECONDS)
    page.wait_for_timeout(300)
    (ROOT / "artifacts").mkdir(exist_ok=True)
    page.screenshot(path=ROOT / "artifacts" / "dev-deep.png")
    assert axis() != ticks
    page.get_by_label("Reset the slice").click()
    widget.wait_exact(after=status.sequence, seconds=EXACT_SECONDS)
    assert axis() == ticks


def test_panning_is_not_pulled_back_by_older_answers(opened: Open) -> None:
    widget = opened("delay=80")
    left, right, *_ = view(widget)
    mouse = widget.page.mouse
    x, y = widget.place(SLICE, 0.1, 0.9)
    width = widget.box(SLICE)["width"]
    mouse.move(x, y)
    mouse.down()
    for step in range(1, 11):
        mouse.move(x + 12 * step, y)
        widget.page.wait_for_timeout(30)
        assert view(widget)[0] == pytest.approx(left - 12 * step / width * (right - left), abs=0.01)
    mouse.up()
    widget.wait_exact(after=0, seconds=EXACT_SECONDS)
    assert requests(widget)[-1]["domain"] == pytest.approx(view(widget))
    assert view(widget)[0] == pytest.approx(left - 120 / width * (right - left), abs=0.01)


def test_the_plot_by_keyboard(opened: Open) -> None:
    widget = opened()
    left, right, *_ = view(widget)
    widget.part(SLICE).focus()
    widget.page.keyboard.press("+")
    widget.page.keyboard.press("ArrowRight")
    widget.wait_exact(after=0, seconds=EXACT_SECONDS)
    now = view(widget)
    assert now[1] - now[0] == pytest.approx((right - left) / 1.25)
    assert (now[0] + now[1]) / 2 > (left + right) / 2


class TestZoomStops:
    """The fake kernel's pictures have limits of 1e-8 and 1e8."""

    def hint(self, widget: WidgetPage) -> str:
        hint = widget.part("Hint")
        return hint.inner_text() if "sc-shown" in (hint.get_attribute("class") or "") else ""

    def width(self, widget: WidgetPage) -> float:
        left, right, *_ = view(widget)
        return right - left

    def wheel(self, widget: WidgetPage, delta: float, limit: float) -> None:
        """Turn the wheel until the view has a limit's width."""
        widget.page.mouse.click(*widget.place(SLICE, 0.9, 0.1))
        widget.page.mouse.move(*widget.place(SLICE, 0.4, 0.3))
        for _ in range(60):
            if self.width(widget) == pytest.approx(limit, rel=1e-3):
                return
            widget.page.mouse.wheel(0, delta)
            widget.page.wait_for_timeout(10)
        raise AssertionError(f"the view is {self.width(widget)} wide")

    @pytest.mark.parametrize(("delta", "limit", "text"), [
        (-480, 1e-8, "As close as float64 can see"), (480, 1e8, "As far out as float64 can see"),
    ])
    def test_with_the_wheel_and_says_so(self, opened: Open, delta: float, limit: float, text: str) -> None:
        widget = opened()
        self.wheel(widget, delta, limit)
        widget.page.mouse.wheel(0, delta)
        widget.page.wait_for_function(
            "text => document.querySelector('.sc-slice .sc-hint.sc-shown')?.textContent === text", arg=text)
        widget.wait_exact(after=0, seconds=EXACT_SECONDS)
        at, asked = view(widget), len(requests(widget))
        for _ in range(5):
            widget.page.mouse.wheel(0, delta)
            widget.page.wait_for_timeout(20)
        assert view(widget) == at, "the view drifts"
        assert len(requests(widget)) == asked
        # The way back begins at once, and takes nothing back first.
        before = widget.data(SLICE)["view"]
        widget.page.mouse.wheel(0, -delta)
        widget.page.wait_for_function(
            "view => document.querySelector('.sc-slice .sc-frame').dataset.view !== view", arg=before)
        assert abs(np.log2(self.width(widget) / limit)) == pytest.approx(0.96, abs=0.05)
        widget.page.wait_for_function("document.querySelector('.sc-slice .sc-hint.sc-shown') === null")
        assert self.hint(widget) == ""

    @pytest.mark.parametrize(("key", "button", "limit"), [
        ("+", "Zoom in the slice", 1e-8), ("-", "Zoom out the slice", 1e8)])
    def test_with_keys_and_buttons(self, opened: Open, key: str, button: str, limit: float) -> None:
        widget = opened("delay=5")
        widget.part(SLICE).focus()
        for _ in range(120):
            widget.page.keyboard.press(key)
        assert self.width(widget) == pytest.approx(limit, rel=1e-3)
        assert "float64" in self.hint(widget)
        widget.page.wait_for_function("document.querySelector('.sc-slice .sc-hint.sc-shown') === null")
        widget.page.get_by_label(button).click()
        assert self.width(widget) == pytest.approx(limit, rel=1e-3)
        assert "float64" in self.hint(widget)

    def test_panning_goes_on_at_the_limit(self, opened: Open) -> None:
        widget = opened()
        self.wheel(widget, -480, 1e-8)
        left, right, *_ = view(widget)
        widget.part(SLICE).focus()
        widget.page.keyboard.press("ArrowRight")
        assert view(widget)[0] == pytest.approx(left + (right - left) / 12, abs=1e-12)
        x, y = widget.place(SLICE, 0.1, 0.9)
        before = view(widget)[0]
        widget.page.mouse.move(x, y)
        widget.page.mouse.down()
        widget.page.mouse.move(x + 50, y, steps=5)
        widget.page.mouse.up()
        assert view(widget)[0] < before
        assert self.width(widget) == pytest.approx(1e-8, rel=1e-3)
