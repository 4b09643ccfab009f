"""Queries of samples, events and output, against the rows that the recording holds."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from fwtop.queries import compiles, devices, host, log, memory, operators, run
from fwtop.queries import history as history_module
from fwtop.recording.store import Recording, open_recording
from tests.recordings import Builder, Spec, build

SECOND = 1_000_000_000


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    folder = tmp_path_factory.mktemp("readings")
    return open_recording(build(folder / "run.fwtop", Spec(steps=900, compiles=3)))


def column(recording: Recording, sql: str) -> list[object]:
    return [row[0] for row in recording.connection.execute(sql)]


def test_the_run_and_its_processes(recording: Recording) -> None:
    the_run = run.get_run(recording)
    assert the_run.command == ("train.py", "--lr", "3e-4")
    assert the_run.environment["OMP_NUM_THREADS"] == "8"
    assert the_run.git_dirty is False
    assert [process.pid for process in run.processes(recording)] == [4000]
    assert run.frameworks(recording)[0].hooks["windows"] == "gil released"
    assert run.governors(recording)[0].budget_ratio == 0.01
    assert run.marks(recording)[0].name == "epoch"
    (notice,) = run.notices(recording)
    assert run.notices(recording, after_id=notice.id) == []


def test_a_history_with_few_readings_has_each_as_it_is(recording: Recording) -> None:
    found = devices.history(recording, 1, 20 * SECOND, 30 * SECOND, points=100)
    assert [sample.at_ns // SECOND for sample in found] == list(range(20, 30))
    exact = column(
        recording,
        "SELECT utilization_ratio FROM device_samples WHERE device_id = 1"
        f" AND at_ns >= {20 * SECOND} AND at_ns < {30 * SECOND} ORDER BY at_ns",
    )
    assert [sample.utilization_ratio for sample in found] == exact


def test_a_thinned_history_has_means_and_the_highest(recording: Recording) -> None:
    found = devices.history(recording, 1, 0, 100 * SECOND, points=5)
    assert len(found) == 5
    exact = column(
        recording,
        "SELECT utilization_ratio FROM device_samples WHERE device_id = 1"
        f" AND at_ns < {20 * SECOND} ORDER BY at_ns",
    )
    assert found[0].utilization_ratio == pytest.approx(statistics.fmean(exact))  # type: ignore[arg-type]
    assert found[0].at_ns == 19 * SECOND
    hosts = host.history(recording, 0, 100 * SECOND, points=5)
    assert len(hosts) == 5
    assert len(hosts[0].core_ratios) == 16
    assert all(0 <= ratio <= 1 for ratio in hosts[0].core_ratios)


def test_a_long_history_is_of_some_readings_evenly_spread(tmp_path: Path) -> None:
    path = build(tmp_path / "long.fwtop", steps=500, step_ns=10 * SECOND, windows=0, log=False)
    with open_recording(path) as recording:
        seen: list[str] = []
        recording.connection.set_trace_callback(seen.append)
        found = devices.history(recording, 1, 1000 * SECOND, 5000 * SECOND, points=10)
        plan = recording.connection.execute(f"EXPLAIN QUERY PLAN {seen[-1]}").fetchall()
        loads = column(
            recording,
            "SELECT utilization_ratio FROM device_samples WHERE device_id = 1"
            f" AND at_ns >= {1000 * SECOND} AND at_ns < {5000 * SECOND}",
        )
    assert len(loads) == 4000
    assert len(found) == 10
    assert not [row[3] for row in plan if row[3].startswith("SCAN device_samples")]
    slots = [(sample.at_ns - 1000 * SECOND) // (400 * SECOND) for sample in found]
    assert slots == list(range(10))
    for sample in found:
        assert sample.utilization_ratio == pytest.approx(0.93, abs=0.03)
        assert sample.temperature_c is not None


def test_the_latest_readings_at_a_moment(recording: Recording) -> None:
    assert [sample.at_ns for sample in devices.latest(recording, 30 * SECOND + 5)] == [
        30 * SECOND,
        30 * SECOND,
    ]
    sample = host.latest(recording, 30 * SECOND - 1)
    assert sample is not None
    assert sample.at_ns == 29 * SECOND
    assert host.latest(recording, -1) is None
    assert devices.latest(recording, -1) == []
    (reading,) = memory.latest(recording, 30 * SECOND)
    assert (reading.device, reading.at_ns) == ("cuda:0", 30 * SECOND)


def test_means_are_exact_while_readings_are_few(recording: Recording) -> None:
    mean = devices.means(recording, 20 * SECOND, 60 * SECOND)[0]
    exact = column(
        recording,
        "SELECT utilization_ratio FROM device_samples WHERE device_id = 1"
        f" AND at_ns >= {20 * SECOND} AND at_ns < {60 * SECOND}",
    )
    assert mean.utilization_ratio == pytest.approx(statistics.fmean(exact))  # type: ignore[arg-type]
    assert host.mean(recording, 1 << 60) is None


def test_means_of_many_readings_are_of_some_evenly_spread(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = devices.means(recording, 20 * SECOND, 90 * SECOND)[0]
    monkeypatch.setattr(history_module, "SPREAD", 10)
    spread = devices.means(recording, 20 * SECOND, 90 * SECOND)[0]
    assert spread.utilization_ratio != exact.utilization_ratio
    assert spread.utilization_ratio == pytest.approx(exact.utilization_ratio, rel=0.05)
    some = host.mean(recording, 20 * SECOND, 90 * SECOND)
    assert some is not None
    assert some.cpu_ratio is not None


def test_throttling_counts_readings(tmp_path: Path) -> None:
    with open_recording(build(tmp_path / "hot.fwtop", steps=200, throttled=True)) as recording:
        ((had, told),) = (one["sw thermal"] for one in devices.throttled(recording).values())
        reasons = column(
            recording, "SELECT throttle_reasons FROM device_samples WHERE device_id = 1"
        )
    assert (had, told) == (reasons.count("sw thermal"), len(reasons))
    assert 0 < had < told


def test_allocator_peaks_are_the_highest(recording: Recording) -> None:
    (peak,) = memory.peaks(recording)
    assert peak.reserved_peak_bytes == max(
        column(recording, "SELECT reserved_peak_bytes FROM memory_samples")  # type: ignore[type-var]
    )
    assert len(memory.history(recording, 1, "cuda:0", 0, 60 * SECOND, 10)) <= 10


def test_output_is_whole_and_in_order(recording: Recording) -> None:
    whole = b"".join(column(recording, "SELECT data FROM log ORDER BY id"))  # type: ignore[arg-type]
    found, last = b"", 0
    while some := log.chunks(recording, after_id=last, limit=7):
        found += b"".join(chunk.data for chunk in some)
        last = some[-1].id
    assert found == whole
    assert log.size(recording) == len(whole)


def test_output_until_and_before_a_moment(recording: Recording) -> None:
    moment = 40 * SECOND
    came = log.chunks(recording, until_ns=moment)
    assert came[-1].at_ns <= moment
    assert (
        len(came)
        == recording.connection.execute(
            "SELECT count(*) FROM log WHERE at_ns <= ?", (moment,)
        ).fetchone()[0]
    )
    before = log.chunks_before(recording, moment, 1000)
    assert before[-1] == came[-1]
    assert sum(len(chunk.data) for chunk in before) <= 1000
    assert before == came[-len(before) :]
    assert log.chunks_before(recording, moment, 1) == came[-1:]
    assert log.chunks_before(recording, moment, 1 << 40) == came
    assert log.chunks_before(recording, 0, 1000) == []


def test_compile_totals_and_events(recording: Recording) -> None:
    totals = compiles.totals(recording)
    assert (totals.count, totals.recompiles, totals.graph_breaks) == (3, 2, 1)
    assert totals.total_ns == (4 + 2 + 2) * SECOND
    assert (totals.cache_misses, totals.cache_hits, totals.cache_bypasses) == (1, 2, 0)
    assert compiles.totals(recording, process_id=99).count == 0
    kinds = {event.kind for event in compiles.events(recording, kinds=["compile", "recompile"])}
    assert kinds == {"compile", "recompile"}
    newest = compiles.events(recording, limit=2)
    assert newest == compiles.events(recording)[-2:]
    assert compiles.events(recording, after_id=newest[-1].id) == []
    assert [event.duration_ns for event in compiles.longest(recording, 2)] == [
        4 * SECOND,
        2 * SECOND,
    ]


def test_a_compile_within_a_compile_is_counted_but_its_time_is_the_outer_ones(
    tmp_path: Path,
) -> None:
    builder = Builder(tmp_path / "live.fwtop")
    common = {"process_id": 1, "kind": "compile", "name": "f"}
    builder.insert("compile_events", **common, key="a", start_ns=0, duration_ns=10 * SECOND)
    builder.insert(
        "compile_events", **common, key="b", parent_key="a", start_ns=SECOND, duration_ns=SECOND
    )
    under_way = builder.insert("compile_events", **common, key="c", start_ns=20 * SECOND)
    builder.commit()
    with open_recording(builder.path) as recording:
        totals = compiles.totals(recording)
        assert (totals.count, totals.total_ns) == (3, 10 * SECOND)
        assert compiles.totals(recording, until_ns=4 * SECOND).total_ns == 4 * SECOND
        (event,) = compiles.open_events(recording)
        assert (event.id, event.duration_ns) == (under_way, None)
    builder.close()


def test_operators_are_sums_over_counted_windows(recording: Recording) -> None:
    chosen = operators.window_ids(recording)
    every = operators.windows(recording)
    assert chosen == [window.id for window in every if window.counted]
    assert len(chosen) == len(every) - 1
    rows = operators.operators(recording)
    assert operators.traced_steps(recording) == len(chosen)
    first = rows[0]
    assert first.self_ns == sum(
        column(  # type: ignore[arg-type]
            recording,
            "SELECT self_ns FROM operator_stats JOIN operator_names o ON operator_id = o.id JOIN"
            " windows ON windows.id = window_id AND counted WHERE o.name ="
            f" '{first.name}' AND device = '{first.device}' AND phase = '{first.phase}'",
        )
    )
    assert rows == sorted(rows, key=lambda row: -row.self_ns)
    assert operators.operators(recording, chosen[:1])[0].calls == first.calls / len(chosen)


def test_the_warming_up_window_is_better_than_none(tmp_path: Path) -> None:
    with open_recording(build(tmp_path / "short.fwtop", steps=40, windows=1)) as recording:
        assert operators.window_ids(recording) == [1]
        assert operators.operators(recording)


def test_the_trend_of_an_operator_is_per_traced_step(recording: Recording) -> None:
    trend = operators.operator_trend(recording, "aten::mm", count=3, device="cpu")
    assert len(trend) == 3
    assert operators.operator_trend(recording, "unheard of", count=3) == [0, 0, 0]


def test_details_come_from_deep_windows(tmp_path: Path) -> None:
    builder = Builder(tmp_path / "live.fwtop")
    builder.add_window(deep=True)
    with open_recording(builder.path) as recording:
        kinds = {detail.kind for detail in operators.details(recording, "aten::mm")}
        assert kinds == {"shape", "module", "source"}
        assert operators.details(recording, "unheard of") == []
        assert operators.kernels(recording)[0].family == "convolution"
    builder.close()
