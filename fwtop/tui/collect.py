"""From a recording to a snapshot: asks the queries for what is visible and no more.

Runs in the watcher's thread. Keeps what does not change (operators of the same windows, the log
already interpreted), so that a tick costs milliseconds however long the run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fwtop.analysis.steps import StepFigures, StepTotals, figures, of_steps
from fwtop.queries import compiles, devices, host, log, memory, operators, run, step_bins, steps
from fwtop.recording.model import PHASES, LogChunk, Process, Run, Step, Window
from fwtop.recording.schema import ROLLUP_NS
from fwtop.recording.store import Recording, RecordingError
from fwtop.tui.script_terminal import ScriptTerminal
from fwtop.tui.snapshot import (
    CompileView,
    FindingsView,
    GpusView,
    HostView,
    LogView,
    Moment,
    OperatorsView,
    Snapshot,
    StepBin,
    StepsView,
    TimeAxis,
    Wanted,
)

RECENT_STEPS = 200
NEWEST_WINDOWS = 200
TRENDS = 60
SLOWEST = 100
TAIL_BYTES = 1 << 16
FULL_TAIL_BYTES = 4 << 20
TRACED_OR_COMPILED = 3
SETTLED_NS = 30_000_000_000
"""Steps come later than they began: by their own length and the recorder's batches."""
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
        self._bins = _Bins(recording)
        self._log = _LogReader(recording)
        self._operators = _OperatorsReader(recording)
        self._findings: FindingsView | None = None
        self._findings_at_ns: int | None = None

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
            "gpus": lambda: self._gpus(moment, axis),
            "host": lambda: self._host(moment, axis),
            "log": lambda: self._log.view(wanted, moment),
            "findings": lambda: self._found(this, moment),
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
        source = next((p.step_source for p in self._processes() if p.id == process_id), None)
        at = steps.step_at(recording, moment.at_ns, process_id) if until is not None else None
        slowest: Sequence[Step] = ()
        spread: Sequence[tuple[float, int]] = ()
        if wanted.full == "steps":
            slowest = step_bins.slowest(
                recording, max(0, axis.start_ns), axis.end_ns, SLOWEST, process_id
            )
            spread = distribution(totals)
        return StepsView(
            source=source,
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

    def _gpus(self, moment: Moment, axis: TimeAxis) -> GpusView:
        recording = self.recording
        found = devices.devices(recording)
        return GpusView(
            devices=found,
            latest={s.device_id: s for s in devices.latest(recording, moment.until_ns)},
            history={
                device.id: devices.history(
                    recording, device.id, axis.start_ns, axis.end_ns, axis.count
                )
                for device in found
            },
            processes=devices.device_processes(recording),
            axis=axis,
        )

    def _host(self, moment: Moment, axis: TimeAxis) -> HostView:
        return HostView(
            latest=host.latest(self.recording, moment.until_ns),
            history=host.history(self.recording, axis.start_ns, axis.end_ns, axis.count),
            processes=host.host_processes(self.recording),
            axis=axis,
        )

    def _found(self, this: Run, moment: Moment) -> FindingsView:
        """Findings cost a whole summary, so a live run is judged every ten seconds."""
        from fwtop.summary import summarize

        age = None if self._findings_at_ns is None else moment.now_ns - self._findings_at_ns
        notices = run.notices(self.recording)
        if self._findings is None or not this.live or age is None or age > 10 * S or age < 0:
            self._findings_at_ns = moment.now_ns
            self._findings = FindingsView(summarize(self.recording).findings, notices)
        return FindingsView(self._findings.findings, notices)


_EVENT_KINDS = ("compile", "graph_break", "recompile", "trace", "retrace", "xla", "fallback")


def _recent_figures(recent: Sequence[Step]) -> StepFigures | None:
    if not recent:
        return None
    apart = [step for step in recent if step.flags & TRACED_OR_COMPILED or step.index == 0]
    return figures(of_steps(recent), of_steps(apart))


def _bin(sums: step_bins.StepBinSums) -> StepBin:
    phases: dict[str, float] = {}
    known = 0.0
    for name in PHASES[:-1]:
        total: int | None = getattr(sums, f"{name}_sum_ns")
        if total is not None:
            phases[name] = total / sums.count
            known += phases[name]
    mean = sums.duration_sum_ns / sums.count
    if phases:
        phases["other"] = max(0.0, mean - known)
    return StepBin(sums.count, mean, sums.duration_max_ns, phases, sums.samples_sum)


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


class _Bins:
    """Bins that have passed do not change: only the newest are read again."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._key: object = None
        self._bins: dict[int, StepBin] = {}
        self._from = 0
        self._to = 0
        """Bins [from, to) are settled."""

    def along(self, axis: TimeAxis, process_id: int, newest_ns: int) -> Sequence[StepBin | None]:
        key = (process_id, axis.bin_ns)
        first = max(0, axis.start_ns // axis.bin_ns)
        end = axis.end_ns // axis.bin_ns
        if key != self._key or not self._from <= first <= self._to:
            self._key, self._bins = key, {}
            self._from = self._to = first
        if end > self._to:
            found = step_bins.binned(
                self._recording, self._to * axis.bin_ns, axis.end_ns, axis.bin_ns, process_id
            )
            self._bins.update((sums.bin, _bin(sums)) for sums in found)
            settled = (newest_ns - SETTLED_NS) // axis.bin_ns
            self._to = max(self._to, min(end, settled))
        start = axis.start_ns // axis.bin_ns
        return [self._bins.get(start + index) for index in range(axis.count)]


class _OperatorsReader:
    """Sums over windows are asked for again only when there is another window."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._key: object = None
        self._view: OperatorsView | None = None

    def view(self, wanted: Wanted, moment: Moment) -> OperatorsView:
        chosen, window = self._chosen(moment)
        full = wanted.full == "operators"
        key = (tuple(chosen), full, wanted.operator if full else None)
        if self._view is None or key != self._key:
            self._key, self._view = key, self._read(chosen, window, full, wanted.operator)
        return self._view

    def _chosen(self, moment: Moment) -> tuple[list[int], Window | None]:
        if moment.cursor_ns is None:
            return operators.window_ids(self._recording, None, moment.until_ns)[
                -NEWEST_WINDOWS:
            ], None
        at = moment.cursor_ns
        decoded = [w for w in operators.windows(self._recording) if w.state == "decoded"]
        if not decoded:
            return [], None
        near = min(decoded, key=lambda w: max(w.start_ns - at, at - w.end_ns, 0))
        return [near.id], near

    def _read(
        self, chosen: list[int], window: Window | None, full: bool, selected: str | None
    ) -> OperatorsView:
        recording = self._recording
        rows = operators.operators(recording, chosen)
        names = list(dict.fromkeys(row.name for row in rows[:TRENDS]))
        if selected is not None and selected not in names:
            names.append(selected)
        failed = None
        if not chosen:
            bad = [w for w in operators.windows(recording) if w.state == "failed"]
            failed = bad[-1] if bad else None
        return OperatorsView(
            rows=rows,
            kernels=operators.kernels(recording, chosen) if full else (),
            windows=len(chosen),
            steps=operators.traced_steps(recording, chosen),
            window=window,
            failed=failed,
            trends={name: operators.operator_trend(recording, name) for name in names},
            details=operators.details(recording, selected) if full and selected else (),
        )


class _LogReader:
    """Interprets each piece of output once while it follows; starts anew where the cursor goes."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._terminal: ScriptTerminal | None = None
        self._key: object = None
        self._last_id = 0
        self._whole = False
        self._bytes = 0
        self._view: LogView | None = None

    def view(self, wanted: Wanted, moment: Moment) -> LogView:
        full = wanted.full == "log"
        key = (moment.until_ns, full, wanted.log_columns)
        if key != self._key or self._terminal is None:
            self._key = key
            self._begin(moment, full, wanted.log_columns)
        elif not self._more(moment):
            assert self._view is not None
            return self._view
        assert self._terminal is not None
        self._view = LogView(
            lines=self._terminal.lines(),
            first=self._terminal.dropped,
            bytes=self._bytes,
            whole=self._whole,
        )
        return self._view

    def _begin(self, moment: Moment, full: bool, columns: int) -> None:
        self._terminal = ScriptTerminal(columns, keep=50_000 if full else 5_000)
        at = moment.at_ns if moment.until_ns is not None else (1 << 62)
        pieces = log.chunks_before(self._recording, at, FULL_TAIL_BYTES if full else TAIL_BYTES)
        self._whole = not pieces or pieces[0].id == 1
        self._bytes = log.size(self._recording) if full else 0
        if not self._whole:
            self._terminal.skip_line()
        self._last_id = 0
        self._feed(pieces)

    def _more(self, moment: Moment) -> bool:
        if moment.until_ns is not None:
            return False
        pieces = log.chunks(self._recording, after_id=self._last_id)
        self._bytes += sum(len(piece.data) for piece in pieces) if self._bytes else 0
        self._feed(pieces)
        return bool(pieces)

    def _feed(self, pieces: Sequence[LogChunk]) -> None:
        """Pieces of the same second are fed at once: the plain way needs many lines."""
        assert self._terminal is not None
        batch = bytearray()
        second = -1
        at_ns = 0
        for piece in pieces:
            if piece.at_ns // S != second and batch:
                self._terminal.feed(bytes(batch), at_ns)
                batch.clear()
            second, at_ns = piece.at_ns // S, piece.at_ns
            batch += piece.data
            self._last_id = piece.id
        if batch:
            self._terminal.feed(bytes(batch), at_ns)
