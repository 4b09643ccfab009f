"""Whole tables, page by page in their key's order, for those who copy a recording out.

Each page is a query of its own that starts after the last one's key. So memory does not grow with
the table, and no read transaction stays open that would keep a live recording's WAL from being
checkpointed. What comes while pages are read is read too, or not: the pages are no snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Generic, TypeVar

from fwtop.queries.rows import fetch_int, fetch_rows
from fwtop.recording.model import (
    CompileEvent,
    DeviceSample,
    DeviceStep,
    HostSample,
    LogChunk,
    MemorySample,
    Step,
)
from fwtop.recording.store import Recording

Row = TypeVar("Row")

_FROM = -(1 << 63)
_TO = (1 << 63) - 1
_FEW = 256
"""Rows of a page of the log: each may have many kilobytes."""


@dataclass(frozen=True, slots=True)
class WindowOperator:
    """An operator in one phase on one device, summed over one window."""

    window_id: int
    process_id: int
    operator_id: int
    name: str
    family: str
    phase: str
    device: str
    step_count: int
    """Steps of the window: divide by it for figures of a step."""
    counted: bool
    calls: int
    self_ns: int
    total_ns: int
    self_allocated_bytes: int | None
    flops: int | None


@dataclass(frozen=True, slots=True)
class WindowDetail:
    """An operator by input shape, module or source line in one deep window."""

    window_id: int
    process_id: int
    operator_id: int
    name: str
    kind: str
    value: str
    step_count: int
    calls: int
    self_ns: int
    total_ns: int


@dataclass(frozen=True, slots=True)
class WindowKernel:
    """A kernel, copy or fill on one stream in one window."""

    window_id: int
    process_id: int
    operator_id: int
    name: str
    family: str
    stream: int
    step_count: int
    counted: bool
    calls: int
    total_ns: int


@dataclass(frozen=True, slots=True)
class WindowDevice:
    """One device in one window; see the schema for what each sum is of."""

    window_id: int
    process_id: int
    device: int
    span_ns: int
    busy_ns: int
    kernel_ns: int
    measured_ns: int
    sm_busy_ns: float | None
    occupied_ns: float | None
    tensor_core_ns: int | None
    launches: int
    launch_delay_sum_ns: int
    queue_max: int | None


@dataclass(frozen=True, slots=True)
class WindowKernelEfficiency:
    """How full a kernel kept the device in one window; see the schema."""

    window_id: int
    process_id: int
    operator_id: int
    name: str
    measured_ns: int
    sm_busy_ns: float | None
    occupied_ns: float | None


@dataclass(frozen=True, slots=True)
class WindowFlops:
    """An operator's FLOPs by the dtype of its inputs, in one window whose shapes tell them."""

    window_id: int
    process_id: int
    operator_id: int
    name: str
    phase: str
    dtype: str
    step_count: int
    flops: int


@dataclass(frozen=True, slots=True)
class TracedStep:
    """A traced step's wall time by what it went to, each moment claimed once."""

    window_id: int
    process_id: int
    step_index: int
    kernel_ns: int
    memcpy_ns: int
    memset_ns: int
    communication_ns: int
    runtime_ns: int
    dataloader_ns: int
    cpu_op_ns: int
    other_ns: int


@dataclass(frozen=True, slots=True)
class WindowInputStage:
    """A stage of an input pipeline in one window."""

    window_id: int
    process_id: int
    path: str
    step_count: int
    calls: int
    self_ns: int
    total_ns: int


@dataclass(frozen=True, slots=True)
class WindowMemoryPoint:
    """What was allocated at a moment of a deep window, above what was when it began."""

    window_id: int
    process_id: int
    device: str
    offset_ns: int
    allocated_bytes: int


@dataclass(frozen=True, slots=True)
class WindowMemoryHolder:
    """What of an operator's allocations was held at a deep window's peak."""

    window_id: int
    process_id: int
    device: str
    operator_id: int
    name: str
    bytes: int


@dataclass(frozen=True, slots=True)
class _Count:
    process_id: int
    count: int


@dataclass(frozen=True)
class Paged(Generic[Row]):
    """A table as it is paged: what is selected, the key that orders it, and its time's column."""

    model: type[Row]
    columns: str
    source: str
    key: str
    """Columns, by comma: unique together, an index of the table, and fields of the model under the
    names in `key_fields`."""
    key_fields: str
    at: str
    """What of it must lie in [start_ns, end_ns)."""
    until: str = ""
    """Where what began earlier may reach into the stretch: the end, which must lie after its
    start."""
    rows: int = 4096


