"""Moves a finished recording from where it was written to where it belongs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def deliver(source: Path, target: Path) -> tuple[str, str]:
    """Copy, make durable, rename, remove the source: (where it is now, what went wrong or '').

    If the target cannot be written, the recording stays where it is.
    """
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with source.open("rb") as read, part.open("wb") as write:
            shutil.copyfileobj(read, write, 1 << 20)
            write.flush()
            os.fsync(write.fileno())
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        return str(source), f"{target}: {error.strerror}"
    source.unlink(missing_ok=True)
    return str(target), ""
