"""A Comparison in words: aligned columns, no colour, within the width of the terminal."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from fwtop.analysis.comparison.judgement import Judgement
from fwtop.analysis.comparison.model import Comparison
from fwtop.cli import compare_tables
from fwtop.cli.compare_tables import Table
from fwtop.formatting import (
    cell_width,
    ellipsis,
    ellipsis_middle,
    format_duration,
    format_moment,
    pad,
    plural,
    printable,
    wrapped,
)

NARROWEST_NAME = 16
WIDEST_VALUE = 28
GAP = "  "
LEGEND = (
    "noise: within what the figure varies by anyway, or less than other programs can do; ?: nothing"
    " tells whether it is noise, as a figure is read once a run, or for the reason beside it. The"
    " first step, traced and compiled steps are no steady ones."
)


def render(comparison: Comparison, judgements: Sequence[Judgement], columns: int) -> list[str]:
    """The lines: the verdict first, then what it rests on."""
    lines = [*_runs(comparison, columns), ""]
    lines += _verdicts(comparison, columns)
    lines += [*wrapped(printable(f"({comparison.coverage})"), columns), ""]
    if judgements:
        lines += [*_judgements(judgements, columns), ""]
    if comparison.notes:
        for note in comparison.notes:
            lines += _hanging("- ", note, columns)
        lines.append("")
    tables = [
        *compare_tables.sections(comparison),
        compare_tables.operators(comparison),
        compare_tables.configuration(comparison),
    ]
    for table in tables:
        if table is not None:
            lines += [*table_lines(table, columns), ""]
    if comparison.findings:
        lines += [*_findings(comparison, columns), ""]
    lines += _hanging("", LEGEND, columns)
    return [ellipsis(line, columns).rstrip() for line in lines]


def table_lines(table: Table, columns: int) -> Iterator[str]:
    """A table with its title; the first column gives way where it is too wide."""
    head = (table.title, *table.head[1:]) if not table.head[0] else table.head
    rows = [tuple(map(printable, row)) for row in (head, *table.rows)]
    count = len(head)
    widths = [
        min(WIDEST_VALUE if at else columns, max(cell_width(row[at]) for row in rows))
        for at in range(count)
    ]
    rest = sum(widths[1:]) + len(GAP) * (count - 1)
    widths[0] = max(NARROWEST_NAME, min(widths[0], columns - rest))
    for row in rows:
        cells = [_name(row[0], widths[0])]
        cells += [
            pad(ellipsis_middle(cell, width), width, right=at >= table.words)
            for at, (cell, width) in enumerate(zip(row[1:], widths[1:], strict=True), 1)
        ]
        yield GAP.join(cells)
    if table.note:
        yield f"  ({table.note})"


def _name(text: str, cells: int) -> str:
    return pad(ellipsis_middle(text, cells), cells)


def _runs(comparison: Comparison, columns: int) -> Iterator[str]:
    width = min(24, max(cell_width(printable(run.label)) for run in comparison.runs))
    for run, steps in zip(comparison.runs, comparison.steps, strict=True):
        command = printable(shlex.join(run.command))
        yield f"{_name(printable(run.label), width)}  {command}"
        frameworks = ", ".join(f"{one.name} {one.version}" for one in run.frameworks)
        facts = [
            plural(len(run.repeats), "run") if len(run.repeats) > 1 else "",
            format_moment(run.started_unix_ns),
            format_duration(run.duration_ns),
            f"{steps.steady_count:,} steady of {plural(steps.count, 'step')}",
            f"{run.steps_traced:,} traced",
            printable(frameworks),
        ]
        yield " " * (width + 2) + ", ".join(fact for fact in facts if fact)


def _verdicts(comparison: Comparison, columns: int) -> Iterator[str]:
    for run, verdict in zip(comparison.runs, comparison.verdicts, strict=True):
        if verdict is not None:
            several = len(comparison.runs) > 2
            text = f"{run.label}: {verdict.text}" if several else verdict.text
            yield from wrapped(printable(text), columns)


def _judgements(judgements: Sequence[Judgement], columns: int) -> Iterator[str]:
    for judgement in judgements:
        yield from _hanging(f"{judgement.outcome:<8}", judgement.text, columns)


def _findings(comparison: Comparison, columns: int) -> Iterator[str]:
    yield "findings"
    for row in comparison.findings:
        why = next(why for why in reversed(row.whys) if why is not None)
        yield from _hanging(f"  {row.status:<7}", f"{row.code}: {why}", columns)


def _hanging(mark: str, text: str, columns: int) -> Iterator[str]:
    indent = " " * cell_width(mark)
    for number, line in enumerate(wrapped(printable(text), columns - cell_width(mark))):
        yield (indent if number else mark) + line
