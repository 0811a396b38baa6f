"""The exact geometry of continuous piecewise-linear networks on 2-D slices, live in notebooks."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .engine.compute import compute_partition
    from .engine.errors import UnsupportedModelError
    from .engine.explain import explain
    from .engine.partition import Partition
    from .engine.slices import Slice
    from .engine.spreading import partition_many
    from .engine.storage import load_partition
    from .widget import SplineCamWidget

__all__ = [
    "Partition", "Slice", "SplineCamWidget", "UnsupportedModelError", "compute_partition", "explain", "load_partition",
    "partition_many",
]

_HOMES = {
    "Partition": "engine.partition", "Slice": "engine.slices", "SplineCamWidget": "widget",
    "UnsupportedModelError": "engine.errors", "compute_partition": "engine.compute", "explain": "engine.explain",
    "load_partition": "engine.storage", "partition_many": "engine.spreading",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for: the engine needs no notebook, and the server extension no torch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
