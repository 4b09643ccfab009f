"""Run a target and watch it; without a terminal, the same as `record`."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace

from fwtop.cli import options
from fwtop.cli.diagnostics import say
from fwtop.cli.record import record
from fwtop.launch.recorder_process import RecorderProcess

TAKES_TARGET = True


def configure(parser: ArgumentParser) -> None:
    """The options of a run; the target follows them."""
    parser.usage = "%(prog)s [OPTIONS] TARGET…"
    options.configure(parser)


def main(arguments: Namespace) -> int:
    """Exit status: the script's own, or 0 after a detach."""
    recorder = RecorderProcess()
    settings = options.settle(arguments)
    if settings.no_viewer or not has_terminal():
        if not settings.no_viewer and not settings.quiet and is_dumb():
            say("TERM=dumb: no viewer can be drawn here, so this records without it")
        return record(recorder, arguments)
    from fwtop.cli.starting import begin, find_target, prepare
    from fwtop.cli.viewing import view

    target = find_target(arguments.target, settings)
    run = prepare(settings, target, terminal=True, pass_through=False)
    begin(recorder, run)
    return view(run.folder, run.launch, recorder)


def has_terminal() -> bool:
    """Whether the viewer has something to draw on and to read keys from."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty() and not is_dumb()


def is_dumb() -> bool:
    """Whether the terminal says that it cannot move its cursor, as an editor's shell does."""
    return os.environ.get("TERM") == "dumb"
