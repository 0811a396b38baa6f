"""Cutting cells where units bend that have a table of knots (`PiecewiseLinear`, or what stands for a smooth activation)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from . import _dissolving_kernels
from ._sign_kernels import peaks
from .arrays import Float64
from .pieces import bends, bends_between, pieces
from .planar import PlanarComplex
from .splitting import ANY_ROOM, Room, Split, split_complex
from .steps import Step

CELLS_AT_A_TIME = 1024


def bent(
    before: PlanarComplex, rows: Float64, tolerance: Float64, layer: int, curve: Step, room: Room = ANY_ROOM,
    tick: Callable[[], None] = lambda: None,
) -> Split:
    """The complex cut where units with values `rows` (V, m) pass a knot of the curve; pieces become part of the patterns.

    Only knots between the smallest and the largest value of a unit count, so a periodic curve has as many as the slice sees.
    """
    period = curve.arguments["3"]
    knots = bends(curve.arguments["1"], curve.arguments["2"], period)
    units, places = bends_between(rows.min(axis=0), rows.max(axis=0), knots.numpy(), period)
    ties = np.ascontiguousarray(rows[:, units] - places)
    split = split_complex(before, ties, tolerance[units], layer, has_pattern=False, room=room, tick=tick)
    after = split.after
    edge_unit = after.edge_unit.copy()
    is_new = after.edge_layer == layer
    edge_unit[is_new] = units[edge_unit[is_new]]
    every_row = np.concatenate([rows, split.new.rows(rows)])
    hashes = after.cell_hashes.copy()
    for start in range(0, after.n_cells, CELLS_AT_A_TIME):
        offsets = after.cell_offsets[start:start + CELLS_AT_A_TIME + 1]
        corners = every_row[after.cell_vertices[offsets[0]:offsets[-1]]]
        tick()
        means = np.add.reduceat(corners, offsets[:-1] - offsets[0], axis=0) / np.diff(offsets)[:, None]
        numbers = pieces(torch.from_numpy(means - tolerance), knots, period).numpy()
        hashes[start:start + CELLS_AT_A_TIME] ^= _dissolving_kernels.piece_hashes(layer, numbers)
    return replace(split, after=replace(after, edge_unit=edge_unit, cell_hashes=hashes), peak=peaks(rows))
