"""The result: an exact partition of a slice, and what follows from its arrays alone."""

from __future__ import annotations

import copy
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from . import _cell_measures
from .arrays import Float64, as_numbers
from .evaluation import evaluate, row_chunks, run_steps
from .graph import component_ids
from .network import Network
from .planar import Int32, Int64, PlanarComplex, cells_beside_edges
from .slices import Slice
from .threads import apart, on_all_cores

if TYPE_CHECKING:
    from .boundary import Boundary
    from .certificate import Certificate

_DIFFERENTIATING = threading.Lock()
"""torch counts levels of forward differentiation for all threads together: two at a time break each other."""


@dataclass(frozen=True, eq=False)
class Partition:
    """The cells of a slice on which a network is one affine map. Made by `compute_partition`.

    All coordinates are slice coordinates (input-space units). Arrays are shared with the engine: read, do not write.

    Attributes
    ----------
    network : Network
        The network as it was understood.
    plane : Slice
    planar : PlanarComplex
        The arrays behind the properties below.
    values : (V, K) float64
        The network's outputs at the vertices (the logits, where a softmax was set aside).
    tolerance : (K,) float64
        Bound of the rounding error of `values`, see `rounding`.
    n_close : int
        Crossings of edges that float64 could not tell apart; they share a vertex.
    zero_tolerances : tuple of (m,) float64
        Of every cut in `network.layers`: rounding errors of what decides; a pre-activation below its own counts as zero.
    n_zero : int
        Pre-activations at vertices that counted as zero.
    """

    network: Network
    plane: Slice
    planar: PlanarComplex
    values: Float64
    tolerance: Float64
    n_close: int = 0
    zero_tolerances: tuple[Float64, ...] = ()
    n_zero: int = 0

    def __repr__(self) -> str:
        shape = " x ".join(str(size) for size in self.plane.input_shape)
        kind = "" if self.is_exact else ", of an approximation"
        return (f"Partition({self.n_cells:,} cells, {len(self.vertices):,} vertices, {len(self.edges):,} edges; "
                f"{len(self.network.layers)} layers of kinks, {shape} inputs, {self.values.shape[1]} outputs{kind})")

    @property
    def is_exact(self) -> bool:
        """Whether this is the user's network itself, and not one with approximated activations."""
        return not self.network.approximations

    def with_anchors_of(self, plane: Slice) -> Partition:
        """The same partition with another slice's anchors: nothing else depends on them."""
        clone = copy.copy(self)
        object.__setattr__(clone, "plane", plane)
        return clone

    @property
    def vertices(self) -> Float64:
        """(V, 2) float64."""
        return self.planar.points

    @property
    def cell_offsets(self) -> Int64:
        """(C + 1,) int64: cell i is `cell_vertices[cell_offsets[i]:cell_offsets[i + 1]]`, counter-clockwise."""
        return self.planar.cell_offsets

    @property
    def cell_vertices(self) -> Int32:
        """(sum,) int32."""
        return self.planar.cell_vertices

    @property
    def edges(self) -> Int32:
        """(E, 2) int32: vertex ids."""
        return self.planar.edges

    @property
    def edge_layer(self) -> Int32:
        """(E,) int32: the kink that made each edge, counted from 0 in execution order; -1 on the domain's border."""
        return self.planar.edge_layer

    @property
    def edge_unit(self) -> Int32:
        """(E,) int32: the unit of that kink, its index in the flattened pre-activation; -1 on the border."""
        return self.planar.edge_unit

    @cached_property
    def edge_cells(self) -> Int32:
        """(E, 2) int32: the cells left and right of each edge, -1 outside."""
        return cells_beside_edges(self.planar)

    @property
    def n_cells(self) -> int:
        """Number of activation cells: polygons with one activation pattern."""
        return self.planar.n_cells

    @cached_property
    def region_ids(self) -> Int64:
        """(C,) int64: linear region of each cell, neighbours with the same affine map merged, numbered by first cells."""
        same = _cell_measures.same_map_across(
            self.vertices, self.edges, self.edge_cells, self.cell_offsets, self.cell_vertices, self.values, self.tolerance
        )
        if not same.any():
            return np.arange(self.n_cells)
        return component_ids(self.n_cells, self.edge_cells[same])

    @cached_property
    def n_regions(self) -> int:
        """Number of linear regions: cells merged with neighbours that have the same affine map.

        At most `n_cells`; smaller, for example, when a unit has no outgoing weight, so that nothing bends at its edges.
        """
        return int(self.region_ids.max()) + 1

    @cached_property
    def _measures(self) -> tuple[Float64, Float64]:
        areas, centroids = _cell_measures.areas_and_centroids(self.vertices, self.cell_offsets, self.cell_vertices)
        return areas, centroids

    @property
    def areas(self) -> Float64:
        """(C,) float64: areas of the cells, input-space units squared."""
        return self._measures[0]

    @property
    def centroids(self) -> Float64:
        """(C, 2) float64: a point inside each cell."""
        return self._measures[1]

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
        gram = np.einsum("cki,ckj->cij", self.slopes, self.slopes)
        half = (gram[:, 0, 0] + gram[:, 1, 1]) / 2
        norms: Float64 = np.sqrt(half + np.hypot((gram[:, 0, 0] - gram[:, 1, 1]) / 2, gram[:, 0, 1]))
        return norms

    def affine_maps(self, cells: Any = None) -> tuple[Float64, Float64]:
        """The affine map of every cell: outputs at slice coordinates u of cell c are `A[c] @ u + b[c]`.

        Parameters
        ----------
        cells : (n,) integers or None
            Only these cells, in this order.

        Returns
        -------
        A : (C, K, 2) float64
        b : (C, K) float64

        Notes
        -----
        Forward-mode derivatives of the network at the cells' centroids along the two basis vectors.
        """
        middles = self.centroids if cells is None else self.centroids[np.asarray(cells)]
        A = np.empty((len(middles), self.values.shape[1], 2))
        outputs = np.empty((len(middles), self.values.shape[1]))

        def read(tick: Callable[[], None]) -> None:
            for rows in row_chunks(self.network, len(middles)):
                tick()
                x = torch.from_numpy(self.plane.to_input(middles[rows]))
                for i, direction in enumerate(torch.from_numpy(self.plane.basis)):
                    pair: Any = torch.func.jvp(lambda v: evaluate(self.network, v), (x,), (direction.expand_as(x),))
                    A[rows, :, i] = pair[1].numpy()
                outputs[rows] = pair[0].numpy()

        # On its first use, torch.func.jvp compiles rules with torch's own deprecated torch.jit.script.
        with _DIFFERENTIATING, warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            apart(read, lambda: None)
        return A, outputs - np.einsum("cki,ci->ck", A, middles)

    @cached_property
    def _buckets(self) -> tuple[float, float, float, float, int, Int64, Int32]:
        low, high = self.vertices.min(axis=0), self.vertices.max(axis=0)
        n = max(1, int(np.sqrt(self.n_cells)))
        width, height = high - low
        starts, ids = _cell_measures.bucket_cells(
            self.vertices, self.cell_offsets, self.cell_vertices, low[0], low[1], width, height, n
        )
        return float(low[0]), float(low[1]), float(width), float(height), n, starts, ids

    def locate(self, u: Any) -> Int64:
        """The cell of each point (..., 2): ids (...), the lowest of them on an edge, -1 outside the domain."""
        points = np.ascontiguousarray(u.detach().cpu() if isinstance(u, torch.Tensor) else u, dtype=np.float64)
        if points.shape[-1:] != (2,):
            raise ValueError(f"u: expected slice coordinates of shape (..., 2), got {points.shape}")
        left, bottom, width, height, n, starts, ids = self._buckets
        found = _cell_measures.locate_points(
            points.reshape(-1, 2), self.vertices, self.cell_offsets, self.cell_vertices,
            left, bottom, width, height, n, starts, ids,
        )
        cells: Int64 = found.reshape(points.shape[:-1])
        return cells

    def patterns(self, where: Any) -> tuple[NDArray[np.bool_], ...]:
        """Activation patterns: for every layer of kinks, which piece each unit is on.

        Parameters
        ----------
        where : (n,) integers or (n, 2) floats
            Cells by id, or points in slice coordinates.

        Returns
        -------
        tuple of (n, m) bool or int64
            One array a layer, in execution order. True where the pre-activation is beyond a knot, knot by knot and unit by unit
            (a ReLU has one knot, at zero); of a sort, for every comparison; where the largest of several is taken, the
            number of the winning entry; of a `PiecewiseLinear`, the number of the piece.
        """
        asked = np.asarray(where)
        if asked.ndim == 1 and asked.dtype.kind in "iu":
            if len(asked) and not (asked.min() >= 0 and asked.max() < self.n_cells):
                raise ValueError(f"where: expected cell ids from 0 to {self.n_cells - 1}, got {asked.min()} to {asked.max()}")
            asked = self.centroids[asked]
        points, _ = as_numbers(asked, "where")
        if points.ndim != 2 or points.shape[1] != 2:
            raise ValueError(f"where: expected cell ids (n,) or points (n, 2), got shape {points.shape}")

        def read(rows: slice) -> list[NDArray[Any]]:
            x = torch.from_numpy(self.plane.to_input(points[rows]))
            with torch.no_grad():
                env = run_steps(self.network.steps, {self.network.input_name: x}, len(x))
            tolerances = iter(self.zero_tolerances)
            return [np.concatenate([step.pattern(env, torch.from_numpy(next(tolerances))).numpy() for step in layer], axis=1)
                    for layer in self.network.layers]

        # No points still have patterns of a width: one empty chunk.
        chunks = on_all_cores(read, row_chunks(self.network, len(points)) or [slice(0, 0)])
        return tuple(np.concatenate(patterns) for patterns in zip(*chunks))

    def decision_boundary(self, classes: tuple[int, int] | None = None, level: float = 0.0) -> Boundary:
        """Where the two largest outputs tie (K > 1), or where the output is `level` (K = 1).

        Parameters
        ----------
        classes : pair of int or None
            Only the ties between these two classes.
        level : float
            For one output.

        Raises
        ------
        ValueError
            For a level with several outputs, or classes that do not exist.
        """
        from .boundary import boundary_of

        return boundary_of(self, classes, level)

    def certificate(self, full: bool = False) -> Certificate:
        """Checks of this partition: areas, Euler's formula, convexity, neighbours, patterns, and the user's model itself.

        Parameters
        ----------
        full : bool
            Check maps and patterns of all cells, not of a sample of 256.

        Returns
        -------
        Certificate
            Print it for the figures; `is_sound` says whether all came out as they must.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2))).certificate().is_sound
        True
        """
        from .certificate import certificate_of

        return certificate_of(self, full)
