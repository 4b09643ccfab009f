"""GPUs and drivers that go away, hang, or are not there: the NVIDIA sampler on the stand-in."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pynvml
import pytest

from fwtop.devices.nvidia.reader import OPEN_AGAIN_NS
from fwtop.devices.nvidia.sampler import NvidiaSampler
from fwtop.devices.samples import RunScope, Samples
from tests.devices.conftest import Answer
from tests.devices.nvidia_clock import SECOND, Clock, blank, codes, key
from tests.devices.stand_in import LIBRARY, environment, training, write


def test_a_lost_gpu_is_told_once_and_comes_back(
    gpus: Answer, sampler: NvidiaSampler, clock: Clock
) -> None:
    stand_in = gpus({"gpus": 2})
    sampler.sample(RunScope())
    stand_in.set({"gpu.1.lost": 1})
    clock.advance()
    samples = sampler.sample(RunScope())
    assert codes(samples) == ["gpu-lost"]
    assert "GPU 1" in samples.notices[0].text
    good, gone = samples.readings
    assert good.power_w is not None
    assert gone.device_key == key(1)
    assert blank(gone)
    clock.advance()
    samples = sampler.sample(RunScope())
    assert codes(samples) == []
    assert [reading.device_key for reading in samples.readings] == [key(0)]
    clock.advance(OPEN_AGAIN_NS)
    assert [r.device_key for r in sampler.sample(RunScope()).readings] == [key(0)]
    stand_in.set({"gpu.1.lost": None})
    clock.advance(OPEN_AGAIN_NS)
    samples = sampler.sample(RunScope())
    assert codes(samples) == ["gpu-found"]
    assert [reading.device_key for reading in samples.readings] == [key(0), key(1)]


def test_gpus_come_and_go(gpus: Answer, sampler: NvidiaSampler, clock: Clock) -> None:
    stand_in = gpus({"gpus": 1})
    sampler.sample(RunScope())
    stand_in.set({"gpus": 3})
    clock.advance()
    samples = sampler.sample(RunScope())
    assert [device.device_key for device in samples.devices] == [key(1), key(2)]
    assert len(samples.readings) == 3
    stand_in.set({"gpus": 2})
    clock.advance()
    samples = sampler.sample(RunScope())
    assert codes(samples) == ["gpu-lost"]
    assert blank(samples.readings[-1])


def test_a_gpu_that_is_refused_does_not_hide_the_others(
    gpus: Answer, sampler: NvidiaSampler
) -> None:
    gpus({"gpus": 3, "gpu.1.error.handle": 4})
    samples = sampler.sample(RunScope())
    assert [reading.device_key for reading in samples.readings] == [key(0), key(2)]
    assert codes(samples) == ["gpu-refused"]
    assert codes(sampler.sample(RunScope())) == []


def test_a_call_that_hangs_stalls_nobody(gpus: Answer, clock: Clock) -> None:
    stand_in = gpus({"gpus": 2})
    sampler = NvidiaSampler(clock, deadline_s=60)
    sampler.sample(RunScope())
    sampler._deadline_s = 0.05
    stand_in.set({"gpu.1.hang": "power"})
    clock.advance()
    samples = sampler.sample(RunScope())
    assert samples.stale
    assert codes(samples) == ["nvml-hangs"]
    assert [reading.device_key for reading in samples.readings] == [key(0), key(1)]
    assert all(blank(reading) and reading.at_ns == clock.now_ns for reading in samples.readings)
    assert "does not answer" in (sampler.reason or "")
    sampler._deadline_s = 1000  # refused at once now, not after a deadline
    clock.advance()
    samples = sampler.sample(RunScope())
    assert samples.stale
    assert codes(samples) == []
    stand_in.set({"gpu.1.hang": None})
    while sampler._thread.hanging:
        pass
    clock.advance()
    samples = sampler.sample(RunScope())
    assert not samples.stale
    assert codes(samples) == ["nvml-answers"]
    assert all(reading.power_w is not None for reading in samples.readings)
    assert sampler.reason is None
    sampler.close()


def test_a_slow_start_is_no_alarm(gpus: Answer, clock: Clock) -> None:
    stand_in = gpus({"gpus": 1, "hang": "init"})
    sampler = NvidiaSampler(clock, deadline_s=0.05)
    sampler.start()
    samples = sampler.sample(RunScope())
    assert samples.notices == ()
    assert sampler.reason == "NVML is still starting"
    stand_in.set({"hang": None})
    sampler._deadline_s = 60
    while sampler._thread.hanging:
        pass
    assert len(sampler.sample(RunScope()).readings) == 1
    sampler.close()


def test_closing_leaves_a_call_that_hangs_behind(gpus: Answer, clock: Clock) -> None:
    gpus({"gpus": 1, "gpu.hang": "power"})
    sampler = NvidiaSampler(clock, deadline_s=0.05)
    sampler.sample(RunScope())
    sampler.close()


def test_an_unloaded_driver_is_told_and_looked_for_again(
    gpus: Answer, sampler: NvidiaSampler, clock: Clock
) -> None:
    stand_in = gpus({"gpus": 1, "init": 9})
    samples = sampler.sample(RunScope())
    assert codes(samples) == ["nvml-unavailable"]
    assert sampler.reason == "the NVIDIA driver is installed but not loaded"
    assert "modprobe" in sampler.remedy
    asked = stand_in.calls("init")
    for _ in range(30):
        clock.advance()
        assert sampler.sample(RunScope()) == Samples(at_ns=clock.now_ns)
    assert stand_in.calls("init") == asked
    stand_in.set({"init": 0})
    clock.advance(60 * SECOND)
    samples = sampler.sample(RunScope())
    assert codes(samples) == ["nvml-answers"]
    assert len(samples.readings) == 1


def test_a_driver_unloaded_under_us_leaves_empty_readings_once(
    gpus: Answer, sampler: NvidiaSampler, clock: Clock
) -> None:
    stand_in = gpus({"gpus": 1})
    sampler.sample(RunScope())
    stand_in.set({"gpu.error.power": 18})
    clock.advance()
    samples = sampler.sample(RunScope())
    assert codes(samples) == ["nvml-unavailable"]
    assert [blank(reading) for reading in samples.readings] == [True]
    clock.advance()
    assert sampler.sample(RunScope()).readings == ()


def test_what_nobody_thought_of_is_a_reason_and_no_error(
    gpus: Answer, sampler: NvidiaSampler, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus({"gpus": 1})
    with monkeypatch.context() as broken:
        broken.setattr(pynvml, "nvmlDeviceGetCount", None)
        assert codes(sampler.sample(RunScope())) == ["nvml-unavailable"]
    assert "reading NVML failed" in (sampler.reason or "")
    clock.advance(60 * SECOND)
    assert len(sampler.sample(RunScope()).readings) == 1


def test_a_driver_without_gpus(gpus: Answer, sampler: NvidiaSampler) -> None:
    gpus({"gpus": 0})
    sampler.start()
    assert sampler.reason == "the NVIDIA driver is loaded and sees no GPU"


IN_A_PROCESS = """
import sys
from fwtop.devices.nvidia.sampler import NvidiaSampler
from fwtop.devices.samples import RunScope
sampler = NvidiaSampler(deadline_s=float(sys.argv[1]), opening_s=0)
samples = sampler.sample(RunScope())
print(sampler.reason, len(samples.readings))
sampler.close()
"""


def in_a_process(surroundings: Mapping[str, str], deadline_s: float = 60) -> str:
    done = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS, str(deadline_s)],
        env=os.environ | surroundings,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout.strip()


def test_a_process_finds_the_stand_in_by_its_environment(
    stand_in_folder: Path, tmp_path: Path
) -> None:
    script = write(tmp_path / "gpus", training(8))
    assert in_a_process(environment(stand_in_folder, script)) == "None 8"


def test_a_driver_that_hangs_delays_no_exit(stand_in_folder: Path, tmp_path: Path) -> None:
    script = write(tmp_path / "gpus", {"gpus": 1, "hang": "init"})
    found = in_a_process(environment(stand_in_folder, script), deadline_s=0.05)
    assert found == "the NVIDIA driver does not answer: a call to NVML hangs 0"


def test_no_library_is_a_reason(tmp_path: Path) -> None:
    # A file that is no library, first on the path, so that a machine with a driver has none either.
    (tmp_path / LIBRARY).write_bytes(b"no library\n" * 100)
    found = in_a_process({"LD_LIBRARY_PATH": str(tmp_path)})
    assert found == "no NVIDIA driver here: libnvidia-ml.so.1 was not found 0"
