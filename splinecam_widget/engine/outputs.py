"""Which tensor of what a model returns is looked at, and the heads on it that are set aside."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import fx
from torch.utils import _pytree as pytree

from .errors import UnsupportedModelError, shape_text
from .operations import HEADS
from .sequences import Program
from .tracing import name_of, shape_of


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
        if len(places) == 1 and not places[0][0]:
            return 0, nodes.get(names[0])
        raise UnsupportedModelError(
            f"model: expected one output tensor, got {_listed(places, names, nodes)}; choose one with output=...")
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
    """Name of the head that is set aside ("" if none), and the node below it."""
    if not isinstance(result, fx.Node) or result.op != "call_function" or not result.args:
        return "", result
    name, below = name_of(result), result.args[0]
    if name == "argmax":
        axis = result.args[1] if len(result.args) > 1 else result.kwargs.get("dim")
        if not _is_over_all(below, axis):
            return "", result
        return "argmax", head_of(below)[1]  # what keeps the order under an argmax changes nothing
    if name not in HEADS:
        return "", result
    if "softmax" in name and not _is_over_all(below, result.args[1]):
        return "", result  # over another axis than that of all outputs it does not keep their order
    return name, below


def _is_over_all(node: Any, axis: Any) -> bool:
    """Whether an axis holds all outputs for one input."""
    shape = shape_of(node)
    return axis is not None and bool(axis % len(shape)) and math.prod(shape[1:]) == shape[axis]
