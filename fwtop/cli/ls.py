"""The runs and recordings at hand, newest first."""

from __future__ import annotations

import shutil
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fwtop import json_output
from fwtop.cli.diagnostics import say
from fwtop.cli.listing import at_hand
from fwtop.cli.options import state_folder
from fwtop.formatting import (
    cell_width,
    ellipsis,
    format_bytes,
    format_count,
    format_duration,
    format_moment,
    pad,
    plural,
    printable,
)
from fwtop.runs.listed import ListedRun


@dataclass(frozen=True)
class _Column:
    """One column of the list. Those of the highest rank drop first on a narrow terminal."""

    head: str
    text: Callable[[ListedRun], str]
    rank: int
    right: bool = False
    most: int = 1_000
    """Cells; longer texts are cut on a terminal."""


_COLUMNS = (
    _Column("RUN", lambda one: printable(one.id), 0),
    _Column("STATE", lambda one: _ended(one), 1),
    _Column("STARTED", lambda one: format_moment(one.started_unix_ns), 7),
    _Column("TOOK", lambda one: format_duration(one.duration_ns), 8, right=True),
    _Column("STEPS", lambda one: format_count(one.steps), 6, right=True),
    _Column("MEDIAN", lambda one: format_duration(one.median_ns), 2, right=True),
    _Column("SIZE", lambda one: format_bytes(one.size_bytes), 4, right=True),
    _Column("NAME", lambda one: printable(one.name or ""), 3, most=24),
    _Column("TAGS", lambda one: printable(",".join(one.tags)), 5, most=24),
)
"""The command comes last, and gets what is left."""
_OPTIONAL = ("NAME", "TAGS")
"""Shown where any run has one."""
_LEAST_COMMAND = 16
_SORTS: dict[str, Callable[[ListedRun], Any]] = {
    "started": lambda one: one.started_unix_ns,
    "size": lambda one: one.size_bytes,
    "steps": lambda one: one.steps,
    "median": lambda one: one.median_ns,
    "took": lambda one: one.duration_ns,
}


def configure(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--json", action="store_true", help="the list as JSON, sizes in bytes")
    parser.add_argument(
        "--tag", action="append", default=[], metavar="TAG", help="only runs with this tag"
    )
    parser.add_argument("--name", metavar="TEXT", help="only runs whose name contains this")
    parser.add_argument(
        "--sort", choices=tuple(_SORTS), default="started", help="largest or newest first (started)"
    )


def main(arguments: Namespace) -> int:
    """Print the list on stdout."""
    everything = at_hand()
    runs = _in_order(
        [one for one in everything if _is_wanted(one, arguments.tag, arguments.name)],
        arguments.sort,
    )
    if arguments.json:
        sys.stdout.write(json_output.encode(runs).decode() + "\n")
        return 0
    if not everything:
        say(f"no run yet: `fwtop train.py` makes one, kept in {state_folder()}")
        return 0
    if not runs:
        say(f"none of {plural(len(everything), 'run')} has that name and these tags")
        return 0
    wide = shutil.get_terminal_size((10_000, 24)).columns if sys.stdout.isatty() else None
    print("\n".join(table(runs, wide)))
    for one in runs:
        if one.problem:
            say(one.problem)
    return 0


def table(runs: Sequence[ListedRun], columns: int | None) -> list[str]:
    """The list as lines; `columns` is a terminal's width, that they are to fit."""
    cells = {
        column.head: [column.head, *(column.text(one) for one in runs)]
        for column in _COLUMNS
        if column.head not in _OPTIONAL or any(column.text(one) for one in runs)
    }
    commands = ["COMMAND", *(one.what for one in runs)]
    shown = [column for column in _COLUMNS if column.head in cells]
    widths = {column.head: _width(column, cells[column.head], columns) for column in shown}
    while columns is not None and len(shown) > 1:
        if _used(shown, widths) + _LEAST_COMMAND <= columns:
            break
        shown.remove(max(shown, key=lambda column: column.rank))
    room = None if columns is None else max(1, columns - _used(shown, widths))
    lines = []
    for number, command in enumerate(commands):
        row = [
            pad(cells[column.head][number], widths[column.head], right=column.right)
            for column in shown
        ]
        lines.append("  ".join((*row, command if room is None else ellipsis(command, room))))
    return lines


def _width(column: _Column, texts: list[str], columns: int | None) -> int:
    longest = max(map(cell_width, texts))
    return longest if columns is None else min(longest, column.most)


def _used(shown: Sequence[_Column], widths: dict[str, int]) -> int:
    return sum(widths[column.head] + 2 for column in shown)


def _is_wanted(one: ListedRun, tags: Sequence[str], name: str | None) -> bool:
    if name is not None and name.lower() not in (one.name or "").lower():
        return False
    return all(tag in one.tags for tag in tags)


def _in_order(runs: list[ListedRun], sort: str) -> list[ListedRun]:
    """Largest first, and what is unknown last; a tie is newest first, as the runs come."""
    by = _SORTS[sort]
    known = [one for one in runs if by(one) is not None]
    return sorted(known, key=by, reverse=True) + [one for one in runs if by(one) is None]


def _ended(one: ListedRun) -> str:
    """The state, with how the script ended where that is bad news."""
    if one.state == "finished" and one.exit_signal is not None:
        return f"signal {one.exit_signal}"
    if one.state == "finished" and one.exit_status:
        return f"failed {one.exit_status}"
    return printable(one.state)
