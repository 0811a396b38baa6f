"""A copy of the user's model: later training, hooks and buffers of the original and of the copy do not touch each other."""

from __future__ import annotations

import copy
import functools
import types
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from .errors import UnsupportedModelError


def snapshot(model: Any) -> tuple[nn.Module, bool]:
    """A copy of a model on the CPU in eval mode, and whether anything in it was in training mode.

    A function is copied with the modules and tensors that it closes over, takes as defaults or names among its globals.

    Raises
    ------
    TypeError
        If the model is not callable.
    UnsupportedModelError
        If it cannot be copied.
    """
    if type(model).__name__ == "ExportedProgram":  # whose module takes long to import
        raise TypeError("model: expected a torch module or a callable, got an ExportedProgram; hand over the "
                        "module that was exported")
    if not callable(model):
        raise TypeError(f"model: expected a torch module or a callable, got {type(model).__name__}")
    if isinstance(model, type):
        raise TypeError(f"model: expected a torch module or a callable, got the class {model.__name__}; make one of it")
    model = _unwrapped(model)
    copies = _Copies()
    try:
        if isinstance(model, nn.Module):
            return copies.module(model), copies.was_training
        function = copies.callable(model)
    except UnsupportedModelError:
        raise
    except Exception as error:
        raise UnsupportedModelError(f"model: expected a model that can be copied, but copying it failed: {error}") from error
    return _Function(function, copies.modules), copies.was_training


def _unwrapped(model: Any) -> Any:
    """The module inside `torch.compile` and data-parallel wrappers, which compute the same."""
    while isinstance(model, nn.Module):
        if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            model = model.module
        elif isinstance(getattr(model, "_orig_mod", None), nn.Module):
            model = model._orig_mod
        else:
            break
    return model


def _refuse_what_cannot_be_read(module: nn.Module) -> None:
    """Raise UnsupportedModelError for modules in which there is nothing to read, or not yet."""
    for path, part in module.named_modules():
        where = f" ({path})" if path else ""
        if isinstance(part, torch.jit.ScriptModule):
            raise UnsupportedModelError(
                f"model: expected a module in Python, got TorchScript{where}; hand over the module that was scripted or traced")
        if any(map(nn.parameter.is_lazy, (*part.parameters(recurse=False), *part.buffers(recurse=False)))):
            raise UnsupportedModelError(
                f"model: expected a module whose parameters have shapes, got {type(part).__name__}{where}; run it on a batch")


class _Function(nn.Module):
    """A function of torch operations as a module that knows the modules in it."""

    def __init__(self, function: Callable[..., Any], modules: list[nn.Module]) -> None:
        super().__init__()
        self.function = function
        self.inside = nn.ModuleList(modules)
        self.eval()

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(x)


class _Copies:
    """Copies of whatever a callable holds; what is shared stays shared."""

    def __init__(self) -> None:
        self.modules: list[nn.Module] = []
        self.was_training = False
        self._memo: dict[int, Any] = {}
        self._functions: dict[int, types.FunctionType] = {}

    def module(self, module: nn.Module) -> nn.Module:
        is_new = id(module) not in self._memo
        _refuse_what_cannot_be_read(module)
        for part in module.modules():
            # What was computed, as `weight_norm` and pruning leave it: torch copies no results. They are computed anew.
            for value in vars(part).values():
                if isinstance(value, torch.Tensor) and not value.is_leaf:
                    self._memo.setdefault(id(value), value.detach().clone())
        made: nn.Module = copy.deepcopy(module, self._memo)
        if is_new:
            self.was_training |= any(
                # Torch puts parametrizations in, in training mode whatever the others are in.
                part.training for path, part in module.named_modules() if "parametrizations" not in path.split("."))
            made = made.cpu().eval()
            for parameter in made.parameters():
                parameter.grad = None
            self.modules.append(made)
        return made

    def callable(self, function: Any) -> Any:
        if isinstance(function, types.MethodType):
            return types.MethodType(function.__func__, self._value(function.__self__))
        if isinstance(function, functools.partial):
            arguments = [self._value(a) for a in function.args]
            return functools.partial(self.callable(function.func), *arguments, **self._named(function.keywords))
        if isinstance(function, types.FunctionType):
            return self._function(function)
        return function

    def _function(self, function: types.FunctionType) -> types.FunctionType:
        if id(function) in self._functions:
            return self._functions[id(function)]
        names = {**function.__globals__}
        cells = None if function.__closure__ is None else tuple(types.CellType() for _ in function.__closure__)
        made = types.FunctionType(function.__code__, names, function.__name__, function.__defaults__, cells)
        self._functions[id(function)] = made  # before what it refers to, which may be itself
        for old, new in zip(function.__closure__ or (), cells or ()):
            try:
                new.cell_contents = self._value(old.cell_contents)
            except ValueError:  # a cell that nothing has been put into yet
                continue
        for name in _names_in(function.__code__) & set(names):
            names[name] = self._value(names[name])
        made.__defaults__ = None if function.__defaults__ is None else tuple(self._value(v) for v in function.__defaults__)
        made.__kwdefaults__ = None if function.__kwdefaults__ is None else self._named(function.__kwdefaults__)
        return made

    def _named(self, values: dict[str, Any]) -> dict[str, Any]:
        return {name: self._value(value) for name, value in values.items()}

    def _value(self, value: Any) -> Any:
        if isinstance(value, nn.Module):
            return self.module(_unwrapped(value))
        if isinstance(value, torch.Tensor):
            if id(value) not in self._memo:
                self._memo[id(value)] = value.detach().clone().cpu()
            return self._memo[id(value)]
        if isinstance(value, types.FunctionType) and not str(value.__module__).startswith("torch"):
            return self._function(value)
        if isinstance(value, (types.MethodType, functools.partial)):
            return self.callable(value)
        if type(value) in (list, tuple):
            return type(value)(self._value(v) for v in value)
        if type(value) is dict:
            return {key: self._value(v) for key, v in value.items()}
        return value


def _names_in(code: types.CodeType) -> set[str]:
    """Global names that code and the functions in it use."""
    inner = [_names_in(constant) for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return set(code.co_names).union(*inner)
