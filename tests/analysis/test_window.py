from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwtop.analysis.nesting import NOBODY, Nest, innermost
from fwtop.analysis.results import OperatorFigures, PhaseSpan, WindowFigures
from fwtop.analysis.window import figures
from fwtop.traces.model import (
    FRAME,
    LAUNCH,
    OPERATOR,
    DeviceEvent,
    MemoryEvent,
    TraceWindow,
    Track,
)

BASE = 1_700_000_000_000_000_000


def track(*events: tuple[str, int, int], thread: int = 1, **columns: list[int]) -> Track:
    made = Track(
        thread,
        names=[name for name, _, _ in events],
        start_ns=[start for _, start, _ in events],
        duration_ns=[end - start for _, start, end in events],
        kinds=bytearray(LAUNCH if name.startswith("cuda") else OPERATOR for name, _, _ in events),
        **columns,  # type: ignore[arg-type]
    )
    made.arrange()
    return made


def kernel(name: str, start: int, end: int, correlation: int = 0, **fields: int) -> DeviceEvent:
    return DeviceEvent("kernel", name, start, end - start, correlation=correlation, **fields)  # type: ignore[arg-type]


def row(result: WindowFigures, name: str, device: str = "cpu") -> OperatorFigures:
    (found,) = [r for r in result.operators if (r.name, r.device) == (name, device)]
    return found


def times(result: WindowFigures, name: str, device: str = "cpu") -> tuple[int, int, int]:
    found = row(result, name, device)
    return found.calls, found.self_ns, found.total_ns


def test_self_time_is_total_less_the_direct_children_s() -> None:
    trace = TraceWindow(
        BASE, [track(("a", 0, 100), ("b", 10, 60), ("c", 20, 30), ("c", 60, 70), ("a", 100, 110))]
    )
    result = figures(trace, [])
    assert times(result, "a") == (2, 50, 110)
    assert times(result, "b") == (1, 40, 50)
    assert times(result, "c") == (2, 20, 20)


def test_recursion_counts_once_in_total() -> None:
    trace = TraceWindow(BASE, [track(("a", 0, 100), ("b", 10, 90), ("a", 20, 50), ("a", 60, 80))])
    result = figures(trace, [])
    assert times(result, "a") == (3, 20 + 30 + 20, 100)
    assert times(result, "b") == (1, 30, 80)


def test_threads_nest_by_themselves() -> None:
    trace = TraceWindow(BASE, [track(("a", 0, 100)), track(("b", 10, 20), ("a", 30, 40), thread=2)])
    result = figures(trace, [])
    assert times(result, "a") == (2, 110, 110)
    assert times(result, "b") == (1, 10, 10)


def test_a_child_that_outlives_its_parent_takes_what_lies_within() -> None:
    result = figures(TraceWindow(BASE, [track(("a", 0, 100), ("b", 90, 130))]), [])
    assert times(result, "a") == (1, 90, 100)
    assert times(result, "b") == (1, 40, 40)


def test_steps_enclose_operators_and_are_none() -> None:
    trace = TraceWindow(BASE, [track(("ProfilerStep#3", 0, 100), ("a", 10, 20))])
    assert [r.name for r in figures(trace, []).operators] == ["a"]


def test_phase_by_spans_is_that_of_the_start_on_any_thread() -> None:
    trace = TraceWindow(
        BASE,
        [
            track(("a", 0, 9), ("a", 10, 40), ("b", 20, 30), ("a", 60, 70)),
            track(("a", 25, 28), thread=2),
        ],
    )
    spans = [PhaseSpan("backward", BASE + 20, BASE + 50), PhaseSpan("forward", BASE, BASE + 20)]
    got = {(r.name, r.phase): (r.calls, r.self_ns) for r in figures(trace, spans).operators}
    assert got == {
        ("a", "forward"): (2, 9 + 20),
        ("b", "backward"): (1, 10),
        ("a", "backward"): (1, 3),
        ("a", "other"): (1, 10),
    }


