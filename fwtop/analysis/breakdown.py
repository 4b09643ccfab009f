"""A step's wall time by what it went to, each moment claimed once, by priority.

Source: the PyTorch profiler's TensorBoard plugin (`overall_parser.py`, `event_parser.py`; BSD):
kernel before memcpy before memset before communication before runtime before data loader before
operators before other; and a step lasts until the last device event that it launched has ended.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import add

from fwtop.analysis.intervals import Interval, difference, intersection, union
from fwtop.analysis.results import StepBreakdownFigures, StepSpan
from fwtop.analysis.temporal import is_communication
from fwtop.recording.window_model import STEP_CLASSES
from fwtop.traces.model import KERNEL, LAUNCH, MEMCPY, MEMSET, TraceWindow

CLASSES = STEP_CLASSES
"""By priority."""

_STEP = re.compile(r"ProfilerStep\s*#\s*(\d{1,18})(?!\d)")
_DATA_LOADER = ("enumerate(DataLoader)#", "enumerate(DataPipe)#")
_COMMUNICATION = ("nccl:", "gloo:")
_NEVER = -(1 << 62)


@dataclass(frozen=True, slots=True)
class TracedStep:
    """A `ProfilerStep#N` of the trace, in the window's own nanoseconds."""

    number: int
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class StepBreakdown:
    """Where a step's wall time went."""

    step: TracedStep
    class_ns: Mapping[str, int]
    """By CLASSES; they add up to the step's time."""


def steps(trace: TraceWindow) -> list[TracedStep]:
    """The steps that the trace's own marks bound on the host, in order."""
    found = [
        TracedStep(int(match[1]), start, start + duration)
        for track in trace.tracks
        for name, start, duration in zip(
            track.names, track.start_ns, track.duration_ns, strict=True
        )
        if name.startswith("ProfilerStep") and (match := _STEP.match(name))
    ]
    return sorted(found, key=lambda step: step.start_ns)


def bounds(trace: TraceWindow, given: Sequence[StepSpan] = ()) -> list[TracedStep]:
    """The steps that a window's device time is told by, disjoint and in order.

    They are those that are given (who traced them knows best), else the trace's own marks, both
    until the device has done what they launched; else the steps as the trace bounds them on its
    devices; else the whole trace as one step, number 0. None for an empty trace.
    """
    base = trace.base_unix_ns
    told = [TracedStep(s.step_index, s.start_ns - base, s.end_ns - base) for s in given]
    on_host = sorted(told, key=lambda step: step.start_ns) or steps(trace)
    if on_host:
        return until_device_end(trace, on_host)
    on_devices: dict[int, TracedStep] = {}
    for step in trace.device_steps:
        end_ns = step.start_ns + step.duration_ns
        known = on_devices.setdefault(step.number, TracedStep(step.number, step.start_ns, end_ns))
        on_devices[step.number] = TracedStep(
            step.number, min(known.start_ns, step.start_ns), max(known.end_ns, end_ns)
        )
    return sorted(on_devices.values(), key=lambda step: step.start_ns) or _whole(trace)


def _whole(trace: TraceWindow) -> list[TracedStep]:
    starts = [event.start_ns for event in trace.device_events]
    starts += [track.start_ns[0] for track in trace.tracks if len(track)]
    ends = [event.end_ns for event in trace.device_events]
    for track in trace.tracks:
        ends += map(add, track.start_ns, track.duration_ns)
    return [TracedStep(0, min(starts), max(ends))] if starts else []


def until_device_end(trace: TraceWindow, host_steps: Sequence[TracedStep]) -> list[TracedStep]:
    """The steps with their ends moved to that of the last device event launched within each, and
    their starts to the end of the one before.
    """
    step_of = _step_of_correlations(trace, host_steps)
    of_step: dict[int, list[Interval]] = defaultdict(list)
    unmatched: list[int] = []
    for event in trace.device_events:
        index = step_of.get(event.correlation)
        if index is None:
            unmatched.append(event.end_ns)
        else:
            of_step[index].append((event.start_ns, event.end_ns))
    if not of_step:
        return list(host_steps)
    previous_end = host_steps[0].start_ns
    if 0 in of_step:
        first = min(start for start, _ in of_step[0])
        previous_end = max([previous_end, *(end for end in unmatched if end < first)])
    moved = []
    for i, step in enumerate(host_steps):
        start = max(previous_end, step.start_ns)
        end = max(start, step.end_ns, *(end for _, end in of_step.get(i, ())))
        moved.append(TracedStep(step.number, start, end))
        previous_end = end
    return moved


