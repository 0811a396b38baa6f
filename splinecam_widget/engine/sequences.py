"""Models that are known layers one after the other, as graphs of operations without torch.export.

What torch.export imports when it is first used takes two seconds, most of the time of a small network's first picture. Layers
of torch's own in sequence need no trace: each is one operation, and the graph is that of torch.export. Whatever is not surely
such a sequence is left to it, errors included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx, nn
from torch.utils import _pytree as pytree

aten = torch.ops.aten

ROWS = 2
"""Of the inputs by which shapes are found."""


@dataclass
class Signature:
    """Which inputs of a graph are whose: the part of torch.export's signature that a walk over a graph reads."""

    inputs_to_parameters: dict[str, str] = field(default_factory=dict)
    inputs_to_buffers: dict[str, str] = field(default_factory=dict)
    inputs_to_lifted_tensor_constants: dict[str, str] = field(default_factory=dict)
    user_outputs: list[str] = field(default_factory=list)


@dataclass
class CallSpec:
    """How the outputs of a graph make up what the model returns."""

    out_spec: Any = field(default_factory=lambda: pytree.tree_flatten(0)[1])


@dataclass
class Program:
    """A graph and its constants, as torch.export has them. The results in it have `ROWS` rows."""

    graph: fx.Graph
    state_dict: dict[str, torch.Tensor]
    graph_signature: Signature = field(default_factory=Signature)
    call_spec: CallSpec = field(default_factory=CallSpec)
    constants: dict[str, Any] = field(default_factory=dict)


def sequence(module: nn.Module, input_shape: tuple[int, ...], dtype: torch.dtype) -> Program | None:
    """The graph of a module that is one of `LAYERS`, or a `Sequential` of them; None for any other.

    Parameters
    ----------
    module : nn.Module
    input_shape : tuple of int
        Shape of one input, without the batch axis.
    dtype : torch.dtype
        Of the input.
    """
    found = list(_layers(module, ""))
    layers = [(path, layer) for path, layer in found if layer is not None]
    if len(layers) < len(found) or not _are_different(layer for _, layer in layers) or _is_watched():
        return None
    stored = {**dict(module.named_parameters(remove_duplicate=False)), **dict(module.named_buffers(remove_duplicate=False))}
    if not _are_different(stored.values()):
        return None
    program = Program(fx.Graph(), stored)
    writer = _Writer(program)
    node = writer.input(input_shape, dtype)
    try:
        for path, layer in layers:
            result = writer.layer(node, path, layer)
            if result is None:
                return None
            node = result
    except (RuntimeError, TypeError, ValueError, IndexError):  # shapes or types that do not fit; told by torch.export
        return None
    program.graph_signature.user_outputs = [node.name]
    return program if node.op == "call_function" else None


def _layers(module: nn.Module | None, path: str) -> Iterator[tuple[str, nn.Module | None]]:
    """Path and layer in the order of calls; None in place of what is not known."""
    if module is None or not _is_plain(module):
        yield path, None
    elif type(module) is nn.Sequential:
        for name, inner in module._modules.items():
            yield from _layers(inner, f"{path}.{name}" if path else name)
    else:
        yield path, module if type(module).forward is _FORWARDS.get(type(module)) else None


def _are_different(things: Iterable[Any]) -> bool:
    ids = [id(thing) for thing in things]
    return len(set(ids)) == len(ids)


def _is_plain(module: nn.Module) -> bool:
    """Whether a call of a module runs its class's own `forward` and nothing else."""
    return not vars(module).keys() & _CALLS and not any(vars(module).get(name) for name in _HOOKS)


_CALLS = {"forward", "_call_impl", "_slow_forward", "_wrapped_call_impl"}
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def _is_watched() -> bool:
    """Whether a hook for all modules or a mode for all functions, such as a default device, may change what layers do."""
    return bool(torch._C._len_torch_function_stack()) or any(getattr(nn.modules.module, f"_global{name}") for name in _HOOKS)