def test_an_optimizer_s_own_range_is_of_its_phase_however_late_the_hook_was() -> None:
    late = 5_000_000
    trace = TraceWindow(
        BASE,
        [
            track(
                ("aten::mm", 0, 10), ("Optimizer.step#SGD.step", late, 3 * late),
                ("aten::mul_", 2 * late + 1, 2 * late + 2), ("aten::mm", 4 * late, 4 * late + 9),
            )
        ],
    )  # fmt: skip
    spans = [
        PhaseSpan("forward", BASE, BASE + late - 100),
        PhaseSpan("optimizer", BASE + 2 * late, BASE + 3 * late),
    ]
    got = {(r.name, r.phase, r.calls) for r in figures(trace, spans).operators}
    assert got == {
        ("aten::mm", "forward", 1),
        ("Optimizer.step#SGD.step", "optimizer", 1),
        ("aten::mul_", "optimizer", 1),
        ("aten::mm", "other", 1),
    }


def test_phase_by_names() -> None:
    trace = TraceWindow(
        BASE,
        [
            track(
                ("enumerate(DataLoader)#It.__next__", 0, 10), ("aten::stack", 1, 5),
                ("aten::mm", 10, 20), ("Optimizer.step#SGD.step", 50, 60), ("aten::mul_", 51, 52),
                ("Optimizer.zero_grad#SGD.zero_grad", 70, 80), ("aten::zero_", 71, 72),
            ),
            track(
                ("autograd::engine::evaluate_function: MmBackward0", 20, 40),
                ("MmBackward0", 21, 39), ("aten::mm", 22, 30), thread=2,
            ),
        ],
    )  # fmt: skip
    got = {(r.name, r.phase) for r in figures(trace, []).operators if r.name.startswith("aten")}
    assert got == {
        ("aten::stack", "input"), ("aten::mm", "forward"), ("aten::mm", "backward"),
        ("aten::mul_", "optimizer"), ("aten::zero_", "other"),
    }  # fmt: skip


def test_device_time_goes_to_the_operators_around_the_launch() -> None:
    host = track(
        ("linear", 0, 100), ("addmm", 10, 60), ("cudaLaunchKernel", 20, 30),
        ("cudaLaunchKernel", 70, 80), ("cudaLaunchKernel", 200, 210), ("relu", 300, 310),
        correlations=[0, 0, 7, 8, 9, 0], external_ids=[1, 2, 0, 0, 0, 4], sequences=[-1] * 6,
    )  # fmt: skip
    events = [
        kernel("sgemm", 100, 150, 7), kernel("sgemm", 150, 151, 7, stream=3),
        kernel("bias", 160, 170, 8),
        kernel("late", 320, 325, 9, external_id=4),  # launched outside of any operator
        kernel("lost", 330, 340),
    ]  # fmt: skip
    result = figures(TraceWindow(BASE, [host], device_events=events), [])
    assert times(result, "addmm", "gpu") == (1, 51, 51)
    assert times(result, "linear", "gpu") == (1, 10, 61)
    assert times(result, "relu", "gpu") == (1, 5, 5)
    assert times(result, "addmm") == (1, 40, 50)
    assert {(k.name, k.stream, k.calls, k.total_ns) for k in result.kernels} == {
        ("sgemm", 0, 1, 50), ("sgemm", 3, 1, 1), ("bias", 0, 1, 10), ("late", 0, 1, 5),
        ("lost", 0, 1, 10),
    }  # fmt: skip
    assert row(result, "addmm", "gpu").family == "matmul"


def test_device_time_of_a_recursion_counts_once() -> None:
    host = track(
        ("a", 0, 100), ("a", 10, 60), ("cudaLaunchKernel", 20, 30),
        correlations=[0, 0, 7], external_ids=[0] * 3, sequences=[-1] * 3,
    )  # fmt: skip
    result = figures(TraceWindow(BASE, [host], device_events=[kernel("k", 50, 60, 7)]), [])
    assert times(result, "a", "gpu") == (2, 10, 10)


def test_memory_is_that_of_the_innermost_operator() -> None:
    memory = [
        MemoryEvent(1, 15, 64, False), MemoryEvent(1, 50, 100, False),
        MemoryEvent(1, 55, -30, False), MemoryEvent(1, 15, 7, True), MemoryEvent(1, 200, 5, False),
        MemoryEvent(9, 15, 5, False),
    ]  # fmt: skip
    trace = TraceWindow(BASE, [track(("a", 0, 100), ("b", 10, 20))], memory_events=memory)
    result = figures(trace, [])
    assert row(result, "a").self_allocated_bytes == 70
    assert row(result, "b").self_allocated_bytes == 64
    assert row(result, "b", "gpu").self_allocated_bytes == 7


