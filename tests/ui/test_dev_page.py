"""The front end on its development page: the real widget in Chromium, a fake kernel that speaks docs/protocol.md."""

from __future__ import annotations

import io
import itertools
import re

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("playwright")

from ui.dev_pages import BOARD, EXACT_SECONDS, SLICE, Open, is_near, requests, view
from ui.lab import ROOT
from ui.widget_page import WidgetPage

pytestmark = pytest.mark.browser


def test_first_picture(opened: Open) -> None:
    widget = opened()
    status = widget.status()
    assert status.cells > 50
    assert f"{status.cells} cells" in status.text
    painted = widget.page.evaluate("dev.painted")
    assert [detail["sequence"] for detail in painted] == [0]
    assert painted[0]["n_cells"] == status.cells
    assert painted[0]["paint_ms"] > 0
    assert widget.error() == ""
    box = widget.box(SLICE)
    assert abs(box["width"] - box["height"]) < 1


def test_handles_are_told_apart_and_labelled(opened: Open) -> None:
    widget = opened()
    for letter in "ABC":
        for place in ("on the board", "in the slice"):
            handle = widget.part(f"Anchor {letter} {place}")
            assert handle.get_attribute("role") == "slider"
            assert handle.get_attribute("aria-valuetext")
            assert handle.inner_text() == letter
    assert widget.part("Anchor A on the board").get_attribute("aria-valuetext") == "image 3, label 3"
    assert re.fullmatch(r"−?\d\.\d\d?, −?\d\.\d\d?", widget.part("Anchor A in the slice").get_attribute("aria-valuetext") or "")


@pytest.mark.parametrize("width", [400, 760, 900, 1200])
@pytest.mark.parametrize("mode", ["images", "plane", "empty"])
def test_the_height_stays_whatever_is_said(opened: Open, mode: str, width: int) -> None:
    widget = opened(f"mode={mode}", size=(width, 1700))
    page = widget.page
    height = widget.box("Status")["y"]
    write = "([name, text]) => document.querySelectorAll(name).forEach(el => { el.textContent = text; })"
    for name in (".sc-card-name", ".sc-card-prediction"):
        page.evaluate(write, [name, "blend of images 1234, 1235, 1236 and more"])
        assert widget.box("Status")["y"] == height
    for across, down in ((0.2, 0.2), (0.55, 0.13), (0.8, 0.7), (0.33, 0.81)):
        page.mouse.move(*widget.place(SLICE, across, down))
        page.wait_for_function("document.querySelector('.sc-bars').childElementCount > 0")
        page.evaluate(write, [".sc-inspector strong", "-0.12345, -0.12345, -0.12345, -0.12345"])
        assert widget.box("Status")["y"] == height


@pytest.mark.parametrize("size", [(1200, 1000), (900, 1000), (380, 1900)])
def test_the_lines_of_the_inspector_stay_where_they_are(opened: Open, size: tuple[int, int]) -> None:
    widget = opened(size=size)
    page = widget.page
    page.mouse.move(*widget.place(SLICE, 0.5, 0.3))
    page.wait_for_function("document.querySelector('.sc-bars').childElementCount > 0")
    height, seen = widget.box("Inspector")["height"], set()
    for cell, said in (("Cell 4", "1"), ("Cell 41", "digit 0 (99.9%)"), ("Cell 123,456", "a name that is long (12.3%)")):
        page.evaluate("([cell, said]) => { document.querySelector('.sc-inspector-cell').textContent = cell; "
                      "document.querySelector('.sc-inspector strong').textContent = said; }", [cell, said])
        seen.add(page.evaluate("document.querySelector('.sc-facts').getBoundingClientRect().y"))
    assert len(seen) == 1
    assert widget.box("Inspector")["height"] == height


@pytest.mark.parametrize("width", [380, 760, 1008, 1060, 1300])
def test_the_names_of_outputs_are_whole(opened: Open, width: int) -> None:
    widget = opened(size=(width, 1700))
    page = widget.page
    page.mouse.move(*widget.place(SLICE, 0.5, 0.3))
    page.wait_for_function("document.querySelector('.sc-bars').childElementCount > 0")
    page.evaluate("document.querySelectorAll('.sc-bar-name').forEach((el, k) => { el.textContent = `digit ${k}`; })")
    (ROOT / "artifacts").mkdir(exist_ok=True)
    page.screenshot(path=ROOT / "artifacts" / f"inspector-{width}.png")
    assert page.evaluate(
        "[...document.querySelectorAll('.sc-bar-name')].filter(el => el.scrollWidth > el.clientWidth).length") == 0


