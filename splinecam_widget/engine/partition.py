"""The result: an exact partition of a slice by a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from .arrays import Float64, as_numbers, span_text
from .cells import Cells
from .errors import percent_text, sizes_text
from .evaluation import evaluate, patterns_at, row_chunks
from .layers import Layer
from .network import Network
from .planar import Int64
from .records import Made, model_record, package_versions
from .threads import on_all_cores

if TYPE_CHECKING:
    from splinecam_widget.analysis.changes import Changes
    from splinecam_widget.analysis.jacobians import ActiveUnits
    from splinecam_widget.analysis.statistics import Statistics

    from .certificate import Certificate


@dataclass(frozen=True, eq=False)
class Partition(Cells):
    """The cells of a slice on which a network is one affine map. Made by `compute_partition`.

    Attributes
    ----------
    plane, planar, values, tolerance, n_close, n_zero, asked :
        As of `Cells`.
    network : Network
        The network as it was understood.
    zero_tolerances : tuple of (m,) float64
        Of every cut in `network.layers`: rounding errors of what decides; a pre-activation below its own counts as zero.
    """

    network: Network = field(kw_only=True)
    zero_tolerances: tuple[Float64, ...] = field(default=(), kw_only=True)

    def __repr__(self) -> str:
        shape = sizes_text(self.plane.input_shape)
        kind = "" if self.is_exact else ", of an approximation"
        kind += f", {self.head} set aside" if self.head else ""
        kind += "" if self.is_complete else f", {percent_text(self.share)} of the area asked for"
        return (f"Partition({self.n_cells:,} cells, {len(self.vertices):,} vertices, {len(self.edges):,} edges; "
                f"{len(self.network.layers)} layers of kinks, {shape} inputs, {self.values.shape[1]} outputs{kind})")

    @property
    def is_exact(self) -> bool:
        """Whether this is the user's network itself, and not one with approximated activations."""
        return not self.network.approximations

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What `edge_layer` and `edge_unit` count: the layers of kinks in execution order."""
        return self.network.layer_records

    @cached_property
    def made(self) -> Made:
        """What it was made of and by, with its certificate, which takes a moment the first time."""
        from .checking import certificate_of

        return Made(model_record(self.network), package_versions(), certificate_of(self, False))

    @property
    def head(self) -> str:
        """A monotone last operation of the model that was set aside ("softmax"), or ""."""
        return self.network.head

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

        Raises
        ------
        ValueError
            For cells that do not exist.

        Notes
        -----
        Derivatives of the network along the two basis vectors, carried through it step by step. Of many cells, each layer's are
        taken once for all cells that the layers before leave together.
        """
        from splinecam_widget.analysis.derivatives import derivatives_along
        from splinecam_widget.analysis.jacobians import cell_ids

        ids = np.arange(self.n_cells) if cells is None else np.atleast_1d(cell_ids(self, cells))
        outputs, A = derivatives_along(self, ids, self.plane.basis, np.eye(2))
        return A, outputs - np.einsum("cki,ci->ck", A, self.centroids[ids])

    def _outputs_at(self, u: Float64, cells: Any) -> Float64:  # noqa: ARG002 (the network needs to know no cells)
        """Outputs (n, K) at points (n, 2), by the network itself."""

        def read(rows: slice) -> Float64:
            with torch.no_grad():
                found: Float64 = evaluate(self.network, torch.from_numpy(self.plane.to_input(u[rows]))).numpy()
            return found

        return np.concatenate(on_all_cores(read, row_chunks(self.network, len(u))))

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

        Raises
        ------
        ValueError
            For cells that do not exist, or points outside the domain: what counts as zero was found out for the domain.
        """
        asked = np.asarray(where.detach().cpu().numpy() if hasattr(where, "detach") else where)
        if asked.ndim == 1 and asked.dtype.kind in "iu":
            if len(asked) and not (asked.min() >= 0 and asked.max() < self.n_cells):
                raise ValueError(f"where: expected cell ids from 0 to {self.n_cells - 1}, got {span_text(asked)}")
            return self._pieces(self.centroids[asked])
        points, _ = as_numbers(asked, "where")
        if points.ndim != 2 or points.shape[1] != 2:
            raise ValueError(f"where: expected cell ids (n,) or points (n, 2), got shape {points.shape}")
        self._check_inside(points, "where")
        return self._pieces(points)

    def _pieces(
        self, points: Float64, layers: Sequence[int] | None = None, units: slice = slice(None)
    ) -> tuple[NDArray[Any], ...]:
        """Of some layers, in order, the pieces (n, m) that some of their units are on at points."""
        return patterns_at(
            self.network, self.zero_tolerances, lambda rows: self.plane.to_input(points[rows]), len(points), layers, units)

    @cached_property
    def _changes(self) -> Changes:
        from splinecam_widget.analysis.changes import changes_of

        return changes_of(self)

    def _edges_of_unit(self, layer: int, unit: int) -> Int64:
        """Edges across which the unit changes its piece, also where an earlier unit that bends there gave them their name."""
        # Knot by knot and comparison by comparison, so one column in so many is of this unit.
        doubtful, differ = self._differences(layer, slice(unit, None, self.layers[layer].n_units))
        return np.union1d(self._changes.edges_of(layer, unit), doubtful[differ.any(axis=1)])

    def _edges_of_layer(self, layer: int) -> tuple[Int64, Int64]:
        """Edges across which units of the layer change their piece, and these units; likewise."""
        edges, units = self._changes.of_layer(layer)
        doubtful, differ = self._differences(layer, slice(None))
        others = np.flatnonzero(differ.any(axis=0)) % self.layers[layer].n_units
        return np.union1d(edges, doubtful[differ.any(axis=1)]), np.union1d(units, others)

    def asks_network_for_lines(self, layer: int) -> bool:
        """Whether `layer_lines` evaluates the network, as where units share lines; that may take longer than all else."""
        return len(self._doubtful(layer)) > 0

    def _doubtful(self, layer: int) -> Int64:
        """Edges across which units of a layer may change their piece without being named there."""
        return np.flatnonzero(~self._changes.is_known & (self.edge_layer >= 0) & (self.edge_layer <= layer))

    def _differences(self, layer: int, units: slice) -> tuple[Int64, NDArray[np.bool_]]:
        """Those edges (n,), and which of some units' entries (n, m) are not the same on both sides, by the network."""
        doubtful = self._doubtful(layer)
        cells, places = np.unique(self.edge_cells[doubtful], return_inverse=True)
        pieces, = self._pieces(self.centroids[cells], [layer], units)
        left, right = places.reshape(-1, 2).T
        return doubtful, pieces[left] != pieces[right]

    def flips(self, a: Any, b: Any) -> Any:
        """How many units differ between two places: the Hamming distance of their activation patterns.

        Parameters
        ----------
        a, b : int, (n,) integers, (2,) floats or (n, 2) floats
            Cells by id, or points in slice coordinates; one place may stand against many.

        Returns
        -------
        int for two single places, else (n,) int64

        Raises
        ------
        ValueError
            For cells that do not exist, points outside the domain, or different numbers of places.

        Notes
        -----
        Counts the entries of `patterns` that differ. Crossing an edge flips one unit, where no two units bend along one line;
        then `flips` is a lower bound of the number of edges to cross (`region_graph().distances`), and equal to it in a
        network with one layer of kinks. It is no bound where several units flip at once.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> p.flips([-0.5, -0.5], [0.5, 0.5])
        2
        """
        from splinecam_widget.analysis.paths import flips_between

        return flips_between(self, a, b)

    def statistics(self) -> Statistics:
        """As `Cells.statistics`, with the active units of every cell and layer.

        Returns
        -------
        Statistics
            Every measure is computed when it is first asked for.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> found = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2))).statistics()
        >>> sorted(found.n_active[:, 0].tolist())
        [0, 1, 1, 2]
        """
        from splinecam_widget.analysis.activity import active_counts
        from splinecam_widget.analysis.statistics import Statistics

        return Statistics(self, lambda: active_counts(self))

    def input_jacobian(self, cells: Any) -> Float64:
        """Derivatives of the outputs by all entries of the input, on cells.

        Parameters
        ----------
        cells : int, or (n,) integers
            Cell ids.

        Returns
        -------
        (K, *input_shape) or (n, K, *input_shape) float64
            Across the slice as well as along it: `affine_maps` has the part along it.

        Raises
        ------
        ValueError
            If there are no such cells.

        Notes
        -----
        By backward differentiation at the cells' centroids; where the slice is all of input space, as `affine_maps`. Where a
        unit is zero on the whole cell, so that the slice lies in its kink, the derivative is the one that torch gives.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> p.input_jacobian(p.locate([[0.5, -0.5]])).tolist()
        [[[1.0, 0.0], [0.0, 0.0]]]
        """
        from splinecam_widget.analysis.jacobians import jacobians_of

        return jacobians_of(self, cells)

    def active_circuit(self, cell: int) -> tuple[ActiveUnits, ...]:
        """The units that are on, on one cell, layer by layer.

        Parameters
        ----------
        cell : int

        Returns
        -------
        tuple of ActiveUnits
            One for each layer of kinks, in execution order: where the layer is in the model, numbers and places of the units.

        Raises
        ------
        ValueError
            If there is no such cell.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> p.active_circuit(p.locate([0.5, -0.5]))[0].units.tolist()
        [0]
        """
        from splinecam_widget.analysis.jacobians import circuit_of

        return circuit_of(self, cell)

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
        from .checking import certificate_of

        return certificate_of(self, True) if full else self.made.certificate
