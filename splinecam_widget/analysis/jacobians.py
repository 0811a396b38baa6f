"""What a network does on single cells of a partition: its Jacobian there, and the units that are on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from splinecam_widget.engine.arrays import Float64, span_text
from splinecam_widget.engine.evaluation import evaluate, row_chunks
from splinecam_widget.engine.layers import Layer
from splinecam_widget.engine.network import Network
from splinecam_widget.engine.planar import Int64
from splinecam_widget.engine.threads import apart, on_all_cores

from .derivatives import derivatives_along

if TYPE_CHECKING:
    from splinecam_widget.engine.partition import Partition


@dataclass(frozen=True, eq=False)
class ActiveUnits:
    """The units of one layer of kinks that are on, on one cell.

    Attributes
    ----------
    layer : Layer
        Where in the model it is, what bends there, and how its units are arranged.
    units : (m,) int64
        Those that are on, increasing: beyond their first knot. Where the largest of several is taken, those whose winner is
        not the first entry; of a sort, groups that are not in order already.
    places : (m, axes) int64
        Their indices in `layer.shape`: (channel, row, column) of an image.
    pieces : (m,) int64
        How many knots they are beyond; which entry wins; how many comparisons of the sort exchange; the number of the piece.
    """

    layer: Layer
    units: Int64
    places: Int64
    pieces: Int64

    def __repr__(self) -> str:
        return (f"ActiveUnits({len(self.units):,} of {self.layer.n_units:,} units on, "
                f"{self.layer.path or 'model'} ({self.layer.operation}))")


def cell_ids(partition: Partition, cells: Any, name: str = "cells") -> Int64:
    """A user's cell ids checked, (n,) or (); `name` is the user's for them.

    Raises
    ------
    ValueError
        If they are not ids of cells.
    """
    ids = np.asarray(cells.detach().cpu().numpy() if hasattr(cells, "detach") else cells)
    ids = ids.astype(np.int64) if ids.size == 0 else ids
    if ids.dtype.kind not in "iu" or ids.ndim > 1:
        raise ValueError(f"{name}: expected a cell id or ids (n,), got {ids.dtype} of shape {ids.shape}")
    if ids.size and not (ids.min() >= 0 and ids.max() < partition.n_cells):
        raise ValueError(f"{name}: expected ids from 0 to {partition.n_cells - 1}, got {span_text(ids)}")
    return ids.astype(np.int64)


def jacobians_at(network: Network, x: Float64) -> Float64:
    """Derivatives (n, K, *input_shape) of the outputs at inputs (n, *input_shape) that lie on no kink."""
    found = np.empty((len(x), network.n_outputs, *network.input_shape))

    def read(rows: slice) -> None:
        inputs = torch.from_numpy(x[rows]).requires_grad_()
        with torch.enable_grad():
            totals = evaluate(network, inputs).sum(0)  # each row depends on its own input alone
            for k, total in enumerate(totals):
                if not total.requires_grad:
                    found[rows, k] = 0.0
                    continue
                (gradient,) = torch.autograd.grad(total, inputs, retain_graph=k + 1 < len(totals), materialize_grads=True)
                found[rows, k] = gradient.numpy()

    def work(tick: Callable[[], None]) -> None:
        on_all_cores(read, row_chunks(network, len(x)), tick=tick)

    apart(work, lambda: None)
    return found


def jacobians_of(partition: Partition, cells: Any) -> Float64:
    """See `Partition.input_jacobian`."""
    ids = cell_ids(partition, cells)
    shape, plane = partition.network.input_shape, partition.plane
    if math.prod(shape) == 2:  # the slice is all of input space, and two directions are fewer than most networks' outputs
        _, found = derivatives_along(partition, ids.reshape(-1), np.eye(2).reshape(2, *shape), plane.basis.reshape(2, 2))
        found = found.reshape(*found.shape[:2], *shape)
    else:
        found = jacobians_at(partition.network, plane.to_input(partition.centroids[ids.reshape(-1)]))
    return found.reshape(*ids.shape, *found.shape[1:])


def circuit_of(partition: Partition, cell: Any) -> tuple[ActiveUnits, ...]:
    """See `Partition.active_circuit`."""
    ids = cell_ids(partition, cell, "cell")
    if ids.ndim:
        raise ValueError(f"cell: expected one cell id, got shape {ids.shape}")
    found = []
    for layer, pattern in zip(partition.network.layer_records, partition.patterns(ids[None])):
        pieces = pattern[0].reshape(-1, layer.n_units).sum(axis=0, dtype=np.int64)  # knot by knot
        units = np.flatnonzero(pieces)
        places = np.stack(np.unravel_index(units, layer.shape), axis=1) if layer.shape else np.zeros((len(units), 0), np.int64)
        found.append(ActiveUnits(layer, units, places, pieces[units]))
    return tuple(found)