def test_beside_others_in_a_row_it_has_room(opened: Open) -> None:
    """As in an HBox; a layout by its own width alone would leave it none."""
    widget = opened(size=(1300, 1700))
    page = widget.page
    page.evaluate("""() => {
        const host = document.getElementById('host');
        host.style.display = 'flex';
        const other = document.createElement('div');
        other.style.cssText = 'flex: none; width: 300px';
        host.append(other);
    }""")
    page.wait_for_timeout(300)
    root = page.locator(".splinecam-widget").bounding_box()
    host = page.locator("#host").bounding_box()
    assert root is not None
    assert host is not None
    assert abs(root["width"] - (host["width"] - 300)) < 2
    page.evaluate("document.getElementById('host').style.width = '420px'")
    page.wait_for_timeout(300)
    root = page.locator(".splinecam-widget").bounding_box()
    assert root is not None
    assert root["width"] >= 239
    assert widget.box(SLICE)["width"] > 120
    page.evaluate("dev.unmount()")
    assert page.locator(".splinecam-host").count() == 0


def test_dragging_on_the_board_follows_the_pointer_and_snaps(opened: Open) -> None:
    widget = opened("delay=600")
    before = widget.status()
    mouse = widget.page.mouse
    start = widget.centre("Anchor B on the board")
    mouse.move(*start)
    mouse.down()
    for step in range(1, 13):
        at = (start[0] + 10 * step, start[1] + 12 * step)
        mouse.move(*at)
        assert is_near(widget.centre("Anchor B on the board"), at), "the handle is not under the pointer"
        if step == 1:
            assert widget.status().state == "computing"
        unanswered = [r for r in requests(widget) if r["sequence"] > widget.status().sequence]
        assert len(unanswered) <= 2
        widget.page.wait_for_timeout(20)
    mouse.up()
    widget.wait_exact(after=before.sequence, seconds=EXACT_SECONDS)
    asked = requests(widget)
    assert [r["sequence"] for r in asked] == list(range(1, len(asked) + 1))
    assert len(asked) < 12
    kept, last, kept_too = asked[-1]["anchors"]
    assert (kept, kept_too) == ({"kind": "keep"}, {"kind": "keep"})
    assert last["kind"] == "image"
    assert widget.status().sequence == asked[-1]["sequence"]
    assert f"image {last['index']}" in widget.part("Anchors").locator("[data-anchor=B]").inner_text()
    assert is_near(widget.centre("Anchor B on the board"), at, 40), "the nearest image is not near"


def test_blending_sends_weights(opened: Open) -> None:
    widget = opened()
    widget.page.get_by_label("Blend between images").check()
    widget.drag("Anchor A on the board", widget.place(BOARD, 0.5, 0.45))
    widget.wait_exact(after=0, seconds=EXACT_SECONDS)
    wish = requests(widget)[-1]["anchors"][0]
    assert wish["kind"] == "blend"
    assert len(wish["indices"]) == 3
    assert abs(sum(wish["weights"]) - 1) < 1e-9
    assert is_near(widget.centre("Anchor A on the board"), widget.place(BOARD, 0.5, 0.45))


def test_dragging_in_the_slice(opened: Open) -> None:
    widget = opened()
    ranges = view(widget)
    widget.drag("Anchor C in the slice", widget.place(SLICE, 0.25, 0.5))
    widget.wait_exact(after=0, seconds=EXACT_SECONDS)
    wish = requests(widget)[-1]["anchors"][2]
    assert wish["kind"] == "slice"
    assert wish["u"][0] == pytest.approx(ranges[0] + 0.25 * (ranges[1] - ranges[0]), abs=0.02)
    assert wish["u"][1] == pytest.approx((ranges[2] + ranges[3]) / 2, abs=0.02)
    on_board = {letter: widget.part(f"Anchor {letter} on the board") for letter in "ABC"}
    assert "not an image" in (on_board["C"].get_attribute("aria-valuetext") or "")
    assert "not an image" in (on_board["C"].get_attribute("title") or "")
    assert ["sc-hollow" in (on_board[letter].get_attribute("class") or "") for letter in "ABC"] == [False, False, True]
    widget.drag("Anchor C on the board", widget.place(BOARD, 0.5, 0.3))
    assert on_board["C"].get_attribute("title") == ""
    assert "sc-hollow" not in (on_board["C"].get_attribute("class") or "")


