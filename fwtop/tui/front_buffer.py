"""What the terminal shows, cell by cell, so that only what changed is written to it.

Textual writes whole lines of each widget that was refreshed. Over SSH that is most of the traffic,
so an update is compared with the cells that are on the screen: runs of changed cells are written,
gaps of a few unchanged cells joined (moving the cursor costs as much), and SGR codes only where the
style changes.

This leans on the layout of Textual's private update classes. Where an update is of another kind or
lacks an attribute, it is written as Textual would write it, and the buffer forgets what it knew.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style

JOIN_CELLS = 5
"""Unchanged cells between two changed ones that are cheaper to write than to jump over."""

Cell = tuple[str, "Style | None"]
CONTINUATION: Cell = ("", None)
"""The second cell of a wide character."""


class FrontBuffer:
    """Remembers the screen's cells. Not thread-safe: Textual displays from one thread."""

    def __init__(self) -> None:
        self._lines: dict[int, list[Cell | None]] = {}
        self.fallbacks = 0
        """Updates that were written plainly because they were of no known kind."""

    def clear(self) -> None:
        """Nothing is known of the screen: after a resize, a suspension, a switch of screens."""
        self._lines.clear()

    def render(self, update: Any, console: Any) -> str:
        """The bytes that bring the screen from what it shows to the update."""
        try:
            pieces = list(pieces_of(update))
        except (AttributeError, TypeError, ValueError):
            pieces = None
        if pieces is None:
            self.fallbacks += 1
            self.clear()
            plain: str = update.render_segments(console)
            return plain
        writer = _Writer(console._color_system)
        for x, y, segments in pieces:
            self._piece(x, y, segments, writer)
        return writer.finish()

    def _piece(self, x: int, y: int, segments: Iterable[Segment], writer: _Writer) -> None:
        cells = cells_of(segments)
        if not cells:
            return
        line = self._lines.setdefault(y, [])
        if len(line) < x + len(cells):
            line.extend([None] * (x + len(cells) - len(line)))
        old = line[x : x + len(cells)]
        if old == cells:
            return
        for start, end in changed_runs(old, cells):
            writer.write(x + start, y, cells[start:end])
        line[x : x + len(cells)] = cells


def pieces_of(update: Any) -> Iterable[tuple[int, int, Iterable[Segment]]]:
    """(x, y, segments) of an update of Textual's. Raises for kinds that it does not know."""
    if hasattr(update, "chops"):
        chops, ends_of_lines = update.chops, update.chop_ends
        for y, x1, x2 in update.spans:
            for end, (x, strip) in zip(ends_of_lines[y], chops[y].items(), strict=False):
                if strip is None or x > x2 or end <= x1:
                    continue
                yield x, y, strip if end <= x2 else strip.crop(0, min(end, x2) - x)
        return
    if not hasattr(update, "strips") or not hasattr(update, "region"):
        raise TypeError(type(update).__name__)
    for y, line in enumerate(update.strips, update.region.y):
        yield update.region.x, y, [segment for strip in line for segment in strip]


def cells_of(segments: Iterable[Segment]) -> list[Cell | None]:
    """One entry a terminal cell; a wide character takes two, a combining one none."""
    cells: list[Cell | None] = []
    for text, style, control in segments:
        if control:
            continue
        if style is not None and not style:
            style = None
        if text.isascii():
            cells += [(letter, style) for letter in text]
            continue
        for letter in text:
            width = 1 if letter in NARROW else cell_len(letter)
            if width == 0:
                if cells and cells[-1] is not None:
                    before, before_style = cells[-1]
                    cells[-1] = (before + letter, before_style)
                continue
            cells.append((letter, style))
            if width == 2:
                cells.append(CONTINUATION)
    return cells


NARROW = frozenset("─│╭╮╰╯▁▂▃▄▅▆▇█▏▎▍▌▋▊▉▕·▸●○…┃▴→")


def changed_runs(old: list[Cell | None], new: list[Cell | None]) -> Iterable[tuple[int, int]]:
    """[start, end) of stretches to write: changed cells, with short gaps joined.

    A run never begins or ends inside a wide character.
    """
    runs: list[list[int]] = []
    for index, (before, after) in enumerate(zip(old, new, strict=True)):
        if before == after:
            continue
        if runs and index - runs[-1][1] <= JOIN_CELLS:
            runs[-1][1] = index + 1
        else:
            runs.append([index, index + 1])
    for run in runs:
        while run[0] > 0 and new[run[0]] == CONTINUATION:
            run[0] -= 1
        while run[1] < len(new) and new[run[1]] == CONTINUATION:
            run[1] += 1
    return [(start, end) for start, end in runs]


class _Writer:
    """Collects escape sequences; knows where the cursor is and which style is on."""

    def __init__(self, color_system: ColorSystem | None) -> None:
        self._color_system = color_system
        self._parts: list[str] = []
        self._style = ""
        self._at: tuple[int, int] | None = None

    def write(self, x: int, y: int, cells: list[Cell | None]) -> None:
        """Cells of one line, from (x, y)."""
        if self._at != (x, y):
            self._parts.append(f"\x1b[{y + 1};{x + 1}H" if x else f"\x1b[{y + 1}H")
        for cell in cells:
            assert cell is not None
            letter, style = cell
            if not letter:
                continue
            codes = "" if style is None else _codes(style, self._color_system)
            if codes != self._style:
                if not codes:
                    self._parts.append("\x1b[m")
                elif not self._style:
                    self._parts.append(f"\x1b[{codes}m")
                else:
                    self._parts.append(f"\x1b[0;{codes}m")
                self._style = codes
            self._parts.append(letter)
        self._at = (x + len(cells), y)

    def finish(self) -> str:
        """All of it, with the style off again."""
        if self._style:
            self._parts.append("\x1b[m")
        return "".join(self._parts)


@lru_cache(maxsize=4096)
def _codes(style: Style, color_system: ColorSystem | None) -> str:
    """The SGR parameters of a style, without the escape."""
    if color_system is None:
        style = style.without_color
    codes: str = style._make_ansi_codes(color_system or ColorSystem.STANDARD)
    return codes


def diffed(update: Any, buffer: FrontBuffer) -> Any:
    """The update with its rendering replaced by the buffer's; kinds unknown pass as they are."""
    try:
        from textual._compositor import CompositorUpdate
    except ImportError:
        return update
    if not isinstance(update, CompositorUpdate):
        return update

    class Diffed(CompositorUpdate):
        def render_segments(self, console: Any) -> str:
            return buffer.render(update, console)

    return Diffed()
