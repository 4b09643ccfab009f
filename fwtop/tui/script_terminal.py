"""The script's output as a terminal would show it: bars that overwrite themselves, colours.

pyte interprets the bytes; lines that scroll off its small screen are kept as immutable lines with
the time they were written. Plain text takes a short way round pyte, which is slow (about 1 MB/s).
"""

from __future__ import annotations

import codecs
import re
from collections import Counter, deque
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import pyte.modes
from rich.style import Style

from fwtop.analysis.log_lines import MAX_CHARACTERS, Level, LibraryLine, find
from fwtop.tui.drawing import Row, Span
from fwtop.tui.script_screen import Screen, Stream

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
    """One row of output and when it scrolled in, in ns since the run's start."""

    at_ns: int
    spans: tuple[Span, ...]
    level: Level | None = None
    """Of the library whose log this is; None if all of the row is the script's own."""
    begins: int = 0
    """Where in `text` the library's part begins; what is before is the script's own."""

    @property
    def text(self) -> str:
        """The line without its colours."""
        return "".join(text for text, _ in self.spans)

    @property
    def hidden_as(self) -> Level | None:
        """The level that hides the whole row; None for one with something of the script's own."""
        return self.level if not self.begins else None

    @property
    def parts(self) -> tuple[Row, Row]:
        """The script's own part of the row, and the library's."""
        if self.level is None:
            return list(self.spans), []
        own: Row = []
        library: Row = []
        left = self.begins
        for text, look in self.spans:
            if text[:left]:
                own.append((text[:left], look))
            if text[left:]:
                library.append((text[left:], look))
            left = max(0, left - len(text))
        return own, library

    @property
    def own(self) -> LogLine:
        """The row with nothing but the script's own part of it."""
        return LogLine(self.at_ns, tuple(self.parts[0]))


@dataclass(slots=True)
class _Line:
    """A line of which some rows have left already."""

    found: LibraryLine | None = None
    characters: int = 0
    """In the rows before."""

    def mark(self, characters: int) -> tuple[Level | None, int]:
        """Level and begin for the next row, which has so many characters."""
        before, self.characters = self.characters, self.characters + characters
        if self.found is None or self.found.start >= self.characters:
            return None, 0
        return self.found.level, max(0, self.found.start - before)


class ScriptTerminal:
    """Feed it chunks of output; read `lines()`."""

    def __init__(
        self, columns: int = 80, keep: int = 50_000, screen_lines: int = SCREEN_LINES
    ) -> None:
        self.columns, self.screen_lines = _within(columns, screen_lines)
        self.kept: deque[LogLine] = deque(maxlen=keep)
        self.dropped: Counter[Level | None] = Counter()
        """Rows that are not kept any more, by level (None: with something of the script's own)."""
        self._skipping = False
        self._leaving = _Line()
        self._screen = Screen(self.columns, self.screen_lines, self._keep_top)
        self._screen.set_mode(pyte.modes.LNM)
        self._stream = Stream(self._screen)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def skip_line(self) -> None:
        """The output is fed from its middle: what comes before the first line feed is dropped."""
        self._skipping = True

    def resize(self, columns: int, screen_lines: int, at_ns: int) -> None:
        """What is fed from here on was written to a terminal of another size."""
        self._screen.now_ns = at_ns
        self.columns, self.screen_lines = _within(columns, screen_lines)
        self._screen.fit(self.columns, self.screen_lines)

    def feed(self, data: bytes, at_ns: int) -> None:
        """Interpret a chunk that came at `at_ns`. No bytes whatever raise."""
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
        for shown in self._rows(self._screen.cursor.y, self._leaving):
            self._append(shown)
        self._screen.erase_in_display(2)
        self._screen.cursor_position()
        for line in lines[1 : -self.screen_lines - 1]:
            self._leaving = _Line(find(line))
            for start in range(0, max(1, len(line)), self.columns):
                row = line[start : start + self.columns]
                level, begins = self._leaving.mark(len(row))
                row = row.rstrip()
                spans: tuple[Span, ...] = ((row, "text"),) if row else ()
                self._append(LogLine(self._screen.now_ns, spans, level, begins))
        return "\n".join(lines[-self.screen_lines - 1 :])

    def lines(self) -> tuple[LogLine, ...]:
        """Every row held, oldest first, up to the last one with anything on it."""
        screen = self._screen
        last = screen.cursor.y
        for y in range(self.screen_lines - 1, last, -1):
            if screen.buffer.get(y):
                last = y
                break
        shown = self._rows(last, replace(self._leaving))
        while shown and not shown[-1].spans:
            shown.pop()
        return (*self.kept, *shown)

    def _rows(self, last: int, line: _Line) -> list[LogLine]:
        """The rows of the screen down to `last`; `line` is the one that left, and then the last."""
        screen = self._screen
        rows = []
        for y in range(last + 1):
            if not screen.wrapped[y]:
                line.found, line.characters = find(self._whole(y)), 0
            rows.append(self._row(y, line))
        return rows

    def _row(self, y: int, line: _Line) -> LogLine:
        screen = self._screen
        cells = screen.buffer.get(y)
        level, begins = None, 0
        if line.found is not None:
            level, begins = line.mark(len(screen.text_of(y)))
        return LogLine(screen.times_ns[y], self._spans(cells), level, begins)

    def _whole(self, y: int) -> str:
        """The line that begins on a row."""
        screen = self._screen
        text = screen.text_of(y)
        while y + 1 < self.screen_lines and screen.wrapped[y + 1] and len(text) < MAX_CHARACTERS:
            y += 1
            text += screen.text_of(y)
        return text

    def _keep_top(self) -> None:
        """The top row is about to leave."""
        if not self._screen.wrapped[0]:
            self._leaving = _Line(find(self._whole(0)))
        self._append(self._row(0, self._leaving))

    def _append(self, line: LogLine) -> None:
        if len(self.kept) == self.kept.maxlen:
            self.dropped[self.kept[0].hidden_as] += 1
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


def _within(columns: int, lines: int) -> tuple[int, int]:
    """A size that a terminal may have and that costs no more memory than it should."""
    return max(20, min(MAX_COLUMNS, columns)), max(2, min(MAX_LINES, lines))


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
