"""Run a target without the viewer: plain progress on stderr, the summary at the end."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from fwtop.cli import options
from fwtop.cli.diagnostics import Code, Failure, say
from fwtop.cli.progress import Progress
from fwtop.launch.recorder_process import RecorderProcess

if TYPE_CHECKING:
    from fwtop.cli.follow import Ending
    from fwtop.cli.starting import PreparedRun

TAKES_TARGET = True


def configure(parser: ArgumentParser) -> None:
    """The options of a run; the target follows them."""
    parser.usage = "%(prog)s [OPTIONS] TARGET…"
    options.configure(parser)


def main(arguments: Namespace) -> int:
    """Exit status: the script's own."""
    return record(RecorderProcess(), arguments)


def record(recorder: RecorderProcess, arguments: Namespace) -> int:
    """Run to the end. Raises Failure if it cannot start; returns the script's exit status."""
    from fwtop.cli.follow import Follower, Keyboard, Signals
    from fwtop.cli.starting import begin, find_target, prepare

    settings = options.settle(arguments)
    target = find_target(arguments.target, settings)
    terminal = _is_terminal(1) or _is_terminal(2)
    run = prepare(settings, target, terminal, pass_through=True)
    if not settings.quiet:
        _say_what_runs(run)
    relay = terminal and _is_terminal(0)
    with Signals.for_script() as signals, Keyboard.of_script(relay) as keyboard:
        begin(recorder, run)
        if not settings.quiet:
            _load_summary()
        progress = Progress(run.folder, settings.quiet)
        ending = Follower(run.folder, recorder, signals, keyboard, progress).follow()
    return conclude(run.folder.run_id, ending, settings.quiet)


def conclude(run_id: str, ending: Ending, quiet: bool) -> int:
    """Say how it ended and where the recording is; the exit status."""
    if ending.detached:
        say(f"the run goes on: fwtop attach {run_id}")
        return 0
    done = ending.finished
    if done is not None and done.error:
        say(done.error)
    if done is None or not done.stored:
        say(f"the recording could not be finished; fwtop attach {run_id} tries again")
    elif done.problem:
        say(f"{done.problem}; the recording is {done.recording}")
    elif not quiet:
        _print_summary(done.recording)
    if ending.exit_status is None and ending.exit_signal is None:
        raise end_not_seen(run_id)
    from fwtop.cli.follow import end_as

    return end_as(ending)


def end_not_seen(run_id: str) -> Failure:
    """The run is over, and nobody can say how."""
    return Failure(
        Code.LOST,
        f"how the script of {run_id} ended is not known: it vanished together with its shim",
        "what was recorded until then is kept",
    )


def _say_what_runs(run: PreparedRun) -> None:
    if run.target.interpreter is not None:
        say(f"python: {run.target.interpreter} ({run.target.reason})")
    if run.target.notice:
        say(run.target.notice)
    say(f"run {run.folder.run_id}")


def _load_summary() -> None:
    """While the script starts, there is time."""
    import fwtop.cli.summary  # noqa: F401


def _print_summary(path: str) -> None:
    from fwtop.cli.summary import text_of
    from fwtop.recording.store import RecordingError, open_recording
    from fwtop.summary import summarize

    try:
        with open_recording(Path(path)) as recording:
            text = text_of(summarize(recording), Path(path))
    except RecordingError as error:
        say(str(error))
        return
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError):
        pass


def _is_terminal(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:
        return False
