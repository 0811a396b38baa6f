"""From a model and a slice to the exact partition: the loop over kinks."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from .arrays import Float64
from .bending import bent
from .dissolving import settled
from .errors import UnsupportedModelError
from .evaluation import advance, advance_bounds
from .hats import hats_for
from .lowering import lower
from .network import Network, Stage
from .partition import Partition
from .planar import NewVertices, PlanarComplex, split_complex
from .rounding import CONFIDENCE, Bound, input_bound
from .slices import Slice
from .switches import jumps
from .threads import apart


@dataclass
class Work:
    """What a computation did, counted.

    Attributes
    ----------
    vertices_evaluated : int
        Vertices at which a stage of the network was evaluated, summed over stages.
    vertices_by_hats : int
        Those of them whose values came from those at others, see `hats`.
    cells_reused : int
        Cells taken over from an earlier result.
    n_close : int
        Crossings and vertices whose order float64 could not decide; they share a vertex.
    n_irregular : int
        Splits with signs that no straight line has.
    n_zero : int
        Values at vertices that are within their rounding error, so that the line of their unit goes through the vertex.
    """

    vertices_evaluated: int = 0
    vertices_by_hats: int = 0
    cells_reused: int = 0
    n_close: int = 0
    n_irregular: int = 0
    n_zero: int = 0


def compute_partition(
    model: Any, plane: Slice, output: str | int | None = None, approximate: float | None = None
) -> Partition:
    """The exact partition of a slice into the cells on which a CPWL network is affine.

    Parameters
    ----------
    model : nn.Module, callable of torch operations, or Network
        Takes inputs of shape (batch, *input_shape). Computed as in eval mode, in float64, on a copy; never changed. The
        `network` of another partition saves reading the model again.
    plane : Slice
    output : str, int or None
        Which of several outputs, by key, attribute or place in what the model returns.
    approximate : float or None
        Smooth activations (GELU, tanh, sin, ...) are replaced by continuous piecewise-linear ones that differ by at most this
        much (1e-10 or more) from them; the partition is exact for the network with these. None: they are refused.

    Returns
    -------
    Partition

    Raises
    ------
    UnsupportedModelError
        If an operation of the model is neither affine nor a known kink; lists all of them.
    TypeError, ValueError
        If an argument is of the wrong kind.

    Warns
    -----
    UserWarning
        If the model is in training mode; it is computed as in eval mode.

    Notes
    -----
    Breadth-first over kinks. A network that is affine on each cell is known from its values at the vertices, so each kink
    needs one batched evaluation of its pre-activations, and cuts every cell by the units whose sign changes on it.

    References
    ----------
    Humayun, Balestriero, Balakrishnan, Baraniuk: SplineCam. CVPR 2023, arXiv 2302.12828.
    Berzins: Polyhedral complex extraction from ReLU networks using edge subdivision. ICML 2023, arXiv 2306.07212.

    Examples
    --------
    >>> import torch
    >>> plane = Slice.from_basis([0.0, 0.0], torch.eye(2))
    >>> compute_partition(torch.nn.ReLU(), plane).n_cells
    4
    """
    if not isinstance(plane, Slice):
        raise TypeError(f"plane: expected a Slice, got {type(plane).__name__}")
    if isinstance(model, Network):
        if output is not None or approximate is not None:
            raise ValueError("output, approximate: expected None for a Network, in which both are decided already")
        return partition_of(model, plane, Work(), lambda: None)
    network = lower(model, plane.input_shape, output, approximate)
    if network.was_training:
        warnings.warn("model: it is in training mode; the partition is that of eval mode, computed on a copy", stacklevel=2)
    return partition_of(network, plane, Work(), lambda: None)


def partition_of(network: Network, plane: Slice, work: Work, tick: Callable[[], None]) -> Partition:
    """The partition of a slice by a network that is lowered already.

    Parameters
    ----------
    work : Work
        Counted into.
    tick : callable
        Called often; may raise to stop.

    Raises
    ------
    ValueError
        If the slice's inputs have another shape than the network's.
    """
    if network.input_shape != plane.input_shape:
        raise ValueError(f"plane: expected inputs of shape {network.input_shape}, got {plane.input_shape}")
    return apart(lambda tick: _subdivided(network, plane, work, tick), tick)


def _subdivided(network: Network, plane: Slice, work: Work, tick: Callable[[], None]) -> Partition:
    planar = PlanarComplex.single_cell(plane.domain)
    corners = torch.from_numpy(plane.to_input(planar.points))
    live = {network.input_name: corners.reshape(len(corners), -1).numpy()}
    bounds = {network.input_name: input_bound(corners)}
    new = None
    first_round: dict[str, int] = {}
    zero_tolerances: list[Float64] = []
    for number, stage in enumerate(network.stages):
        if any(step.kind == "choice" for step in stage.steps):
            _check_continuity(stage, network, live, new, bounds, planar, tick)
        hats = hats_for(stage, network.shapes, new)
        before, bounds = bounds, advance_bounds(stage, bounds)
        if hats is not None and new is not None:
            bounds = {name: hats.bound(name, bound, before[hats.source]) for name, bound in bounds.items()}
            work.vertices_by_hats += int(new.is_plain.sum()) + len(new.chord_places)
        is_plain = stage.cut is not None and stage.cut.kind not in ("settle", "curve")
        cut = (stage.cut.sources[0], bounds[stage.cut.sources[0]].tolerance()) if stage.cut is not None and is_plain else None
        live, signs = advance(stage, network.shapes, live, new, tick, cut, hats)
        work.vertices_evaluated += planar.n_vertices
        if stage.cut is None:
            break
        first_round.setdefault(stage.cut.node, number)
        if stage.cut.kind == "settle":
            _, entries = stage.cut.sources
            first = first_round[stage.cut.node]
            tolerance = bounds[entries].tolerance()
            zero_tolerances.append(tolerance)
            k, n = network.shapes[entries]
            planar, kept = settled(
                planar, first, number - first, live[entries], tolerance.reshape(k, n), len(plane.domain))
            live, new = {name: rows[kept] for name, rows in live.items()}, None
            continue
        source = stage.cut.sources[0]
        tolerance = bounds[source].tolerance()
        is_round = stage.cut.node in network.tournaments
        if not is_round:
            zero_tolerances.append(tolerance)
        if stage.cut.kind == "curve":
            split = bent(planar, live[source], tolerance, number, stage.cut)
        else:
            split = split_complex(planar, live[source], tolerance, number, not is_round, signs)
        planar, new = split.after, split.new
        work.n_close += split.n_close
        work.n_irregular += split.n_irregular
        work.n_zero += split.n_zero
        bounds = {name: bound.interpolated(split.peak if name == source else _peak(live[name]))
                  for name, bound in bounds.items()}
        if stage.cut.operation == "larger_of_pairs":
            compared = stage.cut.sources[1]
            bounds[compared] = bounds[compared].without_losers(live[compared])
        tick()
    planar = _by_layers(planar, network)
    values = live[network.output_name]
    output_error = output_tolerance(bounds[network.output_name], values)
    if not (np.isfinite(values).all() and (np.abs(values) < network.limit).all() and np.isfinite(output_error).all()):
        raise ValueError("model: expected finite outputs on the domain, got NaN or infinity (in its weights, or by overflow)")
    return Partition(plane, planar, values, output_error, work.n_close, work.n_zero, network=network,
                     zero_tolerances=tuple(zero_tolerances))


def _peak(rows: Float64) -> Float64:
    """Largest magnitude (n,) in each column."""
    peak: Float64 = np.maximum(rows.max(axis=0), -rows.min(axis=0))
    return peak


def _check_continuity(
    stage: Stage, network: Network, live: dict[str, Float64], new: NewVertices | None, bounds: dict[str, Bound],
    planar: PlanarComplex, tick: Callable[[], None],
) -> None:
    rows = live if new is None else {name: np.concatenate([old, new.rows(old)]) for name, old in live.items()}
    found = jumps(stage, network.shapes, rows, bounds, planar, tick)
    if found:
        raise UnsupportedModelError(f"model: expected choices that are continuous, each by itself, but {found}")


def _by_layers(planar: PlanarComplex, network: Network) -> PlanarComplex:
    """Edges by layers of kinks and their units, which so far are those of the cuts."""
    inner = planar.edge_layer >= 0
    if not len(network.layer_of_cut) or not inner.any():
        return planar
    layers = np.array(network.layer_of_cut, np.int32)[planar.edge_layer]
    n_units = np.array([step.n_units for step in network.kinks])
    units = (planar.edge_unit % n_units[layers]).astype(np.int32)
    return replace(planar, edge_layer=np.where(inner, layers, np.int32(-1)), edge_unit=np.where(inner, units, np.int32(-1)))


def output_tolerance(bound: Bound, values: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Magnitude (K,) of the rounding error of the outputs at the vertices, with that of interpolating between them."""
    peak = np.abs(values).max(axis=0)
    tolerance: np.ndarray[Any, np.dtype[np.float64]] = CONFIDENCE * np.sqrt(
        bound.interpolated(peak).variance.reshape(-1).numpy())
    return tolerance
