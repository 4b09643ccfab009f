"""What being watched costs a training step of about 5 ms, against the same script without fwtop.

The scripts run by turns (see `alternation`): plain, fwtop, plain again, fwtop with no windows, and
so on. A slice is compared with the plain ones before and after it, and a repeat's figure is the
ratio of the means (`ratios`); the interval is a bootstrap one over the slices of all repeats. Each
repeat starts the scripts anew, every other one in the opposite order, because where a process
happens to lie in memory makes it faster or slower by a percent or more: many short starts tell more
than a few long ones, and larger pages, on all sides alike, make that less. "plain again" against
plain is the same script twice: what the method says where there is nothing to find, and so the
smallest difference that it can tell.

fwtop's budget is a share of the wall time, of which each script runs only a part: what is asked for
is that part of 1 %, so that windows and hooks may take 1 % of the time in which the script runs.
What windows then took of it is read from the recording, and given.

Step times are the script's own. The median step says more than the mean what the hooks cost (and
nothing of windows, which are in few steps) where others use the machine. CPU time is that of all
the script's threads, so it includes what is saved beside the steps.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fwtop.queries import operators, run, steps
from fwtop.recording.store import open_recording
from tests.benchmarks import ratios
from tests.benchmarks.alternation import Command, Pace, Slice, alternate
from tests.benchmarks.commands import SCRIPTS, environment, record
from tests.benchmarks.outcome import Figure, Outcome, figure

SCRIPT = [str(SCRIPTS / "transformer_steps.py")]
PLAINS = ("plain", "plain again")
VARIANTS = ("fwtop", "fwtop-0")
BUDGET = 0.01
BARS = {"fwtop": 1.02, "fwtop-0": 1.005}
"""Twice the default budget of 1 %; without windows, the hooks alone."""
LARGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
MEASURES: dict[str, Callable[[Slice], float]] = {
    "mean step": lambda taken: taken.step_s,
    "median step": lambda taken: taken.median_step_s,
    "CPU time a step": lambda taken: taken.step_cpu_s,
}


def configure(parser: argparse.ArgumentParser) -> None:
    """How long."""
    parser.add_argument("--overhead-cycles", type=int, default=10, help="of each start")
    parser.add_argument("--overhead-repeats", type=int, default=12, help="starts of the scripts")


@dataclass(frozen=True)
class Watched:
    """What a recording says of its own cost."""

    windows: int
    """That began within the slices, as the other figures of windows."""
    longest_window_ms: float
    share: float
    """Of the slices' time."""
    hooks_us: float
    """A step, over the whole run."""


@dataclass(frozen=True)
class Repeat:
    """One start of all scripts."""

    slices: dict[str, list[Slice]]
    watched: dict[str, Watched]
    load_1: float


@dataclass
class Bench:
    """A script in its variants."""

    folder: Path
    script: list[str]
    """The script and its options, but for where its result goes."""
    variants: Sequence[str] = VARIANTS
    traceml: Path | None = None
    """The command, where it is among the variants."""

    def repeats(self, count: int, pace: Pace) -> list[Repeat]:
        """So many starts, in either order by turns."""
        order = [
            name
            for number, variant in enumerate(self.variants)
            for name in (PLAINS[number % 2], variant)
        ]
        return [self._repeat(order[:: 1 - 2 * (number % 2)], pace) for number in range(count)]

    def _repeat(self, order: list[str], pace: Pace) -> Repeat:
        commands = {name: self._command(name, 1 / len(order)) for name in dict.fromkeys(order)}
        slices = alternate(commands, order, environment(self.folder, **LARGE_PAGES), pace)
        means = {name: ratios.mean_ms(taken) for name, taken in slices.items()}
        print(f"  {self.script[1:]} {means}", file=sys.stderr, flush=True)
        watched = {
            name: watched_in(self._recording(name), slices[name])
            for name in slices
            if name.startswith("fwtop")
        }
        return Repeat(slices, watched, os.getloadavg()[0])

    def _command(self, variant: str, share: float) -> Command:
        """`share` is the part of the wall time in which the script will run."""
        result = self.folder / f"{variant.replace(' ', '-')}.json"
        script = [self.script[0], str(result), *self.script[1:]]
        python = [sys.executable, *script]
        if variant.startswith("fwtop"):
            ratio = 0 if variant == "fwtop-0" else BUDGET * share
            argv = [*record(self._recording(variant), "--overhead", f"{ratio:.6f}"), *script]
        elif variant == "torch.profiler":
            argv = [*python, "--profile", "torch"]
        elif variant == "traceml":
            own = ["--logs-dir", tempfile.mkdtemp(dir=self.folder), "--args", *script[1:]]
            argv = [str(self.traceml), "run", script[0], *own, "--profile", "traceml"]
        else:
            argv = python
        return Command(argv, result)

    def _recording(self, variant: str) -> Path:
        return self.folder / f"{variant}.fwtop"


