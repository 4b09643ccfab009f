"""Reads the logs that PyTorch writes under TORCH_TRACE, whole and damaged, into compile events.

Format (torch/_logging/_internal.py): a record is a line `V1120 13:24:14.123456 PID FILE:LINE] {…}`
and, where its JSON has `has_payload`, the payload's lines after it, each after a tab; `has_payload`
is the payload's MD5. The line's time is the writer's local one and has no year: Chromium events in
the payloads carry unix time, and the first of them tells the difference.

What a record means, `fwtop_profilers.torch.compile_records` says, live or here.
"""

from __future__ import annotations

import json
import re
from calendar import timegm
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import md5
from pathlib import Path
from time import gmtime
from typing import Any

import msgspec

from fwtop.traces.blocks import FileBlocks, Limits, OnBytes
from fwtop.traces.model import TracedProcess, TraceError
from fwtop_profilers.torch.compile_records import CompileEvent, CompileRecords, Sink

MOST_EVENTS = 200_000
"""Kept of one log; what comes later is left out, and a note says so."""
MOST_NOTES = 20
"""Damaged lines told one by one; the rest are counted."""
_HEADER = re.compile(
    rb"[VDIWE](\d\d)(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))? (\d{1,10})"
    rb" [^\]\n]{0,1024}\] ?(?=[{])"
)
_UNIX_US = re.compile(rb'"ts": ?(\d{15,16})(?:\.(\d{1,3}))?')
_PACKAGE = re.compile(r"(.*[/\\]torch[/\\])_(?:dynamo|logging|inductor|compile)\b")
_HEAD_BYTES = 4 << 20
_ZONE_S = 900
"""Time zones differ by quarters of an hour."""
_WANTED = ("chromium_event", "artifact")
"""Records whose payload says something here; graphs and code are large and are not kept."""
_MOST_PAYLOAD_BYTES = 16 << 20
_DEFAULT_LIMITS = Limits()
_DAMAGED = (LookupError, ValueError, TypeError, AttributeError, RecursionError, OverflowError)


@dataclass(slots=True)
class CompileLog:
    """The compile events of one process, with their times in unix ns."""

    process: TracedProcess
    events: list[CompileEvent] = field(default_factory=list)
    begin_unix_ns: int = 0
    end_unix_ns: int = 0
    record_count: int = 0
    notes: list[str] = field(default_factory=list)
    """What of the log was damaged or left out, in words, with the line."""


def read(
    path: Path, limits: Limits = _DEFAULT_LIMITS, on_bytes: OnBytes | None = None
) -> CompileLog:
    """The compile events in a TORCH_TRACE log (may be gzip).

    What is damaged is left out and told of in `notes` by its line; what comes after it is read.
    Raises TraceError for a file that has no record, cannot be read, or exceeds `limits`.
    """
    offset_s = _to_unix(path, limits)
    blocks = FileBlocks(path, limits, on_bytes)
    log = _Log(offset_s)
    for number, line in _lines(blocks, limits.event_bytes):
        log.take_line(number, line)
    return log.finish(path, blocks.damage)


@dataclass(slots=True)
class _Record:
    """A record whose payload is being gathered."""

    line: int
    metadata: dict[str, Any]
    at_ns: int
    pid: int
    checksum: str | None
    digest: Any = field(default_factory=lambda: md5(usedforsecurity=False))
    payload_lines: int = 0
    payload_bytes: int = 0
    payload: list[bytes] = field(default_factory=list)
    wanted: bool = False

    def add(self, line: bytes) -> None:
        """A line of the payload, without its tab."""
        self.digest.update(b"\n" + line if self.payload_lines else line)
        self.payload_lines += 1
        self.payload_bytes += len(line) + 1
        if self.wanted and self.payload_bytes < _MOST_PAYLOAD_BYTES:
            self.payload.append(line)


class _Events(Sink):
    """Keeps the last word on each event."""

    def __init__(self) -> None:
        self.of: dict[str, CompileEvent] = {}
        self.left_out = 0

    def send(self, event: CompileEvent) -> None:
        if event.key in self.of or len(self.of) < MOST_EVENTS:
            self.of[event.key] = event
        else:
            self.left_out += 1


