"""GPUs: one row a device, and its history where there is room."""

from __future__ import annotations

from collections.abc import Sequence

from fwtop.formatting import (
    UNKNOWN,
    format_bytes,
    format_watts,
)
from fwtop.recording.model import Device, DeviceProcess, MemorySample
from fwtop.tui import charts
from fwtop.tui.drawing import Row, columns, fit
from fwtop.tui.snapshot import GpusView, Snapshot
from fwtop.tui.widgets.allocators import (
    allocator_plot,
    out_of_memory_rows,
    readings_by_process,
)
from fwtop.tui.widgets.gpu_rows import device_rows, grid
from fwtop.tui.widgets.panel import Panel
from fwtop.tui.widgets.table import Column, Table
from fwtop.tui.widgets.time_plot import along, plot, spread

LEAST_BLOCK = 5
"""Lines for a device: its name, what the plots show, two of plot, the scale."""
NONE_FOUND = "No GPU: no driver library (NVML) was found here, or it sees no device."


class Gpus(Panel):
    """Utilisation, memory, power, clocks, temperature, transfers and throttling, a row a device."""

    SUBJECT = "gpus"
    TITLE = "GPUs"
    KEY = "4"
    NEEDS = frozenset({"gpus"})
    ABOUT = (
        "● marks a device that this run uses. Utilisation is the share of time in which some "
        "kernel ran (not how much of the GPU it filled). Power stands against its limit. "
        "▼ throttle: the clocks were held down, and why. ↑ is what the device sends, ↓ what it "
        "receives. alloc: what this run's allocators have handed out of what they reserved of the "
        "device, and the most there was; mem is what the driver sees, of everybody."
    )

    def awaited(self, snapshot: Snapshot) -> str | None:
        """There is none."""
        return NONE_FOUND if snapshot.gpus is None or not snapshot.gpus.devices else None

    def headline(self, snapshot: Snapshot, width: int) -> Row:
        """What they are."""
        if snapshot.gpus is None or not snapshot.gpus.devices:
            return []
        names = sorted({device.name for device in snapshot.gpus.devices})
        count = len(snapshot.gpus.devices)
        return [(fit_end(f"{count}× {' / '.join(names)}", width), "dim")]

    def body(self, snapshot: Snapshot, width: int, height: int) -> list[Row]:
        """Used devices first; histories under each while they fit."""
        view = snapshot.gpus
        assert view is not None
        troubles = out_of_memory_rows(view.out_of_memory, width, self.full)
        troubles = troubles[: max(0, height - 2)]
        return [*self._devices(view, width, height - len(troubles)), *troubles]

    def _devices(self, view: GpusView, width: int, height: int) -> list[Row]:
        devices = sorted(view.devices, key=lambda device: (not device.used, device.id))
        blocks = [
            device_rows(device, view.latest.get(device.id), view.allocators.get(device.id), width)
            for device in devices
        ]
        readings = [view.latest.get(device.id) for device in devices]
        throttled = [bool(sample and sample.throttle_reasons) for sample in readings]
        while sum(map(len, blocks)) > height and max(map(len, blocks)) > 1:
            # Devices of others first, then evenly, those that are throttled last.
            others = [n for n, device in enumerate(devices) if not device.used]
            able = [n for n in others if len(blocks[n]) > 1] or range(len(blocks))
            longest = max(len(blocks[n]) for n in able)
            last = max(
                (n for n in able if len(blocks[n]) == longest), key=lambda n: (not throttled[n], n)
            )
            blocks[last] = blocks[last][:-1]
        spare = height - sum(map(len, blocks))
        plotted = [device for device in devices if device.used] or devices
        tall = min(8, spare // len(plotted))
        if spare < 0:
            return grid(devices, view.latest, width, height)
        rows: list[Row] = []
        for device, block in zip(devices, blocks, strict=True):
            rows += block
            if tall >= 2 and device in plotted and not self.full:
                rows += _history(view, device, width, tall)
        return rows


def _history(view: GpusView, device: Device, width: int, height: int) -> list[Row]:
    room = width - 6
    values = along(view.axis, view.history.get(device.id, ()), lambda s: s.utilization_ratio)
    lines = charts.area(spread(view.axis, values, room), room, height, 1.0)
    return charts.axis(lines, "100%", "0", 5, "plot")


def fit_end(text: str, width: int) -> str:
    """Cut, not padded."""
    return fit(text, width).rstrip() if width > 0 else ""


class GpuHistory(Panel):
    """Utilisation, memory and power of each device over the time axis."""

    SUBJECT = "gpus"
    TITLE = "History"
    NEEDS = frozenset({"gpus"})
    ABOUT = Gpus.ABOUT

    def awaited(self, snapshot: Snapshot) -> str | None:
        """There is none."""
        return NONE_FOUND if snapshot.gpus is None or not snapshot.gpus.devices else None

    def body(self, snapshot: Snapshot, width: int, height: int) -> list[Row]:
        """Three plots side by side for each device, and its allocator's where there is one."""
        view = snapshot.gpus
        assert view is not None
        devices = sorted(view.devices, key=lambda device: (not device.used, device.id))
        if len(devices) * LEAST_BLOCK > height:
            return _dense(view, devices, snapshot, width, height)
        each = height // len(devices)
        rows: list[Row] = []
        for device in devices:
            rows.append([(f"{device.index} {device.name}", "strong")])
            rows += _plots(view, device, snapshot, width, each - 1)
        return rows


def _dense(
    view: GpusView, devices: Sequence[Device], snapshot: Snapshot, width: int, height: int
) -> list[Row]:
    """Many devices share what is written above and below their plots; used ones come first."""
    shown = devices[: max(1, height - 2)]
    each = max(1, (height - 2) // len(shown))
    rows: list[Row] = []
    drawn: list[Row] = []
    for device in shown:
        drawn = _plots(view, device, snapshot, width - 3, each + 2)
        if not rows:
            rows.append([("   ", "text"), *drawn[0]])
        for number, row in enumerate(drawn[1:-1]):
            label = f"{device.index:<3}" if number == 0 else "   "
            rows.append([(label, "strong"), *row])
    return [*rows, [("   ", "text"), *drawn[-1]]]


def _plots(
    view: GpusView, device: Device, snapshot: Snapshot, width: int, height: int
) -> list[Row]:
    count = 4 if view.allocators and width >= 100 else 3
    each = (width - 2 * (count - 1)) // count
    plots = [_plot(view, device, snapshot, each, height, number) for number in range(3)]
    if count == 4:
        plots.insert(2, allocator_plot(view, device, snapshot, each, height))
    return columns(plots, [each] * count)


def _plot(
    view: GpusView, device: Device, snapshot: Snapshot, width: int, height: int, which: int
) -> list[Row]:
    samples = view.history.get(device.id, ())
    if which == 0:
        values = along(view.axis, samples, lambda s: s.utilization_ratio)
        top, label, role = 1.0, "util 100%", "plot"
    elif which == 1:
        values = along(view.axis, samples, lambda s: s.memory_used_bytes)
        top = float(device.memory_total_bytes or max((v for v in values if v), default=1))
        label, role = f"mem {format_bytes(top)}", "plot 2"
    else:
        values = along(view.axis, samples, lambda s: s.power_w)
        limits = [s.power_limit_w for s in samples if s.power_limit_w]
        top = float(limits[-1] if limits else max((v for v in values if v), default=1))
        label, role = f"power {format_watts(top)}", "plot 3"
    return plot(
        snapshot, view.axis, values, width=width, height=height, top=top, label=label, role=role
    )


class GpuProcesses(Table[DeviceProcess]):
    """Who is on the devices."""

    SUBJECT = "gpus"
    TITLE = "Processes on the GPUs"
    SORT = "memory"
    NEEDS = frozenset({"gpus"})
    ABOUT = (
        "Processes that hold memory on a device, as last seen; ● are this run's. Memory is what "
        "the driver sees; allocated, reserved and peak are what the process's own allocator says."
    )

    def awaited(self, snapshot: Snapshot) -> str | None:
        """There is none."""
        if snapshot.gpus is None or not snapshot.gpus.processes:
            return "No process on a GPU that could be seen."
        return None

    def items(self, snapshot: Snapshot) -> Sequence[DeviceProcess]:
        """Processes."""
        return snapshot.gpus.processes if snapshot.gpus else ()

    def key_of(self, item: DeviceProcess) -> str:
        """Device and pid."""
        return f"{item.device_id} {item.pid}"

    def text_of(self, item: DeviceProcess) -> str:
        """What the filter looks at."""
        return f"{item.pid} {item.name}"

    def columns(self, snapshot: Snapshot) -> Sequence[Column[DeviceProcess]]:
        """Whose, where, how much."""
        view = snapshot.gpus
        assert view is not None
        names = {device.id: str(device.index) for device in view.devices}
        readings = readings_by_process(view, snapshot)

        def own(process: DeviceProcess) -> MemorySample | None:
            return readings.get((process.device_id, process.pid))

        allocators: tuple[Column[DeviceProcess], ...] = (
            Column("allocated", "allocated", 11,
                   lambda p: (format_bytes(r.allocated_bytes if (r := own(p)) else None), "text"),
                   lambda p: r.allocated_bytes if (r := own(p)) else None, rank=1),
            Column("reserved", "reserved", 10,
                   lambda p: (format_bytes(r.reserved_bytes if (r := own(p)) else None), "text"),
                   lambda p: r.reserved_bytes if (r := own(p)) else None, rank=1),
            Column("peak", "peak", 10,
                   lambda p: (format_bytes(r.allocated_peak_bytes if (r := own(p)) else None),
                              "text"),
                   lambda p: r.allocated_peak_bytes if (r := own(p)) else None, rank=2),
        ) if readings else ()  # fmt: skip
        return (
            Column("own", "run", 3, lambda p: ("●" if p.own else " ", "good"), None, "left"),
            Column("device", "GPU", 5, lambda p: (names.get(p.device_id, UNKNOWN), "text"),
                   lambda p: p.device_id),
            Column("pid", "pid", 8, lambda p: (str(p.pid), "text"), lambda p: p.pid),
            Column("memory", "memory", 10, lambda p: (format_bytes(p.memory_bytes), "strong"),
                   lambda p: p.memory_bytes),
            *allocators,
            Column("name", "name", 0, lambda p: (p.name or UNKNOWN, "text"), lambda p: p.name or "",
                   "left"),
        )  # fmt: skip