def measure(options: argparse.Namespace) -> Outcome:
    """A small transformer."""
    pace = Pace(12 if options.quick else options.overhead_cycles)
    count = 2 if options.quick else options.overhead_repeats
    with tempfile.TemporaryDirectory() as name:
        taken = Bench(Path(name), SCRIPT).repeats(count, pace)
    return Outcome(
        "overhead",
        f"a small transformer on one CPU thread, {lengths(count, pace)}",
        figures_of(taken),
        {"repeats": facts(taken)},
    )


def lengths(count: int, pace: Pace) -> str:
    """For an outcome's `what`."""
    return f"{count} starts, {pace.cycles} rounds by turns of {pace.slice_s:g} s each"


def figures_of(repeats: Sequence[Repeat]) -> list[Figure]:
    """The ratios, and what fwtop says of itself."""
    plain = [ratios.mean_ms(repeat.slices[PLAINS[0]]) for repeat in repeats]
    figures = [figure("plain step, mean", "ms", plain)]
    for variant in (PLAINS[1], *(name for name in repeats[0].slices if name not in PLAINS)):
        for words, measured in MEASURES.items():
            bar = BARS.get(variant) if words == "mean step" else None
            figures.append(_ratio(repeats, variant, words, measured, bar))
    watched = [repeat.watched["fwtop"] for repeat in repeats if "fwtop" in repeat.watched]
    if watched:
        shares = [100 * one.share for one in watched]
        figures += [
            figure("windows' share of the time, as fwtop says", "%", shares),
            figure("windows in that time", "", [one.windows for one in watched]),
            figure("hooks a step, as fwtop says", "µs", [one.hooks_us for one in watched]),
        ]
    return figures


def _ratio(
    repeats: Sequence[Repeat],
    variant: str,
    words: str,
    measured: Callable[[Slice], float],
    bar: float | None,
) -> Figure:
    paired = []
    for repeat in repeats:
        others = PLAINS[:1] if variant in PLAINS else PLAINS
        plain = [one for name in others for one in repeat.slices.get(name, [])]
        paired.append(ratios.pairs(repeat.slices[variant], plain, measured))
    low, high = ratios.interval_95(paired)
    found = figure(f"{variant} / plain, {words}", "x", [ratios.ratio(rows) for rows in paired], bar)
    return replace(found, note=f"95 %: {low:.4f} to {high:.4f}")


def watched_in(path: Path, slices: Sequence[Slice]) -> Watched:
    """What windows took of the slices, by the recording's own measure."""
    with open_recording(path) as recording:
        began_ns = run.get_run(recording).started_monotonic_ns
        (governor,) = run.governors(recording)
        windows = [
            window
            for window in operators.windows(recording)
            if window.counted
            and any(one.holds((began_ns + window.start_ns) / 1e9) for one in slices)
        ]
        count = steps.totals(recording).count
    spent_s = sum(window.cost_ns for window in windows) / 1e9
    return Watched(
        len(windows),
        max((window.cost_ns for window in windows), default=0) / 1e6,
        spent_s / sum(one.length_s for one in slices),
        governor.hook_cost_ns / 1e3 / count,
    )


def facts(repeats: Sequence[Repeat]) -> list[dict[str, Any]]:
    """Each repeat, for results/*.json: the mean step of every slice, in ms."""
    return [
        {
            "load_1": round(repeat.load_1, 2),
            "watched": {name: vars(one) for name, one in repeat.watched.items()},
            "slices_ms": {
                name: " ".join(f"{1e3 * one.step_s:.3f}" for one in taken)
                for name, taken in repeat.slices.items()
            },
        }
        for repeat in repeats
    ]
