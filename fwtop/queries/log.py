"""The script's output, as it came."""

from __future__ import annotations

from fwtop.queries.rows import fetch, fetch_int, fetch_rows
from fwtop.recording.model import LogChunk
from fwtop.recording.store import Recording

TERMINAL_SIZE = 3
"""The stream of the pieces that are no output: from there on the terminal has another size."""


def chunks(
    recording: Recording, after_id: int = 0, until_ns: int | None = None, limit: int = 1000
) -> list[LogChunk]:
    """The first `limit` pieces after the piece `after_id` that came by `until_ns`."""
    last = None if until_ns is None else _last_id(recording, until_ns)
    return fetch_rows(
        recording,
        LogChunk,
        "SELECT id, at_ns, stream, data FROM log WHERE id > ?1 AND (?2 IS NULL OR id <= ?2)"
        " ORDER BY id LIMIT ?3",
        (after_id, last, limit),
    )


def chunks_before(recording: Recording, at_ns: int, max_bytes: int) -> list[LogChunk]:
    """The last pieces that came by `at_ns`, oldest first: `max_bytes` of them, at least one."""
    last = _last_id(recording, at_ns)
    first = last + 1
    size = 0
    before = last
    while before > 0 and size < max_bytes:
        sizes = fetch(
            recording,
            "SELECT id, length(data) FROM log WHERE id <= ? ORDER BY id DESC LIMIT 256",
            (before,),
        )
        if not sizes:
            break
        for chunk_id, length in sizes:
            if size and size + length > max_bytes:
                return _between(recording, first, last)
            size += length
            first = chunk_id
        before = first - 1
    return _between(recording, first, last)


def size(recording: Recording) -> int:
    """Bytes of output so far."""
    return fetch_int(recording, "SELECT sum(length(data)) FROM log WHERE stream <> 3") or 0


def terminal_size(recording: Recording, before_id: int) -> tuple[int, int] | None:
    """Columns and rows as last changed before a piece; None where they had not changed by then."""
    # Recordings without the index tell of no change, and would be scanned whole for one.
    if not fetch(recording, "SELECT 1 FROM sqlite_master WHERE name = 'log_sizes'"):
        return None
    found = fetch(
        recording,
        "SELECT data FROM log WHERE stream = 3 AND id < ? ORDER BY id DESC LIMIT 1",
        (before_id,),
    )
    return parse_size(found[0][0]) if found else None


def parse_size(data: bytes) -> tuple[int, int] | None:
    """Columns and rows, which a piece of TERMINAL_SIZE tells as `ROWS COLUMNS`; the last wins.

    None for anything else.
    """
    words = data.split()[-2:]
    if len(words) != 2 or not all(len(word) <= 5 and word.isdigit() for word in words):
        return None
    rows, columns = int(words[0]), int(words[1])
    return (columns, rows) if rows and columns else None


def _between(recording: Recording, first: int, last: int) -> list[LogChunk]:
    return fetch_rows(
        recording,
        LogChunk,
        "SELECT id, at_ns, stream, data FROM log WHERE id BETWEEN ? AND ? ORDER BY id",
        (first, last),
    )


def _last_id(recording: Recording, at_ns: int) -> int:
    """Id of the last piece that came by `at_ns`, 0 if none: ids and times grow together."""
    low = 0
    high = fetch_int(recording, "SELECT max(id) FROM log") or 0
    while low < high:
        middle = (low + high + 1) // 2
        came_ns = fetch_int(
            recording, "SELECT at_ns FROM log WHERE id >= ? ORDER BY id LIMIT 1", (middle,)
        )
        if came_ns is not None and came_ns <= at_ns:
            low = middle
        else:
            high = middle - 1
    return low
