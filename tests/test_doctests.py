"""The examples in docstrings run and print what they say, and every public function has one."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

from splinecam_widget import analysis, engine
from splinecam_widget.analysis.attributions import integrated_gradients
from splinecam_widget.analysis.class_changes import closest_class_change
from splinecam_widget.analysis.complexity import local_complexity
from splinecam_widget.analysis.lines import compute_line
from splinecam_widget.engine.compute import compute_partition
from splinecam_widget.engine.explain import explain
from splinecam_widget.engine.slices import Slice

MODULES = sorted(
    f"{package.__name__}.{info.name}" for package in (engine, analysis) for info in pkgutil.iter_modules(package.__path__)
    if not info.name.startswith("_"))


@pytest.mark.filterwarnings("ignore:model. it is in training mode:UserWarning")
@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    module = importlib.import_module(name)
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("public", [
    compute_line, compute_partition, closest_class_change, explain, integrated_gradients, local_complexity, Slice,
], ids=lambda public: public.__name__)
def test_public_functions_have_an_example(public: object) -> None:
    assert doctest.DocTestFinder(recurse=False).find(public)[0].examples
