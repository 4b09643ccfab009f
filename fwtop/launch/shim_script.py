"""In the child of the shim's fork: becoming the script. And the terminal and stdin that it gets.

A part of the shim: standard library only, few imports.
"""

from __future__ import annotations

import errno
import os
import signal
import termios

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

IUTF8 = 0x4000
"""Of Linux and macOS alike: backspace removes a character and not a byte."""


def execute(
    argv: list[str],
    targets: list[int],
    slave: int | None,
    failure_write: int,
    inherited: dict[signal.Signals, Any],
) -> None:
    """In the child: become the script. Exits 127 or 126 as a shell does if it cannot be."""
    code = 127
    try:
        os.setpgid(0, 0)
        if slave is not None:
            os.tcsetpgrp(slave, os.getpid())
        high = [os.dup(target) for target in targets]
        for number in range(3):
            os.dup2(high[number], number)
        for number in (signal.SIGCHLD, signal.SIGTTOU, signal.SIGTTIN, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        for number, handler in inherited.items():
            ignored = handler == signal.SIG_IGN
            signal.signal(number, signal.SIG_IGN if ignored else signal.SIG_DFL)
        try:
            os.execvp(argv[0], argv)
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            os.execv("/bin/sh", ["sh", *argv])  # as execvp(3) does for a script without `#!`
    except OSError as error:
        code = 127 if error.errno == errno.ENOENT else 126
        os.write(failure_write, f"{argv[0]}: {error.strerror}".encode("utf-8", "replace"))
    finally:
        os._exit(code)


def copy_habits(terminal: int, to: int) -> None:
    """The user's control characters and encoding; not the modes, for theirs is raw by now."""
    theirs, ours = termios.tcgetattr(terminal), termios.tcgetattr(to)
    ours[0] |= theirs[0] & IUTF8
    ours[6] = theirs[6]
    ours[6][termios.VMIN], ours[6][termios.VTIME] = 1, 0
    termios.tcsetattr(to, termios.TCSANOW, ours)


def let_go_of_stdin() -> None:
    """The script has it by now; ours would keep a pipe of the user's open for its writer."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
