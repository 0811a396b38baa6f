"""What the engine understood of a model, as a table. Does not raise for a model it cannot compute."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import Offender, UnsupportedModelError, shape_text, text_table
from .lowering import read


class Explanation:
    """A table of a model's operations, printed by `print` and shown by notebooks.

    Attributes
    ----------
    rows : list of tuple of str
        Module path, operation, shapes, and what it is: affine, kink with its number of units, head, or refused and why.
    is_supported : bool
    message : str
        The table as text, with a summary above.
    """

    def __init__(self, rows: list[tuple[str, ...]], summary: str, is_supported: bool) -> None:
        self.rows = rows
        self.is_supported = is_supported
        self.message = summary + ("\n" + text_table(("module", "operation", "shapes", "understood as"), rows) if rows else "")

    def __str__(self) -> str:
        return self.message

    __repr__ = __str__


def explain(model: Any, x: Any) -> Explanation:
    """What the engine understands of a model, operation by operation, without raising for unsupported ones.

    Parameters
    ----------
    model : nn.Module or callable of torch operations
    x : (*input_shape,) tensor or array
        One input, without the batch axis; only its shape matters.

    Raises
    ------
    TypeError
        If the model is not callable.

    Examples
    --------
    >>> import torch
    >>> explain(torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU()), torch.zeros(2)).is_supported
    True
    """
    shape = tuple(int(s) for s in np.shape(x))
    try:
        reading = read(model, shape)
    except UnsupportedModelError as error:
        return Explanation([], str(error), False)
    rows: list[tuple[str, ...]] = []
    layer = 0
    bends: set[str] = set()
    for entry in reading.entries:
        if isinstance(entry, Offender):
            understood = f"refused: {entry.reason}; use {entry.replacement}"
            rows.append((entry.path or "(model)", entry.operation, entry.shapes, understood))
            continue
        bends.update(entry.node or entry.name for _ in range(entry.is_cut))
        if entry.kind == "size" or (entry.node and entry.node != entry.name):
            continue  # of an operation in several steps, the last one stands for all
        understood = "affine"
        if entry.name in bends:
            understood = f"kink {layer} with {int(np.prod(entry.shape))} units"
            layer += 1
        shapes = ", ".join(shape_text(s) for s in entry.input_shapes) + " -> " + shape_text(entry.shape)
        rows.append((entry.path or "(model)", entry.part_of or entry.operation, shapes, understood))
    if reading.head:
        rows.append(("(model)", reading.head, "", "head, set aside: it keeps the order of the logits"))
    supported = not reading.offenders
    summary = ("continuous piecewise-linear" if supported else f"{len(reading.offenders)} operations refused")
    if reading.was_training:
        summary += "; in training mode, computed as in eval mode on a copy"
    return Explanation(rows, summary, supported)
