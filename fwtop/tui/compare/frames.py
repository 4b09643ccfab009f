"""The frames that are no tables: header, verdict, distribution, and a selected row written out."""

from __future__ import annotations

from collections.abc import Sequence

from textual.strip import Strip

from fwtop.analysis.comparison.model import (
    ComparedFinding,
    ComparedRun,
    Comparison,
    ConfigurationDifference,
    OperatorSide,
    Verdict,
)
from fwtop.formatting import (
    UNKNOWN,
    ellipsis,
    format_command,
    format_duration,
    format_short_count,
    plural,
    printable,
)
from fwtop.tui import charts
from fwtop.tui.compare.picture import Picture
from fwtop.tui.compare.rows import Node
from fwtop.tui.drawing import Row, ends, fit, strip_of, wrap
from fwtop.tui.widgets.frame import Frame

DIRECTIONS = {
    "slower": ("▲", "strong bad"),
    "faster": ("▼", "strong good"),
    "noise": ("≈", "strong"),
    "unknown": ("?", "strong warn"),
}
Item = ComparedFinding | ConfigurationDifference | Node
FURTHEST = 4.0
"""Of an axis's end from the median, in distances from the 10th to the 90th percentile."""
PLOTS = ("plot", "plot 3", "plot 2", "warn")
"""One a run; the letter in front says which."""


