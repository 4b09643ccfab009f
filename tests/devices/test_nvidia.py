"""The NVIDIA sampler through the real pynvml, on the stand-in."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pynvml
import pytest

from fwtop.devices.nvidia.inquiry import ASK_AGAIN_NS
from fwtop.devices.nvidia.reader import LIST_AGAIN_NS, OPEN_AGAIN_NS
from fwtop.devices.nvidia.sampler import NvidiaSampler
from fwtop.devices.samples import DeviceReading, RunScope, Samples
from tests.devices.conftest import Gpus
from tests.devices.stand_in import LIBRARY, environment, training, write

SECOND = 1_000_000_000
Answer = Callable[[Mapping[str, object]], Gpus]


class Clock:
    def __init__(self) -> None:
        self.now_ns = 1_000 * SECOND

    def __call__(self) -> int:
        return self.now_ns

    def advance(self, ns: int = SECOND) -> None:
        self.now_ns += ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sampler(clock: Clock) -> Iterator[NvidiaSampler]:
    sampler = NvidiaSampler(clock, deadline_s=60)
    yield sampler
    sampler.close()


def key(gpu: int, instance: int | None = None) -> str:
    kind, number = ("GPU", 0) if instance is None else ("MIG", instance + 1)
    return f"{kind}-{0xF00D0000 + gpu:08x}-0000-4000-8000-{number:012x}"


def codes(samples: Samples) -> list[str]:
    return [notice.code for notice in samples.notices]


def blank(reading: DeviceReading) -> bool:
    return reading == DeviceReading(reading.device_key, reading.at_ns)


FIXED = {
    "gpus": 1,
    "gpu.0.utilization": 87,
    "gpu.0.memory_utilization": 41,
    "gpu.0.memory_mib": 81920,
    "gpu.0.memory_used_bytes": 123456789,
    "gpu.0.power_w": 512.25,
    "gpu.0.power_limit_w": 700,
    "gpu.0.sm_mhz": 1755,
    "gpu.0.memory_mhz": 2619,
    "gpu.0.celsius": 61,
    "gpu.0.fan_percent": 45,
    "gpu.0.pcie_generation": 4,
    "gpu.0.pcie_width": 8,
    "gpu.0.reasons": 4,
    "gpu.0.ecc_corrected": 7,
    "gpu.0.ecc_uncorrected": 2,
}


def test_every_field_with_its_unit(gpus: Answer, sampler: NvidiaSampler, clock: Clock) -> None:
    gpus(FIXED)
    samples = sampler.sample(RunScope())
    assert sampler.reason is None
    (device,) = samples.devices
    assert device.name == "NVIDIA H100 80GB HBM3"
    assert device.device_key == device.uuid == key(0)
    assert device.memory_total_bytes == 80 << 30
    assert device.facts["driver"] == "580.65.06"
    assert device.facts["cuda"] == "13.0"
    assert device.facts["compute_capability"] == "9.0"
    assert device.facts["ecc"] is True
    assert device.facts["pcie_generation_max"] == 5
    (reading,) = samples.readings
    assert reading == DeviceReading(
        device_key=key(0),
        at_ns=clock.now_ns,
        utilization_ratio=0.87,
        memory_utilization_ratio=0.41,
        memory_used_bytes=123456789,
        power_w=512.25,
        power_limit_w=700,
        sm_clock_hz=1_755_000_000,
        memory_clock_hz=2_619_000_000,
        temperature_c=61,
        fan_ratio=0.45,
        pcie_generation=4,
        pcie_width=8,
        throttle_reasons="power cap",
        ecc_corrected=7,
        ecc_uncorrected=2,
    )


def test_a_description_is_told_once_and_again_when_it_changes(
    gpus: Answer, sampler: NvidiaSampler
) -> None:
    gpus({"gpus": 2})
    sampler.start()
    assert [device.device_key for device in sampler.describe()] == [key(0), key(1)]
    assert [d.device_key for d in sampler.sample(RunScope()).devices] == [key(0), key(1)]
    assert sampler.sample(RunScope()).devices == ()
    used = RunScope(device_uuids=frozenset({key(1).removeprefix("GPU-").upper()}))
    assert [(d.device_key, d.used) for d in sampler.sample(used).devices] == [(key(1), True)]
    assert sampler.sample(RunScope()).devices == ()


def test_rates_are_what_counters_grew_by_in_the_time_that_passed(
    gpus: Answer, sampler: NvidiaSampler, clock: Clock
) -> None:
    stand_in = gpus({"gpus": 1, "now": 1000, "gpu.pcie_rx_bytes_per_s": 5_000_000_000})
    stand_in.set({"gpu.pcie_tx_bytes_per_s": 1_000_000_000})
    stand_in.set({"gpu.nvlink_rx_bytes_per_s": 102_400_000_000})
    stand_in.set({"gpu.nvlink_tx_bytes_per_s": 51_200_000_000})
    (reading,) = sampler.sample(RunScope()).readings
    assert reading.pcie_rx_bytes_per_s is None
    assert reading.nvlink_rx_bytes_per_s is None
    stand_in.set({"now": 1004})
    clock.advance(2 * SECOND)  # twice the rate, as far as the sampler can know
    (reading,) = sampler.sample(RunScope()).readings
    assert reading.pcie_rx_bytes_per_s == 10_000_000_000
    assert reading.pcie_tx_bytes_per_s == 2_000_000_000
    assert reading.nvlink_rx_bytes_per_s == 204_800_000_000
    assert reading.nvlink_tx_bytes_per_s == 102_400_000_000
    stand_in.set({"now": 3})
    clock.advance()
    (reading,) = sampler.sample(RunScope()).readings
    assert reading.pcie_rx_bytes_per_s is None  # the counters were reset


@pytest.mark.parametrize(
    "without", [{"gpu.unsupported": "pcie_counters"}, {"gpu.narrow_counters": 1}]
)
def test_pcie_is_measured_now_and_then_without_wide_counters(
    gpus: Answer, sampler: NvidiaSampler, clock: Clock, without: dict[str, object]
) -> None:
    stand_in = gpus({"gpus": 1, "pcie_ms": 0, "gpu.pcie_rx_kb": 2_000_000, "gpu.pcie_tx_kb": 300})
    stand_in.set(without)
    before = stand_in.calls("pcie", 0)
    for _ in range(10):
        (reading,) = sampler.sample(RunScope()).readings
        assert reading.pcie_rx_bytes_per_s == 2_000_000_000
        assert reading.pcie_tx_bytes_per_s == 300_000
        clock.advance()
    assert stand_in.calls("pcie", 0) - before == 4  # two directions, twice in ten samples


def test_a_field_that_a_gpu_lacks_is_none_and_asked_again_only_rarely(
    gpus: Answer, sampler: NvidiaSampler, clock: Clock
) -> None:
    lacks = "utilization,power,power_limit,power_management_limit,clock,temperature,temperature_v"
    lacks += ",fan,fields,pcie,reasons,throttle_reasons,ecc,pcie_generation,pcie_width,memory_v2"
    lacks += ",memory,compute,graphics,mps,ecc_mode,capability"
    stand_in = gpus({"gpus": 2, "gpu.0.unsupported": lacks})
    before = stand_in.calls("power", 0)
    for _ in range(20):
        first, second = sampler.sample(RunScope()).readings
        assert blank(first)
        assert second.power_w is not None
        clock.advance()
    assert stand_in.calls("power", 0) - before == 1
    stand_in.set({"gpu.0.unsupported": None})
    clock.advance(ASK_AGAIN_NS)
    assert sampler.sample(RunScope()).readings[0].power_w is not None
    assert sampler.reason is None


def test_older_calls_stand_in_for_newer_ones(gpus: Answer, sampler: NvidiaSampler) -> None:
    gpus(FIXED | {"gpu.unsupported": "memory_v2,reasons,temperature,power_limit"})
    (reading,) = sampler.sample(RunScope()).readings
    assert reading.memory_used_bytes == 123456789 + (600 << 20)  # counts what the driver keeps
    assert reading.throttle_reasons == "power cap"
    assert reading.temperature_c == 61
    assert reading.power_limit_w == 700


def test_an_error_that_passes_is_none_once(
    gpus: Answer, sampler: NvidiaSampler, clock: Clock
) -> None:
    stand_in = gpus({"gpus": 1, "gpu.error.power": 999})
    assert sampler.sample(RunScope()).readings[0].power_w is None
    stand_in.set({"gpu.error.power": None})
    clock.advance()
    assert sampler.sample(RunScope()).readings[0].power_w is not None


@pytest.mark.parametrize(
    ("bits", "words"),
    [
        (0x0, ""),
        (0x1, ""),
        (0x4, "power cap"),
        (0x8, "hw slowdown"),
        (0x48, "hw thermal"),
        (0x88, "power brake"),
        (0x25, "power cap,sw thermal"),
        (0x8000, "other 0x8000"),
    ],
)
def test_throttle_reasons_in_words(
    gpus: Answer, sampler: NvidiaSampler, bits: int, words: str
) -> None:
    gpus({"gpus": 1, "gpu.reasons": bits})
    assert sampler.sample(RunScope()).readings[0].throttle_reasons == words


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


def test_mig_instances_are_devices_of_their_own(
    gpus: Answer, sampler: NvidiaSampler, clock: Clock
) -> None:
    pid = os.getpid()
    stand_in = gpus({"gpus": 2, "gpu.0.mig": 2, "gpu.1.mig": 0, "gpu.memory_mib": 40960})
    stand_in.set({"gpu.0.compute": f"{pid}:100", "gpu.0.mig.1.compute": f"{pid}:100"})
    samples = sampler.sample(RunScope(roots=frozenset({pid})))
    assert [(d.device_key, d.parent_key, d.used) for d in samples.devices] == [
        (key(0), None, True),
        (key(0, 0), key(0), False),
        (key(0, 1), key(0), True),
        (key(1), None, False),
    ]
    assert samples.devices[0].facts["mig"] is True
    whole, instance = samples.readings[0], samples.readings[1]
    assert whole.power_w is not None
    assert instance.power_w is None
    assert instance.memory_used_bytes is not None
    assert [(p.device_key, p.own) for p in samples.processes] == [(key(0, 1), True)]
    stand_in.set({"gpu.0.mig": 1})
    clock.advance(LIST_AGAIN_NS)
    assert len(sampler.sample(RunScope()).readings) == 4  # the one that left is told once more
    assert len(sampler.sample(RunScope()).readings) == 3


def test_processes_and_which_gpus_the_run_uses(gpus: Answer, sampler: NvidiaSampler) -> None:
    with subprocess.Popen(["sleep", "1000"]) as other:
        own = os.getpid()
        gpus(
            {
                "gpus": 3,
                "gpu.0.compute": f"{own}:2048,{other.pid}:512",
                "gpu.0.graphics": f"{own}:2048",
                "gpu.1.mps": f"{other.pid}",
            }
        )
        samples = sampler.sample(RunScope(pids=frozenset({own})))
        other.kill()
    assert [device.used for device in samples.devices] == [True, False, False]
    found = {(p.device_key, p.pid): p for p in samples.processes}
    assert len(found) == 3
    assert found[key(0), own].memory_bytes == 2048 << 20
    assert found[key(0), own].own
    assert found[key(0), other.pid].name == "sleep"
    assert not found[key(0), other.pid].own
    assert found[key(1), other.pid].memory_bytes is None


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
