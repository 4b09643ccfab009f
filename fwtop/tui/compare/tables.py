"""The comparison's tables: figures, work as a tree, kernels, findings, configuration."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from textual.message import Message

from fwtop.analysis.comparison.model import (
    ComparedFigure,
    ComparedFinding,
    Comparison,
    ConfigurationDifference,
)
from fwtop.formatting import UNKNOWN, plural, printable
from fwtop.tui.compare import cells, rows
from fwtop.tui.compare.picture import Picture, head
from fwtop.tui.drawing import Row, Span
from fwtop.tui.widgets.table import Column, FrameTable, Item

SECTION_NAMES = {
    "steps": "steps", "phases": "phase", "throughput": "rate", "compile": "compile",
    "memory": "memory", "kernels": "device", "classes": "traced", "input": "input",
    "devices": "GPU", "host": "host",
}  # fmt: skip


OF_A_KIND = ("phases", "classes", "input")
"""Sections whose figures are parts of one time, and are called by a word."""
WITH_SECTION = 100
"""Cells from which the section's column is there."""


class CompareTable(FrameTable[Picture, Item]):
    """A table of the comparison's, in the comparison's order until it is sorted."""

    class Opened(Message):
        """The table asks for the screen of its number."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def action_open(self) -> None:
        """The screen of the table's subject."""
        if self.KEY and not self.full:
            self.post_message(self.Opened(int(self.KEY)))

    def headline(self, snapshot: Picture, width: int) -> Row:
        """The filter, if there is one."""
        return [(f"/{self.needle}", "key")] if self.needle else []

    def awaited(self, snapshot: Picture) -> str | None:
        """Nothing is compared yet, or there is nothing of it."""
        if snapshot.comparison is None:
            return snapshot.failure or "comparing …"
        return None if self.items(snapshot) else self.nothing(snapshot.comparison)

    def _value_width(self, snapshot: Picture) -> int:
        """As wide as the runs' names, where there is room for them."""
        if len(snapshot.sources) > 2:
            return 9
        return min(20, max(11, *map(len, snapshot.names))) if self.inner_width >= 100 else 11

    def nothing(self, comparison: Comparison) -> str:
        """What is said where there is no row."""
        return "Nothing to compare here."

    def action_sort(self) -> None:
        """The next column; after the last, the comparison's own order."""
        before = self.sort_key
        super().action_sort()
        order = [column.key for column in self.sortable()]
        if before and order and self.sort_key == order[0]:
            self.sort_key = ""
            self.repaint()

    def sortable(self) -> list[Column[Item]]:
        """The columns to sort by, with the first one that `action_sort` comes to in front."""
        if self.snapshot is None or self.snapshot.comparison is None:
            return []
        return [one for one in self.columns(self.snapshot) if one.order is not None]


class Figures(CompareTable[ComparedFigure]):
    """Figures of some sections; without any named, all of them, what changed most in front."""

    SECTIONS: ClassVar[tuple[str, ...]] = ()
    TITLE = "What changed"
    KEY = "1"
    ABOUT = (
        "A is the baseline. ▲ is more than there, ▼ less; pt are percentage points. What the "
        "steps' spread makes uncertain has a 95 % interval, by a bootstrap over stretches of "
        "consecutive steps, and over runs where a side has repeats: of single runs it does not "
        "hold how far runs differ. `noise` cannot be told from none; of `?` nothing tells: the "
        "figure is read once a run, or steps or runs are too few. Means are of steady steps: the "
        "first, traced and compiled ones are set apart."
    )

    def items(self, snapshot: Picture) -> Sequence[ComparedFigure]:
        """The figures."""
        if snapshot.comparison is None:
            return ()
        if self.SECTIONS:
            return rows.figures_of(snapshot.comparison, self.SECTIONS)
        return rows.what_changed(snapshot.comparison)

    def key_of(self, item: ComparedFigure) -> str:
        """The metric."""
        return item.metric

    def text_of(self, item: ComparedFigure) -> str:
        """What the filter looks at."""
        return f"{item.metric} {item.label} {item.section}"

    def columns(self, snapshot: Picture) -> Sequence[Column[ComparedFigure]]:
        """Label, then A, then each other run with its change."""
        runs = len(snapshot.sources)
        found: list[Column[ComparedFigure]] = []
        if len(self.SECTIONS) != 1:
            found.append(
                Column("section", "", 7, lambda f: (SECTION_NAMES[f.section], "dim"),
                       align="left", rank=4)
            )  # fmt: skip
        found += [
            Column("label", "figure", 0, self._label, lambda f: f.label, "left", least=16),
            _value_column(0, snapshot, self._value_width(snapshot), rank=0),
        ]  # fmt: skip
        for run in range(1, runs):
            found.append(
                _value_column(
                    run, snapshot, self._value_width(snapshot), 0 if runs == 2 else 3 + run
                )
            )
            found.append(
                Column(
                    f"change{run}", "change" if runs == 2 else f"Δ {snapshot.names[run][0]}",
                    12 if runs == 2 else 16,
                    partial(_changed if runs == 2 else _changed_marked, run=run),
                    partial(_size, run=run), rank=0 if run < 3 else 2,
                )
            )  # fmt: skip
        if runs == 2:
            found.append(Column("sure", "95 % CI", 18, lambda f: cells.sureness(f, 1), rank=2))
        return found

    def _label(self, figure: ComparedFigure) -> Span:
        """With its section, where that has no column and another one has a figure of this name."""
        several = len(self.SECTIONS) != 1 and self.inner_width < WITH_SECTION
        if several and figure.section in OF_A_KIND:
            return printable(f"{SECTION_NAMES[figure.section]} {figure.label}"), "text"
        return printable(figure.label), "text"

    def nothing(self, comparison: Comparison) -> str:
        """No run knows any."""
        return "None of the runs tells anything of this."


