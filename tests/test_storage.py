"""Partitions in files: all of it comes back, without torch, and nothing else gets in."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from oracle import mlp, square
from splinecam_widget import Partition, Slice, compute_partition, load_partition
from splinecam_widget.engine import storage
from splinecam_widget.engine.storage import NEEDS_NETWORK
from test_imports import imported


@pytest.fixture(scope="module")
def partition() -> Partition:
    """Of a part of what was asked for, so that this is stored, too."""
    found = compute_partition(mlp(5, 16, 16, 3), Slice.through(np.zeros(5), np.eye(5)[0], np.eye(5)[1]), max_cells=40)
    assert 10 < found.n_cells <= 40
    return found


@pytest.fixture(scope="module")
def content(partition: Partition, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("saved") / "found.npz"
    partition.save(path)
    return path.read_bytes()


@pytest.fixture
def path(content: bytes, tmp_path: Path) -> Path:
    (tmp_path / "found.npz").write_bytes(content)
    return tmp_path / "found.npz"


def changed(path: Path, **arrays: Any) -> Path:
    """A copy of the file with other arrays; None leaves one out."""
    with np.load(path) as stored:
        kept = {**stored, **arrays}
    np.savez(path, **{name: array for name, array in kept.items() if array is not None})
    return path


def about(path: Path, **entries: Any) -> Any:
    with np.load(path) as stored:
        return np.array(json.dumps({**json.loads(str(stored["about"])), **entries}))


class TestRoundTrip:
    def test_everything_comes_back(self, partition: Partition, path: Path) -> None:
        found = load_partition(path)
        names = ("vertices", "values", "tolerance", "edges", "edge_layer", "edge_unit", "edge_cells", "cell_offsets",
                 "cell_vertices", "region_ids", "areas", "centroids", "slopes", "slope_norms")
        for name in names:
            np.testing.assert_array_equal(getattr(found, name), getattr(partition, name), err_msg=name)
            assert getattr(found, name).dtype == getattr(partition, name).dtype
        np.testing.assert_array_equal(found.planar.cell_hashes, partition.planar.cell_hashes)
        for name in ("origin", "basis", "domain", "anchors"):
            np.testing.assert_array_equal(getattr(found.plane, name), getattr(partition.plane, name))
        np.testing.assert_array_equal(found.asked, partition.asked)
        assert (found.share, found.is_complete) == (partition.share, False)
        assert found.certificate().share == found.share < 1
        assert (found.n_cells, found.n_regions) == (partition.n_cells, partition.n_regions)
        assert (found.n_close, found.n_zero) == (partition.n_close, partition.n_zero)
        assert found.certificate() == partition.certificate()
        np.testing.assert_array_equal(found.decision_boundary().points, partition.decision_boundary().points)
        middles = partition.centroids
        np.testing.assert_array_equal(found.locate(middles), np.arange(found.n_cells))

    def test_it_says_where_it_comes_from(self, path: Path) -> None:
        found = load_partition(path)
        assert found.model["input_shape"] == [5]
        assert [layer["n_units"] for layer in found.model["layers"]] == [16, 16]
        assert found.model["approximations"] == []
        assert found.versions["torch"] == torch.__version__
        assert f"{found.n_cells:,} cells" in repr(found)

    def test_a_slice_without_anchors(self, tmp_path: Path) -> None:
        compute_partition(nn.ReLU().eval(), square()).save(tmp_path / "a")
        assert [p.name for p in tmp_path.iterdir()] == ["a"]
        assert load_partition(tmp_path / "a").plane.anchors is None
        assert load_partition(str(tmp_path / "a")).n_cells == 4

    @pytest.mark.slow
    @pytest.mark.parametrize("widths", [(16, 16), (128, 128, 128)], ids=["few cells", "cells enough for several threads"])
    def test_without_torch(self, widths: tuple[int, ...], tmp_path: Path) -> None:
        path = tmp_path / "p.npz"
        compute_partition(mlp(2, *widths, 3), square()).save(path)
        program = f"from splinecam_widget import load_partition\np = load_partition({str(path)!r})\np.n_regions, p.areas.sum()"
        assert imported(f"{program}\np.decision_boundary().length") == []

    def test_an_approximation_is_known_as_one(self, tmp_path: Path) -> None:
        net = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).eval()
        compute_partition(net, square(), approximate=0.1).save(tmp_path / "tanh.npz")
        found = load_partition(tmp_path / "tanh.npz")
        assert found.model["approximations"] == [{"operation": "tanh", "deviation": 0.1}]
        assert found.certificate().n_approximated == 1


class TestDigest:
    CODE = """
