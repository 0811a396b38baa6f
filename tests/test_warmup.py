"""Warming up compiles the loops, leaves random numbers alone, and may be asked for from several threads."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
import torch
from numba.core.registry import cpu_target

from splinecam_widget.engine import warmup


def test_is_warm_afterwards_and_says_what_it_does_once() -> None:
    told: list[str] = []
    before = torch.get_rng_state()
    threads = [threading.Thread(target=warmup.warm_up, args=(told.append,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warmup.is_warm()
    assert torch.equal(torch.get_rng_state(), before)
    assert len(told) == len(set(told))
    told.clear()
    warmup.warm_up(told.append)
    assert not told


class Kept:
    """Stands for a compiled loop with what numba keeps of it."""

    def __init__(self, keys: list[tuple[str, object]]) -> None:
        self._cache = self._cache_file = self
        self.keys = keys

    def _load_index(self) -> dict[tuple[str, object], str]:
        return dict.fromkeys(self.keys, "file")


def test_what_is_kept_for_another_source_or_processor_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    warmup.warm_up()
    assert warmup.is_on_disk()
    here = cpu_target.target_context.codegen().magic_tuple()
    for kernel, expected in [(Kept([("s", here)]), True), (Kept([]), False), (Kept([("s", "another")]), False), (None, False)]:
        monkeypatch.setattr(warmup._cell_kernel, "split_cells", kernel)
        assert warmup.is_on_disk() == expected


TRACE_MEANWHILE = """
import threading
import time
import torch
from splinecam_widget.engine.lowering import lower
from splinecam_widget.engine.warmup import warm_up

failures = []
threading.excepthook = lambda args: failures.append(args.exc_value)
warming = threading.Thread(target=warm_up)

class Slow(torch.nn.Module):
    def forward(self, x):
        if not warming.ident:
            warming.start()
        time.sleep(1.0)
        return torch.relu(x)

lower(Slow(), (2,))
warming.join()
assert not failures, failures
"""


@pytest.mark.slow
def test_a_trace_in_another_thread_does_not_reach_the_compiler() -> None:
    done = subprocess.run([sys.executable, "-c", TRACE_MEANWHILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


UNLOADED = """
import importlib, pathlib, pkgutil, re
import splinecam_widget.engine
from splinecam_widget.engine.warmup import warm_up

warm_up()
folder = pathlib.Path(splinecam_widget.engine.__file__).parent
text = "".join(path.read_text() for path in folder.glob("[!_]*.py"))
for module in pkgutil.iter_modules([str(folder)]):
    if module.name.startswith("_") and module.name != "__main__":
        kernels = importlib.import_module(f"splinecam_widget.engine.{module.name}")
        for name, kernel in vars(kernels).items():
            is_called = re.search(rf"{module.name}\\.{name}\\b", text)
            if is_called and hasattr(kernel, "signatures") and not kernel.signatures:
                print(f"{module.name}.{name}")
"""

LATER = {"_dissolving_kernels.piece_hashes", "_edge_tie_kernels.edges_at_level"}
"""Of approximated activations, and of level sets, which no widget computes."""


@pytest.mark.slow
def test_no_loop_is_left_to_be_compiled_while_a_model_is_traced() -> None:
    done = subprocess.run([sys.executable, "-c", UNLOADED], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= LATER
