"""What `--overhead 0` costs a step of about 5 ms, with fwtop's hooks in and out by turns.

`overhead` compares processes, which differ by a percent or more whatever watches them; this one
looks within a process, and can tell a tenth of a percent (see scripts/turns.py). What it says of a
script without fwtop is the method's error.

The hooks' part is the ratio of the mean steps, with a bootstrap interval. fwtop's thread is given
twice: on the script's own core all of its CPU time is added to the steps; on another core, which it
has wherever there are two, only how much longer those steps take within which it works, for it
holds Python's lock meanwhile. Each of the two sums has the bar.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.benchmarks import ratios
from tests.benchmarks.alternation import Command, started
from tests.benchmarks.commands import SCRIPTS, environment, record
from tests.benchmarks.outcome import Figure, Outcome, figure
from tests.benchmarks.overhead import BARS, LARGE_PAGES

KINDS = {
    "transformer": ("transformer_steps.py",),
    "fit": ("tensorflow_steps.py", "--kind", "fit"),
    "custom loop": ("tensorflow_steps.py", "--kind", "loop"),
}
LIMIT_S = 1800
LONG = 1.5
"""Steps over so many medians are cut to that: others' work."""


def configure(parser: argparse.ArgumentParser) -> None:
    """How long."""
    parser.add_argument("--by-step-steps", type=int, default=20_000, help="by turns, of each kind")


@dataclass(frozen=True)
class Taken:
    """What one script told (scripts/turns.py)."""

    steps_s: list[float]
    first_in: list[bool]
    ends_s: list[float]
    rounds_s: list[tuple[float, float]]
    thread_s: float
    loss: float


def measure(options: argparse.Namespace) -> Outcome:
    """PyTorch, Keras' loop, a loop by hand; and the first of them without fwtop."""
    count = 2_000 if options.quick else options.by_step_steps
    figures: list[Figure] = []
    for kind, (script, *more) in KINDS.items():
        taken = _run([str(SCRIPTS / script)], more, count, is_watched=True)
        figures += figures_of(kind, taken)
    first, (script, *_) = next(iter(KINDS.items()))
    nothing = hooks(_run([str(SCRIPTS / script)], [], count, is_watched=False))
    figures.append(_ratio(f"{first}: nothing in / nothing out", nothing))
    return Outcome(
        "overhead_by_step",
        f"scripts on one CPU thread, {count:,} steps by turns within one process",
        figures,
    )


def figures_of(kind: str, taken: Taken) -> list[Figure]:
    """Of one script under fwtop."""
    rows = hooks(taken)
    step_s = sum(row.plain for row in rows) / len(rows)
    cpu_s = taken.thread_s / (len(taken.ends_s) - 1)
    delay_s = delay_a_step(taken)
    found = ratios.ratio(rows)
    return [
        figure(f"{kind}: step without hooks", "ms", [1e3 * step_s]),
        _ratio(f"{kind}: hooks in / out, mean step", rows),
        figure(f"{kind}: CPU time of fwtop's thread, a step", "µs", [1e6 * cpu_s]),
        figure(f"{kind}: delay by fwtop's thread on another core, a step", "µs", [1e6 * delay_s]),
        _sum(f"{kind}: fwtop-0 / plain, two cores", found + delay_s / step_s),
        _sum(f"{kind}: fwtop-0 / plain, one core", found + cpu_s / step_s),
    ]


def hooks(taken: Taken) -> list[ratios.Pair]:
    """Of each nine steps those with hooks, and those without, that no switch was right before."""
    most = LONG * statistics.median(taken.steps_s)
    found = []
    for number, first_in in enumerate(taken.first_in):
        nine = [min(step, most) for step in taken.steps_s[9 * number : 9 * number + 9]]
        if len(nine) == 9:
            outer, inner = (nine[1] + nine[7]) / 2, sum(nine[3:6]) / 3
            found.append(ratios.Pair(outer, inner) if first_in else ratios.Pair(inner, outer))
    return found


def delay_a_step(taken: Taken) -> float:
    """Seconds: how much longer a step is for the thread's rounds, spread over all steps."""
    ends = taken.ends_s
    steps = [after - before for before, after in pairwise(ends)]
    most = LONG * statistics.median(steps)
    touched = set()
    for from_s, to_s in taken.rounds_s:
        first, last = bisect_left(ends, from_s), bisect_left(ends, to_s)
        touched.update(range(max(0, first - 1), min(last, len(steps))))
    hit = [min(step, most) for at, step in enumerate(steps) if at in touched]
    others = [min(step, most) for at, step in enumerate(steps) if at not in touched]
    if not hit or not others:
        return 0.0
    return (statistics.mean(hit) - statistics.mean(others)) * len(hit) / len(steps)


def _ratio(name: str, rows: list[ratios.Pair]) -> Figure:
    low, high = ratios.interval_95([rows])
    return figure(name, "x", [ratios.ratio(rows)], note=f"95 %: {low:.4f} to {high:.4f}")


def _sum(name: str, found: float) -> Figure:
    return figure(name, "x", [found], BARS["fwtop-0"], note=f"{found:.4f}")


def _run(script: list[str], options: list[str], count: int, is_watched: bool) -> Taken:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result = folder / "steps.json"
        own = [*script, str(result), *options, "--turns", str(count)]
        watched = record(folder / "run.fwtop", "--overhead", "0")
        command = Command([*(watched if is_watched else [sys.executable]), *own], result)
        with started({"script": command}, environment(folder, **LARGE_PAGES)) as sides:
            if sides["script"].process.wait(LIMIT_S):
                raise RuntimeError(
                    f"{own} failed: {result.with_suffix('.log').read_text()[-2000:]}"
                )
        told: dict[str, Any] = json.loads(result.read_text())
    return Taken(**told)
