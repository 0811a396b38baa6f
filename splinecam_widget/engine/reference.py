"""The user's model as it stands, asked in float64: what certificates compare with."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

_WIDER = {torch.float32: torch.float64, torch.float16: torch.float64, torch.bfloat16: torch.float64,
          torch.complex64: torch.complex128}


class InFloat64(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Casts to narrower floats, and new tensors of them, become float64: the engine computes with all its digits, too."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = dict(kwargs or {})
        if "dtype" in given:
            given["dtype"] = _WIDER.get(given["dtype"], given["dtype"])
        return func(*args, **given)


class DoubleModel(nn.Module):
    """A model that computes in float64 throughout.

    Parameters
    ----------
    module : nn.Module
        With its parameters in float64.
    place : int
        Which of the tensors that it returns.
    """

    def __init__(self, module: nn.Module, place: int) -> None:
        super().__init__()
        self.module = module
        self.place = place

    def forward(self, x: torch.Tensor) -> Any:
        with InFloat64():  # type: ignore[no-untyped-call]
            return pytree.tree_leaves(self.module(x))[self.place]
