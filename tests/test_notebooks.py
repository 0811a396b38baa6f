"""The notebooks run from top to bottom, pass their own assertions and are committed without outputs."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CELL_SECONDS = 300


def name_of(path: Path) -> str:
    return path.stem


def test_there_are_notebooks() -> None:
    assert [path.name for path in NOTEBOOKS] == ["01-quickstart.ipynb", "02-inr.ipynb", "03-measure.ipynb"]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_runs_and_its_assertions_hold(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=CELL_SECONDS, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}
    )
    client.execute()
    last = notebook.cells[-1]
    assert last.cell_type == "code"
    assert "assert " in last.source
    printed = "".join(output.get("text", "") for output in last.outputs)
    assert "cells" in printed
    assert not [output for output in last.outputs if output.get("name") == "stderr"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_is_committed_without_outputs(path: Path) -> None:
    """What is committed counts: running a notebook in JupyterLab saves outputs into the working copy."""
    if shutil.which("git") is None:
        pytest.skip("git is not on PATH")
    shown = subprocess.run(
        ["git", "show", f"HEAD:./{path.name}"], cwd=path.parent, check=False, capture_output=True, text=True
    )
    if shown.returncode:
        pytest.skip("not a git checkout, or not committed yet")
    notebook = json.loads(shown.stdout)
    assert "widgets" not in notebook["metadata"]
    for cell in notebook["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_names_no_address(path: Path) -> None:
    """Nothing is downloaded when a notebook runs."""
    assert "://" not in path.read_text(encoding="utf-8")
