"""The façade of boundaries: where decisions change, and what lies on the way. See `boundary` and `analysis.boundaries`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .arrays import Float64
from .facade import Facade

if TYPE_CHECKING:
    from splinecam_widget.analysis.boundaries import BoundaryDistances, BoundarySample
    from splinecam_widget.analysis.walking import CellPath

    from .boundary import Boundary


class Boundaries(Facade):
    """Methods of `Cells` about the decision boundary; all work for partitions from files as well."""

    def decision_boundary(self, classes: tuple[int, int] | None = None, level: float = 0.0) -> Boundary:
        """Where the two largest outputs tie (K > 1), or where the output is `level` (K = 1).

        Parameters
        ----------
        classes : pair of int or None
            Only the ties between these two classes.
        level : float
            For one output; before a head that was set aside: of a sigmoid's, the logit.

        Returns
        -------
        Boundary
            Segments, and these joined to polylines. It parts the sides: where the winner is the same on both sides of a tie,
            or the output above the level (or not above it) on both, there is no boundary; `level_set` has these as well.

        Raises
        ------
        ValueError
            For a level with several outputs, or classes that do not exist.

        Notes
        -----
        The points u at which outputs y_i(u) = y_j(u) >= y_k(u) for all k; of one output, y(u) = level. On a cell y = A u + b,
        and these are straight segments. Coordinates are those of the slice, lengths in units of input space.

        References
        ----------
        Humayun, Balestriero, Balakrishnan, Baraniuk: SplineCam. CVPR 2023, arXiv 2302.12828.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> diamond = lambda x: 0.5 - x.abs().sum(dim=1, keepdim=True)
        >>> boundary = compute_partition(diamond, Slice.from_basis([0.0, 0.0], torch.eye(2))).decision_boundary()
        >>> len(boundary.polylines), boundary.polylines.is_closed.tolist(), round(boundary.length**2, 12)
        (1, [True], 8.0)
        """
        from .boundary import boundary_of

        return boundary_of(self._cells, classes, level)

    def level_set(self, of: Any, level: float = 0.0) -> Boundary:
        """Where an output, or a weighted sum of outputs, is at a level.

        Parameters
        ----------
        of : int or (K,) floats
            The number of an output, or weights: with 1 for class a and -1 for b it is where a is ahead of b by `level`.
        level : float
            Before a head that was set aside: of a sigmoid's, the logit.

        Returns
        -------
        Boundary
            Its classes are -1. With the side above the level on the left, where there is one.

        Raises
        ------
        ValueError
            If there is no such output, there are not K weights, all are zero, or a number is not finite.

        Notes
        -----
        All of the set that is a line: also an edge on both sides of which the function is above the level, once, and one on
        the border of the domain. Of a cell on which it is at the level everywhere, within rounding, there are those edges
        beside which it is not: the frontier of the flat part within the domain. Points that it touches are left out.
        Formula: of . y(u) = level, on a cell with y = A u + b a straight segment; lengths in units of input space.

        References
        ----------
        Humayun, Balestriero, Balakrishnan, Baraniuk: SplineCam. CVPR 2023, arXiv 2302.12828.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> p.level_set(0, 0.5).polylines.points.tolist()
        [[0.5, 1.0], [0.5, 0.0], [0.5, -1.0]]
        >>> p.level_set([1, -1], 0.25).length == p.level_set([1, -1], -0.25).length
        True
        """
        from .boundary import level_set_of

        return level_set_of(self._cells, of, level)

    def sample_boundary(
        self, n: int, seed: int = 0, classes: tuple[int, int] | None = None, level: float = 0.0
    ) -> BoundarySample:
        """Random points of the decision boundary, uniform by length.

        Parameters
        ----------
        n : int
        seed : int
            Of numpy's generator: the same points each time.
        classes, level :
            See `decision_boundary`.

        Raises
        ------
        ValueError
            If there is no boundary, `n` is not positive, or as `decision_boundary`.

        Notes
        -----
        A segment is drawn with a probability in proportion to its length, and a place on it uniformly.

        References
        ----------
        Humayun, Balestriero, Balakrishnan, Baraniuk: SplineCam. CVPR 2023, arXiv 2302.12828. It samples
        the boundary, too.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> found = p.sample_boundary(100)
        >>> found.x.shape, found.classes[0].tolist(), float(found.residual.max())
        ((100, 2), [0, 1], 0.0)
        """
        from splinecam_widget.analysis.boundaries import sample_of

        return sample_of(self._cells, n, seed, classes, level)

    def _outputs_at(self, u: Float64, cells: Any) -> Float64:
        """Outputs (n, K) at points (n, 2) that lie in cells (n,), as well as they are known."""
        from splinecam_widget.analysis.boundaries import interpolated_outputs

        return interpolated_outputs(self._cells, u, cells)

    def distance_to_boundary(
        self, points: Any, classes: tuple[int, int] | None = None, level: float = 0.0
    ) -> BoundaryDistances:
        """How far points are from the decision boundary, on the slice and within its domain.

        Parameters
        ----------
        points : (n, 2) tensor or array
            Slice coordinates, inside the domain or not.
        classes, level :
            See `decision_boundary`.

        Returns
        -------
        BoundaryDistances
            Distances, nearest points, their segments, and by `path` the cells on the way.

        Raises
        ------
        ValueError
            If points are not of that shape or not finite, or as `decision_boundary`.

        Notes
        -----
        The straight distance to the nearest point of the nearest segment. In input space there may be a nearer one off the
        slice or outside the domain: this is an upper bound of the distance there.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> found = p.distance_to_boundary([[-0.6, 0.8]])
        >>> found.distance.tolist(), found.nearest.tolist(), found.path(0).cells.tolist() == p.locate(found.points).tolist()
        ([0.8], [[-0.6, 0.0]], True)
        """
        from splinecam_widget.analysis.boundaries import distances_of

        return distances_of(self._cells, points, classes, level)

    def cells_along(self, a: Any, b: Any) -> CellPath:
        """The cells that the straight segment from a to b crosses, in order.

        Parameters
        ----------
        a, b : (2,) tensors or arrays
            Slice coordinates, in the domain.

        Returns
        -------
        CellPath

        Raises
        ------
        ValueError
            If an end is not in the domain.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> path = p.cells_along([-1.0, -0.5], [1.0, 0.5])
        >>> path.cells.tolist() == p.locate([[-0.5, -0.25], [0.5, 0.25]]).tolist(), path.t.tolist(), path.edges.tolist()
        (True, [0.0, 0.5, 1.0], [-1])
        """
        from splinecam_widget.analysis.walking import cells_along

        return cells_along(self._cells, a, b)
