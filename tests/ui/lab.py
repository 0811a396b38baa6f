"""A real JupyterLab with a notebook open in headless Chromium, for the browser tests and the drag benchmark.

Knows how to start the server, how to find the running page's kernel and cells, and nothing of the widget.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 120.0
KERNEL_SECONDS = 240.0
"""Training, tracing and a cold compile on a slow machine."""

CHROMIUM_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

QUIET_SETTINGS = {
    "@jupyterlab/apputils-extension/notification.jupyterlab-settings": {"checkForUpdates": False, "fetchNews": "false"},
    "@jupyterlab/docmanager-extension/plugin.jupyterlab-settings": {"autosave": False},
}
"""No question about news, no check for updates, no save while a test looks."""


@dataclass(frozen=True)
class Server:
    """A running JupyterLab."""

    address: str
    token: str
    log: Path
    pid: int

    def url(self, notebook: str) -> str:
        """The page that shows one notebook alone, with nothing else open."""
        return f"{self.address}/lab/tree/{notebook}?token={self.token}&reset"


@contextlib.contextmanager
def running_server(notebooks: Path, scratch: Path, settings: Mapping[str, Any] | None = None) -> Iterator[Server]:
    """JupyterLab on a free port of the loopback address, with no configuration but its own and the `settings` by file name."""
    kept = scratch / "settings"
    for name, content in {**QUIET_SETTINGS, **(settings or {})}.items():
        path = kept / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    token = secrets.token_hex(16)
    environment = {
        **os.environ,
        "JUPYTER_TOKEN": token,
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_CONFIG_DIR": str(scratch / "config"),
        "JUPYTER_DATA_DIR": str(scratch / "data"),
        "JUPYTER_RUNTIME_DIR": str(scratch / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(kept),
        "JUPYTERLAB_WORKSPACES_DIR": str(scratch / "workspaces"),
        "IPYTHONDIR": str(scratch / "ipython"),
    }
    port = free_port()
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--ServerApp.root_dir={notebooks}",
        "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0",
        "--LabApp.expose_app_in_browser=True", "--ServerApp.jpserver_extensions={'splinecam_widget.nodelay': True}",
    ]  # fmt: skip
    log = scratch / "jupyterlab.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT
        )
        try:
            server = Server(f"http://127.0.0.1:{port}", token, log, process.pid)
            wait_until_up(server, process)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_until_up(server: Server, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(f"{server.address}/api", timeout=5).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"JupyterLab did not start:\n{server.log.read_text()[-2000:]}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running_browser() -> Iterator[Browser]:
    """Headless Chromium of the distribution, with a fresh profile."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise RuntimeError("chromium is not on PATH; `make test` installs it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=list(CHROMIUM_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Notebook:
    """One notebook open in JupyterLab."""

    page: Page
    errors: list[str] = field(default_factory=list)
    """What the page reported as an error so far."""

    @classmethod
    def opened(cls, browser: Browser, url: str, watch: str = "", size: tuple[int, int] = (1500, 1200)) -> Notebook:
        """Open the page, with `watch` as its first script, and wait until its kernel is idle."""
        return cls.on(browser.new_page(viewport={"width": size[0], "height": size[1]}), url, watch)

    @classmethod
    def on(cls, page: Page, url: str, watch: str = "") -> Notebook:
        """The same on a page that is there already."""
        if watch:
            page.add_init_script(watch)
        page.set_default_timeout(60_000)
        notebook = cls(page)
        page.on("console", notebook._heard)
        page.on("pageerror", lambda error: notebook.errors.append(f"uncaught: {error}"))
        page.goto(url)
        page.wait_for_function(
            "() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
        )
        return notebook

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} ({message.location.get('url', '')})")

    def run_all(self) -> None:
        """Run every cell and wait until the last is done."""
        self.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
        self.wait_until_run()

    def close_and_open_again(self) -> None:
        """Save the notebook, close its tab, and open it again on the kernel that ran on."""
        self.page.evaluate(
            """async () => {
                const { shell, commands, serviceManager } = window.jupyterapp;
                const path = shell.currentWidget.context.path;
                await shell.currentWidget.context.save();
                shell.currentWidget.dispose();
                await new Promise(resolve => setTimeout(resolve, 1000));
                await commands.execute('docmanager:open', { path });
            }"""
        )
        self.page.wait_for_function(
            "() => window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
        )

    def wait_until_run(self) -> None:
        """Wait until every code cell has a number, or one of them has failed."""
        self.page.wait_for_function(
            """() => {
                const cells = window.jupyterapp.shell.currentWidget.content.widgets
                    .filter(cell => cell.model.type === 'code');
                const failed = cells.some(c => c.model.outputs.toJSON().some(o => o.output_type === 'error'));
                return failed || cells.every(c => c.model.executionCount !== null && !c.node.innerText.includes('[*]'));
            }""",
            timeout=1e3 * KERNEL_SECONDS,
        )
        failed = [output for output in self.outputs() if output["output_type"] == "error"]
        if failed:
            raise AssertionError("\n".join(failed[0]["traceback"]))

    def show_cell(self, text: str) -> None:
        """Scroll to the code cell that has `text` in its source."""
        self.page.evaluate(
            """async text => {
                const notebook = window.jupyterapp.shell.currentWidget.content;
                const index = notebook.widgets
                    .findIndex(cell => cell.model.type === 'code' && cell.model.sharedModel.source.includes(text));
                notebook.activeCellIndex = index;
                await notebook.scrollToItem(index, 'start');
            }""",
            text,
        )

    def outputs(self) -> list[dict[str, Any]]:
        """What all code cells have put out, in order."""
        outputs: list[dict[str, Any]] = self.page.evaluate(
            """() => window.jupyterapp.shell.currentWidget.content.widgets
                .filter(cell => cell.model.type === 'code').flatMap(cell => cell.model.outputs.toJSON())"""
        )
        return outputs

    def kernel_json(self, code: str) -> Any:
        """Run code in the notebook's kernel, outside of its cells, and read the JSON that it prints."""
        printed = self.page.evaluate(
            """async code => {
                const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                const future = kernel.requestExecute({code, store_history: false});
                let printed = '';
                future.onIOPub = message => {
                    if (message.header.msg_type === 'stream' && message.content.name === 'stdout') {
                        printed += message.content.text;
                    }
                    if (message.header.msg_type === 'error') {
                        printed = JSON.stringify({failed: message.content.traceback.join('\\n')});
                    }
                };
                await future.done;
                return printed;
            }""",
            code,
        )
        answer = json.loads(printed)
        if isinstance(answer, dict) and "failed" in answer:
            raise AssertionError(answer["failed"])
        return answer

    def start_in_kernel(self, code: str) -> None:
        """Start code in the kernel's main thread without waiting for it."""
        self.page.evaluate(
            """code => {
                const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                window.startedIsRunning = true;
                window.startedExecution = kernel.requestExecute({code, store_history: false}).done
                    .then(() => { window.startedIsRunning = false; });
            }""",
            code,
        )

    def is_started_running(self) -> bool:
        """Whether the kernel's main thread is still at what `start_in_kernel` started."""
        return bool(self.page.evaluate("() => window.startedIsRunning"))

    def wait_for_started(self) -> None:
        """Wait for the end of what `start_in_kernel` started."""
        self.page.evaluate("async () => { await window.startedExecution; }")
