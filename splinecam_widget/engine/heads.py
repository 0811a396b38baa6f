"""Monotone last operations of models, which are set aside: their names, and what they make of outputs. Needs no torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy  # loads `special` when it is first used

OF_ENTRIES = frozenset({"sigmoid", "expit", "tanh"})
"""Those of single entries: they keep order, and where a single one is as large as at 0."""

HEADS = OF_ENTRIES | {"softmax", "log_softmax"}
"""All but argmax, without what torch puts around their names. They keep the order of the logits."""


def entries_with_head(head: str, outputs: Any) -> Any:
    """What a model returns for outputs (..., K), where a head of single entries was set aside; one of several stays aside."""
    if head == "tanh":
        return np.tanh(outputs)
    return scipy.special.expit(outputs) if head == "sigmoid" else outputs


def with_head(head: str, outputs: Any) -> Any:
    """What a model returns for outputs (n, K), with whatever head was set aside."""
    if head == "argmax":
        return np.argmax(outputs, axis=1)[:, None].astype(np.float64)
    if head == "softmax":
        return scipy.special.softmax(outputs, axis=1)
    return scipy.special.log_softmax(outputs, axis=1) if head == "log_softmax" else entries_with_head(head, outputs)
