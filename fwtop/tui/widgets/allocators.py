"""The run's own memory on the devices: what its allocators hold, and when they gave up."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from fwtop.formatting import UNKNOWN, format_bytes, format_time_of_run, plural
from fwtop.recording.model import Device, MemorySample, OutOfMemory
from fwtop.tui.drawing import Row, fit
from fwtop.tui.snapshot import Allocator, GpusView, Snapshot
from fwtop.tui.widgets.time_plot import along, plot

MOST_HOLDERS = 5
_BYTES = re.compile(r"\b(\d{4,})(?: bytes)?\b")


def allocator_parts(allocator: Allocator | None) -> list[Row]:
    """Groups for a device's line: allocated of reserved, the peak, retries if there were any."""
    if allocator is None:
        return []
    parts: list[Row] = [held(allocator)]
    if allocator.peak_bytes is not None:
        parts.append([("peak ", "dim"), (format_bytes(allocator.peak_bytes), "text")])
    if allocator.retries:
        retries = plural(allocator.retries, "retry", "retries")
        parts.append([(f"▲ {retries} after freeing the cache", "warn")])
    return parts


def held(reading: Allocator | MemorySample) -> Row:
    """`alloc 38.1 GiB | 42.0 GiB reserved`."""
    return [
        ("alloc ", "dim"), (format_bytes(reading.allocated_bytes), "strong"),
        (f" | {format_bytes(reading.reserved_bytes)} reserved", "dim"),
    ]  # fmt: skip


def allocator_plot(
    view: GpusView, device: Device, snapshot: Snapshot, width: int, height: int
) -> list[Row]:
    """What was allocated, on the scale of the device's memory; nothing without an allocator."""
    allocator = view.allocators.get(device.id)
    if allocator is None:
        return []
    values = along(view.axis, allocator.history, lambda s: s.allocated_bytes)
    top = float(device.memory_total_bytes or max((v for v in values if v), default=1))
    return plot(
        snapshot, view.axis, values, width=width, height=height, top=top,
        label=fit(f"alloc {format_bytes(top)}", width).rstrip(), role="plot 2",
    )  # fmt: skip


def readings_by_process(view: GpusView, snapshot: Snapshot) -> dict[tuple[int, int], MemorySample]:
    """The allocators' readings by device and pid."""
    pids = {one.id: one.pid for one in snapshot.processes if one.pid is not None}
    return {
        (device_id, pids[reading.process_id]): reading
        for device_id, allocator in view.allocators.items()
        for reading in allocator.readings
        if reading.process_id in pids
    }


def unplaced_rows(snapshot: Snapshot, width: int) -> list[Row]:
    """A line for each allocator where no device is known: no driver library, but a framework."""
    if snapshot.devices:
        return []
    return [[(f"{sample.device} ", "dim"), *held(sample)] for sample in snapshot.memory]


def out_of_memory_rows(events: Sequence[OutOfMemory], width: int, full: bool) -> list[Row]:
    """The last time that an allocator gave up; in full every time, with what it held then."""
    rows: list[Row] = []
    for event in reversed(events if full else events[-1:]):
        before = f" ({len(events)} times)" if len(events) > 1 and not full else ""
        said = (
            f"out of memory at {format_time_of_run(event.at_ns)} on {event.device}{before}: "
            f"{_BYTES.sub(lambda match: format_bytes(int(match[1])), event.message)}"
        )
        rows.append([("✖ ", "bad"), (fit(said, width - 2).rstrip(), "strong")])
        if full:
            holders = _holders(event)[:MOST_HOLDERS]
            rows += [_holder(holder, width) for holder in holders]
    return rows


def _holders(event: OutOfMemory) -> list[Mapping[str, Any]]:
    try:
        found = json.loads(event.holders)
    except ValueError:
        return []
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _holder(holder: Mapping[str, Any], width: int) -> Row:
    size, count = holder.get("size_bytes"), holder.get("count")
    known = isinstance(size, int) and isinstance(count, int)
    total = format_bytes(size * count) if known else UNKNOWN  # type: ignore[operator]
    each = f"{count} × {format_bytes(size)}" if known else UNKNOWN
    where = str(holder.get("where") or "origin not recorded")
    return [
        ("    ", "text"), (fit(total, 10, "right"), "strong"),
        (f"  {fit(each, 16)}", "text"), (f"  {fit(where, max(0, width - 34)).rstrip()}", "dim"),
    ]  # fmt: skip
