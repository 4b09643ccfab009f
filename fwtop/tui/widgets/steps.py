"""Steps: how long they take over time, what of, and how regular they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from textual.message import Message

from fwtop.analysis.steps import StepFigures
from fwtop.formatting import (
    ellipsis,
    format_count,
    format_duration,
    format_short_count,
    format_time_of_run,
    printable,
)
from fwtop.recording.model import PHASES, Step
from fwtop.tui import charts
from fwtop.tui.drawing import Row, Span, ends, fit, width_of
from fwtop.tui.palette import PHASE_LETTERS
from fwtop.tui.snapshot import Snapshot, StepBin, StepsView
from fwtop.tui.widgets.panel import Panel
from fwtop.tui.widgets.table import Column, Table
from fwtop.tui.widgets.time_plot import spread, time_scale, with_cursor

AWAITED = (
    "No step seen yet: waiting for the first optimizer.step() (or what --step-on names). "
    "A long import, data preparation or a first compile comes before it."
)
SCALE = 8
"""Cells of a plot's scale."""


class Steps(Panel):
    """Time a step, its phases and its regularity, at a glance."""

    SUBJECT = "steps"
    TITLE = "Steps"
    KEY = "1"
    NEEDS = frozenset({"steps"})
    ABOUT = (
        "A step is one optimizer.step() and what led to it. The plot shows the mean step of each "
        "bin of time, made up of its phases from below; a dot is the bin's longest step, ▲ one "
        "beyond the scale, ◆ a mark. Phases, from below: I input (waiting for "
        "data), H h2d (copies to the device), F forward with the loss, B backward, O optimizer, "
        "· other. p50 and p95 are of the recent steps, or of all once the run has ended.\n"
        "[ and ] change how much time is shown; left and right move the time cursor."
    )

    def awaited(self, snapshot: Snapshot) -> str | None:
        """Steps have not begun."""
        if snapshot.steps is None or not snapshot.steps.count:
            if snapshot.run.imported:
                return "The traces mark no steps (profiler.step() once a step would)."
            if not snapshot.live:
                return "No step was seen in this run: no optimizer.step(), or --step-on never met."
            return AWAITED
        return None

    def headline(self, snapshot: Snapshot, width: int) -> Row:
        """How many steps."""
        view = snapshot.steps
        if view is None or not view.count:
            return []
        return [(format_count(view.count), "strong"), (" steps", "dim")]

    def body(self, snapshot: Snapshot, width: int, height: int) -> list[Row]:
        """Figures, plot, phases; with little room the plot gives way last."""
        view = snapshot.steps
        assert view is not None
        shown = view.recent if snapshot.live or view.whole is None else view.whole
        rows = [_figures(view, shown, width)]
        phases = _phases(view, shown, snapshot, width, height - 1)
        plot_height = height - 1 - len(phases)
        if plot_height >= 2:
            rows += plot(snapshot, view, width, plot_height)
        return rows + phases


def _figures(view: StepsView, shown: StepFigures | None, width: int) -> Row:
    if shown is None:
        return []
    row: Row = [
        (format_duration(shown.median_ns), "strong"),
        (" p50  ", "dim"),
        (format_duration(shown.p95_ns), "strong"),
        (" p95", "dim"),
    ]
    right: Row = []
    if shown.samples_per_s is not None:
        right += [(f"{format_short_count(shown.samples_per_s)}", "strong"), (" samples/s  ", "dim")]
    if shown.steps_per_s is not None:
        right += [(f"{format_short_count(shown.steps_per_s)}", "strong"), (" steps/s", "dim")]
    return ends(row, right, width)


def _phases(
    view: StepsView, shown: StepFigures | None, snapshot: Snapshot, width: int, room: int
) -> list[Row]:
    """The stacked bar, and the figures of each phase where there is room."""
    phases = _phases_of(view.at) if snapshot.moment.cursor_ns is not None else None
    if phases is None:
        phases = dict(shown.phases_ns) if shown else {}
    if not phases or room < 1:
        return []
    total = sum(phases.values()) or 1.0
    parts = [(name, phases[name]) for name in PHASES if phases.get(name)]
    rows: list[Row] = []
    at = view.at
    if snapshot.moment.cursor_ns is not None and at is not None and room >= 5:
        rows.append([("▸", "cursor"), (f" step {at.index}  ", "strong"),
                     (format_duration(at.duration_ns), "strong")])  # fmt: skip
    rows.append(charts.stacked(parts, width, _block_label(total, dict(parts))))
    if room >= 2:
        rows.append(_legend(parts, width))
    return rows


