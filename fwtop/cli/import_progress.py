"""How far the reading of traces has come: a line on stderr, and only where it takes a while."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from fwtop.cli.diagnostics import say
from fwtop.formatting import ellipsis, format_bytes, printable

SILENT_S = 0.5
"""What is read sooner needs no progress."""
REDRAW_S = 0.1
SAY_S = 2.0
"""Where stderr is no terminal, a line this often."""


class ImportProgress:
    """Called with the bytes read and their total; draws in place on a terminal."""

    def __init__(
        self, paths: Sequence[Path], quiet: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._what = paths[0].name if len(paths) == 1 else f"{len(paths)} traces"
        self._quiet = quiet
        self._clock = clock
        self._begun = clock()
        self._terminal = sys.stderr is not None and sys.stderr.isatty()
        self._next = self._begun + (SILENT_S if self._terminal else SAY_S)
        self._shown = False

    def __call__(self, at: int, total: int) -> None:
        """So many bytes of so many were read; the analysis of the last ones may still run."""
        now = self._clock()
        finished = at >= total and self._shown
        if self._quiet or (now < self._next and not finished):
            return
        self._shown = True
        self._next = now + (REDRAW_S if self._terminal else SAY_S)
        text = self._text(at, total, now - self._begun)
        if self._terminal:
            self._draw(text)
        else:
            say(text)

    def _text(self, at: int, total: int, elapsed_s: float) -> str:
        name = printable(self._what)
        if at >= total:
            return f"analysing {name}"
        rate = format_bytes(round(at / elapsed_s)) if elapsed_s > 0 else "–"
        return f"reading {name}: {at / total:.0%} of {format_bytes(total)}, {rate}/s"

    def _draw(self, text: str) -> None:
        columns = shutil.get_terminal_size().columns
        _write("\r\x1b[K" + ellipsis(f"fwtop: {text}", max(20, columns - 1)))

    def __enter__(self) -> ImportProgress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shown and self._terminal:
            _write("\r\x1b[K")


def _write(text: str) -> None:
    """A stderr that is gone is no reason to fail."""
    try:
        os.write(sys.stderr.fileno(), text.encode(errors="replace"))
    except (OSError, ValueError, AttributeError):
        pass
