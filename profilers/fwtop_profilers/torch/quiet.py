"""Keeps Kineto's and c10's own log lines off the script's stderr while a window is ours.

Owns two log levels in PyTorch's libraries, which it raises around our calls and puts back, so that
what the script's own profiler prints stays as it was. Where a level cannot be found (another
platform, another version), KINETO_LOG_LEVEL during the first `prepare` must do.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import contextmanager
from typing import Any, Iterator, Optional

LOG_LEVEL = "KINETO_LOG_LEVEL"
SILENT = 99
C10_ERROR = 2


def _integer(library: str, symbol: str) -> Optional[Any]:
    """An exported `int` of a library that is loaded already, or None."""
    try:
        return ctypes.c_int.in_dll(_loaded(library), symbol)
    except (OSError, ValueError, AttributeError):
        return None


def _loaded(library: str) -> ctypes.CDLL:
    return ctypes.CDLL(library, mode=os.RTLD_NOLOAD | os.RTLD_NOW)


class Quiet:
    """The levels of one process."""

    def __init__(self, torch: Any) -> None:
        folder = os.path.join(os.path.dirname(torch.__file__), "lib")
        self._library = os.path.join(folder, "libtorch_cpu.so")
        self._kineto = _integer(self._library, "_ZN9libkineto6Logger14severityLevel_E")
        self._c10 = _integer(os.path.join(folder, "libc10.so"), "FLAGS_caffe2_log_level")
        self._c10_before: Optional[int] = None
        self._prepared = False

    @property
    def covers_c10(self) -> bool:
        """Whether c10's warnings (a block allocated before memory profiling) can be kept off."""
        return self._c10 is not None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Kineto prints nothing within."""
        level = self._kineto
        if level is None:
            yield
            return
        before, level.value = level.value, SILENT
        try:
            yield
        finally:
            level.value = before

    def hush_memory(self) -> None:
        """Keep c10's warnings off until `unhush_memory`: a memory window warns while it is open."""
        if self._c10 is not None and self._c10_before is None and self._c10.value < C10_ERROR:
            self._c10_before = self._c10.value
            self._c10.value = C10_ERROR

    def unhush_memory(self) -> None:
        """Put c10's level back."""
        if self._c10 is not None and self._c10_before is not None:
            self._c10.value, self._c10_before = self._c10_before, None

    @contextmanager
    def first_prepare(self) -> Iterator[None]:
        """Around a `prepare`: Kineto takes its level from the environment at the first of all."""
        if self._prepared:
            with self.held():
                yield
            return
        self._prepared = True
        users = os.environ.get(LOG_LEVEL)
        if users is not None and self._kineto is None:
            yield
            return
        os.environ[LOG_LEVEL] = str(SILENT)
        try:
            yield
        finally:
            if users is None:
                del os.environ[LOG_LEVEL]
            else:
                os.environ[LOG_LEVEL] = users
            self._as_started(users)

    def _as_started(self, users: Optional[str]) -> None:
        """Give Kineto the level that it would have now had we not come first."""
        if self._kineto is None:
            return
        try:
            if users is not None:
                self._kineto.value = int(users)
            else:
                _loaded(self._library).suppressLibkinetoLogMessages()
        except (OSError, ValueError, AttributeError):
            pass
