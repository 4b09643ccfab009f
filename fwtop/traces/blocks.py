"""Bounded reading of a JSON trace: from a plain or gzip file to pieces of whole events.

Owns the bounds on size and the cutting; it knows where an event begins and nothing else of the
format. A file of any size is read with a few pieces' worth of memory, and a gzip bomb ends at
`Limits.inflated_bytes`.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fwtop.traces.model import TraceError

_READ_BYTES = 1 << 18
_BRACES_TRIED = 10_000
_GZIP = b"\x1f\x8b"
_EVENTS = re.compile(rb'"traceEvents"\s*:\s*\[')
_EVENT_START = re.compile(rb'\{\s*"(?:ph|name|cat|pid|ts)"\s*:')


@dataclass(frozen=True, slots=True)
class Limits:
    """What a trace may cost at most. A file beyond a limit of size is refused with TraceError."""

    file_bytes: int = 1 << 30
    inflated_bytes: int = 4 << 30
    header_bytes: int = 16 << 20
    """What may come before the first event."""
    event_bytes: int = 16 << 20
    """One event; a longer one is damage."""
    events: int = 4_000_000
    """Rows kept, about 100 bytes of memory each; the rest is left out, and a note says so."""
    piece_bytes: int = 1 << 19


OnBytes = Callable[[int], None]
"""Called with how many bytes of the file have been read so far; may raise, to stop the reading."""


@dataclass(slots=True)
class Piece:
    """A stretch of the array of events: whole events, without the comma at its end."""

    array: bytearray
    """The events within brackets; the last piece's has no closing one of ours."""
    at_byte: int
    """Where it begins in the inflated file."""
    last: bool
    """It runs to the file's end: the array's `]` and what follows are in it, if they exist."""


class FileBlocks:
    """The bytes of a file, inflated where it is gzip, block by block; walked once.

    Afterwards `damage` says how it ended early, if it did. Raises TraceError for what cannot be
    read or is beyond the limits.
    """

    def __init__(self, path: Path, limits: Limits, on_bytes: OnBytes | None = None):
        self.path = path
        self.damage: str | None = None
        self._limits = limits
        self._on_bytes = on_bytes
        self._gzip = _is_gzip(path, limits)

    def __iter__(self) -> Iterator[bytes]:
        return self._inflate() if self._gzip else self._read()

    def _read(self) -> Iterator[bytes]:
        with _open(self.path) as file:
            while block := self._block(file):
                yield block

    def _block(self, file: BinaryIO) -> bytes:
        try:
            block = file.read(_READ_BYTES)
            at = file.tell()
        except OSError as error:
            self.damage = f"reading stopped ({error.strerror})"
            return b""
        if self._on_bytes is not None:
            self._on_bytes(at)
        return block

    def _inflate(self) -> Iterator[bytes]:
        total = 0
        with _open(self.path) as file:
            inflater = zlib.decompressobj(wbits=31)
            waiting = b""
            while True:
                waiting = waiting or self._block(file)
                if not waiting:
                    if not inflater.eof and self.damage is None:
                        self.damage = "the gzip stream ends early"
                    return
                if inflater.eof:
                    if not waiting.startswith(_GZIP):
                        return  # what follows the last member is padding
                    inflater = zlib.decompressobj(wbits=31)
                try:
                    block = inflater.decompress(waiting, _READ_BYTES)
                except zlib.error as error:
                    self.damage = f"the gzip stream is damaged near byte {file.tell():,} ({error})"
                    return
                waiting = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
                total += len(block)
                if total > self._limits.inflated_bytes:
                    raise TraceError(
                        self.path,
                        f"it inflates to more than {self._limits.inflated_bytes:,} bytes",
                        "Trace fewer steps, or raise the limit.",
                    )
                if block:
                    yield block


