"""What ran in one trace or run and not, more often or less often, in another: operators, kernels.

Source: HolisticTraceAnalysis (Meta, MIT), `trace_diff.py`: `compare_traces` and `ops_diff`, by
whole names and by counts. Device work is of the iteration in which it was launched.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fwtop.analysis.breakdown import TracedStep, steps
from fwtop.analysis.temporal import Launch
from fwtop.analysis.window import launches
from fwtop.traces.model import LAUNCH, TraceWindow

CHANGES = ("added", "deleted", "increased", "decreased", "unchanged")
"""`added`: only in the test; `deleted`: only in the control; the others by count."""


@dataclass(frozen=True, slots=True)
class Work:
    """What ran under one name: how often, how long. Per step these may be fractions."""

    name: str
    calls: float
    total_ns: float


@dataclass(frozen=True, slots=True)
class Difference:
    """One name in both; what is absent has no calls and took no time."""

    name: str
    change: str
    """One of CHANGES."""
    control: Work
    test: Work

    @property
    def calls(self) -> float:
        """Calls more in the test."""
        return self.test.calls - self.control.calls

    @property
    def total_ns(self) -> float:
        """Time more in the test."""
        return self.test.total_ns - self.control.total_ns


def differences(control: Iterable[Work], test: Iterable[Work]) -> list[Difference]:
    """Every name of either, the largest change of time first. A name is expected once in each."""
    before = {work.name: work for work in control}
    after = {work.name: work for work in test}
    rows = [
        _difference(before.get(name) or Work(name, 0, 0), after.get(name) or Work(name, 0, 0))
        for name in dict.fromkeys([*before, *after])
    ]
    return sorted(rows, key=lambda row: (-abs(row.total_ns), row.name))


def device_work(trace: TraceWindow, iteration: int | None = None) -> list[Work]:
    """Kernels, copies and fills by name: of one iteration (`ProfilerStep#N`), or all.

    Raises KeyError for an iteration that the trace does not have.
    """
    sums: dict[str, list[int]] = {}
    known: dict[int, Launch] = launches(trace)
    step = None if iteration is None else _step(trace, iteration)
    for event in trace.device_events:
        if step is not None:
            launch = known.get(event.correlation)
            if launch is None or not step.start_ns <= launch.start_ns < step.end_ns:
                continue
        _add(sums, event.name, event.duration_ns)
    return _works(sums)


def host_work(trace: TraceWindow, iteration: int | None = None) -> list[Work]:
    """Operators and ranges on the host by name, without calls of the device's runtime.

    Total time counts what is nested under the same name twice. Raises KeyError as `device_work`.
    """
    sums: dict[str, list[int]] = {}
    step = None if iteration is None else _step(trace, iteration)
    for track in trace.tracks:
        for name, kind, start, duration in zip(
            track.names, track.kinds, track.start_ns, track.duration_ns, strict=True
        ):
            if kind == LAUNCH or name.startswith("ProfilerStep"):
                continue
            if step is None or step.start_ns <= start < step.end_ns:
                _add(sums, name, duration)
    return _works(sums)


def counts(rows: Sequence[Difference]) -> dict[str, int]:
    """How many names changed in each way, by CHANGES."""
    return {change: sum(row.change == change for row in rows) for change in CHANGES}


def _difference(control: Work, test: Work) -> Difference:
    if not control.calls:
        change = "added"
    elif not test.calls:
        change = "deleted"
    elif test.calls > control.calls:
        change = "increased"
    else:
        change = "decreased" if test.calls < control.calls else "unchanged"
    return Difference(control.name, change, control, test)


def _step(trace: TraceWindow, iteration: int) -> TracedStep:
    found = next((step for step in steps(trace) if step.number == iteration), None)
    if found is None:
        raise KeyError(iteration)
    return found


def _add(sums: dict[str, list[int]], name: str, duration_ns: int) -> None:
    row = sums.setdefault(name, [0, 0])
    row[0] += 1
    row[1] += duration_ns


def _works(sums: dict[str, list[int]]) -> list[Work]:
    return [Work(name, calls, total_ns) for name, (calls, total_ns) in sums.items()]
