"""What fwtop itself has to say in a recording: each thing once, and a bounded number of them."""

from __future__ import annotations

import time

from fwtop.recorder import statements as sql
from fwtop.recorder.writer import Writer

MAX_NOTICES = 1000
MAX_TEXT = 2000


class Notices:
    """Writes rows of `notices`."""

    def __init__(self, writer: Writer, start_ns: int) -> None:
        self._writer = writer
        self._start_ns = start_ns
        self._said: set[tuple[str, str]] = set()
        self._count = 0

    def add(
        self,
        severity: str,
        code: str,
        text: str,
        next: str = "",
        process_id: int | None = None,
        at_ns: int | None = None,
        once: bool = True,
    ) -> None:
        """Say it; the same words under the same code only once, unless `once` is False.

        `at_ns` counts from the run's start; None is now.
        """
        text = text[:MAX_TEXT]
        if self._count >= MAX_NOTICES or (once and (code, text) in self._said):
            return
        self._count += 1
        self._said.add((code, text))
        when = time.monotonic_ns() - self._start_ns if at_ns is None else at_ns
        self._writer.add(sql.NOTICE, (when, severity, code, process_id, text, next))
