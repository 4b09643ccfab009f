"""Every figure of a comparison: its metric, and that it is the summary's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fwtop.analysis.comparison.conditions import parse
from fwtop.analysis.comparison.judgement import judge
from fwtop.analysis.comparison.metrics import METRICS, NAMED
from fwtop.analysis.comparison.model import Comparison
from fwtop.recording.store import open_recording
from fwtop.summary import summarize
from tests.comparisons import compared, figure, pair
from tests.recordings import MS, Builder, Spec


def test_figures_are_those_of_the_summary(tmp_path: Path) -> None:
    comparison = pair(tmp_path)
    for place, name in enumerate(("before", "after")):
        with open_recording(tmp_path / f"{name}.fwtop") as recording:
            summary = summarize(recording)
        values = {row.metric: row.values[place] for row in comparison.figures}
        assert values["step_time.mean"] == pytest.approx(summary.steps.mean_ns, abs=0.1)
        assert values["step_time"] == pytest.approx(summary.steps.median_ns, rel=0.011)
        assert values["step_time.p95"] == pytest.approx(summary.steps.p95_ns, rel=0.02)
        assert values["phase[backward]"] == pytest.approx(summary.steps.phases["backward"], abs=0.1)
        assert values["compile.time"] == summary.compile.total_ns
        assert values["memory.peak"] == summary.memory.allocated_peak_bytes
        assert values["gpu.utilization"] == summary.devices[0].utilization_ratio
        of_summary = {(row.name, row.device): row.self_ns for row in summary.operators.rows}
        for family in comparison.families:
            for row in family.operators:
                side = row.sides[place]
                assert side is not None
                assert side.self_ns == pytest.approx(of_summary[row.name, row.device], abs=0.11)
            totals = family.sides[place]
            assert totals is not None
            assert totals.self_ns == pytest.approx(
                sum(row.sides[place].self_ns for row in family.operators if row.sides[place]),
                abs=1,
            )


def told(path: Path, **changes: Any) -> Path:
    """A run whose windows tell all that windows can: shapes, memory, an input pipeline."""
    builder = Builder(path, Spec(steps=200, processes=2, **changes))
    builder.add_everything()
    deep = builder.add_window(deep=True)
    (window,) = builder._db.execute("SELECT min(id) FROM windows WHERE counted").fetchone()
    scale = builder.spec.step_ns // (100 * MS)
    for stage, self_ms in (("Prefetch", 1), ("Prefetch::Map", 20)):
        builder.insert(
            "input_stages", window_id=window, path=stage, calls=4,
            self_ns=self_ms * MS * scale, total_ns=21 * MS * scale,
        )  # fmt: skip
    builder.insert(
        "memory_timeline", window_id=deep, device="cuda:0", offset_ns=0, allocated_bytes=3 << 30
    )
    for name, family, size in (
        ("aten::addmm", "matmul", 2 << 30),
        ("aten::relu_", "other", 1 << 30),
    ):
        builder.insert(
            "memory_holders", window_id=deep, device="cuda:0",
            operator_id=builder._name_id(name, family), bytes=size * scale,
        )  # fmt: skip
    return builder.finish()


def test_every_figure_has_a_metric_and_the_other_way_round(tmp_path: Path) -> None:
    comparison = compared(
        told(tmp_path / "one.fwtop"), told(tmp_path / "two.fwtop", seed=8, step_ns=200 * MS)
    )
    named = {row.metric: row.unit for row in comparison.figures}
    for metric, unit in named.items():
        name = metric.partition("[")[0]
        if name in NAMED:
            assert NAMED[name][0] == unit, metric
            assert parse(f"{metric} > 0").metric.subject == metric
        else:
            assert METRICS[name + metric.partition("]")[2]][0] == unit, metric
    # what these runs do not have: communication, a retrace; and names for others of them
    assert set(METRICS) - set(named) <= {
        "throughput", "findings", "kernels.overlap", "compile.retraces",
    }  # fmt: skip
    assert {metric.partition("[")[0] for metric in named if "[" in metric} == {*NAMED, "gpu"}


def test_what_the_windows_tell_is_compared(tmp_path: Path) -> None:
    paths = told(tmp_path / "one.fwtop"), told(tmp_path / "two.fwtop", seed=8, step_ns=200 * MS)
    comparison = compared(*paths)
    summaries = []
    for path in paths:
        with open_recording(path) as recording:
            summaries.append(summarize(recording))
    of_kernels = {
        "kernels.utilization": "utilization_ratio", "kernels.sm_efficiency": "sm_efficiency_ratio",
        "kernels.occupancy": "occupancy_ratio", "kernels.tensor_cores": "tensor_core_ratio",
        "kernels.queue_max": "queue_max", "kernels.launch_delay": "launch_delay_median_ns",
        "kernels.launch_delay.p95": "launch_delay_p95_ns", "kernels.launches": "launches",
    }  # fmt: skip
    for metric, field in of_kernels.items():
        wanted = tuple(getattr(summary.kernels, field) for summary in summaries)
        assert None not in wanted
        assert figure(comparison, metric).values == wanted
    for metric, field in (("mfu", "mfu_ratio"), ("flops", "step_flops"),
                          ("flops.rate", "flops_per_s")):  # fmt: skip
        wanted = tuple(getattr(summary.flops, field) for summary in summaries)
        assert None not in wanted
        assert figure(comparison, metric).values == wanted
    change = figure(comparison, "mfu").changes[1]
    assert change is not None
    assert change.ratio == pytest.approx(-0.5, abs=0.02), "the same work in twice the time"
    assert (change.noise, change.unsure) == (None, "read once a run")
    kernel = figure(comparison, "step_class[kernel]")
    assert kernel.values == tuple(one.step_breakdown.mean_ns["kernel"] for one in summaries)
    stage = figure(comparison, "input_stage[Prefetch::Map]")
    assert stage.values[0] == summaries[0].input_pipeline.rows[1].self_ns
    assert stage.changes[1] is not None
    assert stage.changes[1].ratio == pytest.approx(1)
    assert figure(comparison, "memory_holder[aten::addmm]").values == (2 << 30, 4 << 30)


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("kernels.sm_efficiency < 10%", "passed"),
        ("mfu < -10%", "failed"),
        ("flops > 1TFLOP", "failed"),
        ("flops.rate < 1T", "passed"),
        ("step_class[kernel] > +50%", "failed"),
        ("step_class[dataloader] > 1s", "passed"),
        ("input_stage[Prefetch::Map] > +50%", "failed"),
        ("input_stage[Prefetch::Mop] > +50%", "unknown"),
        ('memory_holder["aten::addmm"] > +3GiB', "passed"),
        ("kernels.launch_delay > +1%", "passed"),
    ],
)
def test_the_gate_knows_them(comparison_of_windows: Comparison, text: str, outcome: str) -> None:
    (judgement,) = judge(parse(text), comparison_of_windows)
    assert judgement.outcome == outcome, judgement.text
    if outcome == "unknown":
        assert "did you mean input_stage[Prefetch::Map]" in judgement.text


@pytest.fixture(scope="module")
def comparison_of_windows(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    folder = tmp_path_factory.mktemp("told")
    return compared(
        told(folder / "one.fwtop"), told(folder / "two.fwtop", seed=8, step_ns=200 * MS)
    )
