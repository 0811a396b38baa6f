"""Operations that choose among several values, rewritten as kinks the engine knows: on their zero lines a choice changes.

The largest of many is found by a tournament: neighbours are compared, then the winners, each round one kink. A tie of two
values below the largest leaves an edge at which nothing changes; at the last step, `settled`, the engine removes such edges
(see `dissolving`). Functions that a network's steps call, and the steps. Knows no graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from .operations import AFFINE, KINKS, Affine, Arguments, Kink
from .steps import Call, Reference, Step

# -- what steps call; arguments in the order of their numbers ----------------------------------------------------------------


def shifted(x: torch.Tensor, knots: torch.Tensor) -> torch.Tensor:
    """X (B, *shape) minus knots (m, *shape): (B, m, *shape)."""
    return x[:, None] - knots


def entries(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Entries of x (B, *shape), flattened, by their numbers (k, n): (B, k, n)."""
    return x.flatten(1)[:, index]


def differences(x: torch.Tensor, sign: float = -1.0) -> torch.Tensor:
    """Of neighbours in x (B, k, n), first minus second: (B, k // 2, n)."""
    even = x.shape[1] // 2 * 2
    return x[:, 0:even:2] + sign * x[:, 1:even:2]


def larger_of_pairs(_: Any, x: torch.Tensor) -> torch.Tensor:
    """The larger of neighbours in x (B, k, n), and the last one if it has none: (B, (k + 1) // 2, n)."""
    even = x.shape[1] // 2 * 2
    chosen = torch.maximum(x[:, 0:even:2], x[:, 1:even:2])
    return chosen if even == x.shape[1] else torch.cat([chosen, x[:, even:]], 1)


def gaps(x: torch.Tensor, low: Sequence[int], high: Sequence[int], sign: float = -1.0) -> torch.Tensor:
    """Of entries of x (B, k, n) by their numbers, the first minus the second: (B, c, n)."""
    return x[:, low] + sign * x[:, high]


def exchanged(_: Any, x: torch.Tensor, low: Sequence[int], high: Sequence[int]) -> torch.Tensor:
    """X (B, k, n) with the smaller of each two entries at the first place and the larger at the second."""
    first, second = x[:, low], x[:, high]
    found = x.clone()
    found[:, low], found[:, high] = torch.minimum(first, second), torch.maximum(first, second)
    return found


def negated(x: torch.Tensor) -> torch.Tensor:
    """The smallest is the largest of the negatives."""
    return -x


