"""Reads Kineto's JSON traces (torch.profiler's), old and new, whole and damaged, into TraceWindow.

Format: https://github.com/pytorch/kineto (libkineto/src/output_json.cpp) on top of Chrome's trace
event format. `ts` and `dur` are microseconds, with nanoseconds as their fraction; since torch 2.2
`ts` counts from `baseTimeNanoseconds` (unix ns) and before from the epoch. `displayTimeUnit` is for
viewers and changes nothing. Categories were renamed in torch 1.11 (`Operator` to `cpu_op`, …).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType, field

from fwtop.traces.blocks import EventArray, Limits, Piece
from fwtop.traces.model import (
    ANNOTATION,
    FRAME,
    KERNEL,
    LAUNCH,
    MEMCPY,
    MEMSET,
    OPERATOR,
    DeviceEvent,
    MemoryEvent,
    ThreadKey,
    TraceError,
    TraceWindow,
    Track,
)
from fwtop.traces.salvage import salvage

__all__ = ["Limits", "TraceError", "read"]

_HOST = {
    "cpu_op": OPERATOR,
    "Operator": OPERATOR,
    "user_annotation": ANNOTATION,
    "cuda_runtime": LAUNCH,
    "cuda_driver": LAUNCH,
    "Runtime": LAUNCH,
    "xpu_runtime": LAUNCH,
    "mtia_runtime": LAUNCH,
    "privateuse1_runtime": LAUNCH,
    "privateuse1_driver": LAUNCH,
    "python_function": FRAME,
}
_DEVICE = {
    "kernel": KERNEL,
    "Kernel": KERNEL,
    "gpu_memcpy": MEMCPY,
    "Memcpy": MEMCPY,
    "gpu_memset": MEMSET,
    "Memset": MEMSET,
}
_NOT_HOST = 255
_IS_TRACK = bytes(int(code in (OPERATOR, ANNOTATION, LAUNCH)) for code in range(256))
_IS_FRAME = bytes(int(code == FRAME) for code in range(256))
_IS_OTHER = bytes(int(code == _NOT_HOST) for code in range(256))
_ALL_BUT_TRACK = bytes(code for code in range(256) if not _IS_TRACK[code])
_FLOW = frozenset("sftM")
_RICH = (b'"correlation"', b'"Input Dims"', b'"Call stack"', b'"Module Hierarchy"')
_RICH_WITHIN = 1 << 16
_MOST_US = 1e16
"""317 years: a time or a duration beyond it is damage."""
_HEADROOM_US = 1_000_000_000
"""The axis begins this long before the file's first row, so that times are positive."""


class _Args(Struct, gc=False):
    """The arguments that figures are made of; everything else is skipped by the parser."""

    correlation: int | None = None
    external_id: int | None = field(default=None, name="External id")
    external_id_before_111: int | None = field(default=None, name="external id")
    sequence: int | None = field(default=None, name="Sequence number")
    shapes: Raw | UnsetType = field(default=UNSET, name="Input Dims")
    module: str | None = field(default=None, name="Module Hierarchy")
    stack: str | None = field(default=None, name="Call stack")
    device: int | None = None
    stream: int | None = None
    bytes: int | None = None
    elements: int | None = field(default=None, name="In msg nelems")
    elements_before_22: int | None = field(default=None, name="In msg size")
    memory_bytes: int | None = field(default=None, name="Bytes")
    device_type: int | None = field(default=None, name="Device Type")


class _Event(Struct, gc=False):
    """A row of the file with its arguments unparsed, for traces of the CPU alone."""

    ph: str = ""
    cat: str = ""
    name: str = ""
    tid: int | str = 0
    ts: float = 0.0
    dur: float = -1.0
    args: Raw | UnsetType = UNSET


class _RichEvent(Struct, gc=False):
    """A row of the file whose arguments matter: device traces and deep windows."""

    ph: str = ""
    cat: str = ""
    name: str = ""
    tid: int | str = 0
    ts: float = 0.0
    dur: float = -1.0
    args: _Args | UnsetType = UNSET


