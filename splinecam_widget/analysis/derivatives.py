"""Derivatives of a network along directions, on many cells, each layer at one place of each cell of the layers before."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from splinecam_widget.engine.arrays import Float64
from splinecam_widget.engine.evaluation import row_chunks_of_width
from splinecam_widget.engine.graph import component_ids
from splinecam_widget.engine.hats import Hats, hats_of
from splinecam_widget.engine.network import Network
from splinecam_widget.engine.operations import Affine, Kink
from splinecam_widget.engine.planar import Int32, Int64
from splinecam_widget.engine.steps import Reference, Stage, Step, run_steps
from splinecam_widget.engine.threads import apart, on_all_cores

from . import _derivative_kernels
from .quantities import largest_cells

if TYPE_CHECKING:
    from splinecam_widget.engine.partition import Partition

Tensors = dict[str, torch.Tensor]
"""By the names of the steps whose results they are."""

SHARED = 64
"""Finding the cells of the first layers looks at all cells; for one in so many or fewer, the network is run on each alone."""


FLIPS = 32
"""A cell that n lines cross has about n * n / 2 parts, each with about n / 4 units bent otherwise than at the place where the
network is run: some sqrt(parts / 8). Adding one costs what eight of a product with all of them cost, of w units in all: it pays
for fewer than w / 8, or w * w / 8 parts. A fourth of that, for what else it takes."""


@dataclass(frozen=True, eq=False)
class _Ancestry:
    """In which cell of the partitions by the first layers some cells lie.

    Attributes
    ----------
    order : (n,) int64
        The cells in an order in which those of one cell of the first layers are neighbours, for any number of layers.
    largest : (L + 1, n) int32
        In that order, for each number of layers, the largest cell of this partition that lies in the same cell of them.
    """

    order: Int64
    largest: Int32

    @classmethod
    def of(cls, partition: Partition, cells: Int64) -> _Ancestry:
        n_layers = len(partition.layers)
        if len(cells) * SHARED <= partition.n_cells:
            return cls(np.arange(len(cells)), np.tile(cells.astype(np.int32), (n_layers + 1, 1)))
        found = np.empty((n_layers + 1, len(cells)), np.int32)
        ids = largest = np.arange(partition.n_cells)
        for k in range(n_layers, -1, -1):
            links = ids[partition.edge_cells[partition.edge_layer == k]]  # what the layer k has cut
            groups = component_ids(len(largest), links)
            largest = largest[largest_cells(groups, partition.areas[largest], int(groups.max()) + 1)]
            ids = groups[ids]
            found[k] = largest[ids[cells]]
        order = np.lexsort(found[::-1])
        return cls(order, found[:, order])

    def between(self, rows: slice) -> list[tuple[Int64, Int32]]:
        """For every number of layers, where the groups of a run of the cells begin, and the largest cell of each."""
        starts = [np.flatnonzero(np.diff(of_each, prepend=-1)) for of_each in self.largest[:, rows]]
        return [(first, of_each[first]) for first, of_each in zip(starts, self.largest[:, rows])]


def derivatives_along(
    partition: Partition, cells: Int64, directions: Float64, coefficients: Float64
) -> tuple[Float64, Float64]:
    """Outputs (n, K) at the cells' centroids, and their derivatives (n, K, m) along m directions of input space.

    Parameters
    ----------
    directions : (m, *input_shape) float64
    coefficients : (2, m) float64
        What the slice's basis vectors are in terms of the directions.

    Notes
    -----
    Before the k-th layer of kinks a network is affine on the cells of the first k layers, of which there are far fewer than of
    all. So it is run on one place of each, with its derivatives, and carried along them to a place of every cell that the
    layer makes of it. Where a layer makes few of each, it is run before that: in every other cell some units of the layer
    bend the other way, and what they change is added, see `engine.hats`.
    """
    network, m = partition.network, len(directions)
    outputs = np.empty((len(cells), network.n_outputs))
    slopes = np.empty((len(cells), network.n_outputs, m))
    if not len(cells):
        return outputs, slopes
    ancestry = _Ancestry.of(partition, cells)
    centroids = partition.centroids
    widest = max(stage.width for stage in network.stages)
    n_places = [1 + np.count_nonzero(np.diff(of_each)) for of_each in ancestry.largest]

    def read(hats: list[Hats | None], rows: slice) -> None:
        levels = [(starts, centroids[largest]) for starts, largest in ancestry.between(rows)]
        values, tangents = _run(network, hats, partition.plane.to_input, levels, directions, coefficients)
        where = ancestry.order[rows]
        of_cell = np.repeat(np.arange(len(values)), np.diff(levels[-1][0], append=len(where)))  # a cell may be asked for twice
        outputs[where] = values[of_cell]
        slopes[where] = np.moveaxis(tangents, 0, 2)[of_cell]

    chunks = row_chunks_of_width((1 + m) * widest, len(cells))
    def work(tick: Callable[[], None]) -> None:
        hats = [_hats_that_pay(network, before, after, n_places[layer:layer + 2], tick)
                for layer, before, after in zip(network.layer_of_cut, network.stages, network.stages[1:])]
        on_all_cores(partial(read, hats), chunks, tick=tick)

    apart(work, lambda: None)
    return outputs, slopes


def _hats_that_pay(
    network: Network, before: Stage, after: Stage, n_places: list[int], tick: Callable[[], None]
) -> Hats | None:
    """Of the stage after a cut that makes so many places, the second number, of the first.

    Finding them takes as long as running the stage at one place for each entry that it keeps.
    """
    assert before.cut is not None
    n_kept = sum(math.prod(network.shapes[name]) for name in after.kept)
    n_units = math.prod(network.shapes[before.cut.sources[0]])
    if n_places[1] - n_places[0] < n_kept or FLIPS * n_places[1] > n_places[0] * n_units ** 2:
        return None
    return hats_of(after, network.shapes, tick)


def _run(
    network: Network, hats: list[Hats | None], to_input: Callable[[Float64], Float64], levels: list[tuple[Int64, Float64]],
    directions: Float64, coefficients: Float64,
) -> tuple[Float64, Float64]:
    """Outputs (n, K) and derivatives (m, n, K) at the places of the last level, by way of those of all levels."""
    level = 0
    starts, places = levels[0]
    rows = {network.input_name: torch.from_numpy(to_input(places))}
    tangents = {network.input_name: torch.from_numpy(directions)[:, None].expand(-1, len(starts), *network.input_shape)}
    rows, tangents = _after(network.stages[0], rows, tangents)
    for layer, stage, its_hats in zip(network.layer_of_cut, network.stages[1:], hats):
        if layer < level:  # a later cut of the same layer finds the cells of that layer
            rows, tangents = _after(stage, rows, tangents)
            continue
        level = layer + 1
        parents = np.searchsorted(starts, levels[level][0], side="right") - 1
        moves = np.ascontiguousarray(((levels[level][1] - places[parents]) @ coefficients).T)
        if its_hats is not None and its_hats.source in tangents:  # else it depends on the batch's size alone
            before, along = (_flat(of_all[its_hats.source].contiguous(), axes) for of_all, axes in ((rows, 1), (tangents, 2)))
            rows, tangents = _carried(*_after(stage, rows, tangents), parents, moves)
            for name, columns in its_hats.columns.items():
                _derivative_kernels.add_hats(
                    before, along, parents, moves, columns, _flat(rows[name], 1), _flat(tangents[name], 2))
        else:
            rows, tangents = _after(stage, *_carried(rows, tangents, parents, moves))
        starts, places = levels[level]
    n, m = len(starts), len(directions)
    values = rows[network.output_name].reshape(n, -1).numpy()
    if network.output_name not in tangents:  # a constant
        return values, np.zeros((m, *values.shape))
    return values, tangents[network.output_name].reshape(m, n, -1).numpy()


def _carried(rows: Tensors, tangents: Tensors, parents: Int64, moves: Float64) -> tuple[Tensors, Tensors]:
    """All tensors at other places of the same affine pieces, `moves` (m, n) along the directions from those of `parents`."""
    of, steps = torch.from_numpy(parents), torch.from_numpy(moves)
    tangents = {name: of_one.index_select(1, of) for name, of_one in tangents.items()}
    rows = {name: of_one.index_select(0, of) for name, of_one in rows.items()}
    for name, of_each in tangents.items():
        for step, along in zip(steps, of_each):
            rows[name].addcmul_(step.reshape(-1, *[1] * (along.ndim - 1)).to(along.dtype), along)
    return rows, tangents


def _flat(x: torch.Tensor, axes: int) -> Float64:
    """The same memory, with all that follows the first axes as one."""
    found: Float64 = x.view(*x.shape[:axes], -1).numpy()
    return found


def _after(stage: Stage, rows: Tensors, tangents: Tensors) -> tuple[Tensors, Tensors]:
    """The tensors (n, *shape) that a stage keeps, and the derivatives (m, n, *shape) of those that depend on the input."""
    n = len(next(iter(rows.values())))
    env: dict[str, Any] = dict(rows)
    moving = dict(tangents)
    lists: dict[str, tuple[Step, ...]] = {}  # steps whose result is a list of tensors, with all that such a list is made of
    for step in stage.steps:
        env |= run_steps((step,), env, n)
        steps = (*(one for name in step.sources for one in lists.get(name, ())), step)
        sources = [name for one in steps for name in one.sources if name in moving]
        result = env[step.name]
        if not sources or step.is_condition:
            continue
        if not isinstance(result, torch.Tensor):
            lists[step.name] = steps
        elif result.is_floating_point() or result.is_complex():
            moving[step.name] = _derivatives(steps, sources, env, moving)
    return {name: env[name] for name in stage.kept}, {name: moving[name] for name in stage.kept if name in moving}


def _derivatives(steps: tuple[Step, ...], sources: list[str], env: dict[str, Any], moving: Tensors) -> torch.Tensor:
    """Of the last step's result (m, n, *shape), from those of what the steps are made of."""
    step, first = steps[-1], moving[sources[0]]
    if step.operation == "linear":
        along: torch.Tensor = F.linear(first, step.arguments["weight"])
        return along
    linear = _of_linear(step, env, moving) if len(steps) == 1 else None
    if linear is not None:
        return linear
    if step.operation == "larger_of_pairs":
        return _of_larger(env[step.sources[1]], moving[step.sources[1]])
    bent = _bent_alone(step)
    if bent and env[bent].shape == env[step.name].shape:  # entry by entry
        x = env[bent].detach().requires_grad_()
        with torch.enable_grad():
            (slopes,) = torch.autograd.grad(step.result({**env, bent: x}).sum(), x)
        return torch.mul(slopes, moving[bent])
    sources = list(dict.fromkeys(sources))
    with torch.enable_grad():
        inputs = {name: env[name].detach().requires_grad_() for name in sources}
        result = run_steps(steps, {**env, **inputs}, len(env[sources[0]]))[step.name]
        found = torch.zeros((len(first), *result.shape), dtype=result.dtype)
        if not result.requires_grad:
            return found
        # Differentiating backwards twice, unlike forward differentiation, changes nothing outside this thread.
        weights = torch.zeros_like(result, requires_grad=True)
        backs = torch.autograd.grad(_product(result, weights), list(inputs.values()), create_graph=True, materialize_grads=True)
        parts = [(back, name) for back, name in zip(backs, sources) if back.requires_grad]
        for i in range(len(first) if parts else 0):
            products = [_product(back, moving[name][i]) for back, name in parts]
            (found[i],) = torch.autograd.grad(products, weights, retain_graph=True)
    return found


