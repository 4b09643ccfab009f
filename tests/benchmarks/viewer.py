"""What the viewer costs: bytes a second to the terminal, CPU, and the time to its first paint.

Runs the real application under a pty on a recording that grows as a live one does (steps, readings,
a progress bar, windows and compiles now and then), in several runs:

    python -m tests.benchmarks.viewer [--runs 3] [--seconds 20] [--size 120x40] [--plain]

`--plain` switches the front buffer off, to compare. Prints each figure with its spread.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

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


@dataclass
class Result:
    """One run."""

    bytes_per_s: float
    cpu_ratio: float
    first_paint_s: float
    rss_mib: float


def measure(size: tuple[int, int], seconds: float, plain: bool) -> Result:
    """One viewer on one growing recording."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.fwtop"
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        )
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline().strip() == "ready"
            return _viewer(path, size, seconds, plain)
        finally:
            writer.kill()
            writer.wait()


def _viewer(path: Path, size: tuple[int, int], seconds: float, plain: bool) -> Result:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color"}
    environment.pop("COLORTERM", None)
    environment.pop("NO_COLOR", None)
    started = time.monotonic()
    viewer = subprocess.Popen(
        [sys.executable, "-c", VIEWER, str(path), "plain" if plain else "diff"],
        stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    try:
        painted = _read_until(master, b"p95", 20.0) - started
        process = psutil.Process(viewer.pid)
        _read_for(master, 3.0)
        before, at = process.cpu_times(), time.monotonic()
        count = _read_for(master, seconds)
        after, length = process.cpu_times(), time.monotonic() - at
        cpu = after.user + after.system - before.user - before.system
        return Result(count / length, cpu / length, painted, process.memory_info().rss / (1 << 20))
    finally:
        viewer.kill()
        viewer.wait()
        os.close(master)


def _read_until(master: int, wanted: bytes, limit_s: float) -> float:
    seen = b""
    end = time.monotonic() + limit_s
    while wanted not in seen and time.monotonic() < end:
        if select.select([master], [], [], 0.1)[0]:
            seen += os.read(master, 65536)
    if wanted not in seen:
        raise SystemExit(f"the viewer painted nothing:\n{seen[-3000:].decode(errors='replace')}")
    return time.monotonic()


def _read_for(master: int, seconds: float) -> int:
    count = 0
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([master], [], [], left)[0]:
            count += len(os.read(master, 65536))
    return count


def spread(values: list[float]) -> str:
    """`median (least..most)`."""
    ordered = sorted(values)
    return f"{ordered[len(ordered) // 2]:10.2f}  ({ordered[0]:.2f} .. {ordered[-1]:.2f})"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--size", default="120x40")
    parser.add_argument("--plain", action="store_true")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    results = [
        measure((width, height), options.seconds, options.plain) for _ in range(options.runs)
    ]
    print(f"viewer at {options.size}, {options.runs} runs of {options.seconds:g} s"
          f"{', front buffer off' if options.plain else ''}: median (least .. most)")  # fmt: skip
    print("bytes/s to the terminal", spread([r.bytes_per_s for r in results]))
    print("CPU, % of a core       ", spread([r.cpu_ratio * 100 for r in results]))
    print("first paint, s         ", spread([r.first_paint_s for r in results]))
    print("memory, MiB            ", spread([r.rss_mib for r in results]))


if __name__ == "__main__":
    main()
