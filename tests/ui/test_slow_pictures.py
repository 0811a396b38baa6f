"""Nets that take seconds in a real JupyterLab: lines first, the middle of what is too much, weights that change."""

from __future__ import annotations

import time
from collections.abc import Iterator

import nbformat
import pytest

pytest.importorskip("playwright")

from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Browser

from ui.lab import ROOT, Notebook, running_server
from ui.widget_page import WidgetPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

BOARD = "Board of images"
SLICE = "Slice plot"
SECONDS = 90.0
SETUP = """
import torch
from sklearn.datasets import load_digits
from splinecam_widget import SplineCamWidget, compute_partition

images = torch.tensor(load_digits().images[:400] / 16, dtype=torch.float32)
torch.manual_seed(0)
widths = [64, 384, 384, 384, 10]
layers = [torch.nn.Flatten()]
for a, b in zip(widths, widths[1:]):
    layers += [torch.nn.Linear(a, b), torch.nn.ReLU()]
net = torch.nn.Sequential(*layers[:-1]).eval()
"""
WHOLE = "w = SplineCamWidget(net, images[0], images[1], images[2], images=images)\nw"
WIDE = """
layers = [torch.nn.Flatten(), torch.nn.Linear(64, 1300), torch.nn.ReLU(), torch.nn.Linear(1300, 1300), torch.nn.ReLU()]
wide = torch.nn.Sequential(*layers, torch.nn.Linear(1300, 10)).eval()
w = SplineCamWidget(wide, images[0], images[1], images[2], images=images)
w
"""
PART = "p = SplineCamWidget(net, images[0], images[1], images[2], images=images, max_cells=5000)\np"


NOTE_SKETCHES = """() => {
    window.sketches = [];
    window.badges = [];
    const watch = new MutationObserver(() => {
        const text = document.querySelector('.sc-status-text').textContent;
        if (document.querySelector('.sc-sketched')) {
            window.sketches.push(text);
            window.badges.push(document.querySelector('[aria-label=Certificate]').dataset.aside);
        }
    });
    watch.observe(document.body, {subtree: true, childList: true, characterData: true, attributes: true});
}"""


@pytest.fixture
def codes() -> tuple[str, ...]:
    return SETUP, WHOLE, PART


@pytest.fixture
def notebook(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory, codes: tuple[str, ...]
) -> Iterator[Notebook]:
    folder = tmp_path_factory.mktemp("slow")
    (folder / "notebooks").mkdir()
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    cells = [new_code_cell(text) for text in codes]
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), folder / "notebooks" / "slow.ipynb")
    with running_server(folder / "notebooks", folder / "jupyter") as server:
        notebook = Notebook.opened(browser, server.url("slow.ipynb"), size=(1500, 1500))
        notebook.run_all()
        yield notebook
        notebook.page.close()


def shot(notebook: Notebook, name: str) -> None:
    (ROOT / "artifacts").mkdir(exist_ok=True)
    notebook.page.screenshot(path=ROOT / "artifacts" / f"slow-{name}.png")


def wait_state(widget: WidgetPage, state: str) -> str:
    end = time.monotonic() + SECONDS
    while (status := widget.status()).state != state:
        assert time.monotonic() < end, f"not {state}: {status}, {widget.error()!r}"
        widget.page.wait_for_timeout(20)
    return status.text


