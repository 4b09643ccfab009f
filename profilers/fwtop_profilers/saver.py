"""Saves a window's trace to a file, on a thread of its own.

Owns that thread and the window that is being saved, one at a time. What a saved window is told as
is `windows`'.
"""

from __future__ import annotations

import os
import threading
from typing import Any, Callable, List, Optional

from fwtop_profilers import clock
from fwtop_profilers.opened_window import Opened
from fwtop_profilers.spool import Spool


class Saver:
    """The saving of one process's windows. Its callbacks run under `lock`, on either thread."""

    def __init__(
        self,
        lock: threading.RLock,
        spool: Spool,
        suffix: str,
        saved: Callable[[Opened], None],
        failed: Callable[[Opened, Exception], None],
    ) -> None:
        self._lock = lock
        self._spool = spool
        self._suffix = suffix
        self._saved = saved
        self._failed = failed
        self._idle = threading.Event()
        self._idle.set()
        self._beside: Optional[Opened] = None

    @property
    def busy(self) -> bool:
        """Whether a window is being saved, or its cost is not known yet."""
        return not self._idle.is_set() or self._beside is not None

    @property
    def beside(self) -> bool:
        """Whether a window is saved beside the running steps, and its cost is not known yet."""
        return self._beside is not None

    def save(self, opened: Opened, results: List[Any]) -> None:
        """Begin. `results` holds the way's one result, and is emptied: the last reference frees it.

        What the saving costs is known at once where the steps wait for it, and otherwise at the
        first end of a step after it.
        """
        self._idle.clear()
        if opened.way.stop_is_short and not opened.plan.deep:
            self._beside = opened
        thread = threading.Thread(target=self._run, args=(opened, results), name="fwtop-window")
        thread.daemon = True
        thread.start()

    def wait(self, timeout_s: float) -> None:
        """Until the file is written, or the time is over."""
        self._idle.wait(timeout_s)

    def step_ended(self, start_ns: int, end_ns: int) -> None:
        """A step has run beside the saving, it may be."""
        opened = self._beside
        if opened is not None:
            opened.overlapped_ns.append(end_ns - start_ns)
            if 0 < opened.saved_at_ns <= end_ns:
                self.tell_beside()

    def tell_beside(self) -> None:
        """Tell of the window that was saved beside the steps, if its file is written."""
        opened = self._beside
        if opened is not None and opened.saved_at_ns:
            self._beside = None
            self._saved(opened)

    def _run(self, opened: Opened, results: List[Any]) -> None:
        try:
            self._save(opened, results.pop())
        except Exception as error:
            with self._lock:
                self._beside = None
                self._failed(opened, error)
        finally:
            self._idle.set()

    def _save(self, opened: Opened, result: Any) -> None:
        path = self._spool.new_path(self._suffix)
        partial = path + ".partial"
        before = clock.now_ns()
        try:
            os.close(os.open(partial, os.O_CREAT | os.O_WRONLY, 0o600))  # Kineto would print
            opened.way.save(result, partial)
            opened.size_bytes = os.stat(partial).st_size
            if opened.size_bytes == 0:
                raise OSError("the profiler wrote nothing")
            os.rename(partial, path)
        finally:
            _remove(partial)  # where it was not renamed
        with self._lock:
            opened.path = path
            opened.saved_at_ns = clock.now_ns()
            opened.save_ns = opened.saved_at_ns - before
            if self._beside is None:
                self._saved(opened)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
