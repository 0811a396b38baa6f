"""What one writes first: polygons split one after the other in numpy, each with the affine map of its units.

Shares nothing with the engine, so its number of cells is a check, too. No care is taken of rounding.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Float64 = NDArray[np.float64]


def naive_cells(model: nn.Sequential, half_side: float) -> int:
    """The number of cells of a net of linear layers and (leaky) ReLUs with two inputs on a square."""
    s = half_side
    # A polygon (k, 2) and the affine map (n, 3) of what is alive on it: values are `map @ (u0, u1, 1)`.
    cells = [(np.array([[-s, -s], [s, -s], [s, s], [-s, s]]), np.eye(3)[:2])]
    for layer in model:
        if isinstance(layer, nn.Linear):
            weight, bias = layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()
            cells = [(polygon, weight @ here + np.outer(bias, (0.0, 0.0, 1.0))) for polygon, here in cells]
        else:
            slope = layer.negative_slope if isinstance(layer, nn.LeakyReLU) else 0.0
            cells = [done for polygon, here in cells for done in _bent(polygon, here, slope)]
    return len(cells)


def _bent(polygon: Float64, here: Float64, slope: float) -> list[tuple[Float64, Float64]]:
    """The cells into which a layer of units cuts one."""
    pieces = [polygon]
    values = polygon @ here[:, :2].T + here[:, 2]
    for unit in np.flatnonzero((values.min(axis=0) < 0) & (values.max(axis=0) > 0)):
        pieces = [part for piece in pieces for part in _split(piece, here[unit])]
    found = []
    for piece in pieces:
        middle = piece.mean(axis=0)
        is_on = here[:, :2] @ middle + here[:, 2] > 0
        found.append((piece, np.where(is_on[:, None], here, slope * here)))
    return found


def _split(polygon: Float64, line: Float64) -> list[Float64]:
    """The polygon on both sides of a line, or as it is."""
    z = polygon @ line[:2] + line[2]
    if not (z.min() < 0 < z.max()):
        return [polygon]
    sides: tuple[list[Float64], list[Float64]] = ([], [])
    for k in range(len(polygon)):
        a, b = z[k], z[(k + 1) % len(z)]
        if a >= 0:
            sides[0].append(polygon[k])
        if a <= 0:
            sides[1].append(polygon[k])
        if a * b < 0:
            crossing = polygon[k] + a / (a - b) * (polygon[(k + 1) % len(z)] - polygon[k])
            for side in sides:
                side.append(crossing)
    return [np.array(side) for side in sides]


if __name__ == "__main__":
    from nets import NETS

    for net in NETS[:4]:
        with torch.no_grad():
            print(net.name, net.cells, naive_cells(net.build(), net.half_side))
