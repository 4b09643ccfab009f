"""The runs and recordings at hand, newest first."""

from __future__ import annotations

import shlex
import shutil
import sys
from argparse import ArgumentParser, Namespace

import msgspec

from fwtop.cli.diagnostics import say
from fwtop.cli.listing import ListedRun, at_hand
from fwtop.cli.options import state_folder
from fwtop.formatting import (
    UNKNOWN,
    ellipsis,
    format_bytes,
    format_count,
    format_duration,
    format_moment,
    pad,
    printable,
)

_COLUMNS = (
    ("RUN", 0), ("STATE", 0), ("STARTED", 0), ("TOOK", 1), ("STEPS", 1), ("MEDIAN", 1), ("SIZE", 1),
)  # fmt: skip
"""Head, and whether the column is flush right. The command comes last, and gets what is left."""
_NARROWEST_COMMAND = 20


def configure(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--json", action="store_true", help="the list as JSON, sizes in bytes")


def main(arguments: Namespace) -> int:
    """Print the list on stdout."""
    runs = at_hand()
    if arguments.json:
        sys.stdout.write(msgspec.json.encode(runs).decode() + "\n")
        return 0
    if not runs:
        say(f"no run yet: `fwtop train.py` makes one, kept in {state_folder()}")
        return 0
    wide = shutil.get_terminal_size((10_000, 24)).columns if sys.stdout.isatty() else None
    print("\n".join(table(runs, wide)))
    for one in runs:
        if one.problem:
            say(one.problem)
    return 0


def table(runs: list[ListedRun], columns: int | None) -> list[str]:
    """The list as lines; `columns` cuts the commands to a terminal's width."""
    rows = [[name for name, _ in _COLUMNS], *(_cells(one) for one in runs)]
    commands = ["COMMAND", *(printable(shlex.join(one.command)) or UNKNOWN for one in runs)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    used = sum(widths) + 2 * len(widths)
    lines = []
    for row, command in zip(rows, commands, strict=True):
        cells = [
            pad(text, width, right=bool(right))
            for text, width, (_, right) in zip(row, widths, _COLUMNS, strict=True)
        ]
        if columns is not None:
            command = ellipsis(command, max(_NARROWEST_COMMAND, columns - used))
        lines.append("  ".join((*cells, command)))
    return lines


def _cells(one: ListedRun) -> list[str]:
    return [
        printable(one.id),
        _ended(one),
        format_moment(one.started_unix_ns),
        format_duration(one.duration_ns),
        format_count(one.steps),
        format_duration(one.median_ns),
        format_bytes(one.size_bytes),
    ]


def _ended(one: ListedRun) -> str:
    """The state, with how the script ended where that is bad news."""
    if one.state == "finished" and one.exit_signal is not None:
        return f"signal {one.exit_signal}"
    if one.state == "finished" and one.exit_status:
        return f"failed {one.exit_status}"
    return printable(one.state)
