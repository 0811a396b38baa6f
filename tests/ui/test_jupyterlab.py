"""The quickstart notebook in a real JupyterLab: what the page says is what the engine says."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Browser

from ui.lab import ROOT, Notebook, running_server
from ui.widget_page import WidgetPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NOTEBOOK = "01-quickstart.ipynb"
ARTIFACTS = ROOT / "artifacts"
BUSY_SECONDS = 3

COUNTS = """
import json
from splinecam_widget import compute_partition
w.wait()
again = compute_partition(mlp, w.plane)
print(json.dumps({"again": again.n_cells, "shown": w.partition.n_cells, "regions": again.n_regions}))
"""
IMAGE_IDS = """
import json
import numpy as np
flat = np.asarray(images).reshape(len(images), -1)
anchors = [np.asarray(x).reshape(-1) for x in (w.x1, w.x2, w.x3)]
distances = [np.abs(flat - x).max(1) for x in anchors]
print(json.dumps([int(d.argmin()) if d.min() < 1e-6 else -1 for d in distances]))
"""


@pytest.fixture(scope="module")
def notebook(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    """The quickstart with all cells run; one page for all tests."""
    if not (ROOT / "splinecam_widget" / "static" / "widget.js").is_file():
        pytest.skip("the front end is not built")
    folder = tmp_path_factory.mktemp("notebooks")
    shutil.copy(ROOT / "notebooks" / NOTEBOOK, folder)
    ARTIFACTS.mkdir(exist_ok=True)
    with running_server(folder, tmp_path_factory.mktemp("jupyter")) as server:
        notebook = Notebook.opened(browser, server.url(NOTEBOOK))
        notebook.run_all()
        notebook.show_cell("w = SplineCamWidget(mlp")
        yield notebook
        notebook.page.close()


@pytest.fixture
def widget(notebook: Notebook) -> Iterator[WidgetPage]:
    """The widget of the MLP, at rest; afterwards the page has reported no error."""
    widget = WidgetPage(notebook.page)
    widget.wait_exact()
    notebook.page.mouse.move(2, 2)
    yield widget
    assert widget.error() == ""
    assert notebook.errors == []


def screenshot(notebook: Notebook, name: str) -> Path:
    path = ARTIFACTS / f"jupyterlab-{name}.png"
    notebook.page.screenshot(path=path)
    return path


def assert_says_what_the_engine_says(notebook: Notebook, widget: WidgetPage) -> int:
    counts = notebook.kernel_json(COUNTS)
    status = widget.wait_exact()
    assert status.cells == counts["again"] == counts["shown"]
    assert status.regions == counts["regions"]
    assert f"{status.cells:,} cells" in status.text
    return status.cells


def test_first_picture(notebook: Notebook, widget: WidgetPage) -> None:
    cells = assert_says_what_the_engine_says(notebook, widget)
    screenshot(notebook, "first")
    assert cells > 1
    assert notebook.kernel_json(IMAGE_IDS) == [0, 1, 2]


def test_dragging_a_handle_over_the_board(notebook: Notebook, widget: WidgetPage) -> None:
    before = widget.status()
    start = widget.centre("Anchor B on the board")
    left, right = (widget.place("Board of images", share, 0.4) for share in (0.25, 0.75))
    widget.drag("Anchor B on the board", max(left, right, key=lambda place: abs(place[0] - start[0])))
    widget.wait_exact(after=before.sequence)
    a, b, c = notebook.kernel_json(IMAGE_IDS)
    screenshot(notebook, "dragged")
    assert (a, c) == (0, 2)
    assert b not in (-1, 1)
    assert_says_what_the_engine_says(notebook, widget)


def test_shift_blends_between_images(notebook: Notebook, widget: WidgetPage) -> None:
    before = widget.status()
    images_before = notebook.kernel_json(IMAGE_IDS)
    x, y = widget.centre("Anchor C on the board")
    notebook.page.keyboard.down("Shift")
    widget.drag("Anchor C on the board", (x - 43.3, y + 61.7))
    notebook.page.keyboard.up("Shift")
    widget.wait_exact(after=before.sequence)
    images_after = notebook.kernel_json(IMAGE_IDS)
    assert images_after[:2] == images_before[:2]
    assert images_after[2] == -1, "an image itself, not a blend"
    assert "blend of images" in widget.part("Anchors").inner_text()
    assert_says_what_the_engine_says(notebook, widget)


def test_zooming_with_the_wheel(notebook: Notebook, widget: WidgetPage) -> None:
    before = widget.status()
    view = widget.data("Slice plot")["view"]
    x, y = widget.place("Slice plot", 0.9, 0.1)
    notebook.page.mouse.click(x, y)
    notebook.page.mouse.move(*widget.place("Slice plot", 0.5, 0.5))
    for _ in range(3):
        notebook.page.mouse.wheel(0, -240)
        notebook.page.wait_for_timeout(50)
    after = widget.wait_exact(after=before.sequence)
    screenshot(notebook, "zoomed")
    assert widget.data("Slice plot")["view"] != view
    assert after.cells != before.cells
    assert_says_what_the_engine_says(notebook, widget)


def test_arrow_keys_move_a_handle(notebook: Notebook, widget: WidgetPage) -> None:
    before = widget.status()
    images_before = notebook.kernel_json(IMAGE_IDS)
    widget.part("Board of images").focus()
    widget.focus_by_tab("Anchor C on the board")
    notebook.page.keyboard.press("ArrowRight")
    moved = widget.wait_exact(after=before.sequence)
    if notebook.kernel_json(IMAGE_IDS) == images_before:  # the image at the right edge has no neighbour there
        notebook.page.keyboard.press("ArrowLeft")
        widget.wait_exact(after=moved.sequence)
    images_after = notebook.kernel_json(IMAGE_IDS)
    assert images_after[:2] == images_before[:2]
    assert images_after[2] not in (-1, images_before[2])
    assert_says_what_the_engine_says(notebook, widget)


def test_dragging_while_a_cell_runs(notebook: Notebook, widget: WidgetPage) -> None:
    before = widget.status()
    notebook.start_in_kernel(f"import time; time.sleep({BUSY_SECONDS})")
    start = widget.centre("Anchor A on the board")
    left, right = (widget.place("Board of images", share, 0.6) for share in (0.3, 0.7))
    widget.drag("Anchor A on the board", max(left, right, key=lambda place: abs(place[0] - start[0])), steps=6)
    widget.wait_exact(after=before.sequence)
    was_running = notebook.is_started_running()
    notebook.wait_for_started()
    assert was_running, "the picture came only after the cell"
    assert notebook.kernel_json(IMAGE_IDS)[0] not in (-1, 0)
    assert_says_what_the_engine_says(notebook, widget)


def test_dragging_a_handle_in_the_slice(notebook: Notebook, widget: WidgetPage) -> None:
    before = widget.status()
    notebook.kernel_json("import json; w.domain = None; w.wait(); print(json.dumps(None))")
    widget.wait_exact()
    before = widget.status()
    widget.drag("Anchor C in the slice", widget.place("Slice plot", 0.6, 0.35))
    widget.wait_exact(after=before.sequence)
    screenshot(notebook, "in-slice")
    assert notebook.kernel_json(IMAGE_IDS)[2] == -1
    assert_says_what_the_engine_says(notebook, widget)


def test_a_refused_anchor_is_said_and_the_picture_stays(notebook: Notebook, widget: WidgetPage) -> None:
    before = widget.status()
    notebook.kernel_json("import json; kept = w.x2; w.x2 = w.x1; w._worker.wait_idle(30); print(json.dumps(None))")
    notebook.page.wait_for_function("() => !document.querySelector('[aria-label=Error]').hidden")
    said = widget.error()
    refused = widget.status()
    screenshot(notebook, "refused")
    notebook.kernel_json("import json; w.x2 = kept; w.wait(); print(json.dumps(None))")
    widget.wait_exact()
    assert "x2" in said
    assert (refused.state, refused.cells) == ("error", before.cells)
    assert_says_what_the_engine_says(notebook, widget)


def test_lines_of_one_layer(notebook: Notebook, widget: WidgetPage) -> None:
    page, legend = notebook.page, widget.part("Legend")
    lines = page.get_by_label("Lines").nth(0)
    lines.select_option(index=1)
    said = legend.get_by_text("units bend here")
    said.wait_for()
    screenshot(notebook, "layer")
    n_edges, n_bent = notebook.kernel_json("""
