"""The recording's rows as frozen dataclasses, as queries return them; of windows: `window_model`.

Times are nanoseconds since the run's start unless a name says otherwise; sizes are bytes; unknown
is `None`. A ratio is 0..1 unless its field says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PHASES = ("input", "h2d", "forward", "backward", "optimizer", "other")


@dataclass(frozen=True, slots=True)
class Run:
    """The one row of table `run`."""

    id: str
    command: tuple[str, ...]
    name: str | None
    tags: tuple[str, ...]
    cwd: str
    host: str
    fwtop_version: str
    started_unix_ns: int
    started_monotonic_ns: int
    duration_ns: int | None
    state: str
    exit_status: int | None
    exit_signal: int | None
    versions: Mapping[str, Any]
    environment: Mapping[str, str]
    git_revision: str | None
    git_dirty: bool | None
    options: Mapping[str, Any]
    source: str

    @property
    def live(self) -> bool:
        """Whether rows may still come."""
        return self.state in ("starting", "running", "finishing")

    @property
    def imported(self) -> bool:
        """Whether it was made of traces, which tell nothing of the host, say, or of the output."""
        return self.source != "live"


@dataclass(frozen=True, slots=True)
class Framework:
    """A framework in one process, and which way each of its hooks works there."""

    process_id: int
    name: str
    version: str
    hooks: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Process:
    """A Python process of the run that said Hello."""

    id: int
    pid: int | None
    """Unknown where a trace does not tell it."""
    parent_pid: int | None
    argv: tuple[str, ...]
    executable: str | None
    python_version: str | None
    host: str | None
    node: str | None
    rank: int | None
    local_rank: int | None
    world_size: int | None
    started_ns: int
    ended_ns: int | None
    device: str | None
    device_uuid: str | None
    step_source: str | None
    step_source_detail: str | None
    messages_dropped: int


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `other` is what the known phases leave of the duration."""

    process_id: int
    index: int
    start_ns: int
    duration_ns: int
    input_ns: int | None
    h2d_ns: int | None
    forward_ns: int | None
    backward_ns: int | None
    optimizer_ns: int | None
    flags: int
    samples: int | None

    @property
    def end_ns(self) -> int:
        """When it ended."""
        return self.start_ns + self.duration_ns

    @property
    def other_ns(self) -> int:
        """The duration less the known phases, at least 0."""
        known = (
            self.input_ns,
            self.h2d_ns,
            self.forward_ns,
            self.backward_ns,
            self.optimizer_ns,
        )
        return max(0, self.duration_ns - sum(part for part in known if part is not None))


@dataclass(frozen=True, slots=True)
class DeviceStep:
    """The phases of one step as the device saw them; unknown until its events were read."""

    process_id: int
    index: int
    duration_ns: int | None
    input_ns: int | None
    h2d_ns: int | None
    forward_ns: int | None
    backward_ns: int | None
    optimizer_ns: int | None


@dataclass(frozen=True, slots=True)
class StepRollup:
    """The steps of one stretch of time, as sums and a mergeable sketch."""

    process_id: int
    start_ns: int
    length_ns: int
    first_index: int
    count: int
    duration_sum_ns: int
    duration_min_ns: int
    duration_max_ns: int
    input_sum_ns: int | None
    h2d_sum_ns: int | None
    forward_sum_ns: int | None
    backward_sum_ns: int | None
    optimizer_sum_ns: int | None
    samples_sum: int | None
    flagged: int
    sketch: bytes


@dataclass(frozen=True, slots=True)
class CompileEvent:
    """A compile, a phase of one, a graph break, a recompile, a cache's answer, a (re)trace."""

    id: int
    process_id: int
    key: str
    parent_key: str | None
    kind: str
    name: str
    compile_id: str | None
    start_ns: int
    duration_ns: int | None
    function: str | None
    file: str | None
    line: int | None
    reason: str | None
    step_index: int | None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CompileTotals:
    """What compiling came to: counts, and the time of whole compiles and traces."""

    count: int
    """Whole compiles and traces: kinds `compile`, `trace`, `retrace`, `xla`."""
    total_ns: int
    graph_breaks: int
    recompiles: int
    retraces: int
    cache_hits: int
    cache_misses: int
    cache_bypasses: int