_WINDOW = "JOIN windows w ON w.id = window_id"
_NAME = "JOIN operator_names n ON n.id = operator_id"
_STEP_COLUMNS = "duration_ns, input_ns, h2d_ns, forward_ns, backward_ns, optimizer_ns"

STEPS = Paged(
    Step, f"process_id, step_index, start_ns, {_STEP_COLUMNS}, flags, samples", "steps",
    "process_id, step_index", "process_id, index", "start_ns", "start_ns + duration_ns",
)  # fmt: skip
DEVICE_STEPS = Paged(
    DeviceStep,
    "d.process_id, d.step_index, d."
    + _STEP_COLUMNS.replace(", ", ", d."),
    "device_steps d JOIN steps s ON s.process_id = d.process_id AND s.step_index = d.step_index",
    "d.process_id, d.step_index", "process_id, index", "s.start_ns", "s.start_ns + s.duration_ns",
)  # fmt: skip
COMPILE_EVENTS = Paged(
    CompileEvent,
    "id, process_id, key, parent_key, kind, name, compile_id, start_ns, duration_ns, function,"
    " file, line, reason, step_index, detail",
    "compile_events", "start_ns, id", "start_ns, id", "start_ns",
    "start_ns + coalesce(duration_ns, 0)",
)  # fmt: skip
MEMORY_SAMPLES = Paged(
    MemorySample,
    "process_id, at_ns, device, allocated_bytes, reserved_bytes, active_bytes,"
    " allocated_peak_bytes, reserved_peak_bytes, retries, ooms",
    "memory_samples", "process_id, at_ns, device", "process_id, at_ns, device", "at_ns",
)  # fmt: skip
DEVICE_SAMPLES = Paged(
    DeviceSample,
    "device_id, at_ns, utilization_ratio, memory_utilization_ratio, memory_used_bytes, power_w,"
    " power_limit_w, sm_clock_hz, memory_clock_hz, temperature_c, fan_ratio, pcie_generation,"
    " pcie_width, pcie_rx_bytes_per_s, pcie_tx_bytes_per_s, nvlink_rx_bytes_per_s,"
    " nvlink_tx_bytes_per_s, throttle_reasons, ecc_corrected, ecc_uncorrected",
    "device_samples", "device_id, at_ns", "device_id, at_ns", "at_ns",
)  # fmt: skip
HOST_SAMPLES = Paged(
    HostSample,
    "at_ns, cpu_ratio, core_ratios, memory_used_bytes, memory_total_bytes, swap_used_bytes,"
    " disk_read_bytes_per_s, disk_write_bytes_per_s, network_rx_bytes_per_s,"
    " network_tx_bytes_per_s, load_1, run_cpu_ratio, run_rss_bytes, run_processes,"
    " recorder_cpu_ratio, recorder_rss_bytes",
    "host_samples", "at_ns", "at_ns", "at_ns",
)  # fmt: skip
LOG = Paged(LogChunk, "id, at_ns, stream, data", "log", "id", "id", "at_ns", rows=_FEW)
OPERATORS = Paged(
    WindowOperator,
    "window_id, w.process_id, operator_id, name, family, phase, device, w.step_count, w.counted,"
    " calls, self_ns, total_ns, self_allocated_bytes, flops",
    f"operator_stats {_NAME} {_WINDOW}", "window_id, operator_id, phase, device",
    "window_id, operator_id, phase, device", "w.start_ns", "w.end_ns",
)  # fmt: skip
OPERATOR_DETAILS = Paged(
    WindowDetail,
    "window_id, w.process_id, operator_id, name, kind, value, w.step_count, calls, self_ns,"
    " total_ns",
    f"operator_details {_NAME} {_WINDOW}", "window_id, operator_id, kind, value",
    "window_id, operator_id, kind, value", "w.start_ns", "w.end_ns",
)  # fmt: skip
KERNELS = Paged(
    WindowKernel,
    "window_id, w.process_id, operator_id, name, family, stream, w.step_count, w.counted, calls,"
    " total_ns",
    f"kernel_stats {_NAME} {_WINDOW}", "window_id, operator_id, stream",
    "window_id, operator_id, stream", "w.start_ns", "w.end_ns",
)  # fmt: skip
WINDOW_DEVICES = Paged(
    WindowDevice,
    "window_id, w.process_id, t.device, t.span_ns, t.busy_ns, t.kernel_ns, t.measured_ns,"
    " t.sm_busy_ns, t.occupied_ns, t.tensor_core_ns, t.launches, t.launch_delay_sum_ns,"
    " t.queue_max",
    f"window_devices t {_WINDOW}", "window_id, t.device", "window_id, device",
    "w.start_ns", "w.end_ns",
)  # fmt: skip
KERNEL_EFFICIENCY = Paged(
    WindowKernelEfficiency,
    "window_id, w.process_id, operator_id, name, measured_ns, sm_busy_ns, occupied_ns",
    f"kernel_efficiency {_NAME} {_WINDOW}", "window_id, operator_id", "window_id, operator_id",
    "w.start_ns", "w.end_ns",
)  # fmt: skip
OPERATOR_FLOPS = Paged(
    WindowFlops,
    "window_id, w.process_id, operator_id, name, phase, dtype, w.step_count, flops",
    f"operator_flops {_NAME} {_WINDOW}", "window_id, operator_id, phase, dtype",
    "window_id, operator_id, phase, dtype", "w.start_ns", "w.end_ns",
)  # fmt: skip
TRACED_STEPS = Paged(
    TracedStep,
    "window_id, w.process_id, step_index, kernel_ns, memcpy_ns, memset_ns, t.communication_ns,"
    " runtime_ns, dataloader_ns, cpu_op_ns, other_ns",
    f"step_breakdowns t {_WINDOW}", "window_id, step_index", "window_id, step_index",
    "w.start_ns", "w.end_ns",
)  # fmt: skip
INPUT_STAGES = Paged(
    WindowInputStage,
    "window_id, w.process_id, path, w.step_count, calls, self_ns, total_ns",
    f"input_stages {_WINDOW}", "window_id, path", "window_id, path", "w.start_ns", "w.end_ns",
)  # fmt: skip
MEMORY_TIMELINE = Paged(
    WindowMemoryPoint,
    "window_id, w.process_id, device, offset_ns, allocated_bytes",
    f"memory_timeline {_WINDOW}", "window_id, device, offset_ns", "window_id, device, offset_ns",
    "w.start_ns", "w.end_ns",
)  # fmt: skip
MEMORY_HOLDERS = Paged(
    WindowMemoryHolder,
    "window_id, w.process_id, device, operator_id, name, bytes",
    f"memory_holders {_NAME} {_WINDOW}", "window_id, device, operator_id",
    "window_id, device, operator_id", "w.start_ns", "w.end_ns",
)  # fmt: skip


