"""Fixtures that several modules of tests share."""

import pytest

from splinecam_widget.engine import graph
from widget_wire import make, w  # noqa: F401


@pytest.fixture(params=["graph-tool", "scipy"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the two that graph questions are asked of, forced."""
    if request.param == "scipy":
        monkeypatch.setattr(graph, "graph_tool", lambda: None)
    elif graph.graph_tool() is None:
        pytest.skip("graph-tool is not installed")
    return str(request.param)
