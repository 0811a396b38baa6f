"""Warming up the analysis: every loop that its calls use is there afterwards."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import splinecam_widget.analysis
from splinecam_widget.analysis.warmup import warm_up
from splinecam_widget.engine.graph import graph_tool


@pytest.mark.slow
def test_every_loop_is_compiled_or_loaded() -> None:
    said: list[str] = []
    warm_up(said.append)
    assert len(said) == 8
    for module in pkgutil.iter_modules(splinecam_widget.analysis.__path__):
        if not module.name.endswith("_kernels"):
            continue
        kernels = importlib.import_module(f"splinecam_widget.analysis.{module.name}")
        loops = [f for f in vars(kernels).values() if hasattr(f, "signatures") and f.__module__ == kernels.__name__]
        inner = {name for f in loops for name in f.py_func.__code__.co_names}  # compiled into those that call them
        outer = [f for f in loops if f.__name__ not in inner and not f.__name__.startswith("_")]
        assert outer, module.name
        elsewhere = {"blocks_at_nodes"} if graph_tool() else set()  # it does that itself
        assert not [f.__name__ for f in outer if not f.signatures and f.__name__ not in elsewhere], module.name
