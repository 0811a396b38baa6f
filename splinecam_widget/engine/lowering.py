"""From a user's torch model to a list of affine steps and kinks. Never touches the model: works on a copy in eval mode."""

from __future__ import annotations

import logging
import math
import operator
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx, nn

from .errors import Offender, UnsupportedModelError, shape_text
from .network import Call, Network, Reference, Step
from .operations import AFFINE, HEADS, KINKS, REASONS, REPLACEMENTS, Affine, Kink
from .selections import SELECTIONS, rewritten, with_knots
from .snapshot import snapshot


@dataclass
class Reading:
    """All that a walk over a traced graph finds: the steps, and every operation that is refused."""

    entries: list[Step | Offender] = field(default_factory=list)
    head: str = ""
    input_name: str = ""
    output_name: str = ""
    output_shape: tuple[int, ...] = ()
    was_training: bool = False
    input_shape: tuple[int, ...] = ()
    reference: nn.Module | None = None

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


def lower(model: Any, input_shape: tuple[int, ...]) -> Network:
    """The model as a CPWL network.

    Parameters
    ----------
    model : nn.Module or callable of torch operations
    input_shape : tuple of int
        Shape of one input, without the batch axis.

    Raises
    ------
    UnsupportedModelError
        If it cannot be traced, or an operation is neither affine nor a known kink; lists all of them.
    TypeError
        If the model is not callable.
    """
    return read(model, input_shape).network()


def read(model: Any, input_shape: tuple[int, ...]) -> Reading:
    """As `lower`, but with refused operations recorded and not raised."""
    module, was_training = snapshot(model)
    program = _traced(module, input_shape)
    reading = _walk(program)
    reading.was_training = was_training
    reading.input_shape = input_shape
    reading.reference = module.double()
    return reading


@contextmanager
def _quiet() -> Iterator[None]:
    """torch.export's warnings and logs held back: what goes wrong is raised, and said once."""
    loggers = [logging.getLogger(f"torch.{name}") for name in ("_subclasses.fake_tensor", "fx.experimental.symbolic_shapes")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)


TRACING = threading.RLock()
"""torch.export patches torch, `builtins.max`, `builtins.min` and `math.pow` while it traces. Two traces at a time break each
other, and numba, which looks these functions up when it compiles or loads, must not meet them."""


def _traced(module: nn.Module, input_shape: tuple[int, ...]) -> torch.export.ExportedProgram:
    with TRACING:
        return _exported(module, input_shape)


def _exported(module: nn.Module, input_shape: tuple[int, ...]) -> torch.export.ExportedProgram:
    floats = [p.dtype for p in module.parameters() if p.dtype.is_floating_point]
    dtypes = [floats[0]] if floats else [torch.float32, torch.float64]
    for i, dtype in enumerate(dtypes):
        example = torch.zeros(2, *input_shape, dtype=dtype)
        try:
            with _quiet(), torch.no_grad():
                program = torch.export.export(
                    module, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},), strict=False
                )
                if any(_writes_into_shared(n) for n in program.graph.nodes):
                    program = program.run_decompositions({})  # makes in-place operations functional
            return program
        except (Exception, SystemExit) as error:
            if i + 1 < len(dtypes) and "dtype" in str(error):
                continue
            text = " ".join(str(error).split())
            raise UnsupportedModelError(
                f"model: expected a module that runs on inputs of shape (batch, {', '.join(map(str, input_shape))}) "
                f"for any batch size and without data-dependent branches, but tracing it raised "
                f"{type(error).__name__}: {text[:600]}"
            ) from error
    raise AssertionError("unreachable")


def _name(node: fx.Node) -> str:
    """Name of the operation that a node calls, without namespace and overload."""
    schema = getattr(node.target, "_schema", None)
    return str(schema.name).split("::")[-1] if schema is not None else getattr(node.target, "__name__", str(node.target))


