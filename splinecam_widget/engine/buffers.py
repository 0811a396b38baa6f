"""Large arrays whose memory is used again.

An array of megabytes gets fresh pages from the system each time it is made, and the system may take longer to find and clear
them than the engine to fill them. One that is made for every picture gets the pages of the last one instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import Float64

LEAST_BYTES = 1 << 20
"""Smaller arrays find pages in what the process holds anyway."""

MOST_SPARE_BYTES = 1 << 26
"""Kept while no array uses them."""

ROOM = 1.25
"""A new buffer is so much larger than asked for, as the next array will have another size."""

_spare: dict[int, NDArray[np.uint8]] = {}
"""By identity, the last used last. Each access is one step for the interpreter: a collection of garbage, which may end a lease,
begins anywhere, so there is no lock to wait for."""


class _Lease:
    """What an array made here looks at; when no array does any more, the buffer is spare again."""

    def __init__(self, buffer: NDArray[np.uint8], shape: tuple[int, ...]) -> None:
        self._buffer = buffer
        self.__array_interface__: dict[str, Any] = {
            "shape": shape, "typestr": "<f8", "data": (buffer.ctypes.data, False), "version": 3}

    def __del__(self, spare: dict[int, NDArray[np.uint8]] = _spare, most: int = MOST_SPARE_BYTES) -> None:
        # Names of the module may be gone when Python ends.
        spare[id(self._buffer)] = self._buffer
        known = spare.copy()
        n_bytes = sum(map(len, known.values()))
        for key, buffer in known.items():
            if n_bytes <= most:
                break
            spare.pop(key, None)
            n_bytes -= len(buffer)


def empty(shape: Sequence[int]) -> Float64:
    """As `numpy.empty(shape)`, in memory that another such array had before."""
    size = 8 * math.prod(shape)
    if not LEAST_BYTES <= size <= MOST_SPARE_BYTES:
        return np.empty(shape)
    fitting = {key: len(buffer) for key, buffer in _spare.copy().items() if size <= len(buffer) <= 2 * size}
    for key in sorted(fitting, key=fitting.__getitem__):
        buffer = _spare.pop(key, None)
        if buffer is not None:
            break
    else:
        buffer = np.empty(min(int(ROOM * size), MOST_SPARE_BYTES), np.uint8)
    return np.asarray(_Lease(buffer, tuple(shape)))
