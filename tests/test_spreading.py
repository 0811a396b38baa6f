"""Many partitions here and on a cluster: results, what travels, workers that die, and what is said of wrong arguments."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from distributed import Client, LocalCluster
from torch import nn

from oracle import assert_same, mlp, square
from splinecam_widget import Slice, UnsupportedModelError, partition_many
from splinecam_widget.engine import spreading
from splinecam_widget.engine.compute import compute_partition
from splinecam_widget.engine.lowering import lower
from splinecam_widget.engine.network import Network
from splinecam_widget.engine.partition import Partition
from splinecam_widget.engine.slices import rectangle
from splinecam_widget.engine.spreading import FailedPartitionsError, spread

TRIANGLE = np.array([[-0.9, -0.8], [0.7, -0.5], [0.1, 0.9]])


@pytest.fixture(scope="module")
def network() -> Network:
    return lower(mlp(2, 64, 64, 64, 1), (2,))


def views(n: int) -> list[Slice]:
    """Squares about the origin, smaller and smaller."""
    return [square((n - k) / n) for k in range(n)]


def assert_identical(found: Partition, expected: Partition) -> None:
    """To every bit."""
    for name, array in vars(expected.planar).items():
        np.testing.assert_array_equal(getattr(found.planar, name), array)
    for name in ("values", "tolerance", "n_close", "n_zero"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert len(found.zero_tolerances) == len(expected.zero_tolerances)
    for ours, theirs in zip(found.zero_tolerances, expected.zero_tolerances):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(found.plane.domain, expected.plane.domain)


class TestHere:
    """Without a cluster."""

    def test_results_are_those_of_compute_partition_model_by_model(self) -> None:
        models, planes = [mlp(2, 8, 8, 1, seed=seed) for seed in range(3)], views(2)
        found = partition_many(models, planes)
        assert len(found) == 6
        for i, model in enumerate(models):
            for j, plane in enumerate(planes):
                assert_identical(found[2 * i + j], compute_partition(model, plane))

    def test_one_model_and_one_slice_are_a_list_of_one(self, network: Network) -> None:
        (found,) = partition_many(network, square(0.3))
        assert found.network is network
        assert_identical(found, compute_partition(network, square(0.3)))

    def test_a_sequential_is_one_model(self) -> None:
        assert len(partition_many(mlp(2, 4, 1), square())) == 1

    def test_a_model_that_comes_twice_is_read_once(self) -> None:
        net = mlp(2, 4, 1)
        first, second = partition_many([net, net], square())
        assert first.network is second.network

    @pytest.mark.parametrize("is_far", [False, pytest.param(True, marks=pytest.mark.slow)])
    def test_budgets(self, network: Network, is_far: bool, request: pytest.FixtureRequest) -> None:
        client = request.getfixturevalue("cluster") if is_far else None
        found = partition_many(network, [square(), square(0.1)], client=client, max_cells=300, progress=False)
        assert [partition.is_complete for partition in found] == [False, True]
        for partition, half in zip(found, (1.0, 0.1)):
            assert_identical(partition, compute_partition(network, square(half), max_cells=300))
            assert partition.share == compute_partition(network, square(half), max_cells=300).share

    def test_summaries(self, network: Network) -> None:
        areas = partition_many(network, tuple(views(3)), summary=lambda partition: partition.areas.sum())
        np.testing.assert_allclose(areas, [4, 16 / 9, 4 / 9])

    def test_output_and_approximation_are_for_all_models(self) -> None:
        class Both(nn.Module):
            def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
                return torch.relu(x), 1 - torch.tanh(x[:, :1])

        first, second = partition_many([Both().eval(), Both().eval()], square(), output=1, approximate=0.1)
        assert not first.is_exact
        assert first.values.shape[1] == second.values.shape[1] == 1

    def test_what_fails_is_named_and_the_rest_is_there(self, network: Network) -> None:
        def summary(partition: Partition) -> float:
            return 1 / int(partition.plane.domain.max() != 0.5)

        with pytest.raises(FailedPartitionsError) as caught:
            partition_many([network, network], views(2), summary=summary)
        assert str(caught.value) == (
            "2 of 4 partitions failed (the others are in this error's `results`):\n"
            "models[0], slices[1]: ZeroDivisionError: division by zero\n"
            "models[1], slices[1]: ZeroDivisionError: division by zero")
        assert caught.value.results == [1.0, None, 1.0, None]
        assert sorted(caught.value.errors) == [(0, 1), (1, 1)]

    def test_of_many_that_fail_some_are_named(self, network: Network) -> None:
        def summary(partition: Partition) -> None:
            raise OSError

        with pytest.raises(FailedPartitionsError, match=r"7 of 7 (.|\n)*slices\[4\]: OSError(.|\n)*and 2 more") as caught:
            partition_many(network, views(7), summary=summary)
        assert "slices[5]" not in str(caught.value)
        assert len(caught.value.errors) == 7

    def test_training_mode_is_told_of_by_name(self) -> None:
        with pytest.warns(UserWarning, match=r"models\[1\]: it is in training mode") as told:
            partition_many([mlp(2, 4, 1), mlp(2, 4, 1).train()], square())
        assert told[0].filename == __file__


WRONG = {
    "no slices": (lambda net: partition_many(net, []), ValueError, "slices: expected at least one, got an empty list"),
    "no models": (lambda net: partition_many((), square()), ValueError, "models: expected at least one, got an empty tuple"),
    "a slice": (lambda net: partition_many(net, [square(), 3]), TypeError, r"slices\[1\]: expected a Slice, got int"),
    "slices": (lambda net: partition_many(net, "x"), TypeError, "slices: expected a Slice, got str"),
    "a model": (lambda net: partition_many([net, 3], square()), TypeError, r"models\[1\]: expected a torch module"),
    "a shape": (lambda net: partition_many(net, [square(), Slice.around(torch.zeros(3))]), ValueError,
                r"slices\[1\]: expected inputs of shape \(2,\), which models takes, got \(3,\)"),
    "an operation": (lambda net: partition_many([net, nn.GELU().eval()], square()), UnsupportedModelError,
                     r"models\[1\]: expected a continuous piecewise-linear network"),
    "output": (lambda net: partition_many([net], square(), output=1), ValueError, r"expected None for models\[0\], a Network"),
    "budget": (lambda net: partition_many(net, square(), max_cells=0), ValueError, "max_cells: expected at least 1, got 0"),
    "summary": (lambda net: partition_many(net, square(), summary=3), TypeError, "summary: expected a callable .* got int"),
    "client": (lambda net: partition_many(net, square(), client=3), TypeError, "client: expected a distributed.Client"),
    "client of spread": (lambda net: spread(net, square(), None), TypeError, "client: expected a distributed.Client, got None"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_are_named(network: Network, name: str) -> None:
    call, kind, text = WRONG[name]
    with pytest.raises(kind, match=text):
        call(network)


def test_without_distributed_the_message_says_what_to_install(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r"client: needs the package distributed; install splinecam_widget\[dask\]"):
        partition_many(network, square(), client=object())


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Two workers that are threads of this process."""
    with Client(processes=False, n_workers=2, threads_per_worker=1, dashboard_address=":0") as client:
        yield client


