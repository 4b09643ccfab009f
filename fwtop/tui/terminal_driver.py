"""Textual's driver for a terminal that may be closed while the viewer runs.

Its thread for output ends with the first write that fails, and whoever hands it more waits for
ever: a viewer whose window is closed would stay, as a process that nobody sees.
"""

from __future__ import annotations

from typing import IO, Any

from textual.drivers.linux_driver import LinuxDriver


class TerminalOutput:
    """What is written to a terminal; once that fails, nothing any more."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._gone = False

    def write(self, text: str) -> None:
        """Write, as long as there is a terminal."""
        if not self._gone:
            try:
                self._file.write(text)
            except (OSError, ValueError):
                self._gone = True

    def flush(self) -> None:
        """As `write`."""
        if not self._gone:
            try:
                self._file.flush()
            except (OSError, ValueError):
                self._gone = True

    def fileno(self) -> int:
        """Of the terminal. Raises OSError or ValueError without one."""
        return self._file.fileno()


class TerminalDriver(LinuxDriver):
    """Outlives its terminal, so that SIGHUP ends the application as SIGTERM does."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        file: Any = TerminalOutput(self._file) if self._file is not None else None
        self._file = file
