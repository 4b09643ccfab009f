"""The viewer in a real process on a real pseudo-terminal, seen through a terminal emulator."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from dataclasses import dataclass
from pathlib import Path

import pyte

VIEWER = """
import sys
from pathlib import Path
from fwtop.tui import app, terminal_app
if sys.argv[2] == "plain":
    terminal_app.diffed = lambda update, buffer: update
left = app.view(Path(sys.argv[1]), None)
print("status", left.exit_status)
"""
QUIET_S = 0.4
LIMIT_S = 30.0


@dataclass
class Seen:
    """What was left on the screen, and how much was written."""

    screen: pyte.Screen
    count: int
    raw: bytes
    last_words: str


def run_viewer(
    path: Path,
    keys: list[str],
    *,
    size: tuple[int, int] = (120, 40),
    plain: bool = False,
    environment: dict[str, str] | None = None,
) -> Seen:
    """Open a recording, press keys, each once the screen is quiet; then leave with q."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", VIEWER, str(path), "plain" if plain else "diff"],
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color", **(environment or {})},
    )  # fmt: skip
    os.close(slave)
    try:
        raw = _read(master, b"p95")
        for key in keys:
            os.write(master, key.encode())
            raw += _read(master)
        screen = pyte.Screen(*size)
        screen.set_mode(pyte.modes.LNM)
        stream = pyte.ByteStream(screen)
        stream.feed(raw.partition(b"\x1b[?1049h")[2].replace(b"\x1b[>25u", b""))
        os.write(master, b"\x1b")
        _read(master)
        os.write(master, b"q")
        words = _read(master, b"status")
        process.wait(LIMIT_S)
        return Seen(screen, len(raw), raw, words.decode(errors="replace"))
    finally:
        process.kill()
        process.wait()
        os.close(master)


def _read(master: int, wanted: bytes = b"") -> bytes:
    """What is written until it is quiet, and `wanted` has been seen."""
    raw = b""
    limit = time.monotonic() + LIMIT_S
    while time.monotonic() < limit:
        if select.select([master], [], [], QUIET_S)[0]:
            try:
                raw += os.read(master, 65536)
            except OSError:
                return raw
        elif wanted in raw:
            return raw
    raise AssertionError(f"never saw {wanted!r} in {raw[-2000:]!r}")
