"""Partitions one after the other, computing only what changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from . import dense, hats
from .arrays import Float64
from .budgets import within_budget
from .clipping import clipped, contains, is_sharp
from .compute import continued, partition_of
from .errors import OverBudget
from .joining import is_rectangle, joined, sides_of
from .keeping import Kept, n_bytes_of, same_plane
from .lowering import lower
from .network import Network, same_stages
from .partition import Partition
from .patching import Patch, patch_for
from .slices import Slice, rectangle
from .states import State, Work
from .watching import Budget, Watch

LEAST_SHARE = 0.25
"""A rectangle of which less is known is computed anew: strips and joins cost, too."""


class Explorer:
    """Follows a slice through changes; results are those of `compute_partition`.

    What was computed last is kept, as much as `memory` holds. A domain inside a known one is clipped from it, a place seen
    before is there, and anchors that move in the plane change nothing, all without evaluating the network. A rectangle that
    overlaps a known one is computed where it is new, and joined. Of the domain computed
    last as a whole, what the layers before the first weight that changes made is kept.

    Parameters
    ----------
    model : nn.Module, callable of torch operations, or Network
    plane : Slice
    memory : int
        Bytes of partitions to keep, the last one in any case; and as many of what the last one went through.

    Attributes
    ----------
    plane : Slice
        The slice last shown.
    work : Work
        What the last call of `show` did.
    total : Work
        What all of them did.

    Examples
    --------
    >>> import torch
    >>> plane = Slice.from_basis([0.0, 0.0], torch.eye(2))
    >>> explorer = Explorer(torch.nn.ReLU(), plane)
    >>> explorer.show(plane).n_cells
    4
    >>> explorer.show(plane.with_domain([[0.5, 0.5], [1, 0.5], [1, 1]])).n_cells, explorer.work.vertices_evaluated
    (1, 0)
    """

    def __init__(self, model: Any, plane: Slice, memory: int = 1 << 28) -> None:
        self.network = model if isinstance(model, Network) else lower(model, plane.input_shape)
        self.plane = plane
        self.work = Work()
        self.total = Work()
        self._memory = memory
        self._known = Kept(memory)
        self._states: list[State] = []
        """What the last computation of a whole domain went through."""
        self._states_of: tuple[Network, Slice] | None = None
        self._n_same = (self.network, self.network, 0)
        """The last two networks, and how many stages they share."""
        self._partial: tuple[Slice, Budget, Partition] | None = None
        """The last one that did not fit into its budget, with what was asked for."""

    def show(self, plane: Slice, watch: Watch | None = None) -> Partition:
        """The partition of a slice, or of the middle of its domain if the watch's budget does not reach farther.

        Parameters
        ----------
        plane : Slice
        watch : Watch or None
            When it stops the computation, nothing has changed.

        Raises
        ------
        ValueError
            If the slice's inputs have another shape than the network's, or nothing fits into the budget.
        """
        work, watch = Work(), watch or Watch()
        result = self._partial_again(plane, work, watch) or within_budget(
            plane, watch, lambda part: self._shown(part, work, watch))
        self._partial = None if result.is_complete else (plane, watch.budget, result)
        self.plane, self.work = plane, work
        self.total = Work(*(a + b for a, b in zip(vars(self.total).values(), vars(work).values())))
        return result

    def _partial_again(self, plane: Slice, work: Work, watch: Watch) -> Partition | None:
        """What was shown of a domain that does not fit: one view stays what it is, with other weights too if they fit."""
        if self._partial is None:
            return None
        asked, budget, before = self._partial
        if budget != watch.budget or not same_plane(asked, plane) or not np.array_equal(asked.domain, plane.domain):
            return None
        try:
            found = self._shown(plane.with_domain(before.plane.domain), work, watch)
        except OverBudget:
            return None
        return replace(found, asked=plane.domain)

    def update(self, network: Network) -> int:
        """Follow another network from now on, such as one with other weights.

        Returns
        -------
        int
            How many of its stages, from the first on, are those of the network before; what they made is kept.
        """
        is_same = same_stages(self.network, network)
        for same, old, new in zip(is_same, self.network.stages, network.stages):
            if same:
                hats.carry(old, new)
                dense.carry(old, new)
        n_same = _n_leading(is_same)
        self._n_same = (self.network, network, n_same)
        self.network = network
        self._known.clear()
        return n_same

    def _shown(self, plane: Slice, work: Work, watch: Watch) -> Partition:
        """The partition of all of a domain."""
        result = self._from_known(plane, work)
        if result is None:
            result = self._extended(plane, work, watch) or self._computed(plane, work, watch)
            watch.check(result.n_cells, n_bytes_of(result))
            self._known.remember(result)
        else:
            watch.check(result.n_cells, n_bytes_of(result))
        return result

    def _computed(self, plane: Slice, work: Work, watch: Watch) -> Partition:
        """From the last state that is known of this slice, or from the beginning."""
        states, patch = self._usable_states(plane)
        found = [*states]

        def keep(state: State) -> None:
            found.append(state)
            while sum(other.n_bytes for other in found) > self._memory:
                found.pop(0)

        try:
            result = continued(self.network, plane, states[-1] if states else None, work, watch, keep, patch)
        except Exception:
            if patch is not None:
                patch.undo()
            raise
        except BaseException:  # interrupted, perhaps twice: what was kept may still be written to
            self._states, self._states_of = [], None
            raise
        if states and not work.n_tiles:
            work.cells_reused = states[-1].planar.n_cells
        self._states, self._states_of = found, (self.network, plane)
        self._n_same = (self.network, self.network, 0)  # the network before is not needed any more
        return result

    def _usable_states(self, plane: Slice) -> tuple[list[State], Patch | None]:
        """The states of this slice that the network comes to, too, and what is known of the stage after the last one."""
        if self._states_of is None:
            return [], None
        network, before = self._states_of
        if not (same_plane(before, plane) and np.array_equal(before.domain, plane.domain)):
            return [], None
        n_same = self._n_same_as(network)
        usable = [state for state in self._states if state.number <= n_same]
        following = next((state for state in self._states if state.number == n_same + 1), None)
        if following is None or not usable or usable[-1].number != n_same:
            return usable, None
        return usable, patch_for(network, self.network, n_same, following)

    def _n_same_as(self, network: Network) -> int:
        """How many stages, from the first on, are those of an earlier network."""
        if network is self.network:
            return len(network.stages)
        first, second, n_same = self._n_same
        is_compared = network is first and self.network is second
        return n_same if is_compared else _n_leading(same_stages(network, self.network))

    def _from_known(self, plane: Slice, work: Work) -> Partition | None:
        """The partition as far as it is known already."""
        known = self._known.of(plane)
        for partition in known:
            if np.array_equal(partition.plane.domain, plane.domain):
                work.cells_reused = partition.n_cells
                self._known.remember(partition)
                return partition.with_anchors_of(plane)
        around = [partition for partition in known if contains(partition.plane.domain, plane.domain)
                  and is_sharp(partition.plane.domain, plane.domain)]
        if not around:
            return None
        smallest = min(around, key=lambda partition: partition.n_cells)
        self._known.remember(smallest)
        result = clipped(smallest, plane)
        work.cells_reused = result.n_cells
        return result

    def _extended(self, plane: Slice, work: Work, watch: Watch) -> Partition | None:
        """A rectangle from the known one that covers most of it and strips beside that; None if there is none, or no fit."""
        if not is_rectangle(plane.domain):
            return None
        known = [partition for partition in self._known.of(plane) if is_rectangle(partition.plane.domain)]
        shares = [_shared_share(plane.domain, partition.plane.domain) for partition in known]
        if max(shares, default=0.0) < LEAST_SHARE:
            return None
        found = known[int(np.argmax(shares))]
        left, right, bottom, top = sides_of(plane.domain)
        core = _overlap(plane.domain, found.plane.domain)
        strips = [rectangle(*sides) for sides in (
            (left, core[0], core[2], core[3]), (core[1], right, core[2], core[3]),
            (left, right, bottom, core[2]), (left, right, core[3], top),
        ) if sides[0] < sides[1] and sides[2] < sides[3]]
        inner = rectangle(*core)
        if not all(is_sharp(domain, strip) for strip in (*strips, inner) for domain in (found.plane.domain, plane.domain)):
            return None
        is_whole = np.array_equal(inner, found.plane.domain)
        result: Partition | None = found if is_whole else clipped(found, plane.with_domain(inner))
        reused = 0 if result is None else result.n_cells
        for strip in strips:
            if result is not None:
                watch.tick()
                n_cells, n_bytes = result.n_cells, 2 * n_bytes_of(result)
                watch.check(n_cells, n_bytes)
                result = joined(result, partition_of(
                    self.network, plane.with_domain(strip), work, watch.without(n_cells - 1, n_bytes)))
        if result is not None:
            work.cells_reused = reused
            result = result.with_anchors_of(plane)
        return result


def _n_leading(values: list[bool]) -> int:
    return next((i for i, value in enumerate(values) if not value), len(values))


def _overlap(first: Float64, second: Float64) -> tuple[float, float, float, float]:
    """Sides of what two rectangles share; where they share nothing, left is not below right, or bottom not below top."""
    left, right, bottom, top = zip(sides_of(first), sides_of(second))
    return max(left), min(right), max(bottom), min(top)


def _shared_share(domain: Float64, known: Float64) -> float:
    """How much of a rectangle's area another one covers."""
    left, right, bottom, top = _overlap(domain, known)
    width, height = np.ptp(domain, axis=0)
    return max(0.0, right - left) * max(0.0, top - bottom) / float(width * height)
