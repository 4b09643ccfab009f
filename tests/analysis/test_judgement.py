"""Conditions on recordings whose figures are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from fwtop.analysis.comparison.conditions import parse
from fwtop.analysis.comparison.judgement import judge
from fwtop.analysis.comparison.model import Comparison
from fwtop.comparison import compare
from fwtop.recording.store import open_recording
from tests.recordings import MS, build


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """A baseline; the same again; a run that is 10 % slower, waits for input and recompiles."""
    folder = tmp_path_factory.mktemp("runs")
    paths = [
        build(folder / "base.fwtop", steps=600, windows=8),
        build(folder / "same.fwtop", steps=600, windows=8, seed=8),
        build(folder / "slow.fwtop", steps=600, windows=8, seed=9, step_ns=110 * MS,
              input_share=0.3, compiles=3, utilization=0.6, memory_share=0.6),
    ]  # fmt: skip
    recordings = [open_recording(path) for path in paths]
    try:
        return compare(recordings)
    finally:
        for recording in recordings:
            recording.close()


@pytest.mark.parametrize(
    ("text", "same", "slow"),
    [
        ("step_time > +5%", "passed", "failed"),
        ("step_time > +50%", "passed", "passed"),
        ("step_time > +0%", None, "failed"),
        ("step_time < +50%", "noise", "failed"),
        ("step_time > +5ms", "passed", "failed"),
        ("step_time.mean > +5%", "passed", "failed"),
        ("step_time.p95 > 90ms", "failed", "failed"),
        ("step_time.p95 > 90s", "passed", "passed"),
        ("throughput < -5%", "passed", "failed"),
        ("throughput < 1", "passed", "passed"),
        ("phase[input] > +100%", "passed", "failed"),
        ("phase[forward] < -5%", "passed", "failed"),
        ("compile.recompiles > 0", "failed", "failed"),
        ("compile.recompiles > +0", "passed", "failed"),
        ("compile.recompiles > +90%", "passed", "failed"),
        ("memory.peak > +1GiB", "passed", "failed"),
        ("gpu.utilization < -10%", "passed", "failed"),
        ("gpu.utilization < 90%", "passed", "failed"),
        ("gpu.utilization < -0.5", "passed", "passed"),
        ("findings[input_bound] > 0", "passed", "failed"),
        ("findings[input_bound] > +0", "passed", "failed"),
        ("findings[out_of_memory] > 0", "passed", "passed"),
        ("findings > +0", "passed", "failed"),
        ("operator[aten::convolution_backward].self > +5%", "passed", "failed"),
        ("operator[aten::convolution_backward].gpu.self > +1ms", "passed", "failed"),
        ("operator[aten::convolution_backward].cpu.calls > 53", "passed", "passed"),
        ("operator[aten::collate].self > 1us", "failed", "failed"),
        ("family[convolution].self > +3ms", "passed", "failed"),
        ("kernel[ampere_sgemm_128x64_tn].calls > 2", "failed", "failed"),
        ("findings[input_bond] > 0", "unknown", "unknown"),
        ("kernels.overlap < 50%", "unknown", "unknown"),
        ("operator[aten::conv] > +5%", "unknown", "unknown"),
        ("operator[aten::collate].gpu > +5%", "unknown", "unknown"),
        ("family[matmuls] > +5%", "unknown", "unknown"),
        ("gpu[7].power > 1W", "unknown", "unknown"),
    ],
)
def test_outcomes(comparison: Comparison, text: str, same: str | None, slow: str) -> None:
    outcomes = judge(parse(text), comparison)
    assert [one.run for one in outcomes] == [1, 2]
    assert outcomes[1].outcome == slow, outcomes[1].text
    assert same in (None, outcomes[0].outcome), outcomes[0].text
    for one in outcomes:
        assert one.failed == (one.outcome in ("failed", "unknown"))
        assert one.text.startswith(text)


def test_the_words_hold_the_figures(comparison: Comparison) -> None:
    same, slow = (one.text for one in judge(parse("step_time > +5%"), comparison))
    assert "noise" in same
    assert "slow has 1" in slow
    assert "95 % CI" in slow
    assert "noise" not in slow
    (_, slow) = (one.text for one in judge(parse("compile.recompiles > +0"), comparison))
    assert "slow has 2, the baseline 1: +100 %, whether it is noise is not known" in slow


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("operator[aten::addm] > +5%", "aten::addmm"),
        ("family[matmuls] > +5%", "matmul"),
        ("findings[input_bond] > 0", "input_bound"),
        ("kernel[ampere_sgem] > +5%", "ampere_sgemm"),
    ],
)
def test_what_is_misspelt_gets_what_is_near(comparison: Comparison, text: str, near: str) -> None:
    assert near in judge(parse(text), comparison)[0].text


def test_a_run_without_windows_cannot_be_judged_by_operators(tmp_path: Path) -> None:
    paths = [build(tmp_path / f"{n}.fwtop", steps=60, windows=n) for n in (3, 0)]
    recordings = [open_recording(path) for path in paths]
    comparison = compare(recordings)
    (judgement,) = judge(parse("operator[aten::addmm] > +5%"), comparison)
    assert judgement.outcome == "unknown"
    assert "0 has no trace window" in judgement.text
    for recording in recordings:
        recording.close()
