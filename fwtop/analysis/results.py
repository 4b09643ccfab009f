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
    notes: tuple[str, ...] = field(default=())
    """What of the trace was missing or damaged, in words."""


@dataclass(frozen=True, slots=True)
class PhaseSpan:
    """A phase of a step on the host's time axis, in the trace's own clock (unix ns)."""

    phase: str
    start_ns: int
    end_ns: int
