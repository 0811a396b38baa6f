"""How narrow and how wide a view can be before float64 runs out of digits. Knows slices; knows no networks and no messages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .engine.arrays import Float64
from .engine.slices import Slice

FINEST = 2.0**-32
"""Narrowest view, relative to the numbers that its inputs are made of (`size_of`).

They carry 53 bits. The values that decide where a kink lies carry more than one rounding: their error bound is some 2^9
roundings for networks of up to ten layers. That leaves 44 bits, and across the view 2^12 places, as many as a screen has
pixels."""

COARSEST = 2.0**20
"""Widest view, relative to the same numbers at the anchors.

There, what is a pixel when the anchors fill a screen (2^-12 of them) still has 2^12 places of the same 44 bits."""

REFUSED = 2.0
"""Views beyond the limits by this factor are refused. The browser stops at the limits; those of the next picture, with other
corners, are a little different, and a move sideways must not be refused for that."""


@dataclass(frozen=True)
class Limits:
    """Widths of a view, in slice coordinates."""

    finest: float
    coarsest: float

    def check(self, domain: Float64) -> None:
        """Raise ValueError if a domain (k, 2) is too narrow or too wide."""
        width = width_of(domain)
        if width * REFUSED < self.finest:
            expected = f"at least {self.finest:.3g}"
        elif width > REFUSED * self.coarsest:
            expected = f"at most {self.coarsest:.3g}"
        else:
            return
        raise ValueError(f"domain: expected a width of {expected}, where float64 has digits enough, got {width:.3g}")


def limits_of(plane: Slice, default: Float64) -> Limits:
    """The limits of views near a slice's domain; `default` (k, 2), the domain that shows the anchors, is always within them."""
    assert plane.anchors is not None
    here = size_of(plane, np.concatenate([plane.domain, plane.anchors]))
    width = width_of(default)
    return Limits(min(FINEST * here, width), max(COARSEST * size_of(plane, plane.anchors), width))


def size_of(plane: Slice, u: Float64) -> float:
    """A bound of the numbers that go into `origin + u @ basis` for coordinates (n, 2), and of those that come out.

    The basis is orthonormal, so no entry of `u @ basis` is larger than the length of `u`.
    """
    return float(np.abs(plane.origin).max() + np.hypot(*u.T).max())


def width_of(points: Float64) -> float:
    """The larger extent of points (n, 2)."""
    return float(np.ptp(points, axis=0).max())
