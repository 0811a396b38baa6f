"""The engine knows nothing of notebooks, widgets and plots."""

from __future__ import annotations

import subprocess
import sys

FORBIDDEN = ("traitlets", "anywidget", "IPython", "ipywidgets", "bokeh")


def test_every_engine_module_runs_without_the_widgets_libraries() -> None:
    """The package's `__init__` imports the widget, so the engine is imported beside it, under a package of its own."""
    program = "\n".join([
        "import importlib.util, pathlib, sys, types",
        "spec = importlib.util.find_spec('splinecam_widget')",
        "package = types.ModuleType('splinecam_widget')",
        "package.__path__ = list(spec.submodule_search_locations)",
        "sys.modules['splinecam_widget'] = package",
        "names = sorted(path.stem for path in pathlib.Path(package.__path__[0], 'engine').glob('[!_]*.py'))",
        "assert len(names) > 10",
        "for name in names:",
        "    importlib.import_module('splinecam_widget.engine.' + name)",
        f"print(sorted(set(sys.modules) & set({FORBIDDEN!r})))",
    ])
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
