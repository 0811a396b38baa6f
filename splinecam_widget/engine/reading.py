"""What is found of a model while it is read: a network, or every operation that is refused."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import nn

from .errors import Offender, UnsupportedModelError, shape_text
from .network import Network
from .steps import Step

ROW_ROUNDINGS = 1e-9
"""Of the largest output: products of matrices that have several rows may be summed in another order than those of one, which
changes d terms by d roundings of float64 each; this is enough for d = 1000 in every one of a thousand layers."""


@dataclass
class Reading:
    """All that a walk over a traced graph finds: the steps, and every operation that is refused.

    `parameters` has the size of each, by the `id` of the constant that holds it.
    """

    entries: list[Step | Offender] = field(default_factory=list)
    head: str = ""
    input_name: str = ""
    output_name: str = ""
    output_shape: tuple[int, ...] = ()
    was_training: bool = False
    input_shape: tuple[int, ...] = ()
    reference: nn.Module | None = None
    parameters: dict[int, int] = field(default_factory=dict)

    @cached_property
    def batch_note(self) -> str:
        """That an input looks like a batch: it has rows, of each of which the model makes one row, alone; or ""."""
        inside, outside = self.input_shape, self.output_shape
        if len(inside) != 2 or len(outside) != 2 or inside[0] != outside[0] or inside[0] == 1 or inside[1] == outside[1]:
            return ""  # what keeps the shape may be a function of each entry, such as of a picture
        if self.offenders or not _takes_rows_apart(self.reference, inside):
            return ""
        return (f"an input of shape {shape_text(inside)} gives outputs of shape {shape_text(outside)}, which looks like a "
                f"batch of {inside[0]}; one input is expected")

    @property
    def offenders(self) -> tuple[Offender, ...]:
        return tuple(entry for entry in self.entries if isinstance(entry, Offender))

    def network(self) -> Network:
        """The network.

        Raises
        ------
        UnsupportedModelError
            With all offenders.
        """
        if self.offenders:
            raise UnsupportedModelError.from_offenders(self.offenders)
        n_outputs = 1
        for size in self.output_shape:
            n_outputs *= size
        steps = tuple(entry for entry in self.entries if isinstance(entry, Step))
        return Network(self.input_shape, self.input_name, self.output_name, steps, self.head, self.was_training, n_outputs,
                       self.reference)


def _takes_rows_apart(model: Any, shape: tuple[int, ...]) -> bool:
    """Whether a model makes of every row of one input what it makes of an input of this row alone."""
    x = torch.linspace(-1, 1, math.prod(shape), dtype=torch.float64).reshape(shape)
    try:
        with torch.no_grad():
            together, apart = model(x[None])[0], model(x[:, None])[:, 0]
            if together.shape != apart.shape or not together.numel():
                return False
            return bool((together - apart).abs().max() <= ROW_ROUNDINGS * together.abs().max())
    except Exception:  # it takes no other number of rows
        return False
