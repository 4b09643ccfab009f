from __future__ import annotations

import gzip
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from fwtop.traces import blocks, kineto
from fwtop.traces.kineto import Limits, read
from fwtop.traces.model import ANNOTATION, LAUNCH, OPERATOR, TracedProcess, TraceError, Track
from tests.traces.trace_files import BASE_NS, document, row, write


def test_times_are_exact_to_the_nanosecond(tmp_path: Path) -> None:
    text = json.dumps(document([row("a", 1, 2)]))
    text = text.replace('"ts": 1,', '"ts": 4556967021017.377,').replace(
        '"dur": 2,', '"dur": 0.691,'
    )
    path = tmp_path / "t.json"
    path.write_text(text)
    trace = read(path)
    (track,) = trace.tracks
    assert trace.base_unix_ns + track.start_ns[0] == BASE_NS + 4_556_967_021_017_377
    assert track.duration_ns == [691]


def test_traces_before_base_time_count_from_the_epoch(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.json",
        [row("aten::add", 1_623_142_623_460_111, 25, cat="Operator", tid="25738")],
        baseTimeNanoseconds=0,
    )
    trace = read(path)
    (track,) = trace.tracks
    assert track.thread == "25738"
    assert trace.base_unix_ns + track.start_ns[0] == 1_623_142_623_460_111_000


def test_base_time_after_the_events_counts_too(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text(json.dumps({"traceEvents": [row("a", 10, 1)], "baseTimeNanoseconds": BASE_NS}))
    trace = read(path)
    assert trace.base_unix_ns + trace.tracks[0].start_ns[0] == BASE_NS + 10_000
    assert trace.notes == []


@pytest.mark.parametrize(
    ("kernel", "runtime", "operator"),
    [("kernel", "cuda_runtime", "cpu_op"), ("Kernel", "Runtime", "Operator")],
)
def test_old_and_new_categories(tmp_path: Path, kernel: str, runtime: str, operator: str) -> None:
    path = write(
        tmp_path / "t.json",
        [
            row("aten::mm", 0, 50, cat=operator, **{"External id": 3}),
            row("step", 0, 60, cat="user_annotation"),
            row("cudaLaunchKernel", 10, 5, cat=runtime, correlation=77),
            row("sgemm", 100, 20, cat=kernel, tid="stream 7", correlation=77, device=1),
            row("Memset (Device)", 130, 1, cat="gpu_memset", tid=9, stream=9, bytes=8),
            {"ph": "s", "id": 77, "pid": 5, "tid": 7, "ts": 10, "cat": "ac2g", "name": "ac2g"},
        ],
    )
    trace = read(path)
    (track,) = trace.tracks
    assert track.names == ["step", "aten::mm", "cudaLaunchKernel"]
    assert list(track.kinds) == [ANNOTATION, OPERATOR, LAUNCH]
    assert track.correlations == [0, 0, 77]
    assert track.external_ids == [0, 3, 0]
    gemm, fill = trace.device_events
    assert (gemm.kind, gemm.device, gemm.stream, gemm.correlation) == ("kernel", 1, 7, 77)
    assert (fill.kind, fill.stream, fill.bytes) == ("memset", 9, 8)
    assert trace.event_count == 6
    assert trace.dropped_count == 0


def test_correlations_are_read_where_the_header_does_not_announce_them(tmp_path: Path) -> None:
    padding = [row("aten::add", i, 1, **{"External id": i}) for i in range(2_000)]
    late = row("cudaLaunchKernel", 5_000, 5, cat="cuda_runtime", correlation=77)
    path = write(tmp_path / "t.json", [*padding, late, row("aten::add", 6_000, 1)])
    (track,) = read(path).tracks
    assert track.correlations is not None
    assert track.correlations[2_000:] == [77, 0]
    assert len(track.correlations) == len(track)


def test_many_pieces_are_one_trace(tmp_path: Path) -> None:
    rows = [
        row(f"op{i % 7}", i * 10, 5, tid=i % 3, **{"Input Dims": [[i % 5, 2], []]})
        for i in range(3_000)
    ]
    path = write(tmp_path / "t.json", rows)
    whole = read(path)
    pieces = read(path, Limits(piece_bytes=4_000))
    assert pieces == whole
    assert sum(len(track) for track in whole.tracks) == 3_000
    shapes = {shape for track in whole.tracks for shape in track.shapes or ()}
    assert sorted(map(json.loads, shapes)) == [[[i, 2], []] for i in range(5)]


def test_an_enclosing_event_comes_first(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.json",
        [row("child", 10, 5), row("parent", 10, 50), row("before", 3, 1), row("leaf", 10, 0)],
    )
    (track,) = read(path).tracks
    assert track.names == ["before", "parent", "child", "leaf"]


def test_gzip_members_and_the_bare_array_form(tmp_path: Path) -> None:
    text = json.dumps([row("a", 1, 1), row("b", 2, 1)]).encode()
    path = tmp_path / "t.json.gz"
    path.write_bytes(gzip.compress(text[:50]) + gzip.compress(text[50:]) + b"\0" * 512)
    trace = read(path)
    assert trace.tracks[0].names == ["a", "b"]
    assert trace.notes == []


# --- damage ---------------------------------------------------------------------------------------


def test_rows_without_a_sane_time_are_dropped_and_counted(tmp_path: Path) -> None:
    rows = [row("whole", 1, 1) for _ in range(5)]
    rows[1]["dur"] = -3
    rows[2]["ts"] = 1e300
    rows[3]["dur"] = "long"
    rows[4]["name"] = None
    path = write(tmp_path / "t.json", rows)
    trace = read(path)
    assert trace.tracks[0].names == ["whole"]
    assert trace.dropped_count == 4
    assert "4 damaged rows were left out" in trace.notes[0]


def test_nan_is_dropped_and_its_neighbours_are_kept(tmp_path: Path) -> None:
    rows = [row("a", 1, 1), row("b", float("nan"), 1), row("c", 3, float("inf")), row("d", 4, 1)]
    rows[0]["args"]["occupancy"] = float("nan")  # which some writers put into arguments
    path = write(tmp_path / "t.json", rows)
    trace = read(path)
    assert trace.tracks[0].names == ["a", "d"]
    assert trace.dropped_count == 2


def test_unusable_arguments_cost_no_row(tmp_path: Path) -> None:
    rows = [
        row("aten::mm", 0, 9, **{"External id": "three", "Input Dims": [[1, 2]]}),
        row("k", 1, 1, cat="kernel", correlation="12", stream="7"),
        row("l", 1, 1, cat="kernel", correlation={"a": 1}),
    ]
    trace = read(write(tmp_path / "t.json", rows, deviceProperties=[{"id": 0, "name": "V100"}]))
    assert trace.tracks[0].names == ["aten::mm"]
    assert [(e.correlation, e.stream) for e in trace.device_events] == [(12, 7), (0, 7)]
    assert trace.device_names == {0: "V100"}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.999])
