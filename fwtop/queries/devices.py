"""GPUs: what they are, what they read, who uses them."""

from __future__ import annotations

from dataclasses import dataclass

from fwtop.queries.history import History
from fwtop.queries.rows import fetch_rows
from fwtop.recording.model import Device, DeviceProcess, DeviceSample
from fwtop.recording.store import Recording


@dataclass(frozen=True, slots=True)
class _Throttle:
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
    """One reading a device for the whole stretch, as `history` makes one of several, of at most
    `history.SPREAD` readings."""
    end_ns = (1 << 62) if end_ns is None else end_ns
    found = (_HISTORY.mean(recording, start_ns, end_ns, device.id) for device in devices(recording))
    return [sample for sample in found if sample is not None]


def throttled(
    recording: Recording, until_ns: int | None = None
) -> dict[int, dict[str, tuple[int, int]]]:
    """By device: each throttle reason with the readings that had it, and all that could tell.

    Of at most `history.SPREAD` readings a device, evenly spread.
    """
    found: dict[int, dict[str, tuple[int, int]]] = {}
    for device in devices(recording):
        found[device.id] = _throttled(recording, device.id, until_ns)
    return {device_id: reasons for device_id, reasons in found.items() if reasons}


def _throttled(
    recording: Recording, device_id: int, until_ns: int | None
) -> dict[str, tuple[int, int]]:
    end_ns = (1 << 62) if until_ns is None else until_ns + 1
    spread = _HISTORY.spread_of(recording, 0, end_ns, device_id)
    if spread is None:
        return {}
    rows = fetch_rows(
        recording,
        _Throttle,
        f"{_HISTORY.spread} SELECT throttle_reasons, count(*) FROM device_samples"
        " WHERE device_id = ?4 AND at_ns IN (SELECT at FROM spread)"
        " AND throttle_reasons IS NOT NULL GROUP BY throttle_reasons",
        spread,
    )
    told = sum(row.count for row in rows)
    had: dict[str, int] = {}
    for row in rows:
        for reason in {part.strip() for part in row.reasons.split(",")} - {""}:
            had[reason] = had.get(reason, 0) + row.count
    return {reason: (count, told) for reason, count in had.items()}


def device_processes(recording: Recording) -> list[DeviceProcess]:
    """Who is on the devices, by the last reading: the run's own first, then by memory."""
    return fetch_rows(
        recording,
        DeviceProcess,
        "SELECT device_id, pid, at_ns, name, memory_bytes, own FROM device_processes"
        " ORDER BY device_id, own DESC, memory_bytes DESC, pid",
    )
