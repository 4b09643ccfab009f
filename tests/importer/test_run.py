"""Whole imports: traces in, a recording out, as the views read it."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from fwtop.importer.run import import_traces
from fwtop.importer.trace_files import find
from fwtop.queries import devices, memory, operators, run, steps
from fwtop.recording.store import Recording, RecordingError, open_recording
from fwtop.summary import summarize, to_json
from fwtop.traces.model import TraceError
from tests.traces.torch_logs import START_US, compiled, log
from tests.traces.trace_files import document, row
from tests.traces.xplane_files import START_UNIX_NS, Event, PlaneWriter, environment, space

BASE_US = 1_733_527_485_000_000
"""The same second as the logs of `torch_logs`."""


def _rank(rank: int, world_size: int = 2, after_us: int = 0, **around: Any) -> bytes:
    """A process's two steps on its own GPU."""
    rows = []
    for number in range(2):
        at = after_us + number * 1_000
        launch, kernel = 100 + number, 200.0
        rows += [
            row(f"ProfilerStep#{number}", at, 1_000, cat="user_annotation"),
            row("aten::mm", at + 100, 300),
            row("cudaLaunchKernel", at + 110, 5, cat="cuda_runtime", correlation=launch),
            row("sgemm", at + 150, kernel, cat="kernel", tid=7, device=rank, stream=7,
                correlation=launch),
            row("autograd::engine::evaluate_function: MmBackward0", at + 500, 200, tid=8),
            row("Optimizer.step#SGD.step", at + 800, 100, cat="user_annotation"),
        ]  # fmt: skip
    around = {
        "baseTimeNanoseconds": BASE_US * 1000,
        "distributedInfo": {"rank": rank, "world_size": world_size},
        "deviceProperties": [{"id": rank, "name": "NVIDIA A100", "totalGlobalMem": 40 << 30}],
        "hostname": "gpu-7",
        **around,
    }
    return json.dumps(document(rows, **around)).encode()


def _make(folder: Path, **files: bytes) -> Path:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _import(folder: Path, *paths: Path, **options: Any) -> Recording:
    target = folder / "out" / "run.fwtop"
    target.parent.mkdir(exist_ok=True)
    import_traces(find(paths or [folder]), target, **options)
    assert _names(target.parent) == ["run.fwtop"]
    return open_recording(target)


def test_ranks_make_one_run(tmp_path: Path) -> None:
    _make(tmp_path, **{"a.json": _rank(1), "b.json.gz": gzip.compress(_rank(0, after_us=50))})
    with _import(tmp_path) as recording:
        the_run = run.get_run(recording)
        assert (the_run.source, the_run.state, the_run.host) == ("kineto", "finished", "gpu-7")
        assert (the_run.command, the_run.exit_status) == ((), None)
        assert the_run.name == "b.json.gz and 1 more"
        assert the_run.started_unix_ns == BASE_US * 1000
        assert the_run.duration_ns == 2_050_000
        processes = run.processes(recording)
        assert [(p.rank, p.world_size, p.pid, p.device) for p in processes] == [
            (0, 2, 5, "cuda:0"), (1, 2, 5, "cuda:1"),
        ]  # fmt: skip
        first, second = steps.latest_steps(recording, 9, processes[0].id)
        assert (first.index, first.start_ns, first.duration_ns) == (0, 50_000, 1_000_000)
        assert (first.forward_ns, first.backward_ns, first.optimizer_ns) == (
            500_000, 200_000, 100_000
        )  # fmt: skip
        assert second.start_ns == 1_050_000
        assert len(operators.windows(recording)) == 2
        assert operators.traced_steps(recording) == 4
        (row_of_mm,) = [
            row for row in operators.operators(recording)
            if row.name == "aten::mm" and row.device == "cpu"
        ]  # fmt: skip
        assert (row_of_mm.calls, row_of_mm.phase) == (4, "forward")
        found = [(d.index, d.name, d.vendor, d.memory_total_bytes, d.used)
                 for d in devices.devices(recording)]  # fmt: skip
        assert found == [(n, "NVIDIA A100", "nvidia", 40 << 30, True) for n in (0, 1)]
        assert devices.latest(recording) == []
        assert run.notices(recording) == []
        assert json.loads(to_json(summarize(recording)))["steps"]["count"] == 2


def test_the_same_devices_breakdown_as_the_trace_s(tmp_path: Path) -> None:
    with _import(_make(tmp_path, **{"t.json": _rank(0)})) as recording:
        (window,) = operators.windows(recording)
        assert (window.span_ns, window.busy_ns, window.step_count) == (1_200_000, 400_000, 2)
        assert (window.format, window.state, window.cost_ns) == ("kineto", "decoded", 0)


def test_captures_of_one_worker_are_windows_of_one_process(tmp_path: Path) -> None:
    files = {
        f"gpu-7_5.{number}000000000000.pt.trace.json": _rank(0, after_us=number * 10_000)
        for number in (1, 2, 3)
    }
    with _import(_make(tmp_path, **files)) as recording:
        (process,) = run.processes(recording)
        windows = operators.windows(recording)
        assert {window.process_id for window in windows} == {process.id}
        assert [window.start_ns for window in windows] == [0, 10_000_000, 20_000_000]


