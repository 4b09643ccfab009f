"""Compiling in a report: the timeline of compiles with their phases, and why there were several."""

from __future__ import annotations

from collections.abc import Sequence

from fwtop.export.html.charts import WIDTH, el_title
from fwtop.export.html.markup import Markup, content, el, name, prose, word
from fwtop.export.html.report import Report, number, section, table
from fwtop.export.trace_events import Lanes
from fwtop.formatting import format_duration, format_time_of_run, plural
from fwtop.queries import compiles
from fwtop.recording.model import CompileEvent

MOST_SPANS = 600
MOST_ROWS = 500
_SPANS = ("compile", "trace", "retrace", "xla", "phase")
_LISTED = ("compile", "trace", "retrace", "xla", "recompile", "graph_break", "fallback")
_LANE = 16


def part(report: Report) -> Markup:
    """The whole section; nothing where nothing compiled."""
    totals = report.facts.compile
    recording = report.source.recording
    listed = compiles.events(recording, kinds=_LISTED, limit=MOST_ROWS)
    if not listed:
        return Markup("")
    spans = compiles.events(recording, kinds=_SPANS, limit=MOST_SPANS)
    counts = [
        plural(totals.count, "compile"), plural(totals.graph_breaks, "graph break"),
        plural(totals.recompiles, "recompile"), plural(totals.retraces, "retrace"),
        plural(totals.cache_hits, "cache hit"),
        plural(totals.cache_misses, "cache miss", "cache misses"),
    ]  # fmt: skip
    heads = [("At", True), ("What", False), ("Took", True), ("Where", False), ("Why", False)]
    return section(
        "compile", "Compile",
        el("p", format_duration(totals.total_ns), " in ", ", ".join(counts), class_="note"),
        _timeline([one for one in spans if one.duration_ns]),
        table(heads, [_row(one) for one in listed], long=True, filtered="events"),
    )  # fmt: skip


def _row(event: CompileEvent) -> Markup:
    place = name(event.function or event.name)
    file = name(event.file)
    where = f"{file}:{event.line}" if event.line is not None else file
    kind = word(event.kind, _LISTED)
    return el(
        "tr",
        number(format_time_of_run(event.start_ns), event.start_ns / 1e6),
        el("td", el("span", name(event.kind).replace("_", " "), class_=f"chip k-{kind}")),
        number(format_duration(event.duration_ns) if event.duration_ns is not None else "",
               event.duration_ns),
        el("td", el("code", place), el("small", where) if where else None),
        el("td", prose(event.reason)),
    )  # fmt: skip


def _timeline(spans: Sequence[CompileEvent]) -> Markup:
    """Each compile with its phases within it; time between compiles that are far apart is left
    out, or they would be hairlines."""
    if not spans:
        return Markup("")
    groups = _groups(sorted(spans, key=lambda one: (one.start_ns, -(one.duration_ns or 0))))
    drawn, lanes, at = [], 1, 0.0
    whole = sum(end - start for start, end, _ in groups)
    gap = WIDTH * 0.008 if len(groups) > 1 else 0.0
    room = WIDTH - gap * (len(groups) - 1)
    for start, end, events in groups:
        width = (end - start) / whole * room
        of_group: dict[int, Lanes] = {}
        base = 0
        for event in events:
            length = event.duration_ns or 0
            found = of_group.setdefault(event.process_id, Lanes(nest=False))
            lane = base + found.take(event.start_ns, event.start_ns + length)
            lanes = max(lanes, lane + 1)
            x = at + (event.start_ns - start) / (end - start) * width
            title = (
                f"{name(event.kind)} {name(event.name)}: {format_duration(length)} at "
                f"{format_time_of_run(event.start_ns)}"
            )
            drawn.append(el(
                "rect", el_title(title), class_=f"area k-{word(event.kind, _SPANS)}",
                x=round(x, 2), y=lane * _LANE + 1, width=round(max(1.2, length / (end - start)
                * width - 0.4), 2), height=_LANE - 2, data_tip=title,
            ))  # fmt: skip
        at += width + gap
    first, last = groups[0][0], groups[-1][1]
    svg = el("svg", drawn, viewBox=f"0 0 {WIDTH} {lanes * _LANE}", preserveAspectRatio="none",
             role="img", aria_label="compiles over time",
             class_=f"lanes l{min(lanes, 12)}")  # fmt: skip
    axis = el("div", el("span", format_time_of_run(first)), el("span", format_time_of_run(last)),
              class_="xaxis")  # fmt: skip
    remark = " (time between them left out)" if len(groups) > 1 else ""
    return content(el("figure", el("figcaption", f"Compiles and their phases{remark}"), svg, axis,
                      class_="chart"))  # fmt: skip


def _groups(
    spans: Sequence[CompileEvent],
) -> list[tuple[int, int, list[CompileEvent]]]:
    """Spans that touch or nearly do: (start, end, spans)."""
    whole = spans[-1].start_ns + (spans[-1].duration_ns or 0) - spans[0].start_ns
    found: list[tuple[int, int, list[CompileEvent]]] = []
    for one in spans:
        end = one.start_ns + max(1, one.duration_ns or 0)
        if found and one.start_ns <= found[-1][1] + whole // 50:
            start, before, events = found[-1]
            events.append(one)
            found[-1] = (start, max(before, end), events)
        else:
            found.append((one.start_ns, end, [one]))
    return found