def _writes_into_shared(node: fx.Node) -> bool:
    """Whether an in-place operation changes a tensor that another operation may see.

    The plain operation takes its place where the tensor is fresh (no view of another) and used by nothing else.
    """
    if node.op != "call_function" or not _name(node).endswith("_") or _name(node).startswith("__"):
        return False
    target = node.args[0] if node.args else None
    if not isinstance(target, fx.Node) or target.op != "call_function" or len(target.users) > 1:
        return True
    rule = AFFINE.get(_name(target).rstrip("_"))
    return _plain(node) is None or (rule is not None and rule.coefficients == "selection")


def _plain(node: fx.Node) -> Any:
    """The operation of an in-place node that makes a new tensor, or None."""
    packet = getattr(torch.ops.aten, _name(node).rstrip("_"), None)
    return getattr(packet, node.target._overloadname, None) if packet is not None else None  # type: ignore[union-attr]


def _path(node: fx.Node) -> str:
    stack = node.meta.get("nn_module_stack") or {}
    paths = [entry[0] for entry in stack.values()]
    return str(paths[-1]) if paths else ""


def _shape(node: fx.Node) -> tuple[Any, ...]:
    value = node.meta.get("val")
    return tuple(value.shape) if isinstance(value, torch.Tensor) else ()


def _walk(program: torch.export.ExportedProgram) -> Reading:
    """Sort every node of the graph: constant, batch size, affine, kink, head or refused."""
    signature = program.graph_signature
    stored = {**program.state_dict, **program.constants}
    targets = {**signature.inputs_to_parameters, **signature.inputs_to_buffers, **signature.inputs_to_lifted_tensor_constants}
    reading = Reading()
    constants: dict[str, Any] = {}
    varying: set[str] = set()
    sizes: set[str] = set()
    batch: Any = None
    nodes = list(program.graph.nodes)
    result = _only_output(nodes, program)
    head = _head(result)
    used = _ancestors(result)
    for node in nodes:
        if node.op == "placeholder":
            if node.name in targets:
                constants[node.name] = _float64(stored[targets[node.name]])
            else:
                reading.input_name = node.name
                varying.add(node.name)
                batch = _shape(node)[0]
            continue
        if node.op != "call_function" or node not in used or node is head:
            continue  # nothing comes of it, such as a check of a tensor's type, which the float64 copy does not have
        inputs = {n.name for n in node.all_input_nodes}
        if not inputs & (varying | sizes):
            if _is_random(node):
                reading.entries.append(
                    Offender(_path(node), _name(node), _shapes_text(node), "it is random", "a constant"))
                constants[node.name] = torch.zeros(node.meta["val"].shape, dtype=torch.float64)
            elif node.users:
                args, kwargs = _resolved(node.args, constants), _resolved(node.kwargs, constants)
                constants[node.name] = _float64(node.target(*args, **kwargs))
            continue
        value = node.meta.get("val")
        if isinstance(value, (int, float, bool)):
            constants[node.name] = value  # the size of an axis other than the batch axis
            continue
        if not isinstance(value, (torch.Tensor, list, tuple)):
            sizes.add(node.name)  # a whole number that depends on the batch size
            reading.entries.append(_step(node, constants, varying, "size", None))
            continue
        varying.add(node.name)
        operation = _name(node).rstrip("_") or _name(node)
        rule: Affine | Kink | None = KINKS.get(operation) or AFFINE.get(operation)
        if node.target is operator.getitem:
            operation, rule = "getitem", AFFINE["getitem"]
        steps = _understood(node, operation, rule, constants, varying, batch)
        if isinstance(steps, str):
            replacement = REPLACEMENTS.get(operation, "an affine operation or ReLU")
            reading.entries.append(Offender(_path(node), operation, _shapes_text(node), steps, replacement))
        else:
            reading.entries.extend(steps)
    output = head.args[0] if head is not None else result
    if not isinstance(output, fx.Node) or output.name not in varying:
        raise UnsupportedModelError("model: expected an output that depends on the input, got a constant")
    reading.head = _name(head) if head is not None else ""
    reading.output_name = output.name
    reading.output_shape = tuple(int(s) for s in _shape(output)[1:])
    return reading


