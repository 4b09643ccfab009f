"""Operators, kernels and families of several runs side by side: what changed, and what of it is
more than trace windows differ by anyway.

Figures are per traced step. An operator's name says which framework it is of, so between
frameworks only families can be compared; each operator is then `added` or `deleted`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import TypeVar

from fwtop.analysis.comparison_facts import DetailSums, RunFacts, TracedWork, WorkSums
from fwtop.analysis.comparison_model import (
    ComparedDetail,
    ComparedFamily,
    ComparedKernel,
    ComparedOperator,
    OperatorChange,
    OperatorSide,
)
from fwtop.analysis.comparison_noise import SMALLEST, STILL, Tolerance, ratio_of, tolerance
from fwtop.analysis.significance import Estimate, false_discoveries, welch

FEWEST_WINDOWS = 4
"""With fewer on a side, their spread says too little."""

Row = TypeVar("Row", ComparedFamily, ComparedOperator, ComparedKernel)
Sums = TypeVar("Sums", WorkSums, DetailSums)
Key = TypeVar("Key")
Sides = tuple[OperatorSide | None, ...]
Changes = tuple[OperatorChange | None, ...]


@dataclass(frozen=True)
class Baseline:
    """What rows are compared with, for every run: None in its own place."""

    works: tuple[TracedWork, ...]
    tolerances: tuple[Tolerance | None, ...]
    step_deltas_ns: tuple[float | None, ...]
    """The mean step's change, where it is none of noise."""


def compare_work(
    runs: Sequence[RunFacts], step_deltas_ns: Sequence[float | None]
) -> tuple[ComparedFamily, ...]:
    """Families with their operators and kernels, most change first."""
    base = Baseline(
        tuple(run.work for run in runs),
        (None, *(tolerance(runs[0], run) for run in runs[1:])),
        tuple(step_deltas_ns),
    )
    operators = _stand_together(_operators(base))
    kernels = _stand_together(_kernels(base))
    families = _stand_together(_families(base, bool(operators)))
    return tuple(
        replace(
            family,
            operators=tuple(
                _most_change_first(
                    row for row in operators if (row.family, row.device) == _key(family)
                )
            ),
            kernels=tuple(
                _most_change_first(row for row in kernels if (row.family, "gpu") == _key(family))
            ),
        )
        for family in _most_change_first(families)
    )


def _key(row: ComparedFamily) -> tuple[str, str]:
    return row.family, row.device


def _families(base: Baseline, by_operator: bool) -> list[ComparedFamily]:
    """By their operators; families that only kernels have, and where a trace holds nothing but
    kernels, by those."""
    of_operators = [work.families if by_operator else () for work in base.works]
    found = _aligned(of_operators, _named)
    of_kernels = _aligned([work.kernel_families for work in base.works], _named)
    for key, row in of_kernels.items():
        found.setdefault(key, row)
    return [
        ComparedFamily(name, device, *_compared(base, row), operators=(), kernels=())
        for (name, device), row in found.items()
    ]


def _operators(base: Baseline) -> list[ComparedOperator]:
    found = _aligned([work.operators for work in base.works], _named)
    details = _details(base)
    rows = []
    for (name, device), row in found.items():
        family = next(sums.family for sums in row if sums is not None)
        own = tuple(details.get(name, ())) if device == "cpu" or (name, "cpu") not in found else ()
        rows.append(ComparedOperator(name, family, device, *_compared(base, row), details=own))
    return rows


def _kernels(base: Baseline) -> list[ComparedKernel]:
    found = _aligned([work.kernels for work in base.works], lambda s: s.name)
    return [
        ComparedKernel(
            name, next(sums.family for sums in row if sums is not None), *_compared(base, row)
        )
        for name, row in found.items()
    ]


def _named(sums: WorkSums) -> tuple[str, str]:
    return sums.name, sums.device


def _details(base: Baseline) -> dict[str, list[ComparedDetail]]:
    """By operator: shapes and the like, where the baseline and another run tell them."""
    deep = [work.deep_steps > 0 for work in base.works]
    if not deep[0] or not any(deep[1:]):
        return {}
    found = _aligned([work.details for work in base.works], lambda s: (s.name, s.kind, s.value))
    by_name: dict[str, list[ComparedDetail]] = {}
    for (name, kind, value), row in found.items():
        sides = tuple(
            None if sums is None else _detail_side(sums, work)
            for sums, work in zip(row, base.works, strict=True)
        )
        changes = _changes(base, sides, deep)
        by_name.setdefault(name, []).append(ComparedDetail(kind, value, sides, changes))
    for details in by_name.values():
        details.sort(key=lambda one: (one.kind, -_most_change(one.changes)))
    return by_name


def _aligned(
    rows: Sequence[Iterable[Sums]], key: Callable[[Sums], Key]
) -> dict[Key, list[Sums | None]]:
    """By key, the sums of each run."""
    found: dict[Key, list[Sums | None]] = {}
    for place, sums_of_run in enumerate(rows):
        for sums in sums_of_run:
            found.setdefault(key(sums), [None] * len(rows))[place] = sums
    return found


