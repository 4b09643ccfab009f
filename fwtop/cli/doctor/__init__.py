"""What works here, and what to do about the rest."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

import msgspec

from fwtop.cli.doctor import configuration, devices, host, interpreter, terminal
from fwtop.cli.doctor.check import Check, Status
from fwtop.formatting import pad, printable, wrapped

CHECKS = (
    interpreter.own,
    interpreter.of_script,
    devices.nvidia,
    terminal.terminal,
    host.state_folder,
    host.run_folder,
    host.shared_memory,
    host.detaching,
    host.batch_job,
    host.permissions,
    configuration.settings,
)
"""Each yields what it found. None needs a privilege, and none changes anything that stays."""
_LABELS = {Status.OK: "ok", Status.WARNING: "warning", Status.PROBLEM: "problem"}
_WIDTH = 80
_INDENT = 9


def configure(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--python", metavar="PATH", help="the interpreter to look at")
    parser.add_argument("--json", action="store_true", help="what was found, as JSON")


def main(arguments: Namespace) -> int:
    """Print what was found on stdout: 0, or 1 where there is a problem."""
    found: list[Check] = []
    for check in CHECKS:
        for one in check(arguments.python):
            found.append(one)
            if not arguments.json:
                print("\n".join(lines(one)), flush=True)
    if arguments.json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    return int(any(one.status is Status.PROBLEM for one in found))


def lines(one: Check) -> list[str]:
    """A check in words: its status, what was found, and what to do."""
    label = pad(_LABELS[one.status], _INDENT)
    text = wrapped(f"{one.subject}: {printable(one.text)}", _WIDTH - _INDENT)
    out = [(label if not number else " " * _INDENT) + line for number, line in enumerate(text)]
    if one.next:
        for number, line in enumerate(wrapped(printable(one.next), _WIDTH - _INDENT - 2)):
            out.append(" " * _INDENT + ("→ " if not number else "  ") + line)
    return out
