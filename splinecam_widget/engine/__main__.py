"""``python -m splinecam_widget.engine``: compile all loops now, the engine's and the analysis', with the steps printed."""

import time

from splinecam_widget.analysis import warmup as analysis

from . import warmup as engine

start = time.perf_counter()


def say(text: str) -> None:
    """Print what comes next, with the time since the start."""
    print(f"  [{time.perf_counter() - start:5.1f} s] {text}", flush=True)


if engine.is_on_disk():
    print("Loading the engine's loops, which are compiled ...", flush=True)
else:
    print("Compiling the engine's loops, once per machine ...", flush=True)
engine.warm_up(say)
analysis.warm_up(say)
say("ready")
