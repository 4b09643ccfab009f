"""Operators: which ones cost the time, from the trace windows."""

from __future__ import annotations

from collections.abc import Sequence

from fwtop.formatting import (
    format_bytes,
    format_duration,
    format_flops,
    format_flops_per_s,
    format_short_count,
    format_time_of_run,
    plural,
)
from fwtop.recording.window_model import OperatorDetail, OperatorRow
from fwtop.tui import charts
from fwtop.tui.drawing import Row, Span, fit
from fwtop.tui.palette import PHASE_LETTERS
from fwtop.tui.snapshot import OperatorsView, Snapshot
from fwtop.tui.widgets.panel import Panel
from fwtop.tui.widgets.table import Column, Table


class Operators(Table[OperatorRow]):
    """A sortable, filterable table; figures are per traced step."""

    SUBJECT = "operators"
    TITLE = "Operators"
    KEY = "2"
    SORT = "self"
    NEEDS = frozenset({"operators"})
    ABOUT = (
        "Whole steps are traced with the framework's own profiler, now and then, so that the cost "
        "stays within the budget. Figures are per traced step, and the headline says how many "
        "steps they come from. Self is without the operators called inside, total with them; "
        "share is of all self time. Phase letters: I input, F forward, B backward, O optimizer, "
        "· other. A trend is the self time in the last windows, oldest at the left.\n"
        "Some frameworks' profilers have levels of detail, and the headline says at which the "
        "windows were taken. At TensorFlow's level 2 operators that it knows to be cheap are left "
        "out; level 3 has them all and costs more, so it is taken now and then. An operator that "
        "only level 3 sees is averaged over the steps taken at level 3 alone.\n"
        "s next column, S the other way, / filter, c traces one step in depth now."
    )

    def awaited(self, snapshot: Snapshot) -> str | None:
        """No window has been decoded."""
        view = snapshot.operators
        if view is not None and view.rows:
            return None
        return _awaited(snapshot, view)

    def headline(self, snapshot: Snapshot, width: int) -> Row:
        """How many steps the figures come from."""
        view = snapshot.operators
        if view is None or not view.windows:
            return []
        row: Row = []
        if self.needle:
            row += [(f"/{self.needle}", "key"), ("  ", "dim")]
        if view.window is not None:
            deep = "deep " if view.window.deep else ""
            level = f", level {view.window.level}" if view.window.level else ""
            return [*row, (f"{deep}window at {format_time_of_run(view.window.start_ns)}, "
                           f"{plural(view.steps, 'step')}", "dim"), (level, "dim")]  # fmt: skip
        text = f"{plural(view.steps, 'traced step')} in {plural(view.windows, 'window')}"
        return [*row, (text, "dim"), (_levels(view), "dim")]

    def items(self, snapshot: Snapshot) -> Sequence[OperatorRow]:
        """Operators by name, phase and device."""
        return snapshot.operators.rows if snapshot.operators else ()

    def key_of(self, item: OperatorRow) -> str:
        """Name, phase and device."""
        return f"{item.name}\t{item.phase}\t{item.device}"

    def text_of(self, item: OperatorRow) -> str:
        """What the filter looks at."""
        return f"{item.name} {item.family} {item.phase} {item.device}"

    def columns(self, snapshot: Snapshot) -> Sequence[Column[OperatorRow]]:
        """Name first, then time; the rest where there is room."""
        view = snapshot.operators
        assert view is not None
        steps = max(1, view.steps)
        whole = sum(row.self_ns for row in view.rows) or 1

        def phase(row: OperatorRow) -> Span:
            letter = PHASE_LETTERS.get(row.phase, "·")
            return letter, f"phase {row.phase}" if row.phase in PHASE_LETTERS else "dim"

        def share(row: OperatorRow) -> Row:
            ratio = row.self_ns / whole
            return [
                *charts.bar(ratio, 8),
                (fit(f"{ratio * 100:.1f}%", 7, "right"), "text"),
            ]

        def trend(row: OperatorRow) -> Span:
            return charts.sparkline(view.trends.get(row.name, ()), 12), "plot 2"

        def per_step(value: int | None) -> str:
            return format_duration(None if value is None else value / steps)

        device: list[Column[OperatorRow]] = []
        if self.full or any(row.device == "gpu" for row in view.rows):
            device = [
                Column("device", "on", 3, lambda r: (r.device, "dim"), lambda r: r.device,
                       "left", rank=1)
            ]  # fmt: skip
        columns = [
            Column("name", "operator", 0, lambda r: (r.name, "text"), lambda r: r.name,
                   "left", least=18),
            Column("family", "family", 13, lambda r: (r.family, "dim"), lambda r: r.family,
                   "left", rank=4),
            Column("phase", "ph", 3, phase, lambda r: r.phase, "left", rank=1),
            *device,
            Column("self", "self/step", 10, lambda r: (per_step(r.self_ns), "strong"),
                   lambda r: r.self_ns),
            Column("share", "share", 15, share, rank=2),
            Column("total", "total/step", 11, lambda r: (per_step(r.total_ns), "text"),
                   lambda r: r.total_ns, rank=3),
            Column("calls", "calls", 7, lambda r: (format_short_count(r.calls / steps), "text"),
                   lambda r: r.calls, rank=2),
            Column("trend", "trend", 12, trend, rank=5),
        ]  # fmt: skip
        if self.full and any(row.self_allocated_bytes is not None for row in view.rows):
            columns.append(
                Column("memory", "memory", 10,
                       lambda r: (format_bytes(_over(r.self_allocated_bytes, steps)), "text"),
                       lambda r: r.self_allocated_bytes, rank=7)
            )  # fmt: skip
        if self.full and view.flops:
            columns.append(
                Column("flops", "FLOP/s", 12,
                       lambda r: (format_flops_per_s(_flop_rate(view, r)), "text"),
                       lambda r: _flop_rate(view, r), rank=6)
            )  # fmt: skip
        return columns


