"""The devices' allocators, as the processes read them."""

from __future__ import annotations

from fwtop.queries.rows import fetch_rows
from fwtop.recording.model import MemorySample, OutOfMemory
from fwtop.recording.store import Recording

_COLUMNS = (
    "allocated_bytes, reserved_bytes, active_bytes, allocated_peak_bytes, reserved_peak_bytes,"
    " retries, ooms"
)
_RECENT_NS = 10_000_000_000
_HIGHEST = ", ".join(f"max({name.strip()})" for name in _COLUMNS.split(","))


def latest(recording: Recording, until_ns: int | None = None) -> list[MemorySample]:
    """The last reading by `until_ns` of each process and device: of its last ten seconds."""
    # The only max() is of at_ns, so the bare columns are of its row:
    # https://sqlite.org/lang_select.html#bareagg
    return fetch_rows(
        recording,
        MemorySample,
        f"SELECT m.process_id, max(m.at_ns), m.device, {_COLUMNS} FROM processes p"
        " JOIN memory_samples m ON m.process_id = p.id AND (?1 IS NULL OR m.at_ns <= ?1)"
        "  AND m.at_ns >= (SELECT max(at_ns) FROM memory_samples WHERE process_id = p.id"
        f"   AND (?1 IS NULL OR at_ns <= ?1)) - {_RECENT_NS}"
        " GROUP BY m.process_id, m.device ORDER BY m.process_id, m.device",
        (until_ns,),
    )


def history(
    recording: Recording, process_id: int, device: str, start_ns: int, end_ns: int, points: int
) -> list[MemorySample]:
    """At most `points` readings in [start_ns, end_ns), oldest first; of several, the highest."""
    length = max(1, -(-(end_ns - start_ns) // max(1, points)))
    return fetch_rows(
        recording,
        MemorySample,
        f"SELECT process_id, max(at_ns), device, {_HIGHEST} FROM memory_samples"
        " WHERE process_id = ?1 AND device = ?2 AND at_ns >= ?3 AND at_ns < ?4"
        " GROUP BY (at_ns - ?3) / ?5 ORDER BY max(at_ns)",
        (process_id, device, start_ns, end_ns, length),
    )


def peaks(recording: Recording, until_ns: int | None = None) -> list[MemorySample]:
    """The highest of each figure by `until_ns`, by process and device."""
    return fetch_rows(
        recording,
        MemorySample,
        f"SELECT process_id, max(at_ns), device, {_HIGHEST} FROM memory_samples"
        " WHERE (?1 IS NULL OR at_ns <= ?1) GROUP BY process_id, device"
        " ORDER BY process_id, device",
        (until_ns,),
    )


def out_of_memory(recording: Recording, until_ns: int | None = None) -> list[OutOfMemory]:
    """Each time that an allocator gave up, by `until_ns`."""
    return fetch_rows(
        recording,
        OutOfMemory,
        "SELECT process_id, at_ns, device, message, holders FROM out_of_memory"
        " WHERE (?1 IS NULL OR at_ns <= ?1) ORDER BY at_ns",
        (until_ns,),
    )
