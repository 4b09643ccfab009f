"""A real trace of BERT on several GPUs, against figures of an independent reading of the file."""

from __future__ import annotations

from functools import cache

from fwtop.analysis.input_stages import waits
from fwtop.analysis.memory_timeline import BEFORE
from fwtop.analysis.results import WindowFigures
from fwtop.analysis.window import figures
from fwtop.traces.model import KERNEL, LAUNCH, TraceWindow
from fwtop.traces.xplane import Limits, read
from fwtop.traces.xplane_file import XPlaneFile
from tests.shared_traces import BERT_XPLANE, shared_trace

COMPUTE_STREAM = 134


@cache
def _read() -> TraceWindow:
    return read(shared_trace(BERT_XPLANE))


@cache
def _figures() -> WindowFigures:
    return figures(_trace(), [])


def _trace() -> TraceWindow:
    shared_trace(BERT_XPLANE)  # fails or skips in each test, not only in the first
    return _read()


def test_events_of_the_planes() -> None:
    file = XPlaneFile(shared_trace(BERT_XPLANE), Limits())
    counts = {
        plane.name: sum(
            len(part.events) for place in plane.lines for part in file.parts(place, 1_000_000)
        )
        for plane in file.planes
    }
    assert counts["/host:CPU"] == 15_354
    assert sum(counts.values()) == _trace().event_count
    assert _trace().notes == []


def test_compute_stream_of_gpu_4() -> None:
    events = [e for e in _trace().device_events if (e.device, e.stream) == (4, COMPUTE_STREAM)]
    assert len(events) == 665
    assert {event.kind for event in events} == {KERNEL}
    assert sum(event.duration_ns for event in events) == 14_825_385


def test_step_of_gpu_4() -> None:
    (step,) = (step for step in _trace().device_steps if step.device == 4)
    assert step.duration_ns == 19_865_491
    events = [e for e in _trace().device_events if (e.device, e.stream) == (4, COMPUTE_STREAM)]
    begun, ended = min(e.start_ns for e in events), max(e.end_ns for e in events)
    assert (step.start_ns, step.start_ns + step.duration_ns) == (begun, ended)


def test_kernels_belong_to_the_operators_that_launched_them() -> None:
    trace = _trace()
    work = {event.correlation: event for event in trace.device_events if event.operator}
    agreeing = 0
    for track in trace.tracks:
        enclosing, until = "", 0
        for name, start, duration, kind, correlation in zip(
            track.names, track.start_ns, track.duration_ns, track.kinds,
            track.correlations or [0] * len(track), strict=True,
        ):  # fmt: skip
            if kind != LAUNCH:
                enclosing, until = name, start + duration
            elif start < until and correlation in work:
                agreeing += work[correlation].operator == enclosing
    assert agreeing == len(work) == 1_366


def test_figures() -> None:
    rows = figures(_trace(), []).operators
    on_gpu = sum(row.self_ns for row in rows if row.device == "gpu")
    known = [event for event in _trace().device_events if event.operator]
    assert on_gpu >= sum(event.duration_ns for event in known)
    cast = {row.device: row for row in rows if row.name == "Cast" and row.phase == "forward"}
    assert cast["gpu"].total_ns > cast["cpu"].self_ns > 0
    assert {row.phase for row in rows} >= {"input", "forward", "backward"}


def test_memory_s_line_is_what_the_allocators_say() -> None:
    """Each event tells what its allocator had given out after it: an account of its own."""
    trace = _trace()
    for device in (4, 6):
        events = sorted(
            (e for e in trace.memory_events if e.on_device and e.device == device),
            key=lambda event: event.at_ns,
        )
        told = [event.allocated_bytes or 0 for event in events]
        held = told[0] - events[0].bytes
        line = [held := held + event.bytes for event in events]
        assert line == told
        points = [
            p.allocated_bytes for p in _figures().memory_timeline if p.device == f"cuda:{device}"
        ]
        assert max(points) == max(told) - (told[0] - events[0].bytes)
        assert points[-1] == told[-1] - (told[0] - events[0].bytes)
        holders = {
            h.operator: h.bytes for h in _figures().memory_holders if h.device == f"cuda:{device}"
        }
        assert sum(holders.values()) == max(told)
        assert holders[BEFORE] == told[0] - events[0].bytes


def test_the_input_pipeline_s_stages() -> None:
    stages = {stage.path: stage for stage in _figures().input_stages}
    assert stages.keys() == {"Prefetch", "Prefetch::Generator"}
    prefetch, generator = stages["Prefetch"], stages["Prefetch::Generator"]
    assert generator.total_ns < prefetch.self_ns == prefetch.total_ns  # on threads of their own
    assert waits(stages.values()) == {
        "Prefetch": 0,
        "Prefetch::Generator": prefetch.total_ns,
    }
