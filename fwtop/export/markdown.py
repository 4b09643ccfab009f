"""Markdown: one run's Summary for a pull request, an issue or a wiki (GitHub's and GitLab's kind).

What came from the run is code or escaped text: it makes no link, image, mention, HTML or table cell
of its own.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

from fwtop import __version__
from fwtop.analysis.input_stages import depth, last
from fwtop.analysis.summary_model import CompileEventSummary, Summary
from fwtop.export.source import Source
from fwtop.export.texts import valid
from fwtop.formatting import (
    UNKNOWN,
    format_bytes,
    format_count,
    format_duration,
    format_moment,
    format_rate,
    format_ratio,
    format_short_count,
    format_time_of_run,
    format_watts,
    plural,
    printable,
)
from fwtop.summary import summarize

TOP_OPERATORS = 15
TOP_KERNELS = 10
TOP_STAGES = 10
TOP_EVENTS = 10
LONGEST = 300

_SPECIAL = re.compile(r"([\\`*_\[\]|~$#])")
_SIGNS = {"error": "🔴", "warning": "🟠", "info": "🔵"}
_REASONS = ("recompile", "retrace", "graph_break", "fallback")


def write(source: Source, out: BinaryIO) -> None:
    """The page into a file."""
    out.write(("\n".join(render(summarize(source.recording))) + "\n").encode("utf-8", "replace"))


def render(summary: Summary) -> list[str]:
    """The lines of a summary. A part of which nothing is known is left out."""
    lines: list[str] = []
    parts = (_head, _findings, _steps, _operators, _input, _kernels, _compile, _devices, _last)
    for part in parts:
        found = list(part(summary))
        if found:
            lines += [*found, ""]
    return lines[:-1]


def code(text: str) -> str:
    """As code within a line, and within a table's cell."""
    text = printable(valid(text))[:LONGEST].strip() or " "
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    space = " " if text[0] == "`" or text[-1] == "`" else ""
    # GitHub takes a backslash away before a bar in a table's cell, even within code.
    return f"{fence}{space}{text}{space}{fence}".replace("|", "\\|")


def words(text: str) -> str:
    """As plain text: no markup, no HTML, no mention, no link by its address alone."""
    text = printable(valid(text)).replace("&", "&amp;").replace("<", "&lt;")
    text = _SPECIAL.sub(r"\\\1", text)
    return text.replace("@", "@\u200b").replace("://", ":\u200b//")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> Iterator[str]:
    """A table; all columns but the first `left` are figures."""
    yield f"| {' | '.join(heads)} |"
    yield f"|{'|'.join(':--' if n < left else '--:' for n in range(len(heads)))}|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _head(summary: Summary) -> Iterator[str]:
    run, steps = summary.run, summary.steps
    yield f"### {code(shlex.join(run.command) or run.id)}"
    yield ""
    frameworks = ", ".join(f"{words(one.name)} {words(one.version)}" for one in run.frameworks)
    size = f", world size {run.world_size}" if run.world_size is not None else ""
    ended = "" if run.exit_status is None else f", exit status {run.exit_status}"
    yield (
        f"{code(run.id)} on {words(run.host)}, {format_moment(run.started_unix_ns)}, "
        f"{format_duration(run.duration_ns)}{ended}{'; ' if frameworks else ''}{frameworks}{size}"
    )
    if steps.count:
        per_s = 1e9 / steps.mean_ns if steps.mean_ns else None
        yield ""
        yield (
            f"**{plural(steps.count, 'step')}**, median **{format_duration(steps.median_ns)}**, "
            f"mean {format_duration(steps.mean_ns)} ({format_rate(per_s, 'steps')}), "
            f"p95 {format_duration(steps.p95_ns)}"
        )


def _findings(summary: Summary) -> Iterator[str]:
    yield "#### Findings"
    yield ""
    if not summary.findings:
        yield "Nothing that the figures bear out."
    for finding in summary.findings:
        sign = _SIGNS.get(finding.severity, "")
        yield f"- {sign} **{words(finding.severity)}**: {words(finding.why)}"
        if finding.next:
            yield f"  <br>→ {words(finding.next)}"


def _steps(summary: Summary) -> Iterator[str]:
    phases = summary.steps.phases
    whole = sum(phases.values())
    if not phases:
        return
    yield "#### Phases of a step"
    yield ""
    yield from table(
        ("phase", "mean", "share"),
        (
            (words(phase), format_duration(mean), format_ratio(mean / whole if whole else None))
            for phase, mean in phases.items()
        ),
    )


def _operators(summary: Summary) -> Iterator[str]:
    operators = summary.operators
    if not operators.rows:
        return
    sums: dict[str, float] = {}
    for row in operators.rows:
        sums[row.device] = sums.get(row.device, 0) + row.self_ns
    yield (
        f"#### Operators ({plural(operators.steps_traced, 'traced step')}, "
        f"{plural(operators.windows, 'window')})"
    )
    yield ""
    yield from table(
        ("operator", "family", "phase", "on", "self / step", "share", "total / step", "calls"),
        (
            (
                code(row.name), words(row.family), words(row.phase), words(row.device),
                format_duration(row.self_ns),
                format_ratio(row.self_ns / sums[row.device] if sums[row.device] else None),
                format_duration(row.total_ns), format_short_count(row.calls),
            )
            for row in operators.rows[:TOP_OPERATORS]
        ),
        left=4,
    )  # fmt: skip
    yield from _more(len(operators.rows) - TOP_OPERATORS)