def by_priority(trace: TraceWindow, traced: Sequence[TracedStep]) -> list[StepBreakdown]:
    """Each step's time by class; the steps must not overlap."""
    free = union((step.start_ns, step.end_ns) for step in traced)
    bounds = [(step.start_ns, step.end_ns) for step in traced]
    of_steps: list[dict[str, int]] = [{} for _ in traced]
    ranges = _ranges(trace)
    for name in CLASSES:
        wanted = union(ranges[name]) if name != "other" else free
        for sums, claimed_ns in zip(of_steps, _within(intersection(free, wanted), bounds),
                                    strict=True):  # fmt: skip
            sums[name] = claimed_ns
        free = difference(free, wanted)
    return [StepBreakdown(step, sums) for step, sums in zip(traced, of_steps, strict=True)]


def figures_of(rows: Sequence[StepBreakdown]) -> list[StepBreakdownFigures]:
    """The same as what a window keeps of it; of steps of one number, the last."""
    return [
        StepBreakdownFigures(
            step_index=row.step.number, **{f"{name}_ns": row.class_ns[name] for name in CLASSES}
        )
        for row in {row.step.number: row for row in rows}.values()
    ]


def _within(claimed: Sequence[Interval], bounds: Sequence[Interval]) -> list[int]:
    """How much of disjoint, ordered intervals lies within each of the others."""
    sums = []
    i = 0
    for start, end in bounds:
        total = 0
        while i < len(claimed) and claimed[i][1] <= start:
            i += 1
        k = i
        while k < len(claimed) and claimed[k][0] < end:
            total += min(end, claimed[k][1]) - max(start, claimed[k][0])
            k += 1
        sums.append(total)
    return sums


def _ranges(trace: TraceWindow) -> Mapping[str, list[Interval]]:
    """When something of each class ran, on the host or on a device."""
    ranges: dict[str, list[Interval]] = defaultdict(list)
    for event in trace.device_events:
        name = "communication" if is_communication(event) else _DEVICE_CLASS[event.kind]
        ranges[name].append((event.start_ns, event.start_ns + event.duration_ns))
    for track in trace.tracks:
        class_of = {name: _host_class(name) for name in set(track.names)}
        # Of what is nested in the same class only the outermost counts; a track is in order.
        last: dict[str | None, int] = dict.fromkeys(CLASSES, _NEVER)
        for name, kind, start, duration in zip(
            track.names, track.kinds, track.start_ns, track.duration_ns, strict=True
        ):
            of = "runtime" if kind == LAUNCH else class_of[name]
            if of is not None and start + duration > last[of]:
                last[of] = start + duration
                ranges[of].append((start, start + duration))
    return ranges


def _host_class(name: str) -> str | None:
    if name.startswith("ProfilerStep"):
        return None
    if name.startswith(_DATA_LOADER):
        return "dataloader"
    return "communication" if name.startswith(_COMMUNICATION) else "cpu_op"


_DEVICE_CLASS = {KERNEL: "kernel", MEMCPY: "memcpy", MEMSET: "memset"}


def _step_of_correlations(
    trace: TraceWindow, host_steps: Sequence[TracedStep]
) -> Mapping[int, int]:
    """For each launch that lies within a step, by correlation id, the step's index."""
    found: dict[int, int] = {}
    for track in trace.tracks:
        if track.correlations is None:
            continue
        index = 0
        for kind, correlation, start, duration in zip(
            track.kinds, track.correlations, track.start_ns, track.duration_ns, strict=True
        ):
            if kind != LAUNCH or not correlation:
                continue
            while index < len(host_steps) and start >= host_steps[index].end_ns:
                index += 1
            if index == len(host_steps):
                break
            step = host_steps[index]
            if step.start_ns <= start and start + duration <= step.end_ns:
                found[correlation] = index
    return found
