"""The viewer on a recording."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from fwtop.cli.diagnostics import Code, Failure
from fwtop.cli.listing import find
from fwtop.cli.run import has_terminal, is_dumb
from fwtop.recording.store import open_recording

_TRACES = {
    ".json": "a Kineto trace",
    ".json.gz": "a Kineto trace",
    ".pt.trace.json": "a Kineto trace",
    ".xplane.pb": "an XPlane trace",
    ".log": "a TORCH_TRACE log",
}


def configure(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("file", metavar="FILE", help="a recording, or the id of a run")


def main(arguments: Namespace) -> int:
    """Show it. Raises Failure or RecordingError."""
    path = find(arguments.file)
    refuse_traces(path)
    open_recording(path).close()  # errors in words, before a screen is set up
    if not has_terminal():
        raise Failure(
            Code.TERMINAL,
            "the viewer needs a terminal, and this is "
            f"{'one that cannot draw: TERM=dumb' if is_dumb() else 'none'}",
            f"`fwtop summary {path}` prints the run in words, with --json as data",
        )
    from fwtop.tui.app import view

    view(path, None)
    return 0


def refuse_traces(path: Path) -> None:
    """Raise Failure for a trace of a framework's own."""
    for ending, what in _TRACES.items():
        if path.name.endswith(ending):
            raise Failure(
                Code.RECORDING,
                f"{path} looks like {what}: this version opens recordings of fwtop's only",
                "record the run with `fwtop record -o run.fwtop train.py`; Perfetto "
                "(https://ui.perfetto.dev) and TensorBoard open such traces",
            )