class StepFigures(Figures):
    """Step time, phases, throughput, input pipeline."""

    TITLE = "Steps"
    SECTIONS = ("steps", "phases", "throughput", "input")


class DeviceFigures(Figures):
    """Device time, from the trace windows."""

    TITLE = "Device time"
    SECTIONS = ("kernels", "classes")


class CompileFigures(Figures):
    """Compiles, and what they cost."""

    TITLE = "Compile"
    SECTIONS = ("compile",)


class MachineFigures(Figures):
    """Memory, GPUs and host."""

    TITLE = "Memory, GPUs, host"
    SECTIONS = ("memory", "devices", "host")


def _changed(figure: ComparedFigure, run: int) -> Span:
    return cells.change(figure, run)


def _changed_marked(figure: ComparedFigure, run: int) -> Span:
    return cells.change_marked(figure, run)


def _size(figure: ComparedFigure, run: int) -> float | None:
    """Of the change, for sorting: noise counts little."""
    change = figure.changes[run]
    if change is None or change.ratio is None:
        return None
    return abs(change.ratio) * (0.001 if change.noise else 1.0)


def _value_column(run: int, snapshot: Picture, width: int, rank: int) -> Column[ComparedFigure]:
    return Column(
        f"value{run}", head(snapshot.names[run], width), width, partial(_value, run=run), rank=rank
    )  # fmt: skip


def _value(figure: ComparedFigure, run: int) -> Span:
    return cells.value(figure, run)


STATUS = {"came": ("+ came", "strong bad"), "went": ("- went", "strong good"),
          "stayed": ("= stayed", "dim"), "varies": ("~ varies", "text")}  # fmt: skip


class Findings(CompareTable[ComparedFinding]):
    """What is wrong in which run."""

    TITLE = "Findings"
    KEY = "6"
    ABOUT = "What is wrong in each run: came with B, went with B, stayed, or varies between them."

    def headline(self, snapshot: Picture, width: int) -> Row:
        """How many came and went."""
        if snapshot.comparison is None:
            return []
        found = [row.status for row in snapshot.comparison.findings]
        parts = [f"{found.count(status)} {status}" for status in STATUS if status in found]
        return [*super().headline(snapshot, width), (", ".join(parts), "dim")]

    def items(self, snapshot: Picture) -> Sequence[ComparedFinding]:
        """The findings."""
        return () if snapshot.comparison is None else snapshot.comparison.findings

    def key_of(self, item: ComparedFinding) -> str:
        """Its code."""
        return item.code

    def text_of(self, item: ComparedFinding) -> str:
        """What the filter looks at."""
        return " ".join((item.code, item.status, *(why or "" for why in item.whys)))

    def columns(self, snapshot: Picture) -> Sequence[Column[ComparedFinding]]:
        """Status, in which runs, what and why."""

        def why(row: ComparedFinding) -> Span:
            return next((printable(text) for text in reversed(row.whys) if text), ""), "text"

        def having(row: ComparedFinding) -> Span:
            letters = [name[0] for name in snapshot.names]
            return "".join(
                letter if text is not None else "·"
                for letter, text in zip(letters, row.whys, strict=True)
            ), "key"

        return (
            Column("status", "", 8, lambda r: STATUS[r.status], lambda r: r.status, "left"),
            Column("runs", "in", 4, having, align="left"),
            Column("code", "finding", 22, lambda r: (r.code, "strong"), lambda r: r.code, "left",
                   rank=1),
            Column("why", "why", 0, why, align="left"),
        )  # fmt: skip

    def nothing(self, comparison: Comparison) -> str:
        """All is well."""
        return "No finding in any of the runs."


class Configuration(CompareTable[ConfigurationDifference]):
    """What the runs were given or found that is not the same."""

    TITLE = "Configuration"
    KEY = "7"
    ABOUT = (
        "Only what differs: the command, environment variables, versions, devices, git revision "
        "and fwtop's own options. The selected one is written out below."
    )

    def headline(self, snapshot: Picture, width: int) -> Row:
        """How many."""
        if snapshot.comparison is None:
            return []
        count = len(snapshot.comparison.configuration)
        return [*super().headline(snapshot, width), (plural(count, "difference"), "dim")]

    def items(self, snapshot: Picture) -> Sequence[ConfigurationDifference]:
        """The differences."""
        return () if snapshot.comparison is None else snapshot.comparison.configuration

    def key_of(self, item: ConfigurationDifference) -> str:
        """Section and name."""
        return f"{item.section} {item.what}"

    def text_of(self, item: ConfigurationDifference) -> str:
        """What the filter looks at."""
        return " ".join((item.section, item.what, *(value or "" for value in item.values)))

    def columns(self, snapshot: Picture) -> Sequence[Column[ConfigurationDifference]]:
        """What, and its value in each run; the last takes what is left."""
        runs = len(snapshot.sources)
        wide = max(12, (self.inner_width - 26) // runs)

        def cell(row: ConfigurationDifference, run: int) -> Span:
            value = row.values[run]
            return (UNKNOWN, "dim") if value is None else (printable(value), "text")

        return (
            Column("section", "", 11, lambda r: (r.section, "dim"), lambda r: r.section, "left",
                   rank=1),
            Column("what", "what", 20, lambda r: (printable(r.what), "strong"), lambda r: r.what,
                   "left"),
            *(
                Column(f"value{run}", snapshot.names[run], 0 if run == runs - 1 else wide,
                       partial(cell, run=run), align="left", least=12)
                for run in range(runs)
            ),
        )  # fmt: skip

    def nothing(self, comparison: Comparison) -> str:
        """No difference."""
        return "No difference: command, environment, versions, devices and revision are the same."