@pytest.mark.parametrize("label", ["Anchor C in the slice", "Anchor A on the board"])
def test_a_click_on_a_handle_leaves_its_anchor_as_it_is(opened: Open, label: str) -> None:
    widget = opened()
    x, y = widget.centre(label)
    widget.page.mouse.move(x + 3, y + 3)
    widget.page.mouse.down()
    widget.page.mouse.move(x + 4, y + 3)
    widget.page.mouse.up()
    assert widget.part(label).evaluate("handle => handle === document.activeElement")
    assert is_near(widget.centre(label), (x, y), 0.1)
    widget.page.wait_for_timeout(100)
    assert requests(widget) == []


def test_the_inspector_looks_where_a_handle_is_left(opened: Open) -> None:
    widget = opened()
    widget.page.mouse.move(*widget.place(SLICE, 0.2, 0.2))
    widget.page.wait_for_function("() => document.querySelector('[aria-label=Inspector]').dataset.cell !== undefined")
    x, y = widget.place(SLICE, 0.75, 0.6)
    widget.drag("Anchor C in the slice", (x, y))
    widget.wait_exact(after=0, seconds=EXACT_SECONDS)
    frame, (left, right, bottom, top) = widget.box(SLICE), view(widget)
    u = left + (x - frame["x"]) / frame["width"] * (right - left), top - (y - frame["y"]) / frame["height"] * (top - bottom)
    widget.page.wait_for_function("() => document.querySelector('.sc-facts').innerText.length > 0")
    said = widget.page.locator(".sc-facts span").nth(1).inner_text().replace("−", "-")
    assert [float(number) for number in said.split(",")] == pytest.approx(u, abs=0.02)


def test_a_refused_model_shows_why_and_nothing_else(opened: Open) -> None:
    widget = opened()
    table = ("model: expected a network, but 1 operation is not supported:\n"
             "module  operation  shapes  reason                    use instead\n"
             "------  ---------  ------  ------------------------  -------------------------\n"
             "l       LSTM       (8, 8)  it is recurrent and more  convolutions over the time")
    widget.page.evaluate("text => { dev.model.assign('error', text); dev.model.assign('status', {state: 'refused'}); }", table)
    assert widget.status().text == "This model cannot be computed; see the message"
    assert not widget.part(SLICE).is_visible()
    assert not widget.badge().is_visible()
    rows = widget.part("Error").locator("tbody tr").all()
    assert [row.locator("td").all_inner_texts() for row in rows] == [
        ["l", "LSTM", "(8, 8)", "it is recurrent and more", "convolutions over the time"]]
    (ROOT / "artifacts").mkdir(exist_ok=True)
    widget.page.screenshot(path=ROOT / "artifacts" / "dev-refused.png")


PICTURE = """
dev.model.deliver({kind: 'picture', sequence: 1, view_id: null, number: 1, plane: 1, centre: [0, 0], scale: 1, complete: true,
    domain: [[-1, -1], [1, -1], [1, 1], [-1, 1]], view: [-1, 1, -1, 1], limits: {finest: 1e-8, coarsest: 1e8}, n_cells: 1,
    n_vertices: 4, n_regions: 1, exact: true, to_input: null, legend: {kind: 'none', title: ''}, timing: {}, lines: null},
    [Float32Array.of(-1, -1, 1, -1, 1, 1, -1, 1), Uint32Array.of(0, 4), Uint32Array.of(0, 1, 2, 3), Uint32Array.of(0xff336699),
    new Float32Array(0), new Float32Array(0), Uint32Array.of(0), new Uint32Array(0)]);
dev.model.assign('error', ''); dev.model.assign('status', {state: 'exact', text: 'exact'})
"""


def test_bad_input_before_the_first_picture_is_all_that_is_shown(opened: Open) -> None:
    widget = opened("kernel=none", wait=False)
    widget.part(SLICE).wait_for()
    widget.page.evaluate("text => { dev.model.assign('error', text); dev.model.assign('status', {state: 'error', text: "
                         "'Nothing can be drawn; see the message'}); }",
                         "class_names: expected 3 names, one for each class, got 2")
    assert not widget.part(SLICE).is_visible()
    assert "expected 3 names" in widget.error()
    assert widget.box("Error")["y"] < 60
    (ROOT / "artifacts").mkdir(exist_ok=True)
    widget.page.screenshot(path=ROOT / "artifacts" / "dev-bad-input.png")
    widget.page.evaluate(PICTURE)
    widget.page.wait_for_function("dev.painted.length === 1")
    assert widget.box(SLICE)["width"] > 300
    assert widget.error() == ""
    widget.page.mouse.move(*widget.place(SLICE, 0.5, 0.5))
    assert widget.data(SLICE)["cell"] == "0"


