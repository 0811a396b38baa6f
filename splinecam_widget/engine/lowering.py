"""From a user's torch model to a list of affine steps and kinks. Never touches the model: works on a copy in eval mode."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import torch

from .curves import FINEST
from .network import Network
from .outputs import chosen_output
from .reading import Reading
from .reference import DoubleModel
from .sequences import Program
from .snapshot import snapshot
from .tracing import traced
from .walk import Walk

PACKAGE = __name__.split(".")[0]


def lower(
    model: Any, input_shape: tuple[int, ...], output: str | int | None = None, approximate: float | None = None
) -> Network:
    """The model as a CPWL network.

    Parameters
    ----------
    model : nn.Module or callable of torch operations
    input_shape : tuple of int
        Shape of one input, without the batch axis.
    output : str, int or None
        Which of several outputs, by key, attribute or place.
    approximate : float or None
        Smooth activations are replaced by piecewise-linear ones that differ by at most this much; None: they are refused.

    Raises
    ------
    UnsupportedModelError
        If it cannot be traced, or an operation is neither affine nor a known kink; lists all of them.
    TypeError
        If the model is not callable.
    ValueError
        If `output` names none of the outputs, or `approximate` is not a finite number from 1e-10 on.

    Warns
    -----
    UserWarning
        If `input_shape` looks like that of a batch.
    """
    reading = read(model, input_shape, output, approximate)
    network = reading.network()
    if reading.batch_note:
        warnings.warn(f"model: {reading.batch_note}", stacklevel=_level_outside())
    return network


@torch.inference_mode(False)  # what is made within it cannot be differentiated ever after
def read(
    model: Any, input_shape: tuple[int, ...], output: str | int | None = None, approximate: float | None = None
) -> Reading:
    """As `lower`, but with refused operations recorded and not raised."""
    if approximate is not None and not _is_tolerance(approximate):
        raise ValueError(f"approximate: expected a finite number from {FINEST:g} on, or None, got {approximate!r}")
    module, was_training = snapshot(model)
    program = traced(module, input_shape)
    place, result = chosen_output(program, output)
    reading = Walk(program, approximate).to(result)
    reading.was_training = was_training
    reading.input_shape = input_shape
    reading.reference = DoubleModel(module.double(), place, not isinstance(program, Program))
    return reading


def _level_outside() -> int:
    """The stack level, for a warning of the caller's, of the code that called this package."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] == PACKAGE:
        level, frame = level + 1, frame.f_back
    return level


def _is_tolerance(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and FINEST <= value < float("inf")
