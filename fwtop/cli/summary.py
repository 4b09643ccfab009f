"""One run in words, or in JSON."""

from __future__ import annotations

import shutil
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from fwtop.cli import sources
from fwtop.cli.summary_text import render
from fwtop.recording.store import open_recording
from fwtop.summary import Summary, summarize, to_json

WIDTH = 80


def configure(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "file",
        nargs="+",
        metavar="FILE",
        help=f"{sources.WHAT}; several traces, or a folder of them, make one run",
    )
    parser.add_argument(
        "--json", action="store_true", help="as JSON (a contract: see schema_version)"
    )


def main(arguments: Namespace) -> int:
    """Print the summary on stdout. Raises Failure, RecordingError or TraceError."""
    with sources.opened(arguments.file) as path:
        with open_recording(path) as recording:
            summary = summarize(recording)
        shown = sources.shown(arguments.file, path)
    if arguments.json:
        sys.stdout.write(to_json(summary).decode() + "\n")
    else:
        sys.stdout.write(text_of(summary, shown))
    return 0


def text_of(summary: Summary, path: Path | str) -> str:
    """The summary in words, ending with a newline; `record` prints it too."""
    columns = shutil.get_terminal_size((WIDTH, 24)).columns
    return "\n".join(render(summary, str(path), max(40, min(WIDTH, columns)))) + "\n"
