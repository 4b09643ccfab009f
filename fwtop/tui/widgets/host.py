"""Host: CPU, memory, disk, network, and the run's own processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fwtop.formatting import (
    UNKNOWN,
    format_bytes,
    format_bytes_per_s,
    format_ratio,
    format_short_count,
    plural,
)
from fwtop.recording.model import HostProcess, HostSample
from fwtop.tui import charts
from fwtop.tui.drawing import Row, columns, fit
from fwtop.tui.snapshot import HostView, Snapshot
from fwtop.tui.widgets.allocators import unplaced_rows
from fwtop.tui.widgets.panel import Panel
from fwtop.tui.widgets.table import Column, Table
from fwtop.tui.widgets.time_plot import along, plot


class Host(Panel):
    """The machine and the run's share of it."""

    SUBJECT = "host"
    TITLE = "Host"
    KEY = "5"
    NEEDS = frozenset({"host"})
    ABOUT = (
        "CPU is of the whole machine (within the container's limits, if there are any); a sign "
        "a core below it: ▁ idle to █ busy. Run is the script's process tree: CPU in cores, "
        "resident memory, processes. Recorder is fwtop's own cost outside the script."
    )

    def awaited(self, snapshot: Snapshot) -> str | None:
        """No sample."""
        if snapshot.host is None or snapshot.host.latest is None:
            if snapshot.run.imported:
                return "A trace does not tell of the host."
            return "No reading of the host yet." if snapshot.live else "No reading of the host."
        return None

    def headline(self, snapshot: Snapshot, width: int) -> Row:
        """The host's name."""
        return [(fit(snapshot.run.host, min(width, len(snapshot.run.host))), "dim")]

    def body(self, snapshot: Snapshot, width: int, height: int) -> list[Row]:
        """CPU, memory, run, disk and network; cores, history and processes where there is room."""
        view = snapshot.host
        assert view is not None
        sample = view.latest
        assert sample is not None
        rows = [_cpu(sample, width), _memory(sample, width), _run(sample, width)]
        rows += [*unplaced_rows(snapshot, width), *_traffic(sample)]
        if height > len(rows) and sample.core_ratios:
            rows[1:1] = _cores(sample, width, height - len(rows))
        spare = height - len(rows)
        if spare >= 5:
            rows += process_rows(view.processes, width, spare - 1)
        return rows


def _cpu(sample: HostSample, width: int) -> Row:
    cores = len(sample.core_ratios)
    return [
        ("cpu  ", "dim"),
        *charts.bar(sample.cpu_ratio, _bar_width(width)),
        (fit(format_ratio(sample.cpu_ratio), 9, "right"), "strong"),
        (f" of {plural(cores, 'core')}" if cores else "", "dim"),
    ]


def _bar_width(width: int) -> int:
    """What the figures on the same line leave: 5 before, 9 and 12 after."""
    return max(4, min(24, width - 27))


def _cores(sample: HostSample, width: int, room: int) -> list[Row]:
    """A character a core."""
    each = max(1, width - 5)
    line = "".join(charts.LEVELS[max(1, min(8, round(core * 8)))] for core in sample.core_ratios)
    parts = [line[start : start + each] for start in range(0, len(line), each)][: max(0, room)]
    return [[("     ", "dim"), (part, "plot")] for part in parts]


def _memory(sample: HostSample, width: int) -> Row:
    total = sample.memory_total_bytes
    used = sample.memory_used_bytes
    ratio = used / total if used is not None and total else None
    return [
        ("mem  ", "dim"),
        *charts.bar(ratio, _bar_width(width), "plot 2"),
        (fit(format_bytes(used), 9, "right"), "strong"),
        (f" of {format_bytes(total)}", "dim"),
    ]


def _run(sample: HostSample, width: int) -> Row:
    cores = UNKNOWN if sample.run_cpu_ratio is None else f"{sample.run_cpu_ratio:.2f}"
    row: Row = [
        ("run  ", "dim"), (fit(cores, 5, "right"), "strong"), (" cores ", "dim"),
        (fit(format_bytes(sample.run_rss_bytes), 9, "right"), "strong"), (" mem", "dim"),
    ]  # fmt: skip
    if width >= 44 and sample.run_processes is not None:
        row += [("  ", "dim"), (plural(sample.run_processes, "process", "processes"), "text")]
    return row


def _traffic(sample: HostSample) -> list[Row]:
    def pair(name: str, first: tuple[str, int | None], second: tuple[str, int | None]) -> Row:
        row: Row = [(f"{name:<5}", "dim")]
        for word, value in (first, second):
            row += [(fit(format_bytes_per_s(value), 11, "right"), "text"), (f" {word} ", "dim")]
        return row

    disk = pair("disk", ("r", sample.disk_read_bytes_per_s), ("w", sample.disk_write_bytes_per_s))
    network = pair("net", ("↓", sample.network_rx_bytes_per_s),
                   ("↑", sample.network_tx_bytes_per_s))  # fmt: skip
    return [disk, network]


