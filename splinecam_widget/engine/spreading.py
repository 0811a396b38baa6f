"""Partitions on the workers of a `dask.distributed` cluster: one slice in tiles, or many slices and models.

Knows tasks and what travels between processes; nothing of geometry.

Notes
-----
A network travels as the argument of a task, pickled, and the tasks that need it depend on that one. So a worker gets it once,
from the scheduler or from another worker, and one that joins later gets it, too. Data that is scattered is lost with the last
worker that holds it; what a task made is made again.
"""

from __future__ import annotations

import importlib
import numbers
import os
import pickle
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from .arrays import Float64
from .compute import compute_partition
from .errors import UnsupportedModelError
from .lowering import lower
from .network import Network
from .partition import Partition
from .planar import PlanarComplex
from .slices import Slice
from .tiling import Cut, cut_for, halves, united
from .watching import Budget

if TYPE_CHECKING:
    from distributed import Client, Future

TILES_PER_THREAD = 4
"""Cells are not spread evenly: with so many tiles, a thread that has an easy one takes another."""

FAILURES_SHOWN = 5
"""In the text of an error; all of them are in the error itself."""

_ORIGIN = uuid.uuid4().hex


class FailedPartitionsError(RuntimeError):
    """Some of many partitions could not be computed.

    Attributes
    ----------
    results : list
        Of all, as `partition_many` returns them; None for those that failed.
    errors : dict of (int, int) to Exception
        What went wrong, by model and slice.
    """

    def __init__(self, message: str, results: list[Any], errors: dict[tuple[int, int], Exception]) -> None:
        super().__init__(message)
        self.results = results
        self.errors = errors


def network_key(network: Network) -> str:
    """The name of the task whose result is a network on a worker: the same for equal ones."""
    return f"splinecam-network-{network.digest}-{network.device}"


