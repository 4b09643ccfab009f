"""The NVIDIA sampler through the real pynvml, on the stand-in."""

from __future__ import annotations

import os
import subprocess

import pytest

from fwtop.devices.nvidia.inquiry import ASK_AGAIN_NS
from fwtop.devices.nvidia.reader import LIST_AGAIN_NS
from fwtop.devices.nvidia.sampler import NvidiaSampler
from fwtop.devices.samples import DeviceReading, RunScope
from tests.devices.conftest import Answer
from tests.devices.nvidia_clock import SECOND, Clock, blank, key

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
