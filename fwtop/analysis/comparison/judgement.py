"""Whether a comparison meets a condition, for each run against the baseline.

The bound is judged on the point estimate, so that what is read is what is judged. A change that is
noise does not fail, however large: it is no change that anybody could find again. Where nothing
tells whether it is noise (a warm-up, a peak, too few steps, runs or trace windows), and for a bound
on the figure itself, the point estimate alone decides, and the words say that it is uncertain. What
is not known fails: a gate that cannot see is shut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from math import copysign, inf

from fwtop.analysis.comparison.conditions import Condition, Metric
from fwtop.analysis.comparison.metrics import FINDINGS
from fwtop.analysis.comparison.model import (
    Change,
    ComparedFigure,
    ComparedKernel,
    ComparedOperator,
    Comparison,
    OperatorChange,
    OperatorSide,
)
from fwtop.analysis.comparison.words import interval_text, signed_percent
from fwtop.formatting import format_figure

FAILED, NOISE, PASSED, UNKNOWN = "failed", "noise", "passed", "unknown"


@dataclass(frozen=True)
class Judgement:
    """One condition in one run."""

    condition: Condition
    run: int
    """Its place in `Comparison.runs`."""
    outcome: str
    """`passed`; `failed`; `noise`: it would fail, and the change is noise; `unknown`."""
    text: str
    """The condition, the run and the figures in words."""

    @property
    def failed(self) -> bool:
        """Whether the gate is shut: what is unknown fails."""
        return self.outcome in (FAILED, UNKNOWN)


@dataclass(frozen=True)
class _Reading:
    """A metric in the baseline and in a run."""

    before: float | None
    after: float | None
    noise: bool | None = None
    change: Change | None = None
    why: str = ""
    """Why it is not known."""


def judge(condition: Condition, comparison: Comparison) -> list[Judgement]:
    """The condition in every run but the baseline."""
    return [
        _judged(condition, comparison, place) for place in range(1, len(comparison.runs))
    ]  # fmt: skip


def _judged(condition: Condition, comparison: Comparison, place: int) -> Judgement:
    label = comparison.runs[place].label
    reading = _reading(condition.metric, comparison, place)
    value = _judged_value(condition, reading)
    said = f"{condition.text}: "
    if value is None:
        missing = comparison.runs[0].label if reading.after is not None else label
        why = reading.why or f"{condition.metric.text} is not known in {missing}"
        return Judgement(condition, place, UNKNOWN, f"{said}not known, so it fails: {why}")
    outcome = PASSED
    if condition.holds(value):
        outcome = NOISE if condition.kind != "absolute" and reading.noise else FAILED
    return Judgement(condition, place, outcome, said + _figures(condition, reading, label))


def _judged_value(condition: Condition, reading: _Reading) -> float | None:
    before, after = reading.before, reading.after
    if after is None or condition.kind == "absolute":
        return after
    if before is None:
        return None
    if condition.kind == "delta":
        return after - before
    if not before:
        return copysign(inf, after) if after else 0.0
    return (after - before) / abs(before)


def _figures(condition: Condition, reading: _Reading, label: str) -> str:
    unit = condition.metric.unit
    text = f"{label} has {format_figure(reading.after, unit)}"
    if reading.before is None or reading.after is None:
        return text
    against = f"the baseline {format_figure(reading.before, unit)}"
    if condition.kind == "absolute":
        return f"{text}, {against}"
    details = [signed_percent((reading.after - reading.before) / abs(reading.before))
               if reading.before else "from nothing"]  # fmt: skip
    if reading.change is not None and reading.change.interval is not None:
        details.append(interval_text(reading.change.interval))
    if reading.noise:
        details.append("noise")
    elif reading.noise is None:
        why = reading.change.unsure if reading.change is not None else None
        details.append(f"whether it is noise is not known{f': {why}' if why else ''}")
    return f"{text}, {against}: {', '.join(details)}"


def _reading(metric: Metric, comparison: Comparison, place: int) -> _Reading:
    if metric.subject == "findings":
        return _finding(metric, comparison, place)
    if metric.subject in ("operator", "family", "kernel"):
        return _work(metric, comparison, place)
    figures = {figure.metric: figure for figure in comparison.figures}
    if metric.subject == "throughput":
        return _throughput(figures, place)
    figure = figures.get(metric.subject)
    if figure is None:
        near = _meant(metric.subject, list(figures)) if "[" in metric.subject else ""
        return _Reading(None, None, why=f"no run tells {metric.text}{near}")
    return _of_figure(figure, place)


def _of_figure(figure: ComparedFigure, place: int) -> _Reading:
    change = figure.changes[place]
    return _Reading(
        figure.values[0], figure.values[place], change.noise if change else None, change
    )


def _throughput(figures: dict[str, ComparedFigure], place: int) -> _Reading:
    """By samples where both runs tell them, else by steps."""
    for name in ("throughput.samples", "throughput.steps"):
        figure = figures.get(name)
        if figure and figure.values[0] is not None and figure.values[place] is not None:
            return _of_figure(figure, place)
    return _Reading(None, None, why="a run has no steps")


def _finding(metric: Metric, comparison: Comparison, place: int) -> _Reading:
    code = metric.argument
    rows = [row for row in comparison.findings if code is None or row.code == code]
    if code is not None and not rows and code not in FINDINGS:
        return _Reading(None, None, why=f"there is no finding {code}{_meant(code, FINDINGS)}")
    counts = [float(sum(row.whys[at] is not None for row in rows)) for at in (0, place)]
    return _Reading(counts[0], counts[1])


def _work(metric: Metric, comparison: Comparison, place: int) -> _Reading:
    for at in (place, 0):
        if not comparison.runs[at].steps_traced:
            return _Reading(
                None, None, why=f"{comparison.runs[at].label} has no trace window to tell operators"
            )
    found = [row for row in _named(metric, comparison) if row.sides[0] or row.sides[place]]
    if not found:
        return _Reading(None, None, why=_no_such_work(metric, comparison))
    row = found[0]
    change = row.changes[place]
    return _Reading(
        _attribute(row.sides[0], metric.attribute),
        _attribute(row.sides[place], metric.attribute),
        change.noise if change is not None and metric.attribute in _TIMED[metric.subject] else None,
    )


_TIMED = {"operator": ("self",), "family": ("self",), "kernel": ("total",)}
"""What the spread over windows is of."""


@dataclass(frozen=True)
class _Row:
    sides: tuple[OperatorSide | None, ...]
    changes: tuple[OperatorChange | None, ...]


def _named(metric: Metric, comparison: Comparison) -> list[_Row]:
    """The rows that a metric names, the GPU's first."""
    rows: list[tuple[str, _Row]] = []
    if metric.subject == "family":
        rows = [(one.device, _Row(one.sides, one.changes)) for one in comparison.families
                if one.family == metric.argument]  # fmt: skip
    else:
        named = [one for one in _work_rows(metric, comparison) if one.name == metric.argument]
        rows = [(getattr(one, "device", "gpu"), _Row(one.sides, one.changes)) for one in named]
    chosen = [pair for pair in rows if metric.device in (None, pair[0])]
    return [row for _, row in sorted(chosen, key=lambda pair: pair[0] != "gpu")]


def _work_rows(
    metric: Metric, comparison: Comparison
) -> Iterator[ComparedOperator | ComparedKernel]:
    for family in comparison.families:
        yield from family.kernels if metric.subject == "kernel" else family.operators


def _no_such_work(metric: Metric, comparison: Comparison) -> str:
    name = metric.argument or ""
    if metric.subject == "family":
        names = sorted({family.family for family in comparison.families})
    else:
        names = sorted({row.name for row in _work_rows(metric, comparison)})
    on = f" on the {metric.device}" if metric.device else ""
    return f"neither run has the {metric.subject} {name}{on}{_meant(name, names)}"


def _meant(word: str, names: Sequence[str]) -> str:
    """What is near. Of at most some thousand short names: a hostile recording has longer ones."""
    short = [name for name in names if len(name) <= 200][:2000]
    near = get_close_matches(word[:200], short, 3, 0.5)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _attribute(side: OperatorSide | None, name: str) -> float | None:
    """A figure of work; 0 where it did not run."""
    if side is None:
        return 0.0
    if name == "calls":
        return side.calls
    return side.self_ns if name == "self" else side.total_ns
