"""What the analysis of one trace window yields: sums, so that windows, ranks and nodes add up."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class OperatorFigures:
    """One operator in one phase on one device, summed over a window."""

    name: str
    family: str
    phase: str
    device: str
    """`cpu` for time on the host, `gpu` for time of the kernels that it launched."""
    calls: int
    self_ns: int
    total_ns: int
    self_allocated_bytes: int | None = None
    flops: int | None = None


@dataclass(frozen=True, slots=True)
class DetailFigures:
    """An operator by input shape, module or source line (deep windows)."""

    name: str
    kind: str
    """`shape`, `module` or `source`."""
    value: str
    calls: int
    self_ns: int
    total_ns: int


@dataclass(frozen=True, slots=True)
class KernelFigures:
    """A kernel, copy or fill on one stream, summed over a window."""

    name: str
    family: str
    stream: int
    calls: int
    total_ns: int


@dataclass(frozen=True, slots=True)
class FlopFigures:
    """An operator's floating point operations in one phase on inputs of one dtype, summed."""

    name: str
    phase: str
    dtype: str
    """`float32`, `bfloat16` …: one of `fwtop.analysis.flops.DTYPES`; "" for another or unknown."""
    flops: int


@dataclass(frozen=True, slots=True)
class KernelEfficiency:
    """How well a kernel fills the device, over the calls whose launch sizes the trace tells."""

    name: str
    measured_ns: int
    """Time of those calls."""
    sm_busy_ns: float | None
    """Sum of min(1, blocks per multiprocessor) x time."""
    occupied_ns: float | None
    """Sum of estimated achieved occupancy (0..1) x time."""


@dataclass(frozen=True, slots=True)
class DeviceFigures:
    """One device over a window: utilisation, efficiency, launches. Sums, and a sketch's bytes."""

    device: int
    span_ns: int
    """From the first step's start to the last one's end."""
    busy_ns: int
    """In which some kernel ran, within the span."""
    kernel_ns: int
    """The kernels' times, summed."""
    measured_ns: int
    """Of `kernel_ns`, that of kernels whose occupancy the trace tells."""
    sm_busy_ns: float | None
    occupied_ns: float | None
    tensor_core_ns: int | None
    launches: int
    launch_delay_sum_ns: int
    launch_delays: bytes
    """`fwtop.analysis.sketch.Sketch.to_bytes` of max(0, kernel start - launch end)."""
    queue_max: int | None


@dataclass(frozen=True, slots=True)
class StepBreakdownFigures:
    """A traced step's wall time by what it went to (`fwtop.analysis.breakdown`)."""

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
class InputStage:
    """A stage of an input pipeline (an iterator of tf.data), summed over a window."""

    path: str
    """Outermost first: `Prefetch::ParallelMapV2::Shuffle`."""
    calls: int
    self_ns: int
    total_ns: int


@dataclass(frozen=True, slots=True)
class MemoryPoint:
    """What was allocated at a moment, above what was when the window began (deep windows)."""

    device: str
    offset_ns: int
    """Since the window's first event."""
    allocated_bytes: int


@dataclass(frozen=True, slots=True)
class MemoryHolder:
    """What of an operator's allocations was held at the window's peak (deep windows)."""

    device: str
    operator: str
    bytes: int


@dataclass(frozen=True, slots=True)
class TemporalBreakdown:
    """Where a device's time went in a window (all None on the CPU alone).

    Formulas of HolisticTraceAnalysis: span is from the first device event's start to the last one's
    end, busy the union of all, compute the union of the compute kernels, overlap the union of
    compute and communication at once; idle is span minus busy, and falls into waits for the host,
    waits between kernels (under 30 µs) and others.
    """

    span_ns: int | None = None
    busy_ns: int | None = None
    compute_ns: int | None = None
    communication_ns: int | None = None
    overlap_ns: int | None = None
    host_wait_ns: int | None = None
    kernel_wait_ns: int | None = None
    other_wait_ns: int | None = None


@dataclass(frozen=True, slots=True)
class WindowFigures:
    """All that is kept of a window beside the raw trace."""

    event_count: int
    operators: tuple[OperatorFigures, ...]
    details: tuple[DetailFigures, ...]
    kernels: tuple[KernelFigures, ...]
    breakdown: TemporalBreakdown
    devices: tuple[DeviceFigures, ...] = ()
    kernel_efficiency: tuple[KernelEfficiency, ...] = ()
    step_breakdowns: tuple[StepBreakdownFigures, ...] = ()
    operator_flops: tuple[FlopFigures, ...] = ()
    input_stages: tuple[InputStage, ...] = ()
    memory_timeline: tuple[MemoryPoint, ...] = ()
    memory_holders: tuple[MemoryHolder, ...] = ()
    notes: tuple[str, ...] = field(default=())
    """What of the trace was missing or damaged, in words."""


@dataclass(frozen=True, slots=True)
class StepSpan:
    """A traced step on the host's time axis, in the trace's own clock (unix ns)."""

    step_index: int
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class PhaseSpan:
    """A phase of a step on the host's time axis, in the trace's own clock (unix ns)."""

    phase: str
    start_ns: int
    end_ns: int
