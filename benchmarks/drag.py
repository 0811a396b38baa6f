"""From the hand to the picture: drag an anchor in a real JupyterLab and measure until the cells are painted.

    python benchmarks/drag.py [--seconds 20]

The mouse moves 60 times a second, or as often as the page takes its moves (about 46 times a second on two cores). A drag
sample is one of them: the time from the event until the first picture is painted whose request was sent after it. A request's
time is split into transport (websocket both ways and the browser's queue), kernel (engine, colours, packing), waiting in the
kernel, and browser (unpacking and painting).
Processor time is that of all threads for each picture. The first picture is timed from the start of the cell that makes the
widget, run right behind the cell that imports and trains, to its first paint. Prints a Markdown table and saves it under
benchmarks/results.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import machine
import nbformat
from engine import with_goal
from nbformat.v4 import new_code_cell, new_notebook

sys.path.insert(0, str(machine.ROOT / "tests"))

from hand import Hand, processor_seconds, running_chromium
from playwright.sync_api import sync_playwright

from ui.lab import Notebook, Server, running_server
from ui.widget_page import WidgetPage

NETS = {"digits MLP 64-64-64-10, trained": (64, 64), "MLP 64-264-264-10, as initialised": (264, 264)}
GOALS_MS = (120.0, 200.0)
FIRST_PICTURE_SECONDS = 3.0
STEP_SECONDS = 1 / 60
"""One pointer move per frame of a 60 Hz screen."""
WINDOW = (1500, 1343)
"""Of the browser; its page is 1,500 × 1,200."""
TURN_SECONDS = 2.0
"""The hand goes around the board once in this time."""

TRAINING_CELL = """
import torch
from sklearn.datasets import load_digits
from torch import nn
from splinecam_widget import SplineCamWidget

