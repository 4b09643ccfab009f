"""The terminal that the viewer would draw on."""

from __future__ import annotations

import locale
import os
import shutil
import sys
from collections.abc import Iterator

from fwtop.cli.doctor.check import Check, ok, warning

SMALLEST = (80, 24)


def terminal(python: str | None) -> Iterator[Check]:
    """Size, colours, UTF-8, and what lies between."""
    if not sys.stdout.isatty():
        yield ok("terminal", "stdout is none, so only `record`, `summary` and `ls` apply here")
        return
    columns, rows = shutil.get_terminal_size()
    kind = os.environ.get("TERM", "")
    text = f"{columns}x{rows}, TERM={kind or 'unset'}, {_colours(kind)}{_multiplexer()}"
    if kind in ("", "dumb", "unknown"):
        yield warning("terminal", text, "set TERM to what your terminal is, say xterm-256color")
    elif columns < SMALLEST[0] or rows < SMALLEST[1]:
        yield warning("terminal", text, "panels are dropped below 80x24: enlarge the window")
    else:
        yield ok("terminal", text, columns=columns, rows=rows, term=kind)
    encoding = locale.getpreferredencoding(False)
    if encoding.lower().replace("-", "") != "utf8":
        yield warning("encoding", f"{encoding}: bars and lines need UTF-8", "export LANG=C.UTF-8")


def _colours(kind: str) -> str:
    if os.environ.get("NO_COLOR"):
        return "no colour (NO_COLOR)"
    if os.environ.get("COLORTERM") in ("truecolor", "24bit"):
        return "true colour"
    return "256 colours" if "256" in kind else "16 colours"


def _multiplexer() -> str:
    if os.environ.get("TMUX"):
        return ", in tmux"
    return ", in screen" if os.environ.get("STY") else ""
