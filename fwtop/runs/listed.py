"""One run at hand in one row, whatever is left of it, and all of them.

Live runs have a run folder; finished ones a recording in the state folder. A run whose recorder or
script was killed has traces of both, and its state is worked out here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from fwtop import run_folder
from fwtop.analysis.steps import figures
from fwtop.formatting import UNKNOWN, format_command, printable
from fwtop.launch import spec as launch_spec
from fwtop.queries import run as run_queries
from fwtop.queries import steps
from fwtop.recording.store import SUFFIX, Recording, RecordingError, open_recording
from fwtop.run_folder import RunFolder
from fwtop.runs.liveness import state_of


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
    name: str | None = None
    tags: tuple[str, ...] = ()
    run_folder: str | None = None
    """Where its sockets are, while there is such a folder."""
    source: str = "live"
    """`live`, or the format of the traces that it was imported from."""

    @property
    def what(self) -> str:
        """The command for a list; of imported traces, their format."""
        if self.command:
            return format_command(self.command)
        return printable(self.source) if self.problem is None else UNKNOWN

    @property
    def live(self) -> bool:
        """Whether its script runs."""
        return self.state in ("starting", "running", "finishing", "unwatched")

    @property
    def folder(self) -> RunFolder | None:
        """Its run folder, while there is one."""
        return None if self.run_folder is None else RunFolder(Path(self.run_folder))


def all_runs(state_folder: Path) -> list[ListedRun]:
    """Live runs and the recordings of the state folder, newest first."""
    return sorted(each_run(state_folder), key=recency, reverse=True)


def recency(one: ListedRun) -> tuple[int, str]:
    """The key that sorts lists of runs, oldest first."""
    return one.started_unix_ns or 0, one.id


def each_run(state_folder: Path) -> Iterator[ListedRun]:
    """The same one by one, as they are read: those with a run folder first."""
    seen: set[Path] = set()
    for folder in run_folder.existing():
        path = recording_of(folder)
        if path is not None and path not in seen:
            seen.add(path)
            yield listed(path, folder)
    for path in reversed(_recordings(state_folder)):
        if path not in seen:
            yield listed(path, None)


def listed(path: Path, folder: RunFolder | None) -> ListedRun:
    """The row of one recording, and of its run folder if there is one. Raises nothing."""
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
            size_bytes=size_of(path),
            path=str(path),
            problem=str(error),
            run_folder=str(folder.path) if folder else None,
        )


def recording_of(folder: RunFolder) -> Path | None:
    """Where a run is recorded, as its folder says; None while nothing is there yet."""
    try:
        spec = launch_spec.read(folder.launch)
    except (OSError, msgspec.MsgspecError):
        return None
    for name in (spec.live_recording, spec.recording):
        if Path(name).is_file():
            return Path(name)
    return None


def files_of(path: Path) -> tuple[Path, ...]:
    """The recording's file and those that SQLite keeps beside it while it is written."""
    return (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal")))


def size_of(path: Path) -> int | None:
    """Bytes of the file and of what is beside it; None if there is nothing."""
    sizes = []
    for name in files_of(path):
        try:
            sizes.append(name.stat().st_size)
        except OSError:
            pass
    return sum(sizes) if sizes else None


def _recordings(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.rglob(f"*{SUFFIX}") if entry.is_file())
    except OSError:
        return []


def _read(recording: Recording, folder: RunFolder | None) -> ListedRun:
    the_run = run_queries.get_run(recording)
    lead = steps.lead_process(recording)
    of_steps = figures(steps.totals(recording, lead), steps.set_apart(recording, lead))
    return ListedRun(
        id=the_run.id,
        state=state_of(the_run.state, folder) if the_run.live else the_run.state,
        command=the_run.command,
        started_unix_ns=the_run.started_unix_ns,
        duration_ns=the_run.duration_ns,
        exit_status=the_run.exit_status,
        exit_signal=the_run.exit_signal,
        steps=of_steps.count,
        median_ns=of_steps.median_ns,
        size_bytes=size_of(recording.path),
        path=str(recording.path),
        name=the_run.name,
        tags=the_run.tags,
        source=the_run.source,
        run_folder=str(folder.path) if folder else None,
    )


def _modified_ns(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None
