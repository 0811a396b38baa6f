"""The user's model as it stands, asked in float64: what certificates compare with."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

_WIDER = {torch.float32: torch.float64, torch.float16: torch.float64, torch.bfloat16: torch.float64,
          torch.complex64: torch.complex128}


class InFloat64(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Narrower floats that a model brings along or casts to become float64: the engine computes with all its digits, too."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = dict(kwargs or {})
        if "dtype" in given:
            given["dtype"] = _WIDER.get(given["dtype"], given["dtype"])
        # What is written to, or may be through a view, must stay the tensor that it is.
        is_shared = any(argument.alias_info is not None for argument in func._schema.arguments)
        if not is_shared:
            args, given = pytree.tree_map_only(torch.Tensor, _widened, (args, given))
        found = func(*args, **given)
        is_made = not any(isinstance(value, torch.Tensor) for value in pytree.tree_leaves((args, given)))
        return pytree.tree_map_only(torch.Tensor, _widened, found) if is_made else found


def _widened(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to(_WIDER.get(tensor.dtype, tensor.dtype))


class DoubleModel(nn.Module):
    """A model that computes in float64 throughout.

    Parameters
    ----------
    module : nn.Module
        With its parameters in float64.
    place : int
        Which of the tensors that it returns.
    may_narrow : bool
        Whether it may bring narrower floats along, or cast to them. Watching for them takes time, and makes torch import its
        compiler.
    """

    def __init__(self, module: nn.Module, place: int, may_narrow: bool = True) -> None:
        super().__init__()
        self.module = module
        self.place = place
        self.may_narrow = may_narrow

    def forward(self, x: torch.Tensor) -> Any:
        with InFloat64() if self.may_narrow else nullcontext():  # type: ignore[no-untyped-call]
            return pytree.tree_leaves(self.module(x))[self.place]
