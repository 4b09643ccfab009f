"""Where the devices' time went in the trace windows: use, steps by class, FLOPs. Sums, mostly.

`window_ids` are those of `fwtop.queries.operators.window_ids` where none are given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fwtop.analysis.sketch import Sketch
from fwtop.queries.operators import window_ids as counted
from fwtop.queries.rows import damaged, fetch, fetch_rows, id_list
from fwtop.recording.store import Recording
from fwtop.recording.window_model import (
    DeviceTime,
    DtypeFlops,
    OperatorFlops,
    StepClasses,
    StepClassSums,
)

_CHOSEN = "window_id IN (SELECT value FROM json_each(?1))"


def device_times(recording: Recording, window_ids: Sequence[int] | None = None) -> list[DeviceTime]:
    """How each device of each process was used, summed over windows."""
    return fetch_rows(
        recording,
        DeviceTime,
        "SELECT process_id, device, count(*), sum(d.span_ns), sum(d.busy_ns), sum(kernel_ns),"
        " sum(measured_ns), sum(sm_busy_ns), sum(occupied_ns), sum(tensor_core_ns), sum(launches),"
        " sum(launch_delay_sum_ns), max(queue_max) FROM window_devices d"
        f" JOIN windows ON windows.id = window_id WHERE {_CHOSEN}"
        " GROUP BY process_id, device ORDER BY process_id, device",
        (_ids(recording, window_ids),),
    )


def launch_delays(recording: Recording, window_ids: Sequence[int] | None = None) -> Sketch:
    """The delays of all launches: from the end of the call to the start on the device, in ns."""
    whole = Sketch()
    rows = fetch(
        recording,
        f"SELECT launch_delays FROM window_devices WHERE {_CHOSEN}",
        (_ids(recording, window_ids),),
    )
    for (data,) in rows:
        try:
            whole.merge(Sketch.from_bytes(data))
        except (TypeError, ValueError) as error:
            raise damaged(recording, f"launch delays: {error}") from error
    return whole


def step_classes(
    recording: Recording, window_ids: Sequence[int] | None = None, limit: int = 1_000
) -> list[StepClasses]:
    """The last traced steps with their time by class, oldest first."""
    rows = fetch_rows(
        recording,
        StepClasses,
        "SELECT process_id, step_index, kernel_ns, memcpy_ns, memset_ns, b.communication_ns,"
        " runtime_ns, dataloader_ns, cpu_op_ns, other_ns FROM step_breakdowns b"
        f" JOIN windows ON windows.id = window_id WHERE {_CHOSEN}"
        " ORDER BY window_id DESC, step_index DESC LIMIT ?2",
        (_ids(recording, window_ids), limit),
    )
    return rows[::-1]


def step_class_sums(
    recording: Recording, window_ids: Sequence[int] | None = None
) -> StepClassSums | None:
    """The time by class of all traced steps; None where none tells."""
    (sums,) = fetch_rows(
        recording,
        StepClassSums,
        "SELECT count(*), coalesce(sum(kernel_ns), 0), coalesce(sum(memcpy_ns), 0),"
        " coalesce(sum(memset_ns), 0), coalesce(sum(communication_ns), 0),"
        " coalesce(sum(runtime_ns), 0), coalesce(sum(dataloader_ns), 0),"
        " coalesce(sum(cpu_op_ns), 0), coalesce(sum(other_ns), 0)"
        f" FROM step_breakdowns WHERE {_CHOSEN}",
        (_ids(recording, window_ids),),
    )
    return sums if sums.steps else None


def operator_flops(
    recording: Recording, window_ids: Sequence[int] | None = None
) -> list[OperatorFlops]:
    """Operators whose shapes tell their FLOPs, over the windows that have shapes; most first."""
    return fetch_rows(
        recording,
        OperatorFlops,
        "SELECT name, h.phase, sum(h.calls), sum(h.flops), sum(h.total_ns), sum(d.total_ns)"
        " FROM operator_stats h JOIN operator_names n ON n.id = h.operator_id"
        " LEFT JOIN operator_stats d ON d.window_id = h.window_id"
        "  AND d.operator_id = h.operator_id AND d.phase = h.phase AND d.device = 'gpu'"
        f" WHERE h.{_CHOSEN} AND h.device = 'cpu' AND h.flops IS NOT NULL"
        " GROUP BY h.operator_id, h.phase ORDER BY sum(h.flops) DESC, name, h.phase",
        (_ids(recording, window_ids),),
    )


def flops_by_dtype(
    recording: Recording, window_ids: Sequence[int] | None = None
) -> list[DtypeFlops]:
    """FLOPs by the dtype of the inputs, over the windows that have shapes; most first."""
    return fetch_rows(
        recording,
        DtypeFlops,
        f"SELECT dtype, sum(flops) FROM operator_flops WHERE {_CHOSEN}"
        " GROUP BY dtype ORDER BY sum(flops) DESC, dtype",
        (_ids(recording, window_ids),),
    )


@dataclass(frozen=True, slots=True)
class _Counted:
    window_id: int
    step_count: int


def shaped_windows(
    recording: Recording, process_id: int | None = None, until_ns: int | None = None
) -> tuple[list[int], int]:
    """The windows that tell FLOPs, whether they count otherwise or not, and their traced steps."""
    rows = fetch_rows(
        recording,
        _Counted,
        "SELECT id, step_count FROM windows WHERE state = 'decoded'"
        " AND (?1 IS NULL OR process_id = ?1) AND (?2 IS NULL OR end_ns <= ?2)"
        " AND id IN (SELECT window_id FROM operator_flops) ORDER BY id",
        (process_id, until_ns),
    )
    return [row.window_id for row in rows], sum(row.step_count for row in rows)


def _ids(recording: Recording, window_ids: Sequence[int] | None) -> str:
    return id_list(counted(recording) if window_ids is None else window_ids)
