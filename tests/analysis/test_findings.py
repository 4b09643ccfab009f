"""Each finding at its edge: the figures that bring it up, and the ones that do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fwtop.analysis.finders.facts import SEVERITIES, Facts
from fwtop.analysis.findings import Finding, find
from fwtop.recording.model import CompileTotals, HostProcess, Notice, OutOfMemory
from fwtop.recording.store import open_recording
from fwtop.recording.window_model import InputStageRow, OperatorRow
from fwtop.summary import gather
from tests.recordings import build

MS = 1_000_000
SECOND = 1_000 * MS
HEALTHY: dict[str, Any] = {"steps": 300, "compiles": 0, "graph_breaks": 0}


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    path = build(tmp_path_factory.mktemp("findings") / "run.fwtop", **HEALTHY)
    with open_recording(path) as recording:
        return gather(recording)


def codes(facts: Facts) -> list[str]:
    return [finding.code for finding in find(facts)]


def one(facts: Facts, code: str) -> Finding:
    (found,) = [finding for finding in find(facts) if finding.code == code]
    assert found.why.endswith(".")
    assert found.next
    assert found.severity in SEVERITIES
    return found


def with_phases(facts: Facts, **shares: float) -> Facts:
    mean_ns = 100.0 * MS
    phases = {name: share * mean_ns for name, share in shares.items()}
    phases["other"] = mean_ns - sum(phases.values())
    return replace(facts, steps=replace(facts.steps, mean_ns=mean_ns, phases_ns=phases))


def test_a_healthy_run_has_no_finding(healthy: Facts) -> None:
    assert codes(healthy) == []


def test_without_figures_nothing_is_found(tmp_path: Path) -> None:
    path = build(
        tmp_path / "bare.fwtop", steps=0, gpus=0, host=False, log=False, compiles=0, windows=0,
        measured_ratio=None,
    )  # fmt: skip
    with open_recording(path) as recording:
        assert codes(gather(recording)) == []


def test_waiting_for_input(healthy: Facts) -> None:
    assert "input_bound" not in codes(with_phases(healthy, input=0.15, forward=0.6))
    found = one(with_phases(healthy, input=0.41, forward=0.4), "input_bound")
    assert "41.0 %" in found.why
    assert found.evidence["input_ns"] == pytest.approx(41 * MS)
    assert found.evidence["worker_processes"] == 4
    assert "raise num_workers" in found.next


def traced(facts: Facts, wait_ms: float, **totals_ms: float) -> Facts:
    """In Keras' fit: no phase is known, and the profiler sees the wait of each 100 ms step."""
    steps = 10
    window = replace(facts.windows[0], start_ns=0, end_ns=100 * steps * MS, step_count=steps)
    wait_ns = int(wait_ms * steps * MS)
    fetch = OperatorRow(
        "IteratorGetNext", "data", "input", "cpu", steps, wait_ns, wait_ns, None, None
    )
    stages = tuple(
        InputStageRow(path.replace("__", "::"), steps, 0, int(total * steps * MS))
        for path, total in totals_ms.items()
    )
    return replace(
        facts, steps=replace(facts.steps, mean_ns=100.0 * MS, phases_ns={}), windows=(window,),
        steps_traced=steps, operators=(fetch,), input_stages=stages,
    )  # fmt: skip


def test_the_profiler_sees_a_wait_within_the_graph(healthy: Facts) -> None:
    stages = {"Prefetch": 40.0, "Prefetch__Map": 45.0, "Prefetch__Map__Shuffle": 2.0}
    found = one(traced(healthy, 40, **stages), "input_bound")
    assert "40.0 ms of its 100 ms" in found.why
    assert "in the traced steps" in found.why
    assert "95.0 % of the wait is for the stage Map (in Prefetch)." in found.why
    assert found.evidence["stage"] == "Prefetch::Map"
    assert found.evidence["input_ratio"] == pytest.approx(0.4)
    assert "num_parallel_calls" in found.next
    assert "DataLoader" not in found.next
    assert "end the pipeline" not in found.next
    assert "input_bound" not in codes(traced(healthy, 15, **stages))
    assert "input_bound" not in codes(traced(healthy, 40))


