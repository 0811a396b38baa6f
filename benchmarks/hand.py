"""A hand on a page of Chromium: mouse moves and questions, and nothing else that would cost the browser time.

Playwright listens to the network of every page that it holds, so that Chromium copies each websocket message once more,
as text, to it: with pictures of half a megabyte that takes more of two cores than painting them. It opens the page and lets
go of it; the hand speaks DevTools to the page by itself.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import websocket

from ui.lab import CHROMIUM_ARGUMENTS

START_SECONDS = 60.0


@dataclass
class Hand:
    """The DevTools session of one page."""

    socket: websocket.WebSocket
    n_calls: int = field(default=0, init=False)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One DevTools command and its result."""
        self.n_calls += 1
        self.socket.send(json.dumps({"id": self.n_calls, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self.socket.recv())
            if answer.get("id") == self.n_calls:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(f"{expression}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def move(self, x: float, y: float, is_held: bool = True) -> None:
        """Move the mouse to a point of the page; returns when the page has taken the event."""
        self._mouse("mouseMoved", x, y, buttons=int(is_held))

    def press(self, x: float, y: float) -> None:
        self._mouse("mousePressed", x, y, buttons=1)

    def release(self, x: float, y: float) -> None:
        self._mouse("mouseReleased", x, y, buttons=0)

    def _mouse(self, kind: str, x: float, y: float, buttons: int) -> None:
        button = "none" if kind == "mouseMoved" and not buttons else "left"
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, buttons=buttons, clickCount=1)


@dataclass(frozen=True)
class Chromium:
    """A running headless Chromium with one page."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def address(self) -> str:
        """Where DevTools listens."""
        return f"http://127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def hand(self) -> Iterator[Hand]:
        """A hand on the only page."""
        with urllib.request.urlopen(f"{self.address}/json/list") as answer:
            page = next(target for target in json.load(answer) if target["type"] == "page")
        socket = websocket.create_connection(page["webSocketDebuggerUrl"], suppress_origin=True)
        try:
            yield Hand(socket)
        finally:
            socket.close()


@contextlib.contextmanager
def running_chromium(profile: Path, size: tuple[int, int]) -> Iterator[Chromium]:
    """Headless Chromium with a fresh profile in a folder and a window of `size`."""
    program = shutil.which("chromium")
    if program is None:
        raise RuntimeError("chromium is not on PATH; `make test` installs it")
    command = [program, *CHROMIUM_ARGUMENTS, "--headless=new", "--remote-debugging-port=0", f"--user-data-dir={profile}",
               "--window-size={},{}".format(*size), "about:blank"]  # fmt: skip
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield Chromium(process, written_port(profile / "DevToolsActivePort", process))
    finally:
        process.terminate()
        process.wait(30)


def written_port(file: Path, process: subprocess.Popen[bytes]) -> int:
    """The port that Chromium has chosen, once it has written it."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError):
            lines = file.read_text().splitlines()
            if len(lines) >= 2:
                return int(lines[0])
        time.sleep(0.05)
    raise RuntimeError("Chromium did not start")


def processor_seconds(pid: int) -> float:
    """Processor time that a process and all that it has started have taken so far."""
    process = psutil.Process(pid)
    total = 0.0
    for one in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            total += times.user + times.system
    return total
