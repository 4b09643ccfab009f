"""Rows of text with roles: what panels are drawn with. Knows no widget and no figure's meaning.

A row is a list of spans; a span is (text, role) or (text, Style) for the script's own colours.
Widths are terminal cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from fwtop.tui import palette

Span = tuple[str, "str | Style"]
Row = list[Span]
Align = Literal["left", "right"]

ELLIPSIS = "…"


def width_of(row: Iterable[Span]) -> int:
    """The row's width in cells."""
    return sum(cell_len(text) for text, _ in row)


def fit(text: str, width: int, align: Align = "left", keep_end: bool = False) -> str:
    """`text` in exactly `width` cells: padded, or cut with an ellipsis (`keep_end` cuts the front).

    Control characters become spaces, so that no name from a recording can move the cursor.
    """
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else " " for letter in text)
    if width <= 0:
        return ""
    length = len(text) if text.isascii() else cell_len(text)
    if length > width:
        if keep_end:
            return set_cell_size(ELLIPSIS + text[length - width + 1 :], width)
        return set_cell_size(text, width - 1) + ELLIPSIS
    padding = " " * (width - length)
    return text + padding if align == "left" else padding + text


def fill(row: Row, width: int) -> Row:
    """The row cut or padded to `width` cells."""
    filled: Row = []
    left = width
    for text, role in row:
        length = cell_len(text)
        if length > left:
            filled.append((set_cell_size(text, left), role))
            return filled
        filled.append((text, role))
        left -= length
    if left:
        filled.append((" " * left, "text"))
    return filled


def ends(left: Row, right: Row, width: int, gap: int = 2) -> Row:
    """`left` and `right` at the two ends of one row; whole spans on the right drop first."""
    right = list(right)
    while right and width_of(left) + gap + width_of(right) > width:
        right.pop(0)
    room = width - width_of(right)
    return fill(left, room) + right


def strip_of(row: Row, width: int) -> Strip:
    """The row as Textual wants it, exactly `width` cells."""
    segments = [
        Segment(text, palette.style(role) if isinstance(role, str) else role)
        for text, role in fill(row, width)
        if text
    ]
    return Strip(segments, width)


def restyle(row: Row, role: str) -> Row:
    """The same text, all in one role (a selected line)."""
    return [("".join(text for text, _ in row), role)]


def wrap(text: str, width: int) -> list[str]:
    """Words wrapped to `width`; longer words are cut."""
    import textwrap

    return textwrap.wrap(text, max(8, width)) or [""]


def columns(parts: Sequence[list[Row]], widths: Sequence[int], gap: int = 2) -> list[Row]:
    """Blocks of rows side by side."""
    height = max((len(part) for part in parts), default=0)
    rows: list[Row] = []
    for index in range(height):
        row: Row = []
        for number, (part, width) in enumerate(zip(parts, widths, strict=True)):
            row += fill(part[index] if index < len(part) else [], width)
            if number < len(parts) - 1:
                row.append((" " * gap, "text"))
        rows.append(row)
    return rows
