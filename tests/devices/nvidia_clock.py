"""What the NVIDIA sampler's tests share: a clock, devices' keys, notices' codes."""

from __future__ import annotations

from fwtop.devices.samples import DeviceReading, Samples

SECOND = 1_000_000_000


class Clock:
    def __init__(self) -> None:
        self.now_ns = 1_000 * SECOND

    def __call__(self) -> int:
        return self.now_ns

    def advance(self, ns: int = SECOND) -> None:
        self.now_ns += ns


def key(gpu: int, instance: int | None = None) -> str:
    kind, number = ("GPU", 0) if instance is None else ("MIG", instance + 1)
    return f"{kind}-{0xF00D0000 + gpu:08x}-0000-4000-8000-{number:012x}"


def codes(samples: Samples) -> list[str]:
    return [notice.code for notice in samples.notices]


def blank(reading: DeviceReading) -> bool:
    return reading == DeviceReading(reading.device_key, reading.at_ns)
