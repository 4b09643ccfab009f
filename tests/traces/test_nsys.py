"""Nsight Systems' SQLite exports, made by its published schema."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from fwtop.importer.run import import_traces
from fwtop.importer.trace_files import find
from fwtop.queries import operators, run, steps
from fwtop.recording.store import open_recording
from fwtop.traces.blocks import Limits
from fwtop.traces.model import LAUNCH, OPERATOR, TraceError
from fwtop.traces.nsys import read
from tests.traces.nsys_files import START_UNIX_NS, Export, training


def test_kernels_calls_and_operators(tmp_path: Path) -> None:
    (window,) = read(training(tmp_path / "t.sqlite"))
    assert window.base_unix_ns == START_UNIX_NS
    assert window.process.pid == 7
    assert (window.device_names, window.device_memory_bytes) == ({0: "NVIDIA H100"}, {0: 80 << 30})
    (track,) = window.tracks
    assert track.thread == 7
    assert track.names[:3] == ["ProfilerStep#0", "aten::mm", "cudaLaunchKernel"]
    assert list(track.kinds[1:3]) == [OPERATOR, LAUNCH]
    assert track.shapes is not None
    assert track.shapes[1] == "[[2, 3], [3, 4]]"
    assert track.sequences is not None
    assert track.sequences[1] == 4
    assert track.correlations is not None
    assert track.correlations[2] == 100
    found = [(e.kind, e.name, e.start_ns, e.duration_ns, e.stream, e.correlation, e.bytes)
             for e in window.device_events]  # fmt: skip
    assert found == [
        ("kernel", "sgemm_128x64", 1_000, 4_000, 7, 100, None),
        ("kernel", "sgemm_128x64", 11_000, 4_000, 7, 101, None),
        ("memcpy", "Memcpy HtoD", 6_000, 500, 8, 9, 4_096),
        ("memset", "Memset (Device)", 7_000, 10, 8, 10, 8),
    ]
    assert window.device_events[0].blocks_per_sm == 2.0
    assert (window.event_count, window.notes) == (10, [])


def test_it_opens_as_a_run_with_a_process_each(tmp_path: Path) -> None:
    path = training(tmp_path / "rank_0.sqlite", pids=(7, 8))
    target = tmp_path / "run.fwtop"
    import_traces(find([path]), target)
    with open_recording(target) as recording:
        assert [(p.pid, p.rank) for p in run.processes(recording)] == [(7, None), (8, None)]
        assert run.get_run(recording).source == "nsys"
        assert run.get_run(recording).started_unix_ns == START_UNIX_NS
        assert len(steps.latest_steps(recording, 9, 1)) == 2
        (mm,) = [row for row in operators.operators(recording) if row.device == "gpu"]
        assert (mm.name, mm.calls, mm.self_ns) == ("aten::mm", 4, 16_000)
        window, _ = operators.windows(recording)
        assert window.span_ns == 14_000


def test_an_operator_without_sizes_and_other_ranges(tmp_path: Path) -> None:
    export = Export(tmp_path / "t.sqlite")
    export.range("aten::add, op_id = 3", 0, 10).range("aten::relu", 20, 30)
    export.range("my range", 40, 50).range("Iteration: 12", 0, 60)
    export.add("NVTX_EVENTS", start=70, end=80, eventType=60, text="start and end", globalTid=7)
    export.add("NVTX_EVENTS", start=70, end=80, eventType=59, textId=export.text("by its id"),
               globalTid=7)  # fmt: skip
    (window, other) = read(export.done())
    assert window.tracks[0].names == ["ProfilerStep#12", "aten::add", "aten::relu", "my range"]
    assert other.tracks[0].names == ["by its id"]


@pytest.mark.parametrize("value", [None, "text", 1.5, b"blob", -(1 << 62), 1 << 62])
def test_what_is_no_time_is_left_out_and_told(tmp_path: Path, value: object) -> None:
    export = Export(tmp_path / "t.sqlite")
    export.kernel("good", 0, 10, 1).kernel("bad", 0, 10, 2)
    export.db.execute('UPDATE CUPTI_ACTIVITY_KIND_KERNEL SET "end" = ? WHERE correlationId = 2',
                      (value,))  # fmt: skip
    (window,) = read(export.done())
    assert [event.name for event in window.device_events] == ["good"]
    assert window.notes == ["1 damaged rows were left out"]


@pytest.mark.parametrize("column", ["deviceId", "streamId", "correlationId", "demangledName"])
@pytest.mark.parametrize("value", [None, "text", 1.5, b"blob", (1 << 63) - 1])
def test_what_else_is_no_number_costs_no_kernel(tmp_path: Path, column: str, value: object) -> None:
    export = Export(tmp_path / "t.sqlite")
    export.kernel("good", 0, 10, 1)
    export.db.execute(f"UPDATE CUPTI_ACTIVITY_KIND_KERNEL SET {column} = ?", (value,))
    (window,) = read(export.done())
    assert len(window.device_events) == 1


def test_tables_and_columns_of_other_versions(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL (start INT, end INT, shortName INT)")
        db.execute("CREATE TABLE StringIds (id INT, value TEXT)")
        db.execute("CREATE TABLE CUPTI_ACTIVITY_KIND_MEMCPY (start INT)")
        db.execute("INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES (5, 9, 1)")
        db.execute("INSERT INTO StringIds VALUES (1, 'gemm')")
    (window,) = read(path)
    assert [(event.name, event.duration_ns) for event in window.device_events] == [("gemm", 4)]
    assert window.process.pid is None
    assert window.notes == ["CUPTI_ACTIVITY_KIND_MEMCPY has no times"]


def test_a_view_in_a_table_s_place_is_never_run(tmp_path: Path) -> None:
    """It could run forever."""
    path = tmp_path / "t.sqlite"
    with sqlite3.connect(path) as db:
        db.execute(
            "CREATE VIEW CUPTI_ACTIVITY_KIND_KERNEL AS WITH RECURSIVE n(start, end) AS "
            "(SELECT 1, 2 UNION ALL SELECT start + 1, end + 1 FROM n) SELECT * FROM n"
        )
    with pytest.raises(TraceError, match="no export of Nsight Systems"):
        read(path)


def test_another_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE t (a)")
    with pytest.raises(TraceError, match="no export of Nsight Systems"):
        read(path)
    path.write_bytes(b"SQLite format 3\x00" + b"\xff" * 2_000)
    with pytest.raises(TraceError, match=r"damaged SQLite file|cannot be read"):
        read(path)


def test_limits(tmp_path: Path) -> None:
    path = training(tmp_path / "t.sqlite")
    (window,) = read(path, Limits(events=3))
    assert len(window.device_events) == 3
    assert window.notes == ["only the first 3 rows were read"]
    with pytest.raises(TraceError, match="more than 100"):
        read(path, Limits(file_bytes=100))
    assert sorted(one.name for one in tmp_path.iterdir()) == ["t.sqlite"]


def test_progress_and_stopping(tmp_path: Path) -> None:
    path = training(tmp_path / "t.sqlite")
    heard: list[int] = []
    read(path, on_bytes=heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == path.stat().st_size
