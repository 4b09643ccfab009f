"""What all plots over time share: the same stretch, the cursor through it, the marks, the scale.

A plot narrower or wider than the axis has bins shows the newest ones; of the whole run it shows
all, several bins in a column or one in several.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from fwtop.formatting import format_time_of_run
from fwtop.tui import charts
from fwtop.tui.drawing import Row
from fwtop.tui.snapshot import Snapshot, TimeAxis

CLOSED_NS = 1_500_000_000
"""One and a half of the usual interval of samples."""
Value = TypeVar("Value")


class Timed(Protocol):
    """A sample with its time."""

    @property
    def at_ns(self) -> int:
        """When it was taken."""


AnySample = TypeVar("AnySample", bound=Timed)


def spread(axis: TimeAxis, values: Sequence[Value | None], columns: int) -> list[Value | None]:
    """The bins' values in `columns` cells."""
    if axis.whole:
        return [values[column * axis.count // columns] for column in range(columns)]
    shown: list[Value | None] = list(values)[-columns:]
    missing: list[Value | None] = [None] * (columns - len(shown))
    return missing + shown


def column_of(axis: TimeAxis, at_ns: int, columns: int) -> int | None:
    """The cell that shows a moment, if one does."""
    index = axis.column(at_ns)
    if index is None:
        return None
    if axis.whole:
        return min(columns - 1, -(-index * columns // axis.count))
    column = index + columns - axis.count
    return column if column >= 0 else None


def along(
    axis: TimeAxis,
    samples: Iterable[AnySample],
    figure: Callable[[AnySample], float | None],
) -> list[float | None]:
    """A figure in the axis's bins; short gaps are closed.

    Bins may be shorter than the interval of the samples, so a gap is not yet a silence.
    """
    reach = max(3, -(-CLOSED_NS // axis.bin_ns))
    values: list[float | None] = [None] * axis.count
    for sample in samples:
        column = axis.column(sample.at_ns)
        if column is not None:
            values[column] = figure(sample)
    last: float | None = None
    age = 0
    for index, value in enumerate(values):
        if value is not None:
            last, age = value, 0
        elif last is not None and age < reach:
            values[index] = last
            age += 1
    return values


def with_cursor(
    rows: list[Row], snapshot: Snapshot, axis: TimeAxis, offset: int, columns: int
) -> list[Row]:
    """The time cursor as a line through the plot, and the marks as signs at its foot."""
    rows = list(rows)
    for mark in snapshot.marks:
        column = column_of(axis, mark.at_ns, columns)
        if column is not None:
            rows[-1] = charts.cut_out(rows[-1], offset + column, "◆", "mark")
    cursor = snapshot.moment.cursor_ns
    column = None if cursor is None else column_of(axis, cursor, columns)
    if column is not None:
        rows = [charts.cut_out(row, offset + column, "┃", "cursor") for row in rows]
    return rows


def time_scale(axis: TimeAxis, snapshot: Snapshot, offset: int, columns: int) -> Row:
    """Where the plot begins and ends on the run's clock, and where the cursor stands."""
    begin = axis.start_ns if axis.whole else axis.end_ns - columns * axis.bin_ns
    before = column_of(axis, 0, columns) or 0 if begin < 0 else 0
    left = format_time_of_run(max(0, begin))
    follows = snapshot.live and snapshot.moment.until_ns is None and not axis.whole
    right = "now" if follows else format_time_of_run(axis.end_ns)
    inner = columns - before - len(left) - len(right)
    if inner < 1:
        return [(" " * (offset + columns - len(right)), "text"), (right, "dim")]
    cursor = snapshot.moment.cursor_ns
    column = None if cursor is None else column_of(axis, cursor, columns)
    row: Row = [
        (" " * (offset + before), "text"),
        (left, "dim"),
        (" " * inner, "text"),
        (right, "dim"),
    ]
    if column is not None:
        text = format_time_of_run(cursor)
        at = max(0, min(columns - len(text), column - len(text) // 2))
        row = charts.cut_out(row, offset + at, text, "cursor")
    return row


def plot(
    snapshot: Snapshot,
    axis: TimeAxis,
    values: Sequence[float | None],
    *,
    width: int,
    height: int,
    top: float,
    label: str,
    role: str,
) -> list[Row]:
    """A labelled plot of one figure, with the cursor and the scale."""
    columns = width - 1
    lines = charts.area(spread(axis, values, columns), columns, max(1, height - 2), top)
    body: list[Row] = [[("▕", "track"), (line, role)] for line in lines]
    body = with_cursor(body, snapshot, axis, 1, columns)
    return [[(label, "dim")], *body, time_scale(axis, snapshot, 1, columns)]
