"""Chromium for all browser tests, and the development page of the front end."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import threading
from collections.abc import Iterator

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Browser, Page

from ui.dev_pages import EXACT_SECONDS, Open
from ui.lab import ROOT, running_browser
from ui.widget_page import WidgetPage


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium, one for all browser tests: Playwright runs only once in a thread."""
    if shutil.which("chromium") is None:
        pytest.skip("chromium is not on PATH")
    with running_browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def dev_page() -> Iterator[str]:
    """The address of the development page, freshly built and served on the loopback address."""
    node = shutil.which("node")
    if node is None or not (ROOT / "node_modules").is_dir():
        pytest.skip("building the development page needs Node.js and `npm ci`")
    subprocess.run([node, str(ROOT / "js" / "build.mjs"), "--page"], check=True, cwd=ROOT)
    spec = importlib.util.spec_from_file_location("serve", ROOT / "js" / "dev" / "serve.py")
    assert spec is not None
    assert spec.loader is not None
    serve = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(serve)
    server = serve.dev_server()
    thread = threading.Thread(target=server.serve_forever, name="dev page", daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def opened(browser: Browser, dev_page: str) -> Iterator[Open]:
    """Opens the page with a query; afterwards nothing may have gone wrong on any."""
    pages: list[Page] = []
    errors: list[str] = []

    def open_page(query: str = "", size: tuple[int, int] = (1200, 900), wait: bool = True) -> WidgetPage:
        page = browser.new_page(viewport={"width": size[0], "height": size[1]})
        pages.append(page)
        page.on("console", lambda message: errors.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{dev_page}?{query}")
        page.wait_for_function("window.dev !== undefined")
        widget = WidgetPage(page)
        if wait:
            widget.wait_exact(seconds=EXACT_SECONDS)
        return widget

    yield open_page
    for page in pages:
        page.close()
    assert errors == []