digits = load_digits()
images = torch.tensor(digits.data / 16, dtype=torch.float32)
labels = torch.tensor(digits.target)
torch.manual_seed(0)
first, second = {widths}
net = nn.Sequential(nn.Linear(64, first), nn.ReLU(), nn.Linear(first, second), nn.ReLU(), nn.Linear(second, 10))
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
for _ in range({epochs}):
    for batch in torch.randperm(len(images)).split(64):
        loss = nn.functional.cross_entropy(net(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""
WIDGET_CELL = """
import time
started = time.time()
w = SplineCamWidget(net.eval(), images[0], images[1], images[2], images=images, labels=digits.target)
w
"""

WATCH = """
(() => {
    const now = () => performance.timeOrigin + performance.now();
    window.watched = {moves: [], sent: {}, painted: []};
    const send = WebSocket.prototype.send;
    const decoder = new TextDecoder();
    WebSocket.prototype.send = function (data) {
        const text = typeof data === 'string' ? data
            : data.byteLength < 1e5 ? decoder.decode(data) : '';
        if (text.includes('"_request"')) {
            const found = /"sequence":\\s*(\\d+)/.exec(text.slice(text.indexOf('"_request"')));
            if (found) { window.watched.sent[found[1]] = now(); }
        }
        return send.call(this, data);
    };
    window.addEventListener('pointermove', event => {
        if (event.buttons) { window.watched.moves.push(performance.timeOrigin + event.timeStamp); }
    }, {capture: true});
    window.addEventListener('splinecam:painted', ({detail}) => window.watched.painted.push({...detail, at: now()}));
})();
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long the anchor is dragged")
    parser.add_argument("--name", default="drag", help="name of the files under benchmarks/results, '' to save none")
    arguments = parser.parse_args()
    where = machine.description("jupyterlab", "ipykernel", "bokeh", "anywidget")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        notebooks, scratch = Path(folder, "notebooks"), Path(folder, "jupyter")
        notebooks.mkdir()
        scratch.mkdir()
        with running_server(notebooks, scratch) as server:
            for number, (name, widths) in enumerate(NETS.items()):
                file = f"net-{number}.ipynb"
                training = TRAINING_CELL.format(widths=widths, epochs=30 if "trained" in name else 0)
                write_notebook(notebooks / file, training, WIDGET_CELL)
                rows.append({"net": name, **measured(server, file, Path(folder, f"profile-{number}"), arguments.seconds)})
                print(f"{name}: {rows[-1]['drag_median_ms']:.0f} ms", file=sys.stderr, flush=True)
    text = report(rows, where)
    print(text)
    if arguments.name:
        machine.RESULTS.mkdir(exist_ok=True)
        path = machine.RESULTS / arguments.name
        path.with_suffix(".json").write_text(json.dumps({"machine": where, "rows": rows}, indent=1) + "\n")
        path.with_suffix(".md").write_text(text + "\n")
    return 0


def write_notebook(path: Path, *cells: str) -> None:
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in cells], metadata={"kernelspec": kernel}), path)


def measured(server: Server, file: str, profile: Path, seconds: float) -> dict[str, Any]:
    """Run a notebook, then drag handle B in a spiral over the board, blending so that every move is a new slice."""
    with running_chromium(profile, WINDOW) as chromium:
        with sync_playwright() as playwright:
            browser = playwright.chromium.connect_over_cdp(chromium.address)
            notebook = Notebook.on(browser.contexts[0].pages[0], server.url(file), WATCH)
            notebook.run_all()
            widget = WidgetPage(notebook.page)
            widget.wait_exact()
            started = notebook.kernel_json("print(started)")
            first_picture = notebook.page.evaluate("() => watched.painted[0].at") / 1e3 - started
            widget.part("Blend between images").check(force=True)
            board, start = widget.box("Board of images"), widget.centre("Anchor B on the board")
            browser.close()
        radius = 0.3 * min(board["width"], board["height"])
        middle = (board["x"] + board["width"] / 2, board["y"] + board["height"] / 2)
        groups = {"browser": chromium.process.pid, "server and kernel": server.pid}
        with chromium.hand() as hand:
            hand.move(*start, is_held=False)
            hand.press(*start)
            hand.move(middle[0] + radius, middle[1])
            time.sleep(0.5)
            hand.evaluate("watched.moves = []; watched.painted = []")
            before = {name: processor_seconds(pid) for name, pid in groups.items()}
            go_round(hand, middle, radius, seconds)
            taken = {name: processor_seconds(pid) - before[name] for name, pid in groups.items()}
            watched = hand.evaluate("watched")
            hand.release(*middle)
    figures = summary(watched)
    processor = {f"processor_{name}_ms": 1e3 * taken[name] / figures["pictures"] for name in groups}
    return {"first_picture_s": first_picture, **figures, **processor}


def go_round(hand: Hand, middle: tuple[float, float], radius: float, seconds: float) -> None:
    """Move the held mouse in a spiral, at the pace of a screen's frames or slower; the engine remembers none of the places."""
    due = time.perf_counter()
    n = round(seconds / STEP_SECONDS)
    for step in range(n):
        angle = 2 * math.pi * step * STEP_SECONDS / TURN_SECONDS
        reach = radius * (1 - 0.5 * step / n)
        hand.move(middle[0] + reach * math.cos(angle), middle[1] + reach * math.sin(angle))
        due = max(due + STEP_SECONDS, time.perf_counter())
        time.sleep(max(0.0, due - time.perf_counter()))


def summary(watched: dict[str, Any]) -> dict[str, Any]:
    """The numbers of one drag, in milliseconds."""
    sent = {int(sequence): at for sequence, at in watched["sent"].items()}
    painted = [one for one in watched["painted"] if one["sequence"] in sent]
    if len(painted) < 2:
        raise SystemExit(f"drag: too few pictures to measure ({len(painted)})")
    lags = []
    for move in watched["moves"]:
        later = [one["at"] for one in painted if sent[one["sequence"]] >= move]
        if later:
            lags.append(min(later) - move)
    parts = [split(one, sent[one["sequence"]]) for one in painted]
    duration = painted[-1]["at"] - painted[0]["at"]
    return {
        "cells_median": median(one["n_cells"] for one in painted),
        "moves": len(watched["moves"]),
        "pictures": len(painted),
        "pictures_per_second": 1e3 * (len(painted) - 1) / duration,
        "drag_median_ms": median(lags),
        "drag_p95_ms": sorted(lags)[round(0.95 * (len(lags) - 1))],
        **{f"{name}_ms": median(part[name] for part in parts) for name in parts[0]},
    }


def split(painted: dict[str, Any], sent: float) -> dict[str, float]:
    """Where the time of one request went; kernel and browser share one clock."""
    timing = painted["timing"]
    received, answered = 1e3 * timing["received"], 1e3 * timing["sent"]
    kernel = 1e3 * (timing["engine"] + timing["colours"] + timing["pack"])
    browser = painted["unpack_ms"] + painted["paint_ms"]
    return {
        "request": painted["at"] - sent,
        "transport": (received - sent) + (painted["at"] - answered - browser),
        "engine": 1e3 * timing["engine"],
        "kernel": kernel,
        "waiting": answered - received - kernel,
        "browser": browser,
    }


def report(rows: list[dict[str, Any]], where: dict[str, Any]) -> str:
    """The table in Markdown, with the machine below it."""
    head = ("net", "first picture", "cells", "pictures/s", "drag to painted, median", "p95", "one request", "transport",
            "waiting", "kernel (engine)", "browser", "processor: kernel, browser")  # fmt: skip
    lines = [head, ("---", *["---:"] * (len(head) - 1))]
    for row, goal in zip(rows, GOALS_MS, strict=True):
        lines.append(
            (
                row["net"],
                f"{with_goal(row['first_picture_s'], FIRST_PICTURE_SECONDS, '≤', 2)} s",
                f"{row['cells_median']:,.0f}",
                f"{row['pictures_per_second']:.1f}",
                f"{with_goal(row['drag_median_ms'], goal, '≤', 0)} ms",
                f"{row['drag_p95_ms']:.0f} ms",
                f"{row['request_ms']:.0f} ms",
                *(f"{row[f'{name}_ms']:.0f} ms" for name in ("transport", "waiting")),
                f"{row['kernel_ms']:.0f} ({row['engine_ms']:.0f}) ms",
                f"{row['browser_ms']:.0f} ms",
                f"{row['processor_server and kernel_ms']:.0f}, {row['processor_browser_ms']:.0f} ms",
            )
        )
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"{table}\n\nHeadless Chromium. {machine.sentence(where)}"


if __name__ == "__main__":
    sys.exit(main())
