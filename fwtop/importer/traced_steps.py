"""The steps of a foreign trace, and their phases, as far as its own marks tell them.

Pure functions of a trace window. A step is what the trace bounds as one (`ProfilerStep#N`; a
device's `Steps` line), else the stretch from one optimizer step's end to the next one's. Phases are
those of the host, as PyTorch marks them (`fwtop.analysis.phases`); what lies before a step's last
backward, outside of all marks, is its forward.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress

from fwtop.analysis import breakdown
from fwtop.analysis.breakdown import TracedStep
from fwtop.analysis.intervals import Interval, difference, intersection, length, union
from fwtop.analysis.phases import named
from fwtop.traces.model import TraceWindow

_MARKED = ("input", "backward", "optimizer", "other")
MOST_STEPS = 1_000_000
"""A trace with more is damage, or hostile."""
LONGEST_INDEX = 1 << 62
"""A larger step number is damage."""


@dataclass(frozen=True, slots=True)
class ImportedStep:
    """One step. Times in nanoseconds of the window's own axis; an unknown phase is None."""

    index: int
    start_ns: int
    duration_ns: int
    input_ns: int | None
    forward_ns: int | None
    backward_ns: int | None
    optimizer_ns: int | None


def steps(trace: TraceWindow) -> list[ImportedStep]:
    """The steps in order, each number once; none where nothing bounds any."""
    marks = _marks(trace)
    bounds = _marked(trace) or _on_devices(trace) or _by_optimizer(trace, marks)
    if not bounds:
        return []
    marks["backward"] = _bridged(marks["backward"], _top_level_starts(trace))
    return [_step(bound, marks) for bound in bounds[:MOST_STEPS]]


def _step(bound: TracedStep, marks: dict[str, list[Interval]]) -> ImportedStep:
    whole = [(bound.start_ns, bound.end_ns)]
    inside = {phase: intersection(whole, _near(ranges, bound)) for phase, ranges in marks.items()}
    forward = None
    if marks["backward"]:
        before = [(bound.start_ns, inside["backward"][-1][0])] if inside["backward"] else []
        for taken in inside.values():
            before = difference(before, taken)
        forward = length(before)
    backward = length(inside["backward"])
    known = {phase: length(inside[phase]) if marks[phase] else None for phase in marks}
    return ImportedStep(
        bound.number,
        bound.start_ns,
        bound.end_ns - bound.start_ns,
        known["input"],
        forward,
        backward if marks["backward"] else None,
        known["optimizer"],
    )


def _near(ranges: Sequence[Interval], bound: TracedStep) -> list[Interval]:
    """Of disjoint ranges in order, those that a step may touch."""
    first = bisect_left(ranges, bound.start_ns, key=lambda interval: interval[1])
    last = bisect_left(ranges, bound.end_ns, key=lambda interval: interval[0])
    return list(ranges[first:last])


def _marked(trace: TraceWindow) -> list[TracedStep]:
    """By the host's own marks; of several with one number, the longest."""
    return _once(breakdown.steps(trace))


def _on_devices(trace: TraceWindow) -> list[TracedStep]:
    """By the bounds of the first device that has any."""
    device = min((step.device for step in trace.device_steps), default=None)
    return _once(
        TracedStep(step.number, step.start_ns, step.start_ns + step.duration_ns)
        for step in trace.device_steps
        if step.device == device and step.number >= 0
    )


def _once(found: Iterable[TracedStep]) -> list[TracedStep]:
    chosen: dict[int, TracedStep] = {}
    for step in found:
        known = chosen.get(step.number)
        if step.number < LONGEST_INDEX and (
            known is None or step.end_ns - step.start_ns > known.end_ns - known.start_ns
        ):
            chosen[step.number] = step
    return sorted(chosen.values(), key=lambda step: step.start_ns)


def _by_optimizer(trace: TraceWindow, marks: Mapping[str, list[Interval]]) -> list[TracedStep]:
    """From the first host event, and from each optimizer step's end, to the next one's end."""
    starts = [track.start_ns[0] for track in trace.tracks if len(track)]
    if not starts or not marks["optimizer"]:
        return []
    found = []
    begin = min(starts)
    for number, (_, end) in enumerate(_separated(marks)):
        found.append(TracedStep(number, begin, end))
        begin = end
    return found


def _separated(marks: Mapping[str, list[Interval]]) -> list[Interval]:
    """Optimizers that step one after the other, with no backward between them, are of one step."""
    backward = [start for start, _ in marks["backward"]]
    joined: list[Interval] = []
    for start, end in marks["optimizer"]:
        if joined and backward:
            between = bisect_left(backward, joined[-1][1])
            if between == len(backward) or backward[between] >= start:
                joined[-1] = (joined[-1][0], end)
                continue
        joined.append((start, end))
    return joined


def _marks(trace: TraceWindow) -> dict[str, list[Interval]]:
    """When each phase is marked, as disjoint intervals in order; none for one that never is."""
    found: dict[str, list[Interval]] = {phase: [] for phase in _MARKED}
    for track in trace.tracks:
        phases = named(track.names)
        if phases:
            for name, start, duration in zip(
                track.names, track.start_ns, track.duration_ns, strict=True
            ):
                if name in phases:
                    found[phases[name]].append((start, start + duration))
    return {phase: union(intervals) for phase, intervals in found.items()}


def _bridged(backward: list[Interval], others: Sequence[int]) -> list[Interval]:
    """Backward is one stretch from its first function to its last: autograd's engine works between
    them. A gap in which something else begins on the step's own thread ends it."""
    stretches: list[Interval] = []
    for start, end in backward:
        if stretches:
            gap_begin = stretches[-1][1]
            at = bisect_left(others, gap_begin)
            if at == len(others) or others[at] >= start:
                stretches[-1] = (stretches[-1][0], end)
                continue
        stretches.append((start, end))
    return stretches


def _top_level_starts(trace: TraceWindow) -> list[int]:
    """When something begins, other than autograd's functions, on the threads that bound steps."""
    marked = [
        track
        for track in trace.tracks
        if any(name.startswith("ProfilerStep") for name in set(track.names))
    ]
    starts: list[int] = []
    for track in marked or sorted(trace.tracks, key=len)[-1:]:
        phases = named(track.names)
        starts += compress(track.start_ns, [phases.get(name) != "backward" for name in track.names])
    return sorted(starts)
