"""The machine's disks and network cards as ever-growing byte counters, each byte counted once.

Linux lists a disk, its partitions, the volume on top and the loop device over that; and a network
card, its bridge and every container's end of it. What has hardware behind it (`device` in sysfs)
counts; where nothing has (a container sees only its own end), everything but loopback does.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import psutil


def disk_bytes() -> tuple[int | None, int | None]:
    """Bytes read and written since the machine started; None without disk counters."""
    try:
        disks = psutil.disk_io_counters(perdisk=True)
    except (OSError, RuntimeError, NotImplementedError):
        return None, None
    if not disks:
        return None, None
    counted = [disks[name] for name in disks if _is_hardware("block", name)] or list(disks.values())
    return sum(disk.read_bytes for disk in counted), sum(disk.write_bytes for disk in counted)


def network_bytes() -> tuple[int | None, int | None]:
    """Bytes received and sent since the machine started; None without network counters."""
    try:
        cards = psutil.net_io_counters(pernic=True)
    except (OSError, RuntimeError, NotImplementedError):
        return None, None
    names = [name for name in cards if _is_hardware("net", name)]
    names = names or [name for name in cards if name not in ("lo", "lo0")]
    if not names:
        return None, None
    counted = [cards[name] for name in names]
    return sum(card.bytes_recv for card in counted), sum(card.bytes_sent for card in counted)


@cache
def _is_hardware(kind: str, name: str) -> bool:
    return Path("/sys/class", kind, name.replace("/", "!"), "device").exists()
