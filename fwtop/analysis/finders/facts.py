"""What finders look at, and what they say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fwtop.analysis.device_use import DeviceUse, FlopsUse
from fwtop.analysis.steps import StepFigures
from fwtop.recording.model import (
    CompileEvent,
    CompileTotals,
    Device,
    DeviceSample,
    Governor,
    HostProcess,
    HostSample,
    MemorySample,
    Notice,
    OutOfMemory,
    Process,
    Run,
    Step,
)
from fwtop.recording.window_model import (
    InputStageRow,
    KernelRow,
    MemoryHolderRow,
    MemoryPeak,
    OperatorRow,
    StepClassSums,
    Window,
)

Evidence = Mapping[str, int | float | str | None]

SEVERITIES = ("error", "warning", "info")
"""Gravest first: something was lost or failed; time is lost and can be won back; good to know."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong or worth knowing, with the figures that it rests on."""

    code: str
    severity: str
    why: str
    """A sentence or two with the evidence in words."""
    evidence: Evidence
    """The same as numbers; names carry units."""
    next: str
    """What to do about it."""
    cost_ratio: float = 0.0
    """Share of the step or run time at stake, to order by; 0 where it is not about time."""


@dataclass(frozen=True)
class Facts:
    """A run, as far as findings need it. What is unknown is None or empty, and finds nothing."""

    run: Run
    duration_ns: int
    steps: StepFigures
    first_step: Step | None
    processes: tuple[Process, ...]
    process: Process | None
    """The one whose steps these are."""
    compile: CompileTotals
    compile_reasons: tuple[CompileEvent, ...]
    """Recompiles, retraces and graph breaks."""
    windows: tuple[Window, ...]
    """Those that the operators are from."""
    failed_windows: int
    operators: tuple[OperatorRow, ...]
    steps_traced: int
    devices: tuple[Device, ...]
    device_means: Mapping[int, DeviceSample]
    """By device id, over the time of the steps."""
    throttled: Mapping[int, Mapping[str, tuple[int, int]]]
    """By device id and reason: readings that had it, readings that could tell."""
    host: HostSample | None
    """Mean over the time of the steps."""
    host_processes: tuple[HostProcess, ...]
    memory_peaks: tuple[MemorySample, ...]
    out_of_memory: tuple[OutOfMemory, ...]
    governor: Governor | None
    notices: tuple[Notice, ...] = field(default=())
    kernels: tuple[KernelRow, ...] = ()
    """Over the same windows as the operators."""
    device_use: DeviceUse | None = None
    """In the traced steps, all devices together."""
    step_classes: StepClassSums | None = None
    flops: FlopsUse | None = None
    """Of one process."""
    input_stages: tuple[InputStageRow, ...] = ()
    """Over the same windows as the operators."""
    window_memory: tuple[tuple[MemoryPeak, tuple[MemoryHolderRow, ...]], ...] = ()
    """By device: where the deep windows were highest, and who held what then, most first."""

    @property
    def used_devices(self) -> tuple[Device, ...]:
        """The devices that the run uses."""
        return tuple(device for device in self.devices if device.used)

    @property
    def on_cpu(self) -> bool:
        """Whether the steps' process said that it trains on the CPU."""
        return self.process is not None and (self.process.device or "").startswith("cpu")

    @property
    def cores(self) -> int | None:
        """Cores of the host that the run may use; None where a quota says how much of all."""
        return len(self.host.core_ratios) or None if self.host else None

    @property
    def workers(self) -> int | None:
        """Processes below the steps' one, seen at any time; None where processes are unknown."""
        if self.process is None or not any(p.pid == self.process.pid for p in self.host_processes):
            return None
        return sum(p.parent_pid == self.process.pid for p in self.host_processes)
