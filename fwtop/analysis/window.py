"""From one trace window to its figures: operators, kernels, details and the device's time.

Pure functions. Speed is a bar (half a million rows a second with decoding), so the walk over the
operators of a thread is one loop over columns, and what only deep windows have comes after it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import TypedDict

from fwtop.analysis.breakdown import bounds, by_priority, figures_of
from fwtop.analysis.deep import NO_OPERATORS, details, memory
from fwtop.analysis.device_figures import efficiency, of_devices
from fwtop.analysis.families import family
from fwtop.analysis.flops import flops
from fwtop.analysis.input_stages import input_stages
from fwtop.analysis.memory_timeline import memory_timeline
from fwtop.analysis.nesting import Nest
from fwtop.analysis.phases import Segments, from_names
from fwtop.analysis.results import (
    DeviceFigures,
    FlopFigures,
    KernelEfficiency,
    KernelFigures,
    OperatorFigures,
    PhaseSpan,
    StepBreakdownFigures,
    StepSpan,
    TemporalBreakdown,
    WindowFigures,
)
from fwtop.analysis.temporal import Launch, breakdown
from fwtop.traces.model import LAUNCH, DeviceEvent, TraceWindow, Track

_CALLS, _SELF, _TOTAL, _OPEN_UNTIL, _GPU_SELF, _GPU_TOTAL, _LAST_LAUNCH, _GPU_EVENTS = range(8)
_NEVER = -(1 << 62)
_ALWAYS = 1 << 62
_MOST = (1 << 63) - 1
"""What a recording can hold; only damaged traces come near it."""

_Row = list[int]
"""Sums of one operator in one phase, by the indices above; a list, because it is the hot loop's."""
_Table = dict[str, dict[str, _Row]]
"""By phase, then by name."""


def figures(
    trace: TraceWindow, spans: Sequence[PhaseSpan], steps: Sequence[StepSpan] = ()
) -> WindowFigures:
    """All figures of a window.

    `steps` are the traced steps in unix ns; without them the trace's own marks bound its steps.
    `spans` are the phases of the traced steps in unix ns; an operator is of the phase in which it
    began, and `other` outside of all. Without spans the phases come from the trace's own names. An
    operator that names its own phase is of that one, whenever it ran.
    Self time is an operator's time less that of those nested directly in it on its thread; total
    time counts a recursion once. An operator's device time is that of what was launched within it.
    """
    segments = Segments.of(trace, spans) if spans else from_names(trace)
    work = _device_time(trace.device_events)
    table: _Table = defaultdict(dict)
    for track in trace.tracks:
        _add_operators(table, track, segments, work)
    _add_unlaunched(table, trace, segments, work)
    _add_named(table, trace, segments)
    nests = [Nest(track) for track in trace.tracks]
    operator_flops = flops(nests, segments)
    memory_points, memory_holders = memory_timeline(trace, nests)
    return WindowFigures(
        event_count=trace.event_count,
        operators=tuple(_operators(table, memory(trace, nests, segments), operator_flops)),
        details=tuple(details(nests, trace.frames)),
        kernels=tuple(_kernels(trace.device_events)),
        operator_flops=tuple(operator_flops),
        input_stages=input_stages(trace),
        memory_timeline=memory_points,
        memory_holders=memory_holders,
        notes=tuple(trace.notes),
        **_on_devices(trace, steps),
    )


class _OnDevices(TypedDict):
    """The fields of WindowFigures that only a window with device events has."""

    breakdown: TemporalBreakdown
    devices: tuple[DeviceFigures, ...]
    kernel_efficiency: tuple[KernelEfficiency, ...]
    step_breakdowns: tuple[StepBreakdownFigures, ...]


_NOTHING_ON_DEVICES: _OnDevices = {
    "breakdown": TemporalBreakdown(),
    "devices": (),
    "kernel_efficiency": (),
    "step_breakdowns": (),
}


def _on_devices(trace: TraceWindow, steps: Sequence[StepSpan]) -> _OnDevices:
    """Where the devices' time went; nothing, at no cost, for a window of the CPU alone."""
    events = trace.device_events
    if not events:
        return _NOTHING_ON_DEVICES
    known = launches(trace)
    traced = bounds(trace, steps)
    span = (traced[0].start_ns, max(step.end_ns for step in traced)) if traced else None
    return {
        "breakdown": breakdown(events, known),
        "devices": tuple(of_devices(events, known, span)),
        "kernel_efficiency": tuple(efficiency(events)),
        "step_breakdowns": tuple(figures_of(by_priority(trace, traced))),
    }


def launches(trace: TraceWindow) -> dict[int, Launch]:
    """The launches of the window's device events, by correlation id."""
    wanted = {event.correlation for event in trace.device_events}
    wanted.discard(0)
    return {
        correlation: Launch(correlation, start, start + duration)
        for track in trace.tracks
        if wanted and track.correlations is not None
        for correlation, start, duration in zip(
            track.correlations, track.start_ns, track.duration_ns, strict=True
        )
        if correlation in wanted
    }


def _device_time(events: Iterable[DeviceEvent]) -> dict[int, int]:
    """Device time by correlation id, to be taken out as its launch is met.

    That of events which name their operator is not in it.
    """
    work: dict[int, int] = defaultdict(int)
    for event in events:
        if not event.operator:
            work[event.correlation] += event.duration_ns
    work.pop(0, None)
    return work


