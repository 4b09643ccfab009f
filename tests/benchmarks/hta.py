"""Opening a Kineto trace to its temporal breakdown, against HolisticTraceAnalysis, by turns.

Each measures itself in a process of its own: from the call that opens the file to the breakdown,
without imports, and the process's peak memory. Neither keeps shapes and stacks (fwtop's `details`,
HTA's default arguments). HolisticTraceAnalysis lives in a virtual environment that is made here.
Beside them, `fwtop summary` as a command: all figures, start to end.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

from tests.benchmarks.commands import FWTOP, environment, timed
from tests.benchmarks.outcome import Outcome, figure
from tests.shared_traces import DIFF_CONTROL, FOLDER

VERSION = "0.5.0"
BAR_TIME_RATIO = 0.1
BAR_MEMORY_RATIO = 0.5
_MEASURE = """
import json, resource, sys, time
from pathlib import Path
{imports}
started = time.perf_counter()
{opens}
taken = time.perf_counter() - started
status = Path("/proc/self/status")
if status.exists():  # ru_maxrss has that of the process that started this one in it
    peak = next(int(line.split()[1]) for line in status.open() if line.startswith("VmHWM"))
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print("RESULT", json.dumps({{"open_s": taken, "peak_bytes": peak * {unit}}}))
"""
_UNIT = 1 if sys.platform == "darwin" else 1024
_OURS = _MEASURE.format(
    imports="""
from fwtop.analysis.temporal import breakdown
from fwtop.analysis.window import launches
from fwtop.traces.kineto import read
""",
    opens="""
trace = read(Path(sys.argv[1]), details=False)
breakdown(trace.device_events, launches(trace))
""",
    unit=_UNIT,
)
_THEIRS = _MEASURE.format(
    imports="from hta.trace_analysis import TraceAnalysis",
    opens="""
analysis = TraceAnalysis(trace_files={0: sys.argv[1]}, trace_dir="/")
analysis.get_temporal_breakdown(visualize=False)
""",
    unit=_UNIT,
)


def measure(options: argparse.Namespace) -> Outcome:
    """By turns, on the shared trace of 109,123 rows."""
    rounds = 3 if options.quick else 9
    trace = str(FOLDER / DIFF_CONTROL)
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    commands: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = install(folder / "hta")
        environ = environment(folder)
        for _ in range(rounds):
            theirs.append(_run([python, "-c", _THEIRS, trace]))
            ours.append(_run([sys.executable, "-c", _OURS, trace]))
            commands.append(timed([FWTOP, "summary", trace, "--json"], environ))
    pairs = list(zip(ours, theirs, strict=True))
    return Outcome(
        "hta",
        f"{DIFF_CONTROL} opened to its temporal breakdown, {rounds} times by turns with "
        f"HolisticTraceAnalysis {VERSION}",
        [
            figure("fwtop's time over HTA's", "", [a["open_s"] / b["open_s"] for a, b in pairs],
                   BAR_TIME_RATIO),
            figure("fwtop's peak memory over HTA's", "",
                   [a["peak_bytes"] / b["peak_bytes"] for a, b in pairs], BAR_MEMORY_RATIO),
            figure("fwtop", "s", [one["open_s"] for one in ours]),
            figure("HTA", "s", [one["open_s"] for one in theirs]),
            figure("fwtop, memory", "MB", [one["peak_bytes"] / 1e6 for one in ours]),
            figure("HTA, memory", "MB", [one["peak_bytes"] / 1e6 for one in theirs]),
            figure("`fwtop summary` as a command, all figures", "s", commands),
        ],
    )  # fmt: skip


def install(folder: Path) -> str:
    """HolisticTraceAnalysis in an environment of its own: its python. Raises CalledProcessError."""
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    wanted = f"HolisticTraceAnalysis=={VERSION}"
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", wanted], check=True, capture_output=True
    )
    return python


def _run(argv: list[str]) -> dict[str, Any]:
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    result: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
    return result
