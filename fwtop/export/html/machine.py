"""GPUs, host and allocators over time in a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fwtop.export.html.charts import Format, Series, Spans, lines, nice
from fwtop.export.html.markup import Markup, content, el, name
from fwtop.export.html.report import Report, code, note, number, section, table
from fwtop.export.source import named
from fwtop.formatting import (
    UNKNOWN,
    format_bytes,
    format_bytes_per_s,
    format_celsius,
    format_hertz,
    format_ratio,
    format_short_count,
    format_time_of_run,
    format_watts,
)
from fwtop.queries import devices, host, memory, memory_peaks
from fwtop.recording.model import Device, DeviceSample
from fwtop.recording.window_model import MemoryPointRow

POINTS = 240
MOST_GPUS = 16
MOST_ALLOCATORS = 16
MOST_HOLDERS = 15
MOST_ROWS = 256

_Parts = Sequence[tuple[str, str]]


def gpus(report: Report) -> Markup:
    """A table of all, and plots of those that the run used."""
    found = devices.devices(report.source.recording)
    if not found:
        return Markup("")
    heads = [("GPU", False), ("Utilisation", True), ("Memory", True), ("Of", True),
             ("Power", True), ("SM clock", True), ("Temperature", True)]  # fmt: skip
    means = report.facts.device_means
    rows = [_gpu_row(one, means.get(one.id)) for one in found[:MOST_ROWS]]
    drawn = [one for one in found if one.used] or found
    plots = [_gpu_plots(report, one) for one in drawn[:MOST_GPUS]]
    left_out = len(drawn) - MOST_GPUS
    return section(
        "gpus", "GPUs", note("Means from the first step's end on; memory and temperature are the "
                             "highest."),
        table(heads, rows), plots,
        note(f"{left_out} more GPUs have no plots here.") if left_out > 0 else None,
    )  # fmt: skip


def _gpu_row(device: Device, mean: DeviceSample | None) -> Markup:
    title = f"{device.index} {name(device.name)}"
    if mean is None:
        return el("tr", el("td", title), (el("td", UNKNOWN, class_="n") for _ in range(6)))
    return el(
        "tr", el("td", title, " ", el("span", "used", class_="tag") if device.used else None),
        number(format_ratio(mean.utilization_ratio), mean.utilization_ratio),
        number(format_bytes(mean.memory_used_bytes), mean.memory_used_bytes),
        number(format_bytes(device.memory_total_bytes), device.memory_total_bytes),
        number(format_watts(mean.power_w), mean.power_w),
        number(format_hertz(mean.sm_clock_hz), mean.sm_clock_hz),
        number(format_celsius(mean.temperature_c), mean.temperature_c),
    )  # fmt: skip


def _gpu_plots(report: Report, device: Device) -> Markup:
    samples = devices.history(report.source.recording, device.id, 0, report.end_ns + 1, POINTS)
    total = device.memory_total_bytes
    limit = max((one.power_limit_w or 0 for one in samples), default=0)
    plots = [
        _plot(samples, report, "Utilisation", (("utilization_ratio", "utilisation"),),
              format_ratio, "ratio", 1.0),
        _plot(samples, report, "Memory", (("memory_used_bytes", "memory"),), format_bytes,
              "bytes", float(total) if total else None),
        _plot(samples, report, "Power", (("power_w", "power"),), format_watts, "W",
              limit or None),
        _plot(samples, report, "Temperature", (("temperature_c", "temperature"),),
              format_celsius, "C", None),
        _plot(samples, report, "PCIe", (("pcie_rx_bytes_per_s", "received"),
              ("pcie_tx_bytes_per_s", "sent")), format_bytes_per_s, "bytes/s", None),
        _plot(samples, report, "NVLink", (("nvlink_rx_bytes_per_s", "received"),
              ("nvlink_tx_bytes_per_s", "sent")), format_bytes_per_s, "bytes/s", None),
    ]  # fmt: skip
    if not any(plots):
        return Markup("")
    title = f"GPU {device.index} {name(device.name)}"
    return content(el("h3", title), el("div", plots, class_="plots"))


def host_part(report: Report) -> Markup:
    """The host, and the run's part of it."""
    samples = host.history(report.source.recording, 0, report.end_ns + 1, POINTS)
    if not samples:
        return Markup("")
    cores = max((len(one.core_ratios) for one in samples), default=0)
    total = max((one.memory_total_bytes or 0 for one in samples), default=0)
    plots = [
        _plot(samples, report, "CPU, of all cores", (("cpu_ratio", "all programs"),),
              format_ratio, "ratio", 1.0),
        _plot(samples, report, f"CPU of the run, of {cores} cores" if cores else "CPU of the run",
              (("run_cpu_ratio", "cores"),), format_short_count, "cores", None),
        _plot(samples, report, "Memory", (("memory_used_bytes", "all programs"),
              ("run_rss_bytes", "the run")), format_bytes, "bytes", float(total) or None),
        _plot(samples, report, "Disk", (("disk_read_bytes_per_s", "read"),
              ("disk_write_bytes_per_s", "written")), format_bytes_per_s, "bytes/s", None),
        _plot(samples, report, "Network", (("network_rx_bytes_per_s", "received"),
              ("network_tx_bytes_per_s", "sent")), format_bytes_per_s, "bytes/s", None),
    ]  # fmt: skip
    return section("host", "Host", el("div", plots, class_="plots"))


