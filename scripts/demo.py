"""Start JupyterLab on the quickstart notebook and print its address with the token.

The browser is left closed when there is no display or HEADLESS is set. Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
START = "01-quickstart.ipynb"
DEFAULT_PORT = 8888
START_SECONDS = 120.0

QUIET_SETTINGS = {"@jupyterlab/apputils-extension:notification": {"checkForUpdates": False, "fetchNews": "false"}}
"""JupyterLab's defaults for this run: no question about news. The user's own settings stay above them and untouched."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", default="", help="port on this machine; 8888 or the next free one when empty")
    asked = parser.parse_args().port
    port = int(asked) if asked else free_port()
    if not is_free(port):
        sys.exit(f"demo: port {port} is in use; choose another one, e.g. `make demo PORT={free_port()}`")
    token = secrets.token_hex(16)
    address = f"http://127.0.0.1:{port}"
    url = f"{address}/lab/tree/{START}?token={token}"
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "-y",
        f"--ServerApp.root_dir={NOTEBOOKS}",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        "--log-level=WARN",
        "--ServerApp.jpserver_extensions={'splinecam_widget.nodelay': True}",
    ]
    if is_headless():
        command.append("--no-browser")
    if os.geteuid() == 0:
        command.append("--allow-root")
    environment = {**os.environ, "JUPYTER_TOKEN": token, "JUPYTER_PREFER_ENV_PATH": "1"}
    with tempfile.TemporaryDirectory() as settings:
        (Path(settings) / "overrides.json").write_text(json.dumps(QUIET_SETTINGS))
        command += [f"--LabApp.app_settings_dir={settings}", str(NOTEBOOKS / START)]
        server = subprocess.Popen(command, env=environment)
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda *_: server.terminate())
        if wait_until_up(server, address):
            print(f"\ndemo: JupyterLab is ready at\n\n    {url}\n\nRun all cells there. Ctrl-C here ends it.", flush=True)
        return 0 if server.wait() in (0, -signal.SIGTERM) else 1


def wait_until_up(server: subprocess.Popen[bytes], address: str) -> bool:
    """Whether the server answers within the time that a slow machine needs."""
    end = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < end:
        try:
            urllib.request.urlopen(f"{address}/api", timeout=5).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
        else:
            return True
    print("demo: JupyterLab did not start (see the lines above)", file=sys.stderr)
    return False


def is_headless() -> bool:
    """Whether there is no screen to open a browser on."""
    if os.environ.get("HEADLESS", "0") not in ("", "0"):
        return True
    return sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    return next(port for port in range(DEFAULT_PORT, DEFAULT_PORT + 1000) if is_free(port))


if __name__ == "__main__":
    sys.exit(main())
