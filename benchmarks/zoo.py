"""The models of tests/zoo.py: size, cells and linear regions of one slice, seconds, and what the certificate says.

    python benchmarks/zoo.py

Prints a Markdown table and writes it to docs/zoo.md.
"""

from __future__ import annotations

import sys
import time

import machine
import torch

sys.path.insert(0, str(machine.ROOT / "tests"))

from splinecam_widget import compute_partition
from splinecam_widget.engine.lowering import lower
from zoo import ZOO

HEAD = ("model", "parameters", "kinks", "cells", "linear regions", "read", "partition", "certificate", "residual", "sound")


def main() -> int:
    lines = ["| " + " | ".join(HEAD) + " |", "| --- |" + " ---: |" * (len(HEAD) - 1)]
    print("\n".join(lines), flush=True)
    for name, entry in ZOO.items():
        model = entry.model()
        started = time.perf_counter()
        network = lower(model, entry.shape)
        read = time.perf_counter()
        partition = compute_partition(network, entry.plane())
        computed = time.perf_counter()
        certificate = partition.certificate(full=True)
        checked = time.perf_counter()
        n = sum(p.numel() for p in model.parameters()) if isinstance(model, torch.nn.Module) else 0
        row = (
            name, f"{n:,}", str(len(network.kinks)), f"{partition.n_cells:,}", f"{partition.n_regions:,}",
            f"{read - started:.1f} s", f"{computed - read:.2f} s", f"{checked - computed:.1f} s",
            f"{certificate.residual:.0e}", "yes" if certificate.is_sound else "no",
        )
        lines.append("| " + " | ".join(row) + " |")
        print(lines[-1], flush=True)
    where = machine.sentence(machine.description())
    (machine.ROOT / "docs" / "zoo.md").write_text(f"""# Models that were tried

One slice each, small enough that the certificate can check every cell against the model itself in float64. `residual` is
the largest difference between the model and the cells' affine maps, relative to the largest output. Printed by `make zoo`.

{chr(10).join(lines)}

{where}
""")
    return 0


if __name__ == "__main__":
    sys.exit(main())
