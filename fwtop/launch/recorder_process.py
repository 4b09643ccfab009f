"""Starting a recorder in a process of its own, and hearing from it.

Owns the connection between the command line and the recorder; imports nothing of the recorder's,
which loads in its own time, beside us.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fwtop.run_folder import RunFolder

_RECORDER = Path(__file__).resolve().parent.parent / "recorder" / "__main__.py"


class RecorderError(Exception):
    """The recorder could not start; `next` says what to do."""

    def __init__(self, text: str, next: str = "") -> None:
        super().__init__(text)
        self.next = next


@dataclass(frozen=True)
class Finished:
    """The recorder's last words."""

    state: str
    exit_status: int | None
    exit_signal: int | None
    error: str | None
    recording: str
    stored: bool
    problem: str


class RecorderProcess:
    """A recorder that we started. It goes on without us."""

    def __init__(self, resume: bool = False) -> None:
        """Start its process, which loads while we look for what to run; raises OSError."""
        ours, theirs = socket.socketpair()
        arguments = [str(theirs.fileno()), *(["--resume"] if resume else [])]
        silent = subprocess.DEVNULL if resume else None
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, str(_RECORDER), *arguments],
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                stdin=silent,
                stdout=silent,
                stderr=silent,
            )
        self._socket = ours
        self.descriptor = ours.fileno()
        """Readable when it has said something, and when it is gone."""
        self.finished: Finished | None = None
        self.gone = False
        self.script_pid: int | None = None
        self._buffer = b""

    def begin(self, folder: RunFolder) -> None:
        """Let it start the run (or take it over), and wait until the script has started.

        Raises RecorderError if it never will.
        """
        try:
            self._socket.sendall(os.fsencode(folder.path) + b"\n")
        except OSError as error:
            raise RecorderError(f"the recorder ended before it was asked: {error}") from error
        while self.script_pid is None and self.finished is None:
            if self.gone:
                raise RecorderError(
                    "the recorder ended before it was ready", "its recorder.log says why"
                )
            self.hear()

    def hear(self) -> None:
        """Take what it says; blocks until there is something. Raises RecorderError."""
        data = self._socket.recv(65536)
        self._buffer += data
        while b"\n" in self._buffer:
            line, _, self._buffer = self._buffer.partition(b"\n")
            self._take(json.loads(line))
        if not data:
            self.gone = True
            self._process.poll()

    def _take(self, body: dict[str, Any]) -> None:
        event = body.pop("event")
        if event == "ready":
            self.script_pid = int(body["script_pid"])
        elif event == "finished":
            self.finished = Finished(**body)
        elif event == "error":
            raise RecorderError(body["text"], body["next"])

    def let_go(self) -> None:
        """Listen no more. It goes on, or ends if it has not begun."""
        self._socket.close()
