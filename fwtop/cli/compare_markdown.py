"""A Comparison as Markdown, short enough for a comment on a pull request.

What comes from a recording is escaped: it may be anybody's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from fwtop.analysis.comparison.judgement import Judgement
from fwtop.analysis.comparison.model import Comparison
from fwtop.cli import compare_tables
from fwtop.cli.compare_tables import Table
from fwtop.formatting import ellipsis_middle, printable

HEADLINES = ("step_time", "step_time.mean", "step_time.p95", "sample_time", "throughput.samples",
             "throughput.steps", "step_time.first", "compile.time", "compile.recompiles",
             "compile.graph_breaks", "memory.peak", "memory.rss", "gpu.utilization",
             "mfu")  # fmt: skip
FAMILIES = 5
LONGEST_CELL = 80
SIGNS = {"failed": "❌", "unknown": "❌", "noise": "➖", "passed": "✅"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&@$])")


def render(comparison: Comparison, judgements: Sequence[Judgement]) -> str:
    """The document, ending with a newline."""
    return "\n".join(_blocks(comparison, judgements)) + "\n"


def _blocks(comparison: Comparison, judgements: Sequence[Judgement]) -> Iterator[str]:
    labels = [escaped(run.label) for run in comparison.runs]
    yield f"### fwtop: {', '.join(labels[1:])} against {labels[0]}"
    yield ""
    for run, verdict in zip(comparison.runs, comparison.verdicts, strict=True):
        if verdict is not None:
            who = f"{escaped(run.label)}: " if len(comparison.runs) > 2 else ""
            yield f"**{who}{escaped(verdict.text)}**"
            yield ""
    yield f"<sub>{escaped(comparison.coverage)}</sub>"
    yield ""
    if judgements:
        for judgement in judgements:
            yield f"- {SIGNS[judgement.outcome]} {escaped(judgement.text)}"
        yield ""
    yield from _table(_headlines(comparison))
    operators = compare_tables.operators(comparison, FAMILIES, 2)
    if operators is not None:
        yield from _table(operators)
    for note in comparison.notes:
        yield f"- {escaped(note)}"
    if comparison.notes:
        yield ""
    yield from _findings(comparison)
    configuration = compare_tables.configuration(comparison)
    if configuration is not None:
        yield f"<details><summary>Configuration: {len(configuration.rows)} differences</summary>"
        yield ""
        yield from _table(configuration)
        yield "</details>"
        yield ""
    yield f"<sub>{escaped(compare_tables.basis(comparison))}</sub>"


def _headlines(comparison: Comparison) -> Table:
    """The few figures that a reviewer looks at, in one table."""
    kept = [
        replace(figure, label=f"{figure.label}, a step") if figure.section == "phases" else figure
        for figure in comparison.figures
        if figure.metric in HEADLINES or figure.section == "phases"
    ]
    tables = list(compare_tables.tables_of(comparison, kept))
    head = tables[0].head if tables else ("", *(run.label for run in comparison.runs))
    rows = tuple(row for table in tables for row in table.rows)
    return Table("", head, rows, words=1)


def _findings(comparison: Comparison) -> Iterator[str]:
    changed = [row for row in comparison.findings if row.status != "stayed"]
    for row in changed:
        why = next(why for why in reversed(row.whys) if why is not None)
        yield f"- finding {row.status}: **{escaped(row.code)}**: {escaped(why)}"
    if changed:
        yield ""


def _table(table: Table) -> Iterator[str]:
    if not table.rows:
        return
    yield _line(table.head)
    yield _line(["---:" if at >= table.words else "---" for at in range(len(table.head))],
                plain=True)  # fmt: skip
    for row in table.rows:
        yield _line(row)
    if table.note:
        yield ""
        yield escaped(table.note)
    yield ""


def _line(cells: Sequence[str], plain: bool = False) -> str:
    texts = cells if plain else [_cell(cell) for cell in cells]
    return f"| {' | '.join(texts)} |"


def _cell(text: str) -> str:
    """A cell; what is set in from the left is under the row above."""
    inner = text.lstrip(" ")
    mark = "↳ " if inner != text else ""
    return mark + escaped(ellipsis_middle(inner, LONGEST_CELL))


def escaped(text: str) -> str:
    """Text that Markdown and HTML take as it is."""
    return _SPECIAL.sub(r"\\\1", printable(text))