@pytest.mark.parametrize(
    ("stages", "stage", "advice"),
    [
        ({"Prefetch": 40.0, "Prefetch__ParallelMapV2": 40.0}, "ParallelMapV2", "cheaper"),
        ({"Batch": 40.0, "Batch__Map": 1.0}, "Batch", "prefetch(tf.data.AUTOTUNE)"),
        ({"Prefetch": 40.0, "Prefetch__Shuffle__TFRecord": 50.0}, "TFRecord", "several files"),
        ({"Prefetch": 40.0, "Prefetch__FlatMap__Generator": 50.0}, "Generator", "from_generator"),
        ({"Prefetch": 40.0}, "Prefetch", "num_parallel_calls"),
    ],
)
def test_the_advice_is_for_the_slowest_stage(
    healthy: Facts, stages: dict[str, float], stage: str, advice: str
) -> None:
    found = one(traced(healthy, 40, **stages), "input_bound")
    assert f"for the stage {stage}" in found.why
    assert advice in found.next


def test_a_map_that_runs_python_is_told(healthy: Facts) -> None:
    facts = traced(healthy, 40, Prefetch=40.0, Prefetch__ParallelMapV2=40.0)
    python = OperatorRow("PyFunc", "other", "input", "cpu", 10, 600 * MS, 600 * MS, None, None)
    found = one(replace(facts, operators=(*facts.operators, python)), "input_bound")
    assert "runs Python, 60.0 ms a step" in found.why
    assert "instead of py_function" in found.next


def test_the_steps_own_phase_goes_before_the_traced_one(healthy: Facts) -> None:
    stages = traced(healthy, 40, Prefetch=40.0, Prefetch__Map=40.0).input_stages
    found = one(
        replace(with_phases(healthy, input=0.41, forward=0.4), input_stages=stages), "input_bound"
    )
    assert "41.0 ms of its 100 ms" in found.why
    assert found.evidence["stage"] == "Prefetch::Map"
    loader = (InputStageRow("DataLoader", 10, 0, 400 * MS),)
    found = one(
        replace(with_phases(healthy, input=0.41, forward=0.4), input_stages=loader), "input_bound"
    )
    assert "raise num_workers" in found.next
    assert "stage" not in found.evidence


def test_input_advice_depends_on_what_is_known_of_workers_and_cpu(healthy: Facts) -> None:
    slow = with_phases(healthy, input=0.41, forward=0.4)
    alone = replace(slow, host_processes=(HostProcess(4000, 1, 0, "python3", 1, 1, 1, True),))
    assert "no worker processes" in one(alone, "input_bound").why
    assert "num_workers=4" in one(alone, "input_bound").next
    unknown = replace(slow, host_processes=())
    assert one(unknown, "input_bound").evidence["worker_processes"] is None
    assert slow.host is not None
    busy = replace(slow, host=replace(slow.host, cpu_ratio=0.97))
    assert "cheaper" in one(busy, "input_bound").next


def test_copies_and_time_outside_the_phases(healthy: Facts) -> None:
    found = one(with_phases(healthy, h2d=0.2, forward=0.4, backward=0.3), "copy_bound")
    assert found.evidence["h2d_ratio"] == pytest.approx(0.2)
    found = one(with_phases(healthy, forward=0.3, backward=0.3), "time_outside_phases")
    assert "40.0 %" in found.why
    unhooked = with_phases(healthy, input=0.01)
    assert "time_outside_phases" not in codes(unhooked), "phases that nobody measured are no cost"


def test_few_steps_say_nothing_of_shares(healthy: Facts) -> None:
    slow = with_phases(healthy, input=0.41)
    assert "input_bound" not in codes(replace(slow, steps=replace(slow.steps, steady_count=9)))


