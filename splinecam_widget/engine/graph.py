"""Graph questions, by graph-tool where it is installed and by scipy elsewhere; both give the same answer."""

from __future__ import annotations

import importlib.util
import mmap
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]


@cache
def graph_tool() -> Any:
    """The package with its topology, None where it cannot be used: no PyPI wheel exists. It takes a moment to import."""
    if not fits_numpy(np.__version__):
        return None
    try:
        import graph_tool.topology
    except ImportError:
        return None
    return graph_tool


def fits_numpy(version: str) -> bool:
    """Whether the installed graph-tool was built for this numpy: one that was built for numpy 1 crashes with numpy 2.

    What was built for 2 looks for `numpy._core` first, and that name is in its library.
    """
    if int(version.split(".")[0]) < 2:
        return True
    spec = importlib.util.find_spec("graph_tool")
    folders = [] if spec is None else spec.submodule_search_locations or []
    libraries = [path for folder in folders for path in Path(folder).glob("libgraph_tool_core*.so")]
    return not libraries or any(_names_numpy2(path) for path in libraries)


def _names_numpy2(library: Path) -> bool:
    try:
        with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(b"numpy._core") >= 0
    except (OSError, ValueError):  # no file, or an empty one
        return False


def component_ids(n_nodes: int, links: NDArray[np.integer[Any]]) -> Int64:
    """Connected component of every node, numbered by their first nodes.

    Parameters
    ----------
    n_nodes : int
    links : (L, 2) integers
        Undirected.

    Returns
    -------
    (n_nodes,) int64
    """
    labels = _labels_by_scipy(n_nodes, links) if graph_tool() is None else _labels_by_graph_tool(n_nodes, links)
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    order = np.empty(len(first), np.int64)
    order[np.argsort(first)] = np.arange(len(first))
    return order[inverse]


def _labels_by_graph_tool(n_nodes: int, links: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
    package = graph_tool()
    graph = package.Graph(directed=False)
    graph.add_vertex(n_nodes)
    graph.add_edge_list(links)
    labels, _ = package.topology.label_components(graph)
    found: NDArray[np.integer[Any]] = np.array(labels.a)
    return found


def _labels_by_scipy(n_nodes: int, links: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(links), np.int8)
    matrix = coo_array((ones, (links[:, 0], links[:, 1])), shape=(n_nodes, n_nodes))
    found: NDArray[np.integer[Any]] = connected_components(matrix, directed=False)[1]
    return found
