"""From a recording to a snapshot: asks the queries for what is visible and no more.

Runs in the watcher's thread. Keeps what does not change (operators of the same windows, the log
already interpreted), so that a tick costs milliseconds however long the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from time import perf_counter

from fwtop.analysis.placement import device_of
from fwtop.analysis.steps import StepFigures, StepTotals, figures, of_steps
from fwtop.queries import compiles, devices, host, memory, run, step_bins, steps
from fwtop.recording.model import Device, DeviceProcess, MemorySample, Process, Run, Step
from fwtop.recording.schema import ROLLUP_NS
from fwtop.recording.store import Recording, RecordingError
from fwtop.tui.device_time_reader import DeviceTimeReader
from fwtop.tui.readers import BinsReader, LogReader, OperatorsReader
from fwtop.tui.snapshot import (
    Allocator,
    CompileView,
    FindingsView,
    GpusView,
    HostView,
    Moment,
    Snapshot,
    StepsView,
    TimeAxis,
    Wanted,
)

RECENT_STEPS = 200
SLOWEST = 100
FINDINGS_EVERY_S = 10.0
FINDINGS_SHARE = 100
"""Judging a live run takes at most one part in so many of a core."""
TRACED_OR_COMPILED = 3
S = 1_000_000_000
YOUNG_NS = (15 * S, 30 * S, 60 * S)
BIN_LENGTHS_NS = tuple(
    int(seconds * S)
    for seconds in (
        0.1, 0.2, 0.3, 0.5, 1, 2, 3, 5, 10, 20, 30, 60, 120, 200, 300, 600, 900, 1200, 1800, 3600,
        7200, 14400, 28800, 86400,
    )
)  # fmt: skip


class Collector:
    """Makes snapshots of one open recording. `now` gives the run's clock while it is live."""

    def __init__(self, recording: Recording, now: Callable[[Run], int] | None = None) -> None:
        self.recording = recording
        self._now = now
        self._bins = BinsReader(recording)
        self._log = LogReader(recording)
        self._operators = OperatorsReader(recording)
        self._device_time = DeviceTimeReader(recording)
        self._findings: FindingsView | None = None
        self._findings_state = ""
        self._findings_due_s = 0.0

    def collect(self, wanted: Wanted) -> Snapshot:
        """A picture of what is wanted. A subject that cannot be read is None and says why."""
        recording = self.recording
        this = run.get_run(recording)
        moment = Moment(self._newest_ns(this), wanted.cursor_ns, wanted.paused_ns)
        axis = axis_of(wanted, moment, this.live)
        failures: dict[str, str] = {}
        parts: dict[str, object] = {}
        makers: dict[str, Callable[[], object]] = {
            "steps": lambda: self._steps(wanted, moment, axis),
            "operators": lambda: self._operators.view(wanted, moment),
            "compile": lambda: self._compile(wanted, moment),
            "gpus": lambda: self._gpus(this, wanted, moment, axis),
            "host": lambda: self._host(moment, axis),
            "log": lambda: self._log.view(wanted, moment),
            "findings": lambda: self._found(this),
        }
        for subject, make in makers.items():
            if subject in wanted.subjects:
                try:
                    parts[subject] = make()
                except RecordingError as error:
                    failures[subject] = str(error)
        return Snapshot(
            run=this,
            moment=moment,
            processes=self._processes(),
            frameworks=run.frameworks(recording),
            governors=run.governors(recording),
            marks=run.marks(recording),
            memory=memory.latest(recording, moment.until_ns),
            devices=devices.devices(recording),
            watching=self._now is not None,
            failures=failures,
            **parts,  # type: ignore[arg-type]
        )

    def _processes(self) -> Sequence[Process]:
        return run.processes(self.recording)

    def _newest_ns(self, this: Run) -> int:
        if this.duration_ns is not None:
            return this.duration_ns
        if this.live and self._now is not None:
            return max(0, self._now(this))
        sample = host.latest(self.recording)
        step = steps.latest_steps(self.recording, 1)
        return max(sample.at_ns if sample else 0, step[-1].end_ns if step else 0)

    def _steps(self, wanted: Wanted, moment: Moment, axis: TimeAxis) -> StepsView:
        recording = self.recording
        process_id = steps.lead_process(recording)
        if process_id is None:
            return StepsView(None, 0, None, None, None, axis, ())
        until = moment.until_ns
        recent = steps.latest_steps(recording, RECENT_STEPS, process_id, until)
        totals = steps.totals(recording, process_id, until)
        whole = None
        live = moment.until_ns is None and self._now is not None
        if wanted.full == "steps" or not live:
            whole = figures(totals, steps.set_apart(recording, process_id, until))
        process = next((one for one in self._processes() if one.id == process_id), None)
        parts = (process.step_source, process.step_source_detail) if process else ()
        at = steps.step_at(recording, moment.at_ns, process_id) if until is not None else None
        slowest: Sequence[Step] = ()
        spread: Sequence[tuple[float, int]] = ()
        if wanted.full == "steps":
            slowest = step_bins.slowest(
                recording, max(0, axis.start_ns), axis.end_ns, SLOWEST, process_id
            )
            spread = distribution(totals)
        return StepsView(
            source=", ".join(part for part in parts if part) or None,
            count=totals.count,
            at=at or (recent[-1] if recent else None),
            recent=_recent_figures(recent),
            whole=whole,
            axis=axis,
            bins=self._bins.along(axis, process_id, moment.now_ns),
            slowest=slowest,
            distribution=spread,
        )

    def _compile(self, wanted: Wanted, moment: Moment) -> CompileView:
        kinds = None if wanted.full == "compile" else _EVENT_KINDS
        under_way = []
        if moment.until_ns is None:
            under_way = compiles.open_events(self.recording)
        return CompileView(
            events=compiles.events(
                self.recording, until_ns=moment.until_ns, kinds=kinds,
                limit=5000 if kinds is None else 60,
            ),
            under_way=under_way,
            totals=compiles.totals(self.recording, moment.until_ns),
        )  # fmt: skip

    def _gpus(self, this: Run, wanted: Wanted, moment: Moment, axis: TimeAxis) -> GpusView:
        recording = self.recording
        found = devices.devices(recording)
        users = devices.device_processes(recording)
        return GpusView(
            devices=found,
            latest={s.device_id: s for s in devices.latest(recording, moment.until_ns)},
            history={
                device.id: devices.history(
                    recording, device.id, axis.start_ns, axis.end_ns, axis.count
                )
                for device in found
            },
            processes=users,
            axis=axis,
            allocators=self._allocators(this, moment, axis, found, users),
            out_of_memory=memory.out_of_memory(recording, moment.until_ns),
            device_time=self._device_time.view(moment, found) if wanted.full == "gpus" else None,
        )

    def _allocators(
        self,
        this: Run,
        moment: Moment,
        axis: TimeAxis,
        found: Sequence[Device],
        users: Sequence[DeviceProcess],
    ) -> dict[int, Allocator]:
        by_id = {process.id: process for process in self._processes()}
        readings: dict[int, list[MemorySample]] = {}
        for sample in memory.latest(self.recording, moment.until_ns):
            process = by_id.get(sample.process_id)
            device = device_of(sample, process, found, users, this.environment)
            if device is not None:
                readings.setdefault(device.id, []).append(sample)
        return {
            device_id: self._allocator(samples, axis) for device_id, samples in readings.items()
        }

    def _allocator(self, samples: Sequence[MemorySample], axis: TimeAxis) -> Allocator:
        most = max(samples, key=lambda sample: sample.allocated_bytes or 0)
        return Allocator(
            allocated_bytes=_sum(sample.allocated_bytes for sample in samples),
            reserved_bytes=_sum(sample.reserved_bytes for sample in samples),
            peak_bytes=most.allocated_peak_bytes if len(samples) == 1 else None,
            retries=_sum(sample.retries for sample in samples),
            readings=samples,
            history=memory.history(
                self.recording, most.process_id, most.device,
                axis.start_ns, axis.end_ns, axis.count,
            ),
        )  # fmt: skip

    def _host(self, moment: Moment, axis: TimeAxis) -> HostView:
        return HostView(
            latest=host.latest(self.recording, moment.until_ns),
            history=host.history(self.recording, axis.start_ns, axis.end_ns, axis.count),
            processes=host.host_processes(self.recording),
            axis=axis,
        )

    def _found(self, this: Run) -> FindingsView:
        """Findings cost a whole summary: seldom while live, and once when the run has ended."""
        notices = run.notices(self.recording)
        now_s = perf_counter()
        due = this.live and now_s >= self._findings_due_s
        if self._findings is None or due or this.state != self._findings_state:
            from fwtop.summary import summarize

            self._findings = FindingsView(summarize(self.recording).findings, notices)
            self._findings_state = this.state
            taken_s = perf_counter() - now_s
            self._findings_due_s = now_s + max(FINDINGS_EVERY_S, taken_s * FINDINGS_SHARE)
        return FindingsView(self._findings.findings, notices)


