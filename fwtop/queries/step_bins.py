"""Steps put together into bins of any length, and the slowest of them: summed in SQL.

A bin may be shorter than a bucket of `step_rollups`; the rows that are read are still only those of
the buckets that the stretch overlaps.
"""

from __future__ import annotations

from dataclasses import dataclass

from fwtop.queries.rows import fetch_rows
from fwtop.queries.steps import lead_process
from fwtop.recording.model import Step
from fwtop.recording.schema import ROLLUP_NS
from fwtop.recording.store import Recording

_INDICES = (
    f" step_index >= coalesce((SELECT first_index FROM step_rollups WHERE process_id = ?1"
    f" AND bucket <= ?2 / {ROLLUP_NS} ORDER BY bucket DESC LIMIT 1), 0)"
    f" AND step_index < coalesce((SELECT first_index FROM step_rollups WHERE process_id = ?1"
    f" AND bucket > ?3 / {ROLLUP_NS} ORDER BY bucket LIMIT 1), {(1 << 63) - 1})"
)


@dataclass(frozen=True, slots=True)
class StepBinSums:
    """The steps that began in one bin: sums, the longest, and which bin it is."""

    bin: int
    """`start_ns // bin_ns`."""
    count: int
    duration_sum_ns: int
    duration_max_ns: int
    input_sum_ns: int | None
    h2d_sum_ns: int | None
    forward_sum_ns: int | None
    backward_sum_ns: int | None
    optimizer_sum_ns: int | None
    samples_sum: int | None


def binned(
    recording: Recording, start_ns: int, end_ns: int, bin_ns: int, process_id: int | None = None
) -> list[StepBinSums]:
    """The steps that began in [start_ns, end_ns) by bins of `bin_ns`; empty bins are absent."""
    process_id = lead_process(recording) if process_id is None else process_id
    if process_id is None:
        return []
    if bin_ns % ROLLUP_NS == 0:
        return fetch_rows(
            recording,
            StepBinSums,
            f"SELECT bucket * {ROLLUP_NS} / ?4 AS bin, sum(count), sum(duration_sum_ns),"
            " max(duration_max_ns), sum(input_sum_ns), sum(h2d_sum_ns), sum(forward_sum_ns),"
            " sum(backward_sum_ns), sum(optimizer_sum_ns), sum(samples_sum) FROM step_rollups"
            f" WHERE process_id = ?1 AND bucket >= ?2 / {ROLLUP_NS} AND bucket * {ROLLUP_NS} < ?3"
            " GROUP BY bin ORDER BY bin",
            (process_id, start_ns, end_ns, bin_ns),
        )
    return fetch_rows(
        recording,
        StepBinSums,
        "SELECT start_ns / ?4 AS bin, count(*), sum(duration_ns), max(duration_ns), sum(input_ns),"
        " sum(h2d_ns), sum(forward_ns), sum(backward_ns), sum(optimizer_ns), sum(samples)"
        f" FROM steps WHERE process_id = ?1 AND {_INDICES} AND start_ns >= ?2 AND start_ns < ?3"
        " GROUP BY bin ORDER BY bin",
        (process_id, start_ns, end_ns, bin_ns),
    )


def slowest(
    recording: Recording, start_ns: int, end_ns: int, count: int, process_id: int | None = None
) -> list[Step]:
    """The `count` longest steps that began in [start_ns, end_ns), the longest first."""
    process_id = lead_process(recording) if process_id is None else process_id
    if process_id is None:
        return []
    return fetch_rows(
        recording,
        Step,
        "SELECT process_id, step_index, start_ns, duration_ns, input_ns, h2d_ns, forward_ns,"
        " backward_ns, optimizer_ns, flags, samples FROM steps"
        f" WHERE process_id = ?1 AND {_INDICES} AND start_ns >= ?2 AND start_ns < ?3"
        " ORDER BY duration_ns DESC LIMIT ?4",
        (process_id, start_ns, end_ns, count),
    )
