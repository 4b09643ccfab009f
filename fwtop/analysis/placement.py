"""Which device of the host an allocator's reading is of.

A process counts the devices that it may see from 0, the driver counts all of the host's. What ties
them together is known for certain by UUID or by the driver's list of processes, and by the number
where nothing renumbers the devices; everything else stays unknown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from fwtop.recording.model import Device, DeviceProcess, MemorySample, Process

VISIBLE_DEVICES = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
_NUMBER = re.compile(r"(?:cuda|gpu):(\d+)", re.IGNORECASE)


def device_of(
    sample: MemorySample,
    process: Process | None,
    devices: Sequence[Device],
    users: Sequence[DeviceProcess],
    environment: Mapping[str, str],
) -> Device | None:
    """The device that `sample` of `process` is of; None where that is not certain.

    `users` are the processes that the driver sees on the devices, `environment` the run's.
    """
    if process is not None and process.device == sample.device and process.device_uuid:
        uuid = _bare(process.device_uuid)
        return next((d for d in devices if d.uuid is not None and _bare(d.uuid) == uuid), None)
    seen_on = {user.device_id for user in users if process and user.pid == process.pid}
    numbered = _by_number(sample.device, devices, environment)
    if not seen_on or (numbered is not None and numbered.id in seen_on):
        return numbered
    if len(seen_on) == 1:
        return next((device for device in devices if device.id in seen_on), None)
    return None


def _by_number(
    name: str, devices: Sequence[Device], environment: Mapping[str, str]
) -> Device | None:
    """CUDA puts the fastest first and NVML goes by the bus, so devices that differ stay unknown:
    https://docs.nvidia.com/cuda/cuda-c-programming-guide/#cuda-environment-variables
    """
    match = _NUMBER.fullmatch(name)
    whole = [device for device in devices if device.parent_id is None]
    renumbered = any(environment.get(variable) for variable in VISIBLE_DEVICES)
    if match is None or len(whole) != len(devices) or (renumbered and len(whole) > 1):
        return None
    if len({device.name for device in whole}) > 1:
        return None
    return next((device for device in whole if device.index == int(match[1])), None)


def _bare(uuid: str) -> str:
    return uuid.lower().removeprefix("gpu-").removeprefix("mig-")