import json
mine = w.partition.edge_layer == w.layer
print(json.dumps([int(mine.sum()), len(set(w.partition.edge_unit[mine].tolist()))]))""")
    assert notebook.kernel_json("print(w.layer)") == 0
    assert f"along {n_edges:,} edges" in said.inner_text()
    assert f": {n_bent} of " in said.inner_text()
    page.mouse.move(*widget.place("Slice plot", 0.36, 0.42))
    page.get_by_text("edge of", exact=True).nth(0).wait_for()
    assert page.get_by_text("to boundary", exact=True).nth(0).is_visible()
    notebook.kernel_json("w.layer = None\nprint(0)")
    said.wait_for(state="hidden")
    assert lines.input_value() == ""


def test_follows_the_theme_and_the_width(notebook: Notebook, widget: WidgetPage) -> None:
    page = notebook.page
    change = "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})"
    page.evaluate(change, "JupyterLab Dark")
    page.wait_for_selector(".splinecam-widget[data-theme=dark]")
    screenshot(notebook, "dark")
    page.set_viewport_size({"width": 700, "height": 1200})
    page.wait_for_timeout(500)
    notebook.show_cell("w = SplineCamWidget(mlp")
    screenshot(notebook, "dark-narrow")
    board, plot = widget.box("Board of images"), widget.box("Slice plot")
    page.set_viewport_size({"width": 1500, "height": 1200})
    page.evaluate(change, "JupyterLab Light")
    page.wait_for_selector(".splinecam-widget[data-theme=light]")
    notebook.show_cell("w = SplineCamWidget(mlp")
    assert plot["y"] > board["y"] + board["height"], "side by side in a narrow page"
    assert widget.box("Slice plot")["y"] < widget.box("Board of images")["y"] + 100


def test_the_view_of_the_readme(notebook: Notebook, widget: WidgetPage) -> None:
    notebook.kernel_json("w.x1, w.x2, w.x3, w.domain = images[0], images[97], images[3], None\nw.wait()\nprint(0)")
    widget.wait_exact()
    notebook.page.evaluate("document.activeElement.blur()")
    notebook.page.mouse.move(*widget.place("Slice plot", 0.36, 0.42))
    notebook.page.wait_for_timeout(600)
    notebook.page.locator(".splinecam-widget").nth(0).screenshot(path=ARTIFACTS / "readme.png")
    assert widget.data("Slice plot")["cell"] != "-1"
    assert "digit" in widget.part("Inspector").inner_text()
