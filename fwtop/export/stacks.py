"""The raw trace windows as stacks: per thread, what opens and what closes, in time's order.

The phase is the outermost frame, then modules and Python functions where a deep window has them,
then operators and launches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fwtop.analysis.deep import NO_OPERATORS
from fwtop.analysis.phases import Segments
from fwtop.export.raw_windows import RawWindow
from fwtop.traces.model import DeviceEvent, Track

DEEPEST = 256
"""Frames below are counted to their ancestor: only a damaged trace nests so deep."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A frame opens, or the innermost one closes."""

    at_ns: int
    """On the window's own time."""
    name: str
    opens: bool


def threads(raw: RawWindow) -> list[Track]:
    """The window's host events by thread, operators and Python functions together."""
    found: dict[str, Track] = {}
    for track in (*raw.trace.tracks, *raw.trace.frames):
        merged = found.setdefault(str(track.thread), Track(str(track.thread)))
        merged.names += track.names
        merged.start_ns += track.start_ns
        merged.duration_ns += track.duration_ns
        merged.kinds += track.kinds
        for column in ("modules", "phases"):
            _extend(merged, track, column)
    for track in found.values():
        track.arrange()
    return [track for track in found.values() if len(track)]


def _extend(merged: Track, track: Track, column: str) -> None:
    """Append a column of texts that either of the two may lack; `names` is appended already."""
    added, before = getattr(track, column), getattr(merged, column)
    if added is not None or before is not None:
        count = len(track.names)
        before = [""] * (len(merged.names) - count) if before is None else before
        setattr(merged, column, before + ([""] * count if added is None else added))


def streams(raw: RawWindow) -> dict[str, list[DeviceEvent]]:
    """The window's device events by stream, in time's order."""
    found: dict[str, list[DeviceEvent]] = {}
    for event in sorted(raw.trace.device_events, key=lambda one: one.start_ns):
        found.setdefault(f"GPU {event.device} stream {event.stream}", []).append(event)
    return found


def edges(track: Track, segments: Segments | None) -> Iterator[Edge]:
    """A thread's frames: each closes before what is around it; what outlives that is cut.

    Without `segments` there is no frame for the phase. A phase's frame ends with its last event
    where another thread's phase follows: a thread that waits for the backward pass is in none.
    """
    open_frames: list[tuple[int, str]] = []
    phase, phase_end = "", 0
    for i, name in enumerate(track.names):
        if name.startswith(NO_OPERATORS):  # a range for each step: no frame, but a time
            continue
        start = track.start_ns[i]
        while open_frames and open_frames[-1][0] <= start:
            end, closed = open_frames.pop()
            yield Edge(end, closed, False)
        end = start + track.duration_ns[i]
        if open_frames:
            end = min(end, open_frames[-1][0])
        elif segments is not None:
            own = track.phases[i] if track.phases is not None else ""
            now = own or segments.at(start)
            if now != phase or segments.changes(phase_end, start):
                if phase:
                    yield Edge(phase_end, phase, False)
                phase = now
                yield Edge(start, phase, True)
            phase_end = end
        if len(open_frames) < DEEPEST:
            module = track.modules[i] if track.modules is not None and not open_frames else ""
            for frame in (module, name) if module else (name,):
                open_frames.append((end, frame))
                yield Edge(start, frame, True)
    while open_frames:
        end, closed = open_frames.pop()
        yield Edge(end, closed, False)
    if phase:
        yield Edge(phase_end, phase, False)
