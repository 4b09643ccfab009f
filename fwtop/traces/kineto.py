"""Reads Kineto's JSON traces (torch.profiler's), old and new, whole and damaged, into TraceWindow.

Format: https://github.com/pytorch/kineto (libkineto/src/output_json.cpp) on top of Chrome's trace
event format. `ts` and `dur` are microseconds, with nanoseconds as their fraction; since torch 2.2
`ts` counts from `baseTimeNanoseconds` (unix ns) and before from the epoch. `displayTimeUnit` is for
viewers and changes nothing. Categories were renamed in torch 1.11 (`Operator` to `cpu_op`, …).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import compress
from pathlib import Path
from typing import cast

from msgspec import UNSET, Raw, UnsetType

from fwtop.traces.blocks import EventArray, Limits, OnBytes, Piece, split_end
from fwtop.traces.kineto_rows import (
    DEVICE_KIND,
    HOST_KIND,
    NO_ARGS,
    NOT_HOST,
    REFUSED,
    Args,
    LaunchArgs,
    PlainRow,
    Row,
    arguments,
    decode_document,
    decode_launches,
    decode_plain,
    decode_rich,
    salvaged,
    whole,
)
from fwtop.traces.kineto_values import (
    LATEST_US,
    LONGEST_US,
    MOST_BLOCKS,
    is_sound,
    origin_us,
    ratio,
    sane,
    stream_of,
)
from fwtop.traces.model import (
    FRAME,
    LAUNCH,
    DeviceEvent,
    MemoryEvent,
    ThreadKey,
    TracedProcess,
    TraceError,
    TraceWindow,
    Track,
)
from fwtop.traces.salvage import salvage
from fwtop.traces.texts import TextPool

__all__ = ["Limits", "TraceError", "read"]

_IS_TRACK = bytes(int(kind <= LAUNCH) for kind in range(256))
_IS_FRAME = bytes(int(kind == FRAME) for kind in range(256))
_IS_OTHER = bytes(int(kind == NOT_HOST) for kind in range(256))
_ALL_BUT_TRACK = bytes(kind for kind in range(256) if kind > LAUNCH)
_RICH = (b'"correlation"', b'"Input Dims"', b'"Call stack"', b'"Module Hierarchy"')
_HOST_PID = re.compile(
    rb'"cat"\s*:\s*"(?:cpu_op|Operator|user_annotation|cuda_runtime|Runtime|python_function)"'
    rb'[^{}]{0,4096}?"pid"\s*:\s*"?(\d{1,9})\b'
)
"""The process of a host row: categories come first, and the arguments open a brace."""
_MOST_THREADS, _LONGEST_THREAD = 4_096, 100
_FURTHER_THREADS = "further threads"
_PIECES_FOR_PID, _PID_WITHIN = 16, 1 << 16
_RICH_WITHIN = 1 << 16
_DEFAULT_LIMITS = Limits()


def read(
    path: Path,
    limits: Limits = _DEFAULT_LIMITS,
    on_bytes: OnBytes | None = None,
    details: bool = True,
) -> TraceWindow:
    """The window in a Kineto trace file (.json, .json.gz); `on_bytes` hears how far it has come.

    `details` keeps what deep windows are for: shapes, dtypes, modules, stacks, Python frames and
    allocations, where the trace has them. What is damaged is left out, counted in
    `dropped_count` and described in `notes`. Raises TraceError for a file that is no trace, cannot
    be read, or exceeds `limits`.
    """
    array = EventArray(path, limits, on_bytes)
    window = _Window(limits, details)
    window.take_document(array.header + b'"traceEvents":[]}')
    for piece in array.pieces():
        window.take_piece(piece)
        if window.ended:
            break
    return window.finish(array)


class _Window:
    """Gathers rows, piece by piece."""

    def __init__(self, limits: Limits, details: bool):
        self.ended = False
        """The array's end was seen, or as many rows as are wanted."""
        self._limits = limits
        self._details = details
        self._decode_arguments = decode_rich if details else decode_launches
        self._trace = TraceWindow(base_unix_ns=0, process=TracedProcess(framework="torch"))
        self._tracks: dict[ThreadKey, Track] = {}
        self._frames: dict[ThreadKey, Track] = {}
        self._texts = TextPool()
        self._origin_us: int | None = None
        self._base_time_ns = 0
        self._rich = False
        self._damage_at: int | None = None
        self._pieces_left_for_pid = _PIECES_FOR_PID

    def take_document(self, text: bytes) -> None:
        """Take the document's other fields, from its text without the events."""
        try:
            document = decode_document(text)
        except REFUSED:
            return
        self._base_time_ns = document.base_time_ns or self._base_time_ns
        devices = document.devices
        self._trace.device_names.update({device.id: device.name for device in devices})
        self._trace.device_memory_bytes.update(
            {device.id: device.memory_bytes for device in devices if device.memory_bytes > 0}
        )
        self._rich = self._rich or bool(devices)
        distributed = document.distributed
        known = self._trace.process
        self._trace.process = replace(
            known,
            rank=distributed.rank if known.rank is None else known.rank,
            world_size=known.world_size or distributed.world_size,
            host=known.host or document.host,
        )

    def take_piece(self, piece: Piece) -> None:
        """Take the rows of a piece: the fast way, or row by row if it is not sound."""
        text, tail = split_end(piece.array) if piece.last else (piece.array, None)
        self._look_for_pid(text)
        if not self._rich:
            self._rich = any(text.find(mark, 0, _RICH_WITHIN) >= 0 for mark in _RICH)
        decode = self._decode_arguments if self._rich else decode_plain
        rows: Sequence[Row]
        try:
            rows = decode(text)
        except REFUSED:
            self._salvage(piece)
            return
        if tail is not None:
            self._end(tail)
        self._take(rows)

    def _look_for_pid(self, text: bytearray) -> None:
        if self._pieces_left_for_pid and (found := _HOST_PID.search(text, 0, _PID_WITHIN)):
            self._trace.process = replace(self._trace.process, pid=int(found[1]))
            self._pieces_left_for_pid = 0
        self._pieces_left_for_pid = max(0, self._pieces_left_for_pid - 1)

    def finish(self, array: EventArray) -> TraceWindow:
        """Everything gathered, in order, with notes of what is missing."""
        trace = self._trace
        trace.base_unix_ns = self._base_time_ns + (self._origin_us or 0) * 1000
        trace.tracks = list(self._tracks.values())
        trace.frames = list(self._frames.values())
        for track in (*trace.tracks, *trace.frames):
            track.arrange()
        if trace.event_count >= self._limits.events:
            trace.notes.append(f"only the first {self._limits.events:,} rows were read")
        elif array.damage or not self.ended:
            why = array.damage or "the array of events is not closed"
            trace.notes.append(f"the file is truncated ({why}); what was whole was read")
        if self._texts.full:
            trace.notes.append("it has too many names: the last ones are not told apart")
        if trace.dropped_count:
            where = "" if self._damage_at is None else f", the first near byte {self._damage_at:,}"
            trace.notes.append(f"{trace.dropped_count:,} damaged rows were left out{where}")
        return trace

    def _end(self, tail: bytes) -> None:
        self.ended = True
        self.take_document(b"{" + tail.strip().removeprefix(b","))

    def _salvage(self, piece: Piece) -> None:
        text = bytes(piece.array[1:] if piece.last else piece.array[1:-1])
        found = salvage(text, self._limits.events - self._trace.event_count)
        rows = [row for row in map(salvaged, found.events) if row is not None]
        if found.tail is not None:
            self._end(found.tail.encode())
        dropped = found.damaged + len(found.events) - len(rows)
        if dropped:
            self._drop(dropped, piece.at_byte + (found.first_damage or 0))
        self._take(rows)

    def _drop(self, count: int, at_byte: int | None = None) -> None:
        self._trace.dropped_count += count
        if self._damage_at is None:
            self._damage_at = at_byte

    def _take(self, rows: Sequence[Row]) -> None:
        room = self._limits.events - self._trace.event_count
        if len(rows) >= room:
            rows, self.ended = rows[:room], True
        if not rows:
            return
        self._trace.event_count += len(rows)
        if self._origin_us is None:
            self._origin_us = origin_us(rows)
        kinds = bytearray([HOST_KIND[row.cat] for row in rows])
        if max(kinds) <= LAUNCH:
            self._take_host(self._tracks, rows, kinds)
            return
        host = list(compress(rows, kinds.translate(_IS_TRACK)))
        self._take_host(self._tracks, host, kinds.translate(None, _ALL_BUT_TRACK))
        if self._details and FRAME in kinds:
            frames = list(compress(rows, kinds.translate(_IS_FRAME)))
            self._take_host(self._frames, frames, bytearray([FRAME]) * len(frames))
        others = list(compress(rows, kinds.translate(_IS_OTHER)))
        on_devices = [row for row in others if row.cat in DEVICE_KIND]
        if on_devices:
            self._take_device_events(on_devices)
        if self._details:
            for row in others:
                if row.name == "[memory]":
                    self._take_memory_event(row)

    def _take_host(
        self, tracks: dict[ThreadKey, Track], rows: Sequence[Row], kinds: bytearray
    ) -> None:
        if not rows:
            return
        times, durations = [row.ts for row in rows], [row.dur for row in rows]
        if not (
            min(durations) >= 0
            and sum(durations) < LONGEST_US
            and -LATEST_US < min(times) <= max(times) < LATEST_US
        ):
            sound = [is_sound(row) for row in rows]
            self._drop(sound.count(False))
            rows, kinds = list(compress(rows, sound)), bytearray(compress(kinds, sound))
            if not rows:
                return
        threads = [row.tid for row in rows]
        if threads.count(threads[0]) == len(threads):
            self._extend(tracks, threads[0], rows, kinds)
            return
        of_thread: dict[ThreadKey, list[int]] = {}
        for index, thread in enumerate(threads):
            of_thread.setdefault(thread, []).append(index)
        for thread, own in of_thread.items():
            self._extend(tracks, thread, [rows[i] for i in own], bytearray([kinds[i] for i in own]))

    def _extend(
        self,
        tracks: dict[ThreadKey, Track],
        thread: ThreadKey,
        rows: Sequence[Row],
        kinds: bytearray,
    ) -> None:
        track = tracks.get(thread)
        if track is None:
            track = self._new_track(tracks, thread)
        origin = self._origin_us or 0
        track.names += self._texts.pooled([row.name for row in rows])
        track.start_ns += [int((row.ts - origin) * 1000.0 + 0.5) for row in rows]
        track.duration_ns += [int(row.dur * 1000.0 + 0.5) for row in rows]
        track.kinds += kinds
        if kinds[0] == FRAME:
            return
        if not isinstance(rows[0], PlainRow):
            self._extend_arguments(track, [row.args for row in rows])  # type: ignore[misc]
        elif LAUNCH in kinds:
            chosen = zip(rows, kinds, strict=True)
            self._extend_arguments(
                track, [arguments(row) if kind == LAUNCH else NO_ARGS for row, kind in chosen]
            )
        elif track.external_ids is not None:
            self._extend_arguments(track, [NO_ARGS] * len(rows))

    def _new_track(self, tracks: dict[ThreadKey, Track], thread: ThreadKey) -> Track:
        """A thread's; beyond a sane number of threads, one for all further ones."""
        if len(tracks) >= _MOST_THREADS:
            thread = _FURTHER_THREADS
        elif isinstance(thread, str):
            thread = thread[:_LONGEST_THREAD]
        return tracks.setdefault(thread, Track(thread))

    def _extend_arguments(self, track: Track, of_rows: Sequence[LaunchArgs]) -> None:
        before = len(track) - len(of_rows)
        if track.correlations is None or track.external_ids is None:
            track.correlations = [0] * before
            track.external_ids = [0] * before
        track.correlations += [args.correlation for args in of_rows]
        track.external_ids += [
            args.external_id_now or args.external_id_before_111 for args in of_rows
        ]
        if self._details:
            self._extend_details(track, cast("Sequence[Args]", of_rows), before)

    def _extend_details(self, track: Track, of_rows: Sequence[Args], before: int) -> None:
        if track.sequences is None:
            track.sequences = [-1] * before
        track.sequences += [args.sequence for args in of_rows]
        track.shapes = self._extended(track.shapes, [args.shapes for args in of_rows], before)
        track.values = self._extended(track.values, [args.values for args in of_rows], before)
        track.types = self._extended(track.types, [args.types for args in of_rows], before)
        track.modules = self._extended(track.modules, [args.module for args in of_rows], before)
        track.stacks = self._extended(track.stacks, [args.stack for args in of_rows], before)

    def _extended(
        self, column: list[str] | None, cells: list[str | None] | list[Raw | UnsetType], before: int
    ) -> list[str] | None:
        """A column with more texts; it comes into being with the first row that has one."""
        texts: list[str] | None
        if not any(cells):  # None, UNSET, and texts that are empty
            texts = None
        elif isinstance(cells[0], (str, type(None))):
            texts = self._texts.pooled([cell or "" for cell in cells])
        else:
            texts = self._texts.decoded([b"" if cell is UNSET else bytes(cell) for cell in cells])
        if column is None:
            if texts is None:
                return None
            column = [""] * before
        column += texts or [""] * len(cells)
        return column

    def _take_device_events(self, rows: Sequence[Row]) -> None:
        sound = [row for row in rows if is_sound(row)]
        if len(sound) < len(rows):
            self._drop(len(rows) - len(sound))
        names = self._texts.pooled([row.name for row in sound])
        origin = self._origin_us or 0
        add = self._trace.device_events.append
        for row, name in zip(sound, names, strict=True):
            args = arguments(row)
            device, stream, size = args.device, args.stream, args.bytes
            add(
                DeviceEvent(
                    DEVICE_KIND[row.cat],
                    name,
                    int((row.ts - origin) * 1000.0 + 0.5),
                    int(row.dur * 1000.0 + 0.5),
                    (device if type(device) is int else whole(device)) or 0,
                    stream if type(stream) is int else stream_of(row.tid, whole(stream)),
                    args.correlation,
                    args.external_id_now or args.external_id_before_111,
                    size if type(size) is int else whole(size),
                    args.elements,
                    blocks_per_sm=sane(args.blocks_per_sm, MOST_BLOCKS),
                    occupancy_ratio=ratio(args.occupancy_percent),
                )
            )

    def _take_memory_event(self, row: Row) -> None:
        args = arguments(row)
        if not isinstance(args, Args) or args.memory_bytes is None or not abs(row.ts) < LATEST_US:
            self._drop(1)
            return
        self._trace.memory_events.append(
            MemoryEvent(
                row.tid,
                self._time(row),
                args.memory_bytes,
                on_device=(args.device_type or 0) != 0,
                address=args.address,
                device=max(0, args.device_id or 0),
                allocated_bytes=args.allocated_bytes,
                reserved_bytes=args.reserved_bytes,
            )
        )

    def _time(self, row: Row) -> int:
        return int((row.ts - (self._origin_us or 0)) * 1000.0 + 0.5)
