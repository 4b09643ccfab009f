"""The GPUs, as the recorder would see them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from fwtop.cli.doctor.check import Check, ok, warning
from fwtop.devices.nvidia.sampler import NvidiaSampler

DEADLINE_S = 10.0
POLL_S = 0.1


def nvidia(python: str | None) -> Iterator[Check]:
    """NVML, asked as the recorder asks it: on a thread of its own, with a deadline."""
    sampler = NvidiaSampler(deadline_s=DEADLINE_S)
    started = time.monotonic()
    try:
        sampler.start()
        reason, remedy = sampler.reason, sampler.remedy
        described = sampler.describe()
    finally:
        sampler.close()
    took_s = time.monotonic() - started
    if described:
        names = ", ".join(f"{device.device_index} {device.name}" for device in described)
        yield ok("NVML", f"answers in {took_s:.1f} s: {names}", devices=len(described))
        return
    text = reason or "no GPU"
    if Path("/dev/nvidiactl").exists():
        yield warning("NVML", text, remedy or "try nvidia-smi")
    else:
        yield ok("NVML", f"{text} (there is no NVIDIA driver: fine on a machine without a GPU)")
