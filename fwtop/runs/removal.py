"""Removing recordings of runs that are over, with their run folders, and what runs left lying.

Nothing of a run that may be alive is touched, nor a file that is no recording.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fwtop import run_folder
from fwtop.launch import spec as launch_spec
from fwtop.queries.run import get_run
from fwtop.recording.store import SUFFIX, RecordingError, open_recording
from fwtop.run_folder import RunFolder
from fwtop.runs import liveness
from fwtop.runs.listed import ListedRun, files_of, recency, recording_of

SETTLED_S = 600.0
"""A folder that was written to since is left alone: its run may only just begin, or end."""
UNOWNED_S = 86_400.0
"""The same for trace windows that do not say whose they are."""


class RemovalError(Exception):
    """It stays: `str()` says what and why, `next` what to do."""

    def __init__(self, text: str, next: str = "") -> None:
        super().__init__(text)
        self.next = next


@dataclass(frozen=True)
class Stray:
    """A folder whose run is gone."""

    path: Path
    size_bytes: int


def remove(run: ListedRun) -> int:
    """Remove a run's recording and its run folder; the bytes that this freed. Raises RemovalError.

    The recording goes first: if it has to stay, so does what only the run folder holds of it.
    """
    folder = run.folder
    if run.live or (folder is not None and liveness.any_alive(folder)):
        raise RemovalError(f"{run.id} is alive", f"stop it first: fwtop stop {run.id}")
    freed = _remove_recording(Path(run.path)) if Path(run.path).exists() else 0
    if folder is not None:
        freed += remove_folder(folder)
    return freed


def remove_folder(folder: RunFolder) -> int:
    """Remove a run folder and the run's trace windows; the bytes that this freed."""
    freed = tree_bytes(folder.path)
    if folder.windows.parent != folder.path:
        freed += tree_bytes(folder.windows)
    folder.remove()
    return freed


def to_prune(runs: Iterable[ListedRun], kept_bytes: int) -> list[ListedRun]:
    """The oldest runs to remove so that the others take at most `kept_bytes` together.

    Live ones count, and stay.
    """
    known = [one for one in runs if one.size_bytes is not None]
    excess = sum(one.size_bytes or 0 for one in known) - kept_bytes
    chosen = []
    for one in sorted(known, key=recency):
        if excess <= 0:
            break
        if not one.live:
            chosen.append(one)
            excess -= one.size_bytes or 0
    return chosen


def strays(now_s: float | None = None) -> Iterator[Stray]:
    """Run folders, and folders of trace windows in memory, whose runs are gone."""
    now_s = time.time() if now_s is None else now_s
    for folder in run_folder.existing():
        if _newest_s(folder.path) < now_s - SETTLED_S and _is_over(folder):
            yield Stray(folder.path, tree_bytes(folder.path))
            if folder.windows.parent != folder.path and folder.windows.is_dir():
                yield Stray(folder.windows, tree_bytes(folder.windows))
    shared = run_folder.shared_windows()
    if shared is None or not _is_ours(shared):
        return
    for windows in sorted(shared.iterdir()):
        if windows.is_dir() and not windows.is_symlink() and _is_unowned(windows, now_s):
            yield Stray(windows, tree_bytes(windows))


def sweep(found: Iterable[Stray]) -> int:
    """Remove strays; the bytes that this freed."""
    freed = 0
    for stray in found:
        shutil.rmtree(stray.path, ignore_errors=True)
        if not stray.path.exists():
            freed += stray.size_bytes
    return freed


def tree_bytes(folder: Path) -> int:
    """Bytes of the files below a folder; what cannot be read counts nothing."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(where) / name).lstat().st_size
            except OSError:
                pass
    return total


def _remove_recording(path: Path) -> int:
    try:
        open_recording(path).close()
    except RecordingError as error:
        if path.suffix != SUFFIX or not path.is_file():
            raise RemovalError(str(error), "only recordings are removed") from error
    freed = 0
    try:
        for file in files_of(path):
            if file.exists() or file.is_symlink():
                size = file.lstat().st_size
                file.unlink()
                freed += size
    except OSError as error:
        text = f"{path}: {os.strerror(error.errno or 0)}"
        raise RemovalError(text, "check the permissions of its folder") from error
    return freed


def _is_over(folder: RunFolder) -> bool:
    """Whether nothing that the folder holds is needed any more; a doubt counts as no."""
    if liveness.any_alive(folder):
        return False
    recording = recording_of(folder)
    if recording is None:
        return not _may_come_back(folder)
    if folder.path in recording.parents:
        return False  # it could not be put in its place yet
    try:
        with open_recording(recording) as opened:
            return get_run(opened).state in ("finished", "lost")
    except RecordingError:
        return False


def _may_come_back(folder: RunFolder) -> bool:
    """Whether the recording's folder is away, as with a disk that is not mounted."""
    import msgspec

    try:
        spec = launch_spec.read(folder.launch)
    except (OSError, msgspec.MsgspecError):
        return False
    return not Path(spec.recording).parent.is_dir()


def _is_unowned(windows: Path, now_s: float) -> bool:
    owner = windows / run_folder.OWNER
    if owner.is_symlink():
        return not owner.exists() and _newest_s(windows) < now_s - SETTLED_S
    unknown = not run_folder.of(windows.name).path.exists()
    return unknown and _newest_s(windows) < now_s - UNOWNED_S


def _newest_s(folder: Path) -> float:
    """When the folder or a file right in it was last changed, in seconds of the wall clock."""
    newest = 0.0
    for path in (folder, *_children(folder)):
        try:
            newest = max(newest, path.lstat().st_mtime)
        except OSError:
            pass
    return newest


def _children(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _is_ours(folder: Path) -> bool:
    try:
        return folder.is_dir() and folder.stat().st_uid == os.getuid()
    except OSError:
        return False
