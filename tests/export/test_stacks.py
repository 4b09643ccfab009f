"""speedscope's profiles and folded stacks, against the window that they are of."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fwtop.analysis.phases import Segments
from fwtop.export import folded, speedscope
from fwtop.export.raw_windows import RawWindow
from fwtop.export.source import ExportError, Source, Stretch
from fwtop.export.stacks import DEEPEST, edges, threads
from fwtop.queries import operators
from fwtop.recording.store import open_recording
from fwtop.traces.model import TraceWindow, Track
from tests.export.rich import HOSTILE, build, exported


def lines_of(data: bytes) -> dict[str, int]:
    found = {}
    for line in data.decode().splitlines():
        stack, _, weight = line.rpartition(" ")
        found[stack] = int(weight)
    return found


def test_folded_stacks_are_self_times_below_their_phase(rich: Path) -> None:
    found = lines_of(exported(folded.write, rich))
    assert found["forward;aten::linear"] == 20_000
    assert found["forward;aten::linear;aten::addmm"] == 75_000
    assert found["forward;aten::linear;aten::addmm;cudaLaunchKernel"] == 5_000
    node = "autograd::engine::evaluate_function: AddmmBackward0"
    assert found[f"backward;{node}"] == 10_000
    assert found[f"backward;{node};aten::mm"] == 40_000
    (hostile,) = [stack for stack in found if "onerror" in stack]
    assert hostile.count(";") == 1  # its own semicolons make no frames
    assert len(exported(folded.write, rich).splitlines()) == len(found)


def check_evented(profile: dict[str, Any], frames: int) -> dict[int, int]:
    """By the format's rules: ordered, balanced, of known frames; the self time by frame."""
    stack: list[int] = []
    times: dict[int, int] = {}
    at = profile["startValue"]
    for event in profile["events"]:
        assert at <= event["at"] <= profile["endValue"]
        assert 0 <= event["frame"] < frames
        if stack:
            times[stack[-1]] = times.get(stack[-1], 0) + event["at"] - at
        at = event["at"]
        if event["type"] == "O":
            stack.append(event["frame"])
        else:
            assert event["type"] == "C"
            assert stack.pop() == event["frame"]
    assert not stack
    return times


def test_speedscope_has_a_profile_for_each_thread_and_stream(rich: Path) -> None:
    body = json.loads(exported(speedscope.write, rich))
    assert body["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    names = [frame["name"] for frame in body["shared"]["frames"]]
    by_name = {profile["name"]: profile for profile in body["profiles"]}
    assert set(by_name) == {
        "rank 0, step 300, thread 7", "rank 0, step 300, thread 8",
        "rank 0, step 300, GPU 0 stream 7", "rank 0, step 300, GPU 0 stream 7 (2)",
    }  # fmt: skip
    times = {name: check_evented(p, len(names)) for name, p in by_name.items()}
    main = {names[frame]: time for frame, time in times["rank 0, step 300, thread 7"].items()}
    assert main["aten::addmm"] == 75_000
    assert HOSTILE in main
    stream = times["rank 0, step 300, GPU 0 stream 7"]
    assert {names[frame]: time for frame, time in stream.items()} == {"gemm": 30_000}


@pytest.fixture(scope="module")
def untraced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("untraced") / "run.fwtop", steps=60, raw=False)


def test_without_raw_traces_the_stacks_are_phase_family_operator(untraced: Path) -> None:
    found = lines_of(exported(folded.write, untraced))
    with open_recording(untraced) as recording:
        rows = [row for row in operators.operators(recording) if row.device == "cpu"]
    assert sum(found.values()) == sum(row.self_ns for row in rows)
    (convolution,) = [row for row in rows if row.name == "aten::cudnn_convolution"]
    assert found["forward;convolution;aten::cudnn_convolution"] == convolution.self_ns


