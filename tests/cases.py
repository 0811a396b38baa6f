"""How many random cases a property is tried on: a few by day, 2,000 with `SPLINECAM_NIGHTLY=1`.

`SPLINECAM_NIGHTLY_CASES` sets another number for the night.
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, settings

IS_NIGHTLY = os.environ.get("SPLINECAM_NIGHTLY", "") not in ("", "0")
N_NIGHTLY = int(os.environ.get("SPLINECAM_NIGHTLY_CASES", "2000"))


def cases(n: int) -> Any:
    """Hypothesis settings: `n` cases, or 2,000 at night; the same ones every day but at night."""
    return settings(
        max_examples=N_NIGHTLY if IS_NIGHTLY else n, derandomize=not IS_NIGHTLY, database=None, deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
