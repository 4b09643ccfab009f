"""Recordings whose differences are known, compared: what is found, what is noise or unknown."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from fwtop.analysis.comparison_model import (
    SECTIONS,
    UNITS,
    ComparedFigure,
    ComparedOperator,
    Comparison,
)
from fwtop.analysis.metrics import METRICS
from fwtop.comparison import compare, to_json
from fwtop.recording.store import RecordingError, open_recording
from fwtop.summary import summarize
from tests.recordings import MS, Builder, Spec, build


def compared(*paths: Path) -> Comparison:
    recordings = [open_recording(path) for path in paths]
    try:
        return compare(recordings)
    finally:
        for recording in recordings:
            recording.close()


def pair(folder: Path, **changes: Any) -> Comparison:
    """A run against the same with changes, and another seed."""
    one = build(folder / "before.fwtop", steps=600, windows=8)
    two = build(folder / "after.fwtop", **{"steps": 600, "windows": 8, "seed": 8, **changes})
    return compared(one, two)


def figure(comparison: Comparison, metric: str) -> ComparedFigure:
    return next(row for row in comparison.figures if row.metric == metric)


def operator(comparison: Comparison, name: str, device: str = "gpu") -> ComparedOperator:
    return next(
        row
        for family in comparison.families
        for row in family.operators
        if (row.name, row.device) == (name, device)
    )


def test_two_runs_of_one_program_are_noise(tmp_path: Path) -> None:
    comparison = pair(tmp_path)
    verdict = comparison.verdicts[1]
    assert verdict is not None
    assert verdict.direction == "noise"
    assert verdict.text.startswith("noise: ")
    told = [row for row in comparison.figures if row.section in ("steps", "phases", "throughput")]
    assert {row.changes[1].noise for row in told if row.changes[1]} <= {True, None}
    rows = [row for family in comparison.families for row in family.operators]
    assert {row.changes[1].noise for row in rows if row.changes[1]} == {True}
    assert comparison.configuration == ()
    assert {row.status for row in comparison.findings} <= {"stayed"}


def test_the_same_file_twice_differs_in_nothing(tmp_path: Path) -> None:
    path = build(tmp_path / "run.fwtop", steps=300)
    comparison = compared(path, path)
    assert [run.label for run in comparison.runs] == ["run", "run (2)"]
    verdict = comparison.verdicts[1]
    assert verdict is not None
    assert (verdict.direction, verdict.ratio) == ("noise", 0.0)
    assert all(row.changes[1].delta == 0 for row in comparison.figures if row.changes[1])
    for family in comparison.families:
        assert {row.changes[1].status for row in family.operators if row.changes[1]} == {
            "unchanged"
        }


@pytest.mark.parametrize(("factor", "direction"), [(1.1, "slower"), (0.9, "faster")])
def test_ten_percent_are_found_where_they_are(
    tmp_path: Path, factor: float, direction: str
) -> None:
    comparison = pair(tmp_path, step_ns=int(100 * MS * factor))
    verdict = comparison.verdicts[1]
    assert verdict is not None
    assert verdict.direction == direction
    assert verdict.interval is not None
    assert verdict.interval.low < factor - 1 < verdict.interval.high
    assert verdict.interval.high - verdict.interval.low < 0.03
    assert direction in verdict.text
    assert "95 % CI" in verdict.text
    for metric in ("step_time", "step_time.mean", "phase[backward]", "throughput.samples"):
        change = figure(comparison, metric).changes[1]
        assert change is not None
        assert change.noise is False, metric
    # a window's time of an operator varies by 5 %: 8 of them tell 10 %
    change_of = operator(comparison, "aten::convolution_backward").changes[1]
    assert change_of is not None
    assert change_of.noise is False
    assert change_of.status == ("increased" if factor > 1 else "decreased")


def test_one_phase_is_found_and_the_others_are_noise(tmp_path: Path) -> None:
    comparison = pair(tmp_path, input_share=0.40)
    noise = {
        row.label: change.noise
        for row in comparison.figures
        if row.section == "phases" and (change := row.changes[1])
    }
    assert noise["input"] is False
    came = [row.code for row in comparison.findings if row.status == "came"]
    assert came == ["input_bound"]
    assert (
        compared(tmp_path / "after.fwtop", tmp_path / "before.fwtop").findings[0].status == "went"
    )


def test_steps_of_another_size_are_compared_by_the_sample(tmp_path: Path) -> None:
    comparison = pair(tmp_path, samples=128, step_ns=180 * MS)
    verdict = comparison.verdicts[1]
    assert verdict is not None
    assert (verdict.per, verdict.direction) == ("sample", "faster")
    assert verdict.ratio == pytest.approx(-0.1, abs=0.01)
    assert "128" in verdict.text
    assert any("64 samples" in note for note in comparison.notes)
    assert figure(comparison, "step_time").changes[1].ratio == pytest.approx(0.8, abs=0.02)  # type: ignore[union-attr]
    assert figure(comparison, "sample_time").changes[1].ratio == pytest.approx(-0.1, abs=0.01)  # type: ignore[union-attr]
    sizes = [row.values for row in comparison.configuration if row.what == "samples a step"]
    assert sizes == [("64", "128")]


def test_warm_up_and_compiles_are_apart(tmp_path: Path) -> None:
    comparison = pair(tmp_path, compiles=4)
    before, after = comparison.steps
    assert comparison.verdicts[1].direction == "noise"  # type: ignore[union-attr]
    assert before.first_ns is not None
    assert before.first_ns > 30 * (before.median_ns or 0), "it holds the first compile"
    assert (before.compiled_count, after.compiled_count) == (1, 3)
    assert after.compiled_ns - before.compiled_ns > 3e9
    assert figure(comparison, "compile.recompiles").values == (1, 3)
    assert before.traced_count == 8


def test_operators_that_came_and_went_and_their_share(tmp_path: Path) -> None:
    one = build(tmp_path / "one.fwtop", steps=600, windows=8)
    builder = Builder(tmp_path / "two.fwtop", Spec(steps=600, windows=8, seed=9, step_ns=120 * MS))
    builder.add_everything()
    builder.insert("operator_names", name="aten::new_op", family="matmul")
    builder.insert("operator_names", name="other_kernel", family="matmul")
    for (window,) in builder._db.execute("SELECT id FROM windows").fetchall():
        for name, table in (("aten::new_op", "operator_stats"), ("other_kernel", "kernel_stats")):
            (operator_id,) = builder._db.execute(
                "SELECT id FROM operator_names WHERE name = ?", (name,)
            ).fetchone()
            columns: dict[str, Any] = {"window_id": window, "operator_id": operator_id, "calls": 3}
            if table == "kernel_stats":
                builder.insert(table, **columns, stream=7, total_ns=50 * MS)
            else:
                builder.insert(
                    table, **columns, phase="forward", device="gpu", self_ns=50 * MS,
                    total_ns=60 * MS,
                )  # fmt: skip
    builder._db.execute(
        "DELETE FROM operator_stats WHERE operator_id ="
        " (SELECT id FROM operator_names WHERE name = 'aten::relu_')"
    )
    comparison = compared(one, builder.finish())
    new, gone = operator(comparison, "aten::new_op"), operator(comparison, "aten::relu_")
    assert new.changes[1] is not None
    assert gone.changes[1] is not None
    assert (new.changes[1].status, new.changes[1].ratio) == ("added", None)
    assert (new.sides[0], new.changes[1].delta_ns) == (None, 50 * MS)
    assert new.changes[1].noise is False
    assert new.changes[1].calls_delta == 3
    assert (gone.changes[1].status, gone.changes[1].ratio) == ("deleted", -1.0)
    # the step is some 20 ms longer, the new operator takes 50 of a traced one
    assert new.changes[1].step_share == pytest.approx(50 / 20, rel=0.2)
    matmul = comparison.families[0]
    assert (matmul.family, matmul.device) == ("matmul", "gpu")
    assert matmul.operators[0] is new
    assert matmul.kernels[0].name == "other_kernel"
    deltas = [
        abs(family.changes[1].delta_ns) for family in comparison.families if family.changes[1]
    ]
    assert deltas == sorted(deltas, reverse=True)


def test_shapes_are_compared_where_both_have_deep_windows(tmp_path: Path) -> None:
    paths = []
    for name, deep, seed in (("one", True, 1), ("two", True, 2), ("three", False, 3)):
        builder = Builder(tmp_path / f"{name}.fwtop", Spec(seed=seed))
        builder.add_steps(50)
        builder.add_window()
        builder.add_window(deep=deep)
        paths.append(builder.finish())
    found = operator(compared(*paths), "aten::addmm", "cpu").details
    assert [detail.kind for detail in found] == ["module", "shape", "source"]
    shape = found[1]
    assert shape.sides[0] is not None
    assert shape.changes[1] is not None
    assert shape.changes[2] is None, "without a deep window nothing is known of shapes"
    assert operator(compared(paths[0], paths[2]), "aten::addmm", "cpu").details == ()


def test_ranks_are_compared_by_their_lead(tmp_path: Path) -> None:
    one = build(tmp_path / "one.fwtop", steps=200)
    two = build(tmp_path / "two.fwtop", steps=200, processes=4, gpus=4, seed=3)
    comparison = compared(one, two)
    assert [steps.count for steps in comparison.steps] == [200, 200]
    assert [run.world_size for run in comparison.runs] == [None, 4]
    assert ("run", "world size", (None, "4")) in [
        (row.section, row.what, row.values) for row in comparison.configuration
    ]


def contended(path: Path, others: float) -> Path:
    """The same run with other programs on all cores."""
    with sqlite3.connect(path) as db:
        db.execute(
            "UPDATE host_samples SET cpu_ratio = 0.99, recorder_cpu_ratio = 0,"
            " run_cpu_ratio = ? * length(core_ratios)",
            (0.99 - others,),
        )
    db.close()
    return path


def test_what_other_programs_can_do_is_noise(tmp_path: Path) -> None:
    quiet = build(tmp_path / "quiet.fwtop", steps=600)
    slower = build(tmp_path / "slower.fwtop", steps=600, seed=8, step_ns=130 * MS)
    assert compared(quiet, slower).verdicts[1].direction == "slower"  # type: ignore[union-attr]
    contended(slower, 0.5)  # half of the cores may double a step
    verdict = compared(quiet, slower).verdicts[1]
    assert verdict is not None
    assert verdict.direction == "noise"
    assert "other programs" in verdict.text
    contended(slower, 0.1)  # a tenth of them may not take 30 % more
    verdict = compared(quiet, slower).verdicts[1]
    assert verdict is not None
    assert verdict.direction == "slower"
    assert "other programs" in verdict.text
    contended(quiet, 0.5)
    contended(slower, 0.0)  # what stretches the baseline cannot make the other one slower
    verdict = compared(quiet, slower).verdicts[1]
    assert verdict is not None
    assert verdict.direction == "slower"
    assert "other programs" not in verdict.text


def test_a_few_steps_are_no_verdict(tmp_path: Path) -> None:
    one = build(tmp_path / "one.fwtop", steps=600)
    two = build(tmp_path / "two.fwtop", steps=5, windows=0, compiles=0)
    comparison = compared(one, two)
    verdict = comparison.verdicts[1]
    assert verdict is not None
    assert (verdict.direction, verdict.ratio) == ("unknown", None)
    assert "two has 4 steady steps" in verdict.text
    assert figure(comparison, "step_time").changes[1].noise is None  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": 0, "windows": 0, "compiles": 0, "host": False, "gpus": 0, "samples": None},
        {"steps": 0, "windows": 0, "compiles": 0, "state": "running"},
        {"steps": 200, "windows": 0},
        {"steps": 200, "state": "running"},
        {"steps": 200, "state": "lost", "samples": None},
        {"steps": 1, "compiles": 1, "windows": 0},
        {"steps": 40, "gpus": 0, "host": False},
    ],
)
def test_runs_that_lack_something_are_compared_as_far_as_they_go(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    whole = build(tmp_path / "whole.fwtop", steps=200)
    lacking = build(tmp_path / "lacking.fwtop", **changes)
    for paths in ((whole, lacking), (lacking, whole), (lacking, lacking), (whole, lacking, whole)):
        comparison = compared(*paths)
        body = json.loads(to_json(comparison))
        assert body["schema_version"] == 1
        assert len(body["verdicts"]) == len(paths)
        check_shape(comparison)
    if changes.get("windows") == 0:
        assert all(family.changes[1] is None for family in compared(whole, lacking).families)


def check_shape(comparison: Comparison) -> None:
    """What the model promises of tuples that are one a run."""
    runs = len(comparison.runs)
    assert len({run.label for run in comparison.runs}) == runs
    for figure in comparison.figures:
        assert figure.section in SECTIONS
        assert figure.unit in UNITS
        assert len(figure.values) == len(figure.changes) == runs
        assert figure.changes[0] is None
        assert any(value is not None for value in figure.values)
    for family in comparison.families:
        for row in (family, *family.operators, *family.kernels):
            assert len(row.sides) == len(row.changes) == runs
            assert row.changes[0] is None
            assert any(row.sides)
    for difference in comparison.configuration:
        assert len(set(difference.values)) > 1
    for finding in comparison.findings:
        assert len(finding.whys) == runs


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


def test_a_long_run_is_sampled_evenly(tmp_path: Path) -> None:
    """Twice as slow in its second half: the median of a sample of one half would be wrong."""
    path = build(tmp_path / "long.fwtop", steps=12_000, step_ns=2 * MS, log=False, host=False)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE steps SET duration_ns = duration_ns * 2 WHERE step_index >= 6000")
    db.close()
    steps = compared(path, path).steps[0]
    assert 4000 < steps.sampled_count <= 4096
    with sqlite3.connect(path) as db:
        durations = sorted(
            row[0] for row in db.execute("SELECT duration_ns FROM steps WHERE NOT flags & 3")
        )
    db.close()
    assert steps.p95_ns == pytest.approx(durations[int(0.95 * len(durations))], rel=0.02)
    assert steps.drifting
    assert steps.independent_blocks < 4


def test_steps_with_gaps_in_their_numbers_are_found(tmp_path: Path) -> None:
    path = build(tmp_path / "gaps.fwtop", steps=300)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE steps SET step_index = step_index * 1000000000 WHERE step_index > 0")
    db.close()
    assert compared(path, path).steps[0].sampled_count > 200


def test_every_figure_has_a_metric_and_the_other_way_round(tmp_path: Path) -> None:
    comparison = pair(tmp_path, processes=2)
    named = {row.metric: row.unit for row in comparison.figures}
    for metric, unit in named.items():
        plain = metric.partition("[")[0] + metric.partition("]")[2]
        assert plain == "phase" or METRICS[plain][0] == unit, metric
    # what these runs do not have: one without, communication, aliases
    assert set(METRICS) - set(named) <= {
        "throughput", "findings", "kernels.overlap", "compile.retraces",
    }  # fmt: skip


def test_different_frameworks_are_compared_by_family(tmp_path: Path) -> None:
    one = build(tmp_path / "torch.fwtop", steps=200)
    two = build(tmp_path / "tensorflow.fwtop", steps=200, seed=2)
    with sqlite3.connect(two) as db:
        db.execute("UPDATE frameworks SET name = 'tensorflow', version = '2.21.0'")
        db.execute("UPDATE operator_names SET name = 'MatMul' WHERE name = 'aten::addmm'")
        db.execute("DELETE FROM operator_stats WHERE operator_id ="
                   " (SELECT id FROM operator_names WHERE name = 'aten::mm')")  # fmt: skip
    db.close()
    comparison = compared(one, two)
    assert any("compare the families" in note for note in comparison.notes)
    matmul = next(f for f in comparison.families if (f.family, f.device) == ("matmul", "gpu"))
    assert all(matmul.sides)
    status = {row.name: row.changes[1].status for row in matmul.operators if row.changes[1]}
    assert status == {"MatMul": "added", "aten::addmm": "deleted", "aten::mm": "deleted"}


def test_configuration_differences_by_option(tmp_path: Path) -> None:
    one = build(tmp_path / "a.fwtop", steps=30, command=("train.py", "--lr", "3e-4", "--amp"))
    two = build(tmp_path / "b.fwtop", steps=30, command=("train.py", "--lr=1e-3", "-b", "64"))
    with sqlite3.connect(two) as db:
        db.execute("""UPDATE run SET environment = '{"OMP_NUM_THREADS": "4", "MASTER_PORT": "1"}',
                   git_revision = 'ffff', git_dirty = 1""")
    db.close()
    rows = [(row.section, row.what, row.values) for row in compared(one, two).configuration]
    assert rows == [
        ("command", "--lr", ("3e-4", "1e-3")),
        ("command", "--amp", ("given", None)),
        ("command", "-b", (None, "64")),
        ("git", "revision", ("a2f4022", "ffff")),
        ("git", "uncommitted changes", ("no", "yes")),
        ("environment", "OMP_NUM_THREADS", ("8", "4")),
    ]
    other = build(tmp_path / "c.fwtop", steps=30, command=("other.py", "--lr", "3e-4"))
    rows = [(row.what, row.values) for row in compared(one, other).configuration]
    assert rows == [("command", ("train.py --lr 3e-4 --amp", "other.py --lr 3e-4"))]


def test_damage_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    whole = build(tmp_path / "whole.fwtop", steps=60)
    damaged = build(tmp_path / "damaged.fwtop", steps=60)
    with sqlite3.connect(damaged) as db:
        db.execute("UPDATE steps SET duration_ns = 'long' WHERE step_index = 30")
    db.close()
    with pytest.raises(RecordingError, match=r"damaged\.fwtop"):
        compared(whole, damaged)
    with pytest.raises(ValueError, match="two"):
        compared(whole)


def test_hostile_figures_do_no_harm(tmp_path: Path) -> None:
    whole = build(tmp_path / "whole.fwtop", steps=100)
    odd = build(tmp_path / "odd.fwtop", steps=100)
    with sqlite3.connect(odd) as db:
        db.execute("UPDATE steps SET duration_ns = -duration_ns WHERE step_index % 3 = 0")
        db.execute("UPDATE steps SET duration_ns = 1 << 60 WHERE step_index % 7 = 0")
        db.execute("UPDATE steps SET samples = 0")
        db.execute("UPDATE windows SET step_count = 0")
        db.execute("UPDATE operator_stats SET self_ns = -5, calls = 0")
        db.execute("UPDATE kernel_stats SET total_ns = 0")
    db.close()
    for paths in ((whole, odd), (odd, whole), (odd, odd)):
        check_shape(compared(*paths))
        json.loads(to_json(compared(*paths)))


def test_a_moment_that_no_run_has_is_damage(tmp_path: Path) -> None:
    """The first step's end passes what SQLite can hold, and is asked for."""
    whole = build(tmp_path / "whole.fwtop", steps=60)
    late = build(tmp_path / "late.fwtop", steps=60)
    with sqlite3.connect(late) as db:
        db.execute("UPDATE steps SET start_ns = 9223372036854775807 WHERE step_index = 0")
    db.close()
    with pytest.raises(RecordingError, match=r"late\.fwtop is damaged"):
        compared(whole, late)