class _Writer:
    """Puts the operations of layers into a graph, inputs first."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.names = {id(value): name for name, value in program.state_dict.items()}
        self.nodes: dict[str, fx.Node] = {}

    def input(self, shape: tuple[int, ...], dtype: torch.dtype) -> fx.Node:
        graph, signature = self.program.graph, self.program.graph_signature
        for name, value in self.program.state_dict.items():
            kind = "p" if isinstance(value, nn.Parameter) else "b"
            node = self.nodes[name] = graph.placeholder(f"{kind}_{name.replace('.', '_')}")
            node.meta["val"] = value
            (signature.inputs_to_parameters if kind == "p" else signature.inputs_to_buffers)[node.name] = name
        node = graph.placeholder("input")
        node.name = "input"  # fx avoids the names of Python's own functions, torch.export does not
        node.meta["val"] = torch.zeros(ROWS, *shape, dtype=dtype, device="cpu")
        return node

    def layer(self, node: fx.Node, path: str, layer: nn.Module) -> fx.Node | None:
        """The node of a layer's result, or None if its operation is not surely known."""
        call = LAYERS[type(layer)](layer, node.meta["val"])
        if call is None:
            return None
        if not call:
            return node
        target, *rest = call
        if any(isinstance(value, torch.Tensor) and id(value) not in self.names for value in rest):
            return None
        arguments = (node, *(self.nodes[self.names[id(v)]] if isinstance(v, torch.Tensor) else v for v in rest))
        made = self.program.graph.create_node("call_function", target, arguments, name=target.overloadpacket.__name__)
        with torch.no_grad():
            made.meta["val"] = target(*fx.map_arg(arguments, lambda n: n.meta["val"]))
        kind = f"{type(layer).__module__}.{type(layer).__qualname__}"
        made.meta["nn_module_stack"] = {path: (path, kind)}
        return made if made.meta["val"].shape[:1] == (ROWS,) else None


Written = tuple[Any, ...] | None
"""An operation and its arguments after the first, nothing where a layer does nothing, or None where it is not known."""


def _linear(layer: nn.Linear, x: torch.Tensor) -> Written:
    bias: torch.Tensor | None = layer.bias
    if x.ndim < 2 or (bias is not None and bias.ndim != 1):
        return None
    return aten.linear.default, layer.weight, bias


def _conv2d(layer: nn.Conv2d, x: torch.Tensor) -> Written:
    if x.ndim != 4 or layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        return None
    return (aten.conv2d.default, layer.weight, layer.bias, list(layer.stride), list(layer.padding), list(layer.dilation),
            layer.groups)


def _batch_norm(layer: nn.BatchNorm1d | nn.BatchNorm2d, x: torch.Tensor) -> Written:
    n_axes = (4,) if isinstance(layer, nn.BatchNorm2d) else (2, 3)
    if x.ndim not in n_axes or layer.training or layer.running_mean is None or layer.running_var is None:
        return None
    return (aten.batch_norm.default, layer.weight, layer.bias, layer.running_mean, layer.running_var, False, layer.momentum,
            layer.eps, torch.backends.cudnn.enabled)


def _max_pool2d(layer: nn.MaxPool2d, x: torch.Tensor) -> Written:
    if x.ndim != 4 or layer.return_indices:
        return None
    size, stride, padding, dilation = (
        [v, v] if isinstance(v, int) else list(v) for v in (layer.kernel_size, layer.stride, layer.padding, layer.dilation))
    return aten.max_pool2d.default, size, stride, padding, dilation, layer.ceil_mode


LAYERS: dict[type[nn.Module], Callable[[Any, torch.Tensor], Written]] = {
    nn.Linear: _linear,
    nn.Conv2d: _conv2d,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.MaxPool2d: _max_pool2d,
    nn.ReLU: lambda *_: (aten.relu.default,),  # in place or not: nothing else sees what it writes into
    nn.LeakyReLU: lambda layer, _: (aten.leaky_relu.default, layer.negative_slope),
    nn.Flatten: lambda layer, _: (aten.flatten.using_ints, layer.start_dim, layer.end_dim),
    nn.Dropout: lambda layer, _: None if layer.training else (aten.dropout.default, layer.p, False),
    nn.Softmax: lambda layer, _: None if layer.dim is None else (aten.softmax.int, layer.dim),
    nn.LogSoftmax: lambda layer, _: None if layer.dim is None else (aten.log_softmax.int, layer.dim),
    nn.Sigmoid: lambda *_: (aten.sigmoid.default,),
    nn.Identity: lambda *_: (),
}
"""What each layer calls, from itself and its input."""

_FORWARDS = {kind: kind.forward for kind in LAYERS}
"""As they were imported: where one has been replaced since, the table above is not true of it."""
