"""The cells of a slice and the outputs at their vertices, and what follows from these arrays alone. Knows no network."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from . import _cell_measures
from .arrays import Float64, as_count
from .bounding import Boundaries
from .exporting import Exports
from .graph import component_ids
from .layers import Layer
from .measuring import Measures
from .planar import EDGES_AT_A_TIME, Int64
from .slices import Slice, polygon_area
from .tessellation import Tessellation
from .threads import loops_in_runs

if TYPE_CHECKING:
    from .records import Made

P = TypeVar("P", bound="Cells")


@dataclass(frozen=True, eq=False)
class Cells(Measures, Boundaries, Exports, Tessellation):
    """Convex cells of a slice on each of which the outputs are affine.

    Attributes
    ----------
    plane, planar :
        As of a `Tessellation`.
    values : (V, K) float64
        The network's outputs at the vertices (the logits, where a softmax was set aside).
    tolerance : (K,) float64
        Bound of the rounding error of `values`, see `rounding`.
    n_close : int
        Crossings of edges that float64 could not tell apart; they share a vertex.
    n_zero : int
        Pre-activations at vertices that counted as zero.
    asked : (k, 2) float64 or None
        The domain that was asked for, where only `plane.domain` fitted into the budget.
    """

    values: Float64
    tolerance: Float64
    n_close: int = 0
    n_zero: int = 0
    asked: Float64 | None = None

    def with_anchors_of(self: P, plane: Slice) -> P:
        """The same partition with another slice's anchors: nothing else depends on them."""
        clone = copy.copy(self)
        object.__setattr__(clone, "plane", plane)
        return clone

    @property
    def asked_plane(self) -> Slice:
        """The slice that was asked for: `plane`, with all of the domain."""
        return self.plane if self.asked is None else self.plane.with_domain(self.asked)

    @property
    def is_complete(self) -> bool:
        """Whether this is all that was asked for."""
        return self.asked is None

    @property
    def share(self) -> float:
        """How much of the area that was asked for this is, 1.0 for all of it."""
        return 1.0 if self.asked is None else polygon_area(self.plane.domain) / polygon_area(self.asked)

    @property
    def made(self) -> Made:
        """What it was made of and by, with its certificate."""
        raise NotImplementedError

    @property
    def head(self) -> str:
        """A monotone last operation of the model that was set aside ("softmax"), or ""."""
        raise NotImplementedError

    def record(self) -> dict[str, Any]:
        """Where the partition comes from: what every exported file carries, made of what JSON has.

        Returns
        -------
        dict
            `slice` (input_shape, origin, basis, anchors), `domain`, `asked` and `share` where that is only a part of what
            was asked for, `n_cells`, `is_exact` (False for an approximation), `model` (a digest, layers), `versions` of
            packages, `certificate`.

        Notes
        -----
        `origin` and `basis` are given by shape, SHA-256 and, up to 64 KiB, their float64 numbers in base64, see
        `engine.records.array_of`; `Partition.save` stores them in full. The certificate takes a moment, the first time.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> record = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2))).record()
        >>> record["n_cells"], record["is_exact"], record["certificate"]["is_sound"]
        (4, True, True)
        """
        from .records import record_of

        return record_of(self)

    @cached_property
    def region_ids(self) -> Int64:
        """(C,) int64: linear region of each cell, neighbours with the same affine map merged, numbered by first cells."""
        beside = self.edge_cells
        same = np.concatenate(loops_in_runs(lambda begin, end: _cell_measures.same_map_across(
            self.vertices, self.edges[begin:end], beside[begin:end], self.cell_offsets, self.cell_vertices, self.values,
            self.tolerance), len(self.edges), EDGES_AT_A_TIME))
        if not same.any():
            return np.arange(self.n_cells)
        return component_ids(self.n_cells, self.edge_cells[same])

    @cached_property
    def _counted_boxes(self) -> tuple[Int64, ...]:
        from splinecam_widget.analysis.counting import counted_boxes

        return counted_boxes(self)

    @cached_property
    def n_regions(self) -> int:
        """Number of linear regions: cells merged with neighbours that have the same affine map.

        At most `n_cells`; smaller, for example, when a unit has no outgoing weight, so that nothing bends at its edges.
        """
        return int(self.region_ids.max()) + 1

    @cached_property
    def slopes(self) -> Float64:
        """(C, K, 2) float64: gradient of the outputs on each cell, from the values at its vertices, without the network.

        Exact up to the rounding of the values over the cell's width; `affine_maps` has no such loss on tiny cells.
        """
        found: Float64 = _cell_measures.gradients(self.vertices, self.values, self.cell_offsets, self.cell_vertices)
        return found

    @cached_property
    def slope_norms(self) -> Float64:
        """(C,) float64: spectral norm of each cell's slope (K, 2), output units per input-space unit.

        From the 2 x 2 Gram matrix: the root of its larger eigenvalue.
        """
        along, across = self.slopes[:, :, 0], self.slopes[:, :, 1]
        xx, xy, yy = (np.einsum("ck,ck->c", a, b) for a, b in ((along, along), (along, across), (across, across)))
        norms: Float64 = np.sqrt((xx + yy) / 2 + np.hypot((xx - yy) / 2, xy))
        return norms

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What `edge_layer` and `edge_unit` count: the layers of kinks in execution order."""
        raise NotImplementedError

    def layer_of(self, layer: int) -> Layer:
        """One layer of kinks.

        Raises
        ------
        ValueError
            If there is no such layer.
        """
        return self.layers[as_count(layer, 0, len(self.layers) - 1, "layer", "a layer of kinks")]
