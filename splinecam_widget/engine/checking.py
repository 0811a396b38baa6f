"""Checks of a finished partition against what it must be, and against the user's own model. Changes nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from . import _cell_measures
from .arrays import Float64
from .certificate import Certificate
from .evaluation import CHUNK_ENTRIES, evaluate, open_pieces_at, row_chunks
from .network import Network
from .planar import Int64
from .rounding import UNIT_ROUNDOFF
from .slices import polygon_area
from .threads import on_all_cores

if TYPE_CHECKING:
    from .partition import Partition

SAMPLED_CELLS = 256
"""Cells whose maps and patterns are checked when not all are: enough to find an error in one cell of a hundred with 92 %."""

SHRINK = 0.75
"""Patterns are read at this share of the way from a cell's middle to its corners, away from edges."""


@torch.inference_mode(False)  # in which dispatch modes, such as that of `DoubleModel`, are not asked
def certificate_of(partition: Partition, full: bool, tick: Callable[[], None] | None = None) -> Certificate:
    """See `Partition.certificate`.

    Parameters
    ----------
    tick : callable or None
        Called before every small piece of work, which is then done on one core; may raise to stop.
    """
    planar, plane = partition.planar, partition.plane
    n = partition.n_cells
    cells = np.arange(n) if full or n <= SAMPLED_CELLS else np.sort(
        np.random.default_rng(n).choice(n, SAMPLED_CELLS, replace=False))
    area = polygon_area(plane.domain)
    scale = max(float(np.abs(partition.values).max()), float(np.finfo(np.float64).tiny))
    compared = _compared(partition, cells, scale, tick)
    return Certificate(
        n_cells=n,
        n_checked=len(cells),
        area_error=abs(float(partition.areas.sum()) - area) / area,
        euler=len(planar.points) - len(planar.edges) + n,
        n_flat=_n_flat(partition),
        n_loose_edges=_n_loose_edges(partition),
        n_mixed=sum(_n_mixed(partition, cells[run]) for run in _runs(partition.network, len(cells), tick)),
        residual=compared.residual,
        boundary_residual=_boundary_residual(partition, tick) / scale,
        n_close=partition.n_close,
        n_zero=partition.n_zero,
        compared_with=compared.with_what,
        unasked=compared.unasked,
        n_off=_n_off(partition, cells, tick),
        n_approximated=len(partition.network.approximations),
        tolerance=max([0.0, *(step.deviation for step in partition.network.approximations)]),
        deviation=compared.deviation,
        share=partition.share,
    )


