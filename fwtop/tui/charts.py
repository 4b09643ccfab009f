"""Bars, sparklines and plots in block characters, as rows of text. Unknown values stay blank.

Block characters and not Braille: they exist in every terminal font and look the same in tmux.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import floor, log10

from fwtop.tui.drawing import Row

LEVELS = " ▁▂▃▄▅▆▇█"
PARTS = " ▏▎▍▌▋▊▉█"
Values = Sequence["float | None"]


def bar(ratio: float | None, width: int, role: str = "bar") -> Row:
    """A horizontal bar of `width` cells, in eighths of a cell, on a dotted track."""
    if ratio is None or width <= 0:
        return [("·" * max(0, width), "track")]
    eighths = round(max(0.0, min(1.0, ratio)) * width * 8)
    if ratio > 0 and eighths == 0:
        eighths = 1
    full, part = divmod(eighths, 8)
    filled = "█" * full + (PARTS[part] if part else "")
    return [(filled, role), ("·" * (width - len(filled)), "track")]


def sparkline(values: Values, width: int, top: float | None = None) -> str:
    """The last `width` values, one cell each, right-aligned; `top` fixes the scale (else the max).

    A known value is never blank: the least is ▁.
    """
    shown = list(values)[-width:]
    ceiling = top or max((value for value in shown if value is not None), default=0.0)
    cells = []
    for value in shown:
        if value is None:
            cells.append(" ")
        elif ceiling <= 0:
            cells.append(LEVELS[1])
        else:
            cells.append(LEVELS[max(1, min(8, round(value / ceiling * 8)))])
    return "".join(cells).rjust(width)


def area(values: Values, width: int, height: int, top: float, bottom: float = 0.0) -> list[str]:
    """A filled plot of the last `width` values: `height` strings, the upper first."""
    shown: list[float | None] = list(values)[-width:]
    missing: list[float | None] = [None] * (width - len(shown))
    shown = missing + shown
    span = max(top - bottom, 1e-12)
    eighths = []
    for value in shown:
        if value is None:
            eighths.append(0)
        else:
            level = round((value - bottom) / span * height * 8)
            eighths.append(max(1, min(height * 8, level)))
    lines = []
    for row in range(height - 1, -1, -1):
        lines.append("".join(LEVELS[max(0, min(8, level - row * 8))] for level in eighths))
    return lines


def axis(
    lines: Sequence[str], top: str, bottom: str, label_width: int, role: str = "plot"
) -> list[Row]:
    """A plot's lines with a scale on the left: `top` at the first, `bottom` at the last."""
    rows: list[Row] = []
    for index, line in enumerate(lines):
        label = top if index == 0 else bottom if index == len(lines) - 1 else ""
        rows.append([(label.rjust(label_width), "dim"), ("▕", "track"), (line, role)])
    return rows


def cut_out(row: Row, column: int, text: str, role: str) -> Row:
    """The row with the cells from `column` replaced by `text` (single-cell characters)."""
    result: Row = []
    position = 0
    end = column + len(text)
    placed = False
    for span, span_role in row:
        before = span[: max(0, column - position)]
        after = span[max(0, end - position) :] if position + len(span) > end else ""
        if before:
            result.append((before, span_role))
        if not placed and position + len(span) > column:
            result.append((text, role))
            placed = True
        if after:
            result.append((after, span_role))
        position += len(span)
    return result


def stacked_area(
    bins: Sequence[Sequence[tuple[str, float]] | None], height: int, top: float
) -> list[Row]:
    """Parts (phase name, value) stacked from below in each column, `height` rows, the upper first.

    A cell that two parts share shows the lower one in front of the upper one; of three, the two
    that fill most of it.
    """
    columns = [_edges(parts or (), height * 8, top) for parts in bins]
    rows: list[Row] = []
    for line in range(height - 1, -1, -1):
        row: Row = []
        for edges in columns:
            text, role = _cell(edges, line * 8)
            if row and row[-1][1] == role:
                row[-1] = (row[-1][0] + text, role)
            else:
                row.append((text, role))
        rows.append(row)
    return rows


def _edges(parts: Sequence[tuple[str, float]], eighths: int, top: float) -> list[tuple[str, int]]:
    """Where each part ends, in eighths of a cell from below; what exists gets at least one."""
    edges: list[tuple[str, int]] = []
    total = 0.0
    for name, value in parts:
        total += value
        end = min(eighths, round(total / top * eighths)) if top > 0 else 0
        edges.append((name, end))
    if edges and edges[-1][1] == 0:
        edges[-1] = (edges[-1][0], 1)
    return edges


def _cell(edges: Sequence[tuple[str, int]], base: int) -> tuple[str, str]:
    """The character and role of the cell that covers eighths [base, base + 8)."""
    filled: list[tuple[str, int]] = []
    start = 0
    for name, end in edges:
        inside = min(end, base + 8) - max(start, base)
        if inside > 0:
            filled.append((name, inside))
        start = max(start, end)
    if not filled:
        return " ", "text"
    full = sum(length for _, length in filled) == 8
    if not full or len(filled) == 1:
        name, _ = max(filled, key=lambda part: part[1])
        return LEVELS[sum(length for _, length in filled)], f"phase {name}"
    kept = sorted(filled, key=lambda part: -part[1])[:2]
    lower, upper = sorted(kept, key=lambda part: filled.index(part))
    level = max(1, min(7, round(lower[1] * 8 / (lower[1] + upper[1]))))
    return LEVELS[level], f"{lower[0]} over {upper[0]}"


def usual_ceiling(values: Iterable[float], longest: Iterable[float] = ()) -> float:
    """A scale that shows the usual values well: what is far above nine in ten is cut at the top.

    `longest` are the extremes of the same bins, of which three in four are to be seen.
    """
    known, extremes = sorted(values), sorted(longest)
    if not known:
        return 1.0
    usual = min(known[-1], known[int((len(known) - 1) * 0.9)] * 1.25)
    if extremes:
        usual = max(usual, extremes[int((len(extremes) - 1) * 0.75)])
    return nice_ceiling(usual * 1.1)


def nice_ceiling(value: float) -> float:
    """The next 1, 1.5, 2, 3, 5 or 7.5 times a power of ten: a scale that seldom moves."""
    if value <= 0:
        return 1.0
    power = 10.0 ** floor(log10(value))
    for step in (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0):
        if power * step >= value * (1 - 1e-9):
            return float(power * step)
    return float(power * 10)


def stacked(
    parts: Sequence[tuple[str, float]], width: int, label: Callable[[str, int], str]
) -> Row:
    """Parts (phase name, share) side by side in `width` cells, each block with its letter in it.

    Blocks alternate plain and reversed when there is no colour, which the roles take care of; the
    largest remainders get the odd cells, and a part that exists gets at least one.
    """
    present = [(name, share) for name, share in parts if share > 0]
    total = sum(share for _, share in present)
    if not present or width < len(present):
        return [("·" * width, "track")]
    exact = [share / total * width for _, share in present]
    cells = [max(1, int(value)) for value in exact]
    while sum(cells) > width:
        cells[cells.index(max(cells))] -= 1
    order = sorted(range(len(cells)), key=lambda index: exact[index] - cells[index], reverse=True)
    for index in order[: width - sum(cells)]:
        cells[index] += 1
    while sum(cells) < width:
        cells[cells.index(max(cells))] += 1
    row: Row = []
    for (name, _), count in zip(present, cells, strict=True):
        row.append((label(name, count)[:count].center(count), f"block {name}"))
    return row
