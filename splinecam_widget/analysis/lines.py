"""A network on a straight line between two inputs: breakpoints, values and slopes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from splinecam_widget.engine.arrays import Float64, as_numbers, span_text
from splinecam_widget.engine.compute import network_of
from splinecam_widget.engine.evaluation import patterns_at
from splinecam_widget.engine.network import Network
from splinecam_widget.engine.planar import Int32, Int64

from .chains import finished_along

if TYPE_CHECKING:
    from .class_changes import ClassChanges


@dataclass(frozen=True, eq=False)
class LinePartition:
    """The exact restriction of a network to the straight line from one input to another. Made by `compute_line`.

    A point of the line is `start + t (end - start)`, t from 0 to 1. Between two breakpoints, on a *cell*, the network is one
    affine function of t.

    Attributes
    ----------
    start, end : (*input_shape,) float64
    t : (n + 1,) float64
        Breakpoints, increasing, with 0 and 1.
    layer, unit : (n - 1,) int32
        The kink that made each inner breakpoint first, counted from 0 in execution order, and its unit: as of edges of cells.
    values : (n + 1, K) float64
        The network's outputs at the breakpoints (the logits, where a softmax was set aside).
    tolerance : (K,) float64
        Bound of the rounding error of `values`.
    network : Network
        As it was understood.
    zero_tolerances : tuple of (m,) float64
        See `Partition`.
    n_close, n_zero : int
        Crossings that float64 could not tell apart, which share a breakpoint; pre-activations that counted as zero.
    """

    start: Float64
    end: Float64
    t: Float64
    layer: Int32
    unit: Int32
    values: Float64
    tolerance: Float64
    network: Network
    zero_tolerances: tuple[Float64, ...] = ()
    n_close: int = 0
    n_zero: int = 0

    def __repr__(self) -> str:
        head = f", {self.head} set aside" if self.head else ""
        return f"LinePartition({self.n_cells:,} cells, length {self.length:.6g}, {self.values.shape[1]} outputs{head})"

    @property
    def head(self) -> str:
        """A monotone last operation of the model that was set aside ("softmax"), or ""."""
        return self.network.head

    @property
    def n_cells(self) -> int:
        """Number of pieces between breakpoints."""
        return len(self.t) - 1

    @cached_property
    def length(self) -> float:
        """Of the line, input-space units."""
        return float(np.linalg.norm(self.end - self.start))

    @property
    def lengths(self) -> Float64:
        """(n,) float64: of the cells, input-space units."""
        lengths: Float64 = np.diff(self.t) * self.length
        return lengths

    @property
    def middles(self) -> Float64:
        """(n,) float64: t in the middle of each cell."""
        return self.t[:-1] + np.diff(self.t) / 2

    @cached_property
    def slopes_per_t(self) -> Float64:
        """(n, K) float64: slope of the outputs on each cell, per unit of t (from one end of the line to the other)."""
        slopes: Float64 = np.diff(self.values, axis=0) / np.diff(self.t)[:, None]
        return slopes

    @property
    def slopes(self) -> Float64:
        """(n, K) float64: slope of the outputs on each cell, per input-space unit.

        Exact up to the rounding of the values over the cell's length.
        """
        return self.slopes_per_t / self.length

    @cached_property
    def region_ids(self) -> Int64:
        """(n,) int64: linear region of each cell: neighbours with the same slope merged, numbered along the line.

        Slopes are the same if they differ by no more than the rounding errors of the values over the cells' lengths.
        """
        error = 2 * self.tolerance / np.diff(self.t)[:, None]
        is_same = (np.abs(np.diff(self.slopes_per_t, axis=0)) <= error[:-1] + error[1:]).all(axis=1)
        return np.append(0, np.cumsum(~is_same))

    @property
    def n_regions(self) -> int:
        """Number of linear regions: cells merged with neighbours that have the same slope."""
        return int(self.region_ids[-1]) + 1

    def to_input(self, t: Any) -> Float64:
        """Inputs at t (...): (..., *input_shape) float64, `start` and `end` themselves at 0 and 1."""
        place = np.asarray(t, dtype=np.float64).reshape(*np.shape(t), *(1,) * self.start.ndim)
        inputs: Float64 = (1 - place) * self.start + place * self.end
        return inputs

    def locate(self, t: Any) -> Int64:
        """The cell of each t (...): ids (...), the lower one at a breakpoint, -1 outside."""
        place = np.asarray(t, dtype=np.float64)
        cells = np.maximum(np.searchsorted(self.t, place) - 1, 0)
        return np.where((place >= 0) & (place <= 1), cells, -1)

    def at(self, t: Any) -> Float64:
        """Outputs (..., K) at t (...), interpolated between the breakpoints.

        Raises
        ------
        ValueError
            If a t is not a number from 0 to 1.

        Examples
        --------
        >>> import torch
        >>> compute_line(torch.nn.ReLU(), [-1.0], [1.0]).at([0.25, 0.75]).tolist()
        [[0.0], [0.5]]
        """
        place, _ = as_numbers(t, "t")
        cells = self.locate(place)
        if (cells < 0).any():
            raise ValueError(f"t: expected numbers from 0 to 1, got {span_text(place)}")
        share = (place - self.t[cells]) / (self.t[cells + 1] - self.t[cells])
        left, right = self.values[cells], self.values[cells + 1]
        found: Float64 = left + share[..., None] * (right - left)
        return found

    def patterns(self, where: Any) -> tuple[NDArray[Any], ...]:
        """Activation patterns: for every layer of kinks, which piece each unit is on.

        Parameters
        ----------
        where : (n,) integers or (n,) floats
            Cells by id, or points by t.

        Returns
        -------
        tuple of (n, m) bool or int64
            As of `Partition.patterns`.

        Raises
        ------
        ValueError
            If a cell or a point is not there.

        Examples
        --------
        >>> import torch
        >>> compute_line(torch.nn.ReLU(), [-1.0], [1.0]).patterns([0, 1])[0].tolist()
        [[False], [True]]
        """
        asked = np.asarray(where)
        if asked.ndim != 1:
            raise ValueError(f"where: expected cell ids (n,) or numbers t (n,), got shape {asked.shape}")
        if asked.dtype.kind in "iu":
            if len(asked) and not (asked.min() >= 0 and asked.max() < self.n_cells):
                raise ValueError(f"where: expected cell ids from 0 to {self.n_cells - 1}, got {span_text(asked)}")
            asked = self.middles[asked]
        place, _ = as_numbers(asked, "where")
        if (self.locate(place) < 0).any():
            raise ValueError(f"where: expected numbers t from 0 to 1, got {span_text(place)}")
        return patterns_at(self.network, self.zero_tolerances, lambda rows: self.to_input(place[rows]), len(place))

    def class_changes(self, level: float = 0.0) -> ClassChanges:
        """Where the largest output changes along the line; of one output, where it passes a level.

        Parameters
        ----------
        level : float
            For one output.

        Raises
        ------
        ValueError
            For a level with several outputs, or one that is not finite.

        Notes
        -----
        Exact up to rounding: outputs are affine between breakpoints. Outputs that their rounding errors cannot tell apart tie,
        and ties go to the lower class, as in `torch.argmax`.

        References
        ----------
        Sotoudeh, Thakur: Computing linear restrictions of neural networks. NeurIPS 2019, arXiv 1908.06214.

        Examples
        --------
        >>> import torch
        >>> changes = compute_line(torch.nn.Identity(), [1.0, 0.0], [0.0, 3.0]).class_changes()
        >>> changes.t.tolist(), changes.classes.tolist()
        ([0.25], [[0, 1]])
        """
        from .class_changes import changes_along

        return changes_along(self, level)

    def integrated_gradients(self, output: int | None = None) -> Float64:
        """What each entry of the input contributes to the change of an output along the line, (*input_shape) float64.

        Parameters
        ----------
        output : int or None
            Which output; None: the largest at `end`.

        Raises
        ------
        ValueError
            If there is no such output.

        Notes
        -----
        The path integral of the gradient, times `end - start`, of Sundararajan et al. On each cell the gradient is constant,
        so the integral is a sum over cells of their widths in t times the gradient at their middles, without a step size. The
        entries sum to the difference of the output between the ends ("completeness"). Where the line runs along a kink, the
        gradient is the one that torch gives.

        References
        ----------
        Sundararajan, Taly, Yan: Axiomatic attribution for deep networks. ICML 2017, arXiv 1703.01365.

        Examples
        --------
        >>> import torch
        >>> line = compute_line(lambda x: torch.relu(x).sum(1, keepdim=True), [-1.0, 0.0], [1.0, 2.0])
        >>> line.integrated_gradients().tolist()
        [1.0, 2.0]
        """
        from .attributions import gradients_along

        return gradients_along(self, output)


def compute_line(
    model: Any, a: Any, b: Any, output: str | int | None = None, approximate: float | None = None
) -> LinePartition:
    """The exact restriction of a CPWL network to the straight line from one input to another.

    Parameters
    ----------
    model : nn.Module, callable of torch operations, or Network
        As of `compute_partition`; the `network` of another partition or line saves reading the model again.
    a, b : (*input_shape,) tensors or arrays
        Different inputs of one shape, as the model takes them, without the batch axis.
    output, approximate :
        As of `compute_partition`.

    Raises
    ------
    UnsupportedModelError
        If an operation of the model is neither affine nor a known kink.
    TypeError, ValueError
        If an argument is of the wrong kind, shapes differ, a and b are the same input, or outputs are not finite.

    Notes
    -----
    As `compute_partition` with one dimension less: at every kink, an interval is cut where a pre-activation has opposite signs
    at its ends, with the same rounding bounds. Breakpoints of which float64 gives the same t are one. Of long lines through
    wide networks, parts are computed one after the other, so that memory stays within some hundred megabytes.

    References
    ----------
    Sotoudeh, Thakur: Computing linear restrictions of neural networks. NeurIPS 2019, arXiv 1908.06214.

    Examples
    --------
    >>> import torch
    >>> line = compute_line(torch.nn.ReLU(), [-1.0, -2.0], [3.0, 2.0])
    >>> line.t.tolist(), line.unit.tolist()
    ([0.0, 0.25, 0.5, 1.0], [0, 1])
    """
    (start, _), (end, _) = as_numbers(a, "a"), as_numbers(b, "b")
    if start.ndim == 0:
        raise ValueError("a: expected an input of at least one axis, got a number")
    if end.shape != start.shape:
        raise ValueError(f"b: expected the shape of a, {start.shape}, got {end.shape}")
    if not np.any(start != end):
        raise ValueError("b: expected an input different from a, got the same one")
    network = network_of(model, start.shape, output, approximate)
    if network.input_shape != start.shape:
        raise ValueError(f"a: expected an input of shape {network.input_shape}, got {start.shape}")
    found = finished_along(network, start, end)
    return LinePartition(start, end, found.t, found.layer[1:-1], found.unit[1:-1], found.values, found.tolerance, network,
                         found.zero_tolerances, found.n_close, found.n_zero)
