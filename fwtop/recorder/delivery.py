"""Moves a finished recording from where it was written to where it belongs."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from fwtop.recorder.writer import copy_whole


def deliver(source: Path, target: Path, plain: bool) -> tuple[str, str]:
    """Copy, make durable, rename, remove the source: (where it is now, what went wrong or '').

    `plain`: it is one file already, with no WAL beside it. If the target cannot be written, the
    recording stays where it is.
    """
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if plain:
            shutil.copyfile(source, part)
        else:
            copy_whole(source, part)
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        return str(source), f"{target}: {error.strerror or error}"
    source.unlink(missing_ok=True)
    return str(target), ""
