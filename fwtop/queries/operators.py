"""Trace windows and what they hold: operators, their details, kernels. All sums, over windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fwtop.queries.rows import fetch, fetch_int, fetch_rows, id_list
from fwtop.recording.store import Recording
from fwtop.recording.window_model import KernelRow, LevelCount, OperatorDetail, OperatorRow, Window

_WINDOW_COLUMNS = (
    "id, process_id, format, deep, way, level, first_step, step_count, start_ns, end_ns, cost_ns,"
    " slowdown_ns, counted, event_count, raw_bytes, state, note, span_ns, busy_ns, compute_ns,"
    " communication_ns, overlap_ns, host_wait_ns, kernel_wait_ns, other_wait_ns"
)
_CHOSEN = "window_id IN (SELECT value FROM json_each(?1))"
LEVELS = (
    "WITH found AS (SELECT id, step_count, CAST(level AS INTEGER) AS level FROM windows"
    "  WHERE id IN (SELECT value FROM json_each(?1))),"
    " chosen AS MATERIALIZED (SELECT id, step_count, level,"
    "  coalesce(level = (SELECT max(level) FROM found), 0) AS is_full FROM found),"
    " weights AS MATERIALIZED (SELECT sum(CASE WHEN level IS NOT NULL THEN step_count END) * 1.0"
    "  / max(1, sum(CASE WHEN is_full THEN step_count END)) AS weight FROM chosen)"
)
"""The chosen windows, whether each was taken at the fullest level of them, and by what a figure of
those alone is weighed. Windows of a profiler without levels are as they are."""


@dataclass(frozen=True, slots=True)
class _Counted:
    window_id: int
    counted: bool


def windows(
    recording: Recording, process_id: int | None = None, until_ns: int | None = None
) -> list[Window]:
    """The trace windows that had ended by `until_ns`, of one process or of all, oldest first."""
    return fetch_rows(
        recording,
        Window,
        f"SELECT {_WINDOW_COLUMNS} FROM windows WHERE (?1 IS NULL OR process_id = ?1)"
        " AND (?2 IS NULL OR end_ns <= ?2) ORDER BY id",
        (process_id, until_ns),
    )


def window_ids(
    recording: Recording, process_id: int | None = None, until_ns: int | None = None
) -> list[int]:
    """The windows that figures come from: decoded ones, without the warming-up ones if there are
    others."""
    rows = fetch_rows(
        recording,
        _Counted,
        "SELECT id, counted FROM windows WHERE state = 'decoded'"
        " AND (?1 IS NULL OR process_id = ?1) AND (?2 IS NULL OR end_ns <= ?2) ORDER BY id",
        (process_id, until_ns),
    )
    counted = [row.window_id for row in rows if row.counted]
    return counted or [row.window_id for row in rows]


def traced_steps(recording: Recording, window_ids: Sequence[int] | None = None) -> int:
    """How many traced steps the sums are of: what to divide them by."""
    return (
        fetch_int(
            recording,
            "SELECT sum(step_count) FROM windows WHERE id IN (SELECT value FROM json_each(?1))",
            (_chosen(recording, window_ids),),
        )
        or 0
    )


def newest_window(recording: Recording) -> int | None:
    """The id of the window that was decoded last, whether it counts or not."""
    return fetch_int(recording, "SELECT max(id) FROM windows WHERE state = 'decoded'")


def levels(recording: Recording, window_ids: Sequence[int] | None = None) -> list[LevelCount]:
    """The levels of detail that windows were taken at, most windows first.

    Empty where the profiler has no levels.
    """
    return fetch_rows(
        recording,
        LevelCount,
        "SELECT level, count(*) FROM windows WHERE level IS NOT NULL"
        " AND id IN (SELECT value FROM json_each(?1)) GROUP BY level ORDER BY count(*) DESC, level",
        (_chosen(recording, window_ids),),
    )


def operators(recording: Recording, window_ids: Sequence[int] | None = None) -> list[OperatorRow]:
    """Operators by name, phase and device, summed over windows; most self time first.

    Where windows were taken at several levels of detail, what only the fullest ones hold was left
    out by the others: its sums are then their steps' figures times all traced steps over theirs,
    so that a figure per traced step is that of the steps which could see it.
    """
    return fetch_rows(
        recording,
        OperatorRow,
        f"{LEVELS}, summed AS (SELECT operator_id, phase, device, sum(calls) AS calls,"
        "  sum(self_ns) AS self_ns, sum(total_ns) AS total_ns,"
        "  sum(self_allocated_bytes) AS bytes, sum(flops) AS flops,"
        "  CASE WHEN min(is_full) THEN (SELECT weight FROM weights) ELSE 1.0 END AS weight"
        "  FROM operator_stats JOIN chosen ON chosen.id = window_id"
        "  GROUP BY operator_id, phase, device)"
        " SELECT name, family, phase, device, CAST(round(calls * weight) AS INTEGER),"
        "  CAST(round(self_ns * weight) AS INTEGER), CAST(round(total_ns * weight) AS INTEGER),"
        "  CAST(round(bytes * weight) AS INTEGER), CAST(round(flops * weight) AS INTEGER)"
        " FROM summed JOIN operator_names ON operator_names.id = operator_id"
        " ORDER BY self_ns * weight DESC, name, phase",
        (_chosen(recording, window_ids),),
    )


def operator_trend(
    recording: Recording, name: str, count: int = 32, device: str | None = None
) -> list[float]:
    """Self time in ns a traced step of one operator in each of the last `count` windows; of the
    fullest level's alone, where no other has it."""
    rows = fetch(
        recording,
        f"{LEVELS}, own AS (SELECT window_id, self_ns FROM operator_stats"
        "  JOIN chosen ON chosen.id = window_id"
        "  WHERE operator_id = (SELECT id FROM operator_names WHERE name = ?2)"
        "  AND (?4 IS NULL OR device = ?4))"
        " SELECT coalesce((SELECT sum(self_ns) FROM own WHERE window_id = c.id), 0) * 1.0"
        "  / max(1, c.step_count) FROM chosen c"
        " WHERE c.is_full OR EXISTS (SELECT 1 FROM own JOIN chosen o ON o.id = own.window_id"
        "  WHERE NOT o.is_full) OR NOT EXISTS (SELECT 1 FROM own)"
        " ORDER BY c.id DESC LIMIT ?3",
        (_chosen(recording, None), name, count, device),
    )
    return [float(value) for (value,) in reversed(rows)]


