"""A command on a terminal of its own: started, read, ended. How long until it has drawn something.

Owns the pseudo-terminal. What is drawn is looked for in the bytes, so a mark must be drawn in one
piece and one style.
"""

from __future__ import annotations

import contextlib
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Collection, Mapping, Sequence
from fcntl import ioctl
from types import TracebackType

from tests.benchmarks.commands import favour

PATIENCE_S = 60


class OnTerminal:
    """The command, until the block's end; its times by `time.perf_counter`."""

    def __init__(
        self,
        argv: Sequence[str],
        environ: Mapping[str, str],
        size: tuple[int, int] = (120, 40),
    ) -> None:
        self._master, slave = pty.openpty()
        ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        kept = {name: environ[name] for name in environ if name not in ("COLORTERM", "NO_COLOR")}
        self._started_s = time.perf_counter()
        self.process = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env={**kept, "TERM": "xterm-256color"},
        )  # fmt: skip
        os.close(slave)
        favour(self.process.pid)

    def __enter__(self) -> OnTerminal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    def drawn(self, marks: Collection[bytes]) -> float:
        """Seconds from the start until all marks have been drawn. Raises RuntimeError."""
        screen = b""
        while not all(mark in screen for mark in marks):
            waited = time.perf_counter() - self._started_s
            if waited > PATIENCE_S or self.process.poll() is not None:
                missing = [mark for mark in marks if mark not in screen]
                raise RuntimeError(f"no {missing} on the screen, but {screen[-2000:]!r}")
            screen += self._read(0.01)
        return time.perf_counter() - self._started_s

    def read_for(self, seconds: float) -> int:
        """How many bytes are drawn in that time."""
        count = 0
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            count += len(self._read(left))
        return count

    def _read(self, timeout_s: float) -> bytes:
        if select.select([self._master], [], [], timeout_s)[0]:
            with contextlib.suppress(OSError):  # Linux says so when the command has ended
                return os.read(self._master, 65536)
        return b""
