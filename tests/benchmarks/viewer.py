"""What the viewer costs: bytes a second to the terminal, CPU, and the time to its first paint.

Runs the real application on a terminal, on a recording that grows as a live one does (steps,
readings, a progress bar, windows and compiles now and then). `--viewer-plain` switches the front
buffer off, to compare.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.benchmarks.commands import environment
from tests.benchmarks.outcome import Outcome, figure
from tests.benchmarks.terminal import OnTerminal

SETTLE_S = 3.0
WRITER = """
import sys
import time
from pathlib import Path
from tests import recordings
builder = recordings.Builder(
    Path(sys.argv[1]), recordings.Spec(state="running", step_ns=23_000_000)
)
builder.add_compile()
builder.add_steps(2000)
for _ in range(5):
    builder.add_window()
    builder.add_steps(50)
started = time.monotonic_ns() - builder.now_ns
builder._db.execute("UPDATE run SET started_monotonic_ns = ?", (started,))
builder.commit()
print("ready", flush=True)
start, begun, beat = time.monotonic_ns(), builder.now_ns, 0
while True:
    time.sleep(0.5)
    beat += 1
    behind = begun + time.monotonic_ns() - start - builder.now_ns
    builder.add_steps(max(1, behind // 23_000_000))
    if beat % 10 == 0:
        builder.add_window()
    if beat % 4 == 0:
        builder.add_output(f"step {builder.next_index} loss={3 / beat:.4f} lr=3e-4\\r\\n".encode())
"""

VIEWER = """
import sys
from pathlib import Path
from fwtop.run_folder import RunFolder
from fwtop.tui import app, terminal_app
if sys.argv[2] == "plain":
    terminal_app.diffed = lambda update, buffer: update
app.view(Path(sys.argv[1]), RunFolder(Path(sys.argv[1]).parent))
"""


@dataclass(frozen=True)
class Run:
    """One run."""

    bytes_per_s: float
    cpu_ratio: float
    first_paint_s: float
    rss_mib: float


def configure(parser: argparse.ArgumentParser) -> None:
    """How long, and what of."""
    parser.add_argument("--viewer-seconds", type=float, default=20.0)
    parser.add_argument("--viewer-size", default="120x40")
    parser.add_argument("--viewer-plain", action="store_true")


def measure(options: argparse.Namespace) -> Outcome:
    """Several viewers, one after the other."""
    width, height = map(int, options.viewer_size.split("x"))
    seconds = 4.0 if options.quick else options.viewer_seconds
    count = 2 if options.quick else 5
    plain = options.viewer_plain
    runs = [_run((width, height), seconds, plain) for _ in range(count)]
    return Outcome(
        "viewer",
        f"a live run's viewer at {width}x{height}, {count} runs of {seconds:g} s"
        + (", front buffer off" if plain else ""),
        [
            figure("to the terminal", "bytes/s", [run.bytes_per_s for run in runs]),
            figure("CPU of a core", "%", [100 * run.cpu_ratio for run in runs]),
            figure("first paint", "s", [run.first_paint_s for run in runs]),
            figure("memory", "MiB", [run.rss_mib for run in runs]),
        ],
    )


def _run(size: tuple[int, int], seconds: float, plain: bool) -> Run:
    """One viewer on one growing recording."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.fwtop"
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        )
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline().strip() == "ready"
            argv = [sys.executable, "-c", VIEWER, str(path), "plain" if plain else "diff"]
            with OnTerminal(argv, environment(Path(folder)), size) as screen:
                return _watch(screen, seconds)
        finally:
            writer.kill()
            writer.wait()


def _watch(screen: OnTerminal, seconds: float) -> Run:
    painted_s = screen.drawn([b"p95"])
    process = psutil.Process(screen.process.pid)
    screen.read_for(SETTLE_S)
    before, at = process.cpu_times(), time.perf_counter()
    count = screen.read_for(seconds)
    after, length_s = process.cpu_times(), time.perf_counter() - at
    cpu_s = after.user + after.system - before.user - before.system
    rss_mib = process.memory_info().rss / (1 << 20)
    return Run(count / length_s, cpu_s / length_s, painted_s, rss_mib)
