"""Where a partition comes from: the same in memory and from a file, complete, and made of what JSON has."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from exported import lone, part, reloaded, several
from oracle import square
from splinecam_widget import Slice, compute_partition
from splinecam_widget.engine.records import MAX_TEXT_BYTES, array_of, array_record


def test_a_file_keeps_the_record(tmp_path: Path) -> None:
    p = several()
    record = p.record()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert reloaded(p, tmp_path).record() == record


def test_slice_and_domain_come_back_to_the_last_bit() -> None:
    p = several()
    record = json.loads(json.dumps(p.record()))
    np.testing.assert_array_equal(array_of(record["slice"]["origin"]), p.plane.origin)
    np.testing.assert_array_equal(array_of(record["slice"]["basis"]), p.plane.basis)
    np.testing.assert_array_equal(record["slice"]["anchors"], p.plane.anchors)
    np.testing.assert_array_equal(record["domain"], p.plane.domain)
    again = Slice.from_basis(array_of(record["slice"]["origin"]), array_of(record["slice"]["basis"]), record["domain"])
    np.testing.assert_array_equal(again.to_input(p.vertices), p.plane.to_input(p.vertices))


def test_what_it_says() -> None:
    p = several()
    record = p.record()
    assert record["model"]["digest"] == p.network.digest
    assert [layer["n_units"] for layer in record["model"]["layers"]] == [8, 8]
    assert record["versions"]["torch"] == torch.__version__
    assert record["certificate"]["is_sound"]
    assert record["certificate"]["n_cells"] == record["n_cells"] == p.n_cells
    assert (record["share"], record["asked"], record["is_exact"]) == (1.0, None, True)
    assert p.certificate() is p.certificate()
    assert lone().record()["slice"]["anchors"] is None


def test_parts_and_approximations_are_known_as_such() -> None:
    p = part()
    record = p.record()
    assert record["share"] == p.share < 1
    np.testing.assert_array_equal(record["asked"], square().domain)
    tanh = compute_partition(nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)).eval(), square(), approximate=0.1)
    assert tanh.record()["is_exact"] is False


def test_large_arrays_have_a_digest_only() -> None:
    n = MAX_TEXT_BYTES // 8
    assert array_of(array_record(np.arange(n, dtype=float)))[-1] == n - 1
    record = array_record(np.arange(n + 1, dtype=float))
    assert record["base64"] is None
    assert record["shape"] == [n + 1]
    assert record["sha256"] != array_record(np.zeros(n + 1))["sha256"]
    with pytest.raises(ValueError, match=r"^record: expected an array that is written out, got only the digest of shape"):
        array_of(record)


def test_changed_bytes_are_noticed() -> None:
    record = array_record(np.eye(2)) | {"base64": array_record(np.zeros((2, 2)))["base64"]}
    with pytest.raises(ValueError, match=r"^record: expected bytes that have the digest beside them"):
        array_of(record)
