"""Operators, kernels and the GPU's time in a report's traced steps."""

from __future__ import annotations

from collections.abc import Sequence

from fwtop.analysis.families import FAMILIES
from fwtop.analysis.input_stages import depth, last
from fwtop.analysis.summary_model import OperatorSummary, Summary
from fwtop.export.html.charts import meter, share_bar
from fwtop.export.html.markup import Markup, content, el, name, word
from fwtop.export.html.report import Report, code, note, number, section, table
from fwtop.export.source import named
from fwtop.formatting import (
    format_count,
    format_duration,
    format_ratio,
    format_short_count,
    plural,
)
from fwtop.queries import device_time
from fwtop.recording.window_model import STEP_CLASSES, Window

MOST_ROWS = 1_000
_CLASSES = {"dataloader": "data loader", "cpu_op": "operators", "runtime": "launch calls"}


def operators(report: Report) -> Markup:
    """Families and the table of operators."""
    figures = report.summary.operators
    if not figures.rows:
        return section("operators", "Operators", note(
            "No trace window was decoded, so operators are not known."
        ))  # fmt: skip
    sums: dict[str, float] = {}
    for row in figures.rows:
        sums[row.device] = sums.get(row.device, 0) + row.self_ns
    rows = [_operator(row, sums[row.device]) for row in figures.rows[:MOST_ROWS]]
    heads = [("Operator", False), ("Family", False), ("Phase", False), ("On", False),
             ("Self / step", True), ("Share", True), ("Total / step", True),
             ("Calls / step", True)]  # fmt: skip
    left_out = len(figures.rows) - len(rows)
    return section(
        "operators", "Operators",
        note(f"Per step, from {plural(figures.steps_traced, 'traced step')} in "
             f"{plural(figures.windows, 'window')}. Self time leaves out what an operator calls; "
             "shares are of all self time on the same device."
             + (f" {left_out:,} smaller ones are left out." if left_out > 0 else "")),
        [_families(figures.rows, device, whole) for device, whole in sorted(sums.items())],
        table(heads, rows, long=True, filtered="operators"),
    )  # fmt: skip


def _operator(row: OperatorSummary, whole_ns: float) -> Markup:
    share = row.self_ns / whole_ns if whole_ns else 0.0
    return el(
        "tr",
        code(row.name),
        el("td", el("span", name(row.family), class_=f"chip f-{word(row.family, FAMILIES)}")),
        el("td", name(row.phase)),
        el("td", name(row.device)),
        number(format_duration(row.self_ns), row.self_ns),
        el("td", meter(share, f"f-{word(row.family, FAMILIES)}"), format_ratio(share),
           class_="n share", data_v=round(share, 6)),
        number(format_duration(row.total_ns), row.total_ns),
        number(format_short_count(row.calls), row.calls),
    )  # fmt: skip


def _families(rows: Sequence[OperatorSummary], device: str, whole_ns: float) -> Markup:
    if not whole_ns:
        return Markup("")
    sums = dict.fromkeys(FAMILIES, 0.0)
    for row in rows:
        if row.device == device:
            sums[word(row.family, FAMILIES)] += row.self_ns
    found = sorted(((ns, family) for family, ns in sums.items() if ns > 0), reverse=True)
    return share_bar(
        [
            (family, f"f-{family}", ns / whole_ns,
             f"{format_duration(ns)} · {format_ratio(ns / whole_ns)}")
            for ns, family in found
        ],
        f"Self time of a step by family, on the {name(device).upper()}: "
        f"{format_duration(whole_ns)}",
    )  # fmt: skip


def gpu_time(report: Report) -> Markup:
    """What the GPU did in the traced steps, and the kernels."""
    kernels = report.summary.kernels
    if kernels.busy_ratio is None and not kernels.rows:
        return Markup("")
    whole = sum(row.total_ns for row in kernels.rows)
    rows = [
        el(
            "tr", code(row.name),
            el("td", el("span", name(row.family), class_=f"chip f-{word(row.family, FAMILIES)}")),
            number(format_duration(row.total_ns), row.total_ns),
            el("td", meter(row.total_ns / whole if whole else 0,
                           f"f-{word(row.family, FAMILIES)}"),
               format_ratio(row.total_ns / whole if whole else None), class_="n share",
               data_v=round(row.total_ns / whole if whole else 0, 6)),
            number(format_short_count(row.calls), row.calls),
            el("td", "yes" if row.tensor_cores else ""),
        )
        for row in kernels.rows[:MOST_ROWS]
    ]  # fmt: skip
    heads = [("Kernel", False), ("Family", False), ("Time / step", True), ("Share", True),
             ("Calls / step", True), ("Tensor cores", False)]  # fmt: skip
    return section(
        "gpu-time", "GPU time in the traced steps",
        _temporal(report.facts.windows), _by_class(report.summary), _devices(report),
        table(heads, rows, long=True, filtered="kernels") if rows else None,
    )  # fmt: skip


