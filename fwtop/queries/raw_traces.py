"""The raw traces of windows that a recording kept, compressed as they lie in it."""

from __future__ import annotations

from dataclasses import dataclass

from fwtop.queries.rows import fetch, fetch_rows
from fwtop.recording.store import Recording


@dataclass(frozen=True, slots=True)
class RawTrace:
    """One window's trace file, compressed."""

    window_id: int
    compression: str
    trace: bytes


def kept(recording: Recording) -> frozenset[int]:
    """The windows whose raw trace was kept."""
    return frozenset(
        window_id
        for (window_id,) in fetch(recording, "SELECT window_id FROM window_traces")
        if type(window_id) is int
    )


def raw_trace(recording: Recording, window_id: int) -> RawTrace | None:
    """A window's raw trace; None if it was not kept, or dropped for newer ones."""
    rows = fetch_rows(
        recording,
        RawTrace,
        "SELECT window_id, compression, trace FROM window_traces WHERE window_id = ?",
        (window_id,),
    )
    return rows[0] if rows else None
