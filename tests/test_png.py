"""PNG whose pixels are what their centres lie in."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from exported import lone, part, reloaded, several, single
from oracle import mlp, square
from splinecam_widget import Slice, compute_partition
from splinecam_widget.analysis.colours import class_palette


def read(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def centres(p: Any, width: int) -> np.ndarray:
    """Slice coordinates (height, width, 2) of pixel centres."""
    low, high = p.plane.domain.min(axis=0), p.plane.domain.max(axis=0)
    height = round(width * (high[1] - low[1]) / (high[0] - low[0]))
    x = low[0] + (np.arange(width) + 0.5) / width * (high[0] - low[0])
    y = high[1] - (np.arange(height) + 0.5) / height * (high[1] - low[1])
    return np.stack(np.meshgrid(x, y), axis=-1)


@pytest.mark.parametrize("make", [several, lone, part, single])
def test_labels_are_those_of_located_centres(make: Any) -> None:
    """Each cell has a colour of its own by its number on the scale of 256 colours, so only few cells share one."""
    p = make()
    shown = read(p.to_png(color_by=np.arange(p.n_cells), edges=False, boundary=False, width=301, samples=1))
    cells = p.locate(centres(p, 301))
    assert shown.shape[:2] == cells.shape
    np.testing.assert_array_equal(shown[..., 3] == 255, cells >= 0)
    np.testing.assert_array_equal(np.unique(shown[..., 3]), np.unique(np.where(cells >= 0, 255, 0)))
    colours = shown.view("<u4")[..., 0]
    for cell in np.unique(cells[cells >= 0]):
        assert len(np.unique(colours[cells == cell])) == 1
    first = [colours[cells == cell][0] for cell in np.unique(cells[cells >= 0])]
    assert len(set(first)) >= min(len(first), 200) * 0.9


def test_classes_are_those_of_the_network_at_the_centres() -> None:
    p = several()
    shown = read(p.to_png(edges=False, boundary=False, width=200, samples=1)).view("<u4")[..., 0]
    u = centres(p, 200)
    at = p.locate(u)
    A, b = p.affine_maps()
    outputs = np.einsum("hwki,hwi->hwk", A[at], u) + b[at]
    np.testing.assert_array_equal(shown, class_palette(3)[outputs.argmax(axis=-1)])
    assert len(np.unique(shown)) == 3


def test_samples_average() -> None:
    """Of a vertical tie at x = 0.015, one column of 100 is on both sides, three quarters of it to the left."""
    p = compute_partition(lambda u: u[:, :1] - 0.015, Slice.from_basis([0.0, 0.0], np.eye(2)))
    shown = read(p.to_png(edges=False, boundary=False, width=100, samples=4)).astype(int)
    low, high = (np.array([int(w) >> s & 255 for s in (0, 8, 16)]) for w in class_palette(2))
    np.testing.assert_array_equal(shown[:, :50, :3], np.broadcast_to(low, (100, 50, 3)))
    np.testing.assert_array_equal(shown[:, 51:, :3], np.broadcast_to(high, (100, 49, 3)))
    np.testing.assert_allclose(shown[:, 50, :3], np.broadcast_to(0.75 * low + 0.25 * high, (100, 3)), atol=1)


def test_edges_and_boundary_darken_where_they_run() -> None:
    p = compute_partition(mlp(2, 6, 2, seed=3), square())
    plain = read(p.to_png(edges=False, boundary=False, width=300)).astype(int).sum(axis=2)
    lined = read(p.to_png(boundary=False, width=300)).astype(int).sum(axis=2)
    ends = p.vertices[p.edges[p.edge_layer >= 0]]
    u = centres(p, 300).reshape(-1, 1, 2)
    d = ends[:, 1] - ends[:, 0]
    t = np.clip(((u - ends[:, 0]) * d).sum(-1) / (d * d).sum(-1), 0, 1)
    distance = np.linalg.norm(u - ends[:, 0] - t[..., None] * d, axis=-1).min(axis=1).reshape(300, 300) * 150
    assert (lined[distance < 0.2] < plain[distance < 0.2] - 20).all()
    np.testing.assert_array_equal(lined[distance > 2], plain[distance > 2])


def test_bands_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    p = several()
    whole = p.to_png(width=123)
    monkeypatch.setattr("splinecam_widget.analysis.png.BAND_PIXELS", 20_000)
    np.testing.assert_array_equal(read(p.to_png(width=123)), read(whole))


def test_record_and_file(tmp_path: Path) -> None:
    p = several()
    content = p.to_png(tmp_path / "a.png", width=80)
    assert (tmp_path / "a.png").read_bytes() == content
    with Image.open(tmp_path / "a.png") as image:
        image.load()
        assert json.loads(image.text["record"]) == p.record()  # type: ignore[attr-defined]
        assert image.size == (80, 80)
    assert reloaded(p, tmp_path).to_png(width=80) == content


def test_corners_of_the_domain_cut_off_are_transparent() -> None:
    shown = read(lone().to_png(width=64, samples=4))
    assert shown.shape == (32, 64, 4)
    assert shown[0, -1, 3] == 0
    assert shown[-1, 0, 3] == 255


@pytest.mark.parametrize(("options", "text"), [
    ({"width": 0}, "width: expected a number of pixels from 1 to 32768, got 0"),
    ({"width": 2.5}, "width: expected a number of pixels from 1 to 32768, got 2.5"),
    ({"samples": 9}, "samples: expected a number of samples a pixel's side from 1 to 8, got 9"),
])
def test_refuses(options: Any, text: str) -> None:
    with pytest.raises(ValueError, match=f"^{text}"):
        lone().to_png(**options)