def _temporal(windows: Sequence[Window]) -> Markup:
    told = [one for one in windows if one.span_ns and one.busy_ns is not None]
    span = sum(one.span_ns or 0 for one in told)
    if not span:
        return Markup("")

    def total(field: str) -> int:
        return sum(getattr(one, field) or 0 for one in told)

    compute, communication, overlap = (
        total(field) for field in ("compute_ns", "communication_ns", "overlap_ns")
    )
    busy = total("busy_ns")
    parts = [
        ("compute", "g-compute", compute - overlap),
        ("compute and communication at once", "g-overlap", overlap),
        ("communication alone", "g-communication", communication - overlap),
        ("copies and fills alone", "g-copies", busy - compute - communication + overlap),
        ("waits for the host", "g-host", total("host_wait_ns")),
        ("waits between kernels", "g-kernel", total("kernel_wait_ns")),
    ]
    parts.append(("other waits", "g-other", span - sum(max(0, ns) for _, _, ns in parts)))
    return share_bar(
        [
            (what, style, ns / span, f"{format_duration(ns / len(told))} · "
             f"{format_ratio(ns / span)}")
            for what, style, ns in parts if ns > 0
        ],
        f"The GPU's time, from the first kernel's start to the last one's end: means of "
        f"{plural(len(told), 'window')}",
    )  # fmt: skip


def _by_class(summary: Summary) -> Markup:
    means = summary.step_breakdown.mean_ns
    whole = sum(means.values())
    if not whole:
        return Markup("")
    return share_bar(
        [
            (_CLASSES.get(one, one), f"c-{word(one, STEP_CLASSES)}", ns / whole,
             f"{format_duration(ns)} · {format_ratio(ns / whole)}")
            for one, ns in means.items() if ns
        ],
        f"The wall time of {plural(summary.step_breakdown.steps, 'traced step')}, each moment "
        "claimed by the first of these that ran",
    )  # fmt: skip


def _devices(report: Report) -> Markup:
    processes = {one.id: one for one in report.source.processes}
    rows = []
    for one in device_time.device_times(report.source.recording):
        ratios = (
            _ratio(one.busy_ns, one.span_ns), _ratio(one.sm_busy_ns, one.span_ns),
            _ratio(one.occupied_ns, one.measured_ns), _ratio(one.tensor_core_ns, one.kernel_ns),
        )  # fmt: skip
        delay = one.launch_delay_sum_ns / one.launches if one.launches else None
        rows.append(el(
            "tr", el("td", f"{named(processes.get(one.process_id))}, GPU {one.device}"),
            (number(format_ratio(ratio), ratio) for ratio in ratios),
            number(format_duration(delay), delay),
            number(format_count(one.queue_max), one.queue_max),
        ))  # fmt: skip
    if not rows:
        return Markup("")
    heads = [("Device", False), ("Busy", True), ("SM efficiency", True), ("Occupancy", True),
             ("Tensor cores", True), ("Launch delay", True), ("Longest queue", True)]  # fmt: skip
    return content(el("h3", "How well the GPU was used"), table(heads, rows))


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def input_pipeline(report: Report) -> Markup:
    """The stages of the input pipeline, each below the one that it feeds."""
    stages = report.summary.input_pipeline.rows
    if not stages:
        return Markup("")
    waited = sum(one.wait_ns for one in stages)
    rows = [
        el(
            "tr",
            el("td", "· " * depth(one.path), el("code", name(last(one.path)))),
            number(format_duration(one.wait_ns), one.wait_ns),
            el("td", meter(one.wait_ns / waited if waited else 0, "f-data"),
               format_ratio(one.wait_ns / waited if waited else None), class_="n share"),
            number(format_duration(one.self_ns), one.self_ns),
            number(format_duration(one.total_ns), one.total_ns),
            number(format_short_count(one.calls), one.calls),
        )
        for one in stages[:MOST_ROWS]
    ]  # fmt: skip
    heads = [("Stage", False), ("To blame for", True), ("Share", True), ("Self / step", True),
             ("Total / step", True), ("Calls / step", True)]  # fmt: skip
    return section(
        "input", "Input pipeline",
        note(f"A traced step waits {format_duration(waited)} for its input; each stage is to blame "
             "for a part of it."),
        table(heads, rows),
    )  # fmt: skip
