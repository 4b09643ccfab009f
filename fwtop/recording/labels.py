"""Changing a recording's name and tags, the only columns that are written after its end.

The layout, the mode and the rest of the rows stay as they are. One transaction, so that a process
that dies half-way leaves the old labels.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from fwtop.recording.store import RecordingError, open_recording

BUSY_MS = 2000
SET_LABELS = "UPDATE run SET name = ?, tags = ?"
"""Takes a `labels_row`."""


def labels_row(name: str | None, tags: Sequence[str]) -> tuple[str | None, str]:
    """Name and tags as the table `run` has them."""
    return name, json.dumps(list(tags), ensure_ascii=False)


def write_labels(path: Path, name: str | None, tags: Sequence[str]) -> None:
    """Set name and tags of a recording that no recorder writes. Raises RecordingError."""
    open_recording(path).close()
    _check_writable(path)
    try:
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=rw", uri=True, isolation_level=None
        )
    except sqlite3.Error as error:
        text = f"{path}: cannot be changed: {error}"
        raise RecordingError(text, "check its permissions") from error
    try:
        connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute("BEGIN IMMEDIATE")
        _refuse_foreign_code(path, connection)
        connection.execute(SET_LABELS, labels_row(name, tags))
        connection.execute("COMMIT")
    except (sqlite3.Error, UnicodeError) as error:
        busy = "locked" in str(error) or "busy" in str(error)
        raise RecordingError(
            f"{path}: the labels cannot be written: {error}",
            "another program is writing to it; try again" if busy else "the old ones are kept",
        ) from error
    finally:
        connection.close()


def _check_writable(path: Path) -> None:
    """SQLite opens what it may not write, silently, for reading; and it needs a journal beside."""
    for place in (path, path.resolve().parent):
        if not os.access(place, os.W_OK):
            raise RecordingError(
                f"{path} cannot be changed: {place} is read-only",
                "copy it to a folder of your own and change the copy",
            )


def _refuse_foreign_code(path: Path, connection: sqlite3.Connection) -> None:
    """A trigger would run with the update; no recorder of fwtop's makes one."""
    found = connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'trigger'")
    if found.fetchone()[0]:
        raise RecordingError(
            f"{path} holds triggers, which no recording of fwtop's does", "it is left as it is"
        )
