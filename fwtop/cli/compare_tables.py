"""A Comparison as tables of text: what the words and the Markdown both show.

Cells are plain text of any length, not yet made harmless for a terminal or for Markdown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fwtop.analysis.comparison.model import (
    Change,
    ComparedFamily,
    ComparedFigure,
    ComparedKernel,
    ComparedOperator,
    Comparison,
    OperatorChange,
    OperatorSide,
)
from fwtop.analysis.comparison.noise import READ_ONCE
from fwtop.analysis.comparison.words import interval_text, points_text, signed_percent
from fwtop.formatting import (
    UNKNOWN,
    ellipsis_middle,
    format_count,
    format_duration,
    format_figure,
)

TITLES = {
    "steps": "step time",
    "phases": "phases, mean a step",
    "throughput": "throughput",
    "compile": "compile",
    "memory": "memory",
    "kernels": "device time",
    "classes": "a traced step's time",
    "input": "input pipeline, self time a traced step",
    "devices": "GPUs",
    "host": "host",
}
TOP_FAMILIES = 8
TOP_OPERATORS = 3
"""Of each family."""
WIDEST_LABEL = 20
NOISE = "noise"
UNSURE = "?"
"""Nothing tells whether it is noise."""


@dataclass(frozen=True)
class Table:
    """Rows under a head: columns of words, then columns of figures."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int
    """How many columns are words; the others are aligned at the right."""
    note: str = ""


def configuration(comparison: Comparison) -> Table | None:
    """What the runs were given that is not the same."""
    if not comparison.configuration:
        return None
    rows = tuple(
        (row.what, *(UNKNOWN if value is None else value for value in row.values))
        for row in comparison.configuration
    )
    head = ("", *_labels(comparison))
    return Table("configuration", head, rows, words=len(head))


def sections(comparison: Comparison) -> Iterator[Table]:
    """The figures, a table a section; rows that are 0 everywhere are left out."""
    return tables_of(comparison, comparison.figures)


def tables_of(comparison: Comparison, figures: Sequence[ComparedFigure]) -> Iterator[Table]:
    """The same of some of the figures."""
    head = ("", *_labels(comparison), *_change_head(comparison))
    for section, title in TITLES.items():
        rows = tuple(
            _figure_row(figure, comparison)
            for figure in figures
            if figure.section == section and any(figure.values)
        )
        if rows:
            yield Table(title, head, rows, words=1)


def operators(
    comparison: Comparison, families: int = TOP_FAMILIES, each: int = TOP_OPERATORS
) -> Table | None:
    """Families, most change first, with what changed most in each; None without any."""
    if not comparison.families:
        return None
    labels = _labels(comparison)
    others = len(comparison.runs) - 1
    head = ("self time, a traced step", "on", *labels, *(("change", "") if others == 1 else
            (f"Δ {label}" for label in labels[1:])))  # fmt: skip
    rows: list[tuple[str, ...]] = []
    for family in comparison.families[:families]:
        rows.append(_work_row(family.family, family.device, family.sides, family.changes))
        inner: list[ComparedOperator | ComparedKernel] = [*family.operators[:each]]
        inner += _dear_kernels(family)
        rows += [
            _work_row(f"  {row.name}", getattr(row, "device", "kernel"), row.sides, row.changes)
            for row in inner
        ]
    left = len(comparison.families) - families
    note = f"{left} more families" if left > 0 else ""
    return Table("operators", head, tuple(rows), 2, note)


def basis(comparison: Comparison) -> str:
    """What the figures rest on, in a sentence."""
    parts = [
        f"{run.label} {format_count(steps.steady_count)} steady steps"
        + (f" in {len(run.repeats)} runs" if len(run.repeats) > 1 else "")
        + (f", {format_count(run.steps_traced)} traced" if run.steps_traced else "")
        for run, steps in zip(comparison.runs, comparison.steps, strict=True)
    ]
    return "; ".join(parts)


def _labels(comparison: Comparison) -> list[str]:
    """The runs' labels as heads of columns; with numbers where they would be cut to the same."""
    labels = [ellipsis_middle(run.label, WIDEST_LABEL) for run in comparison.runs]
    if len(set(labels)) == len(labels):
        return labels
    return [
        ellipsis_middle(f"{number} {run.label}", WIDEST_LABEL)
        for number, run in enumerate(comparison.runs, 1)
    ]


def _change_head(comparison: Comparison) -> tuple[str, ...]:
    labels = _labels(comparison)
    return ("change", "") if len(labels) == 2 else tuple(f"Δ {label}" for label in labels[1:])


def _figure_row(figure: ComparedFigure, comparison: Comparison) -> tuple[str, ...]:
    values = [format_figure(value, figure.unit) for value in figure.values]
    if len(comparison.runs) == 2:
        change = figure.changes[1]
        return (figure.label, *values, _delta(figure, change), _sureness(figure, change))
    changes = [
        f"{_delta(figure, change)} {_mark(change)}".rstrip() for change in figure.changes[1:]
    ]
    return (figure.label, *values, *changes)


def _delta(figure: ComparedFigure, change: Change | None) -> str:
    if change is None:
        return UNKNOWN
    if not change.delta:
        return "="
    if figure.unit == "ratio":
        return f"{change.delta * 100:+.1f} pt"
    if figure.unit == "count" and abs(change.delta) < 0.005:
        return "≈"
    if figure.unit == "count" or change.ratio is None:
        return _signed(format_figure(change.delta, figure.unit))
    return signed_percent(change.ratio)


def _sureness(figure: ComparedFigure, change: Change | None) -> str:
    if change is None or not change.delta:
        return ""
    if change.noise:
        return NOISE
    if change.noise is None:
        why = "" if change.unsure in (None, READ_ONCE) else f" {change.unsure}"
        return f"{UNSURE}{why}"
    before = figure.values[0]
    if change.interval is not None and figure.unit == "ratio" and before is not None:
        return f"95 % CI {points_text(change.interval, before)}"
    return interval_text(change.interval) if change.interval else ""


def _mark(change: Change | OperatorChange | None) -> str:
    delta = change.delta if isinstance(change, Change) else change.delta_ns if change else 0
    if change is None or not delta or change.noise is False:
        return ""
    return NOISE if change.noise else UNSURE


def _dear_kernels(family: ComparedFamily) -> tuple[ComparedKernel, ...]:
    return family.kernels[:TOP_OPERATORS] if family.device == "gpu" else ()


def _work_row(
    name: str,
    device: str,
    sides: Sequence[OperatorSide | None],
    changes: Sequence[OperatorChange | None],
) -> tuple[str, ...]:
    values = [format_duration(side.self_ns) if side else UNKNOWN for side in sides]
    told = [_work_delta(change) for change in changes[1:]]
    if len(told) == 1:
        return (name, device, *values, told[0], _mark(changes[1]))
    marks = [_mark(change) for change in changes[1:]]
    both = [f"{text} {mark}".rstrip() for text, mark in zip(told, marks, strict=True)]
    return (name, device, *values, *both)


def _work_delta(change: OperatorChange | None) -> str:
    if change is None:
        return UNKNOWN
    if change.status in ("added", "deleted"):
        return f"{_signed(format_duration(change.delta_ns))} {change.status}"
    if change.ratio is None or not change.delta_ns:
        return "="
    return f"{_signed(format_duration(change.delta_ns))} {signed_percent(change.ratio)}"


def _signed(text: str) -> str:
    return text if text.startswith("-") else f"+{text}"
