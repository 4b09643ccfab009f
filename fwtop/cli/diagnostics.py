"""Every failure of fwtop's own: its exit status, what it says, and what to do next.

The script's exit status passes through; fwtop's own failures are 1xx, so that the two are told
apart. `compare --fail-on` runs no script, and ends as `diff` and `grep` do: 1 where a condition
failed, 2 where one means nothing. Only `fwtop.cli` exits.
"""

from __future__ import annotations

import os
import sys
from enum import IntEnum


class Code(IntEnum):
    """Exit statuses of fwtop's own."""

    GATE = 1
    """`compare --fail-on`: the comparison failed a condition."""
    CONDITION = 2
    """`compare --fail-on`: a condition means nothing."""
    USAGE = 101
    """Options or arguments that mean nothing."""
    TARGET = 102
    """The target cannot be run."""
    START = 103
    """The recorder or the shim did not start; the script was not started."""
    RECORDING = 104
    """A recording or trace is absent, foreign, damaged or newer."""
    NO_RUN = 105
    """No such run, or no live one."""
    FOLDER = 106
    """A folder of ours cannot be used: state, temporary, project."""
    PLATFORM = 107
    """fwtop does not run here."""
    CONTROL = 108
    """The run's recorder does not answer, or refused."""
    CONFIGURATION = 109
    """fwtop.toml, config.toml or an FWTOP_* variable says what cannot be."""
    TERMINAL = 110
    """There is no terminal for the viewer."""
    LOST = 112
    """The script's end was not seen, so there is no status of it to pass on."""
    OUTPUT = 113
    """What was to be written cannot be: something is there, there is no room, a package lacks."""
    INTERNAL = 120
    """A mistake in fwtop."""


class Failure(Exception):  # noqa: N818 - it is what the user reads, and no kind of error class
    """Ends fwtop with `code`; `text` says what failed and on what, `next` what to do."""

    def __init__(self, code: Code, text: str, next: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.next = next


def report(failure: Failure) -> int:
    """Print it on stderr; the exit status."""
    say(f"{failure}")
    if failure.next:
        say(f"  {failure.next}")
    return int(failure.code)


def say(text: str) -> None:
    """One line of narration on stderr; a closed stderr is no reason to fail."""
    try:
        print(f"fwtop: {text}", file=sys.stderr, flush=True)
    except (OSError, ValueError, AttributeError):
        pass


def windows_is_not_supported() -> Failure:
    """What a Windows user reads."""
    return Failure(
        Code.PLATFORM,
        "fwtop runs on Linux and macOS",
        "on Windows, use it within WSL: https://learn.microsoft.com/windows/wsl/install",
    )


def unwritable_state_folder(folder: object, error: OSError) -> Failure:
    """The place where recordings go cannot be written."""
    return Failure(
        Code.FOLDER,
        f"recordings cannot be written to {folder}: {os.strerror(error.errno or 0)}",
        "name a file with -o FILE, or set XDG_STATE_HOME to a folder of your own",
    )
