"""A torch module as a graph of operations, mostly by torch.export, and what one node of such a graph says."""

from __future__ import annotations

import io
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import fx, nn
from torch.overrides import TorchFunctionMode

from .errors import UnsupportedModelError, shape_text
from .garbage import without_collections
from .loops import compiler_lock
from .operations import AFFINE, WHOLE_MODULES
from .sequences import Program, sequence


def traced(module: nn.Module, input_shape: tuple[int, ...]) -> torch.export.ExportedProgram | Program:
    """The graph of a module for any batch size; of a plain sequence of layers without torch.export.

    Raises
    ------
    UnsupportedModelError
        If it cannot be traced.
    """
    floats = [p.dtype for p in module.parameters() if p.dtype.is_floating_point]
    dtypes = [floats[0]] if floats else [torch.float32, torch.float64]
    program = sequence(module, input_shape, dtypes[0])
    if program is not None:
        return program
    # It patches torch, `builtins.max`, `builtins.min` and `math.pow` while it traces. Two traces at a time break each other,
    # and numba, which looks these functions up when it compiles or loads, must not meet them.
    with compiler_lock(), without_collections():
        return _exported(module, input_shape, dtypes)


def _exported(module: nn.Module, input_shape: tuple[int, ...], dtypes: list[torch.dtype]) -> torch.export.ExportedProgram:
    for i, dtype in enumerate(dtypes):
        example = torch.zeros(2, *input_shape, dtype=dtype)
        try:
            with _quiet(), torch.no_grad(), _Plainer():
                program = torch.export.export(
                    module, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},), strict=False
                )
                if any(_writes_into_shared(n) for n in program.graph.nodes):
                    program = program.run_decompositions({})  # makes in-place operations functional
            return program
        except (Exception, SystemExit) as error:
            if i + 1 < len(dtypes) and "dtype" in str(error):
                continue
            raise UnsupportedModelError(
                f"model: expected a module that runs on inputs of shape (batch, {', '.join(map(str, input_shape))}) "
                f"for any batch size and without data-dependent branches, but {_problem(error, input_shape)}"
            ) from error
    raise AssertionError("unreachable")


def _problem(error: BaseException, input_shape: tuple[int, ...]) -> str:
    text = " ".join(str(error).split())
    if "specialized it to be a constant" in text:
        return "it runs for one size of batch only: take x.shape[0] for the size of the batch, len(x) is a fixed number"
    if "data-dependent" in text:
        return ("it branches on values that depend on the input, or takes entries by a mask of truth values (take them by "
                "their places, mask.nonzero(), instead)")
    colours = "; if the last axis is that of colours, put it first" if (
        len(input_shape) == 3 and input_shape[2] in (1, 3, 4) and "channels" in text) else ""
    return (f"tracing it raised {type(error).__name__}: {text[:600].rstrip('.')}; the model was given inputs of shape "
            f"{shape_text((1, *input_shape))}, the shape of the anchors or the slice, each with a batch axis in front{colours}")


class _WithoutGraphs(io.TextIOBase):
    """A stream without the graphs that torch.export prints, beside raising, from this thread."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.thread = threading.get_ident()
        self._has_dropped = False

    def write(self, text: str) -> int:
        if threading.get_ident() == self.thread:
            drops = "def forward(self, arg" in text or (self._has_dropped and text == "\n")
            self._has_dropped = drops
            if drops:
                return len(text)
        return int(self.stream.write(text) or 0)

    def flush(self) -> None:
        self.stream.flush()


class _Plainer(TorchFunctionMode):
    """Writes functions that torch.export knows for one batch size only as operations that it knows for any."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _PLAINER.get(func, func)(*args, **(kwargs or {}))


def _bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
    found = torch.einsum("...i,kij,...j->...k", input1, weight, input2)
    return found if bias is None else found + bias


def _take_along_dim(input: Any, indices: Any, dim: int | None = None) -> Any:  # noqa: A002
    if dim is None or isinstance(indices, torch.Tensor) is False:
        return torch.take_along_dim(input, indices, dim)
    axis = dim % input.ndim
    shape = [max(a, b) if i != axis else b for i, (a, b) in enumerate(zip(input.shape[1:], indices.shape[1:]), 1)]
    return input.expand(-1, *(shape[i - 1] if i != axis else -1 for i in range(1, input.ndim))).gather(
        axis, indices.expand(input.shape[0], *shape))


def _softshrink(input: Any, lambd: float = 0.5) -> Any:  # noqa: A002
    return input - input.clamp(-lambd, lambd)  # torch.export may write it as two choices that each jump


