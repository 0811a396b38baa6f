"""A walk over the graph of a traced model, which sorts its nodes: constant, affine, kink or refused."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import fx

from . import switches
from .arguments import caller, finite, float64, from_the_front, is_mask, refers
from .curves import APPROXIMABLE, curve_step, curved
from .errors import Offender, UnsupportedModelError
from .operations import AFFINE, KINKS, REASONS, REPLACEMENTS, WHOLE_MODULES, Affine, Kink
from .outputs import head_of
from .reading import Reading
from .reference import InFloat64
from .selections import SELECTIONS, rewritten, with_knots
from .sequences import Program
from .spectra import complex_step
from .steps import Call, Reference, Step
from .tracing import (
    ancestors,
    is_complex,
    is_random,
    kind_of_module,
    name_of,
    operation_of,
    path_of,
    shape_of,
    shapes_text,
    target_of,
    unit_shape,
)

Rule = Affine | Kink | None

SIZES = (2, 3)
"""Batches for which what depends on the size of the batch alone is tried out."""

VALUES = ("self", "other", "input", "value", "fill_value", "src", "alpha", "weight", "bias", "mat1", "mat2", "vec", "condition")
"""Arguments that hold numbers to compute with, not shapes or axes."""


class Walk:
    """Sorts every node of a graph: constant, batch size, affine, kink, condition, head or refused.

    Attributes
    ----------
    constants : dict
        Results that do not depend on the input, by name of their node.
    varying, conditions, sizes : set of str
        Nodes that depend on the input; that only take one of two values, whichever side of a line it is on; that depend on
        the size of the batch.
    rows : dict
        Of nodes that depend on the size of the batch alone: their results for batches of `SIZES`.
    refused : set of str
        Paths of modules that are refused as a whole.
    """

    def __init__(self, program: torch.export.ExportedProgram | Program, approximate: float | None) -> None:
        self.program = program
        self.approximate = approximate
        self.reading = Reading()
        self.constants: dict[str, Any] = {}
        self.varying: set[str] = set()
        self.conditions: set[str] = set()
        self.sizes: set[str] = set()
        self.rows: dict[str, tuple[Any, Any]] = {}
        self.refused: set[str] = set()
        self.batch: Any = None

    def to(self, result: Any) -> Reading:
        """What leads to a node."""
        signature = self.program.graph_signature
        stored = {**self.program.state_dict, **self.program.constants}
        targets = {**signature.inputs_to_parameters, **signature.inputs_to_buffers,
                   **signature.inputs_to_lifted_tensor_constants}
        self.reading.head, output = head_of(result)
        used = ancestors(output)
        for node in self.program.graph.nodes:
            if node.op == "placeholder":
                if node.name in targets:
                    value = self.constants[node.name] = float64(stored[targets[node.name]])
                    if node.name in signature.inputs_to_parameters:
                        self.reading.parameters[id(value)] = value.numel()
                else:
                    self.reading.input_name = node.name
                    self.varying.add(node.name)
                    self.batch = shape_of(node)[0]
            elif node.op == "call_function" and node in used:
                # Nothing comes of others, such as a check of a tensor's type, which the float64 copy does not have.
                self._take(node)
        if not isinstance(output, fx.Node) or output.name not in self.varying:
            raise UnsupportedModelError("model: expected an output that depends on the input, got a constant")
        if output.name in self.conditions or is_complex(output):
            reason, instead = "it is not continuous: a condition on the input is the output", "the numbers that are compared"
            if is_complex(output):
                reason, instead = "its complex numbers are the output", "view_as_real, .real or .imag"
            self.reading.entries.append(
                Offender(path_of(output), operation_of(output), shapes_text(output), reason, instead))
        self.reading.output_name = output.name
        self.reading.output_shape = unit_shape(output)
        return self.reading

    def _take(self, node: fx.Node) -> None:
        inputs = {n.name for n in node.all_input_nodes}
        if not inputs & (self.varying | self.sizes | self.rows.keys()):
            self._take_constant(node)
            return
        value = node.meta.get("val")
        if isinstance(value, (int, float, bool)):
            self.constants[node.name] = value  # the size of an axis other than the batch axis
            return
        self._take_rows(node)
        path, kind = kind_of_module(node)
        if kind and inputs & self.varying:
            if path not in self.refused:
                self.refused.add(path)
                self.reading.entries.append(
                    Offender(path, kind, shapes_text(node).split(" -> ")[0], *WHOLE_MODULES[kind]))
            self.varying.add(node.name)
            return
        if -1 in unit_shape(node) and inputs & self.varying and str(self.batch) not in map(str, shape_of(node)[1:]):
            by_mask = any(n.name in self.constants and is_mask(self.constants[n.name]) for n in node.all_input_nodes)
            if not any(n.name in self.varying and -1 in unit_shape(n) for n in node.all_input_nodes):
                self.reading.entries.append(Offender(
                    path_of(node), operation_of(node), shapes_text(node),
                    "it takes entries by a mask of truth values" if by_mask else "its shape is known only when it runs",
                    "their places as a list of numbers"))
            self.varying.add(node.name)
            return
        if not isinstance(value, (torch.Tensor, list, tuple)):
            self.sizes.add(node.name)  # a whole number that depends on the batch size
            self.reading.entries.append(self._step(node, self._by_name(node), "size", None))
            return
        is_fixed = node.name in self.rows
        steps = self._understood(node)
        if isinstance(steps, str):
            if is_fixed:
                return  # it may still stand where one row is enough
            operation = operation_of(node)
            replacement = REPLACEMENTS.get(operation, "an affine operation or ReLU")
            self.reading.entries.append(Offender(path_of(node), operation, shapes_text(node), steps, replacement))
        else:
            self.reading.entries.extend(steps)
        self.varying.add(node.name)

    def _take_constant(self, node: fx.Node) -> None:
        if is_random(node):
            self.reading.entries.append(
                Offender(path_of(node), name_of(node), shapes_text(node), "it is random", "a constant"))
            self.constants[node.name] = torch.zeros(node.meta["val"].shape, dtype=torch.float64)
        elif node.users:
            args, kwargs = self._resolved(node.args), self._resolved(node.kwargs)
            with InFloat64():  # type: ignore[no-untyped-call]
                self.constants[node.name] = float64(node.target(*args, **kwargs))  # type: ignore[operator]

    def _take_rows(self, node: fx.Node) -> None:
        if name_of(node) == "sym_size":
            self.rows[node.name] = SIZES
            return
        if is_random(node) or not all(n.name in self.rows or n.name in self.constants for n in node.all_input_nodes):
            return

        def found(i: int) -> Any:
            def value_of(one: fx.Node) -> Any:
                return self.rows[one.name][i] if one.name in self.rows else self.constants[one.name]

            return float64(target_of(node)(*fx.map_arg(node.args, value_of), **fx.map_arg(node.kwargs, value_of)))

        self.rows[node.name] = (found(0), found(1))

    def _row_of(self, value: Any) -> Any:
        """One row in place of a reference to a tensor that has the same in every row of any batch, else the reference."""
        if isinstance(value, (list, tuple)):
            return [self._row_of(v) for v in value]
        both = self.rows.get(value.name) if isinstance(value, Reference) else None
        if both is None or not all(
                isinstance(rows, torch.Tensor) and rows.ndim and len(rows) == n for rows, n in zip(both, SIZES)):
            return value
        row = both[0][:1]
        return row if all(torch.equal(rows, row.expand_as(rows)) for rows in both) else value

    def _understood(self, node: fx.Node) -> list[Step] | str:
        """The steps that a node stands for, or why it cannot be computed exactly."""
        steps = self._steps_of(node)
        if isinstance(steps, str):
            return steps
        made = set(self.varying)
        for step in steps:
            names = switches.names_in(list(step.arguments.values()))
            sizes = names & self.sizes
            if names - made - sizes or (sizes and step.kind != "affine"):
                return "it computes with the size of the batch"
            made.add(step.name)
        return steps

    def _steps_of(self, node: fx.Node) -> list[Step] | str:
        operation = operation_of(node)
        rule: Rule = KINKS.get(operation) or AFFINE.get(operation)
        if node.target is operator.getitem:
            operation, rule = "getitem", AFFINE["getitem"]
        arguments = self._by_name(node)
        if operation in switches.OPERATIONS or {n.name for n in node.all_input_nodes} & self.conditions:
            return self._switched(node, operation, arguments)
        complex_names = {n.name for n in node.all_input_nodes if is_complex(n)}
        if complex_names or is_complex(node):
            reason = self._batch_refusal(node, is_first_only=True, kinds="complex")
            if reason or node.target is torch.ops.aten.squeeze.default:
                return reason or "it is not known to be affine for complex numbers without an axis"
            found = complex_step(
                node.name, operation, path_of(node), arguments, complex_names & self.varying, target_of(node),
                self._input_shapes(node), unit_shape(node))
            return found if isinstance(found, str) else [found]
        if rule is None and operation in SELECTIONS:
            reason = self._batch_refusal(node, is_first_only=True)
            arguments = {k: v if k == "self" else self._row_of(v) for k, v in arguments.items()}
            return reason or rewritten(
                node.name, operation, path_of(node), arguments, self._input_shapes(node), unit_shape(node))
        if operation == "getitem" and operation_of(node.args[0]) in SELECTIONS and node.args[1] != 0:  # type: ignore[arg-type]
            return "it makes whole numbers of the input: the places of the largest"
        curve = curved(operation, arguments, self.approximate)
        if isinstance(curve, str):
            return curve
        if curve is not None:
            reason = self._batch_refusal(node, is_first_only=False)
            return reason or [
                curve_step(node.name, operation, path_of(node), curve, unit_shape(node), self.approximate)]
        arguments = self._with_rows(arguments, rule)
        if isinstance(rule, Affine) and rule.coefficients in ("selection", "none"):
            arguments = {name: finite(value) for name, value in arguments.items()}
        reason = self._refusal(node, operation, rule, arguments)
        if reason:
            return reason
        step = self._step(node, arguments, "kink" if isinstance(rule, Kink) else "affine", rule)
        return with_knots(step) if isinstance(rule, Kink) else [step]

    def _with_rows(self, arguments: dict[str, Any], rule: Rule) -> dict[str, Any]:
        """One row in place of what is the same in every row, where only one argument may depend on the input."""
        if not isinstance(rule, Affine) or rule.joint:
            return arguments
        varied = [k for k, v in arguments.items() if self._is_varying(v)]
        found = {k: self._row_of(v) if k in varied else v for k, v in arguments.items()}
        return found if any(self._is_varying(v) for v in found.values()) else arguments

    def _switched(self, node: fx.Node, operation: str, arguments: dict[str, Any]) -> list[Step] | str:
        reason = self._batch_refusal(node, is_first_only=True, kinds="bool")
        if switches.names_in(list(arguments.values())) & self.sizes:
            reason = "it computes with the size of the batch"
        if reason:
            return reason
        found = switches.steps_of(
            node.name, operation, path_of(node), arguments, self.varying - self.conditions, self.conditions,
            self._input_shapes(node), unit_shape(node), Call(target_of(node)))
        if not isinstance(found, str) and found[-1].is_condition:
            self.conditions.add(node.name)
        return found

    def _resolved(self, arguments: Any) -> Any:
        def value_of(node: fx.Node) -> Any:
            return self.constants[node.name] if node.name in self.constants else Reference(node.name)

        return fx.map_arg(arguments, value_of)

    def _by_name(self, node: fx.Node) -> dict[str, Any]:
        """A node's arguments by schema name, constants filled in."""
        args, kwargs = self._resolved(node.args), self._resolved(node.kwargs)
        schema = getattr(node.target, "_schema", None)
        if schema is None:
            return {str(i): a for i, a in enumerate(args)}
        named = {a.name: a.default_value for a in schema.arguments}
        for argument, value in zip(schema.arguments, args):
            named[argument.name] = value
        named.update(kwargs)
        if node.target is torch.ops.aten.bmm.default:
            named["other"] = named.pop("mat2")
        if node.target is torch.ops.aten.type_as.default:
            named["other"] = torch.zeros((), dtype=torch.float64)  # it only has a type
        return named

    def _input_shapes(self, node: fx.Node) -> tuple[tuple[int, ...], ...]:
        return tuple(unit_shape(n) for n in node.all_input_nodes if n.name in self.varying)

    def _step(self, node: fx.Node, arguments: dict[str, Any], kind: str, rule: Rule) -> Step:
        value = node.meta.get("val")
        is_new = "dtype" in arguments and isinstance(value, torch.Tensor) and value.dtype.is_floating_point
        if is_new or isinstance(arguments.get("dtype"), torch.dtype):  # None: torch's default, which is float32
            arguments = {**arguments, "dtype": torch.float64}
        sources = tuple(n.name for n in node.all_input_nodes if n.name in self.varying and refers(arguments, n.name))
        shape = unit_shape(node) if isinstance(value, torch.Tensor) else ()
        operation = "getitem" if node.target is operator.getitem else operation_of(node)
        return Step(node.name, operation, path_of(node), caller(node), arguments, kind, rule, sources, shape,
                    self._input_shapes(node))

    def _is_varying(self, value: Any) -> bool:
        if isinstance(value, (list, tuple)):
            return any(self._is_varying(v) for v in value)
        return isinstance(value, Reference) and value.name in self.varying | self.rows.keys() - self.sizes

    def _refusal(self, node: fx.Node, operation: str, rule: Rule, arguments: dict[str, Any]) -> str:
        """Why a node that depends on the input cannot be computed exactly, or ""."""
        if rule is None:
            reason = REASONS.get(operation, "it is not known to be piecewise linear")
            return f"{reason} (see approximate=)" if operation in APPROXIMABLE else reason
        if any(refers(arguments, name) for name in self.rows.keys() - self.varying - self.sizes):
            return "it computes with the size of the batch"
        if isinstance(rule, Affine) and operation != "getitem":
            varied = [k for k, v in arguments.items() if self._is_varying(v)]
            if [k for k in varied if k not in rule.varying]:
                return "it is not affine in this argument: " + ", ".join(k for k in varied if k not in rule.varying)
            if len(varied) > 1 and not rule.joint:
                return "it multiplies two tensors that both depend on the input"
            if any(isinstance(arguments.get(k), Reference) and arguments[k].name in self.sizes for k in VALUES):
                return "it computes with the size of the batch"
            reason = rule.refusal(from_the_front(node, arguments))
            if reason:
                return reason
        if isinstance(rule, Kink):
            if any(isinstance(v, Reference) and v.name in self.sizes for v in arguments.values()):
                return "it computes with the size of the batch"
            varied = [k for k, v in arguments.items() if self._is_varying(v) and k != rule.varying]
            reason = "it is not affine in this argument: " + ", ".join(varied) if varied else rule.refusal(arguments)
            if reason:
                return reason
        # Of batch norm, the others are statistics that nothing uses.
        return self._batch_refusal(node, is_first_only=operation == "_native_batch_norm_legit_no_training")

    def _batch_refusal(self, node: fx.Node, is_first_only: bool, kinds: str = "") -> str:
        values = node.meta["val"]
        values = list(values) if isinstance(values, (list, tuple)) else [values]
        for value in values[:1] if is_first_only else values:
            if isinstance(value, torch.Tensor):
                allowed = {"complex": value.is_complex(), "bool": value.dtype == torch.bool}.get(kinds, False)
                if not value.dtype.is_floating_point and not allowed:
                    return f"it makes {value.dtype} of the input"
                if value.ndim == 0 or str(value.shape[0]) != str(self.batch):
                    return "it mixes the inputs of a batch (the first axis must stay the batch axis)"
                if not all(isinstance(size, int) for size in value.shape[1:]):
                    return "it mixes the inputs of a batch (no axis but the first may be as large as the batch)"
        return ""