_EVENT_KINDS = ("compile", "graph_break", "recompile", "trace", "retrace", "xla", "fallback")


def _sum(values: Iterable[int | None]) -> int | None:
    """Of what is known; None where nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _recent_figures(recent: Sequence[Step]) -> StepFigures | None:
    if not recent:
        return None
    apart = [step for step in recent if step.flags & TRACED_OR_COMPILED or step.index == 0]
    return figures(of_steps(recent), of_steps(apart))


def distribution(totals: StepTotals, buckets: int = 24) -> Sequence[tuple[float, int]]:
    """The steps between the 0.5th and the 99.5th percentile in equal buckets, from the sketch."""
    if not totals.count:
        return ()
    points = 400
    values = [totals.sketch.quantile((n + 0.5) / points) or 0 for n in range(points)]
    low, high = values[2], values[-3]
    width = max(1.0, (high - low) / buckets)
    counts = [0] * buckets
    for value in values:
        counts[max(0, min(buckets - 1, int((value - low) / width)))] += 1
    scale = totals.count / points
    return [(low + width * (n + 1), round(count * scale)) for n, count in enumerate(counts)]


def axis_of(wanted: Wanted, moment: Moment, live: bool = True) -> TimeAxis:
    """The stretch to plot: bins of a round length, aligned, so that a plot moves bin by bin.

    The whole of a run that has ended stands still, so its bins need not be round.
    """
    columns = max(10, wanted.columns)
    newest = moment.now_ns if moment.paused_ns is None else moment.paused_ns
    whole = not wanted.span_ns
    span = wanted.span_ns or max(S, newest)
    if not whole and wanted.axis_end_ns is None:
        # A run that is younger than the span would fill a corner of the plot.
        span = min(span, next((young for young in YOUNG_NS if young >= newest), span))
    bin_ns = next((length for length in BIN_LENGTHS_NS if length * columns >= span),
                  BIN_LENGTHS_NS[-1])  # fmt: skip
    if whole and not live:
        unit = S // 10 if bin_ns < 60 * S else ROLLUP_NS
        bin_ns = -(-span // (columns * unit)) * unit
    if whole:
        return TimeAxis(0, bin_ns, columns, whole=True)
    end = newest if wanted.axis_end_ns is None else wanted.axis_end_ns
    end = -(-max(1, end) // bin_ns) * bin_ns
    return TimeAxis(end - bin_ns * columns, bin_ns, columns)
