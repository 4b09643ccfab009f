"""The single figures of a comparison's sides beside each other, and each one's change.

Of a side with repeats, a figure is the mean over the runs that tell it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite
from statistics import fmean

from fwtop.analysis.comparison import repeats
from fwtop.analysis.comparison.facts import SideFacts
from fwtop.analysis.comparison.model import SECTIONS, Change, ComparedFigure
from fwtop.analysis.comparison.noise import (
    FEW_RUNS,
    FEW_STEPS,
    READ_ONCE,
    inverse,
    plain_change,
    sampled_change,
    still,
    tolerance,
    too_little,
)
from fwtop.analysis.comparison.reading import Reading
from fwtop.analysis.comparison.readings import readings
from fwtop.analysis.comparison.repeats import Measured
from fwtop.analysis.comparison.significance import false_discoveries
from fwtop.analysis.comparison.steps import sample_change, step_change
from fwtop.recording.model import PHASES

Row = list[list[Reading]]
"""One figure: by side, of the runs that know it."""
TOGETHER = ("phases", "classes", "input")
"""Sections whose figures answer one question: which of them was it?"""


def compare_figures(sides: Sequence[SideFacts]) -> tuple[ComparedFigure, ...]:
    """All figures that any run knows, by section."""
    found: dict[str, Row] = {}
    for place, side in enumerate(sides):
        for run in side.runs:
            for reading in readings(run):
                if reading.value is not None and isfinite(reading.value):
                    row = found.setdefault(reading.metric, [[] for _ in sides])
                    row[place].append(reading)
    order = {metric: place for place, metric in enumerate(found)}
    rows = [_compared(row, sides) for row in found.values()]
    for section in TOGETHER:
        rows = _judged_together(rows, section)
    rows.sort(key=lambda row: (SECTIONS.index(row.section), _place(row, order)))
    return tuple(rows)


def _compared(row: Row, sides: Sequence[SideFacts]) -> ComparedFigure:
    like = next(reading for side in row for reading in side)
    return ComparedFigure(
        metric=like.metric,
        section=like.section,
        label=like.label,
        unit=like.unit,
        better=like.better,
        values=tuple(_value(readings_of_side) for readings_of_side in row),
        changes=(
            None,
            *(
                _change(row[0], other, sides[0], side)
                for other, side in zip(row[1:], sides[1:], strict=True)
            ),
        ),
    )


def _value(row: Sequence[Reading]) -> float | None:
    known = [reading.value for reading in row if reading.value is not None]
    # What never differs stays as it is, a count whole.
    return known[0] if len(set(known)) == 1 else fmean(known) if known else None


def _change(
    base: Sequence[Reading], other: Sequence[Reading], one: SideFacts, two: SideFacts
) -> Change | None:
    before, after = _value(base), _value(other)
    if before is None or after is None:
        return None
    like = base[0]
    if like.metric == "phase[other]" and _measured(one) != _measured(two):
        return None  # what other phases leave is of no use where they are not the same
    if like.metric in ("step_time", "sample_time"):
        found = (step_change if like.metric == "step_time" else sample_change)(one, two)
        return plain_change(before, after, FEW_STEPS) if found is None else found
    both = repeats.estimates(_in_runs(base), _in_runs(other))
    if both is None:
        return plain_change(before, after, FEW_STEPS if like.of_steps else READ_ONCE)
    several = max(len(base), len(other)) > 1
    tolerated = still(several)
    if like.unit in ("ns", "per_s"):
        tolerated = tolerance(one, two, several)
    if like.unit == "per_s":
        tolerated = inverse(tolerated)
    return sampled_change(*both, tolerated, too_little=_too_little(base, other, one, two))


def _too_little(
    base: Sequence[Reading], other: Sequence[Reading], one: SideFacts, two: SideFacts
) -> str | None:
    if max(len(base), len(other)) > 1:
        return None if repeats.enough(len(base), len(other)) else FEW_RUNS
    return too_little(one, two)


def _in_runs(row: Sequence[Reading]) -> list[Measured]:
    return [
        Measured(reading.value, reading.estimate) for reading in row if reading.value is not None
    ]


def _measured(side: SideFacts) -> set[str]:
    return {phase for run in side.runs for phase in run.facts.steps.phases_ns}


def _judged_together(rows: Sequence[ComparedFigure], section: str) -> list[ComparedFigure]:
    """Figures that answer one question stand only as so many of them do."""
    family = [row for row in rows if row.section == section]
    replaced: dict[str, ComparedFigure] = {row.metric: row for row in family}
    for place in range(1, len(family[0].changes) if family else 1):
        told = [
            (row.metric, change.p_value)
            for row in replaced.values()
            if (change := row.changes[place]) is not None and change.p_value is not None
        ]
        standing = false_discoveries([p_value for _, p_value in told])
        for (metric, _), stands in zip(told, standing, strict=True):
            row = replaced[metric]
            if not stands:
                replaced[metric] = replace(row, changes=_as_noise(row.changes, place))
    return [replaced.get(row.metric, row) for row in rows]


def _as_noise(changes: Sequence[Change | None], place: int) -> tuple[Change | None, ...]:
    """What does not stand is noise, unless it is unknown already."""
    return tuple(
        replace(change, noise=True)
        if number == place and change is not None and change.noise is False
        else change
        for number, change in enumerate(changes)
    )


def _place(row: ComparedFigure, order: dict[str, int]) -> int:
    """Phases in their own order, which a run that lacks one does not show; others as they come."""
    if row.section == "phases":
        return PHASES.index(row.label)
    return order[row.metric]
