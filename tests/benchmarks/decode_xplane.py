"""Speed of reading and aggregating XPlane windows, in events (of every line) a second on one core.

BERT on several GPUs (../shared/traces), whose names are many for its events, and small real
windows as a run has them, one after the other with the same names: the first is given apart,
because it fills the caches. CPU time, so that others on the machine disturb less.

    python -m tests.benchmarks.decode_xplane     prints a table of medians
"""

from __future__ import annotations

import argparse
import gzip
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from fwtop.analysis.window import figures
from fwtop.traces.xplane import read
from tests.benchmarks import outcome
from tests.shared_traces import BERT_XPLANE, FOLDER
from tests.traces.xplane_files import DATA

BAR_EVENTS_PER_S = 300_000
REPEATS = 15
SMALL = ("keras-fit", "tf-function", "eager")


@dataclass
class Timing:
    """CPU seconds of each repetition, for one file."""

    name: str
    events: int = 0
    decode_s: list[float] = field(default_factory=list)
    aggregate_s: list[float] = field(default_factory=list)

    @property
    def both_s(self) -> list[float]:
        """Decoding and aggregating together, without the first."""
        return [a + b for a, b in zip(self.decode_s, self.aggregate_s, strict=True)][1:]


def measure(options: argparse.Namespace) -> outcome.Outcome:
    """The table as figures: nanoseconds an event, so that less is better."""
    timings = _timings(3 if options.quick else REPEATS)
    bar = 1e9 / BAR_EVENTS_PER_S
    return outcome.Outcome(
        "decode_xplane",
        "Reading an XPlane window from a plain file and aggregating it, CPU time on one core",
        [
            outcome.figure(
                f"{timing.name}, an event",
                "ns",
                [1e9 * seconds / timing.events for seconds in timing.both_s],
                bar,
                f"{timing.events / median(timing.both_s):,.0f} events/s",
            )
            for timing in timings
        ],
        {"events": {timing.name: timing.events for timing in timings}},
    )


def main() -> int:
    """Print a line a file; 1 if one is under the bar."""
    print(f"{'window':24}{'events':>8}{'first':>11}{'decode':>11}{'aggregate':>11}{'both':>11}")
    missed = False
    for timing in _timings(REPEATS):
        first = timing.events / (timing.decode_s[0] + timing.aggregate_s[0])
        rates = [
            timing.events / median(seconds)
            for seconds in (timing.decode_s[1:], timing.aggregate_s[1:], timing.both_s)
        ]
        missed |= rates[2] < BAR_EVENTS_PER_S
        columns = "".join(f"{rate:>11,.0f}" for rate in (first, *rates))
        print(f"{timing.name:24}{timing.events:>8,}{columns}")
    return int(missed)


def _timings(repeats: int) -> list[Timing]:
    """By turns: each file once, then each once more."""
    with TemporaryDirectory() as name:
        timings = [(Timing(path.name.partition(".")[0]), path) for path in _windows(Path(name))]
        for _ in range(repeats + 1):
            for timing, path in timings:
                begun = time.process_time()
                trace = read(path, details=False)
                decoded = time.process_time()
                figures(trace, [])
                timing.aggregate_s.append(time.process_time() - decoded)
                timing.decode_s.append(decoded - begun)
                timing.events = trace.event_count
        return [timing for timing, _ in timings]


def _windows(folder: Path) -> Iterator[Path]:
    if (FOLDER / BERT_XPLANE).is_file():
        yield FOLDER / BERT_XPLANE
    for name in SMALL:
        path = folder / f"{name}.xplane.pb"
        path.write_bytes(gzip.decompress((DATA / f"{name}.xplane.pb.gz").read_bytes()))
        yield path


if __name__ == "__main__":
    sys.exit(main())
