"""What tests of reading models share: statistics that do something, functions inside a module, all that must not change."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

CONSTANT = torch.tensor([0.5, -1.0, 2.0, 0.25, -3.0, 1.5])


def shaken(module: nn.Module, seed: int = 0) -> nn.Module:
    """The module in eval mode with random statistics in its batch norms, so that they do something."""
    generator = torch.Generator().manual_seed(seed)
    for m in module.modules():
        if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.running_mean is not None and m.running_var is not None:
            m.running_mean.copy_(torch.randn(m.running_mean.shape, generator=generator))
            m.running_var.copy_(torch.rand(m.running_var.shape, generator=generator) + 0.5)
            if m.affine:
                with torch.no_grad():
                    m.weight.copy_(torch.randn(m.weight.shape, generator=generator))
                    m.bias.copy_(torch.randn(m.bias.shape, generator=generator))
    return module.eval()


class Function(nn.Module):
    """A function of tensors after a linear layer and before a kink."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor], width: int = 6) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.function = nn.Linear(3, width), function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.function(self.first(x)))


def everything_about(model: nn.Module) -> dict[str, Any]:
    """All of a model and of torch's global state that a computation could change."""
    modules = dict(model.named_modules())
    return {
        "modes": {name: m.training for name, m in modules.items()},
        "hooks": {name: (len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks))
                  for name, m in modules.items()},
        "attributes": {name: sorted(vars(m)) for name, m in modules.items()},
        "forwards": {name: "forward" in vars(m) for name, m in modules.items()},
        "parameters": {name: (id(p), p.dtype, p.device, p.requires_grad, id(p.grad), p._version)
                       for name, p in model.named_parameters()},
        "buffers": {name: (id(b), b.dtype, b.device, b._version) for name, b in model.named_buffers()},
        "bits": {name: t.detach().numpy().tobytes() for name, t in model.state_dict().items()},
        "gradients": {name: None if p.grad is None else p.grad.numpy().tobytes()
                      for name, p in model.named_parameters()},
        "torch random": torch.get_rng_state().numpy().tobytes(),
        "numpy random": np.random.get_state()[1].tobytes(),
        "python random": random.getstate(),
        "torch": (torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads()),
    }