def test_a_handle_stays_inside_the_view(opened: Open) -> None:
    widget = opened()
    widget.drag("Anchor A in the slice", widget.place(SLICE, 1.6, 0.5))
    widget.wait_exact(after=0, seconds=EXACT_SECONDS)
    u = requests(widget)[-1]["anchors"][0]["u"]
    assert u[0] <= view(widget)[1] + 1e-9


def test_arrow_keys_move_handles_and_do_not_leak(opened: Open) -> None:
    widget = opened()
    page = widget.page
    page.evaluate("window.leaked = []; document.addEventListener('keydown', e => leaked.push(e.key))")
    widget.part(BOARD).focus()
    widget.focus_by_tab("Anchor A on the board")
    before = widget.centre("Anchor A on the board")
    leaked_before = len(page.evaluate("leaked"))
    page.keyboard.press("ArrowRight")
    widget.wait_exact(after=0, seconds=EXACT_SECONDS)
    assert requests(widget)[-1]["anchors"][0]["kind"] == "image"
    assert widget.centre("Anchor A on the board")[0] > before[0]
    widget.focus_by_tab("Anchor B in the slice")
    leaked_before = len(page.evaluate("leaked"))
    widget.wait_exact(seconds=EXACT_SECONDS)
    ranges, at, sequence = view(widget), widget.centre("Anchor B in the slice"), widget.status().sequence
    page.keyboard.press("ArrowUp")
    assert len(page.evaluate("leaked")) == leaked_before
    u = requests(widget)[-1]["anchors"][1]["u"]
    box = widget.box(SLICE)
    down = (ranges[3] - u[1]) / (ranges[3] - ranges[2]) * box["height"] + box["y"]
    assert at[1] - down == pytest.approx(box["height"] / 50, abs=1)
    widget.wait_exact(after=sequence, seconds=EXACT_SECONDS)
    page.keyboard.press("a")
    assert page.evaluate("leaked.at(-1)") == "a", "a key that the widget does not use was swallowed"


def test_hover_names_the_right_cell(opened: Open) -> None:
    widget = opened()
    inspector = widget.part("Inspector")
    for across, down in ((0.2, 0.2), (0.55, 0.13), (0.8, 0.7), (0.33, 0.81)):
        widget.page.mouse.move(*widget.place(SLICE, across, down))
        cell = int(widget.data(SLICE)["cell"])
        assert cell >= 0
        # The fake kernel answers with the cell that holds the point, found from the polygons themselves.
        widget.page.wait_for_function(
            "el => !el.classList.contains('sc-pending') && el.dataset.cell", arg=inspector.element_handle()
        )
        assert int(widget.data("Inspector")["cell"]) == cell
        assert "class" in inspector.inner_text()
    widget.page.mouse.move(*widget.place(BOARD, 0.5, 0.5))
    widget.page.mouse.move(1, 1)
    assert widget.data(SLICE)["cell"] == "-1"
    assert "Point at the slice" in inspector.inner_text()


def outline(widget: WidgetPage) -> list[tuple[float, float]]:
    """The corners of the cell that is marked, in pixels of the frame."""
    points = widget.page.locator("polygon.sc-hovered").get_attribute("points") or ""
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in points.split())]


def test_in_a_dense_picture_the_cell_is_the_one_that_python_finds(opened: Open) -> None:
    widget = opened("cells=160000")
    page, frame = widget.page, widget.box(SLICE)
    n_other = 0
    # Many places: whether the pixel's cell is another than the pointer's depends on where the frame lies among the pixels.
    for across, down in itertools.product((0.2, 0.33, 0.55, 0.61, 0.8), (0.13, 0.2, 0.42, 0.7, 0.81)):
        x, y = map(round, widget.place(SLICE, across, down))
        page.mouse.move(x, y)
        painted = widget.data(SLICE)["cell"]
        page.wait_for_function("() => !document.querySelector('.sc-inspector').classList.contains('sc-pending')")
        cell = widget.data("Inspector")["cell"]
        n_other += cell != painted
        assert widget.data(SLICE)["cell"] == cell
        assert page.locator(".sc-inspector-cell").inner_text() == f"Cell {int(cell):,}"
        corners = np.array(outline(widget)) - [x - frame["x"], y - frame["y"]]
        following = np.roll(corners, -1, axis=0)
        turns = corners[:, 0] * following[:, 1] - corners[:, 1] * following[:, 0]
        assert (turns <= 0.03).all(), "another cell is marked"
    assert n_other > 0, "nothing to tell apart"


