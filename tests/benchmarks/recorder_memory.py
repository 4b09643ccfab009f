"""The recorder's memory and the recording's size over a long stream of steps.

A day at 1,000 steps a second is 86 million steps; this sends as many as it is told, as fast as they
are taken. What matters is that memory does not grow with them: the second half's peak is compared
with the first half's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from tests.benchmarks.commands import SCRIPTS, environment, record
from tests.benchmarks.outcome import Outcome, figure

BAR_BYTES = 200e6
BAR_BYTES_A_STEP = 100
BAR_GROWTH = 1.1


def configure(parser: argparse.ArgumentParser) -> None:
    """How many steps."""
    parser.add_argument("--stream-steps", type=int, default=10_000_000)


def measure(options: argparse.Namespace) -> Outcome:
    """One stream, with the recorder's resident memory read four times a second."""
    count = 300_000 if options.quick else options.stream_steps
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        temporary = tempfile.mkdtemp(prefix="fw", dir="/tmp")  # sockets need a short path
        environ = environment(folder, TMPDIR=temporary)
        path = folder / "run.fwtop"
        script = [sys.executable, "-S", str(SCRIPTS / "step_stream.py"), str(count)]
        started = time.monotonic()
        process = subprocess.Popen([*record(path, "--interval", "10"), "--", *script], env=environ)
        resident = watch(process, Path(temporary) / f"fwtop-{os.getuid()}")
        if process.returncode:
            raise RuntimeError(f"fwtop record ended with {process.returncode}")
        taken_s = time.monotonic() - started
        size = path.stat().st_size
    half = len(resident) // 2
    growth = max(resident[half:]) / max(resident[:half])
    return Outcome(
        "recorder_memory",
        f"{count:,} steps in {taken_s:.0f} s: {count / taken_s:,.0f} steps a second",
        [
            figure("recorder's memory, peak", "MB", [max(resident) / 1e6], BAR_BYTES / 1e6),
            figure("peak of the second half / of the first", "x", [growth], BAR_GROWTH),
            figure("recording", "bytes a step", [size / count], BAR_BYTES_A_STEP),
            figure("steps taken", "1/s", [count / taken_s]),
        ],
        {"resident_mb": [round(value / 1e6, 1) for value in resident[:: max(1, half // 100)]]},
    )


def watch(process: subprocess.Popen[bytes], runs: Path) -> list[int]:
    """The recorder's resident memory from its start to its end, in bytes."""
    recorder: psutil.Process | None = None
    readings = []
    while process.poll() is None:
        time.sleep(0.25)
        try:
            if recorder is None:
                (told,) = runs.glob("*/recorder.json")
                recorder = psutil.Process(json.loads(told.read_text())["pid"])
            readings.append(recorder.memory_info().rss)
        except (ValueError, psutil.Error):
            continue
    return readings