def _runs(network: Network, n: int, tick: Callable[[], None] | None) -> Iterator[slice]:
    """`n` points in runs; with a tick before each, in runs so small that all results fit into one chunk."""
    if tick is None:
        yield from row_chunks(network, n)
        return
    width = math.prod(network.input_shape) + sum(math.prod(step.shape) for step in network.steps)
    size = max(1, CHUNK_ENTRIES // width)
    for start in range(0, n, size):
        tick()
        yield slice(start, min(start + size, n))


def _n_flat(partition: Partition) -> int:
    """Cells with a corner that turns to the right by more than the rounding of its coordinates."""
    # Each coordinate carries a few roundings of the largest one; a turn is a product of a length and such an error.
    error = 32 * UNIT_ROUNDOFF * float(np.abs(partition.vertices).max())
    return int(_cell_measures.n_flat(partition.vertices, partition.cell_offsets, partition.cell_vertices, error))


def _n_loose_edges(partition: Partition) -> int:
    has = (partition.edge_cells >= 0).sum(axis=1)
    uses = np.bincount(partition.planar.cell_edges, minlength=len(partition.edges))
    expected = np.where(partition.edge_layer < 0, 1, 2)
    return int(((has != expected) | (uses != expected)).sum())


def _n_mixed(partition: Partition, cells: Int64) -> int:
    """Cells with inner points that are on different pieces for certain: towards each corner, and the middle."""
    sizes = np.diff(partition.cell_offsets)[cells]
    entries = np.concatenate([np.arange(partition.cell_offsets[c], partition.cell_offsets[c + 1]) for c in cells])
    owner = np.repeat(np.arange(len(cells)), sizes)
    middles = partition.centroids[cells]
    corners = partition.vertices[partition.cell_vertices[entries]]
    order = np.argsort(np.concatenate([owner, np.arange(len(cells))]), kind="stable")
    points = np.concatenate([middles[owner] + SHRINK * (corners - middles[owner]), middles])[order]
    starts = np.concatenate([[0], np.cumsum(sizes + 1)[:-1]])
    mixed = np.zeros(len(cells), np.bool_)
    # A cell as narrow as its corners' rounding errors leaves pieces open; those of all points must have one in common.
    for cut, pieces in open_pieces_at(
            partition.network, partition.zero_tolerances, lambda rows: partition.plane.to_input(points[rows]), len(points)):
        mixed |= ~cut.have_common_piece(pieces, starts).all(axis=1)
    return int(mixed.sum())


@dataclass(frozen=True)
class _Compared:
    """Largest difference from what the maps say, what that compares with, and the deviation of an approximation."""

    residual: float
    with_what: str
    unasked: str = ""
    deviation: float = 0.0


def _compared(
    partition: Partition, cells: Int64, scale: float, tick: Callable[[], None] | None
) -> _Compared:
    # The maps were read off at the middles; they are tried at other points inside.
    corners = partition.vertices[partition.cell_vertices[partition.cell_offsets[cells]]]
    inner = partition.centroids[cells] + SHRINK * (corners - partition.centroids[cells])
    network = partition.network
    by_map = np.empty((len(cells), partition.values.shape[1]))
    for run in _runs(network, len(cells), tick):
        by_map[run] = _extended(partition, partition.centroids[cells[run]], inner[run])
    said = _said_by_model(partition, inner, tick)
    unasked = said if isinstance(said, str) else ""
    difference, is_told = 0.0, _told(partition, by_map)
    if not isinstance(said, str):
        headed = network.headed(by_map)
        if not network.head:
            difference = float(np.abs(headed - said).max()) / scale
        elif is_told.any():
            # A head may pass on each logit's error, or the sum of two of them.
            size = 1.0 if network.head == "argmax" else float(np.abs(headed).max()) or 1.0
            difference = max(0.0, float(np.abs(headed - said)[is_told].max()) - 2 * float(partition.tolerance.max())) / size
        else:
            unasked = "its largest outputs tie everywhere, and it only says which is the largest"
    if not unasked and not network.head and not network.approximations:
        return _Compared(difference, "the model itself in float64")
    as_read = float(np.abs(by_map - _said_by_network(partition, inner, tick)).max()) / scale
    if unasked or network.approximations:
        return _Compared(as_read, "the network as it was read", unasked, difference)
    return _Compared(max(difference, as_read), "the model itself in float64")


def _n_off(partition: Partition, cells: Int64, tick: Callable[[], None] | None) -> int:
    offsets, loop = partition.cell_offsets, partition.cell_vertices
    vertices = np.unique(np.concatenate([loop[offsets[c]:offsets[c + 1]] for c in cells]))
    found = np.abs(partition.values[vertices] - _said_by_network(partition, partition.vertices[vertices], tick))
    # Both sides have an error; clipping interpolates once more.
    return int((found > 3 * partition.tolerance).any(axis=1).sum())


def _told(partition: Partition, outputs: Float64) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Points (n,) at which float64 decides what the model returns: under an argmax, where no two of the largest outputs tie."""
    if partition.network.head != "argmax" or outputs.shape[1] < 2:
        return np.ones(len(outputs), np.bool_)
    order = np.argsort(outputs, axis=1)[:, -2:]
    rows = np.arange(len(outputs))[:, None]
    gap = np.diff(outputs[rows, order], axis=1)[:, 0]
    decided: np.ndarray[Any, np.dtype[np.bool_]] = gap > partition.tolerance[order].sum(axis=1)
    return decided


def _said_by_model(partition: Partition, u: Float64, tick: Callable[[], None] | None) -> Float64 | str:
    """What the user's model returns at slice coordinates (n, 2): (n, K) as far as heads leave it, or why it cannot be asked."""
    model = partition.network.reference
    if model is None:
        return "it is not stored with the network"
    x = torch.from_numpy(partition.plane.to_input(u))
    said = np.empty((len(x), *partition.network.headed(partition.values[:1]).shape[1:]))
    # In another order than the network was asked in, which shows if an output depends on the rest of its batch.
    order = torch.from_numpy(np.random.default_rng(len(x)).permutation(len(x)))
    for rows in _runs(partition.network, len(x), tick):
        try:
            with torch.no_grad():
                said[order[rows]] = model(x[order[rows]]).reshape(len(x[rows]), -1).numpy()
        except Exception as error:  # whatever a model may raise
            return f"{type(error).__name__}: {error}".splitlines()[0]
    return said


def _extended(partition: Partition, middles: Float64, inner: Float64) -> Float64:
    """Outputs (n, K) at inner points (n, 2) of cells, by the affine maps that the network has at the cells' middles (n, 2).

    Derivatives along a line by differentiating backwards twice: unlike forward-mode differentiation, that changes nothing
    outside its thread, so a check in the background disturbs nobody. Of sums: weights of its own make torch import its symbolic
    shapes, which takes half a second.
    """
    x = torch.from_numpy(partition.plane.to_input(middles)).requires_grad_()
    along = torch.from_numpy(np.tensordot(inner - middles, partition.plane.basis, axes=(-1, 0)))
    with torch.enable_grad():
        values = evaluate(partition.network, x)
        weights = torch.zeros_like(values, requires_grad=True)
        if not values.requires_grad:
            return values.numpy()
        (back,) = torch.autograd.grad((values * weights).sum(), x, create_graph=True)
        (change,) = torch.autograd.grad((back * along).sum(), weights, materialize_grads=True)
    extended: Float64 = (values.detach() + change).numpy()
    return extended


def _said_by_network(partition: Partition, u: Float64, tick: Callable[[], None] | None) -> Float64:
    """Outputs (n, K) of the network at slice coordinates (n, 2)."""
    x = torch.from_numpy(partition.plane.to_input(u))

    def read(rows: slice) -> Float64:
        with torch.no_grad():
            found: Float64 = evaluate(partition.network, x[rows]).numpy()
        return found

    if tick is None:
        return np.concatenate(on_all_cores(read, row_chunks(partition.network, len(x))))
    return np.concatenate([read(rows) for rows in _runs(partition.network, len(x), tick)])


def _boundary_residual(partition: Partition, tick: Callable[[], None] | None) -> float:
    boundary = partition.decision_boundary()
    if len(boundary.points) == 0:
        return 0.0
    ends = boundary.points
    values = _said_by_network(partition, np.concatenate([ends[:, 0], ends.mean(axis=1), ends[:, 1]]), tick)
    classes = np.tile(boundary.classes, (3, 1))
    if values.shape[1] == 1:
        return float(np.abs(values).max())
    rows = np.arange(len(values))
    return float(np.abs(values[rows, classes[:, 0]] - values[rows, classes[:, 1]]).max())
