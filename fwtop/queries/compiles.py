"""Compile events: what was compiled or traced, how long it took, and why again."""

from __future__ import annotations

import json
from collections.abc import Collection

from fwtop.queries.rows import fetch_rows
from fwtop.recording.model import CompileEvent, CompileTotals
from fwtop.recording.store import Recording

_COLUMNS = (
    "id, process_id, key, parent_key, kind, name, compile_id, start_ns, duration_ns, function,"
    " file, line, reason, step_index, detail"
)
_WHOLE = "('compile', 'trace', 'retrace', 'xla')"
"""The kinds that are a compile or a trace from start to end; the others are parts or remarks."""


def events(
    recording: Recording,
    after_id: int = 0,
    until_ns: int | None = None,
    kinds: Collection[str] | None = None,
    limit: int = 1000,
    process_id: int | None = None,
) -> list[CompileEvent]:
    """Events that began by `until_ns`, the newest `limit` of those after `after_id`, oldest first.

    An event that was under way is the same row with its duration once it has ended.
    """
    rows = fetch_rows(
        recording,
        CompileEvent,
        f"SELECT {_COLUMNS} FROM compile_events WHERE id > ?1"
        " AND (?2 IS NULL OR start_ns <= ?2) AND (?5 IS NULL OR process_id = ?5)"
        " AND (?3 IS NULL OR kind IN (SELECT value FROM json_each(?3)))"
        " ORDER BY id DESC LIMIT ?4",
        (after_id, until_ns, None if kinds is None else json.dumps(sorted(kinds)), limit,
         process_id),
    )  # fmt: skip
    return rows[::-1]


def open_events(recording: Recording, limit: int = 100) -> list[CompileEvent]:
    """Compiles, traces and their phases that are under way, outermost first."""
    return fetch_rows(
        recording,
        CompileEvent,
        f"SELECT {_COLUMNS} FROM compile_events WHERE duration_ns IS NULL"
        f" AND (kind = 'phase' OR kind IN {_WHOLE}) ORDER BY start_ns, id LIMIT ?",
        (limit,),
    )


def longest(
    recording: Recording, count: int, until_ns: int | None = None, process_id: int | None = None
) -> list[CompileEvent]:
    """The dearest whole compiles and traces that had ended by `until_ns`, dearest first."""
    return fetch_rows(
        recording,
        CompileEvent,
        f"SELECT {_COLUMNS} FROM compile_events WHERE kind IN {_WHOLE}"
        " AND duration_ns IS NOT NULL AND (?1 IS NULL OR start_ns + duration_ns <= ?1)"
        " AND (?2 IS NULL OR process_id = ?2) ORDER BY duration_ns DESC, id LIMIT ?3",
        (until_ns, process_id, count),
    )


def totals(
    recording: Recording, until_ns: int | None = None, process_id: int | None = None
) -> CompileTotals:
    """Counts of what began by `until_ns`, and the time of what ended.

    A compile inside another one is counted, but its time is only the outer one's.
    """
    (row,) = fetch_rows(
        recording,
        CompileTotals,
        f"SELECT coalesce(sum(e.kind IN {_WHOLE}), 0),"
        f" coalesce(sum(CASE WHEN e.kind IN {_WHOLE} AND NOT EXISTS ("
        "   SELECT 1 FROM compile_events p WHERE p.process_id = e.process_id"
        f"   AND p.key = e.parent_key AND p.kind IN {_WHOLE})"
        "   THEN CASE WHEN ?1 IS NULL THEN coalesce(e.duration_ns, 0)"
        "        ELSE min(coalesce(e.duration_ns, 0), ?1 - e.start_ns) END END), 0),"
        " coalesce(sum(e.kind = 'graph_break'), 0), coalesce(sum(e.kind = 'recompile'), 0),"
        " coalesce(sum(e.kind = 'retrace'), 0), coalesce(sum(e.kind = 'cache_hit'), 0),"
        " coalesce(sum(e.kind = 'cache_miss'), 0), coalesce(sum(e.kind = 'cache_bypass'), 0)"
        " FROM compile_events e WHERE (?1 IS NULL OR e.start_ns <= ?1)"
        " AND (?2 IS NULL OR e.process_id = ?2)",
        (until_ns, process_id),
    )
    return row
