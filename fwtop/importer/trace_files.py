"""Which files make one run: what a user named, with folders looked through.

Owns file names: ranks and workers in them, and TensorBoard's layout of sessions. What a file is,
its content says.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fwtop.formatting import plural
from fwtop.traces.formats import RECORDING, WHAT_IS_READ, detect
from fwtop.traces.model import TraceError

MOST_FILES = 4_096
"""In one run; a folder with more is more likely no folder of traces."""
_DEEPEST = 8
_MOST_ENTRIES = 20_000
_LIKELY = (
    ".json", ".json.gz", ".pb", ".pb.gz", ".log", ".log.gz", ".sqlite", ".sqlite3", ".db",
)  # fmt: skip
_RANK = re.compile(r"(?:^|[^a-z])rank[_\-.=]?(\d{1,6})(?!\d)", re.IGNORECASE)
_WORKER = re.compile(r"^(?P<worker>.+?)(?:\.\d{10,20})?\.pt\.trace\.json(?:\.gz)?$")
_WORKER_PID = re.compile(r"_(\d{1,9})$")
_SESSIONS = "plugins/profile"


@dataclass(frozen=True, slots=True)
class TraceFile:
    """One file of a run."""

    path: Path
    format: str
    size_bytes: int
    rank: int | None
    """As its name, or its folder's name, tells."""
    worker: str
    """Files of the same worker are of one process, one window each."""
    worker_pid: int | None

    @property
    def name(self) -> str:
        """The file's name as text; its bytes may be none."""
        return _name(self.path)


@dataclass(frozen=True, slots=True)
class Found:
    """The files of a run, and what of the folders was left out, in words."""

    files: tuple[TraceFile, ...]
    left_out: tuple[str, ...]


def find(paths: Sequence[Path]) -> Found:
    """The traces that `paths` (files, folders) mean. Raises TraceError if there are none."""
    files: list[TraceFile] = []
    left_out: list[str] = []
    for path in paths:
        if path.is_dir():
            files += _in_folder(path, left_out)
        else:
            files.append(_trace_file(path, detect(path)))
    unique = {os.path.realpath(file.path): file for file in files}
    if len(unique) > MOST_FILES:
        what = f"{len(unique):,} traces are more than {MOST_FILES:,}"
        raise TraceError(paths[0], what, "Name those of one run.")
    return Found(tuple(unique.values()), tuple(left_out))


def rank_of(path: Path) -> int | None:
    """`rank_3`, `rank3` or `rank-3` in a file's name, or in its folder's."""
    for name in (path.name, path.parent.name):
        if found := _RANK.search(name):
            return int(found[1])
    return None


def _trace_file(path: Path, trace_format: str) -> TraceFile:
    name = path.name
    worker = matched["worker"] if (matched := _WORKER.match(name)) else name
    pid = _WORKER_PID.search(worker) if matched else None
    return TraceFile(
        path, trace_format, _size(path), rank_of(path), worker, int(pid[1]) if pid else None
    )


def _in_folder(folder: Path, left_out: list[str]) -> list[TraceFile]:
    candidates = _newest_session(sorted(_candidates(folder)), left_out)
    found = []
    for path in candidates:
        try:
            trace_format = detect(path)
        except TraceError as error:
            left_out.append(f"{_name(path)}: {error.what}")
            continue
        if trace_format != RECORDING:
            found.append(_trace_file(path, trace_format))
    if not found:
        what = "no trace is in this folder"
        if left_out:
            what += f" ({left_out[0]})"
        raise TraceError(folder, what, WHAT_IS_READ)
    return found


def _candidates(folder: Path) -> Iterator[Path]:
    looked_at = 0
    base = len(folder.parts)
    for at, folders, names in os.walk(folder):
        if len(Path(at).parts) - base >= _DEEPEST:
            folders.clear()
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            looked_at += 1
            if looked_at > _MOST_ENTRIES:
                return
            path = Path(at, name)
            if name.endswith(_LIKELY) and path.is_file():
                yield path


def _newest_session(paths: list[Path], left_out: list[str]) -> list[Path]:
    """TensorBoard keeps each capture in a folder of its own: the newest is the run that is meant.

    Its trace viewer's JSON is made from the XPlane file beside it, and says less.
    """
    sessions = {path.parent for path in paths if path.parent.as_posix().find(_SESSIONS) >= 0}
    if sessions:
        newest = max(sessions, key=lambda session: session.name)
        if len(sessions) > 1:
            earlier = plural(len(sessions) - 1, "earlier capture")
            left_out.append(f"{earlier}: name its folder to open it")
        paths = [path for path in paths if path.parent not in sessions - {newest}]
    with_xplane = {path.parent for path in paths if path.name.endswith(".xplane.pb")}
    return [
        path
        for path in paths
        if path.parent not in with_xplane or path.name.endswith((".xplane.pb", ".log"))
    ]


def _name(path: Path) -> str:
    return os.fsencode(path.name).decode("utf-8", "replace")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
