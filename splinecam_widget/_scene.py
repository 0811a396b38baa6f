"""The state behind one widget: anchors, plane, partition, and how a wish changes them. Knows no traits and no messages.

Used by one thread at a time. A wish that cannot be fulfilled raises and changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch

from ._board import ImageBoard, Place, PlaneBoard
from ._limits import Limits, limits_of
from .engine.arrays import Float64, as_numbers
from .engine.boundary import Winners, winners_of
from .engine.errors import Cancelled
from .engine.evaluation import evaluate
from .engine.explorer import Explorer
from .engine.lowering import lower
from .engine.network import Network
from .engine.partition import Partition
from .engine.rounding import UNIT_ROUNDOFF
from .engine.slices import COLLINEAR_FACTOR, Slice, rectangle, square_around
from .engine.states import Work
from .engine.watching import FIRST_SKETCH_SECONDS, Budget, Sketch, Watch

KEEP: Literal["keep"] = "keep"

SLOW_SECONDS = 0.3
"""A plane whose picture takes so long is sketched meanwhile; pictures that take less follow each other better without."""

ON_PLANE_ROUNDINGS = 16.0
"""An anchor lies in the plane when it is no farther from it than the rounding of a point made from slice coordinates: two
products and sums of rounded basis vectors, there and back, in units of roundoff times sqrt(d) times the largest entry."""


@dataclass(frozen=True)
class Anchor:
    """One anchor: the input, what it is called, and where it stands on the board."""

    x: Float64
    name: str
    place: Place | None


@dataclass(frozen=True)
class Wish:
    """What is asked for.

    Attributes
    ----------
    anchors : three of: "keep", an input (*input_shape), or a dict as in docs/protocol.md
    domain : "keep", None for the default, or a polygon (k, 2)
    plane : int
        The number of the plane that slice coordinates refer to.
    """

    anchors: Sequence[Any] = (KEEP, KEEP, KEEP)
    domain: Any = KEEP
    plane: int = -1


@dataclass(frozen=True, eq=False)
class Shown:
    """What a wish led to.

    Attributes
    ----------
    anchors : three Anchors
    outputs : (3, K) float64
        The network at the anchors.
    partition : Partition
    winners : Winners
    number : int
        Counts what was shown, from 1.
    plane_number : int
        Counts planes; the coordinates of two pictures can be compared when it is the same.
    is_default_domain : bool
    limits : Limits
        Of views near the one on show.
    work : Work
    seconds : float
        Time for partition, regions and boundary.
    """

    anchors: tuple[Anchor, ...]
    outputs: Float64
    partition: Partition
    winners: Winners
    number: int
    plane_number: int
    is_default_domain: bool
    limits: Limits
    work: Work
    seconds: float


@dataclass(frozen=True, eq=False)
class Sketched:
    """What is known of a plane whose picture is not finished."""

    sketch: Sketch
    plane: Slice
    plane_number: int


class Scene:
    """See the module.

    Parameters
    ----------
    model : nn.Module or callable
        Copied and traced here and now, in the caller's thread: it may be trained further at once, and torch.export does not
        disturb that training (while it traces, optimizers in other threads compute differently).
    anchors : three (*input_shape,) float64 arrays
    board : ImageBoard, PlaneBoard or None
    domain : (k, 2) float64 or None
    output, approximate :
        See `compute_partition`.
    budget : callable
        What a picture may take, asked for each.
    """

    def __init__(
        self, model: Any, anchors: Sequence[Float64], board: ImageBoard | PlaneBoard | None, domain: Any,
        output: str | int | None = None, approximate: float | None = None, budget: Callable[[], Budget] = Budget,
    ) -> None:
        self.board = board
        self._budget = budget
        self.shown: Shown | None = None
        self._explorer: Explorer | None = None
        self._first = Wish(tuple(anchors), domain)
        self._input_shape = anchors[0].shape
        self._is_closed = False
        self.network: Network | None = None
        self._refusal: Exception | None = None
        try:
            self.network = lower(model, self._input_shape, output, approximate)
        except ValueError:  # an argument is bad, not the model
            raise
        except Exception as error:  # said with every picture that is asked for
            self._refusal = error

    def close(self) -> None:
        """Let go of everything; what is being computed is dropped when it is done."""
        self._is_closed = True
        self.shown = self._explorer = self.network = self.board = None

    def update(self, network: Network) -> None:
        """Show another network from the next wish on; of the same one with other weights, as much as possible is kept."""
        self.network, self._refusal = network, None
        if self._explorer is not None:
            self._explorer.update(network)

    def show(
        self, wish: Wish, tick: Callable[[], None] = lambda: None, accept: Callable[[Shown], None] = lambda _: None,
        on_sketch: Callable[[Sketched], None] | None = None,
    ) -> Shown:
        """Fulfil a wish, as far as the budget reaches.

        Parameters
        ----------
        wish : Wish
        tick : callable
            Called often; may raise to stop, which changes nothing.
        accept : callable
            May raise to refuse the result, which changes nothing.
        on_sketch : callable or None
            Told of what is known of a new plane, where its picture takes long.

        Raises
        ------
        ValueError
            If anchors are equal or all on one line (the text calls them A, B and C), or something in the wish does not exist.
        UnsupportedModelError
            If the model is not a CPWL network.
        """
        started = time.perf_counter()
        before = self.shown
        if before is None:
            wish = _over(self._first, wish)
        try:
            anchors = tuple(self._resolved(i, asked, wish, before) for i, asked in enumerate(wish.anchors))
        except (KeyError, TypeError) as error:
            raise ValueError(f"anchors: expected them as in docs/protocol.md, got {wish.anchors!r} ({error!r})") from error
        plane, number, is_default = self._plane(anchors, wish, before)
        explorer = self._explorer
        if explorer is None:
            if self._refusal is not None:
                raise self._refusal
            if self.network is None:  # closed
                raise Cancelled
            self._explorer = explorer = Explorer(self.network, plane)
        is_new_plane = before is None or number != before.plane_number
        sketched = None if on_sketch is None or not is_new_plane else (
            lambda sketch: on_sketch(Sketched(sketch, plane, number)))
        is_quick = before is not None and before.seconds < SLOW_SECONDS
        watch = Watch(tick, self._budget(), sketched, SLOW_SECONDS if is_quick else FIRST_SKETCH_SECONDS)
        partition = explorer.show(plane, watch)
        if before is not None and partition.planar is before.partition.planar:
            winners = before.winners
        else:
            _ = partition.n_regions
            tick()
            winners = winners_of(partition)
        with torch.no_grad():
            outputs = evaluate(explorer.network, torch.from_numpy(np.stack([a.x for a in anchors]))).numpy()
        picture_number = 1 if before is None else before.number + 1
        shown = Shown(anchors, outputs, partition, winners, picture_number, number, is_default,
                      self._limits(partition.plane), explorer.work, time.perf_counter() - started)
        accept(shown)
        self.shown = shown
        if self._is_closed:
            self.close()
            raise Cancelled
        return shown

    def _resolved(self, i: int, asked: Any, wish: Wish, before: Shown | None) -> Anchor:
        """The anchor that an entry of a wish stands for."""
        if isinstance(asked, np.ndarray):
            return self._named(asked)
        kind = asked if isinstance(asked, str) else asked.get("kind")
        if before is not None:
            if kind == "slice":
                if wish.plane != before.plane_number:
                    return before.anchors[i]  # the plane has changed since; these coordinates mean nothing now
                return self._named(before.partition.plane.to_input(_pair(asked, "u")), "in the slice")
            if kind == "keep":
                return before.anchors[i]
        if kind == "image" and isinstance(self.board, ImageBoard):
            index = int(asked["index"])
            if not 0 <= index < len(self.board.images):
                raise ValueError(f"index: expected an image from 0 to {len(self.board.images) - 1}, got {index}")
            return self._named(self.board.image(index))
        if kind == "blend" and isinstance(self.board, ImageBoard):
            used = [(int(k), float(w)) for k, w in zip(asked["indices"], asked["weights"]) if w > 0]
            indices, weights = [k for k, _ in used], np.array([w for _, w in used])
            n = len(self.board.images)
            if not used or not np.isfinite(weights).all() or min(indices) < 0 or max(indices) >= n:
                raise ValueError(f"blend: expected images from 0 to {n - 1} with weights of a positive sum, got {asked!r}")
            places = self.board.positions[indices]
            x, y = (weights[:, None] * places).sum(axis=0) / weights.sum()
            name = self.board.name_of(indices[0]) if len(used) == 1 else "blend of images " + ", ".join(map(str, indices))
            return Anchor(self.board.blend(indices, weights / weights.sum()), name, (float(x), float(y)))
        if kind == "point" and np.prod(self._input_shape) == 2:
            return self._named(_pair(asked, "x").reshape(self._input_shape))
        raise ValueError(f"anchors: expected keep, image, blend, slice or point, got {asked!r}")

    def _named(self, x: Float64, name: str = "given") -> Anchor:
        if isinstance(self.board, ImageBoard):
            index = self.board.id_of(x)
            return Anchor(x, name if index is None else self.board.name_of(index), self.board.place_of(x))
        if x.size == 2:
            name = f"({x.flat[0]:.3g}, {x.flat[1]:.3g})"
        return Anchor(x, name, None if self.board is None else self.board.place_of(x))

    def _plane(self, anchors: tuple[Anchor, ...], wish: Wish, before: Shown | None) -> tuple[Slice, int, bool]:
        """The slice for the anchors, its number, and whether its domain is the default one."""
        points = np.stack([anchor.x for anchor in anchors])
        plane = None if before is None else before.partition.asked_plane
        number = 0 if before is None else before.plane_number
        try:
            if plane is not None and _lie_in(plane, points):
                plane = plane.with_anchors(plane.to_slice(points))
            else:
                plane = Slice.through(*points)
                number += 1
        except ValueError as error:  # of one shape and finite: only where they are can be wrong
            raise ValueError(_no_plane_text(points, wish.anchors)) from error
        coordinates = plane.anchors
        assert coordinates is not None
        domain = wish.domain
        same = before is not None and number == before.plane_number
        if isinstance(domain, str):
            is_default = before is None or before.is_default_domain
            if before is not None and not is_default:
                return plane.with_domain(before.partition.asked_plane.domain), number, False
            if same and _covers(plane.domain, coordinates):
                return plane, number, True
        elif domain is not None:
            if wish.plane not in (-1, number):  # a range of a plane that is gone
                return self._plane(anchors, replace(wish, domain=KEEP), before)
            plane = plane.with_domain(domain)
            self._limits(plane).check(plane.domain)
            return plane, number, False
        return plane.with_domain(self._default_domain(coordinates)), number, True

    def _limits(self, plane: Slice) -> Limits:
        assert plane.anchors is not None
        return limits_of(plane, self._default_domain(plane.anchors))

    def _default_domain(self, coordinates: Float64) -> Float64:
        if isinstance(self.board, PlaneBoard):
            picture = rectangle(*self.board.extent)
            if _covers(picture, coordinates):
                return picture
        return square_around(coordinates)


def _pair(asked: dict[str, Any], name: str) -> Float64:
    numbers, _ = as_numbers(asked.get(name), name)
    if numbers.shape != (2,):
        raise ValueError(f"{name}: expected two numbers, got shape {numbers.shape}")
    return numbers


def _over(first: Wish, wish: Wish) -> Wish:
    """The first wish with what a later one asks for already."""
    anchors = tuple(b if isinstance(a, str) else a for a, b in zip(wish.anchors, first.anchors))
    return Wish(anchors, first.domain if isinstance(wish.domain, str) else wish.domain, wish.plane)


def _lie_in(plane: Slice, points: Float64) -> bool:
    away = points - plane.to_input(plane.to_slice(points))
    size = max(float(np.abs(points).max()), float(np.abs(plane.origin).max()))
    limit = ON_PLANE_ROUNDINGS * UNIT_ROUNDOFF * np.sqrt(plane.origin.size) * size
    return bool(np.linalg.norm(away.reshape(len(points), -1), axis=1).max() <= limit)


def _no_plane_text(points: Float64, asked: Sequence[Any]) -> str:
    """Which anchors (3, *input_shape) are in one place or on one line, by the letters on the handles.

    An anchor that was set in Python is also called by the name of its trait.
    """
    names = [f"{letter} (x{i})" if isinstance(a, np.ndarray) else letter for i, (letter, a) in enumerate(zip("ABC", asked), 1)]
    is_kept = [isinstance(a, str) for a in asked]
    limit = COLLINEAR_FACTOR * UNIT_ROUNDOFF * np.sqrt(points[0].size) * float(np.abs(points).max())
    pairs = [(i, j) for i, j in ((0, 1), (0, 2), (1, 2)) if np.linalg.norm(points[i] - points[j]) <= limit]
    if len(pairs) == 3:
        return f"Anchors {names[0]}, {names[1]} and {names[2]} are in the same place: move two of them."
    for i, j in pairs:
        moved, other = (i, j) if is_kept[j] and not is_kept[i] else (j, i)
        return f"Anchor {names[moved]} is where {names[other]} is: move one of them."
    return f"Anchors {names[0]}, {names[1]} and {names[2]} are on one line: move one of them off it."


def _covers(domain: Float64, coordinates: Float64) -> bool:
    low, high = domain.min(axis=0), domain.max(axis=0)
    return bool((coordinates >= low).all() and (coordinates <= high).all())
