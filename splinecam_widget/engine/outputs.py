"""Which tensor of what a model returns is looked at, and the heads on it that are set aside."""

from __future__ import annotations

import math
import operator
from typing import Any

import torch
from torch import fx
from torch.utils import _pytree as pytree

from .errors import UnsupportedModelError, shape_text
from .heads import HEADS, OF_ENTRIES
from .sequences import Program
from .tracing import operation_of, shape_of

LAYOUTS = frozenset({
    "squeeze", "unsqueeze", "flatten", "unflatten", "view", "view_as", "reshape", "reshape_as", "_unsafe_view", "clone",
    "detach", "alias", "contiguous", "_to_copy", "to"})
"""Operations after which a tensor has the same entries in the same order."""

DROPOUTS = frozenset({"dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"})
"""Those as well, where they do not train."""

CHOICES = frozenset({"select", "slice", "permute", "transpose", "t"})
"""Those after which it has some of them, each once at most, in some order."""


def chosen_output(program: torch.export.ExportedProgram | Program, output: str | int | None) -> tuple[int, Any]:
    """Place among all outputs and node of the one that is looked at.

    Parameters
    ----------
    output : str, int or None
        A key or attribute of what the model returns, or a place in it; None: there is only one.

    Raises
    ------
    UnsupportedModelError
        If there are several and none is chosen.
    ValueError
        If the chosen one is not there, or is several tensors itself.
    """
    nodes = {node.name: node for node in program.graph.nodes}
    names = program.graph_signature.user_outputs
    structure = pytree.tree_unflatten(list(range(len(names))), program.call_spec.out_spec)
    places = pytree.tree_flatten_with_path(structure)[0]
    if output is None:
        if len(places) == 1:
            return 0, nodes.get(names[0])
        raise UnsupportedModelError(
            f"model: expected one output tensor, got {_listed(places, names, nodes)}; choose one with output=... of "
            "compute_partition, compute_line or the widget; other functions take the `network` of such a result as their model")
    if len(places) == 1 and not places[0][0]:
        raise ValueError("output: expected None, since it picks one of several tensors that a model returns (not a class) and "
                         f"this model returns one tensor, got {output!r}")
    found = [place for path, place in places if path and _key(path[0]) == output and type(output) in (str, int)]
    if len(found) != 1:
        problem = "nothing of that name or number" if not found else f"{len(found)} tensors"
        raise ValueError(f"output: expected one tensor of {_listed(places, names, nodes)}, got {problem} for {output!r}")
    return found[0], nodes.get(names[found[0]])


def _key(entry: Any) -> Any:
    for attribute in ("key", "idx", "name"):
        if hasattr(entry, attribute):
            return getattr(entry, attribute)
    return str(entry)


def _listed(places: Any, names: Any, nodes: dict[str, fx.Node]) -> str:
    if not places:
        return "a structure of no tensors"
    texts = []
    for path, place in places:
        node = nodes.get(names[place])
        shape = shape_text(shape_of(node)[1:]) if node is not None else "a constant"
        texts.append(f"{pytree.keystr(path) or 'output'} {shape}")
    return f"a structure of {len(texts)} tensor{'s' * (len(texts) > 1)}: " + ", ".join(texts)


def head_of(result: Any) -> tuple[str, Any]:
    """Name of the head that is set aside ("" if none), and the node of the outputs without it.

    Behind it the outputs may change their layout, or be cast to other floats; behind one of single entries, such as a sigmoid,
    some may be left out. What does so then follows what was below the head: the graph is changed.
    """
    behind: list[fx.Node] = []
    node = result
    while _passes_on(node):
        behind.append(node)
        node = node.args[0]
    name, below = _head_at(node)
    if not name or (name not in OF_ENTRIES and any(operation_of(one) in CHOICES for one in behind)):
        return "", result
    if name == "argmax" or not behind:  # of a class no tensor of outputs is left
        return name, below
    if not all(one.meta["val"].dtype.is_floating_point for one in behind):
        return "", result
    behind[-1].replace_input_with(node, below)
    return name, result


def _passes_on(node: Any) -> bool:
    """Whether a node only passes on entries of one other tensor."""
    if not isinstance(node, fx.Node) or operation_of(node) not in LAYOUTS | CHOICES | DROPOUTS:
        return False
    if operation_of(node) == "view" and any(isinstance(one, torch.dtype) for one in node.args):
        return False  # bits as numbers of another type
    tensors = [one for one in node.all_input_nodes if isinstance(one.meta.get("val"), torch.Tensor)]
    if operation_of(node) in DROPOUTS and node.args[-1] is not False:  # `train`
        return False
    return isinstance(node.meta.get("val"), torch.Tensor) and tensors[:1] == [node.args[0]]


def _head_at(node: Any) -> tuple[str, Any]:
    """The same where nothing follows the head."""
    if not isinstance(node, fx.Node) or node.op != "call_function" or not node.args:
        return "", node
    name, below = operation_of(node).strip("_").removeprefix("special_"), node.args[0]
    if node.target is operator.getitem and node.args[1] == 1 and isinstance(below, fx.Node) and operation_of(below) == "max":
        node, name, below = below, "argmax", below.args[0]  # the places of the largest
    if name == "argmax":
        axis = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
        inner, logits = head_of(below) if _is_over_all(below, axis) else ("argmax", below)
        return ("", node) if inner == "argmax" else ("argmax", logits)  # else what keeps the order changes nothing
    if name == "log":
        inner, logits = _head_at(below)
        return ("log_softmax", logits) if inner == "softmax" else ("", node)
    if name not in HEADS or ("softmax" in name and not _is_over_all(below, node.args[1])):
        return "", node  # over another axis than that of all outputs a softmax does not keep their order
    return ("sigmoid" if name == "expit" else name), below


def _is_over_all(node: Any, axis: Any) -> bool:
    """Whether an axis holds all outputs for one input."""
    shape = shape_of(node)
    return axis is not None and bool(axis % len(shape)) and math.prod(shape[1:]) == shape[axis]