import torch
from splinecam_widget import Slice, compute_partition
torch.manual_seed(3)
net = torch.nn.Sequential(torch.nn.Linear(2, 6), torch.nn.PReLU(), torch.nn.Linear(6, 2), torch.nn.Softmax(1)).eval()
print(compute_partition(net, Slice.from_basis([0.0, 0.0], torch.eye(2))).network.digest)
"""

    @pytest.mark.slow
    def test_is_the_same_in_every_process(self) -> None:
        found = {subprocess.run([sys.executable, "-c", self.CODE], check=True, capture_output=True, text=True).stdout
                 for _ in range(2)}
        assert len(found) == 1
        assert len(found.pop().strip()) == 64

    def test_tells_networks_apart(self) -> None:
        def digest(change: Any = None, **options: Any) -> str:
            net = mlp(2, 4, 2, **options)
            if change is not None:
                change(net)
            return compute_partition(net.eval(), square()).network.digest

        def nudge(net: nn.Sequential) -> None:
            weight = net[0].weight.data
            weight[1, 0] = torch.nextafter(weight[1, 0], torch.tensor(9.0, dtype=weight.dtype))

        found = [digest(), digest(nudge), digest(seed=1), digest(slope=0.1),
                 digest(lambda net: net.append(nn.Softmax(1))), digest(lambda net: net.append(nn.Flatten()))]
        assert digest() == found[0]
        assert len(set(found[:5])) == 5


class TestDamage:
    def refuses(self, path: Path, text: str) -> None:
        start = "^path: expected a file written by Partition.save, got"
        with pytest.raises(ValueError, match=rf"{start} .*{path.name}.*: .*{text}"):
            load_partition(path)

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            load_partition(tmp_path / "nothing.npz")

    def test_other_files(self, path: Path) -> None:
        for content in (b"", b"hello", path.read_bytes()[: path.stat().st_size // 2], pickle.dumps({"about": 1})):
            path.write_bytes(content)
            self.refuses(path, "")
        np.save(path.with_suffix(".npy"), np.zeros(3))
        self.refuses(path.with_suffix(".npy"), "")

    def test_pickles_are_not_run(self, path: Path, tmp_path: Path) -> None:
        class Bomb:
            def __reduce__(self) -> Any:
                return Path.touch, (tmp_path / "ran",)

        changed(path, vertices=np.array([Bomb()], dtype=object))
        self.refuses(path, "pickle")
        assert not (tmp_path / "ran").exists()

    @pytest.mark.parametrize("name", [name for name in storage.ARRAYS if name not in ("anchors", "asked")])
    def test_what_is_missing_is_named(self, path: Path, name: str) -> None:
        self.refuses(changed(path, **{name: None}), name)

    @pytest.mark.slow
    @pytest.mark.parametrize("name", storage.ARRAYS)
    def test_other_dtypes_and_shapes_are_named(self, path: Path, name: str) -> None:
        with np.load(path) as stored:
            array = stored[name]
        self.refuses(changed(path, **{name: array.astype(np.float32)}), name)
        self.refuses(changed(path, **{name: array[: 2 if name in ("domain", "asked") else -1]}), "")

    @pytest.mark.parametrize("name", ["edges", "cell_vertices", "cell_edges"])
    @pytest.mark.parametrize("bad", [-1, 10**6])
    def test_ids_outside_are_named(self, path: Path, name: str, bad: int) -> None:
        with np.load(path) as stored:
            ids = stored[name].copy()
        ids.flat[3] = bad
        self.refuses(changed(path, **{name: ids}), f"{name} has ids outside")

    @pytest.mark.parametrize("change", [
        lambda o: o + 1, lambda o: o[::-1].copy(), lambda o: np.r_[o[:3], o[2:]], lambda o: o[:1],
    ])
    def test_offsets_that_do_not_rise_are_named(self, path: Path, change: Any) -> None:
        with np.load(path) as stored:
            offsets, hashes = stored["cell_offsets"], stored["cell_hashes"]
        offsets = change(offsets)
        self.refuses(changed(path, cell_offsets=offsets, cell_hashes=np.resize(hashes, len(offsets) - 1)), "cell_offsets")

    def test_numbers_that_are_none(self, path: Path, partition: Partition) -> None:
        vertices = partition.vertices.copy()
        vertices[2, 1] = np.nan
        self.refuses(changed(path, vertices=vertices), "vertices has NaN")

    def test_other_formats(self, path: Path) -> None:
        self.refuses(changed(path, about=about(path, format="other")), "its format is 'other'")
        self.refuses(changed(path, about=np.array("{")), "")
        self.refuses(changed(path, about=None), "it has no description")

    def test_a_newer_version(self, path: Path) -> None:
        text = "version 2 of the format, and this package reads up to 1"
        self.refuses(changed(path, about=about(path, format_version=2)), text)

    def test_a_newer_certificate_with_more_in_it(self, path: Path) -> None:
        with np.load(path) as stored:
            certificate = json.loads(str(stored["about"]))["certificate"]
        changed(path, about=about(path, certificate={**certificate, "n_dreams": 3}))
        assert load_partition(path).certificate().is_sound


def test_an_older_file_stays_until_the_new_one_is_whole(
    path: Path, partition: Partition, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()

    def full(member: Any, array: Any, **_: Any) -> None:
        member.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.raises(OSError, match="no space left"):
        partition.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(("name", "kind"), [
    ("nonexistent/a.npz", FileNotFoundError), ("folder", IsADirectoryError), ("file/a.npz", NotADirectoryError)])
def test_where_it_cannot_be_written_the_users_path_is_named(
    partition: Partition, tmp_path: Path, name: str, kind: type[OSError]
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(kind) as caught:
        partition.save(tmp_path / name)
    assert caught.value.filename == str(tmp_path / name)
    assert ".part" not in str(caught.value)


def test_the_file_holds_no_pickle(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            header = archive.read(name)[:200]
            assert header.startswith(b"\x93NUMPY")
            assert b"'O'" not in header


def test_random_damage_is_named(path: Path) -> None:
    content = path.read_bytes()
    numbers = np.random.default_rng(0)
    refused = []
    for _ in range(150):
        damaged = bytearray(content)
        damaged[numbers.integers(len(content))] ^= 1 << int(numbers.integers(8))
        path.write_bytes(damaged)
        try:
            assert repr(load_partition(path))  # in a place that counts for nothing
        except ValueError as error:
            refused.append(str(error))
    assert len(refused) > 100
    assert all(text.startswith("path: expected a file written by Partition.save") for text in refused)


@pytest.mark.parametrize("entries", [
    {"certificate": {}}, {"model": None}, {"model": {}}, {"versions": 3}, {"n_zero": "many"}, {"format_version": None},
])
def test_descriptions_of_the_wrong_kind_are_named(path: Path, entries: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^path: expected a file written by Partition\.save"):
        load_partition(changed(path, about=about(path, **entries)))


def test_saves_at_the_same_time_leave_a_whole_file(partition: Partition, path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(partition.save, [path] * 12))
    assert load_partition(path).n_cells == partition.n_cells
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_what_was_read_can_be_saved_again(path: Path, tmp_path: Path) -> None:
    first = load_partition(path)
    first.save(tmp_path / "again.npz")
    second = load_partition(tmp_path / "again.npz")
    assert second.made == first.made
    for name in ("vertices", "values", "cell_vertices", "edge_layer", "edge_unit"):
        np.testing.assert_array_equal(getattr(second, name), getattr(first, name))


def test_what_asks_the_network_is_not_there_and_says_why(path: Path) -> None:
    loaded = load_partition(path)
    missing = {name for name in dir(Partition) if not name.startswith("_")} - set(dir(loaded))
    assert missing <= NEEDS_NETWORK
    assert {"patterns", "flips", "affine_maps"} <= missing
    for name in NEEDS_NETWORK:
        with pytest.raises(AttributeError, match=f"{name}: it needs the network, which a file does not hold"):
            getattr(loaded, name)
    with pytest.raises(AttributeError, match="'SavedPartition' object has no attribute 'nothing'"):
        _ = loaded.nothing
    assert not hasattr(loaded, "patterns")


def test_all_cells_cannot_be_checked_without_the_network(tmp_path: Path) -> None:
    few, many = (compute_partition(mlp(2, width, 1), square()) for width in (3, 80))
    assert few.n_cells < 256 < many.n_cells
    for partition in (few, many):
        partition.save(tmp_path / f"{partition.n_cells}.npz")
    found = load_partition(tmp_path / f"{few.n_cells}.npz")
    assert found.certificate(full=True) == found.certificate() == few.certificate()
    with pytest.raises(ValueError, match=r"^full: expected False for a partition from a file"):
        load_partition(tmp_path / f"{many.n_cells}.npz").certificate(full=True)
