"""How long opening and summing up a recording of 1,000,000 steps takes. A script, not a test.

    python -m tests.benchmarks.open_large [--steps N] [--step-ms MS] [--windows N] [--keep FILE]

Prints one line a query: the first call on a fresh connection, and a second one (what a live view
pays at each refresh).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from fwtop.queries import devices, host, log, operators, steps
from fwtop.recording.store import Recording, open_recording
from fwtop.summary import gather, summarize, to_json
from tests.recordings import MS, Spec, build

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


def main() -> int:
    """Build (or reuse) the recording and time each query."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--step-ms", type=float, default=10)
    parser.add_argument("--windows", type=int, default=500)
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.keep or Path(folder) / "large.fwtop"
        if not path.exists():
            start = time.perf_counter()
            build(
                path,
                Spec(
                    steps=arguments.steps,
                    step_ns=int(arguments.step_ms * MS),
                    windows=arguments.windows,
                ),
            )
            print(f"built in {time.perf_counter() - start:.1f} s")
        print(f"{path.stat().st_size / 1e6:.0f} MB")
        measure(path)
    return 0


def measure(path: Path) -> None:
    """One line a query."""
    start = time.perf_counter()
    open_recording(path).close()
    print(f"{'open':<30}{(time.perf_counter() - start) * 1e3:9.1f} ms")
    for name, query in QUERIES.items():
        with open_recording(path) as recording:
            took = []
            for _ in range(2):
                start = time.perf_counter()
                query(recording)
                took.append((time.perf_counter() - start) * 1e3)
        print(f"{name:<30}{took[0]:9.1f} ms, again {took[1]:9.1f} ms")


if __name__ == "__main__":
    sys.exit(main())
