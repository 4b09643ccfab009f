"""The script's output as a terminal would show it: bars that overwrite themselves, colours.

pyte interprets the bytes; lines that scroll off its small screen are kept as immutable lines with
the time they were written. Plain text takes a short way round pyte, which is slow (about 1 MB/s).
"""

from __future__ import annotations

import codecs
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pyte
import pyte.screens
from rich.style import Style

from fwtop.tui.drawing import Span

SCREEN_LINES = 24
"""How far up the script may move its cursor (several progress bars at once), if nothing tells."""
MAX_LINES = 200
MAX_COLUMNS = 400
PLAIN_AT_LEAST = 4096
"""Below this many characters the short way saves nothing."""
NOT_PLAIN = re.compile(r"[^\n\x20-\x7e]")
"""Anything but single-cell text and line feeds: escapes, carriage returns, wide characters."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of output and when it scrolled in, in ns since the run's start."""

    at_ns: int
    spans: tuple[Span, ...]

    @property
    def text(self) -> str:
        """The line without its colours."""
        return "".join(text for text, _ in self.spans)


class _Screen(pyte.Screen):  # type: ignore[misc]
    """A pyte screen that hands over the line that scrolls off its top."""

    def __init__(self, columns: int, lines: int, keep: Callable[[Any, int], None]) -> None:
        self._keep = keep
        self.now_ns = 0
        self.times_ns = [0] * lines
        """When each line was last written to."""
        super().__init__(columns, lines)

    def index(self) -> None:
        """A line feed; at the bottom the top line leaves."""
        if self.cursor.y == self.lines - 1 and self.margins is None:
            self._keep(self.buffer[0], self.times_ns[0])
            self.times_ns = [*self.times_ns[1:], self.now_ns]
        super().index()

    def draw(self, data: str) -> None:
        """Text at the cursor."""
        super().draw(data)
        self.times_ns[self.cursor.y] = self.now_ns

    # A script's questions to its terminal have no answer here, and its titles no place.
    def write_process_input(self, data: str) -> None:
        """Nothing to answer to."""

    def set_title(self, param: str) -> None:
        """No title."""

    def set_icon_name(self, param: str) -> None:
        """No icon."""


class ScriptTerminal:
    """Feed it chunks of output; read `lines()`."""

    def __init__(
        self, columns: int = 160, keep: int = 10_000, screen_lines: int = SCREEN_LINES
    ) -> None:
        self.columns = max(20, min(MAX_COLUMNS, columns))
        self.screen_lines = max(2, min(MAX_LINES, screen_lines))
        self.kept: deque[LogLine] = deque(maxlen=keep)
        self.dropped = 0
        self._skipping = False
        self._screen = _Screen(self.columns, self.screen_lines, self._keep)
        self._screen.set_mode(pyte.modes.LNM)
        self._stream = pyte.Stream(self._screen)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def skip_line(self) -> None:
        """The output is fed from its middle: what comes before the first line feed is dropped."""
        self._skipping = True

    def feed(self, data: bytes, at_ns: int) -> None:
        """Interpret a chunk that came at `at_ns`."""
        self._screen.now_ns = at_ns
        if self._skipping:
            _, found, rest = data.partition(b"\n")
            if not found:
                return
            data, self._skipping = rest, False
        text = self._decoder.decode(data).replace("\r\n", "\n")
        many = len(text) > PLAIN_AT_LEAST and text.count("\n") > 2 * self.screen_lines
        if many and self._plain(text):
            text = self._feed_plain(text)
        self._stream.feed(text)

    def _plain(self, text: str) -> bool:
        """Whether the text only writes lines, in the plain look, below all that was written."""
        cursor = self._screen.cursor
        look = (cursor.attrs.fg, cursor.attrs.bg, cursor.attrs.bold, cursor.attrs.reverse)
        if look != ("default", "default", False, False) or self._screen.margins is not None:
            return False
        if any(self._screen.buffer[y] for y in range(cursor.y + 1, self.screen_lines)):
            return False
        return NOT_PLAIN.search(text) is None

    def _feed_plain(self, text: str) -> str:
        """Keep what is bound to scroll off, without pyte; returns the rest, to be fed."""
        lines = text.split("\n")
        self._stream.feed(lines[0])
        cursor = self._screen.cursor
        for y in range(cursor.y + 1):
            self._keep(self._screen.buffer[y], self._screen.times_ns[y])
        self._screen.erase_in_display(2)
        self._screen.cursor_position()
        for line in lines[1 : -self.screen_lines - 1]:
            for start in range(0, max(1, len(line)), self.columns):
                self._keep_text(line[start : start + self.columns].rstrip())
        return "\n".join(lines[-self.screen_lines - 1 :])

    def lines(self) -> tuple[LogLine, ...]:
        """Every line held, oldest first, up to the last one with anything on it."""
        screen = self._screen
        last = screen.cursor.y
        for y in range(self.screen_lines - 1, last, -1):
            if screen.buffer.get(y):
                last = y
                break
        shown = [
            LogLine(screen.times_ns[y], self._spans(screen.buffer[y])) for y in range(last + 1)
        ]
        while shown and not shown[-1].spans:
            shown.pop()
        return (*self.kept, *shown)

    def _keep(self, cells: Any, at_ns: int) -> None:
        self._append(LogLine(at_ns, self._spans(cells)))

    def _keep_text(self, text: str) -> None:
        self._append(LogLine(self._screen.now_ns, ((text, "text"),) if text else ()))

    def _append(self, line: LogLine) -> None:
        if len(self.kept) == self.kept.maxlen:
            self.dropped += 1
        self.kept.append(line)

    def _spans(self, cells: Any) -> tuple[Span, ...]:
        """Runs of cells of one look; blanks at the end dropped."""
        if not cells:
            return ()
        spans: list[Span] = []
        text: list[str] = []
        look: tuple[Any, ...] | None = None
        default = self._screen.default_char
        for x in range(max(cells) + 1):
            char = cells.get(x, default)
            this = (char.fg, char.bg, char.bold, char.italics, char.underscore, char.reverse)
            if this != look:
                if text:
                    spans.append(("".join(text), _style(*look) if look else "text"))
                text, look = [], this
            text.append(char.data)
        tail = "".join(text)
        if look is not None and not (look[1] != "default" or look[5]):
            tail = tail.rstrip()
        if tail:
            spans.append((tail, _style(*look) if look else "text"))
        return tuple(spans)


NAMES = {"brown": "yellow", "brightbrown": "bright_yellow"}


@lru_cache(maxsize=1024)
def _style(
    fg: str, bg: str, bold: bool, italics: bool, underscore: bool, reverse: bool
) -> str | Style:
    if (fg, bg) == ("default", "default") and not (bold or italics or underscore or reverse):
        return "text"
    return Style(
        color=_colour(fg),
        bgcolor=_colour(bg),
        bold=bold or None,
        italic=italics or None,
        underline=underscore or None,
        reverse=reverse or None,
    )


def _colour(name: str) -> str | None:
    """pyte names a colour, or gives six hexadecimal digits."""
    if name == "default":
        return None
    if name in NAMES:
        return NAMES[name]
    if name.startswith("bright"):
        return "bright_" + name.removeprefix("bright")
    if len(name) == 6 and all(digit in "0123456789abcdef" for digit in name.lower()):
        return f"#{name}"
    return name