def _levels(view: OperatorsView) -> str:
    """At which levels of detail, where there are any: `: 3 at level 2, 1 at level 3`."""
    if len(view.levels) == 1 and view.levels[0].windows == view.windows:
        return f", level {view.levels[0].level}"
    counts = ", ".join(f"{one.windows} at level {one.level}" for one in view.levels)
    return f": {counts}" if counts else ""


def _over(value: int | None, steps: int) -> float | None:
    return None if value is None else value / steps


def _flop_rate(view: OperatorsView, row: OperatorRow) -> float | None:
    """Where the work was done: on the device, if any of it ran there."""
    flops = view.flops.get((row.name, row.phase))
    if flops is None or (flops.device_ns is not None) != (row.device == "gpu"):
        return None
    return flops.flops_per_s


def _awaited(snapshot: Snapshot, view: OperatorsView | None) -> str:
    if view is not None and view.failed is not None:
        return f"The last trace window failed: {view.failed.note or 'no reason was told'}"
    if snapshot.run.imported:
        return "The traces tell of no operator."
    if not snapshot.live:
        return "No trace window in this recording: --overhead 0, or the run was too short."
    governor = snapshot.governors[0] if snapshot.governors else None
    if governor is None:
        return "No trace window yet: the first opens when the framework is loaded and steps run."
    if governor.budget_ratio == 0:
        return "No trace windows: the overhead budget is 0. o changes it, c traces one step now."
    if governor.waiting_for:
        return f"No trace window yet: waiting for {governor.waiting_for}."
    if governor.next_window_ns is not None:
        left = format_duration(max(0, governor.next_window_ns - snapshot.moment.now_ns))
        return f"No trace window yet: the next opens in {left}, within the budget. c: now."
    return "No trace window yet: the first opens within the overhead budget. c traces one step now."


