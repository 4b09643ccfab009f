"""The trace for Perfetto, against the format's rules and read back by fwtop's own Kineto reader."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from fwtop.export import chrome
from fwtop.export.source import Stretch
from fwtop.recording.store import open_recording
from fwtop.summary import summarize
from fwtop.traces import kineto
from tests.export.rich import FORMULA, HOSTILE, STARTED_NS, STEPS, build, exported

Event = dict[str, Any]


@pytest.fixture(scope="module")
def trace(rich: Path) -> list[Event]:
    body = json.loads(exported(chrome.write, rich), parse_constant=pytest.fail)
    assert body["baseTimeNanoseconds"] == STARTED_NS
    events: list[Event] = body["traceEvents"]
    return events


def of(trace: list[Event], ph: str, cat: str) -> list[Event]:
    return [event for event in trace if event["ph"] == ph and event.get("cat") == cat]


def test_every_event_has_what_its_kind_needs(trace: list[Event]) -> None:
    for event in trace:
        assert event["ph"] in "XiCMsf"
        assert type(event["pid"]) is int
        assert event["pid"] > 0
        assert type(event["tid"]) is int
        assert isinstance(event["ts"], (int, float))
        assert isinstance(event["name"], str)
        assert event["name"]
        if event["ph"] == "X":
            assert event["dur"] >= 0
        if event["ph"] == "i":
            assert event["s"] in ("t", "p", "g")
        if event["ph"] == "C":
            assert event["args"]
            assert all(isinstance(value, (int, float)) for value in event["args"].values())


def test_slices_of_a_track_nest_in_time_s_order(trace: list[Event]) -> None:
    tracks: dict[tuple[int, int], list[Event]] = defaultdict(list)
    for event in trace:
        if event["ph"] == "X":
            tracks[event["pid"], event["tid"]].append(event)
    assert len(tracks) == 7  # steps of two ranks, compile, two threads, a stream of two lanes
    for events in tracks.values():
        assert [e["ts"] for e in events] == sorted(e["ts"] for e in events)
        ends: list[float] = []
        for event in events:
            while ends and ends[-1] <= event["ts"] + 1e-6:
                ends.pop()
            end = event["ts"] + event["dur"]
            assert not ends or end <= ends[-1] + 1e-6
            ends.append(end)


def test_threads_have_numbers_of_their_own_and_names(trace: list[Event]) -> None:
    pids: dict[int, set[int]] = defaultdict(set)
    for event in trace:
        if event["tid"]:
            pids[event["tid"]].add(event["pid"])
    assert all(len(of_tid) == 1 for of_tid in pids.values())
    named = {e["tid"] for e in trace if e["ph"] == "M" and e["name"] == "thread_name"}
    assert named == set(pids)
    processes = {e["pid"]: e["args"]["name"] for e in trace
                 if e["ph"] == "M" and e["name"] == "process_name"}  # fmt: skip
    assert set(processes) == {event["pid"] for event in trace}
    assert {name.partition(" ·")[0] for name in processes.values()} == {
        "rank 0", "rank 1", "fwtop", "host gpu-box", "GPU 0 NVIDIA A100-SXM4-80GB",
        "GPU 1 NVIDIA A100-SXM4-80GB",
    }  # fmt: skip


def test_steps_hold_their_phases(trace: list[Event]) -> None:
    steps = of(trace, "X", "step")
    assert len(steps) == 2 * (STEPS + 1)
    assert [step["args"]["step"] for step in steps[:3]] == [0, 1, 2]
    assert "traced" in steps[STEPS]["args"]["flags"]
    phases = of(trace, "X", "phase")
    assert {phase["name"] for phase in phases} == {
        "input", "h2d", "forward", "backward", "optimizer",
    }  # fmt: skip
    assert len(phases) == 5 * len(steps)


def test_compiles_nest_and_what_was_under_way_is_told(trace: list[Event]) -> None:
    (first, *_) = of(trace, "X", "compile")
    inner = [e["name"] for e in of(trace, "X", "compile_phase")
             if e["tid"] == first["tid"]]  # fmt: skip
    assert inner[:2] == ["dynamo", "aot_autograd"]
    assert of(trace, "i", "recompile")[0]["args"]["reason"].startswith("tensor 'x'")
    (unfinished,) = [e for e in of(trace, "X", "compile") if e["args"].get("under_way")]
    assert unfinished["name"] == f"compile {HOSTILE}"
    assert unfinished["args"]["huge"] is None


def test_marks_notices_findings_and_failed_allocators_are_instants(
    rich: Path, trace: list[Event]
) -> None:
    assert of(trace, "i", "mark")[-1]["name"] == f"{HOSTILE} {FORMULA}"
    assert of(trace, "i", "notice warning")[0]["args"]["text"] == HOSTILE
    assert of(trace, "i", "memory")[0]["args"]["message"] == HOSTILE
    found = [e for e in trace if e["ph"] == "i" and e["cat"].startswith("finding")]
    with open_recording(rich) as recording:
        findings = summarize(recording).findings
    assert [(e["name"], e["args"]["why"]) for e in found] == [(f.code, f.why) for f in findings]


def test_counters_of_gpus_host_and_allocators(trace: list[Event]) -> None:
    counters: dict[str, set[str]] = defaultdict(set)
    for event in trace:
        if event["ph"] == "C":
            counters[event["name"]] |= set(event["args"])
    assert counters["utilisation"] == {"%"}
    assert counters["temperature"] == {"°C"}
    assert counters["power"] == {"W"}
    assert counters["memory of cuda:0"] == {"allocated MiB", "reserved MiB"}
    assert counters["CPU"] == {"%"}
    assert "NVLink" not in counters  # nobody told it: a gap, no zero


def test_raw_events_lie_at_their_time_with_arrows_to_their_kernels(trace: list[Event]) -> None:
    window = of(trace, "X", "step")[STEPS]
    (linear,) = [e for e in of(trace, "X", "cpu_op") if e["name"] == "aten::linear"]
    assert linear["ts"] == pytest.approx(window["ts"])
    (kernel,) = of(trace, "X", "kernel")
    assert kernel["ts"] == pytest.approx(linear["ts"] + 40)
    assert kernel["args"]["correlation"] == 77
    (start,), (end,) = of(trace, "s", "ac2g"), of(trace, "f", "ac2g")
    assert start["id"] == end["id"]
    (launch,) = of(trace, "X", "cuda_runtime")
    assert (start["tid"], start["ts"]) == (launch["tid"], launch["ts"])
    assert (end["tid"], end["ts"]) == (kernel["tid"], kernel["ts"])
    (memset,) = of(trace, "X", "gpu_memset")
    assert memset["tid"] != kernel["tid"]  # they overlap, and would not nest


def test_the_kineto_reader_finds_the_windows_in_it(rich: Path, tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    path.write_bytes(exported(chrome.write, rich))
    window = kineto.read(path)
    assert (window.dropped_count, window.notes) == (0, [])
    assert sorted(name for track in window.tracks for name in track.names) == sorted(
        ["aten::linear", "aten::addmm", "cudaLaunchKernel", "aten::mm", HOSTILE,
         "autograd::engine::evaluate_function: AddmmBackward0"]
    )  # fmt: skip
    assert sorted(event.kind for event in window.device_events) == ["kernel", "memset"]
    assert window.device_names == {0: "NVIDIA A100-SXM4-80GB", 1: "NVIDIA A100-SXM4-80GB"}


def test_a_damaged_raw_trace_is_left_out_and_told(tmp_path: Path) -> None:
    warnings: list[str] = []
    path = build(tmp_path / "run.fwtop", steps=20, damaged_raw=True)
    events = json.loads(exported(chrome.write, path, warnings=warnings))["traceEvents"]
    assert not of(events, "X", "cpu_op")
    assert of(events, "X", "step")
    (warning,) = warnings
    assert "window 3 is left out" in warning


def test_a_clock_that_was_set_meanwhile_does_not_move_the_window(
    rich: Path, tmp_path: Path
) -> None:
    path = tmp_path / "run.fwtop"
    path.write_bytes(rich.read_bytes())
    with sqlite3.connect(path) as db:
        db.execute("UPDATE run SET started_unix_ns = started_unix_ns - 7200000000000")
    events = json.loads(exported(chrome.write, path))["traceEvents"]
    (linear,) = [e for e in of(events, "X", "cpu_op") if e["name"] == "aten::linear"]
    assert linear["ts"] == pytest.approx(of(events, "X", "step")[STEPS]["ts"])


def test_of_a_stretch_only_what_lies_in_it(rich: Path) -> None:
    stretch = Stretch(10_000_000_000, 12_000_000_000)
    events = json.loads(exported(chrome.write, rich, stretch))["traceEvents"]
    timed = [e for e in events if e["ph"] in "XC" and e.get("cat") != "phase"]
    assert timed
    assert all(e["ts"] + e.get("dur", 0) >= 10e6 and e["ts"] < 12e6 for e in timed)
    assert not of(events, "X", "cpu_op")
