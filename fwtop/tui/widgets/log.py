"""Log: the script's output as its terminal would show it; it follows, scrolls back and searches.

Lines of a library's log (TensorFlow's, PyTorch's, NCCL's) are quieter than the script's own, by
their level, and can be left out by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from fwtop.analysis.log_lines import LEVELS, Level
from fwtop.formatting import format_bytes, plural
from fwtop.tui.drawing import Row
from fwtop.tui.snapshot import LogView, Snapshot
from fwtop.tui.widgets.log_rows import LogRows
from fwtop.tui.widgets.panel import Panel

HIDING: Mapping[tuple[Level, ...], str] = {
    (): "all lines",
    ("info",): "no library info",
    ("info", "warning"): "no library info or warnings",
    LEVELS: "only the script's own",
}
"""What `l` goes through: the levels left out, and how that is called."""


def next_hiding(hides: tuple[Level, ...]) -> tuple[Level, ...]:
    """What is left out after another press of `l`."""
    every = list(HIDING)
    return every[(every.index(hides) + 1) % len(every)] if hides in HIDING else ()


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
        "pdb). With the time cursor it shows what had been printed by then.\n"
        "Lines of a library's own log (TensorFlow's and PyTorch's C++, NCCL's) are dim if they "
        "inform (I) and muted if they warn (W); errors (E, F) look like the script's. l leaves out "
        "what informs, then warnings too, then all but the script's own lines, then nothing. The "
        "recording keeps every line, and fwtop sets no TF_CPP_… variable."
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
        Binding("l", "app.log_levels", "Levels"),
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
        self._drawn: LogView | None = None

    def awaited(self, snapshot: Snapshot) -> str | None:
        """Nothing was printed, or nothing that is wanted."""
        view = snapshot.log
        if view is not None and view.lines:
            return None
        if view is not None and view.hidden:
            return f"{_hidden(view)[0].upper()}{_hidden(view)[1:]}; l shows more."
        if snapshot.run.imported:
            return "A trace does not tell what the script printed."
        return "Nothing printed so far." if snapshot.live else "The script printed nothing."

    def watch_snapshot(self) -> None:
        """What was at the top stays there when other lines are left out."""
        before, view = self._drawn, self.snapshot.log if self.snapshot else None
        if view is not None:
            moved = before is not None and before.hides != view.hides
            if moved and before and before.lines and self._top_line is not None:
                at_ns = before.lines[self._start(before, self.inner_height)].at_ns
                later = (n for n, line in enumerate(view.lines) if line.at_ns >= at_ns)
                self._top_line = view.first + next(later, len(view.lines))
            self._drawn = view
        super().watch_snapshot()

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
        if view is not None and view.hides:
            row += [(_hidden(view), "key"), ("  ", "dim")]
        if view is not None and self._top_line is not None:
            start = self._start(view, self.inner_height)
            shown = self._drawing(view).whole(view.lines[start:], self.inner_height)
            below = len(view.lines) - start - shown
            row += [(f"↑ {below} lines below, f follows", "warn")]
        elif view is not None and self.full and view.bytes:
            row += [(format_bytes(view.bytes), "dim")]
        return row

    def body(self, snapshot: Snapshot, width: int, height: int) -> list[Row]:
        """The lines in view."""
        view = snapshot.log
        assert view is not None
        rows = self._drawing(view)
        if self._top_line is None:
            return rows.last(view.lines, height)
        return rows.first(view.lines[self._start(view, height) :], height)

    def _drawing(self, view: LogView) -> LogRows:
        return LogRows.of(view.lines, self.inner_width, self.full, self.needle)

    def _last_start(self, view: LogView, height: int) -> int:
        """The first line that is whole where the end is shown."""
        return len(view.lines) - self._drawing(view).whole_at_end(view.lines, height)

    def _start(self, view: LogView, height: int) -> int:
        last = self._last_start(view, height)
        if self._top_line is None:
            return last
        return max(0, min(last, self._top_line - view.first))

    def action_scroll_by(self, by: int) -> None:
        """Lines up or down; past the end it follows again."""
        view = self.snapshot.log if self.snapshot else None
        if view is None:
            return
        start = self._start(view, self.inner_height) + by
        last = self._last_start(view, self.inner_height)
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


def _hidden(view: LogView) -> str:
    called = HIDING.get(view.hides, "some levels left out")
    return f"{called}, {plural(view.hidden, 'line')} hidden"
