"""A slice in tiles in this process: the cells of one piece, whatever the threads; bounded, stopped and followed as one."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from oracle import assert_consistent, assert_same, mlp, square
from splinecam_widget.engine import compute, dividing, threads
from splinecam_widget.engine.compute import compute_partition, continued, partition_of
from splinecam_widget.engine.dividing import in_tiles
from splinecam_widget.engine.errors import Cancelled, OverBudget
from splinecam_widget.engine.explorer import Explorer
from splinecam_widget.engine.keeping import n_bytes_of
from splinecam_widget.engine.lowering import lower
from splinecam_widget.engine.network import Network
from splinecam_widget.engine.partition import Partition
from splinecam_widget.engine.slices import Slice, rectangle
from splinecam_widget.engine.states import State, Work
from splinecam_widget.engine.threads import forget_pools
from splinecam_widget.engine.watching import Budget, Sketch, Watch


class Convolutional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.LeakyReLU(0.1), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Flatten(),
            nn.Linear(6, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.layers(x)
        return found


class Conditional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2, 60), nn.Linear(60, 60)
        self.last = nn.Linear(60, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.first(x)
        y = torch.where(y > 0, y, 0.2 * y)
        z = self.second(y).clamp(-0.3, 0.4) + y
        found: torch.Tensor = self.last(z.abs())
        return found


def made(module: nn.Module, seed: int = 3) -> nn.Module:
    torch.manual_seed(seed)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=1 / max(1, parameter[0].numel()) ** 0.5)
    return module.eval()


def images() -> Slice:
    return Slice.through(*np.random.default_rng(0).standard_normal((3, 1, 8, 8)))


NETS = {
    "four layers": (lambda: mlp(2, 48, 48, 48, 3), square),
    "two wide layers": (lambda: mlp(2, 90, 90, 1), square),
    "a triangle of many inputs": (lambda: mlp(6, 90, 90, 2), lambda: Slice.through(
        *np.random.default_rng(1).standard_normal((3, 6))).with_domain([[-1.0, -1.2], [1.9, -0.8], [0.3, 1.7]])),
    "convolutions and maxima": (lambda: made(Convolutional()), images),
    "conditions": (lambda: made(Conditional()), square),
}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles where a few hundred kilobytes of values are too much."""
    monkeypatch.setattr(dividing, "MOST_BYTES", 1 << 17)
    monkeypatch.setattr(dividing, "MOST_FIRST_BYTES", 1 << 17)
    monkeypatch.setattr(dividing, "TILE_BYTES", 1 << 15)
    monkeypatch.setattr(dividing, "LEAST_VERTICES", 64)


def in_one_piece(network: Network, plane: Slice) -> Partition:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dividing, "LEAST_VERTICES", 1 << 40)
        work = Work()
        found = partition_of(network, plane, work)
        assert work.n_tiles == 0
        return found


