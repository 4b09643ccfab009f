"""The raw trace windows that a recording kept, decoded one at a time and put on the run's clock."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fwtop.analysis.phases import Segments, from_names
from fwtop.analysis.results import PhaseSpan
from fwtop.export.source import Source, phases_in_order
from fwtop.queries import operators, raw_traces, steps
from fwtop.recording.window_model import Window
from fwtop.traces import reader
from fwtop.traces.blocks import Limits
from fwtop.traces.model import TraceError, TraceWindow

LIMITS = Limits()
_SLACK_NS = 1_000_000_000
"""A window's trace may lie so far off its place before it is taken for a clock that was set."""
_WINDOW_BYTES = 1 << 27
"""Of zstd: what a frame may ask for in memory."""


@dataclass(frozen=True)
class RawWindow:
    """A window with its events; a moment of theirs plus `offset_ns` is one of the run's."""

    window: Window
    trace: TraceWindow
    offset_ns: int

    def segments(self, source: Source) -> Segments:
        """Its phases, on the trace's own time: from its names, or else from the steps' lengths;
        `other` where neither tells."""
        named = from_names(self.trace)
        if len(list(named)) > 1:
            return named
        window = self.window
        found = steps.steps_between(
            source.recording, window.start_ns, window.end_ns, window.process_id
        )
        # `Segments.of` wants unix ns; what the run's clock is short of that cancels out.
        offset = self.trace.base_unix_ns - self.offset_ns
        spans = [
            PhaseSpan(phase, start + offset, end + offset)
            for step in found
            for phase, start, end in phases_in_order(step)
        ]
        return Segments.of(self.trace, spans)


def raw_windows(source: Source) -> Iterator[RawWindow]:
    """The windows of the stretch whose raw trace was kept and can be read; the others are told of.

    One is in memory at a time, unless who asks holds on to it.
    """
    kept = raw_traces.kept(source.recording)
    wanted = [
        window
        for window in operators.windows(source.recording)
        if window.id in kept and source.stretch.overlaps(window.start_ns, window.end_ns)
    ]
    for done, window in enumerate(wanted):
        source.tell("trace windows", done, len(wanted))
        try:
            trace = _read(source, window)
        except (TraceError, ValueError) as error:
            source.warn(f"the trace of window {window.id} is left out: {error}")
            continue
        if trace is not None:
            yield RawWindow(window, trace, _offset_ns(source, window, trace))


def _read(source: Source, window: Window) -> TraceWindow | None:
    """Raises TraceError or ValueError for a trace that cannot be had."""
    raw = raw_traces.raw_trace(source.recording, window.id)
    if raw is None:  # dropped for a newer one since
        return None
    if raw.compression != "zstd":
        raise ValueError(f"it is compressed by {raw.compression[:40]!r}")
    handle, name = tempfile.mkstemp(prefix="fwtop-window-")
    path = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            for block in _inflated(raw.trace):
                file.write(block)
        return reader.read(path, window.format)
    except TraceError as error:
        raise ValueError(error.what) from error  # its path is gone by then
    finally:
        path.unlink(missing_ok=True)


def _inflated(data: bytes) -> Iterator[bytes]:
    """Raises ValueError for what is damaged, or larger than a trace may be."""
    import zstandard

    size = 0
    decompressor = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES)
    try:
        with decompressor.stream_reader(data) as inflated:
            while block := inflated.read(1 << 20):
                size += len(block)
                if size > LIMITS.file_bytes:
                    raise ValueError(f"it inflates to more than {LIMITS.file_bytes:,} bytes")
                yield block
    except zstandard.ZstdError as error:
        raise ValueError(f"it is damaged: {error}") from error


def _offset_ns(source: Source, window: Window, trace: TraceWindow) -> int:
    """By the wall clock; where that was set since the run's start, by the window's own start."""
    offset = trace.base_unix_ns - source.run.started_unix_ns
    firsts = [track.start_ns[0] for track in (*trace.tracks, *trace.frames) if track.start_ns]
    firsts += [event.start_ns for event in trace.device_events[:1]]
    if not firsts:
        return offset
    at = min(firsts) + offset
    if window.start_ns - _SLACK_NS <= at <= window.end_ns + _SLACK_NS:
        return offset
    return window.start_ns - min(firsts)