def _legend(parts: Sequence[tuple[str, float]], width: int) -> Row:
    """Each phase's mean, with its name where there is room for all of them."""
    row: Row = []
    for named, gap in ((True, "  "), (False, "  "), (False, " ")):
        row = []
        for name, value in parts:
            word = f"{PHASE_LETTERS[name]} {name} " if named else f"{PHASE_LETTERS[name]} "
            row += [
                (word, f"phase {name}"),
                (format_duration(value).replace(" ", ""), "strong"),
                (gap, "text"),
            ]
        if width_of(row[:-1]) <= width:
            break
    while row and width_of(row[:-1]) > width:
        row = row[:-3]
    return row


def _block_label(total: float, parts: Mapping[str, float]) -> Callable[[str, int], str]:
    def label(name: str, cells: int) -> str:
        percent = f"{parts[name] / total * 100:.0f}%"
        letter = PHASE_LETTERS[name]
        for text in (f"{name} {percent}", f"{letter} {percent}", letter):
            if len(text) <= cells:
                return text
        return ""

    return label


def _phases_of(step: Step | None) -> dict[str, float] | None:
    if step is None:
        return None
    known = {name: getattr(step, f"{name}_ns") for name in PHASES}
    return {name: float(value) for name, value in known.items() if value}


def plot(snapshot: Snapshot, view: StepsView, width: int, height: int) -> list[Row]:
    """The mean step of each bin as its phases, and where the longest stands out, over time."""
    columns = width - SCALE - 1
    bins = spread(view.axis, view.bins, columns)
    with_axis = height >= 4
    lines = height - 1 if with_axis else height
    ceiling = charts.usual_ceiling(
        (entry.mean_ns for entry in bins if entry is not None),
        (float(entry.max_ns) for entry in bins if entry is not None),
    )
    rows: list[Row] = []
    for number, row in enumerate(charts.stacked_area(list(map(_parts, bins)), lines, ceiling)):
        label = format_duration(ceiling) if number == 0 else "0" if number == lines - 1 else ""
        rows.append([(label.rjust(SCALE), "dim"), ("▕", "track"), *row])
    rows = _with_longest(rows, bins, ceiling, lines)
    rows = with_cursor(rows, snapshot, view.axis, SCALE + 1, columns)
    if with_axis:
        rows.append(time_scale(view.axis, snapshot, SCALE + 1, columns))
    return rows


def _parts(entry: StepBin | None) -> list[tuple[str, float]] | None:
    """The bin's phases from below; a step without phases is all `other`."""
    if entry is None:
        return None
    known = [(name, entry.phases_ns[name]) for name in PHASES if entry.phases_ns.get(name)]
    return known or [("other", entry.mean_ns)]


def _with_longest(
    rows: list[Row], bins: Sequence[StepBin | None], ceiling: float, lines: int
) -> list[Row]:
    """A dot at the longest step of a bin that is a line or more above its mean; ▲ if off scale."""
    rows = list(rows)
    for index, entry in enumerate(bins):
        if entry is None:
            continue
        line = int(entry.max_ns / ceiling * lines)
        if lines < 4 and line < lines:
            continue
        if line <= min(lines - 1, int(entry.mean_ns / ceiling * lines)) and line < lines:
            continue
        off = line >= lines
        at = 0 if off else lines - 1 - line
        rows[at] = charts.cut_out(
            rows[at], SCALE + 1 + index, "▲" if off else "·", "strong warn" if off else "dim"
        )
    return rows


