"""What only a comparison asks: a sample of the steps, and how work varies between windows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from fwtop.analysis.comparison.facts import ApartSums, DetailSums, TracedWork, WorkSums
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

SPREAD_WINDOWS = 64
"""How many of a run's windows tell how far these are apart, evenly spread; sums are of all."""

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
    spread = chosen[:: -(-len(chosen) // SPREAD_WINDOWS)]
    found = [
        sums
        for source in (_OPERATORS, _KERNELS)
        for sums in _work(recording, chosen, spread, source)
    ]
    return TracedWork(
        windows=len(chosen),
        spread_windows=len(spread),
        steps=operators.traced_steps(recording, chosen),
        deep_steps=operators.traced_steps(recording, deep) if deep else 0,
        operators=found[0],
        families=found[1],
        kernels=found[2],
        kernel_families=found[3],
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


@dataclass(frozen=True)
class _Source:
    """Where a kind of work is kept."""

    table: str
    device: str
    self_ns: str


_OPERATORS = _Source("operator_stats", "device", "self_ns")
_KERNELS = _Source("kernel_stats", "'gpu'", "total_ns")


@dataclass(frozen=True, slots=True)
class _Total:
    id: int
    name: str
    family: str
    device: str
    calls: int
    self_ns: int
    total_ns: int
    weight: float


@dataclass(frozen=True, slots=True)
class _Spread:
    key: str
    device: str
    rate_sum: float
    rate_square_sum: float


def _work(
    recording: Recording, chosen: Sequence[int], spread: Sequence[int], source: _Source
) -> tuple[tuple[WorkSums, ...], tuple[WorkSums, ...]]:
    """Each by itself and by family: sums over all windows, spread over some; most time first.

    What only windows of the fullest level hold is weighed as in `operators.operators`.
    """
    totals = fetch_rows(
        recording,
        _Total,
        f"{operators.LEVELS}, summed AS (SELECT operator_id, {source.device} AS device,"
        f"  sum(calls) AS calls, sum({source.self_ns}) AS self_ns, sum(total_ns) AS total_ns,"
        "  CASE WHEN min(is_full) THEN (SELECT weight FROM weights) ELSE 1.0 END AS weight"
        f"  FROM {source.table} JOIN chosen ON chosen.id = window_id GROUP BY 1, 2)"
        " SELECT id, name, family, device, CAST(round(calls * weight) AS INTEGER),"
        "  CAST(round(self_ns * weight) AS INTEGER), CAST(round(total_ns * weight) AS INTEGER),"
        "  weight FROM summed JOIN operator_names ON id = operator_id"
        " ORDER BY self_ns * weight DESC, name LIMIT ?2",
        (id_list(chosen), MOST_ROWS),
    )
    weights = {f"{one.id} {one.device}": one.weight for one in totals if one.weight != 1.0}
    by_name = _spread(recording, spread, source, "CAST(n.id AS TEXT)", weights)
    by_family = _spread(recording, spread, source, "n.family", weights)
    rows, families = [], dict[tuple[str, str], tuple[int, int]]()
    for one in totals:
        rates = by_name.get((str(one.id), one.device), (0.0, 0.0))
        rows.append(
            WorkSums(one.name, one.family, one.device, one.calls, one.self_ns, one.total_ns, *rates)
        )
        calls, self_ns = families.get((one.family, one.device), (0, 0))
        families[one.family, one.device] = calls + one.calls, self_ns + one.self_ns
    of_families = [
        WorkSums(name, name, device, *sums, None, *by_family.get((name, device), (0.0, 0.0)))
        for (name, device), sums in families.items()
    ]
    return tuple(rows), tuple(of_families)


def _spread(
    recording: Recording,
    windows: Sequence[int],
    source: _Source,
    key: str,
    weights: Mapping[str, float],
) -> dict[tuple[str, str], tuple[float, float]]:
    """By key and device: the sums of each window's self time a step, and of its square.

    `weights` are by operator and device, `7 cpu`, for those that are weighed at all.
    """
    rows = fetch_rows(
        recording,
        _Spread,
        "SELECT key, device, sum(rate), sum(rate * rate) FROM ("
        f"  SELECT {key} AS key, {source.device} AS device,"
        f"  sum(s.{source.self_ns} * coalesce(weighed.value, 1.0)) / max(1, w.step_count) AS rate"
        f"  FROM {source.table} s"
        "  JOIN windows w ON w.id = s.window_id JOIN operator_names n ON n.id = s.operator_id"
        "  LEFT JOIN json_each(?2) AS weighed"
        f"   ON weighed.key = s.operator_id || ' ' || {source.device}"
        f"  WHERE s.window_id IN ({_CHOSEN}) GROUP BY 1, 2, s.window_id) GROUP BY key, device",
        (id_list(windows), json.dumps(weights)),
    )
    return {(row.key, row.device): (row.rate_sum, row.rate_square_sum) for row in rows}


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
