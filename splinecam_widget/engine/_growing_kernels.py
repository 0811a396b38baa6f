"""Arrays that grow as compiled loops write into them."""

from __future__ import annotations

import numpy as np

from ._cutting_kernels import CELLS, CHORD_EDGES, ENTRIES, INNER
from .loops import loop


@loop
def grown(array, size):
    """The array with room for at least `size` entries (rows), its content kept."""
    if size <= len(array):
        return array
    shape = (max(size, 2 * len(array)),) + array.shape[1:]
    larger = np.empty(shape, array.dtype)
    larger[: len(array)] = array
    return larger


@loop
def trimmed(array, size):
    """The first `size` entries (rows), in memory of their own where much of the array's would be left over."""
    used = array[:size]
    return used.copy() if size < 0.75 * len(array) else used


@loop
def with_room(out, wanted):
    """What `split_cells` returns, with room for what is wanted."""
    offsets, vertices, edges, hashes, parents, ends, weights, places, new_edges, new_units = out
    hashes = grown(hashes, wanted[CELLS])
    return (
        grown(offsets, len(hashes) + 1), grown(vertices, wanted[ENTRIES]), grown(edges, wanted[ENTRIES]), hashes,
        grown(parents, len(hashes)), grown(ends, wanted[INNER]), grown(weights, wanted[INNER]), grown(places, wanted[INNER]),
        grown(new_edges, wanted[CHORD_EDGES]), grown(new_units, wanted[CHORD_EDGES]))
