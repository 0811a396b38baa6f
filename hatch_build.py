"""Put the built front end into the wheel and the sdist.

Knows which files make the bundle and how to build it. An sdist carries the bundle, so that installing from one
needs no Node.js.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUILT = ("splinecam_widget/static/widget.js", "splinecam_widget/static/widget.css")
SOURCE_FILES = ("package.json", "package-lock.json", "tsconfig.json")
SOURCE_FOLDER = "js"
SOURCE_SUFFIXES = {".ts", ".css", ".mjs"}


class FrontEndHook(BuildHookInterface):
    """Build `splinecam_widget/static` when it is missing or older than its sources."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Run before hatchling collects the files."""
        root = Path(self.root)
        reason = reason_to_build(root)
        if reason:
            build(root, reason)


def reason_to_build(root: Path) -> str:
    """Why the bundle has to be built, "" if it does not."""
    built = [root / name for name in BUILT]
    missing = [path.name for path in built if not path.is_file()]
    if missing:
        return f"{' and '.join(missing)} missing from splinecam_widget/static"
    if (root / "PKG-INFO").is_file():  # an unpacked sdist: what it carries is what was released
        return ""
    oldest = min(path.stat().st_mtime for path in built)
    newer = [path for path in sources(root) if path.stat().st_mtime > oldest]
    return f"{newer[0].relative_to(root)} is newer than splinecam_widget/static" if newer else ""


def sources(root: Path) -> list[Path]:
    """Files that the bundle is made from; tests and the development page (in folders of their own) are not."""
    files = [root / name for name in SOURCE_FILES]
    files += [path for path in sorted((root / SOURCE_FOLDER).glob("*")) if path.suffix in SOURCE_SUFFIXES]
    return [path for path in files if path.is_file() and ".test." not in path.name]


def build(root: Path, reason: str) -> None:
    """Run npm; stop the build with one clear line when that is not possible."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise SystemExit(
            f"splinecam_widget: the front end must be built ({reason}), and that needs Node.js with npm on PATH. "
            "A released wheel or sdist contains it."
        )
    commands = [[npm, "run", "build"]]
    if not (root / "node_modules").is_dir() or is_stale(root):
        commands.insert(0, [npm, "ci", "--no-audit", "--no-fund"])
    for command in commands:
        done = subprocess.run(command, cwd=root, check=False, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise SystemExit(f"splinecam_widget: building the front end failed at `{' '.join(command[1:])}`")


def is_stale(root: Path) -> bool:
    """Whether node_modules is older than the lock file."""
    installed = root / "node_modules" / ".package-lock.json"
    lock = root / "package-lock.json"
    return not installed.is_file() or installed.stat().st_mtime < lock.stat().st_mtime
