"""The rows of what trace windows told, as frozen dataclasses: one window, or sums over several.

Times are nanoseconds; sizes are bytes; unknown is `None`. A ratio is 0..1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

STEP_CLASSES = (
    "kernel", "memcpy", "memset", "communication", "runtime", "dataloader", "cpu_op", "other",
)  # fmt: skip
"""What a traced step's wall time goes to, by priority."""


@dataclass(frozen=True, slots=True)
class Window:
    """One trace window, with its cost and, once decoded, its temporal breakdown."""

    id: int
    process_id: int
    format: str
    deep: bool
    way: str
    level: str | None
    first_step: int
    step_count: int
    start_ns: int
    end_ns: int
    cost_ns: int
    slowdown_ns: int | None
    counted: bool
    event_count: int | None
    raw_bytes: int | None
    state: str
    note: str | None
    span_ns: int | None
    busy_ns: int | None
    compute_ns: int | None
    communication_ns: int | None
    overlap_ns: int | None
    host_wait_ns: int | None
    kernel_wait_ns: int | None
    other_wait_ns: int | None


@dataclass(frozen=True, slots=True)
class LevelCount:
    """How many windows were taken at one of the profiler's levels of detail."""

    level: str
    windows: int


@dataclass(frozen=True, slots=True)
class OperatorRow:
    """An operator over some windows: sums over `steps` traced steps."""

    name: str
    family: str
    phase: str
    device: str
    calls: int
    self_ns: int
    total_ns: int
    self_allocated_bytes: int | None
    flops: int | None


@dataclass(frozen=True, slots=True)
class OperatorDetail:
    """A shape, module or source line of an operator, from deep windows."""

    name: str
    kind: str
    value: str
    calls: int
    self_ns: int
    total_ns: int


@dataclass(frozen=True, slots=True)
class KernelRow:
    """A device kernel over some windows: sums over `steps` traced steps."""

    name: str
    family: str
    calls: int
    total_ns: int
    measured_ns: int | None = None
    """Of `total_ns`, that of calls whose launch sizes the trace tells."""
    sm_busy_ns: float | None = None
    """Sum of min(1, blocks per multiprocessor) x time."""
    occupied_ns: float | None = None
    """Sum of estimated achieved occupancy (0..1) x time."""

    @property
    def occupancy_ratio(self) -> float | None:
        """Mean estimated achieved occupancy, weighted by time."""
        return _ratio(self.occupied_ns, self.measured_ns)

    @property
    def sm_efficiency_ratio(self) -> float | None:
        """Mean share of the multiprocessors that had a block, weighted by time."""
        return _ratio(self.sm_busy_ns, self.measured_ns)


@dataclass(frozen=True, slots=True)
class DeviceTime:
    """A process's device over some windows: sums (see `fwtop.analysis.device_figures`)."""

    process_id: int
    device: int
    """As the process numbers it."""
    windows: int
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
class StepClasses:
    """A traced step's wall time by what it went to; each moment is claimed once, by the first."""

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

    @property
    def duration_ns(self) -> int:
        """All of it."""
        return sum(getattr(self, f"{name}_ns") for name in STEP_CLASSES)


@dataclass(frozen=True, slots=True)
class StepClassSums:
    """The time by class of several traced steps together."""

    steps: int
    kernel_ns: int
    memcpy_ns: int
    memset_ns: int
    communication_ns: int
    runtime_ns: int
    dataloader_ns: int
    cpu_op_ns: int
    other_ns: int

    @property
    def mean_ns(self) -> Mapping[str, float]:
        """A step's mean time by class, of STEP_CLASSES."""
        return {name: getattr(self, f"{name}_ns") / max(1, self.steps) for name in STEP_CLASSES}


@dataclass(frozen=True, slots=True)
class OperatorFlops:
    """An operator's floating point operations over the windows that tell them, and its time there.

    The times are total times: what it called did the work.
    """

    name: str
    phase: str
    calls: int
    flops: int
    host_ns: int
    device_ns: int | None
    """Of what it launched; None where nothing ran on a device."""

    @property
    def flops_per_s(self) -> float | None:
        """On the device where it ran on one, else on the host."""
        time_ns = self.host_ns if self.device_ns is None else self.device_ns
        return self.flops / time_ns * 1e9 if time_ns else None


@dataclass(frozen=True, slots=True)
class DtypeFlops:
    """Floating point operations on inputs of one dtype, over some windows."""

    dtype: str
    """One of `fwtop.analysis.flops.DTYPES`; "" for another or unknown."""
    flops: int


@dataclass(frozen=True, slots=True)
class InputStageRow:
    """A stage of an input pipeline over some windows: sums over `steps` traced steps."""

    path: str
    """Outermost first, parted by `::`."""
    calls: int
    self_ns: int
    """Without the stages nested in it on its thread."""
    total_ns: int


@dataclass(frozen=True, slots=True)
class MemoryPeak:
    """A device's highest point over the deep windows: in which window, and how high."""

    window_id: int
    device: str
    """`cpu`, or `cuda:0` as the process numbers its devices."""
    peak_bytes: int
    """Above what was held when the window began."""


@dataclass(frozen=True, slots=True)
class MemoryPointRow:
    """A point of a window's line."""

    offset_ns: int
    """Since the window's first event."""
    allocated_bytes: int
    """Above what was held when the window began."""


@dataclass(frozen=True, slots=True)
class MemoryHolderRow:
    """What of an operator's allocations was held at a window's peak."""

    operator: str
    family: str
    bytes: int


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None
