"""From one trace file to what is kept of it. Owns the reading's limits; writes nothing."""

from __future__ import annotations

import gc
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from fwtop.analysis.results import StepSpan
from fwtop.analysis.window import figures
from fwtop.importer.imported import AllocatorReading, Imported, ImportedDevice
from fwtop.importer.trace_files import TraceFile
from fwtop.importer.traced_steps import ImportedStep, steps
from fwtop.traces import reader
from fwtop.traces.blocks import Limits
from fwtop.traces.formats import KINETO, NSYS
from fwtop.traces.model import MemoryEvent, TraceError, TraceWindow

_LARGE = Limits(file_bytes=64 << 30, inflated_bytes=16 << 30, events=8_000_000)
LIMITS = {KINETO: _LARGE, NSYS: _LARGE}
"""By format, where it is read bit by bit: of memory these allow about 2 GB, 200 bytes an event.
Others are read whole, and have the default limits."""
READINGS = 2_000
"""Of a device's allocator, that are kept of one window; the highest of each stretch."""
_COMPRESSION_LEVEL = 3
_MOST_DEVICES = 1_024
_NO_DEVICE = "GPU {}"


def read(
    file: TraceFile, keep_bytes: int = 0, on_bytes: Callable[[int], None] | None = None
) -> list[Imported]:
    """Read and analyse one file: a window for each process that it has.

    `keep_bytes` is how large a raw trace may be to be kept. Raises TraceError for a file that has
    nothing to show.
    """
    with _without_garbage_collection():
        windows = _windows(file, on_bytes)
        told = [one for one in windows if one.tracks or one.device_events or one.frames]
        if not told:
            raise TraceError(file.path, *_nothing_in(windows))
        if len(told) > 1:  # then the rank in the file's name is not each one's
            file = replace(file, rank=None)
        found = [_imported(file, window) for window in told]
        raw = _compressed(file, keep_bytes)
        return [replace(found[0], raw=raw), *found[1:]]


def _windows(file: TraceFile, on_bytes: Callable[[int], None] | None) -> list[TraceWindow]:
    limits = LIMITS.get(file.format, Limits())
    if file.format == NSYS:
        from fwtop.traces import nsys

        return nsys.read(file.path, limits, on_bytes)
    return [reader.read(file.path, file.format, limits=limits, on_bytes=on_bytes)]


def _imported(file: TraceFile, trace: TraceWindow) -> Imported:
    begin, end = _bounds(trace)
    found = tuple(steps(trace))
    return Imported(
        file,
        trace.process,
        trace.base_unix_ns,
        begin,
        end,
        figures=figures(trace, [], _unmarked(trace, found)),
        deep=_is_deep(trace),
        steps=found,
        devices=tuple(_devices(trace)),
        memory=tuple(_readings(trace)),
        notes=tuple(trace.notes),
    )


def _unmarked(trace: TraceWindow, found: Sequence[ImportedStep]) -> list[StepSpan]:
    """The steps where the trace itself marks none: those that it marks, the analysis finds."""
    if trace.device_steps or any(
        name.startswith("ProfilerStep") for track in trace.tracks for name in set(track.names)
    ):
        return []
    base = trace.base_unix_ns
    return [
        StepSpan(step.index, base + step.start_ns, base + step.start_ns + step.duration_ns)
        for step in found
    ]


def _nothing_in(windows: Sequence[TraceWindow]) -> tuple[str, str]:
    what = "no operator and no kernel that fwtop knows is in it"
    notes = [note for window in windows for note in window.notes]
    if notes:
        what += f" ({notes[0]})"
    return what, "Trace with torch.profiler, tf.profiler or jax.profiler, and name that file."


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """A window's millions of rows are no cycles; looking through them for some costs a third of
    the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _bounds(trace: TraceWindow) -> tuple[int, int]:
    tracks = [track for track in (*trace.tracks, *trace.frames) if len(track)]
    starts = [track.start_ns[0] for track in tracks]
    starts += [event.start_ns for event in trace.device_events]
    ends = [max(map(int.__add__, track.start_ns, track.duration_ns)) for track in tracks]
    ends += [event.end_ns for event in trace.device_events]
    return min(starts), max(ends)


def _is_deep(trace: TraceWindow) -> bool:
    """Whether it has what only deep windows have: shapes, stacks, modules or allocations."""
    return bool(trace.frames or trace.memory_events) or any(
        column is not None and any(column)
        for track in trace.tracks
        for column in (track.shapes, track.stacks, track.modules)
    )


def _devices(trace: TraceWindow) -> Iterator[ImportedDevice]:
    used = {event.device for event in trace.device_events}
    for index in sorted(used | trace.device_names.keys())[:_MOST_DEVICES]:
        if 0 <= index < 1 << 31:
            yield ImportedDevice(
                index,
                trace.device_names.get(index) or _NO_DEVICE.format(index),
                trace.device_memory_bytes.get(index),
                index in used,
            )


def _readings(trace: TraceWindow) -> Iterator[AllocatorReading]:
    by_device: dict[str, list[MemoryEvent]] = {}
    for event in trace.memory_events:
        if event.allocated_bytes is not None:
            name = f"cuda:{event.device}" if event.on_device else "cpu"
            by_device.setdefault(name, []).append(event)
    for device, events in by_device.items():
        for event in _thinned(events):
            yield AllocatorReading(
                trace.base_unix_ns + event.at_ns,
                device,
                event.allocated_bytes,
                event.reserved_bytes if event.on_device else None,  # the CPU's reserves nothing
            )


def _thinned(events: list[MemoryEvent]) -> list[MemoryEvent]:
    """At most READINGS of them: of each stretch of time the one with most allocated."""
    first = min(event.at_ns for event in events)
    span = max(event.at_ns for event in events) - first
    highest: dict[int, MemoryEvent] = {}
    for event in events:
        stretch = (event.at_ns - first) * (READINGS - 1) // max(1, span)
        known = highest.get(stretch)
        if known is None or (event.allocated_bytes or 0) > (known.allocated_bytes or 0):
            highest[stretch] = event
    return [highest[stretch] for stretch in sorted(highest)]


def _compressed(file: TraceFile, keep_bytes: int) -> bytes | None:
    """The file compressed, if it is small enough to be kept; a gzip file is inflated first."""
    if keep_bytes <= 0 or file.path.stat().st_size > keep_bytes:
        return None
    import zstandard

    data = file.path.read_bytes()
    if data.startswith(b"\x1f\x8b"):
        inflater = zlib.decompressobj(wbits=31)
        try:
            data = inflater.decompress(data, keep_bytes * 8)
        except zlib.error:
            return None  # what was whole of it has been read; as a whole it is of no use
        if inflater.unconsumed_tail:
            return None
    return zstandard.ZstdCompressor(level=_COMPRESSION_LEVEL).compress(data)