def test_without_raw_traces_speedscope_gets_samples_by_device(untraced: Path) -> None:
    body = json.loads(exported(speedscope.write, untraced))
    frames = [frame["name"] for frame in body["shared"]["frames"]]
    assert [profile["name"].partition(":")[0] for profile in body["profiles"]] == ["cpu", "gpu"]
    for profile in body["profiles"]:
        assert profile["type"] == "sampled"
        assert len(profile["samples"]) == len(profile["weights"]) > 5
        assert profile["endValue"] == sum(profile["weights"])
        assert all(0 <= frame < len(frames) for stack in profile["samples"] for frame in stack)
    assert "aten::cudnn_convolution" in frames


@pytest.mark.parametrize("write", [folded.write, speedscope.write])
def test_nothing_traced_is_told_and_no_empty_file(rich: Path, write: Any) -> None:
    with pytest.raises(ExportError, match="no trace window"):
        exported(write, rich, Stretch(0, 1))


def test_what_outlives_its_parent_is_cut_and_depth_is_bounded() -> None:
    track = Track(1, ["a", "b", "c"], [0, 5, 20], [10, 10, 5], bytearray(3))
    found = [(edge.at_ns, edge.name, edge.opens) for edge in edges(track, None)]
    assert found == [(0, "a", True), (5, "b", True), (10, "b", False), (10, "a", False),
                     (20, "c", True), (25, "c", False)]  # fmt: skip
    many = DEEPEST * 40
    deep = Track(1, ["f"] * many, list(range(many)), [2 * many] * many, bytearray(many))
    depth = highest = 0
    for edge in edges(deep, None):
        depth += 1 if edge.opens else -1
        highest = max(highest, depth)
    assert (depth, highest) == (0, DEEPEST)


def test_a_thread_s_events_keep_their_own_phase_and_module() -> None:
    """Operators and Python functions of one thread are one track, with columns that one lacks."""
    operators_of = Track("7", ["MatMul", "MatMulGrad"], [0, 20], [10, 10], bytearray(2))
    operators_of.phases = ["forward", "backward"]
    operators_of.modules = ["Linear", ""]
    functions = Track(7, ["step"], [40], [10], bytearray(1))
    window = TraceWindow(0, tracks=[operators_of], frames=[functions])
    raw = RawWindow(SimpleNamespace(), window, 0)  # type: ignore[arg-type]
    (track,) = threads(raw)
    found = [(edge.name, edge.opens) for edge in edges(track, Segments([], "other"))]
    assert found == [
        ("forward", True), ("Linear", True), ("MatMul", True), ("MatMul", False),
        ("Linear", False), ("forward", False), ("backward", True), ("MatMulGrad", True),
        ("MatMulGrad", False), ("backward", False), ("other", True), ("step", True),
        ("step", False), ("other", False),
    ]  # fmt: skip


def test_where_nothing_tells_a_phase_it_is_other(rich: Path) -> None:
    window = TraceWindow(0, tracks=[Track("7", ["MatMul"], [0], [10], bytearray(1))])
    with open_recording(rich) as recording:
        source = Source(recording)
        (last,) = [one for one in operators.windows(recording) if one.deep]
        told = RawWindow(last, window, last.start_ns).segments(source)
        assert {phase for phase, _ in told} >= {"forward", "backward"}  # by the steps' lengths
        nowhere = replace(last, start_ns=0, end_ns=1)
        assert [phase for phase, _ in RawWindow(nowhere, window, 0).segments(source)] == ["other"]


def test_the_range_of_a_step_is_no_frame() -> None:
    track = Track(1, ["ProfilerStep#12", "aten::mm"], [0, 5], [20, 10], bytearray(2))
    assert [edge.name for edge in edges(track, None)] == ["aten::mm", "aten::mm"]


def test_a_thread_that_waits_for_another_s_phase_is_in_none() -> None:
    """The main thread during the backward pass; operators of one phase with no other between them
    share a frame."""
    track = Track("main")
    for name, start in (("aten::mm", 0), ("aten::relu", 20), ("cudaDeviceSynchronize", 90)):
        track.names.append(name)
        track.start_ns.append(start)
        track.duration_ns.append(10)
        track.kinds.append(0)
    found = edges(track, Segments([(40, 80, "backward")], "forward"))
    phases = [(edge.at_ns, edge.opens) for edge in found if edge.name == "forward"]
    assert phases == [(0, True), (30, False), (90, True), (100, False)]