class TestInThisProcess:
    """Nothing is pickled, and the engine's threads stay as they are."""

    def test_results_are_the_same(self, network: Network, client: Client) -> None:
        before = torch.get_num_threads()
        assert_same(spread(network, square(), client, n_tiles=5), compute_partition(network, square()))
        (found,) = partition_many(network, square(0.3), client=client, progress=False)
        assert_identical(found, compute_partition(network, square(0.3)))
        assert client.gather([client.submit(torch.get_num_threads, pure=False) for _ in range(4)]) == [before] * 4
        assert torch.get_num_threads() == before

    def test_compute_partition_takes_a_client(self, network: Network, client: Client) -> None:
        assert_same(compute_partition(network, square(), client=client), compute_partition(network, square()))
        with pytest.raises(ValueError, match=r"^max_cells, max_memory: expected None with a client"):
            compute_partition(network, square(), max_cells=9, client=client)
        with pytest.raises(TypeError, match=r"^client: expected a distributed.Client, got str"):
            compute_partition(network, square(), client="here")

    def test_the_bar_is_shown_unless_it_is_not_wanted(
        self, network: Network, client: Client, capsys: pytest.CaptureFixture[str]
    ) -> None:
        partition_many(network, views(2), client=client)
        assert "100% Completed" in capsys.readouterr().out
        partition_many(network, views(2), client=client, progress=False)
        spread(network, square(), client)
        assert capsys.readouterr().out == ""

    @pytest.mark.parametrize(("n_tiles", "kind"), [(0, ValueError), (2.5, TypeError), (True, TypeError)])
    def test_numbers_of_tiles_that_make_no_sense(self, network: Network, client: Client, n_tiles: Any, kind: type) -> None:
        with pytest.raises(kind, match="n_tiles: expected"):
            spread(network, square(), client, n_tiles=n_tiles)

    def test_another_shape(self, network: Network, client: Client) -> None:
        with pytest.raises(ValueError, match=r"plane: expected inputs of shape \(2,\), got \(3,\)"):
            spread(network, Slice.around(torch.zeros(3)), client)

    def test_a_closed_client(self, network: Network, client: Client) -> None:
        other = Client(client.scheduler.address)
        other.close()
        with pytest.raises(ValueError, match="client: expected one that is connected, got one that is closed"):
            partition_many(network, square(), client=other)


