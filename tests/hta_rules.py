"""HolisticTraceAnalysis' rules of what it keeps of a trace, so that its figures can be compared.

It leaves out the last ProfilerStep where there are several, keeps the device events launched by
what began before it, and rounds the times of fractional traces inwards to whole microseconds.
"""

from __future__ import annotations

from dataclasses import replace

from fwtop.analysis.breakdown import steps
from fwtop.analysis.temporal import Launch
from fwtop.analysis.window import launches
from fwtop.traces.model import DeviceEvent, TraceWindow


def kept(trace: TraceWindow) -> tuple[list[DeviceEvent], dict[int, Launch]]:
    """The device events that it keeps, and all their launches."""
    known = launches(trace)
    marks = steps(trace)
    events = trace.device_events
    if len(marks) > 1:
        end = marks[-1].start_ns
        known = {key: launch for key, launch in known.items() if launch.start_ns < end}
        events = [event for event in events if event.correlation in known]
    return events, known


def rounded(trace: TraceWindow) -> TraceWindow:
    """Whole microseconds: the start rounded up, the end rounded down."""
    events = []
    for event in trace.device_events:
        start = -(-event.start_ns // 1000) * 1000
        end = event.end_ns // 1000 * 1000
        events.append(
            DeviceEvent(
                event.kind, event.name, start, end - start, event.device, event.stream,
                event.correlation, event.external_id, event.bytes, event.elements,
            )
        )  # fmt: skip
    return replace(trace, device_events=events)