def test_the_inspector_never_mixes_two_cells(opened: Open) -> None:
    widget = opened()
    page = widget.page
    page.mouse.move(*widget.place(SLICE, 0.2, 0.2))
    page.wait_for_function("() => !document.querySelector('.sc-inspector').classList.contains('sc-pending')")
    said = widget.part("Inspector").inner_text()
    page.evaluate("dev.model.send = content => dev.asked = content")
    page.mouse.move(*widget.place(SLICE, 0.8, 0.7))
    assert page.locator(".sc-inspector.sc-pending").count() == 1
    assert widget.part("Inspector").inner_text() == said
    deliver = ("more => dev.model.deliver({kind: 'inspection', view_id: dev.asked.view_id, id: dev.asked.id, number: 1, "
               "area: 1, prediction: 'class 5', is_class: true, values: [], slope: 1, edge: null, distance: null, "
               "picture_size: null, error: '', is_cut: false, ...more})")
    page.evaluate(deliver, {"cell": 7, "number": 0})
    assert widget.part("Inspector").inner_text() == said, "that was about another picture"
    page.wait_for_timeout(3200)  # the question is given up by now
    page.mouse.move(*widget.place(SLICE, 0.81, 0.7))
    page.evaluate(deliver, {"cell": 7, "is_cut": True})
    assert page.locator(".sc-inspector.sc-pending").count() == 0
    assert (widget.data("Inspector")["cell"], widget.data(SLICE)["cell"]) == ("7", "7")
    assert "area in view" in widget.part("Inspector").inner_text()


def test_the_inspector_follows_a_zoom_under_a_pointer_that_rests(opened: Open) -> None:
    widget = opened()
    x, y = widget.place("Slice plot", 0.6, 0.6)
    widget.page.mouse.click(x, y)
    widget.page.mouse.move(x + 3, y)
    before = widget.status().sequence
    widget.page.mouse.wheel(0, -300)
    widget.wait_exact(after=before)
    widget.page.wait_for_function("() => document.querySelector('[aria-label=Inspector]').dataset.cell !== undefined")


def test_a_failed_request_is_shown_and_solved(opened: Open) -> None:
    widget = opened()
    page = widget.page
    cells = widget.status().cells
    page.evaluate("""dev.model.deliver({kind: "failed", sequence: 0, view_id: null, title: "The anchors lie on one line",
        message: "module  operation\\nhead    GELU"})""")
    assert "on one line" in widget.error()
    assert "GELU" in widget.error()
    assert widget.status().cells == cells
    widget.drag("Anchor A in the slice", widget.place(SLICE, 0.4, 0.4))
    widget.wait_exact(after=0, seconds=EXACT_SECONDS)
    assert widget.error() == ""
    page.evaluate("dev.model.assign('error', 'RuntimeError: out of memory')")
    assert "out of memory" in widget.error()
    page.evaluate("dev.model.assign('error', '')")
    assert widget.error() == ""


