from __future__ import annotations

from pathlib import Path

import pytest

from fwtop.analysis.sketch import RELATIVE_ERROR
from fwtop.queries import steps
from fwtop.recording.schema import ROLLUP_NS
from fwtop.recording.store import Recording, open_recording
from tests.recordings import Builder, Spec, build

SECOND = 1_000_000_000


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    path = build(tmp_path_factory.mktemp("steps") / "run.fwtop", Spec(steps=900, processes=2))
    return open_recording(path)


def scan(recording: Recording, where: str = "1") -> list[tuple[int, int, int]]:
    """(index, start, duration) of the lead process's steps, by a scan: what queries must equal."""
    return recording.connection.execute(
        "SELECT step_index, start_ns, duration_ns FROM steps WHERE process_id = 1"
        f" AND {where} ORDER BY step_index"
    ).fetchall()


def moments(recording: Recording) -> list[int]:
    """Times that could go wrong: edges of steps and buckets, before, between and after."""
    every = scan(recording)
    edges = [every[0][1], every[0][1] + every[0][2], every[-1][1] + every[-1][2]]
    edges += [bucket * ROLLUP_NS for bucket in range(11)]
    edges += [every[499][1] + every[499][2] + SECOND, every[450][1] + 7]
    return sorted({moment + n for moment in edges for n in (-1, 0, 1) if moment + n >= 0})


def test_totals_equal_a_scan(recording: Recording) -> None:
    every = scan(recording)
    totals = steps.totals(recording)
    assert totals.count == len(every) == 900
    assert totals.duration_sum_ns == sum(duration for _, _, duration in every)
    assert totals.samples_sum == 900 * 64
    exact = sorted(duration for _, _, duration in every)[int(0.95 * 899)]
    assert totals.sketch.quantile(0.95) == pytest.approx(exact, rel=RELATIVE_ERROR + 1e-6)


def test_totals_until_a_moment_are_exact_at_any_moment(recording: Recording) -> None:
    for moment in moments(recording):
        ended = scan(recording, f"start_ns + duration_ns <= {moment}")
        totals = steps.totals(recording, until_ns=moment)
        assert (totals.count, totals.duration_sum_ns) == (len(ended), sum(s[2] for s in ended))
        assert totals.sketch.count == len(ended)


def test_totals_grow_with_a_live_recording_as_a_fresh_reader_sees_them(tmp_path: Path) -> None:
    builder = Builder(tmp_path / "live.fwtop", Spec(processes=2))
    with open_recording(builder.path) as kept:
        assert steps.totals(kept).count == 0
        for _ in range(5):
            builder.add_steps(70)  # about 7 s: some batches share a bucket, some open one
            steps.totals(kept, until_ns=builder.now_ns // 2)  # the cursor goes back now and then
            with open_recording(builder.path) as fresh:
                assert steps.totals(kept) == steps.totals(fresh)
                assert steps.set_apart(kept) == steps.set_apart(fresh)
        assert steps.totals(kept).count == 350
    builder.close()


def test_steps_set_apart_are_the_first_the_traced_and_the_compiled(recording: Recording) -> None:
    apart = scan(recording, "(flags & 3 OR step_index = 0)")
    found = steps.set_apart(recording)
    assert 3 < len(apart) < 20
    assert (found.count, found.duration_sum_ns) == (len(apart), sum(step[2] for step in apart))
    moment = apart[3][1]
    assert steps.set_apart(recording, until_ns=moment).count == 3


def test_latest_steps_are_the_last_that_had_ended(recording: Recording) -> None:
    assert [step.index for step in steps.latest_steps(recording, 3)] == [897, 898, 899]
    for moment in moments(recording):
        ended = [step[0] for step in scan(recording, f"start_ns + duration_ns <= {moment}")]
        found = [step.index for step in steps.latest_steps(recording, 50, until_ns=moment)]
        assert found == ended[-50:]


def test_steps_between_overlap_the_stretch(recording: Recording) -> None:
    for moment in moments(recording):
        end = moment + 3 * SECOND
        expected = scan(recording, f"start_ns + duration_ns > {moment} AND start_ns < {end}")
        found = steps.steps_between(recording, moment, end)
        assert [step.index for step in found] == [step[0] for step in expected]
    assert len(steps.steps_between(recording, 0, 1 << 60, limit=10)) == 10


def test_the_step_at_a_moment(recording: Recording) -> None:
    index, start, duration = scan(recording)[123]
    found = steps.step_at(recording, start)
    assert found is not None
    assert found.index == index
    last = steps.step_at(recording, start + duration - 1)
    assert last is not None
    assert last.index == index
    assert steps.step_at(recording, 0) is None
    gap = scan(recording, "flags & 8")[0][1]
    assert steps.step_at(recording, gap - 1) is None, "evaluation lies in no step"


def test_rollups_are_those_that_overlap(recording: Recording) -> None:
    every = steps.rollups(recording)
    assert sum(rollup.count for rollup in every) == 900
    some = steps.rollups(recording, start_ns=2 * ROLLUP_NS, end_ns=3 * ROLLUP_NS + 1)
    assert [rollup.start_ns // ROLLUP_NS for rollup in some] == [2, 3]


def test_counts_are_by_process(recording: Recording) -> None:
    assert steps.counts(recording) == {1: 900, 2: 900}
    half = scan(recording)[450][1]
    assert steps.counts(recording, until_ns=half)[1] == 450


def test_the_lead_process_is_the_lowest_rank_that_has_steps(tmp_path: Path) -> None:
    builder = Builder(tmp_path / "live.fwtop", Spec(processes=3))
    with open_recording(builder.path) as recording:
        assert steps.lead_process(recording) is None
        assert steps.latest_steps(recording, 5) == []
        assert steps.first_step(recording) is None
        builder.insert("steps", process_id=3, step_index=0, start_ns=5, duration_ns=5)
        builder.commit()
        assert steps.lead_process(recording) == 3
        builder.insert("steps", process_id=2, step_index=0, start_ns=5, duration_ns=5)
        builder.commit()
        assert steps.lead_process(recording) == 2
    builder.close()


def test_no_query_of_totals_scans_the_steps(recording: Recording) -> None:
    """The bar of a million steps: SQLite's own word for a scan must not come up."""
    seen: list[str] = []
    recording.connection.set_trace_callback(seen.append)
    steps.totals(recording)
    steps.set_apart(recording)
    steps.totals(recording, until_ns=30 * SECOND)
    steps.lead_process(recording)
    recording.connection.set_trace_callback(None)
    asked = [sql for sql in seen if " steps" in sql]
    assert asked
    for sql in asked:
        plan = recording.connection.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()
        assert not [row[3] for row in plan if row[3].startswith(("SCAN steps", "SCAN s "))], sql
    whole = [sql for sql in asked if "flags & 3" in sql]
    plan = recording.connection.execute(f"EXPLAIN QUERY PLAN {whole[0]}").fetchall()
    assert any("steps_traced_or_compiled" in row[3] for row in plan)


def test_device_steps_are_by_index(tmp_path: Path) -> None:
    builder = Builder(tmp_path / "live.fwtop")
    builder.add_steps(3)
    builder.insert("device_steps", process_id=1, step_index=1, duration_ns=9, forward_ns=4)
    builder.commit()
    with open_recording(builder.path) as recording:
        (found,) = steps.device_steps(recording, [0, 1, 2])
    assert (found.index, found.duration_ns, found.forward_ns, found.input_ns) == (1, 9, 4, None)
    builder.close()
