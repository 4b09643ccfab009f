"""What only a comparison asks: a sample of the steps, and how work varies between windows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from random import Random

from fwtop.analysis.comparison_facts import ApartSums, DetailSums, TracedWork, WorkSums
from fwtop.queries import operators, steps
from fwtop.queries.rows import fetch, fetch_int, fetch_rows, id_list
from fwtop.recording.model import Step
from fwtop.recording.store import Recording

MOST_STEPS = 4096
"""Of a run, for its statistics: the median's own error is then a fiftieth of the steps' spread."""
MOST_ROWS = 20_000
"""Of operators, kernels or details: no training has as many; a hostile recording may."""
SATURATED = 0.9
"""Share of the host's cores from which one counts on none being free."""

_STEP_COLUMNS = (
    "process_id, step_index, start_ns, duration_ns, input_ns, h2d_ns, forward_ns, backward_ns,"
    " optimizer_ns, flags, samples"
)
_STEADY = "process_id = ?1 AND step_index > ?2 AND NOT flags & 3"
_TRACED = "process_id = ?1 AND step_index > ?2 AND NOT flags & 2"
_CHOSEN = "SELECT value FROM json_each(?1)"


def sampled_steps(recording: Recording, process_id: int | None) -> list[Step]:
    """Steady steps of a process, in their order: all, or one of each of `MOST_STEPS` stretches.
    Where none is steady, as in an imported trace, the traced ones.

    Which one is left to chance (of a fixed seed), so that nothing periodic is met or missed each
    time. Costs as many seeks, however long the run is.
    """
    first = steps.first_step(recording, process_id)
    if process_id is None or first is None:
        return []
    last = fetch_int(
        recording, "SELECT max(step_index) FROM steps WHERE process_id = ?", (process_id,)
    )
    span = (first.index if last is None else last) - first.index
    if span > MOST_STEPS:
        random = Random(1)
        edges = [first.index + 1 + span * part // MOST_STEPS for part in range(MOST_STEPS + 1)]
        wanted = [random.randrange(start, max(start + 1, end)) for start, end in pairwise(edges)]
        found = fetch_rows(
            recording,
            Step,
            f"SELECT {_STEP_COLUMNS} FROM steps WHERE {_STEADY}"
            " AND step_index IN (SELECT value FROM json_each(?3)) ORDER BY step_index",
            (process_id, first.index, id_list(wanted)),
        )
        if len(found) >= MOST_STEPS // 2:
            return found
    # Few steps, or numbers with wide gaps between them.
    for chosen in (_STEADY, _TRACED):
        found = fetch_rows(
            recording,
            Step,
            f"SELECT {_STEP_COLUMNS} FROM steps WHERE {chosen} ORDER BY step_index LIMIT ?3",
            (process_id, first.index, MOST_STEPS),
        )
        if found:
            return found
    return []


def apart(recording: Recording, process_id: int | None) -> ApartSums:
    """The traced and the compiled steps after the first."""
    first = steps.first_step(recording, process_id)
    if process_id is None or first is None:
        return ApartSums()
    (sums,) = fetch_rows(
        recording,
        ApartSums,
        "SELECT coalesce(sum(flags & 3 = 1), 0),"
        " coalesce(sum(CASE WHEN flags & 3 = 1 THEN duration_ns END), 0),"
        " coalesce(sum(flags & 2 = 2), 0),"
        " coalesce(sum(CASE WHEN flags & 2 THEN duration_ns END), 0)"
        " FROM steps INDEXED BY steps_traced_or_compiled"
        " WHERE process_id = ? AND flags & 3 AND step_index > ?",
        (process_id, first.index),
    )
    return sums


def traced_work(recording: Recording, process_id: int | None) -> TracedWork:
    """What the windows of a process hold; of all processes, where this one has none."""
    chosen = operators.window_ids(recording, process_id)
    if not chosen and process_id is not None:
        chosen = operators.window_ids(recording)
    if not chosen:
        return TracedWork()
    deep = _deep(recording, chosen)
    return TracedWork(
        windows=len(chosen),
        steps=operators.traced_steps(recording, chosen),
        deep_steps=operators.traced_steps(recording, deep) if deep else 0,
        operators=tuple(_work(recording, chosen, _OPERATORS, "n.name")),
        families=tuple(_work(recording, chosen, _OPERATORS, "n.family", "NULL")),
        kernels=tuple(_work(recording, chosen, _KERNELS, "n.name")),
        kernel_families=tuple(_work(recording, chosen, _KERNELS, "n.family", "NULL")),
        details=tuple(_details(recording, deep)) if deep else (),
    )


def peak_rss_bytes(recording: Recording) -> int | None:
    """The most memory that the run's processes held at once on the host, by its readings."""
    return fetch_int(recording, "SELECT max(run_rss_bytes) FROM host_samples")


def contention_ratio(recording: Recording, since_ns: int) -> float | None:
    """What other programs held of the host's cores while none was idle, over the readings from
    `since_ns` on: 0 on a machine of one's own, None where nothing tells."""
    ((ratio,),) = fetch(
        recording,
        "SELECT avg(CASE WHEN cpu_ratio < ?2 THEN 0.0 ELSE max(0.0, cpu_ratio"
        "  - (run_cpu_ratio + coalesce(recorder_cpu_ratio, 0.0)) / length(core_ratios)) END)"
        " FROM host_samples WHERE at_ns >= ?1 AND length(core_ratios) > 0"
        " AND run_cpu_ratio IS NOT NULL AND cpu_ratio IS NOT NULL",
        (since_ns, SATURATED),
    )
    return min(1.0, max(0.0, ratio)) if isinstance(ratio, float) else None


_OPERATORS = "operator_stats s", "s.device", "s.self_ns", "s.total_ns"
_KERNELS = "kernel_stats s", "'gpu'", "s.total_ns", "s.total_ns"


def _work(
    recording: Recording,
    chosen: Sequence[int],
    source: tuple[str, str, str, str],
    key: str,
    total: str = "sum(total_ns)",
) -> list[WorkSums]:
    """Sums by `key` and device, with those of each window's time a step; most self time first."""
    table, device, self_ns, total_ns = source
    return fetch_rows(
        recording,
        WorkSums,
        f"SELECT key, family, device, sum(calls), sum(self_ns), {total},"
        " sum(rate), sum(rate * rate) FROM ("
        f"  SELECT {key} AS key, n.family AS family, {device} AS device, sum(s.calls) AS calls,"
        f"  sum({self_ns}) AS self_ns, sum({total_ns}) AS total_ns,"
        f"  sum({self_ns}) * 1.0 / max(1, w.step_count) AS rate"
        f"  FROM {table} JOIN windows w ON w.id = s.window_id"
        "  JOIN operator_names n ON n.id = s.operator_id"
        f"  WHERE s.window_id IN ({_CHOSEN}) GROUP BY 1, 3, s.window_id)"
        " GROUP BY key, device ORDER BY sum(self_ns) DESC, key LIMIT ?2",
        (id_list(chosen), MOST_ROWS),
    )


def _details(recording: Recording, deep: Sequence[int]) -> list[DetailSums]:
    return fetch_rows(
        recording,
        DetailSums,
        "SELECT n.name, kind, value, sum(calls), sum(self_ns), sum(total_ns)"
        " FROM operator_details d JOIN operator_names n ON n.id = d.operator_id"
        f" WHERE window_id IN ({_CHOSEN}) GROUP BY d.operator_id, kind, value"
        " ORDER BY sum(self_ns) DESC, value LIMIT ?2",
        (id_list(deep), MOST_ROWS),
    )


def _deep(recording: Recording, chosen: Sequence[int]) -> list[int]:
    """The deep ones of these windows; of all decoded ones, where these have none: the first window
    of a run is often deep and not counted."""
    found = [one for one in operators.windows(recording) if one.deep and one.state == "decoded"]
    wanted = set(chosen)
    return [one.id for one in found if one.id in wanted] or [one.id for one in found]
