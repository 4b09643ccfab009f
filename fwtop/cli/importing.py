"""Traces of other tools kept as a recording."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from fwtop.cli import sources
from fwtop.cli.diagnostics import Code, Failure, say, unwritable_state_folder
from fwtop.cli.endings import ended_by_signals
from fwtop.cli.listing import find
from fwtop.cli.options import DEFAULT_TRACE_BUDGET, size, state_folder
from fwtop.recording.store import SUFFIX, RecordingError


def configure(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "trace",
        nargs="+",
        metavar="TRACE",
        help="Kineto (.json, .json.gz), *.xplane.pb, TORCH_TRACE or Nsight Systems' SQLite; "
        "several, or a folder of ranks, make one run",
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="the recording (default: where `fwtop ls` looks)"
    )
    parser.add_argument("--name", help="a name for the run, shown in lists (the trace's own)")
    parser.add_argument("--tag", action="append", default=[], help="a tag; may be repeated")
    parser.add_argument(
        "--trace-budget",
        metavar="SIZE",
        type=_size,
        default=DEFAULT_TRACE_BUDGET,
        help="the raw traces are kept up to this size in the recording (256M)",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")


def main(arguments: Namespace) -> int:
    """Import, and print the recording's path on stdout. Raises Failure, TraceError, …"""
    paths = [find(word) for word in arguments.trace]
    sources.refuse_recordings_among(paths)
    target = Path(arguments.output) if arguments.output else _place(paths[0])
    if target.exists():  # before the reading, which may take a while
        raise RecordingError(
            f"{target} exists already", "choose another name with -o, or remove it"
        )
    if not target.absolute().parent.is_dir():
        raise Failure(Code.OUTPUT, f"there is no folder {target.parent}", "make it first")
    with ended_by_signals():
        sources.import_to(
            target,
            paths,
            name=arguments.name,
            tags=arguments.tag,
            keep_bytes=arguments.trace_budget,
            quiet=arguments.quiet,
        )
    print(target, flush=True)
    if not arguments.quiet:
        say(f"imported; `fwtop open {target}` shows it")
    return 0


def _place(first: Path) -> Path:
    """A free name of the trace's own, where recordings go."""
    folder = state_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable_state_folder(folder, error) from error
    stem = first.resolve().name.partition(".")[0] or "trace"
    candidate, number = folder / f"{stem}{SUFFIX}", 1
    while candidate.exists():
        number += 1
        candidate = folder / f"{stem}-{number}{SUFFIX}"
    return candidate


def _size(text: str) -> int:
    try:
        return size(text)
    except ValueError as error:
        raise Failure(Code.USAGE, f"--trace-budget: {error}", "write 256M, 1G or 0") from error
