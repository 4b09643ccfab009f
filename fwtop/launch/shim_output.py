"""Where the script's output goes: segments for the recorder, and the launcher's own descriptors.

A part of the shim: standard library only, few imports.
"""

# ruff: noqa: PTH110
# pathlib would cost more to import than all the rest.

from __future__ import annotations

import errno
import os
import struct
import time

FRAME = struct.Struct("<QBI")
"""Monotonic ns, stream (1 stdout or terminal, 2 stderr, 3 SIZE), length of what follows."""
SIZE = 3
"""The stream that says where in the output the terminal's size changed: `ROWS COLUMNS\\n`."""
SEGMENT_BYTES = 4 << 20
SPOOL_SEGMENTS = 128
"""Unread output is kept up to this many segments; a recorder that is away may not fill the disk."""
TERMINAL_PENDING_BYTES = 1 << 20
"""What a terminal has not taken yet; more is skipped: a stopped terminal does not stop training."""
PIPE_CHUNK = 4096
"""A pipe that polls writable takes this much without blocking (PIPE_BUF)."""


class Spool:
    """The output segments. A failed write loses its bytes, counts them, and is no failure."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.number = -1
        self.file: int | None = None
        self.size = 0
        self.bytes_lost = 0

    def _path(self, number: int) -> str:
        return os.path.join(self.folder, f"output-{number:06d}")

    def _rotate(self) -> int:
        behind = self.number + 1 - SPOOL_SEGMENTS
        if behind >= 0 and os.path.exists(self._path(behind)):
            raise OSError(errno.ENOSPC, "nobody reads the output")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        file = os.open(self._path(self.number + 1), flags, 0o600)
        if self.file is not None:
            os.close(self.file)
        self.file, self.size = file, 0
        self.number += 1
        return file

    def add(self, stream: int, data: bytes) -> None:
        """Append one frame."""
        frame = FRAME.pack(time.monotonic_ns(), stream, len(data)) + data
        try:
            file = self.file
            if file is None or self.size >= SEGMENT_BYTES:
                file = self._rotate()
            view = memoryview(frame)
            while view:
                view = view[os.write(file, view) :]
            self.size += len(frame)
        except OSError:
            self.bytes_lost += len(data)
            try:  # a torn frame would make what follows unreadable
                if self.file is not None:
                    os.ftruncate(self.file, self.size)
            except OSError:
                pass


class Copy:
    """The way to one of the launching command's own descriptors."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor: int | None = descriptor
        self.pending = bytearray()
        self.terminal = os.isatty(descriptor)
        if self.terminal:
            # An open file of our own, so that O_NONBLOCK does not reach the user's shell.
            flags = os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK
            try:
                self.descriptor = os.open(os.ttyname(descriptor), flags)
            except OSError:
                self.terminal = False

    def add(self, data: bytes) -> None:
        """Queue output."""
        if self.descriptor is None:
            return
        if not self.terminal or len(self.pending) + len(data) <= TERMINAL_PENDING_BYTES:
            self.pending += data

    def flush(self) -> None:
        """Called when the descriptor polls writable, or is broken."""
        if self.descriptor is None:
            return
        try:
            size = len(self.pending) if self.terminal else PIPE_CHUNK
            del self.pending[: os.write(self.descriptor, self.pending[:size])]
        except BlockingIOError:
            pass
        except OSError:  # the reader has gone: EPIPE, EIO, a full disk
            self.descriptor = None
            self.pending.clear()

    @property
    def full(self) -> bool:
        """Whether the script has to wait, as it would for this pipe without fwtop."""
        return not self.terminal and len(self.pending) > 0