class Head(Frame[Picture], can_focus=False):
    """One line: which runs these are, and whether they are still being compared."""

    def __init__(self) -> None:
        super().__init__(id="header")

    def _draw(self) -> list[Strip]:
        width, height = self.size
        if self.snapshot is None:
            return [strip_of([(" fwtop compare", "title")], width)] * max(1, height)
        status = "comparing … " if self.snapshot.comparing else ""
        row: Row = [(" fwtop compare ", "title"), (" ", "text")]
        each = max(6, (width - 28) // len(self.snapshot.names) - 5)
        for number, name in enumerate(self.snapshot.names):
            letter, _, label = name.partition(" ")
            row += [(f"{letter} ", "key"), (ellipsis(printable(label), each), "strong")]
            row.append((" (baseline)  " if number == 0 else "  ", "dim"))
        lines = [strip_of(ends(row, [(status, "strong warn")], width), width)]
        return lines + [Strip.blank(width)] * (height - 1)


class VerdictFrame(Frame[Picture], can_focus=False):
    """What the comparison comes to, in words, and what makes it hard to compare."""

    TITLE = "Verdict"

    def headline(self, snapshot: Picture, width: int) -> Row:
        """What it rests on."""
        found = snapshot.comparison
        if found is None:
            return []
        counts = [f"{steps.steady_count:,}" for steps in found.steps]
        runs = " | ".join(str(len(run.repeats)) for run in found.runs)
        between = any(one is not None and one.covers == "between_runs" for one in found.verdicts)
        covers = f"between {runs} runs" if between else "within the runs only"
        # The frame leaves out the last part where there is no room for both.
        return [(f"CI {covers}", "dim"), (f", {' | '.join(counts)} steady steps", "dim")]

    def awaited(self, snapshot: Picture) -> str | None:
        """It is being compared, or cannot be."""
        if snapshot.comparison is not None:
            return None
        return snapshot.failure or "comparing …"

    def body(self, snapshot: Picture, width: int, height: int) -> list[Row]:
        """Verdicts first, then notes, then what was run."""
        found = self.whole(snapshot, width)
        runs = len(snapshot.sources)
        if len(found) - runs > height:
            left = len(found) - runs - height + 1
            hint = "" if self.full else ": press 1"
            return [*found[: height - 1], [(f"… {plural(left, 'more line')}{hint}", "dim")]]
        return found[:height]

    @staticmethod
    def whole(snapshot: Picture, width: int) -> list[Row]:
        """All of it, as many lines as it takes; the last ones are the runs."""
        comparison = snapshot.comparison
        if comparison is None:
            return []
        found: list[Row] = []
        for name, verdict in zip(snapshot.names, comparison.verdicts, strict=True):
            if verdict is not None:
                found += _verdict_rows(name[0], verdict, width)
        found += [[(line, "dim")] for line in wrap(printable(comparison.coverage), width)]
        for note in comparison.notes:
            lines = wrap(printable(note), width - 2)
            found += [
                [("! " if at == 0 else "  ", "strong warn"), (line, "text")]
                for at, line in enumerate(lines)
            ]
        for name, run in zip(snapshot.names, comparison.runs, strict=True):
            words = format_command(run.command) or printable(run.source)
            row: Row = [(f"{name[0]} ", "key"), (words, "text")]
            found.append(ends(row, [(_facts(run), "dim")], width))
        return found


class Spread(Frame[Picture], can_focus=False):
    """How the runs' step times are spread, on one axis."""

    TITLE = "Step times"

    def headline(self, snapshot: Picture, width: int) -> Row:
        """Which steps."""
        return [("steady steps", "dim")] if snapshot.comparison is not None else []

    def awaited(self, snapshot: Picture) -> str | None:
        """There must be steps."""
        if snapshot.comparison is None:
            return "" if snapshot.failure else "comparing …"
        return None if any(snapshot.durations_ns) else "No steady steps."

    def body(self, snapshot: Picture, width: int, height: int) -> list[Row]:
        """A plot a run, its median marked below, and the axis."""
        plots = snapshot.durations_ns
        low, high = axis_of(plots)
        columns = max(10, width - 3)
        each = max(1, min(4, (height - 1) // len(plots)))
        found: list[Row] = []
        for number, (name, values) in enumerate(zip(snapshot.names, plots, strict=True)):
            counts = histogram(values, low, high, columns)
            lines = charts.area(counts, columns, each, max([*counts, 1]))
            found += [
                [(f"{name[0]} " if at == 0 else "  ", "key"), (line, PLOTS[number % len(PLOTS)])]
                for at, line in enumerate(_blank_where_none(lines, counts))
            ]
        left, right = format_duration(low), format_duration(high)
        beyond = sum(value > high for values in plots for value in values)
        if beyond:
            right = f"{beyond:,} beyond {right}"
        scale = fit(left, columns - len(right)) + right
        return [*found[: max(0, height - 1)], [("  ", "text"), (scale, "dim")]]


class Words(Frame[Picture], can_focus=False):
    """The selected row of a table, written out."""

    TITLE = "In full"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(full=True, id=id)
        self._item: Item | None = None

    def show(self, item: Item | None) -> None:
        """Another row."""
        self._item = item
        self.repaint()

    def body(self, snapshot: Picture, width: int, height: int) -> list[Row]:
        """Each run's words, wrapped."""
        item = self._item
        if item is None:
            return []
        if isinstance(item, ComparedFinding):
            found: list[Row] = [[(f"{printable(item.code)}  ", "strong"), (item.severity, "dim")]]
            found += _by_run(snapshot.names, item.whys, width, "not found here")
            if item.next:
                found += [[(line, "code")] for line in wrap(f"→ {printable(item.next)}", width)]
        elif isinstance(item, Node):
            found = [[(line, "strong")] for line in wrap(printable(item.name), width)]
            found.append([(printable(f"{item.kind}, {item.family}, on the {item.device}"), "dim")])
            sides = [None if one is None else _side_in_words(one) for one in item.sides]
            found += _by_run(snapshot.names, sides, width, "did not run")
        else:
            found = [[(f"{printable(item.what)}  ", "strong"), (printable(item.section), "dim")]]
            found += _by_run(snapshot.names, item.values, width, UNKNOWN)
        return found[:height]


class Notes(Frame[Picture], can_focus=False):
    """What makes the runs hard to compare, all of it."""

    TITLE = "Notes"

    def body(self, snapshot: Picture, width: int, height: int) -> list[Row]:
        """The notes, wrapped."""
        comparison = snapshot.comparison
        if comparison is None:
            return []
        if not comparison.notes:
            return [[("Nothing makes these runs hard to compare.", "dim")]]
        found: list[Row] = []
        for note in comparison.notes:
            for at, line in enumerate(wrap(printable(note), width - 2)):
                found.append([("  " if at else "! ", "strong warn"), (line, "text")])
        return found[:height]


def axis_of(plots: Sequence[Sequence[int]]) -> tuple[float, float]:
    """Where nearly all steps of all runs lie, in ns: from the 1st to the 99th percentile, but no
    further from the median than `FURTHEST` times what most steps are apart, so that a few stalls
    do not press all others into one column."""
    known = [values for values in plots if values]
    low = min(max(_at(values, 0.01), _middle(values) - _reach(values)) for values in known)
    high = max(min(_at(values, 0.99), _middle(values) + _reach(values)) for values in known)
    middle = (high - low) * 0.05 or max(1.0, low * 0.01)
    return max(0.0, low - middle), high + middle


def _at(values: Sequence[int], ratio: float) -> int:
    return values[int((len(values) - 1) * ratio)]


def _middle(values: Sequence[int]) -> int:
    return _at(values, 0.5)


def _reach(values: Sequence[int]) -> float:
    """At least a tenth of the median, as steps may be alike to the nanosecond."""
    return max(FURTHEST * (_at(values, 0.9) - _at(values, 0.1)), _middle(values) / 10)


def histogram(values: Sequence[int], low: float, high: float, columns: int) -> list[float]:
    """How many of the values lie in each of the columns; what is beyond the axis is left out."""
    counts = [0.0] * columns
    for value in values:
        at = int((value - low) / (high - low) * columns)
        if 0 <= at < columns:
            counts[at] += 1
    return counts


def _blank_where_none(lines: Sequence[str], counts: Sequence[float]) -> list[str]:
    """`charts.area` gives every known value a line at least; here none is none."""
    return [
        "".join(letter if count else " " for letter, count in zip(line, counts, strict=True))
        for line in lines
    ]


def _facts(run: ComparedRun) -> str:
    """What else tells runs apart: frameworks, devices, ranks."""
    parts = [f"{one.name} {one.version}" for one in run.frameworks]
    parts += dict.fromkeys(run.devices)
    if run.world_size is not None and run.world_size > 1:
        parts.append(f"{run.world_size} ranks")
    return printable(", ".join(parts))


def _verdict_rows(letter: str, verdict: Verdict, width: int) -> list[Row]:
    sign, role = DIRECTIONS.get(verdict.direction, ("?", "strong"))
    lines = wrap(printable(verdict.text), width - 4)
    return [
        [(f"{letter} ", "key"), (f"{sign} ", role), (line, role)]
        if at == 0
        else [("    ", "text"), (line, role)]
        for at, line in enumerate(lines)
    ]


def _by_run(
    names: Sequence[str], texts: Sequence[str | None], width: int, absent: str
) -> list[Row]:
    found: list[Row] = []
    for name, text in zip(names, texts, strict=True):
        lines = wrap(printable(text), width - 2) if text else [absent]
        found += [
            [(f"{name[0]} " if at == 0 else "  ", "key"), (line, "text" if text else "dim")]
            for at, line in enumerate(lines)
        ]
    return found


def _side_in_words(side: OperatorSide) -> str:
    words = f"self {format_duration(side.self_ns)}"
    if side.spread_ns is not None:
        words += f" ± {format_duration(side.spread_ns)} between windows"
    if side.total_ns is not None:
        words += f", total {format_duration(side.total_ns)}"
    return f"{words}, {format_short_count(side.calls)} calls, a traced step"


def title_of(comparison: Comparison | None) -> str:
    """A file's name for the comparison."""
    if comparison is None:
        return "comparison.md"
    words = [
        "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in run.label)
        for run in comparison.runs
    ]
    return f"compare-{'-'.join(words)}"[:100] + ".md"
