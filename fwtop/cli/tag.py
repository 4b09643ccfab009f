"""Give a run tags or a name, live or finished."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from fwtop.cli.diagnostics import Code, Failure, say
from fwtop.cli.listing import find_run
from fwtop.formatting import printable
from fwtop.recording.store import RecordingError
from fwtop.runs.labels import LabelError, label
from fwtop.runs.listed import ListedRun


def configure(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("run", metavar="RUN", help="a run's id or name, or a recording's file")
    parser.add_argument("tag", nargs="*", default=[], metavar="TAG", help="a tag to add")
    parser.add_argument(
        "--remove", action="append", default=[], metavar="TAG", help="a tag to take away"
    )
    parser.add_argument("--name", metavar="NAME", help="the run's name; '' takes it away")


def main(arguments: Namespace) -> int:
    """Exit status 0 once it is so; without anything to change, only say what there is."""
    run = find_run(arguments.run)
    if run.problem is not None:
        raise RecordingError(run.problem, "its tags cannot be read or changed")
    for tag in arguments.remove:
        if tag not in run.tags:
            raise Failure(Code.USAGE, f"{run.id} has no tag {tag}", _words(run.name, run.tags))
    name = run.name if arguments.name is None else arguments.name.strip() or None
    tags = tuple(dict.fromkeys((*run.tags, *(tag.strip() for tag in arguments.tag))))
    tags = tuple(tag for tag in tags if tag not in arguments.remove)
    if (name, tags) != (run.name, run.tags):
        _label(run, name, tags)
    say(f"{run.id}: {_words(name, tags)}")
    return 0


def _label(run: ListedRun, name: str | None, tags: tuple[str, ...]) -> None:
    try:
        label(run, name, tags)
    except LabelError as error:
        raise Failure(Code.USAGE, str(error)) from error


def _words(name: str | None, tags: tuple[str, ...]) -> str:
    named = f"name {printable(name)}" if name else "no name"
    return f"{named}, " + (f"tags {printable(', '.join(tags))}" if tags else "no tags")
