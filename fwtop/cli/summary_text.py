"""A Summary in words: at most 80 columns, aligned, no colour.

A part of which nothing is known is left out.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from fwtop.analysis.input_stages import depth, last
from fwtop.analysis.summary_model import (
    KernelsSummary,
    OperatorSummary,
    ProcessSummary,
    Summary,
)
from fwtop.formatting import (
    UNKNOWN,
    cell_width,
    ellipsis,
    ellipsis_middle,
    ellipsis_start,
    format_bytes,
    format_count,
    format_duration,
    format_flops,
    format_flops_per_s,
    format_moment,
    format_rate,
    format_ratio,
    format_short_count,
    format_watts,
    pad,
    plural,
    printable,
    wrapped,
)

INDENT = 11
BAR = 24
TOP_OPERATORS = 8
TOP_KERNELS = 4
TOP_STAGES = 8
STEP_CLASS_NAMES = {"dataloader": "data loader", "cpu_op": "operators", "runtime": "launch calls"}
MARKS = {"error": "!!", "warning": "! ", "info": "- "}


def render(summary: Summary, path: str, columns: int = 80) -> list[str]:
    """The lines of a summary."""
    lines: list[str] = []
    for part in (
        _run,
        _steps,
        _operators,
        _input_pipeline,
        _kernels,
        _step_time,
        _flops,
        _compile,
        _devices,
        _host,
        _overhead,
    ):
        found = [ellipsis(line, columns).rstrip() for line in part(summary, columns)]
        if found:
            lines += [*found, ""]
    lines += [*(ellipsis(line, columns) for line in _findings(summary, columns)), ""]
    lines.append(_labelled("recording", ellipsis_start(printable(path), columns - INDENT)))
    return lines


def _run(summary: Summary, columns: int) -> Iterator[str]:
    run = summary.run
    command = printable(shlex.join(run.command)) or UNKNOWN
    yield _labelled("run", ellipsis(command, columns - INDENT))
    frameworks = ", ".join(f"{printable(one.name)} {printable(one.version)}".rstrip()
                           for one in run.frameworks)  # fmt: skip
    where = f"on {printable(run.host) or UNKNOWN}" + (f", {frameworks}" if frameworks else "")
    if run.world_size is not None:
        where += f", world size {run.world_size}"
    yield _labelled("", where)
    ended = "" if run.exit_status is None else f", exit status {run.exit_status}"
    yield _labelled(
        "",
        f"{printable(run.id)}, {format_moment(run.started_unix_ns)}, "
        f"{format_duration(run.duration_ns)}{ended}",
    )


def _steps(summary: Summary, columns: int) -> Iterator[str]:
    steps = summary.steps
    if not steps.count:
        yield _labelled("steps", "none was seen")
        return
    per_s = 1e9 / steps.mean_ns if steps.mean_ns else None
    yield _labelled(
        "steps",
        f"{format_count(steps.count)}, mean {format_duration(steps.mean_ns)} "
        f"({format_rate(per_s, 'steps')}), median {format_duration(steps.median_ns)}, "
        f"p95 {format_duration(steps.p95_ns)}",
    )
    whole = sum(steps.phases.values())
    for phase, mean_ns in steps.phases.items():
        share = mean_ns / whole if whole else 0.0
        yield _labelled(
            "",
            f"{pad(phase, 10)}{pad(format_duration(mean_ns), 8, right=True)}"
            f"{pad(format_ratio(share), 9, right=True)}  {_bar(share)}",
        )
    if steps.count > 1:
        yield _labelled("", "(means without the first, traced and compiled steps, if others exist)")
    several = [one for one in summary.processes if one.steps]
    if len(several) > 1:
        ranks = ", ".join(f"{_named(one)}: {format_count(one.steps)}" for one in several)
        yield _labelled("", f"by process: {ranks}")


def _named(process: ProcessSummary) -> str:
    if process.rank is not None:
        return f"rank {process.rank}"
    return f"pid {UNKNOWN if process.pid is None else process.pid}"


def _operators(summary: Summary, columns: int) -> Iterator[str]:
    rows = summary.operators.rows
    if not rows:
        return
    yield _labelled(
        "operators",
        f"self time a step, over {plural(summary.operators.steps_traced, 'traced step')} in "
        f"{plural(summary.operators.windows, 'window')}",
    )
    for device in ("gpu", "cpu"):
        there = [row for row in rows if row.device == device]
        whole = sum(row.self_ns for row in there)
        for row in there[: TOP_OPERATORS if device == rows[0].device else TOP_KERNELS]:
            yield _labelled("", _operator(row, whole, columns - INDENT))


def _operator(row: OperatorSummary, whole_ns: float, cells: int) -> str:
    share = row.self_ns / whole_ns if whole_ns else 0.0
    figures = (
        f"{pad(row.device, 4)}{pad(format_duration(row.self_ns), 8, right=True)}"
        f"{pad(format_ratio(share), 8, right=True)}"
        f"{pad(format_short_count(row.calls), 7, right=True)}× {pad(printable(row.phase), 9)} "
    )
    name = ellipsis_middle(printable(row.name), max(8, cells - cell_width(figures)))
    return figures + name


def _input_pipeline(summary: Summary, columns: int) -> Iterator[str]:
    rows = summary.input_pipeline.rows
    if not rows:
        return
    waited = sum(row.wait_ns for row in rows)
    yield _labelled("input", f"waits {format_duration(waited)} a traced step, by stage")
    for row in rows[:TOP_STAGES]:
        share = row.wait_ns / waited if waited else 0.0
        figures = (
            f"{pad(format_duration(row.wait_ns), 12, right=True)}"
            f"{pad(format_ratio(share), 8, right=True)}"
            f"{pad(format_short_count(row.calls), 7, right=True)}× "
        )
        name = "  " * depth(row.path) + printable(last(row.path))
        yield _labelled(
            "", figures + ellipsis_middle(name, max(8, columns - INDENT - cell_width(figures)))
        )


def _kernels(summary: Summary, columns: int) -> Iterator[str]:
    kernels = summary.kernels
    if kernels.busy_ratio is None:
        return
    overlap = (
        f"; communication {format_ratio(kernels.overlap_ratio)} overlapped"
        if kernels.overlap_ratio is not None
        else ""
    )
    yield _labelled(
        "kernels", f"GPU busy {format_ratio(kernels.busy_ratio)} of the traced steps{overlap}"
    )
    yield _labelled(
        "",
        f"waits a step: {format_duration(kernels.host_wait_ns)} for the host, "
        f"{format_duration(kernels.kernel_wait_ns)} between kernels",
    )
    yield from _use(kernels)
    whole = sum(row.total_ns for row in kernels.rows)
    for row in kernels.rows[:TOP_KERNELS]:
        share = row.total_ns / whole if whole else 0.0
        figures = (
            f"{pad(format_duration(row.total_ns), 12, right=True)}"
            f"{pad(format_ratio(share), 8, right=True)}"
            f"{pad(format_short_count(row.calls), 7, right=True)}× "
        )
        name = ellipsis_middle(printable(row.name), max(8, columns - INDENT - cell_width(figures)))
        yield _labelled("", figures + name)


def _use(kernels: KernelsSummary) -> Iterator[str]:
    """Of the traced steps' time, and of the kernels' own."""
    of_time = (kernels.utilization_ratio, "kernels ran"), (
        kernels.sm_efficiency_ratio, "multiprocessors busy"
    )  # fmt: skip
    of_kernels = (kernels.occupancy_ratio, "occupancy"), (kernels.tensor_core_ratio, "tensor cores")
    for shares, end in ((of_time, " of the time"), (of_kernels, " of the kernels' time")):
        known = [f"{what} {format_ratio(ratio)}" for ratio, what in shares if ratio is not None]
        if known:
            yield _labelled("", f"{', '.join(known)}{end}")
    if kernels.launches:
        queue = UNKNOWN if kernels.queue_max is None else str(kernels.queue_max)
        yield _labelled(
            "",
            f"{format_short_count(kernels.launches)} launches a step, delayed "
            f"{format_duration(kernels.launch_delay_median_ns)} (p95 "
            f"{format_duration(kernels.launch_delay_p95_ns)}), queue up to {queue}",
        )


def _step_time(summary: Summary, columns: int) -> Iterator[str]:
    breakdown = summary.step_breakdown
    whole = sum(breakdown.mean_ns.values())
    if not whole:
        return
    yield _labelled(
        "step time", f"{format_duration(whole)}, of {plural(breakdown.steps, 'traced step')}"
    )
    for name, mean_ns in breakdown.mean_ns.items():
        if mean_ns:
            yield _labelled(
                "",
                f"{pad(STEP_CLASS_NAMES.get(name, name), 14)}"
                f"{pad(format_duration(mean_ns), 8, right=True)}"
                f"{pad(format_ratio(mean_ns / whole), 9, right=True)}  {_bar(mean_ns / whole)}",
            )


def _flops(summary: Summary, columns: int) -> Iterator[str]:
    flops = summary.flops
    if flops.step_flops is None:
        return
    dtypes = ", ".join(name or "unknown dtype" for name in flops.dtypes)
    yield _labelled(
        "flops",
        f"{format_flops(flops.step_flops)} a step ({dtypes}), "
        f"{format_flops_per_s(flops.flops_per_s)}",
    )
    if flops.mfu_ratio is not None:
        yield _labelled(
            "",
            f"{format_ratio(flops.mfu_ratio)} of the peak, "
            f"{format_flops_per_s(flops.peak_flops_per_s)} (MFU)",
        )


def _compile(summary: Summary, columns: int) -> Iterator[str]:
    compile = summary.compile
    cache = compile.cache
    if not (compile.count or compile.graph_breaks or compile.recompiles or compile.retraces):
        return
    yield _labelled(
        "compile",
        f"{plural(compile.count, 'compile')}, {format_duration(compile.total_ns)}; "
        f"{plural(compile.graph_breaks, 'graph break')}, "
        f"{plural(compile.recompiles, 'recompile')}, {plural(compile.retraces, 'retrace')}",
    )
    if cache.hits or cache.misses or cache.bypasses:
        yield _labelled(
            "",
            f"cache: {plural(cache.hits, 'hit')}, {plural(cache.misses, 'miss', 'misses')}, "
            f"{plural(cache.bypasses, 'bypass', 'bypasses')}",
        )


def _devices(summary: Summary, columns: int) -> Iterator[str]:
    label = "devices"
    for device in summary.devices:
        memory = (
            f"{format_bytes(device.memory_used_bytes)} of {format_bytes(device.memory_total_bytes)}"
        )
        figures = (
            f" {pad(format_ratio(device.utilization_ratio), 7, right=True)} used  {memory}"
            f"  {format_watts(device.power_w)}"
        )
        name = f"{device.index} {printable(device.name)}"
        yield _labelled(label, pad(name, max(10, columns - INDENT - cell_width(figures))) + figures)
        label = ""
    peaks = summary.memory
    if peaks.allocated_peak_bytes is not None or peaks.reserved_peak_bytes is not None:
        yield _labelled(
            "memory",
            f"allocated at most {format_bytes(peaks.allocated_peak_bytes)}, reserved "
            f"{format_bytes(peaks.reserved_peak_bytes)}",
        )
    yield from _peak_holders(summary, columns)


def _peak_holders(summary: Summary, columns: int) -> Iterator[str]:
    rows = summary.memory.peak_holders
    for device in dict.fromkeys(row.device for row in rows):
        there = [row for row in rows if row.device == device]
        yield _labelled("held", f"on {printable(device)} where a deep window was highest")
        for row in there[:TOP_KERNELS]:
            figures = f"{pad(format_bytes(row.bytes), 12, right=True)} "
            room = max(8, columns - INDENT - cell_width(figures))
            yield _labelled("", figures + ellipsis_middle(printable(row.operator), room))


def _host(summary: Summary, columns: int) -> Iterator[str]:
    host = summary.host
    if host.cpu_ratio is None and host.memory_used_bytes is None:
        return
    yield _labelled(
        "host",
        f"CPU {format_ratio(host.cpu_ratio)} of all cores, memory "
        f"{format_bytes(host.memory_used_bytes)}, of it the run {format_bytes(host.rss_bytes)}",
    )


def _overhead(summary: Summary, columns: int) -> Iterator[str]:
    overhead, losses = summary.overhead, summary.losses
    if overhead.budget_ratio is not None:
        yield _labelled(
            "overhead",
            f"{format_ratio(overhead.measured_ratio)} measured, of a budget of "
            f"{format_ratio(overhead.budget_ratio)}; {plural(overhead.windows, 'window')}",
        )
    if losses.messages_dropped or losses.windows_failed or losses.probe_failures:
        yield _labelled(
            "losses",
            f"{plural(losses.messages_dropped, 'message')} dropped, "
            f"{plural(losses.windows_failed, 'window')} failed, "
            f"{plural(len(losses.probe_failures), 'hook')} switched off",
        )


def _findings(summary: Summary, columns: int) -> Iterator[str]:
    if not summary.findings:
        yield _labelled("findings", "nothing that the figures bear out")
        return
    label = "findings"
    width = columns - INDENT - 2
    for finding in summary.findings:
        for number, line in enumerate(wrapped(printable(finding.why), width)):
            yield _labelled(
                label, (MARKS.get(finding.severity, "- ") if not number else "  ") + line
            )
            label = ""
        for number, line in enumerate(wrapped(printable(finding.next), width - 2)):
            yield _labelled("", ("  → " if not number else "    ") + line)


def _labelled(label: str, text: str) -> str:
    return pad(label, INDENT) + text


def _bar(ratio: float) -> str:
    """A bar of eighths of a cell."""
    eighths = round(max(0.0, min(1.0, ratio)) * BAR * 8)
    part = "" if eighths % 8 == 0 else chr(0x2590 - eighths % 8)
    return "█" * (eighths // 8) + part