class _Device(Struct, gc=False):
    id: int = -1
    name: str = ""


class _Document(Struct, gc=False):
    """What stands around the array of events."""

    base_time_ns: int = field(default=0, name="baseTimeNanoseconds")
    devices: list[_Device] = field(default_factory=list, name="deviceProperties")


_Row = _Event | _RichEvent
_NO_ARGS = _Args()
_decode_plain = msgspec.json.Decoder(list[_Event]).decode
_decode_rich = msgspec.json.Decoder(list[_RichEvent]).decode
_decode_args = msgspec.json.Decoder(_Args).decode
_decode_document = msgspec.json.Decoder(_Document).decode
_REFUSED = (msgspec.MsgspecError, RecursionError, OverflowError, UnicodeDecodeError)


def read(path: Path, limits: Limits = Limits()) -> TraceWindow:  # noqa: B008 (it is frozen)
    """The window in a Kineto trace file (.json, .json.gz).

    What is damaged is left out, counted in `dropped_count` and described in `notes`. Raises
    TraceError for a file that is no trace, cannot be read, or exceeds `limits`.
    """
    array = EventArray(path, limits)
    window = _Window(limits)
    window.around(array.header + b'"traceEvents":[]}')
    for piece in array.pieces():
        window.add(piece)
        if window.full:
            break
    return window.finish(array)