def test_without_rank_and_pid_a_file_is_a_process(tmp_path: Path) -> None:
    plane = PlaneWriter("/host:CPU").line(
        "main", [Event("dense/MatMul:MatMul", 0, 10)], at_ns=START_UNIX_NS
    )
    data = space(plane, environment())
    with _import(_make(tmp_path, **{"h1.xplane.pb": data, "h2.xplane.pb": data})) as recording:
        assert [process.pid for process in run.processes(recording)] == [None, None]
        assert {one.name for one in run.frameworks(recording)} == {"tensorflow"}
        assert run.get_run(recording).source == "xplane"
        assert [process.pid for process in summarize(recording).processes] == [None, None]


def test_a_log_of_compiles_joins_the_process_whose_pid_it_has(tmp_path: Path) -> None:
    trace = _rank(3).replace(b'"pid": 5,', b'"pid": 4242,')
    _make(tmp_path, **{"t.json": trace, "torch_trace.log": log(compiled(at_us=100_000))})
    with _import(tmp_path) as recording:
        (process,) = run.processes(recording)
        assert (process.rank, process.pid) == (3, 4242)
        assert run.get_run(recording).source == "kineto torch_trace"
        summary = summarize(recording)
        assert summary.compile.count == 1
        assert summary.compile.events[0].at_ns == (START_US + 100_000 - BASE_US) * 1000
        assert summary.compile.cache.misses == 1


def test_allocations_become_readings_of_the_allocator(tmp_path: Path) -> None:
    def change(ts: int, size: int, total: int) -> dict[str, Any]:
        return {"ph": "i", "name": "[memory]", "tid": 7, "ts": ts, "args": {
            "Bytes": size, "Device Type": 1, "Device Id": 0, "Addr": 1,
            "Total Allocated": total, "Total Reserved": 1 << 20}}  # fmt: skip

    rows = [row("aten::empty", 1, 9), change(2, 512, 512), change(3, 512, 1024),
            change(4, -512, 512)]  # fmt: skip
    with _import(_make(tmp_path, **{"t.json": json.dumps(document(rows)).encode()})) as recording:
        (peak,) = memory.peaks(recording)
        assert (peak.device, peak.allocated_peak_bytes) == ("cuda:0", 1024)
        history = memory.history(recording, 1, "cuda:0", 0, 10_000, 10)
        assert [sample.allocated_bytes for sample in history] == [512, 1024, 512]
        (window,) = operators.windows(recording)
        assert window.deep


def test_what_is_damaged_is_shown_as_far_as_it_goes_and_told(tmp_path: Path) -> None:
    whole = _rank(0)
    _make(tmp_path, **{"rank_0.json": whole[:1_100], "rank_1.json": b'{"traceEvents": [',
                       "rank_2.json": _rank(2)})  # fmt: skip
    with _import(tmp_path) as recording:
        assert [process.rank for process in run.processes(recording)] == [0, 2]
        texts = [notice.text for notice in run.notices(recording)]
        assert texts[0].startswith("rank_0.json: the file is truncated")
        assert any(text.startswith("left out: rank_1.json: no operator") for text in texts)