class PhasesOverTime(Panel):
    """One line a phase: its mean in each bin of time."""

    SUBJECT = "steps"
    TITLE = "Phases"
    NEEDS = frozenset({"steps"})
    ABOUT = "Each phase in each bin of time, on a scale of its own; the figure is the usual mean."

    def body(self, snapshot: Snapshot, width: int, height: int) -> list[Row]:
        """A band of the plot for each phase that was seen."""
        view = snapshot.steps
        if view is None:
            return []
        seen = [
            name
            for name in PHASES
            if any(entry is not None and entry.phases_ns.get(name) for entry in view.bins)
        ]
        if not seen:
            return [[("No phases known: only whole steps were seen.", "dim")]]
        shown = view.recent if snapshot.live or view.whole is None else view.whole
        columns = width - 24
        band = max(1, min(4, height // len(seen)))
        rows: list[Row] = []
        for name in seen:
            means = [None if e is None else e.phases_ns.get(name) for e in view.bins]
            values = spread(view.axis, means, columns)
            known = [value for value in values if value is not None]
            lines = charts.area(values, columns, band, charts.usual_ceiling(known))
            mean = shown.phases_ns.get(name) if shown is not None else None
            for number, line in enumerate(lines):
                head = (
                    [
                        (f"{PHASE_LETTERS[name]} {name:<10}", f"phase {name}"),
                        (fit(format_duration(mean), 9, "right") + " ", "strong"),
                    ]
                    if number == 0
                    else [(" " * 22, "text")]
                )
                rows.append([*head, ("▕", "track"), (line, f"phase {name}")])
        return rows[:height]


class Distribution(Panel):
    """How the durations of all steps are spread."""

    SUBJECT = "steps"
    TITLE = "Distribution"
    NEEDS = frozenset({"steps"})
    ABOUT = "What ends a step here, and all steps of the run by duration, in buckets."

    def body(self, snapshot: Snapshot, width: int, height: int) -> list[Row]:
        """A histogram lying on its side."""
        view = snapshot.steps
        if view is None or not view.distribution:
            return [[("–", "dim")]]
        rows: list[Row] = []
        if view.source is not None:
            what = ellipsis(printable(view.source), max(8, width - 12))
            rows.append([("steps end by ", "dim"), (what, "text")])
        whole = view.whole
        if whole is not None:
            rows.append(
                [
                    (format_duration(whole.mean_ns), "strong"), (" mean  ", "dim"),
                    (format_duration(whole.median_ns), "strong"), (" p50  ", "dim"),
                    (format_duration(whole.p95_ns), "strong"), (" p95", "dim"),
                ]
            )  # fmt: skip
        buckets = merged(view.distribution, max(1, height - len(rows)))
        most = max(count for _, count in buckets)
        total = sum(count for _, count in buckets)
        for upper, count in buckets:
            rows.append(
                [
                    ("≤ ", "dim"),
                    (fit(format_duration(upper), 9, "right"), "text"),
                    (fit(f"{count / total * 100:.1f} %", 8, "right") + " ", "text"),
                    *charts.bar(count / most, width - 20),
                ]
            )
        return rows


def merged(buckets: Sequence[tuple[float, int]], room: int) -> list[tuple[float, int]]:
    """Neighbouring buckets put together until there are at most `room`."""
    group = -(-len(buckets) // room)
    return [
        (buckets[min(start + group, len(buckets)) - 1][0],
         sum(count for _, count in buckets[start : start + group]))
        for start in range(0, len(buckets), group)
    ]  # fmt: skip


class SlowestSteps(Table[Step]):
    """The slowest steps, to put the cursor on."""

    SUBJECT = "steps"
    TITLE = "Slowest steps"
    SORT = "duration"
    NEEDS = frozenset({"steps"})
    ABOUT = "The slowest steps among those shown. Enter puts the time cursor on the selected one."

    class Visited(Message):
        """The time cursor is to go to a step."""

        def __init__(self, step: Step) -> None:
            super().__init__()
            self.step = step

    def action_open(self) -> None:
        """Put the time cursor on the selected step."""
        step = self.chosen()
        if step is not None:
            self.post_message(self.Visited(step))

    def items(self, snapshot: Snapshot) -> Sequence[Step]:
        """Steps."""
        return snapshot.steps.slowest if snapshot.steps else ()

    def key_of(self, item: Step) -> str:
        """Its index."""
        return str(item.index)

    def columns(self, snapshot: Snapshot) -> Sequence[Column[Step]]:
        """When, how long, of what."""

        def phase(rank: int, name: str) -> Column[Step]:
            return Column(
                name,
                name,
                9,
                lambda step: (format_duration(getattr(step, f"{name}_ns")), f"phase {name}"),
                lambda step: getattr(step, f"{name}_ns"),
                rank=rank,
            )

        def at(step: Step) -> Span:
            return format_time_of_run(step.start_ns), "dim"

        return (
            Column("step", "step", 9, lambda s: (format_count(s.index), "text"), lambda s: s.index),
            Column("at", "at", 8, at, lambda s: s.start_ns, rank=1),
            Column(
                "duration", "duration", 9,
                lambda s: (format_duration(s.duration_ns), "strong"), lambda s: s.duration_ns,
            ),
            *(phase(2 + rank, name) for rank, name in enumerate(PHASES)),
        )  # fmt: skip