def _ancestors(result: Any) -> set[fx.Node]:
    """A node and all that it is computed from."""
    found: set[fx.Node] = set()
    waiting = [result] if isinstance(result, fx.Node) else []
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting.extend(node.all_input_nodes)
    return found


def _only_output(nodes: list[fx.Node], program: torch.export.ExportedProgram) -> Any:
    outputs = program.graph_signature.user_outputs
    if len(outputs) != 1 or program.call_spec.out_spec.num_nodes > 1:
        raise UnsupportedModelError(f"model: expected one output tensor, got a structure of {len(outputs)} tensors")
    return next((n for n in nodes if n.name == outputs[0]), None)


def _head(result: Any) -> fx.Node | None:
    if not isinstance(result, fx.Node) or result.op != "call_function" or _name(result) not in HEADS:
        return None
    shape = _shape(result)
    axis: Any = result.args[1] if "softmax" in _name(result) else None
    if axis is not None and (axis % len(shape) == 0 or math.prod(shape[1:]) != shape[axis]):
        return None  # over another axis than that of all outputs it does not keep their order
    return result


def _float64(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        value = value.detach()
        return value.double() if value.dtype.is_floating_point else value
    return value


def _resolved(arguments: Any, constants: dict[str, Any]) -> Any:
    def value_of(node: fx.Node) -> Any:
        return constants[node.name] if node.name in constants else Reference(node.name)

    return fx.map_arg(arguments, value_of)


def _by_name(node: fx.Node, constants: dict[str, Any]) -> dict[str, Any]:
    """A node's arguments by schema name, constants filled in."""
    args, kwargs = _resolved(node.args, constants), _resolved(node.kwargs, constants)
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return {str(i): a for i, a in enumerate(args)}
    named = {a.name: a.default_value for a in schema.arguments}
    for argument, value in zip(schema.arguments, args):
        named[argument.name] = value
    named.update(kwargs)
    return named


def _step(node: fx.Node, constants: dict[str, Any], varying: set[str], kind: str, rule: Affine | Kink | None) -> Step:
    arguments = _by_name(node, constants)
    if "dtype" in arguments and isinstance(arguments["dtype"], torch.dtype):
        arguments["dtype"] = torch.float64
    sources = tuple(n.name for n in node.all_input_nodes if n.name in varying)
    shapes = tuple(tuple(int(s) for s in _shape(n)[1:]) for n in node.all_input_nodes if n.name in varying)
    value = node.meta.get("val")
    shape = tuple(int(s) for s in value.shape[1:]) if isinstance(value, torch.Tensor) else ()
    operation = "getitem" if node.target is operator.getitem else (_name(node).rstrip("_") or _name(node))
    return Step(node.name, operation, _path(node), _caller(node), arguments, kind, rule, sources, shape, shapes)


def _caller(node: fx.Node) -> Call:
    in_place = hasattr(node.target, "_schema") and _name(node).endswith("_")
    target: Any = _plain(node) if in_place else node.target
    if target is torch.ops.aten.squeeze.default:  # a batch of one must keep its axis
        shape = _shape(node.all_input_nodes[0])
        axes = tuple(axis for axis, size in enumerate(shape) if axis > 0 and isinstance(size, int) and size == 1)
        return Call(torch.ops.aten.squeeze.dims, {"dim": axes})
    return Call(target)


def _understood(node: fx.Node, operation: str, rule: Affine | Kink | None, constants: dict[str, Any], varying: set[str],
                batch: Any) -> list[Step] | str:
    """The steps that a node stands for, or why it cannot be computed exactly."""
    if rule is None and operation in SELECTIONS:
        reason = _batch_refusal(node, batch, is_first_only=True)
        shapes = tuple(tuple(int(s) for s in _shape(n)[1:]) for n in node.all_input_nodes if n.name in varying)
        value = node.meta["val"]
        shape = tuple(int(s) for s in (value[0] if isinstance(value, (list, tuple)) else value).shape[1:])
        return reason or rewritten(node.name, operation, _path(node), _by_name(node, constants), shapes, shape)
    if operation == "getitem" and _name(node.args[0]).rstrip("_") in SELECTIONS and node.args[1] != 0:  # type: ignore[arg-type]
        return "it makes whole numbers of the input: the places of the largest"
    reason = _refusal(node, operation, rule, constants, varying, batch)
    if reason:
        return reason
    step = _step(node, constants, varying, "kink" if isinstance(rule, Kink) else "affine", rule)
    return with_knots(step) if isinstance(rule, Kink) else [step]


def _is_random(node: fx.Node) -> bool:
    return torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()) and "dropout" not in _name(node)


