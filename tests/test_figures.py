"""Axes of matplotlib show the cells in their colours, as vectors, with a legend or a scale."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import shapely
from PIL import Image

mpl.use("agg")
from matplotlib import colors
from matplotlib import pyplot as plt

from exported import lone, part, reloaded, several, single
from splinecam_widget.analysis import figures
from splinecam_widget.analysis.colours import class_palette, hex_of
from splinecam_widget.engine.boundary import winners_of


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    plt.close("all")


def rings_of(collection: Any) -> list[tuple[str, np.ndarray]]:
    """Colour and corners of every polygon of a collection of paths."""
    found = []
    for path, colour in zip(collection.get_paths(), collection.get_facecolors()):
        starts = np.flatnonzero(path.codes == path.MOVETO)
        assert (np.delete(path.codes, starts)[np.r_[starts[1:] - np.arange(1, len(starts)) - 1, -1]] == path.CLOSEPOLY).all()
        found += [(colors.to_hex(colour), ring[:-1]) for ring in np.split(path.vertices, starts[1:])]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("make", [several, single, lone, part])
@pytest.mark.parametrize("color_by", ["class", "margin", "area", "slope", "pattern"])
def test_polygons_fill_the_domain(make: Any, color_by: str) -> None:
    p = make()
    ax = p.plot(color_by=color_by)
    found = rings_of(ax.collections[0])
    areas = [shapely.Polygon(ring).area for _, ring in found]
    assert sum(areas) == pytest.approx(shapely.Polygon(p.plane.domain).area, rel=1e-9)
    assert len(found) >= p.n_cells
    low, high = p.plane.domain.min(axis=0), p.plane.domain.max(axis=0)
    assert (*ax.get_xlim(), *ax.get_ylim()) == (low[0], high[0], low[1], high[1])
    assert ax.get_aspect() == 1
    assert ax.get_title() == ""
    ax.figure.canvas.draw()


def test_axes_are_called_as_in_the_widget() -> None:
    ax = several().plot()
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$u_0$ (input-space units)", "$u_1$ (input-space units)")


@pytest.mark.parametrize("ax", ["axes", 3, [1]])
def test_refuses_what_is_no_axes(ax: Any) -> None:
    with pytest.raises(TypeError, match=r"^ax: expected matplotlib axes or None, got "):
        several().plot(ax)


def test_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "PATH_POLYGONS", 3)
    p = several()
    ax = p.plot(class_names=["a", "b", "c"])
    winners, palette = winners_of(p), [hex_of(word) for word in class_palette(3)]
    whole = {p.vertices[p.cell_vertices[p.cell_offsets[c]:p.cell_offsets[c + 1]]].tobytes(): palette[winners.cells[c]]
             for c in np.setdiff1d(np.arange(p.n_cells), winners.piece_cells)}
    found = rings_of(ax.collections[0])
    assert {ring.tobytes(): colour for colour, ring in found if ring.tobytes() in whole} == whole
    assert len(found) == len(whole) + len(winners.piece_classes)
    legend = ax.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b", "c"]
    assert [colors.to_hex(patch.get_facecolor()) for patch in legend.get_patches()] == palette
    assert p.plot().get_legend() is None
    assert [text.get_text() for text in p.plot(legend=True).get_legend().get_texts()] == ["0", "1", "2"]
    assert p.plot(class_names=["a", "b", "c"], legend=False).get_legend() is None


def test_scale() -> None:
    p = several()
    ax = p.plot(color_by="area")
    bar = ax.child_axes[0]
    assert bar.get_ylabel() == "cell area"
    areas = np.sort(p.areas)
    low, high = areas[np.searchsorted(areas.cumsum(), np.multiply([0.01, 0.99], areas.sum()))]
    assert bar.get_yscale() == "log"
    assert bar.get_ylim() == pytest.approx((low, high))
    assert p.plot(color_by="area", legend=False).child_axes == []


def test_edges_boundary_and_anchors() -> None:
    p = several()
    ax = p.plot()
    _, edges, boundary = ax.collections
    ends = np.concatenate([path.vertices for path in edges.get_paths()]).reshape(-1, 2, 2)
    np.testing.assert_array_equal(ends, p.vertices[p.edges[p.edge_layer >= 0]])
    length = 0.0
    for path in boundary.get_paths():
        steps = np.linalg.norm(np.diff(path.vertices, axis=0), axis=1)
        length += steps[path.codes[1:] == path.LINETO].sum()
    assert length == pytest.approx(p.decision_boundary().length)
    assert boundary.get_linewidth()[0] > 2 * edges.get_linewidth()[0]
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), p.plane.anchors)
    assert [text.get_text() for text in ax.texts] == ["$x_1$", "$x_2$", "$x_3$"]
    bare = p.plot(edges=False, boundary=False, anchors=False)
    assert (len(bare.collections), len(bare.lines)) == (1, 0)
    assert len(lone().plot().collections) == 1


def test_own_axes_title_and_file(tmp_path: Path) -> None:
    p = single()
    figure, axes = plt.subplots(1, 2, figsize=(4, 2))
    assert p.plot(axes[1], title="one output", rasterized=True, level=0.1) is axes[1]
    assert axes[1].get_title() == "one output"
    assert axes[1].record == p.record()
    assert axes[1].collections[0].get_rasterized()
    assert len(plt.get_fignums()) == 1
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=50)
    assert np.asarray(Image.open(out)).shape == (100, 200, 4)
    figure.savefig(tmp_path / "a.pdf")
    assert len(reloaded(p, tmp_path).plot().collections) == 3


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"^class_names: expected 2 names, got 1"):
        single().plot(class_names=["a"])
    with pytest.raises(ValueError, match=r"^color_by: expected one of class, margin, .*, got 'height'"):
        single().plot(color_by="height")
