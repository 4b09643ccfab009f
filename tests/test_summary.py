from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fwtop.cli.summary_text import render
from fwtop.formatting import cell_width
from fwtop.queries import steps
from fwtop.recording.store import open_recording
from fwtop.summary import summarize, to_json
from tests.recordings import Builder, Spec, build

SECOND = 1_000_000_000
MS = 1_000_000

# The contract of `fwtop summary --json`, key by key and in its order.
CONTRACT: dict[str, Any] = {
    "schema_version": None,
    "run": ["id", "command", "started_unix_ns", "duration_ns", "exit_status", "host",
            "frameworks", "world_size"],
    "steps": ["count", "mean_ns", "median_ns", "p95_ns", "phases"],
    "processes": [["pid", "rank", "local_rank", "framework", "steps"]],
    "operators": ["windows", "steps_traced", "rows"],
    "kernels": ["rows", "busy_ratio", "idle_ratio", "overlap_ratio", "host_wait_ns",
                "kernel_wait_ns", "other_wait_ns", "compute_ns", "communication_ns",
                "overlapped_ns", "utilization_ratio", "sm_efficiency_ratio", "occupancy_ratio",
                "tensor_core_ratio", "launches", "queue_max", "launch_delay_mean_ns",
                "launch_delay_median_ns", "launch_delay_p95_ns"],
    "compile": ["count", "total_ns", "graph_breaks", "recompiles", "retraces", "cache", "events"],
    "devices": [["vendor", "index", "name", "uuid", "utilization_ratio", "memory_used_bytes",
                 "memory_total_bytes", "power_w"]],
    "host": ["cpu_ratio", "memory_used_bytes", "rss_bytes"],
    "memory": ["allocated_peak_bytes", "reserved_peak_bytes", "peak_holders"],
    "overhead": ["budget_ratio", "measured_ratio", "windows"],
    "findings": [["code", "severity", "why", "evidence", "next"]],
    "losses": ["messages_dropped", "windows_failed", "probe_failures"],
    "step_breakdown": ["steps", "mean_ns"],
    "flops": ["steps", "step_flops", "dtypes", "coverage_ratio", "flops_per_s",
              "peak_flops_per_s", "mfu_ratio"],
    "input_pipeline": ["rows"],
}  # fmt: skip


def json_of(path: Path, until_ns: int | None = None) -> Any:
    with open_recording(path) as recording:
        return json.loads(to_json(summarize(recording, until_ns)))


def test_the_json_is_the_contract(tmp_path: Path) -> None:
    body = json_of(build(tmp_path / "run.fwtop"))
    assert list(body) == list(CONTRACT)
    assert body["schema_version"] == 1
    for name, keys in CONTRACT.items():
        if keys is None:
            continue
        if isinstance(keys[0], list):
            assert body[name], name
            assert all(list(row) == keys[0] for row in body[name])
        else:
            assert list(body[name]) == keys
    assert list(body["operators"]["rows"][0]) == [
        "name", "family", "phase", "device", "calls", "self_ns", "total_ns",
    ]  # fmt: skip
    assert list(body["kernels"]["rows"][0]) == [
        "name", "family", "calls", "total_ns", "sm_efficiency_ratio", "occupancy_ratio",
        "tensor_cores",
    ]  # fmt: skip
    assert list(body["compile"]["cache"]) == ["hits", "misses", "bypasses"]
    assert list(body["compile"]["events"][0]) == [
        "kind", "at_ns", "duration_ns", "function", "file", "line", "reason",
    ]  # fmt: skip
    assert body["run"]["frameworks"] == [{"name": "torch", "version": "2.13.0"}]
    assert list(body["steps"]["phases"]) == [
        "input", "h2d", "forward", "backward", "optimizer", "other",
    ]  # fmt: skip


