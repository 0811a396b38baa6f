"""``python -m splinecam_widget.engine``: compile the engine's loops now, with the steps printed."""

import time

from .warmup import warm_up

start = time.perf_counter()
print("Compiling the engine's loops (once per machine) ...", flush=True)
warm_up(lambda text: print(f"  [{time.perf_counter() - start:5.1f} s] {text}", flush=True))
print(f"  [{time.perf_counter() - start:5.1f} s] ready", flush=True)
