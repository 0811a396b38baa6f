"""Compiling the analysis' loops before they are needed. Numba keeps them on disk, so this takes long only once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from splinecam_widget.engine.compute import partition_of
from splinecam_widget.engine.network import Network
from splinecam_widget.engine.partition import Partition
from splinecam_widget.engine.slices import Slice
from splinecam_widget.engine.states import Work
from splinecam_widget.engine.warmup import small_network

from . import _derivative_kernels, _line_kernels, _statistics_kernels
from .boundaries import interpolated_outputs
from .comparing import compare
from .lines import compute_line
from .statistics import Statistics


def warm_up(report: Callable[[str], None] = lambda _: None) -> None:
    """Compile every loop that the analysis of a partition uses, or load it from disk.

    Parameters
    ----------
    report : callable
        Told in words what comes next.
    """
    network = small_network()
    found = partition_of(network, Slice.from_basis([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]]), Work())
    partition = replace(found, values=found.values - found.values.mean(axis=0))  # so that several classes win
    steps: tuple[tuple[str, Callable[[], object]], ...] = (
        ("boundaries and distances", lambda: _boundaries(partition)),
        ("statistics", lambda: _statistics(partition.statistics())),
        ("maps", lambda: _maps(partition)),
        ("counts around points", lambda: [partition.counts_around([[0.1, 0.2]], 0.5, norm).areas for norm in (1, 2)]),
        ("graphs", lambda: _graphs(partition)),
        ("lines", lambda: _lines(network)),
        ("pictures", lambda: partition.to_png(width=32)),
        ("comparison", lambda: compare(partition, partition).shared_length),
    )
    for name, step in steps:
        report(name)
        step()


def _boundaries(partition: Partition) -> None:
    _ = partition.decision_boundary().polylines, partition.level_set(0).polylines
    interpolated_outputs(partition, partition.sample_boundary(3).u, partition.decision_boundary().cells[:3])
    partition.distance_to_boundary([[0.1, 0.2]]).path(0)
    partition.unit_curve(0, 0)
    partition.at_layer(1)


def _statistics(statistics: Statistics) -> None:
    _ = statistics.summary, statistics.inradii, statistics.n_active, statistics.n_sides, statistics.boundary_distances
    _ = statistics.offsets
    planar, none = statistics.cells.planar, np.zeros(1, np.int64)  # asked for where edges of one unit meet
    _statistics_kernels.edges_of_label(
        planar.cell_vertices[:0], planar.cell_edges[:0], none, none, planar.edge_layer, planar.edge_unit)


def _lines(network: Network) -> None:
    compute_line(network, [-1.0, -0.9], [1.0, 0.8]).class_changes()
    # Used by curves with tables of knots.
    _line_kernels.knot_crossings(np.zeros((0, 2), np.int32), np.zeros((2, 1)), np.zeros(1), np.zeros(0), 0.0)


def _maps(partition: Partition) -> None:
    partition.affine_maps()
    one, two, three = (np.zeros((1,) * axes) for axes in (1, 2, 3))
    _derivative_kernels.add_hats(two, three, one.astype(np.int64), two, two, two, three)


def _graphs(partition: Partition) -> None:
    graph = partition.region_graph()
    graph.shortest_path(0, partition.n_cells - 1)
    graph.shortest_path(0, partition.n_cells - 1, "distance")
    graph.betweenness()
    partition.region_graph(of="regions")
    partition.decision_regions()
    partition.skeleton_graph().is_planar()
