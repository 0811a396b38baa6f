"""What the status line says of a picture."""

from __future__ import annotations

from ._scene import Shown
from .engine.errors import percent_text


def state_of(shown: Shown) -> str:
    """The status' state: "partial", "approximation" or "exact"."""
    partition = shown.partition
    if not partition.is_complete:
        return "partial"
    return "exact" if partition.is_exact else "approximation"


def text_of(shown: Shown) -> str:
    """One line."""
    partition = shown.partition
    milliseconds = shown.seconds * 1000
    time_text = f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{shown.seconds:.1f} s"
    steps = partition.network.approximations
    kind = f"approximation, activations to within {max(step.deviation for step in steps):g}" if steps else "exact"
    if not partition.is_complete:
        return (f"{_counted(partition.n_cells, 'cell')} in the middle {percent_text(partition.share)} of the view · "
                f"{kind} there · {time_text} · all of it is too much: zoom in for the rest")
    known = "" if shown.work.vertices_evaluated else ", from what was computed before"
    return (f"{_counted(partition.n_cells, 'cell')} · {_counted(partition.n_regions, 'linear region')} · {kind} · "
            f"{time_text}{known}")


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'s' if n != 1 else ''}"
