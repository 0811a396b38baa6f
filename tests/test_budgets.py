"""Partitions of as much of a domain as fits into a budget, and computations that are stopped and followed."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from oracle import assert_consistent, assert_same, mlp, square
from splinecam_widget import compute_partition
from splinecam_widget.engine import free_memory as free
from splinecam_widget.engine import patching, watching
from splinecam_widget.engine.compute import partition_of
from splinecam_widget.engine.errors import OverBudget
from splinecam_widget.engine.explorer import Explorer
from splinecam_widget.engine.keeping import n_bytes_of
from splinecam_widget.engine.lowering import lower
from splinecam_widget.engine.slices import rectangle
from splinecam_widget.engine.states import Work
from splinecam_widget.engine.warmup import warm_up
from splinecam_widget.engine.watching import Budget, Watch


class TestCells:
    @pytest.mark.parametrize("max_cells", [1, 2, 30, 300])
    @pytest.mark.parametrize("widths", [(2, 64, 64, 1), (2, 300, 1)])
    def test_the_middle_is_exact(self, widths: tuple[int, ...], max_cells: int) -> None:
        network = lower(mlp(*widths), (2,))
        found = compute_partition(network, square(), max_cells=max_cells)
        assert 1 <= found.n_cells <= max_cells
        assert not found.is_complete
        assert_consistent(found)
        assert_same(found, compute_partition(network, square().with_domain(found.plane.domain)))
        np.testing.assert_allclose(found.plane.domain.mean(axis=0), 0.0, atol=1e-15)

    @pytest.mark.parametrize("max_cells", [300, 1000, 3000])
    def test_most_of_the_budget_is_used(self, max_cells: int) -> None:
        """Halving alone would leave up to three quarters of it."""
        assert compute_partition(mlp(2, 64, 64, 64, 1), square(), max_cells=max_cells).n_cells > 0.6 * max_cells

    def test_what_fits_is_complete(self) -> None:
        network = lower(mlp(2, 16, 16, 1), (2,))
        whole = compute_partition(network, square())
        found = compute_partition(network, square(), max_cells=whole.n_cells)
        assert_same(found, whole)
        assert found.is_complete
        assert found.share == 1.0
        assert found.asked is None
        assert found.asked_plane is found.plane
        assert not compute_partition(network, square(), max_cells=whole.n_cells - 1).is_complete

    def test_it_says_how_much_that_is(self) -> None:
        found = compute_partition(mlp(2, 64, 64, 1), square(), max_cells=200)
        side = float(np.ptp(found.plane.domain[:, 0]))
        assert found.share == pytest.approx(side**2 / 4)
        np.testing.assert_array_equal(found.asked, square().domain)
        np.testing.assert_array_equal(found.asked_plane.domain, square().domain)
        assert "% of the area asked for" in repr(found)
        certificate = found.certificate(full=True)
        assert certificate.is_sound
        assert certificate.share == found.share
        assert "fits into the budget" in str(certificate)

    def test_other_shapes(self) -> None:
        triangle = square().with_domain([[0.0, 0.0], [2.0, 0.5], [0.3, 1.7]])
        found = compute_partition(mlp(2, 64, 64, 1), triangle, max_cells=100)
        assert found.n_cells <= 100
        assert_consistent(found)
        np.testing.assert_allclose(found.plane.domain.mean(axis=0), triangle.domain.mean(axis=0))

    def test_a_bundle_of_lines_in_the_very_middle(self) -> None:
        """Eight lines through the origin: 16 cells however small the domain."""
        net = nn.Sequential(nn.Linear(2, 8, bias=False), nn.ReLU(), nn.Linear(8, 1)).double().eval()
        assert compute_partition(net, square(), max_cells=16).n_cells == 16
        with pytest.raises(ValueError, match=r"^max_cells, max_memory: expected a budget .* at least .* cells"):
            compute_partition(net, square(), max_cells=15)

    def test_maxima_curves_and_conditions(self) -> None:
        net = nn.Sequential(nn.Linear(2, 32), nn.Unflatten(1, (4, 8)), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(16, 16),
                            nn.Tanh(), nn.Linear(16, 3)).eval()
        found = compute_partition(net, square(), approximate=0.05, max_cells=120)
        assert found.n_cells <= 120
        assert_consistent(found)

    def test_any_number_of_threads(self) -> None:
        """What is too much does not depend on who counted first."""
        network, n = lower(mlp(2, 128, 128, 1), (2,)), torch.get_num_threads()
        found = [compute_partition(network, square(), max_cells=2000) for _ in range(3)]
        assert len({f.plane.domain.tobytes() for f in found}) == 1
        assert torch.get_num_threads() == n


class TestMemory:
    def test_more_memory_more_cells(self) -> None:
        network = lower(mlp(2, 64, 64, 64, 1), (2,))
        found = [compute_partition(network, square(), max_memory=n).n_cells for n in (1 << 18, 1 << 20, 1 << 22, 1 << 30)]
        assert found == sorted(found)
        assert found[0] < found[1] < found[2]

    @pytest.mark.slow
    def test_a_table_that_is_too_large_is_not_made(self) -> None:
        """20,000 lines in one cell: a table of 0.8 GB, and some 10^8 cells."""
        network = lower(mlp(2, 20_000, 1), (2,))
        started = time.monotonic()
        found = compute_partition(network, square(), max_memory=1 << 26)
        assert found.share < 0.01
        assert found.areas.sum() == pytest.approx(4 * found.share)
        assert time.monotonic() - started < 60


class TestFreeMemory:
    def test_what_does_not_fit_raises_before_it_is_made(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(watching, "free_memory", lambda: 1 << 20)
        network = lower(mlp(2, 64, 64, 64, 1), (2,))
        with pytest.raises(MemoryError, match=r"too many cells for the memory that is free .* max_cells= or max_memory="):
            compute_partition(network, square())
        assert not compute_partition(network, square(), max_cells=200).is_complete
        assert compute_partition(network, square(), max_memory=1 << 30).is_complete

    def test_of_the_machine_and_its_container(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        meminfo = tmp_path / "meminfo"
        monkeypatch.setattr(free, "ASK_SECONDS", 0.0)
        monkeypatch.setattr(free, "MEMINFO", meminfo)
        monkeypatch.setattr(free, "CONTROL_GROUP", tmp_path)
        meminfo.write_text("MemTotal: 9000 kB\nMemAvailable:    4000 kB\n")
        assert free.free_memory() == 3_072_000
        (tmp_path / "memory.max").write_text("1000000\n")
        (tmp_path / "memory.current").write_text("700000\n")
        (tmp_path / "memory.stat").write_text("anon 500000\nactive_file 100000\ninactive_file 100000\n")
        assert free.free_memory() == 300_000
        (tmp_path / "memory.current").write_text("2000000\n")
        assert free.free_memory() == 0
        assert Budget.of(None, None).memory == 0, "nothing is not everything"
        (tmp_path / "memory.max").write_text("max\n")
        assert free.free_memory() == 3_072_000

    def test_is_asked_for_now_and_then(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[float] = []
        clock = iter([100.0, 100.04, 100.06, 100.12, 50.0])
        monkeypatch.setattr(free, "_last", None)
        monkeypatch.setattr(free.time, "monotonic", lambda: next(clock))
        monkeypatch.setattr(free, "_found", lambda: asked.append(0.0) or len(asked))
        assert [free.free_memory() for _ in range(5)] == [1, 1, 2, 3, 4]

    def test_here(self) -> None:
        found = free.free_memory()
        assert found is None or 1 << 20 < found < 1 << 50


@pytest.mark.parametrize("name", ["max_cells", "max_memory"])
@pytest.mark.parametrize(("given", "error", "text"), [
    (0, ValueError, "expected at least 1, got 0"), (-3, ValueError, "got -3"),
    (2.5, TypeError, "expected a whole number or None"),
    (True, TypeError, "got True"), ("many", TypeError, "got 'many'"),
])
def test_refuses_other_budgets(name: str, given: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{name}: .*{text}"):
        compute_partition(mlp(2, 3, 1), square(), **{name: given})
    assert compute_partition(mlp(2, 3, 1), square(), **{name: np.int64(10**9)}).is_complete


class TestExplorer:
    def test_the_budget_holds_for_what_is_known_and_joined(self) -> None:
        network, plane = lower(mlp(2, 64, 64, 1), (2,)), square()
        explorer = Explorer(network, plane)
        n = explorer.show(plane).n_cells
        budget = Budget(cells=n + n // 10)
        wide = plane.with_domain(rectangle(-2, 2, -2, 2))
        assert compute_partition(network, wide).n_cells > budget.cells
        found = explorer.show(wide, Watch(budget=budget))
        assert found.n_cells <= budget.cells
        np.testing.assert_array_equal(found.asked, wide.domain)
        assert_same(found, compute_partition(network, wide.with_domain(found.plane.domain)))
        assert explorer.show(plane, Watch(budget=budget)).is_complete
        small = explorer.show(plane, Watch(budget=Budget(cells=n // 2)))
        assert small.n_cells <= n // 2
        assert explorer.show(plane).is_complete, "what is kept is whole"

    @pytest.mark.parametrize("budget", [Budget(cells=900), Budget(memory=1_200_000)])
    def test_one_view_stays_what_it_is(self, budget: Budget) -> None:
        """What is known of its middle must not bring it over the budget piece by piece."""
        network, plane = lower(mlp(2, 64, 64, 64, 1), (2,)), square()
        explorer = Explorer(network, plane)
        first = explorer.show(plane, Watch(budget=budget))
        assert not first.is_complete
        for _ in range(3):
            again = explorer.show(plane, Watch(budget=budget))
            np.testing.assert_array_equal(again.plane.domain, first.plane.domain)
            assert explorer.work.vertices_evaluated == 0
        wide = explorer.show(plane.with_domain(1.02 * plane.domain), Watch(budget=budget))
        assert wide.n_cells <= budget.cells
        assert n_bytes_of(wide) <= budget.memory
        assert explorer.show(plane).is_complete

    def test_a_part_is_updated_as_a_part(self) -> None:
        net, plane, budget = mlp(2, 64, 64, 64, 1), square(), Budget(cells=900)
        explorer = Explorer(lower(net, (2,)), plane)
        first = explorer.show(plane, Watch(budget=budget))
        net[6].bias.data[0] += 0.5
        network = lower(net, (2,))
        explorer.update(network)
        found = explorer.show(plane, Watch(budget=budget))
        np.testing.assert_array_equal(found.plane.domain, first.plane.domain)
        assert explorer.work.vertices_evaluated == len(found.vertices), "only the outputs"
        assert_same(found, compute_partition(network, plane.with_domain(found.plane.domain)))


class TestStopping:
    class Stop(Exception):
        """Told to stop."""

    @pytest.mark.parametrize("widths", [(2, 2000, 1), (2, 256, 256, 256, 1)])
    def test_inside_one_layer(self, widths: tuple[int, ...]) -> None:
        """The first net is one cell with 2,000 lines: one long call of a compiled loop."""
        warm_up()  # compiling one takes longer than all of this
        network = lower(mlp(*widths), (2,))
        at = time.perf_counter() + 0.02
        late: list[float] = []

        def tick() -> None:
            if time.perf_counter() > at:
                late.append(time.perf_counter())
                raise self.Stop

        with pytest.raises(self.Stop):
            partition_of(network, square(), Work(), Watch(tick))
        # Benchmarks measure the goal, 50 ms, on a quiet machine.
        assert time.perf_counter() - at < 1.0
        assert time.perf_counter() - late[0] < 0.5, "what still runs looks at the flag"

    def test_over_budget_is_told_where_it_is_asked(self) -> None:
        with pytest.raises(OverBudget):
            partition_of(lower(mlp(2, 64, 64, 1), (2,)), square(), Work(), Watch(budget=Budget(cells=50)))


class TestUpdates:
    """Weights that change from some layer on."""

    @pytest.mark.parametrize(("place", "n_same"), [(6, 3), (4, 2), (2, 1), (0, 0)])
    def test_what_comes_before_is_kept(self, place: int, n_same: int) -> None:
        net, plane = mlp(2, 24, 24, 24, 1), square()
        explorer = Explorer(lower(net, (2,)), plane)
        explorer.show(plane)
        net[place].bias.data[0] += 0.125
        network = lower(net, (2,))
        assert explorer.update(network) == n_same
        found = explorer.show(plane)
        assert_same(found, compute_partition(network, plane))
        assert found.certificate(full=True).is_sound
        anew = Work()
        partition_of(network, plane, anew)
        assert (explorer.work.vertices_evaluated < anew.vertices_evaluated) == (n_same > 0)
        assert (explorer.work.cells_reused > 0) == (n_same > 0)

    def test_a_row_of_a_matrix_that_goes_and_comes_back(self) -> None:
        """Only the changed unit is computed; what a stopped computation wrote is taken back."""
        net, plane = mlp(2, 32, 32, 32, 1), square()
        first = lower(net, (2,))
        explorer = Explorer(first, plane)
        before = explorer.show(plane)
        rows = explorer._states[-1].live
        (name,) = rows
        values = rows[name].copy()
        with torch.no_grad():
            net[4].weight[3] *= -2.0
            net[4].bias[5] += 0.25
        second = lower(net, (2,))
        explorer.update(second)
        _, patch = explorer._usable_states(plane)
        assert patch is not None
        assert patch.units.tolist() == [3, 5]

        class Stop(Exception):
            """Told to stop."""

        def stop() -> None:
            if not np.array_equal(rows[name], values):
                raise Stop

        with pytest.raises(Stop):
            explorer.show(plane, Watch(stop))
        np.testing.assert_array_equal(rows[name], values)
        found = explorer.show(plane)
        assert_same(found, compute_partition(second, plane))
        assert not np.array_equal(found.values[:100], before.values[:100])
        explorer.update(first)
        assert_same(explorer.show(plane), before)

    def test_the_tolerance_is_that_of_computing_anew(self) -> None:
        """Values of a patch come from hats, with roundings of their own."""
        net, plane = mlp(2, 128, 64, 1), square()
        explorer = Explorer(lower(net, (2,)), plane)
        explorer.show(plane)
        net[2].bias.data[3] += 0.01
        network = lower(net, (2,))
        explorer.update(network)
        assert explorer._usable_states(plane)[1] is not None
        found, expected = explorer.show(plane), compute_partition(network, plane)
        np.testing.assert_allclose(found.tolerance, expected.tolerance, rtol=1e-6)
        for a, b in zip(found.zero_tolerances, expected.zero_tolerances):
            np.testing.assert_allclose(a, b, rtol=1e-6)

    def test_an_interrupt_while_a_patch_is_written(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Ctrl-C comes on the user's thread, while another one computes."""
        net, plane = mlp(2, 32, 32, 1), square()
        explorer = Explorer(lower(net, (2,)), plane)
        explorer.show(plane)
        real = patching.advance

        def slow(*args: Any) -> Any:
            assert threading.current_thread() is not threading.main_thread()
            os.kill(os.getpid(), signal.SIGINT)
            tick = next(argument for argument in args if callable(argument))
            for _ in range(200):  # until the other thread has taken it, however busy the machine is
                time.sleep(0.05)
                tick()
            return real(*args)

        net[2].bias.data[3] += 0.7
        explorer.update(lower(net, (2,)))
        # As in a notebook; what a shell starts in the background ignores the signal.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with monkeypatch.context() as patched:
                patched.setattr(patching, "advance", slow)
                with pytest.raises(KeyboardInterrupt):
                    explorer.show(plane)
        finally:
            signal.signal(signal.SIGINT, before)
        net[2].bias.data[3] -= 0.7
        net[2].bias.data[5] += 0.7
        network = lower(net, (2,))
        explorer.update(network)
        found = explorer.show(plane)
        assert_same(found, compute_partition(network, plane))
        assert found.certificate(full=True).is_sound

    def test_several_updates_before_one_picture(self) -> None:
        net, plane = mlp(2, 24, 24, 24, 1), square()
        explorer = Explorer(lower(net, (2,)), plane)
        explorer.show(plane)
        for place, unit in ((4, 1), (4, 2), (6, 0)):
            net[place].bias.data[unit] += 0.2
            network = lower(net, (2,))
            explorer.update(network)
        assert_same(explorer.show(plane), compute_partition(network, plane))

    def test_nothing_of_the_network_before_is_shown(self) -> None:
        net, plane = mlp(2, 16, 16, 1), square()
        explorer = Explorer(lower(net, (2,)), plane)
        for view in (plane, plane.with_domain(rectangle(-0.5, 0.5, -0.5, 0.5)), plane.with_domain(rectangle(-1, 1.2, -1, 1))):
            explorer.show(view)
        net[2].weight.data *= -1.5
        network = lower(net, (2,))
        explorer.update(network)
        for view in (plane.with_domain(rectangle(-0.4, 0.4, -0.4, 0.4)), plane):
            assert_same(explorer.show(view), compute_partition(network, view))

    def test_the_same_network_again(self) -> None:
        net, plane = mlp(2, 16, 16, 1), square()
        explorer = Explorer(lower(net, (2,)), plane)
        explorer.show(plane)
        assert explorer.update(lower(net, (2,))) == 3
        assert_same(explorer.show(plane), compute_partition(net, plane))

    def test_another_architecture(self) -> None:
        plane = square()
        explorer = Explorer(lower(mlp(2, 16, 16, 1), (2,)), plane)
        explorer.show(plane)
        other = lower(mlp(2, 16, 8, 8, 1), (2,))
        explorer.update(other)
        assert_same(explorer.show(plane), compute_partition(other, plane))
