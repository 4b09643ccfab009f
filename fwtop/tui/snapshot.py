"""What panels draw: one immutable picture of the recording at a moment. No SQL, no widget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fwtop.analysis.device_use import DeviceUse, FlopsUse
from fwtop.analysis.log_lines import Level
from fwtop.analysis.steps import StepFigures
from fwtop.analysis.summary_model import FindingSummary
from fwtop.recording.model import (
    CompileEvent,
    CompileTotals,
    Device,
    DeviceProcess,
    DeviceSample,
    Framework,
    Governor,
    HostProcess,
    HostSample,
    Mark,
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
    LevelCount,
    MemoryHolderRow,
    MemoryPointRow,
    OperatorDetail,
    OperatorFlops,
    OperatorRow,
    StepClasses,
    StepClassSums,
    Window,
)

if TYPE_CHECKING:
    from fwtop.tui.script_terminal import LogLine

SUBJECTS = ("steps", "operators", "compile", "gpus", "host", "log", "findings")


@dataclass(frozen=True, slots=True)
class Moment:
    """Where on the time axis the view stands. `now_ns` is the newest thing recorded."""

    now_ns: int
    cursor_ns: int | None = None
    paused_ns: int | None = None

    @property
    def until_ns(self) -> int | None:
        """What is later is not shown; None is live, or the end of a finished run."""
        return self.cursor_ns if self.cursor_ns is not None else self.paused_ns

    @property
    def at_ns(self) -> int:
        """The moment shown."""
        return self.now_ns if self.until_ns is None else self.until_ns


@dataclass(frozen=True, slots=True)
class StepBin:
    """The steps that began in one bin of time."""

    count: int
    mean_ns: float
    max_ns: int
    phases_ns: Mapping[str, float]
    """Mean of each known phase."""
    samples: int | None


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """The stretch that plots show: `count` bins of `bin_ns` from `start_ns`."""

    start_ns: int
    bin_ns: int
    count: int
    whole: bool = False
    """Whether it is the whole run, so that every plot shows all of it."""

    @property
    def end_ns(self) -> int:
        """Where it ends."""
        return self.start_ns + self.bin_ns * self.count

    def column(self, at_ns: int) -> int | None:
        """The bin that holds a time, if it is shown."""
        index = (at_ns - self.start_ns) // self.bin_ns
        return index if 0 <= index < self.count else None


@dataclass(frozen=True, slots=True)
class StepsView:
    """Steps of the lowest rank that has any."""

    source: str | None
    """What ends a step, in words."""
    count: int
    at: Step | None
    """The step at the moment shown."""
    recent: StepFigures | None
    whole: StepFigures | None
    axis: TimeAxis
    bins: Sequence[StepBin | None]
    slowest: Sequence[Step] = ()
    distribution: Sequence[tuple[float, int]] = ()
    """(upper bound ns, steps)."""


@dataclass(frozen=True, slots=True)
class WindowMemoryView:
    """A device in the deep window in which its memory was highest."""

    device: str
    window_start_ns: int
    peak_bytes: int
    """Above what was held when the window began."""
    points: Sequence[MemoryPointRow]
    holders: Sequence[MemoryHolderRow]

    @property
    def held_bytes(self) -> int:
        """All that was held at the highest point, as far as it is known."""
        return max(self.peak_bytes, sum(holder.bytes for holder in self.holders))


@dataclass(frozen=True, slots=True)
class OperatorsView:
    """Operators over the windows shown, as sums over `steps` traced steps."""

    rows: Sequence[OperatorRow]
    kernels: Sequence[KernelRow]
    windows: int
    steps: int
    window: Window | None
    """The one window nearest to the cursor, if there is a cursor."""
    failed: Window | None
    trends: Mapping[str, Sequence[float]]
    details: Sequence[OperatorDetail]
    detail_steps: int = 0
    """How many traced steps the details are of."""
    flops: Mapping[tuple[str, str], OperatorFlops] = field(default_factory=dict)
    """By name and phase, where shapes tell them; on the full screen."""
    stages: Sequence[InputStageRow] = ()
    """Of the input pipeline, on the full screen."""
    memory: Sequence[WindowMemoryView] = ()
    """A device each, on the full screen."""
    levels: Sequence[LevelCount] = ()
    """How many of the windows were taken at which of the profiler's levels, where it has them."""


@dataclass(frozen=True, slots=True)
class CompileView:
    """Compile events, oldest first, and the ones under way, outermost first."""

    events: Sequence[CompileEvent]
    under_way: Sequence[CompileEvent]
    totals: CompileTotals


