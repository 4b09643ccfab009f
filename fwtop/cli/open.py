"""The viewer on a recording, or on traces of other tools."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from fwtop.cli import sources
from fwtop.cli.diagnostics import Code, Failure
from fwtop.cli.picking import pick_for
from fwtop.cli.run import has_terminal, is_dumb
from fwtop.recording.store import open_recording
from fwtop.tui.picker import OPEN


def configure(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "file",
        nargs="*",
        metavar="FILE",
        help=f"{sources.WHAT}; several traces, or a folder of them, make one run; "
        "picked from a list, if not named",
    )


def main(arguments: Namespace) -> int:
    """Show it. Raises Failure, RecordingError or TraceError."""
    words = arguments.file or [run.path for run in pick_for(OPEN, "fwtop open FILE")]
    if not words:
        return 0
    with sources.opened(words) as path:
        open_recording(path).close()  # errors in words, before a screen is set up
        if not has_terminal():
            raise Failure(
                Code.TERMINAL,
                "the viewer needs a terminal, and this is "
                f"{'one that cannot draw: TERM=dumb' if is_dumb() else 'none'}",
                f"`fwtop summary {sources.shown(words, path)}` prints the run in words, "
                "with --json as data",
            )
        from fwtop.tui.app import view

        view(path, None)
    return 0
