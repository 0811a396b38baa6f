"""A traced operation and its arguments as the engine's steps have them."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import fx

from .network import FAR
from .steps import Call, Reference
from .tracing import shape_of, target_of


def float64(value: Any) -> Any:
    """Real and complex numbers in double precision; whole ones stay."""
    if isinstance(value, torch.Tensor):
        value = value.detach()
        if value.is_complex():
            return value.to(torch.complex128)
        return value.double() if value.dtype.is_floating_point else value
    return value


def finite(value: Any) -> Any:
    """Numbers and constants with `FAR` in place of infinity, as in padding before a maximum."""
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    if isinstance(value, float) and math.isinf(value):
        return math.copysign(FAR, value)
    if isinstance(value, torch.Tensor) and value.is_floating_point() and bool(value.isinf().any()):
        return value.clamp(-FAR, FAR)
    return value


def is_mask(value: Any) -> bool:
    """Whether it is a tensor of truth values."""
    return isinstance(value, torch.Tensor) and value.dtype == torch.bool


def refers(value: Any, name: str) -> bool:
    """Whether there is a reference to a step among arguments."""
    if isinstance(value, dict):
        return any(refers(v, name) for v in value.values())
    if isinstance(value, (list, tuple)):
        return any(refers(v, name) for v in value)
    return isinstance(value, Reference) and value.name == name


def caller(node: fx.Node) -> Call:
    """The operation of a node, as one that can be differentiated, for any number of rows."""
    target = target_of(node)
    if target is torch.ops.aten.squeeze.default:  # a batch of one must keep its axis
        shape = shape_of(node.all_input_nodes[0])
        axes = tuple(axis for axis, size in enumerate(shape) if axis > 0 and isinstance(size, int) and size == 1)
        return Call(torch.ops.aten.squeeze.dims, {"dim": axes})
    if target is torch.ops.aten.bmm.default:
        return Call(torch.ops.aten.matmul.default)  # which takes one matrix for the whole batch, too
    return Call(_DIFFERENTIABLE.get(target, target))


def _hardsigmoid(self: torch.Tensor) -> torch.Tensor:
    return (self + 3).clamp(0, 6) / 6


def _copied(self: torch.Tensor, src: torch.Tensor, non_blocking: bool) -> torch.Tensor:  # noqa: ARG001
    return src.expand(self.shape)


_DIFFERENTIABLE = {
    torch.ops.aten.hardsigmoid.default: _hardsigmoid, torch.ops.aten.copy.default: _copied,
    torch.ops.aten.detach.default: torch.ops.aten.alias.default,
}
"""In place of operations that torch differentiates only once, or not at all; certificates do so twice."""


def from_the_front(node: fx.Node, arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments in which axes given from the back are counted from the front."""
    n_axes = len(shape_of(node.all_input_nodes[0])) if node.all_input_nodes else 0

    def counted(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [counted(v) for v in value]
        return value % n_axes if isinstance(value, int) and n_axes else value

    axes = ("dim", "dims", "dim1", "dim2", "dimension")
    found = {name: counted(value) if name in axes else value for name, value in arguments.items()}
    return {**found, "n_axes": n_axes}
