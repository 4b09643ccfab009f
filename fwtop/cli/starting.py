"""Starting a run: settings and target to a run folder, launch.json and a recorder that is ready.

Everything that can be wrong is found before anything starts.
"""

from __future__ import annotations

import os
import secrets
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from fwtop import run_folder
from fwtop.cli.diagnostics import Code, Failure, unwritable_state_folder
from fwtop.cli.options import Settings, state_folder
from fwtop.launch import spec
from fwtop.launch.recorder_process import RecorderError, RecorderProcess
from fwtop.launch.target import Target, TargetError, resolve
from fwtop.recording.store import SUFFIX
from fwtop.run_folder import RunFolder, UnsafeFolderError


@dataclass(frozen=True)
class PreparedRun:
    """A run that may start: its folder is there, and the recording's place can be written."""

    folder: RunFolder
    launch: spec.LaunchSpec
    target: Target


def find_target(words: list[str], settings: Settings) -> Target:
    """What to run. Raises Failure."""
    try:
        return resolve(words, settings.python)
    except TargetError as error:
        raise Failure(Code.TARGET, str(error), error.next) from error


def prepare(settings: Settings, target: Target, terminal: bool, pass_through: bool) -> PreparedRun:
    """Make the run folder. Raises Failure."""
    run_id = new_run_id()
    recording = _recording_path(settings, run_id)
    folder = run_folder.of(run_id)
    try:
        folder.create()
        launch = _launch(settings, target, run_id, recording, folder, terminal, pass_through)
        spec.write(launch, folder.launch)
    except UnsafeFolderError as error:
        raise Failure(Code.FOLDER, str(error)) from error
    except (OSError, UnicodeError) as error:
        folder.remove()
        raise Failure(
            Code.FOLDER,
            f"{folder.path}: {error}",
            "set TMPDIR to a folder of your own on a local disk",
        ) from error
    return PreparedRun(folder, launch, target)


def begin(recorder: RecorderProcess, run: PreparedRun) -> None:
    """Start it with a recorder that waits. Raises Failure, and then the script was not started."""
    with ExitStack() as undo:
        undo.callback(_remove_unless_started, recorder, run)
        try:
            recorder.begin(run.folder)
        except RecorderError as error:
            log = _last_line(run.folder.recorder_log)
            run.folder.remove()
            text = f"{error} ({log})" if log and not error.next else str(error)
            raise Failure(Code.START, text, error.next) from error
        undo.pop_all()


def _remove_unless_started(recorder: RecorderProcess, run: PreparedRun) -> None:
    """A Ctrl-C may come when the script runs already; its run folder is needed then."""
    if recorder.script_pid is None:
        run.folder.remove()


def new_run_id() -> str:
    """Date and time, so that names sort, and something that differs within a second."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def _launch(
    settings: Settings,
    target: Target,
    run_id: str,
    recording: Path,
    folder: RunFolder,
    terminal: bool,
    pass_through: bool,
) -> spec.LaunchSpec:
    from fwtop.launch.filesystem import is_network

    live = recording
    if is_network(recording.parent):
        live = folder.path / f"{run_id}{SUFFIX}"
    size = _terminal_size()
    return spec.LaunchSpec(
        run_id=run_id,
        argv=target.argv,
        command=target.command,
        cwd=_cwd(),
        recording=str(recording),
        live_recording=str(live),
        terminal=terminal,
        rows=size.lines,
        columns=size.columns,
        pass_through=pass_through,
        interval_s=settings.interval,
        budget_ratio=settings.overhead,
        deep=settings.deep,
        step_on=settings.step_on,
        name=settings.name,
        tags=list(settings.tag),
        trace_budget_bytes=settings.trace_budget,
    )


def _terminal_size() -> os.terminal_size:
    """The terminal's own size, as the script would see it; COLUMNS and LINES do not change it."""
    for descriptor in (1, 0, 2):
        try:
            size = os.get_terminal_size(descriptor)
        except OSError:
            continue
        if size.columns > 0 and size.lines > 0:
            return size
    return os.terminal_size((80, 24))


def _recording_path(settings: Settings, run_id: str) -> Path:
    """Where the recording will be; the place is known to be writable."""
    if settings.output is not None:
        path = Path(settings.output).absolute()
        if path.exists():
            raise Failure(
                Code.FOLDER, f"{path} exists already", "choose another name with -o, or remove it"
            )
        if not path.parent.is_dir():
            raise Failure(Code.FOLDER, f"{path.parent}: no such folder", f"mkdir -p {path.parent}")
        if not os.access(path.parent, os.W_OK):
            raise Failure(
                Code.FOLDER, f"{path.parent} cannot be written", "choose another place with -o"
            )
        return path
    folder = state_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{run_id}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise unwritable_state_folder(folder, error) from error
    return folder / f"{run_id}{SUFFIX}"


def _cwd() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - the text is recorded
    except OSError:
        return ""


def _last_line(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip().rpartition("\n")[2][:300]
    except OSError:
        return ""