def _of_linear(step: Step, env: dict[str, Any], moving: Tensors) -> torch.Tensor | None:
    """Of a step that makes zeros of zeros, or moves entries beside constants: what it makes of the derivatives; else None.

    Differentiating would go through the graph twice. What adds constants to sums is left to that: they would round.
    """
    rule = step.rule
    if not isinstance(rule, Affine) or any(name not in moving or moving[name].is_complex() for name in step.sources):
        return None
    if step.operation.startswith("conv"):
        step = replace(step, arguments={**step.arguments, "bias": None})
    constant = step.result({**env, **{name: torch.zeros_like(env[name]) for name in step.sources}})
    if not isinstance(constant, torch.Tensor) or not constant.is_floating_point():
        return None
    is_linear = not bool(constant.any())
    if not is_linear and rule.coefficients != "selection":
        return None
    n_directions = len(moving[step.sources[0]])
    along = [step.result({**env, **{name: moving[name][i] for name in step.sources}}) for i in range(n_directions)]
    return torch.stack(along if is_linear else [one - constant for one in along])


def _of_larger(x: torch.Tensor, along: torch.Tensor) -> torch.Tensor:
    """Of the larger of neighbours in x (n, k, places), from those (m, n, k, places) of x; of equal ones the mean of theirs."""
    even = x.shape[1] // 2 * 2
    first, second = x[:, 0:even:2], x[:, 1:even:2]
    of_first, of_second = along[:, :, 0:even:2], along[:, :, 1:even:2]
    found = torch.where(first > second, of_first, of_second)
    is_equal = first == second
    if bool(is_equal.any()):
        found = torch.where(is_equal, (of_first + of_second) / 2, found)
    return found if even == x.shape[1] else torch.cat([found, along[:, :, even:]], 2)


def _product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """One real number whose gradient with respect to `a` is `b`."""
    return (a * b.conj()).real.sum() if a.is_complex() or b.is_complex() else (a * b).sum()


def _bent_alone(step: Step) -> str:
    """What an elementwise kink bends, if all else in it is constant, else ""."""
    rule = step.rule
    if not isinstance(rule, Kink) or step.open_arguments != (rule.varying,):
        return ""
    bent = step.arguments[rule.varying]
    return bent.name if isinstance(bent, Reference) else ""
