"""Operators, kernels and families of several sides beside each other: what changed, and what of it
is more than trace windows, and with repeats of a side its runs, differ by anyway.

Figures are per traced step. An operator's name says which framework it is of, so between
frameworks only families can be compared; each operator is then `added` or `deleted`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import TypeVar

from fwtop.analysis.comparison import repeats
from fwtop.analysis.comparison.facts import DetailSums, SideFacts, TracedWork, WorkSums
from fwtop.analysis.comparison.model import (
    ComparedDetail,
    ComparedFamily,
    ComparedKernel,
    ComparedOperator,
    OperatorChange,
    OperatorSide,
)
from fwtop.analysis.comparison.noise import (
    SMALLEST,
    Tolerance,
    ratio_of,
    still,
    tolerance,
)
from fwtop.analysis.comparison.repeats import Measured
from fwtop.analysis.comparison.significance import Estimate, false_discoveries, welch

NEVER = OperatorSide(0.0, 0.0, None, None)
FEWEST_WINDOWS = 4
"""With fewer on a side, their spread says too little."""

Row = TypeVar("Row", ComparedFamily, ComparedOperator, ComparedKernel)
Sums = TypeVar("Sums", WorkSums, DetailSums)
Key = TypeVar("Key")
OfSide = tuple[Sums | None, ...]
"""One of work in a side: of each of its runs that have windows; None where one did not have it."""
Sides = tuple[OperatorSide | None, ...]
Changes = tuple[OperatorChange | None, ...]


@dataclass(frozen=True)
class Baseline:
    """What rows are compared with, for every side: None in its own place."""

    works: tuple[tuple[TracedWork, ...], ...]
    """By side, of the runs that have windows."""
    tolerances: tuple[Tolerance | None, ...]
    """Of times on the host."""
    still: tuple[Tolerance | None, ...]
    """Of those on a device: a kernel runs as long however busy the host is."""
    few_runs: tuple[bool, ...]
    """Whether there are repeats, and too few of them to call a difference noise."""
    step_deltas_ns: tuple[float | None, ...]
    """The mean step's change, where it is none of noise."""


def compare_work(
    sides: Sequence[SideFacts], step_deltas_ns: Sequence[float | None]
) -> tuple[ComparedFamily, ...]:
    """Families with their operators and kernels, most change first."""
    one, others = sides[0], sides[1:]
    runs = len(one.works)
    several = [max(runs, len(side.works)) > 1 for side in others]
    enough = [repeats.enough(runs, len(side.works)) for side in others]
    base = Baseline(
        tuple(side.works for side in sides),
        (None, *(tolerance(one, *pair) for pair in zip(others, several, strict=True))),
        (None, *map(still, several)),
        (False, *(more and not told for more, told in zip(several, enough, strict=True))),
        tuple(step_deltas_ns),
    )
    operators = _stand_together(_operators(base), base)
    kernels = _stand_together(_kernels(base), base)
    families = _stand_together(_families(base, bool(operators)), base)
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
    found = _aligned(base, lambda work: work.families if by_operator else (), _named)
    of_kernels = _aligned(base, lambda work: work.kernel_families, _named)
    for key, row in of_kernels.items():
        found.setdefault(key, row)
    return [
        ComparedFamily(name, device, *_compared(base, row), operators=(), kernels=())
        for (name, device), row in found.items()
    ]


def _operators(base: Baseline) -> list[ComparedOperator]:
    found = _aligned(base, lambda work: work.operators, _named)
    details = _details(base)
    rows = []
    for (name, device), row in found.items():
        family = _any(row).family
        own = tuple(details.get(name, ())) if device == "cpu" or (name, "cpu") not in found else ()
        rows.append(ComparedOperator(name, family, device, *_compared(base, row), details=own))
    return rows


def _kernels(base: Baseline) -> list[ComparedKernel]:
    found = _aligned(base, lambda work: work.kernels, lambda s: s.name)
    return [
        ComparedKernel(name, _any(row).family, *_compared(base, row)) for name, row in found.items()
    ]


def _named(sums: WorkSums) -> tuple[str, str]:
    return sums.name, sums.device


def _details(base: Baseline) -> dict[str, list[ComparedDetail]]:
    """By operator: shapes and the like, where the baseline and another run tell them."""
    deep = [any(work.deep_steps for work in works) for works in base.works]
    if not deep[0] or not any(deep[1:]):
        return {}
    found = _aligned(base, lambda work: work.details, lambda s: (s.name, s.kind, s.value))
    by_name: dict[str, list[ComparedDetail]] = {}
    for (name, kind, value), row in found.items():
        sides = tuple(_detail_side(*pair) for pair in zip(row, base.works, strict=True))
        changes = _changes(base, sides, deep)
        by_name.setdefault(name, []).append(ComparedDetail(kind, value, sides, changes))
    for details in by_name.values():
        details.sort(key=lambda one: (one.kind, -_most_change(one.changes)))
    return by_name


