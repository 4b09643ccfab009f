"""Speed of reading and analysing trace windows, in events (rows of the file) a second on one core.

CPU windows that torch makes on the spot (plain and deep) and the shared traces, each read from a
plain file. json.loads of the same bytes is timed in turn with ours, so that a noisy machine
disturbs both alike; their ratio is the steadier figure. Times are the process's CPU time.

    python -m tests.benchmarks.decode [FILE…]     prints a table of medians
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from fwtop.analysis.window import figures
from fwtop.traces.kineto import read
from tests.benchmarks import outcome
from tests.shared_traces import DIFF_CONTROL, DIFF_TEST, FOLDER, NCCL, RESNET50

BAR_EVENTS_PER_S = 500_000
REPEATS = 9
PLAIN = "cpu-plain.json"
_MAKE_WINDOW = """
import sys
import torch
from torch.profiler import ProfilerActivity, profile
path, deep = sys.argv[1], sys.argv[2] == "deep"
torch.set_num_threads(1)
blocks = [torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.LayerNorm(64), torch.nn.ReLU())
          for _ in range(20)]
model = torch.nn.Sequential(*blocks, torch.nn.Linear(64, 10))
optimizer = torch.optim.Adam(model.parameters(), foreach=False)
def step():
    loss = torch.nn.functional.cross_entropy(model(torch.randn(32, 64)), torch.zeros(32).long())
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
step()
with profile(activities=[ProfilerActivity.CPU], record_shapes=deep, profile_memory=deep,
             with_stack=deep, with_modules=deep) as profiler:
    for _ in range(5):
        step()
profiler.export_chrome_trace(path)
"""


@dataclass(frozen=True)
class Timing:
    """CPU seconds of each repetition, for one file."""

    name: str
    events: int
    decode_s: list[float]
    aggregate_s: list[float]
    json_s: list[float]

    @property
    def both_s(self) -> list[float]:
        """Decoding and aggregating together."""
        return [a + b for a, b in zip(self.decode_s, self.aggregate_s, strict=True)]


def measure(options: argparse.Namespace) -> outcome.Outcome:
    """The table as figures: nanoseconds an event, so that less is better."""
    timings = _timings([], 3 if options.quick else REPEATS)
    figures_of = []
    for timing in timings:
        bar = 1e9 / BAR_EVENTS_PER_S if timing.name == PLAIN else None
        each = [1e9 * seconds / timing.events for seconds in timing.both_s]
        rate = timing.events / median(timing.both_s)
        note = f"{rate:,.0f} events/s; json.loads alone takes {_json_ratio(timing):.2f} times that"
        figures_of.append(outcome.figure(f"{timing.name}, an event", "ns", each, bar, note))
    return outcome.Outcome(
        "decode",
        "Reading a Kineto window from a plain file and aggregating it, on one core",
        figures_of,
        {"events": {timing.name: timing.events for timing in timings}},
    )


def main(names: list[str]) -> int:
    """Print a line a file; 1 if the plain CPU window is under the bar."""
    print(f"{'window':34}{'events':>9}{'decode':>11}{'aggregate':>11}{'both':>11}{'x json':>8}")
    missed = False
    for timing in _timings([Path(name) for name in names], REPEATS):
        rates = [
            timing.events / median(seconds)
            for seconds in (timing.decode_s, timing.aggregate_s, timing.both_s)
        ]
        missed |= timing.name == PLAIN and rates[2] < BAR_EVENTS_PER_S
        columns = "".join(f"{rate:>11,.0f}" for rate in rates)
        print(f"{timing.name[:33]:34}{timing.events:>9,}{columns}{_json_ratio(timing):>8.2f}")
    return int(missed)


def _json_ratio(timing: Timing) -> float:
    return median(timing.json_s) / median(timing.both_s)


def _timings(files: list[Path], repeats: int) -> list[Timing]:
    with TemporaryDirectory() as name:
        folder = Path(name)
        chosen = files or list(_windows(folder))
        return [_time(_inflated(path, folder), repeats) for path in chosen]


def _time(path: Path, repeats: int) -> Timing:
    data = path.read_bytes()
    timing = Timing(path.name, read(path).event_count, [], [], [])
    for _ in range(repeats):
        timing.json_s.append(_timed(lambda: json.loads(data))[0])
        taken, trace = _timed(lambda: read(path))
        timing.decode_s.append(taken)
        timing.aggregate_s.append(_timed(lambda trace=trace: figures(trace, []))[0])
    return timing


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = call()
    return time.process_time() - start, result


def _windows(folder: Path) -> Iterator[Path]:
    for kind in ("plain", "deep"):
        path = folder / f"cpu-{kind}.json"
        made = subprocess.run(
            [sys.executable, "-c", _MAKE_WINDOW, str(path), kind], capture_output=True, check=False
        )
        if made.returncode == 0:
            yield path
        else:
            print(f"no {kind} window: torch is not here", file=sys.stderr)
    yield from (FOLDER / n for n in (NCCL, RESNET50, DIFF_CONTROL, DIFF_TEST) if _there(n))


def _there(name: str) -> bool:
    return (FOLDER / name).is_file()


def _inflated(path: Path, folder: Path) -> Path:
    if path.suffix != ".gz":
        return path
    plain = folder / path.stem
    plain.write_bytes(gzip.decompress(path.read_bytes()))
    return plain


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
