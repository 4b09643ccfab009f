"""Steps: single ones, buckets of them, and their totals. None scans the table `steps`.

A run of a million steps is asked for its totals at each refresh, so these come from
`step_rollups`, which the recorder keeps up in the same transaction as `steps`. Steps of a process
follow each other in time as in index, so a moment is found through the bucket that holds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from fwtop.analysis.steps import StepTotals, of_rollups, of_steps, plus
from fwtop.queries.rows import damaged, fetch_int, fetch_rows, id_list
from fwtop.recording.model import DeviceStep, Step, StepRollup
from fwtop.recording.schema import ROLLUP_NS
from fwtop.recording.store import Recording

_COLUMNS = (
    "process_id, step_index, start_ns, duration_ns, input_ns, h2d_ns, forward_ns, backward_ns,"
    " optimizer_ns, flags, samples"
)
_LAST_INDEX = (1 << 63) - 1

_settled: WeakKeyDictionary[Recording, dict[int, tuple[int, StepTotals]]] = WeakKeyDictionary()
"""By recording and process: a bucket, and the totals of all before it. They change no more,
because a process's steps come in order; so a live view adds only what is new."""

_apart: WeakKeyDictionary[Recording, dict[int, tuple[int, StepTotals]]] = WeakKeyDictionary()
"""By recording and process: the last step that was set apart, and the totals of those so far."""


@dataclass(frozen=True, slots=True)
class _Count:
    process_id: int
    count: int


@dataclass(frozen=True, slots=True)
class _Begun:
    bucket: int
    first_index: int


def lead_process(recording: Recording) -> int | None:
    """Id of the lowest-rank process that has steps; None if there is none yet."""
    return fetch_int(
        recording,
        "SELECT p.id FROM processes p WHERE EXISTS"
        " (SELECT 1 FROM steps s WHERE s.process_id = p.id)"
        " ORDER BY p.rank IS NULL, p.rank, p.id LIMIT 1",
    )


def latest_steps(
    recording: Recording, count: int, process_id: int | None = None, until_ns: int | None = None
) -> list[Step]:
    """The last `count` steps that had ended by `until_ns`, oldest first."""
    process_id = _process(recording, process_id)
    if process_id is None:
        return []
    end = _LAST_INDEX if until_ns is None else _place(recording, process_id, until_ns)[2]
    rows = fetch_rows(
        recording,
        Step,
        f"SELECT {_COLUMNS} FROM steps WHERE process_id = ?1 AND step_index < ?2"
        " AND (?3 IS NULL OR start_ns + duration_ns <= ?3) ORDER BY step_index DESC LIMIT ?4",
        (process_id, end, until_ns, count),
    )
    return rows[::-1]


def steps_between(
    recording: Recording,
    start_ns: int,
    end_ns: int,
    process_id: int | None = None,
    limit: int = 2000,
) -> list[Step]:
    """The first `limit` steps that overlap [start_ns, end_ns), oldest first."""
    process_id = _process(recording, process_id)
    if process_id is None:
        return []
    first = _place(recording, process_id, start_ns)[1]
    end = _place(recording, process_id, end_ns)[2]
    return fetch_rows(
        recording,
        Step,
        f"SELECT {_COLUMNS} FROM steps WHERE process_id = ? AND step_index >= ? AND step_index < ?"
        " AND start_ns + duration_ns > ? AND start_ns < ? ORDER BY step_index LIMIT ?",
        (process_id, first, end, start_ns, end_ns, limit),
    )


def step_at(recording: Recording, at_ns: int, process_id: int | None = None) -> Step | None:
    """The step under way at `at_ns`; None between steps."""
    found = steps_between(recording, at_ns, at_ns + 1, process_id, limit=1)
    return found[0] if found else None