class _Window:
    """Gathers rows, piece by piece."""

    def __init__(self, limits: Limits):
        self._limits = limits
        self._trace = TraceWindow(base_unix_ns=0)
        self._tracks: dict[ThreadKey, Track] = {}
        self._frames: dict[ThreadKey, Track] = {}
        self._names: dict[str, str] = {}
        self._texts: dict[bytes, str] = {}
        self._origin_us: int | None = None
        self._base_time_ns = 0
        self._rich = False
        self._ended = False
        self._damage_at: int | None = None

    @property
    def full(self) -> bool:
        """Whether no more rows are wanted."""
        return self._trace.event_count >= self._limits.events

    def around(self, text: bytes) -> None:
        """Take the document's other fields from its text without the events."""
        try:
            document = _decode_document(text)
        except _REFUSED:
            return
        self._base_time_ns = document.base_time_ns or self._base_time_ns
        self._trace.device_names.update({d.id: d.name for d in document.devices})
        self._rich = self._rich or bool(document.devices)

    def add(self, piece: Piece) -> None:
        """Take the rows of a piece, by the fast way if it is sound."""
        text = piece.text
        if not self._rich:
            self._rich = any(text.find(mark, 0, _RICH_WITHIN) >= 0 for mark in _RICH)
        tail = b""
        if piece.last:
            end = text.rfind(b"]")
            while end > 0 and not text[:end].rstrip().endswith((b"}", b",")):
                end = text.rfind(b"]", 0, end)
            text, tail = (text[:end].rstrip(), text[end + 1 :]) if end >= 0 else (text, b"")
        rows: Sequence[_Row]
        try:
            rows = (_decode_rich if self._rich else _decode_plain)(b"".join((b"[", text, b"]")))
        except _REFUSED:
            self._salvage(piece)
            return
        if piece.last and (tail.strip() or text):
            self._ended = bool(tail) or piece.text.rstrip().endswith(b"]")
            self.around(b"{" + tail.strip().removeprefix(b","))
        self._take(rows)

    def finish(self, array: EventArray) -> TraceWindow:
        """Everything gathered, arranged, with the notes of what is missing."""
        trace = self._trace
        trace.base_unix_ns = self._base_time_ns + (self._origin_us or 0) * 1000
        trace.tracks = list(self._tracks.values())
        trace.frames = list(self._frames.values())
        for track in (*trace.tracks, *trace.frames):
            track.arrange()
        notes = trace.notes
        if self.full:
            notes.append(f"only the first {self._limits.events:,} rows were read")
        elif array.damage or not self._ended:
            why = array.damage or "the array of events is not closed"
            notes.append(f"the file is truncated ({why}); what was whole was read")
        if trace.dropped_count:
            where = "" if self._damage_at is None else f", the first near byte {self._damage_at:,}"
            notes.append(f"{trace.dropped_count:,} damaged rows were left out{where}")
        return trace

    def _salvage(self, piece: Piece) -> None:
        found = salvage(piece.text, self._limits.events - self._trace.event_count)
        rows: list[_RichEvent] = []
        dropped = found.damaged
        for value in found.events:
            row = _row(value)
            if row is None:
                dropped += 1
            else:
                rows.append(row)
        if found.tail is not None:
            self._ended = True
            self.around(b"{" + found.tail.strip().removeprefix(",").encode())
        if dropped:
            self._trace.dropped_count += dropped
            if self._damage_at is None:
                self._damage_at = piece.at_byte + (found.first_damage or 0)
        self._take(rows)

    def _take(self, rows: Sequence[_Row]) -> None:
        room = self._limits.events - self._trace.event_count
        if len(rows) > room:
            rows = rows[:room]
        if not rows:
            return
        self._trace.event_count += len(rows)
        if self._origin_us is None:
            self._origin_us = _origin(rows)
        get = _HOST.get
        codes = bytearray([get(row.cat, _NOT_HOST) for row in rows])
        if max(codes) <= LAUNCH:
            self._take_host(self._tracks, rows, codes)
            return
        host = list(compress(rows, codes.translate(_IS_TRACK)))
        self._take_host(self._tracks, host, codes.translate(None, _ALL_BUT_TRACK))
        if FRAME in codes:
            frames = list(compress(rows, codes.translate(_IS_FRAME)))
            self._take_host(self._frames, frames, bytearray([FRAME]) * len(frames))
        for row in compress(rows, codes.translate(_IS_OTHER)):
            if row.ph not in _FLOW:
                self._take_other(row)

    def _take_host(
        self, tracks: dict[ThreadKey, Track], rows: Sequence[_Row], kinds: bytearray
    ) -> None:
        if not rows:
            return
        durations = [row.dur for row in rows]
        times = [row.ts for row in rows]
        if not (min(durations) >= 0 and max(durations) < _MOST_US and _sane(times)):
            rows, kinds = self._without_damage(rows, kinds)
            if not rows:
                return
        threads = [row.tid for row in rows]
        if threads.count(threads[0]) == len(threads):
            self._extend(tracks, threads[0], rows, kinds)
            return
        for thread in dict.fromkeys(threads):
            own = [tid == thread for tid in threads]
            chosen = list(compress(rows, own))
            self._extend(tracks, thread, chosen, bytearray(compress(kinds, own)))

    def _without_damage(
        self, rows: Sequence[_Row], kinds: bytearray
    ) -> tuple[list[_Row], bytearray]:
        sound = [0 <= row.dur < _MOST_US and abs(row.ts) < _MOST_US for row in rows]
        self._trace.dropped_count += sound.count(False)
        return list(compress(rows, sound)), bytearray(compress(kinds, sound))

    def _extend(
        self,
        tracks: dict[ThreadKey, Track],
        thread: ThreadKey,
        rows: Sequence[_Row],
        kinds: bytearray,
    ) -> None:
        track = tracks.get(thread)
        if track is None:
            track = tracks[thread] = Track(thread)
        before = len(track)
        origin = self._origin_us
        names = [row.name for row in rows]
        track.names += map(self._names.setdefault, names, names)
        track.start_ns += [int((row.ts - origin) * 1000.0 + 0.5) for row in rows]  # type: ignore[operator]
        track.duration_ns += [int(row.dur * 1000.0 + 0.5) for row in rows]
        track.kinds += kinds
        if isinstance(rows[0], _RichEvent):
            if kinds[0] != FRAME:
                self._extend_arguments(track, before, [_args(row) for row in rows])
        elif LAUNCH in kinds:
            arguments = [
                _args(row) if kind == LAUNCH else _NO_ARGS
                for row, kind in zip(rows, kinds, strict=True)
            ]
            self._extend_arguments(track, before, arguments)
        elif track.external_ids is not None:
            self._extend_arguments(track, before, [_NO_ARGS] * len(rows))

    def _extend_arguments(self, track: Track, before: int, arguments: list[_Args]) -> None:
        if track.external_ids is None:
            track.correlations = [0] * before
            track.external_ids = [0] * before
            track.sequences = [-1] * before
        track.correlations += [a.correlation or 0 for a in arguments]  # type: ignore[operator]
        track.external_ids += [a.external_id or a.external_id_before_111 or 0 for a in arguments]
        track.sequences += [-1 if a.sequence is None else a.sequence for a in arguments]  # type: ignore[operator]
        count = len(track) - len(arguments)
        shapes = [a.shapes for a in arguments]
        if track.shapes is not None or shapes.count(UNSET) < len(shapes):
            track.shapes = track.shapes or [""] * count
            track.shapes += [self._shape(shape) for shape in shapes]
        modules = [a.module or "" for a in arguments]
        if track.modules is not None or any(modules):
            track.modules = track.modules or [""] * count
            track.modules += map(self._names.setdefault, modules, modules)
        stacks = [a.stack or "" for a in arguments]
        if track.stacks is not None or any(stacks):
            track.stacks = track.stacks or [""] * count
            track.stacks += map(self._names.setdefault, stacks, stacks)

    def _shape(self, raw: Raw | UnsetType) -> str:
        if raw is UNSET:
            return ""
        text = bytes(raw)
        shape = self._texts.get(text)
        if shape is None:
            shape = self._texts[text] = text.decode("utf-8", "replace")
        return shape

    def _take_other(self, row: _Row) -> None:
        kind = _DEVICE.get(row.cat)
        if kind is None and row.name != "[memory]":
            return
        if not abs(row.ts) < _MOST_US or (kind and not 0 <= row.dur < _MOST_US):
            self._trace.dropped_count += 1
            return
        at_ns = int((row.ts - (self._origin_us or 0)) * 1000.0 + 0.5)
        args = _args(row)
        if kind is None:
            on_device = (args.device_type or 0) != 0
            self._trace.memory_events.append(
                MemoryEvent(row.tid, at_ns, args.memory_bytes or 0, on_device)
            )
            return
        elements = args.elements if args.elements is not None else args.elements_before_22
        self._trace.device_events.append(
            DeviceEvent(
                kind,
                self._names.setdefault(row.name, row.name),
                at_ns,
                int(row.dur * 1000.0 + 0.5),
                args.device or 0,
                _stream(row.tid) if args.stream is None else args.stream,
                args.correlation or 0,
                args.external_id or args.external_id_before_111 or 0,
                args.bytes,
                elements,
            )
        )


