"""The helpers behind `make`: what they install, which port they take, and that they never wait for an answer."""

from __future__ import annotations

import importlib
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "scripts"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.syspath_prepend(SCRIPTS)

    def loaded(name: str) -> ModuleType:
        monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.import_module(name)

    return loaded


def test_requirements_are_the_projects_and_the_extras_once_each(load) -> None:
    environment = load("environment")
    plain, more = environment.project_requirements([]), environment.project_requirements(["demo", "test"])
    assert [one for one in plain if one.startswith("torch")]
    assert set(plain) < set(more)
    assert len(more) == len(set(more))


def test_an_unknown_extra_is_an_error(load) -> None:
    with pytest.raises(KeyError, match="nonsense"):
        load("environment").project_requirements(["nonsense"])


def test_every_requirement_of_the_project_is_pinned(load) -> None:
    """What the tests run with is named; torch and numpy are chosen by the environment."""
    environment = load("environment")
    pinned = set(re.findall(r"^([\w.-]+)==", (SCRIPTS / "constraints.txt").read_text(), re.MULTILINE))
    names = {
        re.match(r"[\w-]+", one)[0].lower().replace("_", "-")
        for one in environment.project_requirements(["demo", "test", "dev", "bench"])
    }
    assert names - {name.lower().replace("_", "-") for name in pinned} == {"numpy", "torch"}


@pytest.mark.parametrize("number", [1, 2])
def test_numpy_is_pinned_once_with_and_once_without_graph_tool(number: int) -> None:
    assert f"\nnumpy=={number}." in (SCRIPTS / f"constraints-numpy{number}.txt").read_text()


def test_a_missing_command_that_cannot_be_installed_is_one_clear_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPTS / "debian.py", "no-such-command", "no-such-package"],
        env={**os.environ, "PATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == (
        "setup: `no-such-command` is not on PATH; install it first, e.g. `apt-get install no-such-package` as root\n"
    )


def test_a_command_that_is_there_needs_nothing() -> None:
    done = subprocess.run(
        [sys.executable, SCRIPTS / "debian.py", "python", "no-such-package"],
        env={**os.environ, "PATH": str(Path(sys.executable).parent)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_demo_names_a_taken_port(load) -> None:
    demo = load("demo")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not demo.is_free(port)
        done = subprocess.run(
            [sys.executable, SCRIPTS / "demo.py", "--port", str(port)], capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    assert re.fullmatch(rf"demo: port {port} is in use; choose another one, e.g. `make demo PORT=\d+`\n", done.stderr)


@pytest.mark.skipif(sys.platform != "linux", reason="only there a missing display tells")
@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, True),
        ({"DISPLAY": ":0"}, False),
        ({"WAYLAND_DISPLAY": "wayland-0"}, False),
        ({"DISPLAY": ":0", "HEADLESS": "1"}, True),
        ({"DISPLAY": ":0", "HEADLESS": "0"}, False),
    ],
)
def test_the_demo_opens_a_browser_only_on_a_screen(
    load, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: bool
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "HEADLESS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert load("demo").is_headless() is expected


def test_stripping_keeps_the_source_and_drops_the_rest(load) -> None:
    nbformat = pytest.importorskip("nbformat")
    v4 = nbformat.v4
    cell = v4.new_code_cell("1 + 1", execution_count=3, outputs=[v4.new_output("stream", text="2")])
    notebook = v4.new_notebook(cells=[cell], metadata={"widgets": {"state": {}}})
    stripped = load("strip_notebooks").stripped(notebook)
    assert stripped.cells[0].source == "1 + 1"
    assert stripped.cells[0].outputs == []
    assert stripped.cells[0].execution_count is None
    assert "widgets" not in stripped.metadata