def test_a_truncated_file_gives_what_is_whole(tmp_path: Path, packed: bool, share: float) -> None:
    rows = [row(f"op{i}", i * 10, 5, note="}, {") for i in range(500)]
    data = json.dumps(document(rows), indent=1).encode()
    if packed:
        data = gzip.compress(data)
    path = tmp_path / "t.json"
    path.write_bytes(data[: int(len(data) * share)])
    trace = read(path, Limits(piece_bytes=5_000))
    names = trace.tracks[0].names
    assert names == [f"op{i}" for i in range(len(names))]
    if not packed:
        assert abs(len(names) - 500 * share) < 20
    assert any("truncated" in note for note in trace.notes)


def test_damage_in_the_middle_costs_only_what_it_hit(tmp_path: Path) -> None:
    rows = [row(f"op{i}", i * 10, 5) for i in range(300)]
    text = json.dumps(document(rows), indent=1)
    at = text.index('"op150"')
    path = tmp_path / "t.json"
    path.write_bytes(text[:at].encode() + b'"\xff\xfe" broken' + text[at + 3 :].encode())
    trace = read(path)
    names = trace.tracks[0].names
    assert len(names) >= 298
    assert names[-1] == "op299"
    assert trace.dropped_count >= 1
    byte = int("".join(c for c in trace.notes[-1].split("byte")[1] if c.isdigit()))
    assert abs(byte - at) < 300


def test_a_row_limit_is_kept_and_said(tmp_path: Path) -> None:
    path = write(tmp_path / "t.json", [row("a", i, 1) for i in range(100)])
    trace = read(path, Limits(events=10))
    assert trace.event_count == 10
    assert len(trace.tracks[0]) == 10
    assert trace.notes == ["only the first 10 rows were read"]


def test_a_gzip_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.json.gz"
    path.write_bytes(gzip.compress(b'{"traceEvents":[' + b" " * (40 << 20)))
    with pytest.raises(TraceError, match="inflates to more than 8,388,608 bytes"):
        read(path, Limits(inflated_bytes=8 << 20))


def test_a_file_over_the_limit_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "t.json", [row("a", 1, 1)])
    with pytest.raises(TraceError, match="more than 10"):
        read(path, Limits(file_bytes=10))


def test_one_endless_row_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text(
        '{"traceEvents":[' + json.dumps(row("a", 1, 1)) + ',{"ph":"X","name":"' + "x" * 3_000_000
    )
    trace = read(path, Limits(piece_bytes=1_000, event_bytes=10_000))
    assert trace.tracks[0].names == ["a"]
    assert any("truncated" in note for note in trace.notes)


