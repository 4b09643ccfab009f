"""Remove recordings, and what is left of runs that died."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from pathlib import Path

from fwtop import run_folder
from fwtop.cli.diagnostics import Code, Failure, say
from fwtop.cli.listing import find
from fwtop.cli.live import has_recorder, has_shim
from fwtop.recording.store import SUFFIX, RecordingError, open_recording
from fwtop.run_folder import RunFolder


def configure(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("run", nargs="+", metavar="RUN", help="a run's id, or a recording's file")


def main(arguments: Namespace) -> int:
    """Exit status 0. Raises Failure at the first that cannot be removed."""
    for word in arguments.run:
        _remove(word)
    return 0


def _remove(word: str) -> None:
    folder = _folder_of(word)
    if folder is not None:
        if has_shim(folder) or has_recorder(folder):
            raise Failure(
                Code.NO_RUN,
                f"{folder.run_id} is alive",
                f"stop it first: fwtop stop {folder.run_id}",
            )
        folder.remove()
        say(f"removed {folder.path}")
    try:
        path = find(word)
    except Failure:
        if folder is not None:
            return
        raise
    _remove_recording(path)


def _folder_of(word: str) -> RunFolder | None:
    exact = [one for one in run_folder.existing() if one.run_id in (word, Path(word).stem)]
    return exact[0] if exact else None


def _remove_recording(path: Path) -> None:
    try:
        open_recording(path).close()
    except RecordingError as error:
        if path.suffix != SUFFIX or not path.is_file():
            raise Failure(Code.RECORDING, str(error), "only recordings are removed") from error
    try:
        for name in (f"{path}-wal", f"{path}-shm", str(path)):
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        text = f"{path}: {os.strerror(error.errno or 0)}"
        raise Failure(Code.RECORDING, text, "check its permissions") from error
    say(f"removed {path}")