_PLAINER: dict[Any, Callable[..., Any]] = {
    F.softshrink: _softshrink,
    F.bilinear: _bilinear, torch.bilinear: _bilinear, torch.take_along_dim: _take_along_dim,
    torch.Tensor.take_along_dim: _take_along_dim,
}


@contextmanager
def _quiet() -> Iterator[None]:
    """torch.export's warnings and logs held back: what goes wrong is raised, and said once."""
    loggers = [logging.getLogger(f"torch.{name}") for name in ("_subclasses.fake_tensor", "fx.experimental.symbolic_shapes")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings(), redirect_stderr(_WithoutGraphs(sys.stderr)):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)


def name_of(node: fx.Node) -> str:
    """Name of the operation that a node calls, without namespace and overload."""
    schema = getattr(node.target, "_schema", None)
    return str(schema.name).split("::")[-1] if schema is not None else getattr(node.target, "__name__", str(node.target))


def operation_of(node: fx.Node) -> str:
    """The same as the tables have it: in-place forms and operators under the plain name."""
    name = name_of(node)
    if name.startswith("__") and name.endswith("__"):
        return name.strip("_")
    return name.rstrip("_") or name


def _is_in_place(node: fx.Node) -> bool:
    return hasattr(node.target, "_schema") and name_of(node).endswith("_") and not name_of(node).startswith("__")


def _writes_into_shared(node: fx.Node) -> bool:
    """Whether an in-place operation changes a tensor that another operation may see.

    The plain operation takes its place where the tensor is fresh (no view of another) and used by nothing else.
    """
    if node.op != "call_function" or not _is_in_place(node):
        return False
    target = node.args[0] if node.args else None
    if not isinstance(target, fx.Node) or target.op != "call_function" or len(target.users) > 1:
        return True
    rule = AFFINE.get(operation_of(target))
    return _plain_form(node) is None or (rule is not None and rule.coefficients == "selection")


def _plain_form(node: fx.Node) -> Any:
    """The operation of an in-place node that makes a new tensor, or None."""
    packet = getattr(torch.ops.aten, operation_of(node), None)
    return getattr(packet, node.target._overloadname, None) if packet is not None else None  # type: ignore[union-attr]


def target_of(node: fx.Node) -> Any:
    """What a node calls, never in place."""
    return _plain_form(node) if _is_in_place(node) else node.target


def is_random(node: fx.Node) -> bool:
    """Whether a node draws random numbers; dropout has a rule of its own."""
    return torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()) and "dropout" not in name_of(node)


def path_of(node: fx.Node) -> str:
    """Dotted path of the module that calls a node."""
    stack = node.meta.get("nn_module_stack") or {}
    paths = [entry[0] for entry in stack.values()]
    return str(paths[-1]) if paths else ""


def kind_of_module(node: fx.Node) -> tuple[str, str]:
    """Path and class name of the outermost module of `WHOLE_MODULES` that a node is in, or two empty strings."""
    for path, kind in (node.meta.get("nn_module_stack") or {}).values():
        name = str(kind).rsplit(".", 1)[-1]
        if str(kind).startswith("torch.nn.") and name in WHOLE_MODULES:
            return str(path), name
    return "", ""


def shape_of(node: fx.Node) -> tuple[Any, ...]:
    """Shape of a node's result, with the batch axis; of the first where it returns several."""
    value = node.meta.get("val")
    if isinstance(value, (list, tuple)) and value:
        value = value[0]
    return tuple(value.shape) if isinstance(value, torch.Tensor) else ()


def unit_shape(node: fx.Node) -> tuple[int, ...]:
    """The same without the batch axis; -1 for sizes that are not the same for every input and batch.

    Complex numbers are pairs on a last axis of two.
    """
    return tuple(size if isinstance(size, int) else -1 for size in shape_of(node)[1:]) + (2,) * is_complex(node)


def is_complex(node: fx.Node) -> bool:
    """Whether the result of a node has complex numbers."""
    value = node.meta.get("val")
    return isinstance(value, torch.Tensor) and value.is_complex()


def shapes_text(node: fx.Node) -> str:
    """Shapes into and out of a node, without the batch axis."""
    into = [n for n in node.all_input_nodes if n.op == "call_function" or not n.name.startswith(("p_", "b_", "c_"))]
    return f"{', '.join(shape_text(shape_of(n)[1:]) for n in into)} -> {shape_text(shape_of(node)[1:])}"


def ancestors(result: Any) -> set[fx.Node]:
    """A node and all that it is computed from."""
    found: set[fx.Node] = set()
    waiting = [result] if isinstance(result, fx.Node) else []
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting.extend(node.all_input_nodes)
    return found
