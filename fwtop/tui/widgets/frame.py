"""A frame around rows of text, in which only the lines that changed are repainted.

It draws through Textual's line API: `_rows` says what the rows are, `repaint` compares them with
what is shown and refreshes the lines that differ. What it shows comes down as one immutable value.
"""

from __future__ import annotations

from typing import ClassVar, Generic, TypeVar

from rich.cells import cell_len
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.reactive import var
from textual.strip import Strip
from textual.widget import Widget

from fwtop.tui.drawing import Row, fill, strip_of, width_of, wrap

Shown = TypeVar("Shown")


class Frame(Widget, Generic[Shown], can_focus=True):
    """Rows of text about what it shows, which is None until there is something.

    `full` frames have a screen of their own and show more. `boxed` draws the whole frame; without
    it only the headline is drawn, which small terminals cannot spare more than.
    """

    TITLE: ClassVar[str] = ""
    KEY: ClassVar[str] = ""
    """The number that opens it."""
    ABOUT: ClassVar[str] = ""
    """What `?` says of it: what its figures are and where they come from."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", show=False),
    ]

    snapshot: var[Shown | None] = var(None, init=False)
    boxed: var[bool] = var(True, init=False)

    def __init__(self, *, full: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self.full = full
        self._lines: list[Strip] = []

    # What it says

    def body(self, snapshot: Shown, width: int, height: int) -> list[Row]:
        """At most `height` rows of at most `width` cells."""
        raise NotImplementedError

    def headline(self, snapshot: Shown, width: int) -> Row:
        """What stands at the right of the title, within `width` cells."""
        return []

    def awaited(self, snapshot: Shown) -> str | None:
        """What it waits for, if it has nothing to show yet."""
        return None

    def shown_keys(self) -> list[Binding]:
        """The keys of its own that the footer hints at."""
        found: dict[str, Binding] = {}
        for base in type(self).__mro__:
            for one in base.__dict__.get("BINDINGS", ()):
                if isinstance(one, Binding) and one.show:
                    found.setdefault(one.key, one)
        return list(found.values())

    # How it gets on the screen

    @property
    def inner_width(self) -> int:
        """Cells a row may take."""
        return max(0, self.size.width - (4 if self.boxed else 1))

    @property
    def inner_height(self) -> int:
        """Rows there is room for."""
        return max(0, self.size.height - (2 if self.boxed else 1))

    def render_line(self, y: int) -> Strip:
        """The line that `repaint` drew."""
        if len(self._lines) != self.size.height:
            self._lines = self._draw()
        return self._lines[y] if y < len(self._lines) else Strip.blank(self.size.width)

    def repaint(self) -> None:
        """Draw, and refresh the lines that came out different."""
        if not self.is_mounted or not self.size or not self.display:
            return
        if not self.screen.is_current and not self.screen.is_active:
            return
        before, self._lines = self._lines, self._draw()
        if len(before) != len(self._lines):
            self.refresh()
            return
        width = self.size.width
        changed = [
            Region(0, y, width, 1)
            for y, (old, new) in enumerate(zip(before, self._lines, strict=True))
            if old != new
        ]
        if changed:
            self.refresh(*changed)

    def _draw(self) -> list[Strip]:
        width, height = self.size
        if width < 8 or height < 1:
            return [Strip.blank(width)] * height
        rows = self._rows(self.inner_width, self.inner_height)[: self.inner_height]
        rows += [[] for _ in range(self.inner_height - len(rows))]
        role = "frame focus" if self._lit else "frame"
        if not self.boxed:
            return [strip_of(self._top(width, role), width)] + [
                strip_of([(" ", "text"), *row], width) for row in rows
            ]
        lines = [strip_of(self._top(width, role), width)]
        for row in rows:
            inside = fill(row, self.inner_width)
            lines.append(strip_of([("│ ", role), *inside, (" │", role)], width))
        lines.append(strip_of([("╰" + "─" * (width - 2) + "╯", role)], width))
        return lines[:height]

    @property
    def _lit(self) -> bool:
        return self.has_focus and not self.full

    def _rows(self, width: int, height: int) -> list[Row]:
        if self.snapshot is None:
            return []
        awaited = self.awaited(self.snapshot)
        if awaited is not None:
            return [[(line, "dim")] for line in wrap(awaited, width)]
        return self.body(self.snapshot, width, height)

    def _top(self, width: int, role: str) -> Row:
        """`╭─▸1 Steps ───── headline ─╮`: the marker says focus without colour."""
        left, right = ("╭─", "─╮") if self.boxed else ("──", "──")
        marker = "▸" if self._lit else " "
        title = f"{self.KEY} {self.TITLE}" if self.KEY and not self.full else self.TITLE
        row: Row = [(left, role), (marker, "key"), (title, "title"), (" ", role)]
        room = width - width_of(row) - cell_len(right) - 3
        said = self.headline(self.snapshot, room) if self.snapshot is not None else []
        while said and width_of(said) > room:
            said = said[:-1]
        gap = width - width_of(row) - width_of(said) - cell_len(right) - (2 if said else 0)
        row.append(("─" * max(0, gap), role))
        if said:
            row += [(" ", role), *said, (" ", role)]
        row.append((right, role))
        return row

    # What makes it draw

    def watch_snapshot(self) -> None:
        """New figures."""
        self.repaint()

    def watch_boxed(self) -> None:
        """The frame changed."""
        self.repaint()

    def on_resize(self, event: events.Resize) -> None:
        """All lines are new."""
        self._lines = []
        self.repaint()

    def watch_has_focus(self, has_focus: bool) -> None:
        """The frame shows it."""
        super().watch_has_focus(has_focus)
        self.repaint()

    def action_open(self) -> None:
        """What Enter and a double click do."""

    def on_click(self, event: events.Click) -> None:
        """A double click opens, as Enter does."""
        if event.chain == 2:
            self.action_open()
