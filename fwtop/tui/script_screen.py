"""pyte's screen and parser, made fit for a script's output: any bytes, and sizes that change.

Owns what pyte lacks: which rows are one line that was wrapped, when each was written, what leaves
at the top, and that no sequence however broken ends the view.
"""

from __future__ import annotations

from collections.abc import Callable

import pyte
import pyte.screens

MAX_SEQUENCE = 1 << 16
"""Characters after which a sequence that has not ended is none."""


class Screen(pyte.Screen):  # type: ignore[misc]
    """A screen that says when a row is about to scroll off its top."""

    def __init__(self, columns: int, lines: int, leaves: Callable[[], None]) -> None:
        self._leaves = leaves
        self._drawing = False
        self._shrunk = False
        self.now_ns = 0
        self.times_ns = [0] * lines
        """When each row was last written to."""
        self.wrapped = [False] * lines
        """Whether a row goes on with the line of the row above."""
        self.columns: int
        self.lines: int
        super().__init__(columns, lines)

    def index(self) -> None:
        """A line feed, or a line's wrap; at the bottom the top row leaves."""
        if self._drawing:
            self.times_ns[self.cursor.y] = self.now_ns
        scrolls = self.cursor.y == self.lines - 1 and self.margins is None
        if scrolls:
            self._scroll()
        else:
            super().index()
        self.wrapped[self.cursor.y] = self._drawing

    def draw(self, data: str) -> None:
        """Text at the cursor. What begins at a row's start begins a line, unless it wraps there."""
        y = self.cursor.y
        if self.cursor.x == 0:
            self.wrapped[y] = False
        if self._shrunk:
            row = self.buffer[y]
            for x in [x for x in row if x >= self.columns]:
                del row[x]
        self._drawing = True
        try:
            super().draw(data)
        finally:
            self._drawing = False
        self.times_ns[self.cursor.y] = self.now_ns

    def fit(self, columns: int, lines: int) -> None:
        """Another size. Rows that have no place any more leave at the top; none is cut.

        What is wider than the new size stays as it was written until it is written over, as in a
        terminal that keeps what is beyond its edge.
        """
        last = max((y for y in self.buffer if self.buffer[y]), default=0)
        for _ in range(min(self.cursor.y, max(last, self.cursor.y) + 1 - lines)):
            self._scroll()
            self.cursor.y -= 1
        for y in [y for y in self.buffer if y >= lines]:
            del self.buffer[y]
        more = max(0, lines - self.lines)
        self.times_ns = [*self.times_ns, *([self.now_ns] * more)][:lines]
        self.wrapped = [*self.wrapped, *([False] * more)][:lines]
        self._shrunk = self._shrunk or columns < self.columns
        self.columns, self.lines = columns, lines
        self.margins = None
        self.saved_columns = None
        self.tabstops = set(range(8, columns, 8))
        self.cursor.x = min(self.cursor.x, columns)
        self.cursor.y = min(self.cursor.y, lines - 1)

    def _scroll(self) -> None:
        self._leaves()
        for y in range(self.lines - 1):
            self.buffer[y] = self.buffer[y + 1]
        self.buffer.pop(self.lines - 1, None)
        self.times_ns = [*self.times_ns[1:], self.now_ns]
        self.wrapped = [*self.wrapped[1:], False]

    def text_of(self, y: int) -> str:
        """A row to its end, with the blanks that a wrapped line may have there."""
        row = self.buffer.get(y)
        if not row:
            return ""
        default = self.default_char
        return "".join(row.get(x, default).data for x in range(max(row) + 1))

    # A script's questions to its terminal have no answer here, and its titles no place.
    def write_process_input(self, data: str) -> None:
        """Nothing to answer to."""

    def set_title(self, param: str) -> None:
        """No title."""

    def set_icon_name(self, param: str) -> None:
        """No icon."""


class Stream(pyte.Stream):  # type: ignore[misc]
    """pyte's parser, which raises for sequences that it has no such parameters for."""

    def __init__(self, screen: Screen) -> None:
        self.ignored = 0
        """Sequences that meant nothing."""
        self._held = 0
        super().__init__(screen)

    def feed(self, data: str) -> None:
        """Interpret text."""
        super().feed(data)
        self._held = 0 if self._taking_plain_text else self._held + len(data)
        if self._held > MAX_SEQUENCE:
            self._held = 0
            self.ignored += 1
            self._initialize_parser()

    def _send_to_parser(self, data: str) -> bool | None:
        try:
            taken: bool | None = super()._send_to_parser(data)
        except Exception:  # whatever a script may print; pyte has begun anew
            self.ignored += 1
            taken = True
        return taken
