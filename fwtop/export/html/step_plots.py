"""Steps in a report: over time by phase, their distribution, and by process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import exp, log

from fwtop.analysis.sketch import Sketch
from fwtop.analysis.steps import StepFigures, figures, minus
from fwtop.export.html.charts import Series, Spans, bars, nice, share_bar, stacked
from fwtop.export.html.markup import Markup, content, el, name
from fwtop.export.html.report import Report, note, number, section, table
from fwtop.export.source import named
from fwtop.formatting import (
    UNKNOWN,
    format_count,
    format_duration,
    format_rate,
    format_ratio,
    plural,
)
from fwtop.queries import compiles, steps
from fwtop.queries.step_bins import StepBinSums, binned
from fwtop.recording.model import PHASES, Step

POINTS = 480
"""Bars of the plot over time; with more steps, a bar is the mean of those in its time."""
BARS = 48
MOST_TICKS = 200
MOST_PROCESSES = 64


def part(report: Report) -> Markup:
    """The whole section."""
    facts = report.facts
    if not facts.steps.count:
        return section("steps", "Steps", note("No step was seen."))
    return section(
        "steps", "Steps", _over_time(report), _phases(facts.steps), _distribution(report),
        _processes(report),
    )  # fmt: skip


def _over_time(report: Report) -> Markup:
    recording, lead = report.source.recording, report.source.lead
    first = report.facts.first_step
    start_ns = first.start_ns if first else 0
    if report.facts.steps.count <= POINTS:
        bins = [_alone(step) for step in steps.latest_steps(recording, POINTS, lead)]
        edges = [(step.start_ns, step.end_ns)
                 for step in steps.latest_steps(recording, POINTS, lead)]  # fmt: skip
    else:
        # Long enough that a step begins in nearly each, or there would be gaps for no reason.
        least = 3 * (report.facts.steps.p95_ns or 0)
        bin_ns = max(1, least, -(-(report.end_ns - start_ns) // POINTS))
        bins = binned(recording, start_ns, report.end_ns + bin_ns, bin_ns, lead)
        edges = [(one.bin * bin_ns, (one.bin + 1) * bin_ns) for one in bins]
    if not bins:
        return Markup("")
    spans = Spans(
        [start for start, _ in edges], [end for _, end in edges],
        edges[0][0], max(report.end_ns, edges[-1][1]),
    )  # fmt: skip
    layers = list(_layers(bins))
    longest = [float(one.duration_max_ns) for one in bins]
    top = _top([one.duration_sum_ns / one.count for one in bins], report.facts.steps)
    over = [Series("longest", "max", longest)] if len(bins) < report.facts.steps.count else []
    beyond = sum(value > top for value in longest)
    remark = (
        note(f"{plural(beyond, 'bar')} reach above the plot: the longest step took "
             f"{format_duration(max(longest))}.")
        if beyond else None
    )  # fmt: skip
    ticks = [
        (event.start_ns, f"{event.kind.replace('_', ' ')}: {name(event.name)}")
        for event in compiles.events(
            recording, kinds=("compile", "recompile", "retrace"), limit=MOST_TICKS, process_id=lead
        )
    ]
    title = "Time of a step, by phase" + (", means" if over else "")
    return content(
        stacked(title, spans, layers, over, top, format_duration, "ns", ticks), remark
    )  # fmt: skip


def _alone(step: Step) -> StepBinSums:
    return StepBinSums(
        step.index, 1, step.duration_ns, step.duration_ns, step.input_ns, step.h2d_ns,
        step.forward_ns, step.backward_ns, step.optimizer_ns, step.samples,
    )  # fmt: skip


def _layers(bins: Sequence[StepBinSums]) -> Iterator[Series]:
    rest = [one.duration_sum_ns / one.count for one in bins]
    for phase in PHASES[:-1]:
        sums = [getattr(one, f"{phase}_sum_ns") for one in bins]
        if all(value is None for value in sums):
            continue
        means = [None if s is None else s / one.count for s, one in zip(sums, bins, strict=True)]
        rest = [max(0.0, left - (mean or 0)) for left, mean in zip(rest, means, strict=True)]
        yield Series(phase, f"p-{phase}", means)
    yield Series("other", "p-other", rest)


def _top(means: Sequence[float], of_steps: StepFigures) -> float:
    """High enough for nearly all, so that a slow first step does not flatten the rest."""
    ordered = sorted(means)
    usual = ordered[int(len(ordered) * 0.98)] if len(ordered) > 20 else ordered[-1]
    bound = max(usual, of_steps.p95_ns or 0) * 1.15
    return nice(min(bound, ordered[-1] * 1.02) if ordered[-1] > 0 else 1.0)


def _phases(of_steps: StepFigures) -> Markup:
    whole = sum(of_steps.phases_ns.values())
    if not whole:
        return Markup("")
    return share_bar(
        [
            (phase, f"p-{phase}", mean / whole,
             f"{format_duration(mean)} · {format_ratio(mean / whole)}")
            for phase, mean in of_steps.phases_ns.items()
        ],
        f"Where a step's time goes: means of {plural(of_steps.steady_count, 'step')}"
        + (", without the first, traced and compiled ones" if of_steps.steady else ""),
    )  # fmt: skip


def _distribution(report: Report) -> Markup:
    recording, lead = report.source.recording, report.source.lead
    whole = steps.totals(recording, lead)
    steady = minus(whole, steps.set_apart(recording, lead))
    sketch = steady.sketch if steady.count else whole.sketch
    return _histogram(sketch, report.facts.steps)


def _histogram(sketch: Sketch, of_steps: StepFigures) -> Markup:
    """Bars of equal ratio: the axis is logarithmic, as the sketch's slots are."""
    values = [(max(1, value), count) for value, count in sketch.values()]
    if len(values) < 2:
        return Markup("")
    low, high = log(values[0][0]) - 0.01, log(values[-1][0]) + 0.01
    # A bar is of whole slots (2 % each), or some bars would be empty for no reason.
    slots = max(1, -(-round((high - low) / 0.02) // BARS))
    width = slots * 0.02
    count = max(1, -(-round((high - low) / 0.02) // slots))
    heights = [0] * (count + 1)
    for value, number_of in values:
        heights[min(count, int((log(value) - low) / width))] += number_of
    while heights and not heights[-1]:
        heights.pop()
    high = low + width * len(heights)
    tips = [
        f"{format_duration(exp(low + width * i))} to {format_duration(exp(low + width * (i + 1)))}:"
        f" {plural(number_of, 'step')}"
        for i, number_of in enumerate(heights)
    ]
    labels = [format_duration(exp(low + (high - low) * n / 4)) for n in range(5)]
    marks = [
        ((log(value) - low) / (high - low), f"{what} {format_duration(value)}")
        for what, value in (("median", of_steps.median_ns), ("p95", of_steps.p95_ns))
        if value
    ]
    title = (
        f"Distribution of step times: median {format_duration(of_steps.median_ns)}, "
        f"p95 {format_duration(of_steps.p95_ns)} (logarithmic axis)"
    )
    return bars(title, heights, labels, tips, marks)


def _processes(report: Report) -> Markup:
    counts = steps.counts(report.source.recording)
    found = [one for one in report.source.processes if counts.get(one.id)]
    if len(found) < 2:
        return Markup("")
    rows = []
    for process in found[:MOST_PROCESSES]:
        of_steps = figures(
            steps.totals(report.source.recording, process.id),
            steps.set_apart(report.source.recording, process.id),
        )
        rows.append(el(
            "tr", el("td", named(process)), el("td", name(process.device) or UNKNOWN),
            number(format_count(of_steps.count), of_steps.count),
            number(format_duration(of_steps.mean_ns), of_steps.mean_ns),
            number(format_duration(of_steps.median_ns), of_steps.median_ns),
            number(format_duration(of_steps.p95_ns), of_steps.p95_ns),
            number(format_rate(of_steps.steps_per_s, ""), of_steps.steps_per_s),
        ))  # fmt: skip
    heads = [("Process", False), ("Device", False), ("Steps", True), ("Mean", True),
             ("Median", True), ("p95", True), ("Rate", True)]  # fmt: skip
    return content(el("h3", "By process"), table(heads, rows))