def test_a_trace_without_steps_says_so(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text(json.dumps(document([row("aten::add", 1, 2)])))
    with _import(tmp_path) as recording:
        (notice,) = run.notices(recording)
        assert (notice.severity, notice.code) == ("info", "no_steps")
        assert operators.traced_steps(recording) == 1
        assert summarize(recording).steps.count == 0


def test_a_trace_that_tells_no_time_has_its_file_s(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text(json.dumps(document([row("aten::add", 7, 2)], baseTimeNanoseconds=0)))
    os.utime(path, (1_700_000_000, 1_700_000_000))
    with _import(tmp_path) as recording:
        the_run = run.get_run(recording)
        assert the_run.started_unix_ns == 1_700_000_000_000_000_000 - 2_000
        assert the_run.duration_ns == 2_000
        assert "no_time" in [notice.code for notice in run.notices(recording)]


def test_traces_taken_days_apart_are_doubted(tmp_path: Path) -> None:
    later = _rank(1, baseTimeNanoseconds=BASE_US * 1000 + 3 * 86_400 * 10**9)
    with _import(_make(tmp_path, **{"a.json": _rank(0), "b.json": later})) as recording:
        assert [notice.code for notice in run.notices(recording)] == ["traces_apart"]


def test_the_raw_trace_is_kept_on_demand(tmp_path: Path) -> None:
    import zstandard

    def raw(recording: Recording) -> list[bytes]:
        rows = recording.connection.execute("SELECT trace FROM window_traces").fetchall()
        return [zstandard.ZstdDecompressor().decompress(trace) for (trace,) in rows]

    whole = _rank(0)
    _make(tmp_path, **{"t.json.gz": gzip.compress(whole)})
    with _import(tmp_path, keep_bytes=1 << 20) as recording:
        assert raw(recording) == [whole]
    (tmp_path / "out" / "run.fwtop").unlink()
    with _import(tmp_path) as recording:
        assert raw(recording) == []


def test_progress_is_of_all_files(tmp_path: Path) -> None:
    _make(tmp_path, **{"a.json": _rank(0), "b.json.gz": gzip.compress(_rank(1))})
    heard: list[tuple[int, int]] = []
    with _import(tmp_path, on_bytes=lambda at, total: heard.append((at, total))):
        pass
    total = sum((tmp_path / name).stat().st_size for name in ("a.json", "b.json.gz"))
    assert {of for _, of in heard} == {total}
    assert [at for at, _ in heard] == sorted(at for at, _ in heard)
    assert heard[-1] == (total, total)


class _StopError(Exception):
    pass


@pytest.mark.parametrize("calls", [1, 2, 3])
def test_an_import_that_is_stopped_leaves_nothing(tmp_path: Path, calls: int) -> None:
    _make(tmp_path, **{"a.json": _rank(0), "b.json": _rank(1)})
    heard = []

    def stop(at: int, total: int) -> None:
        heard.append(at)
        if len(heard) == calls:
            raise _StopError

    with pytest.raises(_StopError):
        _import(tmp_path, on_bytes=stop)
    assert _names(tmp_path / "out") == []


def test_a_failure_while_writing_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fwtop.importer import rows

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(rows, "_add_notices", interrupted)
    _make(tmp_path, **{"a.json": _rank(0)})
    with pytest.raises(KeyboardInterrupt):
        _import(tmp_path)
    assert _names(tmp_path / "out") == []


def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    _make(tmp_path, **{"a.json": _rank(0)})
    target = tmp_path / "run.fwtop"
    target.write_text("mine")
    with pytest.raises(RecordingError, match="exists already") as caught:
        import_traces(find([tmp_path / "a.json"]), target)
    assert "-o" in caught.value.next
    assert target.read_text() == "mine"


def test_what_appears_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    _make(tmp_path, **{"a.json": _rank(0)})
    target = tmp_path / "run.fwtop"
    with pytest.raises(RecordingError, match="exists already"):
        import_traces(
            find([tmp_path / "a.json"]), target, on_bytes=lambda *_: target.write_text("mine")
        )
    assert target.read_text() == "mine"
    assert _names(tmp_path) == ["a.json", "run.fwtop"]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    _make(tmp_path, **{"a.json": _rank(0)})
    with pytest.raises(RecordingError, match="cannot create the recording"):
        import_traces(find([tmp_path / "a.json"]), tmp_path / "absent" / "run.fwtop")


def test_nothing_to_show_is_an_error(tmp_path: Path) -> None:
    _make(tmp_path, **{"a.json": json.dumps(document([])).encode()})
    with pytest.raises(TraceError, match="no operator and no kernel"):
        _import(tmp_path)
    assert _names(tmp_path / "out") == []


def test_too_little_memory_is_told_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fwtop.importer import window

    def exhausted(*arguments: object) -> None:
        raise MemoryError

    _make(tmp_path, **{"a.json": _rank(0)})
    monkeypatch.setattr(window, "read", exhausted)
    with pytest.raises(TraceError, match="not enough memory"):
        _import(tmp_path)


def test_raw_traces_are_kept_up_to_their_budget_together(tmp_path: Path) -> None:
    import random

    noise = random.Random(1).randbytes(30_000).hex()  # half of it is left when compressed
    files = {f"rank_{rank}.json": _rank(rank, note=noise) for rank in range(3)}
    largest = max(map(len, files.values()))
    with _import(_make(tmp_path, **files), keep_bytes=largest + 10_000) as recording:
        kept = recording.connection.execute("SELECT window_id FROM window_traces").fetchall()
        assert kept == [(1,)]
        assert len(operators.windows(recording)) == 3


def test_a_file_s_name_may_be_any_bytes(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/tr\xffce.json"))
    try:
        path.write_bytes(_rank(0))
    except OSError:
        pytest.skip("names are text on this file system")
    with _import(tmp_path, path) as recording:
        assert run.get_run(recording).name == "tr\ufffdce.json"
    path.write_bytes(b"{}")
    with pytest.raises(TraceError, match=r"tr\ufffdce.json: there is no"):
        import_traces(find([path]), tmp_path / "other.fwtop")


def test_steps_that_the_optimizer_bounds_are_those_of_the_device_s_time_too(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_bytes(_rank(0).replace(b"ProfilerStep#", b"my step "))
    with _import(tmp_path) as recording:
        rows = recording.connection.execute("SELECT step_index, kernel_ns FROM step_breakdowns")
        assert rows.fetchall() == [(0, 200_000), (1, 200_000)]
        assert [step.index for step in steps.latest_steps(recording, 9)] == [0, 1]
