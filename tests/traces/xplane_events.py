"""A host's plane for tests, and the operators that were read of one."""

from __future__ import annotations

from fwtop.traces.model import TraceWindow
from tests.traces.xplane_files import (
    Event,
    PlaneWriter,
)


def host(*events: Event, line: str = "python", at_ns: int = 0) -> PlaneWriter:
    return PlaneWriter("/host:CPU").line(line, events, at_ns)


def operators(trace: TraceWindow) -> list[tuple[str, str]]:
    return [
        (name, phase)
        for track in trace.tracks
        for name, phase in zip(track.names, track.phases or (), strict=True)
    ]