def beside(x: torch.Tensor, y: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """X and y, broadcast to (B, *shape), as (B, 2, n)."""
    n_rows = max(t.shape[0] for t in (x, y))
    return torch.stack([t.expand(n_rows, *shape).reshape(n_rows, -1) for t in (x, y)], 1)


def shaped(x: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """X as (B, *shape)."""
    return x.reshape(-1, *shape)


def listed(x: torch.Tensor) -> list[torch.Tensor]:
    """X alone in a list, where torch returns values and their indices."""
    return [x]


def settled(x: torch.Tensor, _: Any = None) -> torch.Tensor:
    """The winners x (B, 1, n); the tournament's first round stands beside them for the engine, where it cuts."""
    return x


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (shifted, entries, differences, larger_of_pairs, gaps, exchanged, negated, beside, shaped, listed, settled)
}

# -- steps -------------------------------------------------------------------------------------------------------------------


class Rewriting:
    """Steps that stand for one operation of a graph.

    Parameters
    ----------
    name, operation, path : str
        Of the operation; the last step made takes the name.
    input_shapes : tuple of tuple of int
    """

    def __init__(self, name: str, operation: str, path: str, input_shapes: tuple[tuple[int, ...], ...]) -> None:
        self.name = name
        self.operation = operation
        self.path = path
        self.input_shapes = input_shapes
        self.steps: list[Step] = []

    def add(self, function: str, arguments: Sequence[Any], shape: tuple[int, ...], is_last: bool = False) -> Reference:
        """One step more, calling a function of this module."""
        rule: Affine | Kink = KINKS[function] if function in KINKS else AFFINE[function]
        kind = "settle" if function == "settled" else "kink" if isinstance(rule, Kink) else "affine"
        name = self.name if is_last else f"{self.name}.{len(self.steps)}"
        self.steps.append(Step(
            name, function, self.path, Call(_FUNCTIONS[function]), {str(i): a for i, a in enumerate(arguments)}, kind, rule,
            tuple(a.name for a in arguments if isinstance(a, Reference)), shape, self.input_shapes, self.name, self.operation,
        ))
        return Reference(name)

    def extreme(self, first: Reference, k: int, n: int, is_largest: bool) -> Reference:
        """The largest or smallest over the k entries (k, n) of a tensor, as (1, n)."""
        if not is_largest:
            return self.add("negated", (self.extreme(self.add("negated", (first,), (k, n)), k, n, True),), (1, n))
        winners, size = first, k
        while size > 1:
            tie = self.add("differences", (winners, -1.0), (size // 2, n))
            size = (size + 1) // 2
            winners = self.add("larger_of_pairs", (tie, winners), (size, n))
        return winners if k <= 2 else self.add("settled", (winners, first), (1, n))


    def ascending(self, first: Reference, k: int, n: int) -> Reference:
        """The k entries (k, n) of a tensor in ascending order.

        A network of comparisons. Each line on which two values that meet in it are equal is one on which the values of two
        neighbouring ranks are, so every edge is one at which the result bends.
        """
        for pairs in sorting_network(k):
            low, high = [a for a, _ in pairs], [b for _, b in pairs]
            tie = self.add("gaps", (first, low, high, -1.0), (len(pairs), n))
            first = self.add("exchanged", (tie, first, low, high), (k, n))
        return first


def sorting_network(k: int) -> list[list[tuple[int, int]]]:
    """Rounds of comparisons (low, high) that sort k values: Batcher's odd-even merge sort (1968), O(log(k)^2) rounds."""
    rounds = []
    p = 1
    while p < k:
        q = p
        while q >= 1:
            pairs = [
                (i + j, i + j + q)
                for j in range(q % p, k - q, 2 * q) for i in range(min(q, k - j - q))
                if (i + j) // (2 * p) == (i + j + q) // (2 * p)
            ]
            rounds.append(pairs)
            q //= 2
        p *= 2
    return [pairs for pairs in rounds if pairs]


def with_knots(step: Step) -> list[Step]:
    """An elementwise kink; where its knots are not at zero, the shifted units beside it tell where it bends."""
    rule = step.rule
    assert isinstance(rule, Kink)
    knots = rule.knots(step.arguments)
    if not knots:  # limits that nothing reaches
        return [replace(step, kind="affine")]
    if all(not isinstance(k, torch.Tensor) and k == 0 for k in knots) and len(knots) == 1:
        return [step]
    z = step.arguments[rule.varying]
    knots = tuple(k[0] if isinstance(k, torch.Tensor) and k.ndim > len(step.shape) else k for k in knots)
    made = Rewriting(step.name, step.operation, step.path, step.input_shapes)
    places = torch.stack([torch.as_tensor(k, dtype=torch.float64).expand(step.shape) for k in knots])
    tie = made.add("shifted", (z, places), (len(knots), *step.shape))
    return [*made.steps, Step(step.name, step.operation, step.path, step.call, step.arguments, "kink", rule, (tie.name, z.name),
                              step.shape, step.input_shapes, step.name, step.operation)]


def rewritten(
    name: str, operation: str, path: str, arguments: Arguments, input_shapes: tuple[tuple[int, ...], ...],
    shape: tuple[int, ...],
) -> list[Step] | str:
    """The steps of an operation of `SELECTIONS`, or why it cannot be one.

    Parameters
    ----------
    arguments : dict
        By schema name; a Reference for what depends on the input.
    input_shapes : of the varying operands
    shape : of the result, or of the values where torch returns their indices too
    """
    made = Rewriting(name, operation, path, input_shapes)
    is_largest = "max" in operation
    if isinstance(arguments.get("other"), (Reference, torch.Tensor)):
        operands = [_as_operand(arguments[k], shape) for k in ("self", "other")]
        first, k, n = made.add("beside", (*operands, shape), (2, math.prod(shape))), 2, math.prod(shape)
    else:
        index = _entries_of(operation, arguments, input_shapes[0], shape)
        if isinstance(index, str):
            return index
        k, n = index.shape
        first = made.add("entries", (arguments["self"], index), (k, n))
    if operation == "sort":
        ranked = made.ascending(first, k, n)
        axis = int(arguments["dim"]) % (len(shape) + 1) - 1
        places = entries_over_axes(shape, [axis])
        order = torch.empty(k * n, dtype=torch.int64)
        order[places.flip(0).flatten() if arguments["descending"] else places.flatten()] = torch.arange(k * n)
        result = made.add("shaped", (made.add("entries", (ranked, order[None]), (1, k * n)), shape), shape)
        made.add("listed", (result,), shape, is_last=True)
        return made.steps
    if operation == "gather":
        made.add("shaped", (first, shape), shape, is_last=True)
        return made.steps
    winners = made.extreme(first, k, n, is_largest)
    is_list = operation in WITH_INDICES or (operation in ("max", "min") and "dim" in arguments)
    result = made.add("shaped", (winners, shape), shape, is_last=not is_list)
    if is_list:
        made.add("listed", (result,), shape, is_last=True)
    return made.steps


WITH_INDICES = {"adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d", "max_pool1d_with_indices",
                "max_pool2d_with_indices", "max_pool3d_with_indices"}
"""Operations that return the indices of the winners too."""

SELECTIONS = {"sort", "gather", "maximum", "minimum", "fmax", "fmin", "max", "min", "amax", "amin", "max_pool1d",
              "max_pool2d", "max_pool3d", *WITH_INDICES}
"""What `rewritten` knows."""


def _as_operand(value: Any, shape: tuple[int, ...]) -> Any:
    return value if isinstance(value, Reference) else value.double().broadcast_to((1, *shape))


def _entries_of(
    operation: str, arguments: Arguments, shape: tuple[int, ...], shape_out: tuple[int, ...]
) -> torch.Tensor | str:
    """Numbers (k, n) of the entries, in a tensor of `shape`, that each result is chosen from; or why there are none."""
    if operation == "gather":
        axis, index = int(arguments["dim"]) % (len(shape) + 1), arguments["index"]
        if axis == 0:
            return "it mixes the inputs of a batch (the first axis must stay the batch axis)"
        if not isinstance(index, torch.Tensor) or len(index) != 1:
            return "it takes entries that are not the same for every input"
        return torch.arange(math.prod(shape)).reshape(shape).gather(axis - 1, index[0]).reshape(1, -1)
    if "pool" not in operation:
        given = arguments.get("dim")
        axes = [given] if isinstance(given, int) else list(given or ())
        axes = [axis % (len(shape) + 1) for axis in axes]
        if not axes or 0 in axes:
            return "it mixes the inputs of a batch (the first axis must stay the batch axis)"
        return entries_over_axes(shape, sorted(axis - 1 for axis in axes))
    n_axes = int(operation.split("pool")[1][0])
    sizes = list(zip(shape[-n_axes:], shape_out[-n_axes:]))
    if "adaptive" in operation:
        return entries_of_windows(shape, [adaptive_windows(n_in, n_out) for n_in, n_out in sizes])
    kernel = _for_each(arguments["kernel_size"], n_axes)
    stride = _for_each(arguments["stride"], n_axes) or kernel
    padding, dilation = (_for_each(arguments[k], n_axes) for k in ("padding", "dilation"))
    places = [windows(n_in, n_out, *numbers) for (n_in, n_out), *numbers in zip(sizes, kernel, stride, padding, dilation)]
    if any(int(along.min()) < 0 or int(along.max()) >= n_in for along, (n_in, _) in zip(places, sizes)):
        return "a window lies outside its input altogether, so that the result is minus infinity there"
    return entries_of_windows(shape, places)


def _for_each(value: Any, n_axes: int) -> list[int]:
    """A number for each axis, from one or several."""
    numbers = [int(v) for v in (value if isinstance(value, (list, tuple)) else [value])]
    return numbers * n_axes if len(numbers) == 1 else numbers


def entries_over_axes(shape: tuple[int, ...], axes: Sequence[int]) -> torch.Tensor:
    """Numbers (k, n) of the entries of a tensor of `shape` that lie along `axes`, for each place of the others."""
    numbers = torch.arange(math.prod(shape)).reshape(shape)
    return numbers.movedim(tuple(axes), tuple(range(len(axes)))).reshape(math.prod(shape[a] for a in axes), -1)


def windows(n_in: int, n_out: int, kernel: int, stride: int, padding: int, dilation: int) -> torch.Tensor:
    """Places (kernel, n_out) along one axis of a pool's windows; one outside gives way to one inside of its window, if any."""
    places = torch.arange(n_out) * stride - padding + dilation * torch.arange(kernel)[:, None]
    return _repeated(places, (places >= 0) & (places < n_in))


def adaptive_windows(n_in: int, n_out: int) -> torch.Tensor:
    """The same for an adaptive pool: window o goes from floor(o n_in / n_out) to ceil((o + 1) n_in / n_out)."""
    starts = torch.tensor([o * n_in // n_out for o in range(n_out)])
    ends = torch.tensor([-((-(o + 1) * n_in) // n_out) for o in range(n_out)])
    places = starts + torch.arange(int((ends - starts).max()))[:, None]
    return _repeated(places, places < ends)


def _repeated(places: torch.Tensor, is_inside: torch.Tensor) -> torch.Tensor:
    first = places.gather(0, is_inside.to(torch.int8).argmax(0, keepdim=True))
    return torch.where(is_inside, places, first)


def entries_of_windows(shape: tuple[int, ...], axes: Sequence[torch.Tensor]) -> torch.Tensor:
    """Numbers (k, n) of the entries of a tensor of `shape` in each window, from the places along its last axes."""
    space = shape[len(shape) - len(axes):]
    channels = math.prod(shape[: len(shape) - len(axes)])
    numbers = torch.zeros(1, 1, dtype=torch.int64)
    for n_in, places in zip(space, axes):
        k, n = numbers.shape
        # All pairs of what was there with the places along this axis, in both the windows' entries and the windows.
        numbers = (numbers[:, None, :, None] * n_in + places[None, :, None, :]).reshape(k * len(places), n * places.shape[1])
    k, n = numbers.shape
    return (numbers[:, None] + math.prod(space) * torch.arange(channels)[:, None]).reshape(k, channels * n)
