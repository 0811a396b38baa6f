"""Checks of a finished partition against what it must be, and against the user's own model. Changes nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .arrays import Float64
from .evaluation import CHUNK_ENTRIES, evaluate, row_chunks
from .network import Network
from .planar import Int64
from .rounding import UNIT_ROUNDOFF
from .threads import on_all_cores

if TYPE_CHECKING:
    from .partition import Partition

SAMPLED_CELLS = 256
"""Cells whose maps and patterns are checked when not all are: enough to find an error in one cell of a hundred with 92 %."""

AREA_LIMIT = 1e-9
"""Relative difference between the cells' areas, summed, and the domain's, above which the partition is not sound."""

RESIDUAL_LIMIT = 1e-9
"""The same for outputs, relative to the largest: two float64 evaluations of one network differ by far less."""

SHRINK = 0.75
"""Patterns are read at this share of the way from a cell's middle to its corners, away from edges."""


@dataclass(frozen=True, repr=False)
class Certificate:
    """What was checked, and how it came out.

    Attributes
    ----------
    n_cells, n_checked : int
        Cells, and those whose maps and patterns were checked. All other checks are of everything.
    area_error : float
        Cells' areas, summed, against the domain's: relative difference.
    euler : int
        V - E + F, which is 1 for a polygon cut into cells.
    n_flat : int
        Cells that are not convex and counter-clockwise up to the rounding of their corners.
    n_loose_edges : int
        Inner edges without two cells, and border edges without one.
    n_mixed : int
        Checked cells in which two inner points have different activation patterns.
    residual : float
        max |model(x) - (A u + b)| at an inner point of every checked cell, not the one at which its map was read off, with the
        user's model in float64; relative to the largest output.
    boundary_residual : float
        Largest difference between the tying outputs at the ends and middles of the boundary's segments, by the network, in the
        same units; 0 without a boundary.
    n_close : int
        Crossings that float64 could not tell apart; they share a vertex.
    n_zero : int
        Signs within the error bound: pre-activations at vertices that are zero or too near to it to tell, so that the line of
        their unit goes through the vertex.
    compared_with : str
        What `residual` compares with.
    unasked : str
        Why that is not the user's model, "" where it is: an error that the model raises, or that it is not there.
    n_approximated : int
        Operations in whose place piecewise-linear ones stand.
    tolerance : float
        How far each of these is from its operation at most, for every unit and any value.
    deviation : float
        Largest difference found between the model itself and the network with these, at an inner point of every checked cell,
        relative to the largest output.
    """

    n_cells: int
    n_checked: int
    area_error: float
    euler: int
    n_flat: int
    n_loose_edges: int
    n_mixed: int
    residual: float
    boundary_residual: float
    n_close: int
    n_zero: int
    compared_with: str
    unasked: str = ""
    n_approximated: int = 0
    tolerance: float = 0.0
    deviation: float = 0.0

    @property
    def is_full(self) -> bool:
        return self.n_checked == self.n_cells

    @property
    def is_sound(self) -> bool:
        """Whether every check came out as it must for an exact partition."""
        counts = self.n_flat == self.n_loose_edges == self.n_mixed == 0 and self.euler == 1
        outputs = self.residual <= RESIDUAL_LIMIT and self.boundary_residual <= RESIDUAL_LIMIT
        return counts and outputs and self.area_error <= AREA_LIMIT

    @property
    def figures(self) -> tuple[tuple[str, str], ...]:
        """Name and value of every check, in words; one that came out as it must not says what was expected."""
        approximations = () if not self.n_approximated else (
            ("approximated operations", f"{self.n_approximated:,}, each to within {self.tolerance:g}, proven for all values"),
            ("largest deviation of outputs found", f"{self.deviation:.1e}"),
        )
        unasked = (("the model itself could not be asked", self.unasked),) if self.unasked else ()
        return (
            *approximations,
            ("cells", f"{self.n_cells:,}"),
            ("maps and patterns checked", "of all cells" if self.is_full else f"of {self.n_checked:,} cells, sampled"),
            ("areas against the domain's", _error_text(self.area_error, AREA_LIMIT)),
            ("V − E + F", str(self.euler) if self.euler == 1 else f"{self.euler}, expected 1"),
            ("cells not convex", _count_text(self.n_flat)),
            ("edges without their cells", _count_text(self.n_loose_edges)),
            ("cells with two patterns", _count_text(self.n_mixed)),
            (f"against {self.compared_with}", _error_text(self.residual, RESIDUAL_LIMIT)),
            *unasked,
            ("ties on the boundary", _error_text(self.boundary_residual, RESIDUAL_LIMIT)),
            ("signs within the error bound", f"{self.n_zero:,}"),
            ("crossings float64 cannot tell apart", f"{self.n_close:,}"),
        )

    def __str__(self) -> str:
        width = max(len(name) for name, _ in self.figures)
        verdict = "NOT sound" if not self.is_sound else "sound, of an approximation" if self.n_approximated else "sound"
        return "\n".join([f"certificate: {verdict}", *(f"  {name:<{width}}  {text}" for name, text in self.figures)])

    __repr__ = __str__


def _error_text(error: float, limit: float) -> str:
    return f"{error:.1e}" if error <= limit else f"{error:.1e}, expected at most {limit:.0e}"


