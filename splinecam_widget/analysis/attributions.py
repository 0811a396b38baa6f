"""Integrated gradients without a step size: sums over the cells of a line."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from splinecam_widget.engine.arrays import Float64, as_count, as_numbers
from splinecam_widget.engine.evaluation import evaluate, row_chunks
from splinecam_widget.engine.threads import on_all_cores

from .lines import LinePartition, compute_line


def gradients_along(line: LinePartition, output: int | None) -> Float64:
    """See `LinePartition.integrated_gradients`."""
    n_outputs = line.values.shape[1]
    which = int(line.values[-1].argmax()) if output is None else as_count(output, 0, n_outputs - 1, "output", "a number")
    middles, widths = line.middles, np.diff(line.t)

    def weighed(rows: slice) -> Float64:
        x = torch.from_numpy(line.to_input(middles[rows])).requires_grad_()
        with torch.enable_grad():
            values = evaluate(line.network, x)[:, which]
            if not values.requires_grad:
                return np.zeros_like(line.start)
            (gradient,) = torch.autograd.grad((values * torch.from_numpy(widths[rows])).sum(), x, materialize_grads=True)
        found: Float64 = gradient.sum(0).numpy()
        return found

    # Chunks do not depend on the number of threads, so neither does the order of the sum.
    parts = on_all_cores(weighed, row_chunks(line.network, line.n_cells))
    total: Float64 = np.sum(parts, axis=0) * (line.end - line.start)
    return total + 0.0  # zeros without a sign


def integrated_gradients(model: Any, x: Any, baseline: Any = None, output: int | None = None) -> Float64:
    """Exact integrated gradients: what each entry of an input contributes to an output, compared with a baseline.

    Parameters
    ----------
    model : nn.Module, callable of torch operations, or Network
    x : (*input_shape,) tensor or array
    baseline : (*input_shape,) tensor or array, or None
        The input that stands for "nothing there"; None: zeros.
    output : int or None
        Which output (the logits, where a softmax was set aside); None: the largest at x.

    Returns
    -------
    (*input_shape,) float64
        They sum to the output at `x` minus that at `baseline`.

    Raises
    ------
    TypeError, ValueError
        As `compute_line`, or if there is no such output.

    Notes
    -----
    Of `LinePartition.integrated_gradients`: no step size, no quadrature error.

    References
    ----------
    Sundararajan, Taly, Yan: Axiomatic attribution for deep networks. ICML 2017, arXiv 1703.01365.

    Examples
    --------
    >>> import torch
    >>> integrated_gradients(lambda x: torch.relu(x).sum(1, keepdim=True), [3.0, 1.0]).tolist()
    [3.0, 1.0]
    """
    end, _ = as_numbers(x, "x")
    start = np.zeros_like(end) if baseline is None else as_numbers(baseline, "baseline")[0]
    if start.shape != end.shape:
        raise ValueError(f"baseline: expected the shape of x, {end.shape}, got {start.shape}")
    if np.array_equal(start, end):
        raise ValueError("baseline: expected an input different from x, got the same one")
    return compute_line(model, start, end).integrated_gradients(output)
