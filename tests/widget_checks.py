"""What the tests of the widget's Python side share: small nets, the same partition twice, messages read as a browser does."""

from __future__ import annotations

import io
import itertools
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from splinecam_widget import Partition, Slice, compute_partition
from splinecam_widget.engine.evaluation import evaluate
from splinecam_widget.engine.lowering import lower

SAME_AREA = 1e-9
"""Two ways to the same cell (clipped, or computed at once) round differently: 1e-16 of the domain's extent across each line,
and along it over the sine of the angle at which lines cross. The nets here have no angles below 1e-5; a wrong cell differs
by far more."""

FLOAT32 = float(np.finfo(np.float32).eps)


def small_net(n_in: int, n_out: int, seed: int = 0, width: int = 8) -> nn.Sequential:
    """A net of two hidden layers in eval mode, without touching the global generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Linear(n_in, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, n_out)
        ).eval()


@cache
def _network(model: nn.Module, input_shape: tuple[int, ...]) -> Any:
    return lower(model, input_shape)


def fresh_partition(model: nn.Module, plane: Slice) -> Partition:
    """`compute_partition` from scratch, but for tracing: each net, in eval mode and never changed, is lowered once."""
    return compute_partition(_network(model, plane.input_shape), plane)


def assert_same_partition(first: Partition, second: Partition) -> None:
    """Both have the same cells, whatever their order, with the same patterns; the first's values are the network's."""
    np.testing.assert_allclose(first.plane.origin, second.plane.origin, rtol=0, atol=1e-12)
    np.testing.assert_allclose(first.plane.basis, second.plane.basis, rtol=0, atol=1e-12)
    assert first.n_cells == second.n_cells
    partner = second.locate(first.centroids)
    np.testing.assert_array_equal(np.sort(partner), np.arange(second.n_cells))
    whole = second.areas.sum()
    np.testing.assert_allclose(first.areas, second.areas[partner], rtol=0, atol=SAME_AREA * whole)
    np.testing.assert_allclose(first.areas.sum(), whole, rtol=SAME_AREA)
    for mine, theirs in zip(first.patterns(np.arange(first.n_cells)), second.patterns(partner)):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(first.planar.cell_hashes, second.planar.cell_hashes[partner])
    with torch.no_grad():
        outputs = evaluate(second.network, torch.from_numpy(first.plane.to_input(first.vertices))).numpy()
    np.testing.assert_allclose(first.values, outputs, rtol=0, atol=SAME_AREA * max(1.0, float(np.abs(outputs).max())))


@dataclass(frozen=True)
class Picture:
    """A `picture` message, decoded by docs/protocol.md alone."""

    content: dict[str, Any]
    vertices: NDArray[np.float64]
    cells: list[NDArray[np.uint32]]
    colours: NDArray[np.uint32]
    boundary: NDArray[np.float64]
    pieces: list[NDArray[np.float64]]
    piece_colours: NDArray[np.uint32]


def decoded(content: dict[str, Any], buffers: list[bytes]) -> Picture:
    """Read a picture; coordinates are slice coordinates again."""
    assert content["kind"] == "picture"
    assert len(buffers) == 9
    centre, scale = np.array(content["centre"]), content["scale"]

    def points(buffer: bytes) -> NDArray[np.float64]:
        return np.frombuffer(buffer, "<f4").astype(np.float64).reshape(-1, 2) * scale + centre

    def ragged(offsets: bytes, entries: NDArray[Any]) -> list[NDArray[Any]]:
        ends = np.frombuffer(offsets, "<u4")
        assert ends[0] == 0
        assert ends[-1] == len(entries)
        return [entries[a:b] for a, b in itertools.pairwise(ends)]

    return Picture(
        content, points(buffers[0]), ragged(buffers[1], np.frombuffer(buffers[2], "<u4")),
        np.frombuffer(buffers[3], "<u4"), points(buffers[4]).reshape(-1, 2, 2), ragged(buffers[6], points(buffers[5])),
        np.frombuffer(buffers[7], "<u4"),
    )


def assert_shows(picture: Picture, partition: Partition) -> None:
    """The polygons are the partition's, to float32 relative to the view."""
    low, high = partition.plane.domain.min(axis=0), partition.plane.domain.max(axis=0)
    # One rounding to float32 of numbers up to 1 in units of the view's half width; half of FLOAT32, and float64 beside it.
    error = FLOAT32 * float((high - low).max()) / 2
    assert picture.content["n_cells"] == len(picture.cells) == len(picture.colours) == partition.n_cells
    assert picture.content["n_vertices"] == len(picture.vertices)
    assert picture.content["n_regions"] == partition.n_regions
    for shown, (a, b) in zip(picture.cells, itertools.pairwise(partition.cell_offsets)):
        exact = partition.vertices[partition.cell_vertices[a:b]]
        assert np.abs(picture.vertices[shown] - exact).max() <= error
    left, right, bottom, top = picture.content["view"]
    inside = (picture.vertices >= [left - error, bottom - error]) & (picture.vertices <= [right + error, top + error])
    assert inside.all()
    np.testing.assert_array_equal(picture.content["domain"], partition.plane.domain)


def png_pixels(png: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(png)))
