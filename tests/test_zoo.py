"""Whole models as people build them, each with its certificate in full."""

from __future__ import annotations

import pytest

from oracle import assert_consistent
from splinecam_widget.engine.compute import compute_partition
from zoo import ZOO


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_is_exact_and_proves_it(name: str) -> None:
    entry = ZOO[name]
    partition = compute_partition(entry.model(), entry.plane())
    assert partition.n_cells > 5, "the slice shows too little to test anything"
    certificate = partition.certificate(full=True)
    assert certificate.is_sound, str(certificate)
    assert certificate.compared_with == "the model itself in float64"
    if partition.n_cells < 1000:
        assert_consistent(partition)
