"""Real traces, and the figures that independent tools give for them (../shared/traces/README.md).

HolisticTraceAnalysis 0.5.0 and the PyTorch profiler's TensorBoard plugin, in microseconds.
"""

from __future__ import annotations

from functools import cache
from statistics import mean, median

import pytest

from fwtop.analysis import breakdown, temporal
from fwtop.analysis.nesting import NOBODY, Nest
from fwtop.analysis.window import figures
from fwtop.traces.kineto import read
from fwtop.traces.model import TraceWindow
from tests.hta_rules import kept, rounded
from tests.shared_traces import DIFF_CONTROL, DIFF_TEST, NCCL, RESNET50, shared_trace

US = 1000


@cache
def _read(name: str) -> TraceWindow:
    return read(shared_trace(name))


def _trace(name: str) -> TraceWindow:
    shared_trace(name)  # fails or skips in each test, not only in the first
    return _read(name)


@pytest.mark.parametrize(
    ("name", "rows", "operators", "launches", "device_events"),
    [
        (RESNET50, 75_718, 23_646, 11_923, 9_096),
        (DIFF_CONTROL, 109_123, 40_506 + 288, 24_692, 9_450),
        (DIFF_TEST, 105_167, 31_236 + 288, 21_167, 15_632),
        (NCCL, 40_573, 14_346 + 42, 8_740, 3_774),
    ],
)
def test_every_row_is_read(
    name: str, rows: int, operators: int, launches: int, device_events: int
) -> None:
    trace = _trace(name)
    assert trace.event_count == rows
    assert trace.dropped_count == 0
    assert trace.notes == []
    kinds = b"".join(bytes(track.kinds) for track in trace.tracks)
    assert kinds.count(2) == launches
    assert len(kinds) - kinds.count(2) == operators
    assert len(trace.device_events) == device_events


@pytest.mark.parametrize(
    ("name", "idle", "compute", "non_compute", "span"),
    [
        (RESNET50, 327_463, 492_891, 10_140, 830_494),
        (DIFF_CONTROL, 62_119, 234_760, 86_525, 383_404),
        (NCCL, 338_781, 75_169, 21_636, 435_586),
    ],
)
def test_temporal_breakdown_is_hta_s(
    name: str, idle: int, compute: int, non_compute: int, span: int
) -> None:
    result = temporal.breakdown(*kept(rounded(_trace(name))))
    assert result.span_ns == span * US
    assert result.busy_ns is not None
    assert result.compute_ns == compute * US
    assert result.span_ns - result.busy_ns == idle * US
    assert result.busy_ns - result.compute_ns == non_compute * US
    waits = (result.host_wait_ns, result.kernel_wait_ns, result.other_wait_ns)
    assert sum(wait for wait in waits if wait is not None) == idle * US


def test_idle_causes_of_a_stream_are_hta_s() -> None:
    events, launches = kept(_trace(RESNET50))
    assert temporal.waits(events, launches) == temporal.Waits(318_934 * US, 8_529 * US, 0)
    assert temporal.breakdown(events, launches).host_wait_ns == 318_934 * US


@pytest.mark.parametrize(
    ("name", "percent"), [(RESNET50, None), (DIFF_CONTROL, 47.03), (NCCL, 14.31)]
)
def test_overlap_is_hta_s(name: str, percent: float | None) -> None:
    events, _ = kept(rounded(_trace(name)))
    ratio = temporal.overlap_ratio(events)
    assert (ratio if ratio is None else round(100 * ratio, 2)) == percent


def test_queue_length_and_launch_delay_are_hta_s() -> None:
    events, launches = kept(_trace(RESNET50))
    lengths = temporal.queue_lengths(events, launches)
    assert max(waiting for series in lengths.values() for _, waiting in series) == 567
    delays = temporal.launch_delays(events, launches)
    assert len(delays) == 7_580
    assert round(mean(delays) / US, 3) == 10_808.606

    delays = temporal.launch_delays(*kept(_trace(DIFF_CONTROL)))
    assert len(delays) == 7_875
    assert median(delays) == 614 * US


def test_step_breakdown_is_tensorboard_s() -> None:
    trace = _trace(RESNET50)
    steps = breakdown.until_device_end(trace, breakdown.steps(trace))
    rows = breakdown.by_priority(trace, steps)
    assert [row.step.number for row in rows] == [5, 6, 7, 8, 9, 10]
    # kernel, memcpy, memset, communication, runtime, data loader, operators, other
    expected = [98_598, 1_941, 90, 0, 2_796, 69_317, 14_091, 1_115]
    assert [rows[0].class_ns[name] / US for name in breakdown.CLASSES] == expected
    lengths = [row.step.end_ns - row.step.start_ns for row in rows]
    assert round(mean(lengths) / US) == 177_592
    assert [sum(row.class_ns.values()) for row in rows] == lengths


def test_collectives() -> None:
    trace = _trace(NCCL)
    collectives = [event for event in trace.device_events if temporal.is_communication(event)]
    assert len(collectives) == 21
    longest = max(collectives, key=lambda event: event.duration_ns)
    assert (longest.duration_ns, longest.elements) == (5_993_392, 2_049_000)
    assert max(event.elements or 0 for event in collectives) == 7_875_584
    rows = [row for row in figures(trace, []).kernels if row.family == "collective"]
    assert sum(row.calls for row in rows) == 21
    assert {row.stream for row in rows} == {40}


@pytest.mark.parametrize("name", [RESNET50, DIFF_CONTROL, DIFF_TEST, NCCL])
def test_device_time_is_accounted_for(name: str) -> None:
    trace = _trace(name)
    result = figures(trace, [])
    of_kernels = sum(row.total_ns for row in result.kernels)
    assert of_kernels == sum(event.duration_ns for event in trace.device_events)
    assert sum(row.calls for row in result.kernels) == len(trace.device_events)
    of_operators = sum(row.self_ns for row in result.operators if row.device == "gpu")
    assert _device_time_launched_in_operators(trace) <= of_operators <= of_kernels
    assert of_operators > 0.9 * of_kernels


@pytest.mark.parametrize("name", [RESNET50, DIFF_CONTROL, DIFF_TEST, NCCL])
def test_self_times_add_up_to_the_time_in_operators(name: str) -> None:
    result = figures(_trace(name), [])
    cpu = [row for row in result.operators if row.device == "cpu"]
    assert all(0 <= row.self_ns <= row.total_ns for row in cpu)
    top_level = _time_in_operators(_trace(name))
    steps_self = sum(_self_time_of_steps(_trace(name)))
    assert sum(row.self_ns for row in cpu) == pytest.approx(top_level - steps_self, abs=1)


def _device_time_launched_in_operators(trace: TraceWindow) -> int:
    inside = set()
    for track in trace.tracks:
        parents = Nest(track).parents
        for i, correlation in enumerate(track.correlations or ()):
            above = parents[i]
            if above != NOBODY and not track.names[above].startswith("ProfilerStep#"):
                inside.add(correlation)
    return sum(e.duration_ns for e in trace.device_events if e.correlation in inside - {0})


def _time_in_operators(trace: TraceWindow) -> int:
    total = 0
    for track in trace.tracks:
        end = 0
        for start, duration in zip(track.start_ns, track.duration_ns, strict=True):
            if start >= end:
                total += duration
                end = start + duration
    return total


def _self_time_of_steps(trace: TraceWindow) -> list[int]:
    return [
        own
        for track in trace.tracks
        for name, own in zip(track.names, Nest(track).self_ns, strict=True)
        if name.startswith("ProfilerStep#")
    ]
