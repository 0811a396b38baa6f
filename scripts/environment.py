"""Make or complete a virtual environment for splinecam_widget.

    python3 scripts/environment.py .venv --extras demo,test --graph-tool
    python3 scripts/environment.py .venv-numpy2 --wheel --extras engine-test

Standard library only. Safe to run again: what is there already stays. Order matters: torch comes first, so that no
other package brings a build of it that is gigabytes larger.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import debian

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "scripts"
TORCH = "torch==2.13.0"
"""The version that the tests run with; its CPU build is taken when pip knows a file of it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--extras", default="", help="extras of pyproject.toml, comma-separated")
    parser.add_argument("--graph-tool", action="store_true", help="link the distribution's graph-tool (numpy 1)")
    parser.add_argument("--wheel", type=Path, help="install this wheel instead of the checkout")
    arguments = parser.parse_args()
    extras = [name for name in arguments.extras.split(",") if name]

    python = made_environment(arguments.folder)
    graph_tool = distribution_graph_tool(python) if arguments.graph_tool else None
    constraints = [
        "-c",
        str(SCRIPTS / "constraints.txt"),
        "-c",
        str(SCRIPTS / f"constraints-numpy{1 if graph_tool else 2}.txt"),
    ]
    install_torch(python, constraints)
    requirements = project_requirements(extras)
    say(f"installing {len(requirements)} packages and what they need")
    pip(python, "install", *constraints, *requirements)
    if arguments.wheel:
        pip(python, "install", "--no-deps", "--force-reinstall", str(arguments.wheel))
    else:
        pip(python, "install", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    if arguments.graph_tool:
        link_graph_tool(python, graph_tool)


def made_environment(folder: Path) -> Path:
    """The environment's Python, after making the environment if it is not there."""
    python = folder / "bin" / "python"
    if not python.exists():
        say(f"making {folder} with Python {sys.version.split()[0]}")
        try:
            venv.create(folder, with_pip=True, symlinks=True)
        except (subprocess.CalledProcessError, SystemExit):
            shutil.rmtree(folder, ignore_errors=True)
            if not debian.install("python3-venv"):
                fail("Python's venv module does not work; on Debian, install python3-venv")
            venv.create(folder, with_pip=True, symlinks=True)
    return python.absolute()


def install_torch(python: Path, constraints: list[str]) -> None:
    """Install torch unless it is there: the exact CPU build from a file that pip knows, else an ordinary one."""
    if succeeds(python, "-c", "import torch"):
        return
    has_file = succeeds(python, "-m", "pip", "install", "--dry-run", "--no-index", "--no-deps", TORCH)
    say(f"installing {TORCH} from a local file" if has_file else "installing torch, which can be a large download")
    pip(python, "install", *constraints, TORCH if has_file else "torch>=2.6")


def project_requirements(extras: list[str]) -> list[str]:
    """The project's dependencies and those of the extras, without duplicates; hatchling builds the checkout."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = [project["dependencies"], ["hatchling>=1.26"]]
    lists += [project["optional-dependencies"][name] for name in extras]
    return list(dict.fromkeys(requirement for one in lists for requirement in one))


def distribution_graph_tool(python: Path) -> Path | None:
    """The folder of the distribution's graph_tool that fits this environment's Python, installed if need be."""
    system = shutil.which("python3", path=os.defpath)
    if system is None or version_of(Path(system)) != version_of(python):
        without_graph_tool("the distribution's Python has another version than this environment")
        return None
    folder = graph_tool_folder(system)
    if folder is None and debian.install("python3-graph-tool"):
        folder = graph_tool_folder(system)
    if folder is None:
        without_graph_tool("the package python3-graph-tool is not installed and cannot be installed from here")
    return folder


def graph_tool_folder(system: str) -> Path | None:
    """Where the distribution's Python keeps graph_tool, without importing it."""
    code = (
        "import importlib.util as u; s = u.find_spec('graph_tool'); print(s.submodule_search_locations[0] if s else '')"
    )
    done = subprocess.run([system, "-I", "-c", code], check=False, capture_output=True, text=True)
    return Path(done.stdout.strip()) if done.returncode == 0 and done.stdout.strip() else None


def link_graph_tool(python: Path, folder: Path | None) -> None:
    """Make graph_tool importable through one link, so that no other package of the distribution comes along."""
    done = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('platlib'))"],
        check=True,
        capture_output=True,
        text=True,
    )
    link = Path(done.stdout.strip()) / "graph_tool"
    if link.is_symlink() and (folder is None or link.resolve() != folder.resolve()):
        link.unlink()
    if folder is None or succeeds(python, "-c", "import graph_tool"):
        return
    if not link.exists():
        link.symlink_to(folder, target_is_directory=True)
    if not succeeds(python, "-c", "import graph_tool"):
        link.unlink()
        without_graph_tool("the distribution's package cannot be imported here")


def without_graph_tool(reason: str) -> None:
    say(f"graph-tool is left out ({reason}); scipy takes over")


def version_of(python: Path) -> str:
    """Major and minor version, as text."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    return subprocess.run([python, "-I", "-c", code], check=False, capture_output=True, text=True).stdout.strip()


def pip(python: Path, *arguments: str) -> None:
    """Run the environment's pip; end with one line when it fails."""
    quiet = [] if sys.stdout.isatty() else ["-qq"]
    command = [python, "-m", "pip", *arguments, "--no-input", "--disable-pip-version-check", *quiet]
    if subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode:
        fail(f"pip could not install into {python.parent.parent} (see the lines above)")


def succeeds(python: Path, *arguments: str) -> bool:
    """Whether a command of the environment's Python ends without an error; its output is dropped."""
    done = subprocess.run([python, *arguments], check=False, stdin=subprocess.DEVNULL, capture_output=True, cwd="/")
    return done.returncode == 0


def say(text: str) -> None:
    print(f"setup: {text}", flush=True)


def fail(text: str) -> None:
    sys.exit(f"setup: {text}")


if __name__ == "__main__":
    main()
