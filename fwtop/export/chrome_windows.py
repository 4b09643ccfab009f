"""The raw trace windows' events for Chrome's format, with the categories that Kineto gives them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from fwtop.export.raw_windows import RawWindow, raw_windows
from fwtop.export.source import Source
from fwtop.export.trace_events import Lanes, Tracks
from fwtop.traces.model import (
    ANNOTATION,
    FRAME,
    KERNEL,
    LAUNCH,
    MEMCPY,
    MEMSET,
    OPERATOR,
    DeviceEvent,
    Track,
)

_HOST = {
    OPERATOR: "cpu_op", ANNOTATION: "user_annotation", LAUNCH: "cuda_runtime",
    FRAME: "python_function",
}  # fmt: skip
_DEVICE = {KERNEL: "kernel", MEMCPY: "gpu_memcpy", MEMSET: "gpu_memset"}


@dataclass(frozen=True)
class _Launch:
    pid: int
    tid: int
    at_ns: int


def window_events(source: Source, tracks: Tracks) -> Iterator[Mapping[str, Any]]:
    """Operators, annotations, launches and Python functions by thread; kernels, copies and fills by
    stream; an arrow from each launch to what it launched."""
    numbers = count(1)
    for raw in raw_windows(source):
        launches: dict[int, _Launch] = {}
        wanted = {event.correlation for event in raw.trace.device_events} - {0}
        for track in raw.trace.tracks:
            pid, tid = tracks.of(raw.window.process_id, f"thread {track.thread}", order=5)
            yield from _host_events(raw, track, pid, tid)
            _note_launches(raw, track, _Launch(pid, tid, 0), wanted, launches)
        for track in raw.trace.frames:
            name = f"thread {track.thread}, Python"
            pid, tid = tracks.of(raw.window.process_id, name, order=6)
            yield from _host_events(raw, track, pid, tid)
        yield from _device_events(raw, tracks, launches, numbers)


def _host_events(raw: RawWindow, track: Track, pid: int, tid: int) -> Iterator[Mapping[str, Any]]:
    columns = _columns(track)
    for i, name in enumerate(track.names):
        args = {key: column[i] for key, column, nothing in columns if column[i] != nothing}
        event = {
            "ph": "X", "cat": _HOST.get(track.kinds[i], "cpu_op"), "name": name, "pid": pid,
            "tid": tid, "ts": track.start_ns[i] + raw.offset_ns, "dur": track.duration_ns[i],
        }  # fmt: skip
        if args:
            event["args"] = args
        yield event


def _columns(track: Track) -> list[tuple[str, Sequence[Any], Any]]:
    """Arguments under Kineto's names, each with the value that stands for none."""
    named = (
        ("External id", track.external_ids, 0),
        ("correlation", track.correlations, 0),
        ("Sequence number", track.sequences, -1),
        ("Input Dims", track.shapes, ""),
        ("Module Hierarchy", track.modules, ""),
        ("Call stack", track.stacks, ""),
    )
    return [(key, column, nothing) for key, column, nothing in named if column is not None]


def _note_launches(
    raw: RawWindow, track: Track, at: _Launch, wanted: set[int], launches: dict[int, _Launch]
) -> None:
    if track.correlations is None or not wanted:
        return
    for correlation, start, kind in zip(
        track.correlations, track.start_ns, track.kinds, strict=True
    ):
        if correlation in wanted and kind == LAUNCH:
            launches[correlation] = _Launch(at.pid, at.tid, start + raw.offset_ns)


def _device_events(
    raw: RawWindow, tracks: Tracks, launches: Mapping[int, _Launch], numbers: Iterator[int]
) -> Iterator[Mapping[str, Any]]:
    lanes: dict[tuple[int, int], Lanes] = {}
    for event in sorted(raw.trace.device_events, key=lambda one: (one.start_ns, -one.duration_ns)):
        of_stream = lanes.setdefault((event.device, event.stream), Lanes())
        name = f"GPU {event.device} stream {event.stream}"
        pid, tid = tracks.of(
            raw.window.process_id, name, of_stream.take(event.start_ns, event.end_ns), order=7
        )
        at_ns = event.start_ns + raw.offset_ns
        launch = launches.get(event.correlation)
        if launch is not None:
            flow = {"cat": "ac2g", "name": "launch", "id": next(numbers)}
            yield {"ph": "s", **flow, "pid": launch.pid, "tid": launch.tid, "ts": launch.at_ns}
            yield {"ph": "f", "bp": "e", **flow, "pid": pid, "tid": tid, "ts": at_ns}
        yield {
            "ph": "X", "cat": _DEVICE.get(event.kind, "kernel"), "name": event.name, "pid": pid,
            "tid": tid, "ts": at_ns, "dur": event.duration_ns, "args": _device_args(event),
        }  # fmt: skip


def _device_args(event: DeviceEvent) -> dict[str, Any]:
    args: dict[str, Any] = {"device": event.device, "stream": event.stream}
    optional = {
        "correlation": event.correlation or None,
        "External id": event.external_id or None,
        "bytes": event.bytes,
        "operator": event.operator or None,
        "blocks per SM": event.blocks_per_sm,
        "est. achieved occupancy %": None
        if event.occupancy_ratio is None
        else round(event.occupancy_ratio * 100, 1),
    }
    return args | {name: value for name, value in optional.items() if value is not None}
