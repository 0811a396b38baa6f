"""Geometries of Shapely are the cells and the boundary."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import shapely

from exported import lone, part, reloaded, several, single
from splinecam_widget.analysis.shapes import region_inradii


@pytest.mark.parametrize("make", [several, single, lone, part])
def test_cells_and_boundary(make: Any) -> None:
    p = make()
    cells, boundary, record = p.to_shapely()
    assert record == p.record()
    assert cells.shape == (p.n_cells,)
    assert shapely.is_valid(cells).all()
    assert shapely.is_ccw(shapely.get_exterior_ring(cells)).all()
    np.testing.assert_allclose(shapely.area(cells), p.areas, rtol=1e-9, atol=1e-15)
    np.testing.assert_array_equal(shapely.get_num_coordinates(cells), np.diff(p.cell_offsets) + 1)
    assert shapely.contains_xy(shapely.buffer(cells, 1e-12), *p.centroids.T).all()
    assert isinstance(boundary, shapely.MultiLineString)
    assert boundary.length == pytest.approx(p.decision_boundary().length)
    assert shapely.union_all(cells, grid_size=1e-12).symmetric_difference(shapely.Polygon(p.plane.domain)).area < 1e-9


def test_level() -> None:
    p = single()
    level = float(np.median(p.values))
    assert p.to_shapely(level=level).boundary.length == pytest.approx(p.decision_boundary(level=level).length) != 0


def test_from_a_file(tmp_path: Path) -> None:
    p = several()
    cells, boundary, _ = reloaded(p, tmp_path).to_shapely()
    assert shapely.equals_identical(cells, p.to_shapely().cells).all()
    assert boundary.equals(p.to_shapely().boundary)


@pytest.mark.parametrize(("method", "name"), [("to_shapely", "shapely"), ("plot", "matplotlib")])
def test_says_what_is_missing(method: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name, *(module for module in sys.modules if module.startswith(f"{name}."))]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"^{method} needs {name}: pip install 'splinecam_widget\[analysis\]'$"):
        getattr(lone(), method)()


def test_a_cell_without_area_has_no_say_in_the_circle_of_its_region() -> None:
    cells = SimpleNamespace(region_ids=np.array([0, 0, 1, 1]), areas=np.array([2.0, 0.0, 0.0, 3.0]), n_regions=2)
    assert region_inradii(cells, np.array([0.5, 0.0, 0.0, 0.75])).tolist() == [0.5, 0.75]
