"""How the checks of a partition came out. Knows neither torch nor how they are made."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import percent_text

AREA_LIMIT = 1e-9
"""Relative difference between the cells' areas, summed, and the domain's, above which the partition is not sound."""

RESIDUAL_LIMIT = 1e-9
"""The same for outputs, relative to the largest: two float64 evaluations of one network differ by far less."""


@dataclass(frozen=True, repr=False)
class Certificate:
    """What was checked, and how it came out.

    Attributes
    ----------
    n_cells, n_checked : int
        Cells, and those whose maps and patterns were checked. All other checks are of everything.
    area_error : float
        Cells' areas, summed, against the domain's: relative difference.
    euler : int
        V - E + F, which is 1 for a polygon cut into cells.
    n_flat : int
        Cells that are not convex and counter-clockwise up to the rounding of their corners.
    n_loose_edges : int
        Inner edges without two cells, and border edges without one.
    n_mixed : int
        Checked cells in which two inner points have different activation patterns.
    residual : float
        max |model(x) - (A u + b)| at an inner point of every checked cell, not the one at which its map was read off, with the
        user's model in float64; relative to the largest output. Under a head that was set aside, of what the head returns,
        beyond what the logits' rounding errors make of it; and where that is larger, of the logits against the network.
    n_off : int
        Corners of the checked cells at which the stored outputs, from which slopes, regions and boundary follow, differ from
        the network's by more than the rounding errors of both.
    boundary_residual : float
        Largest difference between the tying outputs at the ends and middles of the boundary's segments, by the network, in the
        same units; 0 without a boundary.
    n_close : int
        Crossings that float64 could not tell apart; they share a vertex.
    n_zero : int
        Signs within the error bound: pre-activations at vertices that are zero or too near to it to tell, so that the line of
        their unit goes through the vertex.
    compared_with : str
        What `residual` compares with.
    unasked : str
        Why that is not the user's model, "" where it is: an error that the model raises, or that it is not there.
    n_approximated : int
        Operations in whose place piecewise-linear ones stand.
    tolerance : float
        How far each of these is from its operation at most, for every unit and any value.
    deviation : float
        Largest difference found between the model itself and the network with these, at an inner point of every checked cell,
        relative to the largest output.
    """

    n_cells: int
    n_checked: int
    area_error: float
    euler: int
    n_flat: int
    n_loose_edges: int
    n_mixed: int
    residual: float
    boundary_residual: float
    n_close: int
    n_zero: int
    compared_with: str
    unasked: str = ""
    n_off: int = 0
    n_approximated: int = 0
    tolerance: float = 0.0
    deviation: float = 0.0
    share: float = 1.0

    @property
    def is_full(self) -> bool:
        return self.n_checked == self.n_cells

    @property
    def is_sound(self) -> bool:
        """Whether every check came out as it must for an exact partition."""
        counts = self.n_flat == self.n_loose_edges == self.n_mixed == self.n_off == 0 and self.euler == 1
        outputs = self.residual <= RESIDUAL_LIMIT and self.boundary_residual <= RESIDUAL_LIMIT
        return counts and outputs and self.area_error <= AREA_LIMIT

    @property
    def figures(self) -> tuple[tuple[str, str], ...]:
        """Name and value of every check, in words; one that came out as it must not says what was expected."""
        approximations = () if not self.n_approximated else (
            ("approximated operations", f"{self.n_approximated:,}, each to within {self.tolerance:g}, proven for all values"),
            ("largest deviation of outputs found", f"{self.deviation:.1e}"),
        )
        part = () if self.share == 1 else (
            ("of the area asked for", f"{percent_text(self.share)}, which fits into the budget"),)
        unasked = (("the model itself could not be asked", self.unasked),) if self.unasked else ()
        return (
            *approximations,
            *part,
            ("cells", f"{self.n_cells:,}"),
            ("maps and patterns checked", "of all cells" if self.is_full else f"of {self.n_checked:,} cells, sampled"),
            ("areas against the domain's", _error_text(self.area_error, AREA_LIMIT)),
            ("V − E + F", str(self.euler) if self.euler == 1 else f"{self.euler}, expected 1"),
            ("cells not convex", _count_text(self.n_flat)),
            ("edges without their cells", _count_text(self.n_loose_edges)),
            ("cells with two patterns", _count_text(self.n_mixed)),
            ("corners with other outputs", _count_text(self.n_off)),
            (f"against {self.compared_with}", _error_text(self.residual, RESIDUAL_LIMIT)),
            *unasked,
            ("ties on the boundary", _error_text(self.boundary_residual, RESIDUAL_LIMIT)),
            ("signs within the error bound", f"{self.n_zero:,}"),
            ("crossings float64 cannot tell apart", f"{self.n_close:,}"),
        )

    def __str__(self) -> str:
        width = max(len(name) for name, _ in self.figures)
        verdict = "NOT sound" if not self.is_sound else "sound, of an approximation" if self.n_approximated else "sound"
        return "\n".join([f"certificate: {verdict}", *(f"  {name:<{width}}  {text}" for name, text in self.figures)])

    __repr__ = __str__


def _error_text(error: float, limit: float) -> str:
    return f"{error:.1e}" if error <= limit else f"{error:.1e}, expected at most {limit:.0e}"


def _count_text(n: int) -> str:
    return "0" if n == 0 else f"{n:,}, expected 0"
