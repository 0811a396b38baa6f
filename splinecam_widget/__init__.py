"""The exact geometry of continuous piecewise-linear networks on 2-D slices, live in notebooks."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .analysis.attributions import integrated_gradients
    from .analysis.class_changes import closest_class_change
    from .analysis.comparing import compare
    from .analysis.complexity import local_complexity
    from .analysis.lines import compute_line
    from .analysis.summaries import summary_table
    from .engine.compute import compute_partition
    from .engine.errors import UnsupportedModelError
    from .engine.explain import explain
    from .engine.partition import Partition
    from .engine.slices import Slice
    from .engine.spreading import partition_many
    from .engine.storage import load_partition
    from .widget import SplineCamWidget

__all__ = [
    "Partition", "Slice", "SplineCamWidget", "UnsupportedModelError", "closest_class_change", "compare", "compute_line",
    "compute_partition", "explain", "integrated_gradients", "load_partition", "local_complexity", "partition_many",
    "summary_table",
]

_HOMES = {
    "Partition": "engine.partition", "Slice": "engine.slices", "SplineCamWidget": "widget",
    "UnsupportedModelError": "engine.errors", "closest_class_change": "analysis.class_changes",
    "compare": "analysis.comparing", "compute_line": "analysis.lines",
    "compute_partition": "engine.compute", "explain": "engine.explain",
    "integrated_gradients": "analysis.attributions", "load_partition": "engine.storage",
    "local_complexity": "analysis.complexity", "partition_many": "engine.spreading", "summary_table": "analysis.summaries",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for: the engine needs no notebook, and the server extension no torch."""
    if name == "__version__":
        from importlib.metadata import version  # takes a moment to import

        return version(__name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
