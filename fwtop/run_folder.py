"""A live run's folder: where its sockets, its shim's files and its unread trace windows lie.

Owns the names of the files and the folder's safety (0700, ours); must not interpret them.

    <tmp>/fwtop-<uid>/<run id>/
        launch.json     what to run: written once, by the command line, before anything starts
        recorder.json   pid of the recorder in charge, and the recording's path
        shim.json       pid of the shim, of the script, and when the script started
        exit.json       how the script ended; written by the shim, atomically, as its last act
        output-NNNNNN   the script's output with times, in segments; the recorder deletes read ones
        probe.sock      probes → recorder
        control.sock    viewers → recorder
        shim.sock       recorder → shim (signals, input, window size)
        windows/        trace windows on their way (on /dev/shm where there is one; there it holds
                        a link to this folder, so that it is known whose it is)
        recorder.log    the recorder's own stderr

The folder is on a local disk (Unix sockets and SQLite's shared memory need one), outside
XDG_RUNTIME_DIR, which logind empties when the user logs out.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAX_SOCKET_PATH = 100
"""sockaddr_un holds 108 bytes on Linux and 104 on macOS."""

OWNER = "run-folder"
"""The link from the windows' folder to the run's."""


class UnsafeFolderError(Exception):
    """The folder exists and is not ours alone; the text says what to do."""


@dataclass(frozen=True)
class RunFolder:
    """The paths of one live run."""

    path: Path

    @property
    def run_id(self) -> str:
        """The run's id, which is the folder's name."""
        return self.path.name

    @property
    def launch(self) -> Path:
        """What to run."""
        return self.path / "launch.json"

    @property
    def recorder(self) -> Path:
        """Who records."""
        return self.path / "recorder.json"

    @property
    def shim(self) -> Path:
        """Who holds the script."""
        return self.path / "shim.json"

    @property
    def exit(self) -> Path:
        """How the script ended."""
        return self.path / "exit.json"

    @property
    def probe_socket(self) -> Path:
        """Where probes connect."""
        return self.path / "probe.sock"

    @property
    def control_socket(self) -> Path:
        """Where viewers ask."""
        return self.path / "control.sock"

    @property
    def shim_socket(self) -> Path:
        """Where the recorder asks the shim."""
        return self.path / "shim.sock"

    @property
    def recorder_log(self) -> Path:
        """The recorder's stderr."""
        return self.path / "recorder.log"

    @property
    def windows(self) -> Path:
        """Where probes save trace windows: memory rather than disk, where there is /dev/shm."""
        shared = shared_windows()
        return self.path / "windows" if shared is None else shared / self.run_id

    def create(self) -> None:
        """Make the folders, 0700. Raises UnsafeFolderError or OSError."""
        for folder in (self.path, self.windows):
            _ensure_private(folder.parent)
            _ensure_private(folder)
        if self.windows.parent != self.path:
            with contextlib.suppress(FileExistsError):
                (self.windows / OWNER).symlink_to(self.path)

    def connect_shim(self) -> socket.socket | None:
        """A connection to the shim, whose end is the script's end; None if there is no shim."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(self.shim_socket))
        except OSError:
            connection.close()
            return None
        return connection

    def remove(self) -> None:
        """Remove the folder and the windows' one; what cannot be removed stays."""
        shutil.rmtree(self.windows, ignore_errors=True)
        shutil.rmtree(self.path, ignore_errors=True)


def root() -> Path:
    """The folder that holds the run folders of this user."""
    path = Path(tempfile.gettempdir()) / f"fwtop-{os.getuid()}"
    longest = len(str(path)) + 1 + len("20261123-101112-abcd") + len("/control.sock")
    return path if longest <= MAX_SOCKET_PATH else Path("/tmp") / path.name


def shared_windows() -> Path | None:
    """The folder in shared memory that holds the runs' trace windows; None where there is none."""
    shared = Path("/dev/shm")
    if shared.is_dir() and os.access(shared, os.W_OK):
        return shared / f"fwtop-{os.getuid()}"
    return None


def of(run_id: str) -> RunFolder:
    """The folder of a run, whether it exists or not."""
    return RunFolder(root() / run_id)


def existing() -> Iterator[RunFolder]:
    """Every run folder there is, newest first (ids begin with the start's date and time)."""
    try:
        names = sorted((entry.name for entry in root().iterdir() if entry.is_dir()), reverse=True)
    except FileNotFoundError:
        return
    for name in names:
        yield RunFolder(root() / name)


def _ensure_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise UnsafeFolderError(
            f"{folder} belongs to someone else; set TMPDIR to a folder of your own and try again"
        )
    if stat.S_IMODE(status.st_mode) & 0o077:
        folder.chmod(0o700)
