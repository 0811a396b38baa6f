"""A computation between two stages of a network, and what it did so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from .arrays import Float64
from .network import Network
from .planar import NewVertices, PlanarComplex
from .rounding import Bound, input_bound
from .slices import Slice
from .splitting import Split


@dataclass
class Work:
    """What a computation did, counted.

    Attributes
    ----------
    vertices_evaluated : int
        Vertices at which a stage of the network was evaluated, summed over stages.
    vertices_by_hats : int
        Those of them whose values came from those at others, see `hats`.
    cells_reused : int
        Cells taken over from an earlier result.
    n_close : int
        Crossings and vertices whose order float64 could not decide; they share a vertex.
    n_irregular : int
        Splits with signs that no straight line has.
    n_zero : int
        Values at vertices that are within their rounding error, so that the line of their unit goes through the vertex.
    n_tiles : int
        Into which the domain was cut, see `dividing`; 0 where it was not.
    """

    vertices_evaluated: int = 0
    vertices_by_hats: int = 0
    cells_reused: int = 0
    n_close: int = 0
    n_irregular: int = 0
    n_zero: int = 0
    n_tiles: int = 0


@dataclass(frozen=True)
class State:
    """A computation before one of the network's stages.

    Attributes
    ----------
    number : int
        The stage.
    planar : PlanarComplex
        As cut by all stages before.
    live : dict of (V_old, n) float64
        Tensors that come in, at the vertices before the last cut.
    bounds : dict of Bound
        Theirs.
    n_corners : int
        Of the domain.
    new : NewVertices or None
        What the last cut added.
    split : Split or None
        The last cut, where another one may take over from it.
    first_round : dict
        Of every tournament so far, the stage of its first round.
    zero_tolerances : tuple of (m,) float64
        See `Partition`.
    n_close, n_irregular, n_zero : int
        See `Work`.
    """

    number: int
    planar: PlanarComplex
    live: dict[str, Float64]
    bounds: dict[str, Bound]
    n_corners: int
    new: NewVertices | None = None
    split: Split | None = None
    first_round: dict[str, int] = field(default_factory=dict)
    zero_tolerances: tuple[Float64, ...] = ()
    n_close: int = 0
    n_irregular: int = 0
    n_zero: int = 0

    @classmethod
    def of_corners(cls, network: Network, plane: Slice) -> State:
        """Before the first stage: one cell."""
        planar = PlanarComplex.single_cell(plane.domain)
        corners = plane.to_input(planar.points)
        name = network.input_name
        return cls(0, planar, {name: corners.reshape(len(corners), -1)}, {name: input_bound(corners)}, len(plane.domain))

    @property
    def n_bytes(self) -> int:
        """Of its arrays."""
        return int(self.planar.n_bytes + sum(rows.nbytes for rows in self.live.values())
                   + (0 if self.new is None else self.new.n_bytes) + (0 if self.split is None else self.split.n_bytes))
