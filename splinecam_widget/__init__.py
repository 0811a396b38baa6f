"""The exact geometry of continuous piecewise-linear networks on 2-D slices, live in notebooks."""

from .engine.compute import compute_partition
from .engine.errors import UnsupportedModelError
from .engine.explain import explain
from .engine.partition import Partition
from .engine.slices import Slice
from .widget import SplineCamWidget

__all__ = ["Partition", "Slice", "SplineCamWidget", "UnsupportedModelError", "compute_partition", "explain"]
