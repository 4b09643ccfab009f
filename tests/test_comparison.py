"""Recordings whose differences are known, compared: what is found, what is noise or unknown."""

from __future__ import annotations

import sqlite3
from math import pi, sin
from pathlib import Path

import pytest

from tests.comparisons import compared, contended, figure, operator, pair
from tests.recordings import MS, build


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


def waves(path: Path, level: float, length: int = 24) -> Path:
    """The same run with steps that go up and down by a fifth, each like the one before it."""
    with sqlite3.connect(path) as db:
        steps = db.execute("SELECT step_index FROM steps ORDER BY step_index").fetchall()
        db.executemany(
            "UPDATE steps SET duration_ns = ? WHERE step_index = ?",
            [(int(level * MS * (1 + 0.2 * sin(2 * pi * index / length))), index)
             for (index,) in steps],
        )  # fmt: skip
    db.close()
    return path


@pytest.mark.parametrize("steps", [2, 5, 8])
def test_a_few_steps_are_unknown_and_never_noise(tmp_path: Path, steps: int) -> None:
    one = build(tmp_path / "one.fwtop", steps=600)
    two = build(tmp_path / "two.fwtop", steps=steps, windows=0, compiles=0, step_ns=150 * MS)
    comparison = compared(one, two)
    verdict = comparison.verdicts[1]
    assert verdict is not None
    assert (verdict.direction, verdict.ratio) == ("unknown", None)
    assert f"too few steps to tell: two has {steps - 1} steady step" in verdict.text
    change = figure(comparison, "step_time").changes[1]
    assert change is not None
    assert (change.noise, change.unsure) == (None, "too few steps")
    assert change.ratio == pytest.approx(0.5, abs=0.1), "what was measured is told all the same"


def test_a_clear_slowdown_is_sure_with_many_steps_and_unknown_with_few_that_are_alike(
    tmp_path: Path,
) -> None:
    """+50 % on steps that wander: 30 of them are worth a few independent blocks, 2400 many."""
    found = {}
    for count in (30, 2400):
        paths = [
            waves(build(tmp_path / f"{count}-{level}.fwtop", steps=count, windows=0, compiles=0,
                        log=False, host=False), level)
            for level in (100, 150)
        ]  # fmt: skip
        comparison = compared(*paths)
        found[count] = comparison.verdicts[1], figure(comparison, "step_time").changes[1]
    few, change = found[30]
    assert few is not None
    assert change is not None
    assert few.direction == "unknown"
    assert "are the fewest that could call it noise" in few.text
    assert change.noise is None
    assert change.unsure in ("too few steps", "steps drift")
    assert few.ratio == pytest.approx(0.5, abs=0.1)
    many, change = found[2400]
    assert many is not None
    assert change is not None
    assert (many.direction, change.noise, change.unsure) == ("slower", False, None)


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