@pytest.mark.parametrize("nest", ["[", '{"a":'])
def test_depth_is_bounded(tmp_path: Path, nest: str) -> None:
    rows: list[Any] = [row("a", 1, 1), row("b", 2, 1), row("c", 3, 1)]
    text = json.dumps(document(rows)).replace('"name": "b"', '"name": "b", "x": ' + nest * 100_000)
    path = tmp_path / "t.json"
    path.write_text(text)
    trace = read(path)
    assert trace.tracks[0].names[0] == "a"
    assert trace.dropped_count >= 1


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "empty"),
        (b"hello", 'no "traceEvents"'),
        (b'{"traceEvents": 3}', 'no "traceEvents"'),
        (b"\x1f\x8b\x08\x00garbage", 'no "traceEvents"|empty'),
        (b"\x00" * 5_000, 'no "traceEvents"'),
    ],
)
def test_what_is_no_trace_is_refused_by_name(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "t.json"
    path.write_bytes(content)
    with pytest.raises(TraceError, match=what) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "Give a Kineto" in str(caught.value)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="no such file"):
        read(tmp_path / "absent.json")
    with pytest.raises(TraceError, match="no regular file"):
        read(tmp_path)


def test_a_trace_without_rows_is_empty(tmp_path: Path) -> None:
    trace = read(write(tmp_path / "t.json", []))
    assert (trace.event_count, trace.tracks, trace.notes) == (0, [], [])


def test_what_a_recording_cannot_hold_is_damage(tmp_path: Path) -> None:
    rows = [
        row("aten::mm", 0, 9),
        row("aten::add", 0, 1e12),  # eleven days
        row("k", 1, 1, cat="kernel", correlation=10**30, stream=10**30),
        {"ph": "i", "name": "[memory]", "tid": 7, "ts": 1, "args": {"Bytes": 10**30}},
    ]
    trace = read(write(tmp_path / "t.json", rows))
    assert trace.tracks[0].names == ["aten::mm"]
    assert [(e.correlation, e.stream) for e in trace.device_events] == [(0, 7)]
    assert trace.memory_events == []
    assert trace.dropped_count == 2


def test_a_kernel_s_occupancy_and_blocks_per_multiprocessor(tmp_path: Path) -> None:
    def kernel(ts: int, blocks: object, occupancy: object) -> dict[str, Any]:
        arguments = {"blocks per SM": blocks, "est. achieved occupancy %": occupancy}
        return row("sgemm", ts, 5, cat="kernel", stream=7, **arguments)

    insane = [kernel(20, float("inf"), float("nan")), kernel(30, -1, 250), kernel(40, 1e300, -1)]
    trace = read(write(tmp_path / "t.json", [kernel(10, 0.5925926, 4), kernel(15, 3, 100)]))
    assert [e.blocks_per_sm for e in trace.device_events] == [0.5925926, 3.0]
    assert [e.occupancy_ratio for e in trace.device_events] == [0.04, 1.0]
    trace = read(write(tmp_path / "insane.json", insane))
    assert [(e.blocks_per_sm, e.occupancy_ratio) for e in trace.device_events] == [(None, None)] * 3
    assert trace.dropped_count == 0


def test_the_process_and_its_devices_are_told(tmp_path: Path) -> None:
    around = {
        "distributedInfo": {"backend": "nccl", "rank": 3, "world_size": 8},
        "hostname": "gpu-7",
        "deviceProperties": [{"id": 3, "name": "A100", "totalGlobalMem": 40 << 30}],
    }
    trace = read(write(tmp_path / "t.json", [row("aten::add", 1, 2)], **around))
    assert trace.process == TracedProcess(5, 3, 8, "gpu-7", "torch")
    assert (trace.device_names, trace.device_memory_bytes) == ({3: "A100"}, {3: 40 << 30})


@pytest.mark.parametrize(
    "around",
    [
        {"distributedInfo": {"rank": -1, "world_size": 1 << 40}, "hostname": 3},
        {"distributedInfo": [1], "hostname": None, "deviceProperties": {"id": 1}},
        {"distributedInfo": {"rank": {}}, "deviceProperties": [{"id": "x", "name": 3}]},
    ],
)
def test_strange_facts_of_the_process_cost_nothing_else(
    tmp_path: Path, around: dict[str, Any]
) -> None:
    trace = read(write(tmp_path / "t.json", [row("aten::add", 1, 2)], **around))
    assert trace.process == TracedProcess(5, framework="torch")
    assert trace.base_unix_ns + trace.tracks[0].start_ns[0] == BASE_NS + 1_000


