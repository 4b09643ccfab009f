"""Remove recordings, and what is left of runs that died.

fwtop rm RUN…                      these
fwtop rm --older-than 30d          those that began before
fwtop rm --keep-size 10G           the oldest, until the rest takes no more
Runs that are alive are never removed, nor files that are no recordings.
"""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from pathlib import Path

from fwtop import run_folder
from fwtop.cli import options
from fwtop.cli.diagnostics import Code, Failure, say
from fwtop.cli.listing import at_hand, find_run
from fwtop.cli.ls import table
from fwtop.formatting import format_bytes, plural
from fwtop.runs.listed import ListedRun
from fwtop.runs.liveness import any_alive
from fwtop.runs.removal import RemovalError, remove, remove_folder, strays, sweep, to_prune

_UNITS_S = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_MANY_SHOWN = 20


def configure(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("run", nargs="*", metavar="RUN", help="a run's id, or a recording's file")
    parser.add_argument(
        "--older-than", type=_age, metavar="AGE", help="runs that began before: 90m, 12h, 30d, 6w"
    )
    parser.add_argument(
        "--larger-than", type=_size, metavar="SIZE", help="recordings larger than: 500M, 2G"
    )
    parser.add_argument(
        "--tag", action="append", default=[], metavar="TAG", help="runs with this tag"
    )
    parser.add_argument(
        "--keep-size", type=_size, metavar="SIZE",
        help="the oldest of them, until the state folder's recordings take at most this",
    )  # fmt: skip
    parser.add_argument(
        "--stray", action="store_true", help="only what runs that are gone left in folders of ours"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be removed")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def main(arguments: Namespace) -> int:
    """Exit status 0. Raises Failure at the first named run that cannot be removed."""
    chosen, folders = _chosen(arguments)
    left = list(strays())
    if not chosen and not folders and not left:
        say("nothing to remove")
        return 0
    for line in _shown(chosen):
        print(line)
    for stray in (*(one.path for one in folders), *(one.path for one in left)):
        print(f"{stray}  (what a run that is gone left)")
    size = format_bytes(sum(one.size_bytes or 0 for one in chosen))
    if arguments.dry_run:
        say(f"would remove {plural(len(chosen), 'recording')}, {size}; nothing was removed")
        return 0
    if (chosen or folders) and not _agreed(arguments, len(chosen), size):
        say("nothing was removed")
        return 0
    freed, failed = _remove(chosen)
    freed += sum(remove_folder(one) for one in folders) + sweep(left)
    say(f"removed {plural(len(chosen) - len(failed), 'recording')}: {format_bytes(freed)} freed")
    if failed:
        raise Failure(Code.RECORDING, str(failed[0]), failed[0].next)
    return 0


def _chosen(arguments: Namespace) -> tuple[list[ListedRun], list[run_folder.RunFolder]]:
    """The runs that are meant, and run folders without a recording. Raises Failure."""
    filters = (arguments.older_than, arguments.larger_than, arguments.keep_size)
    filtered = any(value is not None for value in filters) or bool(arguments.tag)
    if arguments.run and (filtered or arguments.stray):
        raise Failure(
            Code.USAGE, "runs are named, or chosen by age, size and tags", "one of the two"
        )
    if arguments.run:
        return _named(arguments.run)
    if filtered:
        return _filtered(arguments), []
    if arguments.stray:
        return [], []
    raise Failure(
        Code.USAGE,
        "which runs?",
        "fwtop rm RUN…, or --older-than 30d, --larger-than 1G, --keep-size 10G, --tag TAG, --stray",
    )


def _named(words: Sequence[str]) -> tuple[list[ListedRun], list[run_folder.RunFolder]]:
    runs: dict[str, ListedRun] = {}
    folders = []
    for word in words:
        try:
            run = find_run(word)
        except Failure:
            bare = [one for one in run_folder.existing() if one.run_id in (word, Path(word).stem)]
            if not bare:
                raise
            if any_alive(bare[0]):
                raise _alive(bare[0].run_id) from None
            folders.append(bare[0])
            continue
        if run.live:
            raise _alive(run.id)
        runs[run.path] = run
    return list(runs.values()), folders


def _filtered(arguments: Namespace) -> list[ListedRun]:
    """Runs over and readable, of the state folder; the oldest last."""
    state = options.state_folder()
    everything = [one for one in at_hand() if state in Path(one.path).parents]
    before_ns = None if arguments.older_than is None else time.time_ns() - arguments.older_than
    runs = [
        one
        for one in everything
        if not one.live
        and one.problem is None
        and (before_ns is None or (one.started_unix_ns or before_ns) < before_ns)
        and (arguments.larger_than is None or (one.size_bytes or 0) > arguments.larger_than)
        and all(tag in one.tags for tag in arguments.tag)
    ]
    if arguments.keep_size is None:
        return runs
    others = sum(one.size_bytes or 0 for one in everything if one not in runs)
    return to_prune(runs, arguments.keep_size - others)[::-1]


def _remove(chosen: Sequence[ListedRun]) -> tuple[int, list[RemovalError]]:
    freed = 0
    failed: list[RemovalError] = []
    for one in chosen:
        try:
            freed += remove(one)
        except RemovalError as error:
            failed.append(error)
            say(str(error))
    return freed, failed


def _agreed(arguments: Namespace, count: int, size: str) -> bool:
    """Whether the user said so. Without a terminal only runs that were named go unasked."""
    if arguments.yes:
        return True
    if sys.stdin is None or not sys.stdin.isatty() or not sys.stderr.isatty():
        if arguments.run:
            return True
        raise Failure(
            Code.TERMINAL,
            f"{plural(count, 'recording')}, {size}, would go, and nobody is there to ask",
            "say -y to remove them, or --dry-run to see which",
        )
    sys.stderr.write(f"fwtop: remove {plural(count, 'recording')}, {size}? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _shown(chosen: Sequence[ListedRun]) -> list[str]:
    """The list as `ls` shows it, in front of the question."""
    if not chosen:
        return []
    lines = table(chosen[:_MANY_SHOWN], None)
    more = len(chosen) - _MANY_SHOWN
    return [*lines, f"… and {plural(more, 'more', 'more')}"] if more > 0 else lines


def _alive(run_id: str) -> Failure:
    return Failure(Code.NO_RUN, f"{run_id} is alive", f"stop it first: fwtop stop {run_id}")


def _age(text: str) -> int:
    """`90m`, `12h`, `30d`, `6w` as nanoseconds."""
    unit = _UNITS_S.get(text[-1:].lower())
    try:
        value = float(text[:-1])
    except ValueError:
        value = -1.0
    if unit is None or not 0 <= value < 1e6:
        raise ArgumentTypeError(f"{text} is no age: write 90m, 12h, 30d or 6w")
    return int(value * unit * 1e9)


def _size(text: str) -> int:
    """`500M`, `10G`, as bytes."""
    try:
        return options.size(text)
    except ValueError:
        raise ArgumentTypeError(f"{text} is no size: write 500M or 10G") from None
