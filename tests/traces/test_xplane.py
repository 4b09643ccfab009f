"""What each sort of event becomes, on files written for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fwtop.analysis.results import PhaseSpan
from fwtop.analysis.window import figures
from fwtop.traces.model import ANNOTATION, KERNEL, LAUNCH, MEMCPY, OPERATOR
from fwtop.traces.xplane import read
from tests.traces.xplane_events import host, operators
from tests.traces.xplane_files import (
    START_UNIX_NS,
    Event,
    PlaneWriter,
    StatValue,
    environment,
    hlo_proto,
    write,
)


def test_times_are_the_session_s_start_plus_the_line_s_plus_the_event_s(tmp_path: Path) -> None:
    plane = host(Event("a:Mul", 1_000, 250.5), at_ns=40_000)
    trace = read(write(tmp_path / "t.pb", plane, environment()))
    assert trace.base_unix_ns == START_UNIX_NS
    assert trace.tracks[0].start_ns == [41_000]
    assert trace.tracks[0].duration_ns == [251]


def test_absolute_times_are_taken_as_they_are(tmp_path: Path) -> None:
    plane = host(Event("a:Mul", 1_000, 250), at_ns=START_UNIX_NS + 40_000)
    trace = read(write(tmp_path / "t.pb", plane, environment()))
    assert trace.tracks[0].start_ns == [41_000]


def test_self_time_by_nesting_on_each_thread(tmp_path: Path) -> None:
    plane = host(Event("b:Mul", 30, 40), Event("a:While", 0, 100))  # as it ends, so it is written
    plane.line("tf_Compute/1", [Event("c:Mul", 35, 20)], number=8)
    rows = figures(read(write(tmp_path / "t.pb", plane)), []).operators
    assert {(row.name, row.calls, row.self_ns, row.total_ns) for row in rows} == {
        ("While", 1, 60, 100),
        ("Mul", 2, 60, 60),
    }


def test_eager_operators_take_their_phase_from_the_spans_and_graph_operators_do_not(
    tmp_path: Path,
) -> None:
    plane = host(
        Event("EagerLocalExecute: MatMul", 10, 5), Event("gradient_tape/a/MatMul:MatMul", 20, 5)
    )
    trace = read(write(tmp_path / "t.pb", plane, environment()))
    spans = [PhaseSpan("optimizer", START_UNIX_NS, START_UNIX_NS + 100)]
    rows = figures(trace, spans).operators
    assert sorted((row.phase, row.calls) for row in rows) == [("backward", 1), ("optimizer", 1)]


@pytest.mark.parametrize("stats", [{"step": 20}, {"step_num": 20, "_r": 1}])
def test_steps_are_marked_as_everywhere(tmp_path: Path, stats: dict[str, int | str]) -> None:
    name = "fwtop_step" if "step" in stats else "train"
    trace = read(write(tmp_path / "t.pb", host(Event(name, 0, 100, dict(stats)))))
    assert trace.tracks[0].names == ["ProfilerStep#20"]
    assert trace.tracks[0].kinds == bytes([ANNOTATION])
    assert figures(trace, []).operators == ()


def test_launches_and_kernels_are_joined_and_copies_have_their_size(tmp_path: Path) -> None:
    calls = host(Event("a/MatMul:MatMul", 0, 50))
    cupti = PlaneWriter("/host:CUPTI").line(
        "", [Event("cuLaunchKernel", 10, 5, {"correlation_id": 3})]
    )
    gpu = PlaneWriter("/device:GPU:2").line(
        "Stream #14(Compute)", [Event("gemm", 60, 30, {"correlation_id": 3})]
    )
    copy = Event("MemcpyH2D", 5, 9, {"memcpy_details": "size:112 dest:2 async:0"})
    gpu.line("Stream #15(MemcpyH2D)", [copy])
    trace = read(write(tmp_path / "t.pb", calls, cupti, gpu))
    kernel, copied = trace.device_events
    assert (kernel.kind, kernel.device, kernel.stream, kernel.bytes) == (KERNEL, 2, 14, None)
    assert (copied.kind, copied.stream, copied.bytes) == (MEMCPY, 15, 112)
    (track,) = trace.tracks  # one thread, though two planes tell of it
    assert track.kinds == bytes([OPERATOR, LAUNCH])
    rows = {(row.name, row.device): row for row in figures(trace, []).operators}
    assert rows["MatMul", "gpu"].total_ns == 30
    assert rows["MatMul", "cpu"].self_ns == 45


def test_a_kernel_that_names_its_operator_needs_no_launch(tmp_path: Path) -> None:
    annotation = "gradient_tape/a/MatMul/MatMul:MatMul#shape=(half[4])#"
    gpu = PlaneWriter("/device:GPU:0").line(
        "Stream #1(Compute)", [Event("gemm", 0, 30, {"annotation": annotation})] * 2
    )
    (row,) = figures(read(write(tmp_path / "t.pb", gpu)), []).operators
    assert (row.name, row.phase, row.device) == ("MatMul", "backward", "gpu")
    assert (row.calls, row.self_ns) == (2, 60)


@pytest.mark.parametrize(
    "name",
    ["Steps", "XLA Modules", "XLA Ops", "TensorFlow Ops", "TensorFlow Name Scope",
     "Framework Ops", "Framework Name Scope", "Source code"],
)  # fmt: skip
def test_derived_lines_are_counted_but_not_summed(tmp_path: Path, name: str) -> None:
    gpu = PlaneWriter("/device:GPU:0").line("Stream #1(Compute)", [Event("gemm", 0, 30)])
    gpu.line(name, [Event("7", 0, 300)])
    trace = read(write(tmp_path / "t.pb", gpu))
    assert [event.name for event in trace.device_events] == ["gemm"]
    assert trace.event_count == 2
    steps = [(step.number, step.duration_ns) for step in trace.device_steps]
    assert steps == ([(7, 300)] if name == "Steps" else [])


def test_a_tpu_s_operators_are_its_work(tmp_path: Path) -> None:
    tpu = PlaneWriter("/device:TPU:0").line("XLA Ops", [Event("fusion", 0, 30)])
    tpu.line("XLA Modules", [Event("jit_f", 0, 30)])
    trace = read(write(tmp_path / "t.pb", tpu))
    assert [event.name for event in trace.device_events] == ["fusion"]


def test_hlo_operators_go_by_their_tensorflow_names(tmp_path: Path) -> None:
    metadata = PlaneWriter("/host:metadata").module(
        "jit_step(12)",
        hlo_proto([("fusion.3", "MatMul", "gradient_tape/dense/MatMul"), ("copy.2", "", "")]),
    )
    module = {"hlo_module": "jit_step"}
    calls = host(
        Event("fusion.3", 0, 5, {"hlo_op": "fusion.3", **module}),
        Event("copy.2", 6, 5, {"hlo_op": "copy.2", **module}),
        Event("dot.1", 12, 5, {"hlo_op": "dot.1", "hlo_module": "another"}),
    )
    trace = read(write(tmp_path / "t.pb", calls, metadata))
    assert operators(trace) == [("MatMul", "backward"), ("copy", ""), ("dot", "")]
    assert trace.tracks[0].modules == ["dense", "", ""]


def test_a_fusion_goes_by_what_was_fused(tmp_path: Path) -> None:
    """Its own origin, if it has one, without a type too; else that of the last within it."""
    proto = hlo_proto(
        [("fusion.1", "", ""), ("fusion.2", "", ""), ("fusion.3", "", "net/drop/RandomUniformV2")],
        [("mul.1", "Mul", "net/a/Mul"), ("relu.1", "ReluGrad", "gradient_tape/net/a/ReluGrad"),
         ("copy.9", "", "")],
        [("copy.8", "", "")],
        called={"fusion.1": 2, "fusion.2": 3, "fusion.3": 2},
    )  # fmt: skip
    metadata = PlaneWriter("/host:metadata").module("step(1)", proto)
    calls = host(
        *(
            Event(name, at, 5, {"hlo_op": name, "hlo_module": "step"})
            for at, name in ((0, "fusion.1"), (10, "fusion.2"), (20, "fusion.3"))
        )
    )
    assert operators(read(write(tmp_path / "t.pb", calls, metadata))) == [
        ("ReluGrad", "backward"), ("fusion", ""), ("RandomUniformV2", "forward"),
    ]  # fmt: skip


def test_layers_and_shapes_are_kept_when_asked_for(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.pb",
        host(
            Event("net/dense_1/MatMul:MatMul", 0, 5, {"shape": "(float[4,8];float[8,2])"}),
            Event("gradient_tape/net/dense_1/MatMul/MatMul_1:MatMul", 6, 5),
        ),
    )
    track = read(path).tracks[0]
    assert track.modules == ["net/dense_1", "net/dense_1"]
    assert track.shapes == ["(float[4,8];float[8,2])", ""]
    assert {detail.kind for detail in figures(read(path), []).details} == {"module", "shape"}
    assert figures(read(path, details=False), []).details == ()


def test_memory_is_of_the_operator_that_was_open(tmp_path: Path) -> None:
    def memory(name: str, at: int, size: int, allocator: str) -> Event:
        return Event(name, at, 0, {"allocator_name": allocator, "allocation_bytes": size})

    calls = host(
        Event("gradient_tape/a/MatMul:MatMul", 0, 50),
        memory("MemoryAllocation", 10, 256, "GPU_0_bfc"),
        memory("MemoryDeallocation", 20, 64, "GPU_0_bfc"),
        memory("MemoryAllocation", 30, 512, "gpu_host_bfc"),
    )
    path = write(tmp_path / "t.pb", calls)
    assert read(path, details=False).memory_events == []
    rows = figures(read(path), []).operators
    assert {(row.device, row.phase, row.self_allocated_bytes) for row in rows} == {
        ("gpu", "backward", 192),
        ("cpu", "backward", 512),
    }


def test_an_allocation_s_own_stats(tmp_path: Path) -> None:
    stats: dict[str, StatValue] = {
        "allocator_name": "GPU_3_bfc", "allocation_bytes": 256, "addr": 139_813_459_528_960,
        "bytes_allocated": 4_000, "tf_op": "dense_1/MatMul",
    }  # fmt: skip
    taken, given = Event("MemoryAllocation", 1, 0, stats), Event("MemoryDeallocation", 2, 0, stats)
    first, second = read(write(tmp_path / "t.pb", host(taken, given))).memory_events
    assert (first.bytes, first.on_device, first.device) == (256, True, 3)
    assert (first.address, first.allocated_bytes) == (139_813_459_528_960, 4_000)
    assert (first.operator, second.operator) == ("dense_1/MatMul", "")
    assert (second.bytes, second.address) == (-256, first.address)


def test_python_frames_are_frames(tmp_path: Path) -> None:
    trace = read(write(tmp_path / "t.pb", host(Event("$train.py:12 step", 0, 50))))
    assert trace.frames[0].names == ["train.py(12): step"]
    assert trace.tracks == []
