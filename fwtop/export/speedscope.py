"""speedscope's own format (https://www.speedscope.app): profiles by window and thread.

Format: https://github.com/jlfwong/speedscope/blob/main/src/lib/file-format-spec.ts. From the raw
trace windows that were kept, as evented profiles in nanoseconds of the run: host threads with the
phase outermost, and the GPU's streams. Where none was kept, one sampled profile a device: phase,
family and operator, weighted by self time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO

import msgspec

from fwtop import __version__
from fwtop.export.folded import nothing_traced, window_ids
from fwtop.export.raw_windows import RawWindow, raw_windows
from fwtop.export.source import Source, named
from fwtop.export.stacks import Edge, edges, streams, threads
from fwtop.export.texts import valid
from fwtop.export.trace_events import Lanes
from fwtop.queries import operators
from fwtop.recording.window_model import OperatorRow
from fwtop.traces.model import DeviceEvent

SCHEMA = "https://www.speedscope.app/file-format-schema.json"


class _Frames:
    """The names that all profiles share, numbered as they come."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def __call__(self, name: str) -> int:
        return self._numbers.setdefault(name, len(self._numbers))

    def written(self) -> list[dict[str, str]]:
        return [{"name": valid(name)} for name in self._numbers]


def write(source: Source, out: BinaryIO) -> None:
    """The profiles as they are made, one after the other, and the frames at the end."""
    frames = _Frames()
    head = {
        "$schema": SCHEMA,
        "name": valid(" ".join(source.run.command)[:200] or source.run.id),
        "exporter": f"fwtop {__version__}",
        "activeProfileIndex": 0,
    }
    out.write(msgspec.json.encode(head)[:-1] + b',"profiles":[')
    separator = b"\n"
    for profile in _profiles(source, frames):
        out.write(separator + msgspec.json.encode(profile))
        separator = b",\n"
    if separator == b"\n":
        raise nothing_traced()
    out.write(b'\n],"shared":' + msgspec.json.encode({"frames": frames.written()}) + b"}\n")


def _profiles(source: Source, frames: _Frames) -> Iterator[dict[str, Any]]:
    found = False
    for raw in raw_windows(source):
        for profile in _of_window(source, raw, frames):
            found = True
            yield profile
    if not found:
        rows = operators.operators(source.recording, window_ids(source))
        for device in ("cpu", "gpu"):
            there = [row for row in rows if row.device == device and row.self_ns > 0]
            if there:
                yield _sampled(device, there, frames)


def _of_window(source: Source, raw: RawWindow, frames: _Frames) -> Iterator[dict[str, Any]]:
    process = next((p for p in source.processes if p.id == raw.window.process_id), None)
    steps = f"step {raw.window.first_step}"
    if raw.window.step_count > 1:
        steps += f" to {raw.window.first_step + raw.window.step_count - 1}"
    place = f"{named(process)}, {steps}"
    segments = raw.segments(source)
    for track in threads(raw):
        name = f"{place}, thread {track.thread}"
        yield _evented(name, edges(track, segments), raw.offset_ns, frames)
    for name, events in streams(raw).items():
        for number, lane in enumerate(_lanes(events)):
            title = f"{place}, {name}" + (f" ({number + 1})" if number else "")
            yield _evented(title, _one_by_one(lane), raw.offset_ns, frames)


def _lanes(events: Sequence[DeviceEvent]) -> list[list[DeviceEvent]]:
    lanes, found = Lanes(nest=False), list[list[DeviceEvent]]()
    for event in events:
        lane = lanes.take(event.start_ns, event.end_ns)
        while len(found) <= lane:
            found.append([])
        found[lane].append(event)
    return found


def _one_by_one(events: Iterable[DeviceEvent]) -> Iterator[Edge]:
    """A stream's events; one that begins before the last has ended begins with its end."""
    at_ns = -(1 << 62)
    for event in events:
        start = max(at_ns, event.start_ns)
        at_ns = max(start, event.end_ns)
        yield Edge(start, event.name, True)
        yield Edge(at_ns, event.name, False)


def _evented(name: str, found: Iterable[Edge], offset_ns: int, frames: _Frames) -> dict[str, Any]:
    events = [
        {"type": "O" if edge.opens else "C", "at": edge.at_ns + offset_ns,
         "frame": frames(edge.name)}
        for edge in found
    ]  # fmt: skip
    return {
        "type": "evented",
        "name": valid(name),
        "unit": "nanoseconds",
        "startValue": events[0]["at"] if events else 0,
        "endValue": events[-1]["at"] if events else 0,
        "events": events,
    }


def _sampled(device: str, rows: Sequence[OperatorRow], frames: _Frames) -> dict[str, Any]:
    weights = [row.self_ns for row in rows]
    return {
        "type": "sampled",
        "name": f"{device}: self time by phase, family and operator",
        "unit": "nanoseconds",
        "startValue": 0,
        "endValue": sum(weights),
        "samples": [[frames(row.phase), frames(row.family), frames(row.name)] for row in rows],
        "weights": weights,
    }