def rollups(
    recording: Recording,
    process_id: int | None = None,
    start_ns: int | None = None,
    end_ns: int | None = None,
) -> list[StepRollup]:
    """The buckets that overlap [start_ns, end_ns), oldest first; empty ones are absent."""
    process_id = _process(recording, process_id)
    first = None if start_ns is None else start_ns // ROLLUP_NS
    end = None if end_ns is None else -(-end_ns // ROLLUP_NS)
    return _rollups(recording, process_id, first, end)


def totals(
    recording: Recording, process_id: int | None = None, until_ns: int | None = None
) -> StepTotals:
    """Sums over the steps that had ended by `until_ns`: exact, at the cost of one bucket's steps.

    Steps follow each other, so all before the last bucket that had begun by then have ended.
    """
    process_id = _process(recording, process_id)
    if process_id is None:
        return StepTotals()
    if until_ns is None:
        last = fetch_int(
            recording, "SELECT max(bucket) FROM step_rollups WHERE process_id = ?", (process_id,)
        )
        if last is None:
            return StepTotals()
        newest = _sum(recording, _rollups(recording, process_id, last, None))
        return plus(_totals_before(recording, process_id, last), newest)
    bucket, first, end = _place(recording, process_id, until_ns)
    rows = fetch_rows(
        recording,
        Step,
        f"SELECT {_COLUMNS} FROM steps WHERE process_id = ? AND step_index >= ? AND step_index < ?"
        " AND start_ns + duration_ns <= ?",
        (process_id, first, end, until_ns),
    )
    return plus(_totals_before(recording, process_id, bucket), of_steps(rows))


def set_apart(
    recording: Recording, process_id: int | None = None, until_ns: int | None = None
) -> StepTotals:
    """Sums over the steps that are no guide to the others: the first, and traced or compiled ones.

    The condition is the one of the index `steps_traced_or_compiled`: STEP_TRACED | STEP_COMPILED.
    """
    process_id = _process(recording, process_id)
    first = first_step(recording, process_id)
    if process_id is None or first is None:
        return StepTotals()
    if until_ns is not None:
        flagged = _flagged(recording, process_id, first.index + 1, until_ns)
        return of_steps([first, *flagged] if first.end_ns <= until_ns else flagged)
    known = _apart.setdefault(recording, {})
    after, total = known.get(process_id, (first.index, of_steps([first])))
    new = _flagged(recording, process_id, after + 1, None)
    if new:
        after, total = new[-1].index, plus(total, of_steps(new))
    known[process_id] = (after, total)
    return total


def first_step(recording: Recording, process_id: int | None = None) -> Step | None:
    """The first step of a process."""
    process_id = _process(recording, process_id)
    rows = fetch_rows(
        recording,
        Step,
        f"SELECT {_COLUMNS} FROM steps WHERE process_id = ? ORDER BY step_index LIMIT 1",
        (process_id,),
    )
    return rows[0] if rows else None


def by_index(recording: Recording, index: int, process_id: int | None = None) -> Step | None:
    """The step of that index; None if there is none."""
    process_id = _process(recording, process_id)
    rows = fetch_rows(
        recording,
        Step,
        f"SELECT {_COLUMNS} FROM steps WHERE process_id = ? AND step_index = ?",
        (process_id, index),
    )
    return rows[0] if rows else None


def counts(recording: Recording, until_ns: int | None = None) -> dict[int, int]:
    """Steps by process id; with `until_ns`, exact as `totals` is."""
    sums = fetch_rows(
        recording,
        _Count,
        "SELECT process_id, sum(count) FROM step_rollups GROUP BY process_id",
    )
    if until_ns is None:
        return {one.process_id: one.count for one in sums}
    return {one.process_id: totals(recording, one.process_id, until_ns).count for one in sums}


def device_steps(
    recording: Recording, indices: Sequence[int], process_id: int | None = None
) -> list[DeviceStep]:
    """The device's view of some steps, by index; those it has none of are absent."""
    process_id = _process(recording, process_id)
    return fetch_rows(
        recording,
        DeviceStep,
        "SELECT process_id, step_index, duration_ns, input_ns, h2d_ns, forward_ns, backward_ns,"
        " optimizer_ns FROM device_steps WHERE process_id = ?"
        " AND step_index IN (SELECT value FROM json_each(?)) ORDER BY step_index",
        (process_id, id_list(indices)),
    )


def _flagged(recording: Recording, process_id: int, first: int, until_ns: int | None) -> list[Step]:
    """Traced or compiled steps from index `first` on that had ended by `until_ns`."""
    return fetch_rows(
        recording,
        Step,
        f"SELECT {_COLUMNS} FROM steps INDEXED BY steps_traced_or_compiled"
        " WHERE process_id = ?1 AND flags & 3 AND step_index >= ?2"
        " AND (?3 IS NULL OR start_ns + duration_ns <= ?3) ORDER BY step_index",
        (process_id, first, until_ns),
    )


def _process(recording: Recording, process_id: int | None) -> int | None:
    return lead_process(recording) if process_id is None else process_id


def _place(recording: Recording, process_id: int, at_ns: int) -> tuple[int, int, int]:
    """The last bucket whose first step had begun by `at_ns`, that step's index, and the index of
    the first step of the bucket after the one that `at_ns` is in.

    All steps of earlier buckets had ended by then; none from the end index on had begun.
    """
    bucket = at_ns // ROLLUP_NS
    begun = fetch_rows(
        recording,
        _Begun,
        "SELECT r.bucket, r.first_index FROM step_rollups r JOIN steps s"
        " ON s.process_id = r.process_id AND s.step_index = r.first_index"
        " WHERE r.process_id = ? AND r.bucket <= ? AND s.start_ns <= ?"
        " ORDER BY r.bucket DESC LIMIT 1",
        (process_id, bucket, at_ns),
    )
    end = fetch_int(
        recording,
        "SELECT first_index FROM step_rollups WHERE process_id = ? AND bucket > ?"
        " ORDER BY bucket LIMIT 1",
        (process_id, bucket),
    )
    last = _LAST_INDEX if end is None else end
    return (begun[0].bucket, begun[0].first_index, last) if begun else (0, 0, last)


def _rollups(
    recording: Recording, process_id: int | None, first: int | None, end: int | None
) -> list[StepRollup]:
    """Buckets [first, end); None is open."""
    return fetch_rows(
        recording,
        StepRollup,
        f"SELECT process_id, bucket * {ROLLUP_NS}, {ROLLUP_NS}, first_index, count,"
        " duration_sum_ns, duration_min_ns, duration_max_ns, input_sum_ns, h2d_sum_ns,"
        " forward_sum_ns, backward_sum_ns, optimizer_sum_ns, samples_sum, flagged, sketch"
        " FROM step_rollups WHERE process_id = ?1 AND (?2 IS NULL OR bucket >= ?2)"
        " AND (?3 IS NULL OR bucket < ?3) ORDER BY bucket",
        (process_id, first, end),
    )


def _totals_before(recording: Recording, process_id: int, bucket: int) -> StepTotals:
    """Totals of all buckets before `bucket`, adding only what was not summed before."""
    known = _settled.setdefault(recording, {})
    start, total = known.get(process_id, (0, StepTotals()))
    if start > bucket:
        return _sum(recording, _rollups(recording, process_id, None, bucket))
    if start < bucket:
        added = _sum(recording, _rollups(recording, process_id, start, bucket))
        total = plus(total, added)
        known[process_id] = (bucket, total)
    return total


def _sum(recording: Recording, buckets: list[StepRollup]) -> StepTotals:
    try:
        return of_rollups(buckets)
    except ValueError as error:
        raise damaged(recording, str(error)) from error
