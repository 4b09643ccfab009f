"""Memory within a deep window: how it rose and fell, and who held it where it was highest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fwtop.formatting import format_bytes, format_duration, format_time_of_run
from fwtop.recording.window_model import MemoryPointRow
from fwtop.tui import charts
from fwtop.tui.drawing import Row, fit
from fwtop.tui.snapshot import Snapshot, WindowMemoryView
from fwtop.tui.widgets.panel import Panel
from fwtop.tui.widgets.table import Column, Table

_LABEL = 10
_ABOUT = (
    "Of each device the deep window in which its memory was highest: what the allocators had given "
    "out along it, and which operators' allocations were held at the highest point. What was "
    "held since before the window (parameters, optimizer state) is known where the allocator says "
    "so; without it the line begins at 0. On TensorFlow's CPU only allocations of 256 KiB and more "
    "are told. c captures a deep window now."
)


@dataclass(frozen=True)
class _Holder:
    device: str
    operator: str
    family: str
    bytes: int
    ratio: float
    """Of all that was held on the device."""


def _awaited(snapshot: Snapshot) -> str | None:
    view = snapshot.operators
    if view is not None and view.memory:
        return None
    return "No deep window that tells of memory yet: c captures one now."


class WindowMemory(Panel):
    """A line a device."""

    SUBJECT = "operators"
    TITLE = "Memory in a deep window"
    NEEDS = frozenset({"operators"})
    ABOUT = _ABOUT

    def awaited(self, snapshot: Snapshot) -> str | None:
        """It takes a deep window."""
        return _awaited(snapshot)

    def body(self, snapshot: Snapshot, width: int, height: int) -> list[Row]:
        """As many devices as there is room for, those that held most first."""
        view = snapshot.operators
        assert view is not None
        devices = sorted(view.memory, key=lambda one: -one.held_bytes)
        devices = devices[: max(1, height // 4)]
        each = height // max(1, len(devices))
        return [row for device in devices for row in _line(device, width, each)]


def _line(view: WindowMemoryView, width: int, height: int) -> list[Row]:
    base = view.held_bytes - view.peak_bytes
    columns = max(1, width - _LABEL - 1)
    values = stepped(view.points, columns)
    low = min(0.0, *(value for value in values if value is not None)) if view.points else 0.0
    top = max(1.0, float(view.peak_bytes))
    lines = charts.area(values, columns, max(1, height - 2), top, low)
    head: Row = [
        (f"{view.device} ", "strong"),
        (f"highest {format_bytes(view.held_bytes)}", "strong"),
    ]
    if base > 0:
        head.append((f", {format_bytes(view.peak_bytes)} of it since it began", "dim"))
    head.append((f"  at {format_time_of_run(view.window_start_ns)}", "dim"))
    rows = charts.axis(lines, format_bytes(base + top), format_bytes(base + low), _LABEL, "plot 2")
    span_ns = view.points[-1].offset_ns - view.points[0].offset_ns if view.points else 0
    foot = format_duration(span_ns)
    scale: Row = [
        (" " * (_LABEL + 1) + "0", "dim"),
        (" " * max(0, columns - 1 - len(foot)) + foot, "dim"),
    ]
    return [head, *rows, scale][:height]


def stepped(points: Sequence[MemoryPointRow], columns: int) -> list[float | None]:
    """The line's highest value in each of `columns` equal stretches; a point holds to the next."""
    if not points:
        return []
    first, span = points[0].offset_ns, max(1, points[-1].offset_ns - points[0].offset_ns)
    values: list[float | None] = [None] * columns
    held: float | None = None
    at = 0
    for column in range(columns):
        highest = held
        end = first + span * (column + 1) // columns
        while at < len(points) and (points[at].offset_ns <= end or column == columns - 1):
            held = float(points[at].allocated_bytes)
            highest = held if highest is None else max(highest, held)
            at += 1
        values[column] = highest
    return values


class MemoryHolders(Table[_Holder]):
    """Who held what."""

    SUBJECT = "operators"
    TITLE = "Held where it was highest"
    SORT = "bytes"
    NEEDS = frozenset({"operators"})
    ABOUT = _ABOUT

    def awaited(self, snapshot: Snapshot) -> str | None:
        """It takes a deep window."""
        return _awaited(snapshot)

    def items(self, snapshot: Snapshot) -> Sequence[_Holder]:
        """Operators, device by device."""
        view = snapshot.operators
        return [
            _Holder(one.device, row.operator, row.family, row.bytes,
                    row.bytes / max(1, sum(holder.bytes for holder in one.holders)))
            for one in (view.memory if view else ())
            for row in one.holders
        ]  # fmt: skip

    def key_of(self, item: _Holder) -> str:
        """Device and operator."""
        return f"{item.device}\t{item.operator}"

    def text_of(self, item: _Holder) -> str:
        """What the filter looks at."""
        return f"{item.operator} {item.family} {item.device}"

    def columns(self, snapshot: Snapshot) -> Sequence[Column[_Holder]]:
        """The operator and how much."""

        def share(row: _Holder) -> Row:
            return [
                *charts.bar(row.ratio, 8, "plot 2"),
                (fit(f"{row.ratio * 100:.1f}%", 7, "right"), "text"),
            ]

        return (
            Column("name", "operator", 0, lambda r: (r.operator, "text"), lambda r: r.operator,
                   "left", least=24),
            Column("family", "family", 13, lambda r: (r.family, "dim"), lambda r: r.family, "left",
                   rank=2),
            Column("device", "on", 7, lambda r: (r.device, "dim"), lambda r: r.device, "left",
                   rank=1),
            Column("bytes", "held", 10, lambda r: (format_bytes(r.bytes), "strong"),
                   lambda r: r.bytes),
            Column("share", "share", 15, share, rank=1),
        )  # fmt: skip
