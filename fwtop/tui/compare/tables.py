"""The comparison's tables: figures, work as a tree, kernels, findings, configuration."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from fwtop.analysis.comparison_model import (
    ComparedFigure,
    ComparedFinding,
    Comparison,
    ConfigurationDifference,
)
from fwtop.formatting import UNKNOWN, plural, printable
from fwtop.tui.compare import cells, rows
from fwtop.tui.compare.picture import Picture
from fwtop.tui.compare.rows import Node
from fwtop.tui.drawing import Row, Span
from fwtop.tui.widgets.table import Column, FrameTable, Item

SECTION_NAMES = {
    "steps": "steps", "phases": "phase", "throughput": "rate", "compile": "compile",
    "memory": "memory", "kernels": "device", "devices": "GPU", "host": "host",
}  # fmt: skip


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
        "consecutive steps; `noise` cannot be told from none, `?` nothing tells. Means are of "
        "steady steps: the first, traced and compiled ones are set apart."
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
            Column("label", "figure", 0, lambda f: (f.label, "text"), lambda f: f.label, "left",
                   least=16),
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
            found.append(
                Column("sure", "95 % CI", 18, lambda f: cells.sureness(f.changes[1]), rank=2)
            )
        return found

    def nothing(self, comparison: Comparison) -> str:
        """No run knows any."""
        return "None of the runs tells anything of this."


class StepFigures(Figures):
    """Step time, phases, throughput."""

    TITLE = "Steps"
    SECTIONS = ("steps", "phases", "throughput")


class DeviceFigures(Figures):
    """Device time, from the trace windows."""

    TITLE = "Device time"
    SECTIONS = ("kernels",)


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
        f"value{run}", snapshot.names[run], width, partial(_value, run=run), rank=rank
    )  # fmt: skip


def _value(figure: ComparedFigure, run: int) -> Span:
    return cells.value(figure, run)


class Work(CompareTable[Node]):
    """Families, collapsed, with operators, kernels and shapes below them."""

    TITLE = "Operators"
    KEY = "2"
    ABOUT = (
        "Self time a traced step, by family on each device: what makes runs of different "
        "frameworks comparable. Space or → opens a family or an operator, ← closes it; shapes, "
        "modules and source lines are there where both runs have a deep window. `noise` is what "
        "trace windows differ by anyway. Of the step is the share of the step's change; on "
        "several threads or a GPU the shares need not add up."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "flip", "Expand", key_display="space"),
        Binding("right,l", "expand(True)", "Expand", show=False),
        Binding("left,h", "expand(False)", "Collapse", show=False),
        Binding("E", "expand_all", "Expand all", show=False),
    ]

    HEAD: ClassVar[str] = "family"

    def __init__(self, *, full: bool = False, id: str | None = None) -> None:
        super().__init__(full=full, id=id)
        self._opened: frozenset[str] = frozenset()
        self._of: Comparison | None = None
        self._tree: tuple[Node, ...] = ()

    def nodes(self, comparison: Comparison) -> tuple[Node, ...]:
        """The tree."""
        return rows.work(comparison)

    def items(self, snapshot: Picture) -> Sequence[Node]:
        """What is opened of the tree."""
        if snapshot.comparison is not self._of:
            self._of = snapshot.comparison
            self._tree = () if self._of is None else self.nodes(self._of)
        return tuple(rows.flattened(self._tree, self._opened))

    def _arranged(self, snapshot: Picture, columns: Sequence[Column[Node]]) -> list[Node]:
        """Each level sorted for itself, below what it belongs to."""
        self.items(snapshot)
        nodes = self._sorted(self._tree, snapshot)
        if self.needle:
            return list(rows.matching(nodes, self.needle.lower()))
        return list(rows.flattened(nodes, self._opened))

    def _sorted(self, nodes: Sequence[Node], snapshot: Picture) -> tuple[Node, ...]:
        by = next((c for c in self.columns(snapshot) if c.key == self.sort_key), None)
        if by is None or by.order is None:
            return tuple(nodes)
        from dataclasses import replace

        order = by.order
        known = [node for node in nodes if order(node) is not None]
        known.sort(key=order, reverse=(by.align == "left") == self.reversed)
        whole = (*known, *(node for node in nodes if order(node) is None))
        return tuple(
            replace(node, children=self._sorted(node.children, snapshot)) for node in whole
        )

    def key_of(self, item: Node) -> str:
        """Its place in the tree."""
        return item.key

    def columns(self, snapshot: Picture) -> Sequence[Column[Node]]:
        """Name, self time in each run, the change."""
        runs = len(snapshot.sources)
        wide = self._value_width(snapshot)
        found: list[Column[Node]] = [
            Column("name", self.HEAD, 0, partial(self._name_of, device=runs > 2),
                   lambda n: n.name, "left", least=20 if runs == 2 else 16),
            Column("side0", snapshot.names[0], wide, partial(_side, run=0), partial(_self, run=0)),
        ]  # fmt: skip
        if runs == 2:
            found.insert(1, Column("device", "on", 3, lambda n: (n.device, "dim"),
                                   lambda n: n.device, "left", rank=3))  # fmt: skip
        for run in range(1, runs):
            found.append(
                Column(f"side{run}", snapshot.names[run], wide, partial(_side, run=run),
                       partial(_self, run=run), rank=0 if runs == 2 else 3 + run)
            )  # fmt: skip
            found.append(
                Column(f"delta{run}", "change" if runs == 2 else f"Δ {snapshot.names[run][0]}",
                       12 if runs == 2 else 16,
                       partial(_delta if runs == 2 else _both, run=run),
                       partial(_delta_size, run=run), rank=0 if run < 3 else 2)
            )  # fmt: skip
        if runs == 2:
            found += [
                Column("ratio", "", 9, lambda n: cells.work_ratio(n.changes[1]), rank=1),
                Column("sure", "", 5, lambda n: cells.work_sureness(n.changes[1]), align="left",
                       rank=1),
                Column("share", "of step", 8, _share, rank=6),
            ]  # fmt: skip
        found.append(Column("calls", "calls/step", 13, lambda n: cells.calls(n.sides), rank=7))
        return found

    def _name_of(self, node: Node, device: bool) -> Span:
        sign = "" if self.HEAD == "kernel" else "  "
        if node.children:
            sign = "- " if node.key in self._opened or self.needle else "+ "
        kind = f"{node.kind} " if node.depth and node.kind != "operator" else ""
        role = "strong" if node.depth == 0 else "code" if node.depth == 2 else "text"
        where = f"{node.device} " if device and not node.depth else ""
        return "  " * node.depth + sign + where + kind + printable(node.name), role

    def nothing(self, comparison: Comparison) -> str:
        """No windows."""
        return "No trace windows in these recordings: --overhead 0, or the runs were too short."

    # Opening

    def action_flip(self) -> None:
        """Open what is closed, close what is open."""
        node = self.chosen()
        if node is not None:
            self.action_expand(node.key not in self._opened)

    def action_expand(self, opens: bool) -> None:
        """Open or close the selected row; closing what has nothing in it closes what holds it."""
        node = self.chosen()
        if node is None:
            return
        if opens and node.children:
            self._opened |= {node.key}
        elif not opens:
            while node is not None and node.key not in self._opened:
                node = self._holder(node)
            if node is None:
                return
            self._opened -= {node.key}
            self._choose(self._shown.index(node))
        self.repaint()

    def action_expand_all(self) -> None:
        """Open every family; again, close them."""
        every = frozenset(node.key for node in self._tree if node.children)
        self._opened = frozenset() if every <= self._opened else self._opened | every
        self.repaint()

    def action_open(self) -> None:
        """Enter opens and closes."""
        self.action_flip()

    def _holder(self, node: Node) -> Node | None:
        above = self._shown[: self._shown.index(node)]
        return next((one for one in reversed(above) if one.depth < node.depth), None)


class Kernels(Work):
    """All kernels, copies and fills on the device."""

    TITLE = "Kernels"
    KEY = "3"
    HEAD = "kernel"
    ABOUT = "What ran on the device, per traced step, over all streams."

    def nodes(self, comparison: Comparison) -> tuple[Node, ...]:
        """Without families."""
        return rows.kernels(comparison)

    def nothing(self, comparison: Comparison) -> str:
        """No device."""
        return "No kernels: nothing ran on a GPU in the traced steps."


def _side(node: Node, run: int) -> Span:
    return cells.side(node.sides[run])


def _self(node: Node, run: int) -> float | None:
    side = node.sides[run]
    return None if side is None else side.self_ns


def _delta(node: Node, run: int) -> Span:
    return cells.work_delta(node.changes[run])


def _both(node: Node, run: int) -> Span:
    return cells.work_both(node.changes[run])


def _delta_size(node: Node, run: int) -> float | None:
    change = node.changes[run]
    return None if change is None else abs(change.delta_ns)


def _share(node: Node) -> Span:
    change = node.changes[1]
    if change is None or change.step_share is None:
        return "", "dim"
    percent = round(change.step_share * 100)
    return f"{percent} %", "text" if percent else "dim"


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
