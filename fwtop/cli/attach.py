"""The viewer on a live run; without a terminal, plain progress until the run ends."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

from fwtop.cli.diagnostics import Code, Failure, say
from fwtop.cli.follow import Ending
from fwtop.cli.live import (
    find_live,
    live_folders,
    no_run_is_alive,
    read_launch,
    resume,
    wait_for_end,
)
from fwtop.cli.picking import pick_for
from fwtop.cli.progress import Progress
from fwtop.cli.record import conclude
from fwtop.cli.run import has_terminal
from fwtop.cli.viewing import say_detached, view
from fwtop.launch import spec
from fwtop.launch.recorder_process import Finished, RecorderProcess
from fwtop.run_folder import RunFolder
from fwtop.runs.liveness import has_recorder
from fwtop.tui.picker import ATTACH

RECORDER_TIMEOUT_S = 60.0


def configure(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "run", nargs="?", help="a run's id or its start; the one alive, if not named"
    )
    parser.add_argument("--no-viewer", action="store_true", help="plain progress, no viewer")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")


def main(arguments: Namespace) -> int:
    """Exit status: the script's own if it ended, else 0."""
    viewer = has_terminal() and not arguments.no_viewer
    folder = find_live(arguments.run) if arguments.run else _the_one(viewer)
    if folder is None:
        return 0
    launch = read_launch(folder)
    recorder = None
    if not has_recorder(folder):
        recorder = resume(folder)
        if not arguments.quiet:
            say("the recorder had died; a new one has taken over")
    if viewer:
        return view(folder, launch, recorder)
    try:
        ending = _wait(folder, launch, recorder, Progress(folder, arguments.quiet))
    except KeyboardInterrupt:
        say_detached(folder.run_id)
        return 0
    return conclude(folder.run_id, ending, arguments.quiet)


def _the_one(viewer: bool) -> RunFolder | None:
    """The run that is alive; of several the one that is picked, None if none is. Raises Failure."""
    folders = live_folders()
    if not folders:
        raise no_run_is_alive()
    if len(folders) == 1:
        return folders[0]
    if not viewer:
        raise Failure(
            Code.USAGE,
            f"{len(folders)} runs are alive",
            f"fwtop attach RUN, one of: {', '.join(one.run_id for one in folders[:5])}",
        )
    picked = pick_for(ATTACH, "fwtop attach RUN")
    return next((one.folder for one in picked), None)


def _wait(
    folder: RunFolder, launch: spec.LaunchSpec, recorder: RecorderProcess | None, tick: Progress
) -> Ending:
    shim = folder.connect_shim()
    while shim is not None and not wait_for_end(shim, 1.0):
        tick(say)
    if recorder is not None:
        while recorder.finished is None and not recorder.gone:
            recorder.hear()
        done = recorder.finished
        if done is not None:
            return Ending(done, done.exit_status, done.exit_signal)
    return _recorded_end(folder, launch)


def _recorded_end(folder: RunFolder, launch: spec.LaunchSpec) -> Ending:
    """The end as somebody else's recorder writes it."""
    from fwtop.queries.run import get_run
    from fwtop.recording.store import open_recording

    deadline = time.monotonic() + RECORDER_TIMEOUT_S
    while folder.path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    path = next((p for p in (launch.recording, launch.live_recording) if Path(p).exists()), None)
    if path is None:
        return Ending(None, None, None)
    with open_recording(Path(path)) as recording:
        run = get_run(recording)
    done = Finished(run.state, run.exit_status, run.exit_signal, None, path, not run.live, "")
    return Ending(done, run.exit_status, run.exit_signal)
