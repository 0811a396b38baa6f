"""Partitions as tables of pandas."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from splinecam_widget.engine.boundary import winners_of
from splinecam_widget.engine.cells import Cells

from .nearest import distances_to_segments
from .optional import package


class Tables(NamedTuple):
    """Tables with the partition's record in their `attrs`.

    Attributes
    ----------
    cells : DataFrame
        A row for each cell: those of `Statistics.to_pandas`, and `class`.
    edges : DataFrame
        A row for each edge: `layer` and `unit` that made it, -1 on the domain's border; `left` and `right`, the cells beside
        it, -1 outside; its ends `x0`, `y0`, `x1`, `y1` and `length`, input-space units.
    """

    cells: Any
    edges: Any

    def __repr__(self) -> str:
        return f"Tables({len(self.cells):,} cells, {len(self.edges):,} edges)"


def tables_of(cells: Cells, level: float) -> Tables:
    """See `Cells.to_pandas`."""
    pandas = package("pandas", "to_pandas")
    of_cells = cells.statistics().to_pandas()
    winners = winners_of(cells, level)
    of_cells["class"] = winners.cells
    of_cells["boundary_distance"] = distances_to_segments(cells.centroids, winners.boundary.points)[0]
    ends = cells.vertices[cells.edges]
    of_edges = pandas.DataFrame({
        "layer": cells.edge_layer, "unit": cells.edge_unit, "left": cells.edge_cells[:, 0], "right": cells.edge_cells[:, 1],
        "x0": ends[:, 0, 0], "y0": ends[:, 0, 1], "x1": ends[:, 1, 0], "y1": ends[:, 1, 1],
        "length": np.hypot(*(ends[:, 1] - ends[:, 0]).T),
    }).rename_axis("edge")
    for table in (of_cells, of_edges):
        table.attrs["record"] = cells.record()
    return Tables(of_cells, of_edges)