@contextmanager
def processes(n: int, n_threads: int) -> Iterator[Client]:
    with (LocalCluster(n_workers=n, threads_per_worker=n_threads, processes=True, dashboard_address=":0") as local,
          Client(local) as client):
        yield client


@pytest.fixture(scope="module")
def cluster() -> Iterator[Client]:
    """Two worker processes of one thread each."""
    with processes(2, 1) as client:
        yield client


@pytest.mark.slow
class TestOnTwoProcesses:
    @pytest.mark.parametrize("domain", [rectangle(-1, 1, -1, 1), TRIANGLE], ids=["square", "triangle"])
    def test_tiles_give_the_same_cells(self, network: Network, cluster: Client, domain: np.ndarray) -> None:
        plane = square().with_domain(domain)
        found = spread(network, plane, cluster)
        assert_same(found, compute_partition(network, plane))
        assert found.network is network
        assert found.plane is plane
        assert found.certificate().is_sound

    def test_a_slice_through_images_keeps_its_anchors(self, cluster: Client) -> None:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3)).eval()
        plane = Slice.through(*torch.randn(3, 1, 8, 8))
        found = spread(lower(net, plane.input_shape), plane, cluster, n_tiles=6)
        assert found.plane.anchors is plane.anchors
        assert_same(found, compute_partition(net, plane))

    def test_many_are_the_same_to_every_bit(self, cluster: Client) -> None:
        models, planes = [mlp(2, 32, 32, 1, seed=seed) for seed in range(2)], views(4)
        found = partition_many(models, planes, client=cluster, progress=False)
        for ours, theirs in zip(found, partition_many(models, planes)):
            assert_identical(ours, theirs)
            assert all(array.flags.writeable for array in vars(ours.planar).values())
            assert ours.certificate().is_sound, "the user's model is asked, which stayed here"

    def test_failures_there_are_those_here(self, network: Network, cluster: Client) -> None:
        def summary(partition: Partition) -> Any:
            class Odd(Exception):
                def __init__(self, a: int, b: int) -> None:
                    super().__init__(f"{a}, {b}")

            size = partition.plane.domain.max()
            if size == 0.25:
                raise Odd(1, 2)  # cannot be unpickled
            return threading.Lock() if size == 0.5 else 1 / int(size != 0.75)

        with pytest.raises(FailedPartitionsError) as caught:
            partition_many(network, views(4), client=cluster, summary=summary, progress=False)
        lines = str(caught.value).splitlines()
        assert lines[0] == "3 of 4 partitions failed (the others are in this error's `results`):"
        assert lines[1] == "models, slices[1]: ZeroDivisionError: division by zero"
        assert lines[2].startswith("models, slices[2]: TypeError: summary: expected something picklable in return, got lock")
        assert re.fullmatch(r"models, slices\[3\]: RuntimeError: .*Odd: 1, 2", lines[3])
        assert caught.value.results == [1.0, None, None, None]

    def test_an_error_in_a_tile_is_that_of_the_whole(self, cluster: Client) -> None:
        class Step(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return torch.where(x[:, :1] > 0.7, x[:, :1] + 1, x[:, :1])

        net = lower(Step().eval(), (2,))
        with pytest.raises(UnsupportedModelError) as here:
            compute_partition(net, square())
        with pytest.raises(UnsupportedModelError, match="continuous") as there:
            spread(net, square(), cluster, n_tiles=4)
        assert str(there.value).split(",")[:2] == str(here.value).split(",")[:2]

    def test_weights_travel_once_to_each_worker(self, cluster: Client) -> None:
        network = lower(mlp(2, 33, 33, 1), (2,))
        key = spreading.network_key(network)
        cluster.wait_for_workers(2)
        cluster.amm.stop()  # dask's memory manager may take a copy from a worker that has no task left

        def arrivals(dask_worker: Any) -> int:
            return sum(key in transfer["keys"] for transfer in dask_worker.transfer_incoming_log)

        def works(partition: Partition) -> int:
            time.sleep(0.05)
            return os.getpid()

        pids = partition_many(network, views(40), client=cluster, summary=works, progress=False)
        cluster.amm.start()
        assert len(set(pids)) == 2
        assert n_times_made(cluster, network) == 1
        assert sum(cluster.run(arrivals).values()) == 1, "the other one got it once, from the first"

    def test_large_weights_raise_no_warning(self, cluster: Client) -> None:
        """Dask would advise to scatter them."""
        wide = lower(mlp(2, 2000, 1000, 1), (2,))
        (n_cells,) = partition_many(wide, square(1e-3), client=cluster, summary=lambda found: found.n_cells, progress=False)
        assert n_cells == compute_partition(wide, square(1e-3)).n_cells

    def test_a_worker_killed_while_it_computes_slices(self, network: Network, cluster: Client, tmp_path: Path) -> None:
        wait = waiting_for(tmp_path / "killed")

        def slow(partition: Partition) -> tuple[int, int]:
            wait()
            return partition.n_cells, os.getpid()

        planes = views(12)
        killed = Killing(cluster, "splinecam_partition", tmp_path / "killed")
        found = partition_many(network, planes, client=cluster, summary=slow, progress=False)
        killed.join()
        assert [n for n, _ in found] == partition_many(network, planes, summary=lambda partition: partition.n_cells)
        assert {pid for _, pid in found} - {killed.pid}, "others took over"

    def test_a_worker_killed_while_it_computes_tiles(self, network: Network, cluster: Client, tmp_path: Path) -> None:
        wait = waiting_for(tmp_path / "killed")

        def slow_tiles() -> None:
            tile = spreading._tile

            def slow(*arguments: Any) -> Any:
                wait()
                return tile(*arguments)

            spreading._tile = slow

        cluster.wait_for_workers(2)
        cluster.run(slow_tiles)
        killed = Killing(cluster, "splinecam_tile", tmp_path / "killed")
        found = spread(network, square(), cluster, n_tiles=8)
        killed.join()
        assert_same(found, compute_partition(network, square()))

    def test_all_workers_killed_at_once(self, cluster: Client, tmp_path: Path) -> None:
        """The weights are lost with them, and are sent again."""
        wait = waiting_for(tmp_path / "killed")

        def slow(partition: Partition) -> tuple[int, int]:
            wait()
            return partition.n_cells, os.getpid()

        network = lower(mlp(2, 34, 34, 1), (2,))
        killed = Killing(cluster, "splinecam_partition", tmp_path / "killed", everyone=True)
        found = partition_many(network, views(8), client=cluster, summary=slow, progress=False)
        killed.join()
        assert [n for n, _ in found] == partition_many(network, views(8), summary=lambda partition: partition.n_cells)
        assert n_times_made(cluster, network) >= 2


def n_times_made(client: Client, network: Network) -> int:
    """How often a worker got a network from the scheduler and unpickled it."""
    key = spreading.network_key(network)
    story = client.run_on_scheduler(lambda dask_scheduler: [list(map(str, entry)) for entry in dask_scheduler.story(key)])
    return sum(entry[:3] == [key, "processing", "memory"] for entry in story)


def waiting_for(path: Path) -> Callable[[], None]:
    """A function, to be sent to workers, that returns when a file is there, or after half a minute."""
    def wait() -> None:
        for _ in range(1500):
            if path.exists():
                return
            time.sleep(0.02)

    return wait


class Killing(threading.Thread):
    """Kills a worker, or both, half a second after both have become busy with tasks of a kind; begins at once.

    The tasks should last until it made the file `done`.

    Attributes
    ----------
    pid : int
        Whom it killed last.
    """

    def __init__(self, client: Client, prefix: str, done: Path, everyone: bool = False) -> None:
        super().__init__(daemon=True)
        self.pid = 0
        client.wait_for_workers(2)
        self._client, self._prefix, self._done, self._everyone = client, prefix, done, everyone
        self._pids = client.run(os.getpid)
        self.start()

    def run(self) -> None:
        busy: list[str] = []
        while len(busy) < 2:
            while len(self._busy()) < 2:
                time.sleep(0.02)
            time.sleep(0.5)
            busy = self._busy()
        for worker in busy if self._everyone else busy[:1]:
            self.pid = self._pids[worker]
            os.kill(self.pid, signal.SIGKILL)
        self._done.touch()

    def join(self, timeout: float | None = 30) -> None:
        super().join(timeout)
        assert self.pid, "nobody was killed"

    def _busy(self) -> list[str]:
        return [worker for worker, keys in self._client.processing().items()
                if any(str(key).startswith(self._prefix) for key in keys)]


@pytest.mark.slow
def test_a_worker_uses_as_many_cores_as_it_has_threads(network: Network) -> None:
    """Dask allows torch one core a process, whatever the number of its threads."""
    def sizes(_: Any) -> tuple[int, int]:
        from splinecam_widget.engine import threads

        return threads._pool()._max_workers, threads._callers()._max_workers

    def one_core(_: int) -> int:
        time.sleep(0.3)
        return torch.get_num_threads()

    with processes(1, 3) as client:
        assert set(client.gather(client.map(one_core, range(3)))) == {1}  # in each of the threads
        assert partition_many(network, views(4), client=client, summary=sizes, progress=False) == [(3, 3)] * 4