def spread(network: Network, plane: Slice, client: Client, n_tiles: int | None = None, progress: bool = False) -> Partition:
    """The partition of one slice, its domain cut into tiles that the workers of a cluster take.

    Parameters
    ----------
    network : Network
    plane : Slice
        Its domain may be any convex polygon.
    client : distributed.Client
        Scheduler and workers need this package, in one version.
    n_tiles : int or None
        None: four for every thread of the workers that are there now.
    progress : bool
        Show dask's bar.

    Returns
    -------
    Partition
        The same cells as those of `compute_partition`, in another order. A vertex near a former seam may differ by rounding.

    Raises
    ------
    TypeError, ValueError, ImportError
        If the client, the slice or the number of tiles is of the wrong kind, or the cells are too many for one partition.

    Notes
    -----
    See `tiling` for the cuts and joins. Joins run on the workers, too, those of different parts at the same time; the last one
    holds the whole partition and its two parts.
    """
    _check_client(client)
    if network.input_shape != plane.input_shape:
        raise ValueError(f"plane: expected inputs of shape {network.input_shape}, got {plane.input_shape}")
    n = _tile_count(client) if n_tiles is None else _whole(n_tiles, "n_tiles")
    with _large_arguments_allowed():
        weights = _sent(client, network, network_key(network))
        where = _sent(client, plane, f"splinecam-plane-{uuid.uuid4().hex}")

        def grown(polygon: Float64, n: int) -> Future[Any]:
            cut = cut_for(polygon, n)
            if cut is None:
                return client.submit(_tile, weights, where, polygon, _home(), pure=False, key=_key("tile"))
            parts = [grown(half, m) for half, m in zip(halves(polygon, *cut), (n // 2, n - n // 2))]
            return client.submit(_union, weights, where, polygon, cut, *parts, _home(), pure=False, key=_key("join"))

        whole = grown(plane.domain, n)
    if progress:
        _show_bar([whole])
    return _unpacked(whole.result(), network, plane)


def partition_many(
    models: Any, slices: Any, client: Client | None = None, summary: Callable[[Partition], Any] | None = None,
    progress: bool = True, output: str | int | None = None, approximate: float | None = None,
    max_cells: int | None = None, max_memory: int | None = None,
) -> list[Any]:
    """The partitions of many slices by one model, of one slice by many models, or of every slice by every model.

    Parameters
    ----------
    models : model or list of models
        Each as in `compute_partition`: modules, callables, or the `network` of a partition. Checkpoints of one model, say. Read
        once, here, before anything is computed.
    slices : Slice or list of Slice
    client : distributed.Client or None
        The workers of its cluster share the slices, each as a whole. None: one slice after the other, here.
    summary : callable or None
        What is wanted of each partition. It runs where the partition is computed, so that only what it returns travels; that
        must be picklable. On a worker, the partition's certificate cannot ask the user's own model, which stays here.
    progress : bool
        Show dask's bar (with a client).
    output, approximate
        As in `compute_partition`, of all models that are not networks already.
    max_cells, max_memory
        As in `compute_partition`, of each slice: where it needs more, its middle is computed.

    Returns
    -------
    list of Partition, or of what `summary` returns
        All pairs, `len(models) * len(slices)` of them: model by model, and for each the slices in their order, so that of model
        i and slice j is at `i * len(slices) + j`. With a client the same, to every bit, as without one.

    Raises
    ------
    UnsupportedModelError
        If an operation of a model is neither affine nor a known kink.
    TypeError, ValueError, ImportError
        If an argument is of the wrong kind; the text names the one in the list.
    FailedPartitionsError
        If computing some of them, or their summaries, failed. The others are computed all the same, and in its `results`.

    Warns
    -----
    UserWarning
        If a model is in training mode; it is computed as in eval mode.

    Examples
    --------
    >>> import torch
    >>> planes = [Slice.around(torch.zeros(3), seed=seed) for seed in range(4)]
    >>> partition_many(torch.nn.ReLU().eval(), planes, summary=lambda partition: partition.n_cells)
    [6, 6, 6, 6]
    """
    if client is not None:
        _check_client(client)
    if summary is not None and not callable(summary):
        raise TypeError(f"summary: expected a callable that takes a Partition, or None, got {type(summary).__name__}")
    limits = _Limits(max_cells, max_memory)
    Budget.of(*limits)
    planes = _listed(slices, "slices")
    for plane, name in planes:
        if not isinstance(plane, Slice):
            raise TypeError(f"{name}: expected a Slice, got {type(plane).__name__}")
    networks = _networks(models, planes[0][0], output, approximate)
    for network, model_name in networks:
        for plane, name in planes:
            if network.input_shape != plane.input_shape:
                raise ValueError(f"{name}: expected inputs of shape {network.input_shape}, which {model_name} takes, "
                                 f"got {plane.input_shape}")
    if client is None:
        found = [_outcome(network, plane, summary, limits) for network, _ in networks for plane, _ in planes]
    else:
        found = _gathered(
            client, [network for network, _ in networks], [plane for plane, _ in planes], summary, limits, progress)
    errors = {divmod(place, len(planes)): outcome.error
              for place, outcome in enumerate(found) if isinstance(outcome, _Failure)}
    if errors:
        lines = [f"{networks[i][1]}, {planes[j][1]}: {type(error).__name__}: {error}" for (i, j), error in errors.items()]
        more = [] if len(lines) <= FAILURES_SHOWN else [f"and {len(lines) - FAILURES_SHOWN} more, see this error's `errors`"]
        raise FailedPartitionsError(
            "\n".join([f"{len(errors)} of {len(found)} partitions failed (the others are in this error's `results`):",
                       *lines[:FAILURES_SHOWN], *more]),
            [None if isinstance(outcome, _Failure) else outcome for outcome in found], errors)
    return found


def _listed(given: Any, name: str) -> list[tuple[Any, str]]:
    """One thing or several (a list or a tuple: an `nn.Sequential` is one model), each with its name in messages."""
    if not isinstance(given, (list, tuple)):
        return [(given, name)]
    if not given:
        raise ValueError(f"{name}: expected at least one, got an empty {type(given).__name__}")
    return [(one, f"{name}[{i}]") for i, one in enumerate(given)]


def _networks(models: Any, plane: Slice, output: str | int | None, approximate: float | None) -> list[tuple[Network, str]]:
    """All models as networks, with their names in messages; the same object is read once."""
    read: dict[int, Network] = {}
    found = []
    for model, name in _listed(models, "models"):
        if isinstance(model, Network):
            if output is not None or approximate is not None:
                raise ValueError(
                    f"output, approximate: expected None for {name}, a Network, in which both are decided already")
            read[id(model)] = model
        if id(model) not in read:
            read[id(model)] = _read(model, name, plane, output, approximate)
        found.append((read[id(model)], name))
    return found


def _read(model: Any, name: str, plane: Slice, output: str | int | None, approximate: float | None) -> Network:
    try:
        network = lower(model, plane.input_shape, output, approximate)
    except UnsupportedModelError as error:
        raise UnsupportedModelError(_renamed(error, name), error.offenders) from error
    except TypeError as error:
        raise TypeError(_renamed(error, name)) from error
    except ValueError as error:
        raise ValueError(_renamed(error, name)) from error
    if network.was_training:
        warnings.warn(f"{name}: it is in training mode; the partition is that of eval mode, computed on a copy", stacklevel=4)
    return network


def _renamed(error: Exception, name: str) -> str:
    """An error's text with the name of this function's argument."""
    text = str(error)
    return name + text.removeprefix("model") if text.startswith("model:") else f"{name}: {text}"


class _Limits(NamedTuple):
    """As of `compute_partition`."""

    max_cells: int | None
    max_memory: int | None


class _Failure:
    """In place of a result."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def _outcome(
    network: Network, plane: Slice, summary: Callable[[Partition], Any] | None, limits: _Limits
) -> Any:
    """A partition, what `summary` makes of it, or a `_Failure`."""
    try:
        partition = compute_partition(network, plane, **limits._asdict())
        return partition if summary is None else summary(partition)
    except Exception as error:  # whatever a summary may raise
        return _Failure(error)


def _gathered(
    client: Client, networks: Sequence[Network], planes: Sequence[Slice], summary: Callable[[Partition], Any] | None,
    limits: _Limits, progress: bool,
) -> list[Any]:
    """The outcomes of all networks with all slices, computed by workers."""
    futures: list[Any] = []
    with _large_arguments_allowed():
        for network in networks:
            weights = _sent(client, network, network_key(network))
            futures += client.map(
                _travelling_outcome, planes, weights=weights, summary=summary, limits=limits, home=_home(),
                key=[_key("partition") for _ in planes])
    if progress:
        _show_bar(futures)
    found = []
    for place in range(len(futures)):
        network, plane = networks[place // len(planes)], planes[place % len(planes)]
        try:
            outcome = futures[place].result()
            found.append(_unpacked(outcome, network, plane) if isinstance(outcome, _Packed) else outcome)
        except Exception as error:  # dask's own: workers that died, a summary that cannot be unpickled here
            found.append(_Failure(error))
        futures[place] = None  # the cluster may forget it
    return found


def _travelling_outcome(
    plane: Slice, weights: _Received, summary: Callable[[Partition], Any] | None, limits: _Limits, home: str
) -> Any:
    _settle(home)
    outcome = _outcome(weights.thing, plane, summary, limits)
    if summary is None and isinstance(outcome, Partition):
        return _Packed(outcome)
    content = outcome.error if isinstance(outcome, _Failure) else outcome
    try:
        pickle.loads(importlib.import_module("cloudpickle").dumps(content))
    except Exception as problem:  # whatever a user's class may raise
        if isinstance(outcome, _Failure):
            return _Failure(RuntimeError(f"{type(content).__name__}: {content}"))
        return _Failure(TypeError(f"summary: expected something picklable in return, got {type(content).__name__}: {problem}"))
    return outcome


def _tile(weights: _Received, where: _Received, polygon: Float64, home: str) -> _Packed:
    _settle(home)
    return _Packed(compute_partition(weights.thing, replace(where.thing, domain=polygon)))


def _union(
    weights: _Received, where: _Received, polygon: Float64, cut: Cut, low: _Packed, high: _Packed, home: str
) -> _Packed:
    """Two parts of a polygon as one."""
    _settle(home)
    network, plane = weights.thing, where.thing
    below, above = (_unpacked(part, network, replace(plane, domain=half))
                    for part, half in zip((low, high), halves(polygon, *cut)))
    return _Packed(united(partial(compute_partition, network), plane, polygon, cut, below, above))


class _Received:
    """What came pickled."""

    def __init__(self, data: bytes) -> None:
        self.thing = pickle.loads(data)
        self._n_bytes = len(data)

    def __sizeof__(self) -> int:
        """What moving it costs, by which dask decides whether another worker takes over a task."""
        return self._n_bytes


class _Packed:
    """A partition as it travels: its arrays, without network, plane, and whatever was derived from them."""

    def __init__(self, partition: Partition) -> None:
        self.domain = partition.plane.domain  # not that of the slice where there was no room for all
        self.planar = {f.name: getattr(partition.planar, f.name) for f in fields(partition.planar)}
        self.others = {f.name: getattr(partition, f.name) for f in fields(partition)
                       if f.name not in ("plane", "planar", "network")}

    def __sizeof__(self) -> int:
        """Bytes of the arrays, by which dask knows when a worker's memory is full."""
        arrays = (array for array in (*self.planar.values(), *self.others.values()) if isinstance(array, np.ndarray))
        return object.__sizeof__(self) + sum(array.nbytes for array in arrays)


def _unpacked(packed: _Packed, network: Network, plane: Slice) -> Partition:
    plane = plane if np.array_equal(plane.domain, packed.domain) else replace(plane, domain=packed.domain)
    return Partition(plane=plane, planar=PlanarComplex(**packed.planar), network=network, **packed.others)


def _key(name: str) -> str:
    """A task's name: dask groups those that are the same up to the last hyphen."""
    return f"splinecam_{name}-{uuid.uuid4().hex}"


def _sent(client: Client, thing: Any, key: str) -> Future[Any]:
    """A task that makes a thing of this process anew, as a `_Received`, for tasks that need it."""
    return client.submit(_Received, pickle.dumps(thing, protocol=5), key=key)


@contextmanager
def _large_arguments_allowed() -> Iterator[None]:
    """Without dask's advice to scatter large arguments, which are lost with the worker that holds them."""
    config = importlib.import_module("dask.config")
    with config.set({"distributed.admin.large-graph-warning-threshold": "1 PB"}):
        yield


def _show_bar(futures: list[Future[Any]]) -> None:
    """Dask's bar as text, which notebooks show as well as terminals, until all of them are done."""
    importlib.import_module("distributed").progress(futures, notebook=False)
    print(flush=True)


def _check_client(client: Any) -> None:
    try:
        distributed = importlib.import_module("distributed")
    except ImportError as error:
        raise ImportError("client: needs the package distributed; install splinecam_widget[dask]") from error
    if not isinstance(client, distributed.Client):
        raise TypeError(f"client: expected a distributed.Client, got {type(client).__name__}")
    if client.asynchronous:
        raise TypeError("client: expected one that waits for results, got an asynchronous one")
    if client.status != "running":
        raise ValueError(f"client: expected one that is connected, got one that is {client.status}")


def _tile_count(client: Client) -> int:
    threads_of: Any = client.nthreads
    n_threads = sum(threads_of().values())
    return TILES_PER_THREAD * n_threads if n_threads > 1 else 1


def _whole(given: Any, name: str) -> int:
    if isinstance(given, bool) or not isinstance(given, numbers.Integral):
        raise TypeError(f"{name}: expected a whole number or None, got {given!r}")
    if given < 1:
        raise ValueError(f"{name}: expected at least 1, got {given}")
    return int(given)


def _home() -> str:
    """Names this process."""
    return f"{_ORIGIN}-{os.getpid()}"


def _settle(home: str) -> None:
    """Let the engine use as many cores as this worker has threads, whatever torch was allowed.

    Workers share a machine, and each would take all of it, or, where dask sets OMP_NUM_THREADS, one core for all its threads.
    A worker in the client's own process shares the engine's threads with it and is left alone.

    Parameters
    ----------
    home : str
        The client's process.
    """
    if home != _home():
        # In every one of its threads: torch has a number for each.
        torch.set_num_threads(importlib.import_module("distributed").get_worker().state.nthreads)
