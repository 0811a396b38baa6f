"""Programs from the distribution's packages (Debian and its relatives).

    python3 scripts/debian.py COMMAND PACKAGE

sees to it that COMMAND is on PATH, installing PACKAGE when that is possible. Standard library only: this runs before
any environment exists.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys


def main() -> int:
    command, package = sys.argv[1:3]
    if shutil.which(command):
        return 0
    if install(package) and shutil.which(command):
        return 0
    print(
        f"setup: `{command}` is not on PATH; install it first, e.g. `apt-get install {package}` as root",
        file=sys.stderr,
    )
    return 1


def install(package: str) -> bool:
    """Install one package without asking; False when this user or system cannot, or apt fails."""
    prefix = privilege()
    if shutil.which("apt-get") is None or prefix is None:
        return False
    if not has_candidate(package):
        print("setup: reading the list of distribution packages", flush=True)
        run([*prefix, "apt-get", "update", "-q"], quiet=True)
    print(f"setup: installing the distribution's package {package}", flush=True)
    return run(
        [
            *prefix,
            "apt-get",
            "install",
            "-y",
            "-q",
            "--no-install-recommends",
            "-o",
            "DPkg::Lock::Timeout=300",
            package,
        ],
        quiet=True,
    )


def privilege() -> list[str] | None:
    """What to put before a command to run it as root, None when that needs a password."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") and run(["sudo", "-n", "true"], quiet=True):
        return ["sudo", "-n"]
    return None


def has_candidate(package: str) -> bool:
    """Whether apt knows a version of the package (its lists may be empty on a new machine)."""
    done = subprocess.run(["apt-cache", "policy", package], check=False, capture_output=True, text=True)
    return any("Candidate:" in line and "(none)" not in line for line in done.stdout.splitlines())


def run(command: list[str], *, quiet: bool) -> bool:
    """Run a command without standard input; print its output only when it fails and is not expected to."""
    done = subprocess.run(
        command,
        check=False,
        stdin=subprocess.DEVNULL,
        text=True,
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
    )
    if done.returncode and "apt-get" in command:
        print(*(done.stdout or "").splitlines()[-5:], sep="\n", file=sys.stderr)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
