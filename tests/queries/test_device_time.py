"""Figures of real traces' windows, through a recording and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from fwtop.importer.run import import_traces
from fwtop.importer.trace_files import find
from fwtop.queries import device_time, operators
from fwtop.recording.store import Recording, RecordingError, open_recording
from fwtop.recording.window_model import STEP_CLASSES
from tests import recordings
from tests.shared_traces import DIFF_CONTROL, RESNET50, shared_trace


def _imported(folder: Path, name: str) -> Path:
    path = folder / "run.fwtop"
    import_traces(find([shared_trace(name)]), path)
    return path


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return open_recording(_imported(tmp_path_factory.mktemp("resnet"), RESNET50))


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return open_recording(_imported(tmp_path_factory.mktemp("control"), DIFF_CONTROL))


def test_use_of_a_device(resnet: Recording) -> None:
    (device,) = device_time.device_times(resnet)
    assert (device.process_id, device.device, device.windows) == (1, 0, 1)
    assert round(100 * device.busy_ns / device.span_ns, 2) == 55.51
    delays = device_time.launch_delays(resnet)
    assert delays.count == device.launches == 9_096
    assert device_time.device_times(resnet, []) == []
    assert device_time.launch_delays(resnet, []).count == 0


def test_steps_by_class(resnet: Recording) -> None:
    steps = device_time.step_classes(resnet)
    assert [step.step_index for step in steps] == [5, 6, 7, 8, 9, 10]
    assert round(sum(step.duration_ns for step in steps) / 6) == 177_592_167
    assert [getattr(steps[0], f"{name}_ns") // 1000 for name in STEP_CLASSES] == [
        98_598, 1_941, 90, 0, 2_796, 69_317, 14_091, 1_115,
    ]  # fmt: skip
    assert [step.step_index for step in device_time.step_classes(resnet, limit=2)] == [9, 10]
    sums = device_time.step_class_sums(resnet)
    assert sums is not None
    assert sums.steps == 6
    assert sum(sums.mean_ns.values()) == pytest.approx(177_592_167, abs=1)


def test_kernels_tell_their_occupancy(resnet: Recording) -> None:
    kernels = operators.kernels(resnet)
    (device,) = device_time.device_times(resnet)
    assert sum(row.measured_ns or 0 for row in kernels) >= device.measured_ns
    for row in kernels:
        if row.family == "memcpy" and row.name.startswith("Mem"):
            assert (row.measured_ns, row.occupancy_ratio, row.sm_efficiency_ratio) == (None,) * 3
        else:
            assert row.occupancy_ratio is not None
            assert row.sm_efficiency_ratio is not None
            assert 0 <= row.occupancy_ratio <= 1
            assert 0 < row.sm_efficiency_ratio <= 1


def test_flops_and_the_time_that_they_took(control: Recording) -> None:
    shaped, steps = device_time.shaped_windows(control)
    assert (shaped, steps) == ([1], 6)
    assert device_time.shaped_windows(control, process_id=2) == ([], 0)
    rows = device_time.operator_flops(control, shaped)
    assert (rows[0].name, rows[0].phase, rows[0].calls) == ("aten::mm", "backward", 1_080)
    assert rows[0].device_ns is not None
    assert rows[0].flops_per_s == pytest.approx(rows[0].flops / rows[0].device_ns * 1e9)
    (of_dtype,) = device_time.flops_by_dtype(control, shaped)
    assert (of_dtype.dtype, of_dtype.flops) == ("float32", sum(row.flops for row in rows))


def test_nothing_is_known_of_a_run_on_the_cpu(tmp_path: Path) -> None:
    path = recordings.build(tmp_path / "run.fwtop", gpus=0, steps=60)
    with open_recording(path) as recording:
        assert device_time.device_times(recording) == []
        assert device_time.step_classes(recording) == []
        assert device_time.step_class_sums(recording) is None
        assert device_time.operator_flops(recording) == []
        assert device_time.flops_by_dtype(recording) == []
        assert device_time.shaped_windows(recording) == ([], 0)


def test_damaged_launch_delays_are_told_as_such(tmp_path: Path) -> None:
    builder = recordings.Builder(tmp_path / "run.fwtop")
    builder.add_steps(2)
    window_id = builder.add_window()
    builder.insert(
        "window_devices", window_id=window_id, device=9, span_ns=1, busy_ns=1, kernel_ns=1,
        measured_ns=0, launches=1, launch_delay_sum_ns=0, launch_delays=b"\x07nonsense",
    )  # fmt: skip
    with (
        open_recording(builder.finish()) as recording,
        pytest.raises(RecordingError, match="launch delays"),
    ):
        device_time.launch_delays(recording)
