"""Real traces imported: the figures that independent tools give, as the recording has them.

The PyTorch profiler's TensorBoard plugin, HolisticTraceAnalysis and tlparse (../shared/traces).
"""

from __future__ import annotations

from pathlib import Path
from statistics import mean

import pytest

from fwtop.importer.run import import_traces
from fwtop.importer.trace_files import find
from fwtop.queries import device_time, operators, run, steps
from fwtop.recording.store import Recording, open_recording
from fwtop.summary import summarize
from tests.shared_traces import BERT_XPLANE, DIFF_CONTROL, NCCL, RESNET50, shared_trace

US = 1_000


def _import(folder: Path, name: str) -> Recording:
    target = folder / "run.fwtop"
    import_traces(find([shared_trace(name)]), target)
    return open_recording(target)


def test_resnet50_is_tensorboard_s(tmp_path: Path) -> None:
    with _import(tmp_path, RESNET50) as recording:
        found = recording.connection.execute(
            "SELECT step_index, kernel_ns, memcpy_ns, memset_ns, runtime_ns, dataloader_ns,"
            " cpu_op_ns, other_ns FROM step_breakdowns ORDER BY step_index"
        ).fetchall()
        assert found[0] == (5, *(US * part for part in (98598, 1941, 90, 2796, 69317, 14091, 1115)))
        assert round(mean(sum(row[1:]) for row in found) / US) == 177_592
        (use,) = device_time.device_times(recording)
        assert round(100 * use.busy_ns / use.span_ns, 2) == 55.51
        assert use.sm_busy_ns is not None
        assert round(100 * use.sm_busy_ns / use.span_ns, 2) == 54.68
        assert use.occupied_ns is not None
        assert round(100 * use.occupied_ns / use.kernel_ns, 2) == 49.13
        (window,) = operators.windows(recording)
        assert (window.event_count, window.note, window.first_step) == (75_718, None, 5)
        found_steps = steps.latest_steps(recording, 9)
        assert [step.index for step in found_steps] == [5, 6, 7, 8, 9, 10]
        assert all(
            part for step in found_steps
            for part in (step.input_ns, step.forward_ns, step.backward_ns, step.optimizer_ns)
        )  # fmt: skip
        assert run.notices(recording) == []


def test_the_process_is_the_one_that_the_trace_names(tmp_path: Path) -> None:
    with _import(tmp_path, DIFF_CONTROL) as recording:
        (process,) = run.processes(recording)
        assert (process.rank, process.world_size, process.pid) == (3, 8, 3_113_936)
        assert process.device == "cuda:3"
        assert run.get_run(recording).started_unix_ns // 10**9 == 1_661_203_462  # 2022-08-22
        assert [step.index for step in steps.latest_steps(recording, 9)] == [*range(1009, 1015)]


def test_collectives(tmp_path: Path) -> None:
    with _import(tmp_path, NCCL) as recording:
        calls = sum(row.calls for row in operators.kernels(recording) if row.family == "collective")
        assert calls == 21


def test_an_xplane_s_compute_stream(tmp_path: Path) -> None:
    with _import(tmp_path, BERT_XPLANE) as recording:
        (count, total) = recording.connection.execute(
            "SELECT sum(calls), sum(total_ns) FROM kernel_stats WHERE stream ="
            " (SELECT stream FROM kernel_stats GROUP BY stream HAVING sum(calls) = 665)"
        ).fetchone()
        assert (count, round(total / US, 3)) == (665, pytest.approx(14_825.385, abs=0.4))
        (step,) = steps.latest_steps(recording, 9)
        assert round(step.duration_ns / US, 3) == 19_865.491


def test_a_torch_trace_log(tmp_path: Path) -> None:
    with _import(tmp_path, "torch-trace-cache-hit-miss.log") as recording:
        found = summarize(recording).compile
        assert (found.count, found.graph_breaks, found.recompiles) == (6, 0, 0)
        assert (found.cache.misses, found.cache.hits, found.cache.bypasses) == (2, 1, 3)
        assert all(event.duration_ns for event in found.events if event.kind == "compile")


def test_a_damaged_torch_trace_log_says_where(tmp_path: Path) -> None:
    with _import(tmp_path, "torch-trace-corrupted.log") as recording:
        (notice,) = run.notices(recording)
        assert notice.severity == "warning"
        assert "torch-trace-corrupted.log: line 13: its payload is damaged" in notice.text
        assert summarize(recording).compile.count == 1
