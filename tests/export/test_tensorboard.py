"""Event files, read back by TensorBoard's own EventAccumulator."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tensorboard.backend.event_processing import event_accumulator

from fwtop.export import tensorboard
from fwtop.export.source import ExportError, Stretch
from fwtop.queries import steps
from fwtop.recording.store import open_recording
from tests.export.rich import STARTED_NS, STEPS, exported_folder
from tests.recordings import build


def scalars(folder: Path) -> dict[str, list[tuple[int, float, float]]]:
    """By tag: step, wall time and value of each point."""
    found = event_accumulator.EventAccumulator(str(folder), size_guidance={"scalars": 0})
    found.Reload()
    return {
        tag: [(one.step, one.wall_time, one.value) for one in found.Scalars(tag)]
        for tag in found.Tags()["scalars"]
    }


def test_each_rank_is_a_run_with_its_steps(rich: Path, tmp_path: Path) -> None:
    folder = exported_folder(tensorboard.write, rich, tmp_path / "tb")
    assert {entry.name for entry in folder.iterdir()} == {"rank0", "rank1", "fwtop-export.json"}
    assert json.loads((folder / "fwtop-export.json").read_bytes())["files"] == ["rank0", "rank1"]
    with open_recording(rich) as recording:
        for process_id, name in ((1, "rank0"), (2, "rank1")):
            found = scalars(folder / name)
            recorded = steps.latest_steps(recording, STEPS + 1, process_id)
            times = found["step/time_ms"]
            assert [step for step, _, _ in times] == [one.index for one in recorded]
            for (_, wall, value), one in zip(times, recorded, strict=True):
                assert value == pytest.approx(one.duration_ns / 1e6)
                assert wall == pytest.approx((STARTED_NS + one.start_ns) / 1e9)
            assert found["phase_ms/backward"][7][2] == pytest.approx(recorded[7].backward_ns / 1e6)
            assert found["phase_ms/other"][7][2] == pytest.approx(recorded[7].other_ns / 1e6)
            rate = 64 / recorded[7].duration_ns * 1e9
            assert found["throughput/samples_per_s"][7][2] == pytest.approx(rate)


def test_readings_are_at_the_step_that_ran(rich: Path, tmp_path: Path) -> None:
    folder = exported_folder(tensorboard.write, rich, tmp_path / "tb")
    found = scalars(folder / "rank0")
    assert "gpu0/utilization_percent" not in scalars(folder / "rank1")
    with open_recording(rich) as recording:
        for step, wall, value in found["gpu0/utilization_percent"]:
            assert 0 <= value <= 100
            at_ns = round(wall * 1e9) - STARTED_NS
            running = steps.latest_steps(recording, STEPS + 1, 1)
            begun = [one.index for one in running if one.start_ns <= at_ns + 1_000_000]
            assert step == (begun[-1] if begun else 0)
    assert {"gpu1/memory_MiB", "host/cpu_percent", "memory/cuda:0/allocated_MiB"} <= set(found)


def test_one_process_is_one_run_in_the_folder_itself(tmp_path: Path) -> None:
    path = build(tmp_path / "run.fwtop", steps=50, gpus=0)
    folder = exported_folder(tensorboard.write, path, tmp_path / "tb")
    assert len(scalars(folder)["step/time_ms"]) == 50


def test_many_steps_become_means_of_as_many_as_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorboard, "POINTS", 10)
    path = build(tmp_path / "run.fwtop", steps=100, windows=0, compiles=0)
    found = scalars(exported_folder(tensorboard.write, path, tmp_path / "tb"))
    times = found["step/time_ms"]
    assert [step for step, _, _ in times] == list(range(9, 100, 10))
    with open_recording(path) as recording:
        recorded = steps.latest_steps(recording, 100)
    assert times[0][2] == pytest.approx(sum(s.duration_ns for s in recorded[:10]) / 10 / 1e6)


def test_without_a_step_nothing_is_written(rich: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no step"):
        exported_folder(tensorboard.write, rich, tmp_path / "tb", stretch=Stretch(0, 1))