def test_a_recorded_row_of_unknown_memory_is_none() -> None:
    result = figures(TraceWindow(BASE, [track(("a", 0, 100))]), [])
    assert row(result, "a").self_allocated_bytes is None
    assert row(result, "a").flops is None


def test_details_by_module_source_and_shape() -> None:
    frames = Track(
        1,
        ["train.py(3): main", "nn.Module: Linear_0", "torch/nn/functional.py(9): linear"],
        [0, 10, 12],
        [1_000, 50, 40],
        bytearray([FRAME] * 3),
    )
    host = track(("aten::linear", 15, 45), ("aten::addmm", 20, 40), ("aten::add", 80, 90))
    host.shapes = ["[[2, 3]]", "[[4], [2, 3], [3, 4]]", ""]
    host.sequences = [5, -1, -1]
    host.correlations, host.external_ids = [0] * 3, [0] * 3
    backward = track(("AddmmBackward0", 500, 600), ("aten::mm", 510, 590), thread=2)
    backward.sequences = [5, -1]
    result = figures(TraceWindow(BASE, [host, backward], frames=[frames]), [])
    got = {(d.name, d.kind, d.value): (d.calls, d.self_ns, d.total_ns) for d in result.details}
    assert got == {
        ("aten::linear", "shape", "[[2, 3]]"): (1, 10, 30),
        ("aten::addmm", "shape", "[[4], [2, 3], [3, 4]]"): (1, 20, 20),
        ("aten::linear", "module", "Linear_0"): (1, 10, 30),
        ("aten::addmm", "module", "Linear_0"): (1, 20, 20),
        ("AddmmBackward0", "module", "Linear_0"): (1, 20, 100),
        ("aten::mm", "module", "Linear_0"): (1, 80, 80),
        ("aten::linear", "source", "train.py(3): main"): (1, 10, 30),
        ("aten::addmm", "source", "train.py(3): main"): (1, 20, 20),
        ("aten::add", "source", "train.py(3): main"): (1, 10, 10),
    }
    assert row(result, "aten::addmm").flops == 2 * 2 * 3 * 4


intervals = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 60), st.integers(0, 30)), max_size=25
)


@given(intervals)
def test_against_a_slow_and_plain_nesting(events: list[tuple[str, int, int]]) -> None:
    made = track(*((name, start, start + length) for name, start, length in events))
    nest = Nest(made)
    for i, above in enumerate(nest.parents):
        end_of_above = 0 if above == NOBODY else made.start_ns[above] + made.duration_ns[above]
        assert above == NOBODY or (above < i and made.start_ns[i] < end_of_above)
    result = figures(TraceWindow(BASE, [made]), [])
    by_name = {name: [0, 0] for name in made.names}
    for name, own in zip(made.names, nest.self_ns, strict=True):
        by_name[name][0] += 1
        by_name[name][1] += own
    if all(time >= 0 for time in _unclamped(made, nest.parents)):
        assert {r.name: [r.calls, r.self_ns] for r in result.operators} == by_name
    for at in range(0, 95, 7):
        i = innermost(at, made.start_ns, made.duration_ns, nest.parents)
        if i != NOBODY:
            assert made.start_ns[i] <= at < made.start_ns[i] + made.duration_ns[i]


def _unclamped(made: Track, parents: list[int]) -> list[int]:
    own = list(made.duration_ns)
    for i, above in enumerate(parents):
        if above != NOBODY:
            end = made.start_ns[above] + made.duration_ns[above]
            own[above] -= min(made.duration_ns[i], end - made.start_ns[i])
    return own


def test_a_window_of_nothing() -> None:
    result = figures(TraceWindow(BASE), [])
    assert (result.operators, result.kernels, result.details) == ((), (), ())
    assert result.breakdown.span_ns is None


@pytest.mark.parametrize("depth", [5_000])
def test_deep_nesting_is_no_recursion_of_ours(depth: int) -> None:
    made = track(*((f"f{i % 3}", i, 3 * depth - i) for i in range(depth)))
    result = figures(TraceWindow(BASE, [made]), [])
    assert sum(r.self_ns for r in result.operators) == 3 * depth