def details(
    recording: Recording, name: str, window_ids: Sequence[int] | None = None
) -> list[OperatorDetail]:
    """An operator's shapes, modules and source lines from deep windows, dearest first."""
    chosen = _chosen(recording, window_ids) if window_ids is not None else _decoded(recording)
    return fetch_rows(
        recording,
        OperatorDetail,
        "SELECT name, kind, value, sum(calls), sum(self_ns), sum(total_ns) FROM operator_details"
        f" JOIN operator_names ON operator_names.id = operator_id WHERE {_CHOSEN} AND name = ?2"
        " GROUP BY operator_id, kind, value ORDER BY kind, sum(self_ns) DESC, value",
        (chosen, name),
    )


def kernels(recording: Recording, window_ids: Sequence[int] | None = None) -> list[KernelRow]:
    """Kernels, copies and fills, summed over streams and windows; most time first."""
    return fetch_rows(
        recording,
        KernelRow,
        "SELECT name, family, sum(calls), sum(total_ns), e.measured_ns, e.sm_busy_ns, e.occupied_ns"
        " FROM kernel_stats k JOIN operator_names n ON n.id = k.operator_id LEFT JOIN"
        "  (SELECT operator_id, sum(measured_ns) AS measured_ns, sum(sm_busy_ns) AS sm_busy_ns,"
        f"   sum(occupied_ns) AS occupied_ns FROM kernel_efficiency WHERE {_CHOSEN}"
        "   GROUP BY operator_id) e ON e.operator_id = k.operator_id"
        f" WHERE k.{_CHOSEN} GROUP BY k.operator_id ORDER BY sum(total_ns) DESC, name",
        (_chosen(recording, window_ids),),
    )


def _chosen(recording: Recording, chosen: Sequence[int] | None) -> str:
    return id_list(window_ids(recording) if chosen is None else chosen)


def _decoded(recording: Recording) -> str:
    """Every decoded window, for what only some windows hold."""
    rows = fetch(recording, "SELECT id FROM windows WHERE state = 'decoded'")
    return id_list([window_id for (window_id,) in rows])