@dataclass(frozen=True, slots=True)
class MemorySample:
    """One reading of a device's allocator in one process."""

    process_id: int
    at_ns: int
    device: str
    allocated_bytes: int | None
    reserved_bytes: int | None
    active_bytes: int | None
    allocated_peak_bytes: int | None
    reserved_peak_bytes: int | None
    retries: int | None
    ooms: int | None


@dataclass(frozen=True, slots=True)
class OutOfMemory:
    """An allocator gave up; `holders` is the probe's JSON list of what it held, largest first."""

    process_id: int
    at_ns: int
    device: str
    message: str
    holders: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A note on the time axis."""

    process_id: int
    at_ns: int
    name: str
    value: str | None


@dataclass(frozen=True, slots=True)
class Governor:
    """The windows' bookkeeping in one process, as last told."""

    process_id: int
    at_ns: int
    budget_ratio: float
    measured_ratio: float | None
    elapsed_ns: int
    cost_ns: int
    hook_cost_ns: int
    windows: int
    next_window_ns: int | None
    waiting_for: str


@dataclass(frozen=True, slots=True)
class Device:
    """A GPU, or a MIG instance of one."""

    id: int
    vendor: str
    index: int
    name: str
    uuid: str | None
    parent_id: int | None
    memory_total_bytes: int | None
    facts: Mapping[str, Any]
    used: bool


@dataclass(frozen=True, slots=True)
class DeviceSample:
    """One reading of one device; a field that it lacks is None."""

    device_id: int
    at_ns: int
    utilization_ratio: float | None
    memory_utilization_ratio: float | None
    memory_used_bytes: int | None
    power_w: float | None
    power_limit_w: float | None
    sm_clock_hz: int | None
    memory_clock_hz: int | None
    temperature_c: float | None
    fan_ratio: float | None
    pcie_generation: int | None
    pcie_width: int | None
    pcie_rx_bytes_per_s: int | None
    pcie_tx_bytes_per_s: int | None
    nvlink_rx_bytes_per_s: int | None
    nvlink_tx_bytes_per_s: int | None
    throttle_reasons: str | None
    ecc_corrected: int | None
    ecc_uncorrected: int | None


@dataclass(frozen=True, slots=True)
class DeviceProcess:
    """A process on a device, as last seen."""

    device_id: int
    pid: int
    at_ns: int
    name: str | None
    memory_bytes: int | None
    own: bool


@dataclass(frozen=True, slots=True)
class HostSample:
    """One reading of the host and of the run's process tree."""

    at_ns: int
    cpu_ratio: float | None
    core_ratios: tuple[float, ...]
    memory_used_bytes: int | None
    memory_total_bytes: int | None
    swap_used_bytes: int | None
    disk_read_bytes_per_s: int | None
    disk_write_bytes_per_s: int | None
    network_rx_bytes_per_s: int | None
    network_tx_bytes_per_s: int | None
    load_1: float | None
    run_cpu_ratio: float | None
    """In cores: 2.0 is two cores busy."""
    run_rss_bytes: int | None
    run_processes: int | None
    recorder_cpu_ratio: float | None
    recorder_rss_bytes: int | None


@dataclass(frozen=True, slots=True)
class HostProcess:
    """A process of the run's tree, as last seen."""

    pid: int
    parent_pid: int | None
    at_ns: int
    name: str
    cpu_ratio: float | None
    rss_bytes: int | None
    threads: int | None
    alive: bool


@dataclass(frozen=True, slots=True)
class LogChunk:
    """A piece of the script's output, as it came."""

    id: int
    at_ns: int
    stream: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Notice:
    """What fwtop itself has to say."""

    id: int
    at_ns: int
    severity: str
    code: str
    process_id: int | None
    text: str
    next: str
