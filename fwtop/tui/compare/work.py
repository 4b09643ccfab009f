"""The comparison's work as a tree: families with operators and shapes below them, and kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar

from textual.binding import Binding, BindingType

from fwtop.analysis.comparison.model import Comparison
from fwtop.formatting import printable
from fwtop.tui.compare import cells, rows
from fwtop.tui.compare.picture import Picture, head
from fwtop.tui.compare.rows import Node
from fwtop.tui.compare.tables import CompareTable
from fwtop.tui.drawing import Span
from fwtop.tui.widgets.table import Column


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
            Column("side0", head(snapshot.names[0], wide), wide, partial(_side, run=0),
                   partial(_self, run=0)),
        ]  # fmt: skip
        if runs == 2:
            found.insert(1, Column("device", "on", 3, lambda n: (n.device, "dim"),
                                   lambda n: n.device, "left", rank=3))  # fmt: skip
        for run in range(1, runs):
            found.append(
                Column(f"side{run}", head(snapshot.names[run], wide), wide, partial(_side, run=run),
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
