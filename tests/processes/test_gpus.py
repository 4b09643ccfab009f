"""Eight GPUs from the driver's library to `fwtop summary --json`, through real processes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fwtop.queries import devices
from fwtop.recording.store import open_recording
from tests.devices import stand_in
from tests.processes.both_ways import FWTOP
from tests.processes.live import LiveRun, wait_until

USED = 6


@pytest.fixture
def run(tmp_path: Path) -> Iterator[LiveRun]:
    gpus = stand_in.write(tmp_path / "gpus", stand_in.training(8))
    run = LiveRun(tmp_path, "--interval", "0.25", script="trains_on_gpus.py")
    run.environ.update(stand_in.environment(stand_in.build(tmp_path / "lib"), gpus))
    run.target.append(str(gpus))
    yield run
    run.clean()


def used(path: Path) -> list[int]:
    """The devices that the run has been seen on."""
    if not path.exists():
        return []
    with open_recording(path) as recording:
        return [device.index for device in devices.devices(recording) if device.used]


def test_eight_gpus_end_to_end(run: LiveRun) -> None:
    run.record()
    wait_until(run.steps, "the first step")
    wait_until(lambda: len(used(run.path)) == USED, "the devices that are used")
    run.goes_on(50)
    run.stop()
    assert run.ended().status == 0
    found = subprocess.run([FWTOP, "summary", "--json", run.path], check=True, capture_output=True)
    summary = json.loads(found.stdout)
    assert [device["index"] for device in summary["devices"]] == list(range(8))
    for device in summary["devices"]:
        assert device["name"] == "NVIDIA H100 80GB HBM3"
        assert 0 < device["utilization_ratio"] <= 1
        assert 0 < device["memory_used_bytes"] < device["memory_total_bytes"]
    assert used(run.path) == list(range(USED))
    with open_recording(run.path) as recording:
        own = {user.device_id for user in devices.device_processes(recording) if user.own}
        known = {device.id for device in devices.devices(recording) if device.used}
    assert own == known
