"""How much memory a computation may take before the system would kill the process."""

from __future__ import annotations

import time
from pathlib import Path

SHARE = 0.75
"""Of what is available: what arrays take is known, what allocators and torch take beside them is not."""

MEMINFO = Path("/proc/meminfo")
CONTROL_GROUP = Path("/sys/fs/cgroup")


ASK_SECONDS = 0.05
"""What was found is true for so long: no process fills a noticeable part of a memory in that time."""

_last: tuple[float, int | None] | None = None


def free_memory() -> int | None:
    """Bytes that are available to this process, in a container or not, times `SHARE`; None where nothing tells."""
    global _last
    now = time.monotonic()
    if _last is None or not 0 <= now - _last[0] < ASK_SECONDS:
        _last = now, _found()
    return _last[1]


def _found() -> int | None:
    found = [n for n in (_of_the_machine(), _of_the_control_group()) if n is not None]
    return int(SHARE * min(found)) if found else None


def _of_the_machine() -> int | None:
    try:
        for line in MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    try:
        import psutil  # comes with ipykernel; tells on other systems than Linux
    except ImportError:
        return None
    return int(psutil.virtual_memory().available)


def _of_the_control_group() -> int | None:
    """Version 2 of Linux' control groups; None without a limit. Files that are only cached make room when it is needed."""
    try:
        most, used = ((CONTROL_GROUP / name).read_text().strip() for name in ("memory.max", "memory.current"))
        lines = (line.split() for line in (CONTROL_GROUP / "memory.stat").read_text().splitlines())
        cached = sum(int(value) for name, value in lines if name == "inactive_file")
        return None if most == "max" else max(0, int(most) - int(used) + cached)
    except (OSError, ValueError):
        return None