@dataclass(frozen=True, slots=True)
class Allocator:
    """What the run's allocators have of one device: of all its processes together."""

    allocated_bytes: int | None
    reserved_bytes: int | None
    peak_bytes: int | None
    """The most that was ever allocated; unknown where several processes share the device."""
    retries: int | None
    readings: Sequence[MemorySample] = ()
    """One a process."""
    history: Sequence[MemorySample] = ()
    """Of the process with most, along the axis."""


@dataclass(frozen=True, slots=True)
class DeviceTimeView:
    """Where the devices' time went over the windows shown. Sums, over `steps` traced steps."""

    windows: int
    steps: int
    window: Window | None
    """The one window nearest to the cursor, if there is a cursor."""
    use: DeviceUse | None
    sums: StepClassSums | None
    recent: Sequence[StepClasses]
    """The last traced steps, oldest first."""
    flops: FlopsUse | None
    span_ns: int
    busy_ns: int
    compute_ns: int
    communication_ns: int
    overlap_ns: int
    host_wait_ns: int
    kernel_wait_ns: int
    other_wait_ns: int


@dataclass(frozen=True, slots=True)
class GpusView:
    """Devices, their latest samples, and the samples along the axis."""

    devices: Sequence[Device]
    latest: Mapping[int, DeviceSample]
    history: Mapping[int, Sequence[DeviceSample]]
    processes: Sequence[DeviceProcess]
    axis: TimeAxis
    allocators: Mapping[int, Allocator] = field(default_factory=dict)
    """By device; one that no process of the run has memory on is absent."""
    out_of_memory: Sequence[OutOfMemory] = ()
    device_time: DeviceTimeView | None = None
    """On the full screen."""


@dataclass(frozen=True, slots=True)
class HostView:
    """The host's latest sample, its samples along the axis, and the run's processes."""

    latest: HostSample | None
    history: Sequence[HostSample]
    processes: Sequence[HostProcess]
    axis: TimeAxis


@dataclass(frozen=True, slots=True)
class LogView:
    """The script's output as its terminal would show it, oldest line first."""

    lines: Sequence[LogLine]
    first: int
    """The number of lines before `lines[0]` that this view no longer holds."""
    bytes: int
    whole: bool
    """Whether `lines` reaches back to the start of the output."""
    hides: tuple[Level, ...] = ()
    """Lines of a library's log of these levels are left out."""
    hidden: int = 0
    """How many of those held are."""


@dataclass(frozen=True, slots=True)
class FindingsView:
    """What is wrong, and what fwtop itself has to say."""

    findings: Sequence[FindingSummary]
    notices: Sequence[Notice]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One picture. A subject that was not asked for is None."""

    run: Run
    moment: Moment
    recorder_gone: bool = False
    processes: Sequence[Process] = ()
    frameworks: Sequence[Framework] = ()
    governors: Sequence[Governor] = ()
    marks: Sequence[Mark] = ()
    memory: Sequence[MemorySample] = ()
    """The newest reading of each process's allocators."""
    devices: Sequence[Device] = ()
    watching: bool = True
    """Whether there is a live run behind the recording; else its state says what it last was."""
    steps: StepsView | None = None
    operators: OperatorsView | None = None
    compile: CompileView | None = None
    gpus: GpusView | None = None
    host: HostView | None = None
    log: LogView | None = None
    findings: FindingsView | None = None
    failures: Mapping[str, str] = field(default_factory=dict)
    """Subjects that could not be read, and why."""

    @property
    def live(self) -> bool:
        """Whether the run still goes on."""
        return self.watching and self.run.live

    @property
    def has_terminal(self) -> bool:
        """Whether the script writes to a terminal, and reads what is typed there."""
        return bool(self.run.options.get("terminal"))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is visible, so that nothing else is read."""

    subjects: frozenset[str] = frozenset(SUBJECTS)
    full: str | None = None
    """The subject that has a screen of its own."""
    cursor_ns: int | None = None
    paused_ns: int | None = None
    axis_end_ns: int | None = None
    """Where the plots end; None follows the run."""
    span_ns: int = 120_000_000_000
    """How much time the plots show; 0 is the whole run."""
    columns: int = 100
    operator: str | None = None
    log_hides: tuple[Level, ...] = ()
    """Lines of a library's log of these levels are not wanted."""

    @property
    def until_ns(self) -> int | None:
        """What is later is not shown; None is live."""
        return self.cursor_ns if self.cursor_ns is not None else self.paused_ns