@pytest.mark.usefixtures("small")
class TestTheSame:
    @pytest.mark.parametrize("name", NETS)
    def test_cells_as_in_one_piece(self, name: str) -> None:
        model, plane = (make() for make in NETS[name])
        network, work = lower(model, plane.input_shape), Work()
        found = partition_of(network, plane, work)
        whole = in_one_piece(network, plane)
        assert work.n_tiles > 1
        assert_same(found, whole)
        assert_consistent(found)
        assert found.plane.domain is plane.domain
        assert found.is_complete
        assert found.certificate(full=True).is_sound
        assert work.vertices_evaluated > 0

    def test_bits_do_not_depend_on_threads(self) -> None:
        network = lower(mlp(2, 48, 48, 48, 3), (2,))
        before, found = torch.get_num_threads(), []
        for n in (1, 2, 5):
            torch.set_num_threads(n)
            found.append(compute_partition(network, square()))
        torch.set_num_threads(before)
        forget_pools()
        for other in found[1:]:
            for name, array in vars(found[0].planar).items():
                np.testing.assert_array_equal(array, getattr(other.planar, name))
            np.testing.assert_array_equal(found[0].values, other.values)

    def test_lines_along_a_seam(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where nothing fits, a part is computed in one piece, and not in tiles for ever."""
        net = mlp(2, 48, 48, 1)
        places = [sign * share + 0.019 for share in (0.0, 0.05, 0.11, 0.23) for sign in (-1, 1)]
        with torch.no_grad():
            net[0].weight[: len(places)] = torch.tensor([1.0, 0.0])
            net[0].bias[: len(places)] = -torch.tensor(places)
        monkeypatch.setattr(dividing, "cut_for", lambda polygon, n, points: (0, float(np.float32(0.019))) if n > 1 else None)
        network, work = lower(net, (2,)), Work()
        assert_same(partition_of(network, square(), work), in_one_piece(network, square()))
        assert work.n_tiles > 1

    def test_an_explorer(self) -> None:
        """Pans, changed weights, and back."""
        net = mlp(2, 48, 48, 48, 3)
        explorer = Explorer(lower(net, (2,)), square())
        assert_same(explorer.show(square()), in_one_piece(explorer.network, square()))
        assert explorer.work.n_tiles > 1
        assert explorer.work.cells_reused == 0
        moved = square().with_domain(rectangle(-0.8, 1.2, -1, 1))
        assert_same(explorer.show(moved), in_one_piece(explorer.network, moved))
        for layer in (4, 2, 0):
            with torch.no_grad():
                net[layer].bias[0] += 0.05
            explorer.update(lower(net, (2,)))
            assert_same(explorer.show(square()), in_one_piece(explorer.network, square()))
        assert_same(explorer.show(moved), in_one_piece(explorer.network, moved))


def test_where_digits_lack_for_cuts_all_is_one_piece() -> None:
    net, c = mlp(2, 700, 700, 1), 5e6
    with torch.no_grad():
        net[0].bias -= net[0].weight @ torch.full((2,), c, dtype=torch.float64)
    network, work = lower(net, (2,)), Work()
    far = square().with_domain(rectangle(c - 1, c + 1, c - 1, c + 1))
    found = partition_of(network, far, work)
    assert found.n_cells > 300_000
    assert work.n_tiles == 0


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("spread", [1e-2, 1e-4, 1e-6])
def test_vertices_that_are_nearly_all_in_one_place(spread: float) -> None:
    """Cuts go by vertices, or tiles would lie in tiles, and nearly all vertices in one of them."""
    net = mlp(2, 120, 120, 1)
    with torch.no_grad():
        net[0].bias *= spread
        net[0].bias -= net[0].weight @ torch.tensor([0.3, 0.6], dtype=torch.float64)
    network, work = lower(net, (2,)), Work()
    found = partition_of(network, square(), work)
    whole = in_one_piece(network, square())
    assert work.n_tiles > 1
    assert found.n_cells == whole.n_cells
    np.testing.assert_array_equal(np.sort(found.planar.cell_hashes), np.sort(whole.planar.cell_hashes))


@pytest.mark.usefixtures("small")
def test_values_are_freed_before_tiles_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    network = lower(mlp(2, 48, 48, 48, 48, 3), (2,))
    monkeypatch.setattr(dividing, "MOST_FIRST_BYTES", 1 << 40)
    monkeypatch.setattr(dividing, "MOST_BYTES", 1 << 19)
    rows: list[weakref.ref[np.ndarray[Any, Any]]] = []
    alive: list[int] = []

    def keep(state: State) -> None:
        rows.extend(weakref.ref(array) for array in state.live.values())

    def watched(*arguments: Any) -> Partition:
        alive.append(sum(one() is not None for one in rows))
        return in_tiles(*arguments)

    monkeypatch.setattr(compute, "in_tiles", watched)
    continued(network, square(), None, Work(), Watch(), keep)
    assert rows
    assert alive == [0]


@pytest.mark.usefixtures("small")
def test_others_do_not_wait_for_tiles() -> None:
    """The engine's own threads stay free."""
    network, small = lower(mlp(2, 100, 100, 100, 3), (2,)), lower(mlp(2, 16, 16, 1), (2,))
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1
        if ticks == 5:
            waiting = [threads._pool().submit(compute_partition, small, square()) for _ in range(3)]
            assert len([future.result(timeout=20) for future in waiting]) == 3

    work = Work()
    partition_of(network, square(), work, Watch(tick))
    assert work.n_tiles > 1
    assert ticks > 5


def test_what_fits_is_left_whole() -> None:
    work = Work()
    partition_of(lower(mlp(2, 64, 64, 64, 1), (2,)), square(), work)
    assert work.n_tiles == 0


def test_values_of_a_large_net_are_never_there_at_once() -> None:
    """190,798 vertices with 1,020 values each would be 1.5 GB; torch and the package are 0.3 of it."""
    found = subprocess.run([sys.executable, "-c", (
        "import sys; sys.path.insert(0, 'tests')\n"
        "import torch; from oracle import mlp, square\n"
        "from splinecam_widget import compute_partition\n"
        "torch.manual_seed(0)\n"
        "partition = compute_partition(mlp(2, 1020, 1020, 1), square())\n"
        "peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "print(partition.n_cells, 8 * 1020 * 190_000, int(peak.split()[1]) * 1024)")],
        capture_output=True, text=True, check=True, timeout=300)
    n_cells, n_bytes, peak = map(int, found.stdout.split())
    assert n_cells > 700_000
    assert peak < 0.8 * n_bytes


@pytest.mark.usefixtures("small")
class TestBudgets:
    @pytest.mark.parametrize("max_cells", [200, 1500])
    def test_cells(self, max_cells: int) -> None:
        network = lower(mlp(2, 48, 48, 48, 3), (2,))
        found = compute_partition(network, square(), max_cells=max_cells)
        assert max_cells / 2 < found.n_cells <= max_cells
        assert not found.is_complete
        assert_same(found, in_one_piece(network, square().with_domain(found.plane.domain)))

    def test_just_enough_is_complete(self) -> None:
        network = lower(mlp(2, 48, 48, 48, 3), (2,))
        whole = compute_partition(network, square())
        assert compute_partition(network, square(), max_cells=whole.n_cells).is_complete
        assert not compute_partition(network, square(), max_cells=whole.n_cells - 1).is_complete

    def test_tiles_reach_farther_with_the_same_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        network, plane = lower(mlp(2, 300, 300, 1), (2,)), square()
        whole = in_one_piece(network, plane)
        most = 5 * n_bytes_of(whole)
        found = compute_partition(network, plane, max_memory=most)
        assert_same(found, whole)
        assert found.is_complete
        monkeypatch.setattr(dividing, "LEAST_VERTICES", 1 << 40)
        assert not compute_partition(network, plane, max_memory=most).is_complete

    @pytest.mark.parametrize("share", [0.3, 0.6, 1.0, 2.0, 4.0])
    def test_whether_memory_suffices_does_not_depend_on_threads(self, share: float) -> None:
        network = lower(mlp(2, 150, 150, 1), (2,))
        most = int(share * 2 * n_bytes_of(in_one_piece(network, square())))
        before, found = torch.get_num_threads(), []
        for n in (1, 2, 16):
            torch.set_num_threads(n)
            found.append(compute_partition(network, square(), max_memory=most))
        torch.set_num_threads(before)
        forget_pools()
        assert len({partition.n_cells for partition in found}) == 1
        assert len({partition.share for partition in found}) == 1
        if share >= 2:
            assert found[0].is_complete

    def test_of_all_tiles_together(self) -> None:
        """No tile has as many as are too many, and they end before all of them are computed."""
        network, work = lower(mlp(2, 48, 48, 48, 3), (2,)), Work()
        whole = compute_partition(network, square())
        watch = Watch(budget=Budget(cells=whole.n_cells // 3))
        with pytest.raises(OverBudget) as raised:
            partition_of(network, square(), work, watch)
        assert whole.n_cells // 3 < raised.value.n_cells < whole.n_cells / 2


@pytest.mark.usefixtures("small")
class TestStopping:
    @pytest.fixture
    def network(self) -> Iterator[Network]:
        n_before = threading.active_count()
        yield lower(mlp(2, 100, 100, 100, 3), (2,))
        assert threading.active_count() <= n_before + 2 * torch.get_num_threads()

    def test_a_tick_stops_all_of_them(self, network: Network) -> None:
        start, calls = time.perf_counter(), 0

        def tick() -> None:
            nonlocal calls
            calls += 1
            if calls > 12:
                raise Cancelled

        with pytest.raises(Cancelled):
            partition_of(network, square(), Work(), Watch(tick))
        stopped = time.perf_counter() - start
        start = time.perf_counter()
        partition_of(network, square(), Work())
        assert stopped < 0.7 * (time.perf_counter() - start)

    def test_an_error_in_one_is_that_of_all(self, network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: object, **__: object) -> Partition:
            raise ZeroDivisionError("of this tile")

        monkeypatch.setattr(dividing, "united", broken)
        for _ in range(5):
            with pytest.raises(ZeroDivisionError, match="of this tile"):
                partition_of(network, square(), Work())

    def test_sketches_grow_to_the_whole(self, network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("splinecam_widget.engine.watching.SKETCH_SECONDS", 0.0)
        sketches: list[Sketch] = []
        callers: set[int] = set()

        def told(sketch: Sketch) -> None:
            sketches.append(sketch)
            callers.add(threading.get_ident())
            time.sleep(0.005)

        found = partition_of(network, square(), Work(), Watch(on_sketch=told, sketch_after=0.0))
        shares = [sketch.share for sketch in sketches]
        assert shares == sorted(shares)
        assert shares[0] == 0.0
        assert len({share for share in shares if share}) > 2
        assert max(shares) <= 1 + 1e-9
        assert len(callers) == 1, "told from one thread only"
        last = sketches[-1]
        assert len(last.segments) > len(sketches[0].segments)
        assert np.abs(last.segments).max() <= 1 + 1e-12
        middles = last.segments.mean(axis=1)
        assert (found.locate(middles) >= -1).all()