def test_allocations_tell_their_place_and_the_totals(tmp_path: Path) -> None:
    memory = {"ph": "i", "name": "[memory]", "tid": 7, "ts": 11, "args": {
        "Bytes": 64, "Device Type": 1, "Device Id": 2, "Addr": 139_000_000_000_000,
        "Total Allocated": 1_064, "Total Reserved": 4_096}}  # fmt: skip
    (event,) = read(write(tmp_path / "t.json", [row("a", 1, 2), memory])).memory_events
    assert (event.bytes, event.on_device, event.device) == (64, True, 2)
    assert event.address == 139_000_000_000_000
    assert (event.allocated_bytes, event.reserved_bytes) == (1_064, 4_096)


def test_rocm_s_calls_and_kernels(tmp_path: Path) -> None:
    """HIP's runtime has CUDA's category; sizes and streams of its calls are text."""
    path = write(
        tmp_path / "t.json",
        [
            row("aten::mm", 0, 90, **{"External id": 1}),
            row("hipLaunchKernel", 10, 5, cat="cuda_runtime", correlation=5, stream="0x55d0"),
            row("hipMemcpyAsync", 20, 5, cat="cuda_runtime", correlation=6, bytes="4096"),
            row("Cijk_Ailk_Bljk_SB", 30, 20, cat="kernel", tid=1, device=2, correlation=5),
            row("CopyHostToDevice", 60, 9, cat="gpu_memcpy", tid=0, device="2", stream="3",
                correlation=6, bytes="4096"),
        ],
    )  # fmt: skip
    trace = read(path)
    assert trace.dropped_count == 0
    assert list(trace.tracks[0].kinds) == [OPERATOR, LAUNCH, LAUNCH]
    found = [(e.kind, e.device, e.stream, e.correlation, e.bytes) for e in trace.device_events]
    assert found == [("kernel", 2, 1, 5, None), ("memcpy", 2, 3, 6, 4096)]


def test_without_details_what_devices_did_is_the_same(tmp_path: Path) -> None:
    rows = [
        row("aten::mm", 0, 90, **{"External id": 1, "Input Dims": [[2, 2]], "Call stack": "a"}),
        row("cudaLaunchKernel", 10, 5, cat="cuda_runtime", correlation=5),
        row("sgemm", 30, 20, cat="kernel", tid=7, device=1, correlation=5,
            **{"est. achieved occupancy %": 50, "blocks per SM": 2.5}),
        row("train.py(3): f", 0, 99, cat="python_function"),
        {"ph": "i", "name": "[memory]", "tid": 7, "ts": 11, "args": {"Bytes": 64}},
    ]  # fmt: skip
    path = write(tmp_path / "t.json", rows, deviceProperties=[{"id": 1, "name": "A100"}])
    plain, deep = read(path, details=False), read(path)
    assert plain.device_events == deep.device_events
    (track,), (whole,) = plain.tracks, deep.tracks
    for name in ("names", "start_ns", "duration_ns", "kinds", "correlations", "external_ids"):
        assert getattr(track, name) == getattr(whole, name)
    assert whole.shapes is not None
    assert [json.loads(shapes or "null") for shapes in whole.shapes] == [[[2, 2]], None]
    assert whole.stacks == ["a", ""]
    assert (track.shapes, track.stacks, track.sequences) == (None, None, None)
    assert (plain.frames, plain.memory_events) == ([], [])
    assert len(deep.frames) == len(deep.memory_events) == 1
    assert plain.event_count == deep.event_count == 5


def test_a_sound_trace_needs_no_salvage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be right as well, and ten times slower."""
    monkeypatch.setattr(blocks, "_READ_BYTES", 1_000)
    monkeypatch.setattr(kineto, "salvage", lambda *_: pytest.fail("salvaged"))
    rows = [row(f"aten::op{number}", number, 1, **{"External id": number}) for number in range(99)]
    for name, around in (("plain", {}), ("rich", {"deviceProperties": [{"id": 0, "name": "A"}]})):
        trace = read(write(tmp_path / name, rows, **around), Limits(piece_bytes=2_000))
        assert (len(trace.tracks[0]), trace.notes, trace.event_count) == (99, [], 99)


def test_every_column_of_a_track_is_put_in_order() -> None:
    columns = [one.name for one in fields(Track) if one.name not in ("thread", "kinds")]
    cells = {name: [f"{name} {number}" for number in range(4)] for name in columns}
    cells["start_ns"] = [5, 1, 5, 1]
    cells["duration_ns"] = [1, 2, 9, 3]
    track = Track(1, kinds=bytearray([0, 1, 2, 3]), **cells)
    track.arrange()
    order = [3, 1, 2, 0]  # by start, the longer first
    assert list(track.kinds) == order
    for name in columns:
        assert getattr(track, name) == [cells[name][number] for number in order]
