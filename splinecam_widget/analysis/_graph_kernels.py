"""Compiled loops over graphs in compressed rows. Arrays in, arrays out."""

from __future__ import annotations

import numpy as np
from numba import njit

SCALE = 2.0**512
"""Counts of shortest paths grow exponentially with distance and pass 2^1023 where a thousand lines lie between two cells.
Each is kept as m SCALE^e with 1 <= m; what is smaller by SCALE or more than that is below every rounding."""


@njit(cache=True, nogil=True)
def dependencies(offsets, neighbours, pair_ids, n_pairs, sources):
    """Sums over sources of the dependencies of nodes (N,) and of pairs (P,), after Brandes (2001).

    The dependency of a source on a node is the sum over targets of the share of shortest paths that pass through the node.

    Parameters
    ----------
    offsets (N + 1,), neighbours, pair_ids (2 P,) : rows of a symmetric graph without parallel links or loops
    """
    n = len(offsets) - 1
    of_nodes, of_pairs = np.zeros(n), np.zeros(n_pairs)
    level = np.full(n, -1, np.int32)
    order = np.empty(n, np.int32)
    count, power = np.zeros(n), np.zeros(n, np.int32)
    share = np.zeros(n)
    for source in sources:
        order[0], n_seen = source, 1
        level[source], count[source] = 0, 1.0
        i = 0
        while i < n_seen:
            v = order[i]
            i += 1
            if count[v] > SCALE:
                count[v] /= SCALE
                power[v] += 1
            for k in range(offsets[v], offsets[v + 1]):
                w = neighbours[k]
                if level[w] < 0:
                    level[w] = level[v] + 1
                    order[n_seen] = w
                    n_seen += 1
                    count[w], power[w] = count[v], power[v]
                elif level[w] == level[v] + 1:
                    ahead = power[v] - power[w]
                    if ahead == 0:
                        count[w] += count[v]
                    elif ahead > 0:
                        count[w] = count[v] + (count[w] / SCALE if ahead == 1 else 0.0)
                        power[w] = power[v]
                    elif ahead == -1:
                        count[w] += count[v] / SCALE
        for i in range(n_seen - 1, 0, -1):
            w = order[i]
            weight = (1.0 + share[w]) / count[w]
            for k in range(offsets[w], offsets[w + 1]):
                v = neighbours[k]
                if level[v] == level[w] - 1:
                    behind = power[w] - power[v]
                    if behind < 2:
                        part = count[v] * weight if behind == 0 else count[v] * weight / SCALE
                        share[v] += part
                        of_pairs[pair_ids[k]] += part
            of_nodes[w] += share[w]
        for i in range(n_seen):
            v = order[i]
            level[v], count[v], power[v], share[v] = -1, 0.0, 0, 0.0
    return of_nodes, of_pairs


@njit(cache=True, nogil=True)
def blocks_at_nodes(offsets, neighbours):
    """In how many biconnected components each node is: (N,), 0 without neighbours. After Hopcroft & Tarjan (1973).

    Rows of a symmetric graph without parallel links or loops.
    """
    n = len(offsets) - 1
    blocks = np.zeros(n, np.int64)
    found, low = np.full(n, -1, np.int64), np.empty(n, np.int64)
    parent, at = np.full(n, -1, np.int64), offsets[:-1].copy()
    n_found = 0
    for root in range(n):
        if found[root] >= 0:
            continue
        found[root] = low[root] = n_found
        n_found += 1
        v = root
        while v >= 0:
            if at[v] < offsets[v + 1]:
                w = neighbours[at[v]]
                at[v] += 1
                if found[w] < 0:
                    parent[w] = v
                    found[w] = low[w] = n_found
                    n_found += 1
                    v = w
                elif w != parent[v]:
                    low[v] = min(low[v], found[w])
                continue
            u = parent[v]
            if u >= 0:
                low[u] = min(low[u], low[v])
                if low[v] >= found[u]:  # nothing below v reaches above u: a component ends here, and u is its top
                    blocks[u] += 1
            v = u
    # Every node but the roots is below the top of exactly one more component: that of the link to its parent.
    for v in range(n):
        if parent[v] >= 0:
            blocks[v] += 1
    return blocks


@njit(cache=True, nogil=True)
def path_back(offsets, neighbours, is_tight, level, target):
    """The nodes from `target` back to the node of level 0: at each step, of the tight ones a level lower, the lowest id."""
    path = np.empty(level[target] + 1, np.int64)
    path[0] = target
    for i in range(1, len(path)):
        v, best = path[i - 1], -1
        for k in range(offsets[v], offsets[v + 1]):
            u = neighbours[k]
            if is_tight[k] and level[u] == level[v] - 1 and (best < 0 or u < best):
                best = u
        path[i] = best
    return path