def _row(value: dict[str, Any]) -> _RichEvent | None:
    """A salvaged row; without arguments where only they are unusable; None where it is no row."""
    args = value.pop("args", None)
    if isinstance(args, dict):
        shapes = args.pop("Input Dims", None)
        try:
            arguments = msgspec.convert(args, _Args, strict=False)
            if shapes is not None:
                arguments.shapes = Raw(msgspec.json.encode(shapes))
        except _REFUSED:
            arguments = _NO_ARGS
    else:
        arguments = _NO_ARGS
    try:
        row = msgspec.convert(value, _RichEvent)
    except _REFUSED:
        return None
    row.args = arguments
    return row if isfinite(row.ts) and isfinite(row.dur) else None


def _args(row: _Row) -> _Args:
    args = row.args
    if isinstance(args, _Args):
        return args
    if isinstance(args, UnsetType):
        return _NO_ARGS
    try:
        return _decode_args(args)
    except _REFUSED:
        return _NO_ARGS


def _origin(rows: Sequence[_Row]) -> int:
    """A whole microsecond from which this file's times count."""
    for row in rows:
        if row.ph == "X" and abs(row.ts) < _MOST_US:
            return int(row.ts) - _HEADROOM_US
    return 0


def _sane(times: list[float]) -> bool:
    return min(times) > -_MOST_US and max(times) < _MOST_US


def _stream(thread: ThreadKey) -> int:
    digits = str(thread).rpartition(" ")[2]
    return int(digits) if digits.isdecimal() and len(digits) < 10 else 0
