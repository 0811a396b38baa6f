"""What is told of a slow picture while it is computed: lines of its first layers."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from oracle import mlp, square
from splinecam_widget import Slice, compute_partition
from splinecam_widget.engine import compute, dense
from splinecam_widget.engine.compute import partition_of
from splinecam_widget.engine.lowering import lower
from splinecam_widget.engine.states import Work
from splinecam_widget.engine.warmup import warm_up
from splinecam_widget.engine.watching import Sketch, Watch


def _on_one_line(segment: NDArray[np.float64], weight: NDArray[np.float64], bias: float) -> bool:
    return bool(np.abs(segment @ weight + bias).max() < 1e-9)


class TestSketches:
    def sketches(self, net: nn.Module, n: int = 2) -> list[Sketch]:
        found: list[Sketch] = []
        network = lower(net, (n,))
        plane = square() if n == 2 else Slice.through(*np.eye(n)[:3])

        class Eager(Watch):
            """Tells everything that it is offered."""

            def offer(self, make: Any) -> None:
                found.append(make())

        partition_of(network, plane, Work(), Eager(on_sketch=found.append))
        return found

    def test_first_come_the_lines_of_the_first_layer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dense, "MOST_UNITS", 0)  # as for many
        net = mlp(2, 40, 8, 1)
        lines, *stages = self.sketches(net)
        assert (lines.n_layers, lines.n_layers_in_all, lines.n_cells) == (1, 2, 0)
        weight, bias = net[0].weight.detach().numpy(), net[0].bias.detach().numpy()
        corners = square().domain @ weight.T + bias
        crossing = np.flatnonzero((corners.min(axis=0) < 0) & (corners.max(axis=0) > 0))
        assert len(lines.segments) == len(crossing)
        for segment, unit in zip(lines.segments, crossing):
            assert _on_one_line(segment, weight[unit], bias[unit])
            assert np.abs(segment).max(axis=1) == pytest.approx(1.0), "from border to border"
            assert np.linalg.norm(segment[0] - segment[1]) > 0
        assert [stage.n_layers for stage in stages] == [1, 2]
        first = compute_partition(nn.Sequential(*list(net)[:2]).eval(), square())
        assert stages[0].n_cells == first.n_cells
        assert len(stages[0].segments) == (first.edge_layer >= 0).sum()

    def test_lines_through_corners(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dense, "MOST_UNITS", 0)  # as for many
        net = nn.Sequential(nn.Linear(2, 3, bias=False), nn.ReLU(), nn.Linear(3, 1)).double().eval()
        net[0].weight.data = torch.tensor([[1.0, -1.0], [1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
        lines = self.sketches(net)[0].segments
        ends = {tuple(sorted(map(tuple, segment.round(12).tolist()))) for segment in lines}
        assert ends == {((-1.0, -1.0), (1.0, 1.0)), ((0.0, -1.0), (0.0, 1.0)), ((-1.0, 1.0), (1.0, -1.0))}

    def test_a_small_layer_comes_with_its_cells(self) -> None:
        net = mlp(2, 40, 8, 1)
        stages = self.sketches(net)
        assert [stage.n_layers for stage in stages] == [1, 2]
        assert stages[0].n_cells == compute_partition(nn.Sequential(*list(net)[:2]).eval(), square()).n_cells

    def test_of_very_many_lines_those_of_some_units_come_whole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        net = mlp(2, 40, 8, 1)
        every = self.sketches(net)[0]
        monkeypatch.setattr(compute, "MOST_LINES", -(-len(every.segments) // 4))
        some = self.sketches(net)[0]
        assert some.n_cells == every.n_cells
        weight, bias = net[0].weight.detach().numpy(), net[0].bias.detach().numpy()
        values = np.abs(every.segments @ weight.T + bias).max(axis=1)  # each segment lies on the line of its unit
        units = values.argmin(axis=1)
        expected = every.segments[np.isin(units, np.unique(units)[::4])]
        np.testing.assert_array_equal(some.segments, expected)
        assert 0 < len(expected) < len(every.segments) / 2

    def test_of_very_many_lines_those_of_one_unit_at_least(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whatever its number."""
        net = mlp(2, 16, 16, 1)
        with torch.no_grad():
            net[0].weight[:3], net[0].bias[:3] = 0.0, 1.0
        every = self.sketches(net)
        monkeypatch.setattr(compute, "MOST_LINES", 2)
        for some, all_ in zip(self.sketches(net), every, strict=True):
            assert 0 < len(some.segments) <= 4 < len(all_.segments)

    def test_none_for_what_is_quick(self) -> None:
        found: list[Sketch] = []
        partition_of(lower(mlp(2, 4, 1), (2,)), square(), Work(), Watch(on_sketch=found.append, sketch_after=30.0))
        assert found == []

    def test_told_in_time(self) -> None:
        """2,000 lines: their cells take seconds."""
        warm_up()
        network = lower(mlp(2, 2000, 1), (2,))
        found: list[tuple[float, Sketch]] = []
        started = time.perf_counter()

        class Stop(Exception):
            """Seen enough."""

        def seen(sketch: Sketch) -> None:
            found.append((time.perf_counter() - started, sketch))
            raise Stop

        with pytest.raises(Stop):
            partition_of(network, square(), Work(), Watch(on_sketch=seen))
        seconds, sketch = found[0]
        assert seconds < 1.0
        assert sketch.n_cells == 0
        assert len(sketch.segments) > 1000
