"""Which device an allocator's reading is of: known, or unknown, and never guessed."""

from __future__ import annotations

import dataclasses

import pytest

from fwtop.analysis.placement import device_of
from fwtop.recording.model import Device, DeviceProcess, MemorySample, Process


def device(index: int, name: str = "H100", parent: int | None = None) -> Device:
    return Device(
        id=index + 1, vendor="nvidia", index=index, name=name, uuid=f"GPU-{index}{index}",
        parent_id=parent, memory_total_bytes=80 << 30, facts={}, used=True,
    )  # fmt: skip


def process(name: str | None = None, uuid: str | None = None) -> Process:
    empty = dict.fromkeys(field.name for field in dataclasses.fields(Process))
    known = {"id": 1, "pid": 400, "argv": (), "started_ns": 0, "messages_dropped": 0}
    return Process(**{**empty, **known, "device": name, "device_uuid": uuid})  # type: ignore[arg-type]


def reading(name: str) -> MemorySample:
    return MemorySample(1, 0, name, 1, 2, 1, 1, 2, 0, 0)


def seen(device_id: int) -> DeviceProcess:
    return DeviceProcess(device_id, 400, 0, "python", 1, own=True)


HOST = [device(index) for index in range(4)]
RENUMBERED = {"CUDA_VISIBLE_DEVICES": "2,3"}


@pytest.mark.parametrize(
    ("name", "of", "users", "environment", "expected"),
    [
        ("cuda:0", process("cuda:0", "22"), [], RENUMBERED, 2),
        ("cuda:0", process("cuda:0", "99"), [], {}, None),
        ("cuda:1", process(), [], {}, 1),
        ("cuda:1", process(), [], RENUMBERED, None),
        ("cuda:0", process(), [seen(4)], RENUMBERED, 3),
        ("cuda:0", process(), [seen(4)], {}, 3),
        ("cuda:1", process(), [seen(2), seen(3)], {}, 1),
        ("cuda:0", process(), [seen(3), seen(4)], RENUMBERED, None),
        ("cuda:7", process(), [], {}, None),
        ("mps", process(), [], {}, None),
        ("cuda:1", None, [], {}, 1),
    ],
)
def test_a_reading_is_placed_only_where_that_is_certain(
    name: str,
    of: Process | None,
    users: list[DeviceProcess],
    environment: dict[str, str],
    expected: int | None,
) -> None:
    found = device_of(reading(name), of, HOST, users, environment)
    assert (found.index if found else None) == expected


def test_devices_that_differ_may_be_numbered_otherwise() -> None:
    mixed = [device(0, "RTX 4090"), device(1, "GT 710")]
    assert device_of(reading("cuda:0"), process(), mixed, [], {}) is None


def test_an_instance_of_a_device_is_not_told_by_a_number() -> None:
    assert device_of(reading("cuda:0"), process(), [device(0), device(1, parent=1)], [], {}) is None
