"""How the lines of the script's output become rows: time and level in front, then the text.

A row of the script's own terminal is as wide as this one, so that with anything in front of it it
has no room: on the full screen what is left goes into a row of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from fwtop.analysis.log_lines import Level
from fwtop.formatting import format_time_of_run
from fwtop.tui.drawing import Row, Span, fill, width_of
from fwtop.tui.script_terminal import LogLine

LETTERS: Mapping[Level | None, str] = {
    None: " ", "info": "I", "warning": "W", "error": "E", "fatal": "F",
}  # fmt: skip
ROLES: Mapping[Level | None, str] = {
    None: "text", "info": "dim", "warning": "library warning", "error": "text", "fatal": "text",
}  # fmt: skip
TIMED_WIDTH = 60
"""Narrower rows have no room for the time."""


@dataclass(frozen=True, slots=True)
class LogRows:
    """A way of drawing lines, all alike."""

    width: int
    timed: bool
    lettered: bool
    """Whether the level of a library's line stands in front."""
    wraps: bool
    """Whether a line that is too wide takes several rows; else it is cut."""
    needle: str = ""

    @classmethod
    def of(cls, lines: Sequence[LogLine], width: int, full: bool, needle: str) -> LogRows:
        """For these lines: a column for the levels only if any has one."""
        lettered = any(line.level is not None for line in lines)
        return cls(width, full and width >= TIMED_WIDTH, lettered, full, needle)

    def of_line(self, line: LogLine) -> list[Row]:
        """A line's rows, one at least, each of the width."""
        head: Row = []
        if self.timed:
            head.append((f"{format_time_of_run(line.at_ns).rjust(8)} ", "dim"))
        if self.lettered:
            head.append((f"{LETTERS[line.level]} ", ROLES[line.level]))
        row, room = self._text(line), max(1, self.width - width_of(head))
        pieces = _pieces(row, room) if self.wraps and width_of(row) > room else [row]
        below: Row = [(" " * width_of(head), "dim")]
        return [
            fill([*(below if number else head), *piece], self.width)
            for number, piece in enumerate(pieces)
        ]

    def last(self, lines: Sequence[LogLine], height: int) -> list[Row]:
        """The rows at the end of all lines."""
        rows: list[Row] = []
        for line in reversed(lines):
            if len(rows) >= height:
                break
            rows = [*self.of_line(line), *rows]
        return rows[max(0, len(rows) - height) :]

    def first(self, lines: Sequence[LogLine], height: int) -> list[Row]:
        """The rows at the beginning."""
        rows: list[Row] = []
        for line in lines:
            if len(rows) >= height:
                break
            rows += self.of_line(line)
        return rows[:height]

    def whole(self, lines: Sequence[LogLine], height: int) -> int:
        """How many of the lines, from the first, are shown whole; one at least counts."""
        used = 0
        for number, line in enumerate(lines):
            used += len(self.of_line(line))
            if used > height:
                return max(1, number)
        return len(lines)

    def whole_at_end(self, lines: Sequence[LogLine], height: int) -> int:
        """The same of the last lines."""
        return self.whole(lines[: -height - 1 : -1], height) if height > 0 else 0

    def _text(self, line: LogLine) -> Row:
        role = ROLES[line.level]
        own, library = line.parts
        if self.needle and self.needle.lower() in line.text.lower():
            return _matched(line.text, self.needle, "text" if own else role)
        return [*own, *((text, role if look == "text" else look) for text, look in library)]


def _pieces(row: Row, room: int) -> list[Row]:
    """The row cut every `room` cells; blanks at its end make no piece."""
    pieces: list[Row] = [[]]
    left = room
    for text, role in row:
        begin = 0
        for at, letter in enumerate(text):
            cells = cell_len(letter)
            if cells > left:
                pieces[-1].append((text[begin:at], role))
                pieces.append([])
                begin, left = at, room
            left -= cells
        pieces[-1].append((text[begin:], role))
    while len(pieces) > 1 and not any(_shows(span) for span in pieces[-1]):
        pieces.pop()
    return pieces


def _shows(span: Span) -> bool:
    return bool(span[0].strip())


def _matched(text: str, needle: str, role: str) -> Row:
    row: Row = []
    lower, wanted = text.lower(), needle.lower()
    at = 0
    while True:
        found = lower.find(wanted, at)
        if found < 0 or len(lower) != len(text):
            row.append((text[at:], role))
            return row
        row += [(text[at:found], role), (text[found : found + len(needle)], "match")]
        at = found + len(needle)
