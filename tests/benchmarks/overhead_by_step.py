"""What `--overhead 0` costs a step of about 5 ms, with fwtop's hooks in and out by turns.

`overhead` compares processes, which differ by a percent or more whatever watches them; this one
looks within a process, and can tell a tenth of a percent (see scripts/turns.py). What it says of a
script without fwtop is the method's error.

The hooks' part is the ratio of the mean steps, with a bootstrap interval. fwtop's thread is given
twice: on the script's own core all of its CPU time is added to the steps; on another core, which it
has wherever there are two, only how much longer those steps take within which it works, for it
holds Python's lock meanwhile. Each of the two sums has the bar.

All of it is measured in several starts of each script, by turns: in which memory a process lies is
chance, and decides how much of the hooks it finds in the caches.
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
    parser.add_argument("--by-step-starts", type=int, default=5, help="of each kind")
    parser.add_argument("--by-step-steps", type=int, default=6_000, help="by turns, a start")


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
    starts = 1 if options.quick else options.by_step_starts
    count = 2_000 if options.quick else options.by_step_steps
    taken: dict[str, list[Taken]] = {kind: [] for kind in KINDS}
    first, (plain, *_) = next(iter(KINDS.items()))
    nothing = []
    for _ in range(starts):
        for kind, (script, *more) in KINDS.items():
            taken[kind].append(_run([str(SCRIPTS / script)], more, count, is_watched=True))
        nothing.append(hooks(_run([str(SCRIPTS / plain)], [], count, is_watched=False)))
    return Outcome(
        "overhead_by_step",
        f"scripts on one CPU thread, {starts} starts, {count:,} steps each by turns in a process",
        [
            *(figure for kind, each in taken.items() for figure in figures_of(kind, each)),
            _ratio(f"{first}: nothing in / nothing out", nothing),
        ],
    )


def figures_of(kind: str, starts: list[Taken]) -> list[Figure]:
    """Of one script under fwtop."""
    rows = [hooks(taken) for taken in starts]
    steps_s = [sum(row.plain for row in each) / len(each) for each in rows]
    cpu_s = [taken.thread_s / (len(taken.ends_s) - 1) for taken in starts]
    delay_s = [delay_a_step(taken) for taken in starts]
    ratio = [ratios.ratio(each) for each in rows]
    on_two = [
        found + late / step for found, late, step in zip(ratio, delay_s, steps_s, strict=True)
    ]
    on_one = [found + cpu / step for found, cpu, step in zip(ratio, cpu_s, steps_s, strict=True)]
    return [
        figure(f"{kind}: step without hooks", "ms", [1e3 * each for each in steps_s]),
        _ratio(f"{kind}: hooks in / out, mean step", rows),
        figure(f"{kind}: CPU time of fwtop's thread, a step", "µs", [1e6 * each for each in cpu_s]),
        figure(
            f"{kind}: delay by fwtop's thread on another core, a step",
            "µs",
            [1e6 * each for each in delay_s],
        ),
        _sum(f"{kind}: fwtop-0 / plain, two cores", on_two),
        _sum(f"{kind}: fwtop-0 / plain, one core", on_one),
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


def _ratio(name: str, starts: list[list[ratios.Pair]]) -> Figure:
    low, high = ratios.interval_95(starts)
    note = f"95 %, all starts: {low:.4f} to {high:.4f}"
    return figure(name, "x", [ratios.ratio(rows) for rows in starts], note=note)


def _sum(name: str, starts: list[float]) -> Figure:
    return figure(name, "x", starts, BARS["fwtop-0"], f"{statistics.median(starts):.4f}")


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