def test_lines_then_the_picture_and_the_middle_of_what_is_too_much(notebook: Notebook) -> None:
    page = notebook.page
    whole, part = WidgetPage(page, 0), WidgetPage(page, 1)
    notebook.show_cell("w = Spline")
    first = whole.wait_exact(seconds=SECONDS)
    sketched = page.locator(".sc-sketched")
    assert sketched.count() == 0
    page.evaluate(NOTE_SKETCHES)
    whole.drag("Anchor B on the board", whole.place(BOARD, 0.35, 0.4), steps=4)
    sketched.wait_for(state="attached", timeout=1e3 * SECONDS)
    shot(notebook, "sketch")
    assert whole.status().state == "computing"
    status = whole.wait_exact(after=first.sequence, seconds=SECONDS)
    assert sketched.count() == 0
    said = page.evaluate("window.sketches")
    assert any("lines of the first" in text for text in said), said
    assert set(page.evaluate("window.badges")) == {"true"}, "the picture before was checked, not this one"
    shot(notebook, "picture")
    assert status.cells == notebook.kernel_json("print(w.wait().n_cells)")
    assert status.cells == notebook.kernel_json("print(compute_partition(net, w.plane).n_cells)")

    notebook.show_cell("p = Spline")
    text = wait_state(part, "partial")
    shot(notebook, "partial")
    assert "in the middle" in text
    assert "of the view" in text
    n_cells, share, is_sound = (notebook.kernel_json(f"print({code})") for code in (
        "p.wait().n_cells", "p.partition.share", "int(p.partition.certificate().is_sound)"))
    assert part.status().cells == n_cells <= 5000
    assert 0 < share < 1
    assert is_sound
    part.wait_certificate("sound")
    page.mouse.move(*part.centre(SLICE))
    page.mouse.down()  # a click, so that the wheel zooms
    page.mouse.up()
    for _ in range(30):
        page.mouse.wheel(0, -200)
        page.wait_for_timeout(30)
    zoomed = part.wait_exact(seconds=SECONDS)
    shot(notebook, "partial-zoomed")
    assert zoomed.cells <= 5000
    assert part.error() == whole.error() == ""

    notebook.show_cell("w = Spline")
    before = whole.status()
    notebook.kernel_json("""
with torch.no_grad():
    net[-1].bias[0] += 0.5
w.update(net)
print(w.wait().n_cells)""")
    after = wait_state(whole, "exact")
    assert after != ""
    assert whole.status().cells == before.cells, "a bias of the outputs moves no cell"
    assert notebook.kernel_json("print(w.status['vertices_evaluated'])") < 2 * before.cells
    assert notebook.kernel_json("""
import numpy
print(int(numpy.array_equal(w.partition.values, compute_partition(net, w.plane).values)))""") == 1
    shot(notebook, "updated")
    assert notebook.errors == []


@pytest.mark.parametrize("codes", [(SETUP, WIDE)])
def test_a_wide_net_is_drawn_tile_by_tile(notebook: Notebook) -> None:
    """Values of all units at all vertices at once would take more than a gigabyte."""
    page, widget = notebook.page, WidgetPage(notebook.page, 0)
    notebook.show_cell("layers = ")
    first = widget.wait_exact(seconds=SECONDS)
    page.evaluate(NOTE_SKETCHES)
    widget.drag("Anchor B on the board", widget.place(BOARD, 0.35, 0.4), steps=4)
    page.wait_for_function("window.sketches.some(text => text.includes('all of them on'))", timeout=1e3 * SECONDS)
    shot(notebook, "tiles")
    dragged = widget.wait_exact(after=first.sequence, seconds=SECONDS)
    shot(notebook, "tiles-done")
    assert notebook.kernel_json("print(w.status['cells'], end='')") == dragged.cells > 200_000
    assert notebook.kernel_json("print(int(w.partition.certificate().is_sound))") == 1

    # A hand asks for many planes, and each has sketches of its own. These are of one.
    page.evaluate("window.sketches.length = 0")
    cells = notebook.kernel_json("w.x2 = images[7]\nprint(w.wait().n_cells, end='')")
    assert cells != dragged.cells
    page.wait_for_function(
        """n => {
            const { state, cells } = document.querySelector('[aria-label=Status]').dataset;
            return state === 'exact' && Number(cells) === n;
        }""",
        arg=cells, timeout=1e3 * SECONDS,
    )
    said = page.evaluate("window.sketches")
    shares = [float(text.split("all of them on ")[1].split("%")[0].strip()) for text in said if "all of them on" in text]
    assert len(set(shares)) > 1
    assert shares == sorted(shares)
    assert 0 < shares[0] < 100
