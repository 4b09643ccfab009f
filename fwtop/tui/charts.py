"""Bars, sparklines and plots in block characters, as rows of text. Unknown values stay blank.

Block characters and not Braille: they exist in every terminal font and look the same in tmux.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
    shown = [None] * (width - len(shown)) + shown
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


def nice_ceiling(value: float) -> float:
    """The next 1, 1.5, 2, 3, 5 or 7.5 times a power of ten: a scale that does not move each tick."""
    if value <= 0:
        return 1.0
    power = 1.0
    while power < value:
        power *= 10
    while power >= value * 10:
        power /= 10
    for step in (0.1, 0.15, 0.2, 0.3, 0.5, 0.75):
        if power * step >= value:
            return power * step
    return power


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
