"""Readers that remember: they ask again only for what is new since the last picture.

Each belongs to one open recording and runs in the watcher's thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fwtop.analysis.log_lines import Level
from fwtop.queries import device_time, log, memory_peaks, operators, run, step_bins
from fwtop.queries.input_stages import input_stages
from fwtop.recording.model import PHASES, LogChunk, Run
from fwtop.recording.store import Recording
from fwtop.recording.window_model import OperatorFlops, Window
from fwtop.tui.script_terminal import MAX_COLUMNS, SCREEN_LINES, ScriptTerminal
from fwtop.tui.snapshot import (
    LogView,
    Moment,
    OperatorsView,
    StepBin,
    TimeAxis,
    Wanted,
    WindowMemoryView,
)

NEWEST_WINDOWS = 200
TRENDS = 60
TAIL_BYTES = 1 << 16
FULL_TAIL_BYTES = 4 << 20
SETTLED_NS = 30_000_000_000
"""Steps come later than they began: by their own length and the recorder's batches."""
S = 1_000_000_000


class BinsReader:
    """Bins that have passed do not change: only the newest are read again."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._key: object = None
        self._bins: dict[int, StepBin] = {}
        self._from = 0
        self._to = 0
        """Bins [from, to) are settled."""

    def along(self, axis: TimeAxis, process_id: int, newest_ns: int) -> Sequence[StepBin | None]:
        """The axis's bins; None where no step began."""
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


def chosen_windows(recording: Recording, moment: Moment) -> tuple[list[int], Window | None]:
    """The newest windows that count, or the one nearest to the cursor."""
    if moment.cursor_ns is None:
        return operators.window_ids(recording, None, moment.until_ns)[-NEWEST_WINDOWS:], None
    at = moment.cursor_ns
    decoded = [w for w in operators.windows(recording) if w.state == "decoded"]
    if not decoded:
        return [], None
    near = min(decoded, key=lambda w: max(w.start_ns - at, at - w.end_ns, 0))
    return [near.id], near


class OperatorsReader:
    """Sums over windows are asked for again only when there is another window."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._key: object = None
        self._view: OperatorsView | None = None

    def view(self, wanted: Wanted, moment: Moment) -> OperatorsView:
        """Operators of all windows, or of the one nearest to the cursor."""
        chosen, window = chosen_windows(self._recording, moment)
        full = wanted.full == "operators"
        newest = operators.newest_window(self._recording) if full else None  # it may be deep
        key = (tuple(chosen), window, full, wanted.operator if full else None, newest)
        if self._view is None or key != self._key:
            self._key, self._view = key, self._read(chosen, window, full, wanted.operator)
        return self._view

    def _memory(self) -> Iterator[WindowMemoryView]:
        starts = {window.id: window.start_ns for window in operators.windows(self._recording)}
        for peak in memory_peaks.memory_peaks(self._recording):
            where = (self._recording, peak.window_id, peak.device)
            yield WindowMemoryView(
                device=peak.device,
                window_start_ns=starts.get(peak.window_id, 0),
                peak_bytes=max(0, peak.peak_bytes),
                points=memory_peaks.timeline(*where),
                holders=memory_peaks.holders(*where),
            )

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
            stages=input_stages(recording, chosen) if full else (),
            memory=tuple(self._memory()) if full else (),
            detail_steps=self._deep_steps() if full and selected else 0,
            flops=self._flops(window, chosen) if full else {},
            levels=operators.levels(recording, chosen),
        )

    def _deep_steps(self) -> int:
        windows = operators.windows(self._recording)
        return sum(w.step_count for w in windows if w.deep and w.state == "decoded")

    def _flops(
        self, window: Window | None, chosen: list[int]
    ) -> dict[tuple[str, str], OperatorFlops]:
        """From the windows that have shapes, whether they count otherwise or not."""
        recording = self._recording
        shaped = chosen if window is not None else device_time.shaped_windows(recording)[0]
        rows = device_time.operator_flops(recording, shaped) if shaped else []
        return {(row.name, row.phase): row for row in rows}


def terminal_size(this: Run) -> tuple[int, int]:
    """Columns and rows of the terminal that the script wrote to.

    Without a terminal, or where none is recorded, no line is broken before the emulator's own end.
    """
    columns, rows = this.options.get("columns"), this.options.get("rows")
    if this.options.get("terminal") and isinstance(columns, int) and isinstance(rows, int):
        return columns, rows
    return MAX_COLUMNS, SCREEN_LINES


class LogReader:
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
        """What had been printed by the moment shown."""
        full = wanted.full == "log"
        key = (moment.until_ns, full)
        if key != self._key or self._terminal is None:
            self._key = key
            self._begin(moment, full)
        elif not self._more(moment) and self._view and self._view.hides == wanted.log_hides:
            return self._view
        self._view = self._shown(wanted.log_hides)
        return self._view

    def _shown(self, hides: tuple[Level, ...]) -> LogView:
        assert self._terminal is not None
        lines, dropped = self._terminal.lines(), self._terminal.dropped
        held = len(lines)
        if hides:
            lines = tuple(line.own if line.level in hides else line
                          for line in lines if line.hidden_as not in hides)  # fmt: skip
        return LogView(
            lines=lines,
            first=dropped.total() - sum(dropped[level] for level in hides),
            bytes=self._bytes,
            whole=self._whole,
            hides=hides,
            hidden=held - len(lines),
        )

    def _begin(self, moment: Moment, full: bool) -> None:
        at = moment.at_ns if moment.until_ns is not None else (1 << 62)
        pieces = log.chunks_before(self._recording, at, FULL_TAIL_BYTES if full else TAIL_BYTES)
        size = log.terminal_size(self._recording, pieces[0].id) if pieces else None
        columns, rows = size or terminal_size(run.get_run(self._recording))
        self._terminal = ScriptTerminal(columns, 50_000 if full else 5_000, rows)
        # Ids are places in the output, so the first one may be any.
        first = log.chunks(self._recording, limit=1)
        self._whole = not pieces or pieces[0].id == first[0].id
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
            resized = piece.stream == log.TERMINAL_SIZE
            if (piece.at_ns // S != second or resized) and batch:
                self._terminal.feed(bytes(batch), at_ns)
                batch.clear()
            second, at_ns = piece.at_ns // S, piece.at_ns
            self._last_id = piece.id
            if not resized:
                batch += piece.data
            elif size := log.parse_size(piece.data):
                self._terminal.resize(*size, at_ns)
        if batch:
            self._terminal.feed(bytes(batch), at_ns)
