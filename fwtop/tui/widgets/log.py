"""Log: the script's output as its terminal would show it; it follows, scrolls back and searches."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from fwtop.formatting import format_bytes, format_time_of_run
from fwtop.tui.drawing import Row, fill
from fwtop.tui.script_terminal import LogLine
from fwtop.tui.snapshot import LogView, Snapshot
from fwtop.tui.widgets.panel import Panel


class Log(Panel):
    """Follows the end unless scrolled back; `f` follows again."""

    SUBJECT = "log"
    TITLE = "Log"
    KEY = "6"
    NEEDS = frozenset({"log"})
    ABOUT = (
        "The script's output, as its own terminal would show it. Up, down, page up, page down and "
        "the wheel scroll back, f follows the end again; / searches, n and N go to the next and "
        "the one before. i types a line into the script's terminal, for one that asks (input(), "
        "pdb). With the time cursor it shows what had been printed by then."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_by(-1)", "Up", show=False),
        Binding("down,j", "scroll_by(1)", "Down", show=False),
        Binding("pageup", "scroll_page(-1)", "Page up", show=False),
        Binding("pagedown", "scroll_page(1)", "Page down", show=False),
        Binding("g", "top", "Top", show=False),
        Binding("f,G", "follow", "Follow"),
        Binding("slash", "search", "Search", key_display="/"),
        Binding("i", "input", "Input"),
        Binding("n", "match(1)", "Next match", show=False),
        Binding("N", "match(-1)", "Match before", show=False),
    ]

    class SearchAsked(Message):
        """The log asks for a text to look for."""

        def __init__(self, log: Log) -> None:
            super().__init__()
            self.log_panel = log

    class InputAsked(Message):
        """A line is to be typed into the script's terminal."""

    def __init__(self, *, full: bool = False, id: str | None = None) -> None:
        super().__init__(full=full, id=id)
        self._top_line: int | None = None
        """Number of the first line shown, counted from the first line of all; None follows."""
        self.needle = ""

    def awaited(self, snapshot: Snapshot) -> str | None:
        """Nothing was printed."""
        if snapshot.log is None or not snapshot.log.lines:
            return "Nothing printed so far." if snapshot.live else "The script printed nothing."
        return None

    def shown_keys(self) -> list[Binding]:
        """Input only while there is a terminal that takes it."""
        keys = super().shown_keys()
        if self.snapshot is not None and self.snapshot.live and self.snapshot.has_terminal:
            return keys
        return [key for key in keys if key.action != "input"]

    def headline(self, snapshot: Snapshot, width: int) -> Row:
        """Where the view stands."""
        view = snapshot.log
        row: Row = []
        if self.needle:
            row += [(f"/{self.needle}", "key"), ("  ", "dim")]
        if view is not None and self._top_line is not None:
            last = min(len(view.lines), self._top_line - view.first + self.inner_height)
            below = len(view.lines) - last
            row += [(f"↑ {below} lines below, f follows", "warn")]
        elif view is not None and self.full and view.bytes:
            row += [(format_bytes(view.bytes), "dim")]
        return row

    def body(self, snapshot: Snapshot, width: int, height: int) -> list[Row]:
        """The lines in view."""
        view = snapshot.log
        assert view is not None
        start = self._start(view, height)
        return [self._line(line, width) for line in view.lines[start : start + height]]

    def _start(self, view: LogView, height: int) -> int:
        last = max(0, len(view.lines) - height)
        if self._top_line is None:
            return last
        return max(0, min(last, self._top_line - view.first))

    def _line(self, line: LogLine, width: int) -> Row:
        row: Row = list(line.spans)
        if self.needle and self.needle.lower() in line.text.lower():
            row = _matched(line.text, self.needle)
        if self.full and width >= 60:
            row = [(format_time_of_run(line.at_ns).rjust(8) + "  ", "dim"), *row]
        return fill(row, width)

    def action_scroll_by(self, by: int) -> None:
        """Lines up or down; past the end it follows again."""
        view = self.snapshot.log if self.snapshot else None
        if view is None:
            return
        start = self._start(view, self.inner_height) + by
        last = max(0, len(view.lines) - self.inner_height)
        self._top_line = None if start >= last else view.first + max(0, start)
        self.repaint()

    def action_scroll_page(self, by: int) -> None:
        """A screenful."""
        self.action_scroll_by(by * max(1, self.inner_height - 1))

    def action_top(self) -> None:
        """The oldest line held."""
        self.action_scroll_by(-1_000_000)

    def action_follow(self) -> None:
        """The end, and what comes."""
        self._top_line = None
        self.repaint()

    def action_search(self) -> None:
        """Ask for a text."""
        self.post_message(self.SearchAsked(self))

    def action_input(self) -> None:
        """Ask for a line for the script."""
        self.post_message(self.InputAsked())

    def search(self, needle: str) -> None:
        """Show a text where it is; go to the last place."""
        self.needle = needle
        self.repaint()
        if needle:
            self.action_match(-1)

    def action_match(self, by: int) -> None:
        """The next place with the text, or the one before."""
        view = self.snapshot.log if self.snapshot else None
        if view is None or not self.needle:
            return
        start = self._start(view, self.inner_height)
        needle = self.needle.lower()
        places = range(start + 1, len(view.lines)) if by > 0 else range(start - 1, -1, -1)
        for place in places:
            if needle in view.lines[place].text.lower():
                self._top_line = view.first + place
                self.repaint()
                return

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel."""
        event.stop()
        self.action_scroll_by(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel."""
        event.stop()
        self.action_scroll_by(-3)


def _matched(text: str, needle: str) -> Row:
    row: Row = []
    lower, wanted = text.lower(), needle.lower()
    at = 0
    while True:
        found = lower.find(wanted, at)
        if found < 0 or len(lower) != len(text):
            row.append((text[at:], "text"))
            return row
        row += [(text[at:found], "text"), (text[found : found + len(needle)], "match")]
        at = found + len(needle)
