"""Connected components, by graph-tool and by scipy: the same answer from both."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from splinecam_widget.engine import graph


def components_by_hand(n_nodes: int, links: np.ndarray) -> list[int]:
    """Repeated merging of labels, numbered by first nodes."""
    labels = list(range(n_nodes))
    for a, b in links.tolist():
        low, high = sorted((labels[a], labels[b]))
        labels = [low if label == high else label for label in labels]
    numbers = {label: i for i, label in enumerate(sorted(set(labels)))}
    return [numbers[label] for label in labels]


def no_links() -> np.ndarray:
    return np.empty((0, 2), np.int32)


@pytest.mark.parametrize(("n_nodes", "links", "expected"), [
    (0, no_links(), []),
    (1, no_links(), [0]),
    (3, no_links(), [0, 1, 2]),
    (4, np.array([[3, 1]], np.int32), [0, 1, 2, 1]),
    (5, np.array([[4, 2], [2, 0], [1, 3]], np.int32), [0, 1, 0, 1, 0]),
    (3, np.array([[2, 2], [0, 1], [1, 0], [0, 1]], np.int32), [0, 0, 1]),
])
@pytest.mark.usefixtures("backend")
def test_components_are_numbered_by_their_first_nodes(n_nodes: int, links: np.ndarray, expected: list[int]) -> None:
    found = graph.component_ids(n_nodes, links)
    assert found.dtype == np.int64
    assert found.tolist() == expected


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.usefixtures("backend")
def test_components_of_random_graphs_are_those_by_hand(seed: int) -> None:
    numbers = np.random.default_rng(seed)
    n_nodes = int(numbers.integers(1, 60))
    links = numbers.integers(0, n_nodes, size=(int(numbers.integers(0, n_nodes)), 2), dtype=np.int32)
    assert graph.component_ids(n_nodes, links).tolist() == components_by_hand(n_nodes, links)


@pytest.mark.skipif(graph.graph_tool() is None, reason="graph-tool is not installed")
def test_both_backends_agree_on_a_large_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    links = np.random.default_rng(0).integers(0, 50_000, size=(40_000, 2), dtype=np.int32)
    ours = graph.component_ids(50_000, links)
    monkeypatch.setattr(graph, "graph_tool", lambda: None)
    np.testing.assert_array_equal(ours, graph.component_ids(50_000, links))


@pytest.mark.parametrize(("content", "version", "fits"), [
    (b"..numpy.core.multiarray..", "1.26.4", True), (b"..numpy.core.multiarray..", "2.4.6", False),
    (b"..numpy._core._multiarray_umath..numpy.core..", "2.4.6", True), (None, "2.0.0", True),
])
def test_a_graph_tool_that_was_built_for_another_numpy_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, version: str, fits: bool
) -> None:
    if content is not None:
        (tmp_path / "libgraph_tool_core.cpython-311-x86_64-linux-gnu.so").write_bytes(content)
    spec = importlib.util.spec_from_file_location("graph_tool", tmp_path / "__init__.py",
                                                  submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    assert graph.fits_numpy(version) == fits


def test_no_graph_tool_fits_every_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert graph.fits_numpy("2.0.0")
