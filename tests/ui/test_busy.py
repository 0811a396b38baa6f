"""*Run All* in a real JupyterLab: the widget is whole while the cells below it still run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import pytest

pytest.importorskip("playwright")

from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Browser

from ui.lab import ROOT, Notebook, running_server
from ui.widget_page import WidgetPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

BUSY_SECONDS = 25
WIDGET = """
import torch
from splinecam_widget import SplineCamWidget

torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 12), torch.nn.ReLU(), torch.nn.Linear(12, 3)).eval()
images = torch.rand(40, 8, 8)
w = SplineCamWidget(net, images[0], images[1], images[2], images=images)
w
"""
SUBSHELLS = "@jupyterlab/apputils-extension/kernels-settings.jupyterlab-settings"


@contextmanager
def running_all(
    browser: Browser, folder: Path, seconds: float, settings: dict[str, Any]
) -> Iterator[tuple[Notebook, WidgetPage]]:
    """A notebook of the widget's cell and one of some seconds, just after *Run All*."""
    notebooks = folder / "notebooks"
    notebooks.mkdir()
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    cells = [new_code_cell(WIDGET), new_code_cell(f"import time; time.sleep({seconds})")]
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), notebooks / "busy.ipynb")
    with running_server(notebooks, folder / "jupyter", settings) as server:
        notebook = Notebook.opened(browser, server.url("busy.ipynb"))
        notebook.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
        yield notebook, WidgetPage(notebook.page)
        notebook.page.close()


def is_busy(notebook: Notebook) -> bool:
    return "[*]" in notebook.page.locator(".jp-Notebook").inner_text()


@pytest.mark.parametrize("subshells", ["perCommTarget", "disabled"])
def test_the_first_picture_does_not_wait_for_the_cells_below(browser: Browser, tmp_path: Path, subshells: str) -> None:
    """With subshells and without, which older kernels do not have."""
    with running_all(browser, tmp_path, BUSY_SECONDS, {SUBSHELLS: {"commsOverSubshells": subshells}}) as (notebook, widget):
        notebook.page.wait_for_selector(".splinecam-widget[data-board=images]", timeout=1e3 * BUSY_SECONDS)
        first = widget.wait_exact(seconds=BUSY_SECONDS)
        assert is_busy(notebook), "the picture came only after the cells"
        notebook.page.wait_for_timeout(300)
        (ROOT / "artifacts").mkdir(exist_ok=True)
        notebook.page.screenshot(path=ROOT / "artifacts" / f"jupyterlab-busy-{subshells}.png")
        assert widget.box("Slice plot")["height"] > 100
        if subshells != "disabled":  # messages from the hand have no way round the cells then
            widget.drag("Anchor A on the board", widget.place("Board of images", 0.6, 0.6), steps=6)
            widget.wait_exact(after=first.sequence, seconds=BUSY_SECONDS)
            assert is_busy(notebook), "the drag was answered only after the cells"
        notebook.wait_until_run()
        status = widget.wait_exact()
        assert status.cells == notebook.kernel_json("print(w.wait().n_cells)")
        assert widget.error() == ""
        assert notebook.errors == []


def test_a_notebook_closed_and_opened_again_moves(browser: Browser, tmp_path: Path) -> None:
    """The kernel lives on; the subshell that the closed page made does not."""
    place = "w.wait()\nprint(w.x1.ravel().tolist())"
    with running_all(browser, tmp_path, 0, {}) as (notebook, widget):
        first = widget.wait_exact(seconds=BUSY_SECONDS)
        widget.drag("Anchor A on the board", widget.place("Board of images", 0.6, 0.6), steps=6)
        widget.wait_exact(after=first.sequence)
        notebook.wait_until_run()
        before = notebook.kernel_json(place)
        notebook.close_and_open_again()
        notebook.page.wait_for_selector(".splinecam-widget[data-board=images]")
        widget.wait_exact()
        widget.drag("Anchor A on the board", widget.place("Board of images", 0.3, 0.3), steps=6)
        widget.wait_exact(after=0)
        assert notebook.kernel_json(place) != before
        assert widget.status().cells == notebook.kernel_json("print(w.wait().n_cells)")
        assert notebook.errors == []
