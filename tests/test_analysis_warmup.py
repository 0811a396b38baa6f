"""Warming up the analysis: every loop that its calls use is there afterwards."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import splinecam_widget.analysis
from splinecam_widget.analysis.warmup import warm_up


@pytest.mark.slow
def test_every_loop_is_compiled_or_loaded() -> None:
    said: list[str] = []
    warm_up(said.append)
    assert len(said) == 8
    for module in pkgutil.iter_modules(splinecam_widget.analysis.__path__):
        if not module.name.endswith("_kernels"):
            continue
        kernels = importlib.import_module(f"splinecam_widget.analysis.{module.name}")
        outer = [f for f in vars(kernels).values() if hasattr(f, "signatures") and f.__module__ == kernels.__name__]
        assert outer, module.name
        assert any(f.signatures for f in outer), module.name
