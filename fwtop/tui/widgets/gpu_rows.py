"""One GPU on a line or several, or in a cell of a grid where there is little room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fwtop.formatting import (
    UNKNOWN,
    format_bytes,
    format_bytes_per_s,
    format_celsius,
    format_hertz,
    format_ratio,
    format_watts,
)
from fwtop.recording.model import Device, DeviceSample
from fwtop.tui import charts
from fwtop.tui.drawing import Row, fill, fit, width_of
from fwtop.tui.snapshot import Allocator
from fwtop.tui.widgets.allocators import allocator_parts

LEAST_CELL = 8
GAP = 2


def device_rows(
    device: Device, sample: DeviceSample | None, allocator: Allocator | None, width: int
) -> list[Row]:
    """The device on one line, and what did not fit on a second and third one."""
    used = ("●", "good") if device.used else ("○", "dim")
    if sample is None:
        return [[used, (f" {device.index} ", "strong"), (f"{device.name}: no reading", "dim")]]
    total = device.memory_total_bytes
    memory = None
    if sample.memory_used_bytes is not None and total:
        memory = sample.memory_used_bytes / total
    narrow = width < 56
    bar_width = max(4, width - 31) if narrow else max(4, min(20, (width - 47) // 2))
    row: Row = [
        used,
        (f" {device.index:<2}", "strong"),
        *charts.bar(sample.utilization_ratio, bar_width),
        (fit(format_ratio(sample.utilization_ratio), 7, "right"), "strong"),
        (" ▼ " if sample.throttle_reasons else "   ", "strong warn"),
        ("mem ", "dim"),
        *([] if narrow else charts.bar(memory, bar_width, "plot 2")),
        (fit(format_bytes(sample.memory_used_bytes), 9, "right"), "strong"),
    ]
    if not narrow:
        row.append((f"/{format_bytes(total)}", "dim"))
    rows: list[Row] = [row]
    for part in _more(sample, allocator):
        if width_of(rows[-1]) + 2 + width_of(part) <= width:
            rows[-1] += [("  ", "text"), *part]
        else:
            rows.append([("    ", "text"), *part])
    return rows


def _more(sample: DeviceSample, allocator: Allocator | None) -> list[Row]:
    """What else is known, each a small group that stays together."""
    parts: list[Row] = []
    if sample.power_w is not None:
        limit = f"/{format_watts(sample.power_limit_w)}" if sample.power_limit_w else ""
        parts.append([(fit(format_watts(sample.power_w), 5, "right"), "strong"), (limit, "dim")])
    if sample.temperature_c is not None:
        hot = "warn" if sample.temperature_c >= 85 else "strong"
        parts.append([(fit(format_celsius(sample.temperature_c), 6, "right"), hot)])
    if sample.throttle_reasons:
        reasons = ", ".join(part.strip() for part in sample.throttle_reasons.split(","))
        parts.append([(f"▼ {reasons}", "strong warn")])
    parts += allocator_parts(allocator)
    if sample.sm_clock_hz is not None:
        parts.append([("sm ", "dim"), (format_hertz(sample.sm_clock_hz), "text")])
    if sample.pcie_tx_bytes_per_s is not None or sample.pcie_rx_bytes_per_s is not None:
        parts.append(_transfer("pcie", sample.pcie_tx_bytes_per_s, sample.pcie_rx_bytes_per_s))
    if sample.nvlink_tx_bytes_per_s is not None or sample.nvlink_rx_bytes_per_s is not None:
        parts.append(
            _transfer("nvlink", sample.nvlink_tx_bytes_per_s, sample.nvlink_rx_bytes_per_s)
        )
    return parts


def _transfer(name: str, tx: int | None, rx: int | None) -> Row:
    return [
        (f"{name} ", "dim"),
        ("↑", "dim"), (format_bytes_per_s(tx), "text"),
        (" ↓", "dim"), (format_bytes_per_s(rx), "text"),
    ]  # fmt: skip


def grid(
    devices: Sequence[Device], latest: Mapping[int, DeviceSample], width: int, height: int
) -> list[Row]:
    """Devices beside each other where they have not a line each; how many do not fit at all."""
    across = -(-len(devices) // max(1, height))
    while across > 1 and (width + GAP) // across - GAP < LEAST_CELL:
        across -= 1
    cell = (width + GAP) // across - GAP
    room = across * height
    shown = devices if len(devices) <= room else devices[: room - across]
    lines = -(-len(shown) // across)
    rows: list[Row] = []
    for line in range(lines):
        row: Row = []
        for device in shown[line::lines]:
            row += [*fill(_cell(device, latest.get(device.id), cell), cell), (" " * GAP, "text")]
        rows.append(row[:-1])
    if len(shown) < len(devices):
        rows.append([(f"… {len(devices) - len(shown)} more", "dim")])
    return rows


def _cell(device: Device, sample: DeviceSample | None, width: int) -> Row:
    """`●0 96 %▼`, with a bar and the memory where they fit."""
    row: Row = [("●", "good") if device.used else ("○", "dim"), (f"{device.index:<2}", "strong")]
    if sample is None:
        return [*row, ("–", "dim")]
    ratio = sample.utilization_ratio
    share = UNKNOWN if ratio is None else f"{ratio * 100:.0f}%"
    memory = fit(format_bytes(sample.memory_used_bytes), 9, "right") if width >= 21 else ""
    bar_width = width - 8 - len(memory)
    if bar_width >= 4:
        row += charts.bar(ratio, bar_width)
    row += [
        (fit(share, 4, "right"), "strong"),
        ("▼" if sample.throttle_reasons else " ", "strong warn"),
        (memory, "text"),
    ]
    return row
