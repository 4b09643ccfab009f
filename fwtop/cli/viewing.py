"""The viewer on a live run, and what is said when the user leaves it."""

from __future__ import annotations

import os
from pathlib import Path

from fwtop.cli.diagnostics import Code, Failure, say
from fwtop.cli.follow import Ending
from fwtop.cli.record import conclude, end_not_seen
from fwtop.launch import spec
from fwtop.launch.recorder_process import RecorderError, RecorderProcess
from fwtop.launch.session_end import risk
from fwtop.run_folder import RunFolder


def view(folder: RunFolder, launch: spec.LaunchSpec, recorder: RecorderProcess | None) -> int:
    """Show a live run until it ends or the user leaves; the exit status to end with."""
    from fwtop.tui.app import view as show

    try:
        left = show(Path(launch.live_recording), folder)
    except RuntimeError as error:
        say_detached(folder.run_id)
        raise Failure(Code.TERMINAL, str(error), f"fwtop attach {folder.run_id}") from error
    if not left.ended:
        say_detached(folder.run_id)
        return 0
    ending = _last_words(recorder)
    if ending is None:
        if left.exit_status is None:
            raise end_not_seen(folder.run_id)
        return left.exit_status
    return conclude(folder.run_id, ending, quiet=False)


def say_detached(run_id: str) -> None:
    """How to come back, and whether something may end the run meanwhile."""
    say(f"the run goes on: fwtop attach {run_id}")
    danger = risk(os.environ)
    if danger is not None:
        say(danger.text)
        say(f"  {danger.next}")


def _last_words(recorder: RecorderProcess | None) -> Ending | None:
    """What the recorder says at its end; None if it is not ours, or died."""
    if recorder is None:
        return None
    try:
        while recorder.finished is None and not recorder.gone:
            recorder.hear()
    except RecorderError as error:
        say(str(error))
    done = recorder.finished
    return None if done is None else Ending(done, done.exit_status, done.exit_signal)