def test_a_slow_first_step(healthy: Facts) -> None:
    assert healthy.first_step is not None
    slow = replace(healthy, first_step=replace(healthy.first_step, duration_ns=5 * SECOND))
    assert one(slow, "slow_first_step").evidence["first_step_ns"] == 5 * SECOND
    short = replace(healthy, first_step=replace(healthy.first_step, duration_ns=SECOND))
    assert "slow_first_step" not in codes(short)


def test_uneven_steps(healthy: Facts) -> None:
    assert healthy.steps.median_ns is not None
    uneven = replace(healthy.steps, p95_ns=2 * healthy.steps.median_ns)
    assert "one in twenty" in one(replace(healthy, steps=uneven), "uneven_steps").why


def test_no_steps_in_a_long_run(healthy: Facts) -> None:
    none = replace(healthy.steps, count=0, steady_count=0, mean_ns=None, phases_ns={})
    long = replace(healthy, steps=none, duration_ns=61 * SECOND)
    assert "--step-on" in one(long, "no_steps").next
    assert codes(replace(long, duration_ns=59 * SECOND)) == []


def test_recompiles_and_graph_breaks_name_the_function_the_line_and_the_reason(
    tmp_path: Path,
) -> None:
    path = build(tmp_path / "run.fwtop", **{**HEALTHY, "compiles": 4, "graph_breaks": 2})
    with open_recording(path) as recording:
        facts = gather(recording)
    found = one(facts, "recompiles")
    assert found.severity == "warning"
    assert "3 recompiles of forward (train.py:42): tensor 'x' size mismatch" in found.why
    assert (found.evidence["count"], found.evidence["line"]) == (3, 42)
    assert "keep shapes fixed" in found.next
    found = one(facts, "graph_breaks")
    assert "2 graph breaks, 1 in forward (train.py:57)" in found.why
    assert one(facts, "compile_time").evidence["total_ns"] == 10 * SECOND


def test_recompiles_by_global_state_are_not_blamed_on_shapes(tmp_path: Path) -> None:
    path = build(tmp_path / "run.fwtop", **{**HEALTHY, "compiles": 4})
    with open_recording(path) as recording:
        facts = gather(recording)
    reasons = [
        replace(event, reason="GLOBAL_STATE changed: grad_mode") for event in facts.compile_reasons
    ]
    found = one(replace(facts, compile_reasons=reasons), "recompiles")
    assert "grad_mode" in found.why
    assert "shapes" not in found.next
    assert "gradients on and off" in found.next


def test_one_recompile_is_only_worth_knowing(healthy: Facts) -> None:
    once = replace(healthy, compile=CompileTotals(2, 100, 0, 1, 0, 0, 0, 0))
    assert one(once, "recompiles").severity == "info"
    assert one(once, "recompiles").why == "1 recompile."
    again = replace(healthy, compile=CompileTotals(2, 100, 0, 0, 5, 0, 0, 0))
    assert "5 retraces" in one(again, "retraces").why


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"host_wait_share": 0.3}, "gpu_idle"),
        ({"utilization": 0.3}, "gpu_underused"),
        ({"throttled": True}, "throttling"),
        ({"memory_share": 0.96}, "memory_near_limit"),
        ({"measured_ratio": 0.05}, "over_budget"),
        ({"messages_dropped": 7}, "messages_dropped"),
    ],
)
def test_what_a_recording_bears_out(tmp_path: Path, changes: dict[str, Any], code: str) -> None:
    path = build(tmp_path / "run.fwtop", **{**HEALTHY, **changes})
    with open_recording(path) as recording:
        assert codes(gather(recording)) == [code]


def test_several_devices_are_one_finding(tmp_path: Path) -> None:
    path = build(tmp_path / "run.fwtop", **{**HEALTHY, "processes": 2, "utilization": 0.3})
    with open_recording(path) as recording:
        assert "(and 1 other)" in one(gather(recording), "gpu_underused").why