def process_rows(processes: Sequence[HostProcess], width: int, room: int) -> list[Row]:
    """The busiest processes of the run."""
    live = sorted((p for p in processes if p.alive), key=lambda p: -(p.cpu_ratio or 0.0))
    if not live or room < 1:
        return []
    name = max(8, width - 8 - 8 - 11)
    rows: list[Row] = [
        [(fit("pid", 7, "right") + " ", "head"), (fit("process", name), "head"),
         (fit("cores", 8, "right"), "head"), (fit("memory", 11, "right"), "head")],
    ]  # fmt: skip
    for process in live[:room]:
        cores = UNKNOWN if process.cpu_ratio is None else f"{process.cpu_ratio:.2f}"
        rows.append(
            [
                (fit(str(process.pid), 7, "right") + " ", "dim"),
                (fit(process.name, name), "text"),
                (fit(cores, 8, "right"), "strong"),
                (fit(format_bytes(process.rss_bytes), 11, "right"), "text"),
            ]
        )
    return rows


class HostHistory(Panel):
    """CPU, memory, disk and network over the time axis."""

    SUBJECT = "host"
    TITLE = "History"
    NEEDS = frozenset({"host"})
    ABOUT = Host.ABOUT

    def body(self, snapshot: Snapshot, width: int, height: int) -> list[Row]:
        """Plots two by two: four, or six where there is room."""
        view = snapshot.host
        if view is None:
            return []
        half = (width - 2) // 2
        pairs = 3 if height >= 15 else 2
        tall = max(4, height // pairs)
        cores = max((len(s.core_ratios) for s in view.history), default=0)
        plots = (
            ("cpu 100 %", lambda s: s.cpu_ratio, 1.0, "plot"),
            (f"run, of {cores} cores" if cores else "run, cores",
             lambda s: s.run_cpu_ratio, float(cores) or None, "plot"),
            ("memory", lambda s: s.memory_used_bytes, None, "plot 2"),
            ("run's memory", lambda s: s.run_rss_bytes, None, "plot 2"),
            ("disk read + write",
             lambda s: _sum(s.disk_read_bytes_per_s, s.disk_write_bytes_per_s), None, "plot 3"),
            ("network in + out",
             lambda s: _sum(s.network_rx_bytes_per_s, s.network_tx_bytes_per_s), None, "plot 3"),
        )  # fmt: skip
        rows: list[Row] = []
        for first in range(0, 2 * pairs, 2):
            drawn = [_plot(view, snapshot, half, tall, *one) for one in plots[first : first + 2]]
            rows += columns(drawn, [half, half])
        return rows


def _sum(first: int | None, second: int | None) -> float | None:
    return None if first is None and second is None else float((first or 0) + (second or 0))


def _plot(
    view: HostView,
    snapshot: Snapshot,
    width: int,
    height: int,
    label: str,
    figure: Callable[[HostSample], float | None],
    top: float | None,
    role: str,
) -> list[Row]:
    values = along(view.axis, view.history, figure)
    if top is None:
        top = charts.nice_ceiling(max((v for v in values if v is not None), default=1.0))
        label += f" {format_bytes(top)}" + ("/s" if " + " in label else "")
    return plot(
        snapshot, view.axis, values, width=width, height=height, top=top, label=label, role=role
    )


class HostProcesses(Table[HostProcess]):
    """The run's process tree."""

    SUBJECT = "host"
    TITLE = "Processes of the run"
    SORT = "cpu"
    NEEDS = frozenset({"host"})
    ABOUT = "The script's process tree, as last seen. Those that ended are dim and say so."

    def items(self, snapshot: Snapshot) -> Sequence[HostProcess]:
        """Processes."""
        return snapshot.host.processes if snapshot.host else ()

    def key_of(self, item: HostProcess) -> str:
        """Its pid."""
        return str(item.pid)

    def text_of(self, item: HostProcess) -> str:
        """What the filter looks at."""
        return f"{item.pid} {item.name}"

    def columns(self, snapshot: Snapshot) -> Sequence[Column[HostProcess]]:
        """Who and how much."""

        def name(process: HostProcess) -> tuple[str, str]:
            if process.alive:
                return process.name, "text"
            return f"{process.name} (ended)", "dim"

        def cores(process: HostProcess) -> tuple[str, str]:
            value = process.cpu_ratio
            return (UNKNOWN if value is None else f"{value:.2f}"), "strong"

        return (
            Column("pid", "pid", 8, lambda p: (str(p.pid), "text"), lambda p: p.pid),
            Column("parent", "parent", 8, lambda p: (str(p.parent_pid or UNKNOWN), "dim"), None,
                   rank=2),
            Column("name", "process", 0, name, lambda p: p.name, "left"),
            Column("cpu", "cores", 8, cores, lambda p: p.cpu_ratio),
            Column("memory", "memory", 11, lambda p: (format_bytes(p.rss_bytes), "text"),
                   lambda p: p.rss_bytes),
            Column("threads", "threads", 8, lambda p: (format_short_count(p.threads), "text"),
                   lambda p: p.threads, rank=1),
        )  # fmt: skip
