"""Packages that only some exports need."""

from __future__ import annotations

import importlib
from typing import Any


def package(name: str, what: str) -> Any:
    """An optional package or module of one.

    Raises
    ------
    ImportError
        With how to install it, if it is missing.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        needed = name.split(".")[0]
        raise ImportError(f"{what} needs {needed}: pip install 'splinecam_widget[analysis]'") from None