def _compared(base: Baseline, row: Sequence[WorkSums | None]) -> tuple[Sides, Changes]:
    sides = tuple(
        None if sums is None else _side(sums, work)
        for sums, work in zip(row, base.works, strict=True)
    )
    changes = list(_changes(base, sides, [work.steps > 0 for work in base.works]))
    before = _estimate(row[0], base.works[0])
    for place, change in enumerate(changes):
        after = _estimate(row[place], base.works[place])
        if change is not None and before is not None and after is not None:
            tolerated = base.tolerances[place] if _on_host(row) else STILL
            within = tolerated is not None and tolerated.holds(change.ratio or 0.0)
            p_value = 1.0 if within and change.ratio is not None else welch(before, after)
            changes[place] = replace(change, p_value=p_value)
    return sides, tuple(changes)


def _on_host(row: Sequence[WorkSums | None]) -> bool:
    """Whether other programs can stretch it: a kernel runs as long however busy the host is."""
    return any(sums is not None and sums.device == "cpu" for sums in row)


def _side(sums: WorkSums, work: TracedWork) -> OperatorSide:
    per = max(1, work.steps)
    rates = _estimate(sums, work, fewest=2)
    return OperatorSide(
        calls=round(sums.calls / per, 3),
        self_ns=round(sums.self_ns / per, 1),
        total_ns=None if sums.total_ns is None else round(sums.total_ns / per, 1),
        spread_ns=round(rates.error * sqrt(work.windows), 1) if rates else None,
    )


def _detail_side(sums: DetailSums, work: TracedWork) -> OperatorSide:
    per = max(1, work.deep_steps)
    return OperatorSide(
        calls=round(sums.calls / per, 3),
        self_ns=round(sums.self_ns / per, 1),
        total_ns=round(sums.total_ns / per, 1),
        spread_ns=None,
    )


def _estimate(
    sums: WorkSums | None, work: TracedWork, fewest: int = FEWEST_WINDOWS
) -> Estimate | None:
    """Self time a step over the windows, those without it counted as 0; None with too few."""
    count = work.spread_windows
    if count < fewest:
        return None
    value = sums.self_ns / max(1, work.steps) if sums else 0.0
    total, squares = (sums.rate_sum, sums.rate_square_sum) if sums else (0.0, 0.0)
    variance = max(0.0, squares - total * total / count) / (count - 1)
    return Estimate(value, sqrt(variance / max(1, work.windows)), count - 1)


def _changes(base: Baseline, sides: Sides, known: Sequence[bool]) -> Changes:
    """Each run's side against the baseline's; None where one has no windows to tell."""
    changes: list[OperatorChange | None] = [None]
    for place in range(1, len(sides)):
        one, two = sides[0], sides[place]
        if not known[0] or not known[place] or (one is None and two is None):
            changes.append(None)
            continue
        changes.append(_change(one, two, base.step_deltas_ns[place]))
    return tuple(changes)


def _change(
    one: OperatorSide | None, two: OperatorSide | None, step_delta_ns: float | None
) -> OperatorChange:
    before, after = one.self_ns if one else 0.0, two.self_ns if two else 0.0
    delta_ns = after - before
    ratio = ratio_of(before, after) if one else None
    if one is None:
        status = "added"
    elif two is None:
        status = "deleted"
    elif ratio is not None and abs(ratio) < SMALLEST:
        status = "unchanged"
    else:
        status = "increased" if delta_ns > 0 else "decreased"
    calls_delta = (two.calls if two else 0.0) - (one.calls if one else 0.0)
    share = delta_ns / step_delta_ns if step_delta_ns else None
    return OperatorChange(delta_ns, ratio, status, None, None, calls_delta, share)


def _stand_together(rows: list[Row]) -> list[Row]:
    """Among hundreds of rows some differ by chance: they stand only as so many do."""
    runs = len(rows[0].changes) if rows else 0
    noises: dict[tuple[int, int], bool] = {}
    for place in range(1, runs):
        told = [
            (number, change.p_value)
            for number, row in enumerate(rows)
            if (change := row.changes[place]) is not None and change.p_value is not None
        ]
        standing = false_discoveries([p_value for _, p_value in told])
        for (number, _), stands in zip(told, standing, strict=True):
            noises[number, place] = not stands
    return [
        replace(
            row,
            changes=tuple(
                replace(change, noise=noises.get((number, place))) if change else None
                for place, change in enumerate(row.changes)
            ),
        )
        for number, row in enumerate(rows)
    ]


def _most_change_first(rows: Iterable[Row]) -> list[Row]:
    return sorted(
        rows,
        key=lambda row: (
            -_most_change(row.changes),
            -max(side.self_ns for side in row.sides if side is not None),
        ),
    )


def _most_change(changes: Changes) -> float:
    return max((abs(change.delta_ns) for change in changes if change is not None), default=0.0)
