"""What a first picture needs is imported while the kernel has nothing to do."""

from __future__ import annotations

import asyncio
import importlib
import subprocess
import sys
import time

import pytest

from splinecam_widget import _idle


def test_every_module_that_is_named_exists() -> None:
    """Torch may move its own, and then this says so."""
    for name in (*_idle.MODULES, *_idle.TRACE_MODULES):
        importlib.import_module(name)


def test_imports_in_turn_and_goes_on_after_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[str] = []

    def seen(name: str) -> None:
        found.append(name)
        if name == "missing":
            raise ImportError(name)

    replace_steps(monkeypatch, found)
    monkeypatch.setattr(_idle.importlib, "import_module", seen)
    monkeypatch.setattr(_idle, "REST_SECONDS", 0.0)

    async def run() -> list[str]:
        _idle.import_when_idle()
        at_once = list(found)
        await asyncio.sleep(0.5)
        return at_once

    assert asyncio.run(run()) == [], "nothing while the cell runs"
    assert found == ["first", "missing", "graph-tool", "loops", "last"]


def replace_steps(monkeypatch: pytest.MonkeyPatch, found: list[str]) -> None:
    monkeypatch.setattr(_idle, "_not_before", 0.0)
    monkeypatch.setattr(_idle, "MODULES", ("first", "missing"))
    monkeypatch.setattr(_idle, "TRACE_MODULES", ("last",))
    monkeypatch.setattr(_idle, "PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(_idle.importlib, "import_module", found.append)
    monkeypatch.setattr(_idle, "graph_tool", lambda: found.append("graph-tool"))
    monkeypatch.setattr(_idle, "_load_loops", lambda: found.append("loops"))


def test_nothing_between_cells_that_follow_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[str] = []
    replace_steps(monkeypatch, found)
    monkeypatch.setattr(_idle, "REST_SECONDS", 0.3)

    async def run() -> list[str]:
        _idle.import_when_idle()
        for _ in range(8):
            time.sleep(0.2)  # a cell
            await asyncio.sleep(0.05)
        before = list(found)
        await asyncio.sleep(1.5)
        return before

    assert asyncio.run(run()) == []
    assert found == ["first", "missing", "graph-tool", "loops", "last"]


def test_nothing_soon_after_a_picture_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[str] = []
    replace_steps(monkeypatch, found)
    monkeypatch.setattr(_idle, "REST_SECONDS", 0.1)
    monkeypatch.setattr(_idle, "HOLD_SECONDS", 0.5)

    async def run() -> list[str]:
        _idle.import_when_idle()
        for _ in range(8):
            _idle.hold_off()
            await asyncio.sleep(0.1)
        before = list(found)
        await asyncio.sleep(1.5)
        return before

    assert asyncio.run(run()) == []
    assert found == ["first", "missing", "graph-tool", "loops", "last"]


@pytest.mark.parametrize(("on_disk", "warm", "expected"), [(True, False, 1), (False, False, 0), (True, True, 0)])
def test_loops_are_loaded_only_from_disk(monkeypatch: pytest.MonkeyPatch, on_disk: bool, warm: bool, expected: int) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(_idle, "is_on_disk", lambda: on_disk)
    monkeypatch.setattr(_idle, "is_warm", lambda: warm)
    monkeypatch.setattr(_idle, "warm_up", lambda: loaded.append("loops"))
    _idle._load_loops()
    assert loaded == ["loops"] * expected


def test_nothing_without_a_loop() -> None:
    _idle.import_when_idle()


@pytest.mark.slow
def test_a_first_trace_finds_its_modules_there() -> None:
    """A fresh process: hardly anything is left to import when the loop has run."""
    code = """
import asyncio, sys

async def cell():
    import splinecam_widget.widget

async def main():
    await cell()
    await asyncio.sleep(8)

asyncio.run(main())
before = set(sys.modules)
import torch
from splinecam_widget import explain
explain(lambda x: torch.relu(x), torch.zeros(2))
print(len(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert int(done.stdout) < 60, done.stdout
