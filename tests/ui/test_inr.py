"""The notebook on implicit neural representations in a real JupyterLab: the board is the photograph."""

from __future__ import annotations

import shutil

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Browser

from ui.lab import ROOT, Notebook, running_server
from ui.widget_page import WidgetPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

COUNTS = """
import json
from splinecam_widget import compute_partition
w.wait()
print(json.dumps([compute_partition(inr, w.plane).n_cells, w.partition.n_cells, w.x3.tolist()]))
"""


def test_dragging_an_anchor_over_the_photograph(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("notebooks")
    shutil.copy(ROOT / "notebooks" / "02-inr.ipynb", folder)
    artifacts = ROOT / "artifacts"
    artifacts.mkdir(exist_ok=True)
    with running_server(folder, tmp_path_factory.mktemp("jupyter")) as server:
        notebook = Notebook.opened(browser, server.url("02-inr.ipynb"))
        notebook.run_all()
        notebook.show_cell("w = SplineCamWidget(")
        widget = WidgetPage(notebook.page)
        before = widget.wait_exact()
        place = notebook.kernel_json(COUNTS)[2]
        lines = notebook.page.get_by_label("Lines").nth(0)
        for layer in (0, 1):
            lines.select_option(index=1 + layer)
            widget.part("Legend").get_by_text("units bend here").filter(has_text=f"Layer {layer}").wait_for()
            notebook.page.wait_for_timeout(300)
            notebook.page.screenshot(path=artifacts / f"inr-layer-{layer}.png")
        assert notebook.kernel_json("print(w.layer)") == 1
        lines.select_option(index=0)
        notebook.page.screenshot(path=artifacts / "inr-first.png")
        widget.drag("Anchor C on the board", widget.place("Board: input plane", 0.7, 0.3))
        notebook.page.wait_for_timeout(300)
        x, y = widget.place("Slice plot", 0.4, 0.4)
        notebook.page.mouse.click(x, y)
        for _ in range(4):
            notebook.page.mouse.wheel(0, -240)
            notebook.page.wait_for_timeout(50)
        after = widget.wait_exact(after=before.sequence)
        notebook.page.wait_for_timeout(500)
        notebook.page.screenshot(path=artifacts / "inr-zoomed.png")
        again, shown, moved = notebook.kernel_json(COUNTS)
        assert again == shown == widget.status().cells
        assert moved != place
        assert after.cells < before.cells
        assert widget.error() == ""
        assert notebook.errors == []
