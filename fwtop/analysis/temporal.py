"""Where a device's time went, and why it stood still: HolisticTraceAnalysis' formulas.

Source: HolisticTraceAnalysis (Meta, MIT): `breakdown_analysis.py` (temporal and idle time),
`communication_analysis.py` (overlap), `cuda_kernel_analysis.py` and `trace_counters.py` (launch
delay, queue length). U(·) is the length of the union of intervals. All times are nanoseconds on one
axis; everything here is a pure function of device events and launches.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter

from msgspec import Struct

from fwtop.analysis.intervals import intersection, length, union
from fwtop.analysis.results import TemporalBreakdown
from fwtop.traces.model import KERNEL, DeviceEvent

KERNEL_WAIT_NS = 30_000
"""A gap shorter than this, with the work already launched, is the wait between two kernels.
HolisticTraceAnalysis documents 30 ns and compares 30 µs; its published numbers come from µs."""

_COMMUNICATION = re.compile(r"nccl|rccl|hccl", re.IGNORECASE)


class Launch(Struct, gc=False, frozen=True):
    """A call on the host that put something on a device's stream."""

    correlation: int
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Waits:
    """The gaps between a stream's events, by cause."""

    host_ns: int
    kernel_ns: int
    other_ns: int

    @property
    def total_ns(self) -> int:
        """All gaps."""
        return self.host_ns + self.kernel_ns + self.other_ns


def is_communication(event: DeviceEvent) -> bool:
    """Whether a kernel moves data between devices (nccl, rccl, hccl)."""
    return event.kind == KERNEL and _names_communication(event.name)


@lru_cache(maxsize=4_096)
def _names_communication(name: str) -> bool:
    return _COMMUNICATION.search(name) is not None


def breakdown(events: Sequence[DeviceEvent], launches: Mapping[int, Launch]) -> TemporalBreakdown:
    """The breakdown of a window, each device by itself and then summed; empty without events.

    T = last end - first start; busy = U(all); compute = U(compute kernels); communication =
    U(communication kernels); overlap = U(compute ∩ communication). Idle time, T - busy, is split by
    cause (`waits` over all streams of the device together, so that the causes add up to it).
    """
    by_device: dict[int, list[DeviceEvent]] = defaultdict(list)
    for event in events:
        by_device[event.device].append(event)
    if not by_device:
        return TemporalBreakdown()
    parts = [_of_device(own, launches) for own in by_device.values()]
    return TemporalBreakdown(*(sum(column) for column in zip(*parts, strict=True)))


def _of_device(events: Sequence[DeviceEvent], launches: Mapping[int, Launch]) -> tuple[int, ...]:
    everything = union(_spans(events))
    span, busy = everything[-1][1] - everything[0][0], length(everything)
    communication = union(_spans(e for e in events if is_communication(e)))
    compute = union(_spans(e for e in events if e.kind == KERNEL and not is_communication(e)))
    idle = waits(events, launches)
    return (
        span,
        busy,
        length(compute),
        length(communication),
        length(intersection(compute, communication)),
        idle.host_ns,
        idle.kernel_ns,
        idle.other_ns,
    )


def waits(
    events: Iterable[DeviceEvent],
    launches: Mapping[int, Launch],
    kernel_wait_ns: int = KERNEL_WAIT_NS,
) -> Waits:
    """The gaps between events (of one stream, or of a device as a whole) by cause.

    A gap is a host wait if the event that ends it was launched after the gap began, a kernel wait
    if it is shorter than `kernel_wait_ns`, else of another cause (so is a long gap before an event
    whose launch is not in the trace). Where events overlap there is no gap.
    """
    host = kernel = other = 0
    previous_end: int | None = None
    for event in sorted(events, key=attrgetter("start_ns")):
        if previous_end is not None and (gap := event.start_ns - previous_end) > 0:
            launch = launches.get(event.correlation)
            if launch is not None and launch.start_ns > previous_end:
                host += gap
            elif gap < kernel_wait_ns:
                kernel += gap
            else:
                other += gap
        previous_end = event.end_ns if previous_end is None else max(previous_end, event.end_ns)
    return Waits(host, kernel, other)


def overlap_ratio(events: Sequence[DeviceEvent]) -> float | None:
    """U(compute ∩ communication) / U(communication); None without communication."""
    communication = union(_spans(e for e in events if is_communication(e)))
    if not communication:
        return None
    compute = union(_spans(e for e in events if e.kind == KERNEL and not is_communication(e)))
    return length(intersection(compute, communication)) / length(communication)


def queue_lengths(
    events: Iterable[DeviceEvent], launches: Mapping[int, Launch]
) -> dict[int, list[tuple[int, int]]]:
    """For each stream, (time, events launched and not yet begun) at each change, in order."""
    changes: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for event in events:
        launch = launches.get(event.correlation)
        if launch is not None:
            changes[event.stream] += ((launch.start_ns, 1), (event.start_ns, -1))
    lengths: dict[int, list[tuple[int, int]]] = {}
    for stream, own in changes.items():
        waiting = 0
        series = lengths[stream] = []
        for at, change in sorted(own, key=lambda item: item[0]):
            waiting += change
            series.append((at, waiting))
    return lengths


def launch_delays(events: Iterable[DeviceEvent], launches: Mapping[int, Launch]) -> list[int]:
    """max(0, start on the device - end of the launch) of each event whose launch is known."""
    return [
        max(0, event.start_ns - launch.end_ns)
        for event in events
        if (launch := launches.get(event.correlation)) is not None
    ]


def _spans(events: Iterable[DeviceEvent]) -> Iterable[tuple[int, int]]:
    return [(e.start_ns, e.start_ns + e.duration_ns) for e in events]
