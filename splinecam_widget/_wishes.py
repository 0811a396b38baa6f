"""What is asked for: the browser's requests and the traits set in Python, as wishes that the scene fulfils."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._scene import KEEP, Wish
from .engine.slices import rectangle

ANCHORS = ("x1", "x2", "x3")


def wish_of(request: dict[str, Any]) -> Wish:
    """The browser's request, as docs/protocol.md has it."""
    domain = request["domain"]
    if isinstance(domain, list):
        left, right, bottom, top = (float(v) for v in domain)
        domain = rectangle(left, right, bottom, top)
    elif domain not in (None, KEEP):
        raise ValueError(f"domain: expected keep, null or four numbers, got {domain!r}")
    first, second, third = (KEEP if a["kind"] == KEEP else a for a in request["anchors"])
    return Wish((first, second, third), domain, int(request["plane"]))


def with_traits(wish: Wish, dirty: dict[str, Any], later: set[str]) -> Wish:
    """A wish of the browser's under what was set in Python: not yet shown (`dirty`), or set since and shown (`later`)."""
    anchors = tuple(
        dirty.get(name, KEEP if name in later else asked) for name, asked in zip(ANCHORS, wish.anchors)
    )
    domain = KEEP if "domain" in later else wish.domain
    if "domain" in dirty:
        domain = None if dirty["domain"] is None else np.array(dirty["domain"])
    return Wish(anchors, domain, wish.plane)
