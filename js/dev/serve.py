"""Serve the development page on 127.0.0.1: `python js/dev/serve.py [port]`, beside `npm run dev`."""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    "/": (ROOT / "js/dev/index.html", "text/html"),
    "/dist/dev.js": (ROOT / "js/dev/dist/dev.js", "text/javascript"),
    "/widget.css": (ROOT / "js/widget.css", "text/css"),
}


class DevHandler(BaseHTTPRequestHandler):
    """Answers the few paths of the page; anything else is 404."""

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path in FILES:
            file, kind = FILES[path]
            self.answer(file.read_bytes(), kind)
        else:
            self.send_error(404)

    def answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def dev_server(port: int = 0) -> ThreadingHTTPServer:
    """Return a server that is not yet running; port 0 takes a free one."""
    return ThreadingHTTPServer(("127.0.0.1", port), DevHandler)


if __name__ == "__main__":
    server = dev_server(int(sys.argv[1]) if len(sys.argv) > 1 else 8123)
    print(f"http://127.0.0.1:{server.server_address[1]}/?mode=images")
    server.serve_forever()
