"""Compiled walk along segments that share nodes. Arrays in, arrays out."""

from __future__ import annotations

import numpy as np

from splinecam_widget.engine.loops import loop

NOWHERE, BORDER, JUNCTION, LOOSE = 0, 1, 2, 3


@loop
def joined(n_nodes, segments, labels, is_border):
    """Segments put together to lines that go on through every node of two segments with one label.

    Parameters
    ----------
    segments (S, 2) : node ids; a segment from a node to itself is left out
    labels (S, k)
    is_border (n_nodes,)

    Returns
    -------
    nodes (M,), offsets (P + 1,) : the nodes along every line, those of a closed one with the first again at the end
    order (M - P,) : the segments along the lines
    first (P,) : the lowest segment of each line, along which it runs
    is_closed (P,), ends (P, 2) : what is at both ends
    """
    n_segments = len(segments)
    degree = np.zeros(n_nodes, np.int64)
    beside = np.full((n_nodes, 2), -1)
    is_taken = np.zeros(n_segments, np.bool_)
    n_left = 0
    for s in range(n_segments):
        if segments[s, 0] == segments[s, 1]:
            is_taken[s] = True
            continue
        n_left += 1
        for side in range(2):
            node = segments[s, side]
            if degree[node] < 2:
                beside[node, degree[node]] = s
            degree[node] += 1
    # A node is passed where exactly two segments meet that have one label.
    is_passed = np.zeros(n_nodes, np.bool_)
    for node in range(n_nodes):
        if degree[node] == 2:
            same = True
            for k in range(labels.shape[1]):
                same &= labels[beside[node, 0], k] == labels[beside[node, 1], k]
            is_passed[node] = same
    nodes = np.empty(2 * n_left, np.int64)
    offsets = np.zeros(n_left + 1, np.int64)
    order = np.empty(n_left, np.int64)
    first = np.empty(n_left, np.int64)
    is_closed = np.zeros(n_left, np.bool_)
    ends = np.zeros((n_left, 2), np.int8)
    n, m, n_ordered = 0, 0, 0
    for s in range(n_segments):
        if is_taken[s]:
            continue
        # Back from the first end of the lowest segment, to where the line begins.
        start, node = s, segments[s, 0]
        while is_passed[node]:
            start = beside[node, 0] if beside[node, 1] == start else beside[node, 1]
            if start == s:
                break
            node = segments[start, 0] if segments[start, 1] == node else segments[start, 1]
        closed = is_passed[node]
        if closed:
            node = segments[s, 0]
        nodes[m] = node
        m += 1
        head, here = node, start
        while True:
            is_taken[here] = True
            order[n_ordered] = here
            n_ordered += 1
            head = segments[here, 0] if segments[here, 1] == head else segments[here, 1]
            nodes[m] = head
            m += 1
            if not is_passed[head]:
                break
            here = beside[head, 0] if beside[head, 1] == here else beside[head, 1]
            if here == start:
                break
        first[n] = s
        is_closed[n] = closed
        for side in range(2):
            end = node if side == 0 else head
            if closed:
                ends[n, side] = NOWHERE
            elif is_border[end]:
                ends[n, side] = BORDER
            else:
                ends[n, side] = LOOSE if degree[end] == 1 else JUNCTION
        n += 1
        offsets[n] = m
    return nodes[:m].copy(), offsets[: n + 1].copy(), order, first[:n].copy(), is_closed[:n].copy(), ends[:n].copy()
