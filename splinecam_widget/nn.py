"""Trainable continuous piecewise-linear building blocks: networks made of them are partitioned exactly."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, SupportsFloat

import torch
from torch import nn

from .engine.pieces import interpolated


@torch.library.custom_op("splinecam_widget::piecewise_linear", mutates_args=())
def _piecewise_linear(
    x: torch.Tensor, knots: torch.Tensor, values: torch.Tensor, period: float | None = None
) -> torch.Tensor:
    return interpolated(x, knots, values, period).clone()


@_piecewise_linear.register_fake
def _(x: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
    return torch.empty_like(x)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:  # noqa: ARG001
    x, knots, values, ctx.period = inputs
    ctx.save_for_backward(x, knots, values)


def _backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    inputs = [tensor.detach().requires_grad_(needed) for tensor, needed in zip(ctx.saved_tensors, ctx.needs_input_grad)]
    x, knots, values = inputs
    with torch.enable_grad():
        y = interpolated(x, knots, values, ctx.period)
    wanted = [tensor for tensor in inputs if tensor.requires_grad]
    found = iter(torch.autograd.grad(y, wanted, gradient))
    return *(next(found) if tensor.requires_grad else None for tensor in inputs), None


_piecewise_linear.register_autograd(_backward, setup_context=_keep)


def _numbers(name: str, given: Any) -> torch.Tensor:
    try:
        return torch.as_tensor(given, dtype=torch.float64).detach().clone()
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"{name}: expected a sequence of numbers, got {given!r}") from None


class PiecewiseLinear(nn.Module):
    """A continuous piecewise-linear function, applied to every entry.

    Parameters
    ----------
    knots : (n,) numbers, increasing
        Where it may bend. Without a period, n >= 2, and the first and last pieces go on for ever.
    values : (n,) numbers
        Its values at the knots, a trainable parameter.
    period : float or None
        It repeats itself; the knots lie within one period.

    Raises
    ------
    TypeError
        If something is no number.
    ValueError
        If knots are not finite and increasing (in torch's default dtype, too), too few, or not within one period, or there are
        not as many values.

    Examples
    --------
    A triangle wave:

    >>> wave = PiecewiseLinear([0.0, 0.5, 1.5], [0.0, 1.0, -1.0], period=2.0)
    >>> wave(torch.tensor([0.25, 1.0, 2.5])).tolist()
    [0.5, 0.0, 1.0]
    """

    knots: torch.Tensor

    def __init__(self, knots: Sequence[float], values: Sequence[float], period: float | None = None) -> None:
        super().__init__()
        places, heights = _numbers("knots", knots), _numbers("values", values)
        if places.ndim != 1 or len(places) < 2 or not places.isfinite().all() or not (places.diff() > 0).all():
            raise ValueError(f"knots: expected at least two finite, increasing numbers, got {places.tolist()}")
        if heights.shape != places.shape or not heights.isfinite().all():
            raise ValueError(f"values: expected {len(places)} finite numbers, one for each knot, got {heights.tolist()}")
        if period is not None and (isinstance(period, (bool, str)) or not isinstance(period, SupportsFloat)):
            raise TypeError(f"period: expected a number or None, got {period!r}")
        if period is not None and not float(places[-1] - places[0]) < float(period) < float("inf"):
            raise ValueError(f"period: expected more than the distance of the outer knots, {float(places[-1] - places[0])}, "
                             f"got {period}")
        kept = places.to(torch.get_default_dtype())
        if not (kept.diff() > 0).all():
            raise ValueError(f"knots: expected numbers that {kept.dtype} tells apart, got {places.tolist()}; see "
                             "torch.set_default_dtype")
        self.register_buffer("knots", kept)
        self.values = nn.Parameter(heights.to(torch.get_default_dtype()))
        self.period = None if period is None else float(period)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The function at x (any shape), of the same shape."""
        y: torch.Tensor = _piecewise_linear(x, self.knots.to(x), self.values.to(x), self.period)
        return y

    def extra_repr(self) -> str:
        return f"{len(self.knots)} knots" + (f", period={self.period:g}" if self.period is not None else "")


class PositionalEncoding(nn.Module):
    r"""Piecewise-linear sines and cosines of every coordinate, at doubling frequencies.

    :math:`\sin 2^l \pi x` and :math:`\cos 2^l \pi x` for :math:`l = 0, \ldots, L - 1`, with sine and cosine replaced by their
    interpolants on equal knots, as SplineCam does for implicit representations.

    Parameters
    ----------
    n_frequencies : int
        L.
    knots_per_period : int
        A multiple of four keeps zeros and extremes; four make triangle waves.
    include_input : bool
        Whether x itself comes first.

    Raises
    ------
    ValueError
        If `n_frequencies` is below 1, or `knots_per_period` is no multiple of four.

    References
    ----------
    Mildenhall et al.: NeRF. ECCV 2020, arXiv 2003.08934. Humayun et al.: SplineCam. CVPR 2023, arXiv 2302.12828.

    Examples
    --------
    >>> PositionalEncoding(3)(torch.zeros(5, 2)).shape
    torch.Size([5, 12])
    """

    frequencies: torch.Tensor

    def __init__(self, n_frequencies: int, knots_per_period: int = 8, include_input: bool = False) -> None:
        super().__init__()
        if not _is_whole(n_frequencies) or n_frequencies < 1:
            raise ValueError(f"n_frequencies: expected a whole number from 1 on, got {n_frequencies!r}")
        if not _is_whole(knots_per_period) or knots_per_period < 4 or knots_per_period % 4:
            raise ValueError(f"knots_per_period: expected a multiple of four, got {knots_per_period!r}")
        self.n_frequencies, self.include_input = n_frequencies, include_input
        # In half turns, so that knots and period are numbers that floats hold.
        places = 2.0 * torch.arange(knots_per_period, dtype=torch.float64) / knots_per_period
        self.register_buffer("frequencies", 2.0 ** torch.arange(self.n_frequencies))
        self.sine = PiecewiseLinear(places.tolist(), torch.sin(torch.pi * places).tolist(), period=2.0)
        self.cosine = PiecewiseLinear(places.tolist(), torch.cos(torch.pi * places).tolist(), period=2.0)
        for wave in (self.sine, self.cosine):
            wave.values.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From (..., d) to (..., 2 d L), or (..., d + 2 d L) with the input."""
        turns = x[..., None] * self.frequencies.to(x)
        waves = torch.stack([self.sine(turns), self.cosine(turns)], -1).flatten(-3)
        return torch.cat([x, waves], -1) if self.include_input else waves

    def n_features(self, n_inputs: int) -> int:
        """Size of the last axis that comes out for `n_inputs` coordinates."""
        return n_inputs * (2 * self.n_frequencies + self.include_input)


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral)
