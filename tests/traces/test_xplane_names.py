"""What an event's name tells: operators, their phases, stages of the input pipeline."""

from __future__ import annotations

from pathlib import Path

import pytest

from fwtop.traces.model import OPERATOR
from fwtop.traces.xplane import read
from tests.traces.xplane_events import host, operators
from tests.traces.xplane_files import (
    Event,
    environment,
    write,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dense/MatMul:MatMul", ("MatMul", "forward")),
        ("StatefulPartitionedCall/dense/MatMul:_FusedMatMul", ("_FusedMatMul", "forward")),
        ("gradient_tape/dense/MatMul/MatMul_1:MatMul", ("MatMul", "backward")),
        ("StatefulPartitionedCall/gradient_tape/dense/Mul:Mul", ("Mul", "backward")),
        ("gradients/dense/MatMul_grad/MatMul:MatMul", ("MatMul", "backward")),
        ("training/Adam/gradients/mul_grad/Mul:Mul", ("Mul", "backward")),
        ("adam/AssignSubVariableOp:AssignSubVariableOp", ("AssignSubVariableOp", "optimizer")),
        ("StatefulPartitionedCall/adam_1/Sqrt_2:Sqrt", ("Sqrt", "optimizer")),
        ("SGD/update/Sub:Sub", ("Sub", "optimizer")),
        ("loss_scale_optimizer/Mul:Mul", ("Mul", "optimizer")),
        ("AdamWeightDecay/Mul:Mul", ("Mul", "optimizer")),
        ("mine/ResourceApplyAdam:ResourceApplyAdam", ("ResourceApplyAdam", "optimizer")),
        ("adamant/Mul:Mul", ("Mul", "forward")),
        ("IteratorGetNext:IteratorGetNext", ("IteratorGetNext", "input")),
        ("EagerLocalExecute: MatMul", ("MatMul", "")),
        ("EagerLocalExecute: IteratorGetNext", ("IteratorGetNext", "input")),
        ("IteratorGetNextOp::DoCompute", ("IteratorGetNext", "input")),
    ],
)
def test_operators_and_their_phases_by_name(
    tmp_path: Path, name: str, expected: tuple[str, str]
) -> None:
    trace = read(write(tmp_path / "t.pb", host(Event(name, 0, 10))))
    assert operators(trace) == [expected]
    assert trace.tracks[0].kinds == bytes([OPERATOR])


@pytest.mark.parametrize(
    "name",
    [
        "ThreadpoolListener::Record",
        "ExecutorState::Process",
        "end: copy.2",
        "KernelAndDeviceFunc::Run",
        "EagerLocalExecute: __inference_step_695",
        "__inference_step_695:__inference_step_695",
        "TFE_Py_FastPathExecute_C",
        "",
    ],
)
def test_the_runtime_s_insides_are_no_operators(tmp_path: Path, name: str) -> None:
    trace = read(write(tmp_path / "t.pb", host(Event(name, 0, 10))))
    assert trace.tracks == []
    assert trace.event_count == 1


def test_operators_on_the_input_pipeline_s_threads_are_input(tmp_path: Path) -> None:
    plane = host(Event("mul:Mul", 0, 1), line="tf_data_private_threadpool/12")
    plane.line("tf_Compute/3", [Event("mul:Mul", 0, 1)], number=8)
    found = operators(read(write(tmp_path / "t.pb", plane)))
    assert sorted(found) == [("Mul", "forward"), ("Mul", "input")]


def test_a_fetch_within_a_traced_operator_counts_once(tmp_path: Path) -> None:
    inner = Event("IteratorGetNextOp::DoCompute", 2, 6)
    both = host(Event("EagerLocalExecute: IteratorGetNext", 0, 10), inner)
    assert operators(read(write(tmp_path / "t.pb", both))) == [("IteratorGetNext", "input")]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("Iterator::Root::Prefetch", "Prefetch"),
        ("Iterator::Prefetch::Generator", "Prefetch::Generator"),
        ("Iterator::Root::ParallelInterleaveV4[13]::Map", "ParallelInterleaveV4::Map"),
        ("Iterator::Root::FiniteRepeat[7]::MemoryCacheImpl::Map", "FiniteRepeat::MemoryCache::Map"),
    ],
)
def test_a_stage_s_path(tmp_path: Path, name: str, path: str) -> None:
    plane = host(Event(name, 1_000, 10), line="tf_data_iterator_resource/12", at_ns=40_000)
    trace = read(write(tmp_path / "t.pb", plane, environment()))
    assert trace.tracks == []
    (event,) = trace.input_events
    assert (event.path, event.start_ns, event.duration_ns) == (path, 41_000, 10)


def test_the_root_of_a_pipeline_is_no_stage(tmp_path: Path) -> None:
    assert read(write(tmp_path / "t.pb", host(Event("Iterator::Root", 0, 10)))).input_events == []


def test_a_stage_s_insane_time_is_left_out(tmp_path: Path) -> None:
    years = 10**15
    plane = host(Event("Iterator::Root::Map", 0, years), Event("Iterator::Root::Map", 5, 7))
    trace = read(write(tmp_path / "t.pb", plane))
    assert [event.duration_ns for event in trace.input_events] == [7]
    assert trace.dropped_count == 1