class _Log:
    """Takes a log's lines in order."""

    def __init__(self, offset_s: int) -> None:
        self._offset_s = offset_s
        self._events = _Events()
        self._records = CompileRecords(self._events, "\0", lambda number: None)
        self._open: _Record | None = None
        self._skipping = False
        self._log = CompileLog(TracedProcess(framework="torch"))
        self._damaged = 0

    def take_line(self, number: int, line: bytes | None) -> None:
        """A line without its end; None for one that is too long to be any."""
        if line is None:
            self._close()
            self._damage(number, "it is too long for a record")
            self._skipping = True
        elif line.startswith(b"\t"):
            if self._open is not None:
                self._open.add(line[1:])
            elif not self._skipping:
                self._damage(number, "a payload without its record")
                self._skipping = True  # once for all of its lines
        elif line:
            self._close()
            self._begin(number, line)

    def finish(self, path: Path, damage: str | None) -> CompileLog:
        """Everything read, with notes of what is missing."""
        self._close()
        log = self._log
        if not log.record_count:
            what = "no record of PyTorch's structured trace is in it"
            if log.notes:
                what += f" ({log.notes[0]})"
            raise TraceError(path, what, "Give a log that TORCH_TRACE=FOLDER wrote.")
        log.events = sorted(self._events.of.values(), key=lambda event: event.start_ns)
        if self._damaged > MOST_NOTES:
            log.notes.append(f"and {self._damaged - MOST_NOTES:,} damaged lines more")
        if self._events.left_out:
            log.notes.append(f"only the first {MOST_EVENTS:,} events were read")
        if damage:
            log.notes.append(f"the file is truncated ({damage}); what was whole was read")
        return log

    def _begin(self, number: int, line: bytes) -> None:
        self._skipping = True
        header = _HEADER.match(line)
        if header is None:
            self._damage(number, "it is no record")
            return
        at_ns = _line_ns(header, self._offset_s)
        metadata = _metadata(line[header.end() :])
        if at_ns is None or metadata is None:
            self._damage(number, "its time is none" if at_ns is None else "its JSON is damaged")
            return
        self._skipping = False
        checksum = metadata.get("has_payload")
        self._open = _Record(
            number,
            metadata,
            at_ns,
            int(header[7]),
            checksum if isinstance(checksum, str) else None,
            wanted=any(kind in metadata for kind in _WANTED),
        )

    def _close(self) -> None:
        """The open record is complete: its payload has come, as far as it does."""
        record, self._open = self._open, None
        if record is None:
            return
        text = b"\n".join(record.payload).decode("utf-8", "replace")
        if record.checksum is not None and record.digest.hexdigest() != record.checksum:
            self._damage(record.line, _what_is_wrong(record, text))
        at_ns = record.at_ns
        if "chromium_event" in record.metadata and (exact := _UNIX_US.search(text.encode())):
            at_ns = int(exact[1]) * 1000 + int((exact[2] or b"0").ljust(3, b"0"))
        self._note_process(record, at_ns)
        try:
            self._learn_package(record.metadata)
            self._records.take(record.metadata, text, at_ns, record.pid)
        except _DAMAGED:
            self._damage(record.line, "its fields are not what they should be")
            return
        self._log.record_count += 1

    def _note_process(self, record: _Record, at_ns: int) -> None:
        log = self._log
        log.begin_unix_ns = min(log.begin_unix_ns or at_ns, at_ns)
        log.end_unix_ns = max(log.end_unix_ns, at_ns)
        if log.process.pid is None:
            log.process = replace(log.process, pid=record.pid)
        rank = record.metadata.get("rank")
        if log.process.rank is None and type(rank) is int and 0 <= rank < 1 << 31:
            log.process = replace(log.process, rank=rank)

    def _learn_package(self, metadata: dict[str, Any]) -> None:
        """Where the writer's PyTorch lay: its own frames are no user's."""
        interned = metadata.get("str")
        if isinstance(interned, list) and interned and isinstance(interned[0], str):
            found = _PACKAGE.match(interned[0][:4096])
            if found:
                self._records.package = found[1]

    def _damage(self, number: int, what: str) -> None:
        self._damaged += 1
        if self._damaged <= MOST_NOTES:
            self._log.notes.append(f"line {number:,}: {what}")


def _lines(blocks: FileBlocks, longest: int) -> Iterator[tuple[int, bytes | None]]:
    """The lines with their numbers, from 1; None for one longer than `longest`."""
    number, rest, too_long = 0, b"", False
    for block in blocks:
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        for line in lines:
            number += 1
            yield number, None if too_long else line.removesuffix(b"\r")
            too_long = False
        if len(rest) > longest:
            rest, too_long = b"", True
    if rest or too_long:
        yield number + 1, None if too_long else rest.removesuffix(b"\r")


def _metadata(text: bytes) -> dict[str, Any] | None:
    try:
        metadata = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None
    return metadata if isinstance(metadata, dict) else None


def _what_is_wrong(record: _Record, text: str) -> str:
    """A payload's damage, with its line where JSON tells one."""
    what = "its payload is damaged"
    if record.wanted and text.startswith("{"):
        try:
            json.loads(text)
        except json.JSONDecodeError as error:
            what += f" near line {record.line + error.lineno:,} ({error.msg})"
        except (RecursionError, ValueError):
            pass
    return what


def _line_ns(header: re.Match[bytes], offset_s: int) -> int | None:
    """A header's time in unix ns; None for one that is no time."""
    month, day, hour, minute, second = (int(header[group]) for group in range(1, 6))
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 61):
        return None
    fraction_us = int((header[6] or b"0").ljust(6, b"0"))
    seconds = timegm((_YEAR, month, day, hour, minute, second))
    return (seconds + offset_s) * 1_000_000_000 + fraction_us * 1000


_YEAR = 2000
"""Lines are read as of this (leap) year; the offset makes it the right one."""


def _to_unix(path: Path, limits: Limits) -> int:
    """Seconds from a line's time, read as UTC of `_YEAR`, to unix time.

    From the first Chromium event, to the quarter of an hour; else from the file's own time, to the
    year.
    """
    head = b""
    for block in FileBlocks(path, limits):
        head += block
        if len(head) >= _HEAD_BYTES:
            break
    at: int | None = None
    for line in head.split(b"\n"):
        header = _HEADER.match(line)
        if header is not None:
            at = _line_ns(header, 0)
        elif at is not None and (exact := _UNIX_US.search(line)):
            difference_s = int(exact[1]) / 1e6 - at / 1e9
            return round(difference_s / _ZONE_S) * _ZONE_S
    return _years_to(path.stat().st_mtime, at)


def _years_to(written_s: float, at_ns: int | None) -> int:
    """Whole years to the last one in which a line's time is before the file's."""
    if at_ns is None:
        return 0
    then = gmtime(at_ns // 1_000_000_000)
    year = gmtime(written_s).tm_year
    while timegm((year, *then[1:6])) > written_s + 86_400 and year > 1970:
        year -= 1
    return timegm((year, *then[1:6])) - timegm((_YEAR, *then[1:6]))
