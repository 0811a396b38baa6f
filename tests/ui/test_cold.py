"""The first picture on a machine whose compiled loops are not there yet: the widget says what it waits for."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

pytest.importorskip("playwright")

from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Browser

from ui.lab import ROOT, Notebook, running_server
from ui.widget_page import WidgetPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CELL = """
import torch
from splinecam_widget import SplineCamWidget

net = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3)).eval()
w = SplineCamWidget(net, [0.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0])
w
"""


def test_says_that_it_compiles_and_then_shows_the_picture(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "loops"))
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    nbformat.write(new_notebook(cells=[new_code_cell(CELL)], metadata={"kernelspec": kernel}), notebooks / "cold.ipynb")
    with running_server(notebooks, tmp_path / "jupyter") as server:
        notebook = Notebook.opened(browser, server.url("cold.ipynb"))
        notebook.run_all()
        notebook.page.wait_for_selector("[aria-label=Status][data-state=compiling]")
        widget = WidgetPage(notebook.page)
        notebook.page.wait_for_timeout(500)
        (ROOT / "artifacts").mkdir(exist_ok=True)
        notebook.page.screenshot(path=ROOT / "artifacts" / "jupyterlab-cold.png")
        said, notice = widget.status().text, notebook.page.locator(".sc-notice").inner_text()
        status = widget.wait_exact(seconds=240)
        assert "once per machine" in said
        assert notice.startswith("Compiling")
        assert notice in said
        assert not notebook.page.locator(".sc-notice").is_visible()
        assert status.cells == notebook.kernel_json("print(w.wait().n_cells)")
        assert notebook.errors == []