def _is_varying(value: Any, varying: set[str]) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_is_varying(v, varying) for v in value)
    return isinstance(value, Reference) and value.name in varying


def _refusal(node: fx.Node, operation: str, rule: Affine | Kink | None, constants: dict[str, Any], varying: set[str],
             batch: Any) -> str:
    """Why a node that depends on the input cannot be computed exactly, or ""."""
    if rule is None:
        return REASONS.get(operation, "it is not known to be piecewise linear")
    arguments = _by_name(node, constants)
    if isinstance(rule, Affine) and operation != "getitem":
        varied = [k for k, v in arguments.items() if _is_varying(v, varying)]
        if [k for k in varied if k not in rule.varying]:
            return "it is not affine in this argument: " + ", ".join(k for k in varied if k not in rule.varying)
        if len(varied) > 1 and not rule.joint:
            return "it multiplies two tensors that both depend on the input"
        if any(isinstance(arguments.get(k), Reference) and arguments[k].name not in varying for k in VALUES):
            return "it computes with the size of the batch"
        reason = rule.refusal(_from_the_front(node, arguments))
        if reason:
            return reason
    if isinstance(rule, Kink):
        if any(isinstance(v, Reference) and v.name not in varying for v in arguments.values()):
            return "it computes with the size of the batch"
        varied = [k for k, v in arguments.items() if _is_varying(v, varying) and k != rule.varying]
        reason = "it is not affine in this argument: " + ", ".join(varied) if varied else rule.refusal(arguments)
        if reason:
            return reason
    # Of batch norm, the others are statistics that nothing uses.
    return _batch_refusal(node, batch, is_first_only=operation == "_native_batch_norm_legit_no_training")


def _from_the_front(node: fx.Node, arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments in which axes given from the back are counted from the front."""
    n_axes = len(_shape(node.all_input_nodes[0])) if node.all_input_nodes else 0

    def counted(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [counted(v) for v in value]
        return value % n_axes if isinstance(value, int) and n_axes else value

    axes = ("dim", "dims", "dim1", "dim2", "dimension")
    found = {name: counted(value) if name in axes else value for name, value in arguments.items()}
    return {**found, "n_axes": n_axes}


VALUES = ("self", "other", "input", "value", "fill_value", "src", "alpha", "weight", "bias", "mat1", "mat2", "vec", "condition")
"""Arguments that hold numbers to compute with, not shapes or axes."""


def _batch_refusal(node: fx.Node, batch: Any, is_first_only: bool) -> str:
    values = node.meta["val"]
    values = list(values) if isinstance(values, (list, tuple)) else [values]
    for value in values[:1] if is_first_only else values:
        if isinstance(value, torch.Tensor):
            if not value.dtype.is_floating_point:
                return f"it makes {value.dtype} of the input"
            if value.ndim == 0 or str(value.shape[0]) != str(batch):
                return "it mixes the inputs of a batch (the first axis must stay the batch axis)"
    return ""


def _shapes_text(node: fx.Node) -> str:
    """Shapes into and out of a node, without the batch axis."""
    into = ", ".join(shape_text(_shape(n)[1:]) for n in node.all_input_nodes if n.op == "call_function" or not _is_stored(n))
    return f"{into} -> {shape_text(_shape(node)[1:])}"


def _is_stored(node: fx.Node) -> bool:
    return node.name.startswith(("p_", "b_", "c_"))
