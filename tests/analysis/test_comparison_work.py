"""Operators and kernels aligned between runs, against HolisticTraceAnalysis' TraceDiff."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, cast

from fwtop.analysis.breakdown import steps
from fwtop.analysis.comparison.facts import RunFacts, SideFacts, TracedWork, WorkSums
from fwtop.analysis.comparison.model import ComparedKernel
from fwtop.analysis.comparison.work import compare_work
from fwtop.analysis.families import family
from fwtop.analysis.window import launches
from fwtop.traces.kineto import read
from tests.shared_traces import DIFF_CONTROL, DIFF_TEST, shared_trace

ITERATION = 1010


def run_of(*works: TracedWork) -> SideFacts:
    """A side of which only the traced work is known, of one run or several."""
    runs = [SimpleNamespace(work=work, contention_ratio=None) for work in works]
    return SideFacts(cast(tuple[RunFacts, ...], tuple(runs)))


def repeats(*sides: SideFacts) -> SideFacts:
    """The runs of several sides as one."""
    return SideFacts(tuple(run for side in sides for run in side.runs))


def kernels(rows: dict[str, list[float]]) -> SideFacts:
    """Kernels by name, with their time in each window of one step."""
    count = max(map(len, rows.values()), default=0)
    sums = tuple(
        WorkSums(name, family(name), "gpu", len(values), round(sum(values)), round(sum(values)),
                 sum(values), sum(value * value for value in values))
        for name, values in rows.items()
    )  # fmt: skip
    of_each = {row.family: replace(row, name=row.family) for row in sums}
    families = tuple(of_each.values())
    return run_of(TracedWork(count, count, count, kernels=sums, kernel_families=families))


def compared(*runs: SideFacts) -> dict[str, ComparedKernel]:
    families = compare_work(runs, [None] * len(runs))
    return {row.name: row for one in families for row in one.kernels}


def launched(path: Path) -> Counter[str]:
    """Names of what the iteration launched on the device, with how often."""
    trace = read(path)
    (step,) = [step for step in steps(trace) if step.number == ITERATION]
    known = launches(trace)
    return Counter(
        event.name
        for event in trace.device_events
        if (launch := known.get(event.correlation)) is not None
        and step.start_ns <= launch.start_ns < step.end_ns
    )


def test_what_differs_is_what_trace_diff_says() -> None:
    """../shared/traces/README.md, by count: added 27, deleted 66, increased 15, decreased 9,
    unchanged 84."""
    runs = [
        kernels({name: [float(count)] for name, count in launched(shared_trace(trace)).items()})
        for trace in (DIFF_CONTROL, DIFF_TEST)
    ]
    statuses = Counter(row.changes[1].status for row in compared(*runs).values() if row.changes[1])
    assert statuses == {
        "added": 27, "deleted": 66, "increased": 15, "decreased": 9, "unchanged": 84,
    }  # fmt: skip


def test_a_change_within_the_windows_spread_is_noise() -> None:
    before = kernels({"still": [100, 101, 99, 100, 100], "wild": [100, 20, 180, 100, 90]})
    after = kernels({"still": [110, 111, 109, 110, 110], "wild": [110, 30, 190, 110, 100]})
    found = compared(before, after)
    assert {name: row.changes[1].noise for name, row in found.items() if row.changes[1]} == {
        "still": False, "wild": True,
    }  # fmt: skip
    assert found["still"].sides[0] is not None
    assert found["still"].sides[0].spread_ns == 0.7


def test_fewer_than_four_windows_say_nothing_of_noise() -> None:
    found = compared(kernels({"a": [100, 101, 99]}), kernels({"a": [200, 201, 199, 200]}))
    change = found["a"].changes[1]
    assert change is not None
    assert (change.status, change.noise) == ("increased", None)


def test_of_hundreds_that_vary_by_chance_hardly_one_stands() -> None:
    """At 5 % each, some 20 of 400 would."""
    random = Random(5)

    def windows() -> SideFacts:
        return kernels({f"k{n}": [random.gauss(1000, 100) for _ in range(8)] for n in range(400)})

    noises = [row.changes[1].noise for row in compared(windows(), windows()).values()
              if row.changes[1]]  # fmt: skip
    assert noises.count(False) <= 1
    assert len(noises) == 400


def test_a_run_without_windows_deletes_nothing() -> None:
    found = compared(kernels({"a": [1.0]}), run_of(TracedWork()), kernels({}))
    row: Any = found["a"]
    assert row.changes == (None, None, None)
    assert row.sides[1:] == (None, None)


def test_what_runs_differ_by_is_noise_with_repeats() -> None:
    """Within each run the windows are still; between the runs of one side they are not."""
    one, two = (
        [kernels({"k": [level, level + 1, level - 1, level], "still": [50, 51, 49, 50]})
         for level in levels]
        for levels in ((100, 112, 106), (111, 118, 104))
    )  # fmt: skip
    alone = compared(one[0], two[0])["k"].changes[1]
    assert alone is not None
    assert alone.noise is False, "without repeats it looks sure"
    side = compared(repeats(*one), repeats(*two))["k"]
    assert side.changes[1] is not None
    assert side.changes[1].noise is True
    assert side.sides[0] is not None
    assert side.sides[0].self_ns == 106, "a step's, over all windows"
    assert side.sides[0].spread_ns == 0.8, "between windows, not runs"


def test_what_runs_in_each_step_of_one_side_only_is_no_matter_of_spread() -> None:
    before = kernels({"gone": [100, 20, 500, 10], "still": [10, 11, 9, 10]})
    rare = replace(before.runs[0].work.kernels[0], name="rare", calls=1)
    before = run_of(replace(before.runs[0].work, kernels=(*before.runs[0].work.kernels, rare)))
    found = compared(before, kernels({"still": [10, 11, 9, 10]}))
    noises = {name: row.changes[1].noise for name, row in found.items() if row.changes[1]}
    assert noises == {"gone": False, "rare": True, "still": True}


def test_two_runs_a_side_are_unknown_unless_they_are_clear() -> None:
    def side(*levels: float) -> SideFacts:
        return repeats(*(kernels({"k": [level] * 4, "l": [10, 11, 9, 10]}) for level in levels))

    unclear = compared(side(100, 112), side(111, 118))["k"].changes[1]
    clear = compared(side(100, 101), side(200, 201))["k"].changes[1]
    assert unclear is not None
    assert clear is not None
    assert (unclear.noise, clear.noise) == (None, False)


def test_a_repeat_without_windows_is_left_out_of_operators() -> None:
    found = compared(
        repeats(kernels({"a": [100, 101, 99, 100]}), run_of(TracedWork())),
        kernels({"a": [100, 101, 99, 100]}),
    )["a"]
    assert found.sides[0] is not None
    assert found.sides[0].self_ns == 100