class TestCertificate:
    def test_opens_and_closes_with_the_mouse(self, opened: Open) -> None:
        widget = opened()
        widget.wait_certificate("sound")
        assert widget.badge().inner_text().strip() == "Certified"
        assert widget.figures() == {}
        widget.badge().click()
        assert widget.badge().get_attribute("aria-expanded") == "true"
        assert widget.figures()["cells"] == f"{widget.status().cells}"
        assert widget.figures()["V − E + F"] == "1"
        panel = widget.page.locator(f"[id='{widget.badge().get_attribute('aria-controls')}']")
        assert panel.count() == 1
        assert panel.is_visible()
        widget.badge().click()
        assert widget.badge().get_attribute("aria-expanded") == "false"
        assert widget.figures() == {}

    def test_does_not_stand_beside_an_error(self, opened: Open) -> None:
        widget = opened()
        widget.wait_certificate("sound")
        widget.badge().click()
        box = widget.box("Certificate")
        widget.page.evaluate("dev.model.assign('status', {state: 'error', text: 'Not drawn'})")
        assert not widget.badge().is_visible()
        assert widget.figures() == {}
        now = widget.box("Certificate")
        assert [now[side] for side in ("x", "width", "height")] == [box[side] for side in ("x", "width", "height")]
        widget.page.evaluate("dev.model.assign('status', {state: 'exact', text: 'Exact'})")
        assert widget.badge().is_visible()
        assert widget.badge().inner_text().strip() == "Certified"

    def test_comes_into_sight(self, opened: Open) -> None:
        widget = opened(size=(1200, 810))
        widget.wait_certificate("sound")
        widget.badge().click()
        box = widget.box("Figures of the certificate")
        assert 0 <= box["y"] <= box["y"] + box["height"] <= 810.5

    @pytest.mark.parametrize("key", ["Enter", "Space"])
    def test_opens_and_closes_with_the_keyboard(self, opened: Open, key: str) -> None:
        widget = opened()
        widget.wait_certificate("sound")
        for _ in range(60):
            if widget.badge().evaluate("button => button === document.activeElement"):
                break
            widget.page.keyboard.press("Tab")
        widget.page.keyboard.press(key)
        assert "cells" in widget.figures()
        widget.page.keyboard.press(key)
        assert widget.figures() == {}

    def test_escape_closes_it(self, opened: Open) -> None:
        widget = opened()
        widget.wait_certificate("sound")
        widget.badge().click()
        widget.page.keyboard.press("Escape")
        assert widget.figures() == {}
        assert widget.badge().evaluate("button => button === document.activeElement")

    def test_the_status_line_does_not_call_exact_what_is_not_sound(self, opened: Open) -> None:
        widget = opened("certificate=unsound", wait=False)
        widget.wait_certificate("unsound")
        status = widget.status()
        assert (status.state, status.text) == ("unsound", "The picture is not sound; see its certificate")
        widget.page.get_by_label("Zoom in the slice").click()
        for comparison in ("!==", "==="):
            widget.page.wait_for_function(
                f"() => document.querySelector('[aria-label=Status]').dataset.state {comparison} 'unsound'")

    def test_says_that_a_picture_is_of_an_approximation(self, opened: Open) -> None:
        widget = opened("certificate=approximation")
        widget.wait_certificate("approximation")
        assert widget.badge().inner_text().strip() == "Approximation"
        widget.badge().click()
        assert "replaced by piecewise-linear ones" in widget.page.get_by_label("Figures of the certificate").inner_text()

    @pytest.mark.parametrize(("verdict", "text", "name", "value"), [
        ("unsound", "Not sound", "cells with two patterns", "3, expected 0"),
        ("failed", "Not checked", "error", "CUDA error: out of memory"),
    ])
    def test_says_what_is_wrong_in_words(self, opened: Open, verdict: str, text: str, name: str, value: str) -> None:
        widget = opened(f"certificate={verdict}", wait=False)
        widget.wait_certificate(verdict)
        assert widget.badge().inner_text().strip() == text
        assert "The picture on show" in widget.part("Certificate").get_by_role("status").inner_text()
        widget.badge().click()
        assert widget.figures()[name] == value

    def test_never_stands_beside_another_picture(self, opened: Open) -> None:
        widget = opened("delay=150")
        widget.wait_certificate("sound")
        widget.badge().click()
        found, height = widget.figures(), widget.box("Figures of the certificate")["height"]
        deliver = ("number => dev.model.deliver({kind: 'certificate', sequence: 0, view_id: null, number, verdict: 'unsound', "
                   "figures: []})")
        widget.page.evaluate(deliver, 1)
        assert widget.part("Certificate").get_attribute("data-state") == "unsound"
        widget.page.get_by_label("Zoom in the slice").click()
        widget.wait_exact(after=0, seconds=EXACT_SECONDS)
        assert widget.part("Certificate").get_attribute("data-state") == "pending"
        widget.page.evaluate(deliver, 1)
        assert widget.part("Certificate").get_attribute("data-state") == "pending", "of the picture before"
        widget.wait_certificate("sound")
        assert widget.figures().keys() == found.keys()
        widget.page.get_by_label("Zoom in the slice").click()
        widget.wait_exact(after=1, seconds=EXACT_SECONDS)
        assert set(widget.figures().values()) == {"…"}
        assert widget.box("Figures of the certificate")["height"] == height
        widget.wait_certificate("sound")

    @pytest.mark.parametrize("width", [400, 1200])
    def test_the_page_does_not_jump_when_it_comes(self, opened: Open, width: int) -> None:
        widget = opened("certificate=none", size=(width, 1700))
        root = widget.page.locator(".splinecam-widget")
        heights = [root.bounding_box()["height"]]  # type: ignore[index]
        for verdict in ("sound", "unsound", "failed"):
            widget.page.evaluate(
                "verdict => dev.model.deliver({kind: 'certificate', sequence: 0, view_id: null, number: 1, verdict, "
                "figures: []})", verdict)
            heights.append(root.bounding_box()["height"])  # type: ignore[index]
        assert heights == [heights[0]] * 4

    def test_what_will_not_come_is_not_waited_for(self, opened: Open) -> None:
        widget = opened("certificate=none")
        assert widget.badge().inner_text().strip() == "Checking…"
        widget.page.evaluate("dev.model.assign('status', {state: 'closed', text: 'Closed'})")
        assert not widget.badge().is_visible()


