"""Compiled loops over graphs in compressed rows. Arrays in, arrays out."""

from __future__ import annotations

import numpy as np

from splinecam_widget.engine.loops import loop

SCALE = 2.0**512
"""Counts of shortest paths grow exponentially with distance and pass 2^1023 where a thousand lines lie between two cells.
Each is kept as m SCALE^e with 1 <= m; what is smaller by SCALE or more than that is below every rounding."""


@loop
def dependencies(offsets, neighbours, pair_ids, n_pairs, sources):
    """Sums over sources of the dependencies of nodes (N,) and of pairs (P,), after Brandes (2001).

    The dependency of a source on a node is the sum over targets of the share of shortest paths that pass through the node.

    Parameters
    ----------
    offsets (N + 1,), neighbours, pair_ids (2 P,) : rows of a symmetric graph without parallel links or loops
    """
    n = len(offsets) - 1
    of_nodes, of_pairs = np.zeros(n), np.zeros(n_pairs)
    # Of a node: level and power, and count of paths and dependency, side by side as they are read together.
    place, sums = np.full((n, 2), -1, np.int32), np.empty((n, 2))
    order, steps = np.empty(n, np.int32), np.empty((n_pairs, 3), np.int32)
    for source in sources:
        order[0], n_seen, n_steps = source, 1, 0
        place[source, 0], place[source, 1], sums[source, 0], sums[source, 1] = 0, 0, 1.0, 0.0
        i = 0
        while i < n_seen:
            v = order[i]
            i += 1
            if sums[v, 0] > SCALE:
                sums[v, 0] /= SCALE
                place[v, 1] += 1
            level, power, count = place[v, 0] + 1, place[v, 1], sums[v, 0]
            for k in range(offsets[v], offsets[v + 1]):
                w = neighbours[k]
                if place[w, 0] < 0:
                    order[n_seen] = w
                    n_seen += 1
                    place[w, 0], place[w, 1], sums[w, 0], sums[w, 1] = level, power, count, 0.0
                elif place[w, 0] == level:
                    ahead = power - place[w, 1]
                    if ahead == 0:
                        sums[w, 0] += count
                    elif ahead > 0:
                        sums[w, 0] = count + (sums[w, 0] / SCALE if ahead == 1 else 0.0)
                        place[w, 1] = power
                    elif ahead == -1:
                        sums[w, 0] += count / SCALE
                else:
                    continue
                steps[n_steps, 0], steps[n_steps, 1], steps[n_steps, 2] = v, w, pair_ids[k]
                n_steps += 1
        # All steps away from a node come after all steps to it.
        for i in range(n_steps - 1, -1, -1):
            v, w = steps[i, 0], steps[i, 1]
            behind = place[w, 1] - place[v, 1]
            if behind < 2:
                part = sums[v, 0] / sums[w, 0] * (1.0 + sums[w, 1])
                if behind == 1:
                    part /= SCALE
                sums[v, 1] += part
                of_pairs[steps[i, 2]] += part
        place[source, 0] = -1
        for i in range(1, n_seen):
            v = order[i]
            of_nodes[v] += sums[v, 1]
            place[v, 0] = -1
    return of_nodes, of_pairs


@loop
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


@loop
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
