"""What `make demo` opens: the quickstart, and no question before it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Browser

from ui.lab import ROOT, free_port

pytestmark = [pytest.mark.browser, pytest.mark.slow]

END_SECONDS = 60.0
QUESTION_SECONDS = 3.0
"""JupyterLab asks about news as soon as it is up."""


def test_the_demo_asks_nothing(browser: Browser, tmp_path: Path) -> None:
    home = {"JUPYTER_CONFIG_DIR": str(tmp_path / "config"), "JUPYTER_DATA_DIR": str(tmp_path / "data")}
    command = [sys.executable, str(ROOT / "scripts" / "demo.py"), "--port", str(free_port())]
    environment = {**os.environ, **home, "HEADLESS": "1"}
    with tempfile.TemporaryFile() as log, subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
    ) as demo:
        try:
            assert demo.stdout is not None
            url = next(line.strip() for line in demo.stdout if re.match(r"\s+http", line))
            page = browser.new_page()
            page.goto(url)
            page.get_by_role("heading", name="Quickstart").first.wait_for()
            page.wait_for_timeout(1e3 * QUESTION_SECONDS)
            asked = page.locator(".Toastify__toast, .jp-Dialog").all_inner_texts()
            page.close()
            demo.terminate()
            assert demo.wait(END_SECONDS) == 0
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(demo.pid, signal.SIGKILL)
    assert asked == []