class TestHello:
    def said(self, widget: WidgetPage) -> int:
        return int(widget.page.evaluate("dev.model.sent.filter(s => s.kind === 'hello').length"))

    def test_is_said_once_when_it_is_answered(self, opened: Open) -> None:
        widget = opened()
        widget.page.wait_for_timeout(1600)
        assert self.said(widget) == 1

    def test_is_said_again_until_the_board_comes(self, opened: Open) -> None:
        """A kernel that is busy with other cells may not get the first one."""
        widget = opened("kernel=none", wait=False)
        widget.page.wait_for_function("dev.model.sent.filter(s => s.kind === 'hello').length >= 3", timeout=10_000)
        board = "dev.model.deliver({kind: 'board', mode: 'empty', n_images: 0, class_colours: {}, has_labels: false})"
        widget.page.evaluate(board)
        n = self.said(widget)
        widget.page.wait_for_timeout(4000)
        assert self.said(widget) == n


def test_colours_and_legend(opened: Open) -> None:
    widget = opened()
    assert widget.part("Legend").locator(".sc-swatch").count() >= 2
    widget.page.get_by_label("Colour by").select_option("area")
    assert widget.page.evaluate("dev.model.get('color_by')") == "area"
    widget.page.get_by_label("Zoom in the slice").click()
    widget.wait_exact(after=0, seconds=EXACT_SECONDS)
    assert "Area" in widget.part("Legend").inner_text()


def darkness(widget: WidgetPage, layer: int) -> float:
    """How dark the plot is on the middles of a layer's edges, in the mean; 0 is white."""
    page = widget.page
    middles = page.evaluate("""layer => {
        const { kernel, model } = dev;
        const { lineEnds } = kernel.drawn({ get: name => name === 'layer' ? layer : model.get(name) });
        const { vertices } = kernel.packed;
        return Array.from({ length: lineEnds.length / 2 }, (_, i) => [0, 1].map(
            axis => (vertices[2 * lineEnds[2 * i] + axis] + vertices[2 * lineEnds[2 * i + 1] + axis]) / 2));
    }""", layer)
    assert len(middles) > 20
    shot = Image.open(io.BytesIO(page.screenshot())).convert("L")
    places = [widget.place(SLICE, (1 + x) / 2, (1 - y) / 2) for x, y in middles]
    return 255 - float(np.mean([shot.getpixel(place) for place in places]))


def test_lines_of_one_layer(opened: Open) -> None:
    widget = opened()
    page, legend = widget.page, widget.part("Legend")
    lines = page.get_by_label("Lines")
    assert lines.locator("option").all_inner_texts() == ["all layers", "layer 0, 1 (relu)", "layer 1, 3 (relu)"]
    page.mouse.move(2, 2)
    before = [darkness(widget, layer) for layer in (0, 1)]
    for layer in (0, 1):
        lines.select_option(f"layer {layer}, {2 * layer + 1} (relu)")
        legend.get_by_text("units bend here").filter(has_text=f"Layer {layer}").wait_for()
        assert page.evaluate("dev.model.get('layer')") == layer
        page.wait_for_timeout(200)
        now = [darkness(widget, k) for k in (0, 1)]
        assert now[layer] > before[layer] + 20, "its own lines are stronger"
        assert now[1 - layer] < before[1 - layer] - 5, "others are fainter"
    said = legend.inner_text()
    page.get_by_label("Zoom in the slice").click()
    widget.wait_exact(after=0, seconds=EXACT_SECONDS)
    assert legend.get_by_text("Layer 1, 3 (relu)").is_visible()
    assert legend.inner_text() != said, "fewer edges are in view"
    lines.select_option("all layers")
    legend.get_by_text("units bend here").wait_for(state="hidden")
    assert page.evaluate("dev.model.get('layer')") is None
    page.evaluate("dev.model.assign('layer', 0)")  # set in Python
    assert lines.input_value() == "0"
    page.evaluate("dev.model.assign('_layers', [])")
    assert not lines.is_visible()