def allocators(report: Report) -> Markup:
    """What each process had allocated on each device, and each time that it was not enough."""
    recording = report.source.recording
    processes = {one.id: one for one in report.source.processes}
    peaks = memory.peaks(recording)[:MOST_ROWS]
    heads = [("Process", False), ("Device", False), ("Allocated at most", True),
             ("Reserved at most", True), ("Retries", True)]  # fmt: skip
    rows, plots = [], []
    for number_of, peak in enumerate(peaks):
        allocated = _larger(peak.allocated_peak_bytes, peak.allocated_bytes)
        reserved = _larger(peak.reserved_peak_bytes, peak.reserved_bytes)
        who = named(processes.get(peak.process_id))
        rows.append(el(
            "tr", el("td", who), el("td", name(peak.device)),
            number(format_bytes(allocated), allocated), number(format_bytes(reserved), reserved),
            number(UNKNOWN if peak.retries is None else f"{peak.retries:,}", peak.retries),
        ))  # fmt: skip
        if number_of < MOST_ALLOCATORS:
            samples = memory.history(
                recording, peak.process_id, peak.device, 0, report.end_ns + 1, POINTS
            )
            plots.append(_plot(
                samples, report, f"{who}, {name(peak.device)}",
                (("allocated_bytes", "allocated"), ("reserved_bytes", "reserved")),
                format_bytes, "bytes", None,
            ))  # fmt: skip
    failed = [
        el("tr", number(format_time_of_run(one.at_ns), one.at_ns / 1e6),
           el("td", named(processes.get(one.process_id))), el("td", name(one.device)),
           code(one.message))
        for one in memory.out_of_memory(recording)[:MOST_ROWS]
    ]  # fmt: skip
    return section(
        "memory", "Memory",
        table(heads, rows) if rows else None,
        el("div", plots, class_="plots") if plots else None,
        content(el("h3", "Out of memory"), table(
            [("At", True), ("Process", False), ("Device", False), ("Message", False)], failed
        )) if failed else None,
        _within_windows(report),
    )  # fmt: skip


def _within_windows(report: Report) -> Markup:
    """Of each device the deep window in which it rose highest, and who held what then."""
    parts = []
    for peak in memory_peaks.memory_peaks(report.source.recording)[:MOST_ALLOCATORS]:
        points = memory_peaks.timeline(report.source.recording, peak.window_id, peak.device)
        held = memory_peaks.holders(report.source.recording, peak.window_id, peak.device)
        if len(points) > 1:
            parts.append(_window_line(name(peak.device), points))
        if held:
            rows = [
                el("tr", code(one.operator), el("td", name(one.family)),
                   number(format_bytes(one.bytes), one.bytes))
                for one in held[:MOST_HOLDERS]
            ]  # fmt: skip
            heads = [("Held at the peak by", False), ("Family", False), ("Memory", True)]
            parts.append(table(heads, rows))
    return content(el("h3", "Within a traced step"), parts) if parts else Markup("")


def _window_line(device: str, points: Sequence[MemoryPointRow]) -> Markup:
    """From the lowest point on: what was given back within it lies below where it began."""
    lowest = min(0, *(one.allocated_bytes for one in points))
    times = [one.offset_ns for one in points]
    ends = [*times[1:], times[-1]]
    values = [one.allocated_bytes - lowest for one in points]
    spans = Spans(times, ends, times[0], max(times[-1], times[0] + 1))
    top = nice(max(values), binary=True)
    title = f"{device}: allocated, above the lowest point"
    return lines(title, spans, [Series("allocated", "s1", values)], top, format_bytes, "bytes")


def _plot(
    samples: Sequence[Any],
    report: Report,
    title: str,
    parts: _Parts,
    format: Format,
    unit: str,
    top: float | None,
) -> Markup:
    """One small plot of some fields of the samples; nothing where none is known."""
    series = []
    highest = 0.0
    for position, (field, what) in enumerate(parts):
        values: list[float | None] = [getattr(one, field) for one in samples]
        known = [value for value in values if value is not None]
        if known:
            highest = max(highest, *known)
            series.append(Series(what, f"s{position + 1}", values))
    if not series:
        return Markup("")
    times = [one.at_ns for one in samples]
    if top is None or highest > top:
        top = nice(highest, binary=unit.startswith("bytes"))
    return lines(title, Spans(times, times, 0, report.end_ns), series, top, format, unit)


def _larger(one: int | None, two: int | None) -> int | None:
    return max((value for value in (one, two) if value is not None), default=None)
