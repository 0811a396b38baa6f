"""The wheel and the sdist carry the built front end, and say clearly when it cannot be built."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

import splinecam_widget

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path(splinecam_widget.__file__).parent
IS_INSTALLED = bool(os.environ.get("SPLINECAM_INSTALLED"))
"""Set where the built wheel is under test, not the checkout."""

BUILT = ("widget.js", "widget.css")


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    pytest.importorskip("hatchling")
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout with a source older than what is built from it."""
    for number, name in enumerate(
        ("package.json", "js/widget.ts", "splinecam_widget/static/widget.js", "splinecam_widget/static/widget.css")
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        os.utime(path, (1000 + number, 1000 + number))
    return tmp_path


class TestHook:
    def test_built_and_newer_needs_nothing(self, hook: ModuleType, tree: Path) -> None:
        assert hook.reason_to_build(tree) == ""

    def test_missing(self, hook: ModuleType, tree: Path) -> None:
        (tree / "splinecam_widget/static/widget.css").unlink()
        assert hook.reason_to_build(tree) == "widget.css missing from splinecam_widget/static"

    def test_older_than_a_source(self, hook: ModuleType, tree: Path) -> None:
        os.utime(tree / "js/widget.ts", (2000, 2000))
        assert hook.reason_to_build(tree) == "js/widget.ts is newer than splinecam_widget/static"

    def test_tests_of_the_front_end_do_not_count(self, hook: ModuleType, tree: Path) -> None:
        (tree / "js/widget.test.ts").write_text("")
        assert hook.reason_to_build(tree) == ""

    def test_an_sdist_is_never_rebuilt(self, hook: ModuleType, tree: Path) -> None:
        (tree / "PKG-INFO").write_text("")
        os.utime(tree / "js/widget.ts", (2000, 2000))
        assert hook.reason_to_build(tree) == ""

    def test_without_node_one_line_says_so(self, hook: ModuleType, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tree))
        with pytest.raises(SystemExit, match=r"widget\.js missing.*needs Node\.js with npm on PATH"):
            hook.build(tree, "widget.js missing")


class TestWheel:
    @pytest.mark.skipif(not IS_INSTALLED, reason="the checkout is under test, not the wheel")
    def test_is_what_the_tests_import(self) -> None:
        assert "site-packages" in PACKAGE.parts
        assert shutil.which("node") is None
        assert shutil.which("npm") is None

    @pytest.mark.skipif(not IS_INSTALLED, reason="the checkout is under test, not the wheel")
    def test_carries_the_licence(self) -> None:
        files = importlib.metadata.files("splinecam_widget") or []
        assert [file for file in files if file.name == "LICENSE"]

    @pytest.mark.parametrize("name", BUILT)
    def test_carries_the_front_end(self, name: str) -> None:
        if not IS_INSTALLED and not (PACKAGE / "static").is_dir():
            pytest.skip("the front end is not built")
        assert (PACKAGE / "static" / name).stat().st_size > 100

    def test_is_typed(self) -> None:
        assert (PACKAGE / "py.typed").is_file()


@pytest.mark.slow
def test_an_sdist_installs_without_node(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)], cwd=ROOT, check=True
    )
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {f"splinecam_widget/static/{name}" for name in BUILT} <= names
    assert not [name for name in names if name.startswith((".venv", "node_modules", "artifacts"))]
    target = tmp_path / "installed"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index",
         "--target", str(target), str(sdist)],
        env={**os.environ, "PATH": str(tmp_path)}, check=True,
    )  # fmt: skip
    assert (target / "splinecam_widget" / "static" / "widget.js").is_file()
