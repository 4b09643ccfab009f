from __future__ import annotations

from fwtop.analysis.breakdown import (
    CLASSES,
    TracedStep,
    bounds,
    by_priority,
    figures_of,
    steps,
    until_device_end,
)
from fwtop.analysis.results import StepSpan, TemporalBreakdown
from fwtop.analysis.temporal import (
    KERNEL_WAIT_NS,
    Launch,
    Waits,
    breakdown,
    launch_delays,
    overlap_ratio,
    queue_lengths,
    waits,
)
from fwtop.traces.model import LAUNCH, OPERATOR, DeviceEvent, DeviceStep, TraceWindow, Track


def event(
    name: str, start: int, end: int, correlation: int = 0, *, kind: str = "kernel", stream: int = 7,
    device: int = 0,
) -> DeviceEvent:  # fmt: skip
    return DeviceEvent(kind, name, start, end - start, device, stream, correlation)


def launches(*times: tuple[int, int, int]) -> dict[int, Launch]:
    return {key: Launch(key, start, end) for key, start, end in times}


def test_without_device_events_everything_is_unknown() -> None:
    assert breakdown([], {}) == TemporalBreakdown()
    assert overlap_ratio([event("gemm", 0, 5)]) is None


def test_span_busy_compute_communication_and_overlap() -> None:
    events = [
        event("gemm", 100, 200), event("ncclAllReduce", 150, 250, stream=9),
        event("Memcpy HtoD", 300, 310, kind="memcpy"), event("relu", 400, 500),
    ]  # fmt: skip
    result = breakdown(events, {})
    assert result == TemporalBreakdown(
        span_ns=400, busy_ns=260, compute_ns=200, communication_ns=100, overlap_ns=50,
        host_wait_ns=0, kernel_wait_ns=140, other_wait_ns=0,
    )  # fmt: skip
    assert overlap_ratio(events) == 0.5


def test_devices_are_broken_down_apart_and_summed() -> None:
    events = [
        event("a", 0, 100),
        event("a", 1_000, 1_100, device=1),
        event("b", 1_150, 1_200, device=1),
    ]
    result = breakdown(events, {})
    assert (result.span_ns, result.busy_ns, result.kernel_wait_ns) == (300, 250, 50)


def test_causes_of_a_gap() -> None:
    far = KERNEL_WAIT_NS
    events = [
        event("first", 0, 100, 1),
        event("launched while it ran, soon", 100 + far - 1, 200 + far, 2),
        event("launched while it ran, late", 200 + 2 * far, 300 + 2 * far, 3),
        event("launched after it", 500 + 2 * far, 600 + 2 * far, 4),
        event("overlapping", 550 + 2 * far, 580 + 2 * far, 5),
        event("after the longer one", 610 + 2 * far, 620 + 2 * far, 6),
    ]  # fmt: skip
    known = launches(
        (1, 0, 1), (2, 50, 51), (3, 150, 151), (4, 301 + 2 * far, 302 + 2 * far),
        (5, 400 + 2 * far, 401), (6, 500 + 2 * far, 501 + 2 * far),
    )  # fmt: skip
    assert waits(events, known) == Waits(host_ns=200, kernel_ns=far - 1 + 10, other_ns=far)
    assert waits(reversed(events), known).total_ns == 200 + 2 * far + 9


def test_queue_and_delay() -> None:
    events = [
        event("a", 10, 20, 1),
        event("b", 20, 30, 2),
        event("c", 50, 60, 3),
        event("d", 70, 80),
    ]
    known = launches((1, 0, 2), (2, 5, 8), (3, 40, 55))
    assert queue_lengths(events, known) == {7: [(0, 1), (5, 2), (10, 1), (20, 0), (40, 1), (50, 0)]}
    assert launch_delays(events, known) == [8, 12, 0]


def host(*rows: tuple[str, int, int, int]) -> Track:
    """(name, start, end, correlation)"""
    made = Track(1)
    for name, start, end, correlation in rows:
        made.names.append(name)
        made.start_ns.append(start)
        made.duration_ns.append(end - start)
        made.kinds.append(LAUNCH if name.startswith("cuda") else OPERATOR)
        made.correlations = [*(made.correlations or []), correlation]
    made.arrange()
    return made


def test_a_step_s_time_is_claimed_once_by_priority() -> None:
    trace = TraceWindow(
        0,
        [
            host(
                ("ProfilerStep#1", 0, 100, 0), ("ProfilerStep#2", 100, 200, 0),
                ("enumerate(DataLoader)#It.__next__", 0, 30, 0), ("aten::stack", 10, 20, 0),
                ("aten::mm", 30, 60, 0), ("cudaLaunchKernel", 40, 50, 1),
                ("aten::mm", 110, 160, 0), ("cudaLaunchKernel", 120, 130, 2),
            )
        ],
        device_events=[
            event("stale", -20, -10), event("gemm", 45, 120, 1), event("gemm", 150, 170, 2),
        ],
    )  # fmt: skip
    on_host = steps(trace)
    assert on_host == [TracedStep(1, 0, 100), TracedStep(2, 100, 200)]
    moved = until_device_end(trace, on_host)
    assert moved == [TracedStep(1, 0, 120), TracedStep(2, 120, 200)]
    one, two = by_priority(trace, moved)
    assert [one.class_ns[name] for name in CLASSES] == [75, 0, 0, 0, 5, 30, 10, 0]
    assert [two.class_ns[name] for name in CLASSES] == [20, 0, 0, 0, 10, 0, 20, 30]


def test_steps_without_a_device_stay_as_they_are() -> None:
    trace = TraceWindow(0, [host(("ProfilerStep#1", 0, 100, 0))])
    assert until_device_end(trace, steps(trace)) == [TracedStep(1, 0, 100)]


def test_steps_that_are_given_stand_before_the_trace_s_own_marks() -> None:
    trace = TraceWindow(
        1_000,
        [host(("ProfilerStep#1", 0, 100, 0), ("cudaLaunchKernel", 40, 50, 1))],
        device_events=[event("gemm", 60, 130, 1)],
    )
    assert bounds(trace) == [TracedStep(1, 0, 130)]
    given = [StepSpan(8, 1_050, 1_090), StepSpan(7, 1_000, 1_050)]
    assert bounds(trace, given) == [TracedStep(7, 0, 130), TracedStep(8, 130, 130)]


def test_steps_of_a_trace_without_marks() -> None:
    kernels = [event("gemm", 60, 130, 1), event("gemm", 140, 150, 1)]
    trace = TraceWindow(0, [host(("aten::mm", 10, 70, 0))], device_events=kernels)
    assert bounds(trace) == [TracedStep(0, 10, 150)]
    trace.device_steps = [
        DeviceStep(1, 4, 70, 30),
        DeviceStep(0, 4, 60, 20),
        DeviceStep(0, 3, 0, 9),
    ]
    assert bounds(trace) == [TracedStep(3, 0, 9), TracedStep(4, 60, 100)]
    assert bounds(TraceWindow(0)) == []


def test_a_step_s_number_is_one_that_a_recording_can_hold() -> None:
    trace = TraceWindow(0, [host((f"ProfilerStep#{'9' * 30}", 0, 100, 0))])
    assert steps(trace) == []


def test_of_steps_with_the_same_number_one_is_kept() -> None:
    trace = TraceWindow(0, [host(("aten::mm", 0, 30, 0))])
    rows = by_priority(trace, [TracedStep(1, 0, 10), TracedStep(1, 10, 25)])
    assert [(row.step_index, row.cpu_op_ns) for row in figures_of(rows)] == [(1, 15)]