class OperatorDetails(Panel):
    """The selected operator: by phase, over time, by shape, module and source line."""

    SUBJECT = "operators"
    TITLE = "Operator"
    NEEDS = frozenset({"operators"})
    ABOUT = (
        "The operator that is selected in the table. Shapes, modules and source lines come from "
        "deep windows: c captures one now."
    )

    def __init__(self, *, full: bool = True, id: str | None = None) -> None:
        super().__init__(full=full, id=id)
        self.item: OperatorRow | None = None

    def show(self, item: OperatorRow | None) -> None:
        """Another operator."""
        self.item = item
        self.repaint()

    def body(self, snapshot: Snapshot, width: int, height: int) -> list[Row]:
        """Name, phases, trend, details."""
        view, item = snapshot.operators, self.item
        if view is None or item is None:
            return []
        steps = max(1, view.steps)
        same = [row for row in view.rows if row.name == item.name]
        rows: list[Row] = [
            [(fit(item.name, width), "strong")],
            [(item.family, "dim")],
            [],
        ]
        most = max((row.self_ns for row in same), default=1) or 1
        for row in same:
            letter = PHASE_LETTERS.get(row.phase, "·")
            role = f"phase {row.phase}" if row.phase in PHASE_LETTERS else "dim"
            rows.append(
                [
                    (f"{letter} {row.phase:<10}", role),
                    (f"{row.device:<4}", "dim"),
                    (fit(format_duration(row.self_ns / steps), 10, "right") + " ", "strong"),
                    (fit(f"{format_short_count(row.calls / steps)}×", 8, "right") + " ", "text"),
                    *charts.bar(row.self_ns / most, max(4, width - 36)),
                ]
            )
        rows += _flops(view, item)
        rows += _trend(view, item, width)
        rows += _details(view, item, width)
        return rows[:height]


def _flops(view: OperatorsView, item: OperatorRow) -> list[Row]:
    rows: list[Row] = []
    for flops in view.flops.values():
        if flops.name == item.name and flops.calls:
            where = "cpu" if flops.device_ns is None else "gpu"
            rows.append(
                [
                    (f"{PHASE_LETTERS.get(flops.phase, '·')} ", "dim"),
                    (format_flops(flops.flops / flops.calls), "strong"),
                    (" a call, ", "dim"),
                    (format_flops_per_s(flops.flops_per_s), "strong"),
                    (f" on the {where}", "dim"),
                ]
            )
    return rows


def _trend(view: OperatorsView, item: OperatorRow, width: int) -> list[Row]:
    values = [float(value) for value in view.trends.get(item.name, ())]
    if len(values) < 2:
        return []
    top = charts.nice_ceiling(max(values))
    lines = charts.area(values, min(width - 10, max(len(values), 8)), 3, top)
    return [[], [("self time a step in the last windows", "dim")],
            *charts.axis(lines, format_duration(top), "0", 8, "plot 2")]  # fmt: skip


def _details(view: OperatorsView, item: OperatorRow, width: int) -> list[Row]:
    own = [detail for detail in view.details if detail.name == item.name]
    if not own:
        return [[], [("No shapes, modules or source lines: only deep windows have them.", "dim")]]
    rows: list[Row] = []
    for kind, title in (("shape", "shapes"), ("module", "modules"), ("source", "source lines")):
        some = sorted((d for d in own if d.kind == kind), key=lambda d: -d.self_ns)[:6]
        if some:
            rows += [[], [(f"{title}, a step on the host", "dim")]]
            rows += [_detail(detail, max(1, view.detail_steps), width) for detail in some]
    return rows


def _detail(detail: OperatorDetail, steps: int, width: int) -> Row:
    return [
        (fit(format_duration(detail.self_ns / steps), 9, "right") + " ", "strong"),
        (fit(f"{format_short_count(detail.calls / steps)}×", 7, "right") + " ", "text"),
        (fit(detail.value, width - 18, keep_end=detail.kind == "source"), "code"),
    ]
