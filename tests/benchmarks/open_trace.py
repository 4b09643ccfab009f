"""Opening a Kineto trace of 1 GB: a real one repeated, with times, ids and steps moved on.

`fwtop import` as a command, from start to end: reading, all figures, the recording; with its peak
memory, and what it said of its progress meanwhile.
"""

from __future__ import annotations

import argparse
import gzip
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.commands import FWTOP, environment
from tests.benchmarks.outcome import Outcome, figure
from tests.shared_traces import DIFF_CONTROL, FOLDER

BAR_S = 20
BAR_BYTES = 1.5e9
_NUMBERS = re.compile(rb'("(?:ts|correlation|External id|id)": |ProfilerStep#)(\d+)')
_SPAN_US = 600_000
_STEPS = 6
_IDS = 5_000_000


def configure(parser: argparse.ArgumentParser) -> None:
    """How large."""
    parser.add_argument("--trace-bytes", type=float, default=1e9)


def measure(options: argparse.Namespace) -> Outcome:
    """The same file, several times."""
    size = 1e8 if options.quick else options.trace_bytes
    rounds = 2 if options.quick else 5
    taken, peaks, told = [], [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trace = repeat(FOLDER / DIFF_CONTROL, folder / "large.json", int(size))
        for number in range(rounds):
            target = folder / f"{number}.fwtop"
            argv = [FWTOP, "import", str(trace), "-o", str(target), "--trace-budget", "0"]
            seconds, peak_bytes, lines = _run(argv, environment(folder))
            taken.append(seconds)
            peaks.append(peak_bytes)
            told.append(sum("reading" in line for line in lines))
        exact = trace.stat().st_size
    whole = not options.quick and size >= 1e9
    return Outcome(
        "open_trace",
        f"`fwtop import` of a Kineto trace of {exact / 1e9:.2f} GB, {rounds} times",
        [
            figure("from start to end", "s", taken, BAR_S if whole else None),
            figure("peak memory", "MB", [peak / 1e6 for peak in peaks],
                   BAR_BYTES / 1e6 if whole else None),
            figure("lines of progress", "", told),
        ],
        {"bytes": exact},
    )  # fmt: skip


def repeat(source: Path, target: Path, size_bytes: int) -> Path:
    """As many copies of a trace one after the other as `size_bytes` take, as one trace."""
    text = gzip.decompress(source.read_bytes())
    mark = b'"traceEvents": ['
    begin, end = text.index(mark) + len(mark), text.rindex(b"]")
    body = text[begin:end].strip()
    with target.open("wb") as file:
        file.write(text[:begin])
        number = 0
        while number == 0 or file.tell() < size_bytes:
            file.write((b",\n" if number else b"\n") + _moved(body, number))
            number += 1
        file.write(text[end:])
    return target


def _moved(body: bytes, copy: int) -> bytes:
    by = {b'"ts": ': _SPAN_US * copy, b"ProfilerStep#": _STEPS * copy}

    def move(found: re.Match[bytes]) -> bytes:
        return b"%b%d" % (found[1], int(found[2]) + by.get(found[1], _IDS * copy))

    return _NUMBERS.sub(move, body)


def _run(argv: list[str], environ: dict[str, str]) -> tuple[float, int, list[str]]:
    """Seconds, peak bytes of memory and lines of stderr. Raises RuntimeError if it failed."""
    started = time.perf_counter()
    process = subprocess.Popen(
        argv, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    lines = process.stderr.read().splitlines()
    _, status, usage = os.wait4(process.pid, 0)
    taken = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{argv} ended with {process.returncode}: {lines[-3:]}")
    return taken, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024), lines
