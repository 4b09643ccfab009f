"""GPUs: what they are, what they read, who uses them."""

from __future__ import annotations

from dataclasses import dataclass

from fwtop.queries.history import History
from fwtop.queries.rows import fetch_rows
from fwtop.recording.model import Device, DeviceProcess, DeviceSample
from fwtop.recording.store import Recording


@dataclass(frozen=True, slots=True)
class _Throttle:
    device_id: int
    reasons: str
    count: int


_HISTORY = History(
    "device_samples",
    DeviceSample,
    keys=("device_id",),
    columns={
        "utilization_ratio": "mean",
        "memory_utilization_ratio": "mean",
        "memory_used_bytes": "max",
        "power_w": "mean",
        "power_limit_w": "max",
        "sm_clock_hz": "mean",
        "memory_clock_hz": "mean",
        "temperature_c": "max",
        "fan_ratio": "mean",
        "pcie_generation": "max",
        "pcie_width": "max",
        "pcie_rx_bytes_per_s": "mean",
        "pcie_tx_bytes_per_s": "mean",
        "nvlink_rx_bytes_per_s": "mean",
        "nvlink_tx_bytes_per_s": "mean",
        "throttle_reasons": "max",
        "ecc_corrected": "max",
        "ecc_uncorrected": "max",
    },
)


def devices(recording: Recording) -> list[Device]:
    """The GPUs of the host, MIG instances after theirs, in the vendor's order."""
    return fetch_rows(
        recording,
        Device,
        "SELECT id, vendor, device_index, name, uuid, parent_id, memory_total_bytes, facts, used"
        " FROM devices ORDER BY vendor, device_index, parent_id IS NOT NULL, id",
    )


def latest(recording: Recording, until_ns: int | None = None) -> list[DeviceSample]:
    """The last reading by `until_ns` of each device that has one, by device."""
    return fetch_rows(
        recording,
        DeviceSample,
        f"SELECT {_HISTORY.names} FROM devices d JOIN device_samples s ON s.device_id = d.id"
        " WHERE s.at_ns = (SELECT max(at_ns) FROM device_samples WHERE device_id = d.id"
        "   AND (?1 IS NULL OR at_ns <= ?1)) ORDER BY d.id",
        (until_ns,),
    )


def history(
    recording: Recording, device_id: int, start_ns: int, end_ns: int, points: int
) -> list[DeviceSample]:
    """At most `points` readings of a device in [start_ns, end_ns), oldest first.

    Several readings in one point are one: means of rates and shares, the highest of the others.
    """
    return _HISTORY.fetch(recording, start_ns, end_ns, points, device_id)


def means(recording: Recording, start_ns: int = 0, end_ns: int | None = None) -> list[DeviceSample]:
    """One reading a device for the whole stretch, as `history` makes one of several."""
    end_ns = (1 << 62) if end_ns is None else end_ns
    found = (history(recording, device.id, start_ns, end_ns, 1) for device in devices(recording))
    return [samples[0] for samples in found if samples]


def throttled(
    recording: Recording, until_ns: int | None = None
) -> dict[int, dict[str, tuple[int, int]]]:
    """By device: each throttle reason with the readings that had it, and all that could tell."""
    rows = fetch_rows(
        recording,
        _Throttle,
        "SELECT device_id, throttle_reasons, count(*) FROM device_samples"
        " WHERE throttle_reasons IS NOT NULL AND (?1 IS NULL OR at_ns <= ?1)"
        " GROUP BY device_id, throttle_reasons",
        (until_ns,),
    )
    told: dict[int, int] = {}
    for row in rows:
        told[row.device_id] = told.get(row.device_id, 0) + row.count
    found: dict[int, dict[str, tuple[int, int]]] = {}
    for row in rows:
        for reason in filter(None, (part.strip() for part in row.reasons.split(","))):
            reasons = found.setdefault(row.device_id, {})
            had = reasons.get(reason, (0, 0))[0]
            reasons[reason] = (had + row.count, told[row.device_id])
    return found


def device_processes(recording: Recording) -> list[DeviceProcess]:
    """Who is on the devices, by the last reading: the run's own first, then by memory."""
    return fetch_rows(
        recording,
        DeviceProcess,
        "SELECT device_id, pid, at_ns, name, memory_bytes, own FROM device_processes"
        " ORDER BY device_id, own DESC, memory_bytes DESC, pid",
    )