def pages(
    recording: Recording,
    table: Paged[Row],
    start_ns: int | None = None,
    end_ns: int | None = None,
) -> Iterator[list[Row]]:
    """The rows of a table that lie in [start_ns, end_ns), or reach into it, in their key's order.

    Raises RecordingError, also between pages.
    """
    key_of = attrgetter(*(name.strip() for name in table.key_fields.split(",")))
    single = "," not in table.key
    bounds = (_FROM if start_ns is None else start_ns, _TO if end_ns is None else end_ns)
    after: tuple[int | str, ...] = ()
    while True:
        where, places = _within(table), ", ".join("?" * len(after))
        if after:
            where += f" AND ({table.key}) > ({places})"
        rows = fetch_rows(
            recording,
            table.model,
            f"SELECT {table.columns} FROM {table.source} WHERE {where}"
            f" ORDER BY {table.key} LIMIT {table.rows}",
            (*bounds, *after),
        )
        if rows:
            yield rows
        if len(rows) < table.rows:
            return
        after = (key_of(rows[-1]),) if single else key_of(rows[-1])


def count(
    recording: Recording,
    table: Paged[Row],
    start_ns: int | None = None,
    end_ns: int | None = None,
) -> int:
    """How many rows `pages` yields."""
    bounds = (_FROM if start_ns is None else start_ns, _TO if end_ns is None else end_ns)
    sql = f"SELECT count(*) FROM {table.source} WHERE {_within(table)}"
    return fetch_int(recording, sql, bounds) or 0


def steps_by_process(
    recording: Recording, start_ns: int | None = None, end_ns: int | None = None
) -> dict[int, int]:
    """How many steps of each process `pages` yields, by process id."""
    bounds = (_FROM if start_ns is None else start_ns, _TO if end_ns is None else end_ns)
    sql = (
        f"SELECT process_id, count(*) FROM steps WHERE {_within(STEPS)}"
        " GROUP BY process_id ORDER BY process_id"
    )
    return {row.process_id: row.count for row in fetch_rows(recording, _Count, sql, bounds)}


def _within(table: Paged[Row]) -> str:
    """Bounds that are numbered parameters, so that the key's plain ones come after them."""
    began = f"({table.at} >= ?1" + (f" OR {table.until} > ?1)" if table.until else ")")
    return f"{began} AND {table.at} < ?2"
