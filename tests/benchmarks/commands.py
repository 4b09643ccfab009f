"""The commands that benchmarks time: fwtop as it is installed beside this interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

FWTOP = str(Path(sys.executable).with_name("fwtop"))
SCRIPTS = Path(__file__).parent / "scripts"


def environment(folder: Path, **extra: str) -> dict[str, str]:
    """Places of the benchmark's own, and no settings of the user's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FWTOP_")}
    kept.pop("PYTHONPATH", None)
    return {
        **kept,
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        **extra,
    }


def record(path: Path, *options: str) -> list[str]:
    """`fwtop record` into `path`, with the script to follow."""
    path.unlink(missing_ok=True)
    return [FWTOP, "record", "--quiet", "-o", str(path), "--python", sys.executable, *options]


def timed(argv: list[str], environ: Mapping[str, str], timeout_s: float = 900) -> float:
    """Seconds from start to end. Raises CalledProcessError with what the command said."""
    started = time.perf_counter()
    subprocess.run(
        argv, env=dict(environ), check=True, capture_output=True, timeout=timeout_s, text=True
    )
    return time.perf_counter() - started


def favour(pid: int) -> None:
    """Give a process's session the niceness of this process: Linux weighs sessions by their own,
    where it groups processes by session, and a process's counts within its session alone."""
    niceness = os.getpriority(os.PRIO_PROCESS, 0)
    group = Path(f"/proc/{pid}/autogroup")
    if niceness and group.exists():
        group.write_text(str(niceness))
