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

from fwtop.analysis.intervals import Interval, difference, intersection, length, union
from fwtop.analysis.temporal import is_communication
from fwtop.traces.model import KERNEL, LAUNCH, MEMCPY, MEMSET, TraceWindow

CLASSES = (
    "kernel",
    "memcpy",
    "memset",
    "communication",
    "runtime",
    "dataloader",
    "cpu_op",
    "other",
)
"""By priority."""

_STEP = re.compile(r"ProfilerStep\s*#\s*(\d+)")
_DATA_LOADER = ("enumerate(DataLoader)#", "enumerate(DataPipe)#")
_COMMUNICATION = ("nccl:", "gloo:")


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
    """Each step's time by class."""
    free = union((step.start_ns, step.end_ns) for step in traced)
    claimed: dict[str, list[Interval]] = {}
    ranges = _ranges(trace)
    for name in CLASSES[:-1]:
        wanted = union(ranges[name])
        claimed[name] = intersection(free, wanted)
        free = difference(free, wanted)
    claimed["other"] = free
    return [
        StepBreakdown(
            step,
            {
                name: length(intersection([(step.start_ns, step.end_ns)], claimed[name]))
                for name in CLASSES
            },
        )
        for step in traced
    ]


def _ranges(trace: TraceWindow) -> Mapping[str, list[Interval]]:
    """When something of each class ran, on the host or on a device."""
    ranges: dict[str, list[Interval]] = defaultdict(list)
    for event in trace.device_events:
        name = "communication" if is_communication(event) else _DEVICE_CLASS[event.kind]
        ranges[name].append((event.start_ns, event.end_ns))
    for track in trace.tracks:
        for name, kind, start, duration in zip(
            track.names, track.kinds, track.start_ns, track.duration_ns, strict=True
        ):
            if kind == LAUNCH:
                ranges["runtime"].append((start, start + duration))
            elif name.startswith(_DATA_LOADER):
                ranges["dataloader"].append((start, start + duration))
            elif name.startswith(_COMMUNICATION):
                ranges["communication"].append((start, start + duration))
            elif not name.startswith("ProfilerStep"):
                ranges["cpu_op"].append((start, start + duration))
    return ranges


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