def _aligned(
    base: Baseline,
    of: Callable[[TracedWork], Iterable[Sums]],
    key: Callable[[Sums], Key],
) -> dict[Key, list[OfSide[Sums]]]:
    """By key, the sums of each side's runs."""
    found: dict[Key, list[list[Sums | None]]] = {}
    for place, works in enumerate(base.works):
        for number, work in enumerate(works):
            for sums in of(work):
                name = key(sums)
                if name not in found:
                    found[name] = [[None] * len(works) for works in base.works]
                found[name][place][number] = sums
    return {name: [tuple(side) for side in row] for name, row in found.items()}


def _any(row: Sequence[OfSide[WorkSums]]) -> WorkSums:
    return next(sums for side in row for sums in side if sums is not None)


def _compared(base: Baseline, row: Sequence[OfSide[WorkSums]]) -> tuple[Sides, Changes]:
    sides = tuple(_side(*pair) for pair in zip(row, base.works, strict=True))
    changes = list(_changes(base, sides, [bool(works) for works in base.works]))
    tolerances = base.tolerances if _any(row).device == "cpu" else base.still
    before = _measured(row[0], base.works[0])
    for place, change in enumerate(changes):
        both = repeats.estimates(before, _measured(row[place], base.works[place]))
        tolerated = tolerances[place]
        if change is not None and both is not None and tolerated is not None:
            within = change.ratio is not None and tolerated.holds(change.ratio)
            p_value = 1.0 if within else 0.0 if _came_or_went(sides[0], sides[place]) else None
            changes[place] = replace(change, p_value=welch(*both) if p_value is None else p_value)
    return sides, tuple(changes)


def _came_or_went(one: OperatorSide | None, two: OperatorSide | None) -> bool:
    """Whether what runs in each step of one side never does in the other: no matter of spread."""
    return (one is None) != (two is None) and (one or two or NEVER).calls >= 1


def _side(sums: OfSide[WorkSums], works: Sequence[TracedWork]) -> OperatorSide | None:
    known = [one for one in sums if one is not None]
    if not known:
        return None
    per = max(1, sum(work.steps for work in works))
    totals = [one.total_ns for one in known if one.total_ns is not None]
    return OperatorSide(
        calls=round(sum(one.calls for one in known) / per, 3),
        self_ns=round(sum(one.self_ns for one in known) / per, 1),
        total_ns=round(sum(totals) / per, 1) if len(totals) == len(known) else None,
        spread_ns=_spread_ns(sums, works),
    )


def _spread_ns(sums: OfSide[WorkSums], works: Sequence[TracedWork]) -> float | None:
    """Standard deviation of self time a step between windows; with repeats, within the runs."""
    told = [
        (estimate.error**2 * work.windows, estimate.freedom)
        for one, work in zip(sums, works, strict=True)
        if (estimate := _within(one, work, fewest=2)) is not None
    ]
    if not told:
        return None
    variance = sum(part * freedom for part, freedom in told) / sum(f for _, f in told)
    return round(sqrt(variance), 1)


def _detail_side(sums: OfSide[DetailSums], works: Sequence[TracedWork]) -> OperatorSide | None:
    known = [one for one in sums if one is not None]
    if not known:
        return None
    per = max(1, sum(work.deep_steps for work in works))
    return OperatorSide(
        calls=round(sum(one.calls for one in known) / per, 3),
        self_ns=round(sum(one.self_ns for one in known) / per, 1),
        total_ns=round(sum(one.total_ns for one in known) / per, 1),
        spread_ns=None,
    )


def _measured(sums: OfSide[WorkSums], works: Sequence[TracedWork]) -> list[Measured]:
    """Self time a step in each run; 0 where it did not run."""
    return [
        Measured((one.self_ns if one else 0) / max(1, work.steps), _within(one, work))
        for one, work in zip(sums, works, strict=True)
    ]


def _within(
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


def _stand_together(rows: list[Row], base: Baseline) -> list[Row]:
    """Among hundreds of rows some differ by chance: they stand only as so many do.

    What does not is noise, or unknown with too few repeats to call it so.
    """
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
            if stands or not base.few_runs[place]:
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