def test_two_views_of_one_widget(opened: Open) -> None:
    first = opened(size=(1200, 1700))
    first.page.evaluate("void (window.second = dev.mount())")
    second = WidgetPage(first.page, 1)
    second.wait_exact(seconds=EXACT_SECONDS)
    first.drag("Anchor C in the slice", first.place(SLICE, 0.3, 0.3))
    first.wait_exact(after=0, seconds=EXACT_SECONDS)
    second.wait_exact(after=0, seconds=EXACT_SECONDS)
    a, b = first.box(SLICE), second.box(SLICE)
    x, y = first.centre("Anchor C in the slice")
    assert is_near(second.centre("Anchor C in the slice"), (x - a["x"] + b["x"], y - a["y"] + b["y"]))
    first.page.evaluate("second()")
    assert first.page.locator(".splinecam-widget").count() == 1
    before = first.status().sequence
    first.drag("Anchor C in the slice", first.place(SLICE, 0.6, 0.3))
    first.wait_exact(after=before, seconds=EXACT_SECONDS)


def test_cleanup_leaves_nothing(opened: Open) -> None:
    widget = opened("delay=100")
    page = widget.page
    head = page.evaluate("document.head.childElementCount")
    widget.drag("Anchor C in the slice", widget.place(SLICE, 0.3, 0.3))
    page.evaluate("dev.unmount()")
    page.wait_for_timeout(300)
    assert page.evaluate("dev.model.listenerCount") == 0
    assert page.evaluate("document.querySelectorAll('canvas, .splinecam-widget').length") == 0
    painted = page.evaluate("dev.painted.length")
    for _ in range(3):
        page.evaluate("dev.mount()()")
    page.wait_for_timeout(300)
    assert page.evaluate("document.querySelectorAll('canvas, .splinecam-widget').length") == 0
    assert page.evaluate("dev.model.listenerCount") == 0
    assert page.evaluate("dev.painted.length") == painted
    assert page.evaluate("document.head.childElementCount") <= head + 1


def test_closed_widget_cannot_be_moved(opened: Open) -> None:
    widget = opened()
    widget.page.evaluate("dev.model.assign('status', {state: 'closed', text: 'Closed'})")
    assert widget.status().state == "closed"
    widget.drag("Anchor A in the slice", widget.place(SLICE, 0.4, 0.4))
    widget.page.mouse.click(*widget.place(SLICE, 0.9, 0.1))
    assert requests(widget) == []


def test_without_a_kernel(opened: Open) -> None:
    widget = opened("kernel=none", wait=False)
    widget.page.wait_for_function("document.querySelector('[aria-label=Status]')?.dataset.state === 'waiting'")
    assert "Waiting" in widget.status().text


def test_theme_follows_the_page(opened: Open) -> None:
    widget = opened("theme=dark")
    root = widget.page.locator(".splinecam-widget")
    assert root.get_attribute("data-theme") == "dark"
    widget.page.evaluate("document.documentElement.dataset.theme = 'light'")
    widget.page.wait_for_function("document.querySelector('.splinecam-widget').dataset.theme === 'light'")
    widget.page.evaluate("document.body.dataset.jpThemeLight = 'false'")
    widget.page.wait_for_function("document.querySelector('.splinecam-widget').dataset.theme === 'dark'")


def test_input_plane(opened: Open) -> None:
    widget = opened("mode=plane")
    widget.drag("Anchor B on the board", widget.place("Board: input plane", 0.75, 0.25))
    widget.wait_exact(after=0, seconds=EXACT_SECONDS)
    wish = requests(widget)[-1]["anchors"][1]
    assert wish["kind"] == "point"
    assert wish["x"] == pytest.approx([0.6, 0.6], abs=0.02)


def test_no_board(opened: Open) -> None:
    widget = opened("mode=empty")
    assert not widget.part(BOARD).is_visible()
    assert widget.part("Anchors").is_visible()


@pytest.mark.parametrize("width", [260, 380, 400, 760, 1200])
def test_nothing_overflows(opened: Open, width: int) -> None:
    widget = opened(size=(width, 900))
    assert widget.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    board, plot = widget.box(BOARD), widget.box(SLICE)
    is_side_by_side = plot["x"] > board["x"] + board["width"]
    assert is_side_by_side == (width >= 760)


@pytest.mark.parametrize(("cells", "milliseconds"), [(20_000, 160), (100_000, 300)])
def test_many_cells_paint_in_time(opened: Open, cells: int, milliseconds: float) -> None:
    widget = opened(f"cells={cells}")
    widget.page.get_by_label("Zoom in the slice").click()
    widget.page.get_by_label("Zoom out the slice").click()
    widget.wait_exact(after=0, seconds=EXACT_SECONDS)
    times = sorted(detail["paint_ms"] for detail in widget.page.evaluate("dev.painted"))
    print(f"{cells} cells: {times} ms")
    # About four times what a slow machine needs: a guard against another order of growth.
    assert times[0] < milliseconds
