"""Several runs a side: their spread enters what is said, on recordings whose spread is known."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import pytest

from fwtop.analysis.comparison.conditions import parse
from fwtop.analysis.comparison.judgement import judge
from fwtop.analysis.comparison.model import Comparison
from fwtop.comparison import compare
from fwtop.recording.store import open_recording
from tests.comparisons import check_shape, figure
from tests.recordings import MS, build


def runs_of(folder: Path, name: str, levels: list[int], **changes: object) -> list[Path]:
    """Runs of one program whose steps take so many milliseconds."""
    return [
        build(folder / f"{name}-{n}.fwtop", seed=Random(f"{name}{n}").randrange(1 << 20),
              step_ns=level * MS, **{"steps": 200, "windows": 4, "log": False, **changes})
        for n, level in enumerate(levels, 1)
    ]  # fmt: skip


def compared_sides(*sides: list[Path]) -> Comparison:
    recordings = [open_recording(path) for side in sides for path in side]
    try:
        return compare(recordings, repeats=[len(side) for side in sides])
    finally:
        for recording in recordings:
            recording.close()


def test_an_a_a_pair_looks_sure_alone_and_is_noise_with_repeats(tmp_path: Path) -> None:
    """Runs that differ by some 6 %, as those of one program on a busy host do."""
    one = runs_of(tmp_path, "one", [100, 107, 103])
    two = runs_of(tmp_path, "two", [107, 101, 105])
    alone = compared_sides(one[:1], two[:1])
    assert alone.verdicts[1] is not None
    assert (alone.verdicts[1].direction, alone.verdicts[1].covers) == ("slower", "within_runs")
    assert alone.coverage == (
        "one run a side: the interval covers the spread within the runs only; "
        "repeats (--vs) tell the spread between runs"
    )
    together = compared_sides(one, two)
    verdict = together.verdicts[1]
    assert verdict is not None
    assert (verdict.direction, verdict.covers) == ("noise", "between_runs")
    assert "what the runs differ by anyway" in verdict.text
    assert "3 and 3 runs" in verdict.text
    assert together.coverage.endswith("spread between runs: one ×3, two ×3")
    for metric in ("step_time", "step_time.mean", "phase[backward]", "throughput.samples"):
        change = figure(together, metric).changes[1]
        assert change is not None
        assert change.noise is True, metric
    check_shape(together)


def test_a_difference_beyond_the_runs_spread_is_found(tmp_path: Path) -> None:
    comparison = compared_sides(
        runs_of(tmp_path, "base", [100, 103, 101, 99]),
        runs_of(tmp_path, "new", [120, 118, 121, 119]),
    )
    verdict = comparison.verdicts[1]
    assert verdict is not None
    assert verdict.direction == "slower"
    assert verdict.interval is not None
    assert verdict.interval.low < 119.5 / 100.75 - 1 < verdict.interval.high
    assert verdict.p_value == pytest.approx(2 / 70), "of the exact rank test: all above all"
    (memory,) = [figure(comparison, "memory.rss")]
    assert memory.changes[1] is not None
    assert memory.changes[1].delta == 0
    change = figure(comparison, "step_time.first").changes[1]
    assert change is not None
    assert change.noise is not None, "what a run tells once, repeats tell the spread of"
    assert change.interval is not None


def test_a_phase_that_changed_is_told_where_the_step_is_noise(tmp_path: Path) -> None:
    one = runs_of(tmp_path, "one", [100, 130, 115])
    comparison = compared_sides(one, runs_of(tmp_path, "two", [110, 140, 125], input_share=0.25))
    verdict = comparison.verdicts[1]
    assert verdict is not None
    assert verdict.direction == "noise"
    assert re.search(r"; but input takes \d+\.\d ms more a step for sure$", verdict.text)


def test_two_runs_a_side_are_too_few_unless_it_is_clear(tmp_path: Path) -> None:
    one = runs_of(tmp_path, "one", [100, 107])
    unclear = compared_sides(one, runs_of(tmp_path, "two", [104, 112]))
    verdict = unclear.verdicts[1]
    assert verdict is not None
    assert verdict.direction == "unknown"
    assert verdict.text.startswith("unknown: too few runs to tell: +")
    assert "5 are the fewest" in verdict.text
    change = figure(unclear, "step_time").changes[1]
    assert change is not None
    assert (change.noise, change.unsure) == (None, "too few runs")
    clear = compared_sides(one, runs_of(tmp_path, "three", [200, 210]))
    assert clear.verdicts[1] is not None
    assert clear.verdicts[1].direction == "slower"


def test_a_single_run_beside_repeats_is_taken_to_vary_as_they_do(tmp_path: Path) -> None:
    base = runs_of(tmp_path, "base", [100, 107, 103, 98])
    comparison = compared_sides(base, runs_of(tmp_path, "new", [107]), base[:1])
    verdict = comparison.verdicts[1]
    assert verdict is not None
    assert (verdict.direction, verdict.covers) == ("noise", "between_runs")
    assert "a single run is taken to vary as the other side's repeats do" in comparison.coverage
    turned = compared_sides(base[:1], base, runs_of(tmp_path, "lone", [107]))
    assert [one.covers for one in turned.verdicts if one] == ["between_runs", "within_runs"]
    assert "of two single runs, the spread within them only" in turned.coverage


def test_sides_are_their_runs_together(tmp_path: Path) -> None:
    base = runs_of(tmp_path, "base", [100, 110])
    comparison = compared_sides(base, runs_of(tmp_path, "new", [120]))
    side, new = comparison.runs
    assert (side.label, new.label) == ("base ×2", "new-1")
    assert [repeat.path for repeat in side.repeats] == [str(path) for path in base]
    medians = [repeat.median_ns for repeat in side.repeats]
    assert None not in medians
    assert figure(comparison, "step_time").values[0] == pytest.approx(sum(medians) / 2)  # type: ignore[arg-type]
    assert comparison.steps[0].count == 400
    assert comparison.steps[0].steady_count == sum(one.steady_count for one in side.repeats)
    assert side.windows == 6, "the first of a run is not counted"
    assert side.steps_traced == 6
    assert figure(comparison, "compile.count").values == (2, 2)


def test_repeats_that_are_none_are_told(tmp_path: Path) -> None:
    base = runs_of(tmp_path, "base", [100])
    other = runs_of(tmp_path, "other", [100], command=("train.py", "--lr", "1"), samples=32)
    comparison = compared_sides([*base, *other], base)
    assert comparison.runs[0].label == "base-1 +1"
    assert any("they may be no repeats" in note for note in comparison.notes)
    assert any("from 32 to 64 samples" in note for note in comparison.notes)
    rows = {row.what: row.values for row in comparison.configuration}
    assert rows["--lr"] == ("3e-4 | 1", "3e-4")


def test_a_finding_of_most_runs_is_the_side_s(tmp_path: Path) -> None:
    base = runs_of(tmp_path, "base", [100, 100, 100])
    starved = runs_of(tmp_path, "starved", [100, 100], input_share=0.4)
    comparison = compared_sides(base, [*base[:1], *starved])
    (row,) = [row for row in comparison.findings if row.code == "input_bound"]
    assert row.status == "came"
    assert row.whys[1] is not None
    assert row.whys[1].startswith("in 2 of 3 runs: ")
    few = compared_sides(base, [*base[:1], *starved[:1]])
    assert "input_bound" not in {row.code for row in few.findings}, "of one in two, nothing is said"


def test_the_gate_takes_what_was_measured_where_it_is_uncertain(tmp_path: Path) -> None:
    one = build(tmp_path / "one.fwtop", steps=600)
    two = build(tmp_path / "two.fwtop", steps=6, windows=0, compiles=0, step_ns=150 * MS)
    comparison = compared_sides([one], [two])
    (judgement,) = judge(parse("step_time > +5%"), comparison)
    assert judgement.outcome == "failed"
    assert "whether it is noise is not known: too few steps" in judgement.text
    (judgement,) = judge(parse("step_time > +90%"), comparison)
    assert judgement.outcome == "passed"


def test_counts_that_do_not_add_up_are_refused(tmp_path: Path) -> None:
    (path,) = runs_of(tmp_path, "base", [100], steps=30)
    with open_recording(path) as recording:
        for counts in ([1, 2], [2, 0], [1], []):
            with pytest.raises(ValueError, match="runs"):
                compare([recording, recording], repeats=counts)


def test_repeats_without_steps_tell_nothing_of_the_spread_between_runs(tmp_path: Path) -> None:
    """A side of two runs, one of which ended before its first step, is a single run."""
    one = runs_of(tmp_path, "one", [100])
    empty = runs_of(tmp_path, "empty", [100], steps=0, windows=0, compiles=0)
    comparison = compared_sides([*empty, *one], runs_of(tmp_path, "two", [110]))
    verdict = comparison.verdicts[1]
    assert verdict is not None
    assert (verdict.direction, verdict.covers) == ("slower", "within_runs")
    assert any("(run 1) has no steps" in note for note in comparison.notes)
    check_shape(comparison)
