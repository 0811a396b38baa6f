"""Fixtures that several modules of tests share."""

import os
from collections import defaultdict

import pytest

# Read when torch is loaded, here and in the processes of the tests. Two test processes on two cores otherwise wait for one
# another in loops that keep the other from running: a training of 4 s took 130 s.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from splinecam_widget.engine import graph
from widget_wire import make, w  # noqa: F401

FAST_CASES = 4
"""Of one test with many parameters, so many run in `make check`, evenly spread; all of them in `make test`."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the other cases of large families as slow, before marks are looked at."""
    families: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        families[item.nodeid.split("[")[0]].append(item)
    for family in families.values():
        kept = {len(family) * i // FAST_CASES for i in range(FAST_CASES)}
        for i, item in enumerate(family):
            if i not in kept:
                item.add_marker(pytest.mark.slow)


@pytest.fixture(params=["graph-tool", "scipy"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the two that graph questions are asked of, forced."""
    if request.param == "scipy":
        monkeypatch.setattr(graph, "graph_tool", lambda: None)
    elif graph.graph_tool() is None:
        pytest.skip("graph-tool is not installed")
    return str(request.param)
