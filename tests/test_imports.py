"""The engine knows nothing of notebooks, widgets and plots."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

FORBIDDEN = ("traitlets", "anywidget", "IPython", "ipywidgets", "bokeh")


def imported(program: str) -> list[str]:
    """Which of the modules in `FORBIDDEN` a program of a fresh process has imported at its end."""
    end = f"print(sorted(set(sys.modules) & set({(*FORBIDDEN, 'torch')!r})))"
    done = subprocess.run([sys.executable, "-c", f"import sys\n{program}\n{end}"], check=True, capture_output=True, text=True)
    return [name.strip(" '") for name in done.stdout.strip("[]\n").split(",") if name]


@pytest.mark.slow
def test_every_engine_module_runs_without_the_widgets_libraries() -> None:
    assert imported("\n".join([
        "import importlib, pathlib",
        "import splinecam_widget.engine",
        "folder = pathlib.Path(splinecam_widget.engine.__path__[0])",
        "names = sorted(path.stem for path in folder.glob('[!_]*.py'))",
        "assert len(names) > 10",
        "for name in names:",
        "    importlib.import_module('splinecam_widget.engine.' + name)",
    ])) == ["torch"]


def test_the_public_functions_do_not_import_the_widget() -> None:
    assert imported("from splinecam_widget import Partition, Slice, compute_partition, explain") == ["torch"]


def test_a_widget_shows_its_picture_without_bokeh() -> None:
    program = "import torch; from splinecam_widget import SplineCamWidget; from torch import nn"
    program += "; SplineCamWidget(nn.Linear(2, 2).double(), [0.0, 0.0], [1.0, 0.0], [0.0, 1.0]).wait(300)"
    assert "bokeh" not in imported(program)


def test_numba_waits_for_the_first_loop() -> None:
    program = "import splinecam_widget; from splinecam_widget import *"
    assert {"torch", "anywidget"} <= set(imported(f"{program}; assert 'numba' not in sys.modules"))


def test_the_server_extension_does_not_import_torch() -> None:
    assert not {"torch", "bokeh", "anywidget"} & set(imported("import splinecam_widget.nodelay"))


def test_all_public_names_are_there() -> None:
    import splinecam_widget

    assert set(splinecam_widget.__all__) <= set(dir(splinecam_widget))
    for name in splinecam_widget.__all__:
        assert getattr(splinecam_widget, name).__name__ == name
    assert splinecam_widget.__version__ == version("splinecam_widget")
    with pytest.raises(AttributeError, match="'nothing'"):
        _ = splinecam_widget.nothing
