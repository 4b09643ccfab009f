"""Frames that are tables: sorted, filtered, with a selected row; drawn line by line.

The selection follows its item, not its place, when live figures reorder the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from fwtop.tui.drawing import Align, Row, Span, fit, restyle
from fwtop.tui.snapshot import Snapshot
from fwtop.tui.widgets.frame import Frame, Shown
from fwtop.tui.widgets.panel import Panel

Item = TypeVar("Item")


@dataclass(frozen=True)
class Column(Generic[Item]):
    """One column. The one with width 0 takes what the others leave."""

    key: str
    title: str
    width: int
    cell: Callable[[Item], Span | Row]
    order: Callable[[Item], Any] | None = None
    """Sorts by this, largest first unless it is text; None cannot be sorted by."""
    align: Align = "right"
    rank: int = 0
    """Columns of the highest rank drop first where there is no room."""
    least: int = 16
    """The least width of the column that takes the rest."""


class FrameTable(Frame[Shown], Generic[Shown, Item]):
    """Subclasses say `items`, `columns`, `key_of` and `text_of`."""

    SORT: ClassVar[str] = ""
    """The column that sorts at first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("g", "edge(-1)", "Top", show=False),
        Binding("G", "edge(1)", "Bottom", show=False),
        Binding("s", "sort", "Sort"),
        Binding("S", "reverse", "Reverse", show=False),
        Binding("slash", "filter", "Filter", key_display="/"),
    ]

    class Selected(Message):
        """Another row is selected."""

        def __init__(self, table: FrameTable[Any, Any], key: str | None) -> None:
            super().__init__()
            self.table = table
            self.key = key

    class FilterAsked(Message):
        """The table asks for a text to filter by."""

        def __init__(self, table: FrameTable[Any, Any]) -> None:
            super().__init__()
            self.table = table

    def __init__(self, *, full: bool = False, id: str | None = None) -> None:
        super().__init__(full=full, id=id)
        self.sort_key = self.SORT
        self.reversed = False
        self.needle = ""
        self.selected: str | None = None
        self._top_row = 0
        self._shown: list[Item] = []
        self._heads: list[tuple[int, int, str]] = []

    def items(self, snapshot: Shown) -> Sequence[Item]:
        """The rows, unsorted."""
        raise NotImplementedError

    def columns(self, snapshot: Shown) -> Sequence[Column[Item]]:
        """All columns there may be; those that fit are shown."""
        raise NotImplementedError

    def key_of(self, item: Item) -> str:
        """What identifies a row from one snapshot to the next."""
        raise NotImplementedError

    def text_of(self, item: Item) -> str:
        """What the filter looks at."""
        return self.key_of(item)

    def body(self, snapshot: Shown, width: int, height: int) -> list[Row]:
        """The head and the rows that there is room for."""
        columns = fitting(self.columns(snapshot), width)
        self._shown = self._arranged(snapshot, columns)
        head = self._head(columns, width)
        room = max(0, height - 1)
        chosen = self._chosen_index()
        self._top_row = scrolled(self._top_row, chosen, len(self._shown), room)
        rows: list[Row] = [head]
        for index, item in enumerate(self._shown[self._top_row : self._top_row + room]):
            row = self._row(item, columns, width)
            if self._marks_selection and index + self._top_row == chosen:
                row = restyle([("▸", "select"), *row[1:]], "select")
            rows.append(row)
        if not self._shown and self.needle:
            rows.append([(f"nothing matches “{self.needle}”: / changes the filter", "dim")])
        return rows

    @property
    def _marks_selection(self) -> bool:
        return self.has_focus or self.full

    def _arranged(self, snapshot: Shown, columns: Sequence[Column[Item]]) -> list[Item]:
        items = list(self.items(snapshot))
        if self.needle:
            needle = self.needle.lower()
            items = [item for item in items if needle in self.text_of(item).lower()]
        by = next((c for c in self.columns(snapshot) if c.key == self.sort_key), None)
        if by is None or by.order is None:
            return items
        order = by.order
        known = [item for item in items if order(item) is not None]
        unknown = [item for item in items if order(item) is None]
        textual = bool(known) and isinstance(order(known[0]), str)
        known.sort(key=order, reverse=textual == self.reversed)
        return known + unknown

    def _head(self, columns: Sequence[Column[Item]], width: int) -> Row:
        row: Row = [(" ", "text")]
        self._heads = []
        x = 1
        for number, column in enumerate(columns):
            title = column.title
            is_sorted = column.key == self.sort_key
            if is_sorted:
                text_first = column.align == "left"
                title = title + ("▲" if text_first != self.reversed else "▼")
            role = "head sorted" if is_sorted else "head"
            row.append((fit(title, column.width, column.align), role))
            self._heads.append((x, x + column.width, column.key))
            x += column.width + 1
            if number < len(columns) - 1:
                row.append((" ", "text"))
        return row

    def _row(self, item: Item, columns: Sequence[Column[Item]], width: int) -> Row:
        row: Row = [(" ", "text")]
        for number, column in enumerate(columns):
            cell = column.cell(item)
            if isinstance(cell, tuple):
                row.append((fit(cell[0], column.width, column.align), cell[1]))
            else:
                row += cell
            if number < len(columns) - 1:
                row.append((" ", "text"))
        return row

    # Selection

    def chosen(self) -> Item | None:
        """The selected item, or the first."""
        index = self._chosen_index()
        return self._shown[index] if 0 <= index < len(self._shown) else None

    def _chosen_index(self) -> int:
        for index, item in enumerate(self._shown):
            if self.key_of(item) == self.selected:
                return index
        return 0

    def _choose(self, index: int) -> None:
        if not self._shown:
            return
        index = max(0, min(len(self._shown) - 1, index))
        key = self.key_of(self._shown[index])
        if key != self.selected:
            self.selected = key
            self.repaint()
            self.post_message(self.Selected(self, key))

    def action_move(self, by: int) -> None:
        """Select a neighbour."""
        self._choose(self._chosen_index() + by)

    def action_page(self, by: int) -> None:
        """Select a screenful away."""
        self._choose(self._chosen_index() + by * max(1, self.inner_height - 2))

    def action_edge(self, side: int) -> None:
        """Select the first or the last."""
        self._choose(0 if side < 0 else len(self._shown) - 1)

    # Order and filter

    def action_sort(self) -> None:
        """Sort by the next column that is shown and can be sorted by."""
        if self.snapshot is None:
            return
        columns = fitting(self.columns(self.snapshot), self.inner_width)
        keys = [column.key for column in columns if column.order is not None]
        if keys:
            at = keys.index(self.sort_key) if self.sort_key in keys else -1
            self.sort_by(keys[(at + 1) % len(keys)])

    def sort_by(self, key: str) -> None:
        """Sort by a column; by the same again, the other way round."""
        if key == self.sort_key:
            self.reversed = not self.reversed
        else:
            self.sort_key, self.reversed = key, False
        self._top_row = 0
        self.repaint()

    def action_reverse(self) -> None:
        """The other way round."""
        self.sort_by(self.sort_key)

    def action_filter(self) -> None:
        """Ask for a text."""
        self.post_message(self.FilterAsked(self))

    def filter_by(self, needle: str) -> None:
        """Show only rows that contain a text; empty shows all."""
        self.needle = needle
        self._top_row = 0
        self.repaint()
        chosen = self.chosen()
        self.post_message(self.Selected(self, None if chosen is None else self.key_of(chosen)))

    # Mouse

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel selects downwards."""
        event.stop()
        self.action_move(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel selects upwards."""
        event.stop()
        self.action_move(-3)

    def on_click(self, event: events.Click) -> None:
        """A head sorts, a row is selected; twice opens, as the frame says."""
        x, y = event.x - (2 if self.boxed else 1), event.y - 1
        if y == 0:
            for start, end, key in self._heads:
                if start <= x < end:
                    self.sort_by(key)
        elif 0 < y < self.inner_height:
            self._choose(self._top_row + y - 1)


class Table(Panel, FrameTable[Snapshot, Item], Generic[Item]):
    """A panel of a run's that is a table.

    Panel comes first: Textual's queries see a widget as its first base only.
    """


def fitting(columns: Sequence[Column[Item]], width: int) -> list[Column[Item]]:
    """The columns that fit into `width`, the flexible one widened to fill it."""
    kept = list(columns)
    while len(kept) > 1:
        needed = 1 + sum(column.width or column.least for column in kept) + len(kept) - 1
        worst = max(reversed(kept), key=lambda column: column.rank)
        if needed <= width or worst.rank == 0:
            break
        kept.remove(worst)
    fixed = 1 + sum(column.width for column in kept) + len(kept) - 1
    from dataclasses import replace

    return [
        column if column.width else replace(column, width=max(4, width - fixed)) for column in kept
    ]


def scrolled(top: int, chosen: int, count: int, room: int) -> int:
    """The first row to show so that the chosen one is seen."""
    if chosen < top:
        top = chosen
    elif chosen >= top + room:
        top = chosen - room + 1
    return max(0, min(top, count - room))
