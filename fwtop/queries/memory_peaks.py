"""Memory within deep windows: where each device was highest, and who held what then."""

from __future__ import annotations

from fwtop.queries.rows import fetch_rows
from fwtop.recording.store import Recording
from fwtop.recording.window_model import MemoryHolderRow, MemoryPeak, MemoryPointRow


def memory_peaks(recording: Recording, until_ns: int | None = None) -> list[MemoryPeak]:
    """Each device's highest point in the windows that had ended by `until_ns`, by device.

    Of all processes: where several call their devices the same, it is the highest of them.
    """
    return fetch_rows(
        recording,
        MemoryPeak,
        # With a lone max(), SQLite takes the other columns from the row that has it.
        "SELECT window_id, device, max(highest) FROM ("
        " SELECT window_id, device, max(allocated_bytes) AS highest FROM memory_timeline"
        " JOIN windows ON windows.id = window_id WHERE ?1 IS NULL OR end_ns <= ?1"
        " GROUP BY window_id, device)"
        " GROUP BY device ORDER BY device",
        (until_ns,),
    )


def timeline(recording: Recording, window_id: int, device: str) -> list[MemoryPointRow]:
    """A device's line in a window, in order of time."""
    return fetch_rows(
        recording,
        MemoryPointRow,
        "SELECT offset_ns, allocated_bytes FROM memory_timeline"
        " WHERE window_id = ?1 AND device = ?2 ORDER BY offset_ns",
        (window_id, device),
    )


def holders(recording: Recording, window_id: int, device: str) -> list[MemoryHolderRow]:
    """Who held what at the line's highest point, most first."""
    return fetch_rows(
        recording,
        MemoryHolderRow,
        "SELECT name, family, bytes FROM memory_holders"
        " JOIN operator_names ON operator_names.id = operator_id"
        " WHERE window_id = ?1 AND device = ?2 ORDER BY bytes DESC, name",
        (window_id, device),
    )
