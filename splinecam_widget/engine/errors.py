"""The errors that the engine raises on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


class Cancelled(Exception):
    """A computation was stopped because a newer one takes its place."""


class OverBudget(Exception):
    """A computation would need more cells or more memory than it may use.

    Attributes
    ----------
    n_cells, n_bytes : int
        At least so many would be needed; 0 where that is not what there are too many of.
    """

    def __init__(self, n_cells: int = 0, n_bytes: int = 0) -> None:
        super().__init__(f"{n_cells} cells, {n_bytes} bytes")
        self.n_cells = n_cells
        self.n_bytes = n_bytes


@dataclass(frozen=True)
class Offender:
    """One operation that keeps a model from being read as a CPWL network.

    Attributes
    ----------
    path : str
        Dotted path of the module that calls it, ``""`` for the model itself.
    operation : str
        Name of the torch operation.
    shapes : str
        Shapes that go in and out, without the batch axis.
    reason : str
        Why it is refused.
    replacement : str
        What to use instead.
    """

    path: str
    operation: str
    shapes: str
    reason: str
    replacement: str


class UnsupportedModelError(TypeError):
    """The model is not, or not recognisably, a CPWL network.

    Attributes
    ----------
    offenders : tuple of Offender
        Every operation that was refused, in execution order; empty when the model could not be traced at all.
    """

    def __init__(self, message: str, offenders: tuple[Offender, ...] = ()) -> None:
        super().__init__(message)
        self.offenders = offenders

    @classmethod
    def from_offenders(cls, offenders: tuple[Offender, ...]) -> UnsupportedModelError:
        """The error whose text is a table of all offenders."""
        header = ("module", "operation", "shapes", "reason", "use instead")
        rows = [(o.path or "(model)", o.operation, o.shapes, o.reason, o.replacement) for o in offenders]
        count = len(offenders)
        noun = "operation is" if count == 1 else "operations are"
        return cls(
            f"model: expected a continuous piecewise-linear network, but {count} {noun} not supported:\n"
            + text_table(header, rows),
            offenders,
        )


def percent_text(share: float) -> str:
    """A share as a percentage, with two digits where it is small."""
    return f"{share:.0%}" if share >= 0.1 else f"{100 * share:.2g}%"


def shape_text(shape: tuple[Any, ...]) -> str:
    """A shape as `(3, 32, 32)`."""
    return "(" + ", ".join(str(size) for size in shape) + ("," if len(shape) == 1 else "") + ")"


def sizes_text(shape: tuple[Any, ...]) -> str:
    """A shape as `3 x 32 x 32`."""
    return " x ".join(str(size) for size in shape)


def text_table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Rows as text in aligned columns under a header."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in [header, *rows]]
    rule = "  ".join("-" * width for width in widths)
    return "\n".join([lines[0], rule, *lines[1:]])
