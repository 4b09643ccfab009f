"""The runs and recordings at hand: what `ls` prints, and what a name given to a command means.

Live runs have a run folder; finished ones a recording in the state folder. A run whose recorder or
script was killed has traces of both, and its state is worked out here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from fwtop import run_folder
from fwtop.analysis.steps import figures
from fwtop.cli.diagnostics import Code, Failure
from fwtop.cli.options import state_folder
from fwtop.launch import spec as launch_spec
from fwtop.queries import run as run_queries
from fwtop.queries import steps
from fwtop.recording.store import SUFFIX, Recording, RecordingError, open_recording
from fwtop.run_folder import RunFolder


@dataclass(frozen=True)
class ListedRun:
    """One run. What cannot be read is None, and `problem` says why."""

    id: str
    state: str
    """`starting`, `running`, `finishing`, `finished`; `unwatched`: the script runs and its recorder
    is gone; `lost`: both are gone and the end was not seen; `unreadable`."""
    command: tuple[str, ...]
    started_unix_ns: int | None
    duration_ns: int | None
    exit_status: int | None
    exit_signal: int | None
    steps: int | None
    median_ns: int | None
    size_bytes: int | None
    path: str
    problem: str | None = None

    @property
    def live(self) -> bool:
        """Whether its script runs."""
        return self.state in ("starting", "running", "finishing", "unwatched")


def at_hand() -> list[ListedRun]:
    """Live runs and the recordings of the state folder, newest first."""
    found: dict[Path, ListedRun] = {}
    for folder in run_folder.existing():
        path = _recording_of(folder)
        if path is not None:
            found[path] = _listed(path, folder)
    for path in _recordings(state_folder()):
        found.setdefault(path, _listed(path, None))
    return sorted(found.values(), key=lambda one: (one.started_unix_ns or 0, one.id), reverse=True)


def find(word: str) -> Path:
    """The recording that a command's argument means: a file, or a run by its id or its start.

    Raises Failure if there is none, or several.
    """
    path = Path(word)
    if path.exists() or os.sep in word or word.endswith(SUFFIX):
        return path
    matching = [one for one in at_hand() if one.id.startswith(word)]
    exact = [one for one in matching if one.id == word]
    if len(exact or matching) == 1:
        return Path((exact or matching)[0].path)
    if matching:
        raise Failure(
            Code.NO_RUN,
            f"{word} is the start of {len(matching)} runs",
            f"write more of it: {', '.join(one.id for one in matching[:5])}",
        )
    raise Failure(
        Code.RECORDING,
        f"{word}: no such file, and no run of that id",
        "`fwtop ls` lists the recordings at hand",
    )


def _recordings(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.rglob(f"*{SUFFIX}") if entry.is_file())
    except OSError:
        return []


def _recording_of(folder: RunFolder) -> Path | None:
    """Where a live run is recorded; None while nothing is there yet."""
    try:
        spec = launch_spec.read(folder.launch)
    except (OSError, msgspec.MsgspecError):
        return None
    for name in (spec.live_recording, spec.recording):
        if Path(name).is_file():
            return Path(name)
    return None


def _listed(path: Path, folder: RunFolder | None) -> ListedRun:
    try:
        with open_recording(path) as recording:
            return _read(recording, folder)
    except RecordingError as error:
        return ListedRun(
            id=folder.run_id if folder else path.stem,
            state="unreadable",
            command=(),
            started_unix_ns=_modified_ns(path),
            duration_ns=None,
            exit_status=None,
            exit_signal=None,
            steps=None,
            median_ns=None,
            size_bytes=_size(path),
            path=str(path),
            problem=str(error),
        )


def _read(recording: Recording, folder: RunFolder | None) -> ListedRun:
    the_run = run_queries.get_run(recording)
    lead = steps.lead_process(recording)
    of_steps = figures(steps.totals(recording, lead), steps.set_apart(recording, lead))
    return ListedRun(
        id=the_run.id,
        state=_state(the_run.state, folder) if the_run.live else the_run.state,
        command=the_run.command,
        started_unix_ns=the_run.started_unix_ns,
        duration_ns=the_run.duration_ns,
        exit_status=the_run.exit_status,
        exit_signal=the_run.exit_signal,
        steps=of_steps.count,
        median_ns=of_steps.median_ns,
        size_bytes=_size(recording.path),
        path=str(recording.path),
    )


def _state(recorded: str, folder: RunFolder | None) -> str:
    """What became of a run whose recording does not end."""
    if folder is None:
        return "lost"
    if _alive(folder.recorder, "pid"):
        return recorded
    return "unwatched" if _alive(folder.shim, "script_pid") else "lost"


def _alive(file: Path, key: str) -> bool:
    """Whether the process that a run folder's file names is there. A pid may have been reused."""
    try:
        pid = msgspec.json.decode(file.read_bytes(), type=dict[str, object]).get(key)
        if not isinstance(pid, int) or pid <= 0:
            return False
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError, msgspec.MsgspecError):
        return False
    return True


def _size(path: Path) -> int | None:
    """Of the file and, while live, its WAL."""
    sizes = []
    for name in (path, path.with_name(path.name + "-wal")):
        try:
            sizes.append(name.stat().st_size)
        except OSError:
            pass
    return sum(sizes) if sizes else None


def _modified_ns(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None
