"""How long it takes to open a recording of 1,000,000 steps: `fwtop open` until the screen is full.

The whole process is timed, interpreter and imports included, on a terminal, until the first screen
has a figure in each of its panels of figures. What its queries take of that is told with it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from fwtop.queries import devices, host, log, operators, steps
from fwtop.recording.store import Recording, open_recording
from fwtop.summary import gather, summarize, to_json
from tests.benchmarks.commands import FWTOP, environment, timed
from tests.benchmarks.outcome import Outcome, figure
from tests.benchmarks.terminal import OnTerminal
from tests.recordings import MS, Spec, build

BAR_S = 1.5
STEPS, STEP_MS, WINDOWS = 1_000_000, 10, 500
DRAWN = [b" p95", b"349 W", b"of 16 cores", b"cudnn_convolution", b"loss 0.001", b"graph break in"]
"""Steps, GPUs, host, operators, log, findings."""
HOUR_NS = 3_600_000_000_000

QUERIES: dict[str, Callable[[Recording], object]] = {
    "totals": steps.totals,
    "totals until the middle": lambda r: steps.totals(r, until_ns=HOUR_NS),
    "set apart": steps.set_apart,
    "rollups, all": steps.rollups,
    "latest 200 steps": lambda r: steps.latest_steps(r, 200),
    "step at the middle": lambda r: steps.step_at(r, HOUR_NS),
    "operators": operators.operators,
    "device history, 200 points": lambda r: devices.history(r, 1, 0, 1 << 62, 200),
    "throttled": devices.throttled,
    "host history, 200 points": lambda r: host.history(r, 0, 1 << 62, 200),
    "log before the middle": lambda r: log.chunks_before(r, HOUR_NS, 65536),
    "all that findings need": gather,
    "summary": summarize,
    "summary as JSON": lambda r: to_json(summarize(r)),
}


def measure(options: argparse.Namespace) -> Outcome:
    """The screen, and the summary as a command, by turns."""
    rounds = 3 if options.quick else 9
    screen_s, summary_s = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "large.fwtop"
        build(path, Spec(steps=STEPS, step_ns=STEP_MS * MS, windows=WINDOWS))
        environ = environment(folder)
        for _ in range(rounds):
            with OnTerminal([FWTOP, "open", str(path)], environ) as screen:
                screen_s.append(screen.drawn(DRAWN))
            summary_s.append(timed([FWTOP, "summary", str(path), "--json"], environ))
        return Outcome(
            "open_large",
            f"`fwtop open` of a recording of {STEPS:,} steps and {WINDOWS} windows, "
            f"{rounds} times by turns with its summary",
            [
                figure("first screen with all figures", "s", screen_s, BAR_S),
                figure("`fwtop summary --json`", "s", summary_s),
            ],
            {"bytes": path.stat().st_size, "queries_ms": queries_ms(path)},
        )


def queries_ms(path: Path) -> dict[str, list[float]]:
    """Each query's first call on a fresh connection, and a second one, as a live view repeats."""
    taken: dict[str, list[float]] = {}
    for name, query in QUERIES.items():
        with open_recording(path) as recording:
            for _ in range(2):
                began_s = time.perf_counter()
                query(recording)
                taken_ms = 1e3 * (time.perf_counter() - began_s)
                taken.setdefault(name, []).append(round(taken_ms, 2))
    return taken
