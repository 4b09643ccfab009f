"""The shape of a Summary: what `fwtop summary --json` prints, field by field.

A contract: an added field is fine, any other change raises `SCHEMA_VERSION`. Unknown is None, in
JSON null. `fwtop.summary` says what each figure is of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class FrameworkSummary:
    """A framework of the run."""

    name: str
    version: str


@dataclass(frozen=True)
class RunSummary:
    """What ran, where, for how long."""

    id: str
    command: tuple[str, ...]
    started_unix_ns: int
    duration_ns: int | None
    """While it runs, and where its end was never seen: as far as the recording reaches."""
    exit_status: int | None
    host: str
    frameworks: tuple[FrameworkSummary, ...]
    world_size: int | None


@dataclass(frozen=True)
class StepsSummary:
    """Step times in ns, of the steady steps."""

    count: int
    mean_ns: float | None
    median_ns: int | None
    p95_ns: int | None
    phases: Mapping[str, float]
    """Mean ns by phase that was measured, and `other`."""


@dataclass(frozen=True)
class ProcessSummary:
    """A process of the run."""

    pid: int | None
    rank: int | None
    local_rank: int | None
    framework: str | None
    steps: int


@dataclass(frozen=True)
class OperatorSummary:
    """An operator, per traced step."""

    name: str
    family: str
    phase: str
    device: str
    calls: float
    self_ns: float
    total_ns: float


@dataclass(frozen=True)
class OperatorsSummary:
    """Operators, most self time first."""

    windows: int
    steps_traced: int
    rows: tuple[OperatorSummary, ...]


@dataclass(frozen=True)
class KernelSummary:
    """A device kernel, per traced step."""

    name: str
    family: str
    calls: float
    total_ns: float
    sm_efficiency_ratio: float | None
    """Mean share of the multiprocessors that had a block."""
    occupancy_ratio: float | None
    """Mean estimated achieved occupancy."""
    tensor_cores: bool
    """Whether its name says that it runs on tensor cores."""


@dataclass(frozen=True)
class KernelsSummary:
    """Kernels, most time first, and where the device's time went in the traced steps."""

    rows: tuple[KernelSummary, ...]
    busy_ratio: float | None
    idle_ratio: float | None
    overlap_ratio: float | None
    """Of communication time, what ran beside compute; None without communication."""
    host_wait_ns: float | None
    kernel_wait_ns: float | None
    other_wait_ns: float | None
    compute_ns: float | None
    communication_ns: float | None
    overlapped_ns: float | None
    utilization_ratio: float | None
    """Some kernel ran, of the traced steps' time; `busy_ratio` counts copies and is of the time
    between the first and the last event on the device."""
    sm_efficiency_ratio: float | None
    occupancy_ratio: float | None
    tensor_core_ratio: float | None
    """Of the kernels' time, in kernels that use tensor cores."""
    launches: float | None
    """A step."""
    queue_max: int | None
    """Most launched and not yet begun on a stream."""
    launch_delay_mean_ns: float | None
    """From the end of the launching call to the start on the device."""
    launch_delay_median_ns: int | None
    launch_delay_p95_ns: int | None


@dataclass(frozen=True)
class StepBreakdownSummary:
    """A traced step's wall time by what it went to, each moment claimed once."""

    steps: int
    mean_ns: Mapping[str, float]
    """Empty without steps that ran on a device."""


@dataclass(frozen=True)
class FlopsSummary:
    """Floating point operations of one process, from the windows that have shapes (deep ones)."""

    steps: int
    step_flops: float | None
    dtypes: Mapping[str, float]
    """Of `step_flops`, by dtype of the inputs; "" is unknown."""
    coverage_ratio: float | None
    """Of the device time of matrix products, that of operators whose FLOPs are known."""
    flops_per_s: float | None
    peak_flops_per_s: float | None
    mfu_ratio: float | None


@dataclass(frozen=True)
class CacheSummary:
    """Answers of the compile caches."""

    hits: int
    misses: int
    bypasses: int


@dataclass(frozen=True)
class CompileEventSummary:
    """Something that was compiled or traced, again, or in pieces."""

    kind: str
    at_ns: int
    duration_ns: int | None
    function: str | None
    file: str | None
    line: int | None
    reason: str | None


@dataclass(frozen=True)
class CompileSummary:
    """What compiling came to."""

    count: int
    total_ns: int
    graph_breaks: int
    recompiles: int
    retraces: int
    cache: CacheSummary
    events: tuple[CompileEventSummary, ...]


@dataclass(frozen=True)
class DeviceSummary:
    """A GPU since the first step."""

    vendor: str
    index: int
    name: str
    uuid: str | None
    utilization_ratio: float | None
    memory_used_bytes: int | None
    memory_total_bytes: int | None
    power_w: float | None


@dataclass(frozen=True)
class HostSummary:
    """The host since the first step."""

    cpu_ratio: float | None
    memory_used_bytes: int | None
    rss_bytes: int | None


@dataclass(frozen=True)
class PeakHolderSummary:
    """What of an operator's allocations was held where a deep window's memory was highest."""

    device: str
    operator: str
    bytes: int


@dataclass(frozen=True)
class MemorySummary:
    """The allocators' peaks, and what held the memory at that of the deep windows."""

    allocated_peak_bytes: int | None
    reserved_peak_bytes: int | None
    peak_holders: tuple[PeakHolderSummary, ...] = ()
    """Most first, device by device; empty without a deep window that tells."""


@dataclass(frozen=True)
class InputStageSummary:
    """A stage of the input pipeline, per traced step."""

    path: str
    """Outermost first: `Prefetch::ParallelMapV2::Shuffle`."""
    calls: float
    self_ns: float
    """Without the stages nested in it on its thread."""
    total_ns: float
    wait_ns: float
    """What it is to blame for of the wait for the outermost stage."""


@dataclass(frozen=True)
class InputPipelineSummary:
    """The input pipeline's stages, outer before inner; none where the trace tells of none."""

    rows: tuple[InputStageSummary, ...]


@dataclass(frozen=True)
class OverheadSummary:
    """What watching may cost and did cost, as ratios of the run time."""

    budget_ratio: float | None
    measured_ratio: float | None
    windows: int


@dataclass(frozen=True)
class FindingSummary:
    """See `fwtop.analysis.finders.facts.Finding`."""

    code: str
    severity: str
    why: str
    evidence: Mapping[str, int | float | str | None]
    next: str


@dataclass(frozen=True)
class LossesSummary:
    """What is missing from the figures."""

    messages_dropped: int
    windows_failed: int
    probe_failures: tuple[str, ...]


@dataclass(frozen=True)
class Summary:
    """One run. The fields and their order are the JSON contract."""

    schema_version: int
    run: RunSummary
    steps: StepsSummary
    processes: tuple[ProcessSummary, ...]
    operators: OperatorsSummary
    kernels: KernelsSummary
    compile: CompileSummary
    devices: tuple[DeviceSummary, ...]
    host: HostSummary
    memory: MemorySummary
    overhead: OverheadSummary
    findings: tuple[FindingSummary, ...]
    losses: LossesSummary
    step_breakdown: StepBreakdownSummary
    flops: FlopsSummary
    input_pipeline: InputPipelineSummary
