"""Measures of every cell, from the arrays of a partition alone. Knows neither regions nor networks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from splinecam_widget.engine.arrays import Float64
from splinecam_widget.engine.cells import Cells

from . import _statistics_kernels

Bool = NDArray[np.bool_]
Int64 = NDArray[np.int64]


def edge_lengths(cells: Cells) -> Float64:
    """(E,) float64: length of every edge, input-space units.

    Examples
    --------
    >>> import torch
    >>> from splinecam_widget import Slice, compute_partition
    >>> partition = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
    >>> edge_lengths(partition).sum().item()
    12.0
    """
    x, y = (of_vertices[cells.edges[:, 1]] - of_vertices[cells.edges[:, 0]] for of_vertices in cells.vertices.T)
    lengths: Float64 = np.hypot(x, y)
    return lengths


def summed_over_sides(cells: Cells, of_edges: NDArray[Any]) -> NDArray[Any]:
    """(C,): the sum over every cell's sides of a quantity (E,) of edges.

    Examples
    --------
    >>> import torch
    >>> from splinecam_widget import Slice, compute_partition
    >>> partition = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
    >>> summed_over_sides(partition, edge_lengths(partition)).tolist()
    [4.0, 4.0, 4.0, 4.0]
    """
    found: NDArray[Any] = np.add.reduceat(of_edges[cells.planar.cell_edges], cells.cell_offsets[:-1])
    return found


def eccentricities_of(moments: Float64) -> Float64:
    """Eccentricity (n,) of the ellipse with the same second moments (n, 3), see `Statistics.eccentricities`.

    Where the moments vanish, because the area does in float64, it is 1.

    Examples
    --------
    >>> eccentricities_of(np.array([[1.0, 0.0, 1.0], [4.0, 0.0, 1.0], [0.0, 0.0, 0.0]])).round(3).tolist()
    [0.0, 0.866, 1.0]
    """
    xx, xy, yy = moments.T
    half, spread = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    # 1 - l_min / l_max with l_max = half + spread and l_min = half - spread.
    with np.errstate(invalid="ignore"):
        share = 2 * spread / (half + spread)
    found: Float64 = np.sqrt(np.clip(np.nan_to_num(share, nan=1.0), 0.0, 1.0))
    return found


def side_counts(cells: Cells) -> Int64:
    """(C,) int64: how many straight sides each cell has, see `Statistics.n_sides`.

    Examples
    --------
    >>> import torch
    >>> from splinecam_widget import Slice, compute_partition
    >>> partition = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
    >>> side_counts(partition).tolist()
    [4, 4, 4, 4]
    """
    planar = cells.planar
    sizes = np.diff(planar.cell_offsets)
    same = _statistics_kernels.same_labels(
        planar.cell_offsets, planar.cell_vertices, planar.cell_edges, planar.edge_layer, planar.edge_unit)
    is_border = planar.edge_layer[planar.cell_edges] < 0
    is_corner, is_on_border = np.zeros((2, planar.n_vertices), np.bool_)
    is_corner[cells.corner_ids] = True
    is_on_border[planar.edges[planar.edge_layer < 0]] = True
    # No line of an inner edge goes on along the border, nor beyond it.
    same &= ~np.where(is_border, is_corner[planar.cell_vertices], is_on_border[planar.cell_vertices])
    inner = np.flatnonzero(same & ~is_border)
    if len(inner):
        ends = planar.edges.ravel()
        around = np.argsort(ends, kind="stable") // 2
        starts = np.concatenate([[0], np.cumsum(np.bincount(ends, minlength=planar.n_vertices))])
        n_same = _statistics_kernels.edges_of_label(
            planar.cell_vertices[inner], planar.cell_edges[inner], starts, around, planar.edge_layer, planar.edge_unit)
        same[inner[n_same != 2]] = False
    found: Int64 = sizes - np.add.reduceat(same.astype(np.int64), planar.cell_offsets[:-1])
    return found


def offsets_of(cells: Cells) -> Float64:
    """(C, K) float64: the outputs of every cell's affine map at slice coordinates (0, 0), see `Statistics.offsets`.

    Examples
    --------
    >>> import torch
    >>> from splinecam_widget import Slice, compute_partition
    >>> model = torch.nn.Linear(2, 1).double()
    >>> partition = compute_partition(model.eval(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
    >>> bool(abs(offsets_of(partition)[0, 0] - model.bias.item()) < 1e-15)
    True
    """
    first = cells.cell_vertices[cells.cell_offsets[:-1]]  # the vertex that slopes are measured from
    found: Float64 = _statistics_kernels.offsets(cells.values, cells.slopes, cells.vertices, first)
    return found


def largest_cells(groups: Int64, areas: Float64, n_groups: int) -> Int64:
    """(n,) int64: the cell with the largest area of each group, the first of equal ones, from the groups (C,) of cells.

    Examples
    --------
    >>> largest_cells(np.array([0, 1, 0, 1]), np.array([1.0, 2.0, 3.0, 2.0]), 2).tolist()
    [2, 1]
    """
    found: Int64 = _statistics_kernels.largest_of_groups(groups, areas, n_groups)
    return found