def _kernels(summary: Summary) -> Iterator[str]:
    kernels = summary.kernels
    if kernels.busy_ratio is None and not kernels.rows:
        return
    yield "#### GPU in the traced steps"
    yield ""
    yield (
        f"Busy {format_ratio(kernels.busy_ratio)}; a step waits "
        f"{format_duration(kernels.host_wait_ns)} for the host and "
        f"{format_duration(kernels.kernel_wait_ns)} between kernels; communication overlapped "
        f"{format_ratio(kernels.overlap_ratio)}"
    )
    yield from _use(summary)
    yield ""
    yield from table(
        ("kernel", "family", "time / step", "calls"),
        (
            (code(row.name), words(row.family), format_duration(row.total_ns),
             format_short_count(row.calls))
            for row in kernels.rows[:TOP_KERNELS]
        ),
        left=2,
    )  # fmt: skip
    yield from _more(len(kernels.rows) - TOP_KERNELS)


def _use(summary: Summary) -> Iterator[str]:
    kernels, flops = summary.kernels, summary.flops
    ratios = (
        ("utilisation", kernels.utilization_ratio), ("SM efficiency", kernels.sm_efficiency_ratio),
        ("occupancy", kernels.occupancy_ratio), ("tensor cores", kernels.tensor_core_ratio),
        ("MFU", flops.mfu_ratio),
    )  # fmt: skip
    known = [f"{what} {format_ratio(ratio)}" for what, ratio in ratios if ratio is not None]
    if known:
        yield ""
        yield f"Of the traced time: {', '.join(known)}"


def _input(summary: Summary) -> Iterator[str]:
    rows = summary.input_pipeline.rows
    if not rows:
        return
    yield "#### Input pipeline"
    yield ""
    yield from table(
        ("stage", "to blame for", "self / step", "calls"),
        (
            (code("  " * depth(row.path) + last(row.path)), format_duration(row.wait_ns),
             format_duration(row.self_ns), format_short_count(row.calls))
            for row in rows[:TOP_STAGES]
        ),
    )  # fmt: skip
    yield from _more(len(rows) - TOP_STAGES)


def _compile(summary: Summary) -> Iterator[str]:
    compile = summary.compile
    if not (compile.count or compile.graph_breaks or compile.recompiles or compile.retraces):
        return
    yield "#### Compile"
    yield ""
    yield (
        f"{plural(compile.count, 'compile')} in {format_duration(compile.total_ns)}, "
        f"{plural(compile.graph_breaks, 'graph break')}, "
        f"{plural(compile.recompiles, 'recompile')}, {plural(compile.retraces, 'retrace')}; cache: "
        f"{plural(compile.cache.hits, 'hit')}, {plural(compile.cache.misses, 'miss', 'misses')}"
    )
    reasons = [event for event in compile.events if event.kind in _REASONS and event.reason]
    if reasons:
        yield ""
        yield from table(("at", "what", "where", "why"), map(_event, reasons[:TOP_EVENTS]), left=4)
        yield from _more(len(reasons) - TOP_EVENTS)


def _event(event: CompileEventSummary) -> tuple[str, str, str, str]:
    place = event.function or ""
    if event.file:
        place += f" {event.file}" + (f":{event.line}" if event.line is not None else "")
    return (
        format_time_of_run(event.at_ns),
        words(event.kind.replace("_", " ")),
        code(place) if place.strip() else UNKNOWN,
        code(event.reason or ""),
    )


def _devices(summary: Summary) -> Iterator[str]:
    if not summary.devices:
        return
    yield "#### GPUs"
    yield ""
    yield from table(
        ("GPU", "utilisation", "memory", "of", "power"),
        (
            (
                f"{device.index} {words(device.name)}", format_ratio(device.utilization_ratio),
                format_bytes(device.memory_used_bytes), format_bytes(device.memory_total_bytes),
                format_watts(device.power_w),
            )
            for device in summary.devices
        ),
    )  # fmt: skip


def _last(summary: Summary) -> Iterator[str]:
    host, memory, overhead, losses = summary.host, summary.memory, summary.overhead, summary.losses
    facts = []
    if host.cpu_ratio is not None:
        facts.append(f"CPU {format_ratio(host.cpu_ratio)} of all cores")
    if host.rss_bytes is not None:
        facts.append(f"the run's memory {format_bytes(host.rss_bytes)}")
    if memory.allocated_peak_bytes is not None:
        facts.append(f"allocated at most {format_bytes(memory.allocated_peak_bytes)}")
    if overhead.budget_ratio is not None:
        facts.append(
            f"watching cost {format_ratio(overhead.measured_ratio)} of the time, of a budget of "
            f"{format_ratio(overhead.budget_ratio)}"
        )
    if losses.messages_dropped or losses.windows_failed:
        facts.append(
            f"{format_count(losses.messages_dropped)} messages and "
            f"{plural(losses.windows_failed, 'window')} lost"
        )
    yield f"<sub>{'; '.join(facts)}{'. ' if facts else ''}fwtop {__version__}</sub>"


def _more(count: int) -> Iterator[str]:
    if count > 0:
        yield ""
        yield f"… and {format_count(count)} more"
