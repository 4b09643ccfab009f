"""Opening and creating recordings: file, version, mode. No query of a subject lives here.

A reader opens read-only and sees commits as they come (WAL while live). `Recording.version()` is
`PRAGMA data_version`: it changes when the writer has committed, so a poll costs microseconds.
"""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from fwtop.recording.schema import ADDED, APPLICATION_ID, SCHEMA_VERSION, TABLES

SUFFIX = ".fwtop"


class RecordingError(Exception):
    """A recording cannot be used: `str()` says what is wrong, `next` what to do."""

    def __init__(self, text: str, next: str = "") -> None:
        super().__init__(text)
        self.next = next


class Recording:
    """A recording opened for reading. Use as a context manager, or call `close`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self.connection = connection

    def version(self) -> int:
        """A number that changes whenever the recorder has committed something new."""
        return int(self.connection.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        """Let go of the file, so that the recorder can leave WAL mode."""
        self.connection.close()

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_recording(path: Path) -> Recording:
    """Open for reading. Raises RecordingError for what is missing, foreign, damaged or newer."""
    if not path.exists():
        raise RecordingError(f"{path}: no such file", "`fwtop ls` lists the recordings at hand")
    if path.is_dir():
        raise RecordingError(f"{path} is a folder, not a recording", "name a file in it")
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror}", "check its permissions") from error
    if not header.startswith(b"SQLite format 3\0"):
        raise RecordingError(f"{path} is not a recording of fwtop's", "expected an SQLite file")
    with ExitStack() as undo:
        connection = _connect(path)
        undo.callback(connection.close)
        _check(path, connection)
        undo.pop_all()
    return Recording(path, connection)


def create_recording(path: Path) -> sqlite3.Connection:
    """A new recording, in WAL mode, for the one writer. Raises RecordingError if it cannot be."""
    if path.exists():
        raise RecordingError(f"{path} exists already", "choose another name with -o, or remove it")
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        # Nothing is in the file yet that a power cut could take: the layout needs no fsync.
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        layout = TABLES + _added_since(1, temporary=False)
        connection.executescript(f"BEGIN;{layout}PRAGMA user_version={SCHEMA_VERSION};COMMIT;")
        _set_writer_modes(connection)
    except sqlite3.Error as error:
        raise RecordingError(
            f"{path}: cannot create the recording: {error}",
            "choose another place with -o, or set XDG_STATE_HOME",
        ) from error
    return connection


def reopen_for_writing(path: Path) -> sqlite3.Connection:
    """An existing recording for a new writer, whose earlier one died."""
    open_recording(path).close()
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    _set_writer_modes(connection)
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version < SCHEMA_VERSION:
        added = _added_since(version, temporary=False)
        connection.executescript(f"BEGIN;{added}PRAGMA user_version={SCHEMA_VERSION};COMMIT;")
    return connection


def _added_since(version: int, temporary: bool) -> str:
    """The statements that make the tables which versions after `version` added."""
    kind = "TEMPORARY" if temporary else ""
    return "".join(
        tables.format(temporary=kind) for number, tables in ADDED.items() if number > version
    )


def _set_writer_modes(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA busy_timeout=5000")


def _connect(path: Path) -> sqlite3.Connection:
    """Read-only; immutable where WAL's shared memory cannot be made (read-only media)."""
    last: Exception | None = None
    for mode in ("mode=ro", "mode=ro&immutable=1"):
        try:
            connection = sqlite3.connect(
                f"{path.resolve().as_uri()}?{mode}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            last = error
            continue
        try:
            connection.execute("PRAGMA busy_timeout=2000")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return connection
        # SQLite quotes a damaged schema in its message, which then need not be UTF-8.
        except (sqlite3.Error, UnicodeDecodeError) as error:
            connection.close()
            last = error
    raise RecordingError(f"{path}: cannot be read: {last}", "the file is damaged or incomplete")


def _check(path: Path, connection: sqlite3.Connection) -> None:
    try:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if application != APPLICATION_ID:
            raise RecordingError(f"{path} is an SQLite file, but no recording of fwtop's")
        if version > SCHEMA_VERSION:
            raise RecordingError(
                f"{path} was written by a newer fwtop (schema {version}, this one reads up to "
                f"{SCHEMA_VERSION})",
                "upgrade fwtop: pip install --upgrade fwtop",
            )
        if connection.execute("SELECT count(*) FROM run").fetchone()[0] != 1:
            raise RecordingError(f"{path} was abandoned before its run started", "remove it")
        connection.executescript(_added_since(version, temporary=True))
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise RecordingError(f"{path} is damaged: {error}", "nothing of it can be read") from error
