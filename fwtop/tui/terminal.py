"""Which terminal is drawn on."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def drawn_on_the_terminal() -> Iterator[None]:
    """Textual draws on stderr; where that goes to a file, the terminal itself is drawn on.

    COLUMNS and LINES, which some shells and tools export, are of when they did so: Textual would
    never see the terminal change its size.
    """
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)
    stderr = sys.__stderr__
    if stderr is not None and stderr.isatty():
        yield
        return
    try:
        terminal = os.fdopen(os.open("/dev/tty", os.O_WRONLY), "w")
    except OSError as error:
        raise RuntimeError(f"there is no terminal to draw on: {error}") from error
    sys.__stderr__ = terminal  # type: ignore[misc]
    try:
        yield
    finally:
        sys.__stderr__ = stderr  # type: ignore[misc]
        with suppress(OSError):  # it may have hung up
            terminal.close()
