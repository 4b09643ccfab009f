"""The worker that decodes trace windows, on a thread of its own.

Owns the probe's window files: each is read once and removed, whatever comes of it. A window that
cannot be decoded becomes a row of state `failed` that says why.
"""

from __future__ import annotations

import os
import queue
import stat
import threading
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path

from fwtop.analysis.results import PhaseSpan, StepSpan, TemporalBreakdown, WindowFigures
from fwtop.recorder.ingest import WindowOf
from fwtop.recorder.traced import DecodedWindow
from fwtop_profilers import wire

MAX_WAITING = 64
"""Windows whose turn has not come; with more, decoding is too slow and the newest are skipped."""
COMPRESSION_LEVEL = 3


class WindowWorker:
    """Decodes one window after the other."""

    def __init__(
        self,
        windows_folder: Path,
        start_ns: int,
        first_id: int,
        keep_bytes: int,
        deliver: Callable[[DecodedWindow], None],
    ) -> None:
        self._folder = windows_folder
        self._start_ns = start_ns
        self._next_id = first_id
        self._keep_bytes = keep_bytes
        self._deliver = deliver
        self._queue: queue.Queue[tuple[int, WindowOf] | None] = queue.Queue()
        self._thread: threading.Thread | None = None
        self._stopping = False

    @property
    def waiting(self) -> int:
        """Windows not delivered yet."""
        return self._queue.unfinished_tasks

    def add(self, window: WindowOf) -> None:
        """Take a window in; called by the recorder's thread."""
        number = self._next_id
        self._next_id += 1
        if self.waiting >= MAX_WAITING:
            _remove(self._folder, window.message.path)
            self._deliver(self._failed(number, window, "decoding did not keep up"))
            return
        self._queue.put((number, window))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="windows", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """No window is begun any more; those that wait fail."""
        self._stopping = True
        self._queue.put(None)

    def _run(self) -> None:
        while True:
            item = self._queue.get()
            if item is not None:
                number, window = item
                try:
                    result = self._decode(number, window)
                except MemoryError:
                    result = self._failed(number, window, "too large for the recorder's memory")
                except Exception as error:  # a trace is hostile until parsed
                    text = f"{type(error).__name__}: {error}"
                    result = self._failed(number, window, text[:500])
                finally:
                    _remove(self._folder, window.message.path)
                self._deliver(result)
            self._queue.task_done()
            if item is None:
                return

    def _decode(self, number: int, window: WindowOf) -> DecodedWindow:
        from fwtop.analysis.window import figures
        from fwtop.traces import reader

        if self._stopping:
            return self._failed(number, window, "the run ended before it was decoded")
        message = window.message
        if message.format not in reader.FORMATS:
            return self._failed(number, window, f"unknown trace format {message.format[:40]}")
        path = _checked(self._folder, message.path)
        trace = reader.read(path, message.format, details=message.deep)
        found = figures(trace, spans(message), step_spans(message))
        del trace
        note = "; ".join(found.notes) or None
        return DecodedWindow(
            self._row(number, window, "decoded", note, found), found, self._compressed(path)
        )

    def _compressed(self, path: Path) -> bytes | None:
        if path.stat().st_size > self._keep_bytes * 8:
            return None
        import zstandard

        return zstandard.ZstdCompressor(level=COMPRESSION_LEVEL).compress(path.read_bytes())

    def _failed(self, number: int, window: WindowOf, why: str) -> DecodedWindow:
        return DecodedWindow(self._row(number, window, "failed", why, None), None, None)

    def _row(
        self,
        number: int,
        window: WindowOf,
        state: str,
        note: str | None,
        found: WindowFigures | None,
    ) -> tuple[object, ...]:
        message = window.message
        cost = (
            message.start_cost_ns
            + message.stop_cost_ns
            + message.save_cost_ns
            + max(0, message.slowdown_ns or 0)
        )
        breakdown = found.breakdown if found is not None else TemporalBreakdown()
        return (
            number, window.process_id, message.format, int(message.deep), message.way,
            message.level, message.first_step, message.step_count,
            message.start_ns - self._start_ns, message.end_ns - self._start_ns, cost,
            message.slowdown_ns, int(message.counted),
            found.event_count if found is not None else None, message.size_bytes, state, note,
            *astuple(breakdown),
        )  # fmt: skip


def spans(message: wire.Window) -> list[PhaseSpan]:
    """The traced steps' phases on the trace's own clock: monotonic plus the message's anchor."""
    offset = message.anchor_unix_ns - message.anchor_monotonic_ns
    return [
        PhaseSpan(phase, start + offset, end + offset)
        for phase, start, end in zip(
            message.span_phase, message.span_start_ns, message.span_end_ns, strict=True
        )
    ]


def step_spans(message: wire.Window) -> list[StepSpan]:
    """The traced steps on the trace's own clock."""
    offset = message.anchor_unix_ns - message.anchor_monotonic_ns
    return [
        StepSpan(message.first_step + number, start + offset, start + duration + offset)
        for number, (start, duration) in enumerate(
            zip(message.step_start_ns, message.step_duration_ns, strict=True)
        )
    ]


def _checked(folder: Path, path: str) -> Path:
    """The window's file, if it is a plain file in the windows' folder: a probe is not trusted."""
    resolved = Path(os.path.realpath(path))
    if Path(os.path.realpath(folder)) not in resolved.parents:
        raise ValueError(f"{path} is not in the windows' folder")
    if not stat.S_ISREG(resolved.stat().st_mode):
        raise ValueError(f"{path} is not a plain file")
    return resolved


def _remove(folder: Path, path: str) -> None:
    try:
        _checked(folder, path).unlink()
    except (OSError, ValueError):
        pass