def test_figures_are_those_of_the_rows(tmp_path: Path) -> None:
    path = build(tmp_path / "run.fwtop", steps=300, processes=2)
    body = json_of(path)
    with open_recording(path) as recording:
        steady = recording.connection.execute(
            "SELECT count(*), avg(duration_ns), avg(backward_ns) FROM steps"
            " WHERE process_id = 1 AND NOT flags & 3 AND step_index > 0"
        ).fetchone()
        traced = recording.connection.execute(
            "SELECT sum(self_ns) * 1.0 / (SELECT count(*) FROM windows WHERE counted)"
            " FROM operator_stats WHERE window_id IN (SELECT id FROM windows WHERE counted)"
        ).fetchone()[0]
    assert body["steps"]["count"] == 300
    assert body["steps"]["mean_ns"] == pytest.approx(steady[1], abs=0.1)
    assert body["steps"]["phases"]["backward"] == pytest.approx(steady[2], abs=0.1)
    assert sum(body["steps"]["phases"].values()) == pytest.approx(steady[1], abs=1)
    assert sum(row["self_ns"] for row in body["operators"]["rows"]) == pytest.approx(traced, abs=5)
    assert body["run"]["world_size"] == 2
    assert [row["steps"] for row in body["processes"]] == [300, 300]
    assert body["kernels"]["busy_ratio"] == pytest.approx(0.95)
    assert body["devices"][0]["utilization_ratio"] == pytest.approx(0.93, abs=0.02)
    assert body["compile"]["total_ns"] == 6 * SECOND


def test_a_process_is_of_the_framework_that_computes(tmp_path: Path) -> None:
    builder = Builder(tmp_path / "run.fwtop", Spec(steps=10))
    builder.add_everything()
    hooks = json.dumps({"backend": "torch"})
    builder.insert("frameworks", process_id=1, name="keras", version="3.12", hooks=hooks)
    builder.finish()
    body = json_of(builder.path)
    assert [one["name"] for one in body["run"]["frameworks"]] == ["keras", "torch"]
    assert body["processes"][0]["framework"] == "torch"


def test_the_input_pipeline_is_per_traced_step_and_says_who_is_waited_for(tmp_path: Path) -> None:
    builder = Builder(tmp_path / "run.fwtop", Spec())
    builder.add_steps(20)
    builder.add_window()
    for _ in range(2):
        window = builder.add_window()
        for path, calls, total_ns in (
            ("Prefetch", 1, 30 * MS), ("Prefetch::ParallelMapV2", 64, 90 * MS),
            ("Prefetch::ParallelMapV2::Shuffle", 64, 3 * MS),
        ):  # fmt: skip
            builder.insert(
                "input_stages", window_id=window, path=path, calls=calls, self_ns=total_ns // 3,
                total_ns=total_ns,
            )  # fmt: skip
    builder.finish()
    rows = json_of(builder.path)["input_pipeline"]["rows"]
    assert rows == [
        {"path": "Prefetch", "calls": 1.0, "self_ns": 10.0 * MS, "total_ns": 30.0 * MS,
         "wait_ns": 0.0},
        {"path": "Prefetch::ParallelMapV2", "calls": 64.0, "self_ns": 30.0 * MS,
         "total_ns": 90.0 * MS, "wait_ns": 27.0 * MS},
        {"path": "Prefetch::ParallelMapV2::Shuffle", "calls": 64.0, "self_ns": 1.0 * MS,
         "total_ns": 3.0 * MS, "wait_ns": 3.0 * MS},
    ]  # fmt: skip