class EventArray:
    """The array of events of one file.

    `header` is the text before it. `pieces` may be walked once; afterwards `damage` is known.
    """

    def __init__(self, path: Path, limits: Limits, on_bytes: OnBytes | None = None):
        self.path = path
        self._damage: str | None = None
        self._limits = limits
        self._file = FileBlocks(path, limits, on_bytes)
        self._blocks = iter(self._file)
        self._start, self.header, self._rest = self._find_events()

    @property
    def damage(self) -> str | None:
        """How the file ended early; None if it did not."""
        return self._damage or self._file.damage

    def pieces(self) -> Iterator[Piece]:
        """The events, in pieces of about `piece_bytes`. Raises TraceError beyond the limits."""
        at, held, parts = self._start, len(self._rest), [self._rest]
        target = self._limits.piece_bytes
        for block in self._blocks:
            parts.append(block)
            held += len(block)
            if held < target:
                continue
            array = bytearray().join((b"[", *parts))
            cut = _last_boundary(array)
            if cut is None:
                parts, target = [bytes(array[1:])], held * 2
                if held > self._limits.event_bytes + self._limits.piece_bytes:
                    self._damage = f"no event begins in the {held:,} bytes after byte {at:,}"
                    yield Piece(array, at, last=True)
                    return
                continue
            end, start = cut
            parts, held = [bytes(array[start:])], len(array) - start
            array[end:] = b"]"
            yield Piece(array, at, last=False)
            at += start - 1
            target = max(self._limits.piece_bytes, held * 2)
        yield Piece(bytearray().join((b"[", *parts)), at, last=True)

    def _find_events(self) -> tuple[int, bytes, bytes]:
        head = b""
        for block in self._blocks:
            head += block
            if head.lstrip()[:1] == b"[":  # the bare array form of the trace event format
                start = head.index(b"[") + 1
                return start, b"", head[start:]
            if found := _EVENTS.search(head):
                return found.end(), head[: found.start()], head[found.end() :]
            if len(head) > self._limits.header_bytes:
                break
        what = "the file is empty" if not head else 'there is no "traceEvents" array in it'
        if self.damage:
            what += f" ({self.damage})"
        raise TraceError(self.path, what, "Give a Kineto or Chrome trace (.json, .json.gz).")


def _last_boundary(text: bytearray) -> tuple[int, int] | None:
    """Where the last event but one ends and the last begins; None where there are no two."""
    brace = len(text)
    for _ in range(_BRACES_TRIED):
        brace = text.rfind(b"{", 0, brace)
        if brace <= 0:
            return None
        if _EVENT_START.match(text, brace):
            first = max(0, brace - 256)
            before = text[first:brace].rstrip()
            if before.endswith(b",") and before[:-1].rstrip().endswith(b"}"):
                return first + len(before) - 1, brace
    return None


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from error


def _is_gzip(path: Path, limits: Limits) -> bool:
    """Whether it is gzip; raises TraceError for what is no file or is too large."""
    try:
        if not path.is_file():
            what = "it is no regular file" if path.exists() else "there is no such file"
            raise TraceError(path, what, "Check the path.")
        size = path.stat().st_size
        with path.open("rb") as file:
            magic = file.read(2)
    except OSError as error:
        raise _unreadable(path, error) from error
    if size > limits.file_bytes:
        raise TraceError(
            path,
            f"it has {size:,} bytes, more than {limits.file_bytes:,}",
            "Trace fewer steps, or raise the limit.",
        )
    return magic == _GZIP


def _unreadable(path: Path, error: OSError) -> TraceError:
    return TraceError(path, f"it cannot be read ({error.strerror})", "Check path and permissions.")


_ENDS = (bytearray(b"}"), bytearray(b","), bytearray(b""))
"""What the array's `]` may come after."""


def split_end(array: bytearray) -> tuple[bytearray, bytes | None]:
    """The rows within brackets and what follows the array's `]`; None where it does not end."""
    end = array.rfind(b"]")
    while end > 1 and array[max(0, end - 4096) : end].rstrip()[-1:] not in _ENDS:
        end = array.rfind(b"]", 0, end)
    if end < 0:
        return array + b"]", None
    return array[:end].rstrip().removesuffix(b",") + b"]", bytes(array[end + 1 :])