def _add_operators(table: _Table, track: Track, segments: Segments, work: dict[int, int]) -> None:
    """Walk one thread's events in order, with the stack of those that are open."""
    for rows_of_phase in table.values():
        for sums in rows_of_phase.values():
            sums[_OPEN_UNTIL] = _NEVER
    phases = iter(segments)
    phase, phase_end = next(phases)
    rows = table[phase]
    get: Callable[[str], _Row | None] = rows.get
    ends, stack = [_ALWAYS], [[0] * 8]
    end_of_top = _ALWAYS
    for name, start, duration, launched, own_phase in zip(
        track.names, track.start_ns, track.duration_ns, _launched(track, work),
        track.phases or repeat(""), strict=False,
    ):  # fmt: skip
        while start >= end_of_top:
            ends.pop()
            stack.pop()
            end_of_top = ends[-1]
        while start >= phase_end:
            phase, phase_end = next(phases)
            rows = table[phase]
            get = rows.get
        row = table[own_phase].get(name) if own_phase else get(name)
        if row is None:
            row = [0, 0, 0, _NEVER, 0, 0, 0, 0]
            (table[own_phase] if own_phase else rows)[name] = row
        end = start + duration
        row[0] += 1
        row[1] += duration
        # A child that outlives its parent (clocks, rounding) takes what lies within.
        stack[-1][1] -= duration if end <= end_of_top else end_of_top - start
        if start >= row[3]:
            row[2] += duration
            row[3] = end
        if launched and len(stack) > 1:
            _add_device_time(stack, launched, work.pop(launched, 0))
        ends.append(end)
        stack.append(row)
        end_of_top = end


def _launched(track: Track, work: Mapping[int, int]) -> Iterable[int]:
    """For each event the correlation id of what it launched on a device, 0 for nothing."""
    if track.correlations is None or not work:
        return repeat(0)
    return [correlation if correlation in work else 0 for correlation in track.correlations]


def _add_device_time(stack: Sequence[_Row], launch: int, time_ns: int) -> None:
    """To the operator that launched it, and once to each name around that."""
    stack[-1][_GPU_SELF] += time_ns
    for row in stack:
        if row[_LAST_LAUNCH] != launch:
            row[_LAST_LAUNCH] = launch
            row[_GPU_TOTAL] += time_ns


def _add_unlaunched(
    table: _Table, trace: TraceWindow, segments: Segments, work: Mapping[int, int]
) -> None:
    """Device time whose launch lies in no operator, by the external id of the operator instead."""
    if not work:
        return
    time_of: dict[int, int] = defaultdict(int)
    for event in trace.device_events:
        if event.external_id and event.correlation in work:
            time_of[event.external_id] += event.duration_ns
    for track in trace.tracks:
        if not time_of or track.external_ids is None:
            continue
        for i, external_id in enumerate(track.external_ids):
            if external_id and track.kinds[i] != LAUNCH and external_id in time_of:
                row = table[segments.at(track.start_ns[i])][track.names[i]]
                time_ns = time_of.pop(external_id)
                row[_GPU_SELF] += time_ns
                row[_GPU_TOTAL] += time_ns


def _add_named(table: _Table, trace: TraceWindow, segments: Segments) -> None:
    """Device time of events that name their operator, which may have none on the host."""
    for event in trace.device_events:
        if event.operator:
            rows = table[event.phase or segments.at(event.start_ns)]
            row = rows.setdefault(event.operator, [0, 0, 0, _NEVER, 0, 0, 0, 0])
            row[_GPU_EVENTS] += 1
            row[_GPU_SELF] += event.duration_ns
            row[_GPU_TOTAL] += event.duration_ns


def _operators(
    table: _Table,
    bytes_of: Mapping[tuple[str, str, str], int],
    operator_flops: Iterable[FlopFigures],
) -> Iterator[OperatorFigures]:
    flops_of: dict[tuple[str, str], int] = {}
    for one in operator_flops:
        before = flops_of.get((one.phase, one.name), 0)
        flops_of[one.phase, one.name] = min(before + one.flops, _MOST)
    for phase, rows in table.items():
        for name, row in rows.items():
            if name.startswith(NO_OPERATORS):
                continue
            calls, self_ns, total_ns = row[_CALLS], row[_SELF], row[_TOTAL]
            of = family(name)
            self_ns, total_ns = max(0, min(self_ns, _MOST)), min(total_ns, _MOST)
            cpu, gpu = bytes_of.get((phase, name, "cpu")), bytes_of.get((phase, name, "gpu"))
            if calls:
                yield OperatorFigures(
                    name, of, phase, "cpu", calls, self_ns, total_ns, cpu,
                    flops_of.get((phase, name)),
                )  # fmt: skip
            if row[_GPU_TOTAL] or gpu is not None:
                calls = calls or row[_GPU_EVENTS]
                yield OperatorFigures(
                    name, of, phase, "gpu", calls, row[_GPU_SELF], row[_GPU_TOTAL], gpu
                )


def _kernels(events: Iterable[DeviceEvent]) -> Iterator[KernelFigures]:
    sums: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
    for event in events:
        row = sums[event.name, event.stream]
        row[0] += 1
        row[1] += event.duration_ns
    for (name, stream), (calls, total_ns) in sums.items():
        yield KernelFigures(name, family(name), stream, calls, total_ns)