def test_who_held_memory_is_of_each_device_s_highest_window(tmp_path: Path) -> None:
    builder = Builder(tmp_path / "run.fwtop", Spec())
    builder.add_steps(20)
    builder.insert("operator_names", id=901, name="aten::relu", family="elementwise")
    builder.insert("operator_names", id=902, name="aten::addmm", family="matmul")
    for device, peak, held in (("cuda:0", 10, 901), ("cuda:0", 90, 902), ("cpu", 5, 901)):
        window = builder.add_window(deep=True)
        for at, size in ((0, 1), (7, peak), (9, -4)):
            builder.insert(
                "memory_timeline", window_id=window, device=device, offset_ns=at,
                allocated_bytes=size,
            )  # fmt: skip
        builder.insert(
            "memory_holders", window_id=window, device=device, operator_id=held, bytes=peak
        )
    builder.finish()
    assert json_of(builder.path)["memory"]["peak_holders"] == [
        {"device": "cpu", "operator": "aten::relu", "bytes": 5},
        {"device": "cuda:0", "operator": "aten::addmm", "bytes": 90},
    ]


def test_what_is_unknown_is_null(tmp_path: Path) -> None:
    path = build(
        tmp_path / "bare.fwtop", steps=0, gpus=0, host=False, log=False, compiles=0, windows=0,
        measured_ratio=None, state="running", samples=None,
    )  # fmt: skip
    body = json_of(path)
    assert body["run"]["exit_status"] is None
    assert body["steps"] == {
        "count": 0, "mean_ns": None, "median_ns": None, "p95_ns": None, "phases": {},
    }  # fmt: skip
    assert set(body["host"].values()) == {None}
    assert body["memory"] == {
        "allocated_peak_bytes": None, "reserved_peak_bytes": None, "peak_holders": [],
    }  # fmt: skip
    assert body["input_pipeline"] == {"rows": []}
    assert body["kernels"]["busy_ratio"] is None
    assert body["overhead"]["measured_ratio"] is None
    assert body["devices"] == []


def test_a_live_run_lasts_as_far_as_the_recording_reaches(tmp_path: Path) -> None:
    builder = Builder(tmp_path / "live.fwtop", Spec())
    builder.add_steps(50)
    assert json_of(builder.path)["run"]["duration_ns"] == builder.now_ns
    builder.close()


def test_a_summary_until_a_moment_knows_nothing_of_later(tmp_path: Path) -> None:
    path = build(tmp_path / "run.fwtop", steps=600, compiles=2)
    until_ns = 30 * SECOND
    body = json_of(path, until_ns)
    with open_recording(path) as recording:
        assert body["steps"]["count"] == steps.totals(recording, until_ns=until_ns).count
    assert 0 < body["steps"]["count"] < 300
    assert body["run"]["duration_ns"] == until_ns
    assert body["compile"]["recompiles"] == 0, "the recompile comes in the middle"
    assert body["operators"]["windows"] < json_of(path)["operators"]["windows"]
    early = json_of(path, 2 * SECOND)
    assert early["steps"]["count"] == 0
    assert "slow_first_step" not in [row["code"] for row in early["findings"]]


@pytest.mark.parametrize("columns", [40, 60, 80])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"processes": 4, "gpus": 4, "input_share": 0.4, "throttled": True, "messages_dropped": 3},
        {"steps": 0, "gpus": 0, "windows": 0, "compiles": 0, "host": False},
        {"command": ("train 数据.py", "\x1b[31mred", "--note", "long " * 40)},
    ],
)
def test_the_words_fit_the_columns_and_hold_no_controls(
    tmp_path: Path, columns: int, changes: dict[str, Any]
) -> None:
    path = build(tmp_path / "run.fwtop", **{"steps": 120, **changes})
    with open_recording(path) as recording:
        lines = render(summarize(recording), str(path), columns)
    assert max(map(cell_width, lines)) <= columns
    assert all(line.isprintable() for line in lines)
    text = "\n".join(lines)
    assert "run.fwtop" in text
    assert "findings" in text


def test_the_words_say_the_figures(tmp_path: Path) -> None:
    path = build(tmp_path / "run.fwtop", input_share=0.4)
    with open_recording(path) as recording:
        text = "\n".join(render(summarize(recording), str(path)))
    assert "1,200, mean 10" in text
    assert "aten::convolution_backward" in text
    assert "0.70 % measured, of a budget of 1.00 %" in text
    assert "→ raise num_workers" in text