def test_an_underused_gpu_comes_after_the_input_that_it_waits_for(tmp_path: Path) -> None:
    changes = {**HEALTHY, "utilization": 0.3, "input_share": 0.5}
    with open_recording(build(tmp_path / "run.fwtop", **changes)) as recording:
        found = codes(gather(recording))
    assert found.index("input_bound") < found.index("gpu_underused")


def test_memory_that_ran_out_comes_first(healthy: Facts) -> None:
    peak = replace(healthy.memory_peaks[0], retries=3)
    short = replace(
        with_phases(healthy, input=0.9),
        out_of_memory=(OutOfMemory(1, SECOND, "cuda:0", "tried to allocate 2 GiB", "[]"),),
        memory_peaks=(peak,),
    )
    assert codes(short)[0] == "out_of_memory"
    assert "3 times" in one(short, "allocator_retries").why


def test_threads_and_cores(healthy: Facts) -> None:
    many = replace(healthy, run=replace(healthy.run, environment={"OMP_NUM_THREADS": "64"}))
    assert one(many, "cpu_oversubscribed").evidence["threads"] == 64
    assert healthy.process is not None
    assert healthy.host is not None
    single = replace(
        healthy,
        run=replace(healthy.run, environment={"OMP_NUM_THREADS": "1"}),
        process=replace(healthy.process, device="cpu"),
        host=replace(healthy.host, run_cpu_ratio=1.0),
    )
    assert "1.0 of 16 cores" in one(single, "cpu_one_core").why
    for odd in ("", "4,2", "auto", "9" * 5000, "²"):
        strange = replace(healthy, run=replace(healthy.run, environment={"OMP_NUM_THREADS": odd}))
        assert codes(strange) == []


def test_others_on_the_host(healthy: Facts) -> None:
    assert healthy.host is not None
    crowded = replace(healthy.host, cpu_ratio=1.0, run_cpu_ratio=4.0, recorder_cpu_ratio=None)
    found = one(replace(healthy, host=crowded), "cpu_contention")
    assert "the run keeps 4.0 of 16 cores busy, other programs 12.0" in found.why
    own = replace(crowded, run_cpu_ratio=15.0)
    assert codes(replace(healthy, host=own)) == []
    idle = replace(crowded, cpu_ratio=0.8)
    assert codes(replace(healthy, host=idle)) == []


def test_full_host_memory(healthy: Facts) -> None:
    assert healthy.host is not None
    full = replace(healthy.host, memory_used_bytes=99, memory_total_bytes=100)
    assert "99.0 %" in one(replace(healthy, host=full), "host_memory_near_limit").why


def test_what_was_lost_is_said(healthy: Facts) -> None:
    notices = (
        Notice(1, 5, "warning", "probe_failure", 1, "hook h was switched off: E", "report it"),
        Notice(2, 6, "warning", "window_failed", 1, "no trace window: busy", ""),
        Notice(3, 7, "warning", "steps_lost", 1, "steps 5 to 9 are not recorded", ""),
        Notice(4, 8, "warning", "sampler_failed", None, "the readings end here: E", "report it"),
        Notice(5, 9, "warning", "shim_failed", None, "the shim failed: E", "report it"),
    )
    facts = replace(healthy, notices=notices, failed_windows=1)
    assert set(codes(facts)) == {
        "probe_failures", "windows_failed", "messages_dropped", "sampler_failed", "shim_failed",
    }  # fmt: skip
    assert "hook h" in one(facts, "probe_failures").why
    assert one(facts, "sampler_failed").why == "The readings end here: E."


def test_the_gravest_and_dearest_come_first(tmp_path: Path) -> None:
    changes = {"input_share": 0.5, "host_wait_share": 0.2, "compiles": 2}
    with open_recording(build(tmp_path / "run.fwtop", **{**HEALTHY, **changes})) as recording:
        found = find(gather(recording))
    ranks = [(SEVERITIES.index(finding.severity), -finding.cost_ratio) for finding in found]
    assert len(found) >= 3
    assert ranks == sorted(ranks)
