"""Fourier transforms and what is done with their results: complex tensors as pairs of real ones, on a last axis of two."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from .operations import AFFINE
from .steps import Call, Reference, Step

_TRANSFORMS = {f"fft_{kind}{axes}" for kind in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft") for axes in ("", "2", "n")}

_SELECTIONS = {"view_as_real", "view_as_complex", "real", "imag", "select", "slice", "view", "reshape", "flatten", "unsqueeze",
               "squeeze", "permute", "transpose", "clone", "alias", "fft_fftshift", "fft_ifftshift", "conj", "resolve_conj",
               "_conj", "getitem", "expand"}


class InPairs(Call):
    """A torch operation in which complex tensors are given, and returned, as pairs.

    Parameters
    ----------
    complex_arguments : tuple of str
        Names of the arguments that stand for complex tensors.
    """

    def __init__(self, target: Any, complex_arguments: tuple[str, ...]) -> None:
        super().__init__(target)
        self.complex_arguments = complex_arguments

    def __call__(self, arguments: dict[str, Any]) -> Any:
        given = {k: torch.view_as_complex(v.contiguous()) if k in self.complex_arguments else v for k, v in arguments.items()}
        found = super().__call__(given)
        return torch.view_as_real(found.resolve_conj()) if found.is_complex() else found

    def __reduce__(self) -> Any:
        return _in_pairs, (super().__reduce__(), self.complex_arguments)


def _in_pairs(made: Any, complex_arguments: tuple[str, ...]) -> InPairs:
    function, arguments = made
    return InPairs(function(*arguments).target, complex_arguments)


def complex_step(
    name: str, operation: str, path: str, arguments: Mapping[str, Any], complex_names: set[str], target: Any,
    input_shapes: tuple[tuple[int, ...], ...], shape: tuple[int, ...],
) -> Step | str:
    """The step of an operation with a complex operand or result, or why it cannot be one.

    Parameters
    ----------
    complex_names : set of str
        Earlier results that are complex.
    shape : tuple of int
        Of the result, with an axis of two if it is complex.
    """
    varied = [k for k, v in arguments.items() if isinstance(v, Reference)]
    complex_arguments = tuple(k for k in varied if arguments[k].name in complex_names)
    axes = _axes(operation, arguments, len(input_shapes[0]) - bool(complex_arguments)) if operation in _TRANSFORMS else ()
    if operation in ("fft_fftshift", "fft_ifftshift"):
        axes = (0,) if arguments.get("dim") is None else _axes(operation, arguments, len(input_shapes[0]) - 1)
    if 0 in axes:
        return "it mixes the inputs of a batch (the first axis must stay the batch axis)"
    known = operation in _TRANSFORMS or operation in _SELECTIONS or (operation == "mul" and len(varied) == 1)
    if not known or len(varied) != 1:
        return "it is not known to be affine for complex numbers"
    return Step(name, operation, path, InPairs(target, complex_arguments), dict(arguments), "spectrum", AFFINE["spectrum"],
                (arguments[varied[0]].name,), shape, input_shapes)


def _axes(operation: str, arguments: Mapping[str, Any], n_axes: int) -> tuple[int, ...]:
    """Transformed axes of an operand with `n_axes` axes beside the batch axis, counted with the batch axis as 0."""
    given = arguments.get("dim")
    if operation.endswith("2") and given is None:
        given = (-2, -1)
    if given is None:
        given = tuple(range(n_axes + 1)) if operation.endswith("n") else -1
    axes = given if isinstance(given, (list, tuple)) else (given,)
    return tuple(axis % (n_axes + 1) for axis in axes)


def spectrum_rows(step: Step, rows: torch.Tensor, roundoff: float) -> torch.Tensor:
    """Bounds (2, *shape) of squared magnitude and squared rounding error of a step's result, from those of its operand."""
    call = step.call
    assert isinstance(call, InPairs)
    (argument,) = (k for k, v in step.arguments.items() if isinstance(v, Reference))
    is_complex = argument in call.complex_arguments
    if step.operation in _SELECTIONS:
        selected: torch.Tensor = call({**step.arguments, argument: rows}).abs()  # conjugation only turns signs
        return selected
    sums = rows.sum(-1) if is_complex else rows  # of squares of both parts
    terms = 2.0
    if step.operation == "mul":
        factor = next(v for v in (step.arguments["self"], step.arguments["other"]) if not isinstance(v, Reference))
        found = sums * torch.as_tensor(factor).abs().double() ** 2
    else:
        axes = _axes(step.operation, step.arguments, sums.ndim - 1)
        n_in = math.prod(sums.shape[axis] for axis in axes)
        n_out = math.prod(_size(step, axis) for axis in axes)
        found = sums.sum(axes, keepdim=True) * _scale(step, max(n_in, n_out)) ** 2
        terms = 2.0 * n_in
    shape = step.shape
    result_is_complex = found.ndim == len(shape)
    found = (found[..., None] if result_is_complex else found).expand(2, *shape)
    square, variance = found
    return torch.stack([terms * square, variance + (terms * roundoff) ** 2 * square])


def _size(step: Step, axis: int) -> int:
    return step.shape[axis - 1]


def _scale(step: Step, n: int) -> float:
    """The largest coefficient's magnitude; a real result from half a spectrum takes most entries twice."""
    inverse = "ifft" in step.operation or "irfft" in step.operation or "ihfft" in step.operation
    norm = step.arguments.get("norm")
    shrinks = inverse if norm in (None, "backward") else norm == "forward" and not inverse
    twice = 2.0 if "irfft" in step.operation or step.operation.startswith("fft_hfft") else 1.0
    return twice * (1 / math.sqrt(n) if norm == "ortho" else 1 / n if shrinks else 1.0)
