"""The footer: the keys that work here. A click on one presses it."""

from __future__ import annotations

from textual import events
from textual.strip import Strip
from textual.widget import Widget

from fwtop.formatting import cell_width, ellipsis, printable
from fwtop.tui.drawing import Row, fill, strip_of

Hint = tuple[str, str, str]
"""Key to press, how it is written, what it does."""


class KeyLine(Widget):
    """One line of hints; those that do not fit are left out from the end, the last one stays."""

    def __init__(self) -> None:
        super().__init__(id="keys")
        self._hints: tuple[Hint, ...] = ()
        self._places: list[tuple[int, int, str]] = []
        self.notice = ""

    def show(self, hints: tuple[Hint, ...], notice: str = "") -> None:
        """Other hints, or a passing notice at the right."""
        notice = printable(notice)  # it may name a file
        if (hints, notice) != (self._hints, self.notice):
            self._hints, self.notice = hints, notice
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """The line."""
        width = self.size.width
        if y:
            return Strip.blank(width)
        row: Row = []
        self._places = []
        x = 0
        *others, last = self._hints or (("", "", ""),)
        notice = ellipsis(self.notice, max(0, width - 2))
        room = width - cell_width(notice) - 2
        for key, written, does in [*others, last]:
            length = len(written) + len(does) + 3
            reserved = len(last[1]) + len(last[2]) + 3 if (key, written, does) != last else 0
            if x + length + reserved > room:
                continue
            row += [(f" {written}", "key"), (f" {does} ", "dim")]
            self._places.append((x, x + length, key))
            x += length
        if notice:
            row = fill(row, max(x, width - cell_width(notice) - 1))
            row.append((notice, "strong warn"))
        return strip_of(row, width)

    def on_click(self, event: events.Click) -> None:
        """Press the key that was clicked."""
        for start, end, key in self._places:
            if start <= event.x < end and key:
                self.app.simulate_key(key)