def _count_text(n: int) -> str:
    return "0" if n == 0 else f"{n:,}, expected 0"


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
    domain = plane.domain
    x, y = (domain - domain[0]).T
    area = 0.5 * float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))
    scale = max(float(np.abs(partition.values).max()), float(np.finfo(np.float64).tiny))
    compared = _compared(partition, cells, tick)
    return Certificate(
        n_cells=n,
        n_checked=len(cells),
        area_error=abs(float(partition.areas.sum()) - area) / area,
        euler=len(planar.points) - len(planar.edges) + n,
        n_flat=_n_flat(partition),
        n_loose_edges=_n_loose_edges(partition),
        n_mixed=sum(_n_mixed(partition, cells[run]) for run in _runs(partition.network, len(cells), tick)),
        residual=compared.residual / scale,
        boundary_residual=_boundary_residual(partition, tick) / scale,
        n_close=partition.n_close,
        n_zero=partition.n_zero,
        compared_with=compared.with_what,
        unasked=compared.unasked,
        n_approximated=len(partition.network.approximations),
        tolerance=max([0.0, *(step.deviation for step in partition.network.approximations)]),
        deviation=compared.deviation / scale,
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
    offsets, loop = partition.cell_offsets, partition.cell_vertices
    points = partition.vertices[loop]
    sizes = np.diff(offsets)
    ends = offsets[1:] - 1
    after = np.arange(1, len(loop) + 1)
    after[ends] = offsets[:-1]
    before = np.arange(-1, len(loop) - 1)
    before[offsets[:-1]] = ends
    a, b = points - points[before], points[after] - points
    turn = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    # Each coordinate carries a few roundings of the largest one; a turn is a product of a length and such an error.
    size = np.abs(partition.vertices).max()
    slack = 32 * UNIT_ROUNDOFF * size * (np.abs(a).sum(axis=1) + np.abs(b).sum(axis=1))
    wrong = np.add.reduceat(turn < -slack, offsets[:-1]) > 0
    return int((wrong | (sizes < 3)).sum())


def _n_loose_edges(partition: Partition) -> int:
    has = (partition.edge_cells >= 0).sum(axis=1)
    uses = np.bincount(partition.planar.cell_edges, minlength=len(partition.edges))
    expected = np.where(partition.edge_layer < 0, 1, 2)
    return int(((has != expected) | (uses != expected)).sum())


def _n_mixed(partition: Partition, cells: Int64) -> int:
    """Cells with inner points of different patterns: towards each corner, and the middle."""
    sizes = np.diff(partition.cell_offsets)[cells]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    entries = np.concatenate([np.arange(partition.cell_offsets[c], partition.cell_offsets[c + 1]) for c in cells])
    owner = np.repeat(np.arange(len(cells)), sizes)
    middles = partition.centroids[cells]
    corners = partition.vertices[partition.cell_vertices[entries]]
    inner = middles[owner] + SHRINK * (corners - middles[owner])
    mixed = np.zeros(len(cells), np.bool_)
    for here, there in zip(partition.patterns(middles), partition.patterns(inner)):
        differs = (there != here[owner]).any(axis=1)
        mixed |= np.add.reduceat(differs, starts[:-1]) > 0
    return int(mixed.sum())


@dataclass(frozen=True)
class _Compared:
    """Largest difference from what the maps say, what that compares with, and the deviation of an approximation."""

    residual: float
    with_what: str
    unasked: str = ""
    deviation: float = 0.0


def _compared(partition: Partition, cells: Int64, tick: Callable[[], None] | None) -> _Compared:
    # The maps were read off at the middles; they are tried at other points inside.
    corners = partition.vertices[partition.cell_vertices[partition.cell_offsets[cells]]]
    inner = partition.centroids[cells] + SHRINK * (corners - partition.centroids[cells])
    network = partition.network
    by_map = np.empty((len(cells), partition.values.shape[1]))
    for run in _runs(network, len(cells), tick):
        by_map[run] = _extended(partition, partition.centroids[cells[run]], inner[run])
    said = _said_by_model(partition, inner, tick)
    difference = 0.0 if isinstance(said, str) else float(np.abs(network.headed(by_map) - said)[_told(partition, by_map)].max(initial=0.0))
    if not isinstance(said, str) and not network.approximations:
        return _Compared(difference, "the model itself in float64")
    as_read = float(np.abs(by_map - _said_by_network(partition, inner, tick)).max())
    return _Compared(as_read, "the network as it was read", said if isinstance(said, str) else "", difference)


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

    Derivatives along a line by differentiating backwards twice: unlike forward-mode differentiation, as in
    `Partition.affine_maps`, that changes nothing outside its thread, so a check in the background disturbs nobody.
    """
    x = torch.from_numpy(partition.plane.to_input(middles)).requires_grad_()
    along = torch.from_numpy(np.tensordot(inner - middles, partition.plane.basis, axes=(-1, 0)))
    with torch.enable_grad():
        values = evaluate(partition.network, x)
        weights = torch.zeros_like(values, requires_grad=True)
        if not values.requires_grad:
            return values.numpy()
        (back,) = torch.autograd.grad(values, x, weights, create_graph=True)
        (change,) = torch.autograd.grad(back, weights, along, materialize_grads=True)
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
